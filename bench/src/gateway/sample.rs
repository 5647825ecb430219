//! One figure of one server in one round.

use serde::Serialize;

use super::contender::Contender;
use super::ground::Ground;
use super::load::Load;
use super::task::{Task, Unit};
use super::watch::Cost;

/// Whose figure it is, and on which ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Where {
    pub(crate) ground: Ground,
    pub(crate) contender: Contender,
    pub(crate) round: u32,
}

/// What was done, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) operations: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    #[serde(flatten)]
    pub(crate) task: Task,
    #[serde(flatten)]
    pub(crate) place: Where,
    pub(crate) value: f64,
    /// The same when the time counts until everything is on the disk.
    pub(crate) settled: f64,
    /// In the measure that goes with the unit; absent for a call among others.
    pub(crate) cpu: Option<f64>,
    pub(crate) cost: Cost,
    pub(crate) load: Option<Load>,
}

impl Sample {
    pub(crate) fn new(
        task: Task,
        place: Where,
        amount: Amount,
        cost: Cost,
        load: Option<Load>,
    ) -> Self {
        Self {
            task,
            place,
            value: value(task.unit, amount, amount.seconds),
            settled: value(task.unit, amount, amount.seconds + cost.settling_seconds),
            cpu: Some(processor(task.unit, amount, cost.cpu_seconds)),
            cost,
            load,
        }
    }

    /// Of one call among others, whose median took so many milliseconds.
    pub(crate) fn of_call(task: Task, place: Where, median: f64, cost: Cost) -> Self {
        Self {
            task,
            place,
            value: median,
            settled: median,
            cpu: None,
            cost,
            load: None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn value(unit: Unit, amount: Amount, seconds: f64) -> f64 {
    match unit {
        Unit::Bytes => amount.bytes as f64 / f64::from(1 << 20) / seconds,
        Unit::Operations => amount.operations as f64 / seconds,
        Unit::Seconds => seconds,
        Unit::Milliseconds => seconds * 1000.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn processor(unit: Unit, amount: Amount, seconds: f64) -> f64 {
    match unit {
        Unit::Bytes => seconds / (amount.bytes as f64 / f64::from(1 << 30)),
        Unit::Operations => seconds * 1e6 / amount.operations as f64,
        Unit::Seconds | Unit::Milliseconds => seconds,
    }
}

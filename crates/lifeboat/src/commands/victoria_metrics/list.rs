//! `lifeboat victoria-metrics list`.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_core::backup::{Backup, State};
use lifeboat_core::size::ByteSize;
use lifeboat_victoria_metrics::catalog;
use serde::Serialize;

use super::{instance, place};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};

/// List the backups of the metrics
///
/// All versions of each instance, whoever wrote them. One that is not complete is not listed; `--all` shows those and says why.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those of this instance
    instance: Option<String>,
    /// Also show what cannot be restored
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct ListView {
    backups: Vec<Listed>,
    #[serde(skip)]
    time_zone: TimeZone,
    #[serde(skip)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Listed {
    instance: String,
    name: String,
    #[serde(flatten)]
    state: State,
    taken: Option<Timestamp>,
    completed: Option<Timestamp>,
    bytes: ByteSize,
    samples: Option<u64>,
    series: Option<u64>,
    writer: Option<String>,
}

pub(crate) async fn run(ctx: &Context, args: &ListArgs) -> Result<Exit, Failure> {
    let instances: Vec<_> = match &args.instance {
        Some(name) => vec![instance(ctx, name)?],
        None => ctx.settings.victoria_metrics.iter().collect(),
    };
    let mut buckets = BTreeMap::new();
    for settings in &instances {
        // One that is not used may have no bucket.
        if settings.enabled || settings.restore_enabled || args.instance.is_some() {
            buckets.insert(settings.instance, ctx.bucket(&settings.bucket)?);
        }
    }
    let mut backups = Vec::new();
    let mut hidden = 0;
    for settings in instances {
        let Some(bucket) = buckets.get(settings.instance) else {
            continue;
        };
        for backup in catalog::list(place(settings, bucket)).await? {
            if args.all || backup.state == State::Completed {
                backups.push(Listed::from(backup));
            } else {
                hidden += 1;
            }
        }
    }
    ctx.out.show(&ListView {
        backups,
        time_zone: ctx.clock.time_zone().clone(),
        all: args.all,
    })?;
    if hidden > 0 {
        let what = if hidden == 1 {
            "version is"
        } else {
            "versions are"
        };
        ctx.note(&format!(
            "{hidden} more {what} there that no restore could use; `--all` shows why"
        ))?;
    }
    Ok(Exit::Success)
}

impl From<Backup> for Listed {
    fn from(backup: Backup) -> Self {
        Self {
            instance: backup.instance.unwrap_or_default(),
            name: backup.name,
            state: backup.state,
            taken: backup.taken,
            completed: backup.completed,
            bytes: backup.size,
            samples: backup.counts.get("samples").copied(),
            series: backup.counts.get("series").copied(),
            writer: backup.writer,
        }
    }
}

impl ListView {
    /// Of each instance the one completed last comes last, whatever its name says, and those that are not complete before all others.
    fn by_time(&self) -> Vec<&Listed> {
        let mut backups: Vec<&Listed> = self.backups.iter().collect();
        backups.sort_by_key(|backup| (&backup.instance, backup.completed));
        backups
    }

    fn time(&self, at: Option<Timestamp>) -> String {
        at.map_or_else(
            || "-".to_owned(),
            |at| {
                let local = at.to_zoned(self.time_zone.clone());
                local.strftime("%Y-%m-%d %H:%M").to_string()
            },
        )
    }
}

impl View for ListView {
    fn table(&self) -> String {
        if self.backups.is_empty() {
            return "no backups\n".to_owned();
        }
        let row = |backup: &Listed| {
            let samples = backup.samples.map(|count| count.to_string());
            [
                backup.name.clone(),
                self.time(backup.taken),
                self.time(backup.completed),
                backup.bytes.to_string(),
                samples.unwrap_or_else(|| "-".to_owned()),
            ]
        };
        if !self.all {
            let rows: Vec<_> = self.by_time().into_iter().map(row).collect();
            return columns(["name", "taken", "completed", "size", "samples"], &rows);
        }
        let rows: Vec<_> = self
            .by_time()
            .into_iter()
            .map(|backup| {
                let [name, taken, completed, size, samples] = row(backup);
                let state = match &backup.state {
                    State::Completed => "completed".to_owned(),
                    State::Foreign(reason) | State::Incomplete(reason) => reason.clone(),
                };
                [name, taken, completed, size, samples, state]
            })
            .collect();
        let headings = ["name", "taken", "completed", "size", "samples", "state"];
        columns(headings, &rows)
    }

    /// The lines of the platform's own script: instance, version, and when it was completed as HTTP writes it.
    fn script(&self) -> String {
        let mut text = Text::default();
        text.line(format_args!(
            "=== Fetching timestamps of last completed incremental backups"
        ));
        for backup in &self.backups {
            // Those that are not complete have no place in these lines.
            let (State::Completed, Some(completed)) = (&backup.state, backup.completed) else {
                continue;
            };
            let date = completed.strftime("%a, %d %b %Y %H:%M:%S GMT");
            text.line(format_args!(
                "{} {} \"{date}\"",
                backup.instance, backup.name
            ));
        }
        text.line(format_args!("\n==="));
        text.into()
    }
}

//! What was wanted, and what was seen of it.

use super::super::contender::Contender;
use super::super::ground::Ground;
use super::super::task::Task;
use super::{Report, View, mebibytes, number, times_shown};

/// How each kind of comparison went, and the goals that are more than being first. One line for each.
pub(super) fn seen(report: &Report) -> Vec<String> {
    let places = [
        (View::Memory, "in memory"),
        (View::Durable, "durable on the disk"),
        (View::Shipped, "as shipped"),
        (View::Settled, "as shipped, until on the disk"),
    ];
    places
        .into_iter()
        .filter_map(|(view, name)| Some(format!("{name}: {}", firsts(report, view)?)))
        .chain(against_dd(report, Ground::Disk, View::Shipped))
        .chain(against_dd(report, Ground::Memory, View::Memory))
        .chain(crowd(report))
        .collect()
}

fn firsts(report: &Report, view: View) -> Option<String> {
    let compared: Vec<(Task, f64, Contender)> = report
        .tasks(view)
        .into_iter()
        .filter_map(|task| {
            let (times, peer) = report.against_best(view, task)?;
            Some((task, times, peer))
        })
        .collect();
    let lost: Vec<String> = compared
        .iter()
        .filter(|(_, times, _)| *times < 1.0)
        .map(|(task, times, peer)| format!("{} ({} {peer})", task.title, times_shown(*times)))
        .collect();
    let double = compared.iter().filter(|row| row.1 >= 2.0).count();
    if compared.is_empty() {
        return None;
    }
    Some(format!(
        "first in {} of {} rows, twice as good in {double}; not first: {}",
        compared.len() - lost.len(),
        compared.len(),
        if lost.is_empty() {
            "none".to_owned()
        } else {
            lost.join(", ")
        }
    ))
}

fn against_dd(report: &Report, ground: Ground, view: View) -> Option<String> {
    let mut rounds: Vec<f64> = report
        .baselines
        .iter()
        .filter(|baseline| baseline.ground == ground)
        .map(|baseline| baseline.value)
        .collect();
    rounds.sort_by(f64::total_cmp);
    let dd = *rounds.get(rounds.len() / 2)?;
    let large = report
        .tasks(view)
        .into_iter()
        .find(|task| task.name == "put-100m")?;
    let own = report.figure(view, large, Contender::Lifeboat)?.value;
    Some(format!(
        "`dd` with a sync for each 100 MB, {ground}: {} MiB/s ({} to {}); PUT of 100 MB has {:.0} % of it (wanted: 80 %)",
        number(dd),
        number(*rounds.first()?),
        number(*rounds.last()?),
        own / dd * 100.0
    ))
}

fn crowd(report: &Report) -> Option<String> {
    let peak = report
        .samples
        .iter()
        .filter(|sample| {
            sample.task.name == "parts-64" && sample.place.contender == Contender::Lifeboat
        })
        .map(mebibytes)
        .reduce(f64::max)?;
    Some(format!(
        "64 uploads at once in parts of 5 MiB: at most {} MiB resident (wanted: 256)",
        number(peak)
    ))
}

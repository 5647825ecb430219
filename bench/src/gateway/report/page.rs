//! The tables of docs/benchmarks.md: one for each way in which the figures can mean the same.

use std::fmt;

use comfy_table::Table;

use super::super::contender::Contender;
use super::super::task::Task;
use super::{Report, View, goals, mebibytes, number, times_shown};
use crate::report::table;

/// Prints as Markdown.
pub(super) struct Page<'a>(pub(super) &'a Report);

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        writeln!(f, "{}", report.circumstances())?;
        for (view, title) in [
            (View::Memory, "In memory"),
            (View::Durable, "On the disk, and durable"),
            (View::Shipped, "On the disk, as shipped"),
        ] {
            if !report.tasks(view).is_empty() {
                writeln!(f, "\n### {title}\n\n{}", comparison(report, view))?;
            }
        }
        writeln!(f)?;
        for line in goals::seen(report) {
            writeln!(f, "- {line}")?;
        }
        for failure in &report.failures {
            writeln!(f, "- failed: {}", failure.text)?;
        }
        for note in &report.notes {
            writeln!(f, "- {note}")?;
        }
        Ok(())
    }
}

/// One row for each task that some peer was measured at too.
fn comparison(report: &Report, view: View) -> Table {
    let contenders = report.contenders();
    let mut header = vec![String::new()];
    header.extend(contenders.iter().map(ToString::to_string));
    header.push("Lifeboat against the best".to_owned());
    if view == View::Shipped {
        header.push("until on the disk".to_owned());
    }
    let rows = report.tasks(view).into_iter().filter_map(|task| {
        let (times, peer) = report.against_best(view, task)?;
        let best = if times >= 1.0 {
            Contender::Lifeboat
        } else {
            peer
        };
        let mut row = vec![format!("{}, {}", task.title, task.unit)];
        row.extend(
            contenders
                .iter()
                .map(|contender| cell(report, view, task, *contender, best)),
        );
        row.push(format!("{} {peer}", times_shown(times)));
        if view == View::Shipped {
            let (times, peer) = report.against_best(View::Settled, task)?;
            row.push(format!("{} {peer}", times_shown(times)));
        }
        Some(row)
    });
    table(header, rows, 1)
}

/// The figure (until on the disk) · processor time · peak memory in MiB.
fn cell(report: &Report, view: View, task: Task, contender: Contender, best: Contender) -> String {
    let Some(figure) = report.figure(view, task, contender) else {
        return String::new();
    };
    let mut text = number(figure.value);
    if best == contender {
        text = format!("**{text}**");
    }
    if view == View::Shipped
        && let Some(settled) = report.figure(View::Settled, task, contender)
        && (settled.value - figure.value).abs() > figure.value * 0.02
    {
        text = format!("{text} ({})", number(settled.value));
    }
    if let Some(cpu) = figure.sample.cpu {
        text = format!("{text} · {}", number(cpu));
    }
    format!("{text} · {}", number(mebibytes(figure.sample)))
}

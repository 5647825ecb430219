//! What was wanted, and what was seen of it.

use super::commands::{Deed, Side};
use super::report::Report;
use super::throughput::{Store, Task};

/// A figure and its bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goal {
    what: String,
    seen: f64,
    bound: Bound,
    unit: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    Least(f64),
    Most(f64),
}

impl Goal {
    fn is_reached(&self) -> bool {
        match self.bound {
            Bound::Least(bound) => self.seen >= bound,
            Bound::Most(bound) => self.seen <= bound,
        }
    }
}

/// Those of which something was measured.
pub(super) fn seen(report: &Report) -> Vec<Goal> {
    let mut goals = Vec::new();
    for task in Task::ALL {
        goals.extend(throughput(report, task));
    }
    let middle = |deed: Deed, side: Side| Some(report.spread(deed, side)?[1]);
    let pair = |deed: Deed| Some((middle(deed, Side::Lifeboat)?, middle(deed, Side::Engine)?));
    if let Some((ours, engine)) = pair(Deed::List) {
        goals.push(Goal {
            what: format!("list of {} snapshots: time of the engine", report.snapshots),
            seen: ours / engine,
            bound: Bound::Most(1.2),
            unit: "x",
        });
    }
    if let Some((ours, engine)) = pair(Deed::Restore) {
        goals.push(Goal {
            what: "restore of one small index: more than the engine".to_owned(),
            seen: ours - engine,
            bound: Bound::Most(1.0),
            unit: " s",
        });
    }
    goals
}

fn throughput(report: &Report, task: Task) -> Vec<Goal> {
    let Some(ours) = report.median(task, Store::Lifeboat) else {
        return Vec::new();
    };
    let mut goals = Vec::new();
    for store in Store::ALL
        .into_iter()
        .filter(|store| *store != Store::Lifeboat)
    {
        let Some(theirs) = report.median(task, store) else {
            continue;
        };
        let (of, title) = (task.title(), store.title());
        let least = if store == Store::FileSystem { 0.8 } else { 1.0 };
        goals.push(Goal {
            what: format!("{of}: throughput of {title}"),
            seen: ours.mib_per_second / theirs.mib_per_second,
            bound: Bound::Least(least),
            unit: "x",
        });
        if store != Store::FileSystem {
            goals.push(Goal {
                what: format!("{of}: processor time of {title}"),
                seen: ours.cpu_seconds / theirs.cpu_seconds,
                bound: Bound::Most(1.0),
                unit: "x",
            });
        }
    }
    goals
}

/// A line for each.
pub(super) fn table(goals: &[Goal]) -> String {
    let mut lines = vec!["| Lifeboat against | wanted | seen | |".to_owned()];
    lines.push("|---|--:|--:|---|".to_owned());
    for goal in goals {
        let unit = goal.unit;
        let wanted = match goal.bound {
            Bound::Least(bound) => format!("at least {bound:.1}{unit}"),
            Bound::Most(bound) => format!("at most {bound:.1}{unit}"),
        };
        lines.push(format!(
            "| {} | {wanted} | {:.2}{unit} | {} |",
            goal.what,
            goal.seen,
            if goal.is_reached() {
                "reached"
            } else {
                "missed"
            }
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_at_its_bound_and_missed_beyond_it() {
        let goal = |seen, bound| Goal {
            what: "list".to_owned(),
            seen,
            bound,
            unit: "x",
        };
        let goals = [
            goal(0.8, Bound::Least(0.8)),
            goal(0.79, Bound::Least(0.8)),
            goal(1.2, Bound::Most(1.2)),
            goal(1.21, Bound::Most(1.2)),
        ];
        insta::assert_snapshot!(table(&goals), @"
        | Lifeboat against | wanted | seen | |
        |---|--:|--:|---|
        | list | at least 0.8x | 0.80x | reached |
        | list | at least 0.8x | 0.79x | missed |
        | list | at most 1.2x | 1.20x | reached |
        | list | at most 1.2x | 1.21x | missed |
        ");
    }
}

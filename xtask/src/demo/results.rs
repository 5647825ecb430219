//! The table at the end of the demo.

use std::fmt;

use anyhow::{Result, ensure};
use lifeboat_core::size::ByteSize;

use super::reports::Report;
use crate::table;

/// One thing that was done to the whole graph.
#[derive(Debug, Clone, Default)]
pub(super) struct Measure {
    pub(super) what: &'static str,
    pub(super) elements: u64,
    pub(super) bytes: ByteSize,
    /// Nought if it is not worth a measure.
    pub(super) seconds: f64,
    pub(super) digest: String,
}

/// All of them; the first is the graph before, the last the graph after.
#[derive(Debug, Clone)]
pub(super) struct Results {
    pub(super) measures: Vec<Measure>,
}

impl Measure {
    pub(super) fn of(what: &'static str, report: Report) -> Self {
        Self {
            what,
            elements: report.elements,
            bytes: ByteSize(report.bytes),
            seconds: report.seconds,
            digest: report.digest,
        }
    }

    fn cells(&self) -> [String; 6] {
        let or_nothing = |known: bool, text: String| if known { text } else { String::new() };
        [
            self.what.to_owned(),
            self.elements.to_string(),
            or_nothing(self.bytes.0 > 0, self.bytes.to_string()),
            or_nothing(self.seconds > 0.0, format!("{:.2}", self.seconds)),
            or_nothing(self.seconds > 0.0, format!("{:.0}/s", self.rate())),
            self.digest.clone(),
        ]
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is shown to a person")]
    fn rate(&self) -> f64 {
        self.elements as f64 / self.seconds
    }
}

impl Results {
    /// Every step has seen the same graph.
    pub(super) fn check(&self) -> Result<()> {
        for pair in self.measures.windows(2) {
            let [one, other] = pair else { continue };
            ensure!(
                one.digest == other.digest,
                "the digest after `{}` is {}, after `{}` it is {}",
                one.what,
                one.digest,
                other.what,
                other.digest
            );
        }
        Ok(())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["what", "elements", "bytes", "seconds", "rate", "digest"];
        let rows = self.measures.iter().map(Measure::cells);
        writeln!(f, "{}", table::render(header, rows, 1..5))?;
        let same = self.measures.first().map(|measure| &measure.digest)
            == self.measures.last().map(|measure| &measure.digest);
        let sign = if same { "=" } else { "is not" };
        write!(f, "\ndigest before {sign} digest after")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(last_digest: &str) -> Results {
        let measure = |what, seconds, digest: &str| Measure {
            what,
            elements: 480_065,
            bytes: ByteSize(7_549_747),
            seconds,
            digest: digest.to_owned(),
        };
        Results {
            measures: vec![
                measure("load", 12.0, "5f1c"),
                measure("backup", 0.5, "5f1c"),
                Measure {
                    what: "show, after",
                    elements: 480_065,
                    digest: last_digest.to_owned(),
                    ..Measure::default()
                },
            ],
        }
    }

    #[test]
    fn shows_what_was_done_and_that_nothing_changed() {
        insta::assert_snapshot!(results("5f1c"), @"
        what         elements    bytes  seconds      rate  digest
        load           480065  7.1 MiB    12.00   40005/s  5f1c
        backup         480065  7.1 MiB     0.50  960130/s  5f1c
        show, after    480065                              5f1c

        digest before = digest after
        ");
        results("5f1c").check().unwrap();
    }

    #[test]
    fn another_digest_is_a_failure() {
        assert_eq!(
            results("77aa").check().unwrap_err().to_string(),
            "the digest after `backup` is 5f1c, after `show, after` it is 77aa"
        );
    }
}

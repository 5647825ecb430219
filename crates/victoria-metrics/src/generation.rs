//! Which version a backup belongs to.
//!
//! The label of the version is kept in the server itself, as a sample: a server whose data was emptied has none, so its next backup begins a new version
//! and the one before stays. A restore brings the label of its version back.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::store::LATEST;

/// What a backup continues or begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Continue(String),
    Begin { label: String, why: Why },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The server has no label: its data is new, or was emptied.
    NoLabel,
    /// The version has samples that are later than all of the server: continuing it would lose them.
    Behind,
    /// The server does not have the label as the last backup to the version kept it: its data is of before that backup, and continuing it would lose what came
    /// between.
    PutBack,
    /// The version is going to be restored, and has to stay as it is.
    Spared,
    /// The backups after the restore go to the version: what is saved before would be replaced by older data.
    Overtaken,
}

/// A version that is going to be restored once the backup is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spared<'a> {
    /// Whose version it is.
    pub instance: &'a str,
    pub version: &'a str,
}

impl Decision {
    pub fn label(&self) -> &str {
        match self {
            Self::Continue(label) | Self::Begin { label, .. } => label,
        }
    }

    /// Whether the backup can be made although the server cannot keep the label: it has it, or gets that of what is restored. Any other one would begin a
    /// version each time.
    pub fn does_without_label(&self) -> bool {
        match self {
            Self::Continue(_) => true,
            Self::Begin { why, .. } => matches!(why, Why::Spared | Why::Overtaken),
        }
    }

    /// By what the server says.
    pub fn by_label(kept: Option<String>, existing: &BTreeSet<String>, now: &Zoned) -> Self {
        match kept {
            Some(label) => Self::Continue(label),
            None => Self::Begin {
                label: fresh(existing, now),
                why: Why::NoLabel,
            },
        }
    }

    /// By what is going to be restored. A server has the label of what was restored to it, so that the next backup goes to that version of its own, or
    /// else to `latest`: a backup that saves the data before goes to neither.
    #[must_use]
    pub fn sparing(
        self,
        spared: Option<Spared<'_>>,
        instance: &str,
        existing: &BTreeSet<String>,
        now: &Zoned,
    ) -> Self {
        let (Self::Continue(kept), Some(spared)) = (&self, spared) else {
            return self;
        };
        let has_its_label = spared.version.rsplit('-').next() == Some(kept);
        let why = if has_its_label && spared.instance == instance {
            Why::Spared
        } else if has_its_label || kept == LATEST {
            Why::Overtaken
        } else {
            return self;
        };
        Self::Begin {
            label: fresh(existing, now),
            why,
        }
    }

    /// By when the server last kept the label, beside when the backup to the version did. A restored version has its own.
    #[must_use]
    pub fn by_label_time(
        self,
        in_server: Option<Timestamp>,
        in_version: Option<Timestamp>,
        existing: &BTreeSet<String>,
        now: &Zoned,
    ) -> Self {
        let is_earlier = match (in_server, in_version) {
            (Some(here), Some(there)) => here < there,
            _ => false,
        };
        match self {
            Self::Continue(_) if is_earlier => Self::Begin {
                label: fresh(existing, now),
                why: Why::PutBack,
            },
            decision => decision,
        }
    }

    /// By what the snapshot holds beside what the version holds.
    #[must_use]
    pub fn by_range(
        self,
        in_snapshot: Option<(Timestamp, Timestamp)>,
        in_version: Option<(Timestamp, Timestamp)>,
        existing: &BTreeSet<String>,
        now: &Zoned,
    ) -> Self {
        let is_behind = match (in_snapshot, in_version) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some((_, here)), Some((_, there))) => here < there,
        };
        match self {
            Self::Continue(_) if is_behind => Self::Begin {
                label: fresh(existing, now),
                why: Why::Behind,
            },
            decision => decision,
        }
    }
}

/// When the label is kept: now, or just after it was kept last, so that of two backups the later one always has the later time, whatever the clocks say.
pub(crate) fn next_time(last: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let next = last.and_then(|last| last.checked_add(1.millisecond()).ok());
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    next.map_or(now, |next| next.max(now))
}

/// The time, or the second after the newest version where that is younger than the time: of two versions that are made within a second, the later one
/// has the later label. A label of a day to come, of a clock that was wrong, is left alone. Counted in what clocks show, as labels are: where they are put back
/// by an hour, an hour later they show the same, and sooner something less.
pub(crate) fn fresh(existing: &BTreeSet<String>, now: &Zoned) -> String {
    let label = |at: &DateTime| at.strftime("%Y%m%d%H%M%S").to_string();
    let mut at = now.datetime();
    let soon = at
        .checked_add(1.hour())
        .map_or_else(|_| label(&at), |at| label(&at));
    while existing.range(label(&at)..soon.clone()).next().is_some() {
        match at.checked_add(1.second()) {
            Ok(next) => at = next,
            Err(_) => break,
        }
    }
    label(&at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2023-11-28T16:00:00[UTC]".parse().unwrap()
    }

    fn range(last: &str) -> (Timestamp, Timestamp) {
        (Timestamp::UNIX_EPOCH, last.parse().unwrap())
    }

    #[test]
    fn a_server_without_a_label_begins_a_version_that_nobody_has() {
        let existing = BTreeSet::from(["20231128160000".to_owned()]);
        let decision = Decision::by_label(None, &existing, &now());
        assert_eq!(
            decision,
            Decision::Begin {
                label: "20231128160001".to_owned(),
                why: Why::NoLabel
            }
        );
    }

    #[test]
    fn a_later_version_has_the_later_label() {
        let of = |existing: &[&str]| {
            fresh(
                &existing.iter().map(|label| (*label).to_owned()).collect(),
                &now(),
            )
        };
        assert_eq!(of(&["20231128155959", "20231129160000"]), "20231128160000");
        // Two of the same second, of which the first has expired.
        assert_eq!(of(&["20231128160001"]), "20231128160002");
        assert_eq!(of(&["20231128160000", "20231128160007"]), "20231128160008");
    }

    #[test]
    fn also_where_clocks_are_put_back_a_version_has_a_label_of_its_own() {
        for zone in ["CET-1CEST,M3.5.0,M10.5.0/3", "XXX0YYY-2,M3.5.0,M10.5.0/3"] {
            let zone = jiff::tz::TimeZone::posix(zone).unwrap();
            // A second before clocks show less.
            let wall = jiff::civil::datetime(2023, 10, 29, 2, 59, 59, 0);
            let now = zone.into_ambiguous_zoned(wall).earlier().unwrap();
            let existing = ["20231029025959", "20231029030000", "20231029030500"];
            let existing = existing.map(str::to_owned).into();
            assert_eq!(fresh(&existing, &now), "20231029030501", "{now}");
        }
    }

    #[test]
    fn a_version_is_continued_unless_it_has_what_the_server_lacks() {
        let existing = BTreeSet::from(["20220101000000".to_owned()]);
        let decide = |here, there| {
            Decision::by_label(Some("20220101000000".to_owned()), &existing, &now()).by_range(
                here,
                there,
                &existing,
                &now(),
            )
        };
        let [early, late] =
            ["2023-01-01T00:00:00Z", "2023-02-01T00:00:00Z"].map(|last| Some(range(last)));
        let continued = Decision::Continue("20220101000000".to_owned());
        assert_eq!(decide(late, early), continued);
        assert_eq!(decide(early, early), continued);
        assert_eq!(decide(early, None), continued);
        for begun in [decide(early, late), decide(None, early)] {
            let why = Why::Behind;
            let label = "20231128160000".to_owned();
            assert_eq!(begun, Decision::Begin { label, why });
        }
    }

    #[test]
    fn what_is_saved_before_a_restore_goes_where_no_backup_after_it_goes() {
        let decide = |kept: &str, instance, version: Option<_>| {
            let spared = version.map(|version| Spared { instance, version });
            Decision::Continue(kept.to_owned()).sparing(spared, "vm-0", &BTreeSet::new(), &now())
        };
        let begun = |why| Decision::Begin {
            label: "20231128160000".to_owned(),
            why,
        };
        let [one, other] = ["20220101000000", "20220202000000"];
        for (kept, instance, version, decision) in [
            (one, "vm-0", None, Decision::Continue(one.to_owned())),
            (LATEST, "vm-0", None, Decision::Continue(LATEST.to_owned())),
            (one, "vm-0", Some("vm-0-20220101000000"), begun(Why::Spared)),
            (
                one,
                "vm-1",
                Some("vm-1-20220101000000"),
                begun(Why::Overtaken),
            ),
            (
                other,
                "vm-0",
                Some("vm-0-20220101000000"),
                Decision::Continue(other.to_owned()),
            ),
            (LATEST, "vm-0", Some("vm-0-latest"), begun(Why::Spared)),
            (LATEST, "vm-1", Some("vm-1-latest"), begun(Why::Overtaken)),
            (
                LATEST,
                "vm-0",
                Some("vm-0-20220101000000"),
                begun(Why::Overtaken),
            ),
        ] {
            assert_eq!(
                decide(kept, instance, version),
                decision,
                "{kept} {version:?}"
            );
        }
    }

    #[test]
    fn a_version_is_continued_unless_the_server_is_of_before_its_backup() {
        let existing = BTreeSet::from(["20220101000000".to_owned()]);
        let decide =
            |here, there| {
                Decision::by_label(Some("20220101000000".to_owned()), &existing, &now())
                    .by_label_time(here, there, &existing, &now())
            };
        let [early, late] = [1_700_000_000_000, 1_700_000_000_001]
            .map(|time| Timestamp::from_millisecond(time).ok());
        let continued = Decision::Continue("20220101000000".to_owned());
        for (here, there) in [
            // Restored, or a run was cut before its backup counted, or the backup is of before there were such times.
            (early, early),
            (late, early),
            (early, None),
        ] {
            assert_eq!(decide(here, there), continued, "{here:?} {there:?}");
        }
        let begun = Decision::Begin {
            label: "20231128160000".to_owned(),
            why: Why::PutBack,
        };
        assert_eq!(decide(early, late), begun);
    }

    #[test]
    fn the_time_of_a_label_only_grows_also_where_a_clock_was_put_back() {
        let at = |time| Timestamp::from_millisecond(time).unwrap();
        assert_eq!(next_time(None, at(5)), at(5));
        assert_eq!(next_time(Some(at(4)), at(5)), at(5));
        assert_eq!(next_time(Some(at(5)), at(5)), at(6));
        assert_eq!(next_time(Some(at(9)), at(5)), at(10));
        let finer: Timestamp = "2023-11-28T16:00:00.0009Z".parse().unwrap();
        assert_eq!(next_time(None, finer), at(finer.as_millisecond()));
    }
}

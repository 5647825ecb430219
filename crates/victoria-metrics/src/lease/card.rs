//! What the object says of the run that holds the lease, and of the snapshots that it made the server make.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::snapshot;

/// The name of a snapshot has the second in which the server began with it.
const SNAPSHOT_BEGINS_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// What the object says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// For people: host, process and command.
    pub owner: String,
    /// The run's own identity.
    pub run: String,
    /// What it does: a version that it writes, or nothing that can be named yet.
    #[serde(default)]
    pub version: Option<String>,
    pub since: Timestamp,
    pub until: Timestamp,
    /// The run's own snapshot.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// Snapshots that were asked for and whose names were never noted, by this run or by killed ones before it. The oldest comes first.
    #[serde(default)]
    pub wishes: Vec<Wish>,
}

impl Card {
    /// Of a run that has only begun.
    pub fn new(owner: &str, run: &str, since: Timestamp) -> Self {
        Self {
            owner: owner.to_owned(),
            run: run.to_owned(),
            version: None,
            since,
            until: since + super::TERM,
            snapshot: None,
            wishes: Vec::new(),
        }
    }
}

/// A snapshot that a run asked for. Until its name is noted, this is all there is to know it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// When it was asked for.
    pub asked: Timestamp,
    /// The snapshots that the server had before.
    #[serde(default)]
    pub before: Vec<String>,
}

impl Wish {
    /// Which of the snapshots that a server has now must be the one that was asked for: the one that was not there before and was begun
    /// in the seconds after. Of two nobody can say.
    pub fn granted(&self, now: &[String]) -> Option<String> {
        let until = self.asked + SNAPSHOT_BEGINS_WITHIN;
        let mut candidates = now.iter().filter(|name| {
            !self.before.contains(name)
                && snapshot::begun(name).is_some_and(|time| {
                    (self.asked - SignedDuration::from_secs(1)..until).contains(&time)
                })
        });
        let one = candidates.next()?;
        candidates.next().is_none().then(|| one.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_whose_name_was_never_noted_is_known_if_it_is_the_only_one() {
        let wish = Wish {
            asked: "2023-11-28T16:00:00.9Z".parse().unwrap(),
            before: vec!["20231128160001-1A".to_owned()],
        };
        let granted = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            wish.granted(&names)
        };
        let ours = "20231128160000-2B";
        assert_eq!(granted(&["20231128160001-1A", ours]).as_deref(), Some(ours));
        assert_eq!(granted(&["20231128160001-1A"]), None);
        assert_eq!(granted(&[ours, "20231128160003-3C"]), None, "two may be");
        assert_eq!(
            granted(&["20231128160100-3C", "garbage"]),
            None,
            "too late, and no name"
        );
    }
}

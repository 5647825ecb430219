//! What a restore would do, decided before anything is asked of the cluster.
//!
//! Pure. The cluster refuses a restore over an open index as a failure of its own, halfway down its log; here it is found beforehand, with all the others like it.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::engine::{Engine, Version};
use crate::error::Error;
use crate::indices::{self, Status};
use crate::pattern::{Patterns, is_system};
use crate::snapshot::{Snapshot, State};

use super::room::{self, Cluster, Crowd};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// Of indices and data streams in the snapshot.
    pub patterns: &'a Patterns,
    pub rename: Option<&'a Rename>,
    pub partial: Partial,
    pub existing: Existing,
}

/// Whether a snapshot that lacks shards may be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    Refused,
    /// What it lacks comes back empty.
    Allowed,
}

/// What becomes of indices that are in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is done.
    Refused,
    /// Closed ones are replaced, open ones are not.
    OverClosed,
    /// They are deleted first.
    Deleted,
}

/// Other names for what is restored.
#[derive(Debug, Clone)]
pub struct Rename {
    pattern: Regex,
    /// As it was written, for the cluster: a regular expression of Java.
    pub text: String,
    /// With `$1` for what a group matched.
    pub replacement: String,
}

/// What will be restored, and what has to go for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub snapshot: String,
    /// Names in the snapshot, to be asked for.
    pub indices: Vec<String>,
    pub data_streams: Vec<String>,
    /// Documents that they had at least when the snapshot was begun, where that is known.
    pub documents: Option<u64>,
    /// Names in the cluster after the restore, of the indices behind data streams too.
    pub targets: Vec<String>,
    /// In the way: to be deleted by name.
    pub delete_indices: Vec<String>,
    /// In the way: to be deleted with everything behind them.
    pub delete_streams: Vec<String>,
    /// Whose newest index is in the way, and which go on.
    pub roll_over: Vec<String>,
    /// Closed, and replaced.
    pub over_closed: Vec<String>,
    /// Indices of the engine that are in the snapshot and stay out.
    pub left_out: Vec<String>,
    /// Shards that the snapshot lacks.
    pub missing_shards: u64,
    /// That the cluster would be full after it.
    pub crowd: Option<Crowd>,
}

impl Rename {
    /// Reads `PATTERN=REPLACEMENT`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Rename {
            pattern: text.to_owned(),
            reason,
        };
        let (pattern, replacement) = text
            .split_once('=')
            .ok_or_else(|| wrong("write `PATTERN=REPLACEMENT`".to_owned()))?;
        if pattern.is_empty() {
            return Err(wrong("the pattern is empty".to_owned()));
        }
        let compiled = Regex::new(pattern).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            pattern: compiled,
            text: pattern.to_owned(),
            replacement: replacement.to_owned(),
        })
    }

    /// Refuses names that no index can have, and those that two would have.
    fn check(&self, targets: &[String]) -> Result<(), Error> {
        let wrong = |reason: String| Error::Rename {
            pattern: format!("{}={}", self.text, self.replacement),
            reason,
        };
        let mut seen = BTreeSet::new();
        for name in targets {
            if !seen.insert(name) {
                return Err(wrong(format!("two indices would be called `{name}`")));
            }
            let reason = crate::name::refusal(name);
            let reason = reason.or_else(|| {
                let is_wrong = name.starts_with(['-', '+'])
                    || name.contains(':')
                    || name == "."
                    || name == "..";
                is_wrong.then_some("it begins with `-` or `+`, or has a colon")
            });
            if let Some(reason) = reason {
                return Err(wrong(format!("`{name}` is no name of an index: {reason}")));
            }
        }
        Ok(())
    }

    /// The name that the cluster will make of a name.
    pub fn apply(&self, name: &str) -> String {
        // `$1_b` is group 1 and a text for Java, and a group called `1_b` here.
        let mut replacement = String::new();
        let mut letters = self.replacement.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter == '$' && letters.peek().is_some_and(char::is_ascii_digit) {
                let digit = letters.next().unwrap_or('0');
                replacement.extend(['$', '{', digit, '}']);
            } else {
                replacement.push(letter);
            }
        }
        self.pattern
            .replace_all(name, replacement.as_str())
            .into_owned()
    }
}

/// Decides. An error where the restore must not be begun.
pub(super) fn make(
    snapshot: &Snapshot,
    wish: &Wish<'_>,
    engine: Engine,
    cluster: &Cluster,
) -> Result<Plan, Error> {
    check(snapshot, wish.partial, engine)?;
    let (there, streams) = (&cluster.indices, &cluster.streams);
    let mut plan = select(snapshot, wish.patterns)?;
    let target = |name: &str| match wish.rename {
        Some(rename) => rename.apply(name),
        None => name.to_owned(),
    };
    plan.targets = plan.indices.iter().map(|name| target(name)).collect();
    let behind = snapshot.indices.iter().filter(|index| {
        let of = |stream: &String| is_behind(index, stream);
        plan.data_streams.iter().any(of)
    });
    let behind: Vec<String> = behind.cloned().collect();
    let counts = snapshot.counts.as_ref();
    let counts = counts.filter(|_| snapshot.state == State::Success);
    plan.documents = counts.and_then(|counts| {
        let chosen = [&plan.indices[..], &behind[..]].concat();
        counts.least(&snapshot.indices, &chosen)
    });
    let behind: Vec<String> = behind.iter().map(|index| target(index)).collect();
    let mut conflicts = BTreeSet::new();
    let new_streams: Vec<String> = plan.data_streams.iter().map(|name| target(name)).collect();
    for name in &new_streams {
        if streams.iter().any(|stream| stream.name == *name) {
            conflicts.insert(name.clone());
            plan.delete_streams.push(name.clone());
        } else if there.iter().any(|index| index.name == *name) {
            // Made by whoever wrote to a stream that was gone.
            conflicts.insert(name.clone());
            plan.delete_indices.push(name.clone());
        }
    }
    plan.targets.extend(behind);
    if let Some(rename) = wish.rename {
        rename.check(&plan.targets)?;
    }
    let statuses = there.iter().map(|index| (&index.name, index.status));
    let statuses: BTreeMap<_, _> = statuses.collect();
    let behind = indices::behind(streams);
    for name in &plan.targets {
        let Some(status) = statuses.get(name) else {
            continue;
        };
        let stream = behind.get(name.as_str());
        if stream.is_some_and(|stream| plan.delete_streams.contains(&stream.name)) {
            continue;
        }
        if *status == Status::Closed && wish.existing == Existing::OverClosed {
            plan.over_closed.push(name.clone());
            continue;
        }
        conflicts.insert(name.clone());
        if let Some(stream) = stream
            && stream.indices.last() == Some(name)
        {
            plan.roll_over.push(stream.name.clone());
        }
        plan.delete_indices.push(name.clone());
    }
    room::check_names(&plan, &new_streams, cluster)?;
    if wish.existing != Existing::Deleted && !conflicts.is_empty() {
        return Err(Error::Exist {
            indices: conflicts.into_iter().collect(),
        });
    }
    plan.crowd = room::check_shards(&plan, snapshot, target, engine, cluster)?;
    Ok(plan)
}

/// Refuses what would not come back whole, or not at all.
fn check(snapshot: &Snapshot, partial: Partial, engine: Engine) -> Result<(), Error> {
    match &snapshot.state {
        State::Success => {}
        State::Partial if partial == Partial::Allowed => {}
        _ => return Err(crate::backup::not_whole(snapshot)),
    }
    let taken: Option<Version> = snapshot.version.as_ref().and_then(|text| text.parse().ok());
    if taken.is_some_and(|taken| !engine.reads(taken)) {
        return Err(Error::TooNew {
            snapshot: snapshot.name.clone(),
            taken: snapshot.version.clone().unwrap_or_default(),
            server: engine.to_string(),
        });
    }
    Ok(())
}

fn select(snapshot: &Snapshot, patterns: &Patterns) -> Result<Plan, Error> {
    let data_streams: Vec<String> = snapshot
        .data_streams
        .iter()
        .filter(|name| patterns.matches(name))
        .cloned()
        .collect();
    let of_stream = |index: &str| {
        let streams = snapshot.data_streams.iter();
        streams.clone().find(|stream| is_behind(index, stream))
    };
    let mut indices = Vec::new();
    let mut left_out = Vec::new();
    for index in &snapshot.indices {
        match of_stream(index) {
            // It comes with its stream.
            Some(stream) if data_streams.contains(stream) => {}
            _ if patterns.matches(index) => indices.push(index.clone()),
            _ if is_system(index) => left_out.push(index.clone()),
            _ => {}
        }
    }
    let mut known = snapshot.indices.clone();
    known.extend(snapshot.data_streams.iter().cloned());
    let missing = patterns.missing(&known);
    let nothing = indices.is_empty() && data_streams.is_empty();
    if !missing.is_empty() || nothing {
        let patterns = match missing[..] {
            [] => patterns.as_slice().join(","),
            _ => missing.join(","),
        };
        return Err(Error::NotInSnapshot {
            snapshot: snapshot.name.clone(),
            patterns,
        });
    }
    Ok(Plan {
        snapshot: snapshot.name.clone(),
        indices,
        data_streams,
        documents: None,
        targets: Vec::new(),
        delete_indices: Vec::new(),
        delete_streams: Vec::new(),
        roll_over: Vec::new(),
        over_closed: Vec::new(),
        left_out,
        missing_shards: snapshot.shards.failed,
        crowd: None,
    })
}

/// Whether an index is one of those behind a data stream: `.ds-NAME-000001`, or with a date before the number.
fn is_behind(index: &str, stream: &str) -> bool {
    let rest = index
        .strip_prefix(".ds-")
        .and_then(|rest| rest.strip_prefix(stream))
        .and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| {
        let number = rest.rsplit('-').next().unwrap_or_default();
        number.len() == 6
            && rest
                .chars()
                .all(|letter| letter.is_ascii_digit() || matches!(letter, '.' | '-'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::Family;
    use crate::indices::{Index, Stream};

    fn engine() -> Engine {
        Engine {
            family: Family::OpenSearch,
            version: Version::new(3, 6, 0),
        }
    }

    fn snapshot(state: &str) -> Snapshot {
        Snapshot::read(&json!({
            "snapshot": "s", "uuid": "u", "state": state, "version": "3.6.0",
            "indices": ["sts_a", "sts_b", ".ds-sts_logs-000001", ".ds-sts_logs-000002", ".geoip_databases", "other"],
            "data_streams": ["sts_logs"], "shards": {"total": 6, "failed": 1, "successful": 5}
        }))
        .unwrap()
    }

    fn index(name: &str, status: Status) -> Index {
        Index {
            name: name.to_owned(),
            status,
            health: None,
            primaries: 1,
            shards: 1,
            documents: None,
            size: None,
        }
    }

    fn logs() -> Stream {
        Stream {
            name: "sts_logs".to_owned(),
            indices: vec![".ds-sts_logs-000002".to_owned()],
        }
    }

    fn plan(
        patterns: &str,
        existing: Existing,
        there: &[Index],
        streams: &[Stream],
    ) -> Result<Plan, Error> {
        let patterns = Patterns::parse(patterns);
        let wish = Wish {
            patterns: &patterns,
            rename: None,
            partial: Partial::Refused,
            existing,
        };
        let cluster = Cluster {
            indices: there.to_vec(),
            streams: streams.to_vec(),
            ..Cluster::default()
        };
        make(&snapshot("SUCCESS"), &wish, engine(), &cluster)
    }

    #[test]
    fn streams_come_with_what_is_behind_them_and_system_indices_stay_out() {
        let plan = plan("sts*", Existing::Refused, &[], &[]).unwrap();
        assert_eq!(plan.indices, ["sts_a", "sts_b"]);
        assert_eq!(plan.data_streams, ["sts_logs"]);
        assert_eq!(
            plan.targets,
            [
                "sts_a",
                "sts_b",
                ".ds-sts_logs-000001",
                ".ds-sts_logs-000002"
            ]
        );
        assert_eq!(plan.left_out, [".geoip_databases"]);
    }

    #[test]
    fn what_is_in_the_way_is_told_whole_and_goes_only_on_demand() {
        let there = [
            index("sts_a", Status::Open),
            index("sts_b", Status::Closed),
            index(".ds-sts_logs-000002", Status::Open),
            index("other", Status::Open),
        ];
        let error = plan("sts*", Existing::Refused, &there, &[logs()]).unwrap_err();
        insta::assert_snapshot!(error, @"3 indices exist already: `sts_a`, `sts_b`, `sts_logs`");
        let error = plan("sts*", Existing::OverClosed, &there, &[logs()]).unwrap_err();
        insta::assert_snapshot!(error, @"2 indices exist already: `sts_a`, `sts_logs`");
        let made = plan("sts*", Existing::Deleted, &there, &[logs()]).unwrap();
        assert_eq!(made.delete_indices, ["sts_a", "sts_b"]);
        assert_eq!(made.delete_streams, ["sts_logs"]);
        assert_eq!(made.roll_over, Vec::<String>::new());
        // Only an index behind a stream: the stream goes on.
        let made = plan(".ds-sts_logs-000002", Existing::Deleted, &there, &[logs()]).unwrap();
        assert_eq!(made.roll_over, ["sts_logs"]);
        assert_eq!(made.delete_indices, [".ds-sts_logs-000002"]);
    }

    #[test]
    fn a_snapshot_that_is_not_whole_or_too_new_is_refused() {
        let patterns = Patterns::parse("sts*");
        let mut wish = Wish {
            patterns: &patterns,
            rename: None,
            partial: Partial::Refused,
            existing: Existing::Refused,
        };
        let refusal = |wish: &Wish<'_>, state: &str, engine| {
            make(&snapshot(state), wish, engine, &Cluster::default())
                .map_err(|error| error.to_string())
        };
        for state in ["PARTIAL", "FAILED", "INCOMPATIBLE", "IN_PROGRESS", "ODD"] {
            assert!(refusal(&wish, state, engine()).is_err(), "{state}");
        }
        wish.partial = Partial::Allowed;
        assert_eq!(
            refusal(&wish, "PARTIAL", engine()).unwrap().missing_shards,
            1
        );
        assert!(refusal(&wish, "FAILED", engine()).is_err());
        let older = Engine {
            version: Version::new(3, 5, 9),
            ..engine()
        };
        insta::assert_snapshot!(refusal(&wish, "SUCCESS", older).unwrap_err(), @"the snapshot `s` was taken by 3.6.0, and the cluster is OpenSearch 3.5.9");
    }

    #[test]
    fn what_is_not_in_the_snapshot_is_told() {
        let error = plan("sts_a,sts_z", Existing::Refused, &[], &[]).unwrap_err();
        insta::assert_snapshot!(error, @"the snapshot `s` holds nothing of `sts_z`");
        assert!(plan("nothing*", Existing::Refused, &[], &[]).is_err());
    }

    #[test]
    fn names_that_two_would_have_or_none_can_are_refused() {
        let check = |rename: &str, names: &[&str]| {
            let rename = Rename::parse(rename).unwrap();
            let targets: Vec<String> = names.iter().map(|name| rename.apply(name)).collect();
            rename.check(&targets)
        };
        assert!(check("sts_=restored_", &["sts_a", "sts_b"]).is_ok());
        for rename in ["sts_.*=sts", "sts_=STS_", "sts_=", "sts_=_", "sts_=-"] {
            let error = check(rename, &["sts_a", "sts_a2", "sts_"]).unwrap_err();
            assert_eq!(
                error.kind(),
                lifeboat_core::error::Kind::Invalid,
                "{rename}"
            );
        }
    }

    #[test]
    fn names_are_those_that_java_would_make() {
        let rename = Rename::parse("sts_(.+)=restored_$1_b").unwrap();
        assert_eq!(rename.apply("sts_a"), "restored_a_b");
        assert_eq!(rename.apply("other"), "other");
        for wrong in ["sts", "=x", "(=x"] {
            assert!(Rename::parse(wrong).is_err(), "{wrong}");
        }
    }
}

//! Deleting the backups that retention does not keep.

use jiff::Zoned;
use lifeboat_core::backup::State;
use lifeboat_core::retention::{Candidate, Decision, Guard, Halt, Policy, Verdict};

use crate::catalog::{Catalog, Found};
use crate::error::Error;

/// What an expiry would do: shown by `--dry-run`, then carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The newest first, one for each object under the prefix.
    pub verdicts: Vec<Verdict>,
}

impl Plan {
    /// Judges what lies in the bucket. Changes nothing.
    ///
    /// The age of a backup is that of the time in its name, as the platform's own scripts have it: an object whose name
    /// does not match the pattern is never deleted, whatever it holds.
    pub async fn make(
        catalog: &Catalog<'_>,
        policy: &Policy,
        now: &Zoned,
        guard: Guard,
    ) -> Result<Result<Self, Halt>, Error> {
        let found = catalog.list().await?;
        let candidates: Vec<Candidate> = found
            .iter()
            .map(|found| candidate(catalog, found))
            .collect();
        Ok(policy
            .judge(&candidates, now, guard)
            .map(|verdicts| Self { verdicts }))
    }

    /// The names that will go.
    pub fn expired(&self) -> impl Iterator<Item = &str> {
        self.verdicts
            .iter()
            .filter(|verdict| matches!(verdict.decision, Decision::Expire(_)))
            .map(|verdict| verdict.name.as_str())
    }
}

/// Deletes what the plan says, one object after another, and notes in `deleted` what is gone. Cut off, the rest is left
/// for the next run.
pub async fn run(
    catalog: &Catalog<'_>,
    plan: &Plan,
    deleted: &mut Vec<String>,
) -> Result<(), Error> {
    for name in plan.expired() {
        catalog.bucket.delete(&catalog.key(name)).await?;
        deleted.push(name.to_owned());
    }
    Ok(())
}

fn candidate(catalog: &Catalog<'_>, found: &Found) -> Candidate {
    let name = &found.backup.name;
    Candidate {
        name: name.clone(),
        taken: catalog
            .pattern
            .taken(name, catalog.time_zone)
            .map(|taken| taken.timestamp()),
        complete: found.backup.state == State::Completed,
    }
}

//! A snapshot, made, counted and judged, and the version that it goes to.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::size::ByteSize;

use super::{Intent, Run, Shrinking, Versions, outcome, send};
use crate::era::{self, Version};
use crate::error::Error;
use crate::generation::{self, Decision};
use crate::manifest::Manifest;
use crate::parts::{Inventory, Summary};
use crate::server::Vitals;
use crate::snapshot::{self, Snapshot};
use crate::standing::Standing;
use crate::store::{Found, LATEST};

/// Snapshots after one that lacks samples which the server has.
const FURTHER_ATTEMPTS: u32 = 3;
/// A server that was not made to flush shows a sample after so long.
const NOT_SHOWN_YET: Duration = Duration::from_secs(3);

/// A snapshot, counted, and the version that it goes to.
pub(super) struct Taken {
    pub(super) name: String,
    /// When the server began with it.
    pub(super) at: Timestamp,
    pub(super) snapshot: Snapshot,
    /// The oldest release whose files look so.
    pub(super) layout: Version,
    pub(super) summary: Summary,
    pub(super) vitals: Vitals,
    pub(super) decision: Decision,
    /// When the label was kept in the server for this backup, or would have been in one that takes no samples.
    pub(super) labelled: Option<Timestamp>,
    /// The server takes no samples: it has the label of before, or none of this version.
    pub(super) is_read_only: bool,
    pub(super) found: Found,
    pub(super) before: Option<Manifest>,
}

impl Run<'_, '_> {
    /// Makes the snapshot, counts what is in it, and finds the version that it belongs to.
    pub(super) async fn take(&self) -> Result<Taken, Error> {
        let now = &self.options.now;
        let kept = match self.options.versions {
            Versions::Latest => None,
            Versions::ByLabel => self.server.generation(self.now()).await?,
        };
        // What lies there is looked at while the labels are listed, wherever that is what it comes to.
        let likely = kept.as_ref().map_or(LATEST, |kept| &kept.label);
        let likely = format!("{}-{likely}", self.place.prefix);
        let (labels, looked) =
            futures::future::try_join(self.place.labels(), self.place.look(&likely)).await?;
        let mut looked = Some(looked);
        let mut decision = match self.options.versions {
            Versions::Latest => Decision::Continue(LATEST.to_owned()),
            Versions::ByLabel => {
                let label = kept.as_ref().map(|kept| kept.label.clone());
                Decision::by_label(label, &labels, now)
            }
        };
        let mut last = kept.map(|kept| kept.at);
        decision = decision.sparing(self.options.spared, self.place.instance, &labels, now);
        let mut attempts = 0;
        loop {
            let version = format!("{}-{}", self.place.prefix, decision.label());
            let found = match looked.take_if(|found| found.version == version) {
                Some(found) => found,
                None => self.place.look(&version).await?,
            };
            if let Some(object) = found.stored.strange.first() {
                return Err(Error::SomethingElse {
                    prefix: version,
                    object: object.clone(),
                });
            }
            let before = self.manifest_before(&found).await?;
            // Found out before the label is kept again: then the server could not be told from one that has all.
            if let (Decision::Continue(label), Versions::ByLabel) =
                (&decision, self.options.versions)
            {
                // What vmbackup wrote over ours has none, and our manifest still has.
                let in_version = before.as_ref().and_then(|before| before.labelled);
                let in_version = in_version.max(found.labelled);
                let in_server = self.kept_at(label, last, in_version).await?;
                let decided = decision
                    .clone()
                    .by_label_time(in_server, in_version, &labels, now);
                if decided != decision {
                    decision = decided;
                    continue;
                }
            }
            let labelled = generation::next_time(last, self.now());
            let labelled = (self.options.versions == Versions::ByLabel).then_some(labelled);
            last = labelled.or(last);
            let taken = match self
                .snapshot(decision.clone(), labelled, found, before)
                .await
            {
                // Under load a server was seen to leave a month out of its snapshot (1.145.0); the next one had it.
                Err(Error::FewSamples { found, expected }) if attempts < FURTHER_ATTEMPTS => {
                    attempts += 1;
                    tracing::warn!(
                        found,
                        expected,
                        "the snapshot lacks samples, another one is made"
                    );
                    self.delete_snapshot().await?;
                    continue;
                }
                taken => taken?,
            };
            let is_begun = matches!(taken.decision, Decision::Begin { .. });
            if is_begun || self.options.versions == Versions::Latest {
                return Ok(taken);
            }
            let range = taken.before.as_ref().and_then(|before| before.range);
            let decided = taken
                .decision
                .clone()
                .by_range(taken.summary.range, range, &labels, now);
            if decided == taken.decision {
                return Ok(taken);
            }
            // Another version, whose label has to be in the snapshot.
            self.delete_snapshot().await?;
            decision = decided;
        }
    }

    /// When the server kept the label last. One that seems to lack what the version has is asked twice: what it was given in the last seconds it may
    /// not show yet.
    async fn kept_at(
        &self,
        label: &str,
        last: Option<Timestamp>,
        in_version: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Error> {
        if last >= in_version {
            return Ok(last);
        }
        self.server.flush().await;
        tokio::time::sleep(NOT_SHOWN_YET).await;
        let kept = self.server.generation(self.now()).await?;
        Ok(kept
            .filter(|kept| kept.label == label)
            .map(|kept| kept.at)
            .max(last))
    }

    async fn snapshot(
        &self,
        decision: Decision,
        labelled: Option<Timestamp>,
        found: Found,
        before: Option<Manifest>,
    ) -> Result<Taken, Error> {
        // Also finds out whether the key is good, before anything is kept.
        let before_it = self.server.snapshots().await?;
        let mut labelled = labelled;
        let mut kept = match (labelled, self.intent) {
            (Some(at), Intent::Do) => self.server.keep_generation(decision.label(), at).await,
            _ => Ok(()),
        };
        self.server.flush().await;
        let vitals = self.server.vitals().await?;
        if labelled.is_some() && self.intent == Intent::Foresee {
            kept = self.server.would_keep_generation(&vitals);
        }
        let is_read_only = match kept {
            // What is in the server is what the next backup compares with.
            Err(Error::ReadOnly { .. }) if decision.does_without_label() => {
                // A version that begins is not continued, for the server has another label: it only says that it is no copy.
                if let Decision::Continue(label) = &decision {
                    let there = self.server.generation(self.now()).await?;
                    let there = there.filter(|there| there.label == *label);
                    labelled = there.map(|there| there.at);
                }
                true
            }
            kept => {
                kept?;
                false
            }
        };
        let now = self.now();
        let version = &found.version;
        let mut lease = self.lease.lock().await;
        lease.note_wish(version, before_it, now).await?;
        drop(lease);
        // It may take longer than the lease lasts, which has to be prolonged meanwhile.
        let created = self.server.create_snapshot().await;
        if let Err(Error::Refused { .. } | Error::ReadOnly { .. } | Error::Unauthorized { .. }) =
            created
        {
            self.lease.lock().await.forget_wish();
        }
        let name = created?;
        let at = snapshot::begun(&name).unwrap_or_else(|| self.now());
        let noted = async { self.lease.lock().await.note_snapshot(name.clone()).await };
        let looked = self.look_into(&name);
        let ((), (snapshot, layout, summary, after)) =
            futures::future::try_join(noted, looked).await?;
        let taken = Taken {
            name,
            at,
            snapshot,
            layout,
            summary,
            vitals: after.clone(),
            decision,
            labelled,
            is_read_only,
            found,
            before,
        };
        self.judge(&taken, &vitals, &after)?;
        Ok(taken)
    }

    /// What is in a snapshot, and what the server says after it was made.
    async fn look_into(&self, name: &str) -> Result<(Snapshot, Version, Summary, Vitals), Error> {
        let snapshot = send::blocking({
            let (data, name) = (self.options.data.to_owned(), name.to_owned());
            move || Snapshot::read(&data, &name)
        })
        .await?;
        let inventory = Inventory::take(snapshot.paths(), &snapshot.lists());
        if !inventory.faults.is_empty() {
            let faults = inventory.faults;
            return Err(Error::BrokenSnapshot { faults });
        }
        let summary = inventory
            .summary(|path| std::fs::read(snapshot.path(path)).ok())
            .map_err(|fault| Error::BrokenSnapshot {
                faults: vec![fault],
            })?;
        let mut layout = era::of_layout(snapshot.paths(), &inventory.parts);
        if era::is_undecided(layout) {
            let read = |path: String| std::fs::read(snapshot.path(&path)).unwrap_or_default();
            // One after the other: the first that tells is enough.
            let by_index = inventory
                .index_metadata()
                .find_map(|path| era::of_index([&read(path)[..]]));
            layout = layout.max(by_index.unwrap_or(layout));
        }
        let after = self.server.vitals().await?;
        Ok((snapshot, layout, summary, after))
    }

    /// A snapshot that lacks what the server has, or a backup that would lose what there was, is refused.
    fn judge(&self, taken: &Taken, before: &Vitals, after: &Vitals) -> Result<(), Error> {
        // Merges and the retention take samples away meanwhile, so the smaller of both counts.
        let expected = before.rows.min(after.rows).unwrap_or(0);
        let found = taken.summary.rows;
        if found < expected {
            return Err(Error::FewSamples { found, expected });
        }
        let size = ByteSize(taken.snapshot.size());
        if let Some(manifest) = &taken.before {
            let there = ByteSize(manifest.size());
            if self.options.shrinking == Shrinking::Refused && size.0 < there.0 / 10 {
                return Err(Error::Shrunk {
                    found: size,
                    before: there,
                });
            }
            let wanted = self.options.min_history_seconds;
            let history = taken.summary.range.map_or(0, |(first, _)| {
                u64::try_from(taken.at.as_second() - first.as_second()).unwrap_or(0)
            });
            if history < wanted {
                return Err(Error::Young {
                    instance: self.place.instance.to_owned(),
                    found: history,
                    wanted,
                });
            }
        }
        Ok(())
    }

    /// The description of the backup that is there, made from its objects where another program wrote it. None where there is none that restores.
    async fn manifest_before(&self, found: &Found) -> Result<Option<Manifest>, Error> {
        match &found.standing {
            Standing::Whole(manifest) => Ok(Some((**manifest).clone())),
            Standing::Incomplete(_) => Ok(None),
            Standing::Marked(_) => match self.place.survey(found).await {
                Ok(survey) => {
                    let paths = survey.inventory.counted_in();
                    let read = self
                        .place
                        .contents(&found.version, &survey.files, paths)
                        .await?;
                    let summary = survey
                        .inventory
                        .summary(|path| read.get(path).cloned())
                        .ok();
                    Ok(Some(outcome::adopted(
                        self.place,
                        found,
                        &survey,
                        summary,
                        &self.options.program,
                    )))
                }
                Err(Error::Damaged { faults, .. }) => {
                    tracing::warn!(
                        version = found.version,
                        faults = faults.len(),
                        "the backup that is there would not restore, and is replaced"
                    );
                    Ok(None)
                }
                Err(error) => Err(error),
            },
        }
    }
}

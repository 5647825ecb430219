//! The backups of one instance in their bucket, as they are.
//!
//! The bucket is the only truth: everything is read from it, nothing is remembered.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use lifeboat_storage::{Bucket, Entry, Fetched, Version};

use crate::era;
use crate::error::Error;
use crate::files::{Fault, Files};
use crate::layout::{self, LEASE, MANIFEST, MARK, Slice, TIMES};
use crate::lease::Card;
use crate::manifest::Manifest;
use crate::parts::Inventory;
use crate::plan::Stored;
use crate::standing::{Stamp, Standing, judge};

/// Small requests at a time.
const REQUESTS: usize = 64;
/// How often a version is looked at again while its manifest changes.
const LOOKS_MORE: usize = 3;
/// Below a version, what a listing is divided by: each is listed on its own, side by side.
const BRANCHES: [&str; 5] = [
    "data/small/",
    "data/big/",
    "data/indexdb/",
    "indexdb/",
    "metadata/",
];

/// Where the backups of one instance are.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub bucket: &'a Bucket,
    pub instance: &'a str,
    /// `victoria-metrics-0`; versions are `victoria-metrics-0-LABEL`.
    pub prefix: &'a str,
}

/// What lies below the prefix of one version.
#[derive(Debug)]
pub struct Found {
    pub version: String,
    pub stored: Stored,
    pub standing: Standing,
    /// What is wrong with what was written after the backup that counts, where that keeps it from taking its place.
    pub overruled: Option<Fault>,
    /// Of the manifest, for a condition on its replacement.
    pub manifest: Option<Version>,
    /// When the server kept the label of the version, by the manifest, whether that holds or not. None where no label was kept.
    pub labelled: Option<Timestamp>,
    /// vmbackup's mark and its times, where they are there.
    pub mark: Option<Entry>,
    pub times: Option<Fetched>,
}

impl Found {
    /// Whether there is nothing at all.
    pub fn is_nothing(&self) -> bool {
        let stored = &self.stored;
        stored.slices.is_empty() && stored.special.is_empty() && stored.strange.is_empty()
    }

    /// The manifest of a backup from before counts, for what the mark stands for would not restore.
    fn overrule(&mut self, faults: Vec<Fault>) {
        if let Standing::Marked(before) = &mut self.standing
            && let Some(before) = before.take()
        {
            self.standing = Standing::Whole(before);
            self.overruled = faults.into_iter().next();
        }
    }
}

impl Place<'_> {
    /// Returns the versions that the bucket holds something of, the oldest label first.
    pub async fn versions(&self) -> Result<Vec<String>, Error> {
        let parent = self.parent();
        let folders = self.bucket.folders(parent).await?;
        let names = folders.into_iter().map(|name| format!("{parent}{name}"));
        Ok(names.filter(|name| self.is_version(name)).collect())
    }

    /// Their labels.
    pub async fn labels(&self) -> Result<BTreeSet<String>, Error> {
        let versions = self.versions().await?;
        let labels = versions
            .iter()
            .filter_map(|version| version.rsplit('-').next());
        Ok(labels.map(str::to_owned).collect())
    }

    /// What the names of all versions begin with up to their last `/`: empty, or ends in `/`.
    pub(crate) fn parent(&self) -> &str {
        self.prefix
            .rfind('/')
            .map_or("", |last| &self.prefix[..=last])
    }

    /// Whether this is the whole name of a version.
    pub fn is_version(&self, name: &str) -> bool {
        name.strip_prefix(self.prefix)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(is_label)
    }

    /// The object that says who writes.
    pub fn lease_key(&self) -> String {
        format!("{}-{LEASE}", self.prefix)
    }

    /// Looks at everything below a version, and again where listing and manifest do not fit: a backup that ended between the two had not stored all that the manifest
    /// names when the listing was made, or not its manifest when that was read. What was written over a backup of ours and would not restore leaves that to count.
    pub async fn look(&self, version: &str) -> Result<Found, Error> {
        // Boxed: it asks much at once.
        let mut found = Box::pin(self.look_once(version)).await?;
        for _ in 0..LOOKS_MORE {
            let has_manifest =
                found.manifest.is_some() || found.stored.special.contains_key(MANIFEST);
            if !has_manifest || matches!(found.standing, Standing::Whole(_)) {
                break;
            }
            let before = found.manifest;
            found = Box::pin(self.look_once(version)).await?;
            if found.manifest == before {
                break;
            }
        }
        // A run of vmbackup that missed something, or what a run of ours still sent that had lost its lease without noticing.
        if let Standing::Marked(Some(_)) = found.standing {
            match Box::pin(self.survey(&found)).await {
                Ok(_) => {}
                Err(Error::Damaged { faults, .. }) => found.overrule(faults),
                Err(error) => return Err(error),
            }
        }
        if let Standing::Incomplete(reason) = &found.standing
            && !found.is_nothing()
            && let Some(writer) = self.writer(version).await?
        {
            found.standing = Standing::Incomplete(format!("{writer} ({reason})"));
        }
        Ok(found)
    }

    /// Who writes the version, by the lease: without a clock nobody knows here whether it has ended, so it is told until when it lasts.
    async fn writer(&self, version: &str) -> Result<Option<String>, Error> {
        let Some(lease) = self.bucket.fetch(&self.lease_key()).await? else {
            return Ok(None);
        };
        let card: Option<Card> = serde_json::from_slice(&lease.bytes).ok();
        let card = card.filter(|card| card.version.as_deref() == Some(version));
        Ok(card.map(|card| {
            format!(
                "{} began to write it at {}, with a lease until {}",
                card.owner, card.since, card.until
            )
        }))
    }

    async fn look_once(&self, version: &str) -> Result<Found, Error> {
        // Side by side, for each is a way to the store and back.
        let fetch = async |name: &str| self.bucket.fetch(&format!("{version}/{name}")).await;
        let fetched = futures::future::try_join(fetch(MANIFEST), fetch(TIMES));
        let fetched = async { Ok::<_, Error>(fetched.await?) };
        let (entries, (manifest, times)) =
            futures::future::try_join(self.list(version), fetched).await?;
        let mut mark = None;
        let mut listed = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(name) = entry
                .key
                .strip_prefix(version)
                .and_then(|name| name.strip_prefix('/'))
            else {
                continue;
            };
            listed.push((name.to_owned(), entry.size.0));
            if name == MARK {
                mark = Some(entry);
            }
        }
        let stored = Stored::sort(listed);
        let read = manifest.as_ref().map(|found| Manifest::read(&found.bytes));
        let stamp = Stamp {
            times: times.as_ref().map(|times| &times.bytes[..]),
            stored: mark.as_ref().map(|mark| mark.modified),
        };
        let labelled = read.as_ref().and_then(|read| read.as_ref().ok()?.labelled);
        let standing = judge(&stored, read, stamp);
        Ok(Found {
            version: version.to_owned(),
            stored,
            standing,
            overruled: None,
            manifest: manifest.map(|found| found.version),
            labelled,
            mark,
            times,
        })
    }

    /// All objects below a version. Its large folders are listed side by side.
    async fn list(&self, version: &str) -> Result<Vec<Entry>, Error> {
        let branches = BRANCHES.map(|branch| format!("{version}/{branch}"));
        // What is directly below, and folders that are none of the branches.
        let top = format!("{version}/");
        let below = [
            (top.clone(), &["data", "indexdb", "metadata"][..]),
            (format!("{top}data/"), &["small", "big", "indexdb"]),
        ];
        let rest = below.iter().map(async |(above, known)| {
            let level = self.bucket.level(above).await?;
            let mut entries = level.entries;
            for folder in level.folders {
                if !known.contains(&folder.as_str()) {
                    entries.extend(self.bucket.list_below(&format!("{above}{folder}/")).await?);
                }
            }
            Ok::<_, lifeboat_storage::Error>(entries)
        });
        let rest = futures::future::try_join_all(rest);
        let lists = futures::future::try_join_all(
            branches.iter().map(|branch| self.bucket.list_below(branch)),
        );
        let (rest, lists) = futures::future::try_join(rest, lists).await?;
        Ok(rest.into_iter().chain(lists).flatten().collect())
    }

    /// Returns the contents of the files at these paths, which must be small.
    pub(crate) async fn contents(
        &self,
        version: &str,
        files: &Files,
        paths: impl IntoIterator<Item = String>,
    ) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let reads = paths.into_iter().filter_map(|path| {
            let slices = files.get(&path)?.slices.clone();
            Some(async move {
                let mut content = Vec::new();
                for slice in slices {
                    let key = format!("{version}/{slice}");
                    let Some(found) = self.bucket.fetch(&key).await? else {
                        return Err(Error::Damaged {
                            version: version.to_owned(),
                            faults: vec![Fault::Missing { path }],
                        });
                    };
                    content.extend_from_slice(&found.bytes);
                }
                Ok::<_, Error>((path, content))
            })
        });
        futures::stream::iter(reads)
            .buffer_unordered(REQUESTS)
            .try_collect()
            .await
    }

    /// Takes stock of a backup that has no manifest, from its objects alone. An error where it would not be opened.
    pub async fn survey(&self, found: &Found) -> Result<Survey, Error> {
        let listed = found.stored.slices.iter();
        let (files, mut faults) =
            Files::assemble(listed.map(|(slice, size)| (slice.clone(), *size)));
        let mutable = files.paths().filter(|path| layout::is_mutable(path));
        let mutable: Vec<String> = mutable.map(str::to_owned).collect();
        let held = self.contents(&found.version, &files, mutable).await?;
        let lists = held
            .iter()
            .filter(|(path, _)| path.ends_with("/parts.json"));
        let lists = lists
            .map(|(path, content)| (path.clone(), content.clone()))
            .collect();
        let inventory = Inventory::take(files.paths(), &lists);
        faults.extend(inventory.faults.iter().cloned());
        if files.paths().all(|path| !path.starts_with("data/")) {
            let path = "data".to_owned();
            faults.push(Fault::Missing { path });
        }
        if !faults.is_empty() {
            return Err(Error::Damaged {
                version: found.version.clone(),
                faults,
            });
        }
        let mut layout = era::of_layout(files.paths(), &inventory.parts);
        if era::is_undecided(layout) {
            let index = inventory.index_metadata();
            let index = self.contents(&found.version, &files, index).await?;
            let by_index = era::of_index(index.values().map(Vec::as_slice));
            layout = layout.max(by_index.unwrap_or(layout));
        }
        Ok(Survey {
            files,
            held,
            inventory,
            layout,
        })
    }
}

/// A backup as its objects show it.
#[derive(Debug)]
pub struct Survey {
    pub files: Files,
    /// Contents of what keeps its name when its content changes.
    pub held: BTreeMap<String, Vec<u8>>,
    pub inventory: Inventory,
    /// The oldest release whose files look so.
    pub layout: era::Version,
}

/// What stands behind the prefix in the name of a version: a time, or `latest`.
pub fn is_label(label: &str) -> bool {
    label == LATEST || (label.len() == 14 && label.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The label of the version that is brought up to date each hour and copied each day.
pub const LATEST: &str = "latest";

/// The key of a slice of a version.
pub(crate) fn key(version: &str, slice: &Slice) -> String {
    format!("{version}/{slice}")
}

//! Which backups lie in the bucket.
//!
//! The bucket is the only truth: the record of a backup is read from the footer at the end of its object, and an
//! object without one is not a backup, however long it is.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use lifeboat_core::backup::{Backup, State, Store};
use lifeboat_core::name::Pattern;
use lifeboat_storage::error::Cause;
use lifeboat_storage::{Bucket, Entry};

use crate::error::Error;
use crate::format::{Footer, FooterOrMore, HEADER_BYTES, Header};

/// Bytes read from the end of an object at the first attempt: more than most footers need.
const FIRST_READ: u64 = 64 * 1024;
/// Objects looked at together.
const TOGETHER: usize = 8;

/// The backups under one prefix of one bucket.
pub struct Catalog<'a> {
    pub bucket: &'a Bucket,
    /// Empty, or ending in `/`.
    pub prefix: &'a str,
    pub pattern: &'a Pattern,
    /// In which the times in names are meant.
    pub time_zone: &'a TimeZone,
}

/// An object and what its end says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub backup: Backup,
    /// None unless the backup is complete.
    pub footer: Option<Footer>,
}

impl Catalog<'_> {
    /// Returns everything under the prefix, the oldest first, complete or not. [`Backup::state`] tells.
    pub async fn list(&self) -> Result<Vec<Found>, Error> {
        let entries = self.bucket.list(self.prefix).await?;
        let mut found: Vec<Found> = stream::iter(entries)
            .map(|entry| self.look_at(entry))
            .buffered(TOGETHER)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
        found.sort_by(|a, b| {
            (a.backup.taken, &a.backup.name).cmp(&(b.backup.taken, &b.backup.name))
        });
        Ok(found)
    }

    /// Returns one backup by its name, or the newest complete one for `latest`.
    pub async fn find(&self, name: &str) -> Result<Found, Error> {
        if name == "latest" {
            return self.latest().await;
        }
        let entries = self.bucket.list(self.prefix).await?;
        let names: Vec<String> = entries.iter().map(|entry| self.name_of(entry)).collect();
        let entry = entries
            .into_iter()
            .find(|entry| self.name_of(entry) == name);
        let found = match entry {
            Some(entry) => self.look_at(entry).await?,
            None => None,
        };
        found.ok_or_else(|| Error::UnknownBackup {
            name: name.to_owned(),
            bucket: self.bucket.name().to_owned(),
            nearest: nearest(name, names),
        })
    }

    async fn latest(&self) -> Result<Found, Error> {
        let mut found = self.list().await?;
        found.retain(|found| found.footer.is_some());
        found.pop().ok_or_else(|| Error::NoBackup {
            bucket: self.bucket.name().to_owned(),
        })
    }

    /// The key of the backup with this name.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether the key is one that a backup made from the name template would have.
    pub fn knows(&self, key: &str) -> bool {
        key.strip_prefix(self.prefix)
            .is_some_and(|name| self.pattern.taken(name, self.time_zone).is_some())
    }

    fn name_of(&self, entry: &Entry) -> String {
        entry
            .key
            .strip_prefix(self.prefix)
            .unwrap_or(&entry.key)
            .to_owned()
    }

    /// Nothing where the object was deleted after it was listed.
    async fn look_at(&self, entry: Entry) -> Result<Option<Found>, Error> {
        match self.describe(entry).await {
            Err(Error::Storage(error)) if matches!(*error.cause, Cause::NoObject) => Ok(None),
            described => described.map(Some),
        }
    }

    async fn describe(&self, entry: Entry) -> Result<Found, Error> {
        let name = self.name_of(&entry);
        let taken = self
            .pattern
            .taken(&name, self.time_zone)
            .map(|taken| taken.timestamp());
        let mut backup = Backup {
            store: Store::StackGraph,
            instance: None,
            name,
            state: State::Completed,
            taken,
            completed: Some(entry.modified),
            size: entry.size,
            counts: [].into(),
            checksum: None,
            writer: None,
            consistency: None,
        };
        let footer = match self.read_footer(&entry).await? {
            Ok(footer) => footer,
            Err(state) => {
                backup.state = state;
                backup.completed = None;
                return Ok(Found {
                    backup,
                    footer: None,
                });
            }
        };
        backup.taken = backup.taken.or(Some(footer.created));
        backup.counts = [
            ("vertices".to_owned(), footer.totals.vertex_count()),
            ("edges".to_owned(), footer.totals.edge_count()),
        ]
        .into();
        backup.checksum = Some(footer.totals.digest.to_string());
        backup.writer = Some(footer.program.clone());
        backup.consistency = Some(footer.consistency);
        Ok(Found {
            backup,
            footer: Some(footer),
        })
    }

    /// The footer, or why there is none.
    async fn read_footer(&self, entry: &Entry) -> Result<Result<Footer, State>, Error> {
        let size = entry.size.0;
        let mut wanted = FIRST_READ.min(size);
        while wanted > 0 {
            let end = self
                .bucket
                .read_range(&entry.key, size - wanted..size)
                .await?;
            match Footer::from_tail(&end, size) {
                Ok(FooterOrMore::Footer(footer)) => return Ok(Ok(*footer)),
                Ok(FooterOrMore::More(more)) if more > wanted && more <= size => wanted = more,
                Ok(FooterOrMore::More(_)) => {
                    return Ok(Err(State::Incomplete("its footer is damaged".to_owned())));
                }
                Err(newer @ Error::Newer { .. }) => {
                    return Ok(Err(State::Foreign(newer.to_string())));
                }
                Err(error) => return Ok(Err(self.without_footer(entry, error).await?)),
            }
        }
        Ok(Err(State::Incomplete("it is empty".to_owned())))
    }

    async fn without_footer(&self, entry: &Entry, why: Error) -> Result<State, Error> {
        let start = self
            .bucket
            .read_range(&entry.key, 0..entry.size.0.min(HEADER_BYTES as u64))
            .await?;
        Ok(match Header::decode(&start) {
            Err(foreign @ Error::Foreign { .. }) => State::Foreign(foreign.to_string()),
            _ => State::Incomplete(why.to_string()),
        })
    }
}

impl Found {
    /// The footer of a backup that can be restored, or the error that says why it cannot.
    pub fn restorable(&self) -> Result<&Footer, Error> {
        let name = self.backup.name.clone();
        match (&self.footer, &self.backup.state) {
            (Some(footer), _) => Ok(footer),
            (None, State::Incomplete(reason)) => Err(Error::NotRestorable {
                name,
                reason: reason.clone(),
            }),
            (None, State::Foreign(reason)) => Err(Error::Unreadable {
                name,
                reason: reason.clone(),
            }),
            (None, State::Completed) => Err(Error::Worker("catalog")),
        }
    }
}

/// The three names most like the one that was asked for.
fn nearest(name: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    names.truncate(3);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_differ_least() {
        let names = [
            "sts-backup-20210215-0300.graph",
            "other",
            "sts-backup-20210216-0300.graph",
            "x",
        ];
        let found = nearest(
            "sts-backup-20210216-0301.graph",
            names.map(str::to_owned).to_vec(),
        );
        assert_eq!(found[0], "sts-backup-20210216-0300.graph");
        assert_eq!(found[1], "sts-backup-20210215-0300.graph");
        assert_eq!(found.len(), 3);
    }
}

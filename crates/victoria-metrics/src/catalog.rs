//! What can be restored of an instance, as the one record that describes every store's backups.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use lifeboat_core::backup::{Backup, Consistency, State, Store};
use lifeboat_core::size::ByteSize;

use crate::error::Error;
use crate::standing::Standing;
use crate::store::{Found, LATEST, Place};

/// Versions that are looked at at a time.
const AT_A_TIME: usize = 8;

/// Returns all versions of an instance that the bucket holds something of, the oldest label first. Of those that vmbackup wrote the
/// lists of parts are read, to see that what they name is there.
pub async fn list(place: Place<'_>) -> Result<Vec<Backup>, Error> {
    list_as(place, |record, _| record).await
}

/// The same as [`list`], as what is made of each: not all manifests have room in memory at once.
pub(crate) async fn list_as<T>(
    place: Place<'_>,
    make: impl Fn(Backup, &Found) -> T,
) -> Result<Vec<T>, Error> {
    let versions = place.versions().await?;
    let make = &make;
    futures::stream::iter(versions)
        .map(|version| async move { look_as(place, &version, make).await })
        .buffered(AT_A_TIME)
        .try_filter_map(async |record| Ok(record))
        .try_collect()
        .await
}

/// One version as what is made of it; none where nothing lies there.
pub(crate) async fn look_as<T>(
    place: Place<'_>,
    version: &str,
    make: impl Fn(Backup, &Found) -> T,
) -> Result<Option<T>, Error> {
    let mut found = place.look(version).await?;
    if found.is_nothing() {
        return Ok(None);
    }
    // The mark says that somebody once thought so; objects can have gone since.
    if let Standing::Marked(_) = found.standing {
        match place.survey(&found).await {
            Ok(_) => {}
            Err(error @ Error::Damaged { .. }) => {
                found.standing = Standing::Incomplete(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(make(record(place, &found), &found)))
}

/// The record of a version, from what lies there.
pub fn record(place: Place<'_>, found: &Found) -> Backup {
    let mark = found.mark.as_ref().map(|mark| mark.modified);
    let mut record = Backup {
        store: Store::VictoriaMetrics,
        instance: Some(place.instance.to_owned()),
        name: found.version.clone(),
        state: State::Completed,
        taken: None,
        completed: mark,
        size: ByteSize(found.stored.size()),
        counts: BTreeMap::new(),
        checksum: None,
        writer: None,
        consistency: Some(Consistency::Snapshot),
    };
    match &found.standing {
        Standing::Whole(manifest) => {
            record.taken = Some(manifest.taken);
            // What a mark stands for that does not count was completed at another time.
            let mark = mark.filter(|_| found.overruled.is_none());
            record.completed = Some(mark.unwrap_or(manifest.completed));
            record.size = ByteSize(manifest.size());
            record.writer = Some(manifest.program.clone());
            let counts = [("samples", manifest.rows), ("series", manifest.series)];
            for (name, count) in counts {
                record
                    .counts
                    .extend(count.map(|count| (name.to_owned(), count)));
            }
        }
        Standing::Marked(_) => {
            record.taken = found.times.as_ref().and_then(|times| created(&times.bytes));
            record.writer = Some("vmbackup".to_owned());
        }
        Standing::Incomplete(reason) => {
            record.state = State::Incomplete(reason.clone());
            record.completed = None;
        }
    }
    record
}

/// When vmbackup says that the snapshot was made.
fn created(times: &[u8]) -> Option<Timestamp> {
    let times: serde_json::Value = serde_json::from_slice(times).ok()?;
    times.get("created_at")?.as_str()?.parse().ok()
}

/// The version whose backup was completed last, whatever its name: the one called `latest` stays behind where backups go to another since. A dated copy is as old
/// as what it was made of, and yields to that.
async fn newest(place: Place<'_>) -> Result<Option<String>, Error> {
    let backups = list_as(place, |record, found| {
        let completed = match &found.standing {
            Standing::Whole(manifest) => Some(manifest.completed),
            _ => record.completed,
        };
        (record.state == State::Completed).then(|| {
            let is_latest = record.name.rsplit('-').next() == Some(LATEST);
            (completed, is_latest, record.name)
        })
    })
    .await?;
    let newest = backups.into_iter().flatten().max();
    Ok(newest.map(|(_, _, name)| name))
}

/// Returns the whole name of a version: `latest` stands for the one completed last, a label alone for its version, and what follows the last `/` for the whole.
pub async fn find(place: Place<'_>, version: &str) -> Result<String, Error> {
    let versions = place.versions().await?;
    let version = version.trim_end_matches('/');
    if versions.iter().any(|found| found == version) {
        return Ok(version.to_owned());
    }
    if version == LATEST
        && let Some(newest) = newest(place).await?
    {
        return Ok(newest);
    }
    // What is called so and is not complete says why.
    for whole in [
        format!("{}-{version}", place.prefix),
        format!("{}{version}", place.parent()),
    ] {
        if versions.contains(&whole) {
            return Ok(whole);
        }
    }
    let mut nearest: Vec<(usize, String)> = versions
        .into_iter()
        .map(|found| (strsim::damerau_levenshtein(&found, version), found))
        .collect();
    nearest.sort();
    Err(Error::UnknownVersion {
        version: version.to_owned(),
        instance: place.instance.to_owned(),
        bucket: place.bucket.name().to_owned(),
        nearest: nearest
            .into_iter()
            .take(3)
            .map(|(_, found)| found)
            .collect(),
    })
}

//! A dated copy of the version that is brought up to date each hour.
//!
//! Everything is copied inside the store. Until its manifest is there the copy is none; vmrestore wants to see the completion mark, which comes last.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::progress::Progress;
use lifeboat_storage::Condition;

use crate::error::Error;
use crate::layout::{MANIFEST, MARK, Slice, TIMES};
use crate::manifest::Mark;
use crate::restore::Source;
use crate::store::{Place, key};

/// Copies at a time: each is one small request.
const AT_A_TIME: usize = 64;

/// Makes `version` a copy of a backup that was looked over. The lease must be held.
pub(crate) async fn run(
    place: Place<'_>,
    source: &Source,
    version: &str,
    progress: &Progress,
) -> Result<u64, Error> {
    let mut manifest = source.manifest.clone();
    let held = manifest.held.iter();
    let held = held.flat_map(|(path, held)| Slice::of(path, held.0.len() as u64));
    let files: BTreeSet<Slice> = manifest.slices().map(|(slice, _)| slice).collect();
    progress.expect((files.len() + manifest.held.len()) as u64, manifest.size());
    let copies = files.iter().map(|slice| async move {
        let (from, to) = (key(&source.version, slice), key(version, slice));
        place.bucket.copy(&from, &to).await?;
        progress.add(1, slice.size);
        Ok::<_, Error>(())
    });
    futures::stream::iter(copies)
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    // The manifest says what they hold, whatever lies in the store at this moment.
    let writes = held.map(|slice| {
        let content = manifest.held[&slice.path].0.clone();
        async move {
            let size = content.len() as u64;
            let key = key(version, &slice);
            place.bucket.store(&key, content, Condition::None).await?;
            progress.add(1, size);
            Ok::<_, Error>(())
        }
    });
    futures::stream::iter(writes)
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    let objects = (files.len() + manifest.held.len()) as u64;
    manifest.mark = Mark {
        size: 0,
        times: manifest.mark.times,
        stored: None,
    };
    let object = |name: &str| format!("{version}/{name}");
    let bucket = place.bucket;
    if let Some(times) = manifest.mark.times.clone() {
        bucket.store(&object(TIMES), times, Condition::None).await?;
    }
    bucket
        .store(&object(MANIFEST), manifest.write(), Condition::None)
        .await?;
    bucket
        .store(&object(MARK), Vec::new(), Condition::None)
        .await?;
    Ok(objects)
}

//! From a store to the bucket.
//!
//! The graph is streamed: a thread walks a snapshot and writes the file into a pipe, a task uploads what comes out.
//! There is no temporary file, and the object appears only after the file's footer has been written and stored.

use std::sync::Arc;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use lifeboat_storage::pipe;

use crate::catalog::{Catalog, Found};
use crate::error::Error;
use crate::export;
use crate::store::GraphStore;

/// Bytes: what a file system takes for one name.
const LONGEST_NAME: usize = 255;

/// What a backup needs to know and must not find out by itself.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that encode.
    pub workers: usize,
    pub created: Timestamp,
    /// Makes the file distinguishable from every other.
    pub uuid: [u8; 16],
    /// Name and version of the writing program.
    pub program: String,
}

/// Refuses names under which a backup could not be listed or asked for again.
fn check_name(name: &str) -> Result<(), Error> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name == "latest" {
        "it stands for the newest backup"
    } else if name.len() > LONGEST_NAME {
        "it is longer than 255 bytes"
    } else if name.contains('/') || name.chars().any(char::is_control) {
        "it holds a `/` or a control character"
    } else if name.starts_with('.') {
        "it begins with a `.`"
    } else {
        return Ok(());
    };
    Err(Error::Name {
        name: name.to_owned(),
        problem,
    })
}

/// Writes a backup of `store` under `name` and returns it as it lies in the bucket.
///
/// Refuses a name that exists. When it fails, or its process is killed, there is no such object; see
/// [`Bucket::write`](lifeboat_storage::Bucket::write) for what may be left.
pub async fn run(
    store: Arc<dyn GraphStore>,
    catalog: &Catalog<'_>,
    name: &str,
    options: Options,
    progress: &Arc<Progress>,
) -> Result<Found, Error> {
    check_name(name)?;
    let (mut writer, source) = pipe::upward(progress);
    let counted = Arc::clone(progress);
    let exporting = tokio::task::spawn_blocking(move || {
        let options = export::Options {
            workers: options.workers,
            created: options.created,
            uuid: options.uuid,
            program: options.program,
            driver: store.info()?.driver.to_owned(),
            progress: &counted,
        };
        export::run(store.snapshot()?, &mut writer, options)?;
        writer.finish().map_err(|source| Error::Io {
            doing: "cannot hand the end of the file to the upload".to_owned(),
            source,
        })
    });
    let key = catalog.key(name);
    // The exporter counts bytes and elements; the upload must not count the bytes again.
    let uncounted = Progress::default();
    let uploaded = catalog.bucket.write(&key, source, &uncounted).await;
    let exported = exporting.await.map_err(|_| Error::Worker("export"))?;
    match (uploaded, exported) {
        // A failed upload breaks the pipe, a failed export cuts the upload short: report the one that began it.
        (Err(error), _) if !matches!(*error.cause, lifeboat_storage::error::Cause::CutShort) => {
            Err(error.into())
        }
        (_, Err(error)) => Err(error),
        (Err(error), Ok(())) => Err(error.into()),
        (Ok(_), Ok(())) => catalog.find(name).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_listing_would_show_are_refused() {
        for name in [
            "",
            "latest",
            "a/b",
            "/",
            "..",
            ".hidden",
            "a\nb",
            &"x".repeat(256),
        ] {
            check_name(name).unwrap_err();
        }
        for name in ["sts-backup-20210216-0300.graph", "ü b", &"x".repeat(255)] {
            check_name(name).unwrap();
        }
    }
}

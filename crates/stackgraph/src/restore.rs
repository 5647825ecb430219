//! From the bucket into a store.

use std::sync::Arc;

use lifeboat_core::progress::Progress;
use lifeboat_storage::pipe;

use crate::catalog::{Catalog, Found};
use crate::error::Error;
use crate::format::Footer;
use crate::import;
use crate::store::{Expected, GraphStore, LoadMode, Totals};
use crate::verify;

/// What a restore would do: shown by `--dry-run`, then carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub from: Found,
    pub mode: LoadMode,
    /// What the store holds now and will not hold afterwards.
    pub replaces: Totals,
}

/// How a restore may use the machine.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Threads that decode.
    pub workers: usize,
    /// Bytes.
    pub memory: u64,
}

impl Plan {
    /// Finds the backup and looks at the store, where there is one. Changes nothing. Fails where the restore would be refused: no such
    /// backup, one that is not complete, or a store that is not empty when `mode` asks for an empty one.
    pub async fn make(
        store: Option<Arc<dyn GraphStore>>,
        catalog: &Catalog<'_>,
        name: &str,
        mode: LoadMode,
    ) -> Result<Self, Error> {
        let from = catalog.find(name).await?;
        from.restorable()?;
        let replaces = match store {
            None => Totals::default(),
            Some(store) => {
                tokio::task::spawn_blocking(move || store.info())
                    .await
                    .map_err(|_| Error::Worker("store"))??
                    .totals
            }
        };
        if mode == LoadMode::IntoEmpty && replaces.elements() > 0 {
            return Err(Error::NotEmpty {
                vertices: replaces.vertex_count(),
                edges: replaces.edge_count(),
            });
        }
        Ok(Self {
            from,
            mode,
            replaces,
        })
    }
}

/// Makes the store equal to the backup of `plan`.
///
/// The graph is loaded beside what the store holds, checked against the file's footer and switched in one step. When
/// it fails, or its process is killed, the store holds what it held.
pub async fn run(
    store: Arc<dyn GraphStore>,
    catalog: &Catalog<'_>,
    plan: &Plan,
    options: Options,
    progress: &Arc<Progress>,
) -> Result<Footer, Error> {
    let footer = plan.from.restorable()?;
    progress.expect(footer.totals.elements(), plan.from.backup.size.0);
    let (mode, expected) = (
        plan.mode,
        Expected {
            elements: footer.totals.elements(),
            raw_bytes: footer.raw_bytes,
            memory: options.memory,
        },
    );
    let (feed, reader) = pipe::downward(progress);
    let counted = Arc::clone(progress);
    let importing = tokio::task::spawn_blocking(move || {
        let options = import::Options {
            workers: options.workers,
            mode,
            expected,
            progress: &counted,
        };
        import::run(reader, &*store, &options)
    });
    let key = catalog.key(&plan.from.backup.name);
    let uncounted = Progress::default();
    let downloaded = catalog.bucket.read(&key, feed, &uncounted).await;
    let imported = importing.await.map_err(|_| Error::Worker("import"))?;
    // A failed download also fails the import; it is the one to report.
    downloaded?;
    imported
}

/// Reads a whole backup in the bucket and checks every byte of it. Needs no store.
pub async fn verify(
    catalog: &Catalog<'_>,
    found: &Found,
    workers: usize,
    progress: &Arc<Progress>,
) -> Result<verify::Report, Error> {
    let elements = found
        .footer
        .as_ref()
        .map_or(0, |footer| footer.totals.elements());
    progress.expect(elements, found.backup.size.0);
    let (feed, reader) = pipe::downward(progress);
    let counted = Arc::clone(progress);
    let verifying = tokio::task::spawn_blocking(move || {
        let options = verify::Options {
            workers,
            progress: &counted,
        };
        verify::run(reader, &options)
    });
    let key = catalog.key(&found.backup.name);
    let uncounted = Progress::default();
    let downloaded = catalog.bucket.read(&key, feed, &uncounted).await;
    let verified = verifying.await.map_err(|_| Error::Worker("verification"))?;
    downloaded?;
    verified
}

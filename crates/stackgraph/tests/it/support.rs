//! What the tests share: graphs of every shape, a store in memory, and short ways to and from a file.

pub(crate) mod graphs;
pub(crate) mod json;
pub(crate) mod memory;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::format::Footer;
use lifeboat_stackgraph::store::{Expected, GraphStore, LoadMode};
use lifeboat_stackgraph::{export, import, verify};

/// 2026-02-16T03:00:00Z.
pub(crate) const CREATED: i64 = 1_771_210_800_000;

/// Writes all that the store holds.
pub(crate) fn export(store: &dyn GraphStore, workers: usize) -> Result<(Vec<u8>, Footer), Error> {
    let mut file = Vec::new();
    let progress = Progress::default();
    let options = export::Options {
        workers,
        created: Timestamp::from_millisecond(CREATED).unwrap(),
        uuid: *b"0123456789abcdef",
        program: "lifeboat 0.0.0-test".to_owned(),
        driver: store.info()?.driver.to_owned(),
        progress: &progress,
    };
    let footer = export::run(store.snapshot()?, &mut file, options)?;
    assert_eq!(progress.read().elements, footer.totals.elements());
    Ok((file, footer))
}

/// Replaces all that the store holds.
pub(crate) fn import(file: &[u8], store: &dyn GraphStore) -> Result<Footer, Error> {
    let progress = Progress::default();
    let options = import::Options {
        workers: 2,
        mode: LoadMode::Replace,
        expected: Expected::default(),
        progress: &progress,
    };
    let footer = import::run(file, store, &options)?;
    assert_eq!(progress.read().bytes, file.len() as u64);
    assert_eq!(progress.read().elements, footer.totals.elements());
    Ok(footer)
}

pub(crate) fn verify(file: &[u8]) -> Result<verify::Report, Error> {
    let progress = Progress::default();
    let options = verify::Options {
        workers: 2,
        progress: &progress,
    };
    verify::run(file, &options)
}

//! Commands on topology and settings.

pub(crate) mod backup;
pub(crate) mod expire;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod restore;
pub(crate) mod show;
pub(crate) mod verify;

use lifeboat_core::size::ByteSize;

use crate::output::columns;
use crate::stopwatch::Pace;

/// The row that backup, restore and verify have in common: how much went by, and how fast.
fn moved(name: &str, size: ByteSize, pace: Pace, digest: Option<&str>) -> String {
    let row = [
        name.to_owned(),
        pace.elements.to_string(),
        size.to_string(),
        pace.seconds(),
        pace.rate(),
        digest.unwrap_or_default().to_owned(),
    ];
    let headings = [
        "name",
        "elements",
        "size",
        "seconds",
        "elements/s",
        "digest",
    ];
    columns(headings, &[row])
}

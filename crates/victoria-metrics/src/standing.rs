//! Whether what lies below a prefix can be restored, and by which description.
//!
//! Pure. A backup of ours counts by its manifest, one of vmbackup by its completion mark. Both may have written below one prefix, one after the other:
//! each run of vmbackup changes its mark or its times, so a manifest that remembers them knows whether it is out of date.

use crate::layout::{MARK, Slice};
use crate::manifest::{Manifest, Unusable};
use crate::plan::Stored;

/// What a backup is worth.
#[derive(Debug)]
pub enum Standing {
    /// All that its manifest names is there.
    Whole(Box<Manifest>),
    /// vmbackup says that it is complete. Nobody has looked yet.
    Marked,
    /// It cannot be restored, and why.
    Incomplete(String),
}

/// Judges what is stored. `times` is the content of vmbackup's object of that name.
pub fn judge(
    stored: &Stored,
    manifest: Option<Result<Manifest, Unusable>>,
    times: Option<&[u8]>,
) -> Standing {
    let mark = stored.special.get(MARK).copied();
    let otherwise = |reason: String| match mark {
        Some(_) => Standing::Marked,
        None => Standing::Incomplete(reason),
    };
    let manifest = match manifest {
        None => return otherwise("it has no completion mark".to_owned()),
        Some(Err(error)) => return otherwise(format!("its manifest cannot be used: {error}")),
        Some(Ok(manifest)) => manifest,
    };
    if let Some(missing) = first_missing(stored, &manifest) {
        return otherwise(format!("`{missing}` is missing"));
    }
    let is_current = mark.is_none_or(|size| {
        size == manifest.mark.size && times == manifest.mark.times.as_ref().map(String::as_bytes)
    });
    if is_current {
        Standing::Whole(Box::new(manifest))
    } else {
        Standing::Marked
    }
}

fn first_missing(stored: &Stored, manifest: &Manifest) -> Option<Slice> {
    manifest
        .slices()
        .map(|(slice, _)| slice)
        .find(|slice| !stored.has(slice))
}

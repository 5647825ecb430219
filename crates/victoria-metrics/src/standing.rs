//! Whether what lies below a prefix can be restored, and by which description.
//!
//! Pure. A backup of ours counts by its manifest, one of vmbackup by its completion mark. Both may have written below one prefix, one after the other:
//! each run of vmbackup changes its mark or its times, so a manifest that remembers them knows whether it is out of date. One that is out of date still describes
//! a backup while all that it names is there: what was written after it counts only if it is sound, which takes more than a listing to see
//! ([`Place::look`](crate::store::Place::look)).

use jiff::Timestamp;

use crate::layout::{MARK, Slice};
use crate::manifest::{Manifest, Unusable};
use crate::plan::Stored;

/// What a backup is worth.
#[derive(Debug)]
pub enum Standing {
    /// All that its manifest names is there.
    Whole(Box<Manifest>),
    /// vmbackup says that it is complete. Nobody has looked yet. With it the manifest of a backup from before, where all that this names is there as well.
    Marked(Option<Box<Manifest>>),
    /// It cannot be restored, and why.
    Incomplete(String),
}

/// By what runs of vmbackup are told apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stamp<'a> {
    /// The content of its object of that name.
    pub times: Option<&'a [u8]>,
    /// When its mark was stored.
    pub stored: Option<Timestamp>,
}

/// Judges what is stored.
pub fn judge(
    stored: &Stored,
    manifest: Option<Result<Manifest, Unusable>>,
    stamp: Stamp<'_>,
) -> Standing {
    let mark = stored.special.get(MARK).copied();
    let otherwise = |reason: String| match mark {
        Some(_) => Standing::Marked(None),
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
    let expected = &manifest.mark;
    let is_current = mark.is_none_or(|size| {
        size == expected.size
            && stamp.times == expected.times.as_ref().map(String::as_bytes)
            && (expected.stored.is_none() || expected.stored == stamp.stored)
    });
    let manifest = Box::new(manifest);
    if is_current {
        Standing::Whole(manifest)
    } else {
        Standing::Marked(Some(manifest))
    }
}

fn first_missing(stored: &Stored, manifest: &Manifest) -> Option<Slice> {
    manifest
        .slices()
        .map(|(slice, _)| slice)
        .find(|slice| !stored.has(slice))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::{FileEntry, Mark};

    const PATH: &str = "data/small/2023_11/1A/values.bin";

    fn manifest(mark: Mark) -> Manifest {
        let entry = FileEntry {
            size: 5,
            slices: vec![7],
        };
        Manifest {
            format: Manifest::FORMAT,
            program: "lifeboat 0.1.0".to_owned(),
            instance: "victoria-metrics-0".to_owned(),
            server: None,
            layout: "1.90.0".parse().unwrap(),
            snapshot: None,
            labelled: None,
            taken: Timestamp::UNIX_EPOCH,
            completed: Timestamp::UNIX_EPOCH,
            rows: None,
            range: None,
            mark,
            series: None,
            files: BTreeMap::from([(PATH.to_owned(), entry)]),
            held: BTreeMap::new(),
        }
    }

    /// What lies there: the one file, if `whole`, and a mark of so many bytes.
    fn stored(whole: bool, mark: Option<u64>) -> Stored {
        let file = whole.then(|| (Slice::of(PATH, 5).next().unwrap().to_string(), 5));
        let mark = mark.map(|size| (MARK.to_owned(), size));
        Stored::sort(file.into_iter().chain(mark))
    }

    fn word(standing: &Standing) -> &'static str {
        match standing {
            Standing::Whole(_) => "whole",
            Standing::Marked(None) => "marked",
            Standing::Marked(Some(_)) => "marked, over a whole one",
            Standing::Incomplete(_) => "incomplete",
        }
    }

    #[test]
    fn without_a_manifest_the_mark_decides() {
        let judged = |mark| word(&judge(&stored(true, mark), None, Stamp::default()));
        assert_eq!(judged(Some(0)), "marked");
        assert_eq!(judged(None), "incomplete");
        let broken = || Some(Err(Unusable::Checksum));
        let judged = |mark| word(&judge(&stored(true, mark), broken(), Stamp::default()));
        assert_eq!(judged(Some(0)), "marked");
        assert_eq!(judged(None), "incomplete");
    }

    #[test]
    fn a_manifest_counts_while_all_it_names_is_there_and_no_vmbackup_came_after() {
        let ours = || Mark {
            size: 0,
            times: Some("ours".to_owned()),
            stored: None,
        };
        let judged = |whole, mark, times: &str| {
            let stamp = Stamp {
                times: Some(times.as_bytes()),
                stored: Some(Timestamp::MAX),
            };
            word(&judge(
                &stored(whole, mark),
                Some(Ok(manifest(ours()))),
                stamp,
            ))
        };
        assert_eq!(judged(true, Some(0), "ours"), "whole");
        // Cut while the mark was away.
        assert_eq!(judged(true, None, "ours"), "whole");
        assert_eq!(judged(true, None, "before"), "whole");
        // A vmbackup of 1.91 or newer, and one that is older.
        let over = "marked, over a whole one";
        assert_eq!(judged(true, Some(0), "theirs"), over);
        assert_eq!(judged(true, Some(2), "ours"), over);
        assert_eq!(judged(false, Some(0), "ours"), "marked");
        assert_eq!(judged(false, None, "ours"), "incomplete");
    }

    /// Its runs differ in nothing but the time of their mark.
    #[test]
    fn what_was_made_up_for_an_old_vmbackup_does_not_outlive_its_next_run() {
        let theirs = |stored| Mark {
            size: 2,
            times: None,
            stored: Some(stored),
        };
        let judged = |stored_at| {
            let stamp = Stamp {
                times: None,
                stored: Some(stored_at),
            };
            let manifest = manifest(theirs(Timestamp::UNIX_EPOCH));
            word(&judge(&stored(true, Some(2)), Some(Ok(manifest)), stamp))
        };
        assert_eq!(judged(Timestamp::UNIX_EPOCH), "whole");
        assert_eq!(judged(Timestamp::MAX), "marked, over a whole one");
    }
}

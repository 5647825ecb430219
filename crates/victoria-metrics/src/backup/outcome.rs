//! What a backup came to, and what it would come to.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Taken;
use crate::generation::Decision;
use crate::manifest::{FileEntry, Held, Manifest, Mark};
use crate::parts::Summary;
use crate::plan::Plan;
use crate::reader::Reader;
use crate::store::{Found, Place, Survey};

/// A backup that is complete.
#[derive(Debug)]
pub struct Outcome {
    pub version: String,
    pub decision: Decision,
    /// Nothing of the version was there before.
    pub is_new: bool,
    pub manifest: Manifest,
    pub objects_sent: u64,
    pub bytes_sent: u64,
    /// Those of the objects sent that were stored already, and damaged.
    pub objects_resent: u64,
    /// Those of the objects kept that are known to be damaged, where nobody has what they should be.
    pub objects_beyond_repair: u64,
    pub objects_kept: u64,
    pub objects_deleted: u64,
    /// The server took no samples, so that the label in it is that of before.
    pub is_read_only: bool,
    /// For whom what was to be deleted stays until the next backup.
    pub readers: Vec<Reader>,
}

/// What a backup would do.
#[derive(Debug)]
pub struct Forecast {
    pub version: String,
    pub decision: Decision,
    /// Nothing of the version is there yet.
    pub is_new: bool,
    pub rows: u64,
    pub size: u64,
    pub objects_to_send: u64,
    pub bytes_to_send: u64,
    /// Those of the objects to send that are stored already, and damaged.
    pub objects_to_resend: u64,
    /// Those of the objects kept that are known to be damaged, where nobody has what they should be.
    pub objects_beyond_repair: u64,
    pub objects_kept: u64,
    pub objects_to_delete: u64,
    pub instance: String,
}

impl Outcome {
    pub(super) fn new(
        taken: &Taken,
        plan: &Plan,
        manifest: Manifest,
        readers: Vec<Reader>,
    ) -> Self {
        // What somebody restores from stays.
        let kept = if readers.is_empty() {
            0
        } else {
            plan.obsolete.len()
        };
        Self {
            version: taken.found.version.clone(),
            decision: taken.decision.clone(),
            is_new: taken.found.is_nothing(),
            manifest,
            objects_sent: (plan.uploads.len() + plan.held.len()) as u64,
            bytes_sent: plan.upload_size(),
            objects_resent: plan.damaged.len() as u64,
            objects_beyond_repair: plan.beyond_repair.len() as u64,
            objects_kept: plan.kept.len() as u64,
            objects_deleted: (plan.deletion_count() - kept) as u64,
            is_read_only: taken.is_read_only,
            readers,
        }
    }
}

impl Forecast {
    pub(super) fn new(place: Place<'_>, taken: &Taken, plan: &Plan) -> Self {
        Self {
            version: taken.found.version.clone(),
            decision: taken.decision.clone(),
            is_new: taken.found.is_nothing(),
            rows: taken.summary.rows,
            size: taken.snapshot.size(),
            objects_to_send: (plan.uploads.len() + plan.held.len()) as u64,
            bytes_to_send: plan.upload_size(),
            objects_to_resend: plan.damaged.len() as u64,
            objects_beyond_repair: plan.beyond_repair.len() as u64,
            objects_kept: plan.kept.len() as u64,
            objects_to_delete: plan.deletion_count() as u64,
            instance: place.instance.to_owned(),
        }
    }
}

/// The manifest of what another program wrote: its objects, without checksums.
pub(crate) fn adopted(
    place: Place<'_>,
    found: &Found,
    survey: &Survey,
    summary: Option<Summary>,
    program: &str,
) -> Manifest {
    let held: BTreeMap<String, Held> = survey
        .held
        .iter()
        .map(|(path, content)| (path.clone(), Held(content.clone())))
        .collect();
    let files = survey
        .files
        .iter()
        .filter(|(path, _)| !held.contains_key(*path));
    let files = files.map(|(path, file)| {
        let entry = FileEntry {
            size: file.size,
            slices: Vec::new(),
        };
        (path.to_owned(), entry)
    });
    let completed = found
        .mark
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |mark| mark.modified);
    Manifest {
        format: Manifest::FORMAT,
        program: program.to_owned(),
        instance: place.instance.to_owned(),
        server: None,
        layout: survey.layout,
        snapshot: None,
        labelled: None,
        taken: completed,
        completed,
        rows: summary.map(|summary| summary.rows),
        range: summary.and_then(|summary| summary.range),
        mark: Mark {
            stored: found.mark.as_ref().map(|mark| mark.modified),
            size: found.mark.as_ref().map_or(0, |mark| mark.size.0),
            times: found
                .times
                .as_ref()
                .map(|times| String::from_utf8_lossy(&times.bytes).into_owned()),
        },
        series: None,
        files: files.collect(),
        held,
    }
}

/// The object of vmbackup that says when.
pub(super) fn times(taken: Timestamp, completed: Timestamp) -> String {
    let text = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    serde_json::json!({"created_at": text(taken), "completed_at": text(completed)}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;

    #[test]
    fn times_are_those_of_vmbackup() {
        let taken = snapshot::begun("20231128160000-18EB55436EA85716").unwrap();
        let completed = "2023-11-28T16:00:09.5Z".parse().unwrap();
        assert_eq!(
            times(taken, completed),
            r#"{"completed_at":"2023-11-28T16:00:09Z","created_at":"2023-11-28T16:00:00Z"}"#
        );
    }
}

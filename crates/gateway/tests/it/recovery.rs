//! What a restart makes of multipart uploads that a crash left in the middle.

use std::fs;
use std::path::PathBuf;

use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart};
use lifeboat_gateway::backend::{Backend as _, Error};

use crate::support::{Volume, all_keys, at, begin, content, put_part, read};

/// Second names for the files of an upload, so that what removed them can be undone, as by a crash just before.
struct Kept {
    place: PathBuf,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Kept {
    fn of(volume: &Volume, upload: &str) -> Self {
        let place = volume.path().join(".lifeboat/uploads").join(upload);
        let aside = volume.path().join("kept");
        fs::create_dir(&aside).unwrap();
        let files: Vec<_> = ["journal", "data"]
            .map(|name| (aside.join(name), place.join(name)))
            .into();
        for (aside, name) in &files {
            fs::hard_link(name, aside).unwrap();
        }
        Self { place, files }
    }

    fn put_back(&self) {
        fs::create_dir(&self.place).unwrap();
        for (aside, name) in &self.files {
            fs::hard_link(aside, name).unwrap();
        }
    }
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_answered_after_the_restart() {
    let volume = Volume::new().await;
    let local = &volume.local;
    let upload = begin(local, "big").await.unwrap();
    let part = put_part(local, "big", &upload, 1, content("all of it"))
        .await
        .unwrap();
    let options = CompleteOptions {
        parts: vec![CompletedPart {
            number: 1,
            etag: part.etag,
            checksum: None,
        }],
        ..CompleteOptions::default()
    };
    let kept = Kept::of(&volume, &upload);
    let before = local
        .complete_upload(&at("big"), &upload, options.clone())
        .await
        .unwrap();
    kept.put_back();
    let volume = volume.reopen();
    let after = volume
        .local
        .complete_upload(&at("big"), &upload, options)
        .await
        .unwrap();
    assert_eq!(after, before);
    assert_eq!(volume.local.uploads("bucket", "").await.unwrap(), []);
    assert_eq!(read(&volume.local, "big").await.unwrap(), "all of it");
    assert!(!kept.place.exists());
}

#[tokio::test]
async fn an_upload_does_not_outlive_its_bucket() {
    let volume = Volume::new().await;
    let upload = begin(&volume.local, "big").await.unwrap();
    let kept = Kept::of(&volume, &upload);
    volume.local.delete_bucket("bucket").await.unwrap();
    kept.put_back();
    let volume = volume.reopen();
    volume.local.create_bucket("bucket").await.unwrap();
    assert_eq!(volume.local.uploads("bucket", "").await.unwrap(), []);
    assert!(matches!(
        volume.local.parts(&at("big"), &upload).await,
        Err(Error::NoSuchUpload { .. })
    ));
    assert_eq!(all_keys(&volume.local).await, Vec::<String>::new());
    assert!(!kept.place.exists());
}

#[tokio::test]
async fn an_upload_that_was_aborted_up_to_its_journal_is_over() {
    let volume = Volume::new().await;
    let upload = begin(&volume.local, "big").await.unwrap();
    let place = volume.path().join(".lifeboat/uploads").join(&upload);
    fs::remove_file(place.join("journal")).unwrap();
    let volume = volume.reopen();
    assert_eq!(volume.local.uploads("bucket", "").await.unwrap(), []);
    assert!(!place.exists());
}

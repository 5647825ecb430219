//! The trash: what was removed or replaced comes back as it was, until its term is over.

use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use lifeboat_core::error::Kind;
use lifeboat_gateway::backend::options::{CopyOptions, PutOptions};
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart};
use lifeboat_gateway::backend::{Attributes, Backend as _, Tally};
use lifeboat_gateway::backends::local::trash::{Entry, Filter, Occupied, RestoreError, Why};
use lifeboat_gateway::backends::local::{Capability, Local, Visit};

use crate::support::{
    Timed, Volume, all_keys, at, begin, content, delete, head, put, put_part, read, sources,
};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

async fn volume() -> Volume {
    let volume = Volume::new().await;
    volume.local.keep_trash(WEEK).unwrap();
    volume
}

fn trash(path: &Path) -> Vec<Entry> {
    Visit::open(path)
        .unwrap()
        .trash(&Filter::default())
        .unwrap()
}

/// Keys in the trash with what happened to them, oldest first.
fn kept(path: &Path) -> Vec<(String, Why)> {
    let mut entries = trash(path);
    entries.sort_by_key(|entry| entry.removed);
    let kept = entries.into_iter().map(|entry| (entry.key, entry.why));
    kept.collect()
}

fn newest(path: &Path, key: &str) -> Entry {
    let entries = trash(path);
    let newest = entries.into_iter().rfind(|entry| entry.key == key);
    newest.unwrap()
}

fn attributes(name: &str, value: &str) -> Attributes {
    Attributes {
        user: [(name.to_owned(), value.to_owned())].into(),
        ..Attributes::default()
    }
}

#[tokio::test]
async fn what_comes_back_on_a_volume_without_attributes_is_as_it_was() {
    let volume = Volume::lacking(&[Capability::Attributes]).await;
    volume.local.keep_trash(WEEK).unwrap();
    let options = PutOptions {
        attributes: attributes("name", "value"),
        ..PutOptions::default()
    };
    let put_it = volume.local.put(&at("key"), options, content("text")).await;
    put_it.unwrap();
    let known = head(&volume.local, "key").await.unwrap();
    put(&volume.local, "key", "new!").await.unwrap();
    delete(&volume.local, "key").await.unwrap();
    let first = trash(volume.path()).into_iter().next().unwrap();
    let volume = volume.reopen();
    let place = first.place();
    volume.local.restore(place, Occupied::Refuse).await.unwrap();
    assert_eq!(head(&volume.local, "key").await.unwrap(), known);
    assert_eq!(read(&volume.local, "key").await.unwrap(), "text");
    assert_eq!(kept(volume.path()), [("key".to_owned(), Why::Deleted)]);
}

#[tokio::test]
async fn whatever_takes_an_object_away_leaves_it_in_the_trash() {
    let volume = volume().await;
    let local = &volume.local;
    put(local, "source", "source").await.unwrap();
    for key in ["put-over", "copied-over", "completed-over", "deleted"] {
        put(local, key, key).await.unwrap();
    }
    assert_eq!(kept(volume.path()), []);
    put(local, "put-over", "new").await.unwrap();
    local
        .copy(&at("source"), &at("copied-over"), CopyOptions::default())
        .await
        .unwrap();
    let upload = begin(local, "completed-over").await.unwrap();
    let part = put_part(local, "completed-over", &upload, 1, content("new"))
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
    local
        .complete_upload(&at("completed-over"), &upload, options)
        .await
        .unwrap();
    delete(local, "deleted").await.unwrap();
    delete(local, "deleted").await.unwrap();
    let expected = [
        ("put-over", Why::Replaced),
        ("copied-over", Why::Replaced),
        ("completed-over", Why::Replaced),
        ("deleted", Why::Deleted),
    ];
    assert_eq!(
        kept(volume.path()),
        expected.map(|(key, why)| (key.to_owned(), why))
    );
    let status = local.status().await.unwrap();
    let bytes = expected.iter().map(|(key, _)| key.len()).sum::<usize>();
    assert_eq!(
        status.volumes[0].trash,
        Some(Tally {
            objects: 4,
            bytes: u64::try_from(bytes).unwrap()
        })
    );
    for (key, _) in expected {
        let place = newest(volume.path(), key).place();
        local.restore(place, Occupied::Replace).await.unwrap();
        assert_eq!(read(local, key).await.unwrap(), key);
    }
}

#[tokio::test]
async fn nothing_is_kept_unless_it_is_wanted() {
    let volume = Volume::new().await;
    put(&volume.local, "key", "old").await.unwrap();
    put(&volume.local, "key", "new").await.unwrap();
    delete(&volume.local, "key").await.unwrap();
    assert_eq!(kept(volume.path()), []);
}

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_of_it() {
    let volume = volume().await;
    let local = &volume.local;
    let options = PutOptions {
        attributes: attributes("who", "writer"),
        ..PutOptions::default()
    };
    local
        .put(&at("a/own"), options, content("bytes"))
        .await
        .unwrap();
    let copy = CopyOptions {
        attributes: Some(attributes("who", "copier")),
        ..CopyOptions::default()
    };
    local.copy(&at("a/own"), &at("a/copy"), copy).await.unwrap();
    fs::write(volume.path().join("bucket/a/by-hand"), "bytes").unwrap();
    for key in ["a/own", "a/copy", "a/by-hand"] {
        let before = head(local, key).await.unwrap();
        delete(local, key).await.unwrap();
        let entry = newest(volume.path(), key);
        assert_eq!((entry.etag(), entry.size), (before.etag.as_str(), 5));
        local
            .restore(entry.place(), Occupied::Refuse)
            .await
            .unwrap();
        assert_eq!(head(local, key).await.unwrap(), before, "{key}");
        assert_eq!(read(local, key).await.unwrap(), "bytes");
    }
    assert_eq!(kept(volume.path()), []);
    assert_eq!(all_keys(local).await, ["a/by-hand", "a/copy", "a/own"]);
}

#[tokio::test]
async fn a_newer_object_is_replaced_only_by_force_and_kept_in_turn() {
    let volume = volume().await;
    let local = &volume.local;
    put(local, "key", "old").await.unwrap();
    put(local, "key", "new").await.unwrap();
    let place = newest(volume.path(), "key").place();
    let refused = local.restore(place.clone(), Occupied::Refuse).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, RestoreError::Occupied { .. }),
        "{refused}"
    );
    assert_eq!(refused.kind(), Kind::Conflict);
    assert_eq!(read(local, "key").await.unwrap(), "new");
    assert_eq!(newest(volume.path(), "key").place(), place);
    local
        .restore(place.clone(), Occupied::Replace)
        .await
        .unwrap();
    assert_eq!(read(local, "key").await.unwrap(), "old");
    let again = local.restore(place, Occupied::Replace).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotFound);
    let place = newest(volume.path(), "key").place();
    local.restore(place, Occupied::Replace).await.unwrap();
    assert_eq!(read(local, "key").await.unwrap(), "new");
}

#[tokio::test]
async fn an_object_replaced_by_a_restore_is_kept_although_the_trash_is_off() {
    let volume = volume().await;
    put(&volume.local, "key", "old").await.unwrap();
    delete(&volume.local, "key").await.unwrap();
    let volume = volume.reopen();
    put(&volume.local, "key", "new").await.unwrap();
    let place = newest(volume.path(), "key").place();
    volume
        .local
        .restore(place, Occupied::Replace)
        .await
        .unwrap();
    assert_eq!(read(&volume.local, "key").await.unwrap(), "old");
    assert_eq!(newest(volume.path(), "key").size, 3);
    let place = newest(volume.path(), "key").place();
    let restored = volume.local.restore(place, Occupied::Replace).await;
    restored.unwrap();
    assert_eq!(read(&volume.local, "key").await.unwrap(), "new");
}

#[tokio::test]
async fn objects_come_back_into_a_bucket_that_was_deleted() {
    let volume = volume().await;
    let local = &volume.local;
    for key in ["a", "a/b", "a/b/c"] {
        put(local, key, key).await.unwrap();
    }
    local
        .copy(&at("a/b"), &at("copy"), CopyOptions::default())
        .await
        .unwrap();
    let copied = head(local, "copy").await.unwrap();
    for key in ["copy", "a", "a/b", "a/b/c"] {
        delete(local, key).await.unwrap();
    }
    local.delete_bucket("bucket").await.unwrap();
    assert!(local.buckets().await.unwrap().is_empty());
    for entry in trash(volume.path()) {
        let restored = local.restore(entry.place(), Occupied::Refuse).await;
        restored.unwrap();
    }
    assert_eq!(all_keys(local).await, ["a", "a/b", "a/b/c", "copy"]);
    assert_eq!(read(local, "a/b").await.unwrap(), "a/b");
    assert_eq!(head(local, "copy").await.unwrap(), copied);
}

const TERM: SignedDuration = SignedDuration::from_hours(3);

#[tokio::test]
async fn an_entry_goes_when_its_term_is_over_and_no_sooner() {
    let timed = Timed::new().await;
    let local = &timed.volume.local;
    local.keep_trash(TERM).unwrap();
    put(local, "key", "old").await.unwrap();
    delete(local, "key").await.unwrap();
    timed.pass(TERM - SignedDuration::from_secs(1)).await;
    assert_eq!(trash(timed.volume.path()).len(), 1);
    timed.pass(SignedDuration::from_mins(61)).await;
    assert_eq!(trash(timed.volume.path()).len(), 0);
    let counted = local.status().await.unwrap().volumes[0].trash;
    assert_eq!(counted, Some(Tally::default()));
    assert_eq!(files(timed.volume.path(), ""), ["pending", "state"]);
}

#[tokio::test]
async fn a_restart_counts_what_is_there_and_goes_on_with_its_term() {
    let timed = Timed::new().await;
    timed.volume.local.keep_trash(TERM).unwrap();
    put(&timed.volume.local, "key", "old").await.unwrap();
    delete(&timed.volume.local, "key").await.unwrap();
    timed.pass(SignedDuration::from_hours(2)).await;
    let timed = timed.reopen();
    timed.volume.local.keep_trash(TERM).unwrap();
    let counted = async || timed.volume.local.status().await.unwrap().volumes[0].trash;
    assert_eq!(counted().await, None);
    timed.volume.local.tend().await.unwrap();
    let one = Tally {
        objects: 1,
        bytes: 3,
    };
    assert_eq!(counted().await, Some(one));
    timed.pass(SignedDuration::from_mins(55)).await;
    assert_eq!(trash(timed.volume.path()).len(), 1);
    timed.pass(SignedDuration::from_mins(70)).await;
    assert_eq!(trash(timed.volume.path()).len(), 0);
}

#[tokio::test]
async fn a_clock_that_jumped_ahead_empties_nothing() {
    let mut timed = Timed::new().await;
    timed.volume.local.keep_trash(TERM).unwrap();
    put(&timed.volume.local, "key", "old").await.unwrap();
    delete(&timed.volume.local, "key").await.unwrap();
    timed.pass(SignedDuration::from_mins(10)).await;
    let year = SignedDuration::from_hours(366 * 24);
    timed.jump(year);
    timed.volume.local.tend().await.unwrap();
    assert_eq!(trash(timed.volume.path()).len(), 1);
    timed.jump(year);
    timed = timed.reopen();
    timed.volume.local.keep_trash(TERM).unwrap();
    timed.volume.local.tend().await.unwrap();
    assert_eq!(trash(timed.volume.path()).len(), 1);
    // Without its state the trash knows even less of the time, and takes all for new.
    let state = timed.volume.path().join(".lifeboat/trash/state");
    fs::write(state, "{").unwrap();
    timed.jump(year);
    timed = timed.reopen();
    timed.volume.local.keep_trash(TERM).unwrap();
    timed.volume.local.tend().await.unwrap();
    assert_eq!(trash(timed.volume.path()).len(), 1);
}

#[tokio::test]
async fn a_trash_that_is_switched_off_keeps_its_promise_and_no_longer() {
    let timed = Timed::new().await;
    timed.volume.local.keep_trash(TERM).unwrap();
    put(&timed.volume.local, "key", "old").await.unwrap();
    delete(&timed.volume.local, "key").await.unwrap();
    timed.volume.local.tend().await.unwrap();
    let timed = timed.reopen();
    timed.pass(TERM - SignedDuration::from_secs(1)).await;
    assert_eq!(trash(timed.volume.path()).len(), 1);
    timed.pass(SignedDuration::from_mins(61)).await;
    assert_eq!(trash(timed.volume.path()).len(), 0);
}

/// Files below the trash, by name.
fn files(volume: &Path, below: &str) -> Vec<String> {
    let directory = volume.join(".lifeboat/trash").join(below);
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_a_crash_left_half_way_is_judged_by_what_is_in_place() {
    let volume = volume().await;
    for key in ["kept", "removed", "half-settled"] {
        put(&volume.local, key, key).await.unwrap();
        delete(&volume.local, key).await.unwrap();
    }
    let trash_folder = volume.path().join(".lifeboat/trash");
    let pending = trash_folder.join("pending");
    for entry in trash(volume.path()) {
        let hour = trash_folder.join(&files(volume.path(), "")[0]);
        let [object, file] = ["object", "entry"].map(|part| format!("{}.{part}", entry.id));
        fs::rename(hour.join(&file), pending.join(&file)).unwrap();
        if entry.key == "half-settled" {
            continue;
        }
        fs::rename(hour.join(&object), pending.join(&object)).unwrap();
        if entry.key == "kept" {
            // As before the object lost its name.
            let place = volume.path().join("bucket/kept");
            fs::hard_link(pending.join(&object), place).unwrap();
        }
    }
    fs::write(pending.join("01HZ.object"), "without an entry").unwrap();
    fs::write(pending.join("01J0.entry"), "not whole").unwrap();
    let listed = |path: &Path| {
        kept(path)
            .into_iter()
            .map(|(key, _)| key)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(volume.path()), ["removed", "half-settled"]);
    let volume = volume.reopen();
    assert_eq!(listed(volume.path()), ["removed", "half-settled"]);
    assert_eq!(files(volume.path(), "pending"), Vec::<String>::new());
    assert_eq!(read(&volume.local, "kept").await.unwrap(), "kept");
    for key in ["removed", "half-settled"] {
        let place = newest(volume.path(), key).place();
        let restored = volume.local.restore(place, Occupied::Refuse).await;
        restored.unwrap();
        assert_eq!(read(&volume.local, key).await.unwrap(), key);
    }
}

#[tokio::test]
async fn names_planted_in_the_trash_lead_nowhere() {
    let volume = volume().await;
    put(&volume.local, "key", "bytes").await.unwrap();
    delete(&volume.local, "key").await.unwrap();
    let entry = newest(volume.path(), "key");
    let place = serde_json::to_value(entry.place()).unwrap();
    for id in ["../../bucket/x", "", ".", "a/b", "01HZ.object"] {
        let mut place = place.clone();
        place["id"] = id.into();
        let place = serde_json::from_value(place).unwrap();
        let refused = volume.local.restore(place, Occupied::Replace).await;
        assert!(matches!(refused, Err(RestoreError::NoEntry { .. })), "{id}");
    }
    let local = Local::open(volume.path(), sources(3)).unwrap_err();
    assert_eq!(local.kind(), Kind::Conflict);
}

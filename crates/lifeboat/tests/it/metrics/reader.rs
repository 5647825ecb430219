//! A backup and an expiry while somebody restores from the version: what is read stays until it was read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lifeboat_testkit::http;
use lifeboat_testkit::servers::victoria_metrics::{self, Release};
use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};

use super::{INSTANCE, Metrics, files, import, import_at, samples};

const RELEASE: Release = Release::V1_112;

/// The names of the parts of the month in a data folder, or in what is stored of it. The list of parts lies beside them.
fn parts(data: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(data.join("data/small/2023_11")).into_iter();
    let names = entries.flatten().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != "parts.json").collect()
}

/// Makes one part of all, so that those of the backups before are needed no more.
fn merge(metrics: &Metrics) {
    let versions = metrics.listed().into_iter();
    let stored: BTreeSet<_> = versions
        .flat_map(|version| parts(&metrics.stored(&version)))
        .collect();
    let begun = std::time::Instant::now();
    loop {
        // It does nothing while the server merges by itself, and leaves what is in memory.
        for request in ["/internal/force_flush", "/internal/force_merge"] {
            let done = http::get(metrics.server().address(), request).unwrap();
            assert_eq!(done.status, 200, "{}", done.body);
        }
        let there = parts(&metrics.data());
        if there.len() == 1 && there.is_disjoint(&stored) {
            return;
        }
        assert!(
            begun.elapsed() < std::time::Duration::from_mins(1),
            "{there:?}, stored: {stored:?}"
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "the server does not say when it has merged"
        )]
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn has_mark(version: &Path) -> bool {
    version.join("backup_complete.ignore").exists()
}

/// A restore to the mirror that a backup to the same version overtakes at so many requests after the backup was looked over.
fn overtaken(after: usize, restores: [u64; 2]) {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 1, 500);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    import(metrics.server(), "later", 1, 70);
    merge(&metrics);
    let other = metrics.write_mirror();
    let address = metrics.world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    let printed = Arc::new(Mutex::new(String::new()));
    let mut backup = metrics
        .world
        .command(&["victoria-metrics", "backup", INSTANCE]);
    let said = Arc::clone(&printed);
    let meanwhile = Box::new(move || {
        let seen = backup.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        *said.lock().unwrap() = format!(
            "{}{}{:?}",
            text(seen.stdout),
            text(seen.stderr),
            seen.status.code()
        );
    });
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    let restore = [
        "-f",
        "mirror.yaml",
        "--set",
        &endpoint,
        "victoria-metrics",
        "restore",
        "victoria-metrics-1",
        "latest",
        "--yes",
        "--from",
        INSTANCE,
    ];
    metrics.world.ok(&[&restore[..], &["--dry-run"]].concat());
    let request = gate.passed() + after;
    let moment = Moment::Before;
    gate.reset(Some((Stop { request, moment }, meanwhile)));
    let outcome = metrics.world.json(&restore);
    assert_eq!(outcome["version"], version.as_str());
    let printed = printed.lock().unwrap().clone();
    assert!(printed.ends_with("Some(0)"), "{printed}");
    let is_noted = restores[1] == 0;
    assert_eq!(
        printed.contains("stays until the next backup"),
        is_noted,
        "{printed}"
    );
    let mirror = victoria_metrics::start(&other, RELEASE).unwrap();
    let counts = ["boat", "later"].map(|metric| samples(&mirror, metric));
    assert_eq!(counts, restores);
    mirror.stop().unwrap();
    // It counts for us, with what vmrestore would bring back too many.
    let stored = metrics.stored(&version);
    assert_eq!(has_mark(&stored), !is_noted);
    assert_eq!(metrics.listed(), [version.as_str()]);
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    let next = metrics.back_up();
    let deleted = next["objects_deleted"].as_u64().unwrap();
    assert_eq!(deleted > 4, is_noted, "{next}");
    assert!(has_mark(&stored));
    assert!(
        !files(&stored).keys().any(|name| name.contains("reading")),
        "the note is gone with the restore"
    );
    metrics.halt();
    metrics.wipe();
    metrics.vmrestore(RELEASE, &version);
    assert!(metrics.boot(RELEASE));
    let counts = ["boat", "later"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [500, 70]);
}

#[test]
fn what_is_restored_to_the_mirror_stays_while_the_next_backup_goes_to_the_same_version() {
    overtaken(5, [500, 0]);
}

/// Nothing has noted yet that it is read: it is looked over again, and what is there now is restored.
#[test]
fn a_backup_that_comes_before_the_restore_has_begun_is_what_is_restored() {
    overtaken(1, [500, 70]);
}

#[test]
fn a_version_that_somebody_restores_from_does_not_expire() {
    let Some(metrics) = Metrics::start(RELEASE) else {
        return;
    };
    metrics.write_daily();
    let run = |arguments: &[&str]| {
        metrics
            .world
            .json(&[&["-f", "daily.yaml", "victoria-metrics"], arguments].concat())
    };
    import(metrics.server(), "boat", 1, 100);
    run(&["backup", INSTANCE]);
    let mut copies = Vec::new();
    for _ in 0..2 {
        let copy = run(&["copy", INSTANCE])["version"].clone();
        copies.push(copy.as_str().unwrap().to_owned());
    }
    let note = metrics.stored(&copies[0]).join("lifeboat_reading/1.ignore");
    fs::create_dir_all(note.parent().unwrap()).unwrap();
    let reader = |until: &str| {
        format!(r#"{{"owner":"another restore","since":"2026-11-26T00:00:00Z","until":"{until}"}}"#)
    };
    fs::write(&note, reader("2199-01-01T00:00:00Z")).unwrap();
    let kept = run(&["expire", INSTANCE, "--yes"]);
    assert_eq!(kept["verdicts"][0]["verdict"], "keep");
    assert_eq!(kept["verdicts"][0]["reason"], "somebody restores from it");
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &copies[0], "--deep"]);
    // One that was killed.
    fs::write(&note, reader("2026-11-26T00:02:00Z")).unwrap();
    let gone = run(&["expire", INSTANCE, "--yes"]);
    assert_eq!(gone["verdicts"][0]["verdict"], "expire");
    assert!(!metrics.stored(&copies[0]).exists());
}

/// It notes nothing, so that what it is going to read may be deleted: nothing is wrong then.
#[test]
fn a_deep_verification_goes_on_with_the_backup_that_overtakes_it() {
    let Some(metrics) = Metrics::start(RELEASE) else {
        return;
    };
    let address = metrics.world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    let verify = [
        "--set",
        &endpoint,
        "victoria-metrics",
        "verify",
        INSTANCE,
        "latest",
        "--deep",
    ];
    let mut begin = 1_700_000_000;
    let mut more = || {
        begin += 5000;
        import_at(metrics.server(), "boat", begin, 500);
    };
    more();
    metrics.back_up();
    metrics.world.ok(&verify);
    let requests = gate.passed();
    let mut followed = 0;
    // Its first request for the bytes of an object, and others.
    for request in (requests / 3..requests).step_by(5) {
        more();
        metrics.back_up();
        more();
        merge(&metrics);
        let mut backup = metrics
            .world
            .command(&["victoria-metrics", "backup", INSTANCE]);
        let meanwhile = Box::new(move || assert!(backup.output().unwrap().status.success()));
        let moment = Moment::Before;
        gate.reset(Some((Stop { request, moment }, meanwhile)));
        let verified = metrics.world.json(&verify);
        gate.reset(None);
        assert_eq!(verified["faults"], serde_json::json!([]), "at {request}");
        followed += verified["backups_meanwhile"].as_u64().unwrap();
    }
    assert!(followed > 0, "nothing was deleted under it");
}

//! A store that refuses, or whose answers break off: what passes is tried again, what does not is an error, and nothing counts that is not whole.

use std::fs;

use lifeboat_testkit::servers::victoria_metrics::Release;
use lifeboat_testkit::turnstile::{Disturbance, Fault, Turnstile};

use super::restore::release_lease;
use super::round::copy;
use super::{INSTANCE, Metrics, files, import, import_at, samples, snapshots};

const RELEASE: Release = Release::V1_145;

const ALL: usize = 1;

fn disturbed(fault: Fault, from: usize, every: usize) -> Disturbance {
    let of = "";
    Disturbance {
        fault,
        of,
        from,
        every,
    }
}

/// Every second deletion.
fn of_deletions(fault: Fault) -> Disturbance {
    Disturbance {
        of: "?delete",
        ..disturbed(fault, 1, 2)
    }
}

/// A server with samples, and a turnstile before the store.
fn started() -> Option<(Metrics, Turnstile)> {
    let metrics = Metrics::start(RELEASE)?;
    import(metrics.server(), "boat", 3, 500);
    let address = metrics.world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    Some((metrics, gate))
}

/// The command, whose requests go through the turnstile.
fn through<'a>(endpoint: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--set", endpoint, "victoria-metrics"], arguments].concat()
}

fn is_overcome(fault: Fault) {
    let Some((mut metrics, gate)) = started() else {
        return;
    };
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    gate.disturb(Some(disturbed(fault, 5, 5)));
    let backup = metrics
        .world
        .json(&through(&endpoint, &["backup", INSTANCE]));
    let version = backup["version"].as_str().unwrap().to_owned();
    assert!(gate.passed() > 50, "{} requests", gate.passed());
    // The next one has a mark to delete.
    import(metrics.server(), "later", 1, 50);
    gate.reset(None);
    gate.disturb(Some(of_deletions(fault)));
    metrics
        .world
        .json(&through(&endpoint, &["backup", INSTANCE]));
    gate.disturb(Some(disturbed(fault, 5, 5)));
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    metrics.halt();
    metrics.wipe();
    metrics.world.ok(&through(
        &endpoint,
        &["restore", INSTANCE, &version, "--yes"],
    ));
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 1500);
}

#[test]
fn a_store_that_is_too_busy_now_and_then_is_asked_again() {
    is_overcome(Fault::Status(503));
}

#[test]
fn a_store_that_limits_its_clients_is_asked_again() {
    is_overcome(Fault::Status(429));
}

#[test]
fn answers_that_break_off_are_asked_for_again() {
    is_overcome(Fault::Cut);
}

/// They do not break off: they never end.
#[test]
fn answers_that_stall_are_asked_for_again() {
    let Some((mut metrics, gate)) = started() else {
        return;
    };
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    let patience = [
        "--set",
        "lifeboat.readTimeoutSeconds=1",
        "--set",
        &endpoint,
        "victoria-metrics",
    ];
    // Few enough for a test that has to wait for each of them.
    gate.disturb(Some(disturbed(Fault::Stall, 5, 9)));
    let backup = metrics
        .world
        .json(&[&patience[..], &["backup", INSTANCE]].concat());
    let version = backup["version"].as_str().unwrap().to_owned();
    let through = gate.passed();
    assert!(through > 30, "{through} requests");
    import(metrics.server(), "later", 1, 50);
    gate.reset(None);
    gate.disturb(Some(of_deletions(Fault::Stall)));
    metrics
        .world
        .json(&[&patience[..], &["backup", INSTANCE]].concat());
    gate.reset(None);
    gate.disturb(Some(disturbed(Fault::Stall, 5, 9)));
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    metrics.halt();
    metrics.wipe();
    metrics
        .world
        .ok(&[&patience[..], &["restore", INSTANCE, &version, "--yes"]].concat());
    assert!(gate.passed() > 20, "{} requests", gate.passed());
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 1500);
}

#[test]
fn a_store_that_never_answers_well_fails_the_backup_and_leaves_the_one_before() {
    let Some((metrics, gate)) = started() else {
        return;
    };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let stored = files(&metrics.stored(&version));
    import(metrics.server(), "later", 1, 50);
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    gate.disturb(Some(disturbed(Fault::Status(503), 1, ALL)));
    let seen = metrics
        .world
        .run(&through(&endpoint, &["backup", INSTANCE]));
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(seen.stderr.contains("503"), "{}", seen.stderr);
    assert_eq!(files(&metrics.stored(&version)), stored);
    assert_eq!(snapshots(metrics.server()), 0);
}

/// Another one, of the version that has to begin, would take its place on the lease.
#[test]
fn a_snapshot_that_cannot_be_deleted_ends_the_run_and_is_deleted_by_the_next() {
    let Some((mut metrics, _)) = started() else {
        return;
    };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let aside = metrics.world.path("aside");
    copy(&metrics.data(), &aside);
    assert!(metrics.boot(RELEASE));
    // Later than any label: what is put back is behind it.
    let tomorrow = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 86_400;
    import_at(metrics.server(), "late", tomorrow, 10);
    assert_eq!(metrics.back_up()["version"], version.as_str());
    // As vmbackup leaves it: only a snapshot tells then what the server lacks.
    let manifest = metrics.stored(&version).join("lifeboat_manifest.ignore");
    fs::remove_file(manifest).unwrap();
    metrics.halt();
    metrics.wipe();
    copy(&aside, &metrics.data());
    assert!(metrics.boot(RELEASE));
    let gate = Turnstile::start(metrics.server().address()).unwrap();
    gate.disturb(Some(Disturbance {
        of: "/snapshot/delete",
        ..disturbed(Fault::Status(503), 1, ALL)
    }));
    let url = format!("lifeboat.victoria-metrics-0.url={}", gate.endpoint());
    let backup = ["--set", &url, "victoria-metrics", "backup", INSTANCE];
    let seen = metrics.world.run(&backup);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(seen.stderr.contains("delete a snapshot"), "{}", seen.stderr);
    assert_eq!(snapshots(metrics.server()), 1);
    release_lease(&metrics);
    let next = metrics.back_up();
    assert_ne!(next["version"], version.as_str());
    assert_eq!(snapshots(metrics.server()), 0);
}

/// By its checksum, or by its signature where that was asked for.
#[test]
fn content_that_changes_on_the_way_is_refused_and_the_backup_before_stays() {
    let Some((metrics, gate)) = started() else {
        return;
    };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let stored = files(&metrics.stored(&version));
    import(metrics.server(), "later", 1, 50);
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    for (signed, code) in [
        ("lifeboat.signContent=false", "BadDigest"),
        ("lifeboat.signContent=true", "XAmzContentSHA256Mismatch"),
    ] {
        // What says who writes, and what there is, is always signed.
        gate.disturb(Some(Disturbance {
            of: "/data/",
            ..disturbed(Fault::Flip, 1, ALL)
        }));
        let backup = through(&endpoint, &["backup", INSTANCE]);
        let seen = metrics
            .world
            .run(&[&["--set", signed], &backup[..]].concat());
        assert_ne!(seen.code, 0, "{signed}");
        assert!(seen.stderr.contains(code), "{signed}: {}", seen.stderr);
        let mut now = files(&metrics.stored(&version));
        now.retain(|name, _| stored.contains_key(name));
        assert_eq!(now, stored, "{signed}");
    }
    gate.disturb(None);
    metrics.back_up();
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
}

/// An MD5 is computed where it is asked for, and for others.
#[test]
fn what_goes_to_our_gateway_is_tagged_by_its_checksum_unless_content_is_signed() {
    let Some((metrics, _)) = started() else {
        return;
    };
    let tags = |version: &str| -> Vec<String> {
        let data = metrics.stored(version).join("data");
        let stored = files(&data);
        // What may be replaced is signed in any case.
        let sent = stored.keys().filter(|name| !name.contains("parts.json"));
        let tags = sent.map(|name| {
            let mut record = vec![0; 4096];
            let length = rustix::fs::getxattr(data.join(name), "user.lifeboat", &mut record[..]);
            let record: serde_json::Value =
                serde_json::from_slice(&record[..length.unwrap()]).unwrap();
            record["etag"].as_str().unwrap().to_owned()
        });
        tags.collect()
    };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let sent = tags(&version);
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|tag| tag.ends_with("-1")), "{sent:?}");
    let signed = metrics.world.json(&[
        "--set",
        "lifeboat.signContent=true",
        "--set",
        "victoria-metrics-0.backup.s3Prefix=signed",
        "victoria-metrics",
        "backup",
        INSTANCE,
    ]);
    let sent = tags(signed["version"].as_str().unwrap());
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|tag| tag.len() == 32), "{sent:?}");
}

#[test]
fn a_store_that_fails_in_the_middle_of_a_restore_leaves_the_data() {
    let Some((mut metrics, gate)) = started() else {
        return;
    };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(RELEASE));
    import(metrics.server(), "other", 1, 40);
    metrics.halt();
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    // The listing passes, and some of the files.
    gate.disturb(Some(disturbed(Fault::Status(503), 40, ALL)));
    let restore = through(&endpoint, &["restore", INSTANCE, &version, "--yes"]);
    let seen = metrics.world.run(&restore);
    assert!(gate.passed() > 40, "{} requests", gate.passed());
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(metrics.boot(RELEASE));
    let counts = ["other", "boat"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [40, 0]);
    metrics.halt();
    // The same command goes on.
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 1500);
}

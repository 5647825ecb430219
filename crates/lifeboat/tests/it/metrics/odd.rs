//! What does not happen every day: odd sizes, thousands of objects, other writers, an upgrade, a disk that is full.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use lifeboat_testkit::servers::victoria_metrics::{Release, Unusual};
use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};

use super::restore::release_lease;
use super::{BUCKET, INSTANCE, Metrics, files, import, samples, snapshots};
use crate::disk_full::SmallDisk;
use crate::killed;

const SLICE: u64 = 1 << 30;
const SIZES: [u64; 5] = [0, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE + 101];

/// A file with holes and some bytes at the beginning and the end of each slice, so that no slice is like another.
fn write_sparse(path: &Path, size: u64) {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    for begin in (0..size).step_by(1 << 30) {
        let end = (begin + SLICE).min(size);
        for at in [begin, end.saturating_sub(8).max(begin)] {
            let bytes = (at ^ 0x5A5A_5A5A_5A5A_5A5A).to_le_bytes();
            let room = usize::try_from((size - at).min(8)).unwrap();
            file.write_all_at(&bytes[..room], at).unwrap();
        }
    }
}

/// A folder of a part on the server's disk.
fn part(metrics: &Metrics) -> PathBuf {
    let found = files(&metrics.data())
        .into_keys()
        .find(|name| name.starts_with("data/small/2023_11/") && name.ends_with("values.bin"));
    let path = metrics.data().join(found.unwrap());
    path.parent().unwrap().to_owned()
}

fn assert_same(one: &Path, other: &Path) {
    let [left, right] = [one, other].map(|path| File::open(path).unwrap());
    let size = left.metadata().unwrap().len();
    assert_eq!(size, right.metadata().unwrap().len(), "{}", other.display());
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    while at < size {
        let length = usize::try_from((size - at).min(1 << 20)).unwrap();
        left.read_exact_at(&mut a[..length], at).unwrap();
        right.read_exact_at(&mut b[..length], at).unwrap();
        assert!(
            a[..length] == b[..length],
            "{} differs after byte {at}",
            other.display()
        );
        at += 1 << 20;
    }
}

/// Also the case in which vmrestore 1.139 and newer make the first GiB of a file zeros and end well: a restore of an older one had been cut after the
/// first slices.
#[test]
fn files_of_odd_sizes_come_back_also_over_the_slices_of_a_restore_that_was_cut() {
    let release = Release::V1_145;
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    // Its snapshot brings all samples to the disk.
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let part = part(&metrics);
    for size in SIZES {
        // The server passes over files that it does not know, and links them into its snapshots.
        write_sparse(&part.join(format!("odd-{size}.bin")), size);
    }
    metrics.back_up();
    metrics.halt();
    let kept = metrics.world.path("kept");
    fs::rename(metrics.data(), &kept).unwrap();
    let inside = part.strip_prefix(metrics.data()).unwrap().to_owned();
    let restored = metrics.data().join(&inside);

    // What a vmrestore of 1.138 leaves when it is cut: the first slices, under the name of the file.
    fs::create_dir_all(&restored).unwrap();
    for size in [SLICE + 1, 2 * SLICE + 101] {
        let name = format!("odd-{size}.bin");
        write_sparse(&restored.join(&name), size);
        let cut = File::options()
            .write(true)
            .open(restored.join(&name))
            .unwrap();
        cut.set_len(SLICE).unwrap();
    }
    fs::write(metrics.data().join("restore-in-progress"), b"").unwrap();
    metrics.restore(&version);
    for size in SIZES {
        let name = format!("odd-{size}.bin");
        assert_same(&kept.join(&inside).join(&name), &restored.join(&name));
    }
    metrics.wipe();
    metrics.vmrestore(Release::V1_112, &version);
    for size in SIZES {
        let name = format!("odd-{size}.bin");
        assert_same(&kept.join(&inside).join(&name), &restored.join(&name));
    }
    assert!(metrics.boot(release));
    assert_eq!(samples(metrics.server(), "boat"), 100);
}

#[test]
fn more_than_a_thousand_objects_are_listed_restored_and_continued() {
    let release = Release::V1_145;
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    // Each month has a table of data and one of the index. They end before now.
    let begin = 1_700_000_000 - 110 * 31 * 86_400;
    for month in 0..110 {
        super::import_at(metrics.server(), "boat", begin + month * 31 * 86_400, 3);
    }
    let backup = metrics.back_up();
    assert!(backup["objects_sent"].as_u64().unwrap() > 1000, "{backup}");
    let version = backup["version"].as_str().unwrap().to_owned();
    assert_eq!(metrics.listed(), [version.as_str()]);
    let next = metrics.back_up();
    assert!(next["objects_kept"].as_u64().unwrap() > 900, "{next}");
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(release));
    assert_eq!(samples(metrics.server(), "boat"), 330);
}

#[test]
fn an_upgrade_in_place_is_continued_and_the_old_server_is_refused_what_follows() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "before", 2, 200);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    assert!(metrics.boot(Release::V1_145));
    import(metrics.server(), "after", 2, 100);
    assert_eq!(metrics.back_up()["version"], version.as_str());
    metrics.halt();
    metrics.wipe();
    let seen = metrics.world.run(&[
        "victoria-metrics",
        "restore",
        INSTANCE,
        &version,
        "--yes",
        "--server-version",
        "1.112.0",
    ]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("it would start and find nothing"),
        "{}",
        seen.stderr
    );
    metrics.restore(&version);
    assert!(metrics.boot(Release::V1_145));
    let counts = ["before", "after"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [400, 200]);
}

/// A server of before 1.90 keeps no lists of parts; the next one gives the tables that are there their first.
#[test]
fn an_upgrade_from_before_there_were_lists_never_lies_there_with_empty_ones() {
    let Some(mut metrics) = Metrics::start(Release::V1_79) else {
        return;
    };
    import(metrics.server(), "before", 2, 200);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    assert!(metrics.boot(Release::V1_112));
    import(metrics.server(), "after", 1, 100);
    let address = metrics.world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    let stored = metrics.stored(&version);
    let mark = stored.join("backup_complete.ignore");
    let mut killed = 0;
    for request in 1.. {
        let mut command = metrics
            .world
            .command(&["victoria-metrics", "backup", INSTANCE]);
        command.arg("--set").arg(&endpoint);
        let stop = Stop {
            request,
            moment: Moment::After,
        };
        if killed::runs_to_its_end(&gate, Some(stop), &mut command) {
            break;
        }
        killed += 1;
        release_lease(&metrics);
        let objects = files(&stored);
        let has_lists = objects.keys().any(|name| name.contains("parts.json"));
        let has_new = objects.keys().any(|name| {
            let mut names = name.split('/').skip(3);
            name.starts_with("data/small/") && names.next().is_some_and(|part| !part.contains('_'))
        });
        // What is marked vmrestore gives to a server: it has all of one of the two, and no list beside parts that it does not name.
        if mark.exists() && has_new {
            metrics
                .world
                .ok(&["victoria-metrics", "verify", INSTANCE, &version]);
            assert!(has_lists, "request {request}");
        } else {
            assert!(!mark.exists() || !has_lists, "request {request}");
        }
    }
    assert!(killed > 20, "{killed}");
    metrics.halt();
    metrics.wipe();
    metrics.vmrestore(Release::V1_112, &version);
    assert!(metrics.boot(Release::V1_112));
    let counts = ["before", "after"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [400, 100]);
}

/// The packages do not know their version, and vmbackup notes none: what wrote the index is told by its last entries.
#[test]
fn the_index_of_a_backup_tells_which_servers_could_not_read_it() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let ours = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let theirs = format!("{INSTANCE}-20200101000000");
    metrics.vmbackup(Release::V1_112, &theirs);
    metrics.halt();
    metrics.wipe();
    for version in [&ours, &theirs] {
        let restore = [
            "victoria-metrics",
            "restore",
            INSTANCE,
            version,
            "--dry-run",
        ];
        let plan = metrics.world.json(&restore);
        assert_eq!(plan["written_by"], "1.92.0", "{version}");
        let older = [&restore[..], &["--server-version", "1.91.3"]].concat();
        let seen = metrics.world.run(&older);
        assert_eq!(seen.code, 2, "{version}: {}", seen.stderr);
        assert!(
            seen.stderr.contains("it would not find all series"),
            "{}",
            seen.stderr
        );
        let newer = [&restore[..], &["--server-version", "1.92.0"]].concat();
        metrics.world.ok(&newer);
    }
}

/// Data that an older server wrote tells that an older one may be going to open what is restored.
#[test]
fn data_of_an_older_server_refuses_what_it_could_not_open() {
    let Some(mut metrics) = Metrics::start(Release::V1_145) else {
        return;
    };
    import(metrics.server(), "new", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(Release::V1_112));
    import(metrics.server(), "old", 1, 50);
    metrics.halt();
    let before = files(&metrics.data());
    let seen = metrics
        .world
        .run(&["victoria-metrics", "restore", INSTANCE, &version, "--yes"]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert_eq!(files(&metrics.data()), before);
}

#[test]
fn objects_of_others_that_end_in_ignore_are_left_and_do_no_harm() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let locked = metrics.stored(&version).join("backup_locked.ignore");
    fs::write(&locked, b"").unwrap();
    fs::write(metrics.stored(&version).join("another.ignore"), b"theirs").unwrap();
    metrics.back_up();
    assert!(locked.exists());
    metrics.halt();
    metrics.restore(&version);
    assert!(metrics.boot(Release::V1_112));
    assert_eq!(samples(metrics.server(), "boat"), 100);
}

#[test]
fn a_second_writer_is_told_who_is_the_first_and_since_when() {
    let Some(metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let lease = metrics
        .world
        .volume()
        .join(BUCKET)
        .join("victoria-metrics-0-lifeboat_lease.ignore");
    let card = r#"{"owner":"`lifeboat victoria-metrics backup` on another, process 7","run":"00","since":"2023-11-28T16:00:00Z","until":"2199-11-28T16:02:00Z"}"#;
    fs::write(&lease, card).unwrap();
    insta::assert_snapshot!(metrics.world.seen(&["victoria-metrics", "backup", INSTANCE]), @"
    exit code 4
    --- stdout
    --- stderr
    error: backups of this instance are being written by `lifeboat victoria-metrics backup` on another, process 7, since 2023-11-28T16:00:00Z
    hint: wait until it has ended; if it was killed, its lease ends at 2199-11-28T16:02:00Z
    ");
    assert_eq!(fs::read_to_string(&lease).unwrap(), card);
    assert_eq!(snapshots(metrics.server()), 0);
    // One that has run out binds nobody.
    fs::write(&lease, card.replace("2199", "2023")).unwrap();
    metrics.back_up();
    assert!(!lease.exists());
}

#[test]
fn a_server_with_a_snapshot_key_wants_it() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    metrics.halt();
    let arguments = &["-snapshotAuthKey=opensesame"];
    assert!(metrics.boot_unusual(
        Release::V1_112,
        Unusual {
            arguments,
            ..Unusual::default()
        }
    ));
    import(metrics.server(), "boat", 1, 100);
    for key in ["", "wrong"] {
        let key = format!("lifeboat.victoria-metrics-0.snapshotAuthKey={key}");
        let seen = metrics
            .world
            .run(&["--set", &key, "victoria-metrics", "backup", INSTANCE]);
        assert_eq!(seen.code, 2, "{}", seen.stderr);
        assert!(seen.stderr.contains("snapshotAuthKey"), "{}", seen.stderr);
        assert!(!seen.stderr.contains("opensesame"), "{}", seen.stderr);
    }
    assert_eq!(metrics.listed(), Vec::<String>::new());
    let key = "lifeboat.victoria-metrics-0.snapshotAuthKey=opensesame";
    let backup = metrics
        .world
        .json(&["--set", key, "victoria-metrics", "backup", INSTANCE]);
    assert_eq!(backup["samples"], 101);
}

#[test]
fn what_does_not_fit_is_refused_with_what_is_needed() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let small = metrics.world.path("small");
    let _disk = match SmallDisk::mount(&small, 8) {
        Ok(disk) => disk,
        Err(reason) => {
            return lifeboat_testkit::skip!("no small file system can be mounted: {reason}");
        }
    };
    let path = format!("lifeboat.victoria-metrics-0.path={}", small.display());
    let seen = metrics.world.run(&[
        "--set",
        &path,
        "victoria-metrics",
        "restore",
        INSTANCE,
        &version,
        "--yes",
    ]);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(seen.stderr.contains("the restore needs"), "{}", seen.stderr);
    assert_eq!(files(&small), std::collections::BTreeMap::new());
}

/// The dialect of the current chart: one version that goes on, and dated copies of it.
#[test]
fn dated_copies_are_made_inside_the_store_and_expire() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    metrics.write_daily();
    let run = |metrics: &Metrics, arguments: &[&str]| {
        metrics
            .world
            .json(&[&["-f", "daily.yaml", "victoria-metrics"], arguments].concat())
    };
    import(metrics.server(), "boat", 1, 100);
    assert_eq!(
        run(&metrics, &["backup", INSTANCE])["version"],
        "victoria-metrics-0-latest"
    );
    let first = run(&metrics, &["copy", INSTANCE])["version"]
        .as_str()
        .unwrap()
        .to_owned();
    import(metrics.server(), "later", 1, 10);
    run(&metrics, &["backup", INSTANCE]);
    let second = run(&metrics, &["copy", INSTANCE])["version"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(second, first, "copies of one second");
    assert_eq!(
        metrics.listed(),
        [first.as_str(), &second, "victoria-metrics-0-latest"]
    );
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &second, "--deep"]);
    let plan = run(&metrics, &["expire", INSTANCE, "--dry-run"]);
    assert_eq!(plan["verdicts"][0]["verdict"], "expire");
    run(&metrics, &["expire", INSTANCE, "--yes"]);
    assert_eq!(
        metrics.listed(),
        [second.as_str(), "victoria-metrics-0-latest"]
    );
    assert!(!metrics.stored(&first).exists());
    metrics.halt();
    metrics.wipe();
    metrics.restore(&second);
    assert!(metrics.boot(Release::V1_112));
    let counts = ["boat", "later"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [100, 10]);
}

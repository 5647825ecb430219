//! A volume that has no room for old and new, and one that fills up.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use lifeboat_testkit::process::Process;
use lifeboat_testkit::random::Seeded;
use lifeboat_testkit::servers::victoria_metrics::Release;
use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};
use rand::RngExt;

use super::{INSTANCE, Metrics, files, import, samples};
use crate::disk_full::SmallDisk;
use crate::world::World;

const RELEASE: Release = Release::V1_112;
/// What the volume has, and what a restore wants to be left of it when it has ended.
const VOLUME_MIB: u32 = 160;
const SPARE: u64 = 64 << 20;

/// A server on a small volume, which holds `new`, and the version of a backup that held `old`.
struct Tight {
    metrics: Metrics,
    version: String,
    before: BTreeMap<String, Vec<u8>>,
    // Unmounted last.
    _disk: SmallDisk,
}

impl Tight {
    fn make() -> Option<Self> {
        let world = World::new();
        let disk = match SmallDisk::mount(&world.path("metrics/data"), VOLUME_MIB) {
            Ok(disk) => disk,
            Err(reason) => {
                lifeboat_testkit::skip!("no small file system can be mounted: {reason}");
                return None;
            }
        };
        let mut metrics = Metrics::in_world(world, RELEASE)?;
        import(metrics.server(), "old", 20, 2_000);
        let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
        metrics.halt();
        clear(&metrics.data());
        assert!(metrics.boot(RELEASE));
        import(metrics.server(), "new", 20, 2_000);
        metrics.halt();
        Some(Self {
            before: files(&metrics.data()),
            metrics,
            version,
            _disk: disk,
        })
    }

    fn restore(&self, more: &[&str]) -> crate::world::Seen {
        let mut arguments = vec![
            "victoria-metrics",
            "restore",
            INSTANCE,
            &self.version,
            "--yes",
        ];
        arguments.extend(more);
        self.metrics.world.run(&arguments)
    }

    /// Leaves so much room that the restore fits in place, and not beside.
    fn fill(&self) {
        let dry = [
            "victoria-metrics",
            "restore",
            INSTANCE,
            &self.version,
            "--dry-run",
        ];
        let plan = self.metrics.world.json(&dry);
        let number = |name: &str| plan[name].as_u64().unwrap();
        let there = number("replaces_bytes");
        assert!(there > 200_000, "{plan}");
        let wanted = number("bytes") + SPARE - there / 2;
        let filler = fs::File::create(self.filler()).unwrap();
        let size = number("free_bytes") - wanted;
        take_room(&filler, size);
    }

    fn filler(&self) -> std::path::PathBuf {
        self.metrics.data().join("filler")
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// What a server that opens the data finds.
    fn counts(&mut self) -> [u64; 2] {
        assert!(self.metrics.boot(RELEASE));
        let counts = ["old", "new"].map(|metric| samples(self.metrics.server(), metric));
        self.metrics.halt();
        counts
    }

    /// The old data once more, and as much room.
    fn begin_again(&self) {
        clear(&self.metrics.data());
        for (name, content) in &self.before {
            let path = self.metrics.data().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.fill();
    }

    fn data(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = files(&self.metrics.data());
        found.retain(|name, _| name != "filler" && !name.starts_with(".lifeboat-restore"));
        found
    }
}

/// Removes all that is in a folder.
fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Takes room.
fn take_room(file: &fs::File, size: u64) {
    use std::io::Write;

    let chunk = vec![1; 1 << 20];
    let mut left = usize::try_from(size).unwrap();
    let mut file = file;
    while left > 0 {
        let now = left.min(chunk.len());
        file.write_all(&chunk[..now]).unwrap();
        left -= now;
    }
}

#[test]
fn data_makes_room_only_when_asked_and_once_the_backup_was_read_and_found_whole() {
    let Some(mut tight) = Tight::make() else {
        return;
    };
    tight.fill();
    let seen = tight.restore(&[]);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("--in-place-if-needed"),
        "{}",
        seen.stderr
    );
    assert_eq!(tight.data(), tight.before);

    let stored = tight.metrics.stored(&tight.version);
    let (name, content) = files(&stored)
        .into_iter()
        .find(|(name, content)| name.contains("items.bin") && !content.is_empty())
        .unwrap();
    let mut flipped = content.clone();
    flipped[0] ^= 1;
    fs::write(stored.join(&name), flipped).unwrap();
    let seen = tight.restore(&["--in-place-if-needed"]);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("the data is as it was"),
        "{}",
        seen.stderr
    );
    assert_eq!(tight.data(), tight.before);
    fs::write(stored.join(&name), content).unwrap();

    let seen = tight.restore(&["--in-place-if-needed", "--output", "json"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("cannot be brought back"),
        "{}",
        seen.stderr
    );
    assert!(!seen.stderr.contains("undo"), "{}", seen.stderr);
    let restored: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(restored["can_be_undone"], false);
    let undo = ["victoria-metrics", "undo", INSTANCE, "--yes"];
    assert_eq!(tight.metrics.world.run(&undo).code, 3);
    tight.empty();
    assert_eq!(tight.counts(), [40_000, 0]);
}

/// By its names and sizes all of it could be shared with the backup.
#[test]
fn damaged_data_makes_room_too_and_only_when_asked() {
    let world = World::new();
    let disk = match SmallDisk::mount(&world.path("metrics/data"), VOLUME_MIB) {
        Ok(disk) => disk,
        Err(reason) => {
            return lifeboat_testkit::skip!("no small file system can be mounted: {reason}");
        }
    };
    let Some(mut metrics) = Metrics::in_world(world, RELEASE) else {
        return;
    };
    import(metrics.server(), "old", 20, 50_000);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let mut damaged = 0;
    for (name, mut content) in files(&metrics.data().join("data")) {
        if content.len() > 16_384 {
            content[0] ^= 1;
            damaged += content.len() as u64;
            fs::write(metrics.data().join("data").join(name), content).unwrap();
        }
    }
    let restore = ["victoria-metrics", "restore", INSTANCE, &version];
    let plan = metrics.world.json(&[&restore[..], &["--dry-run"]].concat());
    let number = |name: &str| plan[name].as_u64().unwrap();
    // What the plan wants, and half of what is damaged.
    let wanted = SPARE + damaged / 2;
    let filler = metrics.data().join("filler");
    take_room(
        &fs::File::create(&filler).unwrap(),
        number("free_bytes") - wanted,
    );
    let left = |metrics: &Metrics| {
        let mut found = files(&metrics.data());
        found.retain(|name, _| name != "filler" && !name.starts_with(".lifeboat-restore"));
        found
    };
    let before = left(&metrics);
    let plan = metrics.world.json(&[&restore[..], &["--dry-run"]].concat());
    assert_eq!(plan["in_place"], false, "{plan}");
    let seen = metrics.world.run(&[&restore[..], &["--yes"]].concat());
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("the restore needs") && seen.stderr.contains("--in-place-if-needed"),
        "{}",
        seen.stderr
    );
    assert_eq!(left(&metrics), before);
    let in_place = ["--yes", "--in-place-if-needed", "--output", "json"];
    let seen = metrics.world.run(&[&restore[..], &in_place].concat());
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let restored: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(restored["can_be_undone"], false);
    assert!(
        seen.stderr.contains("cannot be brought back"),
        "{}",
        seen.stderr
    );
    fs::remove_file(filler).unwrap();
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "old"), 1_000_000);
    metrics.halt();
    drop(disk);
}

#[test]
fn wherever_a_restore_in_place_is_killed_the_data_is_old_or_the_same_command_makes_it_new() {
    let Some(mut tight) = Tight::make() else {
        return;
    };
    tight.fill();
    let arguments = [
        "victoria-metrics",
        "restore",
        INSTANCE,
        &tight.version.clone(),
        "--yes",
        "--in-place-if-needed",
    ];
    let begun = Instant::now();
    tight.metrics.world.ok(&arguments);
    let mut whole = begun.elapsed();
    tight.begin_again();
    let mut seeded = Seeded::from_environment();
    let [mut old, mut new] = [0, 0];
    for _ in 0..30 {
        let after = whole.mul_f64(seeded.rng.random_range(0.0..1.0));
        let begun = Instant::now();
        let process = Process::start(&mut tight.metrics.world.command(&arguments)).unwrap();
        if process.ends_within(after) {
            process.finish().unwrap().success().unwrap();
            // The machine was slower when it was measured.
            whole = whole.min(begun.elapsed());
        } else {
            process.kill().unwrap();
        }
        let is_barred = tight.metrics.data().join("restore-in-progress").exists();
        if is_barred {
            // Without being asked again: what made room is gone already.
            let seen = tight.restore(&[]);
            assert_eq!(seen.code, 0, "{}", seen.stderr);
        }
        if tight.data() == tight.before {
            old += 1;
            // The machine may have become slower than it was.
            whole = whole.mul_f64(1.1);
            continue;
        }
        new += 1;
        tight.empty();
        assert_eq!(tight.counts(), [40_000, 0]);
        tight.begin_again();
    }
    assert!(old > 0 && new > 0, "{old} were old and {new} new");
    tight.empty();
}

#[test]
fn a_volume_that_fills_up_meanwhile_keeps_its_data_and_the_restore_goes_on_when_there_is_room() {
    let Some(mut tight) = Tight::make() else {
        return;
    };
    let address = tight.metrics.world.endpoint();
    let address = address.trim_start_matches("http://").parse().unwrap();
    let gate = Turnstile::start(address).unwrap();
    let filler = tight.filler();
    let fill = Box::new(move || {
        let file = fs::File::create(filler).unwrap();
        let mut all = u64::from(VOLUME_MIB) << 20;
        // As much as there is.
        while all > 0 {
            use std::io::Write;
            let chunk = vec![1; usize::try_from(all.min(4096)).unwrap()];
            if (&file).write_all(&chunk).is_err() {
                break;
            }
            all -= chunk.len() as u64;
        }
    });
    let stop = Stop {
        // After the listing and the manifest, before most files.
        request: 14,
        moment: Moment::Before,
    };
    gate.reset(Some((stop, fill)));
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    let seen = tight.restore(&["--set", &endpoint]);
    assert_eq!(seen.code, 5, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stderr.contains("No space left"), "{}", seen.stderr);
    assert!(
        seen.stderr.contains("the data is as it was"),
        "{}",
        seen.stderr
    );
    assert_eq!(tight.data(), tight.before);
    tight.empty();
    let seen = tight.restore(&[]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert_eq!(tight.counts(), [40_000, 0]);
}

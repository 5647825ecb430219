//! Volumes that are mounted inside of a data folder, of the same file system: folders of a host in a container.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use lifeboat_testkit::servers::victoria_metrics::Release;

use super::{INSTANCE, Metrics, files, import, samples};
use crate::world::Seen;

const RELEASE: Release = Release::V1_112;

/// Runs a command of ours that sees `folder` mounted at `at`. None, said aloud, where nothing can be mounted.
fn mounted(metrics: &Metrics, folder: &Path, at: &Path, arguments: &[&str]) -> Option<Seen> {
    let bind = [OsStr::new("--bind"), folder.as_os_str(), at.as_os_str()];
    mounted_by(metrics, &bind, arguments)
}

/// The same, by these arguments of `mount`.
fn mounted_by(metrics: &Metrics, mount: &[&OsStr], arguments: &[&str]) -> Option<Seen> {
    let unshared = || {
        let mut command = Command::new("unshare");
        let script =
            "mount \"$1\" \"$2\" \"$3\" ${4:+\"$4\"} ${5:+\"$5\"} && shift 5 && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script, "sh"]);
        let five = mount.iter().copied().chain([OsStr::new(""); 5]).take(5);
        command.args(five);
        command
    };
    let may = unshared().arg("true").output();
    if !may.is_ok_and(|output| output.status.success()) {
        lifeboat_testkit::skip!("nothing can be mounted here: that takes root and `unshare`");
        return None;
    }
    let ours = metrics.world.command(arguments);
    let mut command = unshared();
    command
        .arg(ours.get_program())
        .args(ours.get_args())
        .current_dir(metrics.world.path(""));
    for (name, value) in ours.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = command.output().unwrap();
    Some(Seen {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    })
}

#[test]
fn a_volume_that_would_stay_in_the_data_that_is_moved_away_is_refused_before_anything_is_touched() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let before = files(&metrics.data());
    let folder = metrics.world.path("elsewhere");
    fs::create_dir(&folder).unwrap();
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    for at in ["data/big", "data", "cache/a"] {
        let place = metrics.data().join(at);
        fs::create_dir_all(&place).unwrap();
        for refused in [&restore[..], &[&restore[..], &["--dry-run"]].concat()] {
            let Some(seen) = mounted(&metrics, &folder, &place, refused) else {
                return;
            };
            assert_eq!(seen.code, 2, "{at}: {}", seen.stderr);
            let says = format!("`{at}` in it is a volume of its own");
            assert!(seen.stderr.contains(&says), "{}", seen.stderr);
        }
    }
    assert_eq!(files(&metrics.data()), before);
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 200);
}

#[test]
fn caches_on_a_volume_of_their_own_are_emptied_and_stay() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    import(metrics.server(), "later", 2, 100);
    metrics.halt();
    let folder = metrics.world.path("caches");
    fs::create_dir_all(folder.join("lost+found/1")).unwrap();
    let cache = metrics.data().join("cache");
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    let undo = ["victoria-metrics", "undo", INSTANCE, "--yes"];
    for command in [&restore[..], &undo, &restore] {
        fs::create_dir_all(folder.join("metricName")).unwrap();
        fs::create_dir_all(&cache).unwrap();
        let Some(seen) = mounted(&metrics, &folder, &cache, command) else {
            return;
        };
        assert_eq!(seen.code, 0, "{}", seen.stderr);
        assert!(!folder.join("metricName").exists());
        assert!(folder.join("lost+found/1").exists());
    }
    assert!(metrics.boot(RELEASE));
    let counts = ["boat", "later"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [200, 0]);
}

/// What it leads to could not be renamed with the rest, and a link that leads to a folder beside it would lead elsewhere.
#[test]
fn a_link_in_the_place_of_the_data_is_refused_before_anything_is_touched() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 100);
    metrics.halt();
    let elsewhere = metrics.world.path("large");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(metrics.data().join("data"), elsewhere.join("data")).unwrap();
    std::os::unix::fs::symlink("../../large/data", metrics.data().join("data")).unwrap();
    assert!(metrics.boot(RELEASE));
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let before = files(&elsewhere);
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    let seen = metrics.world.run(&restore);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("`data` in it is a link"),
        "{}",
        seen.stderr
    );
    assert_eq!(files(&elsewhere), before);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 200);
}

/// Nothing tells before that the folders of the lower layer cannot be renamed.
#[test]
fn where_the_first_folder_cannot_be_renamed_servers_start_on_the_data_again() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| metrics.world.path(name));
    fs::rename(metrics.data(), &lower).unwrap();
    for folder in [&upper, &work, &metrics.data()] {
        fs::create_dir(folder).unwrap();
    }
    let layers = format!(
        "lowerdir={},upperdir={},workdir={},redirect_dir=off",
        lower.display(),
        upper.display(),
        work.display()
    );
    let data = metrics.data();
    let overlay = ["-toverlay", "overlay", "-o", &layers].map(OsStr::new);
    let overlay = [&overlay[..], &[data.as_os_str()]].concat();
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    let Some(seen) = mounted_by(&metrics, &overlay, &restore) else {
        return;
    };
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(seen.stderr.contains("move away"), "{}", seen.stderr);
    assert!(
        seen.stderr.contains("the data is as it was"),
        "{}",
        seen.stderr
    );
    assert!(!upper.join("restore-in-progress").exists());
    let undo = ["victoria-metrics", "undo", INSTANCE, "--yes"];
    let seen = mounted_by(&metrics, &overlay, &undo).unwrap();
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    fs::remove_dir(&data).unwrap();
    fs::rename(&lower, &data).unwrap();
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 200);
}

#[test]
fn an_undo_that_could_not_move_everything_is_refused_before_servers_are_kept_from_starting() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    import(metrics.server(), "later", 2, 100);
    metrics.halt();
    metrics.restore(&version);
    let folder = metrics.world.path("elsewhere");
    fs::create_dir(&folder).unwrap();
    let undo = ["victoria-metrics", "undo", INSTANCE, "--yes"];
    let place = metrics.data().join("data/big");
    fs::create_dir_all(&place).unwrap();
    let Some(seen) = mounted(&metrics, &folder, &place, &undo) else {
        return;
    };
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(!metrics.data().join("restore-in-progress").exists());
    metrics.world.ok(&undo);
    assert!(metrics.boot(RELEASE));
    let counts = ["boat", "later"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [200, 200]);
}

//! Whose the files are, who may read and write them, and a volume that is only read.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_testkit::servers::victoria_metrics::Release;

use super::{INSTANCE, Metrics, files, import, samples, snapshots};
use crate::world::Seen;

const RELEASE: Release = Release::V1_112;
const NOBODY: u32 = 65_534;

fn started() -> Option<Metrics> {
    let metrics = Metrics::start(RELEASE)?;
    import(metrics.server(), "boat", 2, 100);
    Some(metrics)
}

/// Runs a command of ours as a user who owns nothing. None, said aloud, where that cannot be done.
fn as_nobody(metrics: &Metrics, arguments: &[&str]) -> Option<Seen> {
    let ours = metrics.world.command(arguments);
    let become_nobody = |program: &std::ffi::OsStr| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(program)
            .current_dir(metrics.world.path(""));
        command
    };
    fs::set_permissions(metrics.world.path(""), Permissions::from_mode(0o755)).unwrap();
    let may_run = become_nobody("test".as_ref())
        .arg("-x")
        .arg(ours.get_program())
        .status();
    if !may_run.is_ok_and(|status| status.success()) {
        lifeboat_testkit::skip!(
            "no other user can run the program here: that takes root, `setpriv`, and a path open to all"
        );
        return None;
    }
    let output = become_nobody(ours.get_program())
        .env_clear()
        .args(ours.get_args())
        .output()
        .unwrap();
    Some(Seen {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    })
}

#[test]
fn a_user_who_may_not_read_the_data_is_told_and_nothing_is_stored() {
    let Some(metrics) = started() else { return };
    fs::set_permissions(metrics.data(), Permissions::from_mode(0o700)).unwrap();
    let Some(seen) = as_nobody(&metrics, &["victoria-metrics", "backup", INSTANCE]) else {
        return;
    };
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(seen.stderr.contains("Permission denied"), "{}", seen.stderr);
    assert_eq!(metrics.listed(), Vec::<String>::new());
    assert_eq!(snapshots(metrics.server()), 0);
}

#[test]
fn a_user_who_may_not_write_the_data_is_told_and_nothing_is_changed() {
    let Some(mut metrics) = started() else { return };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let before = files(&metrics.data());
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    let Some(seen) = as_nobody(&metrics, &restore) else {
        return;
    };
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(seen.stderr.contains("Permission denied"), "{}", seen.stderr);
    assert_eq!(files(&metrics.data()), before);
}

/// The user of the server owns its folder; who restores may be another one.
#[test]
fn what_is_restored_belongs_to_whom_the_folder_belongs_to() {
    let Some(mut metrics) = started() else { return };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    if chown(metrics.data(), Some(NOBODY), Some(NOBODY)).is_err() {
        return lifeboat_testkit::skip!("only root can give a folder to another user");
    }
    fs::set_permissions(metrics.data(), Permissions::from_mode(0o750)).unwrap();
    metrics.restore(&version);
    let mut pending = vec![metrics.data().join("data"), metrics.data().join("indexdb")];
    let mut seen = 0;
    while let Some(path) = pending.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        let owner = (found.uid(), found.gid());
        assert_eq!(owner, (NOBODY, NOBODY), "{}", path.display());
        let mode = if found.is_dir() { 0o750 } else { 0o640 };
        assert_eq!(found.mode() & 0o777, mode, "{}", path.display());
        if found.is_dir() {
            pending.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
    // The user of the server may be who removes it.
    let work = metrics.data().join(".lifeboat-restore");
    for path in [work.join("previous"), work.join("journal.json"), work] {
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!(
            (found.uid(), found.gid()),
            (NOBODY, NOBODY),
            "{}",
            path.display()
        );
    }
    // A server of that user has to open it for writing.
    let lock = fs::metadata(metrics.data().join("flock.lock")).unwrap();
    assert_eq!((lock.uid(), lock.gid()), (NOBODY, NOBODY));
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 200);
}

/// A volume that is mounted for a group stays with root, and its server, which is in the group, owns all that is in it.
#[test]
fn a_user_whose_group_has_the_volume_restores_to_it() {
    let Some(mut metrics) = started() else { return };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    if chown(metrics.data(), Some(0), Some(NOBODY)).is_err() {
        return lifeboat_testkit::skip!("only root can give a folder to another group");
    }
    fs::set_permissions(metrics.data(), Permissions::from_mode(0o2775)).unwrap();
    fs::set_permissions(
        metrics.data().parent().unwrap(),
        Permissions::from_mode(0o755),
    )
    .unwrap();
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    // Also over what it has restored itself.
    for _ in 0..2 {
        let Some(seen) = as_nobody(&metrics, &restore) else {
            return;
        };
        assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
        for name in ["data", "data/small", "indexdb", "flock.lock"] {
            let found = fs::metadata(metrics.data().join(name)).unwrap();
            assert_eq!((found.uid(), found.gid()), (NOBODY, NOBODY), "{name}");
        }
    }
    // What belongs to another user is not mixed with its own.
    chown(metrics.data().join("data"), Some(1), Some(NOBODY)).unwrap();
    let seen = as_nobody(&metrics, &restore).unwrap();
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr
            .contains("belongs to user 1, and this is user 65534"),
        "{}",
        seen.stderr
    );
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 200);
}

/// The data under another name, where it can only be read.
struct ReadOnly {
    path: PathBuf,
}

impl ReadOnly {
    fn mount(data: &Path, path: &Path) -> Result<Self, String> {
        fs::create_dir_all(path).unwrap();
        let mount = |options: &str| {
            let mut command = Command::new("mount");
            let output = command.args(["-o", options]).arg(data).arg(path).output();
            let output = output.map_err(|error| error.to_string())?;
            if output.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
            }
        };
        mount("bind")?;
        let mounted = Self {
            path: path.to_owned(),
        };
        mount("bind,remount,ro")?;
        Ok(mounted)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        command.arg("--lazy").arg(&self.path).status().ok();
    }
}

#[test]
fn data_that_can_only_be_read_is_backed_up_and_never_restored_to() {
    let Some(mut metrics) = started() else { return };
    let mounted = match ReadOnly::mount(&metrics.data(), &metrics.world.path("mounted")) {
        Ok(mounted) => mounted,
        Err(reason) => {
            return lifeboat_testkit::skip!("a folder cannot be mounted to be read only: {reason}");
        }
    };
    let path = format!(
        "lifeboat.victoria-metrics-0.path={}",
        mounted.path.display()
    );
    let backup = metrics
        .world
        .json(&["--set", &path, "victoria-metrics", "backup", INSTANCE]);
    assert_eq!(backup["samples"], 201);
    assert_eq!(snapshots(metrics.server()), 0);
    let version = backup["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let before = files(&metrics.data());
    let seen = metrics.world.run(&[
        "--set",
        &path,
        "victoria-metrics",
        "restore",
        INSTANCE,
        &version,
        "--yes",
    ]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(seen.stderr.contains("Read-only"), "{}", seen.stderr);
    assert_eq!(files(&metrics.data()), before);
    drop(mounted);
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "boat"), 200);
}

//! A disk that fills up: a clear error, the old store serves, no half object is listed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{BUCKET, World};

/// A file system of a few MiB. Making one needs the right to mount.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
}

impl SmallDisk {
    pub(crate) fn mount(path: &Path, mib: u32) -> Result<Self, String> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={mib}m");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(path)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(Self {
                path: path.to_owned(),
            })
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status()
            .ok();
    }
}

#[test]
fn a_backup_onto_a_full_volume_fails_clearly_and_lists_nothing_half() {
    let mut world = World::without_gateway();
    let disk = match SmallDisk::mount(&world.volume(), 3) {
        Ok(disk) => disk,
        Err(reason) => {
            return lifeboat_testkit::skip!("no small file system can be mounted: {reason}");
        }
    };
    world.start_gateway();
    world.load_ring(300, "first");
    world.ok(&["stackgraph", "backup", "--name", "whole.graph"]);
    let filler = disk.path.join(BUCKET).join("filler");
    fill(&filler);
    let seen = world.run(&["stackgraph", "backup", "--name", "half.graph"]);
    assert_eq!(seen.code, 5, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stderr.contains("storage is full"), "{}", seen.stderr);
    assert!(seen.stderr.contains("free space"), "{}", seen.stderr);
    assert_eq!(world.listed(), ["whole.graph"]);
    world.ok(&["stackgraph", "verify", "whole.graph"]);
    fs::remove_file(filler).unwrap();
    world.ok(&["stackgraph", "backup", "--name", "half.graph"]);
    drop(world.take_gateway());
}

#[test]
fn a_restore_onto_a_full_disk_leaves_the_old_store() {
    let world = World::new();
    let disk = match SmallDisk::mount(&world.store(), 24) {
        Ok(disk) => disk,
        Err(reason) => {
            return lifeboat_testkit::skip!("no small file system can be mounted: {reason}");
        }
    };
    world.load_ring(2_000, "first");
    world.ok(&["stackgraph", "backup", "--name", "a.graph"]);
    let second = world.load_ring(2_000, "second");
    let filler = disk.path.join("filler");
    fill(&filler);
    let seen = world.run(&["stackgraph", "restore", "a.graph", "-force"]);
    assert_eq!(seen.code, 5, "{}{}", seen.stdout, seen.stderr);
    fs::remove_file(filler).unwrap();
    assert_eq!(world.digest(), second);
    world.ok(&["stackgraph", "restore", "a.graph", "-force"]);
}

/// Writes until nothing more fits.
pub(crate) fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    for size in [64 * 1024, 512] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

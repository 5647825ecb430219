//! A control group with the processor and the memory that a container would have.
//!
//! Only root can make one, and only where the kernel's controllers are to be had: the bench says what it left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

const ROOT: &str = "/sys/fs/cgroup";
const MIB: u64 = 1 << 20;

/// What a container may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) memory_mib: u64,
    pub(crate) processors: u32,
}

/// Groups that exist until the value is dropped; by then nothing may run in them.
#[derive(Debug)]
pub(crate) struct Cage {
    groups: Vec<Group>,
}

/// Version 2 has one for everything, version 1 one for each controller.
#[derive(Debug)]
struct Group {
    folder: PathBuf,
    /// The group this process belongs to otherwise.
    home: PathBuf,
}

impl Cage {
    pub(crate) fn make(limits: Limits) -> Result<Self> {
        let memberships =
            fs::read_to_string("/proc/self/cgroup").context("this system has no control groups")?;
        let root = Path::new(ROOT);
        let mut cage = Self { groups: Vec::new() };
        let memory = (limits.memory_mib * MIB).to_string();
        let period = 100_000;
        let quota = (limits.processors * period).to_string();
        if root.join("cgroup.controllers").exists() {
            let home = membership(&memberships, "").context("no group of version 2")?;
            let folder = cage.add(root, &home)?;
            write(&folder.join("memory.max"), &memory)
                .context("the controller of memory is not enabled below the root group")?;
            write(&folder.join("cpu.max"), &format!("{quota} {period}"))?;
        } else {
            for (controller, files) in [
                (
                    "memory",
                    [("memory.limit_in_bytes", memory.as_str()), ("", "")],
                ),
                (
                    "cpu",
                    [
                        ("cpu.cfs_period_us", "100000"),
                        ("cpu.cfs_quota_us", quota.as_str()),
                    ],
                ),
            ] {
                let home = membership(&memberships, controller)
                    .with_context(|| format!("no group for `{controller}`"))?;
                let folder = cage.add(&root.join(controller), &home)?;
                for (name, value) in files.iter().filter(|(name, _)| !name.is_empty()) {
                    write(&folder.join(name), value)?;
                }
            }
        }
        Ok(cage)
    }

    fn add(&mut self, root: &Path, home: &str) -> Result<PathBuf> {
        let folder = root.join(format!("lifeboat-bench-{}", std::process::id()));
        ensure!(root.is_dir(), "`{}` is not there", root.display());
        if let Err(error) = fs::create_dir(&folder)
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            bail!("cannot make a control group (root can): {error}");
        }
        self.groups.push(Group {
            folder: folder.clone(),
            home: root.join(home.trim_start_matches('/')),
        });
        Ok(folder)
    }

    /// What `start` starts is a member for ever; this process is one only meanwhile.
    pub(crate) fn around<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        let own = std::process::id().to_string();
        for group in &self.groups {
            write(&group.folder.join("cgroup.procs"), &own)?;
        }
        let result = start();
        for group in &self.groups {
            write(&group.home.join("cgroup.procs"), &own)?;
        }
        result
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        for group in &self.groups {
            // A group that still has members stays, empty of limits that matter to anybody else.
            let _kept = fs::remove_dir(&group.folder);
        }
    }
}

/// The path of this process's group: lines are `ID:CONTROLLERS:PATH`, and version 2 names no controllers.
fn membership(lines: &str, controller: &str) -> Option<String> {
    lines.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        controllers
            .split(',')
            .any(|one| one == controller)
            .then(|| path.to_owned())
    })
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_own_group_in_both_versions() {
        let first = "4:memory:/pods/a:b\n1:cpu,cpuacct:/\n0::/\n";
        assert_eq!(membership(first, "memory").unwrap(), "/pods/a:b");
        assert_eq!(membership(first, "cpu").unwrap(), "/");
        assert_eq!(membership("0::/user.slice\n", "").unwrap(), "/user.slice");
        assert_eq!(membership("0::/user.slice\n", "memory"), None);
    }
}

//! What of a data folder cannot be renamed with the rest: volumes that are mounted in it, and links.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{ENTRIES, PASSING, failed};
use crate::error::Error;

/// The mounts of this process, as Linux lists them (`proc_pid_mountinfo(5)`).
const MOUNTS: &str = "/proc/self/mountinfo";

/// The entries of a data folder that are volumes of their own. They stay where they are, and are emptied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mounted(Vec<&'static str>);

impl Mounted {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

/// Looks at a data folder that need not exist. An error where part of the data could not be moved; of what is worth nothing without the rest,
/// a volume of its own is found and can stay.
pub(super) fn look(root: &Path) -> Result<Mounted, Error> {
    let refused = |what: String| Error::Target {
        path: root.to_owned(),
        source: io::Error::other(what),
    };
    let mut mounted = Mounted::default();
    for name in ENTRIES {
        let path = root.join(name);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("look at", &path)(error)),
        };
        if found.is_symlink() {
            return Err(refused(format!(
                "`{name}` in it is a link, and what it leads to cannot be renamed with the rest"
            )));
        }
        let volume = fs::metadata(root).map_err(failed("look at", root))?.dev();
        if found.dev() != volume {
            mounted.0.push(name);
        }
    }
    // Of the same file system, as a folder of the host in a container, a mount shows itself only here.
    let canonical = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let listed = fs::read(MOUNTS).unwrap_or_default();
    for inside in points(&listed).filter_map(|point| inside(&canonical, &point)) {
        let entry = ENTRIES.into_iter().find(|name| inside.starts_with(name));
        match entry {
            Some(name) if inside == Path::new(name) && mounted.contains(name) => {}
            Some(name) if inside == Path::new(name) => mounted.0.push(name),
            Some(_) => {
                return Err(refused(format!(
                    "`{}` in it is a volume of its own, and would stay in the data that is moved away",
                    inside.display()
                )));
            }
            None => {}
        }
    }
    if let Some(name) = mounted.names().find(|name| !PASSING.contains(name)) {
        return Err(refused(format!(
            "`{name}` in it is a volume of its own, and cannot be renamed with the rest"
        )));
    }
    Ok(mounted)
}

/// Where something is mounted below a folder, seen from there.
fn inside(root: &Path, point: &Path) -> Option<PathBuf> {
    let inside = point.strip_prefix(root).ok()?;
    (!inside.as_os_str().is_empty()).then(|| inside.to_owned())
}

/// The mount points of a list: the fifth field of each line, in which `\040` stands for a blank.
fn points(listed: &[u8]) -> impl Iterator<Item = PathBuf> {
    listed.split(|byte| *byte == b'\n').filter_map(|line| {
        let field = line.split(|byte| *byte == b' ').nth(4)?;
        Some(PathBuf::from(OsString::from_vec(unescaped(field))))
    })
}

fn unescaped(mut field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        field = rest;
        let code = rest.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                field = &rest[3..];
            }
            None => bytes.push(*first),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mount_points_are_read_as_linux_writes_them() {
        let listed = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            40 22 8:1 /srv/a /storage/data\\040of\\134x rw - ext4 /dev/sda1 rw\nrubbish\n";
        let found: Vec<_> = points(listed).collect();
        assert_eq!(
            found,
            [Path::new("/"), Path::new("/storage/data of\\x")].map(Path::to_owned)
        );
        let inside = |point: &str| inside(Path::new("/storage"), Path::new(point));
        assert_eq!(inside("/storage/data/big"), Some("data/big".into()));
        for other in ["/storage", "/", "/storage2/data", "/storages"] {
            assert_eq!(inside(other), None, "{other}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_data_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("data")).unwrap();
        assert_eq!(look(root.path()).unwrap(), Mounted::default());
        // One that leads nowhere as well.
        for target in [elsewhere.path(), Path::new("../nowhere")] {
            let link = root.path().join("cache");
            symlink(target, &link).unwrap();
            let error = look(root.path()).unwrap_err();
            assert!(matches!(error, Error::Target { .. }), "{error}");
            fs::remove_file(&link).unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_list_of_mounts_is_read(listed: Vec<u8>) {
            let points: Vec<_> = points(&listed).collect();
            prop_assert!(points.len() <= listed.len() + 1);
        }

        #[test]
        fn what_is_escaped_is_read_back(name in "[a-z \\\\\t]{0,12}") {
            let escaped: Vec<u8> = name
                .bytes()
                .flat_map(|byte| match byte {
                    b' ' | b'\t' | b'\\' => format!("\\{byte:03o}").into_bytes(),
                    byte => vec![byte],
                })
                .collect();
            prop_assert_eq!(unescaped(&escaped), name.into_bytes());
        }
    }
}

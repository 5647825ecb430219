//! A volume without room, and one that is read-only: a small file system of its own, so it takes root.

use std::fs;
use std::path::Path;
use std::process::Command;

use lifeboat_core::error::Kind;
use lifeboat_gateway::backend::options::PutOptions;
use lifeboat_gateway::backend::{Backend as _, Error};
use lifeboat_gateway::backends::local::{Local, OpenError};
use tempfile::TempDir;

use crate::support::{all_keys, at, begin, content, put, put_part, read, sources};

/// A file system of two megabytes, unmounted at the end.
struct Small(TempDir);

impl Small {
    /// Nothing where the machine does not allow a mount; then it says so.
    fn mount() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(directory.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(directory)),
            _ => {
                lifeboat_testkit::skip!(
                    "this machine does not let the test mount a small file system"
                );
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount_read_only(&self) {
        let status = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.path())
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let status = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
        assert!(status.unwrap().success());
    }
}

#[tokio::test]
async fn a_full_volume_refuses_one_request_and_keeps_everything_else() {
    let Some(small) = Small::mount() else { return };
    let local = Local::open(small.path(), sources(1)).unwrap();
    local.create_bucket("bucket").await.unwrap();
    put(&local, "kept", "old").await.unwrap();
    for key in ["kept", "new"] {
        let too_much = content(vec![0; 4_000_000]);
        let failed = local.put(&at(key), PutOptions::default(), too_much).await;
        assert!(matches!(failed, Err(Error::Full { .. })), "{failed:?}");
    }
    let upload = begin(&local, "big").await.unwrap();
    let failed = put_part(&local, "big", &upload, 1, content(vec![0; 4_000_000])).await;
    assert!(matches!(failed, Err(Error::Full { .. })), "{failed:?}");
    assert!(
        local
            .parts(&at("big"), &upload)
            .await
            .unwrap()
            .parts
            .is_empty()
    );
    local.abort_upload(&at("big"), &upload).await.unwrap();
    assert_eq!(all_keys(&local).await, ["kept"]);
    assert_eq!(read(&local, "kept").await.unwrap(), "old");
    put(&local, "after", "there is room again").await.unwrap();
}

#[test]
fn a_volume_that_is_full_or_read_only_is_not_taken_into_service() {
    let Some(small) = Small::mount() else { return };
    fs::write(small.path().join("filler"), vec![0; 8_000_000]).unwrap_err();
    let error = Local::open(small.path(), sources(1)).unwrap_err();
    assert!(matches!(error, OpenError::Full { .. }), "{error:?}");
    assert_eq!(error.kind(), Kind::Unavailable);
    fs::remove_file(small.path().join("filler")).unwrap();
    small.remount_read_only();
    let error = Local::open(small.path(), sources(1)).unwrap_err();
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("read-only"), "{error}");
}

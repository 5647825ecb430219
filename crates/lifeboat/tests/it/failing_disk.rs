//! A disk that refuses to confirm what it was given: the request fails, and nobody finds anything of it later.
//!
//! The refusals come from `strace`, which lets chosen calls of a running process fail, so they meet the program as it is.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use lifeboat_testkit::process::Process;
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::world::{BUCKET, World};

/// Calls of a process that fail until this is dropped.
struct Faults(Option<Process>);

impl Faults {
    /// Lets every `fsync` of the directory at `path` fail. The error says why the machine does not allow that.
    fn of_syncs(process: u32, path: &Path) -> Result<Self, String> {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-p", &process.to_string(), "-e", "trace=fsync"])
            .args(["-e", "inject=fsync:error=EIO", "-P"])
            .arg(path);
        let tracer = Process::start(&mut command).map_err(|error| error.to_string())?;
        tracer
            .wait_for_line(Duration::from_secs(20), |line| {
                line.contains("attached").then_some(())
            })
            .map_err(|error| error.to_string())?;
        Ok(Self(Some(tracer)))
    }

    /// Ends the faults. Returns how many there were.
    fn end(mut self) -> usize {
        let ended = self.0.take().expect("ended once").stop().unwrap();
        ended.stderr.matches("(INJECTED)").count()
    }
}

async fn content(s3: &AmazonS3, key: &str) -> Option<Bytes> {
    match s3.get(&Key::from(key)).await {
        Ok(object) => Some(object.bytes().await.unwrap()),
        Err(object_store::Error::NotFound { .. }) => None,
        Err(error) => panic!("`{key}` cannot be read: {error}"),
    }
}

async fn keys(s3: &AmazonS3) -> Vec<String> {
    let listed = s3.list(None).map_ok(|object| object.location.to_string());
    listed.try_collect().await.unwrap()
}

#[test]
fn a_change_that_the_disk_does_not_confirm_is_taken_back() {
    let mut world = World::new();
    let gateway = world.take_gateway();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let s3 = world.s3();
    let key = |name: &str| Key::from(name);
    let upload = runtime.block_on(async {
        for name in ["replaced", "copied-over", "deleted", "source"] {
            s3.put(&key(name), name.into()).await.unwrap();
        }
        let id = s3.create_multipart(&key("upload")).await.unwrap();
        let part = s3.put_part(&key("upload"), &id, 0, "part".into()).await;
        (id, part.unwrap())
    });
    let faults = match Faults::of_syncs(gateway.id(), &world.volume().join(BUCKET)) {
        Ok(faults) => faults,
        Err(reason) => {
            return lifeboat_testkit::skip!("no calls can be made to fail: {reason}");
        }
    };
    let (id, part) = upload;
    runtime.block_on(async {
        s3.put(&key("new"), "new".into()).await.unwrap_err();
        s3.put(&key("replaced"), "new".into()).await.unwrap_err();
        s3.copy(&key("source"), &key("new")).await.unwrap_err();
        s3.copy(&key("source"), &key("copied-over"))
            .await
            .unwrap_err();
        s3.delete(&key("deleted")).await.unwrap_err();
        s3.complete_multipart(&key("upload"), &id, vec![part.clone()])
            .await
            .unwrap_err();
    });
    assert!(faults.end() >= 6, "hardly any call failed");
    let check = async |s3: &AmazonS3| {
        let there = ["copied-over", "deleted", "replaced", "source"];
        for name in there {
            assert_eq!(content(s3, name).await, Some(Bytes::from(name)));
        }
        assert_eq!(keys(s3).await, there);
    };
    runtime.block_on(check(&s3));
    let left = fs::read_dir(world.volume().join(".lifeboat/tmp")).unwrap();
    assert_eq!(left.count(), 0);
    gateway.kill().unwrap();
    world.start_gateway();
    let s3 = world.s3();
    runtime.block_on(async {
        check(&s3).await;
        s3.complete_multipart(&key("upload"), &id, vec![part])
            .await
            .unwrap();
        assert_eq!(content(&s3, "upload").await, Some(Bytes::from("part")));
    });
}

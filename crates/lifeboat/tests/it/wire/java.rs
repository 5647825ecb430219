//! Programs of one file in `tests/java`, which Java compiles when it starts them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lifeboat_testkit::java;
use lifeboat_testkit::maven::Libraries;
use lifeboat_testkit::process::run_within;

use super::Ran;
use crate::world::{BUCKET, World};

/// What the programs are written for.
const RELEASE: u32 = 17;

/// Some seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs a program, which must find every answer as it expects it.
pub(super) fn run(world: &World, libraries: Libraries, program: &str) -> Ran {
    let (java, folder) = match java::home(RELEASE).and_then(|home| Ok((home, libraries.folder()?)))
    {
        Ok(both) => both,
        Err(error) => {
            lifeboat_testkit::skip!("no {}: {error:#}", libraries.name);
            return Ran::Skipped;
        }
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/java")
        .join(program);
    let mut command = Command::new(java.join("bin/java"));
    command
        .env_clear()
        .current_dir(world.path(""))
        .env("S3_ENDPOINT", world.endpoint())
        .env("S3_BUCKET", BUCKET)
        .env("AWS_ACCESS_KEY_ID", world.keys().access)
        .env("AWS_SECRET_ACCESS_KEY", world.keys().secret)
        .env("STORE_LACKS", world.store_lacks())
        // It runs for seconds: to compile well would take longer.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"])
        .arg("-Daws.java.v1.disableDeprecationAnnouncement=true")
        .arg(format!("-Duser.home={}", world.path("").display()))
        .arg("-cp")
        .arg(folder.join("*"))
        .arg(source);
    let printed = run_within(&mut command, PATIENCE).unwrap_or_else(|error| {
        panic!("{program} in front of {}: {error:#}", world.storage_name())
    });
    assert!(printed.contains(" answers were those that "), "{printed}");
    Ran::Whole
}

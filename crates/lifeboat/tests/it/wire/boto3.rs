//! boto3, and requests signed by hand where it cannot misbehave.

use std::path::Path;
use std::process::Command;

use lifeboat_testkit::python;

use super::Ran;
use crate::world::{BUCKET, World};

/// Runs one of the scripts in `tests/python` and returns what it printed.
fn script(world: &World, name: &str) -> Option<String> {
    let interpreter = match python::interpreter() {
        Ok(interpreter) => interpreter,
        Err(error) => {
            lifeboat_testkit::skip!("no Python with boto3: {error:#}");
            return None;
        }
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let output = Command::new(interpreter)
        .arg(folder.join(name))
        .env("S3_ENDPOINT", world.endpoint())
        .env("S3_BUCKET", BUCKET)
        .env("AWS_ACCESS_KEY_ID", world.keys().access)
        .env("AWS_SECRET_ACCESS_KEY", world.keys().secret)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("STORE_LACKS", world.store_lacks())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    Some(stdout)
}

pub(super) fn finds_every_call_as_amazon_documents_it(world: &World) -> Ran {
    let Some(printed) = script(world, "boto3_calls.py") else {
        return Ran::Skipped;
    };
    assert!(
        printed.contains("calls answered as documented"),
        "{printed}"
    );
    Ran::Whole
}

pub(super) fn sends_bodies_in_chunks_that_count_only_when_whole(world: &World) -> Ran {
    let Some(printed) = script(world, "signed_streams.py") else {
        return Ran::Skipped;
    };
    assert!(
        printed.contains("streams answered as documented"),
        "{printed}"
    );
    Ran::Whole
}

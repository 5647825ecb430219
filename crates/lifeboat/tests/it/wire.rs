//! What other programs see of the gateway: the clients that people use.

use std::process::Command;

use lifeboat_testkit::python;

use crate::world::{ACCESS_KEY, SECRET_KEY, World};

#[test]
fn boto3_finds_every_call_as_amazon_documents_it() {
    let interpreter = match python::interpreter() {
        Ok(interpreter) => interpreter,
        Err(error) => return lifeboat_testkit::skip!("no Python with boto3: {error:#}"),
    };
    let world = World::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/boto3_calls.py");
    let output = Command::new(interpreter)
        .arg(script)
        .env("S3_ENDPOINT", world.endpoint())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("calls answered as documented"), "{stdout}");
}

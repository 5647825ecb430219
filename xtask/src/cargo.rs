//! Running cargo from within `cargo xtask`, as if it were called from a shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lifeboat_testkit::{environment, workspace};
use serde::Deserialize;

/// Returns a command that runs at the root of the workspace without input.
///
/// What `cargo run` sets for us is taken away: build scripts that look at `CARGO_PKG_…` would run again each
/// time, and much would be built twice.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).stdin(Stdio::null());
    for name in environment::names() {
        if name.to_str().is_some_and(set_by_cargo_run) {
            command.env_remove(name);
        }
    }
    command
}

fn set_by_cargo_run(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || [
            "CARGO",
            "CARGO_CRATE_NAME",
            "CARGO_BIN_NAME",
            "CARGO_PRIMARY_PACKAGE",
            "OUT_DIR",
        ]
        .contains(&name)
}

/// Returns a cargo command. In CI, where nothing is built twice, what would speed up a second build is left out.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = command("cargo");
    command.args(arguments);
    if environment::variable("CI").is_some() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// How a binary is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Builds the binary of a package and returns where cargo put it.
pub(crate) fn build(package: &str, profile: Profile) -> Result<PathBuf> {
    let mut command = cargo(&["build", "--locked", "--package", package, "--bins"]);
    command.arg("--message-format=json-render-diagnostics");
    if profile == Profile::Release {
        command.arg("--release");
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cannot build `{package}`");
    }
    executable(&String::from_utf8_lossy(&output.stdout), package)
        .with_context(|| format!("`{package}` has no binary of its name"))
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable)
        .find(|path| path.file_name().is_some_and(|file| file == name))
}

/// Returns the folder of build results, which every cargo setting can move.
pub(crate) fn target() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let output = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .context("cannot read what cargo metadata printed")?;
    Ok(metadata.target_directory)
}

/// Returns a path as a person would write it from the root of the workspace.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(workspace::root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_binary_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/target/debug/lifeboat-helper"}
not json
{"reason":"compiler-artifact","executable":"/target/debug/lifeboat"}"#;
        assert_eq!(
            executable(messages, "lifeboat"),
            Some(PathBuf::from("/target/debug/lifeboat"))
        );
        assert_eq!(executable(messages, "other"), None);
    }

    #[test]
    fn settings_of_the_person_are_left_alone() {
        for name in [
            "CARGO_TARGET_DIR",
            "CARGO_HOME",
            "CARGO_INCREMENTAL",
            "CARGO_NET_OFFLINE",
        ] {
            assert!(!set_by_cargo_run(name), "{name}");
        }
        assert!(set_by_cargo_run("CARGO_PKG_VERSION_MAJOR"));
    }
}

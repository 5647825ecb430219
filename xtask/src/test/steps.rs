//! The steps, cheap checks first.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use lifeboat_testkit::cache::Missing;
use lifeboat_testkit::{environment, skip};

use super::conformance;
use super::fuzz;
use super::harness::Harness;
use super::tools::{self, Tools};
use super::{Done, Session, Step};
use crate::{cargo, tidy};

pub(super) const ALL: [Step; 12] = [
    Step {
        name: "set-up",
        run: set_up,
    },
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "tidy",
        run: tidy,
    },
    Step {
        name: "typos",
        run: typos,
    },
    Step {
        name: "deny",
        run: deny,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "fuzz",
        run: fuzz::fuzz,
    },
    Step {
        name: "servers",
        run: servers,
    },
    Step {
        name: "tests",
        run: tests,
    },
    Step {
        name: "conformance",
        run: conformance::check,
    },
    Step {
        name: "doc-tests",
        run: doc_tests,
    },
];

#[expect(clippy::unnecessary_wraps, reason = "it has the form of a step")]
fn set_up(session: &mut Session) -> Result<Done> {
    session.tools = Tools::set_up();
    Ok(Done::Passed)
}

fn format(session: &mut Session) -> Result<Done> {
    let workspace = check(&mut session.cargo(&["fmt", "--all", "--check"]))?;
    let targets =
        check(&mut session.cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    Ok(Done::of(
        [workspace, targets]
            .iter()
            .all(|done| *done == Done::Passed),
    ))
}

fn tidy(_: &mut Session) -> Result<Done> {
    let report = tidy::check(tidy::Fix::Leave)?;
    report.print();
    if report.is_clean() && !report.skipped.is_empty() {
        let reason = report.skipped.join("; ");
        return Ok(Done::Skipped { reason });
    }
    Ok(Done::of(report.is_clean()))
}

fn typos(session: &mut Session) -> Result<Done> {
    match &session.tools.typos {
        Ok(program) => check(&mut cargo::command(program)),
        Err(reason) => Ok(skipped(reason)),
    }
}

fn deny(session: &mut Session) -> Result<Done> {
    // Of other systems as well, whose crates nothing here builds.
    if !matches!(
        check(&mut session.cargo(&["fetch", "--locked"]))?,
        Done::Passed
    ) {
        return Ok(skipped("not all crates can be fetched"));
    }
    match &session.tools.deny {
        Ok(program) => check(
            cargo::command(program)
                .args(["--offline", "--log-level", "warn", "check"])
                .args(["bans", "licenses", "sources"]),
        ),
        Err(reason) => Ok(skipped(reason)),
    }
}

fn clippy(session: &mut Session) -> Result<Done> {
    check(
        session
            .cargo(&["clippy", "--locked", "--workspace", "--all-targets"])
            .args(["--", "--deny", "warnings"]),
    )
}

fn docs(session: &mut Session) -> Result<Done> {
    check(
        session
            .cargo(&[
                "doc",
                "--locked",
                "--workspace",
                "--no-deps",
                "--document-private-items",
            ])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

/// Afterwards no test fetches or builds anything: what is not here now is a skip with its reason.
#[expect(clippy::unnecessary_wraps, reason = "it has the form of a step")]
fn servers(session: &mut Session) -> Result<Done> {
    let missing = tools::fetch_peers();
    session.missing = Missing::Refuse;
    Ok(match missing[..] {
        [] => Done::Passed,
        _ => skipped(&missing.join("; ")),
    })
}

fn tests(session: &mut Session) -> Result<Done> {
    let log = conformance::log()?;
    if log.exists() {
        std::fs::remove_file(&log)?;
    }
    let done = harness(session, &["--lib", "--bins", "--tests"])?;
    if let Done::Tests(tally) = &done {
        session.skips = Some(tally.skipped.len());
    }
    Ok(done)
}

fn doc_tests(session: &mut Session) -> Result<Done> {
    harness(session, &["--doc"])
}

fn skipped(reason: &str) -> Done {
    Done::Skipped {
        reason: reason.to_owned(),
    }
}

/// Runs a check whose exit code is its result. Stdout is kept for the summary.
fn check(command: &mut Command) -> Result<Done> {
    let status = command
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .with_context(|| format!("cannot run `{}`", command.get_program().display()))?;
    Ok(Done::of(status.success()))
}

/// Runs tests, showing what is not plain success, and counts them.
fn harness(session: &mut Session, which: &[&str]) -> Result<Done> {
    // One pipe for both outputs: cargo names the binary on stderr, the binary its tests on stdout.
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let skip_log = session
        .scratch
        .path()
        .join(format!("skips{}", which.concat()));
    let mut command = session.cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    command
        .args(which)
        .env(environment::SKIP_LOG, &skip_log)
        .env(environment::SIGHTINGS_LOG, conformance::log()?)
        .env(
            environment::FETCH,
            match session.missing {
                Missing::Make => "",
                Missing::Refuse => environment::NEVER,
            },
        )
        .env("CARGO_TERM_COLOR", "never")
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn().context("cannot run cargo")?;
    // It holds the writing ends, without which the pipe would never end.
    drop(command);
    let mut harness = Harness::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        writeln!(session.log, "{line}")?;
        if harness.read(&line) {
            eprintln!("{line}");
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    let mut tally = harness.finish(status.success());
    tally.skip(skip::Entry::read_all(&skip_log)?);
    Ok(Done::Tests(tally))
}

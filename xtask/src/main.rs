//! The project's own commands: `cargo xtask test`, `demo`, `bench`, `tidy`. One file each.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a person at a terminal, and to nobody else"
)]

mod bench;
mod cargo;
mod data;
mod demo;
mod table;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The commands with which Lifeboat is worked on
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(test::Arguments),
    Demo(demo::Arguments),
    Bench(bench::Arguments),
    Tidy(tidy::Arguments),
    /// Write what the last `cargo xtask test` saw of clients into docs/reference/s3.md
    Conformance,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Tidy(arguments) => tidy::run(&arguments),
        Command::Conformance => test::write_conformance(),
    };
    match done {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) => {
            // Not the debug form, which would add a backtrace where the environment asks for one.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How a command that could be carried out turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Something was found, and has been said.
    Bad,
}

impl Verdict {
    const fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

type Outcome = Result<Verdict>;

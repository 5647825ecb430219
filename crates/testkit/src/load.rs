//! Our load program: a client on minio-go that compares what it reads with what it wrote.
//!
//! Its source is `bench/load`; `command` says against whom. What it prints is one line of JSON.

use std::process::Command;

use anyhow::Result;

use crate::go::Own;
use crate::servers::Server;

pub const PROGRAM: Own = Own {
    name: "s3load",
    sources: "bench/load",
};

/// Returns a command for one kind of work on a server; its flags are still to be added.
pub fn command(server: &Server, operation: &str) -> Result<Command> {
    let mut command = Command::new(PROGRAM.program()?);
    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", server.keys().access)
        .env("AWS_SECRET_ACCESS_KEY", server.keys().secret)
        .arg(operation)
        .args(["-endpoint", &server.address().to_string()]);
    Ok(command)
}

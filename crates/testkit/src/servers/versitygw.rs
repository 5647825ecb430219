//! versitygw with its posix backend: objects are plain files, their headers extended attributes.

use std::path::Path;

use anyhow::Result;

use super::{KEYS, Launch, Server, command, data, refuses_strangers};
use crate::go::{Module, Way};

pub const MODULE: Module = Module {
    name: "versitygw",
    path: "github.com/versity/versitygw",
    version: "v1.8.0",
    programs: &["cmd/versitygw"],
    way: Way::Install,
};

/// Starts it with its data in `work`, which must be on a file system with extended attributes.
pub fn start(work: &Path) -> Result<Server> {
    let program = MODULE.program("versitygw")?;
    let launch = Launch {
        name: "versitygw",
        work,
        keys: KEYS,
        ready: refuses_strangers,
    };
    launch.start(|address| {
        let mut command = command(&program, work);
        command
            .args(["--quiet", "--port", &address.to_string(), "posix"])
            .arg(data(work))
            .env("ROOT_ACCESS_KEY", KEYS.access)
            .env("ROOT_SECRET_KEY", KEYS.secret);
        Ok(command)
    })
}

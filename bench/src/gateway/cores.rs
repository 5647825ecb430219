//! Which processors the server has and which the load, so that neither takes the other's time.

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How servers and load share the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sharing {
    /// One core for the server, another one for the load.
    Apart,
    /// Everybody may use every core.
    Shared,
}

/// Processes started within one of the methods stay on the cores it chose: children inherit them.
#[derive(Debug)]
pub(crate) struct Cores {
    all: CpuSet,
    server: CpuSet,
    load: CpuSet,
    described: &'static str,
}

impl Cores {
    pub(crate) fn choose(sharing: Sharing) -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut each = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        Ok(match (sharing, each.next(), each.next()) {
            (Sharing::Apart, Some(server), Some(load)) => Self {
                all,
                server: one(server),
                load: one(load),
                described: "one core for the server, one for the load",
            },
            _ => Self {
                all,
                server: all,
                load: all,
                described: "server and load share all cores",
            },
        })
    }

    pub(crate) fn server<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        self.on(&self.server, start)
    }

    pub(crate) fn load<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.on(&self.load, run)
    }

    fn on<T>(&self, cores: &CpuSet, run: impl FnOnce() -> Result<T>) -> Result<T> {
        sched_setaffinity(None, cores)?;
        let result = run();
        sched_setaffinity(None, &self.all)?;
        result
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.described)
    }
}

fn one(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use lifeboat_testkit::process;

    use super::*;

    #[test]
    fn what_is_started_stays_on_its_cores_and_we_return_to_all() {
        let before = sched_getaffinity(None).unwrap();
        let cores = Cores::choose(Sharing::Apart).unwrap();
        let allowed = || process::run(Command::new("nproc").env_clear());
        if before.count() > 1 {
            assert_eq!(cores.server(allowed).unwrap().trim(), "1");
            assert_eq!(cores.load(allowed).unwrap().trim(), "1");
        }
        assert!(sched_getaffinity(None).unwrap() == before);
    }
}

//! A program that is run against a gateway of its own.

use std::path::PathBuf;
use std::process::Command;

use lifeboat_testkit::debian::Package;
use lifeboat_testkit::process::run;

use crate::world::World;

/// A program that talks S3, with a world to talk to.
pub(super) struct Client<'a> {
    pub(super) world: &'a World,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl<'a> Client<'a> {
    /// Nothing where the program cannot be had; then it says so.
    pub(super) fn new(
        world: &'a World,
        package: Package,
        environment: impl FnOnce(&str) -> Vec<(&'static str, String)>,
    ) -> Option<Self> {
        let program = match package.program() {
            Ok(program) => program,
            Err(error) => {
                lifeboat_testkit::skip!("no {}: {error:#}", package.name);
                return None;
            }
        };
        let environment = environment(world.endpoint());
        Some(Self {
            world,
            program,
            environment,
        })
    }

    /// Runs the program, which must succeed, and returns what it printed.
    pub(super) fn ok(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", self.world.path("home"))
            .env("AWS_ACCESS_KEY_ID", self.world.keys().access)
            .env("AWS_SECRET_ACCESS_KEY", self.world.keys().secret)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.world.path(""))
            .args(arguments);
        run(&mut command).unwrap_or_else(|error| panic!("`{arguments:?}`: {error:#}"))
    }
}

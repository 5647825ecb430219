//! What every command has: settings, output, clock, and the way to the stores.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::settings::{Driver, Settings, Source};
use lifeboat_core::size::ByteSize;
use lifeboat_stackgraph::catalog::Catalog;
use lifeboat_stackgraph::embedded::{self, Holder};
use lifeboat_storage::{Access, Bucket, Endpoint, Signing};
use rand::RngExt;

use crate::bar::{Bar, Measure};
use crate::cli::Global;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals;

/// Bytes of the store that reading and small changes keep in memory.
const STORE_CACHE: usize = 128 * 1024 * 1024;
/// Bytes that a restore needs beside what the store's loader takes: blocks on their way and the program itself.
const AROUND_A_LOAD: u64 = 160 * 1024 * 1024;

/// Built once from the command line, the files and the environment.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) out: Output,
    pub(crate) clock: Clock,
    /// Threads for what uses the processor.
    pub(crate) workers: usize,
    quiet: bool,
    /// May hold secrets.
    environment: BTreeMap<String, String>,
}

/// What a command is going to do with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreUse {
    /// The store must exist.
    Read,
    /// It is made where it does not exist.
    Write,
}

impl Context {
    /// Stands in every file that this program writes.
    pub(crate) const PROGRAM: &'static str = concat!("lifeboat ", env!("CARGO_PKG_VERSION"));

    pub(crate) fn new(
        global: &Global,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let sources = global
            .values
            .iter()
            .map(|path| read(path))
            .collect::<Result<Vec<_>, _>>()?;
        let settings =
            Settings::from_values(&sources, &global.set, environment).map_err(|errors| {
                Failure::new(errors.kind(), errors)
                    .hint("docs/reference/settings.md lists every key")
            })?;
        let time_zone = match &settings.lifeboat.time_zone {
            None => TimeZone::system(),
            Some(name) => TimeZone::get(name).map_err(|error| {
                Failure::new(Kind::Invalid, error)
                    .context("`lifeboat.timeZone` is not the name of a time zone")
                    .hint(
                        "a name of the time zone database, for example `Europe/Amsterdam` or `UTC`",
                    )
            })?,
        };
        for warning in &settings.warnings {
            tracing::warn!(%warning, "settings");
        }
        Ok(Self {
            settings,
            out: Output::new(global.output),
            clock: Clock::new(time_zone),
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            quiet: global.quiet,
            environment: environment.clone(),
        })
    }

    /// What the environment says, for what is neither a setting nor an option: the identity of a pod.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// The bucket of the StackGraph backups. Nothing is sent yet.
    pub(crate) fn stackgraph_bucket(&self) -> Result<Bucket, Failure> {
        self.bucket(&self.settings.stackgraph.bucket)
    }

    /// A bucket behind the gateway. Nothing is sent yet.
    pub(crate) fn bucket(&self, name: &str) -> Result<Bucket, Failure> {
        self.settings.require_backup_enabled()?;
        let credentials = self.settings.client_credentials()?;
        let endpoint = Endpoint {
            url: self.settings.lifeboat.endpoint.clone(),
            region: "us-east-1".to_owned(),
            read_timeout: match self.settings.lifeboat.read_timeout_seconds {
                0 => None,
                seconds => Some(Duration::from_secs(seconds)),
            },
            content: if self.settings.lifeboat.sign_content {
                Signing::Content
            } else {
                Signing::Checksum
            },
        };
        let access = Access {
            access_key: credentials.access_key.expose().to_owned(),
            secret_key: credentials.secret_key.expose().to_owned(),
        };
        Ok(Bucket::new(endpoint, name, &access)?)
    }

    pub(crate) fn stackgraph_catalog<'a>(&'a self, bucket: &'a Bucket) -> Catalog<'a> {
        Catalog {
            bucket,
            prefix: &self.settings.stackgraph.prefix,
            pattern: &self.settings.stackgraph.scheduled.names,
            time_zone: self.clock.time_zone(),
        }
    }

    /// Opens the store. `command` is what others are told while it is held.
    pub(crate) fn stackgraph_store(
        &self,
        usage: StoreUse,
        command: &str,
    ) -> Result<Arc<embedded::Store>, Failure> {
        let Driver::Embedded = self.settings.lifeboat.stackgraph.driver;
        let options = embedded::Options {
            cache: STORE_CACHE,
            holder: Holder {
                pid: std::process::id(),
                command: format!("lifeboat stackgraph {command}"),
                host: host(),
                since: self.clock.now(),
            },
        };
        let path = Path::new(&self.settings.lifeboat.stackgraph.path);
        let store = match usage {
            StoreUse::Read => embedded::Store::open(path, options)?,
            StoreUse::Write => embedded::Store::create(path, options)?,
        };
        Ok(Arc::new(store))
    }

    /// Bytes that the loader of a restore may take, of those that the whole program may.
    pub(crate) fn stackgraph_memory(&self, whole: Option<ByteSize>) -> u64 {
        whole
            .unwrap_or(self.settings.lifeboat.stackgraph.memory)
            .0
            .saturating_sub(AROUND_A_LOAD)
            // Nothing would mean that nothing was said.
            .max(1)
    }

    /// Shows how far an operation has come, on a terminal and unless `--quiet`.
    pub(crate) fn bar(&self, doing: &'static str, progress: &Arc<Progress>) -> Option<Bar> {
        self.bar_by(Measure::Count("elements"), doing, progress)
    }

    pub(crate) fn bar_by(
        &self,
        measure: Measure,
        doing: &'static str,
        progress: &Arc<Progress>,
    ) -> Option<Bar> {
        let shown = !self.quiet && std::io::stderr().is_terminal();
        shown.then(|| Bar::follow(doing, measure, progress))
    }

    /// Runs `work`, and asks it to stop and undo what it began when a signal comes. From then on another one ends the program at once.
    pub(crate) async fn interruptible<T, E: Into<Failure>>(
        &self,
        progress: &Progress,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        // Before the work begins: what it has begun has to be undone.
        let stop_requested = signals::stop_requested_from_now();
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done.map_err(Into::into),
            () = stop_requested => progress.stop(),
        }
        // Nobody may be left to tell, and what was begun is undone all the same.
        self.note("stopping, and undoing what was begun; another signal ends this at once")
            .ok();
        signals::end_at_the_next();
        // It may have been past the point where it could stop: then it is done.
        work.await.map_err(|_| Failure::interrupted())
    }

    /// Tells a person something beside the result.
    pub(crate) fn note(&self, text: &str) -> Result<(), Failure> {
        if !self.quiet {
            writeln!(anstream::stderr(), "note: {text}")?;
        }
        Ok(())
    }
}

/// For people: who this run is.
pub(crate) fn owner(command: &str) -> String {
    format!(
        "`lifeboat {command}` on {}, process {}",
        host(),
        std::process::id()
    )
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> Result<Source, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Invalid,
        };
        Failure::new(kind, error)
            .context(format!("cannot read the values file `{}`", path.display()))
    })?;
    Ok(Source {
        name: path.display().to_string(),
        text,
    })
}

/// The one place that draws random numbers for files.
pub(crate) fn random_uuid() -> [u8; 16] {
    rand::rng().random()
}

/// Runs what uses the processor or the disk for long on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Kind::Bug, error))?
}

/// Asks a person, and is yes where nobody can be asked: there the options given are the answer.
pub(crate) fn confirm(plan: &str) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(true);
    }
    write!(anstream::stderr(), "{plan}Go on? [y/N] ")?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

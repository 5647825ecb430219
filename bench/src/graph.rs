//! The graph bench: store to file, file proved, file to store; with peers that a person could use instead.
//!
//! Each step is a process of its own, started with a cold cache. That the graph came back is asserted by its digest;
//! how long it took is printed and never judged.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::measure::{Measured, drop_caches, load_average, machine};
use crate::peer;
use crate::report::{self, Report, Row, Task, Way};
use crate::step::{Outcome, Step};

/// Export, verify and import of graphs, beside JSONL with zstd and a graph store's own dump
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Sizes of the synthetic graph: vertices and edges together, one third of them vertices
    #[arg(long, value_delimiter = ',', default_values_t = [400_000, 3_000_000, 12_000_000])]
    elements: Vec<u64>,
    /// Also measure on this topology payload; may be repeated
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// How often each step is measured; the table has the median by time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where graphs and files lie meanwhile: the disk that is measured
    #[arg(long, default_value = "target", overrides_with = "dir")]
    dir: PathBuf,
    /// Leave the peers out
    #[arg(long)]
    no_peers: bool,
    /// A Python that can import `ladybug`
    #[arg(long, value_name = "FILE")]
    peer_python: Option<PathBuf>,
    /// The size at which the peer store is measured
    #[arg(long, default_value_t = 3_000_000)]
    peer_elements: u64,
    /// Also write the results here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    fs::create_dir_all(&arguments.dir)?;
    let scratch = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(fs::canonicalize(&arguments.dir)?)?;
    let mut bench = Bench {
        arguments,
        scratch: scratch.path(),
        cold: true,
        rows: Vec::new(),
        notes: Vec::new(),
    };
    let load_before = load_average();
    for &elements in &arguments.elements {
        bench.graph(
            &format!("synthetic {}", report::count(elements)),
            &Source::Synthetic(elements),
        )?;
    }
    for file in &arguments.data {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        bench.graph(&name, &Source::Payload(file))?;
    }
    if !arguments.no_peers && arguments.peer_python.is_none() {
        bench
            .notes
            .push("skipped: Ladybug, since no Python with `ladybug` was given".to_owned());
    }
    if !bench.cold {
        bench
            .notes
            .push("the page cache could not be dropped: reads may be warm".to_owned());
    }
    let report = Report {
        machine: machine(),
        load: [load_before, load_average()],
        rows: bench.rows,
        notes: bench.notes,
    };
    writeln!(out, "{report}")?;
    if let Some(path) = &arguments.json {
        serde_json::to_writer_pretty(File::create(path)?, &report)?;
    }
    Ok(())
}

enum Source<'a> {
    Synthetic(u64),
    Payload(&'a Path),
}

struct Bench<'a> {
    arguments: &'a Arguments,
    scratch: &'a Path,
    cold: bool,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Bench<'_> {
    /// Measures everything on one graph, and leaves nothing of it on the disk.
    fn graph(&mut self, name: &str, source: &Source<'_>) -> Result<()> {
        let folder = self.scratch.join("graph");
        fs::create_dir(&folder)?;
        let store = folder.join("store");
        match source {
            Source::Synthetic(elements) => {
                let vertices = (elements / 3).to_string();
                step(
                    Step::MakeSynthetic,
                    &store,
                    None,
                    &["--vertices", &vertices],
                )?;
            }
            Source::Payload(file) => {
                step(Step::MakePayload, &store, Some(file), &[])?;
            }
        }
        let digest = step(Step::Digest, &store, None, &[])?.digest;

        let file = folder.join("backup.graph");
        self.measure(name, Way::Lifeboat, Task::Export, || {
            step(Step::Export, &store, Some(&file), &[])
        })?;
        self.measure(name, Way::Lifeboat, Task::Verify, || {
            step(Step::Verify, &store, Some(&file), &[])
        })?;
        self.import(
            name,
            Way::Lifeboat,
            (Step::Import, &file),
            digest.as_deref(),
        )?;
        if !self.arguments.no_peers {
            let file = folder.join("backup.jsonl.zst");
            self.measure(name, Way::Jsonl, Task::Export, || {
                step(Step::JsonlExport, &store, Some(&file), &[])
            })?;
            self.import(
                name,
                Way::Jsonl,
                (Step::JsonlImport, &file),
                digest.as_deref(),
            )?;
            if let (Source::Synthetic(elements), Some(python)) =
                (source, &self.arguments.peer_python)
                && *elements == self.arguments.peer_elements
                && let Err(error) = self.peer_store(name, &store, &folder, python)
            {
                self.notes.push(format!("Ladybug failed: {error:#}"));
            }
        }
        fs::remove_dir_all(&folder)?;
        Ok(())
    }

    /// Each round fills a new store, whose digest is then compared.
    fn import(
        &mut self,
        name: &str,
        way: Way,
        (import, file): (Step, &Path),
        digest: Option<&str>,
    ) -> Result<()> {
        let store = self.scratch.join("graph/restored");
        self.measure(name, way, Task::Import, || {
            remove(&store)?;
            step(import, &store, Some(file), &[])
        })?;
        let found = step(Step::Digest, &store, None, &[])?.digest;
        ensure!(
            digest.is_some() && digest == found.as_deref(),
            "{name}, {way}: the graph that came back has digest {found:?}, it was {digest:?}"
        );
        remove(&store)
    }

    fn peer_store(&mut self, name: &str, store: &Path, folder: &Path, python: &Path) -> Result<()> {
        let (csv, dump) = (folder.join("csv"), folder.join("dump"));
        let (database, restored) = (folder.join("peer"), folder.join("peer-restored"));
        step(Step::Csv, store, Some(&csv), &[])?;
        outcome(&mut peer::command(python, "make", &database, &csv))?;
        fs::remove_dir_all(&csv)?;
        self.measure(name, Way::Ladybug, Task::Export, || {
            remove(&dump)?;
            outcome(&mut peer::command(python, "export", &database, &dump))
        })?;
        self.measure(name, Way::Ladybug, Task::Import, || {
            remove(&restored)?;
            outcome(&mut peer::command(python, "import", &restored, &dump))
        })
    }

    fn measure(
        &mut self,
        graph: &str,
        way: Way,
        task: Task,
        mut step: impl FnMut() -> Result<Outcome>,
    ) -> Result<()> {
        let mut rounds = Vec::new();
        for _ in 0..self.arguments.rounds {
            self.cold &= drop_caches();
            rounds.push(step()?.measured);
        }
        rounds.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let measured: Measured = rounds[rounds.len() / 2].clone();
        self.rows.push(Row {
            graph: graph.to_owned(),
            way,
            task,
            measured,
            all_seconds: rounds.iter().map(|round| round.seconds).collect(),
        });
        Ok(())
    }
}

/// Runs one step of Lifeboat or of the JSONL peer.
fn step(step: Step, store: &Path, file: Option<&Path>, more: &[&str]) -> Result<Outcome> {
    let value = step.to_possible_value().expect("no step is hidden");
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["step", value.get_name(), "--store"])
        .arg(store)
        .args(more);
    if let Some(file) = file {
        command.arg("--file").arg(file);
    }
    outcome(&mut command)
}

fn outcome(command: &mut Command) -> Result<Outcome> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start a step")?;
    ensure!(output.status.success(), "a step failed ({})", output.status);
    serde_json::from_slice(&output.stdout).context("a step did not say what it found")
}

fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}

//! One step of the graph bench, in a process of its own: its peak memory is then its own, and so is its start.
//!
//! The parent is [`graph`](crate::graph). What a step found goes to stdout as one line of JSON.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use lifeboat_stackgraph::digest::Digest;
use lifeboat_stackgraph::embedded::{Holder, Options, Store};
use lifeboat_stackgraph::payload::{self, Payload};
use lifeboat_stackgraph::store::{Expected, GraphStore, LoadMode, Snapshot, Totals};
use lifeboat_stackgraph::{export, import, verify};
use serde::{Deserialize, Serialize};

use crate::measure::{Measured, measure};
use crate::synthetic::Synthetic;
use crate::{jsonl, peer};

/// What a reader of the store may cache, as the command line sets it.
const READ_CACHE: usize = 128 << 20;
/// What the loader may take out of the default of `lifeboat.stackgraph.memory`, as the command line splits it.
pub(crate) const LOAD_MEMORY: u64 = (768 - 160) << 20;

/// One step of the graph bench
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    step: Step,
    /// The store that is read or made
    #[arg(long)]
    store: PathBuf,
    /// The file that is read or written
    #[arg(long)]
    file: Option<PathBuf>,
    /// How many vertices the synthetic graph has
    #[arg(long, default_value_t = 0)]
    vertices: u64,
}

/// Cold cache before each; each writer has its file and the folder on the disk when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Fills a store with the synthetic graph.
    MakeSynthetic,
    /// Fills a store with a topology payload.
    MakePayload,
    Export,
    Verify,
    Import,
    JsonlExport,
    JsonlImport,
    /// Writes two CSV files that the peer store is filled from.
    Csv,
    /// Reads a store and computes its digest.
    Digest,
}

/// What a step tells the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// 32 hexadecimal digits, from the steps that know it.
    pub(crate) digest: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    let mut digest = None;
    let measured = measure(|| {
        let (totals, bytes) = take(arguments)?;
        if totals.digest != Digest::default() {
            digest = Some(totals.digest.to_string());
        }
        Ok((totals.elements(), bytes))
    })?;
    serde_json::to_writer(&mut *out, &Outcome { measured, digest })?;
    writeln!(out)?;
    Ok(())
}

/// Returns the totals, with a digest where the step computes one, and the bytes of its file.
fn take(arguments: &Arguments) -> Result<(Totals, u64)> {
    let store = arguments.store.as_path();
    let file = || arguments.file.as_deref().context("this step needs --file");
    match arguments.step {
        Step::MakeSynthetic => Ok((make_synthetic(store, arguments.vertices)?, 0)),
        Step::MakePayload => make_payload(store, file()?),
        Step::Export => export_to(store, file()?),
        Step::Verify => verify_file(file()?),
        Step::Import => import_from(store, file()?),
        Step::JsonlExport => {
            let snapshot = open(store)?.snapshot()?;
            durably(file()?, |sink| jsonl::export(snapshot, sink))
        }
        Step::JsonlImport => {
            let bytes = fs::metadata(file()?)?.len();
            let mut loader = create(store)?.begin_load(LoadMode::IntoEmpty, &expected(0, 0))?;
            let totals = jsonl::import(File::open(file()?)?, loader.as_mut())?;
            loader.commit(&totals)?;
            Ok((totals, bytes))
        }
        Step::Csv => {
            let totals = peer::write_csv(open(store)?.snapshot()?.as_mut(), file()?)?;
            Ok((totals, 0))
        }
        Step::Digest => {
            let mut snapshot = open(store)?.snapshot()?;
            let digest = Digest::of_snapshot(snapshot.as_mut())?;
            let totals = snapshot.totals().clone();
            Ok((Totals { digest, ..totals }, 0))
        }
    }
}

fn options() -> Options {
    Options {
        cache: READ_CACHE,
        holder: Holder {
            pid: std::process::id(),
            command: "bench".to_owned(),
            host: "localhost".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        },
    }
}

fn open(path: &Path) -> Result<Store> {
    Ok(Store::open(path, options())?)
}

fn create(path: &Path) -> Result<Store> {
    Ok(Store::create(path, options())?)
}

fn expected(elements: u64, raw_bytes: u64) -> Expected {
    Expected {
        elements,
        raw_bytes,
        memory: LOAD_MEMORY,
    }
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn make_synthetic(path: &Path, vertices: u64) -> Result<Totals> {
    let mut source = Synthetic::new(vertices);
    let mut totals = source.totals().clone();
    let mut loader = create(path)?.begin_load(LoadMode::IntoEmpty, &expected(0, 0))?;
    while let Some(piece) = source.next()? {
        totals.digest.add(Digest::of_piece(&piece));
        loader.add(piece)?;
    }
    loader.commit(&totals)?;
    Ok(totals)
}

fn make_payload(path: &Path, file: &Path) -> Result<(Totals, u64)> {
    let payload = Payload {
        file: file.display().to_string(),
        text: fs::read_to_string(file)
            .with_context(|| format!("cannot read `{}`", file.display()))?,
    };
    let bytes = payload.text.len() as u64;
    let store = create(path)?;
    let mut writer = store.write(0)?;
    payload::load(&mut writer, &[payload], &Progress::default())?;
    writer.commit()?;
    Ok((store.info()?.totals, bytes))
}

fn export_to(path: &Path, file: &Path) -> Result<(Totals, u64)> {
    let snapshot = open(path)?.snapshot()?;
    let options = export::Options {
        workers: workers(),
        created: Timestamp::UNIX_EPOCH,
        uuid: [1; 16],
        program: "lifeboat-bench".to_owned(),
        driver: "embedded".to_owned(),
        progress: &Progress::default(),
    };
    durably(file, |sink| {
        let mut sink = BufWriter::with_capacity(1 << 20, sink);
        let footer = export::run(snapshot, &mut sink, options)?;
        sink.flush()?;
        Ok(footer.totals)
    })
}

fn verify_file(file: &Path) -> Result<(Totals, u64)> {
    let options = verify::Options {
        workers: workers(),
        progress: &Progress::default(),
    };
    let report = verify::run(File::open(file)?, &options)?;
    ensure!(report.is_sound(), "damaged: {:?}", report.damages);
    Ok((report.found, report.file_bytes))
}

fn import_from(path: &Path, file: &Path) -> Result<(Totals, u64)> {
    let bytes = fs::metadata(file)?.len();
    let options = import::Options {
        workers: workers(),
        mode: LoadMode::IntoEmpty,
        expected: expected(0, 0),
        progress: &Progress::default(),
    };
    let footer = import::run(File::open(file)?, &create(path)?, &options)?;
    Ok((footer.totals, bytes))
}

/// Returns once the file and its name are on the disk.
fn durably(path: &Path, write: impl FnOnce(&mut File) -> Result<Totals>) -> Result<(Totals, u64)> {
    let mut file = File::create(path)?;
    let totals = write(&mut file)?;
    file.sync_all()?;
    let folder = path.parent().context("a file lies in a folder")?;
    File::open(folder)?.sync_all()?;
    Ok((totals, file.metadata()?.len()))
}

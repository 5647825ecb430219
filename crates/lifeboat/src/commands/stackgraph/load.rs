//! `lifeboat stackgraph load`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_stackgraph::payload::{self, LeftOut, Loaded, Payload};
use serde::Serialize;

use crate::context::{Context, StoreUse, blocking};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};
use crate::stopwatch::{Pace, Stopwatch};

/// Relations named one by one when they were left out.
const SHOWN: usize = 5;

/// Put topology payloads into the store
///
/// Payloads are what agents send: components and relations, in any of the spellings of the field. What is there
/// already is updated; loading the same payload again changes nothing. A relation to a component that is nowhere is
/// left out, and told. All files together succeed or change nothing.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// JSON files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct LoadView {
    components: u64,
    relations: u64,
    deleted: u64,
    /// Relations of which one end is nowhere: each with its place.
    left_out: Vec<String>,
    #[serde(flatten)]
    pace: Pace,
}

pub(crate) async fn run(ctx: &Context, args: &LoadArgs) -> Result<Exit, Failure> {
    let payloads = args.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let store = ctx.stackgraph_store(StoreUse::Write, "load")?;
    let now = ctx.clock.now().as_millisecond();
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar("load", &progress);
    let watch = Stopwatch::start();
    let counted = Arc::clone(&progress);
    let loading = move || -> Result<Loaded, Failure> {
        let mut writer = store.write(now)?;
        let loaded = payload::load(&mut writer, &payloads, &counted)?;
        writer.commit()?;
        Ok(loaded)
    };
    let loaded = ctx.interruptible(&progress, blocking(loading)).await?;
    drop(bar);
    ctx.out.show(&LoadView {
        components: loaded.components,
        relations: loaded.relations,
        deleted: loaded.deleted,
        left_out: loaded.left_out.iter().map(ToString::to_string).collect(),
        pace: watch.stop(loaded.components + loaded.relations),
    })?;
    tell_left_out(ctx, &loaded.left_out)?;
    Ok(Exit::Success)
}

fn tell_left_out(ctx: &Context, left_out: &[LeftOut]) -> Result<(), Failure> {
    for relation in left_out.iter().take(SHOWN) {
        ctx.note(&format!("left out {relation}"))?;
    }
    match left_out.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => ctx.note(&format!(
            "left out {more} more relations; `-o json` names each"
        )),
    }
}

fn read(path: &PathBuf) -> Result<Payload, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Invalid,
        };
        Failure::new(kind, error).context(format!("cannot read the payload `{}`", path.display()))
    })?;
    Ok(Payload {
        file: path.display().to_string(),
        text,
    })
}

impl From<payload::Error> for Failure {
    fn from(error: payload::Error) -> Self {
        match error {
            payload::Error::Store(error) => error.into(),
            error => Self::new(error.kind(), error).hint("nothing was changed"),
        }
    }
}

impl View for LoadView {
    fn table(&self) -> String {
        let row = [
            self.components.to_string(),
            self.relations.to_string(),
            self.deleted.to_string(),
            self.left_out.len().to_string(),
            self.pace.seconds(),
            self.pace.rate(),
        ];
        columns(
            [
                "components",
                "relations",
                "deleted",
                "left out",
                "seconds",
                "elements/s",
            ],
            &[row],
        )
    }
}

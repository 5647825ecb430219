//! `lifeboat stackgraph verify`.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_stackgraph::{restore, verify};
use serde::Serialize;

use super::moved;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};
use crate::stopwatch::{Pace, Stopwatch};

/// Read a backup from end to end and check every byte
///
/// Every block's checksum, every value, the counts, the digest and the checksum of the whole are compared with what
/// the file says of itself. Needs no store and changes nothing.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Name of the backup, or `latest`
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// Verify a file on this machine instead of a backup in the bucket
    #[arg(long, value_name = "PATH", conflicts_with = "name")]
    file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct VerifyView {
    name: String,
    bytes: u64,
    vertices: u64,
    edges: u64,
    digest: Option<String>,
    damaged_places: u64,
    /// The first thousand.
    damages: Vec<Damaged>,
    #[serde(flatten)]
    pace: Pace,
}

#[derive(Debug, Serialize)]
struct Damaged {
    byte: u64,
    what: String,
}

pub(crate) async fn run(ctx: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let progress = Arc::new(Progress::default());
    let watch = Stopwatch::start();
    let (name, report) = if let Some(path) = &args.file {
        let file = File::open(path).map_err(|error| {
            Failure::new(Kind::NotFound, error).context(format!("cannot open `{}`", path.display()))
        })?;
        let bar = ctx.bar("verify", &progress);
        let (workers, counted) = (ctx.workers, Arc::clone(&progress));
        let verifying = move || {
            let options = verify::Options {
                workers,
                progress: &counted,
            };
            verify::run(file, &options)
        };
        let report = tokio::task::spawn_blocking(verifying)
            .await
            .map_err(|error| Failure::new(Kind::Bug, error))??;
        drop(bar);
        (path.display().to_string(), report)
    } else {
        let name = args.name.as_deref().unwrap_or("latest");
        let bucket = ctx.stackgraph_bucket()?;
        let catalog = ctx.stackgraph_catalog(&bucket);
        let found = catalog.find(name).await?;
        let bar = ctx.bar("verify", &progress);
        let report = ctx
            .interruptible(
                &progress,
                restore::verify(&catalog, &found, ctx.workers, &progress),
            )
            .await?;
        drop(bar);
        (found.backup.name, report)
    };
    let reading = progress.read();
    let view = VerifyView {
        name,
        bytes: reading.bytes,
        vertices: report.found.vertex_count(),
        edges: report.found.edge_count(),
        digest: report
            .footer
            .as_ref()
            .map(|footer| footer.totals.digest.to_string()),
        damaged_places: report.damaged_places,
        damages: report
            .damages
            .iter()
            .map(|damage| Damaged {
                byte: damage.at,
                what: damage.what.clone(),
            })
            .collect(),
        pace: watch.stop(report.found.elements()),
    };
    ctx.out.show(&view)?;
    if report.is_sound() {
        Ok(Exit::Success)
    } else {
        Ok(Exit::Damaged)
    }
}

impl View for VerifyView {
    fn table(&self) -> String {
        if self.damaged_places > 0 {
            let mut text = Text::default();
            text.line(format_args!(
                "`{}` is damaged in {} places:",
                self.name, self.damaged_places
            ));
            for damage in &self.damages {
                text.line(format_args!("  byte {}: {}", damage.byte, damage.what));
            }
            text.line(format_args!(
                "{} elements lie in blocks that are whole",
                self.vertices + self.edges
            ));
            return text.into();
        }
        moved(
            &self.name,
            ByteSize(self.bytes),
            self.pace,
            self.digest.as_deref(),
        )
    }
}

//! `lifeboat victoria-metrics verify`.

use std::sync::Arc;

use clap::Args;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_victoria_metrics::error::Error;
use lifeboat_victoria_metrics::verify::{self, Depth};
use serde::Serialize;

use super::{instance, place};
use crate::bar::Measure;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Prove a stored backup without a server
///
/// All objects are there in the length that their names say, every part that a list names has all its files, and a manifest of ours agrees. With `--deep` every byte is
/// read and compared with the checksum in the manifest. Backups may go to the version meanwhile: then what it holds now is verified.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
    /// Name of the version, or `latest` for the one completed last
    #[arg(value_name = "VERSION")]
    name: String,
    /// Read every byte
    #[arg(long)]
    deep: bool,
}

#[derive(Debug, Serialize)]
struct VerifyView {
    #[serde(skip)]
    instance: String,
    version: String,
    bytes: u64,
    samples: Option<u64>,
    files: u64,
    /// Objects whose bytes were compared with a checksum.
    compared: u64,
    /// Backups that went to the version while its bytes were read; what is told is of the last.
    backups_meanwhile: u32,
    has_checksums: bool,
    /// What keeps vmrestore from it, although it is whole.
    vmrestore_lacks: Option<String>,
    faults: Vec<String>,
}

pub(crate) async fn run(ctx: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    let bucket = ctx.bucket(&settings.bucket)?;
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Bytes, "verify", &progress);
    let depth = if args.deep {
        Depth::Bytes
    } else {
        Depth::Names
    };
    let verified = verify::run(
        place(settings, &bucket),
        &args.name,
        depth,
        ctx.settings.lifeboat.victoria_metrics.memory,
        Context::PROGRAM,
        &progress,
    );
    let verified = ctx
        .interruptible(&progress, async { Ok::<_, Failure>(verified.await) })
        .await?;
    drop(bar);
    let view = match verified {
        Ok(report) => VerifyView {
            instance: args.instance.clone(),
            version: report.source.version.clone(),
            bytes: report.source.manifest.size(),
            samples: report.source.manifest.rows,
            files: report.source.manifest.paths().count() as u64,
            compared: report.compared,
            backups_meanwhile: report.overtaken,
            has_checksums: report.has_checksums(),
            vmrestore_lacks: report.hindrance.clone(),
            faults: report.faults.iter().map(ToString::to_string).collect(),
        },
        Err(Error::Damaged { version, faults }) => VerifyView {
            instance: args.instance.clone(),
            version,
            bytes: 0,
            samples: None,
            files: 0,
            compared: 0,
            backups_meanwhile: 0,
            has_checksums: false,
            vmrestore_lacks: None,
            faults: faults.iter().map(ToString::to_string).collect(),
        },
        Err(error) => return Err(error.into()),
    };
    ctx.out.show(&view)?;
    Ok(if view.faults.is_empty() {
        Exit::Success
    } else {
        Exit::Damaged
    })
}

impl View for VerifyView {
    fn table(&self) -> String {
        let mut text = Text::default();
        if self.backups_meanwhile > 0 {
            text.line(format_args!(
                "a backup has gone to `{}` meanwhile: this is of what it holds now",
                self.version
            ));
        }
        if self.faults.is_empty() {
            let samples = self
                .samples
                .map_or_else(String::new, |samples| format!(", {samples} samples"));
            text.line(format_args!(
                "`{}` is whole: {} files, {}{samples}",
                self.version,
                self.files,
                ByteSize(self.bytes)
            ));
            if self.compared > 0 {
                text.line(format_args!(
                    "the bytes of {} objects are those that were backed up",
                    self.compared
                ));
            }
            if self.compared == 0 && self.has_checksums {
                text.line(format_args!(
                    "by the names and sizes of its objects: their bytes were not read, which `--deep` does"
                ));
            }
            if let Some(reason) = &self.vmrestore_lacks {
                text.line(format_args!(
                    "vmrestore could not restore it: {reason}; the next backup that goes to it puts that right"
                ));
            }
            if !self.has_checksums {
                text.line(format_args!(
                    "vmbackup wrote it, without checksums: damage of its bytes cannot be seen"
                ));
            }
        } else {
            text.line(format_args!("`{}` is damaged:", self.version));
            for fault in &self.faults {
                text.line(format_args!("  {fault}"));
            }
            text.line(format_args!(
                "of the version that backups go to, `lifeboat victoria-metrics backup {} --resend-damaged` sends again what is damaged",
                self.instance
            ));
        }
        text.into()
    }
}

//! `lifeboat gateway check`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_gateway::backends::local::check::{CheckError, Depth, Findings};
use lifeboat_gateway::backends::local::scrub::{self, Counts};
use lifeboat_gateway::backends::local::{Room, Stray, Survey, Visit};
use serde::Serialize;

use super::sources;
use crate::backends;
use crate::bar::Measure;
use crate::context::{Context, blocking};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};

/// Look a volume of the gateway over for damage and for what is not served
///
/// Counts what lies there, reads the record of every object, and tells what the gateway's background scrub knows: how far
/// it is, and which objects are damaged. Changes nothing and needs to run where the volume is, for example in the gateway's
/// pod; the gateway may be running. The exit code is 6 if an object is damaged or something is not served.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Read every object now and compare it with its checksum, as fast as the disk allows
    #[arg(long)]
    full: bool,
    /// The folder that holds the buckets, instead of `lifeboat.gateway.volume`
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct CheckView {
    volumes: Vec<Checked>,
    #[serde(skip)]
    time_zone: TimeZone,
}

#[derive(Debug, Serialize)]
struct Checked {
    volume: PathBuf,
    served_by: Option<u32>,
    #[serde(flatten)]
    survey: Survey,
    trash: Room,
    uploads: Room,
    temporary: Room,
    scrub: scrub::Progress,
    read: Option<Counts>,
    damages: Vec<Damaged>,
    /// The first ten thousand.
    strays: Vec<Stray>,
}

#[derive(Debug, Serialize)]
struct Damaged {
    bucket: String,
    key: String,
    what: String,
    found: Timestamp,
}

impl Checked {
    fn new(volume: &Path, findings: Findings) -> Self {
        Self {
            volume: volume.to_owned(),
            served_by: findings.process,
            strays: findings.strays().to_vec(),
            survey: findings.survey,
            trash: findings.trash,
            uploads: findings.uploads,
            temporary: findings.temporary,
            scrub: findings.scrub,
            read: findings.read,
            damages: findings
                .damages
                .into_iter()
                .map(|damage| Damaged {
                    bucket: damage.bucket,
                    key: damage.key,
                    what: damage.what,
                    found: damage.found,
                })
                .collect(),
        }
    }
}

pub(crate) async fn run(ctx: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    let depth = if args.full {
        Depth::Bytes
    } else {
        Depth::Records
    };
    let mut volumes = Vec::new();
    let mut exit = Exit::Success;
    for volume in backends::volumes(ctx, args.volume.as_deref())? {
        let progress = Arc::new(Progress::default());
        let bar = ctx.bar_by(Measure::Bytes, "check", &progress);
        let (sources, counted, path) = (sources(ctx), Arc::clone(&progress), volume.clone());
        let checking = blocking(move || {
            let visit = Visit::open(&path)?;
            Ok(visit.check(depth, &sources, &counted)?)
        });
        let findings = ctx.interruptible(&progress, checking).await?;
        drop(bar);
        if !findings.is_well() {
            exit = Exit::Damaged;
        }
        volumes.push(Checked::new(&volume, findings));
    }
    ctx.out.show(&CheckView {
        volumes,
        time_zone: ctx.clock.time_zone().clone(),
    })?;
    Ok(exit)
}

impl View for CheckView {
    fn table(&self) -> String {
        let mut text = Text::default();
        for checked in &self.volumes {
            if !text.is_empty() {
                text.line(format_args!(""));
            }
            self.tell(checked, &mut text);
        }
        text.into()
    }
}

impl CheckView {
    fn tell(&self, checked: &Checked, text: &mut Text) {
        let Checked { survey, .. } = checked;
        let served = match checked.served_by {
            Some(process) => format!("served by process {process}"),
            None => "no gateway on this machine serves it".to_owned(),
        };
        text.line(format_args!(
            "volume `{}`: {served}",
            checked.volume.display()
        ));
        let bytes = ByteSize(survey.bytes);
        text.line(format_args!(
            "  objects: {}, {bytes}, in {} buckets",
            survey.objects, survey.buckets
        ));
        text.line(format_args!("  trash: {}", room(checked.trash)));
        text.line(format_args!(
            "  unfinished uploads: {}",
            room(checked.uploads)
        ));
        if checked.temporary.count > 0 {
            text.line(format_args!(
                "  files on their way: {}",
                room(checked.temporary)
            ));
        }
        if survey.leftovers > 0 {
            text.line(format_args!(
                "  left unfinished by another program: {} files",
                survey.leftovers
            ));
        }
        if let Some(read) = checked.read {
            text.line(format_args!("  now: {}", counts(read)));
        }
        let scrub::Progress { pass, last } = &checked.scrub;
        match last {
            Some(last) => text.line(format_args!(
                "  last scrub ended {}: {}",
                self.time(last.ended),
                counts(last.counts)
            )),
            None => text.line(format_args!("  no scrub has come to its end yet")),
        }
        if let Some(pass) = pass {
            let began = self.time(pass.began);
            text.line(format_args!(
                "  scrub since {began}: {}",
                counts(pass.counts)
            ));
        }
        if checked.damages.is_empty() && survey.unserved == 0 {
            text.line(format_args!(
                "  nothing is known to be damaged, and everything is served"
            ));
        }
        if !checked.damages.is_empty() {
            let damaged = checked.damages.len();
            text.line(format_args!("  DAMAGED objects: {damaged}"));
            let rows: Vec<_> = checked
                .damages
                .iter()
                .map(|damage| {
                    [
                        format!("{}/{}", damage.bucket, damage.key),
                        self.time(damage.found),
                        damage.what.clone(),
                    ]
                })
                .collect();
            text.lines(&columns(["name", "found", "what"], &rows));
        }
        if survey.unserved > 0 {
            text.line(format_args!("  NOT SERVED: {}", survey.unserved));
            let rows: Vec<_> = checked
                .strays
                .iter()
                .map(|stray| [stray.path.clone(), stray.why.clone()])
                .collect();
            text.lines(&columns(["path", "why"], &rows));
        }
    }

    fn time(&self, at: Timestamp) -> String {
        let local = at.to_zoned(self.time_zone.clone());
        local.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

fn room(room: Room) -> String {
    if room.count == 0 {
        return "none".to_owned();
    }
    format!("{}, {}", room.count, ByteSize(room.bytes))
}

fn counts(counts: Counts) -> String {
    let Counts {
        objects,
        bytes,
        damaged,
        unverifiable,
    } = counts;
    let bytes = ByteSize(bytes);
    match unverifiable {
        0 => format!("{objects} read, {bytes}, {damaged} damaged"),
        _ => {
            format!("{objects} read, {bytes}, {damaged} damaged, {unverifiable} without a checksum")
        }
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        let unused = matches!(error, CheckError::Unused { .. });
        let failure = Self::new(error.kind(), error);
        if unused {
            return failure.hint("`lifeboat gateway` takes it into service");
        }
        failure
    }
}

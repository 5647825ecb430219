//! `lifeboat gateway export`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_gateway::backends::local::export::{
    self, Done, ExportError, Format, OnUnfit, Place, Plan, Sharing,
};
use lifeboat_gateway::backends::local::{Local, OpenError, Room, Visit};
use serde::Serialize;

use super::sources;
use crate::backends;
use crate::bar::Measure;
use crate::context::{Context, blocking, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};

/// Give a volume back to MinIO of 2021 or to s3proxy
///
/// Makes a folder that the other server serves with the same keys, bytes, etags and metadata. Files are linked where target
/// and volume are one file system, and copied elsewhere; the volume stays as it is. The gateway must be stopped, but for
/// `--dry-run`. Unfinished uploads and the trash stay behind. An object that the other server cannot hold, such as `a` beside
/// `a/b`, stops the export before it begins, with exit code 2, unless `--skip-unfit`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// An empty folder, or one to be made; inside the volume only below a name that begins with a dot
    target: PathBuf,
    /// The server that is going to serve the target
    #[arg(long, value_enum, value_name = "SERVER")]
    to: Server,
    /// Whether volume and target may share files
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    files: Files,
    /// Leave out what that server cannot hold
    #[arg(long)]
    skip_unfit: bool,
    /// Show the plan, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before beginning
    #[arg(short, long)]
    yes: bool,
    /// The folder that holds the buckets, instead of `lifeboat.gateway.volume`
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Server {
    /// MinIO of 2021 on one folder
    Minio,
    /// s3proxy with `filesystem-nio2`
    S3proxy,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Files {
    /// Share a file where that is possible and safe
    #[default]
    Link,
    /// Copy all, so that each is independent of the other
    Copy,
}

impl From<Files> for Sharing {
    fn from(files: Files) -> Self {
        match files {
            Files::Link => Self::Link,
            Files::Copy => Self::Copy,
        }
    }
}

impl From<Server> for Format {
    fn from(server: Server) -> Self {
        match server {
            Server::Minio => Self::Minio,
            Server::S3proxy => Self::S3Proxy,
        }
    }
}

#[derive(Debug, Serialize)]
struct ExportView {
    volume: PathBuf,
    target: PathBuf,
    to: Format,
    dry_run: bool,
    plan: Plan,
    done: Option<Done>,
}

pub(crate) async fn run(ctx: &Context, args: &ExportArgs) -> Result<Exit, Failure> {
    let volume = only_volume(ctx, args.volume.as_deref())?;
    let format = Format::from(args.to);
    let sharing = Sharing::from(args.files);
    let (from, target, sources) = (volume.clone(), args.target.clone(), sources(ctx));
    let seen = sources.clone();
    let (place, plan) = blocking(move || {
        let visit = Visit::open(&from)?;
        let place = export::look(&from, &target)?;
        Ok((place, visit.plan_export(format, &target, sharing, &seen)?))
    })
    .await?;
    let mut view = ExportView {
        volume: volume.clone(),
        target: args.target.clone(),
        to: format,
        dry_run: args.dry_run,
        plan,
        done: None,
    };
    let refused = view.plan.unfit > 0 && !args.skip_unfit;
    if args.dry_run || refused {
        ctx.out.show(&view)?;
        if !refused {
            return Ok(Exit::Success);
        }
        ctx.note("nothing was done; `--skip-unfit` leaves out what the other server cannot hold, or give it another key first")?;
        return Ok(Exit::Invalid);
    }
    if place == Place::Unfinished {
        let target = args.target.clone();
        blocking(move || Ok(export::finish(&target)?)).await?;
        ctx.note("an earlier export there was cut off when only names were missing: it is whole now, and nothing else was done")?;
        return Ok(Exit::Success);
    }
    if !args.yes && !confirm(&view.table())? {
        return Err(Failure::interrupted().hint("nothing was done"));
    }
    let on_unfit = if args.skip_unfit {
        OnUnfit::LeaveOut
    } else {
        OnUnfit::Refuse
    };
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Bytes, "export", &progress);
    let (target, counted) = (args.target.clone(), Arc::clone(&progress));
    let exporting = blocking(move || {
        let local = Local::open(&volume, sources).map_err(held)?;
        Ok(local.export(format, &target, sharing, on_unfit, &counted)?)
    });
    let done = ctx.interruptible(&progress, exporting).await;
    drop(bar);
    view.done = Some(done.map_err(|failure| {
        failure.hint("what was made so far is in `.lifeboat-export` in the target; the next export there begins anew")
    })?);
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

/// One volume becomes one folder.
fn only_volume(ctx: &Context, named: Option<&Path>) -> Result<PathBuf, Failure> {
    let volumes = backends::volumes(ctx, named)?;
    match <[PathBuf; 1]>::try_from(volumes) {
        Ok([volume]) => Ok(volume),
        Err(several) => {
            let volumes: Vec<_> = several
                .iter()
                .map(|volume| format!("`{}`", volume.display()))
                .collect();
            let error = format!("the settings name several volumes: {}", volumes.join(", "));
            let hint = "give back one at a time, with `--volume`, each to a target of its own";
            Err(Failure::new(Kind::Invalid, error).hint(hint))
        }
    }
}

fn held(error: OpenError) -> Failure {
    let in_use = matches!(error, OpenError::InUse { .. });
    let failure = Failure::from(error);
    if in_use {
        return failure.hint("stop that gateway first: the objects must not change meanwhile");
    }
    failure
}

impl View for ExportView {
    fn table(&self) -> String {
        let Plan {
            buckets,
            objects,
            bytes,
            linked,
            copied,
            ..
        } = self.plan;
        let mut text = Text::default();
        let server = match self.to {
            Format::Minio => "MinIO of 2021",
            Format::S3Proxy => "s3proxy",
        };
        let (volume, target) = (self.volume.display(), self.target.display());
        if let Some(done) = self.done {
            text.line(format_args!("{server} can serve `{target}`"));
            text.line(format_args!(
                "  objects: {}, {}; copied of them: {}",
                done.objects,
                ByteSize(done.bytes),
                room(done.copied)
            ));
            if done.left_out > 0 {
                text.line(format_args!("  left out: {}", done.left_out));
            }
            return text.into();
        }
        text.line(format_args!("from `{volume}` to `{target}`, for {server}"));
        let bytes = ByteSize(bytes);
        text.line(format_args!(
            "  objects: {objects}, {bytes}, in {buckets} buckets"
        ));
        text.line(format_args!("  linked, taking no room: {}", room(linked)));
        text.line(format_args!("  copied: {}", room(copied)));
        text.line(format_args!(
            "  stays behind: trash {}, unfinished uploads {}",
            room(self.plan.trash),
            room(self.plan.uploads)
        ));
        if self.plan.damaged > 0 {
            text.line(format_args!(
                "  known to be damaged, given back as they are: {}",
                self.plan.damaged
            ));
        }
        if self.plan.unfit > 0 {
            text.line(format_args!("  CANNOT BE HELD: {}", self.plan.unfit));
            let rows: Vec<_> = self
                .plan
                .unfit_objects
                .iter()
                .map(|object| {
                    let name = match &object.key {
                        Some(key) => format!("{}/{key}", object.bucket),
                        None => format!("{}/", object.bucket),
                    };
                    [name, object.why.clone()]
                })
                .collect();
            text.lines(&columns(["name", "why"], &rows));
        }
        text.into()
    }
}

fn room(room: Room) -> String {
    if room.count == 0 {
        return "none".to_owned();
    }
    format!("{}, {}", room.count, ByteSize(room.bytes))
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let hint = match error {
            ExportError::Look(error) => return Self::from(error),
            ExportError::Occupied { .. } => "name an empty folder, or one that is not there yet",
            ExportError::Inside { .. } => {
                "name a folder outside, or one below the volume that begins with a dot"
            }
            ExportError::NoRoom { .. } => {
                "a target on the file system of the volume needs hardly any room: files are linked there"
            }
            ExportError::Unfit { .. } => "`--dry-run` lists them, `--skip-unfit` leaves them out",
            _ => return Self::new(error.kind(), error),
        };
        Self::new(error.kind(), error).hint(hint)
    }
}

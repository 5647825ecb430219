//! From the settings to the store that the gateway serves: the storage of the values, and the buckets that lie elsewhere.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;
use lifeboat_core::error::Kind;
use lifeboat_core::settings::{self, Storage, Target};
use lifeboat_gateway::backend::{self, Backend};
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::backends::azure::{self, Azure};
use lifeboat_gateway::backends::local::{Local, OpenError};
use lifeboat_gateway::backends::s3::{self, S3};
use lifeboat_gateway::router::{Place, Router};

use crate::context::{Context, blocking};
use crate::failure::Failure;

/// Takes every store into service. `volume` is used in place of `lifeboat.gateway.volume`.
pub(crate) async fn open(
    ctx: &Context,
    volume: Option<&Path>,
    sources: &Sources,
) -> Result<Arc<dyn Backend>, Failure> {
    let gateway = &ctx.settings.lifeboat.gateway;
    let main: Arc<dyn Backend> = match ctx.settings.require_storage()? {
        Storage::Local => {
            let volume = volume.map_or_else(|| PathBuf::from(&gateway.volume), Path::to_owned);
            open_volume(ctx, volume, sources).await?
        }
        Storage::S3(settings) => open_s3(settings, sources).await?,
        Storage::Azure(settings) => open_azure(ctx, settings, sources).await?,
        Storage::None => {
            let error = "no storage was chosen, and that was not refused";
            return Err(Failure::new(Kind::Bug, error));
        }
    };
    if gateway.routes.is_empty() {
        return Ok(main);
    }
    let mut router = Router::new(main);
    for route in &gateway.routes {
        match &route.target {
            Target::Volume(folder) => {
                let store = open_volume(ctx, PathBuf::from(folder), sources).await?;
                router.route(&route.bucket, store);
            }
            Target::Storage { bucket, prefix } => {
                let place = Place {
                    bucket: bucket.clone(),
                    prefix: prefix.clone(),
                };
                router
                    .rename(&route.bucket, place)
                    .map_err(|error| misplaced(error, &route.bucket))?;
            }
        }
    }
    Ok(Arc::new(router))
}

/// The volume that is named, or else all that the settings name. At least one.
pub(crate) fn volumes(ctx: &Context, named: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    if let Some(named) = named {
        return Ok(vec![named.to_owned()]);
    }
    let gateway = &ctx.settings.lifeboat.gateway;
    let mut volumes = Vec::new();
    if matches!(ctx.settings.require_storage()?, Storage::Local) {
        volumes.push(PathBuf::from(&gateway.volume));
    }
    for route in &gateway.routes {
        if let Target::Volume(folder) = &route.target {
            let folder = PathBuf::from(folder);
            if !volumes.contains(&folder) {
                volumes.push(folder);
            }
        }
    }
    if volumes.is_empty() {
        let error = "no bucket of the settings lies on a volume";
        return Err(Failure::new(Kind::Invalid, error).hint("name one with `--volume`"));
    }
    Ok(volumes)
}

async fn open_s3(settings: &settings::S3, sources: &Sources) -> Result<Arc<dyn Backend>, Failure> {
    let (options, sources) = (s3::Options::from(settings), sources.clone());
    blocking(move || {
        let store = S3::open(options, sources)
            .map_err(|error| Failure::new(error.kind(), error).context("cannot serve S3"))?;
        Ok(Arc::new(store) as Arc<dyn Backend>)
    })
    .await
}

async fn open_azure(
    ctx: &Context,
    settings: &settings::Azure,
    sources: &Sources,
) -> Result<Arc<dyn Backend>, Failure> {
    let refused =
        |error: azure::OpenError| Failure::new(error.kind(), error).context("cannot serve Azure");
    let options = azure::Options::choose(settings, |name| ctx.variable(name)).map_err(refused)?;
    let sources = sources.clone();
    blocking(move || {
        let store = Azure::open(options, sources).map_err(refused)?;
        Ok(Arc::new(store) as Arc<dyn Backend>)
    })
    .await
}

/// Takes a volume into service, and has it looked after as long as the process runs.
async fn open_volume(
    ctx: &Context,
    folder: PathBuf,
    sources: &Sources,
) -> Result<Arc<dyn Backend>, Failure> {
    let sources = sources.clone();
    let term = trash_term(ctx)?;
    let local = blocking(move || {
        let opened = Local::open(&folder, sources).and_then(|local| {
            if let Some(term) = term {
                local.keep_trash(term)?;
            }
            Ok(local)
        });
        opened.map_err(|error| Failure::from(error).context("cannot serve the volume"))
    })
    .await?;
    let scrub = NonZeroU64::new(ctx.settings.lifeboat.gateway.scrub.0);
    tokio::spawn(local.clone().attend(scrub));
    Ok(Arc::new(local))
}

/// How long deleted and replaced objects are kept, if they are.
fn trash_term(ctx: &Context) -> Result<Option<SignedDuration>, Failure> {
    let Some(age) = &ctx.settings.lifeboat.gateway.trash else {
        return Ok(None);
    };
    let now = ctx.clock.local_now();
    let cutoff = age.cutoff(&now).map_err(|error| {
        Failure::new(Kind::Invalid, error).context("`lifeboat.gateway.trash` is too long")
    })?;
    Ok(Some(now.timestamp().duration_since(cutoff.timestamp())))
}

fn misplaced(error: backend::Error, bucket: &str) -> Failure {
    Failure::new(error.kind(), error).context(format!(
        "cannot serve bucket `{bucket}` as `lifeboat.gateway.routes` says"
    ))
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(error.kind(), error)
    }
}

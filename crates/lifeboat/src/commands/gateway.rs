//! `lifeboat gateway`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use lifeboat_core::error::Kind;
use lifeboat_core::settings::Storage;
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::backends::local::{Local, OpenError};
use lifeboat_gateway::{Config, Credentials, Server};
use rand::RngExt;

use crate::context::{Context, blocking};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals;

/// Serve a volume as an S3 endpoint
///
/// Takes the place of the platform's MinIO or s3proxy: path style, any region, the key pair of the values. The
/// buckets that the values name are created at start. SIGTERM lets running requests end.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct GatewayArgs {
    #[command(subcommand)]
    pub(crate) command: Option<GatewayCommand>,
    /// Address and port, instead of `lifeboat.gateway.listen`
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// The folder that holds the buckets, instead of `lifeboat.gateway.volume`
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
}

/// What can be done with the gateway's volume beside serving it.
#[derive(Debug, Subcommand)]
pub(crate) enum GatewayCommand {}

/// Serves the volume.
pub(crate) async fn run(ctx: &Context, args: &GatewayArgs) -> Result<Exit, Failure> {
    let settings = &ctx.settings;
    match settings.require_storage()? {
        Storage::Local => {}
        Storage::S3(_) | Storage::Azure(_) | Storage::None => {
            let error = "this version serves a volume only, not yet AWS S3 or Azure Blob Storage";
            return Err(Failure::new(Kind::Invalid, error)
                .hint("set `minio.persistence.enabled` to true and the other storage to false"));
        }
    }
    let keys = settings.gateway_credentials()?;
    let gateway = &settings.lifeboat.gateway;
    let volume = args
        .volume
        .clone()
        .unwrap_or_else(|| PathBuf::from(&gateway.volume));
    let sources = sources(ctx);
    let local = blocking(move || {
        Local::open(&volume, sources)
            .map_err(|error| Failure::from(error).context("cannot serve the volume"))
    })
    .await?;
    let mut config = Config::new(
        args.listen.unwrap_or(gateway.listen),
        vec![Credentials {
            access_key: keys.access_key.expose().to_owned(),
            secret_key: keys.secret_key.expose().to_owned(),
        }],
    );
    config.buckets = settings.buckets().into_iter().map(str::to_owned).collect();
    let server = Server::bind(config, Arc::new(local)).await?;
    // For people, and for whoever waits until it is ready; the log goes to stderr.
    ctx.out.text(&format!(
        "gateway listening on http://{}\n",
        server.local_addr()
    ))?;
    server.run(signals::stop_requested()).await?;
    Ok(Exit::Success)
}

/// The one place that draws random numbers for the gateway.
fn sources(ctx: &Context) -> Sources {
    let clock = ctx.clock.clone();
    Sources {
        now: Arc::new(move || clock.now()),
        random: Arc::new(|| rand::rng().random()),
    }
}

impl From<lifeboat_gateway::server::Error> for Failure {
    fn from(error: lifeboat_gateway::server::Error) -> Self {
        Self::new(error.kind(), error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(error.kind(), error)
    }
}

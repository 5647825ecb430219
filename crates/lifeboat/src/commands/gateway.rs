//! `lifeboat gateway`.

pub(crate) mod check;
pub(crate) mod export;
pub(crate) mod trash;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use lifeboat_gateway::auth::file::Users;
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::{Config, Credentials, Limits, Server, tls};
use rand::RngExt;

use crate::backends;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals;

/// Serve the storage of the backups as an S3 endpoint
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
pub(crate) enum GatewayCommand {
    Check(check::CheckArgs),
    Export(export::ExportArgs),
    /// List and restore what was deleted or replaced
    #[command(subcommand)]
    Trash(trash::TrashCommand),
}

/// Serves the volume.
pub(crate) async fn run(ctx: &Context, args: &GatewayArgs) -> Result<Exit, Failure> {
    let settings = &ctx.settings;
    let keys = settings.gateway_credentials()?;
    let gateway = &settings.lifeboat.gateway;
    let sources = sources(ctx);
    let backend = backends::open(ctx, args.volume.as_deref(), &sources).await?;
    let mut config = Config::new(
        args.listen.unwrap_or(gateway.listen),
        vec![Credentials {
            access_key: keys.access_key.expose().to_owned(),
            secret_key: keys.secret_key.expose().to_owned(),
        }],
    );
    config.monitor = gateway.metrics_listen;
    config.limits = Limits {
        connections: usize::try_from(gateway.connections).unwrap_or(usize::MAX),
        memory: gateway.memory.0,
        ..Limits::default()
    };
    config.tls = gateway.tls.as_ref().map(|files| tls::Files {
        certificate: PathBuf::from(&files.certificate),
        key: PathBuf::from(&files.key),
    });
    if let Some(file) = &gateway.users_file {
        config.users = Users::File(PathBuf::from(file));
    }
    let scheme = match config.tls {
        Some(_) => "https",
        None => "http",
    };
    config.first_request = (sources.random)();
    let routed = gateway.routes.iter().map(|route| route.bucket.as_str());
    config.buckets = settings
        .buckets()
        .into_iter()
        .chain(routed)
        .map(str::to_owned)
        .collect();
    let server = Server::bind(config, backend).await?;
    if let Some(address) = server.monitor_addr() {
        ctx.out
            .text(&format!("health and metrics on http://{address}\n"))?;
    }
    // Whoever reads the next line may ask for the end at once.
    let stop = signals::stop_requested_from_now();
    // For people, and for whoever waits until it is ready; the log goes to stderr.
    ctx.out.text(&format!(
        "gateway listening on {scheme}://{}\n",
        server.local_addr()
    ))?;
    server.run(stop, signals::stop_requested()).await?;
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

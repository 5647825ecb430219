//! Commands on metrics.

pub(crate) mod backup;
pub(crate) mod confirm;
pub(crate) mod copy;
pub(crate) mod expire;
pub(crate) mod list;
pub(crate) mod restore;
pub(crate) mod undo;
pub(crate) mod verify;

use std::fs;
use std::path::Path;

use lifeboat_core::error::Kind;
use lifeboat_core::settings::{Secret, VictoriaMetrics};
use lifeboat_core::size::ByteSize;
use lifeboat_storage::Bucket;
use lifeboat_victoria_metrics::backup::{Kept, Options, Shrinking, Versions};
use lifeboat_victoria_metrics::server::{Access, Server};
use lifeboat_victoria_metrics::store::Place;

use crate::context::{Context, owner, random_uuid};
use crate::failure::Failure;

/// Finds the settings of an instance by its name.
fn instance<'a>(ctx: &'a Context, name: &str) -> Result<&'a VictoriaMetrics, Failure> {
    let instances = &ctx.settings.victoria_metrics;
    let found = instances.iter().find(|instance| instance.instance == name);
    found.ok_or_else(|| {
        let names = instances.each_ref().map(|instance| instance.instance);
        Failure::new(
            Kind::NotFound,
            format!("no instance `{name}` of VictoriaMetrics"),
        )
        .hint(format!("the instances are `{}`", names.join("` and `")))
    })
}

fn place<'a>(settings: &'a VictoriaMetrics, bucket: &'a Bucket) -> Place<'a> {
    Place {
        bucket,
        instance: settings.instance,
        prefix: settings.version_prefix(),
    }
}

/// Prepares the client of an instance's server. Nothing is sent.
fn server(settings: &VictoriaMetrics) -> Result<Server, Failure> {
    let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let server = &settings.server;
    let certificates = match &server.certificates {
        None => Vec::new(),
        Some(path) => fs::read(path).map_err(|error| {
            let key = format!("lifeboat.{}.certificates", settings.instance);
            Failure::new(Kind::Invalid, error)
                .context(format!("cannot read `{path}`, which `{key}` names"))
        })?,
    };
    let access = Access {
        url: server.url.trim_end_matches('/').to_owned(),
        user: server.user.clone(),
        password: text(&server.password),
        snapshot_key: text(&server.snapshot_key),
        flush_key: text(&server.flush_key),
        metrics_key: text(&server.metrics_key),
        certificates,
    };
    Ok(Server::new(settings.instance, access)?)
}

/// What a backup, a copy and an expiry have in common.
fn options<'a>(
    ctx: &Context,
    settings: &'a VictoriaMetrics,
    command: &str,
    clock: &'a (dyn Fn() -> jiff::Timestamp + Sync),
) -> Options<'a> {
    let transfers = &ctx.settings.lifeboat.victoria_metrics;
    Options {
        data: Path::new(&settings.server.path),
        versions: match settings.daily {
            None => Versions::ByLabel,
            Some(_) => Versions::Latest,
        },
        shrinking: Shrinking::Refused,
        kept: Kept::Trusted,
        min_history_seconds: settings.min_history_seconds,
        spared: None,
        limit: Some(transfers.limit_rate),
        memory: transfers.memory,
        program: Context::PROGRAM.to_owned(),
        owner: owner(&format!("victoria-metrics {command}")),
        run: hex::encode(random_uuid()),
        now: ctx.clock.local_now(),
        clock,
    }
}

/// The limit of the command line, or else of the settings.
fn limit(ctx: &Context, given: Option<ByteSize>) -> Option<ByteSize> {
    given.or(Some(ctx.settings.lifeboat.victoria_metrics.limit_rate))
}

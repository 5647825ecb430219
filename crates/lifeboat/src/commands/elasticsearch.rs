//! Commands on telemetry.

pub(crate) mod backup;
pub(crate) mod configure;
pub(crate) mod delete_indices;
pub(crate) mod describe;
pub(crate) mod expire;
pub(crate) mod list;
pub(crate) mod list_indices;
pub(crate) mod policy;
pub(crate) mod restore;
pub(crate) mod serve;

use std::fs;

use lifeboat_core::error::Kind;
use lifeboat_core::settings::{Elasticsearch, KeyPlace, Secret};
use lifeboat_elasticsearch::access::{Access, Credentials};
use lifeboat_elasticsearch::catalog::Repository;
use lifeboat_elasticsearch::client::Client;
use lifeboat_elasticsearch::engine::Engine;
use lifeboat_elasticsearch::native::{self, Living, Standing};
use lifeboat_elasticsearch::pattern::Patterns;
use lifeboat_elasticsearch::repository::{Keys, States, Wanted};
use lifeboat_storage::bucket::Bucket;

use crate::context::Context;
use crate::failure::Failure;

/// A cluster whose engine is known.
struct Cluster {
    client: Client,
    engine: Engine,
    repository: String,
}

impl Cluster {
    /// Asks the cluster what it is.
    async fn reach(ctx: &Context) -> Result<Self, Failure> {
        ctx.settings.require_backup_enabled()?;
        let settings = &ctx.settings.elasticsearch;
        let client = Client::new(access(settings)?)?;
        let engine = Engine::detect(&client).await?;
        tracing::info!(%engine, "reached the cluster");
        Ok(Self {
            client,
            engine,
            repository: settings.repository.clone(),
        })
    }

    fn repository(&self) -> Repository<'_> {
        Repository {
            client: &self.client,
            engine: self.engine,
            name: &self.repository,
        }
    }
}

fn access(settings: &Elasticsearch) -> Result<Access, Failure> {
    let cluster = &settings.cluster;
    cluster.require_one_credential()?;
    let text = |secret: &Secret| secret.expose().to_owned();
    let credentials = match (&cluster.user, &cluster.api_key, &cluster.token) {
        (Some(user), _, _) => Credentials::Basic {
            user: user.clone(),
            password: cluster.password.as_ref().map(text).unwrap_or_default(),
        },
        (None, Some(key), _) => Credentials::ApiKey(text(key)),
        (None, None, Some(token)) => Credentials::Bearer(text(token)),
        (None, None, None) => Credentials::None,
    };
    let certificates = match &cluster.certificates {
        None => Vec::new(),
        Some(path) => fs::read(path).map_err(|error| {
            Failure::new(Kind::Invalid, error).context(format!(
                "cannot read `{path}`, which `lifeboat.elasticsearch.certificates` names"
            ))
        })?,
    };
    Ok(Access {
        urls: cluster.urls.clone(),
        credentials,
        certificates,
    })
}

/// What the repository should be.
fn wanted(ctx: &Context) -> Result<Wanted, Failure> {
    let settings = &ctx.settings.elasticsearch;
    let cluster = &settings.cluster;
    let gateway = cluster.gateway.as_ref();
    let keys = match cluster.keys {
        KeyPlace::Keystore => Keys::Keystore,
        KeyPlace::RepositorySettings => {
            let credentials = ctx.settings.client_credentials()?;
            Keys::InSettings {
                access: credentials.access_key.expose().to_owned(),
                secret: credentials.secret_key.expose().to_owned(),
            }
        }
    };
    Ok(Wanted {
        bucket: settings.bucket.clone(),
        base_path: settings.prefix.trim_matches('/').to_owned(),
        endpoint: gateway.unwrap_or(&ctx.settings.lifeboat.endpoint).clone(),
        region: cluster.region.clone(),
        keys,
        more: cluster.repository_settings.clone(),
    })
}

/// Which states of the repository the cluster and the bucket know.
async fn states(
    repository: Repository<'_>,
    bucket: &Bucket,
    base_path: &str,
) -> Result<States, Failure> {
    let remembered = repository.remembered().await?;
    let prefix = match base_path {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let entries = bucket.list(&prefix).await?;
    let names = entries
        .iter()
        .filter_map(|entry| entry.key.strip_prefix(&prefix));
    Ok(States {
        remembered,
        stored: States::newest(names),
    })
}

/// The indices of the settings.
fn patterns(ctx: &Context) -> Patterns {
    Patterns::new(ctx.settings.elasticsearch.indices.clone())
}

/// Where a restore that is no more left the engine's own scheduler stopped, starts it again, and says so.
async fn start_what_was_stopped(ctx: &Context, cluster: &Cluster) -> Result<(), Failure> {
    let standing = native::resume_if_left_behind(&cluster.client, ctx.clock.now()).await?;
    if let Standing::Started(started) = &standing {
        ctx.note(&format!(
            "started {} again, which a restore of `{}` had stopped",
            started.words().join(", "),
            started.snapshot
        ))?;
    }
    tell_what_stays_stopped(ctx, &standing)
}

fn tell_what_stays_stopped(ctx: &Context, standing: &Standing) -> Result<(), Failure> {
    let Standing::Stays(paused, living) = standing else {
        return Ok(());
    };
    let reason = match living {
        Living::InEngine(snapshot) => format!("while `{snapshot}` is being restored"),
        Living::AtWork(hold) => format!(
            "for a restore of `{}`, which was at work at {:.0}",
            hold.snapshot, hold.renewed
        ),
    };
    ctx.note(&format!(
        "{} stays stopped {reason}; after that `lifeboat elasticsearch restore --attach`, `backup`, `expire` and `configure` start it, and `lifeboat elasticsearch policy start` at once",
        paused.words().join(", ")
    ))
}

/// The first line of what the platform's scripts print about a repository.
fn banner(ctx: &Context, doing: &str) -> String {
    let settings = &ctx.settings.elasticsearch;
    format!(
        "=== {doing} snapshot repository \"{}\" in bucket \"{}\"...",
        settings.repository, settings.bucket
    )
}

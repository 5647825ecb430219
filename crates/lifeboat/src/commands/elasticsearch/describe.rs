//! `lifeboat elasticsearch describe`.

use clap::Args;
use jiff::tz::TimeZone;
use lifeboat_elasticsearch::catalog::Details;
use lifeboat_elasticsearch::snapshot::ShardFailure;
use serde::Serialize;

use super::Cluster;
use super::list::SnapshotView;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Show what a snapshot holds, and what is wrong with it
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Name of the snapshot, or `latest` for the newest that succeeded
    #[arg(value_name = "SNAPSHOT")]
    name: String,
}

#[derive(Debug, Serialize)]
struct DescribeView {
    #[serde(flatten)]
    snapshot: SnapshotView,
    version: Option<String>,
    failures: Vec<ShardFailure>,
    #[serde(skip)]
    time_zone: TimeZone,
}

pub(crate) async fn run(ctx: &Context, args: &DescribeArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::reach(ctx).await?;
    let found = cluster
        .repository()
        .find(&args.name, Details::WithSizes)
        .await?;
    ctx.out.show(&DescribeView {
        version: found.version.clone(),
        failures: found.failures.clone(),
        snapshot: SnapshotView::from(found),
        time_zone: ctx.clock.time_zone().clone(),
    })?;
    Ok(Exit::Success)
}

impl View for DescribeView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let snapshot = &self.snapshot;
        let time = |at: jiff::Timestamp| {
            let local = at.to_zoned(self.time_zone.clone());
            local.strftime("%Y-%m-%d %H:%M:%S").to_string()
        };
        let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        text.line(format_args!("name:      {}", snapshot.name));
        text.line(format_args!("state:     {}", snapshot.state.word()));
        text.line(format_args!("started:   {}", time(snapshot.started)));
        let ended = snapshot.ended.map_or_else(|| "-".to_owned(), time);
        text.line(format_args!("ended:     {ended}"));
        text.line(format_args!("taken by:  {}", or_dash(&snapshot.taken_by)));
        text.line(format_args!("policy:    {}", or_dash(&snapshot.policy)));
        text.line(format_args!("version:   {}", or_dash(&self.version)));
        text.line(format_args!("size:      {}", snapshot.size()));
        let shards = &snapshot.shards;
        text.line(format_args!(
            "shards:    {}, {} failed",
            shards.total, shards.failed
        ));
        for name in &snapshot.data_streams {
            text.line(format_args!("stream:    {name}"));
        }
        for name in &snapshot.indices {
            text.line(format_args!("index:     {name}"));
        }
        for failure in &self.failures {
            text.line(format_args!(
                "failure:   shard {} of `{}`: {}",
                failure.shard, failure.index, failure.reason
            ));
        }
        text.into()
    }
}

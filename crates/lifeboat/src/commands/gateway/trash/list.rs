//! `lifeboat gateway trash list`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_core::size::ByteSize;
use lifeboat_gateway::backends::local::trash::{Filter, Why};
use serde::Serialize;

use super::Listed;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// List what was deleted or replaced on the gateway's volume and can be restored
///
/// With `lifeboat.gateway.trash` set, the volume keeps such objects for that long. Needs to run where the volume is, for
/// example in the gateway's pod; the gateway may be running.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only what was in this bucket
    #[arg(long)]
    bucket: Option<String>,
    /// Only what has a key that begins so
    #[arg(long, default_value_t, hide_default_value = true)]
    prefix: String,
    /// The folder that holds the buckets, instead of `lifeboat.gateway.volume`
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct ListView {
    objects: Vec<Listed>,
    #[serde(skip)]
    time_zone: TimeZone,
}

pub(crate) async fn run(ctx: &Context, args: &ListArgs) -> Result<Exit, Failure> {
    let filter = Filter {
        bucket: args.bucket.clone(),
        prefix: args.prefix.clone(),
    };
    let found = super::read(ctx, args.volume.as_deref(), filter).await?;
    let objects = found
        .iter()
        .flat_map(|(visit, entries)| entries.iter().map(|entry| Listed::new(entry, visit.path())))
        .collect();
    ctx.out.show(&ListView {
        objects,
        time_zone: ctx.clock.time_zone().clone(),
    })?;
    Ok(Exit::Success)
}

impl ListView {
    fn time(&self, at: Timestamp) -> String {
        let local = at.to_zoned(self.time_zone.clone());
        local.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

impl View for ListView {
    fn table(&self) -> String {
        if self.objects.is_empty() {
            return "nothing in the trash\n".to_owned();
        }
        let rows: Vec<_> = self
            .objects
            .iter()
            .map(|object| {
                [
                    format!("{}/{}", object.bucket, object.key),
                    ByteSize(object.bytes).to_string(),
                    self.time(object.modified),
                    self.time(object.removed),
                    match object.why {
                        Why::Deleted => "deleted".to_owned(),
                        Why::Replaced => "replaced".to_owned(),
                    },
                    object.id.clone(),
                ]
            })
            .collect();
        columns(["name", "size", "written", "removed", "why", "id"], &rows)
    }
}

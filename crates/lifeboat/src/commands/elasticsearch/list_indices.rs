//! `lifeboat elasticsearch list-indices`.

use clap::Args;
use lifeboat_core::size::ByteSize;
use lifeboat_elasticsearch::indices::{self, Index, Status};
use lifeboat_elasticsearch::pattern::{Patterns, is_system};
use serde::Serialize;

use super::Cluster;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// List the indices of the cluster
#[derive(Debug, Args)]
pub(crate) struct ListIndicesArgs {
    /// Names and patterns, separated by commas; all but the engine's own without it
    patterns: Option<String>,
}

#[derive(Debug, Serialize)]
struct IndicesView {
    indices: Vec<Index>,
}

pub(crate) async fn run(ctx: &Context, args: &ListIndicesArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::reach(ctx).await?;
    let mut indices = indices::all(&cluster.client).await?;
    match &args.patterns {
        None => indices.retain(|index| !is_system(&index.name)),
        Some(patterns) => {
            let patterns = Patterns::parse(patterns);
            indices.retain(|index| patterns.matches(&index.name));
        }
    }
    ctx.out.show(&IndicesView { indices })?;
    Ok(Exit::Success)
}

impl View for IndicesView {
    fn table(&self) -> String {
        if self.indices.is_empty() {
            return "no indices\n".to_owned();
        }
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let rows: Vec<_> = self
            .indices
            .iter()
            .map(|index| {
                [
                    index.name.clone(),
                    match index.status {
                        Status::Open => "open".to_owned(),
                        Status::Closed => "closed".to_owned(),
                    },
                    or_dash(index.health.clone()),
                    index.primaries.to_string(),
                    or_dash(index.documents.map(|count| count.to_string())),
                    or_dash(index.size.map(|size| ByteSize(size).to_string())),
                ]
            })
            .collect();
        let headings = ["name", "status", "health", "shards", "documents", "size"];
        columns(headings, &rows)
    }
}

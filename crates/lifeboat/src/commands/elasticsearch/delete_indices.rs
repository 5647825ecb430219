//! `lifeboat elasticsearch delete-indices`.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::indices::{self, Index, Stream};
use lifeboat_elasticsearch::pattern::Patterns;
use serde::Serialize;

use super::Cluster;
use crate::bar::Measure;
use crate::context::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Delete indices and data streams, so that a snapshot can be restored
///
/// What matches is shown first, then deleted by its exact name. Whatever writes to them has to be stopped before: an index that is written to comes back.
#[derive(Debug, Args)]
pub(crate) struct DeleteIndicesArgs {
    /// Names and patterns, separated by commas
    patterns: String,
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before deleting
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct DeleteView {
    dry_run: bool,
    indices: Vec<String>,
    data_streams: Vec<String>,
    documents: u64,
    bytes: u64,
}

pub(crate) async fn run(ctx: &Context, args: &DeleteIndicesArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::reach(ctx).await?;
    let client = &cluster.client;
    let patterns = Patterns::parse(&args.patterns);
    let all = indices::all(client).await?;
    let streams = indices::streams(client).await?;
    let mut view = DeleteView::plan(&patterns, &all, &streams)?;
    if args.dry_run {
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    if !args.yes && !confirm(&view.table())? {
        return Err(Failure::interrupted().hint("nothing was deleted"));
    }
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Count("indices"), "delete", &progress);
    progress.expect(view.indices.len() as u64, 0);
    for stream in &view.data_streams {
        indices::delete_stream(client, stream).await?;
    }
    let deleted = indices::delete(client, &view.indices, |count| {
        progress.add(count as u64, 0);
    });
    deleted.await?;
    drop(bar);
    let left = indices::left(client, &view.indices).await?;
    if !left.is_empty() {
        let names = left.join("`, `");
        return Err(Failure::new(
            Kind::Conflict,
            format!("there again after their deletion: `{names}`"),
        )
        .hint("something still writes to them: stop it, then run the same command again"));
    }
    view.dry_run = false;
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

impl DeleteView {
    fn plan(patterns: &Patterns, all: &[Index], streams: &[Stream]) -> Result<Self, Error> {
        let data_streams: Vec<&Stream> = streams
            .iter()
            .filter(|stream| patterns.matches(&stream.name))
            .collect();
        let behind = data_streams.iter().flat_map(|stream| &stream.indices);
        let behind: BTreeSet<&String> = behind.collect();
        let mut view = Self {
            dry_run: true,
            indices: Vec::new(),
            data_streams: data_streams
                .iter()
                .map(|stream| stream.name.clone())
                .collect(),
            documents: 0,
            bytes: 0,
        };
        let mut known = view.data_streams.clone();
        for index in all {
            let with_stream = behind.contains(&index.name);
            if with_stream || patterns.matches(&index.name) {
                view.documents += index.documents.unwrap_or(0);
                view.bytes += index.size.unwrap_or(0);
                known.push(index.name.clone());
                if !with_stream {
                    view.indices.push(index.name.clone());
                }
            }
        }
        if let Some(missing) = patterns.missing(&known).first() {
            return Err(Error::UnknownIndex((*missing).to_owned()));
        }
        if known.is_empty() {
            let patterns = patterns.as_slice().join(",");
            return Err(Error::NothingMatches { patterns });
        }
        Ok(view)
    }
}

impl View for DeleteView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let word = if self.dry_run {
            "would delete"
        } else {
            "deleted"
        };
        for name in &self.data_streams {
            text.line(format_args!("{word} the data stream `{name}`"));
        }
        for name in &self.indices {
            text.line(format_args!("{word} `{name}`"));
        }
        text.line(format_args!(
            "{} documents, {}",
            self.documents,
            ByteSize(self.bytes)
        ));
        text.into()
    }

    fn script(&self) -> String {
        "{\n  \"acknowledged\" : true\n}\n".to_owned()
    }
}

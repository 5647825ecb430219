//! Measures Lifeboat; `cargo xtask bench` builds and runs it. docs/benchmarks.md keeps what was seen.

mod elasticsearch;
mod format;
mod gateway;
mod graph;
mod jsonl;
mod measure;
mod peer;
mod program;
mod report;
mod step;
mod synthetic;
mod victoria_metrics;

use std::io;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures Lifeboat
#[derive(Debug, Parser)]
#[command(name = "lifeboat-bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The `.graph` format alone: no store, no disk
    Format {
        #[arg(default_value_t = 1_000_000)]
        vertices: u64,
        #[arg(default_value_t = 2)]
        workers: usize,
    },
    Elasticsearch(elasticsearch::Arguments),
    Gateway(gateway::Arguments),
    Graph(graph::Arguments),
    VictoriaMetrics(victoria_metrics::Arguments),
    #[command(hide = true)]
    Step(step::Arguments),
}

fn main() -> Result<()> {
    match Arguments::parse().bench {
        Bench::Format { vertices, workers } => format::run(vertices, workers, &mut io::stdout()),
        Bench::Elasticsearch(arguments) => elasticsearch::run(&arguments, &mut io::stdout()),
        Bench::Gateway(arguments) => gateway::run(&arguments, &mut io::stdout()),
        Bench::Graph(arguments) => graph::run(&arguments, &mut io::stdout()),
        Bench::VictoriaMetrics(arguments) => victoria_metrics::run(&arguments, &mut io::stdout()),
        Bench::Step(arguments) => step::run(&arguments, &mut io::stdout()),
    }
}

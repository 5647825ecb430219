//! How fast the `.graph` format alone is: no store, no disk, no network.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lifeboat_core::backup::Consistency;
use lifeboat_core::progress::Progress;
use lifeboat_stackgraph::digest::Digest;
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::store::{Piece, Snapshot, Totals};
use lifeboat_stackgraph::{export, verify};

use crate::synthetic::Synthetic;

/// Pieces that are made already, so that making them is not measured.
struct Ready {
    totals: Totals,
    pieces: std::vec::IntoIter<Piece>,
}

impl Snapshot for Ready {
    fn totals(&self) -> &Totals {
        &self.totals
    }

    fn consistency(&self) -> Consistency {
        Consistency::Snapshot
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        Ok(self.pieces.next())
    }
}

/// Measures digest, export and verify over `vertices` vertices and their edges, and prints a line for each.
pub(crate) fn run(vertices: u64, workers: usize, out: &mut impl Write) -> Result<()> {
    let (pieces, took) = timed(|| {
        let mut source = Synthetic::new(vertices);
        std::iter::from_fn(|| source.next().transpose()).collect::<Result<Vec<_>, _>>()
    })?;
    let totals = Synthetic::new(vertices).totals().clone();
    let elements = totals.elements();
    let mut line = |what: &str, took: Took| {
        let rate = per_second(elements, took.wall) / 1e6;
        let (wall, cpu) = (took.wall.as_secs_f64(), took.cpu.as_secs_f64());
        writeln!(
            out,
            "{what:<22} {wall:>8.3} s, {cpu:>6.2} s of all cores, {rate:>6.2} M elements/s"
        )
    };
    line("generate, one thread", took)?;
    let (digest, took) = timed(|| {
        let mut digest = Digest::default();
        for piece in &pieces {
            digest.add(Digest::of_piece(piece));
        }
        Ok::<_, Error>(digest)
    })?;
    line("digest, one thread", took)?;
    let progress = Progress::default();
    for workers in [1, workers] {
        let snapshot = Box::new(Ready {
            totals: totals.clone(),
            pieces: pieces.clone().into_iter(),
        });
        let mut file = Vec::with_capacity(usize::try_from(elements * 32)?);
        let options = export::Options {
            workers,
            created: jiff::Timestamp::UNIX_EPOCH,
            uuid: [1; 16],
            program: "lifeboat-bench".to_owned(),
            driver: "synthetic".to_owned(),
            progress: &progress,
        };
        let (footer, took) = timed(|| export::run(snapshot, &mut file, options))?;
        ensure!(
            footer.totals.digest == digest,
            "the digest changed on the way"
        );
        line(&format!("export, {workers} workers"), took)?;
        let (report, took) = timed(|| {
            verify::run(
                file.as_slice(),
                &verify::Options {
                    workers,
                    progress: &progress,
                },
            )
        })?;
        ensure!(
            report.is_sound(),
            "the file is damaged: {:?}",
            report.damages
        );
        line(&format!("verify, {workers} workers"), took)?;
        let size = per_second(file.len() as u64, Duration::from_secs(elements));
        writeln!(
            io::stderr(),
            "{size:.2} bytes per element, {} bytes before compression",
            footer.raw_bytes
        )?;
    }
    Ok(())
}

struct Took {
    wall: Duration,
    /// What all threads together were busy, in steps of 10 ms: what does not change while others use the machine.
    cpu: Duration,
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, Took), E> {
    let (start, busy) = (Instant::now(), cpu());
    let result = work()?;
    let took = Took {
        wall: start.elapsed(),
        cpu: cpu().saturating_sub(busy),
    };
    Ok((result, took))
}

/// User and system time of this process; zero where `/proc` does not tell.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is printed with three digits"
)]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

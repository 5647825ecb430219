//! From a store's snapshot to a `.graph` file.

use std::io::Write;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;

use crate::error::Error;
use crate::format::{Encoder, Footer, Header, MAX_ELEMENTS, Origin, Writer};
use crate::pipeline;
use crate::store::{Piece, Snapshot, Totals};

/// How to write a file. Clock and randomness are the caller's.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How many threads compress; one more reads the store, and the caller's writes.
    pub workers: usize,
    pub created: Timestamp,
    /// Random: no two files have the same.
    pub uuid: [u8; 16],
    /// Program and version, for example `lifeboat 0.1.0`.
    pub program: String,
    /// The name of the store's driver, from its [`Info`](crate::store::Info).
    pub driver: String,
    /// Counts elements and bytes of the file.
    pub progress: &'a Progress,
}

/// Writes all that the snapshot yields. Holds at most `2 * workers + 3` batches at a time.
///
/// When it fails, or is killed, what `writer` received is an incomplete file, and every reader says so. The digest in
/// the footer is that of what was written; the counts were compared with those of the snapshot.
pub fn run(
    mut snapshot: Box<dyn Snapshot>,
    writer: impl Write,
    options: Options<'_>,
) -> Result<Footer, Error> {
    let expected = snapshot.totals().clone();
    let consistency = snapshot.consistency();
    options.progress.expect(expected.elements(), 0);
    let header = Header::new(options.uuid, options.created);
    let mut file = Writer::new(writer, header)?;
    let mut rest = Vec::new();
    pipeline::run(
        "export",
        options.workers,
        move || next_piece(snapshot.as_mut(), &mut rest),
        || {
            let mut encoder = Encoder::new()?;
            Ok(move |piece: Piece| encoder.encode(&piece))
        },
        |block| {
            if let Some(block) = block {
                let elements = elements(&block.summary);
                let bytes = file.write(&block)?;
                options.progress.add(elements, bytes);
            }
            Ok(())
        },
    )?;
    compare(&expected, &file.tally().totals)?;
    file.finish(Origin {
        program: options.program,
        driver: options.driver,
        consistency,
    })
}

/// Transactions may come in one long piece; a block holds only so many.
fn next_piece(
    snapshot: &mut dyn Snapshot,
    rest: &mut Vec<crate::model::Transaction>,
) -> Result<Option<Piece>, Error> {
    if rest.is_empty() {
        match snapshot.next()? {
            Some(Piece::Transactions(transactions)) => *rest = transactions,
            other => return Ok(other),
        }
    }
    let later = rest.split_off(rest.len().min(MAX_ELEMENTS));
    Ok(Some(Piece::Transactions(std::mem::replace(rest, later))))
}

fn elements(summary: &crate::format::Summary) -> u64 {
    summary.labels.values().sum()
}

fn compare(expected: &Totals, found: &Totals) -> Result<(), Error> {
    let same = expected.transactions == found.transactions
        && expected.vertices == found.vertices
        && expected.edges == found.edges;
    if same {
        return Ok(());
    }
    Err(Error::Inconsistent {
        what: format!(
            "its counters promise {} transactions, {} vertices and {} edges, it yielded {}, {} and {}",
            expected.transactions,
            expected.vertex_count(),
            expected.edge_count(),
            found.transactions,
            found.vertex_count(),
            found.edge_count()
        ),
    })
}

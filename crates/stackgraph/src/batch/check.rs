//! What must hold inside a batch, whoever made it.

use std::collections::HashSet;

use super::{Batch, Blobs, Kind, Values};
use crate::value::{Malformed, check_nested};

impl Batch {
    /// Checks everything that the rest of the crate relies on when it indexes into a batch, and that texts are UTF-8
    /// and nested values canonical. Does not look beyond the batch: whether the ends of an edge exist is the
    /// loader's question.
    pub fn check(&self) -> Result<(), Malformed> {
        let count = self.len();
        let edges = if self.kind == Kind::Edges { count } else { 0 };
        let vertices = count - edges;
        require(
            self.tx.len() == count
                && self.deleted.len() == count
                && self.label.len() == count
                && self.src.len() == edges
                && self.dst.len() == edges
                && self.identifier_counts.len() == vertices,
            "columns differ in length",
        )?;
        self.check_order()?;
        let names = self.names.len();
        check_texts(&self.names)?;
        let distinct: HashSet<&[u8]> = self.names.iter().collect();
        require(
            distinct.len() == names,
            "a name stands twice among the names",
        )?;
        require(
            self.label.iter().all(|&label| (label as usize) < names),
            "a label is not among the names",
        )?;
        let identifiers: u64 = self
            .identifier_counts
            .iter()
            .map(|&count| u64::from(count))
            .sum();
        require(
            identifiers == self.identifiers.len() as u64,
            "the number of identifiers differs from their counts",
        )?;
        check_texts(&self.identifiers)?;
        self.check_columns()
    }

    fn check_order(&self) -> Result<(), Malformed> {
        let ascending = match self.kind {
            Kind::Vertices => (1..self.len())
                .all(|row| (self.lid[row - 1], self.tx[row - 1]) < (self.lid[row], self.tx[row])),
            Kind::Edges => (1..self.len()).all(|row| {
                (self.src[row - 1], self.lid[row - 1], self.tx[row - 1])
                    < (self.src[row], self.lid[row], self.tx[row])
            }),
        };
        require(ascending, "elements are out of order")
    }

    fn check_columns(&self) -> Result<(), Malformed> {
        let mut last = None;
        for column in &self.columns {
            let this = (column.key, column.values.tag());
            require(last < Some(this), "columns are out of order")?;
            last = Some(this);
            require(
                (column.key as usize) < self.names.len(),
                "a key is not among the names",
            )?;
            require(
                column.rows.is_sorted_by(|a, b| a < b)
                    && column
                        .rows
                        .last()
                        .is_some_and(|&row| (row as usize) < self.len()),
                "the rows of a column are not those of the batch",
            )?;
            let rows = column.rows.len();
            let values = match &column.values {
                Values::Null => rows,
                Values::Bool(values) => values.len(),
                Values::Int(values) | Values::Time(values) => values.len(),
                Values::Float(values) => values.len(),
                Values::Text(blobs) => {
                    check_texts(blobs)?;
                    blobs.len()
                }
                Values::Bytes(blobs) => {
                    check_ends(blobs)?;
                    blobs.len()
                }
                Values::Nested(nested, blobs) => {
                    check_ends(blobs)?;
                    for bytes in blobs.iter() {
                        check_nested(*nested, bytes)?;
                    }
                    blobs.len()
                }
            };
            require(
                values == rows,
                "a column has more or fewer values than rows",
            )?;
        }
        self.check_one_type_each()
    }

    /// An element has a key at most once. Columns of one key lie side by side, so only those are compared.
    fn check_one_type_each(&self) -> Result<(), Malformed> {
        for same_key in self.columns.chunk_by(|a, b| a.key == b.key) {
            if same_key.len() > 1 {
                let mut rows: Vec<u32> = same_key
                    .iter()
                    .flat_map(|column| &column.rows)
                    .copied()
                    .collect();
                rows.sort_unstable();
                require(
                    rows.is_sorted_by(|a, b| a < b),
                    "an element has one key with two types",
                )?;
            }
        }
        Ok(())
    }
}

fn check_ends(blobs: &Blobs) -> Result<(), Malformed> {
    require(
        blobs.ends.is_sorted()
            && blobs.ends.last().map_or(0, |&end| end as usize) == blobs.data.len(),
        "the lengths of a column do not fit its bytes",
    )
}

/// Checks the whole at once, then that no text ends inside a character.
fn check_texts(blobs: &Blobs) -> Result<(), Malformed> {
    check_ends(blobs)?;
    let text = std::str::from_utf8(&blobs.data).map_err(|_| Malformed("a text is not UTF-8"))?;
    require(
        blobs
            .ends
            .iter()
            .all(|&end| text.is_char_boundary(end as usize)),
        "a text is not UTF-8",
    )
}

fn require(holds: bool, what: &'static str) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(Malformed(what)) }
}

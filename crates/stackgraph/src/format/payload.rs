//! A batch, or transactions, as the bytes of a block before compression: docs/graph-format.md §Columns.

use super::input::Input;
use super::{MAX_BLOCK_BYTES, MAX_ELEMENTS, bits, blobs, ints};
use crate::batch::{Batch, Blobs, Column, Kind, Nested, Values};
use crate::model::Transaction;
use crate::value::{Malformed, put_uvarint};

/// What a column costs in memory beside its rows and values.
const COLUMN_WEIGHT: usize = 64;
const VERTEX_WEIGHT: usize = 21 + 4;
const EDGE_WEIGHT: usize = 21 + 16;
const TRANSACTION_WEIGHT: usize = 16;

/// Whether a reader will accept the batch, by the same measure.
pub(super) fn fits(batch: &Batch) -> bool {
    let element = match batch.kind {
        Kind::Vertices => VERTEX_WEIGHT,
        Kind::Edges => EDGE_WEIGHT,
    };
    let columns: usize = batch
        .columns
        .iter()
        .map(|column| {
            let values = match &column.values {
                Values::Null => 0,
                Values::Bool(values) => values.len(),
                Values::Int(values) | Values::Time(values) => values.len() * 8,
                Values::Float(values) => values.len() * 8,
                Values::Text(blobs) | Values::Bytes(blobs) | Values::Nested(_, blobs) => {
                    blobs_weight(blobs)
                }
            };
            COLUMN_WEIGHT + column.rows.len() * 4 + values
        })
        .sum();
    batch.len() <= MAX_ELEMENTS
        && batch.len() * element
            + blobs_weight(&batch.names)
            + blobs_weight(&batch.identifiers)
            + columns
            <= MAX_BLOCK_BYTES
}

fn blobs_weight(blobs: &Blobs) -> usize {
    blobs.len() * 4 + blobs.data.len()
}

pub(super) fn encode_transactions(transactions: &[Transaction], out: &mut Vec<u8>) {
    ints::encode(transactions.iter().map(|transaction| transaction.tx), out);
    let millis = transactions
        .iter()
        .map(|transaction| transaction.millis.cast_unsigned());
    ints::encode(millis, out);
}

pub(super) fn decode_transactions(
    bytes: &[u8],
    count: usize,
) -> Result<Vec<Transaction>, Malformed> {
    let mut input = Input::new(bytes);
    input.spend(count, TRANSACTION_WEIGHT)?;
    let txs = ints::decode(&mut input, count)?;
    let millis = ints::decode(&mut input, count)?;
    input.end()?;
    if !txs.is_sorted_by(|a, b| a < b) {
        return Err(Malformed("transactions are out of order"));
    }
    Ok(txs
        .into_iter()
        .zip(millis)
        .map(|(tx, millis)| Transaction {
            tx,
            millis: millis.cast_signed(),
        })
        .collect())
}

pub(super) fn encode_batch(batch: &Batch, out: &mut Vec<u8>) {
    put_uvarint(batch.names.len() as u64, out);
    blobs::encode_plain(&batch.names, out);
    ints::encode(batch.lid.iter().copied(), out);
    ints::encode(batch.tx.iter().copied(), out);
    bits::encode(&batch.deleted, out);
    ints::encode(batch.label.iter().map(|&label| u64::from(label)), out);
    match batch.kind {
        Kind::Vertices => {
            let counts = batch.identifier_counts.iter();
            ints::encode(counts.map(|&count| u64::from(count)), out);
            blobs::encode(&batch.identifiers, out);
        }
        Kind::Edges => {
            ints::encode(batch.src.iter().copied(), out);
            ints::encode(batch.dst.iter().copied(), out);
        }
    }
    put_uvarint(batch.columns.len() as u64, out);
    for column in &batch.columns {
        put_uvarint(u64::from(column.key), out);
        out.push(column.values.tag());
        bits::encode_rows(&column.rows, batch.len(), out);
        encode_values(&column.values, out);
    }
}

/// Takes a batch apart. What must hold between its columns is checked as well.
pub(super) fn decode_batch(kind: Kind, bytes: &[u8], count: usize) -> Result<Batch, Malformed> {
    let mut input = Input::new(bytes);
    let mut batch = Batch::new(kind);
    let names = input.count()?;
    batch.names = blobs::decode_plain(&mut input, names)?;
    input.spend(
        count,
        match kind {
            Kind::Vertices => VERTEX_WEIGHT,
            Kind::Edges => EDGE_WEIGHT,
        },
    )?;
    batch.lid = ints::decode(&mut input, count)?;
    batch.tx = ints::decode(&mut input, count)?;
    batch.deleted = bits::decode(&mut input, count)?;
    batch.label = ints::decode_u32(&mut input, count)?;
    match kind {
        Kind::Vertices => {
            batch.identifier_counts = ints::decode_u32(&mut input, count)?;
            let identifiers: u64 = batch.identifier_counts.iter().map(|&n| u64::from(n)).sum();
            let identifiers = usize::try_from(identifiers)
                .map_err(|_| Malformed("a block holds more than 64 MiB"))?;
            batch.identifiers = blobs::decode(&mut input, identifiers)?;
        }
        Kind::Edges => {
            batch.src = ints::decode(&mut input, count)?;
            batch.dst = ints::decode(&mut input, count)?;
        }
    }
    let columns = input.count()?;
    for _ in 0..columns {
        input.spend(1, COLUMN_WEIGHT)?;
        batch.columns.push(decode_column(&mut input, count)?);
    }
    input.end()?;
    batch.check()?;
    Ok(batch)
}

fn encode_values(values: &Values, out: &mut Vec<u8>) {
    match values {
        Values::Null => {}
        Values::Bool(values) => bits::encode(values, out),
        Values::Int(values) | Values::Time(values) => {
            ints::encode(values.iter().map(|value| value.cast_unsigned()), out);
        }
        Values::Float(bits) => ints::encode(bits.iter().copied(), out),
        Values::Text(blobs) | Values::Bytes(blobs) | Values::Nested(_, blobs) => {
            blobs::encode(blobs, out);
        }
    }
}

fn decode_column(input: &mut Input<'_>, count: usize) -> Result<Column, Malformed> {
    let key =
        u32::try_from(input.uvarint()?).map_err(|_| Malformed("a key is not among the names"))?;
    let tag = input.byte()?;
    let rows = bits::decode_rows(input, count)?;
    let signed = |input: &mut Input<'_>| -> Result<Vec<i64>, Malformed> {
        input.spend(rows.len(), 8)?;
        let values = ints::decode(input, rows.len())?;
        Ok(values.into_iter().map(u64::cast_signed).collect())
    };
    let values = match tag {
        0 => Values::Null,
        1 => {
            input.spend(rows.len(), 1)?;
            Values::Bool(bits::decode(input, rows.len())?)
        }
        2 => Values::Int(signed(input)?),
        3 => {
            input.spend(rows.len(), 8)?;
            Values::Float(ints::decode(input, rows.len())?)
        }
        4 => Values::Time(signed(input)?),
        5 => Values::Text(blobs::decode(input, rows.len())?),
        6 => Values::Bytes(blobs::decode(input, rows.len())?),
        7 => Values::Nested(Nested::List, blobs::decode(input, rows.len())?),
        8 => Values::Nested(Nested::Set, blobs::decode(input, rows.len())?),
        9 => Values::Nested(Nested::Map, blobs::decode(input, rows.len())?),
        _ => return Err(Malformed("a value has an unknown type")),
    };
    Ok(Column { key, rows, values })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch::{Builder, value_ref};
    use crate::model::Value;
    use crate::value::ValueRef;

    /// Batches with every kind of column.
    fn batch(kind: Kind, seeds: &[u64]) -> Batch {
        let mut builder = Builder::new(kind);
        let keys = ["a", "b", "c", "d", "e"].map(|key| builder.name(key.as_bytes()));
        let mut scratch = Vec::new();
        for (lid, &seed) in (0..).zip(seeds) {
            match kind {
                Kind::Vertices => builder.begin_vertex(lid, seed, seed % 2 == 0, keys[0]),
                Kind::Edges => builder.begin_edge(seed, 1, false, keys[1], lid, seed),
            }
            if kind == Kind::Vertices && seed % 3 == 0 {
                builder.identifier(b"urn");
            }
            builder.prop(keys[0], ValueRef::Int(seed.cast_signed()));
            builder.prop(
                keys[1],
                ValueRef::Text(["x", "yy", ""][usize::try_from(seed % 3).unwrap()].as_bytes()),
            );
            if seed % 2 == 0 {
                builder.prop(keys[2], ValueRef::Bool(seed % 4 == 0));
            } else {
                builder.prop(keys[2], ValueRef::Null);
            }
            scratch.clear();
            let set = Value::set(vec![Value::Int(seed.cast_signed()), Value::Null]);
            builder.prop(keys[3], value_ref(&set, &mut scratch));
            builder.prop(keys[4], ValueRef::Float(seed));
        }
        builder.finish()
    }

    fn any_batch() -> impl Strategy<Value = Batch> {
        let kind = prop_oneof![Just(Kind::Vertices), Just(Kind::Edges)];
        (kind, prop::collection::vec(any::<u64>(), 1..80))
            .prop_map(|(kind, seeds)| batch(kind, &seeds))
    }

    proptest! {
        #[test]
        fn a_batch_comes_back(batch in any_batch()) {
            let mut bytes = Vec::new();
            encode_batch(&batch, &mut bytes);
            let count = batch.len();
            prop_assert_eq!(decode_batch(batch.kind, &bytes, count), Ok(batch));
        }

        /// Past the checksums, where only a hostile writer comes: whatever is decoded keeps the rules of a batch.
        #[test]
        fn a_changed_payload_is_a_batch_or_refused(
            batch in any_batch(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            count in prop_oneof![Just(None), (0_usize..2_000).prop_map(Some)],
        ) {
            let mut bytes = Vec::new();
            encode_batch(&batch, &mut bytes);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(decoded) = decode_batch(batch.kind, &bytes, count.unwrap_or(batch.len())) {
                prop_assert_eq!(decoded.check(), Ok(()));
                prop_assert!(decoded.vertices_or_edges() == decoded.len());
            }
        }

        #[test]
        fn any_bytes_are_a_batch_or_refused(bytes: Vec<u8>, count in 0_usize..100) {
            for kind in [Kind::Vertices, Kind::Edges] {
                if let Ok(batch) = decode_batch(kind, &bytes, count) {
                    prop_assert_eq!(batch.len(), count);
                }
            }
            if let Ok(transactions) = decode_transactions(&bytes, count) {
                prop_assert_eq!(transactions.len(), count);
            }
        }
    }

    impl Batch {
        /// Builds every element, as a reader of the batch would.
        fn vertices_or_edges(&self) -> usize {
            match self.kind {
                Kind::Vertices => self.vertices().unwrap().len(),
                Kind::Edges => self.edges().unwrap().len(),
            }
        }
    }

    #[test]
    fn few_bytes_cannot_stand_for_many_columns() {
        // Each name is a key of a column without values over all elements.
        let count = 65_536;
        let mut bytes = Vec::new();
        put_uvarint(2_000, &mut bytes);
        let mut names = Blobs::default();
        (0..2_000_u32).for_each(|name| names.push(&name.to_le_bytes().map(|byte| byte & 0x7f)));
        blobs::encode_plain(&names, &mut bytes);
        let zeros = || std::iter::repeat_n(0, 65_536);
        ints::encode(0..count, &mut bytes);
        ints::encode(zeros(), &mut bytes);
        bits::encode(&[false], &mut bytes);
        ints::encode(zeros(), &mut bytes);
        ints::encode(zeros(), &mut bytes);
        blobs::encode(&Blobs::default(), &mut bytes);
        put_uvarint(2_000, &mut bytes);
        for key in 0..2_000 {
            put_uvarint(key, &mut bytes);
            bytes.extend_from_slice(&[0, 1]);
        }
        assert!(bytes.len() < 20_000);
        let decoded = decode_batch(Kind::Vertices, &bytes, usize::try_from(count).unwrap());
        assert_eq!(decoded, Err(Malformed("a block holds more than 64 MiB")));
    }
}

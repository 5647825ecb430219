//! One element version as bytes: the values of the tables `v` and `e_out`.
//!
//! Apart because both the bulk paths (columns to rows and back, nothing built in between) and the small ones need
//! it, and because it reads bytes from a disk: whatever they are, decoding ends with a value or with [`Malformed`].
//!
//! ```text
//! vertex  flags u8 · label uvarint · count uvarint · { length uvarint · URN }… · properties
//! edge    flags u8 · label uvarint · dst u64 LE · properties
//! properties  count uvarint · { key uvarint · tag u8 · payload }…
//! ```
//! Labels and keys are ids of the table `strings`. Bit 0 of the flags says deleted, the others are 0. Payloads are the
//! canonical ones of [`crate::value`]; lists, sets and maps have their length before them, so that a scan can pass
//! them on unread.

use crate::batch::{Batch, Nested, Rows};
use crate::model::Lid;
use crate::value::{Malformed, ValueRef, put_uvarint, take_uvarint};

const DELETED: u8 = 1;

/// Starts the row of a vertex; identifiers, then [`put_props`] follow.
pub(super) fn begin_vertex(deleted: bool, label: u32, identifiers: usize, out: &mut Vec<u8>) {
    out.push(if deleted { DELETED } else { 0 });
    put_uvarint(u64::from(label), out);
    put_uvarint(identifiers as u64, out);
}

/// Starts the row of an edge; [`put_props`] follows.
pub(super) fn begin_edge(deleted: bool, label: u32, dst: Lid, out: &mut Vec<u8>) {
    out.push(if deleted { DELETED } else { 0 });
    put_uvarint(u64::from(label), out);
    out.extend_from_slice(&dst.to_le_bytes());
}

/// Appends one text or identifier with its length.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_uvarint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends all properties of a row.
pub(super) fn put_props<'a>(
    props: impl ExactSizeIterator<Item = (u32, ValueRef<'a>)>,
    out: &mut Vec<u8>,
) {
    put_uvarint(props.len() as u64, out);
    for (key, value) in props {
        put_uvarint(u64::from(key), out);
        out.push(value.tag());
        match value {
            ValueRef::Null => {}
            ValueRef::Bool(value) => out.push(u8::from(value)),
            ValueRef::Int(value) | ValueRef::Time(value) => {
                out.extend_from_slice(&value.to_le_bytes());
            }
            ValueRef::Float(bits) => out.extend_from_slice(&bits.to_le_bytes()),
            ValueRef::Text(bytes) | ValueRef::Bytes(bytes) | ValueRef::Nested(_, bytes) => {
                put_bytes(bytes, out);
            }
        }
    }
}

/// Appends the row of one element of a batch. `names` holds the store's id of each of the batch's names.
pub(super) fn put_element(
    batch: &Batch,
    rows: &Rows<'_>,
    row: usize,
    names: &[u32],
    out: &mut Vec<u8>,
) {
    let label = names[batch.label[row] as usize];
    if batch.dst.is_empty() {
        let identifiers = rows.identifiers(row);
        begin_vertex(batch.deleted[row], label, identifiers.len(), out);
        for urn in identifiers {
            put_bytes(urn, out);
        }
    } else {
        begin_edge(batch.deleted[row], label, batch.dst[row], out);
    }
    put_props(
        rows.props(row)
            .map(|(key, value)| (names[key as usize], value)),
        out,
    );
}

/// Reads a row from its start: head first, then (vertices only) identifiers, then properties.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

/// What a row begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) deleted: bool,
    /// An id of the table `strings`.
    pub(super) label: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn head(&mut self) -> Result<Head, Malformed> {
        let deleted = match self.take(1)?[0] {
            0 => false,
            DELETED => true,
            _ => return Err(Malformed("a row has unknown flags")),
        };
        let label = self.id()?;
        Ok(Head { deleted, label })
    }

    /// Edges only: the vertex that the edge points at.
    pub(super) fn dst(&mut self) -> Result<Lid, Malformed> {
        Ok(u64::from_le_bytes(self.eight()?))
    }

    /// Vertices only.
    pub(super) fn identifiers(&mut self, mut each: impl FnMut(&'a [u8])) -> Result<(), Malformed> {
        for _ in 0..take_uvarint(&mut self.bytes)? {
            each(self.blob()?);
        }
        Ok(())
    }

    /// Gives every property and ends the row.
    pub(super) fn props<E: From<Malformed>>(
        mut self,
        mut each: impl FnMut(u32, ValueRef<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        for _ in 0..take_uvarint(&mut self.bytes)? {
            let key = self.id()?;
            each(key, self.value()?)?;
        }
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Malformed("a row is followed by more bytes").into())
        }
    }

    fn value(&mut self) -> Result<ValueRef<'a>, Malformed> {
        Ok(match self.take(1)?[0] {
            0 => ValueRef::Null,
            1 => match self.take(1)?[0] {
                0 => ValueRef::Bool(false),
                1 => ValueRef::Bool(true),
                _ => return Err(Malformed("a truth value is neither 0 nor 1")),
            },
            2 => ValueRef::Int(i64::from_le_bytes(self.eight()?)),
            3 => ValueRef::Float(u64::from_le_bytes(self.eight()?)),
            4 => ValueRef::Time(i64::from_le_bytes(self.eight()?)),
            5 => ValueRef::Text(self.blob()?),
            6 => ValueRef::Bytes(self.blob()?),
            7 => ValueRef::Nested(Nested::List, self.blob()?),
            8 => ValueRef::Nested(Nested::Set, self.blob()?),
            9 => ValueRef::Nested(Nested::Map, self.blob()?),
            _ => return Err(Malformed("a value has an unknown type")),
        })
    }

    fn id(&mut self) -> Result<u32, Malformed> {
        u32::try_from(take_uvarint(&mut self.bytes)?)
            .map_err(|_| Malformed("a name has no id of 32 bits"))
    }

    fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let length = take_uvarint(&mut self.bytes)?;
        self.take(usize::try_from(length).map_err(|_| Malformed("a row is cut short"))?)
    }

    fn eight(&mut self) -> Result<[u8; 8], Malformed> {
        let taken = self.take(8)?;
        Ok(taken.try_into().expect("eight bytes were taken"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(Malformed("a row is cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8], vertex: bool) -> Result<usize, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.head()?;
        let mut count = 0;
        if vertex {
            reader.identifiers(|_| count += 1)?;
        } else {
            reader.dst()?;
        }
        reader.props(|_, value| {
            // Values are built as a lookup would build them; malformed ones are refused there.
            drop(value.to_value());
            count += 1;
            Ok::<_, Malformed>(())
        })?;
        Ok(count)
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_read_or_refused(
            bytes in prop::collection::vec(prop_oneof![0_u8..10, any::<u8>()], 0..80),
            vertex in any::<bool>(),
        ) {
            if let Ok(count) = read_all(&bytes, vertex) {
                prop_assert!(count <= bytes.len());
            }
        }

        #[test]
        fn a_row_comes_back_whole_and_never_cut(
            deleted in any::<bool>(),
            label in any::<u32>(),
            urns in prop::collection::vec(".{0,8}", 0..4),
            texts in prop::collection::vec((any::<u32>(), ".{0,8}", any::<i64>()), 0..4),
        ) {
            let mut bytes = Vec::new();
            begin_vertex(deleted, label, urns.len(), &mut bytes);
            for urn in &urns {
                put_bytes(urn.as_bytes(), &mut bytes);
            }
            let props: Vec<(u32, ValueRef<'_>)> = texts
                .iter()
                .flat_map(|(key, text, number)| {
                    [
                        (*key, ValueRef::Text(text.as_bytes())),
                        (*key, ValueRef::Int(*number)),
                    ]
                })
                .collect();
            put_props(props.iter().copied(), &mut bytes);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.head(), Ok(Head { deleted, label }));
            let mut read = Vec::new();
            reader.identifiers(|urn| read.push(urn)).unwrap();
            prop_assert_eq!(read, urns.iter().map(String::as_bytes).collect::<Vec<_>>());
            let mut read = Vec::new();
            reader
                .props(|key, value| {
                    read.push((key, value));
                    Ok::<_, Malformed>(())
                })
                .unwrap();
            prop_assert_eq!(read, props);
            for cut in 0..bytes.len() {
                prop_assert!(read_all(&bytes[..cut], true).is_err());
            }
        }
    }
}

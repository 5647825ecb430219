//! The canonical bytes of a property's value: one encoding for files, digests and stores.
//!
//! docs/graph-format.md §Values is the contract. Equal values have equal bytes and the reverse, so that a digest
//! over bytes is a digest over values.

use std::collections::BTreeMap;

use crate::batch::Nested;
use crate::model::Value;

/// How deep lists, sets and maps may lie in each other. Beyond it a value is refused, in files and in payloads.
pub const MAX_DEPTH: usize = 128;

/// A value whose bytes lie elsewhere. Lists, sets and maps stay in their canonical encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// The bits.
    Float(u64),
    Time(i64),
    /// UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Nested(Nested, &'a [u8]),
}

/// Bytes that are no canonical value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl Nested {
    pub fn tag(self) -> u8 {
        match self {
            Self::List => 7,
            Self::Set => 8,
            Self::Map => 9,
        }
    }
}

impl ValueRef<'_> {
    pub fn tag(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Time(_) => 4,
            Self::Text(_) => 5,
            Self::Bytes(_) => 6,
            Self::Nested(nested, _) => nested.tag(),
        }
    }

    /// Builds the value. Fails where a text is not UTF-8 or nested bytes are not canonical.
    pub fn to_value(self) -> Result<Value, Malformed> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(bits) => Value::Float(f64::from_bits(bits)),
            Self::Time(value) => Value::Time(value),
            Self::Text(bytes) => Value::Text(text(bytes)?),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Nested(nested, bytes) => {
                let mut input = Input { bytes };
                let value = input.payload(nested.tag(), 0)?;
                input.end()?;
                value
            }
        })
    }
}

/// Appends the payload of a list, set or map, without its tag: what [`ValueRef::Nested`] holds.
///
/// # Panics
/// For any other value.
pub fn encode_nested(value: &Value, out: &mut Vec<u8>) -> Nested {
    let nested = match value {
        Value::List(_) => Nested::List,
        Value::Set(_) => Nested::Set,
        Value::Map(_) => Nested::Map,
        other => unreachable!("{other:?} is not nested"),
    };
    encode_payload(value, out);
    nested
}

/// Checks nested bytes without building the value.
pub fn check_nested(nested: Nested, bytes: &[u8]) -> Result<(), Malformed> {
    ValueRef::Nested(nested, bytes).to_value().map(drop)
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    out.push(value.tag());
    encode_payload(value, out);
}

fn encode_payload(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Int(value) | Value::Time(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Float(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        Value::Text(text) => encode_bytes(text.as_bytes(), out),
        Value::Bytes(bytes) => encode_bytes(bytes, out),
        Value::List(items) | Value::Set(items) => {
            put_uvarint(items.len() as u64, out);
            for item in items {
                encode(item, out);
            }
        }
        Value::Map(entries) => {
            put_uvarint(entries.len() as u64, out);
            for (key, value) in entries {
                encode_bytes(key.as_bytes(), out);
                encode(value, out);
            }
        }
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_uvarint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends an unsigned LEB128 number: seven bits a byte, lowest first, the high bit set on all but the last.
pub fn put_uvarint(value: u64, out: &mut Vec<u8>) {
    let mut rest = value;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Takes an unsigned LEB128 number from the front of `bytes`. Refuses more bytes than the number needs.
pub fn take_uvarint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes
            .split_first()
            .ok_or(Malformed("a number is cut short"))?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return Err(Malformed("a number is longer than it needs to be"));
            }
            return Ok(value);
        }
    }
    Err(Malformed("a number is larger than 64 bits"))
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Malformed("a text is not UTF-8"))
}

struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(Malformed("a value is cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn eight(&mut self) -> Result<[u8; 8], Malformed> {
        let taken = self.take(8)?;
        Ok(taken.try_into().expect("eight bytes were taken"))
    }

    fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let length = take_uvarint(&mut self.bytes)?;
        self.take(usize::try_from(length).map_err(|_| Malformed("a value is cut short"))?)
    }

    /// A count of items, each of which takes at least a byte: a count beyond the bytes left is a lie.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = take_uvarint(&mut self.bytes)?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.bytes.len())
            .ok_or(Malformed("a count is larger than what follows"))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        let tag = self.take(1)?[0];
        self.payload(tag, depth)
    }

    fn payload(&mut self, tag: u8, depth: usize) -> Result<Value, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed("values lie too deep in each other"));
        }
        Ok(match tag {
            0 => Value::Null,
            1 => match self.take(1)?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(Malformed("a truth value is neither 0 nor 1")),
            },
            2 => Value::Int(i64::from_le_bytes(self.eight()?)),
            3 => Value::Float(f64::from_bits(u64::from_le_bytes(self.eight()?))),
            4 => Value::Time(i64::from_le_bytes(self.eight()?)),
            5 => Value::Text(text(self.blob()?)?),
            6 => Value::Bytes(self.blob()?.to_vec()),
            7 => Value::List(self.items(depth)?),
            8 => {
                let items = self.items(depth)?;
                if !items.is_sorted_by(|a, b| a < b) {
                    return Err(Malformed("a set is not in canonical order"));
                }
                Value::Set(items)
            }
            9 => Value::Map(self.entries(depth)?),
            _ => return Err(Malformed("a value has an unknown type")),
        })
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Value>, Malformed> {
        let count = self.count()?;
        (0..count).map(|_| self.value(depth + 1)).collect()
    }

    fn entries(&mut self, depth: usize) -> Result<BTreeMap<String, Value>, Malformed> {
        let count = self.count()?;
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let key = text(self.blob()?)?;
            if entries
                .last_key_value()
                .is_some_and(|(last, _)| *last >= key)
            {
                return Err(Malformed("a map is not in canonical order"));
            }
            let value = self.value(depth + 1)?;
            entries.insert(key, value);
        }
        Ok(entries)
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Malformed("a value is followed by more bytes"))
        }
    }
}

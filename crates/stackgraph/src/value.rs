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

/// Checks nested bytes without building the value: it is done for every value of every file that is read.
pub fn check_nested(nested: Nested, bytes: &[u8]) -> Result<(), Malformed> {
    let mut input = Input { bytes };
    input.pass(nested.tag(), 0)?;
    input.end()
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
    utf8(bytes).map(str::to_owned)
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))
}

/// Compares two canonical values in the order of [`Value`]. Most sets are sets of texts, which need not be built.
fn is_before(a: &[u8], b: &[u8]) -> Result<bool, Malformed> {
    let (mut a, mut b) = (Input { bytes: a }, Input { bytes: b });
    let (tag, other) = (a.take(1)?[0], b.take(1)?[0]);
    if tag != other {
        return Ok(tag < other);
    }
    if tag == 5 {
        return Ok(a.blob()? < b.blob()?);
    }
    Ok(a.payload(tag, 0)? < b.payload(tag, 0)?)
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

    /// Goes past a payload and refuses what [`Input::payload`] refuses.
    fn pass(&mut self, tag: u8, depth: usize) -> Result<(), Malformed> {
        match tag {
            _ if depth > MAX_DEPTH => self.payload(tag, depth).map(drop),
            5 => utf8(self.blob()?).map(drop),
            6 => self.blob().map(drop),
            7 => (0..self.count()?).try_for_each(|_| self.pass_value(depth + 1).map(drop)),
            8 => {
                let mut last = None;
                for _ in 0..self.count()? {
                    let item = self.pass_value(depth + 1)?;
                    if last.map_or(Ok(false), |last| {
                        is_before(last, item).map(|before| !before)
                    })? {
                        return Err(Malformed("a set is not in canonical order"));
                    }
                    last = Some(item);
                }
                Ok(())
            }
            9 => {
                let mut last = None;
                for _ in 0..self.count()? {
                    let key = utf8(self.blob()?)?;
                    if last.is_some_and(|last| last >= key) {
                        return Err(Malformed("a map is not in canonical order"));
                    }
                    last = Some(key);
                    self.pass_value(depth + 1)?;
                }
                Ok(())
            }
            _ => self.payload(tag, depth).map(drop),
        }
    }

    /// Goes past a value and returns its bytes, tag included.
    fn pass_value(&mut self, depth: usize) -> Result<&'a [u8], Malformed> {
        let before = self.bytes;
        let tag = self.take(1)?[0];
        self.pass(tag, depth)?;
        Ok(&before[..before.len() - self.bytes.len()])
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Nested; 3] = [Nested::List, Nested::Set, Nested::Map];

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-2_i64..2).prop_map(Value::Int),
            any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
            any::<i64>().prop_map(Value::Time),
            "[a-b\u{e9}]{0,3}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::set),
                prop::collection::btree_map("[a-b]{0,2}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_comes_back(value in any_value()) {
            let value = Value::List(vec![value]);
            let mut bytes = Vec::new();
            let nested = encode_nested(&value, &mut bytes);
            prop_assert_eq!(check_nested(nested, &bytes), Ok(()));
            prop_assert_eq!(ValueRef::Nested(nested, &bytes).to_value(), Ok(value));
        }

        #[test]
        fn what_is_checked_can_be_built_and_the_reverse(
            value in any_value(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..12), 0..3),
        ) {
            let mut bytes = Vec::new();
            encode_nested(&Value::set(vec![value.clone(), Value::List(vec![value])]), &mut bytes);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            for nested in ALL {
                let built = ValueRef::Nested(nested, &bytes).to_value();
                prop_assert_eq!(check_nested(nested, &bytes).is_ok(), built.is_ok());
                if let Ok(value) = built {
                    let mut again = Vec::new();
                    encode_nested(&value, &mut again);
                    prop_assert_eq!(&again, &bytes);
                }
            }
        }

        #[test]
        fn a_number_comes_back(number: u64) {
            let mut bytes = Vec::new();
            put_uvarint(number, &mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_uvarint(&mut rest), Ok(number));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn values_too_deep_in_each_other_are_refused() {
        let deep = |depth: usize| {
            [1, 7]
                .repeat(depth)
                .into_iter()
                .chain([0])
                .collect::<Vec<u8>>()
        };
        assert_eq!(check_nested(Nested::List, &deep(MAX_DEPTH)), Ok(()));
        let refused = check_nested(Nested::List, &deep(MAX_DEPTH + 1));
        assert_eq!(refused, Err(Malformed("values lie too deep in each other")));
    }
}

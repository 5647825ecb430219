//! JSON read lazily, with the place of every value.
//!
//! A payload may have hundreds of megabytes and an error must say where it is. So a value stays a piece of the file's
//! text until it is needed: its address is its place, and only one element at a time is built.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Error, Position};
use crate::model::Value;
use crate::value::MAX_DEPTH;

/// A file being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            // Some editors put a byte order mark before the text.
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
        }
    }

    /// Checks that the file is JSON and returns all of it.
    pub(super) fn whole(self) -> Result<&'a RawValue, Error> {
        self.parse(self.text)
    }

    /// Returns the members of an object.
    pub(super) fn fields(self, raw: &'a RawValue) -> Result<Fields<'a>, Error> {
        if !raw.get().starts_with('{') {
            return Err(self.expected(raw, "an object"));
        }
        self.parse(raw.get())
    }

    /// Returns the members of a list; `null` is an empty one.
    pub(super) fn items(self, raw: &'a RawValue) -> Result<Vec<&'a RawValue>, Error> {
        match raw.get() {
            "null" => Ok(Vec::new()),
            text if text.starts_with('[') => self.parse(text),
            _ => Err(self.expected(raw, "a list")),
        }
    }

    pub(super) fn text(self, raw: &'a RawValue) -> Result<String, Error> {
        if !raw.get().starts_with('"') {
            return Err(self.expected(raw, "a text"));
        }
        self.parse(raw.get())
    }

    /// Builds a value.
    pub(super) fn value(self, raw: &'a RawValue) -> Result<Value, Error> {
        self.value_at(raw, 0)
    }

    fn value_at(self, raw: &'a RawValue, depth: usize) -> Result<Value, Error> {
        if depth > MAX_DEPTH {
            return Err(self.wrong(raw, &format!("values lie more than {MAX_DEPTH} deep")));
        }
        Ok(match raw.get().as_bytes()[0] {
            b'n' => Value::Null,
            b't' => Value::Bool(true),
            b'f' => Value::Bool(false),
            b'"' => Value::Text(self.text(raw)?),
            b'[' => Value::List(
                self.items(raw)?
                    .into_iter()
                    .map(|item| self.value_at(item, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            b'{' => Value::Map(
                self.fields(raw)?
                    .members
                    .into_iter()
                    .map(|(key, value)| Ok((key, self.value_at(value, depth + 1)?)))
                    .collect::<Result<_, Error>>()?,
            ),
            _ => number(raw.get()),
        })
    }

    pub(super) fn expected(self, raw: &RawValue, what: &str) -> Error {
        let found = match raw.get().as_bytes()[0] {
            b'n' => "nothing (`null`)",
            b't' | b'f' => "a truth value",
            b'"' => "a text",
            b'[' => "a list",
            b'{' => "an object",
            _ => "a number",
        };
        self.wrong(raw, &format!("expected {what}, found {found}"))
    }

    pub(super) fn wrong(self, raw: &RawValue, what: &str) -> Error {
        Error::Malformed {
            position: self.position(raw),
            what: what.to_owned(),
        }
    }

    pub(super) fn position(self, raw: &RawValue) -> Position {
        self.position_at(self.offset(raw.get()))
    }

    /// Where a piece of the text begins.
    fn offset(self, piece: &str) -> usize {
        piece
            .as_ptr()
            .addr()
            .saturating_sub(self.text.as_ptr().addr())
    }

    fn position_at(self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn parse<T: Deserialize<'a>>(self, piece: &'a str) -> Result<T, Error> {
        serde_json::from_str(piece).map_err(|error| {
            let start = self.offset(piece);
            let offset = start + offset_of(piece, error.line(), error.column());
            let text = error.to_string();
            let what = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(what, _)| what);
            Error::Malformed {
                position: self.position_at(offset),
                what: what.to_owned(),
            }
        })
    }
}

/// Line and column of the parser (in bytes, from 1; column 0 is the end of the line before) as an offset.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let mut offset = (before + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn number(text: &str) -> Value {
    let integer = !text.contains(['.', 'e', 'E']);
    // An integer has no negative zero; a float does.
    if integer && text != "-0" {
        return match text.parse() {
            Ok(number) => Value::Int(number),
            Err(_) => Value::Text(text.to_owned()),
        };
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Float(number),
        _ => Value::Text(text.to_owned()),
    }
}

/// The members of an object, none twice.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) members: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// Returns a member; one that is `null` is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let raw = *self.members.get(name)?;
        (raw.get() != "null").then_some(raw)
    }

    /// Takes a member out, so that what stays is what nobody asked for.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let raw = self.members.remove(name)?;
        (raw.get() != "null").then_some(raw)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<String>()? {
                    if fields.members.contains_key(key.as_str()) {
                        return Err(serde::de::Error::custom(format_args!(
                            "the key `{key}` stands twice"
                        )));
                    }
                    let value: &RawValue = map.next_value()?;
                    fields.members.insert(key, value);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Result<Value, String> {
        let source = Source::new("f", text);
        source
            .whole()
            .and_then(|whole| source.value(whole))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_kept_exactly_or_as_their_digits() {
        for (text, expected) in [
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("9223372036854775807", Value::Int(i64::MAX)),
            (
                "9223372036854775808",
                Value::Text("9223372036854775808".to_owned()),
            ),
            ("-0", Value::Float(-0.0)),
            ("1.0", Value::Float(1.0)),
            ("0.1", Value::Float(0.1)),
            ("5e-324", Value::Float(5e-324)),
            ("1e400", Value::Text("1e400".to_owned())),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_its_place() {
        insta::assert_snapshot!(
            value("{\n  \"é\": {\"a\": 1, \"a\": 2}}").unwrap_err(),
            @"f:2:19: the key `a` stands twice"
        );
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused() {
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(value(&deep(MAX_DEPTH)).is_ok());
        assert!(value(&deep(MAX_DEPTH + 2)).unwrap_err().contains("deep"));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn same(value: &Value, json: &serde_json::Value) -> bool {
        match (value, json) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
            (Value::Int(a), serde_json::Value::Number(b)) => b.as_i64() == Some(*a),
            (Value::Text(a), serde_json::Value::String(b)) => a == b,
            (Value::List(a), serde_json::Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Map(a), serde_json::Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn reads_what_another_writer_wrote(json in json()) {
            let value = value(&serde_json::to_string_pretty(&json).unwrap()).unwrap();
            prop_assert!(same(&value, &json), "{value:?} {json}");
        }

        #[test]
        fn any_text_ends_with_a_value_or_a_place(text in r#"[\[\]{}",:0-9a-eé\n\\-]{0,40}"#) {
            if let Err(error) = value(&text) {
                prop_assert!(error.starts_with("f:"), "{error}");
            }
        }
    }
}

//! One component, one relation: what their fields mean in either spelling.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Error;
use super::json::{Fields, Source};
use crate::embedded::write::EXTERNAL_ID;
use crate::model::Value;

pub(super) struct Component<'a> {
    /// Where it stands.
    pub(super) raw: &'a RawValue,
    pub(super) kind: String,
    /// Its id first.
    pub(super) identifiers: Vec<String>,
    pub(super) props: BTreeMap<String, Value>,
}

pub(super) struct Relation<'a> {
    /// Where it stands.
    pub(super) raw: &'a RawValue,
    pub(super) kind: String,
    pub(super) source_id: String,
    pub(super) target_id: String,
    pub(super) external_id: Option<String>,
    pub(super) props: BTreeMap<String, Value>,
}

impl<'a> Component<'a> {
    pub(super) fn read(source: Source<'a>, raw: &'a RawValue) -> Result<Self, Error> {
        let mut element = Element::new(source, raw, "component")?;
        let id = element.required(["id", "externalId"])?;
        let kind = element.kind()?;
        let mut identifiers = vec![id];
        let named = match element.data.take("identifiers") {
            Some(named) => source.items(named)?,
            None => Vec::new(),
        };
        for identifier in named {
            let identifier = source.text(identifier)?;
            if !identifiers.contains(&identifier) {
                identifiers.push(identifier);
            }
        }
        Ok(Self {
            raw,
            kind,
            identifiers,
            props: element.props()?,
        })
    }
}

impl<'a> Relation<'a> {
    pub(super) fn read(source: Source<'a>, raw: &'a RawValue) -> Result<Self, Error> {
        let mut element = Element::new(source, raw, "relation")?;
        let source_id = element.required(["source_id", "sourceId"])?;
        let target_id = element.required(["target_id", "targetId"])?;
        let external_id = element.optional(["externalId", "id"])?;
        let kind = element.kind()?;
        let mut props = element.props()?;
        // The property of that name is the relation's identity; what the data calls so is kept beside it.
        if external_id.is_some()
            && let Some(other) = props.remove(EXTERNAL_ID)
        {
            props.insert(format!("data.{EXTERNAL_ID}"), other);
        }
        Ok(Self {
            raw,
            kind,
            source_id,
            target_id,
            external_id,
            props,
        })
    }
}

/// Fields of a component or relation; those that have been read are gone.
struct Element<'a> {
    source: Source<'a>,
    raw: &'a RawValue,
    noun: &'static str,
    fields: Fields<'a>,
    data: Fields<'a>,
}

impl<'a> Element<'a> {
    fn new(source: Source<'a>, raw: &'a RawValue, noun: &'static str) -> Result<Self, Error> {
        let mut fields = source.fields(raw)?;
        let data = match fields.take("data") {
            Some(data) => source.fields(data)?,
            None => Fields::default(),
        };
        Ok(Self {
            source,
            raw,
            noun,
            fields,
            data,
        })
    }

    /// Reads a text that has two spellings. Both at once must agree.
    fn optional(&mut self, spellings: [&str; 2]) -> Result<Option<String>, Error> {
        let [first, second] = spellings.map(|name| self.fields.take(name));
        let first = first.map(|raw| self.source.text(raw)).transpose()?;
        let Some(raw) = second else { return Ok(first) };
        let second = self.source.text(raw)?;
        match first {
            Some(first) if first != second => Err(self.source.wrong(
                raw,
                &format!(
                    "`{}` and `{}` differ: `{first}` and `{second}`",
                    spellings[0], spellings[1]
                ),
            )),
            _ => Ok(Some(second)),
        }
    }

    fn required(&mut self, spellings: [&str; 2]) -> Result<String, Error> {
        self.optional(spellings)?.ok_or_else(|| {
            self.source.wrong(
                self.raw,
                &format!(
                    "expected `{}` or `{}` in this {}",
                    spellings[0], spellings[1], self.noun
                ),
            )
        })
    }

    /// Reads the type's name. What else an object says about the type stays a field.
    fn kind(&mut self) -> Result<String, Error> {
        let missing = || format!("expected `type` in this {}", self.noun);
        let Some(raw) = self.fields.get("type") else {
            return Err(self.source.wrong(self.raw, &missing()));
        };
        if !raw.get().starts_with('{') {
            self.fields.take("type");
            return self.source.text(raw);
        }
        let object = self.source.fields(raw)?;
        if object.members.len() == 1 {
            self.fields.take("type");
        }
        match object.get("name") {
            Some(name) => self.source.text(name),
            None => Err(self.source.wrong(raw, "expected `name` in this type")),
        }
    }

    fn props(self) -> Result<BTreeMap<String, Value>, Error> {
        let mut props = BTreeMap::new();
        for (key, raw) in self.data.members {
            props.insert(key, self.source.value(raw)?);
        }
        for (key, raw) in self.fields.members {
            let key = if props.contains_key(&key) {
                format!("{}.{key}", self.noun)
            } else {
                key
            };
            props.insert(key, self.source.value(raw)?);
        }
        Ok(props)
    }
}

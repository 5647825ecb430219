//! The Debian package index as a payload.
//!
//! Packages are components, so are the virtual packages that others provide. A relation is one alternative of
//! one dependency: `a | b` becomes two relations with the same group number. Relations to what the index does not
//! have are left out and counted.

mod relation;
mod stanza;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lifeboat_testkit::workspace;
use serde::Serialize;
use serde_json::Value;

use self::relation::Alternative;
use self::stanza::{Stanza, Stanzas};
use super::payload::{Components, Counts};

/// The fields that relate packages. `Provides` comes with them: it makes its target exist.
const RELATIONS: [&str; 11] = [
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Enhances",
    "Provides",
    "Breaks",
    "Conflicts",
    "Replaces",
    "Built-Using",
    "Static-Built-Using",
];

/// People, and what is a component's id or relation already.
const LEFT_OUT: [&str; 3] = ["Package", "Maintainer", "Original-Maintainer"];

const NUMBERS: [&str; 2] = ["Installed-Size", "Size"];

/// What became of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Converted {
    pub(crate) counts: Counts,
    /// Relations to packages that the index does not have.
    pub(crate) unresolved: u64,
}

/// Writes the index of the system's apt as a payload. Returns nothing where there is no apt or its index is empty.
pub(crate) fn write(sink: impl Write) -> Result<Option<Converted>> {
    let child = Command::new("apt-cache")
        .arg("dumpavail")
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Ok(None);
    };
    let stdout = child.stdout.take().expect("stdout was asked for");
    let converted = convert(BufReader::with_capacity(1 << 18, stdout), sink);
    let status = child.wait().context("cannot wait for apt-cache")?;
    let converted = converted?;
    if !status.success() {
        bail!("apt-cache failed ({status})");
    }
    Ok((converted.counts.components > 0).then_some(converted))
}

/// The relations of one field, kept until all packages are known.
struct Pending {
    source: String,
    field: &'static str,
    text: String,
}

#[derive(Serialize)]
struct RelationData<'a> {
    /// Position of the dependency in its field; alternatives share it.
    group: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<&'a str>,
}

fn convert(index: impl BufRead, sink: impl Write) -> Result<Converted> {
    let mut components = Components::start(sink, "apt-cache dumpavail")?;
    let mut names: HashSet<String> = HashSet::new();
    let mut pending: Vec<Pending> = Vec::new();
    for stanza in Stanzas::of(index) {
        let stanza = stanza.context("cannot read the package index")?;
        let Some(name) = stanza.get("Package").filter(|name| !name.is_empty()) else {
            continue;
        };
        // The same package of another architecture or an older version: the first one is the one apt would take.
        if !names.insert(name.to_owned()) {
            continue;
        }
        components.add(&urn(name), "debian-package", &properties(name, &stanza))?;
        for field in RELATIONS {
            if let Some(text) = stanza.get(field) {
                pending.push(Pending {
                    source: name.to_owned(),
                    field,
                    text: text.to_owned(),
                });
            }
        }
    }

    let virtual_names: BTreeSet<&str> = pending
        .iter()
        .filter(|pending| pending.field == "Provides")
        .flat_map(|pending| relation::alternatives(&pending.text))
        .map(|alternative| alternative.name)
        .filter(|name| !names.contains(*name))
        .collect();
    for name in &virtual_names {
        let data = BTreeMap::from([("name", *name)]);
        components.add(&urn(name), "debian-virtual-package", &data)?;
    }

    let mut unresolved = 0;
    let mut relations = components.then()?;
    for Pending {
        source,
        field,
        text,
    } in &pending
    {
        let kind = field.to_ascii_lowercase();
        let source = urn(source);
        for Alternative {
            group,
            name,
            version,
            architecture,
        } in relation::alternatives(text)
        {
            if !names.contains(name) && !virtual_names.contains(name) {
                unresolved += 1;
                continue;
            }
            let data = RelationData {
                group,
                version,
                architecture,
            };
            relations.add((&source, &urn(name)), &kind, &data)?;
        }
    }
    Ok(Converted {
        counts: relations.finish()?,
        unresolved,
    })
}

fn urn(name: &str) -> String {
    format!("urn:debian:/package/{name}")
}

fn properties(name: &str, stanza: &Stanza) -> BTreeMap<String, Value> {
    let mut properties = BTreeMap::from([("name".to_owned(), Value::from(name))]);
    for (field, text) in stanza.fields() {
        if LEFT_OUT.contains(&field) || RELATIONS.contains(&field) {
            continue;
        }
        let key = field.to_ascii_lowercase().replace('-', "_");
        let value = match (field, text.parse::<u64>()) {
            ("Tag", _) => text
                .split(',')
                .map(str::trim)
                .filter(|tag| !tag.is_empty())
                .collect(),
            (field, Ok(number)) if NUMBERS.contains(&field) => Value::from(number),
            _ => Value::from(text),
        };
        let key = if key == "tag" { "tags".to_owned() } else { key };
        properties.insert(key, value);
    }
    properties
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn converted(index: &str) -> (Value, u64) {
        let mut bytes = Vec::new();
        let converted = convert(index.as_bytes(), &mut bytes).unwrap();
        (
            serde_json::from_slice(&bytes).unwrap(),
            converted.unresolved,
        )
    }

    const INDEX: &str = "\
Package: exim4
Version: 4.96-15
Maintainer: Somebody <somebody@example.org>
Installed-Size: 1024
Provides: mail-transport-agent
Tag: mail::smtp,
 role::program
Description: mail server
 With a long text
 .
 of two parts.

Package: mutt
Installed-Size: much
Depends: libc6 (>= 2.34), exim4 | mail-transport-agent
Recommends: exim4:any [amd64]

Version: 1.0
Section: a stanza without a name

Package: mutt
Architecture: i386
";

    #[test]
    fn alternatives_share_a_group_and_what_is_provided_exists() {
        let (payload, unresolved) = converted(INDEX);
        let relations: Vec<String> = payload["relations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|relation| relation.to_string().replace("urn:debian:/package/", ""))
            .collect();
        insta::assert_snapshot!(relations.join("\n"), @r#"
        {"data":{"group":0},"source_id":"exim4","target_id":"mail-transport-agent","type":"provides"}
        {"data":{"group":1},"source_id":"mutt","target_id":"exim4","type":"depends"}
        {"data":{"group":1},"source_id":"mutt","target_id":"mail-transport-agent","type":"depends"}
        {"data":{"architecture":"any","group":0},"source_id":"mutt","target_id":"exim4","type":"recommends"}
        "#);
        assert_eq!(unresolved, 1, "libc6 is not in this index");
    }

    #[test]
    fn fields_become_properties_and_people_do_not() {
        let (payload, _) = converted(INDEX);
        assert_eq!(
            payload["components"],
            json!([
                {"id": "urn:debian:/package/exim4", "type": "debian-package", "data": {
                    "name": "exim4", "version": "4.96-15", "installed_size": 1024,
                    "tags": ["mail::smtp", "role::program"],
                    "description": "mail server\nWith a long text\n\nof two parts.",
                }},
                {"id": "urn:debian:/package/mutt", "type": "debian-package", "data": {
                    "name": "mutt", "installed_size": "much",
                }},
                {"id": "urn:debian:/package/mail-transport-agent", "type": "debian-virtual-package", "data": {
                    "name": "mail-transport-agent",
                }},
            ])
        );
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_payload_without_loose_ends(
            index in "((Package|Depends|Provides|Tag|[ -~]{0,3}):?[ -~]{0,12}\n| [ -~]{0,9}\n|\n|\\PC{0,9}\r?\n){0,30}",
            noise in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = Vec::new();
            let index = [index.as_bytes(), &noise].concat();
            convert(index.as_slice(), &mut bytes).unwrap();
            let payload: Value = serde_json::from_slice(&bytes).unwrap();
            let ids: Vec<&Value> = payload["components"].as_array().unwrap().iter().map(|c| &c["id"]).collect();
            let unique: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
            prop_assert_eq!(unique.len(), ids.len());
            for relation in payload["relations"].as_array().unwrap() {
                prop_assert!(ids.contains(&&relation["source_id"]));
                prop_assert!(ids.contains(&&relation["target_id"]));
            }
        }
    }
}

//! Finds our keys in a merged tree: what is given, what is unknown, what has the wrong type.
//!
//! Everything is collected, nothing stops at the first error, so that a person corrects a file once.

use std::collections::BTreeMap;

use super::error::{Error, Problem, Warning};
use super::keys::{self, Found, SECTIONS};
use super::origin::Origin;
use super::tree::{Entry, Map, Node, Value};
use super::value::{self, Reading};

/// The keys that the sources say something about.
#[derive(Default)]
pub(super) struct Given {
    pub(super) values: BTreeMap<&'static str, Said>,
    pub(super) errors: Vec<Error>,
    pub(super) warnings: Vec<Warning>,
}

#[derive(Clone)]
pub(super) struct Said {
    pub(super) reading: Reading,
    pub(super) origin: Origin,
}

impl Given {
    pub(super) fn collect(root: &Node) -> Self {
        let mut given = Self::default();
        let Value::Map(map) = &root.value else {
            return given;
        };
        given.warn_of_near_sections(map, "");
        match root.at("global").map(|node| &node.value) {
            Some(Value::Map(global)) => given.warn_of_near_sections(global, "global."),
            None | Some(Value::Null) => {}
            Some(_) => given.not_a_mapping("global", root),
        }
        for section in SECTIONS {
            if let Some(node) = root.at(section) {
                given.visit(section, node);
            }
        }
        given
    }

    fn visit(&mut self, path: &str, node: &Node) {
        match (keys::find(path), &node.value) {
            (_, Value::Null) => {}
            (Found::Key(key), _) if !key.is_read() => {}
            (Found::Key(key), _) => match value::read(key, node) {
                Ok(reading) => {
                    let origin = node.origin.clone();
                    self.values.insert(key.path, Said { reading, origin });
                }
                Err(error) => self.errors.push(error),
            },
            (_, Value::Map(map)) => {
                for (name, entry) in map {
                    self.visit_entry(path, name, entry);
                }
            }
            (_, _) => self.section_error(path, node),
        }
    }

    fn visit_entry(&mut self, section: &str, name: &str, entry: &Entry) {
        let dotted = name.contains('.');
        let plain = format!("{section}.{name}");
        let known = !matches!(keys::find(&plain), Found::Nothing);
        if dotted || !known {
            let (path, nearest) = if dotted {
                let written_apart = known.then_some(plain);
                (format!("{section}.\"{name}\""), written_apart)
            } else {
                let nearest = keys::nearest(&plain);
                (plain, nearest)
            };
            let problem = Problem::UnknownKey { path, nearest };
            self.errors.push(Error::new(entry.origin.clone(), problem));
            return;
        }
        self.warn_of_repetition(&plain, entry);
        self.visit(&plain, &entry.node);
    }

    fn warn_of_repetition(&mut self, path: &str, entry: &Entry) {
        let Some(earlier) = &entry.earlier else {
            return;
        };
        self.warnings.push(Warning {
            origin: entry.origin.clone(),
            text: format!("`{path}` was already given at {earlier}; this one counts alone"),
        });
    }

    /// A section of ours that is written almost right would be ignored without a word.
    fn warn_of_near_sections(&mut self, map: &Map, prefix: &str) {
        let names = || {
            SECTIONS
                .iter()
                .filter_map(|section| match section.strip_prefix("global.") {
                    Some(rest) => (!prefix.is_empty()).then_some(rest),
                    None => prefix.is_empty().then_some(*section),
                })
        };
        for (name, entry) in map {
            let known = names().any(|known| known == name);
            if known || name == "global" {
                self.warn_of_repetition(&format!("{prefix}{name}"), entry);
            }
            if known || FOREIGN.contains(&name.as_str()) {
                continue;
            }
            let dotted = names().any(|known| {
                let rest = name.strip_prefix(known);
                rest.is_some_and(|rest| rest.starts_with('.'))
            });
            let advice = if dotted {
                "write it as nested keys".to_owned()
            } else if let Some(known) = keys::nearest_of(names(), name).filter(|_| name.len() > 4) {
                format!("did you mean `{prefix}{known}`?")
            } else {
                continue;
            };
            self.warnings.push(Warning {
                origin: entry.origin.clone(),
                text: format!("`{prefix}{name}` is not read; {advice}"),
            });
        }
    }

    fn not_a_mapping(&mut self, path: &str, root: &Node) {
        if let Some(node) = root.at(path) {
            self.section_error(path, node);
        }
    }

    /// What stands there is not quoted: a secret may be in it.
    fn section_error(&mut self, path: &str, node: &Node) {
        let found = match node.value {
            Value::List(_) => "a list",
            _ => "a single value",
        };
        let problem = Problem::Type {
            path: path.to_owned(),
            expected: "a mapping of keys".to_owned(),
            found: found.to_owned(),
        };
        self.errors.push(Error::new(node.origin.clone(), problem));
    }
}

/// Sections of the platform's chart whose names are close to ours.
const FOREIGN: [&str; 3] = ["victoria-metrics", "victoria-metrics-cluster", "s3proxy"];

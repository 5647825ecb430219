//! The control-file format of Debian: stanzas of fields, separated by empty lines, long fields folded.

use std::io::{self, BufRead};

/// One package's fields, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stanza {
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// Returns the first field of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields()
            .find_map(|(field, text)| (field == name).then_some(text))
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Takes in a line that is not empty. One that is neither a field nor the continuation of one says nothing.
    fn add(&mut self, line: &str) {
        if let Some(folded) = line.strip_prefix([' ', '\t']) {
            if let Some((_, text)) = self.fields.last_mut() {
                text.push('\n');
                // A full stop stands for an empty line, which would end the stanza.
                text.push_str(if folded.trim() == "." {
                    ""
                } else {
                    folded.trim_end()
                });
            }
        } else if let Some((name, text)) = line.split_once(':') {
            self.fields.push((name.to_owned(), text.trim().to_owned()));
        }
    }
}

/// Reads one stanza at a time. Bytes that are not UTF-8 are replaced.
pub(super) struct Stanzas<R> {
    source: R,
    line: Vec<u8>,
}

impl<R: BufRead> Stanzas<R> {
    pub(super) fn of(source: R) -> Self {
        Self {
            source,
            line: Vec::new(),
        }
    }
}

impl<R: BufRead> Iterator for Stanzas<R> {
    type Item = io::Result<Stanza>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut stanza = Stanza::default();
        loop {
            self.line.clear();
            let count = match self.source.read_until(b'\n', &mut self.line) {
                Ok(count) => count,
                Err(error) => return Some(Err(error)),
            };
            let line = self.line.trim_ascii_end();
            if !line.is_empty() {
                stanza.add(&String::from_utf8_lossy(line));
            } else if !stanza.fields.is_empty() {
                return Some(Ok(stanza));
            } else if count == 0 {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Stanza> {
        Stanzas::of(bytes).map(Result::unwrap).collect()
    }

    #[test]
    fn folded_lines_belong_to_the_field_above() {
        let stanzas = read(b"Tag: a,\n b,\n\tc\nSize: 1\n\n\n\nTag: d");
        assert_eq!(stanzas.len(), 2);
        assert_eq!(stanzas[0].get("Tag"), Some("a,\nb,\nc"));
        assert_eq!(stanzas[0].get("Size"), Some("1"));
        assert_eq!(stanzas[1].get("Tag"), Some("d"));
    }

    #[test]
    fn lines_that_are_no_fields_say_nothing() {
        let stanzas = read(b" folded onto nothing\nno colon\nA: \xff\r\nA: second\n:\n");
        assert_eq!(stanzas.len(), 1);
        assert_eq!(stanzas[0].get("A"), Some("\u{fffd}"));
        assert_eq!(stanzas[0].get(""), Some(""));
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(
            stanzas in prop::collection::vec(
                prop::collection::vec(("[A-Z][a-z-]{0,8}", "[!-~]{1,9}(\n[!-/0-~]{1,9}){0,2}"), 1..5), 0..5),
        ) {
            let mut text = String::new();
            for fields in &stanzas {
                for (name, value) in fields {
                    writeln!(text, "{name}: {}", value.replace('\n', "\n ")).unwrap();
                }
                text.push('\n');
            }
            let expected: Vec<Stanza> = stanzas.into_iter().map(|fields| Stanza {
                fields: fields.into_iter()
                    .map(|(name, text)| (name, text.replace("\n.\n", "\n\n")))
                    .map(|(name, text)| (name, text.strip_suffix("\n.").map_or(text.clone(), |head| format!("{head}\n"))))
                    .collect(),
            }).collect();
            prop_assert_eq!(read(text.as_bytes()), expected);
        }
    }
}

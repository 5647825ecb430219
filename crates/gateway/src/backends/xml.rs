//! XML that a store answers, as a small tree.
//!
//! Texts are kept as they are, because a key may begin or end in blanks. Documents come from outside: whatever they are, they
//! are read or refused, in memory that their size bounds.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// How deep elements may lie in each other: what S3 answers needs five.
const MAX_DEPTH: usize = 16;

/// What was answered is not XML, or not the XML that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer of the store cannot be read at `{0}`")]
pub(super) struct Malformed(pub(super) &'static str);

/// An element with all below it. Attributes mean nothing here but one, and namespaces none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    text: String,
    /// The text is percent-encoded, as its element says, because XML cannot hold it otherwise.
    encoded: bool,
    children: Vec<Self>,
}

impl Element {
    /// Reads a document.
    pub(super) fn parse(document: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(document).map_err(|_| Malformed("UTF-8"))?;
        // Azure begins with a mark of the encoding.
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        reader.config_mut().expand_empty_elements = true;
        // The elements that are open, outermost first, below a root that is none.
        let mut open = vec![Self::default()];
        loop {
            let event = reader.read_event().map_err(|_| Malformed("XML"))?;
            match event {
                Event::Start(start) => {
                    if open.len() > MAX_DEPTH {
                        return Err(Malformed("depth"));
                    }
                    open.push(Self::begin(&start)?);
                }
                Event::End(_) => {
                    let mut done = open.pop().unwrap_or_default();
                    if !done.children.is_empty() {
                        done.text = String::new();
                    }
                    let parent = open.last_mut().ok_or(Malformed("end"))?;
                    parent.children.push(done);
                }
                Event::Text(text) => {
                    let text = text.xml10_content().map_err(|_| Malformed("text"))?;
                    Self::add(&mut open, &text)?;
                }
                Event::CData(text) => {
                    let text = text.xml10_content().map_err(|_| Malformed("text"))?;
                    Self::add(&mut open, &text)?;
                }
                Event::GeneralRef(reference) => Self::add(&mut open, &resolve(&reference)?)?,
                Event::Eof => break,
                Event::Empty(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_) => {}
            }
        }
        let [root] = open.as_mut_slice() else {
            return Err(Malformed("end"));
        };
        match root.children.as_mut_slice() {
            [document] => Ok(std::mem::take(document)),
            _ => Err(Malformed("root")),
        }
    }

    fn begin(start: &BytesStart<'_>) -> Result<Self, Malformed> {
        let name = std::str::from_utf8(start.local_name().into_inner())
            .map_err(|_| Malformed("name"))?
            .to_owned();
        let encoded = start
            .try_get_attribute("Encoded")
            .map_err(|_| Malformed("attribute"))?
            .is_some_and(|attribute| &*attribute.value == b"true");
        Ok(Self {
            name,
            encoded,
            ..Self::default()
        })
    }

    fn add(open: &mut [Self], text: &str) -> Result<(), Malformed> {
        open.last_mut().ok_or(Malformed("end"))?.text.push_str(text);
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children, in order.
    pub(super) fn children(&self) -> &[Self] {
        &self.children
    }

    /// The text of the element itself, decoded.
    pub(super) fn content(&self) -> Result<Cow<'_, str>, Malformed> {
        if !self.encoded {
            return Ok(Cow::Borrowed(&self.text));
        }
        percent_decode_str(&self.text)
            .decode_utf8()
            .map_err(|_| Malformed("text"))
    }

    /// All children of a name, in order.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of a name; nothing if there is none or it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.text.as_str();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, Malformed> {
        self.text(name).ok_or(Malformed(name))
    }

    /// The text of a child read as a value; nothing if it is not there.
    pub(super) fn parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, Malformed> {
        match self.text(name) {
            Some(text) => text.trim().parse().map(Some).map_err(|_| Malformed(name)),
            None => Ok(None),
        }
    }

    /// Whether a child says `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, Malformed> {
    if let Some(character) = reference
        .resolve_char_ref()
        .map_err(|_| Malformed("reference"))?
    {
        return Ok(character.to_string());
    }
    let name = reference.decode().map_err(|_| Malformed("reference"))?;
    quick_xml::escape::resolve_xml_entity(&name)
        .map(str::to_owned)
        .ok_or(Malformed("reference"))
}

/// Appends `<name>text</name>`.
pub(super) fn write(document: &mut String, name: &str, text: &str) {
    let text = quick_xml::escape::escape(text);
    for piece in ["<", name, ">", &text, "</", name, ">"] {
        document.push_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_read_to_the_letter() {
        let document = "\n<?xml version=\"1.0\"?>\n<!-- c --><s3:Result xmlns:s3=\"x\" a='b'>\n <Key> a&amp;b&#xD;&lt;<![CDATA[<&]]> </Key>\
                        <Empty/><Number> 7 </Number><Is>true</Is></s3:Result>\n";
        let root = Element::parse(document.as_bytes()).unwrap();
        assert_eq!(root.name(), "Result");
        assert_eq!(root.text("Key"), Some(" a&b\r<<& "));
        assert_eq!((root.text("Empty"), root.text("None")), (None, None));
        assert_eq!(root.parsed::<u64>("Number"), Ok(Some(7)));
        assert_eq!(root.parsed::<u64>("Is"), Err(Malformed("Is")));
        assert!(root.flag("Is") && !root.flag("Key"));
        assert_eq!(root.required("None"), Err(Malformed("None")));
    }

    #[test]
    fn what_xml_cannot_hold_is_decoded() {
        let document =
            b"\xef\xbb\xbf<a><Name Encoded=\"true\">x%EF%BF%BEy%20</Name><Name>%20</Name></a>";
        let root = Element::parse(document).unwrap();
        let names: Vec<_> = root
            .children()
            .iter()
            .map(|name| name.content().unwrap())
            .collect();
        assert_eq!(names, ["x\u{fffe}y ", "%20"]);
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        let deep = "<a>".repeat(100_000);
        let cases = [
            "",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a>&none;</a>",
            "<a>&#0;</a>",
            &deep,
        ];
        for document in cases {
            assert!(
                Element::parse(document.as_bytes()).is_err(),
                "{document:.20}"
            );
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Element::parse(&bytes));
        }

        #[test]
        fn any_tags_are_read_or_refused(text in "(<[ab]>|</[ab]>|<[ab]/>|&amp;|&#x[0-9]{1,9};|<!\\[CDATA\\[|\\]\\]>|<!--|-->|x| ){0,30}") {
            drop(Element::parse(text.as_bytes()));
        }

        #[test]
        fn what_is_written_is_read(text in "[^\\p{Cc}]{0,40}") {
            let mut document = "<a>".to_owned();
            write(&mut document, "b", &text);
            document.push_str("</a>");
            let root = Element::parse(document.as_bytes()).unwrap();
            prop_assert_eq!(root.text("b").unwrap_or_default(), text);
        }
    }
}

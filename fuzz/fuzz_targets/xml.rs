//! XML that stores answer and XML that we write: it is read or refused, in bounds, and what is written is read back.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/gateway/src/backends/xml.rs"]
#[expect(dead_code, reason = "not every way to look at an element is used here")]
mod answers;
#[path = "../../crates/gateway/src/protocol/xml.rs"]
mod named;

use answers::Element;

/// What the reader lets elements lie in each other.
const MAX_DEPTH: usize = 16;

fuzz_target!(|input: &[u8]| {
    if let Ok(root) = Element::parse(input) {
        assert!(size(&root, 1) <= input.len(), "more than was read");
        let mut document = String::new();
        if write(&mut document, &root).is_some() {
            let again = Element::parse(document.as_bytes()).expect("it was written so");
            check_same(&root, &again);
        }
    }
    if let Some(code) = named::error_code(input) {
        let told = format!("<Code>{code}</Code>");
        assert!(String::from_utf8_lossy(input).contains(&told));
    }
    if let Ok(text) = str::from_utf8(input) {
        check_text(text);
    }
});

/// Any text that XML can hold arrives as it was, from us at a store and from us at a client.
fn check_text(text: &str) {
    let mut document = String::from("<a>");
    answers::write(&mut document, "b", text);
    document.push_str("</a>");
    let escaped = named::escape_controls(&Bytes::from(document.clone()));
    if named::can_be_named(text) {
        let at_client = escaped.map_or(document.clone().into_bytes(), |bytes| bytes.to_vec());
        check_arrived(&at_client, text);
    }
    if !text.chars().any(char::is_control) {
        check_arrived(document.as_bytes(), text);
    }
}

fn check_arrived(document: &[u8], text: &str) {
    let read = Element::parse(document).expect("it was written so");
    assert_eq!(read.text("b").unwrap_or_default(), text);
}

/// The bytes of all names and texts.
fn size(element: &Element, depth: usize) -> usize {
    assert!(depth <= MAX_DEPTH);
    let below = element
        .children()
        .iter()
        .map(|child| size(child, depth + 1));
    let own = element.content().map_or(0, |content| content.len());
    element.name().len() + own + below.sum::<usize>()
}

/// Writes an element. Nothing if its name or text needs more than is written ever.
fn write(document: &mut String, element: &Element) -> Option<()> {
    let name = element.name();
    let content = element.content().ok()?;
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain || content.chars().any(char::is_control) {
        return None;
    }
    if element.children().is_empty() {
        answers::write(document, name, &content);
        return Some(());
    }
    *document += &format!("<{name}>");
    for child in element.children() {
        write(document, child)?;
    }
    *document += &format!("</{name}>");
    Some(())
}

fn check_same(one: &Element, other: &Element) {
    assert_eq!(one.name(), other.name());
    assert_eq!(one.content(), other.content());
    assert_eq!(one.children().len(), other.children().len());
    for (one, other) in one.children().iter().zip(other.children()) {
        check_same(one, other);
    }
}

//! Characters that XML 1.0 has no way to say, and those that its readers change.
//!
//! A key may hold any character but NUL. The protocol layer writes them as they are: a carriage return then arrives as a line
//! feed, and other control characters make the whole answer unreadable. Amazon writes them as references; so does this.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Whether every reader of XML 1.0 understands a text with this character in it.
fn is_readable(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// Returns whether `text` can be named in an answer that every client reads.
pub(super) fn can_be_named(text: &str) -> bool {
    text.chars().all(is_readable)
}

/// Writes control characters in an XML document as references; nothing if there is nothing to do. Lines are ended by
/// a line feed, so that a carriage return can only be content.
pub(super) fn escape_controls(document: &Bytes) -> Option<Bytes> {
    let control = |byte: u8| byte < b' ' && byte != b'\t' && byte != b'\n';
    if !document.iter().copied().any(control) {
        return None;
    }
    let mut escaped = BytesMut::with_capacity(document.len() + 64);
    for byte in document {
        if control(*byte) {
            escaped.put_slice(format!("&#x{byte:X};").as_bytes());
        } else {
            escaped.put_u8(*byte);
        }
    }
    Some(escaped.freeze())
}

/// Returns the code in a document that tells of an error.
pub(super) fn error_code(document: &[u8]) -> Option<String> {
    let text = str::from_utf8(document).ok()?;
    let (_, rest) = text.split_once("<Error><Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code.to_owned())
}

#[cfg(test)]
mod tests {
    use s3s::{S3ErrorCode, s3_error};

    use super::*;

    #[test]
    fn the_code_of_an_error_is_found_as_the_protocol_layer_writes_it() {
        let response = s3_error!(NoSuchKey, "no <Code> of a key").to_http_response();
        let document = response.unwrap().body().bytes().unwrap();
        assert_eq!(error_code(&document).unwrap(), "NoSuchKey");
        let own = S3ErrorCode::Custom("InsufficientStorage".into());
        let response = s3s::S3Error::new(own).to_http_response();
        let document = response.unwrap().body().bytes().unwrap();
        assert_eq!(error_code(&document).unwrap(), "InsufficientStorage");
        assert_eq!(error_code(b"<ListBucketResult/>"), None);
    }

    #[test]
    fn what_readers_would_change_or_refuse_becomes_a_reference() {
        let document = Bytes::from_static(b"<Key>a\rb\x01c</Key>\n");
        let escaped = escape_controls(&document).unwrap();
        assert_eq!(escaped, "<Key>a&#xD;b&#x1;c</Key>\n");
        assert_eq!(escape_controls(&escaped), None);
    }

    #[test]
    fn only_what_xml_lacks_cannot_be_named() {
        assert!(can_be_named("a b\r\n\t/é世🚢"));
        for text in ["\u{1}", "a\u{1f}", "\u{fffe}", "\u{ffff}"] {
            assert!(!can_be_named(text), "{text:?}");
        }
    }
}

//! How a key becomes the name of a blob, and back.
//!
//! Most keys are their own names. Azure changes or refuses some names without a word: it drops a dot at the end of a
//! segment, resolves `.` and `..`, takes `\` for `/`, and knows no control characters. Those are escaped as `!~` and two
//! hexadecimal digits for each byte; a segment that would end in a dot gets an escape that stands for nothing. Characters
//! are escaped one by one, so the name of a prefix begins the names of all its keys. See docs/reference/s3.md.

use std::cmp::Ordering;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::backend::Error;

/// Whatever of the gateway's own lies in a container has a name that begins so. No key does.
pub(super) const HOME: &str = ".lifeboat/";
/// Where MinIO's gateway kept its uploads. Its leftovers are no objects.
const MINIO_HOME: &str = "minio.sys.tmp/";
/// Begins an escape.
const ESCAPE: &str = "!~";
/// After a dot that would end a segment. Stands for nothing.
const NOTHING: &str = "!~00";
/// The longest name, in UTF-16 units.
const MAX_UNITS: usize = 1024;
/// The most segments of a name.
const MAX_SEGMENTS: usize = 254;

/// What a path of a URL may hold as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The name of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// Refuses keys below [`HOME`], and those whose name Azure would refuse.
    pub(super) fn of_key(key: &str) -> Result<Self, Error> {
        if is_hidden(key) || key.split('/').count() > MAX_SEGMENTS {
            return Err(Error::InvalidKey {
                key: key.to_owned(),
            });
        }
        let name = encode(key);
        if name.encode_utf16().count() > MAX_UNITS {
            return Err(Error::KeyTooLong { bytes: name.len() });
        }
        Ok(Self(name))
    }

    /// Names something of the gateway's own.
    pub(super) fn hidden(rest: &str) -> Self {
        Self(format!("{HOME}{rest}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in a URL.
    pub(super) fn url_path(&self) -> String {
        utf8_percent_encode(&self.0, UNRESERVED).to_string()
    }
}

/// Whether a blob of this name is no object.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with(HOME) || name.starts_with(MINIO_HOME)
}

/// The order in which blobs are listed: by UTF-16 unit. That of UTF-8 differs only where a character beyond U+FFFF meets
/// one from U+E000 on.
pub(super) fn order(one: &str, other: &str) -> Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
}

/// Returns the name of a key, whatever its length.
pub(super) fn encode(key: &str) -> String {
    encoded(key, End::Segment)
}

/// Returns what the names of all keys with this prefix begin with. Names of other keys may begin so too.
pub(super) fn encode_prefix(prefix: &str) -> String {
    encoded(prefix, End::Open)
}

/// What follows after the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing: the last segment is whole.
    Segment,
    /// Perhaps more of the last segment.
    Open,
}

fn encoded(text: &str, end: End) -> String {
    let mut name = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek();
        match character {
            '!' if next == Some(&'~') => name.push_str("!~21"),
            '.' => {
                name.push('.');
                if next == Some(&'/') || (next.is_none() && end == End::Segment) {
                    name.push_str(NOTHING);
                }
            }
            character if is_foreign(character) => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    name.push_str(ESCAPE);
                    name.push_str(&hex::encode_upper([byte]));
                }
            }
            character => name.push(character),
        }
    }
    name
}

/// Whether Azure's documentation says that a name cannot hold it, or the service takes it for something else.
fn is_foreign(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\\' | '\u{E000}'..='\u{F8FF}' | '\u{FFFE}' | '\u{FFFF}'
        )
}

/// Returns the key of a name. A name that no key has, because others wrote the blob, is taken as it stands.
pub(super) fn decode(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(start) = rest.find(ESCAPE) {
        let (before, escape) = rest.split_at(start);
        bytes.extend_from_slice(before.as_bytes());
        let byte = escape
            .get(ESCAPE.len()..ESCAPE.len() + 2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(0) => rest = &escape[ESCAPE.len() + 2..],
            Some(byte) => {
                bytes.push(byte);
                rest = &escape[ESCAPE.len() + 2..];
            }
            None => {
                bytes.extend_from_slice(ESCAPE.as_bytes());
                rest = &escape[ESCAPE.len()..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes)
        .ok()
        .filter(|key| !key.contains('\0') && encode(key) == name)
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys that are mostly made of what has to be escaped.
    fn odd_keys() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a./!~\\\\0-2\u{1}\u{7f}\u{e000}é😀 ]{0,12}",
            proptest::collection::vec(
                prop_oneof![
                    Just("."),
                    Just(".."),
                    Just(""),
                    Just("a"),
                    Just("!~"),
                    Just("!~00")
                ],
                0..6
            )
            .prop_map(|segments| segments.join("/")),
            "[^\u{0}]{0,12}",
        ]
    }

    proptest! {
        #[test]
        fn a_name_leads_back_to_its_key(key in odd_keys()) {
            prop_assert_eq!(decode(&encode(&key)), key);
        }

        #[test]
        fn two_keys_never_share_a_name(one in odd_keys(), other in odd_keys()) {
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
        }

        #[test]
        fn the_name_of_a_prefix_begins_the_names_of_its_keys(key in odd_keys(), cut in 0_usize..14) {
            let cut = key.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(key.len());
            prop_assert!(encode(&key).starts_with(&encode_prefix(&key[..cut])));
        }

        #[test]
        fn azure_leaves_every_name_as_it_is(key in odd_keys()) {
            let name = encode(&key);
            prop_assert!(!name.contains('\\') && !name.chars().any(char::is_control));
            prop_assert!(name.split('/').all(|segment| !segment.ends_with('.')));
        }

        #[test]
        fn any_name_is_read_without_harm(name in odd_keys()) {
            let key = decode(&name);
            prop_assert!(key == name || encode(&key) == name);
        }
    }

    #[test]
    fn ordinary_keys_are_their_own_names() {
        for key in [
            "sts-backup-20210216-0300.graph",
            "a/b//c/",
            "/a",
            ".hidden/x.y",
            "100% é +?#&",
            "a!b~c",
        ] {
            assert_eq!(encode(key), key);
        }
    }

    #[test]
    fn keys_that_azure_would_change_have_other_names() {
        let escaped = |key: &str| (encode(key), encode_prefix(key));
        assert_eq!(escaped(".."), ("..!~00".to_owned(), "..".to_owned()));
        assert_eq!(encode("a/./b."), "a/.!~00/b.!~00");
        assert_eq!(encode("a\\b\n"), "a!~5Cb!~0A");
        assert_eq!(encode("a!~5C"), "a!~21~5C");
    }

    #[test]
    fn what_is_the_gateways_own_is_no_key() {
        for key in [".lifeboat/x", "minio.sys.tmp/multipart/v1/x"] {
            assert!(matches!(Name::of_key(key), Err(Error::InvalidKey { .. })));
        }
        assert!(Name::of_key(".lifeboat").is_ok());
    }

    #[test]
    fn names_longer_than_azures_are_refused() {
        assert!(Name::of_key(&"é".repeat(512)).is_ok());
        let dots = "\\".repeat(300);
        assert!(matches!(Name::of_key(&dots), Err(Error::KeyTooLong { .. })));
        let deep = "a/".repeat(254);
        assert!(matches!(Name::of_key(&deep), Err(Error::InvalidKey { .. })));
    }

    #[test]
    fn a_path_in_a_url_holds_nothing_that_means_something_there() {
        let name = Name::of_key("a b/é?#%+&=").unwrap();
        assert_eq!(name.url_path(), "a%20b/%C3%A9%3F%23%25%2B%26%3D");
    }
}

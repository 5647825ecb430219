//! User metadata as Azure keeps it: names are identifiers, values are plain ASCII.
//!
//! A name is kept as MinIO's gateway kept it (`-` as `_`, `_` as `__`) where that leads back to it, so blobs that it wrote
//! are read, and it reads ours. Everything else goes under [`ESCAPED`] and the name's bytes in hexadecimal, its value
//! percent-encoded after a `=`, so that none is empty.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Begins the names of what is not user metadata.
pub(super) const OURS: &str = "lifeboat";
/// Begins the names of user metadata that has to be escaped.
const ESCAPED: &str = "lifeboat_x_";
/// The etag, as MinIO's gateway kept it.
pub(super) const MD5SUM: &str = "md5sum";
/// What tools for folders in Azure write, beside what users say.
const FOLDER: &str = "hdi_isfolder";

/// What an escaped value does not hold as it is: blanks at its ends or in a row would be lost.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'%').add(b' ');

/// Returns names and values for Azure, ordered by name.
pub(super) fn encode(user: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    user.iter()
        .map(|(name, value)| match plain_name(name) {
            Some(plain) if is_plain(value) => (plain, value.clone()),
            _ => (
                format!("{ESCAPED}{}", hex::encode(name)),
                format!("={}", utf8_percent_encode(value, UNSAFE)),
            ),
        })
        .collect()
}

/// Returns user metadata. What is not, and what cannot be read, is left out.
pub(super) fn decode(metadata: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    metadata
        .iter()
        .filter_map(|(name, value)| {
            if let Some(digits) = name.strip_prefix(ESCAPED) {
                let name = String::from_utf8(hex::decode(digits).ok()?).ok()?;
                let value = percent_decode_str(value.strip_prefix('=')?)
                    .decode_utf8()
                    .ok()?;
                return Some((name, value.into_owned()));
            }
            let user = !name.starts_with(OURS) && name != MD5SUM && name != FOLDER;
            user.then(|| (minio_decoded(name), value.clone()))
        })
        .collect()
}

/// Returns what a name is kept as if Azure takes it and nothing else is kept so.
fn plain_name(name: &str) -> Option<String> {
    let kept = minio_encoded(name);
    let first = kept.bytes().next()?;
    let identifier = (first.is_ascii_lowercase() || first == b'_')
        && kept
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let free = !kept.starts_with(OURS) && kept != MD5SUM && kept != FOLDER;
    (identifier && free && minio_decoded(&kept) == name).then_some(kept)
}

/// Whether a value arrives as it was sent.
pub(super) fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !value.contains("  ")
        && value.trim() == value
}

fn minio_encoded(name: &str) -> String {
    let words: Vec<_> = name.split('_').map(|word| word.replace('-', "_")).collect();
    words.join("__")
}

fn minio_decoded(name: &str) -> String {
    let words: Vec<_> = name
        .split("__")
        .map(|word| word.replace('_', "-"))
        .collect();
    words.join("_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn user() -> impl Strategy<Value = BTreeMap<String, String>> {
        let name = prop_oneof![
            "[a-z_-]{1,8}",
            "[!-~]{1,8}",
            ".{1,8}",
            "lifeboat[_x0-9]{0,5}"
        ];
        let value = prop_oneof!["[ -~]{0,9}", ".{0,9}"];
        btree_map(name, value, 0..6)
    }

    proptest! {
        #[test]
        fn what_a_writer_says_is_given_back(user in user()) {
            prop_assert_eq!(decode(&encode(&user)), user);
        }

        #[test]
        fn azure_takes_every_name_and_value(user in user()) {
            for (name, value) in encode(&user) {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
                prop_assert!(!name.starts_with(|first: char| first.is_ascii_digit()));
                prop_assert!(is_plain(&value));
            }
        }

        #[test]
        fn any_metadata_is_read_without_harm(metadata in btree_map(".{0,20}", ".{0,9}", 0..6)) {
            decode(&metadata);
        }
    }

    #[test]
    fn simple_names_are_kept_as_minio_kept_them() {
        let user = BTreeMap::from([
            ("mtime".to_owned(), "1600000000.5".to_owned()),
            ("s3cmd-attrs".to_owned(), "uid:0/gname:x".to_owned()),
            ("x_test".to_owned(), "1".to_owned()),
        ]);
        let kept = encode(&user);
        let names: Vec<_> = kept.keys().map(String::as_str).collect();
        assert_eq!(names, ["mtime", "s3cmd_attrs", "x__test"]);
    }

    #[test]
    fn what_minio_wrote_is_read() {
        let metadata = BTreeMap::from([
            ("X_s3cmd__attrs".to_owned(), "a b".to_owned()),
            ("md5sum".to_owned(), "0123".to_owned()),
            ("hdi_isfolder".to_owned(), "true".to_owned()),
        ]);
        let user = decode(&metadata);
        assert_eq!(
            user,
            BTreeMap::from([("x-s3cmd_attrs".to_owned(), "a b".to_owned())])
        );
    }
}

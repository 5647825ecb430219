//! What MinIO of 2021 leaves on a volume in the mode in which objects are files: a record for each of them, as JSON, in a
//! tree of its own.
//!
//! The record of `bucket/key` is `.minio.sys/buckets/bucket/key/fs.json`. MinIO writes it after the object's file, or before
//! it when it completes an upload, and goes by the file alone where it cannot read one; so do we. It says nothing that
//! would tell a file from another of the same key but the sizes of parts, so ours removes it with the object.

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use jiff::Timestamp;
use serde::Deserialize;

use crate::backend::{Attributes, ObjectPath, UNTYPED};
use crate::backends::local::record::{Origin, Record};
use crate::backends::local::tree::Directory;

/// Where everything of MinIO's lies.
pub(in crate::backends::local) const HOME: &str = ".minio.sys";
pub(in crate::backends::local) const FORMAT: &str = "format.json";
pub(in crate::backends::local) const BUCKETS: &str = "buckets";
pub(in crate::backends::local) const RECORD: &str = "fs.json";
/// The largest record that is read, in bytes: 10,000 parts take a tenth of it.
const MAX_RECORD: u64 = 8 * 1024 * 1024;
/// The MD5 of nothing, which is all that a folder can hold as an object.
const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
const FOLDER_TYPE: &str = "application/octet-stream";
const USER: &str = "x-amz-meta-";
const STORAGE_CLASS: &str = "x-amz-storage-class";
const INTERNAL: &str = "x-minio-internal-";
const ACTUAL_SIZE: &str = "x-minio-internal-actual-size";
const HEADERS: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];

/// How MinIO kept its objects on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends::local) enum Format {
    /// As plain files.
    Files,
    /// In another way, by its own word for it: files are no objects there.
    Other(String),
}

#[derive(Deserialize)]
struct FormatFile {
    format: String,
}

/// Returns how MinIO kept its objects here, nothing if it never did.
pub(in crate::backends::local) fn format(root: &Directory) -> io::Result<Option<Format>> {
    let bytes = match root.open(HOME).and_then(|home| read(&home, FORMAT)) {
        Ok(bytes) => bytes,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(match serde_json::from_slice::<FormatFile>(&bytes) {
        Ok(FormatFile { format }) if format == "fs" => Format::Files,
        Ok(FormatFile { format }) => Format::Other(format),
        Err(_) => Format::Other("unknown".to_owned()),
    }))
}

/// The tree of records.
#[derive(Debug)]
pub(in crate::backends::local) struct Records {
    home: Directory,
}

/// What is known of an object of MinIO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends::local) enum Reading {
    Record(Record),
    /// The file holds other bytes than the object: it was encrypted or compressed.
    Transformed,
    /// There is no record that would belong to the file.
    Nothing,
}

impl Records {
    pub(in crate::backends::local) fn open(root: &Directory) -> io::Result<Self> {
        let home = root.open(HOME)?;
        Ok(Self { home })
    }

    /// Looks up what is known of the file of an object with `size` bytes, last changed at `modified`.
    pub(in crate::backends::local) fn read(
        &self,
        path: &ObjectPath,
        size: u64,
        modified: Timestamp,
    ) -> io::Result<Reading> {
        let Some(place) = place(path) else {
            return Ok(Reading::Nothing);
        };
        match self
            .home
            .walk(&place)
            .and_then(|place| read(&place, RECORD))
        {
            Ok(bytes) => Ok(reading(&bytes, size, modified)),
            Err(error) if is_missing(&error) => Ok(Reading::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Removes what is said of an object that is no more, and the folders that are empty without it.
    pub(in crate::backends::local) fn forget(&self, path: &ObjectPath) -> io::Result<()> {
        let Some(place) = place(path) else {
            return Ok(());
        };
        let removed = self
            .home
            .walk(&place)
            .and_then(|place| place.remove_file(RECORD));
        match removed {
            Ok(()) => {}
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        // The bucket's own folder stays: what MinIO knows of the bucket lies there.
        for depth in (2..place.len()).rev() {
            let removed = self
                .home
                .walk(&place[..depth])
                .and_then(|parent| parent.remove_directory(&place[depth]));
            if removed.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Removes what is said of a bucket that is no more.
    pub(in crate::backends::local) fn forget_bucket(&self, bucket: &str) -> io::Result<()> {
        let removed = self
            .home
            .open(BUCKETS)
            .and_then(|buckets| buckets.remove_tree(bucket));
        match removed {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The folder of an object's record below MinIO's own; nothing for a key that MinIO cannot have had.
fn place(path: &ObjectPath) -> Option<Vec<String>> {
    let mut names = vec![BUCKETS.to_owned(), path.bucket().to_owned()];
    for component in path.key().split('/') {
        if matches!(component, "" | "." | "..") || component.len() > 255 {
            return None;
        }
        names.push(component.to_owned());
    }
    Some(names)
}

fn read(directory: &Directory, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    directory
        .open_file(name)?
        .take(MAX_RECORD)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_missing(error: &io::Error) -> bool {
    crate::backends::local::objects::is_absent(error) || error.kind() == io::ErrorKind::IsADirectory
}

/// `fs.json`.
#[derive(Debug, Deserialize)]
struct RecordFile {
    version: String,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    #[serde(default)]
    parts: Option<Vec<Part>>,
}

#[derive(Debug, Deserialize)]
struct Part {
    /// In bytes.
    size: u64,
}

/// What a record says of a file. Whatever cannot be one of it counts as nothing, as it does for MinIO.
fn reading(bytes: &[u8], size: u64, modified: Timestamp) -> Reading {
    let Ok(file) = serde_json::from_slice::<RecordFile>(bytes) else {
        return Reading::Nothing;
    };
    if !matches!(file.version.as_str(), "1.0.0" | "1.0.1" | "1.0.2") {
        return Reading::Nothing;
    }
    let mut etag = None;
    let mut old_etag = None;
    let mut storage_class = None;
    let mut sizes_fit = true;
    let mut attributes = Attributes::default();
    for (name, value) in file.meta {
        let lower = name.to_ascii_lowercase();
        if name == "etag" {
            etag = Some(value);
        } else if name == "md5Sum" {
            old_etag = Some(value);
        } else if HEADERS.contains(&lower.as_str()) {
            attributes.headers.insert(lower, value);
        } else if let Some(user) = lower.strip_prefix(USER) {
            attributes.user.insert(user.to_owned(), value);
        } else if lower == STORAGE_CLASS {
            storage_class = Some(value).filter(|class| class != "STANDARD");
        } else if lower == ACTUAL_SIZE {
            sizes_fit &= value.parse() == Ok(size);
        } else if lower.starts_with(INTERNAL) {
            return Reading::Transformed;
        }
    }
    let parts = file.parts.unwrap_or_default();
    let together = parts
        .iter()
        .try_fold(0_u64, |sum, part| sum.checked_add(part.size));
    sizes_fit &= parts.is_empty() || together == Some(size);
    let etag = old_etag.or(etag).filter(|etag| is_etag(etag));
    let Some(etag) = etag.filter(|_| sizes_fit) else {
        return Reading::Nothing;
    };
    let mut record = Record::foreign(Origin::Minio, etag, modified, attributes);
    record.storage_class = storage_class;
    record.parts = u16::try_from(parts.len()).ok().filter(|count| *count > 0);
    Reading::Record(record)
}

/// Writes what MinIO shows as `record` says it. An upload's parts are not known any more; MinIO shows the same without.
pub(in crate::backends::local) fn to_bytes(record: &Record) -> Vec<u8> {
    let Attributes { headers, user } = &record.attributes;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str()));
    let user = user
        .iter()
        .map(|(name, value)| (format!("{USER}{name}"), value.as_str()));
    let mut meta: BTreeMap<String, &str> = headers.chain(user).collect();
    meta.entry("content-type".to_owned()).or_insert(UNTYPED);
    meta.insert("etag".to_owned(), &record.etag);
    if let Some(class) = &record.storage_class {
        meta.insert(STORAGE_CLASS.to_owned(), class);
    }
    let checksum = serde_json::json!({"algorithm": "", "blocksize": 0, "hashes": null});
    let file = serde_json::json!({"version": "1.0.2", "checksum": checksum, "meta": meta});
    file.to_string().into_bytes()
}

/// Whether MinIO has a header of this name in its records.
pub(in crate::backends::local) fn has_header(name: &str) -> bool {
    HEADERS.contains(&name)
}

/// What tells MinIO that objects are files here. `id` is a UUID of the installation.
pub(in crate::backends::local) fn format_file(id: &str) -> Vec<u8> {
    let format =
        serde_json::json!({"version": "1", "format": "fs", "id": id, "fs": {"version": "2"}});
    format.to_string().into_bytes()
}

fn is_etag(etag: &str) -> bool {
    !etag.is_empty()
        && etag.len() <= 128
        && etag
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

/// What MinIO says of an empty folder, which for it is an object named like the folder and a `/`.
pub(in crate::backends::local) fn record_of_folder(modified: Timestamp) -> Record {
    let mut attributes = Attributes::default();
    attributes
        .headers
        .insert("content-type".to_owned(), FOLDER_TYPE.to_owned());
    Record::foreign(Origin::Minio, EMPTY_MD5.to_owned(), modified, attributes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PUT: &str = r#"{"version":"1.0.2","checksum":{"algorithm":"","blocksize":0,"hashes":null},"meta":{
        "X-Amz-Meta-Some-Name":"value","cache-control":"max-age=5","content-type":"text/plain",
        "etag":"e9a23cbc455158951716b440c3d165e0","expires":"Tue, 01 Jan 2030 00:00:00 GMT",
        "x-amz-storage-class":"REDUCED_REDUNDANCY","X-Amz-Tagging":"a=b\u0026c=d"}}"#;
    const PARTS: &str = r#"{"version":"1.0.2","checksum":{"algorithm":"","blocksize":0,"hashes":null},"meta":{
        "X-Minio-Internal-actual-size":"12","content-type":"video/x","etag":"7b482f5ae4a4f0412817db6f1269dcf9-2"},
        "parts":[{"number":1,"size":5,"actualSize":5},{"number":9,"size":7,"actualSize":7}]}"#;

    fn read(json: &str, size: u64) -> Reading {
        reading(json.as_bytes(), size, Timestamp::UNIX_EPOCH)
    }

    fn record(json: &str, size: u64) -> Record {
        match read(json, size) {
            Reading::Record(record) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_that_minio_writes_is_read() {
        let record = record(PUT, 4);
        assert_eq!(record.etag, "e9a23cbc455158951716b440c3d165e0");
        assert_eq!(record.storage_class.as_deref(), Some("REDUCED_REDUNDANCY"));
        insta::assert_debug_snapshot!(record.attributes, @r#"
        Attributes {
            headers: {
                "cache-control": "max-age=5",
                "content-type": "text/plain",
                "expires": "Tue, 01 Jan 2030 00:00:00 GMT",
            },
            user: {
                "some-name": "value",
            },
        }
        "#);
    }

    #[test]
    fn a_record_counts_only_for_a_file_of_its_size_where_it_says_one() {
        assert_eq!(record(PARTS, 12).parts, Some(2));
        assert_eq!(read(PARTS, 13), Reading::Nothing);
        let sizes_differ = PARTS.replace("\"size\":7", "\"size\":8");
        assert_eq!(read(&sizes_differ, 12), Reading::Nothing);
    }

    #[test]
    fn bytes_that_are_not_those_of_the_object_are_not_taken_for_them() {
        for name in [
            "X-Minio-Internal-compression",
            "X-Minio-Internal-Server-Side-Encryption-Sealed-Key",
        ] {
            let json = PARTS.replace(
                "\"content-type\"",
                &format!("\"{name}\":\"x\",\"content-type\""),
            );
            assert_eq!(read(&json, 99), Reading::Transformed, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_a_record_counts_as_none() {
        for json in [
            "",
            "{}",
            "null",
            "{\"version\":\"1.0.2\"}",
            "{\"version\":\"1.0.2\",\"meta\":{\"etag\":\"\"}}",
            "{\"version\":\"1.0.2\",\"meta\":{\"etag\":\"a\\\"b\"}}",
            "{\"version\":\"9\",\"meta\":{\"etag\":\"abc\"}}",
        ] {
            assert_eq!(read(json, 4), Reading::Nothing, "{json}");
        }
    }

    #[test]
    fn the_etag_of_older_versions_goes_before() {
        let json = PUT.replace(
            "\"cache-control\"",
            "\"md5Sum\":\"older\",\"cache-control\"",
        );
        assert_eq!(record(&json, 4).etag, "older");
    }

    #[test]
    fn records_lie_where_minio_looks_and_other_keys_have_none() {
        let at = |key: &str| place(&ObjectPath::new("bucket", key).unwrap());
        assert_eq!(at("a/b c").unwrap(), ["buckets", "bucket", "a", "b c"]);
        for key in ["a//b", "/a", "a/", "a/../b", ".", &"k".repeat(256)] {
            assert_eq!(at(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            etag in "[0-9a-f]{32}(-[1-9])?",
            kind in proptest::option::of("[a-z]{1,9}/x"),
            user in proptest::collection::btree_map("[a-z0-9-]{1,9}", ".{0,9}", 0..4),
            class in proptest::option::of("[A-Z_]{1,9}".prop_filter("it is none", |class| class != "STANDARD")),
        ) {
            let headers = kind.iter().map(|kind| ("content-type".to_owned(), kind.clone()));
            let attributes = Attributes { headers: headers.collect(), user };
            let mut record = Record::foreign(Origin::Minio, etag, Timestamp::UNIX_EPOCH, attributes);
            record.storage_class = class;
            let text = String::from_utf8(to_bytes(&record)).unwrap();
            record.attributes.headers.entry("content-type".to_owned()).or_insert(UNTYPED.to_owned());
            prop_assert_eq!(read(&text, 7), Reading::Record(record));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(reading(&bytes, 1, Timestamp::UNIX_EPOCH), Reading::Nothing);
        }

        #[test]
        fn a_record_cut_anywhere_counts_as_none(cut in 0_usize..300) {
            let cut = cut.min(PARTS.len() - 1);
            prop_assert_eq!(reading(&PARTS.as_bytes()[..cut], 12, Timestamp::UNIX_EPOCH), Reading::Nothing);
        }

        #[test]
        fn sizes_beyond_reason_are_no_sizes(sizes in proptest::collection::vec(any::<u64>(), 1..5)) {
            let parts: Vec<_> = sizes.iter().map(|size| format!("{{\"size\":{size}}}")).collect();
            let json = format!("{{\"version\":\"1.0.2\",\"meta\":{{\"etag\":\"x\"}},\"parts\":[{}]}}", parts.join(","));
            let sum = sizes.iter().try_fold(0_u64, |sum, size| sum.checked_add(*size));
            let counts = matches!(read(&json, sum.unwrap_or(7)), Reading::Record(_));
            prop_assert_eq!(counts, sum.is_some());
        }
    }
}

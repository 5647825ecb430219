//! What s3proxy leaves on a volume: records as attributes of files and folders, and the names of what it has not finished.
//!
//! Its names begin with `user.`, and Java puts another `user.` before them. An object's file is written beside its place as
//! `<key>-<uuid>`, gets its attributes, and is renamed; a file of such a name without attributes is what a crash left.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::backend::{Attributes, UNTYPED};
use crate::backends::local::record::{Origin, Record};

const PREFIX: &str = "user.user.";
/// The MD5 of the content, 16 bytes; of a multipart object the quoted etag. What has it is an object, also a folder.
const CONTENT_MD5: &str = "user.user.content-md5";
const STORAGE_TIER: &str = "storage-tier";
/// Milliseconds since 1970, eight bytes, the highest first.
const EXPIRES: &str = "expires";
const USER_METADATA: &str = "user-metadata.";
/// What is kept as the header says it.
const HEADERS: [&str; 5] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
];
/// The MD5 of nothing, which is all that a folder can hold as an object.
const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
const FOLDER_TYPE: &str = "application/x-directory";

/// Attributes by name, less what all names begin with.
pub(in crate::backends::local) type Attached = BTreeMap<String, Vec<u8>>;

/// Whether a file or folder has a record of s3proxy.
pub(in crate::backends::local) fn is_object(file: impl AsFd) -> io::Result<bool> {
    match rustix::fs::fgetxattr(&file, CONTENT_MD5, &mut [0_u8; 0]) {
        Ok(_) => Ok(true),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns the attributes of an object of s3proxy, nothing for any other file or folder.
pub(in crate::backends::local) fn attached(file: impl AsFd) -> io::Result<Option<Attached>> {
    if !is_object(&file)? {
        return Ok(None);
    }
    let mut attached = Attached::new();
    for name in names(&file)? {
        if let Some(short) = name.strip_prefix(PREFIX)
            && let Some(value) = value(&file, &name)?
        {
            attached.insert(short.to_owned(), value);
        }
    }
    Ok(Some(attached))
}

fn names(file: impl AsFd) -> io::Result<Vec<String>> {
    // The kernel has no longer lists.
    let mut buffer = vec![0_u8; 64 * 1024];
    let length = rustix::fs::flistxattr(file, buffer.as_mut_slice())?;
    Ok(buffer[..length]
        .split(|byte| *byte == 0)
        .filter_map(|name| str::from_utf8(name).ok())
        .map(str::to_owned)
        .collect())
}

fn value(file: impl AsFd, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0_u8; 4096];
    loop {
        match rustix::fs::fgetxattr(&file, name, buffer.as_mut_slice()) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(Some(buffer));
            }
            Err(Errno::RANGE) if buffer.len() < 64 * 1024 => buffer.resize(64 * 1024, 0),
            // Taken away since the names were read.
            Err(Errno::NODATA) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes a folder one that is no object. Durable when it returns.
pub(in crate::backends::local) fn forget_folder(folder: impl AsFd) -> io::Result<()> {
    match rustix::fs::fremovexattr(&folder, CONTENT_MD5) {
        Ok(()) => Ok(rustix::fs::fsync(folder)?),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What attributes say of a file that was last changed at `modified`; nothing if they are not what s3proxy writes.
pub(in crate::backends::local) fn record(
    attached: &Attached,
    modified: Timestamp,
) -> Option<Record> {
    let md5 = attached.get("content-md5")?;
    let etag = match <[u8; 16]>::try_from(md5.as_slice()) {
        Ok(md5) => hex::encode(md5),
        Err(_) => multipart_etag(md5)?,
    };
    let mut record = Record::foreign(Origin::S3Proxy, etag, modified, attributes(attached));
    record.parts = parts(&record.etag);
    record.storage_class = text(attached, STORAGE_TIER).filter(|tier| tier != "STANDARD");
    Some(record)
}

/// What the attributes of a folder say that stands for the key of its name and a `/`.
pub(in crate::backends::local) fn record_of_folder(
    attached: &Attached,
    modified: Timestamp,
) -> Record {
    let mut attributes = attributes(attached);
    attributes
        .headers
        .insert("content-type".to_owned(), FOLDER_TYPE.to_owned());
    Record::foreign(Origin::S3Proxy, EMPTY_MD5.to_owned(), modified, attributes)
}

fn attributes(attached: &Attached) -> Attributes {
    let mut headers: BTreeMap<_, _> = HEADERS
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), text(attached, name)?)))
        .collect();
    if let Some(expires) = attached.get(EXPIRES).and_then(|bytes| date(bytes)) {
        headers.insert(EXPIRES.to_owned(), expires);
    }
    let user = attached
        .keys()
        .filter_map(|name| {
            let user = name.strip_prefix(USER_METADATA)?;
            Some((user.to_lowercase(), text(attached, name)?))
        })
        .collect();
    Attributes { headers, user }
}

/// Why attributes of s3proxy cannot say what a record says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::backends::local) enum Unsayable {
    #[error("s3proxy keeps no header `{name}`")]
    Header { name: String },
    #[error("its header `expires` is no date")]
    Expires,
    #[error("s3proxy knows no storage class `{class}`")]
    StorageClass { class: String },
    #[error("a name in its metadata has more than {LONGEST_NAME} bytes")]
    Name,
    #[error("s3proxy would take its etag for an MD5")]
    Etag,
}

/// The longest name in the metadata that an attribute can have, in bytes: names of attributes have at most 255.
const LONGEST_NAME: usize = 255 - PREFIX.len() - USER_METADATA.len();
const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "REDUCED_REDUNDANCY",
    "GLACIER",
    "GLACIER_IR",
    "DEEP_ARCHIVE",
];

/// Returns the attributes with which s3proxy shows what `record` says.
pub(in crate::backends::local) fn attributes_of(record: &Record) -> Result<Attached, Unsayable> {
    let mut attached = Attached::new();
    let mut put = |name: &str, value: &[u8]| drop(attached.insert(name.to_owned(), value.to_vec()));
    let md5 = hex::decode(&record.etag).ok().filter(|md5| md5.len() == 16);
    match md5 {
        Some(md5) => put("content-md5", &md5),
        None if record.etag.len() + 2 == 16 => return Err(Unsayable::Etag),
        None => put("content-md5", format!("\"{}\"", record.etag).as_bytes()),
    }
    let class = record.storage_class.as_deref().unwrap_or("STANDARD");
    if !STORAGE_CLASSES.contains(&class) {
        let class = class.to_owned();
        return Err(Unsayable::StorageClass { class });
    }
    put(STORAGE_TIER, class.as_bytes());
    let Attributes { headers, user } = &record.attributes;
    for (name, value) in headers {
        if name == EXPIRES {
            let date = rfc2822::DateTimeParser::new().parse_timestamp(value);
            let date = date.map_err(|_| Unsayable::Expires)?;
            put(EXPIRES, &date.as_millisecond().to_be_bytes());
        } else if HEADERS.contains(&name.as_str()) {
            put(name, value.as_bytes());
        } else {
            let name = name.clone();
            return Err(Unsayable::Header { name });
        }
    }
    if !headers.contains_key("content-type") {
        put("content-type", UNTYPED.as_bytes());
    }
    for (name, value) in user {
        if name.len() > LONGEST_NAME {
            return Err(Unsayable::Name);
        }
        put(&format!("{USER_METADATA}{name}"), value.as_bytes());
    }
    Ok(attached)
}

/// Gives a file or folder these attributes of s3proxy and no others. Durable after an fsync.
pub(in crate::backends::local) fn attach(
    file: impl AsFd,
    attached: &Attached,
) -> Result<(), Errno> {
    for name in names(&file).map_err(|_| Errno::IO)? {
        if let Some(short) = name.strip_prefix(PREFIX)
            && !attached.contains_key(short)
        {
            rustix::fs::fremovexattr(&file, name.as_str())?;
        }
    }
    for (short, value) in attached {
        let name = format!("{PREFIX}{short}");
        rustix::fs::fsetxattr(&file, name.as_str(), value, XattrFlags::empty())?;
    }
    Ok(())
}

fn text(attached: &Attached, name: &str) -> Option<String> {
    String::from_utf8(attached.get(name)?.clone()).ok()
}

fn date(millis: &[u8]) -> Option<String> {
    let millis = i64::from_be_bytes(millis.try_into().ok()?);
    let time = Timestamp::from_millisecond(millis).ok()?;
    rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()
}

fn multipart_etag(quoted: &[u8]) -> Option<String> {
    let etag = str::from_utf8(quoted).ok()?.trim_matches('"');
    let plain = etag
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'"');
    (!etag.is_empty() && plain).then(|| etag.to_owned())
}

/// How many parts the etag of a multipart object speaks of.
pub(in crate::backends::local) fn parts(etag: &str) -> Option<u16> {
    let (_, count) = etag.rsplit_once('-')?;
    count.parse().ok().filter(|count| *count > 0)
}

/// Whether a key is one that s3proxy uses for what it has not finished, given who wrote the record of its file.
///
/// Its own listing shows neither uploads nor their stubs. A file that it was writing has no attributes yet; once it has, it
/// is what the client sent, and nothing tells it from an object that a client named so.
pub(in crate::backends::local) fn is_leftover(key: &str, origin: Origin) -> bool {
    match origin {
        Origin::Nobody => is_of_upload(key) || is_unfinished(key),
        Origin::S3Proxy => is_of_upload(key),
        Origin::Ours | Origin::Minio => false,
    }
}

/// Whether a key can be a leftover at all; its record decides.
pub(in crate::backends::local) fn may_be_leftover(key: &str) -> bool {
    is_leftover(key, Origin::Nobody)
}

/// Parts lie under `.mpus-<uuid>-<key>-<number>` in the bucket, the key of the upload may have a `/`.
fn is_of_upload(key: &str) -> bool {
    let of_upload = key
        .strip_prefix(".mpus-")
        .and_then(|rest| rest.split_at_checked(UUID_LENGTH))
        .is_some_and(|(uuid, rest)| is_random_uuid(uuid) && rest.starts_with('-'));
    let stub = key
        .strip_prefix(".s3proxy-mpu-stub-")
        .is_some_and(is_random_uuid);
    of_upload || stub
}

fn is_unfinished(key: &str) -> bool {
    let beginning = key.len().checked_sub(UUID_LENGTH);
    beginning
        .and_then(|beginning| key.split_at_checked(beginning))
        .is_some_and(|(name, uuid)| {
            is_random_uuid(uuid)
                && name
                    .strip_suffix('-')
                    .is_some_and(|name| !name.is_empty() && !name.ends_with('/'))
        })
}

const UUID_LENGTH: usize = 36;

/// Whether a text is a UUID as Java writes random ones.
fn is_random_uuid(text: &str) -> bool {
    text.len() == UUID_LENGTH
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "702e9838-0334-4d3a-a593-907931861b05";

    fn attached(pairs: &[(&str, &[u8])]) -> Attached {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect()
    }

    #[test]
    fn everything_that_s3proxy_writes_is_read() {
        let attached = attached(&[
            ("content-md5", &[0xe9; 16]),
            ("expires", &[0, 0, 1, 0xb8, 0xda, 0xc5, 0xb4, 0]),
            ("content-type", b"text/plain"),
            ("storage-tier", b"STANDARD_IA"),
            ("cache-control", b"max-age=5"),
            ("content-encoding", b"gzip"),
            ("content-language", b"nl"),
            ("content-disposition", b"attachment; filename=x"),
            ("user-metadata.Some-Name", b"value"),
            ("something-else", b"ignored"),
        ]);
        let record = record(&attached, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(record.etag, "e9".repeat(16));
        assert_eq!(record.parts, None);
        assert_eq!(record.storage_class.as_deref(), Some("STANDARD_IA"));
        insta::assert_debug_snapshot!(record.attributes, @r#"
        Attributes {
            headers: {
                "cache-control": "max-age=5",
                "content-disposition": "attachment; filename=x",
                "content-encoding": "gzip",
                "content-language": "nl",
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
    fn what_s3proxy_cannot_show_is_not_written() {
        let with = |name: &str, value: &str| {
            let headers = [(name.to_owned(), value.to_owned())].into();
            let user = BTreeMap::new();
            let attributes = Attributes { headers, user };
            Record::foreign(
                Origin::Ours,
                "ab".repeat(16),
                Timestamp::UNIX_EPOCH,
                attributes,
            )
        };
        let unsayable = |record: &Record| attributes_of(record).unwrap_err().to_string();
        assert_eq!(
            unsayable(&with("expires", "tomorrow")),
            "its header `expires` is no date"
        );
        assert_eq!(unsayable(&with("x", "y")), "s3proxy keeps no header `x`");
        let mut record = with("content-type", "a/b");
        record.storage_class = Some("COLD".to_owned());
        assert_eq!(unsayable(&record), "s3proxy knows no storage class `COLD`");
        record.storage_class = None;
        record
            .attributes
            .user
            .insert("n".repeat(300), String::new());
        assert_eq!(
            unsayable(&record),
            "a name in its metadata has more than 231 bytes"
        );
        record.attributes.user.clear();
        record.etag = "fourteen-bytes".to_owned();
        assert_eq!(unsayable(&record), "s3proxy would take its etag for an MD5");
    }

    #[test]
    fn a_multipart_object_has_its_etag_as_text() {
        let quoted = attached(&[("content-md5", b"\"7b482f5ae4a4f0412817db6f1269dcf9-2\"")]);
        let record = record(&quoted, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(record.etag, "7b482f5ae4a4f0412817db6f1269dcf9-2");
        assert_eq!(record.parts, Some(2));
    }

    #[test]
    fn only_what_s3proxy_left_unfinished_is_passed_over() {
        let upload = format!(".mpus-{UUID}-mp/live-1");
        let stub = format!(".s3proxy-mpu-stub-{UUID}");
        let unfinished = format!("dir/a.graph-{UUID}");
        for key in [&upload, &stub] {
            assert!(is_leftover(key, Origin::S3Proxy), "{key}");
            assert!(is_leftover(key, Origin::Nobody), "{key}");
        }
        assert!(is_leftover(&unfinished, Origin::Nobody));
        assert!(!is_leftover(&unfinished, Origin::S3Proxy));
        for key in [&upload, &stub, &unfinished] {
            assert!(!is_leftover(key, Origin::Ours), "{key}");
            assert!(!is_leftover(key, Origin::Minio), "{key}");
        }
        for key in [
            format!("dir/.mpus-{UUID}-x"),
            format!(".s3proxy-mpu-stub-{UUID}/x"),
            format!("-{UUID}"),
            format!("dir/-{UUID}"),
            UUID.to_owned(),
            format!("x{UUID}"),
            format!("x-{}", UUID.to_uppercase()),
            // Not a random one.
            "x-702e9838-0334-1d3a-a593-907931861b05".to_owned(),
            "x-702e9838-0334-4d3a-c593-907931861b05".to_owned(),
            "é".repeat(20),
            ".mpus-é".repeat(20),
        ] {
            assert!(!may_be_leftover(&key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            etag in "[0-9a-f]{32}(-[1-9])?",
            expires: bool,
            user in proptest::collection::btree_map("[a-z0-9-]{1,9}", ".{0,9}", 0..4),
            class in proptest::option::of(proptest::sample::select(STORAGE_CLASSES[1..].to_vec())),
        ) {
            let mut headers = BTreeMap::from([("content-type".to_owned(), "a/b".to_owned())]);
            if expires {
                headers.insert("expires".to_owned(), "Tue, 01 Jan 2030 00:00:00 GMT".to_owned());
            }
            let attributes = Attributes { headers, user };
            let mut kept = Record::foreign(Origin::S3Proxy, etag, Timestamp::UNIX_EPOCH, attributes);
            kept.storage_class = class.map(str::to_owned);
            kept.parts = parts(&kept.etag);
            prop_assert_eq!(record(&attributes_of(&kept).unwrap(), Timestamp::UNIX_EPOCH), Some(kept));
        }

        #[test]
        fn any_attributes_are_read_without_harm(
            attached in proptest::collection::btree_map(
                prop_oneof![
                    Just("content-md5".to_owned()),
                    Just("expires".to_owned()),
                    Just("storage-tier".to_owned()),
                    "user-metadata\\..{0,5}",
                    "content-type",
                ],
                proptest::collection::vec(any::<u8>(), 0..40),
                0..6,
            ),
        ) {
            if let Some(record) = record(&attached, Timestamp::UNIX_EPOCH) {
                prop_assert!(!record.etag.is_empty() && !record.etag.contains('"'));
            }
            record_of_folder(&attached, Timestamp::UNIX_EPOCH);
        }

        #[test]
        fn any_key_is_judged_without_harm(key in ".{0,80}") {
            may_be_leftover(&key);
        }
    }
}

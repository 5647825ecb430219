//! Which objects another server can hold, and what it has to be told of them. Pure.
//!
//! Both servers keep an object in the file of its key, below a folder for each `/`. So neither has `a` beside `a/b`, nor a
//! key that is not a path; and a key that ends in `/` is a folder, of which they show little.

use super::Format;
use crate::backends::local::foreign::s3proxy::Attached;
use crate::backends::local::foreign::{minio, s3proxy};
use crate::backends::local::record::Record;

/// The longest file name, in bytes.
const MAX_NAME: usize = 255;
/// The MD5 of nothing.
const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
/// Folders with keys of uploads, and s3proxy's name for the key `/`: its listings pass over both.
const HIDDEN_BY_S3PROXY: [&str; 2] = [".mpus-", ".s3proxy-slash"];
const STUB_OF_S3PROXY: &str = ".s3proxy-mpu-stub-";
const RESERVED_BY_MINIO: &str = "minio";

/// Why another server cannot hold an object as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("MinIO allows no bucket of this name")]
    Bucket,
    #[error("its key has nothing between two `/`, or begins with one")]
    Nothing,
    #[error("its key has `.` or `..` between two `/`")]
    Dots,
    #[error("its key has {bytes} bytes between two `/`, a file name at most {MAX_NAME}")]
    LongName { bytes: usize },
    #[error("s3proxy takes a key with `{name}` for a part of an upload")]
    Hidden { name: String },
    #[error("there are keys below it, and a file cannot be a folder too")]
    Below,
    #[error("it would be a folder, which has no bytes")]
    FullFolder,
    #[error("it would be a folder, for which the other server shows other headers")]
    FolderHeaders,
    #[error(transparent)]
    Unsayable(#[from] s3proxy::Unsayable),
    #[error("MinIO keeps no header `{name}`")]
    Header { name: String },
    /// Its record cannot be read, or its bytes are not those that were stored.
    #[error("{reason}")]
    Unreadable { reason: String },
}

/// What the other server is told of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Telling {
    /// Attributes of the file.
    Attributes(Attached),
    /// A file beside.
    Beside(Vec<u8>),
    /// A folder says it all.
    Nothing,
}

/// What lies below a key as if that were a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    Nothing,
    Keys,
}

impl Format {
    pub(super) fn admits_bucket(self, bucket: &str) -> Result<(), Unfit> {
        let of_minio = || {
            let labels = || bucket.split('.');
            let whole =
                |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
            let number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
            let address = labels().count() == 4 && labels().all(number);
            labels().all(whole) && !address && bucket != RESERVED_BY_MINIO
        };
        match self {
            Self::Minio if !of_minio() => Err(Unfit::Bucket),
            Self::Minio | Self::S3Proxy => Ok(()),
        }
    }

    /// Returns the names of the file or folder of a key, below that of its bucket.
    pub(super) fn names(self, key: &str) -> Result<Vec<String>, Unfit> {
        let path = key.strip_suffix('/').unwrap_or(key);
        let mut names = Vec::new();
        for name in path.split('/') {
            // MinIO looks past spaces here.
            match name.trim() {
                _ if name.is_empty() => return Err(Unfit::Nothing),
                "." | ".." => return Err(Unfit::Dots),
                _ if name.len() > MAX_NAME => {
                    let bytes = name.len();
                    return Err(Unfit::LongName { bytes });
                }
                _ => names.push(name.to_owned()),
            }
        }
        if self == Self::S3Proxy {
            let hidden = |name: &&String| {
                HIDDEN_BY_S3PROXY
                    .iter()
                    .any(|hidden| name.starts_with(hidden))
            };
            let stub = names
                .first()
                .filter(|name| name.starts_with(STUB_OF_S3PROXY));
            if let Some(name) = stub.or(names.iter().find(hidden)) {
                let name = name.clone();
                return Err(Unfit::Hidden { name });
            }
        }
        Ok(names)
    }

    /// Returns how the other server shows what `record` says of an object with `size` bytes.
    pub(super) fn tell(
        self,
        key: &str,
        size: u64,
        record: &Record,
        below: Below,
    ) -> Result<Telling, Unfit> {
        if key.ends_with('/') {
            return self.tell_of_folder(size, record, below);
        }
        if below == Below::Keys {
            return Err(Unfit::Below);
        }
        match self {
            Self::S3Proxy => Ok(Telling::Attributes(s3proxy::attributes_of(record)?)),
            Self::Minio => {
                let mut headers = record.attributes.headers.keys();
                if let Some(name) = headers.find(|name| !minio::has_header(name)) {
                    let name = name.clone();
                    return Err(Unfit::Header { name });
                }
                Ok(Telling::Beside(minio::to_bytes(record)))
            }
        }
    }

    fn tell_of_folder(self, size: u64, record: &Record, below: Below) -> Result<Telling, Unfit> {
        if size > 0 || record.etag != EMPTY_MD5 {
            return Err(Unfit::FullFolder);
        }
        let modified = record.modified();
        match self {
            // It shows only empty folders.
            Self::Minio if below == Below::Keys => Err(Unfit::Below),
            Self::Minio => {
                let shown = minio::record_of_folder(modified);
                if shown.says_the_same(record) {
                    Ok(Telling::Nothing)
                } else {
                    Err(Unfit::FolderHeaders)
                }
            }
            Self::S3Proxy => {
                let attached = s3proxy::attributes_of(record)?;
                let shown = s3proxy::record_of_folder(&attached, modified);
                if shown.attributes == record.attributes {
                    Ok(Telling::Attributes(attached))
                } else {
                    Err(Unfit::FolderHeaders)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::backend::Attributes;

    fn record(etag: &str, kind: Option<&str>) -> Record {
        let headers = kind.map(|kind| ("content-type".to_owned(), kind.to_owned()));
        let attributes = Attributes {
            headers: headers.into_iter().collect(),
            ..Attributes::default()
        };
        Record::new(
            "id".to_owned(),
            etag.to_owned(),
            Timestamp::UNIX_EPOCH,
            attributes,
        )
    }

    #[test]
    fn keys_that_are_no_paths_are_refused() {
        let long = "é".repeat(200);
        let keys = [
            "/a",
            "a//b",
            "a//",
            "/",
            "..",
            "a/../b",
            "a/./b",
            " .. /a",
            &long,
            ".mpus-x/a",
            "a/.mpus-x",
            ".s3proxy-slash",
            ".s3proxy-mpu-stub-x",
            "a/.s3proxy-mpu-stub-x",
            "back\\slash",
            " a /b",
        ];
        let said = |format: Format, key: &str| match format.names(key) {
            Ok(_) => "yes".to_owned(),
            Err(unfit) => unfit.to_string(),
        };
        let lines: Vec<_> = keys
            .map(|key| {
                let [minio, s3proxy] =
                    [Format::Minio, Format::S3Proxy].map(|format| said(format, key));
                let key = key.trim_start_matches("éé");
                if minio == s3proxy {
                    format!("{key:?}: {minio}")
                } else {
                    format!("{key:?}: {minio} | {s3proxy}")
                }
            })
            .into();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        "/a": its key has nothing between two `/`, or begins with one
        "a//b": its key has nothing between two `/`, or begins with one
        "a//": its key has nothing between two `/`, or begins with one
        "/": its key has nothing between two `/`, or begins with one
        "..": its key has `.` or `..` between two `/`
        "a/../b": its key has `.` or `..` between two `/`
        "a/./b": its key has `.` or `..` between two `/`
        " .. /a": its key has `.` or `..` between two `/`
        "": its key has 400 bytes between two `/`, a file name at most 255
        ".mpus-x/a": yes | s3proxy takes a key with `.mpus-x` for a part of an upload
        "a/.mpus-x": yes | s3proxy takes a key with `.mpus-x` for a part of an upload
        ".s3proxy-slash": yes | s3proxy takes a key with `.s3proxy-slash` for a part of an upload
        ".s3proxy-mpu-stub-x": yes | s3proxy takes a key with `.s3proxy-mpu-stub-x` for a part of an upload
        "a/.s3proxy-mpu-stub-x": yes
        "back\\slash": yes
        " a /b": yes
        "#);
    }

    #[test]
    fn buckets_that_minio_refuses_are_refused() {
        for bucket in ["minio", "192.168.0.1", "a.-b", "a-.b"] {
            assert_eq!(
                Format::Minio.admits_bucket(bucket),
                Err(Unfit::Bucket),
                "{bucket}"
            );
            assert_eq!(Format::S3Proxy.admits_bucket(bucket), Ok(()), "{bucket}");
        }
        for bucket in ["bucket", "a.b-c.1", "1.2.3", "minio2"] {
            assert_eq!(Format::Minio.admits_bucket(bucket), Ok(()), "{bucket}");
        }
    }

    #[test]
    fn a_folder_is_an_object_only_where_the_other_server_shows_the_same() {
        let of_minio = record(EMPTY_MD5, Some("application/octet-stream"));
        let of_s3proxy = record(EMPTY_MD5, Some("application/x-directory"));
        let tell = |format: Format, record: &Record, below| format.tell("a/", 0, record, below);
        assert_eq!(
            tell(Format::Minio, &of_minio, Below::Nothing),
            Ok(Telling::Nothing)
        );
        assert_eq!(
            tell(Format::Minio, &of_minio, Below::Keys),
            Err(Unfit::Below)
        );
        assert_eq!(
            tell(Format::Minio, &of_s3proxy, Below::Nothing),
            Err(Unfit::FolderHeaders)
        );
        assert!(tell(Format::S3Proxy, &of_s3proxy, Below::Keys).is_ok());
        assert_eq!(
            tell(Format::S3Proxy, &of_minio, Below::Nothing),
            Err(Unfit::FolderHeaders)
        );
        let full = Format::S3Proxy.tell("a/", 1, &of_s3proxy, Below::Nothing);
        assert_eq!(full, Err(Unfit::FullFolder));
    }

    #[test]
    fn a_file_is_no_folder_too() {
        for format in [Format::Minio, Format::S3Proxy] {
            let told = format.tell("a", 1, &record("x-1", None), Below::Keys);
            assert_eq!(told, Err(Unfit::Below));
        }
    }

    proptest! {
        #[test]
        fn names_lead_to_the_key_and_nowhere_else(key in "[a-zé./ ]{1,12}") {
            for format in [Format::Minio, Format::S3Proxy] {
                if let Ok(names) = format.names(&key) {
                    prop_assert_eq!(names.join("/"), key.strip_suffix('/').unwrap_or(&key));
                    for name in names {
                        prop_assert!(!name.is_empty() && name != "." && name != ".." && name.len() <= MAX_NAME);
                    }
                }
            }
        }
    }
}

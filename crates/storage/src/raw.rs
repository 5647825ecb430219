//! Listings of names that the client cannot hold: those with an empty name between two `/`, and `.` and `..`.
//!
//! `object_store` refuses a whole listing for one such name. Where it does, the listing is asked for again here, signed by it as in
//! [`leftovers`](crate::leftovers), and read as it is.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::size::ByteSize;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;

use crate::bucket::Entry;
use crate::error::{Cause, Reply};
use crate::objects::Level;

const TIME_TO_ANSWER: Duration = Duration::from_mins(1);
/// Waits before each further attempt.
const WAITS: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// How far below its prefix a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What is directly below.
    One,
    All,
}

#[derive(Debug, Default, Deserialize)]
struct Page {
    #[serde(rename = "Contents", default)]
    objects: Vec<Object>,
    #[serde(rename = "CommonPrefixes", default)]
    folders: Vec<Folder>,
    #[serde(rename = "NextContinuationToken")]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    key: String,
    size: u64,
    last_modified: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Folder {
    prefix: String,
}

/// The prefix as the client has it, none where the client would refuse it or take it for another one. Parsed as keys are: made from its text, a path has
/// characters such as `#` and `~` in another form than keys have.
pub(crate) fn path_of(prefix: &str) -> Option<Path> {
    let path = Path::parse(prefix).ok()?;
    let is_same = match prefix.strip_suffix('/') {
        None => prefix.is_empty(),
        Some(name) => !name.is_empty() && name == path.as_ref(),
    };
    is_same.then_some(path)
}

/// Lists what is below a prefix. What only marks a folder is left out.
pub(crate) async fn level(s3: &AmazonS3, prefix: &str, depth: Depth) -> Result<Level, Cause> {
    let unreachable = |error: reqwest::Error| Cause::Unreachable(error.without_url().to_string());
    let client = reqwest::Client::builder()
        .timeout(TIME_TO_ANSWER)
        .build()
        .map_err(unreachable)?;
    let mut level = Level {
        entries: Vec::new(),
        folders: Vec::new(),
    };
    let mut token: Option<String> = None;
    loop {
        let mut query = vec![("list-type", "2"), ("prefix", prefix)];
        if depth == Depth::One {
            query.push(("delimiter", "/"));
        }
        query.extend(token.iter().map(|token| ("continuation-token", &token[..])));
        let page = page(s3, &client, &query).await?;
        for object in page.objects {
            if !object.key.ends_with('/') {
                level.entries.push(Entry {
                    key: object.key,
                    size: ByteSize(object.size),
                    modified: object.last_modified,
                });
            }
        }
        level
            .folders
            .extend(page.folders.iter().filter_map(|folder| {
                let name = folder.prefix.strip_prefix(prefix)?;
                name.strip_suffix('/').map(str::to_owned)
            }));
        match page.next {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    level.entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    level.folders.sort_unstable();
    Ok(level)
}

async fn page(
    s3: &AmazonS3,
    client: &reqwest::Client,
    query: &[(&str, &str)],
) -> Result<Page, Cause> {
    let options = SignedUrlOptions::new().with_query(query.iter().copied());
    let mut waits = WAITS.into_iter();
    loop {
        let (method, bucket) = (http::Method::GET, Path::default());
        let url = s3
            .signed_url_opts(method, &bucket, TIME_TO_ANSWER, &options)
            .await
            .map_err(|error| Cause::of(&error))?;
        let asked = async {
            let answer = client.get(url).send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
        };
        let failed = match asked.await {
            Ok((status, body)) if status.is_success() => return parse(&body),
            Ok((status, body)) => {
                let reply = Reply::new(&format!("{status}: {body}"));
                match reply.code.as_deref() {
                    Some("NoSuchBucket") => return Err(Cause::NoBucket(reply)),
                    _ if status.as_u16() == 403 => return Err(Cause::Denied(reply)),
                    _ if status.is_server_error() || status.as_u16() == 429 => Cause::Server(reply),
                    _ => return Err(Cause::Server(reply)),
                }
            }
            Err(error) => Cause::Unreachable(error.without_url().to_string()),
        };
        match waits.next() {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(failed),
        }
    }
}

/// Reads a `ListBucketResult`.
fn parse(xml: &str) -> Result<Page, Cause> {
    quick_xml::de::from_str(xml).map_err(|error| Cause::Server(Reply::new(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_is_the_beginning_of_keys_whatever_its_characters() {
        for name in ["", "a", "a b", "~#%[]{}^|*?<>\"\\`", "%41", "ü", "a+b&c=d"] {
            let prefix = format!("{name}/").trim_start_matches('/').to_owned();
            let path = path_of(&prefix).unwrap();
            let key = Path::parse(format!("{prefix}key")).unwrap();
            assert!(key.prefix_matches(&path), "{name}");
            assert_eq!(path.as_ref(), name);
        }
        for prefix in ["/", "//", "/a/", "a//", "a//b/", "./", "a/../"] {
            assert_eq!(path_of(prefix), None, "{prefix}");
        }
    }

    #[test]
    fn names_are_read_as_they_are() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><Contents><Key>a//b&amp;c</Key><Size>7</Size>\
                   <LastModified>2026-08-01T03:00:00.000Z</LastModified></Contents><CommonPrefixes><Prefix>a//</Prefix></CommonPrefixes>\
                   <NextContinuationToken>more</NextContinuationToken></ListBucketResult>";
        let page = parse(xml).unwrap();
        let object = &page.objects[0];
        assert_eq!((&object.key[..], object.size), ("a//b&c", 7));
        assert_eq!(page.folders[0].prefix, "a//");
        assert_eq!(page.next.as_deref(), Some("more"));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(xml in "\\PC*|(<Contents>|<Key>|</Key>|</Contents>|&|;|x){0,20}") {
            drop(parse(&xml));
        }
    }
}

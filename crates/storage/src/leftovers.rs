//! Unfinished uploads of runs that were killed.
//!
//! They are invisible in listings but take space. `object_store` has no call for listing them, so the request is
//! signed by it and sent with the HTTP client that it brings anyway.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;

use crate::error::{Cause, Reply};

/// An upload begun longer ago than this belongs to no living run: a backup takes minutes, and the next one of a daily
/// schedule is already due.
pub(crate) const DEAD_AFTER: SignedDuration = SignedDuration::from_hours(24);

const TIME_TO_ANSWER: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "Upload", default)]
    uploads: Vec<Unfinished>,
}

/// An upload that has not been completed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unfinished {
    key: String,
    #[serde(rename = "UploadId")]
    id: String,
    initiated: Timestamp,
}

pub(crate) async fn remove(
    s3: &AmazonS3,
    prefix: &str,
    now: Timestamp,
    ours: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Cause> {
    let mut removed = Vec::new();
    for upload in list(s3, prefix).await? {
        let dead = now.duration_since(upload.initiated) > DEAD_AFTER;
        if !dead || !ours(&upload.key) {
            continue;
        }
        let path = Path::parse(&upload.key).map_err(|_| Cause::Name(upload.key.clone()))?;
        s3.abort_multipart(&path, &upload.id)
            .await
            .map_err(|error| Cause::of(&error))?;
        removed.push(upload.key);
    }
    Ok(removed)
}

/// The first thousand; the next run meets the rest.
async fn list(s3: &AmazonS3, prefix: &str) -> Result<Vec<Unfinished>, Cause> {
    let options = SignedUrlOptions::new().with_query([("uploads", ""), ("prefix", prefix)]);
    let url = s3
        .signed_url_opts(
            http::Method::GET,
            &Path::default(),
            TIME_TO_ANSWER,
            &options,
        )
        .await
        .map_err(|error| Cause::of(&error))?;
    let unreachable = |error: reqwest::Error| Cause::Unreachable(error.without_url().to_string());
    let client = reqwest::Client::builder()
        .timeout(TIME_TO_ANSWER)
        .build()
        .map_err(unreachable)?;
    let answer = client.get(url).send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.text().await.map_err(unreachable)?;
    if !status.is_success() {
        return Err(Cause::Server(Reply::new(&format!("{status}: {body}"))));
    }
    parse(&body)
}

/// Reads a `ListMultipartUploadsResult`.
fn parse(xml: &str) -> Result<Vec<Unfinished>, Cause> {
    let answer: Answer = quick_xml::de::from_str(xml)
        .map_err(|error| Cause::Server(Reply::new(&error.to_string())))?;
    Ok(answer.uploads)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uploads_are_read_with_their_escapes() {
        let xml = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket><Upload><Key>a&amp;b.graph</Key>\
                   <UploadId>01J</UploadId><Initiated>2026-08-01T03:00:00.000Z</Initiated></Upload>\
                   </ListMultipartUploadsResult>";
        let expected = Unfinished {
            key: "a&b.graph".into(),
            id: "01J".into(),
            initiated: "2026-08-01T03:00:00Z".parse().unwrap(),
        };
        assert_eq!(parse(xml).unwrap(), [expected]);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(xml in "\\PC*|(<Upload>|<Key>|</Key>|</Upload>|&|;|x){0,20}") {
            drop(parse(&xml));
        }
    }
}

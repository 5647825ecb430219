//! Objects written whole, read, and copied.

use std::ops::Range;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use super::body::{Outgoing, Windows};
use super::call::{Body, Call, Effort, Repeat, base64};
use super::client::Client;
use super::{headers, target};
use crate::backend::condition::WriteCondition;
use crate::backend::content::Content;
use crate::backend::digest::{Algorithm, Checksum};
use crate::backend::options::{CopyOptions, PutOptions, ReadOptions};
use crate::backend::{Error, ObjectInfo, ObjectPath, Opened, Stored};
use crate::backends::xml::{Element, Malformed};

const PUTTING: &str = "storing an object";
const READING: &str = "reading an object";
const COPYING: &str = "copying an object";

impl Client {
    pub(super) async fn put(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        let repeat = match options.condition {
            WriteCondition::None => Repeat::Safely,
            _ => Repeat::IfRefused,
        };
        let call = Call::object(PUTTING, Method::PUT, path)
            .repeat(repeat)
            .attributes(&options.attributes)?
            .relayed(&options.relayed)?
            .condition(&options.condition)?;
        match call.content(content).await? {
            (_, Some(windows)) => self.put_windows(path, options, windows).await,
            (call, None) => Ok(headers::stored(&self.ask(call).await?.headers)),
        }
    }

    pub(super) async fn head(
        &self,
        path: &ObjectPath,
        options: &ReadOptions,
    ) -> Result<ObjectInfo, Error> {
        let answer = self.ask(reading(Method::HEAD, path, options)?).await?;
        let size = length(&answer.headers).ok_or_else(|| incomplete("content-length"))?;
        Ok(headers::info(&answer.headers, size))
    }

    pub(super) async fn get(
        &self,
        path: &ObjectPath,
        options: &ReadOptions,
    ) -> Result<Opened, Error> {
        let mut call = reading(Method::GET, path, options)?.conditions("", &options.conditions)?;
        if let Some(range) = options.range {
            call.set("range", &headers::range(range))?;
        }
        let answer = self.open(call).await?;
        let (range, size) = if answer.status == StatusCode::PARTIAL_CONTENT {
            content_range(&answer.headers).ok_or_else(|| incomplete("content-range"))?
        } else {
            let size = length(&answer.headers).ok_or_else(|| incomplete("content-length"))?;
            (0..size, size)
        };
        Ok(Opened {
            info: headers::info(&answer.headers, size),
            range,
            body: answer.body,
        })
    }

    pub(super) async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error> {
        self.judge(to, &options.destination).await?;
        let source = target::source(from.bucket(), from.key(), options.source_version.as_deref());
        let mut call = Call::object(COPYING, Method::PUT, to)
            .effort(Effort::Work)
            .header("x-amz-copy-source", &source)?
            .conditions("x-amz-copy-source-", &options.source)?
            .condition(&options.destination)?
            .relayed(&options.relayed)?;
        if let Some(attributes) = &options.attributes {
            call = call
                .header("x-amz-metadata-directive", "REPLACE")?
                .attributes(attributes)?;
        }
        let (headers, document) = self.document(call).await.map_err(|error| {
            // Not there is the source, unless it is the bucket.
            match error.not_modified_means_refused() {
                Error::NoSuchKey { .. } => Error::NoSuchKey {
                    key: from.key().to_owned(),
                },
                other => other,
            }
        })?;
        Ok(Stored {
            etag: headers::unquoted(document.text("ETag").unwrap_or_default()),
            modified: time_of(&document, "LastModified"),
            checksum: checksum_of(&document),
            ..headers::stored(&headers)
        })
    }
}

impl Client {
    /// Judges what a copy would replace. Stores that know such a condition judge it again at the moment of the copy; for
    /// those that do not, which ignore it, this is all there is, and a race can pass it.
    async fn judge(&self, path: &ObjectPath, condition: &WriteCondition) -> Result<(), Error> {
        if *condition == WriteCondition::None {
            return Ok(());
        }
        let current = match self.head(path, &ReadOptions::default()).await {
            Ok(info) => Some(info.etag),
            Err(Error::NoSuchKey { .. }) => None,
            Err(error) => return Err(error),
        };
        condition.judge(path.key(), current.as_deref())
    }
}

impl Call {
    /// Adds content with all that was promised of it. Gives it back if it is more than a window and nobody knows how much.
    pub(super) async fn content(
        mut self,
        content: Content,
    ) -> Result<(Self, Option<Windows>), Error> {
        let expected = content.expected();
        let announced = expected.checksum.clone();
        if let Some(md5) = &expected.md5 {
            self.set("content-md5", &base64(md5))?;
        }
        Ok(match Outgoing::of(content).await? {
            Outgoing::Whole(bytes, received) => {
                let call = self.checksum(received.digests.checksum.as_ref())?;
                (call.body(Body::Whole(bytes)), None)
            }
            Outgoing::Streamed(streamed) => {
                let call = self.checksum(announced.as_ref())?;
                (call.body(Body::Streamed(streamed)), None)
            }
            Outgoing::Windows(windows) => (self, Some(windows)),
        })
    }
}

fn reading(method: Method, path: &ObjectPath, options: &ReadOptions) -> Result<Call, Error> {
    Call::object(READING, method, path)
        .query_if("partNumber", options.part.map(|part| part.to_string()))
        .query_if("versionId", options.version.as_deref())
        .relayed(&options.relayed)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers::text(headers, "content-length")?.parse().ok()
}

/// Reads `bytes 0-9/100`: the bytes, end excluded, and the size of the whole.
fn content_range(headers: &HeaderMap) -> Option<(Range<u64>, u64)> {
    let text = headers::text(headers, "content-range")?;
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = size.parse().ok()?;
    (first <= last && last < size).then(|| (first..last + 1, size))
}

/// The store answered, but not what an answer has to say.
pub(super) fn incomplete(what: &'static str) -> Error {
    super::client::unreadable(READING, Malformed(what))
}

/// The checksum that a document names.
pub(super) fn checksum_of(document: &Element) -> Option<Checksum> {
    Algorithm::ALL.into_iter().find_map(|algorithm| {
        let value = document.text(&format!("Checksum{}", algorithm.name()))?;
        Some(Checksum {
            algorithm,
            value: value.to_owned(),
        })
    })
}

/// The time that a document names. What is no time counts as none.
pub(super) fn time_of(document: &Element, name: &str) -> Option<Timestamp> {
    document.text(name)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn read(text: &str) -> Option<(Range<u64>, u64)> {
        let value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
        content_range(&HeaderMap::from_iter([(
            reqwest::header::CONTENT_RANGE,
            value,
        )]))
    }

    #[test]
    fn a_range_of_content_is_read() {
        assert_eq!(read("bytes 2-4/10"), Some((2..5, 10)));
        assert_eq!(read("bytes 4-2/10"), None);
        assert_eq!(read("bytes 2-10/10"), None);
        assert_eq!(
            read("bytes 0-18446744073709551615/18446744073709551615"),
            None
        );
        assert_eq!(read("bytes */10"), None);
    }

    proptest! {
        #[test]
        fn any_range_is_read_or_refused(text in "(bytes )?[0-9*]{0,22}-?[0-9]{0,22}/?[0-9*]{0,22}|\\PC*") {
            if let Some((range, size)) = read(&text) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}

//! Both versions of listing a bucket.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    self, CommonPrefix, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::convert::{self, key_text};
use crate::backend::listing::{Entry, ListQuery, Page};
use crate::backend::{Backend, ObjectInfo};

/// The most entries of one page, and how many there are without a wish.
const MAX_KEYS: i32 = 1000;

pub(super) async fn list_objects(
    backend: &dyn Backend,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let encoding = input.encoding_type;
    convert::check_encoding(encoding.as_ref())?;
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let limit = limit(input.max_keys)?;
    let query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: delimiter.clone(),
        after: input.marker.clone().filter(|marker| !marker.is_empty()),
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = list(backend, &input.bucket, &query).await?;
    let text = |text: &str| key_text(text, encoding.as_ref());
    let next = page
        .entries
        .last()
        .filter(|_| page.truncated)
        .map(|entry| text(entry.name()));
    let is_truncated = page.truncated;
    let (contents, common_prefixes) = entries(page, encoding.as_ref());
    let output = ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(text(&query.prefix)),
        marker: Some(text(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(limit),
        is_truncated: Some(is_truncated),
        next_marker: next,
        delimiter: delimiter.as_deref().map(text),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        encoding_type: encoding.clone(),
        request_charged: None,
    };
    Ok(S3Response::new(output))
}

pub(super) async fn list_objects_v2(
    backend: &dyn Backend,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let encoding = input.encoding_type;
    convert::check_encoding(encoding.as_ref())?;
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let limit = limit(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => Some(from_token(token)?),
        None => input.start_after.clone().filter(|after| !after.is_empty()),
    };
    let query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: delimiter.clone(),
        after,
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = list(backend, &input.bucket, &query).await?;
    let text = |text: &str| key_text(text, encoding.as_ref());
    let next = page
        .entries
        .last()
        .filter(|_| page.truncated)
        .map(|entry| to_token(entry.name()));
    let is_truncated = page.truncated;
    let count = i32::try_from(page.entries.len()).unwrap_or(i32::MAX);
    let (contents, common_prefixes) = entries(page, encoding.as_ref());
    let output = ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(text(&query.prefix)),
        max_keys: Some(limit),
        key_count: Some(count),
        continuation_token: input.continuation_token,
        is_truncated: Some(is_truncated),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: delimiter.as_deref().map(text),
        encoding_type: encoding.clone(),
        start_after: input.start_after.as_deref().map(text),
        request_charged: None,
    };
    Ok(S3Response::new(output))
}

async fn list(backend: &dyn Backend, bucket: &str, query: &ListQuery) -> S3Result<Page> {
    if query.limit == 0 {
        backend.bucket(bucket).await?;
        return Ok(Page::default());
    }
    Ok(backend.list(bucket, query).await?)
}

fn limit(max_keys: Option<i32>) -> S3Result<i32> {
    match max_keys {
        None => Ok(MAX_KEYS),
        Some(limit) if limit < 0 => {
            Err(s3_error!(InvalidArgument, "max-keys must not be negative"))
        }
        Some(limit) => Ok(limit.min(MAX_KEYS)),
    }
}

/// A token is the name after which the next page begins, so it stays good when the bucket changes or the gateway restarts.
fn to_token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn from_token(token: &str) -> S3Result<String> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "the continuation token is not one of this endpoint"
            )
        })
}

fn entries(page: Page, encoding: Option<&dto::EncodingType>) -> (Vec<Object>, Vec<CommonPrefix>) {
    let mut objects = Vec::new();
    let mut prefixes = Vec::new();
    for entry in page.entries {
        match entry {
            Entry::Prefix(prefix) => prefixes.push(CommonPrefix {
                prefix: Some(key_text(&prefix, encoding)),
            }),
            Entry::Object { key, info } => objects.push(Object {
                key: Some(key_text(&key, encoding)),
                e_tag: Some(convert::etag(&info.etag)),
                last_modified: Some(convert::timestamp(info.modified)),
                size: Some(convert::signed(info.size)),
                storage_class: Some(storage_class(&info)),
                ..Object::default()
            }),
        }
    }
    (objects, prefixes)
}

/// What has no class is of the ordinary one.
fn storage_class(info: &ObjectInfo) -> ObjectStorageClass {
    match info.relayed.get("x-amz-storage-class") {
        Some(class) => ObjectStorageClass::from(class.to_owned()),
        None => ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_leads_back_to_its_name(name in ".{0,40}") {
            prop_assert_eq!(from_token(&to_token(&name)).unwrap(), name);
        }

        #[test]
        fn any_token_is_read_without_harm(token in ".{0,40}") {
            if let Ok(name) = from_token(&token) {
                prop_assert_eq!(to_token(&name), token);
            }
        }
    }
}

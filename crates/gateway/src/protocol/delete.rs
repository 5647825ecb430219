//! Removing one object or many.

use futures::{StreamExt as _, stream};
use s3s::dto::{
    self, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::body::Seen;
use super::{content, convert, xml};
use crate::backend::Backend;
use crate::backend::digest::Expected;

/// The most keys of one request.
const MAX_KEYS: usize = 1000;
/// How many keys of one request are worked on at a time, so that their syncs can share a commit of the file system.
const PARALLEL: usize = 16;

pub(super) async fn delete_object(
    backend: &dyn Backend,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    convert::refuse_version(input.version_id.as_deref())?;
    if input.if_match.is_some()
        || input.if_match_last_modified_time.is_some()
        || input.if_match_size.is_some()
    {
        return Err(s3_error!(
            NotImplemented,
            "a delete with a condition is not supported"
        ));
    }
    backend
        .delete(&convert::path(input.bucket, input.key)?)
        .await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) async fn delete_objects(
    backend: &dyn Backend,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    check_digest(&request)?;
    let DeleteObjectsInput { bucket, delete, .. } = request.input;
    if delete.objects.len() > MAX_KEYS {
        return Err(s3_error!(MalformedXML, "more than {MAX_KEYS} keys"));
    }
    // The answer names every key, so it must be able to: refused before anything is deleted, not after.
    if let Some(object) = delete
        .objects
        .iter()
        .find(|object| !xml::can_be_named(&object.key))
    {
        return Err(s3_error!(
            MalformedXML,
            "key {:?} has a character that XML cannot hold: delete it on its own",
            object.key
        ));
    }
    backend.bucket(&bucket).await?;
    let quiet = delete.quiet.unwrap_or(false);
    let outcomes: Vec<_> = stream::iter(delete.objects)
        .map(|object| {
            let bucket = bucket.clone();
            async move {
                let removed = remove(backend, bucket, &object).await;
                (object.key, removed)
            }
        })
        .buffered(PARALLEL)
        .collect()
        .await;
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for (key, removed) in outcomes {
        match removed {
            Ok(()) if quiet => {}
            Ok(()) => deleted.push(DeletedObject {
                key: Some(key),
                ..DeletedObject::default()
            }),
            Err(error) => errors.push(dto::Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(key),
                version_id: None,
            }),
        }
    }
    let output = DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

async fn remove(
    backend: &dyn Backend,
    bucket: String,
    object: &dto::ObjectIdentifier,
) -> S3Result<()> {
    convert::refuse_version(object.version_id.as_deref())?;
    let path = convert::path(bucket, object.key.clone())?;
    backend.delete(&path).await.map_err(S3Error::from)
}

/// There are no versions here. Clients that ask for the one of an unversioned bucket say `null`.
/// A request that removes many objects must prove that it arrived as it was sent.
fn check_digest(request: &S3Request<DeleteObjectsInput>) -> S3Result<()> {
    let headers = &request.headers;
    let expected = Expected {
        md5: content::text(headers, "content-md5")
            .map(content::md5)
            .transpose()?,
        checksum: content::checksum_header(headers)?,
        ..Expected::default()
    };
    if content::is_chunked(headers) {
        return Err(s3_error!(
            NotImplemented,
            "DeleteObjects in chunks is not supported"
        ));
    }
    if expected.md5.is_none() && expected.checksum.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "Content-MD5 or a checksum header is required"
        ));
    }
    let digests = request.extensions.get::<Seen>().and_then(Seen::digests);
    let digests = digests.ok_or_else(|| s3_error!(InternalError, "the body was not watched"))?;
    Ok(expected.check(&digests)?)
}

//! Removing one object or many.

use s3s::dto::{
    self, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::body::Seen;
use super::{content, convert, relay, xml};
use crate::backend::condition::{EtagMatch, WriteCondition};
use crate::backend::digest::Expected;
use crate::backend::options::{DeleteOptions, Marker};
use crate::backend::relay::Relayed;
use crate::backend::{Backend, ObjectPath};

/// The most keys of one request.
const MAX_KEYS: usize = 1000;

pub(super) async fn delete_object(
    backend: &dyn Backend,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "a delete can demand an etag, not a time or a size"
        ));
    }
    let options = DeleteOptions {
        version: input.version_id,
        condition: convert::write_condition(input.if_match.as_ref(), None)?,
        relayed,
    };
    let path = convert::path(input.bucket, input.key)?;
    let deleted = backend.delete(&path, &options).await?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: (deleted.marker == Marker::Yes).then_some(true),
        version_id: deleted.version,
        ..DeleteObjectOutput::default()
    }))
}

pub(super) async fn delete_objects(
    backend: &dyn Backend,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    check_digest(&request)?;
    let relayed = relay::asked(&request.headers);
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
    let mut wanted = Vec::new();
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    let mut names = Vec::new();
    for object in delete.objects {
        match target(&bucket, &object, &relayed) {
            Ok(target) => {
                wanted.push(target);
                names.push((object.key, object.version_id));
            }
            Err(error) => errors.push(failure(object.key, object.version_id, &error)),
        }
    }
    let outcomes = backend.delete_many(wanted).await;
    for ((key, version), outcome) in names.into_iter().zip(outcomes) {
        match outcome {
            Ok(_) if quiet => {}
            Ok(done) => {
                let marker = done.marker == Marker::Yes;
                deleted.push(DeletedObject {
                    key: Some(key),
                    delete_marker: marker.then_some(true),
                    delete_marker_version_id: done.version.filter(|_| marker),
                    version_id: version,
                });
            }
            Err(error) => errors.push(failure(key, version, &error.into())),
        }
    }
    let output = DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

fn target(
    bucket: &str,
    object: &dto::ObjectIdentifier,
    relayed: &Relayed,
) -> S3Result<(ObjectPath, DeleteOptions)> {
    let path = convert::path(bucket.to_owned(), object.key.clone())?;
    let etag = object.e_tag.as_ref();
    let options = DeleteOptions {
        version: object.version_id.clone(),
        condition: etag.map_or(WriteCondition::None, |etag| {
            WriteCondition::Matches(EtagMatch::Exactly(etag.value().to_owned()))
        }),
        relayed: relayed.clone(),
    };
    Ok((path, options))
}

fn failure(key: String, version: Option<String>, error: &S3Error) -> dto::Error {
    dto::Error {
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        key: Some(key),
        version_id: version,
    }
}

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
    if content::framing(headers).is_some() {
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

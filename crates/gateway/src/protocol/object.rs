//! Operations on whole objects.

use futures::TryStreamExt as _;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, MetadataDirective, PutObjectInput, PutObjectOutput,
    StreamingBlob,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::content::{Described, content};
use super::convert::{self, ChecksumFields, Headers};
use crate::backend::{Backend, CopyOptions, Error, ObjectInfo};

pub(super) async fn put_object(
    backend: &dyn Backend,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let condition =
        convert::write_condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let described = Described {
        headers: &request.headers,
        trailers: request.trailing_headers,
        content_md5: input.content_md5.as_deref(),
        content_length: input.content_length,
    };
    let content = content(input.body, described)?;
    let headers = Headers {
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_type: input.content_type,
        expires: input.expires,
    };
    let info = backend
        .put(
            &path,
            headers.attributes(input.metadata),
            content,
            condition,
        )
        .await?;
    let checksum = ChecksumFields::of(info.checksum.as_ref());
    let output = PutObjectOutput {
        e_tag: Some(convert::etag(&info.etag)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
        ..PutObjectOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn get_object(
    backend: &dyn Backend,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    refuse_part(input.part_number)?;
    convert::refuse_version(input.version_id.as_deref())?;
    let conditions = convert::read_conditions(
        input.if_match.as_ref(),
        input.if_none_match.as_ref(),
        input.if_modified_since.as_ref(),
        input.if_unmodified_since.as_ref(),
    );
    let opened = backend
        .get(&path, input.range.map(convert::byte_range), &conditions)
        .await?;
    let info = opened.info;
    let range = opened.range;
    let partial = input.range.is_some();
    // The checksum kept is that of the whole object.
    let wanted = input.checksum_mode.is_some() && !partial;
    let checksum = ChecksumFields::of(info.checksum.as_ref().filter(|_| wanted));
    let headers = Headers::of(&info.attributes);
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(StreamingBlob::wrap(
            opened.body.map_err(std::io::Error::other),
        )),
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_length: Some(convert::signed(range.end - range.start)),
        content_range: partial
            .then(|| format!("bytes {}-{}/{}", range.start, range.end - 1, info.size)),
        content_type: Some(headers.content_type.unwrap_or_else(default_content_type)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
        e_tag: Some(convert::etag(&info.etag)),
        expires: headers.expires,
        last_modified: Some(convert::timestamp(info.modified)),
        metadata: convert::metadata(&info.attributes),
        ..GetObjectOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn head_object(
    backend: &dyn Backend,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    refuse_part(input.part_number)?;
    convert::refuse_version(input.version_id.as_deref())?;
    let info = backend.head(&path).await?;
    convert::read_conditions(
        input.if_match.as_ref(),
        input.if_none_match.as_ref(),
        input.if_modified_since.as_ref(),
        input.if_unmodified_since.as_ref(),
    )
    .judge(path.key(), &info)?;
    let range = match input.range.map(convert::byte_range) {
        Some(range) => {
            let range = range.within(info.size);
            Some(range.ok_or(Error::RangeNotSatisfiable { size: info.size })?)
        }
        None => None,
    };
    let wanted = input.checksum_mode.is_some() && range.is_none();
    let checksum = ChecksumFields::of(info.checksum.as_ref().filter(|_| wanted));
    let headers = Headers::of(&info.attributes);
    let length = range
        .as_ref()
        .map_or(info.size, |range| range.end - range.start);
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_length: Some(convert::signed(length)),
        content_range: range
            .map(|range| format!("bytes {}-{}/{}", range.start, range.end - 1, info.size)),
        content_type: Some(headers.content_type.unwrap_or_else(default_content_type)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
        e_tag: Some(convert::etag(&info.etag)),
        expires: headers.expires,
        last_modified: Some(convert::timestamp(info.modified)),
        metadata: convert::metadata(&info.attributes),
        ..HeadObjectOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn copy_object(
    backend: &dyn Backend,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    let from = convert::copy_source(&input.copy_source)?;
    let to = convert::path(input.bucket, input.key)?;
    let replace = match input
        .metadata_directive
        .as_ref()
        .map(MetadataDirective::as_str)
    {
        Some(MetadataDirective::REPLACE) => true,
        None | Some(MetadataDirective::COPY) => false,
        Some(_) => {
            return Err(s3_error!(
                InvalidArgument,
                "x-amz-metadata-directive must be COPY or REPLACE"
            ));
        }
    };
    if from == to && !replace {
        return Err(s3_error!(
            InvalidRequest,
            "a copy onto itself must replace the metadata"
        ));
    }
    let headers = Headers {
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_type: input.content_type,
        expires: input.expires,
    };
    let source = convert::read_conditions(
        input.copy_source_if_match.as_ref(),
        input.copy_source_if_none_match.as_ref(),
        input.copy_source_if_modified_since.as_ref(),
        input.copy_source_if_unmodified_since.as_ref(),
    );
    let options = CopyOptions {
        attributes: replace.then(|| headers.attributes(input.metadata)),
        source,
        ..CopyOptions::default()
    };
    let info = backend.copy(&from, &to, options).await?;
    let output = CopyObjectOutput {
        copy_object_result: Some(copied(&info)),
        ..CopyObjectOutput::default()
    };
    Ok(S3Response::new(output))
}

fn copied(info: &ObjectInfo) -> CopyObjectResult {
    let checksum = ChecksumFields::of(info.checksum.as_ref());
    CopyObjectResult {
        e_tag: Some(convert::etag(&info.etag)),
        last_modified: Some(convert::timestamp(info.modified)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
    }
}

/// What S3 says of content that nobody named the type of.
fn default_content_type() -> String {
    "binary/octet-stream".to_owned()
}

fn refuse_part(number: Option<i32>) -> S3Result<()> {
    match number {
        None => Ok(()),
        Some(_) => Err(s3_error!(
            NotImplemented,
            "reading a part by its number is not supported"
        )),
    }
}

//! Operations on whole objects.

use futures::TryStreamExt as _;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, MetadataDirective, PutObjectInput, PutObjectOutput, Range,
    StreamingBlob,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::content::{Head, content};
use super::convert::{self, ChecksumFields, Headers};
use super::relay;
use crate::backend::options::{CopyOptions, PutOptions, ReadOptions};
use crate::backend::{Backend, Error, Stored, UNTYPED};

pub(super) async fn put_object(
    backend: &dyn Backend,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let condition =
        convert::write_condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let content = content(&Head {
        headers: &request.headers,
        extensions: &request.extensions,
        credentials: request.credentials.as_ref(),
        content_md5: input.content_md5.as_deref(),
        content_length: input.content_length,
    })?;
    let headers = Headers {
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_type: input.content_type,
        expires: input.expires,
    };
    let options = PutOptions {
        attributes: headers.attributes(input.metadata),
        condition,
        relayed,
    };
    let stored = backend.put(&path, options, content).await?;
    let checksum = ChecksumFields::of(stored.checksum.as_ref());
    let output = PutObjectOutput {
        e_tag: Some(convert::etag(&stored.etag)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
        version_id: stored.version,
        ..PutObjectOutput::default()
    };
    Ok(relay::answer(output, &stored.relayed))
}

pub(super) async fn get_object(
    backend: &dyn Backend,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let options = ReadOptions {
        range: input.range.map(convert::byte_range),
        part: part(input.part_number, input.range.as_ref())?,
        conditions: convert::read_conditions(
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since.as_ref(),
            input.if_unmodified_since.as_ref(),
        ),
        version: input.version_id,
        relayed,
    };
    let opened = backend.get(&path, &options).await?;
    let info = opened.info;
    let range = opened.range;
    let partial = (input.range.is_some() || input.part_number.is_some()) && !range.is_empty();
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
        parts_count: input.part_number.and(info.parts).map(i32::from),
        version_id: info.version,
        ..GetObjectOutput::default()
    };
    Ok(relay::answer(output, &info.relayed))
}

pub(super) async fn head_object(
    backend: &dyn Backend,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let options = ReadOptions {
        part: part(input.part_number, input.range.as_ref())?,
        version: input.version_id,
        relayed,
        ..ReadOptions::default()
    };
    let info = backend.head(&path, &options).await?;
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
        parts_count: input.part_number.and(info.parts).map(i32::from),
        version_id: info.version,
        ..HeadObjectOutput::default()
    };
    Ok(relay::answer(output, &info.relayed))
}

pub(super) async fn copy_object(
    backend: &dyn Backend,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let (from, source_version) = convert::copy_source(&input.copy_source)?;
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
    if from == to && !replace && source_version.is_none() && relayed.is_empty() {
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
        source_version,
        relayed,
        ..CopyOptions::default()
    };
    let stored = backend.copy(&from, &to, options).await?;
    let output = CopyObjectOutput {
        copy_object_result: Some(copied(&stored)),
        version_id: stored.version,
        ..CopyObjectOutput::default()
    };
    Ok(relay::answer(output, &stored.relayed))
}

fn copied(stored: &Stored) -> CopyObjectResult {
    let checksum = ChecksumFields::of(stored.checksum.as_ref());
    CopyObjectResult {
        e_tag: Some(convert::etag(&stored.etag)),
        last_modified: stored.modified.map(convert::timestamp),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
    }
}

fn default_content_type() -> String {
    UNTYPED.to_owned()
}

fn part(number: Option<i32>, range: Option<&Range>) -> S3Result<Option<u16>> {
    match number {
        None => Ok(None),
        Some(_) if range.is_some() => Err(s3_error!(
            InvalidRequest,
            "a range and a part number exclude each other"
        )),
        Some(number) => convert::part_number(number).map(Some),
    }
}

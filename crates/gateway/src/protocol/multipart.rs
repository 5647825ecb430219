//! Multipart uploads.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm,
    ChecksumType as ProtocolChecksumType, CommonPrefix, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart as ProtocolPart, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part, Range,
    StorageClass, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::content::{Head, content};
use super::convert::{self, ChecksumFields, Headers, key_text, part_number};
use super::relay;
use crate::backend::digest::Algorithm;
use crate::backend::options::ReadOptions;
use crate::backend::upload::{
    ChecksumType, CompleteOptions, CompletedPart, UploadInfo, UploadOptions,
};
use crate::backend::{Backend, Error};

/// The most parts or uploads of one page.
const MAX_ENTRIES: i32 = 1000;

pub(super) async fn create_multipart_upload(
    backend: &dyn Backend,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let headers = Headers {
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_type: input.content_type,
        expires: input.expires,
    };
    let checksum = checksum(
        input.checksum_algorithm.as_ref(),
        input.checksum_type.as_ref(),
    )?;
    let options = UploadOptions {
        attributes: headers.attributes(input.metadata),
        checksum,
        relayed,
    };
    let begun = backend.begin_upload(&path, options).await?;
    let output = CreateMultipartUploadOutput {
        bucket: Some(path.bucket().to_owned()),
        key: Some(path.key().to_owned()),
        upload_id: Some(begun.id),
        checksum_algorithm: checksum
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: checksum.map(|(_, kind)| protocol_type(kind)),
        ..CreateMultipartUploadOutput::default()
    };
    Ok(relay::answer(output, &begun.relayed))
}

/// The checksum wanted of an upload. CRC64NVME is always of the whole content, the SHAs always of the parts.
fn checksum(
    algorithm: Option<&ChecksumAlgorithm>,
    kind: Option<&ProtocolChecksumType>,
) -> S3Result<Option<(Algorithm, ChecksumType)>> {
    let Some(algorithm) = algorithm else {
        return Ok(None);
    };
    let algorithm = Algorithm::from_name(algorithm.as_str())
        .ok_or_else(|| s3_error!(InvalidRequest, "unknown checksum algorithm"))?;
    let kind = match (algorithm, kind.map(ProtocolChecksumType::as_str)) {
        (Algorithm::Crc64Nvme, Some(ProtocolChecksumType::COMPOSITE))
        | (Algorithm::Sha1 | Algorithm::Sha256, Some(ProtocolChecksumType::FULL_OBJECT)) => {
            return Err(s3_error!(
                InvalidRequest,
                "this checksum algorithm has no such type"
            ));
        }
        (Algorithm::Crc64Nvme, _) | (_, Some(ProtocolChecksumType::FULL_OBJECT)) => {
            ChecksumType::Full
        }
        (_, None | Some(ProtocolChecksumType::COMPOSITE)) => ChecksumType::Composite,
        (_, Some(_)) => return Err(s3_error!(InvalidRequest, "unknown checksum type")),
    };
    Ok(Some((algorithm, kind)))
}

fn protocol_type(kind: ChecksumType) -> ProtocolChecksumType {
    ProtocolChecksumType::from_static(match kind {
        ChecksumType::Composite => ProtocolChecksumType::COMPOSITE,
        ChecksumType::Full => ProtocolChecksumType::FULL_OBJECT,
    })
}

pub(super) async fn upload_part(
    backend: &dyn Backend,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let number = part_number(input.part_number)?;
    let content = content(&Head {
        headers: &request.headers,
        extensions: &request.extensions,
        credentials: request.credentials.as_ref(),
        content_md5: input.content_md5.as_deref(),
        content_length: input.content_length,
    })?;
    let part = backend
        .put_part(&path, &input.upload_id, number, content, relayed)
        .await?;
    let checksum = ChecksumFields::of(part.checksum.as_ref());
    let output = UploadPartOutput {
        e_tag: Some(convert::etag(&part.etag)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        ..UploadPartOutput::default()
    };
    Ok(relay::answer(output, &part.relayed))
}

pub(super) async fn upload_part_copy(
    backend: &dyn Backend,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let (from, version) = convert::copy_source(&input.copy_source)?;
    let to = convert::path(input.bucket, input.key)?;
    let number = part_number(input.part_number)?;
    let range = match input.copy_source_range.as_deref().map(Range::parse) {
        None => None,
        Some(Ok(range @ Range::Int { last: Some(_), .. })) => Some(convert::byte_range(range)),
        Some(_) => {
            return Err(s3_error!(
                InvalidArgument,
                "x-amz-copy-source-range must be bytes=first-last"
            ));
        }
    };
    let conditions = convert::read_conditions(
        input.copy_source_if_match.as_ref(),
        input.copy_source_if_none_match.as_ref(),
        input.copy_source_if_modified_since.as_ref(),
        input.copy_source_if_unmodified_since.as_ref(),
    );
    let read = ReadOptions {
        range,
        conditions,
        version,
        relayed,
        ..ReadOptions::default()
    };
    let part = backend
        .copy_part(&from, &read, &to, &input.upload_id, number)
        .await
        .map_err(Error::not_modified_means_refused)?;
    let checksum = ChecksumFields::of(part.checksum.as_ref());
    let result = CopyPartResult {
        e_tag: Some(convert::etag(&part.etag)),
        last_modified: Some(convert::timestamp(part.modified)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
    };
    let output = UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    };
    Ok(relay::answer(output, &part.relayed))
}

pub(super) async fn complete_multipart_upload(
    backend: &dyn Backend,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let condition =
        convert::write_condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let listed = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let parts = listed
        .into_iter()
        .map(completed_part)
        .collect::<S3Result<Vec<_>>>()?;
    let checksum = ChecksumFields {
        crc32: input.checksum_crc32,
        crc32c: input.checksum_crc32c,
        crc64nvme: input.checksum_crc64nvme,
        sha1: input.checksum_sha1,
        sha256: input.checksum_sha256,
        kind: None,
    }
    .checksum();
    let options = CompleteOptions {
        parts,
        condition,
        checksum,
        relayed,
    };
    let stored = backend
        .complete_upload(&path, &input.upload_id, options)
        .await?;
    let checksum = ChecksumFields::of(stored.checksum.as_ref());
    let output = CompleteMultipartUploadOutput {
        location: Some(format!("/{path}")),
        bucket: Some(path.bucket().to_owned()),
        key: Some(path.key().to_owned()),
        e_tag: Some(convert::etag(&stored.etag)),
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
        version_id: stored.version,
        ..CompleteMultipartUploadOutput::default()
    };
    Ok(relay::answer(output, &stored.relayed))
}

fn completed_part(part: ProtocolPart) -> S3Result<CompletedPart> {
    let number = part_number(part.part_number.unwrap_or(0))?;
    let etag = part
        .e_tag
        .map(s3s::dto::ETag::into_value)
        .unwrap_or_default();
    let checksum = ChecksumFields {
        crc32: part.checksum_crc32,
        crc32c: part.checksum_crc32c,
        crc64nvme: part.checksum_crc64nvme,
        sha1: part.checksum_sha1,
        sha256: part.checksum_sha256,
        kind: None,
    }
    .checksum();
    Ok(CompletedPart {
        number,
        etag,
        checksum,
    })
}

pub(super) async fn abort_multipart_upload(
    backend: &dyn Backend,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    backend.abort_upload(&path, &input.upload_id).await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) async fn list_parts(
    backend: &dyn Backend,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let path = convert::path(input.bucket, input.key)?;
    let arrived = backend.parts(&path, &input.upload_id).await?;
    let limit = limit(input.max_parts)?;
    let marker = input.part_number_marker.unwrap_or(0);
    let mut page: Vec<_> = arrived
        .parts
        .into_iter()
        .filter(|part| i32::from(part.number) > marker)
        .take(usize::try_from(limit).unwrap_or(0) + 1)
        .collect();
    let truncated = limit > 0 && page.len() > usize::try_from(limit).unwrap_or(0);
    page.truncate(usize::try_from(limit).unwrap_or(0));
    let next = page
        .last()
        .filter(|_| truncated)
        .map(|part| i32::from(part.number));
    let parts = page
        .into_iter()
        .map(|part| {
            let checksum = ChecksumFields::of(part.checksum.as_ref());
            Part {
                part_number: Some(i32::from(part.number)),
                size: Some(convert::signed(part.size)),
                e_tag: Some(convert::etag(&part.etag)),
                last_modified: Some(convert::timestamp(part.modified)),
                checksum_crc32: checksum.crc32,
                checksum_crc32c: checksum.crc32c,
                checksum_crc64nvme: checksum.crc64nvme,
                checksum_sha1: checksum.sha1,
                checksum_sha256: checksum.sha256,
            }
        })
        .collect();
    let checksum = arrived.checksum;
    let output = ListPartsOutput {
        bucket: Some(path.bucket().to_owned()),
        key: Some(path.key().to_owned()),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: next,
        max_parts: Some(limit),
        is_truncated: Some(truncated),
        parts: Some(parts),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: checksum
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: checksum.map(|(_, kind)| protocol_type(kind)),
        ..ListPartsOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn list_multipart_uploads(
    backend: &dyn Backend,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let encoding = input.encoding_type;
    convert::check_encoding(encoding.as_ref())?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let uploads = backend.uploads(&input.bucket, &prefix).await?;
    let limit = limit(input.max_uploads)?;
    let after = |upload: &UploadInfo| match (&input.key_marker, &input.upload_id_marker) {
        (Some(key), Some(id)) if !id.is_empty() => (&upload.key, &upload.id) > (key, id),
        (Some(key), _) => upload.key > *key,
        (None, _) => true,
    };
    let page = roll_up(
        uploads.into_iter().filter(after),
        &prefix,
        delimiter.as_deref(),
        limit,
    );
    let text = |text: &str| key_text(text, encoding.as_ref());
    let output = ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        key_marker: Some(text(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: input.upload_id_marker,
        next_key_marker: page.next.as_ref().map(|(key, _)| text(key)),
        next_upload_id_marker: page.next.as_ref().map(|(_, id)| id.clone()),
        prefix: Some(text(&prefix)),
        delimiter: delimiter.as_deref().map(text),
        max_uploads: Some(limit),
        is_truncated: Some(page.next.is_some()),
        uploads: Some(
            page.uploads
                .into_iter()
                .map(|upload| MultipartUpload {
                    key: Some(text(&upload.key)),
                    upload_id: Some(upload.id),
                    initiated: Some(convert::timestamp(upload.initiated)),
                    storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                    ..MultipartUpload::default()
                })
                .collect(),
        ),
        common_prefixes: Some(
            page.prefixes
                .into_iter()
                .map(|prefix| CommonPrefix {
                    prefix: Some(text(&prefix)),
                })
                .collect(),
        ),
        encoding_type: encoding.clone(),
        request_charged: None,
    };
    Ok(S3Response::new(output))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct UploadPage {
    uploads: Vec<UploadInfo>,
    prefixes: Vec<String>,
    /// Key and id after which the next page begins, if there is one.
    next: Option<(String, String)>,
}

/// Cuts a page of ordered uploads off, those with the delimiter after the prefix counted once for each common prefix.
fn roll_up(
    uploads: impl Iterator<Item = UploadInfo>,
    prefix: &str,
    delimiter: Option<&str>,
    limit: i32,
) -> UploadPage {
    let limit = usize::try_from(limit).unwrap_or(0);
    let mut page = UploadPage::default();
    let mut last = None;
    if limit == 0 {
        return page;
    }
    for upload in uploads {
        let common = delimiter.and_then(|delimiter| {
            let rest = &upload.key[prefix.len()..];
            let end = prefix.len() + rest.find(delimiter)? + delimiter.len();
            Some(upload.key[..end].to_owned())
        });
        let known = common.is_some() && page.prefixes.last() == common.as_ref();
        if !known && page.uploads.len() + page.prefixes.len() == limit {
            page.next = last;
            return page;
        }
        last = Some((upload.key.clone(), upload.id.clone()));
        match common {
            Some(_) if known => {}
            Some(common) => page.prefixes.push(common),
            None => page.uploads.push(upload),
        }
    }
    page
}

fn limit(wish: Option<i32>) -> S3Result<i32> {
    match wish {
        None => Ok(MAX_ENTRIES),
        Some(limit) if limit < 0 => Err(s3_error!(
            InvalidArgument,
            "the number of entries must not be negative"
        )),
        Some(limit) => Ok(limit.min(MAX_ENTRIES)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn upload(key: &str, id: &str) -> UploadInfo {
        UploadInfo {
            key: key.to_owned(),
            id: id.to_owned(),
            initiated: Timestamp::UNIX_EPOCH,
            options: UploadOptions::default(),
        }
    }

    #[test]
    fn a_page_ends_after_the_last_upload_it_speaks_for() {
        let uploads = vec![
            upload("a", "1"),
            upload("d/x", "2"),
            upload("d/y", "3"),
            upload("e", "4"),
        ];
        let page = roll_up(uploads.clone().into_iter(), "", Some("/"), 2);
        assert_eq!(page.uploads, vec![upload("a", "1")]);
        assert_eq!(page.prefixes, vec!["d/".to_owned()]);
        assert_eq!(page.next, Some(("d/y".to_owned(), "3".to_owned())));
        let all = roll_up(uploads.into_iter(), "", None, 1000);
        assert_eq!((all.uploads.len(), all.next), (4, None));
    }

    #[test]
    fn checksum_types_that_do_not_exist_are_refused() {
        let sha = ChecksumAlgorithm::from_static("SHA256");
        let full = ProtocolChecksumType::from_static(ProtocolChecksumType::FULL_OBJECT);
        assert!(checksum(Some(&sha), Some(&full)).is_err());
        assert_eq!(
            checksum(Some(&sha), None).unwrap(),
            Some((Algorithm::Sha256, ChecksumType::Composite))
        );
        let crc = ChecksumAlgorithm::from_static("CRC64NVME");
        assert_eq!(
            checksum(Some(&crc), None).unwrap(),
            Some((Algorithm::Crc64Nvme, ChecksumType::Full))
        );
    }
}

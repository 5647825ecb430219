//! `GetObjectAttributes`: parts and checksum of an object without its content.

use s3s::dto::{
    Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    ObjectAttributes, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::convert::{self, ChecksumFields};
use super::relay;
use crate::backend::Backend;
use crate::backend::options::ReadOptions;

const KNOWN: [&str; 5] = [
    ObjectAttributes::ETAG,
    ObjectAttributes::CHECKSUM,
    ObjectAttributes::OBJECT_PARTS,
    ObjectAttributes::OBJECT_SIZE,
    ObjectAttributes::STORAGE_CLASS,
];

/// Answers only what was asked for. Of the parts their number is told: sizes and checksums of each are not kept.
pub(super) async fn get_object_attributes(
    backend: &dyn Backend,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let relayed = relay::asked(&request.headers);
    let input = request.input;
    // Some clients name all of them in one header, which arrives as one name.
    let asked: Vec<&str> = input
        .object_attributes
        .iter()
        .flat_map(|names| names.as_str().split(','))
        .map(str::trim)
        .collect();
    if let Some(unknown) = asked.iter().find(|name| !KNOWN.contains(name)) {
        return Err(s3_error!(
            InvalidArgument,
            "`{unknown}` is not an attribute of objects"
        ));
    }
    let path = convert::path(input.bucket, input.key)?;
    let options = ReadOptions {
        version: input.version_id,
        relayed,
        ..ReadOptions::default()
    };
    let info = backend.head(&path, &options).await?;
    let wants = |name: &str| asked.contains(&name);
    let fields = ChecksumFields::of(info.checksum.as_ref());
    let checksum = Checksum {
        checksum_crc32: fields.crc32,
        checksum_crc32c: fields.crc32c,
        checksum_crc64nvme: fields.crc64nvme,
        checksum_sha1: fields.sha1,
        checksum_sha256: fields.sha256,
        checksum_type: fields.kind,
    };
    let parts = info.parts.map(|count| GetObjectAttributesParts {
        total_parts_count: Some(i32::from(count)),
        ..GetObjectAttributesParts::default()
    });
    let class = info.relayed.get("x-amz-storage-class");
    let class = class.unwrap_or(StorageClass::STANDARD).to_owned();
    let output = GetObjectAttributesOutput {
        e_tag: wants(ObjectAttributes::ETAG).then(|| convert::etag(&info.etag)),
        checksum: (wants(ObjectAttributes::CHECKSUM) && info.checksum.is_some())
            .then_some(checksum),
        object_parts: parts.filter(|_| wants(ObjectAttributes::OBJECT_PARTS)),
        object_size: wants(ObjectAttributes::OBJECT_SIZE).then(|| convert::signed(info.size)),
        storage_class: wants(ObjectAttributes::STORAGE_CLASS).then(|| StorageClass::from(class)),
        last_modified: Some(convert::timestamp(info.modified)),
        version_id: info.version,
        ..GetObjectAttributesOutput::default()
    };
    Ok(relay::answer(output, &info.relayed))
}

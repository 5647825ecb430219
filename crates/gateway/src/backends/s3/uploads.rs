//! Multipart uploads: the store's own, under its own ids.

use jiff::Timestamp;
use reqwest::Method;

use super::call::{Body, Call, Effort, Repeat};
use super::client::{Client, unreadable};
use super::objects::{checksum_of, incomplete, time_of};
use super::{headers, list, target};
use crate::backend::content::Content;
use crate::backend::digest::Algorithm;
use crate::backend::options::{ByteRange, ReadOptions};
use crate::backend::relay::Relayed;
use crate::backend::upload::{
    BegunUpload, ChecksumType, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};
use crate::backend::{Error, MAX_PART_NUMBER, ObjectPath, Stored};
use crate::backends::xml::{self, Element, Malformed};

const BEGINNING: &str = "beginning an upload";
const PUTTING: &str = "storing a part";
const COPYING: &str = "copying a part";
const LISTING_PARTS: &str = "listing the parts of an upload";
const COMPLETING: &str = "completing an upload";
const ABORTING: &str = "ending an upload";
const LISTING: &str = "listing uploads";
/// The most parts or uploads of one answer.
const PAGE: &str = "1000";

impl Client {
    pub(super) async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error> {
        let mut call = Call::object(BEGINNING, Method::POST, path)
            .query("uploads", "")
            .attributes(&options.attributes)?
            .relayed(&options.relayed)?;
        if let Some((algorithm, kind)) = options.checksum {
            call.set("x-amz-checksum-algorithm", algorithm.name())?;
            // What goes without saying is not said: older stores do not know the header.
            if kind == ChecksumType::Full && algorithm != Algorithm::Crc64Nvme {
                call.set("x-amz-checksum-type", "FULL_OBJECT")?;
            }
        }
        let (headers, document) = self.document(call).await?;
        let id = document.required("UploadId");
        Ok(BegunUpload {
            id: id.map_err(|error| unreadable(BEGINNING, error))?.to_owned(),
            relayed: headers::said(&headers),
        })
    }

    pub(super) async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
        relayed: Relayed,
    ) -> Result<PartInfo, Error> {
        let call = part(PUTTING, path, upload, number)?
            .repeat(Repeat::Safely)
            .relayed(&relayed)?;
        let (call, windows) = call.content(content).await?;
        if windows.is_some() {
            return Err(Error::Upstream {
                status: 411,
                code: "MissingContentLength".to_owned(),
                message: "a part of more than 8 MiB must say its length".to_owned(),
            });
        }
        let size = match &call.body {
            Body::Whole(bytes) => u64::try_from(bytes.len()).expect("sizes fit in 64 bits"),
            Body::Streamed(streamed) => streamed.size,
        };
        let headers = self.ask(call).await?.headers;
        let stored = headers::stored(&headers);
        let answered = headers::time(&headers, "date");
        Ok(PartInfo {
            number,
            size,
            etag: stored.etag,
            modified: answered.unwrap_or_else(|| self.sources().now()),
            checksum: stored.checksum,
            relayed: stored.relayed,
        })
    }

    pub(super) async fn copy_part(
        &self,
        from: &ObjectPath,
        read: &ReadOptions,
        to: &ObjectPath,
        upload: &str,
        number: u16,
    ) -> Result<PartInfo, Error> {
        if read.part.is_some() {
            let what = "copying a part by its number";
            return Err(Error::NotSupported { what });
        }
        let source = target::source(from.bucket(), from.key(), read.version.as_deref());
        let mut call = part(COPYING, to, upload, number)?
            .effort(Effort::Work)
            .header("x-amz-copy-source", &source)?
            .conditions("x-amz-copy-source-", &read.conditions)?
            .relayed(&read.relayed)?;
        let mut known = None;
        if let Some(range) = read.range {
            let range = self.first_and_last(from, read, range).await?;
            call.set("x-amz-copy-source-range", &headers::range(range))?;
            if let ByteRange::From {
                first,
                last: Some(last),
            } = range
            {
                known = Some(last - first + 1);
            }
        }
        let (headers, document) = self
            .document(call)
            .await
            .map_err(Error::not_modified_means_refused)?;
        let size = match known {
            Some(size) => size,
            None => self.part_size(to, upload, number).await?,
        };
        Ok(PartInfo {
            number,
            size,
            etag: headers::unquoted(document.text("ETag").unwrap_or_default()),
            modified: time_of(&document, "LastModified").unwrap_or_else(|| self.sources().now()),
            checksum: checksum_of(&document),
            relayed: headers::said(&headers),
        })
    }

    /// The store wants both ends of a range, and a copy of it none beyond the object.
    async fn first_and_last(
        &self,
        from: &ObjectPath,
        read: &ReadOptions,
        range: ByteRange,
    ) -> Result<ByteRange, Error> {
        if let ByteRange::From {
            first,
            last: Some(last),
        } = range
            && first <= last
        {
            return Ok(range);
        }
        let about = ReadOptions {
            version: read.version.clone(),
            ..ReadOptions::default()
        };
        let size = self.head(from, &about).await?.size;
        let range = range
            .within(size)
            .ok_or(Error::RangeNotSatisfiable { size })?;
        Ok(ByteRange::From {
            first: range.start,
            last: Some(range.end - 1),
        })
    }

    /// What the answer to a copy does not say.
    async fn part_size(&self, path: &ObjectPath, upload: &str, number: u16) -> Result<u64, Error> {
        let call = Call::object(LISTING_PARTS, Method::GET, path)
            .query("uploadId", upload)
            .query("max-parts", "1")
            .query("part-number-marker", (number - 1).to_string());
        let (_, document) = self.document(call).await?;
        let part = document.child("Part").ok_or_else(|| incomplete("Part"))?;
        let size = part.parsed("Size");
        size.map_err(|error| unreadable(LISTING_PARTS, error))?
            .ok_or_else(|| incomplete("Size"))
    }

    pub(super) async fn parts(
        &self,
        path: &ObjectPath,
        upload: &str,
    ) -> Result<UploadParts, Error> {
        let mut found = UploadParts::default();
        let mut marker = String::from("0");
        loop {
            let call = Call::object(LISTING_PARTS, Method::GET, path)
                .query("uploadId", upload)
                .query("max-parts", PAGE)
                .query("part-number-marker", marker.as_str());
            let (_, document) = self.document(call).await?;
            let read = read_parts(&document, &mut found);
            read.map_err(|error| unreadable(LISTING_PARTS, error))?;
            let next = document.text("NextPartNumberMarker");
            match next {
                Some(next) if document.flag("IsTruncated") && next != marker => {
                    next.clone_into(&mut marker);
                }
                _ => break,
            }
        }
        found.parts.sort_by_key(|part| part.number);
        Ok(found)
    }

    pub(super) async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error> {
        let call = Call::object(COMPLETING, Method::POST, path)
            .query("uploadId", upload)
            .effort(Effort::Work)
            .relayed(&options.relayed)?
            .condition(&options.condition)?
            .checksum(options.checksum.as_ref())?
            .document(listed(&options)?)?;
        let (headers, document) = self.document(call).await?;
        Ok(Stored {
            etag: headers::unquoted(document.text("ETag").unwrap_or_default()),
            checksum: checksum_of(&document),
            modified: None,
            ..headers::stored(&headers)
        })
    }

    pub(super) async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error> {
        let call = Call::object(ABORTING, Method::DELETE, path).query("uploadId", upload);
        self.ask(call).await.map(drop)
    }

    pub(super) async fn uploads(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<UploadInfo>, Error> {
        let mut found = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let (key, id) = after.clone().unzip();
            let call = Call::bucket(LISTING, Method::GET, bucket)
                .query("uploads", "")
                .query("encoding-type", "url")
                .query("max-uploads", PAGE)
                .query("prefix", prefix)
                .query_if("key-marker", key)
                .query_if("upload-id-marker", id);
            let (_, document) = self.document(call).await?;
            let read = read_uploads(&document, &mut found);
            let next = read.map_err(|error| unreadable(LISTING, error))?;
            if next.is_none() || next == after {
                break;
            }
            after = next;
        }
        found.sort_by(|one: &UploadInfo, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
        found.dedup_by(|one, other| one.key == other.key && one.id == other.id);
        Ok(found)
    }
}

fn part(action: &'static str, path: &ObjectPath, upload: &str, number: u16) -> Result<Call, Error> {
    if !(1..=MAX_PART_NUMBER).contains(&number) {
        return Err(Error::InvalidPartNumber { number });
    }
    Ok(Call::object(action, Method::PUT, path)
        .query("partNumber", number.to_string())
        .query("uploadId", upload))
}

/// The list of parts as a document. What cannot be right is refused here, in words that name the part.
fn listed(options: &CompleteOptions) -> Result<String, Error> {
    if options.parts.is_empty() {
        return Err(Error::NoParts);
    }
    let mut document = String::from("<CompleteMultipartUpload>");
    let mut before = 0;
    for part in &options.parts {
        let number = part.number;
        if number <= before {
            return Err(Error::InvalidPartOrder { number });
        }
        before = number;
        document.push_str("<Part>");
        if let Some(checksum) = &part.checksum {
            let name = format!("Checksum{}", checksum.algorithm.name());
            xml::write(&mut document, &name, &checksum.value);
        }
        xml::write(&mut document, "ETag", &headers::quoted(&part.etag));
        xml::write(&mut document, "PartNumber", &number.to_string());
        document.push_str("</Part>");
    }
    document.push_str("</CompleteMultipartUpload>");
    Ok(document)
}

fn read_parts(document: &Element, found: &mut UploadParts) -> Result<(), Malformed> {
    let algorithm = document
        .text("ChecksumAlgorithm")
        .and_then(Algorithm::from_name);
    if let Some(algorithm) = algorithm {
        let full = match document.text("ChecksumType") {
            Some(kind) => kind == "FULL_OBJECT",
            None => algorithm == Algorithm::Crc64Nvme,
        };
        let kind = if full {
            ChecksumType::Full
        } else {
            ChecksumType::Composite
        };
        found.checksum = Some((algorithm, kind));
    }
    for part in document.all("Part") {
        found.parts.push(PartInfo {
            number: part.parsed("PartNumber")?.ok_or(Malformed("PartNumber"))?,
            size: part.parsed("Size")?.ok_or(Malformed("Size"))?,
            etag: headers::unquoted(part.required("ETag")?),
            modified: time_of(part, "LastModified").unwrap_or(Timestamp::UNIX_EPOCH),
            checksum: checksum_of(part),
            relayed: Relayed::default(),
        });
    }
    Ok(())
}

/// Adds the uploads of a page, and returns where the next begins.
fn read_uploads(
    document: &Element,
    found: &mut Vec<UploadInfo>,
) -> Result<Option<(String, String)>, Malformed> {
    let text = list::decoder(document);
    for upload in document.all("Upload") {
        found.push(UploadInfo {
            key: text(upload.required("Key")?)?,
            id: upload.required("UploadId")?.to_owned(),
            initiated: time_of(upload, "Initiated").unwrap_or(Timestamp::UNIX_EPOCH),
            options: UploadOptions::default(),
        });
    }
    if !document.flag("IsTruncated") {
        return Ok(None);
    }
    let key = text(document.required("NextKeyMarker")?)?;
    let id = document.text("NextUploadIdMarker").unwrap_or_default();
    Ok(Some((key, id.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::upload::CompletedPart;

    fn parse(text: &str) -> Element {
        Element::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn parts_are_read_with_their_checksums() {
        let document = parse(
            "<ListPartsResult><ChecksumAlgorithm>CRC32C</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>\
             <Part><PartNumber>2</PartNumber><LastModified>2026-08-01T03:00:00.000Z</LastModified><ETag>&quot;abc&quot;</ETag>\
             <Size>7</Size><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part></ListPartsResult>",
        );
        let mut found = UploadParts::default();
        read_parts(&document, &mut found).unwrap();
        assert_eq!(
            found.checksum,
            Some((Algorithm::Crc32c, ChecksumType::Full))
        );
        let part = &found.parts[0];
        assert_eq!((part.number, part.size, part.etag.as_str()), (2, 7, "abc"));
        assert_eq!(part.checksum.as_ref().unwrap().value, "AAAAAA==");
        let broken = parse("<R><Part><PartNumber>70000</PartNumber></Part></R>");
        assert_eq!(
            read_parts(&broken, &mut found),
            Err(Malformed("PartNumber"))
        );
    }

    #[test]
    fn uploads_are_read_page_by_page() {
        let document = parse(
            "<R><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>a%2Bb</NextKeyMarker>\
             <NextUploadIdMarker>2</NextUploadIdMarker><Upload><Key>a+b%2F</Key><UploadId>1</UploadId>\
             <Initiated>2026-08-01T03:00:00Z</Initiated></Upload></R>",
        );
        let mut found = Vec::new();
        let next = read_uploads(&document, &mut found).unwrap();
        assert_eq!(next, Some(("a+b".to_owned(), "2".to_owned())));
        assert_eq!((found[0].key.as_str(), found[0].id.as_str()), ("a b/", "1"));
    }

    #[test]
    fn a_list_of_parts_that_cannot_be_right_is_refused_here() {
        let of = |numbers: &[u16]| CompleteOptions {
            parts: numbers
                .iter()
                .map(|number| CompletedPart {
                    number: *number,
                    etag: "a\"<".to_owned(),
                    checksum: None,
                })
                .collect(),
            ..CompleteOptions::default()
        };
        assert!(matches!(listed(&of(&[])), Err(Error::NoParts)));
        assert!(matches!(
            listed(&of(&[2, 1])),
            Err(Error::InvalidPartOrder { number: 1 })
        ));
        assert!(matches!(
            listed(&of(&[1, 1])),
            Err(Error::InvalidPartOrder { number: 1 })
        ));
        assert_eq!(
            listed(&of(&[3])).unwrap(),
            "<CompleteMultipartUpload><Part><ETag>&quot;a&quot;&lt;&quot;</ETag><PartNumber>3</PartNumber></Part></CompleteMultipartUpload>"
        );
    }
}

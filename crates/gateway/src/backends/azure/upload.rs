//! Multipart uploads. Each is one blob below `.lifeboat/uploads`: its metadata says what the upload is for, its parts are
//! its uncommitted blocks, so nothing of it is an object, and no other write of the key touches it.
//!
//! Completing commits the blocks where they lie and has the service copy the whole to the key, in one step (see
//! `publish`). The blob is leased meanwhile, so an upload is completed or aborted, never both, whichever gateway is asked.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::try_join;
use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::Azure;
use super::blob::Blob;
use super::block::{self, Part};
use super::call::Call;
use super::container;
use super::intake::Intake;
use super::lease::LEASE_ID;
use super::name::Name;
use super::publish::Source;
use super::record::{Parts, Record};
use crate::backend::assembly::assemble;
use crate::backend::content::Content;
use crate::backend::upload::{CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts};
use crate::backend::{Error, MAX_PART_NUMBER, ObjectPath, Stored};
use crate::backends::sources::is_id;

/// Where uploads lie, below what is hidden.
const UPLOADS: &str = "uploads/";
/// Where content of one call lies that is larger than can be held.
pub(super) const WRITES: &str = "writes/";
/// The name under which the metadata of the blob has the [`Upload`].
const ABOUT: &str = "lifeboat_upload";

/// What an upload is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Upload {
    key: String,
    /// In milliseconds since 1970.
    initiated: i64,
    options: UploadOptions,
}

impl Upload {
    fn to_text(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).expect("plain text and numbers"))
    }

    fn of(blob: &Blob) -> Option<Self> {
        Self::from_text(blob.metadata.get(ABOUT)?)
    }

    fn from_text(text: &str) -> Option<Self> {
        serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
    }

    fn initiated(&self) -> Timestamp {
        Timestamp::from_millisecond(self.initiated).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Names the blob of an upload. The key is in it, so an upload is not found under another key.
pub(super) fn blob_name(path: &ObjectPath, id: &str) -> Name {
    let key = blake3::hash(path.key().as_bytes()).to_hex();
    Name::hidden(&format!("{UPLOADS}{id}.{}", &key[..16]))
}

fn no_such(id: &str) -> Error {
    Error::NoSuchUpload {
        upload: id.to_owned(),
    }
}

fn busy(id: &str) -> Error {
    Error::UploadBusy {
        upload: id.to_owned(),
    }
}

impl Azure {
    pub(super) async fn begin(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<String, Error> {
        Self::name(path)?;
        options.attributes.check()?;
        let id = self.sources.id();
        let upload = Upload {
            key: path.key().to_owned(),
            initiated: self.sources.now().as_millisecond(),
            options,
        };
        // What cannot be the object's label in the end is refused before anything is sent.
        self.label(&upload.options.attributes, &Record::new(id.clone()), None)?;
        let about = upload.to_text();
        if about.len() > self.limits.metadata {
            let bytes = about.len();
            return Err(Error::MetadataTooLarge { bytes });
        }
        let call = Call::new(Method::PUT, "beginning the upload")
            .blob(path.bucket(), &blob_name(path, &id))
            .header("x-ms-blob-type", "BlockBlob")
            .header(format!("x-ms-meta-{ABOUT}"), about);
        self.client
            .send(&call)
            .await
            .map_err(|failure| failure.about_bucket(path.bucket()))?;
        Ok(id)
    }

    /// Finds a live upload to `path`.
    async fn upload(&self, path: &ObjectPath, id: &str) -> Result<(Name, Blob, Upload), Error> {
        container::check(path.bucket())?;
        if !is_id(id) {
            return Err(no_such(id));
        }
        let name = blob_name(path, id);
        let found = match self.blob(path.bucket(), &name).await {
            // With its bucket an upload is gone too.
            Err(Error::NoSuchBucket { .. }) => None,
            found => found?,
        };
        let blob = found.ok_or_else(|| no_such(id))?;
        let upload = Upload::of(&blob).ok_or_else(|| no_such(id))?;
        Ok((name, blob, upload))
    }

    pub(super) async fn blocks(
        &self,
        bucket: &str,
        name: &Name,
    ) -> Result<Vec<(String, u64)>, Error> {
        let call = Call::new(Method::GET, "listing the parts")
            .blob(bucket, name)
            .query("comp", "blocklist")
            .query("blocklisttype", "all");
        let list = self
            .client
            .document(&call)
            .await
            .map_err(|failure| failure.about_bucket(bucket))?;
        Ok(block::from_list(&list))
    }

    pub(super) async fn put_upload_part(
        &self,
        path: &ObjectPath,
        id: &str,
        number: u16,
        mut content: Content,
    ) -> Result<PartInfo, Error> {
        if !(1..=MAX_PART_NUMBER).contains(&number) {
            return Err(Error::InvalidPartNumber { number });
        }
        let (name, blob, upload) = self.upload(path, id).await?;
        if blob.leased {
            return Err(busy(id));
        }
        content.compute(upload.options.checksum.map(|(algorithm, _)| algorithm));
        let length = content.length();
        let mut intake = Intake::new(content);
        let attempt = self.attempt(number);
        let mut blocks = self
            .send_blocks(path.bucket(), &name, attempt, length, &mut intake)
            .await?;
        let received = intake.finish().await?;
        blocks
            .end(&received.digests)
            .await
            .map_err(|failure| match failure {
                failure if failure.is_leased() => busy(id),
                failure => failure.about_bucket(path.bucket()),
            })?;
        Ok(attempt.info(received.size, &received.digests))
    }

    pub(super) async fn upload_parts(
        &self,
        path: &ObjectPath,
        id: &str,
    ) -> Result<UploadParts, Error> {
        let (name, _, upload) = self.upload(path, id).await?;
        let blocks = self.blocks(path.bucket(), &name).await?;
        Ok(UploadParts {
            checksum: upload.options.checksum,
            parts: block::parts(&blocks)
                .into_values()
                .map(|part| part.info)
                .collect(),
        })
    }

    pub(super) async fn complete(
        &self,
        path: &ObjectPath,
        id: &str,
        request: &CompleteOptions,
    ) -> Result<Stored, Error> {
        let target = Self::name(path)?;
        if !is_id(id) {
            return Err(no_such(id));
        }
        let bucket = path.bucket();
        let name = blob_name(path, id);
        let lease = match self.lease(bucket, &name).await {
            Ok(lease) => lease,
            Err(failure) if failure.is_missing() => {
                let before = self.completed(bucket, &target, id).await?;
                return before.ok_or_else(|| no_such(id));
            }
            Err(failure) if failure.is_leased() => return Err(busy(id)),
            Err(failure) => return Err(failure.about_bucket(bucket)),
        };
        let work = self.complete_leased(path, &target, &name, (id, &lease.id), request);
        match lease.during(Box::pin(work)).await {
            Ok(stored) => {
                lease.remove().await;
                Ok(stored)
            }
            Err(error) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    /// Completes an upload whose blob nobody else may change.
    async fn complete_leased(
        &self,
        path: &ObjectPath,
        target: &Name,
        name: &Name,
        (id, lease): (&str, &str),
        request: &CompleteOptions,
    ) -> Result<Stored, Error> {
        let bucket = path.bucket();
        let ((_, _, upload), blocks) = try_join!(self.upload(path, id), self.blocks(bucket, name))?;
        let parts = block::parts(&blocks);
        let assembly = assemble(
            |number| parts.get(&number).map(|part| &part.info),
            &upload.options,
            request,
        )?;
        let chosen: Vec<_> = request
            .parts
            .iter()
            .filter_map(|wanted| parts.get(&wanted.number))
            .collect();
        let mut record = Record::new(id.to_owned());
        record.checksum.clone_from(&assembly.checksum);
        record.parts = Some(shape(&chosen));
        let label = self.label(&upload.options.attributes, &record, Some(&assembly.etag))?;
        let (content, rest) = arrange(&parts, &chosen);
        let commit = Call::new(Method::PUT, "completing the upload")
            .headers(&label.content)
            .header(format!("x-ms-meta-{ABOUT}"), upload.to_text())
            .header(LEASE_ID, lease);
        // What is not chosen is kept behind the content: if this fails, the upload is as before.
        let ids = [content, rest.clone()].concat();
        let committed = self
            .commit(commit, bucket, name, &ids)
            .await
            .map_err(|failure| failure.about_bucket(bucket))?;
        let source = Source {
            bucket,
            name,
            tag: &committed.tag,
            size: assembly.size,
            whole: rest.is_empty(),
        };
        let condition = &request.condition;
        let landed = self
            .publish(&source, path, target, &label, id, condition)
            .await;
        match landed {
            Ok(Some(landed)) => Ok(landed.stored(assembly.etag, record)),
            Ok(None) => Err(no_such(id)),
            // It may be the object of this very upload that is in the way: the one who published it was cut off.
            Err(error @ Error::PreconditionFailed { .. }) => {
                self.completed(bucket, target, id).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns what completing an upload answered, if the key still holds its object.
    async fn completed(
        &self,
        bucket: &str,
        target: &Name,
        id: &str,
    ) -> Result<Option<Stored>, Error> {
        match self.written_by(bucket, target, id).await {
            Err(Error::NoSuchBucket { .. }) => Ok(None),
            written => Ok(written?.map(|blob| blob.info().into())),
        }
    }

    pub(super) async fn abort(&self, path: &ObjectPath, id: &str) -> Result<(), Error> {
        container::check(path.bucket())?;
        if !is_id(id) {
            return Err(no_such(id));
        }
        self.discard(path.bucket(), &blob_name(path, id), id).await
    }

    pub(super) async fn discard(&self, bucket: &str, name: &Name, id: &str) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, "aborting the upload").blob(bucket, name);
        match self.client.send(&call).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_missing() && failure.is_repeated() => Ok(()),
            Err(failure) if failure.is_missing() => Err(no_such(id)),
            Err(failure) if failure.is_leased() => Err(busy(id)),
            Err(failure) => match failure.about_bucket(bucket) {
                Error::NoSuchBucket { .. } => Err(no_such(id)),
                error => Err(error),
            },
        }
    }

    /// Ordered by key, then by id.
    pub(super) async fn live_uploads(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<UploadInfo>, Error> {
        container::check(bucket)?;
        let mut uploads: Vec<_> = self
            .hidden(bucket, UPLOADS)
            .await?
            .into_iter()
            .filter_map(|item| {
                let id = item.name.rsplit('/').next()?.split('.').next()?.to_owned();
                let upload = Upload::of(&item.blob?)?;
                upload.key.starts_with(prefix).then(|| UploadInfo {
                    id,
                    initiated: upload.initiated(),
                    key: upload.key,
                    options: upload.options,
                })
            })
            .collect();
        uploads.sort_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
        Ok(uploads)
    }
}

/// Names a blob for content of one call.
pub(super) fn write_name(id: &str) -> Name {
    Name::hidden(&format!("{WRITES}{id}"))
}

/// What is remembered of the parts of an object.
fn shape(parts: &[&Part]) -> Parts {
    let count = u16::try_from(parts.len()).unwrap_or(u16::MAX);
    let sizes: Vec<_> = parts.iter().map(|part| part.info.size).collect();
    let first = sizes.first().copied();
    let even = first.filter(|first| {
        let (last, others) = sizes.split_last().expect("there is a first");
        *first > 0 && others.iter().all(|size| size == first) && last <= first
    });
    Parts { count, size: even }
}

/// Returns the blocks that are the content, and those of everything else that has arrived.
fn arrange(parts: &BTreeMap<u16, Part>, chosen: &[&Part]) -> (Vec<String>, Vec<String>) {
    let mut content = Vec::new();
    let mut rest = Vec::new();
    for part in parts.values() {
        let wanted = chosen
            .binary_search_by_key(&part.info.number, |part| part.info.number)
            .is_ok();
        if wanted && !part.empty {
            content.extend_from_slice(&part.blocks);
        } else {
            rest.extend_from_slice(&part.blocks);
        }
    }
    (content, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::relay::Relayed;

    fn part(number: u16, size: u64) -> Part {
        Part {
            info: PartInfo {
                number,
                size,
                etag: String::new(),
                modified: Timestamp::UNIX_EPOCH,
                checksum: None,
                relayed: Relayed::default(),
            },
            blocks: vec![format!("block {number}")],
            empty: size == 0,
        }
    }

    fn shape_of(sizes: &[u64]) -> Option<u64> {
        let parts: Vec<_> = sizes.iter().map(|size| part(1, *size)).collect();
        shape(&parts.iter().collect::<Vec<_>>()).size
    }

    #[test]
    fn parts_of_one_size_are_remembered_by_it() {
        assert_eq!(shape_of(&[5, 5, 2]), Some(5));
        assert_eq!(shape_of(&[5]), Some(5));
        assert_eq!(shape_of(&[5, 4, 5]), None);
        assert_eq!(shape_of(&[5, 6]), None);
        assert_eq!(shape_of(&[0]), None);
        assert_eq!(shape_of(&[]), None);
    }

    #[test]
    fn what_is_not_chosen_is_kept_behind_the_content() {
        let parts: BTreeMap<_, _> = [(1, 5), (2, 5), (3, 0)]
            .into_iter()
            .map(|(number, size)| (number, part(number, size)))
            .collect();
        let chosen = [&parts[&1], &parts[&3]];
        let (content, rest) = arrange(&parts, &chosen);
        assert_eq!(
            (content, rest),
            (
                vec!["block 1".to_owned()],
                vec!["block 2".to_owned(), "block 3".to_owned()]
            )
        );
    }

    proptest! {
        #[test]
        fn what_is_written_of_an_upload_is_read(key in ".{0,20}", value in ".{0,20}", initiated in 0_i64..4_000_000_000_000) {
            let mut options = UploadOptions::default();
            options.attributes.user.insert("name".to_owned(), value);
            let upload = Upload { key, initiated, options };
            prop_assert_eq!(Upload::from_text(&upload.to_text()), Some(upload));
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".{0,40}") {
            prop_assert_eq!(Upload::from_text(&text), None);
            prop_assert_eq!(Upload::from_text(&STANDARD.encode(text)), None);
        }
    }
}

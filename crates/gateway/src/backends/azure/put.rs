//! Objects written.
//!
//! What fits into a window, or has a length and a checksum that are known beforehand, is one call of the service: bytes,
//! metadata and condition together. Of the rest the checksum is known only after the bytes, which then lie aside first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;

use super::Azure;
use super::blob::{Label, md5_of};
use super::call::Call;
use super::intake::Intake;
use super::name::Name;
use super::objects::{Landed, RACES, contended};
use super::publish::Source;
use super::record::Record;
use super::upload::write_name;
use crate::backend::condition::WriteCondition;
use crate::backend::content::{Content, Received};
use crate::backend::options::PutOptions;
use crate::backend::{Attributes, Error, ObjectPath, Stored};

/// How many bytes are withheld until all of the content has proved to be what was promised.
const WITHHELD: u64 = 64 * 1024;

/// What a put is about.
#[derive(Clone, Copy)]
struct Target<'a> {
    path: &'a ObjectPath,
    name: &'a Name,
    attributes: &'a Attributes,
    condition: &'a WriteCondition,
}

impl Azure {
    pub(super) async fn put_object(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        let name = Self::name(path)?;
        let PutOptions {
            attributes,
            condition,
            ..
        } = options;
        attributes.check()?;
        let window = self.limits.window;
        let length = content.length();
        let expected = content.expected();
        let foreseen = expected.trailer.is_none()
            && (expected.checksum.is_some() || expected.algorithm().is_none());
        let target = Target {
            path,
            name: &name,
            attributes: &attributes,
            condition: &condition,
        };
        if let Some(length) = length
            && length > window
            && length <= self.limits.put
            && foreseen
        {
            return self.put_streamed(target, length, content).await;
        }
        let mut intake = Intake::new(content);
        if length.is_none_or(|length| length <= window) {
            let bytes = intake.take(window).await?;
            if intake.is_empty().await? {
                let received = intake.finish().await?;
                return self.put_whole(target, bytes, received).await;
            }
            intake.put_back(bytes);
        }
        self.put_aside(target, length, intake).await
    }

    fn put_call(target: &Target<'_>, label: &Label) -> Call {
        Call::new(Method::PUT, "storing the object")
            .blob(target.path.bucket(), target.name)
            .header("x-ms-blob-type", "BlockBlob")
            .headers(&label.content)
            .headers(&label.metadata)
    }

    /// Stores bytes that are all here.
    async fn put_whole(
        &self,
        target: Target<'_>,
        bytes: Vec<Bytes>,
        received: Received,
    ) -> Result<Stored, Error> {
        let mut record = Record::new(self.sources.id());
        record.checksum = received.digests.checksum;
        let tag = received.digests.tag;
        let etag = tag.etag();
        let label = self.label(target.attributes, &record, Some(&etag))?;
        let mut call = Self::put_call(&target, &label);
        if let Some(md5) = tag.md5() {
            call = call.header("content-md5", STANDARD.encode(md5));
        }
        let call = call.body(bytes);
        let Target {
            path,
            name,
            condition,
            ..
        } = target;
        for _ in 0..RACES {
            let guard = self.guard(path, name, condition).await?;
            match self.client.send(&guard.on(call.clone())).await {
                Ok(answer) => return Ok(Landed::of(&answer).stored(etag, record)),
                Err(failure) if failure.is_unmet() => {
                    let before = self.lost_race(path, name, &record.id, condition, failure);
                    if let Some(landed) = before.await? {
                        return Ok(landed.stored(etag, record));
                    }
                }
                Err(failure) => return Err(failure.about(path)),
            }
        }
        Err(contended())
    }

    /// Stores bytes as they come, in one call. Azure has all of them only when they are what was promised.
    async fn put_streamed(
        &self,
        target: Target<'_>,
        length: u64,
        content: Content,
    ) -> Result<Stored, Error> {
        let expected = content.expected();
        let mut record = Record::new(self.sources.id());
        record.checksum.clone_from(&expected.checksum);
        let md5 = expected.md5;
        let label = self.label(target.attributes, &record, md5.map(hex::encode).as_deref())?;
        let Target {
            path,
            name,
            condition,
            ..
        } = target;
        let guard = self.guard(path, name, condition).await?;
        let mut call = guard.on(Self::put_call(&target, &label));
        if let Some(md5) = md5 {
            call = call.header("content-md5", STANDARD.encode(md5));
        }
        let withheld = length.min(WITHHELD);
        let mut intake = Intake::new(content);
        let sent = self.client.stream(&call, length, |feeder| async move {
            intake.feed(&feeder, length - withheld).await?;
            let last = intake.take(withheld).await?;
            let received = intake.finish().await?;
            for piece in last {
                feeder.give(piece).await?;
            }
            Ok(received)
        });
        let (answer, received) = match sent.await {
            Ok(sent) => sent,
            Err(failure) if failure.is_unmet() => {
                // The bytes are gone, so a condition that holds anew is of no use.
                self.guard(path, name, condition).await?;
                return Err(match condition {
                    WriteCondition::None | WriteCondition::Absent => failure.about(path),
                    WriteCondition::Matches(_) | WriteCondition::Differs(_) => contended(),
                });
            }
            Err(failure) => {
                // It may have taken effect and the answer been lost; Azure commits nothing but the whole.
                let written = self.written_by(path.bucket(), name, &record.id).await;
                return match written {
                    Ok(Some(blob)) if failure.may_pass() => Ok(blob.info().into()),
                    _ => Err(failure.about(path)),
                };
            }
        };
        let landed = Landed::of(&answer);
        let kept = answer.headers().get("content-md5");
        let kept = kept.and_then(|md5| md5_of(md5.to_str().ok()?));
        let tag = received.digests.tag;
        if kept.is_some_and(|kept| tag.md5().is_some_and(|sent| kept != sent)) {
            self.remove_damaged(path, name, &landed).await;
            return Err(Error::Upstream {
                status: 500,
                code: "InternalError".to_owned(),
                message: "the store has other bytes than it was sent".to_owned(),
            });
        }
        Ok(landed.stored(tag.etag(), record))
    }

    async fn remove_damaged(&self, path: &ObjectPath, name: &Name, landed: &Landed) {
        let call = Call::new(Method::DELETE, "removing a damaged object")
            .blob(path.bucket(), name)
            .header("if-match", &landed.tag);
        if let Err(failure) = self.client.send(&call).await {
            tracing::error!(?failure, key = path.key(), "cannot remove a damaged object");
        }
    }

    /// Stores bytes aside first, because what is kept with them is known only after them.
    async fn put_aside(
        &self,
        target: Target<'_>,
        length: Option<u64>,
        mut intake: Intake,
    ) -> Result<Stored, Error> {
        let Target {
            path,
            name,
            attributes,
            condition,
        } = target;
        let bucket = path.bucket();
        let mut record = Record::new(self.sources.id());
        let aside = write_name(&record.id);
        let attempt = self.attempt(1);
        let mut blocks = self
            .send_blocks(bucket, &aside, attempt, length, &mut intake)
            .await?;
        let received = intake.finish().await?;
        blocks
            .end(&received.digests)
            .await
            .map_err(|failure| failure.about(path))?;
        record.checksum = received.digests.checksum;
        let etag = received.digests.tag.etag();
        let label = self.label(attributes, &record, Some(&etag))?;
        let commit = Call::new(Method::PUT, "storing the object").headers(&label.content);
        let tag = self
            .commit(commit, bucket, &aside, blocks.ids())
            .await
            .map_err(|failure| failure.about(path))?
            .tag;
        let source = Source {
            bucket,
            name: &aside,
            tag: &tag,
            size: received.size,
            whole: true,
        };
        let landed = self
            .publish(&source, path, name, &label, &record.id, condition)
            .await;
        self.remove_aside(bucket, &aside).await;
        let landed = landed?.ok_or_else(|| Error::Unreachable {
            action: "storing the object",
            source: "what lay aside is gone".into(),
        })?;
        Ok(landed.stored(etag, record))
    }
}

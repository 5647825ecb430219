//! Objects described and removed, and what all writes of them have in common: the condition under which they take effect.

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response};

use super::Azure;
use super::blob::{Blob, Label, http_date};
use super::call::Call;
use super::container;
use super::failure::Failure;
use super::name::Name;
use super::record::Record;
use crate::backend::condition::WriteCondition;
use crate::backend::relay::Relayed;
use crate::backend::{Attributes, Error, ObjectPath, Stored};

/// How often a conditional write starts again because others changed the object meanwhile.
pub(super) const RACES: usize = 20;

/// What Azure must find for a write to take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guard {
    None,
    /// No blob.
    Absent,
    /// The blob with this etag of Azure's.
    Tag(String),
}

impl Guard {
    pub(super) fn on(&self, call: Call) -> Call {
        match self {
            Self::None => call,
            Self::Absent => call.header("if-none-match", "*"),
            Self::Tag(tag) => call.header("if-match", tag),
        }
    }
}

/// A write that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landed {
    pub(super) tag: String,
    modified: Option<Timestamp>,
}

impl Landed {
    pub(super) fn of(answer: &Response) -> Self {
        let text = |headers: &HeaderMap, name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let headers = answer.headers();
        Self {
            tag: text(headers, "etag").unwrap_or_default(),
            modified: text(headers, "last-modified").and_then(|date| http_date(&date)),
        }
    }

    pub(super) fn of_blob(blob: &Blob) -> Self {
        Self {
            tag: blob.tag.clone(),
            modified: Some(blob.modified),
        }
    }

    pub(super) fn stored(self, etag: String, record: Record) -> Stored {
        Stored {
            etag,
            modified: self.modified,
            checksum: record.checksum,
            version: None,
            relayed: Relayed::default(),
        }
    }
}

impl Azure {
    /// Returns the name of an object's blob, in a bucket that may be a container.
    pub(super) fn name(path: &ObjectPath) -> Result<Name, Error> {
        container::check(path.bucket())?;
        Name::of_key(path.key())
    }

    /// Asks for a blob. Nothing if there is none.
    pub(super) async fn blob(&self, bucket: &str, name: &Name) -> Result<Option<Blob>, Error> {
        let call = Call::new(Method::HEAD, "reading the object").blob(bucket, name);
        match self.client.send(&call).await {
            Ok(answer) => Blob::from_headers(answer.status(), answer.headers())
                .map(Some)
                .ok_or_else(|| Error::Unreachable {
                    action: "reading the object",
                    source: "its answer does not describe a blob".into(),
                }),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure.about_bucket(bucket)),
        }
    }

    /// Asks for a blob that is an object.
    pub(super) async fn object(&self, path: &ObjectPath) -> Result<Blob, Error> {
        let name = Self::name(path)?;
        self.blob(path.bucket(), &name)
            .await?
            .ok_or_else(|| Error::NoSuchKey {
                key: path.key().to_owned(),
            })
    }

    /// Judges a condition against what there is now, and returns what makes a write fail if that has changed by then.
    pub(super) async fn guard(
        &self,
        path: &ObjectPath,
        name: &Name,
        condition: &WriteCondition,
    ) -> Result<Guard, Error> {
        match condition {
            WriteCondition::None => return Ok(Guard::None),
            WriteCondition::Absent => return Ok(Guard::Absent),
            WriteCondition::Matches(_) | WriteCondition::Differs(_) => {}
        }
        let current = self.blob(path.bucket(), name).await?;
        let etag = current.as_ref().map(Blob::etag);
        condition.judge(path.key(), etag.as_deref())?;
        Ok(match current {
            Some(blob) => Guard::Tag(blob.tag),
            None => Guard::Absent,
        })
    }

    /// Decides what follows from a write that Azure refused because of its guard: it may have been done before, or be
    /// tried again under a condition that holds anew.
    pub(super) async fn lost_race(
        &self,
        path: &ObjectPath,
        name: &Name,
        id: &str,
        condition: &WriteCondition,
        failure: Failure,
    ) -> Result<Option<Landed>, Error> {
        if failure.is_repeated()
            && let Some(blob) = self.written_by(path.bucket(), name, id).await?
        {
            return Ok(Some(Landed::of_blob(&blob)));
        }
        match condition {
            WriteCondition::Matches(_) | WriteCondition::Differs(_) => Ok(None),
            WriteCondition::None | WriteCondition::Absent => Err(failure.about(path)),
        }
    }

    /// Returns the blob of that name if it is the one that was written under `id`.
    pub(super) async fn written_by(
        &self,
        bucket: &str,
        name: &Name,
        id: &str,
    ) -> Result<Option<Blob>, Error> {
        let blob = self.blob(bucket, name).await?;
        Ok(blob.filter(|blob| blob.record().is_some_and(|record| record.id == id)))
    }

    /// Removes what lay aside. What stays is swept later.
    pub(super) async fn remove_aside(&self, bucket: &str, name: &Name) {
        let call = Call::new(Method::DELETE, "removing what lay aside").blob(bucket, name);
        match self.client.send(&call).await {
            Err(failure) if !failure.is_missing() => {
                tracing::warn!(?failure, "what lay aside stays until it is swept");
            }
            _ => {}
        }
    }

    /// Refuses metadata that Azure has no room for.
    pub(super) fn label(
        &self,
        attributes: &Attributes,
        record: &Record,
        etag: Option<&str>,
    ) -> Result<Label, Error> {
        let label = Label::new(attributes, record.clone(), etag);
        let bytes = label.metadata_bytes();
        if bytes > self.limits.metadata {
            return Err(Error::MetadataTooLarge { bytes });
        }
        Ok(label)
    }

    pub(super) async fn delete_object(
        &self,
        path: &ObjectPath,
        condition: &WriteCondition,
    ) -> Result<(), Error> {
        let name = Self::name(path)?;
        for _ in 0..RACES {
            let guard = match condition {
                // Whatever is not there need not be removed.
                WriteCondition::Absent => return self.must_be_absent(path, &name).await,
                _ => self.guard(path, &name, condition).await?,
            };
            if guard == Guard::Absent {
                return Ok(());
            }
            let call = Call::new(Method::DELETE, "removing the object")
                .blob(path.bucket(), &name)
                .header("x-ms-delete-snapshots", "include");
            match self.client.send(&guard.on(call)).await {
                Ok(_) => return Ok(()),
                Err(failure) if failure.is_missing() && guard == Guard::None => return Ok(()),
                Err(failure) if failure.is_missing() && failure.is_repeated() => return Ok(()),
                Err(failure) if failure.is_missing() || failure.is_unmet() => {}
                Err(failure) => return Err(failure.about(path)),
            }
        }
        Err(contended())
    }

    async fn must_be_absent(&self, path: &ObjectPath, name: &Name) -> Result<(), Error> {
        let blob = self.blob(path.bucket(), name).await?;
        WriteCondition::Absent.judge(path.key(), blob.as_ref().map(Blob::etag).as_deref())
    }
}

/// Others changed an object again and again, or while the one chance to write it passed.
pub(super) fn contended() -> Error {
    Error::Upstream {
        status: 409,
        code: "ConditionalRequestConflict".to_owned(),
        message: "others changed the object during the request: try again".to_owned(),
    }
}

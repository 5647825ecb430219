//! Copies of objects, made by the service: bytes, metadata and condition in one step, pinned to the source as it was found.

use reqwest::Method;

use super::Azure;
use super::blob::{Blob, Label};
use super::call::Call;
use super::failure::Failure;
use super::name::Name;
use super::objects::{Guard, Landed, RACES, contended};
use super::publish::Source;
use super::read::refuse_version;
use super::record::Record;
use crate::backend::options::CopyOptions;
use crate::backend::{Error, ObjectPath, Stored};

impl Azure {
    pub(super) async fn copy_object(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: &CopyOptions,
    ) -> Result<Stored, Error> {
        refuse_version(options.source_version.as_deref())?;
        if let Some(attributes) = &options.attributes {
            attributes.check()?;
        }
        let (source_name, name) = (Self::name(from)?, Self::name(to)?);
        // Each round copies the source as it is then; one that changes meanwhile is looked at anew.
        for _ in 0..RACES {
            let blob = self.object(from).await?;
            options
                .source
                .judge(from.key(), &blob.info())
                .map_err(|error| match error {
                    Error::NotModified { key, .. } => Error::PreconditionFailed { key },
                    other => other,
                })?;
            let id = self.sources.id();
            let mut record = blob.record().unwrap_or_else(|| Record::new(id.clone()));
            record.id = id;
            let etag = blob.etag();
            let attributes = match &options.attributes {
                Some(attributes) => attributes,
                None => &blob.attributes(),
            };
            let label = self.label(attributes, &record, Some(&etag))?;
            let source = Source {
                bucket: from.bucket(),
                name: &source_name,
                tag: &blob.tag,
                size: blob.size,
                whole: label.fits(&blob),
            };
            let landed = if from == to {
                options.destination.judge(to.key(), Some(&etag))?;
                self.relabel(&source, &blob, &label, &record.id, to).await?
            } else {
                let condition = &options.destination;
                self.publish(&source, to, &name, &label, &record.id, condition)
                    .await?
            };
            if let Some(landed) = landed {
                return Ok(landed.stored(etag, record));
            }
        }
        Err(contended())
    }

    /// Gives a blob other metadata, and says other things of its content. Nothing if it has changed meanwhile.
    async fn relabel(
        &self,
        source: &Source<'_>,
        blob: &Blob,
        label: &Label,
        id: &str,
        path: &ObjectPath,
    ) -> Result<Option<Landed>, Error> {
        let guard = Guard::Tag(blob.tag.clone());
        let changed = if source.whole {
            self.set_metadata(path.bucket(), source.name, label, &guard)
                .await
        } else {
            // One step for both takes new content, which is what the blob has already.
            self.copy_ranges_again(source, path.bucket(), source.name, label, &guard)
                .await
        };
        match changed {
            Ok(landed) => Ok(Some(landed)),
            Err(failure) if failure.is_unmet() || failure.is_source_unmet() => {
                if failure.is_repeated() {
                    let written = self.written_by(path.bucket(), source.name, id).await?;
                    return Ok(written.map(|blob| Landed::of_blob(&blob)));
                }
                Ok(None)
            }
            Err(failure) => Err(failure.about(path)),
        }
    }

    async fn set_metadata(
        &self,
        bucket: &str,
        name: &Name,
        label: &Label,
        guard: &Guard,
    ) -> Result<Landed, Failure> {
        let call = Call::new(Method::PUT, "replacing the metadata")
            .blob(bucket, name)
            .query("comp", "metadata")
            .headers(&label.metadata);
        let answer = self.client.send(&guard.on(call)).await?;
        Ok(Landed::of(&answer))
    }
}

//! An object of a length that nobody knows: windows of it become the parts of an upload.

use bytes::Bytes;
use futures::stream;

use super::body::Windows;
use super::client::Client;
use crate::backend::content::Content;
use crate::backend::digest::{Algorithm, Expected};
use crate::backend::options::PutOptions;
use crate::backend::relay::Relayed;
use crate::backend::upload::{ChecksumType, CompleteOptions, CompletedPart, UploadOptions};
use crate::backend::{Error, MAX_PART_NUMBER, ObjectPath, Stored};

impl Client {
    /// The object appears only when all of the content is as promised. Cut off, it leaves an upload, which the bucket's
    /// own rule for such removes.
    pub(super) async fn put_windows(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        windows: Windows,
    ) -> Result<Stored, Error> {
        // Only these can be told of the whole without reading it again.
        let algorithm = windows.algorithm().filter(|algorithm| {
            matches!(
                algorithm,
                Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Crc64Nvme
            )
        });
        let PutOptions {
            attributes,
            condition,
            relayed,
        } = options;
        let of_parts: Relayed = of_parts(&relayed);
        let begin = UploadOptions {
            attributes,
            checksum: algorithm.map(|algorithm| (algorithm, ChecksumType::Full)),
            relayed,
        };
        let upload = self.begin_upload(path, begin).await?;
        let sent = self
            .send_windows(path, &upload.id, windows, algorithm, &of_parts)
            .await;
        let completed = match sent {
            Ok(options) => {
                let mut relayed = of_parts;
                if options.checksum.is_some() {
                    relayed.insert("x-amz-checksum-type", "FULL_OBJECT");
                }
                let options = CompleteOptions {
                    condition,
                    relayed,
                    ..options
                };
                self.complete_upload(path, &upload.id, options).await
            }
            Err(error) => Err(error),
        };
        match completed {
            Ok(stored) => Ok(Stored {
                relayed: upload.relayed,
                ..stored
            }),
            Err(error) => {
                if let Err(error) = self.abort_upload(path, &upload.id).await {
                    tracing::warn!(%error, %path, "cannot remove what was stored of an object");
                }
                Err(error)
            }
        }
    }

    async fn send_windows(
        &self,
        path: &ObjectPath,
        upload: &str,
        mut windows: Windows,
        algorithm: Option<Algorithm>,
        relayed: &Relayed,
    ) -> Result<CompleteOptions, Error> {
        let mut parts = Vec::new();
        while let Some(window) = windows.next().await? {
            let number = u16::try_from(parts.len() + 1).unwrap_or(u16::MAX);
            if number > MAX_PART_NUMBER {
                return Err(Error::Upstream {
                    status: 400,
                    code: "EntityTooLarge".to_owned(),
                    message: "more content than can be stored without saying its length beforehand"
                        .to_owned(),
                });
            }
            let content = whole(window, algorithm);
            let part = self
                .put_part(path, upload, number, content, relayed.clone())
                .await?;
            parts.push(CompletedPart {
                number,
                etag: part.etag,
                checksum: part.checksum,
            });
        }
        let received = windows.finish()?;
        Ok(CompleteOptions {
            parts,
            checksum: received.digests.checksum.filter(|_| algorithm.is_some()),
            ..CompleteOptions::default()
        })
    }
}

fn whole(window: Bytes, compute: Option<Algorithm>) -> Content {
    let length = u64::try_from(window.len()).ok();
    let expected = Expected {
        compute,
        ..Expected::default()
    };
    Content::new(Box::pin(stream::iter([Ok(window)])), length, expected)
}

/// What was said of an object that has to be said of each part: the rest is said when the upload begins, and refused later.
fn of_parts(relayed: &Relayed) -> Relayed {
    relayed
        .iter()
        .filter(|(name, _)| {
            name.starts_with("x-amz-server-side-encryption-customer-")
                || matches!(*name, "x-amz-request-payer" | "x-amz-expected-bucket-owner")
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

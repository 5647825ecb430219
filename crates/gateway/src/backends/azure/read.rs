//! Objects opened for reading: one call, judged by what its answer says. A connection that breaks is taken up again where
//! it broke, as long as the blob is the same.

use std::ops::Range;

use bytes::Bytes;
use futures::stream;
use reqwest::{Method, Response};
use tokio::sync::mpsc;

use super::Azure;
use super::blob::Blob;
use super::call::Call;
use super::client::{Client, next_piece};
use super::failure::Failure;
use super::intake::size;
use super::name::Name;
use crate::backend::content::{BodyError, ByteStream};
use crate::backend::options::{ByteRange, ReadOptions};
use crate::backend::{Error, ObjectInfo, ObjectPath, Opened};

const ACTION: &str = "reading the object";
/// How often a connection may break while one object is read.
const RESUMPTIONS: usize = 5;

impl Azure {
    pub(super) async fn describe(
        &self,
        path: &ObjectPath,
        options: &ReadOptions,
    ) -> Result<ObjectInfo, Error> {
        refuse_version(options.version.as_deref())?;
        let blob = self.object(path).await?;
        let mut info = blob.info();
        if let Some(number) = options.part {
            let part = part_range(&blob, number)?;
            info.size = part.end - part.start;
        }
        Ok(info)
    }

    pub(super) async fn open_object(
        &self,
        path: &ObjectPath,
        options: &ReadOptions,
    ) -> Result<Opened, Error> {
        refuse_version(options.version.as_deref())?;
        let name = Self::name(path)?;
        let asked = match (options.part, options.range) {
            (None, None) => Some(None),
            (None, Some(range)) => direct(range).map(Some),
            (Some(_), _) => None,
        };
        if let Some(range) = asked {
            match self
                .read(path.bucket(), &name, range.as_deref(), None)
                .await
            {
                Ok((answer, blob)) => return self.opened(path, options, answer, blob, name),
                // The conditions go before the range, and they need to know the object.
                Err(failure) if failure.is_beyond_end() => {}
                Err(failure) => return Err(failure.about(path)),
            }
        }
        // What to ask for depends on the size; another write in between starts it again.
        for _ in 0..super::objects::RACES {
            let blob = self.object(path).await?;
            options.conditions.judge(path.key(), &blob.info())?;
            let range = wanted(&blob, options)?;
            if range.is_empty() {
                let info = blob.info();
                let body = Box::pin(stream::empty());
                return Ok(Opened { info, range, body });
            }
            let header = format!("bytes={}-{}", range.start, range.end - 1);
            let read = self.read(path.bucket(), &name, Some(&header), Some(&blob.tag));
            match read.await {
                Ok((answer, blob)) => return self.opened(path, options, answer, blob, name),
                Err(failure) if failure.is_unmet() => {}
                Err(failure) => return Err(failure.about(path)),
            }
        }
        Err(super::objects::contended())
    }

    /// Begins to read a blob. `range` as in a header.
    async fn read(
        &self,
        bucket: &str,
        name: &Name,
        range: Option<&str>,
        tag: Option<&str>,
    ) -> Result<(Response, Blob), Failure> {
        begin(&self.client, bucket, name, range, tag).await
    }

    fn opened(
        &self,
        path: &ObjectPath,
        options: &ReadOptions,
        answer: Response,
        blob: Blob,
        name: Name,
    ) -> Result<Opened, Error> {
        let info = blob.info();
        options.conditions.judge(path.key(), &info)?;
        let range = wanted(&blob, options)?;
        let reading = Reading {
            client: self.client.clone(),
            bucket: path.bucket().to_owned(),
            name,
            tag: blob.tag,
            range: range.clone(),
        };
        let body = reading.stream(answer);
        Ok(Opened { info, range, body })
    }
}

async fn begin(
    client: &Client,
    bucket: &str,
    name: &Name,
    range: Option<&str>,
    tag: Option<&str>,
) -> Result<(Response, Blob), Failure> {
    let mut call = Call::new(Method::GET, ACTION).blob(bucket, name);
    if let Some(range) = range {
        call = call.header("x-ms-range", range);
    }
    if let Some(tag) = tag {
        call = call.header("if-match", tag);
    }
    let answer = client.send(&call).await?;
    let blob = Blob::from_headers(answer.status(), answer.headers()).ok_or_else(|| {
        let source = "its answer does not describe a blob".into();
        let action = ACTION;
        Failure::Unreachable { action, source }
    })?;
    Ok((answer, blob))
}

/// Returns the header that asks for a range, unless the size must be known for it.
fn direct(range: ByteRange) -> Option<String> {
    match range {
        ByteRange::From { first, last: None } => Some(format!("bytes={first}-")),
        ByteRange::From {
            first,
            last: Some(last),
        } if first <= last => Some(format!("bytes={first}-{last}")),
        ByteRange::From { .. } | ByteRange::Suffix { .. } => None,
    }
}

/// Which bytes of the blob are wanted.
fn wanted(blob: &Blob, options: &ReadOptions) -> Result<Range<u64>, Error> {
    let size = blob.size;
    match (options.part, options.range) {
        (Some(number), _) => part_range(blob, number),
        (None, Some(range)) => range
            .within(size)
            .ok_or(Error::RangeNotSatisfiable { size }),
        (None, None) => Ok(0..size),
    }
}

/// Where a part lies. Known if the parts were of one size.
fn part_range(blob: &Blob, number: u16) -> Result<Range<u64>, Error> {
    let size = blob.size;
    let beyond = Error::RangeNotSatisfiable { size };
    let Some(record) = blob.record() else {
        return Err(Error::NotSupported {
            what: "reading a part of an object that others wrote",
        });
    };
    match record.parts {
        None if number == 1 => Ok(0..size),
        Some(parts) if (1..=parts.count).contains(&number) => {
            let step = match parts.size {
                Some(step) => step,
                None if parts.count == 1 => size,
                None => {
                    return Err(Error::NotSupported {
                        what: "reading a part by its number when parts differ in size",
                    });
                }
            };
            let start = step.saturating_mul(u64::from(number) - 1).min(size);
            Ok(start..start.saturating_add(step).min(size))
        }
        None | Some(_) => Err(beyond),
    }
}

/// Objects have one version, which S3 calls `null`.
pub(super) fn refuse_version(version: Option<&str>) -> Result<(), Error> {
    match version {
        None | Some("" | "null") => Ok(()),
        Some(version) => Err(Error::NoSuchVersion {
            version: version.to_owned(),
        }),
    }
}

/// A blob being read.
struct Reading {
    client: Client,
    bucket: String,
    name: Name,
    tag: String,
    /// What is still to come.
    range: Range<u64>,
}

impl Reading {
    /// Reads on its own, one piece ahead of whoever takes them, and stops when nobody does any more.
    fn stream(self, answer: Response) -> ByteStream {
        let (sender, mut receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let closed = sender.clone();
            tokio::select! {
                () = closed.closed() => {}
                () = self.run(answer, sender) => {}
            }
        });
        Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context)))
    }

    async fn run(mut self, mut answer: Response, sender: mpsc::Sender<Result<Bytes, BodyError>>) {
        let mut broken = 0;
        while !self.range.is_empty() {
            let failure = match next_piece(ACTION, &mut answer).await {
                Ok(Some(piece)) => {
                    self.range.start += size(&piece);
                    if sender.send(Ok(piece)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Ok(None) => Failure::Unreachable {
                    action: ACTION,
                    source: "the content ended early".into(),
                },
                Err(failure) => failure,
            };
            broken += 1;
            let again = match broken {
                ..=RESUMPTIONS => self.resume().await,
                _ => Err(failure),
            };
            match again {
                Ok(resumed) => answer = resumed,
                Err(failure) => {
                    let error = failure.about_bucket(&self.bucket);
                    drop(sender.send(Err(error.into())).await);
                    return;
                }
            }
        }
    }

    async fn resume(&self) -> Result<Response, Failure> {
        let header = format!("bytes={}-{}", self.range.start, self.range.end - 1);
        let (bucket, name) = (&self.bucket, &self.name);
        let read = begin(&self.client, bucket, name, Some(&header), Some(&self.tag));
        Ok(read.await?.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::super::record::{Parts, Record};
    use super::*;

    fn blob(size: u64, parts: Option<Parts>) -> Blob {
        let mut record = Record::new("id".to_owned());
        record.parts = parts;
        Blob {
            size,
            tag: String::new(),
            modified: Timestamp::UNIX_EPOCH,
            content: BTreeMap::new(),
            md5: None,
            metadata: BTreeMap::from([("lifeboat".to_owned(), record.to_text())]),
            leased: false,
        }
    }

    #[test]
    fn parts_of_one_size_are_found() {
        let parts = Parts {
            count: 3,
            size: Some(10),
        };
        let blob = blob(25, Some(parts));
        let range = |number| part_range(&blob, number).ok();
        assert_eq!(
            [range(1), range(2), range(3)],
            [Some(0..10), Some(10..20), Some(20..25)]
        );
        assert_eq!([range(0), range(4)], [None, None]);
    }

    #[test]
    fn an_object_that_came_whole_is_its_one_part() {
        assert_eq!(part_range(&blob(5, None), 1).unwrap(), 0..5);
        assert!(part_range(&blob(5, None), 2).is_err());
    }

    #[test]
    fn parts_of_different_sizes_are_not_guessed() {
        let one = Parts {
            count: 1,
            size: None,
        };
        assert_eq!(part_range(&blob(5, Some(one)), 1).unwrap(), 0..5);
        let two = Parts {
            count: 2,
            size: None,
        };
        assert!(matches!(
            part_range(&blob(5, Some(two)), 1),
            Err(Error::NotSupported { .. })
        ));
    }

    #[test]
    fn only_ranges_from_the_end_need_the_size_first() {
        assert_eq!(
            direct(ByteRange::From {
                first: 1,
                last: Some(2)
            })
            .unwrap(),
            "bytes=1-2"
        );
        assert_eq!(
            direct(ByteRange::From {
                first: 1,
                last: None
            })
            .unwrap(),
            "bytes=1-"
        );
        assert_eq!(
            direct(ByteRange::From {
                first: 2,
                last: Some(1)
            }),
            None
        );
        assert_eq!(direct(ByteRange::Suffix { length: 5 }), None);
    }
}

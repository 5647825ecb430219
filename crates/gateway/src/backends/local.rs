//! Objects as plain files on a volume.
//!
//! An object is the file `bucket/key`, its record one extended attribute of it: ordinary tools can read, copy, move and
//! delete objects. Content is written aside, synced with its record, given its name in one step, and the directory is
//! synced before the answer; a copy is one more name of the same bytes. Whatever is not an object lies below `.lifeboat`:
//!
//! | place | what |
//! |---|---|
//! | `lock` | held by the one process that serves the volume |
//! | `tmp/` | files on their way, where the file system has none without a name; emptied at start |
//! | `uploads/<id>/` | a multipart upload: its journal, and its parts where the object will have them |
//! | `records/<bucket>/` | records of names that share their bytes with another |
//! | `beside/<bucket>/` | records of all objects, where the file system has no attributes |
//! | `moves/` | objects on their way into the directory of their name, where that takes two steps |
//! | `trash/` | what was removed or replaced, until its term is over |

mod capabilities;
pub mod check;
mod contents;
mod control;
mod copies;
mod crc;
pub mod export;
mod foreign;
mod list;
mod moves;
mod objects;
mod path;
mod read;
mod receive;
mod record;
mod records;
mod removal;
pub mod scrub;
mod stage;
mod survey;
mod switch;
pub mod trash;
mod tree;
mod upkeep;
mod upload;
mod visit;
mod volume;
mod writer;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::task::spawn_blocking;

pub use self::capabilities::{Capabilities, Capability};
use self::receive::Sink;
use self::record::Record;
use self::scrub::Scrub;
use self::stage::Staged;
pub use self::survey::{Stray, Survey};
use self::upload::{PartSink, Uploads};
pub use self::visit::{Gateway, Keeper, Room, Visit};
pub use self::volume::OpenError;
use self::volume::Volume;
use self::writer::Writer;
use crate::backend::content::{Batch, Content};
use crate::backend::listing::{ListQuery, Page};
use crate::backend::options::{CopyOptions, DeleteOptions, Deleted, PutOptions, ReadOptions};
use crate::backend::relay::Relayed;
use crate::backend::upload::{
    BegunUpload, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};
use crate::backend::{
    Backend, BucketInfo, Buffers, Error, ObjectInfo, ObjectPath, Opened, Space, Status, Stored,
    delete_each, is_bucket_name,
};
use crate::backends::Sources;

/// Objects on a volume. Clones serve the same volume.
#[derive(Debug, Clone)]
pub struct Local {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    volume: Volume,
    uploads: Uploads,
    scrub: Scrub,
    pieces: Arc<read::Pieces>,
}

impl Local {
    /// Takes a volume into service: finds out that it can be used, locks it, and removes what a crash left. Blocks.
    pub fn open(path: &Path, sources: Sources) -> Result<Self, OpenError> {
        Self::open_lacking(path, sources, &[])
    }

    /// Like [`Local::open`], without using what is `lacking` even where the file system has it.
    pub fn open_lacking(
        path: &Path,
        sources: Sources,
        lacking: &[Capability],
    ) -> Result<Self, OpenError> {
        let volume = Volume::open(path, sources, lacking)?;
        let wrap = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        volume.recover_trash().map_err(wrap)?;
        let uploads = Uploads::recover(&volume).map_err(wrap)?;
        let scrub = Scrub::open(&volume).map_err(wrap)?;
        Ok(Self {
            inner: Arc::new(Inner {
                volume,
                uploads,
                scrub,
                pieces: Arc::default(),
            }),
        })
    }

    /// What its file system can do.
    pub fn capabilities(&self) -> Capabilities {
        self.inner.volume.can
    }

    /// Runs `act` where it may block. It runs to its end even if nobody waits for it.
    async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        spawn_blocking(move || act(&inner))
            .await
            .map_err(|source| Error::Worker { source })?
    }
}

/// The bytes of a whole object, in a file that no key leads to yet.
struct ObjectSink {
    staged: Staged,
    writer: Writer,
}

impl ObjectSink {
    fn new(volume: &Volume, bucket: &str, length: Option<u64>) -> Result<Self, Error> {
        drop(volume.bucket(bucket)?);
        Ok(Self {
            staged: volume.stage().map_err(Error::io("writing the object"))?,
            writer: Writer::new(0, length),
        })
    }
}

impl Sink for ObjectSink {
    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let written = self.writer.write(&self.staged.file, batch);
        written.map_err(Error::io("writing the object"))
    }
}

#[async_trait]
impl Backend for Local {
    async fn create_bucket(&self, bucket: &str) -> Result<(), Error> {
        let bucket = bucket.to_owned();
        self.run(move |inner| {
            let wrap = Error::io("creating the bucket");
            if !is_bucket_name(&bucket) {
                return Err(Error::InvalidBucketName { bucket });
            }
            let root = &inner.volume.root;
            if root.kind(&bucket).map_err(&wrap)?.is_some() {
                return Err(Error::BucketExists { bucket });
            }
            root.make(&bucket).map(drop).map_err(wrap)
        })
        .await
    }

    async fn bucket(&self, bucket: &str) -> Result<BucketInfo, Error> {
        let bucket = bucket.to_owned();
        self.run(move |inner| bucket_info(&inner.volume, bucket))
            .await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        self.run(|inner| {
            let names = inner
                .volume
                .root
                .names()
                .map_err(Error::io("listing the buckets"))?;
            let mut buckets = Vec::new();
            for name in names.into_iter().filter(|name| is_bucket_name(&name.text)) {
                match bucket_info(&inner.volume, name.text) {
                    Ok(bucket) => buckets.push(bucket),
                    Err(Error::NoSuchBucket { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            buckets.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(buckets)
        })
        .await
    }

    async fn delete_bucket(&self, bucket: &str) -> Result<(), Error> {
        let bucket = bucket.to_owned();
        self.run(move |inner| {
            let wrap = Error::io("deleting the bucket");
            let volume = &inner.volume;
            let directory = volume.bucket(&bucket)?;
            if volume.holds_objects(&bucket)? {
                return Err(Error::BucketNotEmpty { bucket });
            }
            volume.remove_leftovers(&bucket)?;
            removal::remove_empty_directories(&directory).map_err(&wrap)?;
            match volume.root.remove_directory(&bucket) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    return Err(Error::BucketNotEmpty { bucket });
                }
                Err(error) => return Err(wrap(error)),
            }
            volume.root.sync().map_err(&wrap)?;
            inner.uploads.abort_all(volume, &bucket);
            volume.forget_records(&bucket).map_err(wrap)
        })
        .await
    }

    async fn put(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        let PutOptions {
            attributes,
            condition,
            ..
        } = options;
        attributes.check()?;
        let inner = Arc::clone(&self.inner);
        let bucket = path.bucket().to_owned();
        let length = content.length();
        let begin = move || ObjectSink::new(&inner.volume, &bucket, length);
        let inner = Arc::clone(&self.inner);
        let path = path.clone();
        receive::receive(content, begin, move |sink, received| {
            let ObjectSink {
                mut staged,
                mut writer,
            } = sink;
            let crc = writer.finish(&staged.file);
            let crc = crc.map_err(Error::io("writing the object"))?;
            let volume = &inner.volume;
            let etag = received.digests.tag.etag();
            let mut record =
                Record::new(volume.sources.id(), etag, volume.sources.now(), attributes);
            record.checksum = received.digests.checksum;
            record.crc = Some(crc);
            volume.seal(&mut staged, &record)?;
            volume.publish(&path, &condition, &mut staged)?;
            Ok(record.info(received.size).into())
        })
        .await
    }

    async fn head(&self, path: &ObjectPath, options: &ReadOptions) -> Result<ObjectInfo, Error> {
        refuse_version(options.version.as_deref())?;
        refuse_part(options)?;
        let path = path.clone();
        self.run(move |inner| Ok(inner.volume.find(&path)?.info()))
            .await
    }

    async fn get(&self, path: &ObjectPath, options: &ReadOptions) -> Result<Opened, Error> {
        refuse_version(options.version.as_deref())?;
        refuse_part(options)?;
        let path = path.clone();
        let (range, conditions) = (options.range, options.conditions.clone());
        self.run(move |inner| {
            let found = inner.volume.find(&path)?;
            let info = found.info();
            conditions.judge(path.key(), &info)?;
            let range = match range {
                Some(range) => range
                    .within(info.size)
                    .ok_or(Error::RangeNotSatisfiable { size: info.size })?,
                None => 0..info.size,
            };
            let body = read::stream(found.file, range.clone(), &inner.pieces);
            Ok(Opened { info, range, body })
        })
        .await
    }

    async fn delete(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<Deleted, Error> {
        refuse_version(options.version.as_deref())?;
        let (path, condition) = (path.clone(), options.condition.clone());
        self.run(move |inner| inner.volume.remove(&path, &condition))
            .await?;
        Ok(Deleted::default())
    }

    async fn delete_many(
        &self,
        objects: Vec<(ObjectPath, DeleteOptions)>,
    ) -> Vec<Result<Deleted, Error>> {
        let versioned =
            |(_, options): &(_, DeleteOptions)| refuse_version(options.version.as_deref()).is_err();
        if self.inner.volume.trash.is_on() || objects.iter().any(versioned) {
            return delete_each(self, objects).await;
        }
        let count = objects.len();
        let objects = objects
            .into_iter()
            .map(|(path, options)| (path, options.condition))
            .collect::<Vec<_>>();
        let removed = self.run(move |inner| Ok(inner.volume.remove_many(&objects)));
        match removed.await {
            Ok(results) => results
                .into_iter()
                .map(|result| result.map(|()| Deleted::default()))
                .collect(),
            Err(_) => (0..count)
                .map(|_| {
                    Err(Error::Io {
                        action: "removing the object",
                        source: io::Error::other("a worker of the gateway ended early"),
                    })
                })
                .collect(),
        }
    }

    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error> {
        refuse_version(options.source_version.as_deref())?;
        if let Some(attributes) = &options.attributes {
            attributes.check()?;
        }
        let (from, to) = (from.clone(), to.clone());
        self.run(move |inner| Ok(inner.volume.copy(&from, &to, &options)?.into()))
            .await
    }

    async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error> {
        let (bucket, query) = (bucket.to_owned(), query.clone());
        self.run(move |inner| inner.volume.list(&bucket, &query))
            .await
    }

    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error> {
        options.attributes.check()?;
        let path = path.clone();
        let id = self
            .run(move |inner| inner.uploads.begin(&inner.volume, &path, options))
            .await?;
        let relayed = Relayed::default();
        Ok(BegunUpload { id, relayed })
    }

    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        mut content: Content,
        _: Relayed,
    ) -> Result<PartInfo, Error> {
        let upload = self.inner.uploads.get(path, upload)?;
        content.compute(upload.options.checksum.map(|(algorithm, _)| algorithm));
        let length = content.length();
        let inner = Arc::clone(&self.inner);
        let begin = move || PartSink::new(&inner.volume, upload, number, length);
        let inner = Arc::clone(&self.inner);
        receive::receive(content, begin, move |sink, received| {
            sink.finish(received, inner.volume.sources.now())
        })
        .await
    }

    async fn parts(&self, path: &ObjectPath, upload: &str) -> Result<UploadParts, Error> {
        let upload = self.inner.uploads.get(path, upload)?;
        Ok(UploadParts {
            checksum: upload.options.checksum,
            parts: upload.parts(),
        })
    }

    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error> {
        let (path, upload) = (path.clone(), upload.to_owned());
        self.run(move |inner| {
            let uploads = &inner.uploads;
            let info = uploads.complete(&inner.volume, &path, &upload, &options)?;
            Ok(info.into())
        })
        .await
    }

    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error> {
        let (path, upload) = (path.clone(), upload.to_owned());
        self.run(move |inner| inner.uploads.abort(&inner.volume, &path, &upload))
            .await
    }

    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error> {
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        self.run(move |inner| {
            drop(inner.volume.bucket(&bucket)?);
            Ok(inner.uploads.list(&bucket, &prefix))
        })
        .await
    }

    async fn sweep_uploads(&self, age: Duration) -> Result<usize, Error> {
        self.run(move |inner| Ok(inner.uploads.sweep(&inner.volume, age)))
            .await
    }

    fn buffers(&self, _: &str) -> Buffers {
        Buffers {
            write: writer::HELD,
            ..Buffers::default()
        }
    }

    async fn status(&self) -> Result<Status, Error> {
        self.run(|inner| {
            let space = rustix::fs::fstatvfs(&inner.volume.root)
                .map_err(|error| Error::io("asking for the room on the volume")(error.into()))?;
            Ok(Status {
                volumes: vec![Space {
                    volume: inner.volume.path.clone(),
                    total: space.f_blocks.saturating_mul(space.f_frsize),
                    free: space.f_bavail.saturating_mul(space.f_frsize),
                    trash: inner.volume.trash.tally(),
                    scrub: inner.scrub.status(),
                }],
                uploads: u64::try_from(inner.uploads.count()).ok(),
            })
        })
        .await
    }
}

/// Objects have one version, which S3 calls `null`.
fn refuse_version(version: Option<&str>) -> Result<(), Error> {
    match version {
        None | Some("" | "null") => Ok(()),
        Some(version) => Err(Error::NoSuchVersion {
            version: version.to_owned(),
        }),
    }
}

fn refuse_part(options: &ReadOptions) -> Result<(), Error> {
    match options.part {
        None => Ok(()),
        Some(_) => Err(Error::NotSupported {
            what: "reading a part by its number",
        }),
    }
}

fn bucket_info(volume: &Volume, name: String) -> Result<BucketInfo, Error> {
    let wrap = Error::io("reading the bucket");
    let directory = volume.bucket(&name)?;
    let stat = rustix::fs::fstat(&directory).map_err(|error| wrap(error.into()))?;
    let metadata = std::os::fd::AsFd::as_fd(&directory)
        .try_clone_to_owned()
        .and_then(|directory| File::from(directory).metadata())
        .map_err(&wrap)?;
    // Where the file system does not know when a directory was made, the time of its last change is the next best.
    let created = metadata
        .created()
        .ok()
        .and_then(|created| Timestamp::try_from(created).ok())
        .or_else(|| Timestamp::from_second(stat.st_mtime).ok());
    Ok(BucketInfo { name, created })
}

//! Which backend keeps which bucket.
//!
//! Most buckets lie in one storage; a few may lie elsewhere: a bucket of settings on a small volume of its own, or several
//! buckets as prefixes of one in S3. The router is itself a [`Backend`], so neither the protocol nor a backend knows of it.

mod mapped;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::mapped::Mapped;
use crate::backend::content::{Content, HELD};
use crate::backend::digest::Expected;
use crate::backend::listing::{ListQuery, Page};
use crate::backend::options::{CopyOptions, DeleteOptions, Deleted, PutOptions, ReadOptions};
use crate::backend::relay::{Relay, Relayed};
use crate::backend::upload::{
    BegunUpload, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};
use crate::backend::{
    Backend, BucketInfo, Buffers, Error, ObjectInfo, ObjectPath, Opened, Status, Stored,
    is_bucket_name,
};

/// Sends each request to the backend that keeps its bucket.
pub struct Router {
    main: Arc<dyn Backend>,
    routes: BTreeMap<String, Route>,
}

struct Route {
    /// Where the requests go; the same for two routes into one store.
    store: Arc<dyn Backend>,
    /// That store, seen by the names of the clients.
    backend: Arc<dyn Backend>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("routes", &self.routes.keys())
            .finish_non_exhaustive()
    }
}

/// A bucket in a store, or what of it begins with a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub bucket: String,
    /// Empty, or ends in `/`.
    pub prefix: String,
}

impl Router {
    /// All buckets are in `main` until a route says otherwise.
    pub fn new(main: Arc<dyn Backend>) -> Self {
        Self {
            main,
            routes: BTreeMap::new(),
        }
    }

    /// Serves `bucket` from another store, under the same name. Whatever `main` has under that name is not seen.
    pub fn route(&mut self, bucket: &str, store: Arc<dyn Backend>) {
        let backend = Arc::clone(&store);
        self.routes
            .insert(bucket.to_owned(), Route { store, backend });
    }

    /// Serves `bucket` from another place in `main`.
    pub fn rename(&mut self, bucket: &str, place: Place) -> Result<(), Error> {
        for name in [bucket, &place.bucket] {
            if !is_bucket_name(name) {
                let bucket = name.to_owned();
                return Err(Error::InvalidBucketName { bucket });
            }
        }
        let store = Arc::clone(&self.main);
        let backend = Arc::new(Mapped::new(bucket, place, Arc::clone(&store)));
        self.routes
            .insert(bucket.to_owned(), Route { store, backend });
        Ok(())
    }

    fn backend(&self, bucket: &str) -> &dyn Backend {
        match self.routes.get(bucket) {
            Some(route) => &*route.backend,
            None => &*self.main,
        }
    }

    fn store(&self, bucket: &str) -> &Arc<dyn Backend> {
        self.routes
            .get(bucket)
            .map_or(&self.main, |route| &route.store)
    }

    /// Whether both buckets lie in one store under the clients' names or can be asked of it by its own.
    fn together(&self, one: &str, other: &str) -> bool {
        Arc::ptr_eq(self.store(one), self.store(other))
    }

    /// Where an object lies in its store.
    fn placed(&self, path: &ObjectPath) -> Result<ObjectPath, Error> {
        match self.routes.get(path.bucket()) {
            Some(route) => route.backend.placed(path),
            None => self.main.placed(path),
        }
    }

    /// Every store once.
    fn stores(&self) -> Vec<&Arc<dyn Backend>> {
        let mut stores = vec![&self.main];
        for route in self.routes.values() {
            if !stores.iter().any(|store| Arc::ptr_eq(store, &route.store)) {
                stores.push(&route.store);
            }
        }
        stores
    }
}

#[async_trait]
impl Backend for Router {
    async fn create_bucket(&self, bucket: &str) -> Result<(), Error> {
        self.backend(bucket).create_bucket(bucket).await
    }

    async fn bucket(&self, bucket: &str) -> Result<BucketInfo, Error> {
        self.backend(bucket).bucket(bucket).await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        let mut buckets = self.main.buckets().await?;
        buckets.retain(|bucket| !self.routes.contains_key(&bucket.name));
        for (name, route) in &self.routes {
            match route.backend.bucket(name).await {
                Ok(bucket) => buckets.push(bucket),
                Err(Error::NoSuchBucket { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        buckets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(buckets)
    }

    async fn delete_bucket(&self, bucket: &str) -> Result<(), Error> {
        self.backend(bucket).delete_bucket(bucket).await
    }

    async fn put(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        self.backend(path.bucket())
            .put(path, options, content)
            .await
    }

    async fn head(&self, path: &ObjectPath, options: &ReadOptions) -> Result<ObjectInfo, Error> {
        self.backend(path.bucket()).head(path, options).await
    }

    async fn get(&self, path: &ObjectPath, options: &ReadOptions) -> Result<Opened, Error> {
        self.backend(path.bucket()).get(path, options).await
    }

    async fn delete(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<Deleted, Error> {
        self.backend(path.bucket()).delete(path, options).await
    }

    async fn delete_many(
        &self,
        objects: Vec<(ObjectPath, DeleteOptions)>,
    ) -> Vec<Result<Deleted, Error>> {
        // One request is about one bucket.
        match objects.first() {
            Some((first, _)) => {
                let bucket = first.bucket().to_owned();
                self.backend(&bucket).delete_many(objects).await
            }
            None => Vec::new(),
        }
    }

    /// Inside one store it is the store's own copy; between two the content passes through the gateway.
    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error> {
        if self.together(from.bucket(), to.bucket()) {
            let store = self.store(to.bucket());
            return store
                .copy(&self.placed(from)?, &self.placed(to)?, options)
                .await;
        }
        let read = ReadOptions {
            conditions: options.source,
            version: options.source_version,
            ..ReadOptions::default()
        };
        let opened = self
            .get(from, &read)
            .await
            .map_err(Error::not_modified_means_refused)?;
        let put = PutOptions {
            attributes: options.attributes.unwrap_or(opened.info.attributes),
            condition: options.destination,
            relayed: options.relayed,
        };
        let expected = Expected {
            compute: opened.info.checksum.map(|checksum| checksum.algorithm),
            ..Expected::default()
        };
        let content = Content::new(opened.body, Some(opened.info.size), expected);
        self.put(to, put, content).await
    }

    async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error> {
        self.backend(bucket).list(bucket, query).await
    }

    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error> {
        self.backend(path.bucket())
            .begin_upload(path, options)
            .await
    }

    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
        relayed: Relayed,
    ) -> Result<PartInfo, Error> {
        self.backend(path.bucket())
            .put_part(path, upload, number, content, relayed)
            .await
    }

    async fn copy_part(
        &self,
        from: &ObjectPath,
        read: &ReadOptions,
        to: &ObjectPath,
        upload: &str,
        number: u16,
    ) -> Result<PartInfo, Error> {
        if self.together(from.bucket(), to.bucket()) {
            let store = self.store(to.bucket());
            return store
                .copy_part(&self.placed(from)?, read, &self.placed(to)?, upload, number)
                .await;
        }
        let opened = self.get(from, read).await?;
        let length = opened.range.end - opened.range.start;
        let content = Content::new(opened.body, Some(length), Expected::default());
        self.put_part(to, upload, number, content, Relayed::default())
            .await
    }

    async fn parts(&self, path: &ObjectPath, upload: &str) -> Result<UploadParts, Error> {
        self.backend(path.bucket()).parts(path, upload).await
    }

    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error> {
        self.backend(path.bucket())
            .complete_upload(path, upload, options)
            .await
    }

    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error> {
        self.backend(path.bucket()).abort_upload(path, upload).await
    }

    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error> {
        self.backend(bucket).uploads(bucket, prefix).await
    }

    async fn sweep_uploads(&self, age: Duration) -> Result<usize, Error> {
        let mut swept = 0;
        for store in self.stores() {
            swept += store.sweep_uploads(age).await?;
        }
        Ok(swept)
    }

    async fn status(&self) -> Result<Status, Error> {
        let mut whole = Status::default();
        for store in self.stores() {
            whole.add(store.status().await?);
        }
        Ok(whole)
    }

    fn buffers(&self, bucket: &str) -> Buffers {
        let own = self.backend(bucket).buffers(bucket);
        let stores = self.stores();
        if stores.len() == 1 {
            return own;
        }
        // A copy may come from another store, through the gateway.
        let read = stores.iter().map(|store| store.buffers(bucket).read);
        Buffers {
            copy: own
                .copy
                .max(HELD + own.write + read.max().unwrap_or_default()),
            ..own
        }
    }

    fn relay(&self, bucket: &str) -> Option<&dyn Relay> {
        self.backend(bucket).relay(bucket)
    }
}

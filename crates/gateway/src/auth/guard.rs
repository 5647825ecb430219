//! A backend as one key pair may use it.
//!
//! The protocol is given nothing else for a request, so no operation can forget to ask: whatever reaches a backend, every
//! source, every key of a long list, has passed here. A method that the backend gains later is made of those below until it
//! is written out here, so it cannot pass unasked either.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::User;
use super::policy::{Action, On, Refusal, decide};
use crate::backend::condition::WriteCondition;
use crate::backend::content::Content;
use crate::backend::listing::{ListQuery, Page};
use crate::backend::options::{CopyOptions, DeleteOptions, Deleted, PutOptions, ReadOptions};
use crate::backend::relay::{self, Relay, Relayed};
use crate::backend::upload::{
    BegunUpload, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};
use crate::backend::{
    Backend, BucketInfo, Buffers, Error, ObjectInfo, ObjectPath, Opened, Status, Stored,
};

/// Asks a store to delete what is protected against that.
const BYPASS: &str = "x-amz-bypass-governance-retention";

/// What one user may do with a backend.
pub struct Guarded {
    inner: Arc<dyn Backend>,
    user: Arc<User>,
}

/// How somebody may write an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Freely,
    /// Only where there is none.
    New,
}

/// What a write demands, and whether that is what its client asked for.
struct Demand {
    condition: WriteCondition,
    ours: bool,
}

impl Guarded {
    pub fn new(inner: Arc<dyn Backend>, user: Arc<User>) -> Self {
        Self { inner, user }
    }

    fn may(&self, action: Action, on: On<'_>) -> Result<(), Refusal> {
        decide(&self.user.grants, action, on)
    }

    fn require(&self, action: Action, on: On<'_>) -> Result<(), Error> {
        self.may(action, on).map_err(|refusal| {
            tracing::info!(
                access_key = self.user.credentials.access_key,
                ?action,
                ?on,
                %refusal,
                "denied"
            );
            Error::Denied { refusal }
        })
    }

    fn object(&self, action: Action, path: &ObjectPath) -> Result<(), Error> {
        self.require(action, object(path))
    }

    fn writing(&self, path: &ObjectPath) -> Result<Writing, Error> {
        if self.may(Action::Overwrite, object(path)).is_ok() {
            return Ok(Writing::Freely);
        }
        self.object(Action::Create, path)?;
        Ok(Writing::New)
    }

    /// What the backend is to demand of the key, given what the client demands. The backend judges it at the moment of the
    /// write, so that of two writers only one finds nothing there.
    fn demand(&self, path: &ObjectPath, asked: WriteCondition) -> Result<Demand, Error> {
        let demand = |condition, ours| Demand { condition, ours };
        match (self.writing(path)?, asked) {
            (Writing::Freely, asked) => Ok(demand(asked, false)),
            (Writing::New, WriteCondition::None) => Ok(demand(WriteCondition::Absent, true)),
            (Writing::New, WriteCondition::Absent) => Ok(demand(WriteCondition::Absent, false)),
            // Both mean that there may be an object that is to be replaced.
            (Writing::New, WriteCondition::Matches(_) | WriteCondition::Differs(_)) => {
                Err(self.overwrite_refused(path))
            }
        }
    }

    fn overwrite_refused(&self, path: &ObjectPath) -> Error {
        match self.object(Action::Overwrite, path) {
            Err(error) => error,
            // The grants are the same as a moment ago, in which this was not allowed.
            Ok(()) => Error::PreconditionFailed {
                key: path.key().to_owned(),
            },
        }
    }

    /// Says of a condition that nobody asked for what it stands for.
    fn told<T>(&self, path: &ObjectPath, ours: bool, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Err(Error::PreconditionFailed { .. }) if ours => Err(self.overwrite_refused(path)),
            other => other,
        }
    }

    fn deletion(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<(), Error> {
        self.object(Action::Delete, path)?;
        if asks_to_bypass(&options.relayed) {
            self.object(Action::Configure, path)?;
        }
        Ok(())
    }
}

fn object(path: &ObjectPath) -> On<'_> {
    On::Object {
        bucket: path.bucket(),
        key: path.key(),
    }
}

fn asks_to_bypass(relayed: &Relayed) -> bool {
    relayed
        .get(BYPASS)
        .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

#[async_trait]
impl Backend for Guarded {
    fn placed(&self, path: &ObjectPath) -> Result<ObjectPath, Error> {
        self.inner.placed(path)
    }

    async fn create_bucket(&self, bucket: &str) -> Result<(), Error> {
        self.require(Action::Manage, On::Bucket(bucket))?;
        self.inner.create_bucket(bucket).await
    }

    async fn bucket(&self, bucket: &str) -> Result<BucketInfo, Error> {
        self.require(Action::See, On::Bucket(bucket))?;
        self.inner.bucket(bucket).await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        let mut buckets = self.inner.buckets().await?;
        buckets.retain(|bucket| self.may(Action::See, On::Bucket(&bucket.name)).is_ok());
        Ok(buckets)
    }

    async fn delete_bucket(&self, bucket: &str) -> Result<(), Error> {
        self.require(Action::Manage, On::Bucket(bucket))?;
        self.inner.delete_bucket(bucket).await
    }

    async fn put(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        let Demand { condition, ours } = self.demand(path, options.condition)?;
        let options = PutOptions {
            condition,
            ..options
        };
        let stored = self.inner.put(path, options, content).await;
        self.told(path, ours, stored)
    }

    async fn head(&self, path: &ObjectPath, options: &ReadOptions) -> Result<ObjectInfo, Error> {
        self.object(Action::Read, path)?;
        self.inner.head(path, options).await
    }

    async fn get(&self, path: &ObjectPath, options: &ReadOptions) -> Result<Opened, Error> {
        self.object(Action::Read, path)?;
        self.inner.get(path, options).await
    }

    async fn delete(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<Deleted, Error> {
        self.deletion(path, options)?;
        self.inner.delete(path, options).await
    }

    async fn delete_many(
        &self,
        objects: Vec<(ObjectPath, DeleteOptions)>,
    ) -> Vec<Result<Deleted, Error>> {
        let verdicts: Vec<_> = objects
            .iter()
            .map(|(path, options)| self.deletion(path, options))
            .collect();
        let allowed = objects
            .into_iter()
            .zip(&verdicts)
            .filter_map(|(object, verdict)| verdict.is_ok().then_some(object))
            .collect();
        let mut outcomes = self.inner.delete_many(allowed).await.into_iter();
        let missing = || Error::NotSupported {
            what: "telling what became of this object",
        };
        verdicts
            .into_iter()
            .map(|verdict| verdict.and_then(|()| outcomes.next().unwrap_or_else(|| Err(missing()))))
            .collect()
    }

    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error> {
        self.object(Action::Read, from)?;
        let Demand { condition, ours } = self.demand(to, options.destination)?;
        let options = CopyOptions {
            destination: condition,
            ..options
        };
        let stored = self.inner.copy(from, to, options).await;
        self.told(to, ours, stored)
    }

    async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error> {
        let prefix = &query.prefix;
        self.require(Action::List, On::Below { bucket, prefix })?;
        self.inner.list(bucket, query).await
    }

    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error> {
        self.object(Action::Create, path)?;
        self.inner.begin_upload(path, options).await
    }

    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
        relayed: Relayed,
    ) -> Result<PartInfo, Error> {
        self.object(Action::Create, path)?;
        self.inner
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
        self.object(Action::Read, from)?;
        self.object(Action::Create, to)?;
        self.inner.copy_part(from, read, to, upload, number).await
    }

    async fn parts(&self, path: &ObjectPath, upload: &str) -> Result<UploadParts, Error> {
        self.object(Action::Read, path)?;
        self.inner.parts(path, upload).await
    }

    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error> {
        let Demand { condition, ours } = self.demand(path, options.condition)?;
        let options = CompleteOptions {
            condition,
            ..options
        };
        let stored = self.inner.complete_upload(path, upload, options).await;
        self.told(path, ours, stored)
    }

    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error> {
        self.object(Action::Abort, path)?;
        self.inner.abort_upload(path, upload).await
    }

    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error> {
        self.require(Action::List, On::Below { bucket, prefix })?;
        self.inner.uploads(bucket, prefix).await
    }

    /// Not a client's to ask.
    async fn sweep_uploads(&self, _: Duration) -> Result<usize, Error> {
        Err(Error::NotSupported {
            what: "removing old uploads on request",
        })
    }

    /// Not a client's to ask.
    async fn status(&self) -> Result<Status, Error> {
        Err(Error::NotSupported {
            what: "telling of the store as a whole",
        })
    }

    fn buffers(&self, bucket: &str) -> Buffers {
        self.inner.buffers(bucket)
    }

    fn relay(&self, bucket: &str) -> Option<&dyn Relay> {
        self.inner.relay(bucket).map(|_| self as &dyn Relay)
    }
}

#[async_trait]
impl Relay for Guarded {
    async fn relay(&self, request: relay::Request) -> Result<relay::Answer, Error> {
        for (action, on) in wishes(&request) {
            self.require(action, on)?;
        }
        let inner = self
            .inner
            .relay(&request.bucket)
            .ok_or(Error::NotSupported {
                what: "this request",
            })?;
        inner.relay(request).await
    }
}

/// What a request asks for that is passed on as it is. What it means is up to the store, so it is judged by its method and
/// by what it names.
fn wishes(request: &relay::Request) -> Vec<(Action, On<'_>)> {
    let bucket = request.bucket.as_str();
    let reads = matches!(request.method.as_str(), "GET" | "HEAD");
    let named = |wanted: &str| {
        request
            .query
            .iter()
            .filter(move |(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
    };
    let mut wishes = match &request.key {
        Some(key) if reads => vec![(Action::Read, On::Object { bucket, key })],
        Some(key) => vec![(Action::Overwrite, On::Object { bucket, key })],
        // Which of several prefixes the store takes is not known.
        None if reads && !named("versions").is_empty() && !named("prefix").is_empty() => {
            named("prefix")
                .into_iter()
                .map(|prefix| (Action::List, On::Below { bucket, prefix }))
                .collect()
        }
        None if reads => vec![(Action::List, On::Bucket(bucket))],
        None => vec![(Action::Configure, On::Bucket(bucket))],
    };
    if asks_to_bypass(&request.headers) {
        wishes.push((Action::Configure, On::Bucket(bucket)));
    }
    wishes
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(method: &str, key: Option<&str>, query: &[(&str, &str)]) -> relay::Request {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        relay::Request {
            method: method.to_owned(),
            bucket: "b".to_owned(),
            key: key.map(str::to_owned),
            query: query.iter().map(pair).collect(),
            headers: Relayed::default(),
            body: Bytes::new(),
        }
    }

    fn below(prefix: &str) -> On<'_> {
        On::Below {
            bucket: "b",
            prefix,
        }
    }

    #[test]
    fn what_is_passed_on_is_judged_by_what_it_could_do() {
        let key = On::Object {
            bucket: "b",
            key: "k",
        };
        let bucket = On::Bucket("b");
        for (method, named, query, expected) in [
            (
                "GET",
                Some("k"),
                vec![("tagging", "")],
                vec![(Action::Read, key)],
            ),
            (
                "HEAD",
                Some("k"),
                vec![("acl", "")],
                vec![(Action::Read, key)],
            ),
            (
                "PUT",
                Some("k"),
                vec![("retention", "")],
                vec![(Action::Overwrite, key)],
            ),
            (
                "DELETE",
                Some("k"),
                vec![("tagging", "")],
                vec![(Action::Overwrite, key)],
            ),
            (
                "POST",
                Some("k"),
                vec![("restore", "")],
                vec![(Action::Overwrite, key)],
            ),
            (
                "GET",
                None,
                vec![("versioning", "")],
                vec![(Action::List, bucket)],
            ),
            (
                "GET",
                None,
                vec![("versions", "")],
                vec![(Action::List, bucket)],
            ),
            (
                "GET",
                None,
                vec![("versions", ""), ("prefix", "a/"), ("prefix", "")],
                vec![(Action::List, below("a/")), (Action::List, below(""))],
            ),
            // Not a listing, whatever else it names.
            (
                "GET",
                None,
                vec![("policy", ""), ("prefix", "a/")],
                vec![(Action::List, bucket)],
            ),
            (
                "PUT",
                None,
                vec![("lifecycle", "")],
                vec![(Action::Configure, bucket)],
            ),
            (
                "POST",
                None,
                vec![("delete", ""), ("acl", "")],
                vec![(Action::Configure, bucket)],
            ),
        ] {
            let request = request(method, named, &query);
            assert_eq!(wishes(&request), expected, "{method} {query:?}");
        }
    }

    #[test]
    fn setting_protection_aside_takes_an_admin() {
        let mut asking = request("PUT", Some("k"), &[("retention", "")]);
        asking.headers.insert(BYPASS, "true");
        assert!(wishes(&asking).contains(&(Action::Configure, On::Bucket("b"))));
        asking.headers.insert(BYPASS, "false");
        assert_eq!(wishes(&asking).len(), 1);
    }
}

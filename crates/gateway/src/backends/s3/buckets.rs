//! Buckets.

use reqwest::Method;

use super::call::{Body, Call};
use super::client::{Client, unreadable};
use super::objects::time_of;
use crate::backend::{BucketInfo, Error, is_bucket_name};
use crate::backends::xml;

const CREATING: &str = "creating a bucket";
const LOOKING: &str = "looking for a bucket";
const LISTING: &str = "listing the buckets";
const DELETING: &str = "deleting a bucket";
/// The region that is not named when a bucket is made in it.
const UNNAMED: &str = "us-east-1";

impl Client {
    /// Looks first: who may use a bucket often may not create any.
    pub(super) async fn create_bucket(&self, bucket: &str) -> Result<(), Error> {
        check(bucket)?;
        match self.bucket(bucket).await {
            Ok(_) => {
                let bucket = bucket.to_owned();
                return Err(Error::BucketExists { bucket });
            }
            // What else is wrong, the attempt will say better: the answer to HEAD has no words.
            Err(Error::NoSuchBucket { .. } | Error::Upstream { status: 403, .. }) => {}
            Err(error) => return Err(error),
        }
        let mut call = Call::bucket(CREATING, Method::PUT, bucket);
        if self.region() != UNNAMED {
            let mut document = String::from("<CreateBucketConfiguration>");
            xml::write(&mut document, "LocationConstraint", self.region());
            document.push_str("</CreateBucketConfiguration>");
            call = call.body(Body::Whole(document.into()));
        }
        self.ask(call).await.map(drop)
    }

    pub(super) async fn bucket(&self, bucket: &str) -> Result<BucketInfo, Error> {
        check(bucket)?;
        self.ask(Call::bucket(LOOKING, Method::HEAD, bucket))
            .await?;
        Ok(BucketInfo {
            name: bucket.to_owned(),
            created: None,
        })
    }

    pub(super) async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let call =
                Call::server(LISTING, Method::GET).query_if("continuation-token", token.as_deref());
            let (_, document) = self.document(call).await?;
            let buckets = document.child("Buckets");
            for bucket in buckets
                .into_iter()
                .flat_map(|buckets| buckets.all("Bucket"))
            {
                let name = bucket.required("Name");
                found.push(BucketInfo {
                    name: name.map_err(|error| unreadable(LISTING, error))?.to_owned(),
                    created: time_of(bucket, "CreationDate"),
                });
            }
            match document.text("ContinuationToken") {
                Some(next) if token.as_deref() != Some(next) => token = Some(next.to_owned()),
                _ => break,
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    pub(super) async fn delete_bucket(&self, bucket: &str) -> Result<(), Error> {
        check(bucket)?;
        let call = Call::bucket(DELETING, Method::DELETE, bucket);
        self.ask(call).await.map(drop)
    }
}

fn check(bucket: &str) -> Result<(), Error> {
    if is_bucket_name(bucket) {
        return Ok(());
    }
    Err(Error::InvalidBucketName {
        bucket: bucket.to_owned(),
    })
}

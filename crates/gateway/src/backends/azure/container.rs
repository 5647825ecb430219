//! Buckets: containers of the account, with the names that both S3 and Azure allow.

use jiff::Timestamp;
use reqwest::Method;

use super::blob::http_date;
use super::call::Call;
use super::client::Client;
use crate::backend::{BucketInfo, Error, is_bucket_name};
use crate::backends::xml::Element;

/// Whether a bucket of this name may be a container: Azure knows neither dots nor two hyphens in a row.
fn is_container_name(bucket: &str) -> bool {
    is_bucket_name(bucket) && !bucket.contains('.') && !bucket.contains("--")
}

/// Refuses names that no container can have, so none of them gets into an address.
pub(super) fn check(bucket: &str) -> Result<(), Error> {
    if is_container_name(bucket) {
        return Ok(());
    }
    Err(Error::NoSuchBucket {
        bucket: bucket.to_owned(),
    })
}

pub(super) async fn create(client: &Client, bucket: &str) -> Result<(), Error> {
    if !is_container_name(bucket) {
        return Err(Error::InvalidBucketName {
            bucket: bucket.to_owned(),
        });
    }
    let call = Call::new(Method::PUT, "creating the bucket")
        .container(bucket)
        .query("restype", "container");
    match client.send(&call).await {
        Ok(_) => Ok(()),
        // It takes the service half a minute to remove a container.
        Err(failure) if failure.is("ContainerBeingDeleted") => Err(Error::Upstream {
            status: 409,
            code: "OperationAborted".to_owned(),
            message: "the bucket of that name is still being removed: try again".to_owned(),
        }),
        Err(failure) => Err(failure.about_bucket(bucket)),
    }
}

pub(super) async fn info(client: &Client, bucket: &str) -> Result<BucketInfo, Error> {
    check(bucket)?;
    let call = Call::new(Method::GET, "reading the bucket")
        .container(bucket)
        .query("restype", "container");
    let answer = client
        .send(&call)
        .await
        .map_err(|failure| failure.about_bucket(bucket))?;
    let changed = answer.headers().get("last-modified");
    Ok(BucketInfo {
        name: bucket.to_owned(),
        created: created(changed.and_then(|date| date.to_str().ok())),
    })
}

/// The service tells when a container was last changed, not when it was made.
fn created(changed: Option<&str>) -> Option<Timestamp> {
    changed.and_then(http_date)
}

/// Ordered by name.
pub(super) async fn list(client: &Client) -> Result<Vec<BucketInfo>, Error> {
    let mut buckets = Vec::new();
    let mut marker = None;
    loop {
        let mut call = Call::new(Method::GET, "listing the buckets").query("comp", "list");
        if let Some(marker) = marker {
            call = call.query("marker", marker);
        }
        let root = client
            .document(&call)
            .await
            .map_err(|failure| failure.about_bucket(""))?;
        let listed = root.child("Containers").map_or(&[][..], Element::children);
        for container in listed {
            // Those of the service itself begin with `$`.
            let Some(name) = container
                .text("Name")
                .filter(|name| is_container_name(name))
            else {
                continue;
            };
            let changed = container
                .child("Properties")
                .and_then(|properties| properties.text("Last-Modified"));
            buckets.push(BucketInfo {
                name: name.to_owned(),
                created: created(changed),
            });
        }
        marker = root.text("NextMarker").map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    buckets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(buckets)
}

/// Removes a container with all that is in it.
pub(super) async fn remove(client: &Client, bucket: &str) -> Result<(), Error> {
    let call = Call::new(Method::DELETE, "deleting the bucket")
        .container(bucket)
        .query("restype", "container");
    match client.send(&call).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.is_repeated() && failure.is("ContainerNotFound") => Ok(()),
        Err(failure) => Err(failure.about_bucket(bucket)),
    }
}

/// Asks for as little as can be asked, to know that the service answers and takes the gateway's credentials.
pub(super) async fn probe(client: &Client) -> Result<(), Error> {
    let call = Call::new(Method::GET, "asking whether it is there")
        .query("comp", "list")
        .query("maxresults", "1");
    match client.send(&call).await {
        Ok(_) => Ok(()),
        // Known, but not allowed to list the account, as with a signature for one container.
        Err(failure) if failure.is_not_allowed() => Ok(()),
        Err(failure) => Err(failure.about_bucket("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_both() {
        for good in ["sts-stackgraph-backup", "abc", "0ab"] {
            assert!(is_container_name(good), "{good}");
        }
        for bad in ["a.b", "a--b", "$logs", "ab", "../x", "A-b", "-ab"] {
            assert!(!is_container_name(bad), "{bad}");
        }
    }
}

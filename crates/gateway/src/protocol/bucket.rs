//! Operations on buckets.

use s3s::dto::{
    self, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::convert;
use crate::backend::Backend;

pub(super) async fn create_bucket(
    backend: &dyn Backend,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let bucket = request.input.bucket;
    backend.create_bucket(&bucket).await?;
    let output = CreateBucketOutput {
        location: Some(format!("/{bucket}")),
    };
    Ok(S3Response::new(output))
}

pub(super) async fn head_bucket(
    backend: &dyn Backend,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    backend.bucket(&request.input.bucket).await?;
    Ok(S3Response::new(HeadBucketOutput::default()))
}

pub(super) async fn delete_bucket(
    backend: &dyn Backend,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    backend.delete_bucket(&request.input.bucket).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

pub(super) async fn list_buckets(
    backend: &dyn Backend,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let prefix = request.input.prefix;
    let buckets = backend.buckets().await?;
    let buckets = buckets
        .into_iter()
        .filter(|bucket| {
            bucket
                .name
                .starts_with(prefix.as_deref().unwrap_or_default())
        })
        .map(|bucket| dto::Bucket {
            name: Some(bucket.name),
            creation_date: bucket.created.map(convert::timestamp),
            ..dto::Bucket::default()
        })
        .collect();
    let output = ListBucketsOutput {
        buckets: Some(buckets),
        prefix,
        ..ListBucketsOutput::default()
    };
    Ok(S3Response::new(output))
}

/// Every region is served, so buckets are in none: the empty answer means the default one.
pub(super) async fn get_bucket_location(
    backend: &dyn Backend,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    backend.bucket(&request.input.bucket).await?;
    Ok(S3Response::new(GetBucketLocationOutput::default()))
}

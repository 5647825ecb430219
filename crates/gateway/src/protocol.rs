//! The S3 protocol: requests to calls of a [`Backend`], its answers and errors back to responses.
//!
//! Parsing, signatures and XML are `s3s`; what an operation means is in one file for each group of operations.

mod body;
mod broken;
mod bucket;
mod chunks;
mod content;
mod convert;
mod delete;
mod error;
mod list;
mod multipart;
mod object;
mod patience;
mod payload;
mod relay;
mod signing;
mod xml;

use std::sync::Arc;

use async_trait::async_trait;
use hyper::body::Incoming;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpError, HttpResponse, S3, S3Request, S3Response, S3Result};

use crate::auth::{Credentials, KeyRing};
use crate::backend::Backend;

/// The largest XML body: a list of 10,000 parts with checksums, or of 1,000 keys of 1,024 escaped bytes.
const MAX_XML_BYTES: usize = 8 * 1024 * 1024;

/// Answers S3 requests from a backend.
struct Protocol {
    backend: Arc<dyn Backend>,
}

/// The protocol as a function of HTTP requests.
#[derive(Clone)]
pub(crate) struct Service(S3Service);

impl Service {
    pub(crate) fn new(backend: Arc<dyn Backend>, credentials: Vec<Credentials>) -> Self {
        let mut config = S3Config::default();
        config.xml_max_body_size = MAX_XML_BYTES;
        let mut builder = S3ServiceBuilder::new(Protocol {
            backend: Arc::clone(&backend),
        });
        builder.set_route(relay::Onward { backend });
        builder.set_auth(KeyRing(credentials));
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Self(builder.build())
    }

    pub(crate) async fn call(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<HttpResponse, HttpError> {
        let response = self.0.call(body::prepare(request)).await?;
        Ok(body::finish(response))
    }
}

/// Writes each operation out as a call of the function of its name in one of the modules.
macro_rules! operations {
    ($($module:ident::$name:ident($input:ident) -> $output:ident;)*) => {
        #[async_trait]
        impl S3 for Protocol {
            $(
                async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                    $module::$name(&*self.backend, request).await
                }
            )*
        }
    };
}

operations! {
    bucket::create_bucket(CreateBucketInput) -> CreateBucketOutput;
    bucket::head_bucket(HeadBucketInput) -> HeadBucketOutput;
    bucket::delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    bucket::list_buckets(ListBucketsInput) -> ListBucketsOutput;
    bucket::get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    object::put_object(PutObjectInput) -> PutObjectOutput;
    object::get_object(GetObjectInput) -> GetObjectOutput;
    object::head_object(HeadObjectInput) -> HeadObjectOutput;
    object::copy_object(CopyObjectInput) -> CopyObjectOutput;
    delete::delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete::delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    list::list_objects(ListObjectsInput) -> ListObjectsOutput;
    list::list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    multipart::create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    multipart::upload_part(UploadPartInput) -> UploadPartOutput;
    multipart::upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    multipart::complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    multipart::abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    multipart::list_parts(ListPartsInput) -> ListPartsOutput;
    multipart::list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
}

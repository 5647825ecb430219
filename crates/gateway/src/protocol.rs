//! The S3 protocol: requests to calls of a [`Backend`], its answers and errors back to responses.
//!
//! Parsing, signatures and XML are `s3s`; what an operation means is in one file for each group of operations.

mod admission;
mod attributes;
mod authorization;
mod body;
mod broken;
mod bucket;
mod chunks;
mod content;
mod convert;
mod delete;
mod door;
mod error;
mod linger;
mod list;
mod multipart;
mod object;
mod patience;
mod payload;
mod relay;
mod signing;
mod story;
mod xml;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpError, S3, S3Request, S3Response, S3Result};

use self::admission::Admission;
use self::door::Door;
use self::linger::{Expects, Remains};
use self::story::{Answer, Teller};
use crate::auth::KeyRing;
use crate::backend::Backend;
use crate::budget::Budget;
use crate::hashing::Pool;
use crate::metrics::Metrics;

/// The largest XML body: a list of 10,000 parts with checksums, or of 1,000 keys of 1,024 escaped bytes.
const MAX_XML_BYTES: usize = 8 * 1024 * 1024;
/// Odd, so that counting by it meets every number once; far apart, so that ids do not look alike.
const ID_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Answers S3 requests from a backend.
struct Protocol {
    door: Door,
}

/// What the protocol needs beside a backend.
pub(crate) struct Options {
    pub(crate) keys: KeyRing,
    pub(crate) budget: Budget,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the ids of requests begin.
    pub(crate) first_id: u64,
    /// How many contents are hashed at a time.
    pub(crate) processors: usize,
}

/// The protocol as a function of HTTP requests.
#[derive(Clone)]
pub(crate) struct Service {
    layer: S3Service,
    metrics: Arc<Metrics>,
    pool: Pool,
    next_id: Arc<AtomicU64>,
}

impl Service {
    pub(crate) fn new(backend: Arc<dyn Backend>, options: Options) -> Self {
        let Options {
            keys,
            budget,
            metrics,
            first_id,
            processors,
        } = options;
        let mut config = S3Config::default();
        config.xml_max_body_size = MAX_XML_BYTES;
        // Forms never come so far.
        config.post_object_max_file_size = 0;
        let door = Door::new(backend, keys.clone(), Arc::clone(&metrics));
        let mut builder = S3ServiceBuilder::new(Protocol { door: door.clone() });
        let admission = Admission {
            door: door.clone(),
            budget,
        };
        builder.set_access(admission.clone());
        builder.set_route(relay::Onward { door, admission });
        builder.set_auth(keys);
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Self {
            layer: builder.build(),
            pool: Pool::new(processors, {
                let metrics = Arc::clone(&metrics);
                move |waited| metrics.hashing_waited(waited)
            }),
            metrics,
            next_id: Arc::new(AtomicU64::new(first_id)),
        }
    }

    pub(crate) async fn call(
        &self,
        request: hyper::Request<Incoming>,
        client: SocketAddr,
    ) -> Result<Response<Answer>, HttpError> {
        let id = self.next_id.fetch_add(ID_STEP, Ordering::Relaxed);
        let teller = Teller::begin(id, client, Arc::clone(&self.metrics));
        let expects = match request.headers().get(EXPECT) {
            Some(_) => Expects::Continue,
            None => Expects::Nothing,
        };
        // Nothing comes, so nothing is said before the answer, which some clients then take for that of the next request too.
        let asked_for_nothing = expects == Expects::Continue && request.body().is_end_stream();
        let (request, rest) = body::prepare(request, &teller.story, &self.pool);
        let response = match admission::refuse_unsupported(&request) {
            Ok(()) => self.layer.call(request).await?,
            Err(error) => error
                .to_http_response()
                .map_err(|error| HttpError::new(Box::new(error)))?,
        };
        let mut response = body::finish(response);
        let failed = response.status().is_client_error() || response.status().is_server_error();
        if asked_for_nothing || failed && rest.discard(expects).await == Remains::Something {
            // Else the client sends its next request on a connection that ends, or does not know it from this one.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Ok(teller.answer(response))
    }
}

/// Writes each operation out as a call of the function of its name in one of the modules.
macro_rules! operations {
    ($($module:ident::$name:ident($input:ident) -> $output:ident;)*) => {
        #[async_trait]
        impl S3 for Protocol {
            $(
                async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                    let backend = self.door.open(request.credentials.as_ref())?;
                    let answer = $module::$name(&backend, request).await;
                    self.door.note(&answer);
                    answer
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
    attributes::get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput;
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

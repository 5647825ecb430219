//! What passes between a client and a store of S3 through our gateway, past all that the gateway acts upon: encryption,
//! tags, locks, versions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_gateway::backend::digest::Hasher;
use lifeboat_gateway::backends::s3::S3;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

use crate::gateway::Gateway;
use crate::remote::{Remote, gateway_before};
use crate::support::{Place as _, hex};

/// A client of our gateway, in front of a bucket in MinIO.
struct World {
    signer: AmazonS3,
    http: reqwest::Client,
    _remote: Remote,
    _gateway: Gateway,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl World {
    async fn before(remote: Option<Remote>) -> Option<Self> {
        let remote = remote?;
        let gateway = gateway_before(Arc::new(S3::clone(remote.s3()))).await;
        let signer = gateway
            .builder()
            .with_bucket_name(remote.bucket())
            .build()
            .unwrap();
        Some(Self {
            signer,
            http: reqwest::Client::new(),
            _remote: remote,
            _gateway: gateway,
        })
    }

    /// Sends a signed request about an object, or the bucket if `key` is empty.
    async fn ask(
        &self,
        method: Method,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut options = SignedUrlOptions::new().with_query(query.iter().copied());
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            options = options.with_signed_header(HeaderName::from_static(name), value);
        }
        let path = Path::parse(key).unwrap();
        let valid = Duration::from_mins(5);
        let url = self
            .signer
            .signed_url_opts(method.clone(), &path, valid, &options)
            .await
            .unwrap();
        let mut request = self.http.request(method, url).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap(),
        }
    }
}

impl World {
    /// Stores an object in parts, and returns the answer to each.
    async fn upload(&self, key: &str, pieces: &[Vec<u8>]) -> Vec<Answer> {
        let begun = self
            .ask(Method::POST, key, &[("uploads", "")], &[], "")
            .await;
        let upload = begun.element("UploadId").unwrap();
        let mut answers = Vec::new();
        let mut list = String::from("<CompleteMultipartUpload>");
        for (number, piece) in (1..).zip(pieces) {
            let number = number.to_string();
            let query = [("partNumber", number.as_str()), ("uploadId", upload)];
            let part = self.ask(Method::PUT, key, &query, &[], piece.clone()).await;
            let etag = part.header("etag").unwrap();
            let named =
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
            list.push_str(&named);
            answers.push(part);
        }
        list.push_str("</CompleteMultipartUpload>");
        let completed = self
            .ask(Method::POST, key, &[("uploadId", upload)], &[], list)
            .await;
        assert_eq!(completed.status, StatusCode::OK, "{}", completed.text());
        answers
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns what is between the first pair of tags.
    fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text().split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    }
}

fn md5(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(None);
    hasher.update(bytes);
    hex(hasher.finish().tag.bytes())
}

/// What the AWS SDK for Java 1 does after it has put an object or a part, or got an object: the content's MD5 must be the
/// etag, unless the etag has a dash or the answer says that the object is encrypted with a key of KMS or of the client.
fn sdk_1_accepts(answer: &Answer, content: &[u8]) -> bool {
    let etag = answer.header("etag").unwrap().trim_matches('"');
    let excused = [
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-customer-algorithm",
    ];
    etag.contains('-')
        || excused.iter().any(|name| answer.header(name).is_some())
        || etag == md5(content)
}

#[tokio::test]
async fn an_old_sdk_accepts_objects_under_a_key_of_kms() {
    let Some(world) = World::before(Remote::in_encrypted_minio().await).await else {
        return;
    };
    let is_not_the_md5 = |answer: &Answer, content: &[u8]| {
        let etag = answer.header("etag").unwrap().trim_matches('"');
        etag.len() == 32 && etag != md5(content)
    };
    let content = b"content of an object";
    let put = world
        .ask(Method::PUT, "k", &[], &[], Bytes::from_static(content))
        .await;
    assert_eq!(put.status, StatusCode::OK);
    // Else nothing is proved.
    assert!(is_not_the_md5(&put, content), "{:?}", put.headers);
    assert!(sdk_1_accepts(&put, content), "{:?}", put.headers);
    let got = world.ask(Method::GET, "k", &[], &[], "").await;
    assert_eq!(got.body, content.as_slice());
    assert_eq!(got.header("etag"), put.header("etag"));
    assert!(sdk_1_accepts(&got, content), "{:?}", got.headers);
    let head = world.ask(Method::HEAD, "k", &[], &[], "").await;
    assert!(sdk_1_accepts(&head, content), "{:?}", head.headers);

    let pieces = [vec![1_u8; 5 * 1024 * 1024], vec![2_u8; 1000]];
    for (part, piece) in world.upload("big", &pieces).await.iter().zip(&pieces) {
        assert!(is_not_the_md5(part, piece), "{:?}", part.headers);
        assert!(sdk_1_accepts(part, piece), "{:?}", part.headers);
    }
    let got = world.ask(Method::GET, "big", &[], &[], "").await;
    assert!(sdk_1_accepts(&got, &pieces.concat()), "{:?}", got.headers);
    assert_eq!(md5(&got.body), md5(&pieces.concat()));
}

#[tokio::test]
async fn versions_tags_and_locks_pass_through() {
    let Some(world) = World::before(Remote::in_minio().await).await else {
        return;
    };
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let enabled = world
        .ask(Method::PUT, "", &[("versioning", "")], &[], versioning)
        .await;
    assert_eq!(enabled.status, StatusCode::OK, "{}", enabled.text());
    let asked = world
        .ask(Method::GET, "", &[("versioning", "")], &[], "")
        .await;
    assert_eq!(asked.element("Status"), Some("Enabled"));

    let tags = [("x-amz-tagging", "store=graph&keep=yes")];
    let first = world.ask(Method::PUT, "k", &[], &tags, "first").await;
    let second = world.ask(Method::PUT, "k", &[], &[], "second").await;
    let version = first.header("x-amz-version-id").unwrap();
    assert_ne!(Some(version), second.header("x-amz-version-id"));
    let old = [("versionId", version)];
    let got = world.ask(Method::GET, "k", &old, &[], "").await;
    assert_eq!(got.text(), "first");
    assert_eq!(got.header("x-amz-version-id"), Some(version));
    assert_eq!(got.header("x-amz-tagging-count"), Some("2"));

    let deleted = world.ask(Method::DELETE, "k", &[], &[], "").await;
    assert_eq!(deleted.header("x-amz-delete-marker"), Some("true"));
    assert!(deleted.header("x-amz-version-id").is_some());
    let gone = world.ask(Method::GET, "k", &[], &[], "").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let versions = world
        .ask(Method::GET, "", &[("versions", "")], &[], "")
        .await;
    assert_eq!(versions.text().matches("<Version>").count(), 2);
    assert_eq!(versions.text().matches("<DeleteMarker>").count(), 1);

    let query = [("tagging", ""), ("versionId", version)];
    let tagging = world.ask(Method::GET, "k", &query, &[], "").await;
    assert!(
        tagging
            .text()
            .contains("<Key>store</Key><Value>graph</Value>"),
        "{}",
        tagging.text()
    );
    let query = [("attributes", ""), ("versionId", version)];
    let wanted = [("x-amz-object-attributes", "ETag,ObjectSize")];
    let attributes = world.ask(Method::GET, "k", &query, &wanted, "").await;
    assert_eq!(
        attributes.element("ObjectSize"),
        Some("5"),
        "{}",
        attributes.text()
    );

    let none = world
        .ask(Method::GET, "", &[("object-lock", "")], &[], "")
        .await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert_eq!(
        none.element("Code"),
        Some("ObjectLockConfigurationNotFoundError")
    );

    let removed = world.ask(Method::DELETE, "k", &old, &[], "").await;
    assert_eq!(removed.header("x-amz-version-id"), Some(version));
    let gone = world.ask(Method::GET, "k", &old, &[], "").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(gone.element("Code"), Some("NoSuchVersion"));
}

#[tokio::test]
async fn a_part_of_an_object_is_read_by_its_number() {
    let Some(world) = World::before(Remote::in_minio().await).await else {
        return;
    };
    let pieces = [vec![1_u8; 5 * 1024 * 1024], vec![2_u8; 1000]];
    world.upload("big", &pieces).await;
    let second = [("partNumber", "2")];
    let got = world.ask(Method::GET, "big", &second, &[], "").await;
    assert_eq!(got.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(got.body, pieces[1]);
    assert_eq!(got.header("x-amz-mp-parts-count"), Some("2"));
    let range = "bytes 5242880-5243879/5243880";
    assert_eq!(got.header("content-range"), Some(range));
    let first = [("partNumber", "1")];
    let head = world.ask(Method::HEAD, "big", &first, &[], "").await;
    assert_eq!(head.header("content-length"), Some("5242880"));
}

//! Who answers at the endpoint: a gateway of ours, of which more is known than of any S3 server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::header::SERVER;
use http::{HeaderMap, HeaderValue};
use lifeboat_core::identity;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// What comes with content that is signed by its checksum.
const CHECKSUM: &str = "x-amz-checksum-crc64nvme";

/// What the answers so far have shown. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    is_ours: Arc<AtomicBool>,
}

impl Peer {
    /// Whether the last answer was that of a gateway of ours. Not before there was one.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours.load(Ordering::Relaxed)
    }

    fn note(&self, headers: &HeaderMap) {
        let is_ours = headers
            .get(SERVER)
            .is_some_and(|name| name.as_bytes() == identity::GATEWAY.as_bytes());
        self.is_ours.store(is_ours, Ordering::Relaxed);
    }
}

/// Connections that are shared by all clients that are made with it, and that note who answers.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    client: HttpClient,
}

impl Connections {
    pub(crate) fn new(options: &ClientOptions, peer: Peer) -> object_store::Result<Self> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(Self {
            client: HttpClient::new(Noting { inner, peer }),
        })
    }
}

impl HttpConnector for Connections {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.client.clone())
    }
}

#[derive(Debug)]
struct Noting {
    inner: HttpClient,
    peer: Peer,
}

#[async_trait]
impl HttpService for Noting {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Only sent to a gateway of ours, see `Bucket::for_content`, so that what nobody compares need not be computed.
        if request.headers().contains_key(CHECKSUM) {
            let wish = HeaderValue::from_static(identity::ETAG_BY_CHECKSUM);
            request.headers_mut().insert(identity::ETAG_HEADER, wish);
        }
        let answer = self.inner.execute(request).await?;
        self.peer.note(answer.headers());
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gateway_of_ours_is_taken_for_one() {
        let peer = Peer::default();
        assert!(!peer.is_ours());
        for (name, is_ours) in [
            (Some("Lifeboat"), true),
            (Some("lifeboat"), false),
            (Some("Lifeboat"), true),
            (Some("MinIO"), false),
            (Some("Lifeboat"), true),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(name) = name {
                headers.insert(SERVER, name.parse().unwrap());
            }
            peer.note(&headers);
            assert_eq!(peer.is_ours(), is_ours, "{name:?}");
        }
    }
}

//! Requests that the gateway has no operation for: signed anew and passed on, their answers passed back.

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::S3;
use super::call::{Body, Call, Effort};
use crate::backend::Error;
use crate::backend::relay::{Answer, Relay, Relayed, Request};

const RELAYING: &str = "passing a request on";

/// Headers of an answer that are about the connection to the store, or that name its request and not the client's.
const KEPT_BACK: [&str; 10] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "vary",
    "x-amz-id-2",
    "x-amz-request-id",
    "strict-transport-security",
];

#[async_trait]
impl Relay for S3 {
    async fn relay(&self, request: Request) -> Result<Answer, Error> {
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| Error::NotSupported {
                what: "this method",
            })?;
        let mut call = Call::bucket(RELAYING, method, &request.bucket)
            .effort(Effort::Work)
            .relayed(&request.headers)?
            .body(Body::Whole(request.body));
        call.key = request.key;
        call.query = request.query;
        let answer = self.client.ask_for_any(call).await?;
        Ok(Answer {
            status: answer.status.as_u16(),
            headers: passed_back(&answer.headers),
            body: answer.body,
        })
    }
}

fn passed_back(headers: &HeaderMap) -> Relayed {
    headers
        .iter()
        .filter(|(name, _)| !KEPT_BACK.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

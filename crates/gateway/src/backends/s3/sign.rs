//! Signatures of version 4.
//!
//! Written here because what others have either reads the whole body, or cannot say that the checksum follows the content,
//! or reads the clock itself. Pure: a request, keys and a time give headers.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::options::Keys;

/// What a signature says of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// Its SHA-256, in hexadecimal.
    Hashed(String),
    /// Nothing: the content is checked otherwise.
    Unsigned,
    /// Nothing of the content, which is in chunks and followed by its checksum.
    Trailed,
}

impl Payload {
    pub(super) fn of(body: &[u8]) -> Self {
        Self::Hashed(hex::encode(Sha256::digest(body)))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Hashed(hash) => hash,
            Self::Unsigned => "UNSIGNED-PAYLOAD",
            Self::Trailed => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }
}

/// Adds the headers that prove who sends the request. All that `headers` holds is signed, and none may be added afterwards
/// that begins with `x-amz-`. Fails if the keys cannot travel in a header.
pub(super) fn sign(
    method: &str,
    url: &Url,
    headers: &mut HeaderMap,
    payload: &Payload,
    region: &str,
    keys: &Keys,
    now: Timestamp,
) -> Result<(), reqwest::header::InvalidHeaderValue> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &time[..8];
    headers.insert("x-amz-date", HeaderValue::from_str(&time)?);
    headers.insert(
        "x-amz-content-sha256",
        HeaderValue::from_str(payload.as_str())?,
    );
    if let Some(token) = &keys.token {
        let mut token = HeaderValue::from_str(token)?;
        token.set_sensitive(true);
        headers.insert("x-amz-security-token", token);
    }
    let (canonical_headers, names) = canonical_headers(headers, &host(url));
    let request = [
        method.as_bytes(),
        url.path().as_bytes(),
        canonical_query(url).as_bytes(),
        &canonical_headers,
        names.as_bytes(),
        payload.as_str().as_bytes(),
    ]
    .join(&b"\n"[..]);
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex::encode(Sha256::digest(&request))
    );
    let secret = format!("AWS4{}", keys.secret_key);
    let key = [day, region, "s3", "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, text| hmac(&key, text.as_bytes()));
    let signature = hex::encode(hmac(&key, text.as_bytes()));
    let access_key = &keys.access_key;
    let mut value = HeaderValue::from_str(&format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    ))?;
    value.set_sensitive(true);
    headers.insert("authorization", value);
    Ok(())
}

/// As the client writes the `host` header.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// All headers with their names in order, and the names alone. Values may be of any bytes, blanks in them count once.
fn canonical_headers(headers: &HeaderMap, host: &str) -> (Vec<u8>, String) {
    let mut values: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    values.insert("host", vec![host.as_bytes().to_owned()]);
    for (name, value) in headers {
        // A proxy may change it, and the client writes it.
        if name != "content-length" {
            values
                .entry(name.as_str())
                .or_default()
                .push(trimmed(value.as_bytes()));
        }
    }
    let mut text = Vec::new();
    for (name, values) in &values {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend(values.join(&b","[..]));
        text.push(b'\n');
    }
    let names: Vec<_> = values.into_keys().collect();
    (text, names.join(";"))
}

fn trimmed(value: &[u8]) -> Vec<u8> {
    let words: Vec<_> = value
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
        .collect();
    words.join(&b" "[..])
}

/// The pairs in order. They are encoded already, and in a query of ours every one has a `=`.
fn canonical_query(url: &Url) -> String {
    let mut pairs: Vec<_> = url.query().unwrap_or_default().split('&').collect();
    pairs.sort_unstable_by_key(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.join("&")
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    hmac.update(text);
    hmac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example keys of Amazon's documentation.
    fn keys() -> Keys {
        Keys {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        }
    }

    fn signed(method: &str, url: &str, mut headers: HeaderMap, payload: &Payload) -> String {
        let url = Url::parse(url).unwrap();
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        sign(
            method,
            &url,
            &mut headers,
            payload,
            "us-east-1",
            &keys(),
            now,
        )
        .unwrap();
        headers["authorization"].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_examples_of_the_documentation_are_signed_as_it_says() {
        let mut headers = HeaderMap::new();
        headers.insert("range", HeaderValue::from_static("bytes=0-9"));
        let get = signed(
            "GET",
            "https://examplebucket.s3.amazonaws.com/test.txt",
            headers,
            &Payload::of(b""),
        );
        assert!(
            get.ends_with(
                "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            ),
            "{get}"
        );
        let mut headers = HeaderMap::new();
        headers.insert(
            "date",
            HeaderValue::from_static("Fri, 24 May 2013 00:00:00 GMT"),
        );
        headers.insert(
            "x-amz-storage-class",
            HeaderValue::from_static("REDUCED_REDUNDANCY"),
        );
        let put = signed(
            "PUT",
            "https://examplebucket.s3.amazonaws.com/test%24file.text",
            headers,
            &Payload::of(b"Welcome to Amazon S3."),
        );
        assert!(
            put.ends_with("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            "{put}"
        );
        let lifecycle = signed(
            "GET",
            "https://examplebucket.s3.amazonaws.com/?lifecycle=",
            HeaderMap::new(),
            &Payload::of(b""),
        );
        assert!(
            lifecycle.ends_with("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            "{lifecycle}"
        );
        let list = signed(
            "GET",
            "https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2",
            HeaderMap::new(),
            &Payload::of(b""),
        );
        assert!(
            list.ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            "{list}"
        );
    }

    #[test]
    fn neither_the_signature_nor_a_token_is_printed() {
        let keys = Keys {
            token: Some("hidden-token".to_owned()),
            ..keys()
        };
        let url = Url::parse("http://store/").unwrap();
        let mut headers = HeaderMap::new();
        let now = Timestamp::UNIX_EPOCH;
        sign(
            "GET",
            &url,
            &mut headers,
            &Payload::Unsigned,
            "r",
            &keys,
            now,
        )
        .unwrap();
        let text = format!("{headers:?}");
        assert!(
            !text.contains("hidden-token") && !text.contains("Signature="),
            "{text}"
        );
        assert!(
            headers["authorization"]
                .to_str()
                .unwrap()
                .contains("x-amz-security-token")
        );
    }

    #[test]
    fn a_port_that_is_not_the_usual_one_is_part_of_the_host() {
        let of = |url: &str| host(&Url::parse(url).unwrap());
        assert_eq!(of("http://store:9000/"), "store:9000");
        assert_eq!(of("https://store:443/"), "store");
        assert_eq!(of("http://[::1]:9000/"), "[::1]:9000");
    }
}

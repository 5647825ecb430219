//! Signatures made with the key of an account: of requests (Shared Key), and of addresses that let the service itself read
//! a blob it is to copy (a service SAS).
//!
//! Own code for one reason: the service sorts `_` before digits, so that two names of metadata such as `a_b` and `a1` need
//! an order that the libraries do not have. <https://github.com/Azure/azure-sdk-for-net/issues/41328>

use std::cmp::Ordering;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Url};
use sha2::Sha256;

/// The headers that every signature covers, in their order. A missing one counts as empty.
const COVERED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// The key of an account.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Key {
    /// `text` as the portal shows it, in Base64.
    pub(super) fn new(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    fn sign(&self, text: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// Returns the `Authorization` of a request.
    pub(super) fn authorization(
        &self,
        account: &str,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> String {
        let signature = self.sign(&string_to_sign(account, method, url, headers));
        format!("SharedKey {account}:{signature}")
    }

    /// Returns the query with which the blob `container`/`name` can be read until `expires`.
    pub(super) fn source_query(
        &self,
        account: &str,
        container: &str,
        name: &str,
        expires: Timestamp,
    ) -> String {
        const VERSION: &str = "2023-11-03";
        let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // Rights, start, end, blob, policy, address, protocol, version, kind, snapshot, scope, five headers of the answer.
        let blob = format!("/blob/{account}/{container}/{name}");
        let fields = [
            "r", "", &expires, &blob, "", "", "", VERSION, "b", "", "", "", "", "", "", "",
        ];
        let signature = self.sign(&fields.join("\n"));
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        format!(
            "sv={VERSION}&sr=b&sp=r&se={}&sig={}",
            encode(&expires),
            encode(&signature)
        )
    }
}

fn string_to_sign(account: &str, method: &Method, url: &Url, headers: &HeaderMap) -> String {
    let value = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let mut lines = vec![method.to_string()];
    lines.extend(COVERED.map(|name| match (name, value(name)) {
        // No length and none at all are signed alike.
        ("content-length", "0") => String::new(),
        (_, value) => value.to_owned(),
    }));
    let mut own: Vec<_> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| name.starts_with("x-ms-"))
        .collect();
    own.sort_by(|one, other| header_order(one, other));
    lines.extend(own.iter().map(|name| format!("{name}:{}", value(name))));
    lines.push(format!("/{account}{}", url.path()));
    let mut query: Vec<_> = url
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    query.sort();
    lines.extend(query.iter().map(|(name, value)| {
        let value = percent_decode_str(value).decode_utf8_lossy();
        format!("{name}:{value}")
    }));
    lines.join("\n")
}

/// The order of the service: `_` before digits, digits before letters.
fn header_order(one: &str, other: &str) -> Ordering {
    let weights = |name: &'_ str| {
        name.bytes()
            .map(|byte| match byte {
                b'_' => 1,
                b'-' => 2,
                other => other,
            })
            .collect::<Vec<_>>()
    };
    weights(one).cmp(&weights(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn what_is_signed_covers_method_headers_path_and_query() {
        let url =
            Url::parse("http://127.0.0.1:10000/account/bucket/a%20b?comp=block&blockid=YQ%3D%3D")
                .unwrap();
        let headers = headers(&[
            ("content-length", "5"),
            ("if-match", "\"0x1\""),
            ("x-ms-version", "2023-11-03"),
            ("x-ms-date", "Wed, 25 Nov 2026 08:32:28 GMT"),
            ("authorization", "not signed"),
        ]);
        insta::assert_snapshot!(string_to_sign("account", &Method::PUT, &url, &headers), @r#"
        PUT


        5




        "0x1"



        x-ms-date:Wed, 25 Nov 2026 08:32:28 GMT
        x-ms-version:2023-11-03
        /account/account/bucket/a%20b
        blockid:YQ==
        comp:block
        "#);
    }

    #[test]
    fn names_of_metadata_are_sorted_as_the_service_does() {
        let mut names = [
            "x-ms-meta-i1",
            "x-ms-meta-i_",
            "x-ms-meta-ia",
            "x-ms-meta-i",
            "x-ms-lease-id",
        ];
        names.sort_by(|one, other| header_order(one, other));
        assert_eq!(
            names,
            [
                "x-ms-lease-id",
                "x-ms-meta-i",
                "x-ms-meta-i_",
                "x-ms-meta-i1",
                "x-ms-meta-ia"
            ]
        );
    }

    #[test]
    fn an_empty_body_is_signed_like_none() {
        let url = Url::parse("http://localhost/account").unwrap();
        let sign = |headers: &HeaderMap| string_to_sign("account", &Method::PUT, &url, headers);
        assert_eq!(
            sign(&headers(&[("content-length", "0")])),
            sign(&headers(&[]))
        );
    }

    #[test]
    fn a_key_is_base64_and_never_printed() {
        assert!(Key::new("").is_none() && Key::new("no base64!").is_none());
        let key = Key::new("c2VjcmV0").unwrap();
        assert_eq!(format!("{key:?}"), "***");
    }
}

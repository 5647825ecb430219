//! Where a bucket or an object is: the URL that a request goes to.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use super::options::{OpenError, Options, Style};
use crate::backend::Error;

/// What a query keeps as it is: what signatures of version 4 do not encode.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The same for a path.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// The server, and how it is told which bucket is meant.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Ends in `/`.
    endpoint: Url,
    style: Style,
}

impl Target {
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        let given = options.endpoint.as_deref().map(str::trim);
        let text = match given {
            None | Some("") => amazon(&options.region),
            Some(text) if text.contains("://") => text.to_owned(),
            Some(host) => format!("https://{host}"),
        };
        let wrong = || OpenError::Endpoint {
            endpoint: text.clone(),
        };
        let mut endpoint = Url::parse(&text).map_err(|_| wrong())?;
        // A name or a secret in the URL would end up in logs.
        let plain = endpoint.username().is_empty() && endpoint.password().is_none();
        let bare = endpoint.query().is_none() && endpoint.fragment().is_none();
        if !matches!(endpoint.scheme(), "http" | "https") || !plain || !bare {
            let host = endpoint.host_str().unwrap_or_default();
            return Err(OpenError::Endpoint {
                endpoint: format!("{}://{host}…", endpoint.scheme()),
            });
        }
        // The global endpoint serves only the buckets of its own region.
        if endpoint.host_str() == Some("s3.amazonaws.com") && options.region != "us-east-1" {
            endpoint = Url::parse(&amazon(&options.region)).map_err(|_| wrong())?;
        }
        if !endpoint.path().ends_with('/') {
            let path = format!("{}/", endpoint.path());
            endpoint.set_path(&path);
        }
        let amazons = endpoint.host_str().is_some_and(|host| {
            host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
        });
        let style = match options.style {
            Style::Auto if amazons => Style::Virtual,
            Style::Auto => Style::Path,
            chosen => chosen,
        };
        Ok(Self { endpoint, style })
    }

    /// The URL of the server itself, of a bucket, or of an object.
    pub(super) fn url(
        &self,
        bucket: Option<&str>,
        key: Option<&str>,
        query: &[(String, String)],
    ) -> Result<Url, Error> {
        let mut url = self.endpoint.clone();
        let in_host = bucket.filter(|bucket| {
            self.style == Style::Virtual && !(url.scheme() == "https" && bucket.contains('.'))
        });
        let mut path = url.path().to_owned();
        match (bucket, in_host) {
            (_, Some(bucket)) => {
                let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
                url.set_host(Some(&host))
                    .map_err(|_| Error::InvalidBucketName {
                        bucket: bucket.to_owned(),
                    })?;
            }
            (Some(bucket), None) => {
                path.push_str(bucket);
                if key.is_some() {
                    path.push('/');
                }
            }
            (None, None) => {}
        }
        if let Some(key) = key {
            path.extend(utf8_percent_encode(key, PATH));
        }
        url.set_path(&path);
        // A URL has no way to say a path with `.` or `..` in it: it would name another object.
        if url.path() != path {
            return Err(Error::InvalidKey {
                key: key.unwrap_or_default().to_owned(),
            });
        }
        if !query.is_empty() {
            let pairs: Vec<_> = query
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            url.set_query(Some(&pairs.join("&")));
        }
        Ok(url)
    }
}

/// As signatures want names and values of a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// The value of `x-amz-copy-source`.
pub(super) fn source(bucket: &str, key: &str, version: Option<&str>) -> String {
    let key = utf8_percent_encode(key, PATH);
    match version {
        Some(version) => format!("/{bucket}/{key}?versionId={}", encode(version)),
        None => format!("/{bucket}/{key}"),
    }
}

fn amazon(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{suffix}/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(endpoint: &str, region: &str, style: Style) -> Result<Target, OpenError> {
        Target::new(&Options {
            endpoint: Some(endpoint.to_owned()),
            style,
            ..Options::new(region)
        })
    }

    fn url(endpoint: &str, style: Style, bucket: &str) -> String {
        let target = target(endpoint, "eu-west-1", style).unwrap();
        target
            .url(Some(bucket), Some("a b/c"), &[])
            .unwrap()
            .to_string()
    }

    #[test]
    fn amazon_is_told_the_bucket_in_the_host_and_others_in_the_path() {
        assert_eq!(
            url("", Style::Auto, "bucket"),
            "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/c"
        );
        assert_eq!(
            url("https://s3.amazonaws.com", Style::Auto, "bucket"),
            "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/c"
        );
        assert_eq!(
            url("", Style::Auto, "dotted.bucket"),
            "https://s3.eu-west-1.amazonaws.com/dotted.bucket/a%20b/c"
        );
        assert_eq!(
            url("store:9000", Style::Auto, "bucket"),
            "https://store:9000/bucket/a%20b/c"
        );
        assert_eq!(
            url("http://store:9000/base", Style::Path, "bucket"),
            "http://store:9000/base/bucket/a%20b/c"
        );
        assert_eq!(
            url("http://store:9000", Style::Virtual, "dotted.bucket"),
            "http://dotted.bucket.store:9000/a%20b/c"
        );
        assert_eq!(
            url("", Style::Path, "bucket"),
            "https://s3.eu-west-1.amazonaws.com/bucket/a%20b/c"
        );
        let china = Target::new(&Options::new("cn-north-1")).unwrap();
        assert_eq!(
            china.url(None, None, &[]).unwrap().as_str(),
            "https://s3.cn-north-1.amazonaws.com.cn/"
        );
    }

    #[test]
    fn an_endpoint_that_is_none_is_refused_and_its_secrets_are_not_shown() {
        for wrong in ["ftp://store", "http://", "https://store/?list", "::"] {
            assert!(target(wrong, "us-east-1", Style::Auto).is_err(), "{wrong}");
        }
        let error = target("http://user:hidden@store", "us-east-1", Style::Auto).unwrap_err();
        assert!(!error.to_string().contains("hidden"), "{error}");
    }

    #[test]
    fn a_source_of_a_copy_is_encoded_once() {
        assert_eq!(source("b", "a b/+%", None), "/b/a%20b/%2B%25");
        assert_eq!(source("b", "k", Some("a/b")), "/b/k?versionId=a%2Fb");
    }

    proptest! {
        #[test]
        fn a_key_is_named_as_it_is_or_refused(key in "([ab./\\\\%é?#]|\\PC){1,20}") {
            let target = target("http://store:9000/base", "r", Style::Path).unwrap();
            let dots = key.split('/').any(|segment| segment == "." || segment == "..");
            match target.url(Some("bucket"), Some(&key), &[]) {
                Ok(url) => {
                    prop_assert!(!dots);
                    let path = percent_encoding::percent_decode_str(url.path()).decode_utf8().unwrap();
                    prop_assert_eq!(path, format!("/base/bucket/{key}"));
                }
                Err(_) => prop_assert!(dots),
            }
        }
    }
}

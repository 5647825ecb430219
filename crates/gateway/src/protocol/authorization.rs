//! The `Authorization` header of a signed request.
//!
//! Apart from what is computed with it, so that the reader of a text from outside can be fuzzed alone (`fuzz/`).

use super::chunks::{Signature, read_signature};

/// What the `Authorization` header of a signed request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) access_key: &'a str,
    /// Day, region, service and `aws4_request`, divided by `/`.
    pub(super) scope: &'a str,
    pub(super) signature: Signature,
}

impl<'a> Authorization<'a> {
    /// Reads a header of Signature Version 4. Nothing if it is something else.
    pub(super) fn parse(header: &'a str) -> Option<Self> {
        let rest = header.trim().strip_prefix("AWS4-HMAC-SHA256")?;
        let mut fields = rest
            .strip_prefix(|c: char| c.is_ascii_whitespace())?
            .split(',');
        let mut field = |name| fields.next()?.trim().strip_prefix(name);
        let credential: &str = field("Credential=")?;
        let _signed_headers: &str = field("SignedHeaders=")?;
        let signature = read_signature(field("Signature=")?)?;
        if fields.next().is_some() {
            return None;
        }
        let (access_key, scope) = credential.split_once('/')?;
        let mut names = scope.split('/');
        let whole = names.clone().count() == 4 && names.next_back() == Some("aws4_request");
        whole.then_some(Self {
            access_key,
            scope,
            signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of AWS.
    const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
        SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,\
        Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";

    #[test]
    fn only_whole_headers_of_version_4_are_read() {
        let read = Authorization::parse(HEADER).unwrap();
        assert_eq!(read.access_key, "AKIAIOSFODNN7EXAMPLE");
        assert_eq!(read.scope, "20130524/us-east-1/s3/aws4_request");
        for (part, other) in [
            ("AWS4-HMAC-SHA256 ", "AWS "),
            ("Credential=", ""),
            ("SignedHeaders=", "Headers="),
            ("aws4_request", "aws4"),
            ("/20130524", ""),
            ("4f232c43", ""),
            ("Signature=", "Signature=x,Signature="),
        ] {
            assert_eq!(
                Authorization::parse(&HEADER.replace(part, other)),
                None,
                "{part}"
            );
        }
    }
}

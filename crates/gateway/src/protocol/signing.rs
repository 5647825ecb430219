//! Signatures over what follows the head of a request: its chunks and trailers.
//!
//! Each signature covers the one before, so that no chunk can be taken out, added or moved. Since all of them are
//! compared, each can be computed over the one that was *claimed* before it: chunks are judged in any order, and on any
//! thread.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::authorization::Authorization;
use super::broken::Broken;
use super::chunks::{Signature, Trailers};
use crate::backend::seal::Seal;

/// Signs for one day, region and service.
#[derive(Clone)]
struct Signer {
    /// Keyed. Made once for a request: four rounds of HMAC, less than looking it up under a lock would cost.
    mac: Hmac<Sha256>,
    /// As in `x-amz-date`.
    time: String,
    scope: String,
}

impl Signer {
    fn new(secret: &str, scope: &str, time: &str) -> Self {
        let mut key = keyed(format!("AWS4{secret}").as_bytes());
        for name in scope.split('/') {
            key.update(name.as_bytes());
            key = keyed(&key.finalize().into_bytes());
        }
        Self {
            mac: key,
            time: time.to_owned(),
            scope: scope.to_owned(),
        }
    }

    /// Compares in constant time.
    fn matches(&self, claimed: &Signature, kind: &str, parts: &[&str]) -> bool {
        let mut mac = self.mac.clone();
        mac.update(kind.as_bytes());
        for part in [self.time.as_str(), &self.scope].iter().chain(parts) {
            mac.update(b"\n");
            mac.update(part.as_bytes());
        }
        mac.verify_slice(claimed).is_ok()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("keys of any length are possible")
}

/// The chain of signatures of one request.
pub(super) struct Chain {
    signer: Arc<Signer>,
    /// The last that was claimed, at first that of the head of the request, which has been checked.
    last: Signature,
}

impl Chain {
    /// `time` as in `x-amz-date`.
    pub(super) fn new(secret: &str, authorization: &Authorization<'_>, time: &str) -> Self {
        Self {
            signer: Arc::new(Signer::new(secret, authorization.scope, time)),
            last: authorization.signature,
        }
    }

    /// Returns the seal of the next chunk, which claims to be signed so.
    pub(super) fn seal(&mut self, claimed: Signature) -> Seal {
        let signer = Arc::clone(&self.signer);
        let before = hex::encode(std::mem::replace(&mut self.last, claimed));
        Box::new(move |found| {
            let nothing = hex::encode(Sha256::digest(b""));
            let parts = [before.as_str(), &nothing, &hex::encode(found)];
            if signer.matches(&claimed, "AWS4-HMAC-SHA256-PAYLOAD", &parts) {
                Ok(())
            } else {
                Err(Broken::Signature.into())
            }
        })
    }

    /// Checks the trailers behind the last chunk. Unsigned ones are refused.
    pub(super) fn check(&self, trailers: &Trailers) -> Result<(), Broken> {
        let claimed = trailers.signature.ok_or(Broken::Signature)?;
        let digest = hex::encode(Sha256::digest(trailers.canonical()));
        let parts = [&*hex::encode(self.last), &digest];
        if self
            .signer
            .matches(&claimed, "AWS4-HMAC-SHA256-TRAILER", &parts)
        {
            Ok(())
        } else {
            Err(Broken::Signature)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::chunks::read_signature;

    /// The example in the documentation of AWS, "Signature calculations for the Authorization header: transferring payload
    /// in multiple chunks".
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
        SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,\
        Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const CHUNKS: [(usize, &str); 3] = [
        (
            65536,
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        ),
        (
            1024,
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        ),
        (
            0,
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ),
    ];

    fn chain() -> Chain {
        let authorization = Authorization::parse(HEADER).unwrap();
        Chain::new(SECRET, &authorization, "20130524T000000Z")
    }

    fn digest(size: usize) -> [u8; 32] {
        Sha256::digest(vec![b'a'; size]).into()
    }

    #[test]
    fn the_documented_chunks_are_signed_as_documented() {
        let mut chain = chain();
        for (size, signature) in CHUNKS {
            let seal = chain.seal(read_signature(signature).unwrap());
            seal(&digest(size)).unwrap();
        }
    }

    #[test]
    fn chunks_in_another_order_or_with_other_content_are_refused() {
        let signature = |index: usize| read_signature(CHUNKS[index].1).unwrap();
        assert!(chain().seal(signature(0))(&digest(65535)).is_err());
        assert!(chain().seal(signature(1))(&digest(1024)).is_err());
        let mut chain = chain();
        let first = chain.seal(signature(0));
        let left_out = chain.seal(signature(2));
        assert!(left_out(&digest(0)).is_err());
        assert!(first(&digest(65536)).is_ok());
    }

    #[test]
    fn trailers_without_their_signature_are_refused() {
        let mut trailers = Trailers::default();
        assert_eq!(chain().check(&trailers), Err(Broken::Signature));
        trailers.signature = Some([1; 32]);
        assert_eq!(chain().check(&trailers), Err(Broken::Signature));
    }
}

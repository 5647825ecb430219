//! A certificate for the loopback address, and the authority that vouches for it.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Writes `tls.crt`, `tls.key`, and the authority's `ca.crt`.
pub(crate) fn write(folder: &Path) {
    let mut asked = CertificateParams::new(Vec::new()).unwrap();
    asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Whoever vouches for a certificate must not be called as that is.
    let name = "the authority of a test";
    asked.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let authority = asked.self_signed(&key).unwrap();
    let issuer = Issuer::new(asked, key);
    let key = KeyPair::generate().unwrap();
    let asked = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = asked.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
}

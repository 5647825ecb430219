//! A fingerprint of a graph that does not depend on order, batching or the store that holds it.

/// The sum, modulo 2^128, of the hashes of all element versions. Equal graphs have equal digests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest(pub u128);

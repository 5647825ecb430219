//! What Lifeboat calls itself where another part of it has to know it.

/// The gateway in the header `Server` of its answers, by which our clients know it.
pub const GATEWAY: &str = "Lifeboat";

/// The header in which a client of ours tells a gateway that it needs no MD5 as the etag of what it sends.
pub const ETAG_HEADER: &str = "x-lifeboat-etag";
/// What it says in it. A gateway that does not know it computes the MD5.
pub const ETAG_BY_CHECKSUM: &str = "checksum";

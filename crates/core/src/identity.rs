//! What Lifeboat calls itself where another part of it has to know it.

/// The gateway in the header `Server` of its answers, by which our clients know it.
pub const GATEWAY: &str = "Lifeboat";

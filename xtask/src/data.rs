//! Real graphs that any developer's machine has, as topology payloads.

pub(crate) mod crates;
pub(crate) mod debian;
pub(crate) mod payload;

//! The rules of the core as its callers see them.

#[cfg(test)]
mod schedule;

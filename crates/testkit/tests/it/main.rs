//! What the tools of this crate do with the outside world. Each needs a network once, and skips without.

mod debian;
mod python;

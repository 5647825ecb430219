//! What takes long is said while it is done.

use std::fmt;

/// Prints a line to stderr: a person waits, and may wonder for what.
#[expect(
    clippy::print_stderr,
    reason = "the only sign of life of something that takes minutes"
)]
pub(crate) fn say(what: fmt::Arguments<'_>) {
    eprintln!("{what}");
}

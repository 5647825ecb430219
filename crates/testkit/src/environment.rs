//! The environment variables that steer tests: the one place that reads them.

use std::ffi::OsString;
use std::path::PathBuf;

/// The file to which [`skip!`](crate::skip!) appends. Unset: skips are only printed.
pub const SKIP_LOG: &str = "LIFEBOAT_SKIP_LOG";

/// The file to which [`sightings`](crate::sightings) are appended. Unset: they are not kept.
pub const SIGHTINGS_LOG: &str = "LIFEBOAT_SIGHTINGS_LOG";

/// A decimal number that replaces the fixed seed of [`random`](crate::random).
pub const SEED: &str = "LIFEBOAT_TEST_SEED";

/// A decimal number of indices for the test that makes thousands.
pub const INDICES: &str = "LIFEBOAT_TEST_INDICES";

/// The interpreter that tests use instead of the one [`python`](crate::python) would set up.
pub const PYTHON: &str = "LIFEBOAT_TEST_PYTHON";

/// Set to [`NEVER`]: what is not in the cache is an error, at once. The test command sets it when it has fetched
/// everything.
pub const FETCH: &str = "LIFEBOAT_TEST_FETCH";
pub const NEVER: &str = "never";

/// Returns a variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the test tools that reads the environment"
)]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the names of all variables.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the test tools that reads the environment"
)]
pub fn names() -> Vec<OsString> {
    std::env::vars_os().map(|(name, _)| name).collect()
}

/// Returns a variable that holds a path.
pub fn path(name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from)
}

/// Returns the folder for cached files of all programs: `$XDG_CACHE_HOME`, else `~/.cache`.
pub fn cache_home() -> Option<PathBuf> {
    path("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(path("HOME")?.join(".cache")))
}

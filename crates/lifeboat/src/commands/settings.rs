//! Commands on the settings themselves.

pub(crate) mod check;
pub(crate) mod show;

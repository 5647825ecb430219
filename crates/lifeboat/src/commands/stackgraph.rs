//! Commands on topology and settings.

pub(crate) mod backup;
pub(crate) mod expire;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod restore;
pub(crate) mod show;
pub(crate) mod verify;

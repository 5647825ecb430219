//! The Azure backend's own promises, against Azurite, and against what MinIO's gateway of 2021 left there.

pub(crate) mod account;
mod adoption;
mod cuts;
mod faults;
mod identity;
mod listing;
mod names;
mod proxy;
mod sizes;
mod uploads;

//! The rules of the core as its callers see them.

#[cfg(test)]
mod age;
#[cfg(test)]
mod lifecycle_cron;
#[cfg(test)]
mod name;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod schedule;

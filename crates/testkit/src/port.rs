//! A free TCP port of the loopback interface.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// What was returned before. A server listens long after it was told where: by then another one that was told the same would be taken for it.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Returns a loopback address that nobody listened on a moment ago, and that no other caller in this process gets.
///
/// Another program may take it before the caller does: a server that can bind port 0 and say what it got is
/// to be preferred.
pub fn free() -> Result<SocketAddr> {
    // Held meanwhile, so that the next one is another.
    let mut given_before = Vec::new();
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .context("cannot find a free loopback port")?;
        let address = listener.local_addr()?;
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if given.insert(address.port()) {
            return Ok(address);
        }
        given_before.push(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn can_be_bound_by_the_caller() {
        let address = free().unwrap();
        assert!(address.ip().is_loopback());
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn is_given_once() {
        let ports: BTreeSet<u16> = (0..500).map(|_| free().unwrap().port()).collect();
        assert_eq!(ports.len(), 500);
    }
}

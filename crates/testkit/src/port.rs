//! A free TCP port of the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

/// Returns a loopback address that nobody listened on a moment ago.
///
/// Another program may take it before the caller does: a server that can bind port 0 and say what it got is
/// to be preferred.
pub fn free() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free loopback port")?;
    Ok(listener.local_addr()?)
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
}

//! What a gateway needs to start.

use std::net::SocketAddr;
use std::time::Duration;

use crate::auth::Credentials;
use crate::auth::file::Users;
use crate::pace::WINDOW;
use crate::tls;

#[derive(Debug, Clone)]
pub struct Config {
    /// Port 0 lets the system choose; see [`Server::local_addr`](super::Server::local_addr).
    pub listen: SocketAddr,
    /// Whoever signs with one of these may do everything. Not empty.
    pub credentials: Vec<Credentials>,
    /// Who may do less.
    pub users: Users,
    /// The certificate; without one, the port speaks HTTP.
    pub tls: Option<tls::Files>,
    /// How often the files of users and certificate are read again.
    pub reload: Duration,
    /// Created at start where they do not exist.
    pub buckets: Vec<String>,
    /// Uploads in which nothing happened for so long are aborted.
    pub upload_expiry: Duration,
    /// How long requests may go on after shutdown began.
    pub drain: Duration,
    pub limits: Limits,
    /// Where health and metrics are told, if anywhere.
    pub monitor: Option<SocketAddr>,
    /// How often the store is asked how it is. One that has not answered for four times as long is not ready.
    pub probe: Duration,
    /// Where the ids of requests begin: a number of chance, so that those of two runs are not the same.
    pub first_request: u64,
}

/// How much clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most connections served at a time; others wait to be accepted.
    pub connections: usize,
    /// How long a client may take for its part of the handshake of TLS.
    pub handshake: Duration,
    /// How long a client may take to send the head of a request, and a connection may be idle.
    pub head: Duration,
    /// A client that takes next to nothing of its answer for so long is given up.
    pub stall: Duration,
    /// What all buffers of requests may take together, in bytes.
    pub memory: u64,
    /// How long a request waits for its share of the memory before it is told to slow down.
    pub memory_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            stall: WINDOW,
            memory: 192 * 1024 * 1024,
            memory_patience: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// HTTP, no users beside `credentials`, no buckets, no second port; a week for uploads, half a minute to drain.
    pub fn new(listen: SocketAddr, credentials: Vec<Credentials>) -> Self {
        Self {
            listen,
            credentials,
            users: Users::Fixed(Vec::new()),
            tls: None,
            reload: Duration::from_secs(5),
            buckets: Vec::new(),
            upload_expiry: Duration::from_hours(7 * 24),
            drain: Duration::from_secs(30),
            limits: Limits::default(),
            monitor: None,
            probe: Duration::from_secs(10),
            first_request: 0,
        }
    }
}

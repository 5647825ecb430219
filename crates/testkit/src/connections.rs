//! A listener on loopback that gives each connection a thread of its own, until it is dropped.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};

pub(crate) struct Connections {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Connections {
    /// Listens on a free port. A connection that breaks is the client's or the server's to tell.
    pub(crate) fn serve(
        each: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port to listen on")?;
        let address = listener.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        thread::spawn(move || {
            for client in listener.incoming() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let each = each.clone();
                thread::spawn(move || drop(each(client)));
            }
        });
        Ok(Self { address, closed })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

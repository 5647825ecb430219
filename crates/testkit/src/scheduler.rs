//! What the engines' own schedulers of snapshots answer, in front of a real server that has none.
//!
//! No package has snapshot lifecycle management or Snapshot Management for tests, so this stands in for them, after their published interfaces; it keeps policies and whether they
//! run, takes no snapshots, and hands every other request to the server behind it.

mod lifecycle;
mod management;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};

use crate::connections::Connections;
use crate::message::{Body, message};

/// Which of the two it stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of Elasticsearch.
    Lifecycle,
    /// Of OpenSearch.
    Management,
}

/// A stand-in that stands until it is dropped.
pub struct Scheduler {
    connections: Connections,
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    upstream: SocketAddr,
    state: Mutex<State>,
}

/// What it knows.
#[derive(Debug, Default)]
struct State {
    policies: BTreeMap<String, Policy>,
    /// Lifecycle management runs or does not as a whole.
    is_stopped: bool,
    /// So often it says that it is stopping before it is stopped.
    stopping: u32,
    /// All requests that changed something here or behind, as `POST /_slm/stop`.
    changes: Vec<String>,
}

#[derive(Debug)]
struct Policy {
    body: Value,
    version: u64,
    /// What is told of its runs.
    runs: Value,
}

/// An answer.
type Said = (u16, Value);

impl Scheduler {
    /// Stands before the server at `upstream`, on a free port of the loopback interface.
    pub fn start(kind: Kind, upstream: SocketAddr) -> Result<Self> {
        let shared = Arc::new(Shared {
            kind,
            upstream,
            state: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let connections = Connections::serve(move |client| serving.serve(client))?;
        Ok(Self {
            connections,
            shared,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.connections.address()
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.connections.address())
    }

    /// The policy as it was last installed.
    pub fn policy(&self, name: &str) -> Option<Value> {
        let state = self.shared.lock();
        state.policies.get(name).map(|policy| policy.body.clone())
    }

    /// Whether the policy is carried out.
    pub fn is_running(&self, name: &str) -> bool {
        let state = self.shared.lock();
        match self.shared.kind {
            Kind::Lifecycle => !state.is_stopped,
            Kind::Management => state
                .policies
                .get(name)
                .is_some_and(|policy| policy.body["enabled"] == true),
        }
    }

    /// Lets a policy say this of its runs.
    pub fn tell(&self, name: &str, runs: Value) {
        if let Some(policy) = self.shared.lock().policies.get_mut(name) {
            policy.runs = runs;
        }
    }

    /// Requests that changed something, here or at the server behind, since this was last asked.
    pub fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().changes)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection: request after request, each with its answer.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.upstream)?;
        let mut from_client = BufReader::new(client.try_clone()?);
        let mut from_server = BufReader::new(server.try_clone()?);
        let (mut to_client, mut to_server) = (client, server);
        while let Some(request) = message(&mut from_client, Body::OfRequest, &mut |_| Ok(()))? {
            let text = String::from_utf8_lossy(&request).into_owned();
            let mut words = text.split_whitespace();
            let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            if !matches!(method, "GET" | "HEAD") {
                let path = target.split('?').next().unwrap_or_default();
                self.lock().changes.push(format!("{method} {path}"));
            }
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
            let said = match self.kind {
                Kind::Lifecycle => lifecycle::answer(&mut self.lock(), method, target, body),
                Kind::Management => management::answer(&mut self.lock(), method, target, body),
            };
            if let Some((status, body)) = said {
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                to_client.write_all(head.as_bytes())?;
                to_client.write_all(body.as_bytes())?;
                if words.next() == Some("HTTP/1.0") {
                    return Ok(());
                }
                continue;
            }
            to_server.write_all(&request)?;
            let body = if method == "HEAD" {
                Body::None
            } else {
                Body::OfAnswer
            };
            match message(&mut from_server, body, &mut |_| Ok(()))? {
                Some(answer) => to_client.write_all(&answer)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

fn acknowledged() -> Said {
    (200, json!({"acknowledged": true}))
}

fn refused(status: u16, kind: &str, reason: &str) -> Said {
    let cause = json!({"type": kind, "reason": reason});
    let mut error = cause.clone();
    error["root_cause"] = json!([cause]);
    (status, json!({"error": error, "status": status}))
}

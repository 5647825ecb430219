//! The socket by which commands on the same machine ask the process that serves a volume for what only it may do.
//!
//! It is the file `.lifeboat/control` on the volume: whoever owns the volume may connect, nobody needs a key pair. One line
//! of JSON asks, one answers. A socket that nobody listens on is what a killed gateway left.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lifeboat_core::error::Kind;
use rustix::fs::{AtFlags, Mode};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::Local;
use super::trash::{Entry, Occupied, Place, RestoreError};
use super::tree::Directory;

const NAME: &str = "control";
/// The longest request, in bytes.
const LONGEST: u64 = 64 * 1024;
/// How many connections are served at a time.
const MOST: usize = 16;
/// How long a command waits for an answer. A restore waits for the disk.
const PATIENCE: Duration = Duration::from_mins(5);

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    Who,
    Restore { place: Place, occupied: Occupied },
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Serving { process: u32 },
    Restored(Box<Entry>),
    Gone { id: String },
    Occupied { bucket: String, key: String },
    Failed(Refusal),
}

/// Why the gateway did not do what it was asked, in its own words.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    #[serde(with = "kind")]
    kind: Kind,
    /// Each cause after the one before.
    causes: Vec<String>,
}

impl Refusal {
    fn of(error: &RestoreError) -> Self {
        let mut causes = vec![error.to_string()];
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self {
            kind: error.kind(),
            causes,
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.causes.join(": "))
    }
}

/// Listens until it is dropped.
pub(super) struct Listener {
    listener: UnixListener,
}

impl Listener {
    /// Opens the socket, in place of one that an earlier process left.
    pub(super) fn open(home: &Directory) -> io::Result<Self> {
        match home.remove_file(NAME) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path(home))?;
        rustix::fs::chmodat(home, NAME, Mode::from_raw_mode(0o600), AtFlags::empty())?;
        Ok(Self { listener })
    }

    /// Answers for `local` until it is dropped.
    pub(super) async fn answer(self, local: &Local) {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= MOST {
                connections.join_next().await;
            }
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, local.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection of a command");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn converse(mut stream: tokio::net::UnixStream, local: Local) {
    let (read, mut write) = stream.split();
    let mut requests = tokio::io::BufReader::new(read);
    loop {
        let mut line = String::new();
        let length = (&mut requests).take(LONGEST).read_line(&mut line).await;
        let request = match (length, serde_json::from_str(&line)) {
            (Ok(1..), Ok(request)) => request,
            (Ok(1..), Err(error)) => {
                tracing::warn!(%error, "a command asked what is not understood");
                return;
            }
            _ => return,
        };
        let answer = answer(&local, request).await;
        let mut bytes = serde_json::to_vec(&answer).expect("an answer is plain text and numbers");
        bytes.push(b'\n');
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn answer(local: &Local, request: Request) -> Answer {
    match request {
        Request::Who => Answer::Serving {
            process: std::process::id(),
        },
        Request::Restore { place, occupied } => match local.restore(place, occupied).await {
            Ok(entry) => {
                tracing::info!(
                    bucket = entry.bucket,
                    key = entry.key,
                    "restored from the trash"
                );
                Answer::Restored(Box::new(entry))
            }
            Err(RestoreError::NoEntry { id }) => Answer::Gone { id },
            Err(RestoreError::Occupied { bucket, key }) => Answer::Occupied { bucket, key },
            Err(error) => Answer::Failed(Refusal::of(&error)),
        },
    }
}

/// The way from a command to the process that serves a volume.
#[derive(Debug)]
pub(super) struct Line {
    stream: BufReader<UnixStream>,
    process: u32,
}

impl Line {
    /// Nothing if nobody answers.
    pub(super) fn open(home: &Directory) -> io::Result<Option<Self>> {
        let stream = match UnixStream::connect(path(home)) {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = Self {
            stream: BufReader::new(stream),
            process: 0,
        };
        match line.ask(&Request::Who)? {
            Answer::Serving { process } => line.process = process,
            other => return Err(unexpected(&other)),
        }
        Ok(Some(line))
    }

    /// The number of the process that serves.
    pub(super) fn process(&self) -> u32 {
        self.process
    }

    pub(super) fn restore(
        &mut self,
        place: &Place,
        occupied: Occupied,
    ) -> Result<Entry, RestoreError> {
        let request = Request::Restore {
            place: place.clone(),
            occupied,
        };
        let wrap = crate::backend::Error::io("asking the gateway that serves the volume");
        match self.ask(&request).map_err(&wrap)? {
            Answer::Restored(entry) => Ok(*entry),
            Answer::Gone { id } => Err(RestoreError::NoEntry { id }),
            Answer::Occupied { bucket, key } => Err(RestoreError::Occupied { bucket, key }),
            Answer::Failed(refusal) => Err(RestoreError::Refused(refusal)),
            other @ Answer::Serving { .. } => Err(wrap(unexpected(&other)).into()),
        }
    }

    fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        let mut bytes = serde_json::to_vec(request).map_err(io::Error::from)?;
        bytes.push(b'\n');
        self.stream.get_mut().write_all(&bytes)?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

fn unexpected(answer: &Answer) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it answered what was not asked: {answer:?}"),
    )
}

/// By way of the open directory, because the path of a socket has at most 107 bytes and that of a volume may be longer.
fn path(home: &Directory) -> String {
    use std::os::fd::AsFd as _;
    format!("/proc/self/fd/{}/{NAME}", home.as_fd().as_raw_fd())
}

/// Kinds as words.
mod kind {
    use lifeboat_core::error::Kind;
    use serde::{Deserialize as _, Deserializer, Serializer};

    const KINDS: [Kind; 6] = [
        Kind::Invalid,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Unavailable,
        Kind::Damaged,
        Kind::Bug,
    ];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(kind)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let text = String::deserialize(from)?;
        KINDS
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no kind of error")))
    }
}

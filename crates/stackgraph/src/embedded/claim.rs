//! Who may work on a store at the same time, and who does.
//!
//! Two empty files carry locks of the operating system, which end with their process: `LOCK` is shared by all who
//! read or write and exclusive to a restore, `WRITER` is exclusive to the one writer. So that a refusal can say who
//! stands in the way, each holder also keeps a file of its own in `holders/`, locked as long as it lives; a text
//! whose lock is free belongs to a process that was killed, and is not believed.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use crate::error::Error;

/// Who opens a store: what others are told while they have to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// What was asked for, for example `stackgraph restore`.
    pub command: String,
    pub host: String,
    pub since: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` (process {} on `{}`) since {:.0}",
            self.command, self.pid, self.host, self.since
        )
    }
}

/// What the holder of a claim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Goes together with readers and a writer.
    Read,
    /// Goes together with readers.
    Write,
    /// Goes together with nothing.
    Replace,
}

/// The right to work on a store, given back when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    _locks: Vec<File>,
    /// None where the store's directory cannot be written to: then others are refused without a name.
    _card: Option<Card>,
}

/// One holder's file in `holders/`.
#[derive(Debug)]
struct Card {
    path: PathBuf,
    _file: File,
}

impl Drop for Card {
    fn drop(&mut self) {
        // What stays is not believed and is removed by the next restore.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Claim {
    /// Takes the locks without waiting. The directory must exist. Fails with [`Error::Held`] where another stands in
    /// the way.
    pub(super) fn take(store: &Path, purpose: Purpose, holder: &Holder) -> Result<Self, Error> {
        let mut locks = vec![lock(store, "LOCK", purpose == Purpose::Replace)?];
        if purpose == Purpose::Write {
            locks.push(lock(store, "WRITER", true)?);
        }
        let holders = store.join("holders");
        if purpose == Purpose::Replace && holders.exists() {
            std::fs::remove_dir_all(&holders)
                .map_err(io(|| format!("cannot remove `{}`", holders.display())))?;
        }
        Ok(Self {
            _locks: locks,
            _card: Card::write(&holders, purpose, holder),
        })
    }
}

impl Card {
    fn write(holders: &Path, purpose: Purpose, holder: &Holder) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let role = match purpose {
            Purpose::Read => "read",
            Purpose::Write => "write",
            Purpose::Replace => "replace",
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = holders.join(format!("{role}-{}-{number}", holder.pid));
        std::fs::create_dir_all(holders).ok()?;
        let mut file = File::create(&path).ok()?;
        file.try_lock().ok()?;
        let card = Self {
            path,
            _file: file.try_clone().ok()?,
        };
        file.write_all(holder.to_string().as_bytes()).ok()?;
        Some(card)
    }
}

fn lock(store: &Path, name: &str, exclusive: bool) -> Result<File, Error> {
    let path = store.join(name);
    let file = match OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
    {
        // A reader needs no right to write.
        Err(error) if !exclusive && error.kind() != std::io::ErrorKind::NotFound => {
            File::open(&path)
        }
        opened => opened,
    }
    .map_err(io(|| format!("cannot open `{}`", path.display())))?;
    let locked = if exclusive {
        file.try_lock()
    } else {
        file.try_lock_shared()
    };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Held {
            path: store.to_owned(),
            holder: in_the_way(store, name, exclusive),
        }),
        Err(TryLockError::Error(source)) => Err(Error::Io {
            doing: format!("cannot lock `{}`", path.display()),
            source,
        }),
    }
}

/// Names who holds the lock: a restore for those who share, any other for a restore, the writer for a writer.
fn in_the_way(store: &Path, name: &str, exclusive: bool) -> String {
    let wanted = match (name, exclusive) {
        ("WRITER", _) => "write-",
        (_, false) => "replace-",
        (_, true) => "",
    };
    let mut texts: Vec<String> = std::fs::read_dir(store.join("holders"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(wanted))
        .filter_map(|entry| living(&entry.path()))
        .collect();
    texts.sort();
    match texts.len() {
        0 => "another process".to_owned(),
        1..=3 => texts.join(", "),
        more => format!("{} and {} more", texts[..3].join(", "), more - 3),
    }
}

/// Returns a card's text if its process lives.
fn living(card: &Path) -> Option<String> {
    let mut file = File::open(card).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}

/// Gives an I/O error its sentence.
pub(super) fn io(doing: impl FnOnce() -> String) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io {
        doing: doing(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(command: &str) -> Holder {
        Holder {
            pid: 4711,
            command: command.to_owned(),
            host: "node-1".to_owned(),
            since: Timestamp::from_second(1_700_000_000).unwrap(),
        }
    }

    fn refusal(store: &Path, purpose: Purpose) -> String {
        Claim::take(store, purpose, &holder("x"))
            .unwrap_err()
            .to_string()
            .replace(&store.display().to_string(), "STORE")
    }

    #[test]
    fn a_restore_goes_together_with_nothing_and_is_named() {
        let store = tempfile::tempdir().unwrap();
        let restore = Claim::take(
            store.path(),
            Purpose::Replace,
            &holder("stackgraph restore"),
        )
        .unwrap();
        for purpose in [Purpose::Read, Purpose::Write, Purpose::Replace] {
            insta::allow_duplicates! {
                insta::assert_snapshot!(
                    refusal(store.path(), purpose),
                    @"the store `STORE` is held by `stackgraph restore` (process 4711 on `node-1`) since 2023-11-14T22:13:20Z"
                );
            }
        }
        drop(restore);
        Claim::take(store.path(), Purpose::Read, &holder("stackgraph backup")).unwrap();
    }

    #[test]
    fn readers_and_one_writer_go_together_and_keep_a_restore_out() {
        let store = tempfile::tempdir().unwrap();
        let take = |purpose, command| Claim::take(store.path(), purpose, &holder(command)).unwrap();
        let _reader = take(Purpose::Read, "stackgraph backup");
        let _writer = take(Purpose::Write, "stackgraph load");
        let _another = take(Purpose::Read, "stackgraph show");
        insta::assert_snapshot!(
            refusal(store.path(), Purpose::Write),
            @"the store `STORE` is held by `stackgraph load` (process 4711 on `node-1`) since 2023-11-14T22:13:20Z"
        );
        let all = refusal(store.path(), Purpose::Replace);
        for command in ["stackgraph backup", "stackgraph load", "stackgraph show"] {
            assert!(all.contains(command), "{all}");
        }
    }

    #[test]
    fn what_a_killed_process_left_is_not_believed() {
        let store = tempfile::tempdir().unwrap();
        let holders = store.path().join("holders");
        std::fs::create_dir(&holders).unwrap();
        std::fs::write(holders.join("replace-1-0"), "`stackgraph restore`").unwrap();
        let _reader = Claim::take(store.path(), Purpose::Read, &holder("stackgraph show")).unwrap();
        let text = refusal(store.path(), Purpose::Replace);
        assert!(text.contains("show") && !text.contains("restore"), "{text}");
    }
}

//! A child process that is waited for by what it does, and that never outlives its owner.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Resource, Signal, WaitId, WaitIdOptions, getrlimit, kill_process, waitid,
};

/// How long a process may take to end after SIGTERM before it gets SIGKILL. Long enough for a server that writes what it has to a disk that others use.
const GRACE: Duration = Duration::from_mins(2);

/// How long output may still come after the end: a grandchild may hold the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How often a server that does not answer yet is asked again.
const KNOCK: Duration = Duration::from_millis(20);

/// A running process. Its output is kept in memory, or in a file. Dropping it ends it: SIGTERM, then SIGKILL.
///
/// It stays in the group of its owner, so that Ctrl-C on the terminal reaches it too.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    name: String,
    watched: Arc<Watched>,
    log: Option<PathBuf>,
}

/// How a process ended and all it printed.
#[derive(Debug, Clone)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Debug, Default)]
struct Watched {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    open_pipes: usize,
    /// The process has ended but is not reaped: its id cannot belong to another one yet.
    ended: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

/// How many files a process that is started here may have open, if it asks for all it may.
pub fn open_files() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

impl Process {
    /// Starts the command with no input and with both outputs captured.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut process = Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        process.watched.lock().open_pipes = 2;
        let stdout = process.child.stdout.take().expect("stdout was asked for");
        let stderr = process.child.stderr.take().expect("stderr was asked for");
        thread::spawn({
            let watched = Arc::clone(&process.watched);
            move || watched.collect(stdout, Stream::Stdout)
        });
        thread::spawn({
            let watched = Arc::clone(&process.watched);
            move || watched.collect(stderr, Stream::Stderr)
        });
        Ok(process)
    }

    /// Starts the command with no input and with both outputs appended to a file: for what runs long and says much.
    pub fn start_logging(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write the log `{}`", log.display()))?;
        let mut process = Self::spawn(command.stdout(file.try_clone()?).stderr(file))?;
        process.log = Some(log.to_owned());
        Ok(process)
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start `{name}`"))?;
        let pid = Pid::from_child(&child);
        let watched = Arc::new(Watched::default());
        thread::spawn({
            let watched = Arc::clone(&watched);
            move || watched.note_end(pid)
        });
        Ok(Self {
            child,
            pid,
            name,
            watched,
            log: None,
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a whole line, of either output, in which `find` sees what it looks for. Fails, with all output, when
    /// the process ends or the time is over before.
    pub fn wait_for_line<T>(
        &self,
        timeout: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let mut found = None;
        let state = self.watched.wait_until(timeout, |state| {
            found = state.lines().find_map(|line| find(&line));
            found.is_some() || (state.ended && state.open_pipes == 0)
        });
        found.with_context(|| self.explain("did not print what was waited for", timeout, &state))
    }

    /// The whole lines that it printed so far.
    pub fn printed(&self) -> Vec<String> {
        self.watched.lock().lines().collect()
    }

    /// Waits until the process accepts connections. Fails, with all output, when it ends or the time is over before.
    pub fn wait_until_listening(&self, address: SocketAddr, timeout: Duration) -> Result<()> {
        self.wait_until(&format!("listen on {address}"), timeout, || {
            TcpStream::connect_timeout(&address, timeout).is_ok()
        })
    }

    /// Asks again and again until the answer is yes. Fails, with all output, when the process ends or the time is
    /// over before. `what` completes the sentence "it did not …".
    pub fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        mut reached: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            if reached() {
                return Ok(());
            }
            let state = self.watched.wait_until(KNOCK, |state| state.ended);
            if state.ended || Instant::now() >= deadline {
                bail!(self.explain(&format!("did not {what}"), timeout, &state));
            }
        }
    }

    /// Waits for the end, but not longer than `timeout`. Returns whether the process has ended.
    pub fn ends_within(&self, timeout: Duration) -> bool {
        self.watched.wait_until(timeout, |state| state.ended).ended
    }

    /// Waits for the end, however long it takes.
    pub fn finish(mut self) -> Result<Finished> {
        while !self.ends_within(Duration::from_hours(1)) {}
        self.reap()
    }

    /// Asks the process to end and waits until it has; after two minutes it is killed.
    pub fn stop(mut self) -> Result<Finished> {
        self.end();
        self.reap()
    }

    /// Ends the process with SIGKILL, at whatever instruction it is.
    pub fn kill(mut self) -> Result<Finished> {
        self.signal(Signal::KILL);
        self.reap()
    }

    fn end(&self) {
        self.signal(Signal::TERM);
        if !self.ends_within(GRACE) {
            self.signal(Signal::KILL);
        }
    }

    /// It is not reaped before it is dropped, so its id cannot be another's.
    fn signal(&self, signal: Signal) {
        // The only failure left is that it ended by itself, which is what is wanted.
        let _ended = kill_process(self.pid, signal);
    }

    fn reap(&mut self) -> Result<Finished> {
        let status = self
            .child
            .wait()
            .with_context(|| format!("cannot wait for `{}`", self.name))?;
        let mut state = self
            .watched
            .wait_until(LAST_WORDS, |state| state.open_pipes == 0);
        Ok(Finished {
            status,
            stdout: text(std::mem::take(&mut state.stdout)),
            stderr: text(std::mem::take(&mut state.stderr)),
        })
    }

    fn explain(&self, what: &str, timeout: Duration, state: &State) -> String {
        let end = if state.ended {
            "it ended".to_owned()
        } else {
            format!("after {} s it still ran", timeout.as_secs_f32())
        };
        let said = match &self.log {
            Some(log) => last_lines(log),
            None => state.lines().collect::<Vec<String>>().join("\n"),
        };
        format!("`{}` {what}; {end}; it printed:\n{said}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing to do if it was reaped: `Child` then returns the status it knows.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
            let _status = self.child.wait();
        }
    }
}

impl Finished {
    /// Returns what was printed, or an error with what was complained about.
    pub fn success(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        bail!("{self}")
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for output in [&self.stdout, &self.stderr] {
            if !output.trim().is_empty() {
                write!(f, "\n{}", output.trim_end())?;
            }
        }
        Ok(())
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a condition or for the end of the time, whatever comes first, and returns the state of then.
    fn wait_until(
        &self,
        timeout: Duration,
        mut reached: impl FnMut(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        self.changed
            .wait_timeout_while(self.lock(), timeout, |state| !reached(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn collect(&self, mut pipe: impl Read, stream: Stream) {
        let mut buffer = vec![0; 64 * 1024];
        // A pipe that cannot be read is at its end for us.
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            let mut state = self.lock();
            match stream {
                Stream::Stdout => state.stdout.extend_from_slice(&buffer[..count]),
                Stream::Stderr => state.stderr.extend_from_slice(&buffer[..count]),
            }
            self.changed.notify_all();
        }
        self.lock().open_pipes -= 1;
        self.changed.notify_all();
    }

    fn note_end(&self, pid: Pid) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(
            waitid(WaitId::Pid(pid), options),
            Err(rustix::io::Errno::INTR)
        ) {}
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

impl State {
    /// The whole lines so far, those of stdout first.
    fn lines(&self) -> impl Iterator<Item = String> {
        [&self.stdout, &self.stderr]
            .into_iter()
            .flat_map(|bytes| bytes.split_inclusive(|byte| *byte == b'\n'))
            .filter(|line| self.ended || line.ends_with(b"\n"))
            .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
    }
}

/// Runs a command to its end and returns what it printed. The error has the last lines of what it complained about.
pub fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    succeeded(&name, Process::start(command)?.finish()?)
}

fn succeeded(name: &str, finished: Finished) -> Result<String> {
    const LINES: usize = 12;
    if !finished.status.success() {
        let lines: Vec<&str> = finished.stderr.trim().lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        bail!("`{name}` failed ({}): {}", finished.status, last.join("\n"));
    }
    Ok(finished.stdout)
}

/// Like [`run`], but a command that takes longer is ended, and has failed.
pub fn run_within(command: &mut Command, timeout: Duration) -> Result<String> {
    let name = command.get_program().display().to_string();
    let process = Process::start(command)?;
    if !process.ends_within(timeout) {
        let _finished = process.stop();
        bail!("`{name}` took longer than {} s", timeout.as_secs());
    }
    succeeded(&name, process.finish()?)
}

/// Returns the end of a log, for a person.
pub fn last_lines(log: &Path) -> String {
    const LINES: usize = 40;
    let text = fs::read(log).map(text).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::test_kill_process;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn shell(script: &str) -> Process {
        Process::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn waits_for_a_line_and_not_for_time() {
        let process = shell("echo starting; echo ready on 7; exec tail -f /dev/null");
        let port = process
            .wait_for_line(LONG, |line| {
                line.strip_prefix("ready on ")?.parse::<u16>().ok()
            })
            .unwrap();
        assert_eq!(port, 7);
    }

    #[test]
    fn a_line_that_never_comes_is_explained_with_what_was_printed() {
        let process = shell("echo out of luck >&2; exit 3");
        let error = process
            .wait_for_line(LONG, |line| line.strip_prefix("ready").map(drop))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh` did not print what was waited for; it ended; it printed:\nout of luck"
        );
    }

    #[test]
    fn a_server_that_ends_is_not_waited_for() {
        let process = shell("exit 1");
        let address = crate::port::free().unwrap();
        assert!(process.wait_until_listening(address, LONG).is_err());
    }

    #[test]
    fn a_log_takes_both_outputs_and_explains_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2"]);
        let process = Process::start_logging(&mut command, &log).unwrap();
        let error = process.wait_until("get ready", LONG, || false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh` did not get ready; it ended; it printed:\none\ntwo"
        );
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "exec tail -f /dev/null"]);
        let error = run_within(&mut command, Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "`sh` took longer than 0 s");
    }

    #[test]
    fn stopping_asks_first() {
        let process = shell("trap 'echo goodbye; exit 0' TERM; echo ready; while :; do :; done");
        process
            .wait_for_line(LONG, |line| (line == "ready").then_some(()))
            .unwrap();
        let finished = process.stop().unwrap().success().unwrap();
        assert_eq!(finished.stdout, "ready\ngoodbye\n");
    }

    #[test]
    fn killing_does_not_ask() {
        let process = shell("trap '' TERM; echo ready; while :; do :; done");
        process
            .wait_for_line(LONG, |line| (line == "ready").then_some(()))
            .unwrap();
        assert_eq!(process.kill().unwrap().status.signal(), Some(9));
    }

    #[test]
    fn does_not_outlive_its_owner() {
        let process = shell("exec tail -f /dev/null");
        let pid = process.pid;
        test_kill_process(pid).unwrap();
        drop(process);
        assert!(test_kill_process(pid).is_err());
    }

    #[test]
    fn a_long_complaint_is_cut_to_its_end() {
        let error = run(Command::new("sh").args(["-c", "seq 100 >&2; exit 1"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("`sh` failed (exit status: 1): 89\n"),
            "{text}"
        );
        assert!(text.ends_with("\n100"), "{text}");
    }

    #[test]
    fn a_failure_carries_both_outputs() {
        let finished = shell("echo 12; echo no such bucket >&2; exit 4")
            .finish()
            .unwrap();
        let error = finished.success().unwrap_err();
        assert_eq!(error.to_string(), "exit status: 4\n12\nno such bucket");
    }
}

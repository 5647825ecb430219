//! Signals: the first one asks the work to stop and undo, another one ends the program.

use std::fs;
use std::time::{Duration, Instant};

use lifeboat_testkit::process::Process;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::World;

/// With these a backup is as long as some parts of an upload, so that it does not end before it is looked at.
const NOISY_COMPONENTS: usize = 150_000;
const SOON: Duration = Duration::from_mins(1);
const KNOCK: Duration = Duration::from_millis(100);

/// It is not reaped before it is dropped, so its id cannot be another's.
fn send(process: &Process, signal: Signal) {
    let id = i32::try_from(process.id()).unwrap();
    let pid = Pid::from_raw(id).unwrap();
    kill_process(pid, signal).ok();
}

fn uploads(world: &World) -> usize {
    let folder = world.volume().join(".lifeboat/uploads");
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn another_signal_ends_what_waits_for_a_server_that_says_nothing() {
    let mut world = World::new();
    world.load_noise(NOISY_COMPONENTS);
    let gateway = world.take_gateway();
    let backup = ["stackgraph", "backup", "--name", "stopped.graph"];
    let process = Process::start(&mut world.command(&backup)).unwrap();
    process
        .wait_until("begin its upload", SOON, || uploads(&world) > 0)
        .unwrap();
    // From here on it can neither go on nor undo.
    send(&gateway, Signal::STOP);
    send(&process, Signal::TERM);
    let stopping = |line: &str| {
        line.contains("another signal ends this at once")
            .then_some(())
    };
    process.wait_for_line(SOON, stopping).unwrap();
    let begun = Instant::now();
    // The first of them may be taken for the same wish.
    while !process.ends_within(KNOCK) {
        send(&process, Signal::INT);
        assert!(begun.elapsed() < SOON, "{:?}", process.printed());
    }
    let ended = process.finish().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{ended}");
    assert!(
        ended.stderr.contains("given up at another signal"),
        "{ended}"
    );
    send(&gateway, Signal::CONT);

    // As after a kill: nothing is listed, and the next run ends well.
    assert_eq!(world.listed(), Vec::<String>::new());
    world.ok(&backup);
    assert_eq!(world.listed(), ["stopped.graph"]);
}

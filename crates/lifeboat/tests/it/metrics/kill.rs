//! A backup ended at each of its requests to the bucket, before and after the server has seen it: at no instant is the bucket
//! without a backup that restores.

use std::fs;
use std::sync::{Arc, Mutex};

use lifeboat_testkit::process::{Finished, Process};
use lifeboat_testkit::servers::victoria_metrics::Release;
use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};

use super::restore::release_lease;
use super::{INSTANCE, Metrics, import, samples, snapshots};
use crate::killed;

const RELEASE: Release = Release::V1_112;

/// Runs a backup whose requests go through the turnstile.
fn back_up_through(metrics: &Metrics, gate: &Turnstile, stop: Option<Stop>) -> bool {
    let mut command = metrics
        .world
        .command(&["victoria-metrics", "backup", INSTANCE]);
    command
        .arg("--set")
        .arg(format!("lifeboat.endpoint={}", gate.endpoint()));
    killed::runs_to_its_end(gate, stop, &mut command)
}

fn some_backup_restores_wherever_a_run_is_killed(metrics: &mut Metrics, version: &str) {
    let address = metrics
        .world
        .endpoint()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let gate = Turnstile::start(address).unwrap();
    let mut round = 0;
    let mut request = 1;
    let mut killed = 0;
    loop {
        let mut whole = false;
        for moment in [Moment::Before, Moment::After] {
            // Something new, so that there is something to do.
            import(metrics.server(), &format!("round{round}"), 1, 20);
            round += 1;
            whole = back_up_through(metrics, &gate, Some(Stop { request, moment }));
            killed += usize::from(!whole);
            assert_eq!(
                metrics.listed(),
                [version],
                "killed {moment:?} request {request}"
            );
            let verify = ["victoria-metrics", "verify", INSTANCE, version, "--deep"];
            let seen = metrics.world.run(&verify);
            assert_eq!(
                seen.code, 0,
                "killed {moment:?} request {request}: {}{}",
                seen.stdout, seen.stderr
            );
            release_lease(metrics);
        }
        if whole {
            break;
        }
        request += 1;
    }
    assert!(
        killed > 60,
        "only {killed} runs were killed, of {request} requests"
    );
    assert!(back_up_through(metrics, &gate, None));
    metrics.halt();
    metrics.wipe();
    metrics.restore(version);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "old"), 400);
    assert_eq!(samples(metrics.server(), "round0"), 20);
}

/// A server with samples, and the version of their backup.
fn backed_up() -> Option<(Metrics, String)> {
    let metrics = Metrics::start(RELEASE)?;
    import(metrics.server(), "old", 2, 200);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    Some((metrics, version))
}

#[test]
fn over_a_backup_of_ours() {
    let Some((mut metrics, version)) = backed_up() else {
        return;
    };
    some_backup_restores_wherever_a_run_is_killed(&mut metrics, &version);
}

#[test]
fn over_a_backup_of_vmbackup() {
    // The label is what a backup of ours continues.
    let Some((mut metrics, version)) = backed_up() else {
        return;
    };
    fs::remove_dir_all(metrics.stored(&version)).unwrap();
    metrics.vmbackup(RELEASE, &version);
    some_backup_restores_wherever_a_run_is_killed(&mut metrics, &version);
}

/// Asked to end at any of its requests, it takes its snapshot with it and lets others write at once.
#[test]
fn a_backup_that_is_asked_to_end_leaves_no_snapshot_and_no_lease() {
    let Some((mut metrics, version)) = backed_up() else {
        return;
    };
    let address = metrics
        .world
        .endpoint()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let gate = Turnstile::start(address).unwrap();
    let mut ended = 0;
    for request in [3, 8, 12, 16, 20, 24] {
        import(metrics.server(), &format!("more{request}"), 1, 20);
        let running: Arc<Mutex<Option<Process>>> = Arc::default();
        let left: Arc<Mutex<Option<Finished>>> = Arc::default();
        let (process, code) = (Arc::clone(&running), Arc::clone(&left));
        let action: Box<dyn FnOnce() + Send> = Box::new(move || {
            let process = process.lock().unwrap().take().unwrap();
            *code.lock().unwrap() = Some(process.stop().unwrap());
        });
        let moment = Moment::Before;
        gate.reset(Some((Stop { request, moment }, action)));
        let mut command = metrics
            .world
            .command(&["victoria-metrics", "backup", INSTANCE]);
        command
            .arg("--set")
            .arg(format!("lifeboat.endpoint={}", gate.endpoint()));
        {
            let mut place = running.lock().unwrap();
            *place = Some(Process::start(&mut command).unwrap());
        }
        let begun = std::time::Instant::now();
        while left.lock().unwrap().is_none() {
            assert!(
                begun.elapsed() < std::time::Duration::from_mins(1),
                "request {request} never came"
            );
            std::thread::yield_now();
        }
        let finished = left.lock().unwrap().take().unwrap();
        assert_eq!(
            finished.status.code(),
            Some(130),
            "request {request}: {finished}"
        );
        ended += 1;
        assert_eq!(snapshots(metrics.server()), 0, "request {request}");
        let lease = metrics.stored("victoria-metrics-0-lifeboat_lease.ignore");
        // Stopped while it is taken, it ends by itself.
        assert!(request < 5 || !lease.exists(), "request {request}");
        release_lease(&metrics);
        metrics
            .world
            .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    }
    assert_eq!(ended, 6);
    metrics.halt();
}

//! When the data from before a restore may go: only once the server that has the folder open has what the backup held.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, UNIX_EPOCH};

use lifeboat_testkit::process::Process;
use lifeboat_testkit::servers::victoria_metrics::{self, Release, Unusual};
use rustix::process::{Pid, Signal, kill_process};

use super::{INSTANCE, Metrics, import, import_at, samples, snapshots};

const CONFIRM: [&str; 3] = ["victoria-metrics", "confirm", INSTANCE];

impl Metrics {
    /// Whether the data from before the restore is there yet.
    fn has_previous(&self) -> bool {
        self.data().join(".lifeboat-restore/previous/data").exists()
    }
}

/// A server of `release` on a restored backup of `old`; what was there before, `new`, lies beside.
fn restored(release: Release) -> Option<(Metrics, String)> {
    let mut metrics = Metrics::start(release)?;
    import(metrics.server(), "old", 2, 400);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(release));
    import(metrics.server(), "new", 1, 300);
    metrics.halt();
    metrics.restore(&version);
    assert!(metrics.boot(release));
    Some((metrics, version))
}

/// Both of a pair were restored from one backup: nothing that they say of their data tells them apart.
fn the_other_of_a_pair_confirms_nothing(release: Release) {
    let Some((metrics, version)) = restored(release) else {
        return;
    };
    let folder = metrics.write_mirror();
    metrics.world.ok(&[
        "-f",
        "mirror.yaml",
        "victoria-metrics",
        "restore",
        "victoria-metrics-1",
        &version,
        "--from",
        INSTANCE,
        "--yes",
    ]);
    let mirror = victoria_metrics::start(&folder, release).unwrap();
    assert_eq!(samples(&mirror, "old"), 800);
    let url = format!("lifeboat.victoria-metrics-0.url={}", mirror.endpoint());
    let text = metrics
        .world
        .seen(&[&["--set", &url][..], &CONFIRM].concat())
        .replace(mirror.endpoint(), "[MIRROR]");
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @"
        exit code 4
        --- stdout
        --- stderr
        error: the server at [MIRROR] has other data open than `[FOLDER]/metrics/data`
        hint: nothing was removed; correct `lifeboat.victoria-metrics-0.url` or `.path`: they have to be those of one and the same server
        ");
    }
    assert!(metrics.has_previous());
    assert_eq!(snapshots(&mirror), 0, "the snapshot was left");
    mirror.stop().unwrap();
    assert_eq!(metrics.world.json(&CONFIRM)["previous_removed"], true);
    assert!(!metrics.has_previous());
    assert_eq!(snapshots(metrics.server()), 0, "the snapshot was left");
    assert!(
        fs::read_dir(metrics.data().join("snapshots"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn the_other_of_a_pair_confirms_nothing_at_1_79() {
    the_other_of_a_pair_confirms_nothing(Release::V1_79);
}

#[test]
fn the_other_of_a_pair_confirms_nothing_at_1_112() {
    the_other_of_a_pair_confirms_nothing(Release::V1_112);
}

#[test]
fn the_other_of_a_pair_confirms_nothing_at_1_145() {
    the_other_of_a_pair_confirms_nothing(Release::V1_145);
}

fn now() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    now.as_secs()
}

/// Both the backup and what came in since are of today, and the index of servers is by day.
#[test]
fn what_comes_in_today_does_not_speak_for_a_server_that_finds_nothing() {
    let Some(mut metrics) = Metrics::start(Release::V1_145) else {
        return;
    };
    import_at(metrics.server(), "old", now() - 900, 800);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    let override_it = ["--server-version", "1.145.0"];
    metrics.world.ok(&[&restore[..], &override_it].concat());
    if !metrics.boot(Release::V1_112) {
        return;
    }
    assert_eq!(samples(metrics.server(), "old"), 0);
    import_at(metrics.server(), "live", now() + 2, 900);
    for more in [&[][..], &["--accept-fewer"]] {
        let seen = metrics.world.run(&[&CONFIRM, more].concat());
        assert_eq!(seen.code, 6, "{}{}", seen.stdout, seen.stderr);
        assert!(seen.stderr.contains("finds no sample"), "{}", seen.stderr);
        assert!(metrics.has_previous());
    }
    metrics.halt();
    assert!(metrics.boot(Release::V1_145));
    assert_eq!(samples(metrics.server(), "old"), 800);
    let confirmed = metrics.world.json(&CONFIRM);
    assert_eq!(confirmed["previous_removed"], true);
}

/// Takes the samples of a month away from a server that does not run. They are months of the tests, or that of the label of backups.
fn lose(metrics: &Metrics, which: impl Fn(&str) -> bool) {
    let months = fs::read_dir(metrics.data().join("data/small")).unwrap();
    for month in months.map(|month| month.unwrap().path()) {
        let list = month.join("parts.json");
        if list.exists() && which(month.file_name().unwrap().to_str().unwrap()) {
            fs::write(&list, "{\"Small\":[],\"Big\":[]}").unwrap();
        }
    }
}

fn what_comes_in_does_not_hide_what_was_lost(release: Release) {
    let Some((mut metrics, _)) = restored(release) else {
        return;
    };
    metrics.halt();
    lose(&metrics, |month| month == "2023_11");
    assert!(metrics.boot(release));
    import_at(metrics.server(), "live", now() - 2000, 1500);
    assert_eq!(samples(metrics.server(), "old"), 400);
    let told = metrics.world.seen(&CONFIRM);
    insta::allow_duplicates! {
        insta::assert_snapshot!(told, @"
        exit code 6
        --- stdout
        --- stderr
        error: the server has 401 samples beside the 1500 that have come in since it was started, and the backup 801
        hint: nothing was removed; samples older than its retention are dropped by the server, which `--accept-fewer` allows for
        ");
    }
    assert!(metrics.has_previous());
    let confirmed = metrics
        .world
        .json(&[&CONFIRM[..], &["--accept-fewer"]].concat());
    assert_eq!(confirmed["samples"], 1901);
    assert_eq!(confirmed["samples_since_start"], 1500);
    assert_eq!(confirmed["samples_in_backup"], 801);
    assert!(!metrics.has_previous());
}

#[test]
fn what_comes_in_does_not_hide_what_was_lost_at_1_112() {
    what_comes_in_does_not_hide_what_was_lost(Release::V1_112);
}

#[test]
fn what_comes_in_does_not_hide_what_was_lost_at_1_145() {
    what_comes_in_does_not_hide_what_was_lost(Release::V1_145);
}

#[test]
fn fewer_samples_are_not_none_at_all() {
    let release = Release::V1_112;
    let Some((mut metrics, _)) = restored(release) else {
        return;
    };
    metrics.halt();
    lose(&metrics, |_| true);
    assert!(metrics.boot(release));
    import_at(metrics.server(), "live", now() - 2000, 1500);
    let told = metrics
        .world
        .seen(&[&CONFIRM[..], &["--accept-fewer"]].concat());
    insta::assert_snapshot!(told, @"
    exit code 6
    --- stdout
    --- stderr
    error: the server has 0 samples beside the 1500 that have come in since it was started, and the backup 801
    hint: nothing was removed; `undo` brings back what was there before the restore
    ");
    assert!(metrics.has_previous());
}

/// Answers what it is asked, one after the other, by path and body.
fn serve(answer: impl Fn(&str, &str) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let path = first.split(' ').nth(1).unwrap_or_default();
            let body = answer(path, &String::from_utf8_lossy(&body));
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    address
}

/// A vmagent that keeps something until it is told otherwise.
struct Agent {
    address: SocketAddr,
    pending: Arc<AtomicU64>,
    asked: mpsc::Receiver<()>,
}

impl Agent {
    fn start() -> Self {
        const KEPT: u64 = 5;
        let pending = Arc::new(AtomicU64::new(KEPT));
        let (tell, asked) = mpsc::channel();
        let kept = Arc::clone(&pending);
        let address = serve(move |_, _| {
            tell.send(()).ok();
            let kept = kept.load(Ordering::SeqCst);
            format!(
                "vmagent_remotewrite_pending_data_bytes{{url=\"1\"}} {kept}\n\
                 vmagent_remotewrite_bytes_sent_total{{url=\"1\"}} {}\n",
                KEPT - kept
            )
        });
        Self {
            address,
            pending,
            asked,
        }
    }
}

/// Confirms, and does something to the server while the command waits for vmagent. Returns what it ended with.
fn confirm_while(metrics: &mut Metrics, meanwhile: impl FnOnce(&mut Metrics)) -> (i32, String) {
    let agent = Agent::start();
    let vmagent = format!("lifeboat.victoriaMetrics.vmagent=http://{}", agent.address);
    let command = [&["--set", &vmagent][..], &CONFIRM].concat();
    let address = metrics.server().address();
    let confirming = Process::start(&mut metrics.world.command(&command)).unwrap();
    agent.asked.recv().unwrap();
    metrics.halt();
    meanwhile(metrics);
    // A server tells when it was started in whole seconds.
    let second = || UNIX_EPOCH.elapsed().unwrap().as_secs();
    let halted = second();
    while second() == halted {
        std::thread::yield_now();
    }
    // Where it was before.
    let again = Unusual {
        address: Some(address),
        ..Unusual::default()
    };
    assert!(metrics.boot_unusual(Release::V1_112, again));
    agent.pending.store(0, Ordering::SeqCst);
    let finished = confirming.finish().unwrap();
    (finished.status.code().unwrap(), finished.stderr)
}

#[test]
fn what_was_done_while_it_waited_for_vmagent_is_not_confirmed() {
    let Some((mut metrics, version)) = restored(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "newer", 1, 10);
    let second = metrics.back_up()["version"].as_str().unwrap().to_owned();
    assert_eq!(second, version);
    let told = "was restarted, or another restore or undo began";
    let (code, stderr) = confirm_while(&mut metrics, |_| {});
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains(told), "{stderr}");
    assert!(metrics.has_previous());
    let (code, stderr) = confirm_while(&mut metrics, |metrics| {
        metrics
            .world
            .ok(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
        metrics.restore(&second);
    });
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains(told), "{stderr}");
    assert!(metrics.has_previous(), "it belongs to the other restore");
    let (code, stderr) = confirm_while(&mut metrics, |metrics| {
        metrics
            .world
            .ok(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
    });
    assert_eq!(code, 4, "{stderr}");
    assert_eq!(samples(metrics.server(), "new"), 300);
}

/// The server holds the folder; in its place answers one that takes its time to make a snapshot.
#[test]
fn a_snapshot_that_is_made_when_it_is_stopped_is_deleted() {
    let Some((metrics, _)) = restored(Release::V1_112) else {
        return;
    };
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let name = "20261126090000-18EB8EF3D9954462";
    let address = serve(move |path, body| {
        tell.send(format!("{path} {body}")).ok();
        if path == "/snapshot/create" {
            wait.recv().unwrap();
            return format!("{{\"status\":\"ok\",\"snapshot\":\"{name}\"}}");
        }
        "{\"status\":\"ok\"}".to_owned()
    });
    let url = format!("lifeboat.victoria-metrics-0.url=http://{address}");
    let command = [&["--set", &url][..], &CONFIRM].concat();
    let confirming = Process::start(&mut metrics.world.command(&command)).unwrap();
    while told.recv().unwrap() != "/snapshot/create " {}
    let pid = Pid::from_raw(confirming.id().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let stopping = |line: &str| line.contains("stopping").then_some(());
    confirming
        .wait_for_line(Duration::from_mins(1), stopping)
        .unwrap();
    go.send(()).unwrap();
    let finished = confirming.finish().unwrap();
    assert!(!finished.status.success(), "{}", finished.stdout);
    assert!(
        told.try_iter()
            .any(|asked| asked == format!("/snapshot/delete snapshot={name}")),
        "{}",
        finished.stderr
    );
    assert!(metrics.has_previous());
}

/// Releases of Debian do not tell their version; this one does.
#[test]
fn a_server_that_says_to_be_too_old_confirms_nothing() {
    let Some((metrics, _)) = restored(Release::V1_145) else {
        return;
    };
    let (tell, told) = mpsc::channel();
    let address = serve(move |path, _| {
        tell.send(path.to_owned()).ok();
        "vm_app_version{version=\"victoria-metrics-20250226-1-tags-v1.112.0-0-g1\"} 1\n".to_owned()
    });
    let url = format!("lifeboat.victoria-metrics-0.url=http://{address}");
    let text = metrics
        .world
        .seen(&[&["--set", &url][..], &CONFIRM].concat())
        .replace(&address.to_string(), "[SERVER]");
    insta::assert_snapshot!(text, @"
    exit code 6
    --- stdout
    --- stderr
    error: the server at http://[SERVER] is of 1.112.0, and cannot read what 1.133.0 wrote: it would start and find nothing
    hint: nothing was removed; start a newer server, or `undo`
    ");
    assert!(!told.try_iter().any(|path| path.contains("snapshot")));
    assert!(metrics.has_previous());
}

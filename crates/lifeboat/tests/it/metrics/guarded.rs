//! A server behind TLS, a path prefix, a password, and keys for its snapshots and its flush.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use lifeboat_testkit::servers::victoria_metrics::{Release, Unusual};

use super::{INSTANCE, Metrics, import, samples};
use crate::certificate;
use crate::world::World;

const SECRETS: [&str; 4] = ["hush", "opensesame", "rinse", "measure"];

fn is_backed_up_with_all_of_them(release: Release) {
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    import(metrics.server(), "boat", 2, 150);
    metrics.halt();
    let world = metrics.world.path("");
    certificate::write(&world);
    let file = |name: &str| world.join(name).display().to_string();
    let certificate = format!("-tlsCertFile={}", file("tls.crt"));
    let key = format!("-tlsKeyFile={}", file("tls.key"));
    let arguments = [
        "-tls",
        &certificate,
        &key,
        "-http.pathPrefix=/inside",
        "-httpAuth.username=sailor",
        "-httpAuth.password=hush",
        "-snapshotAuthKey=opensesame",
        "-forceFlushAuthKey=rinse",
        "-metricsAuthKey=measure",
    ];
    let unusual = Unusual {
        arguments: &arguments,
        ready: Some(|address| TcpStream::connect(address).is_ok()),
        ..Unusual::default()
    };
    assert!(metrics.boot_unusual(release, unusual));
    let url = format!("https://{}/inside", metrics.server().address());
    let write = |name: &str, without: &str| {
        let settings = [
            ("url", &url[..]),
            ("user", "sailor"),
            ("password", "hush"),
            ("snapshotAuthKey", "opensesame"),
            ("flushAuthKey", "rinse"),
            ("metricsAuthKey", "measure"),
            ("certificates", &file("ca.crt")),
        ];
        let mut text = String::from("lifeboat:\n  victoria-metrics-0:\n");
        for (key, value) in settings {
            let value = if key == without { "''" } else { value };
            writeln!(text, "    {key}: {value}").unwrap();
        }
        fs::write(world.join(name), text).unwrap();
    };
    for (without, expected) in [
        ("certificates", "no answer from the server"),
        ("password", "did not accept the credentials"),
        ("snapshotAuthKey", "did not accept the credentials"),
        ("metricsAuthKey", "did not accept the credentials"),
    ] {
        write("less.yaml", without);
        let seen = metrics
            .world
            .run(&["-f", "less.yaml", "victoria-metrics", "backup", INSTANCE]);
        assert_ne!(seen.code, 0, "without {without}");
        assert!(
            seen.stderr.contains(expected),
            "without {without}: {}",
            seen.stderr
        );
        for secret in SECRETS {
            assert!(!seen.stderr.contains(secret), "{}", seen.stderr);
        }
    }
    assert_eq!(metrics.listed(), Vec::<String>::new());
    write("all.yaml", "");
    let backup = metrics
        .world
        .json(&["-f", "all.yaml", "victoria-metrics", "backup", INSTANCE]);
    let version = backup["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(release));
    assert_eq!(samples(metrics.server(), "boat"), 300);
}

/// Whoever sends elsewhere gets no key carried there.
#[test]
fn a_server_that_sends_elsewhere_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = elsewhere.local_addr().unwrap();
    let sends = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", sends.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in sends.incoming() {
            let mut connection = connection.unwrap();
            let mut head = [0; 8192];
            assert!(connection.read(&mut head).unwrap() > 0);
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{to}/login?authKey=measure\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    let world = World::new();
    let set = [
        format!("lifeboat.victoria-metrics-0.url={url}"),
        "lifeboat.victoria-metrics-0.user=sailor".to_owned(),
        "lifeboat.victoria-metrics-0.password=hush".to_owned(),
        "lifeboat.victoria-metrics-0.snapshotAuthKey=opensesame".to_owned(),
    ];
    let mut arguments: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    arguments.extend(["victoria-metrics", "backup", INSTANCE]);
    let text = world.seen(&arguments);
    let text = text
        .replace(&url, "[SERVER]")
        .replace(&to.to_string(), "[ELSEWHERE]");
    insta::assert_snapshot!(text, @"
    exit code 2
    --- stdout
    --- stderr
    error: the server of `victoria-metrics-0` at [SERVER] sends elsewhere when asked to tell the label of its backups: to `http://[ELSEWHERE]/login`
    hint: `lifeboat.victoria-metrics-0.url` has to say where the server itself is, with its path prefix: nobody is followed elsewhere
    ");
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "it was followed");
}

#[test]
fn is_backed_up_with_all_of_them_at_1_112() {
    is_backed_up_with_all_of_them(Release::V1_112);
}

#[test]
fn is_backed_up_with_all_of_them_at_1_145() {
    is_backed_up_with_all_of_them(Release::V1_145);
}

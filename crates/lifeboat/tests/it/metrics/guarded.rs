//! A server behind TLS, a path prefix, a password, and keys for its snapshots and its flush.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;

use lifeboat_testkit::servers::victoria_metrics::{Release, Unusual};

use super::{INSTANCE, Metrics, import, samples};
use crate::certificate;

const SECRETS: [&str; 3] = ["hush", "opensesame", "rinse"];

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

#[test]
fn is_backed_up_with_all_of_them_at_1_112() {
    is_backed_up_with_all_of_them(Release::V1_112);
}

#[test]
fn is_backed_up_with_all_of_them_at_1_145() {
    is_backed_up_with_all_of_them(Release::V1_145);
}

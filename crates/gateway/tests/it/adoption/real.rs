//! Volumes that a real s3proxy and a real MinIO of 2021 wrote.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lifeboat_gateway::backend::Backend as _;
use lifeboat_gateway::backends::local::Local;
use lifeboat_gateway::{Config, Credentials, Server};
use lifeboat_testkit::servers::{KEYS, minio, s3proxy};
use lifeboat_testkit::{process, python, skip};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::support::sources;

/// Runs the script that fills and shows a bucket, nothing without Python.
fn objects(endpoint: &str, arguments: &[&str]) -> Option<String> {
    let interpreter = match python::interpreter() {
        Ok(interpreter) => interpreter,
        Err(error) => {
            skip!("no python: {error:#}");
            return None;
        }
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/objects.py");
    let output = process::run(
        Command::new(interpreter)
            .arg(script)
            .args([endpoint, KEYS.access, KEYS.secret])
            .args(arguments),
    );
    Some(output.unwrap())
}

fn shown(endpoint: &str) -> Option<Value> {
    Some(serde_json::from_str(&objects(endpoint, &["show"])?).unwrap())
}

/// What a gateway on the volume shows.
async fn shown_by_gateway(volume: &Path) -> Value {
    let local = Local::open(volume, sources(1)).unwrap();
    let credentials = Credentials {
        access_key: KEYS.access.to_owned(),
        secret_key: KEYS.secret.to_owned(),
    };
    let config = Config::new("127.0.0.1:0".parse().unwrap(), vec![credentials]);
    let server = Server::bind(config, Arc::new(local)).await.unwrap();
    let endpoint = format!("http://{}", server.local_addr());
    let (stop, stopped) = oneshot::channel();
    let running =
        tokio::spawn(server.run(async move { drop(stopped.await) }, std::future::pending()));
    let shown = tokio::task::spawn_blocking(move || shown(&endpoint).unwrap()).await;
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    shown.unwrap()
}

fn or_skip<T, E: std::fmt::Display>(started: Result<T, E>) -> Option<T> {
    started.inspect_err(|error| skip!("{error:#}")).ok()
}

/// Compares object by object, so that a failure says which and how.
fn assert_same(ours: &Value, theirs: &Value) {
    let objects = |shown: &Value| shown["objects"].as_object().unwrap().clone();
    let keys = |shown: &Value| objects(shown).keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(ours), keys(theirs));
    for (key, theirs) in objects(theirs) {
        assert_eq!(ours["objects"][&key], theirs, "{key}");
    }
    assert_eq!(ours["buckets"], theirs["buckets"]);
    assert_eq!(ours["prefixes"], theirs["prefixes"]);
}

#[tokio::test]
async fn a_volume_of_s3proxy_shows_what_s3proxy_showed() {
    let work = TempDir::new().unwrap();
    let Some(server) = or_skip(s3proxy::start(work.path(), s3proxy::CHART)) else {
        return;
    };
    let data = server.data();
    let Some(_) = objects(server.endpoint(), &["fill", "s3proxy"]) else {
        return;
    };
    let theirs = shown(server.endpoint()).unwrap();
    objects(server.endpoint(), &["cut", data.to_str().unwrap()]).unwrap();
    server.kill().unwrap();
    let mut ours = shown_by_gateway(&data).await;
    // s3proxy hides all that begins like its uploads, also what is none.
    let hidden = ours["objects"]
        .as_object_mut()
        .unwrap()
        .remove(".mpus-no-upload");
    assert!(hidden.is_some());
    assert_same(&ours, &theirs);
}

#[tokio::test]
async fn a_volume_of_minio_shows_what_minio_showed() {
    let work = TempDir::new().unwrap();
    let Some(server) = or_skip(minio::start_2021(work.path(), minio::Mode::Folder)) else {
        return;
    };
    let data = server.data();
    let Some(_) = objects(server.endpoint(), &["fill", "minio"]) else {
        return;
    };
    let theirs = shown(server.endpoint()).unwrap();
    server.kill().unwrap();
    assert_same(&shown_by_gateway(&data).await, &theirs);
    let local = Local::open(&data, sources(2)).unwrap();
    assert_eq!(local.uploads("bucket", "").await.unwrap(), []);
}

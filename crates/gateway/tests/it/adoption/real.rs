//! Volumes that a real s3proxy and a real MinIO of 2021 wrote.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lifeboat_core::progress::Progress;
use lifeboat_gateway::backend::Backend as _;
use lifeboat_gateway::backends::local::export::{Format, OnUnfit, Sharing};
use lifeboat_gateway::backends::local::{Local, Visit};
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
    asked_of_gateway(volume, &["show"]).await
}

/// Runs the script with a gateway on the volume; it must be there.
async fn asked_of_gateway(volume: &Path, arguments: &'static [&'static str]) -> Value {
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
    let asking = move || objects(&endpoint, arguments).unwrap();
    let answer = tokio::task::spawn_blocking(asking).await;
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    serde_json::from_str(&answer.unwrap()).unwrap_or_default()
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

/// Gives a volume back to both servers, lets both serve it, and compares with what a gateway shows, less the objects that
/// the server cannot hold. Returns those, by server.
async fn assert_given_back(volume: &Path) -> Option<[Vec<String>; 2]> {
    let ours = shown_by_gateway(volume).await;
    let mut unfit: Vec<Vec<String>> = Vec::new();
    for format in [Format::Minio, Format::S3Proxy] {
        let work = TempDir::new().unwrap();
        let target = work.path().join("data");
        let local = Local::open(volume, sources(3)).unwrap();
        let progress = Progress::default();
        let done = local
            .export(format, &target, Sharing::Link, OnUnfit::LeaveOut, &progress)
            .unwrap();
        drop(local);
        let visit = Visit::open(volume).unwrap();
        let elsewhere = work.path().join("elsewhere");
        let plan = visit
            .plan_export(format, &elsewhere, Sharing::Link, &sources(4))
            .unwrap();
        let left: Vec<_> = plan
            .unfit_objects
            .into_iter()
            .map(|object| object.key.unwrap())
            .collect();
        let short = |key: &String| key.replace(&"k".repeat(300), "LONG");
        assert_eq!((done.objects, done.left_out), (plan.objects, plan.unfit));
        let server = match format {
            Format::Minio => or_skip(minio::start_2021(work.path(), minio::Mode::Folder))?,
            Format::S3Proxy => or_skip(s3proxy::start(work.path(), s3proxy::CHART))?,
        };
        assert_eq!(server.data(), target);
        let theirs = shown(server.endpoint())?;
        server.kill().unwrap();
        let mut expected = ours.clone();
        for key in &left {
            expected["objects"].as_object_mut().unwrap().remove(key);
        }
        if let Some(prefixes) = expected["prefixes"].as_array_mut() {
            let objects = theirs["objects"].as_object().unwrap();
            prefixes.retain(|prefix| {
                let prefix = prefix.as_str().unwrap();
                objects.keys().any(|key| key.starts_with(prefix))
            });
        }
        assert_same(&theirs, &expected);
        // The volume is what it was.
        assert_same(&shown_by_gateway(volume).await, &ours);
        unfit.push(left.iter().map(short).collect());
    }
    Some(unfit.try_into().unwrap())
}

#[tokio::test]
async fn a_volume_of_ours_is_served_by_minio_and_s3proxy() {
    if python::interpreter().is_err() {
        skip!("no python");
        return;
    }
    let volume = TempDir::new().unwrap();
    asked_of_gateway(volume.path(), &["fill", "lifeboat"]).await;
    let Some(unfit) = assert_given_back(volume.path()).await else {
        return;
    };
    insta::assert_compact_debug_snapshot!(unfit, @r#"[["../up", "both", "folder/", "LONG", "x//y"], ["../up", ".mpus-no-upload", "both", "folder/", "LONG", "x//y"]]"#);
}

#[tokio::test]
async fn a_volume_of_s3proxy_is_given_back() {
    let work = TempDir::new().unwrap();
    let Some(server) = or_skip(s3proxy::start(work.path(), s3proxy::CHART)) else {
        return;
    };
    let data = server.data();
    let Some(_) = objects(server.endpoint(), &["fill", "s3proxy"]) else {
        return;
    };
    server.kill().unwrap();
    asked_of_gateway(&data, &["add"]).await;
    let Some(unfit) = assert_given_back(&data).await else {
        return;
    };
    insta::assert_compact_debug_snapshot!(unfit, @r#"[["folder/", "full-folder/"], [".mpus-no-upload"]]"#);
}

#[tokio::test]
async fn a_volume_of_minio_is_given_back() {
    let work = TempDir::new().unwrap();
    let Some(server) = or_skip(minio::start_2021(work.path(), minio::Mode::Folder)) else {
        return;
    };
    let data = server.data();
    let Some(_) = objects(server.endpoint(), &["fill", "minio"]) else {
        return;
    };
    server.kill().unwrap();
    asked_of_gateway(&data, &["add"]).await;
    let Some(unfit) = assert_given_back(&data).await else {
        return;
    };
    insta::assert_compact_debug_snapshot!(unfit, @r#"[[], [".mpus-no-upload", "folder/"]]"#);
}

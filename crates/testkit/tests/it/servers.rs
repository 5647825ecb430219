//! Every server starts, proves with signed requests what it is, and is gone afterwards.

mod metrics;
mod search;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use lifeboat_testkit::servers::{Server, azurite, minio, s3proxy, seaweedfs, versitygw};
use lifeboat_testkit::{load, process, python, scratch, skip};
use tempfile::TempDir;

fn work() -> TempDir {
    scratch::folder(Path::new(env!("CARGO_TARGET_TMPDIR")), "server").unwrap()
}

/// What a thing that cannot be had here is replaced by: nothing, said aloud.
fn or_skip<T>(name: &str, got: Result<T>) -> Option<T> {
    match got {
        Ok(got) => Some(got),
        Err(error) => {
            skip!("no {name}: {error:#}");
            None
        }
    }
}

fn started(name: &str, server: Result<Server>) -> Option<Server> {
    let server = or_skip(name, server)?;
    assert!(server.address().ip().is_loopback());
    Some(server)
}

/// Ends the server and checks that its process is gone.
fn end(server: Server) {
    let process = PathBuf::from(format!("/proc/{}", server.id()));
    assert!(process.exists());
    server.stop().unwrap();
    assert!(!process.exists(), "{} is gone", process.display());
}

/// Runs a script of `tests/python` and returns what it printed.
fn run(script: &str, environment: &[(&str, &str)]) -> Option<String> {
    let interpreter = or_skip("python", python::interpreter())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(script);
    let mut command = Command::new(interpreter);
    command.arg(script).envs(environment.iter().copied());
    Some(process::run(&mut command).unwrap())
}

/// Stores and reads objects, and returns what the server is like.
fn ask(server: &Server) -> Option<String> {
    run(
        "ask_s3.py",
        &[
            ("S3_ENDPOINT", server.endpoint()),
            ("AWS_ACCESS_KEY_ID", server.keys().access),
            ("AWS_SECRET_ACCESS_KEY", server.keys().secret),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ],
    )
}

#[test]
fn versitygw_keeps_objects_as_files() {
    let work = work();
    let Some(server) = started("versitygw", versitygw::start(work.path())) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag md5, listed as put; encryption none; create again: PreconditionFailed; unsigned: 403");
    assert!(server.data().join("witness/dir/plain").is_file());
    end(server);
}

#[test]
fn a_server_that_was_killed_goes_on_with_what_it_had() {
    let work = work();
    let Some(server) = started("versitygw", versitygw::start(work.path())) else {
        return;
    };
    let Some(_seen) = ask(&server) else { return };
    let Some(_program) = or_skip("load program", load::PROGRAM.program()) else {
        return;
    };
    assert!(!server.kill().unwrap().success());
    let server = versitygw::start(work.path()).unwrap();
    let mut list = load::command(&server, "list").unwrap();
    let listed = process::run(list.args(["-bucket", "witness", "-prefix", "dir/"])).unwrap();
    assert!(listed.contains(r#""operations":3,"#), "{listed}");
    end(server);
}

#[test]
fn the_load_program_reads_back_what_it_wrote_and_notices_other_bytes() {
    let work = work();
    let Some(server) = started("versitygw", versitygw::start(work.path())) else {
        return;
    };
    let Some(_) = or_skip("load program", load::PROGRAM.program()) else {
        return;
    };
    let run = |operation: &str, flags: &[&str]| {
        let mut command = load::command(&server, operation).unwrap();
        process::run(
            command
                .args(["-bucket", "load", "-prefix", "a/"])
                .args(flags),
        )
        .unwrap()
    };
    let size = ["-size", "12000000", "-count", "2", "-clients", "2"];
    let counts = |said: &str| {
        let fields = ["operations", "bytes", "errors"].map(|name| {
            let (_, rest) = said.split_once(&format!("\"{name}\":")).unwrap();
            rest.split([',', '}']).next().unwrap().to_owned()
        });
        fields.join(" ")
    };
    assert_eq!(counts(&run("multipart", &size)), "2 24000000 0");
    assert_eq!(counts(&run("copy", &["-to", "a/b/"])), "2 24000000 0");
    assert_eq!(counts(&run("list", &[])), "4 48000000 0");
    assert_eq!(counts(&run("get", &["-count", "4"])), "4 48000000 0");
    assert_eq!(
        counts(&run("get", &["-count", "3", "-range", "1000000"])),
        "3 3000000 0"
    );

    let object = server.data().join("load/a/00000/object-00000001");
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[9_000_000] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    assert_eq!(counts(&run("get", &["-count", "4"])), "3 36000000 1");
    assert_eq!(counts(&run("delete", &[])), "4 0 0");
    end(server);
}

#[test]
fn minio_of_2026_answers_md5() {
    let work = work();
    let server = minio::start_2026(work.path(), minio::Storage::Plain);
    let Some(server) = started("MinIO 2026", server) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag md5, listed as put; encryption none; create again: PreconditionFailed; unsigned: 403");
    end(server);
}

#[test]
fn minio_of_2026_encrypts_what_nobody_asked_to_encrypt() {
    let work = work();
    let server = minio::start_2026(work.path(), minio::Storage::Encrypted);
    let Some(server) = started("MinIO 2026", server) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag not md5, listed as put; encryption aws:kms; create again: PreconditionFailed; unsigned: 403");
    end(server);
}

#[test]
fn azurite_knows_the_account() {
    let work = work();
    let Some(server) = started("Azurite", azurite::start(work.path())) else {
        return;
    };
    let environment = [
        ("AZURE_ENDPOINT", server.endpoint()),
        ("AZURE_ACCOUNT", server.keys().access),
        ("AZURE_KEY", server.keys().secret),
    ];
    let Some(seen) = run("ask_azure.py", &environment) else {
        return;
    };
    insta::assert_snapshot!(seen, @"container 201, block 201, commit 201; read 200 'some bytes'; with another key 403");
    end(server);
}

#[test]
fn s3proxy_keeps_objects_as_files() {
    let work = work();
    let Some(server) = started("s3proxy", s3proxy::start(work.path(), s3proxy::CHART)) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag md5, listed as put; encryption none; create again: PreconditionFailed; unsigned: 403");
    assert!(server.data().join("witness/dir/plain").is_file());
    end(server);
}

#[test]
fn seaweedfs_answers() {
    let work = work();
    let Some(server) = started("SeaweedFS", seaweedfs::start(work.path())) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag md5, listed as put; encryption none; create again: PreconditionFailed; unsigned: 403");
    end(server);
}

#[test]
fn minio_of_2021_keeps_objects_as_files_and_ignores_conditions() {
    let work = work();
    let Some(server) = started(
        "MinIO of 2021",
        minio::start_2021(work.path(), minio::Mode::Folder),
    ) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag md5, listed as put; encryption none; create again: overwritten; unsigned: 403");
    assert!(server.data().join("witness/dir/plain").is_file());
    let record = ".minio.sys/buckets/witness/dir/plain/fs.json";
    assert!(server.data().join(record).is_file());
    end(server);
}

#[test]
fn minio_of_2021_is_a_gateway_to_azure() {
    let (behind, work) = (work(), work());
    let Some(behind) = started("Azurite", azurite::start(behind.path())) else {
        return;
    };
    let server = minio::start_2021(work.path(), minio::Mode::Azure(&behind));
    let Some(server) = started("MinIO of 2021", server) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag md5, listed as another; encryption none; create again: overwritten; unsigned: 403");
    end(server);
    end(behind);
}

#[test]
fn minio_of_2021_is_a_gateway_to_s3() {
    let (behind, work) = (work(), work());
    let Some(behind) = started("versitygw", versitygw::start(behind.path())) else {
        return;
    };
    let server = minio::start_2021(work.path(), minio::Mode::S3(&behind));
    let Some(server) = started("MinIO of 2021", server) else {
        return;
    };
    let Some(seen) = ask(&server) else {
        return;
    };
    insta::assert_snapshot!(seen, @"etag md5, listed as put; encryption none; create again: overwritten; unsigned: 403");
    assert!(behind.data().join("witness/dir/plain").is_file());
    end(server);
    end(behind);
}

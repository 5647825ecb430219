//! What other programs see of the gateway: the clients that people use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_testkit::debian::{Package, RCLONE, RESTIC};
use lifeboat_testkit::process::run;
use lifeboat_testkit::python;

use crate::world::{ACCESS_KEY, BUCKET, SECRET_KEY, World, path};

/// Runs one of the scripts in `tests/python` and returns what it printed.
fn script(name: &str) -> Option<String> {
    let interpreter = match python::interpreter() {
        Ok(interpreter) => interpreter,
        Err(error) => {
            lifeboat_testkit::skip!("no Python with boto3: {error:#}");
            return None;
        }
    };
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let output = Command::new(interpreter)
        .arg(folder.join(name))
        .env("S3_ENDPOINT", world.endpoint())
        .env("S3_BUCKET", BUCKET)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    Some(stdout)
}

#[test]
fn boto3_finds_every_call_as_amazon_documents_it() {
    if let Some(printed) = script("boto3_calls.py") {
        assert!(
            printed.contains("calls answered as documented"),
            "{printed}"
        );
    }
}

#[test]
fn bodies_in_chunks_are_taken_whole_and_refused_when_damaged() {
    if let Some(printed) = script("signed_streams.py") {
        assert!(
            printed.contains("streams answered as documented"),
            "{printed}"
        );
    }
}

/// A program that talks S3, with a world to talk to.
struct Client {
    world: World,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Client {
    /// Nothing where the program cannot be had; then it says so.
    fn new(
        package: Package,
        environment: impl FnOnce(&str) -> Vec<(&'static str, String)>,
    ) -> Option<Self> {
        let program = match package.program() {
            Ok(program) => program,
            Err(error) => {
                lifeboat_testkit::skip!("no {}: {error:#}", package.name);
                return None;
            }
        };
        let world = World::new();
        let environment = environment(world.endpoint());
        Some(Self {
            world,
            program,
            environment,
        })
    }

    /// Runs the program, which must succeed, and returns what it printed.
    fn ok(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", self.world.path("home"))
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.world.path(""))
            .args(arguments);
        run(&mut command).unwrap_or_else(|error| panic!("`{arguments:?}`: {error:#}"))
    }
}

const MIB: usize = 1024 * 1024;

/// Bytes that do not compress and do not repeat.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Many small files, one that is uploaded in parts, names that need care, an empty file, an empty folder.
fn plant(root: &Path) {
    let mut files: Vec<(String, Vec<u8>)> = (0..300)
        .map(|number| {
            let name = format!("many/{}/file {number:03}", number % 7);
            (name, noise(number, usize::try_from(number).unwrap() * 13))
        })
        .collect();
    for name in [
        "ünï/世界/naïve €.txt",
        "🚢 boat",
        "a+b%20c&d=<e>;'f'.txt",
        "dots/..hidden/...",
        "a",
        "a.b/c",
        "a-b",
        "empty",
    ] {
        let length = if name == "empty" { 0 } else { 100 };
        files.push((name.to_owned(), noise(1000, length)));
    }
    files.push(("large".to_owned(), noise(1001, 20 * MIB + 5)));
    for (name, bytes) in files {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    fs::create_dir(root.join("nothing inside")).unwrap();
}

/// Every file below `root` with what is in it.
fn harvest(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn gather(folder: &Path, root: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, root, found);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    gather(root, root, &mut found);
    found
}

/// Compares names and contents, without printing megabytes when they differ.
fn assert_same_tree(found: &Path, expected: &Path) {
    let (found, expected) = (harvest(found), harvest(expected));
    assert!(expected.len() > 200, "there is something to compare");
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "`{}` differs", name.display());
    }
}

#[test]
fn rclone_brings_a_tree_up_and_back_and_copies_it_on_the_server() {
    let settings = |endpoint: &str| {
        vec![
            ("RCLONE_CONFIG", "rclone.conf".to_owned()),
            ("RCLONE_CONFIG_GATE_TYPE", "s3".to_owned()),
            ("RCLONE_CONFIG_GATE_PROVIDER", "Minio".to_owned()),
            ("RCLONE_CONFIG_GATE_ENV_AUTH", "true".to_owned()),
            ("RCLONE_CONFIG_GATE_ENDPOINT", endpoint.to_owned()),
            ("RCLONE_S3_CHUNK_SIZE", "5M".to_owned()),
            ("RCLONE_S3_UPLOAD_CUTOFF", "5M".to_owned()),
            ("RCLONE_S3_COPY_CUTOFF", "8M".to_owned()),
            ("RCLONE_RETRIES", "1".to_owned()),
            ("RCLONE_LOW_LEVEL_RETRIES", "1".to_owned()),
        ]
    };
    let Some(client) = Client::new(RCLONE, settings) else {
        return;
    };
    let tree = client.world.path("tree");
    plant(&tree);
    client.ok(&["mkdir", "gate:trees"]);
    client.ok(&["sync", "tree", "gate:trees/tree"]);
    client.ok(&["check", "--download", "tree", "gate:trees/tree"]);
    client.ok(&["check", "tree", "gate:trees/tree"]);
    client.ok(&["sync", "gate:trees/tree", "back"]);
    assert_same_tree(&client.world.path("back"), &tree);

    client.ok(&["copy", "gate:trees/tree", "gate:trees/copied"]);
    client.ok(&["sync", "--fast-list", "gate:trees/copied", "copied"]);
    assert_same_tree(&client.world.path("copied"), &tree);

    fs::remove_dir_all(tree.join("many/3")).unwrap();
    fs::write(tree.join("a"), "changed").unwrap();
    // The same bytes with another time: the client sets it by a copy of the object onto itself.
    fs::write(tree.join("a-b"), fs::read(tree.join("a-b")).unwrap()).unwrap();
    client.ok(&["sync", "tree", "gate:trees/tree"]);
    let settled = client.ok(&["sync", "--dry-run", "tree", "gate:trees/tree"]);
    assert_eq!(settled, "");
    client.ok(&["sync", "gate:trees/tree", "back"]);
    assert_same_tree(&client.world.path("back"), &tree);

    client.ok(&["moveto", "gate:trees/copied/large", "gate:trees/moved"]);
    client.ok(&["copyto", "gate:trees/moved", "moved"]);
    assert!(fs::read(client.world.path("moved")).unwrap() == fs::read(tree.join("large")).unwrap());
    client.ok(&["purge", "gate:trees"]);
    assert!(!client.ok(&["lsd", "gate:"]).contains("trees"));
}

#[test]
fn restic_keeps_a_repository_that_checks_and_restores() {
    let settings = |endpoint: &str| {
        vec![
            ("RESTIC_REPOSITORY", format!("s3:{endpoint}/restic-bucket")),
            ("RESTIC_PASSWORD", "a password of the tests".to_owned()),
        ]
    };
    let Some(client) = Client::new(RESTIC, settings) else {
        return;
    };
    let tree = client.world.path("tree");
    plant(&tree);
    let run = |arguments: &[&str]| client.ok(&[&["--no-cache"], arguments].concat());
    run(&["init"]);
    run(&["backup", "tree"]);
    fs::remove_dir_all(tree.join("many/3")).unwrap();
    fs::write(tree.join("large"), noise(7, 9 * MIB)).unwrap();
    run(&["backup", "tree"]);
    run(&["check", "--read-data"]);
    run(&["restore", "latest", "--target", "back"]);
    assert_same_tree(&client.world.path("back/tree"), &tree);

    run(&["forget", "--keep-last", "1", "--prune"]);
    run(&["check", "--read-data"]);
    run(&[
        "restore",
        "latest",
        "--target",
        path(&client.world.path("again")),
    ]);
    assert_same_tree(&client.world.path("again/tree"), &tree);
    assert_eq!(run(&["list", "locks"]).trim(), "");
}

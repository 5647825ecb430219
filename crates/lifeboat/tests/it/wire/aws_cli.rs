//! The command line of Amazon: trees up and down, single objects, links signed beforehand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use lifeboat_testkit::process::run;
use lifeboat_testkit::python::{AWS_CLI, Environment};
use serde_json::Value;

use super::Ran;
use super::tree::{MIB, assert_same_tree, noise, plant};
use crate::world::World;

/// Parts as small as they may be; links signed as version 2 of the program signs them.
const SETTINGS: &str = "\
[default]
region = us-east-1
output = json
s3 =
  multipart_threshold = 5MB
  multipart_chunksize = 5MB
  addressing_style = path
  signature_version = s3v4
";

/// Without a line for each file.
const QUIETLY: &str = "--only-show-errors";

struct Cli<'a> {
    world: &'a World,
    interpreter: PathBuf,
}

impl Cli<'_> {
    /// Runs a command that must succeed, and returns what it printed.
    fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|error| {
            let storage = self.world.storage_name();
            panic!(
                "`aws {}` in front of {storage}: {error:#}",
                arguments.join(" ")
            )
        })
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let keys = self.world.keys();
        run(Command::new(&self.interpreter)
            .env_clear()
            .current_dir(self.world.path(""))
            .env("HOME", self.world.path("home"))
            // Or names of files that are not ASCII could not be said.
            .env("PYTHONUTF8", "1")
            .env("AWS_CONFIG_FILE", self.world.path("aws.conf"))
            .env("AWS_ENDPOINT_URL", self.world.endpoint())
            .env("AWS_ACCESS_KEY_ID", keys.access)
            .env("AWS_SECRET_ACCESS_KEY", keys.secret)
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(["-m", "awscli"])
            .args(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// The error that the service answered, in its own words.
    fn refused(&self, arguments: &[&str]) -> String {
        format!("{:#}", self.run(arguments).unwrap_err())
    }
}

pub(super) fn brings_a_tree_up_and_back_and_signs_links(world: &World) -> Ran {
    let interpreter = match Environment::with(AWS_CLI) {
        Ok(environment) => environment.interpreter(),
        Err(error) => {
            lifeboat_testkit::skip!("no aws-cli: {error:#}");
            return Ran::Skipped;
        }
    };
    fs::write(world.path("aws.conf"), SETTINGS).unwrap();
    let aws = Cli { world, interpreter };
    aws.ok(&["s3", "mb", "s3://cli"]);
    trees(&aws);
    objects(&aws);
    aws.ok(&["s3", "rb", "s3://cli", "--force"]);
    assert!(!aws.ok(&["s3", "ls"]).contains("cli"));
    Ran::Whole
}

fn trees(aws: &Cli<'_>) {
    let tree = aws.world.path("tree");
    plant(&tree);
    age(&tree);
    aws.ok(&["s3", "sync", QUIETLY, "tree", "s3://cli/tree"]);
    let settled = aws.ok(&["s3", "sync", "--dryrun", "tree", "s3://cli/tree"]);
    assert_eq!(settled, "", "nothing is left to bring up");

    fs::remove_dir_all(tree.join("many/3")).unwrap();
    fs::write(tree.join("a"), "changed").unwrap();
    aws.ok(&["s3", "sync", "--delete", QUIETLY, "tree", "s3://cli/tree"]);
    aws.ok(&["s3", "cp", "--recursive", QUIETLY, "s3://cli/tree", "back"]);
    assert_same_tree(&aws.world.path("back"), &tree);
}

/// Makes files old: stores tell times in whole seconds, and what is of the same second is brought up again.
fn age(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age(&path);
        } else {
            let time = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(time).unwrap();
        }
    }
}

fn objects(aws: &Cli<'_>) {
    let bytes = noise(11, 11 * MIB);
    fs::write(aws.world.path("object"), &bytes).unwrap();
    aws.ok(&[
        "s3",
        "cp",
        QUIETLY,
        "--checksum-algorithm",
        "SHA256",
        "object",
        "s3://cli/objects/one",
    ]);
    let link = aws.ok(&[
        "s3",
        "presign",
        "s3://cli/objects/one",
        "--expires-in",
        "600",
    ]);
    let (status, got) = fetch(link.trim());
    assert_eq!(status, 200, "a link signed beforehand");
    assert!(
        got == bytes,
        "a link signed beforehand leads to other bytes"
    );
    let (status, _) = fetch(&link.trim().replace("objects/one", "objects/two"));
    assert_eq!(status, 403, "a link that was signed for another object");

    let head = [
        "s3api",
        "head-object",
        "--bucket",
        "cli",
        "--key",
        "objects/one",
    ];
    assert_eq!(aws.json(&head)["ContentLength"], bytes.len());
    let missing = aws.refused(&[
        "s3api",
        "get-object",
        "--bucket",
        "cli",
        "--key",
        "objects/none",
        "none",
    ]);
    assert!(missing.contains("(NoSuchKey)"), "{missing}");
    aws.ok(&[
        "s3",
        "mv",
        QUIETLY,
        "s3://cli/objects/one",
        "s3://cli/objects/moved",
    ]);
    let range = [
        "s3api",
        "get-object",
        "--bucket",
        "cli",
        "--key",
        "objects/moved",
        "--range",
        "bytes=5-9",
        "piece",
    ];
    assert_eq!(aws.json(&range)["ContentLength"], 5);
    assert_eq!(fs::read(aws.world.path("piece")).unwrap(), bytes[5..10]);
    let listed = aws.json(&[
        "s3api",
        "list-objects-v2",
        "--bucket",
        "cli",
        "--prefix",
        "objects/",
    ]);
    assert_eq!(listed["Contents"].as_array().unwrap().len(), 1, "{listed}");
    let claim = [
        "s3api",
        "put-object",
        "--bucket",
        "cli",
        "--key",
        "objects/claimed",
        "--if-none-match",
        "*",
    ];
    aws.json(&claim);
    let second = aws.refused(&claim);
    assert!(second.contains("(PreconditionFailed)"), "{second}");
}

/// Follows a link as anybody could, and returns the status and the body.
fn fetch(link: &str) -> (u16, Vec<u8>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let answer = reqwest::get(link).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.bytes().await.unwrap().to_vec())
    })
}

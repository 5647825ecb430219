//! restic: a repository that is written, checked, thinned out and restored.

use std::fs;

use lifeboat_testkit::debian::RESTIC;

use super::Ran;
use super::client::Client;
use super::tree::{MIB, assert_same_tree, noise, plant};
use crate::world::{World, path};

pub(super) fn keeps_a_repository_that_checks_and_restores(world: &World) -> Ran {
    let settings = |endpoint: &str| {
        vec![
            ("RESTIC_REPOSITORY", format!("s3:{endpoint}/restic-bucket")),
            ("RESTIC_PASSWORD", "a password of the tests".to_owned()),
        ]
    };
    let Some(client) = Client::new(world, RESTIC, settings) else {
        return Ran::Skipped;
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
    Ran::Whole
}

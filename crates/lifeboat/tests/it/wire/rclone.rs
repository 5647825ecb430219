//! rclone: trees up, down, and copied on the server.

use std::fs;

use lifeboat_testkit::debian::RCLONE;

use super::Ran;
use super::client::Client;
use super::tree::{assert_same_tree, plant};
use crate::world::World;

pub(super) fn brings_a_tree_up_and_back_and_copies_it_on_the_server(world: &World) -> Ran {
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
    let Some(client) = Client::new(world, RCLONE, settings) else {
        return Ran::Skipped;
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
    Ran::Whole
}

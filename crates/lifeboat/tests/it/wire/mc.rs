//! mc, the command line of MinIO: trees mirrored there and back, objects with checksums, copies on the server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lifeboat_testkit::process::run;
use lifeboat_testkit::servers::minio;
use serde_json::Value;

use super::Ran;
use super::tree::{MIB, assert_same_tree, noise, plant};
use crate::world::World;

struct Mc<'a> {
    world: &'a World,
    program: PathBuf,
}

impl Mc<'_> {
    /// Runs a command that must succeed, and returns what it printed: a line of JSON for each thing done.
    fn ok(&self, arguments: &[&str]) -> Vec<Value> {
        let keys = self.world.keys();
        let endpoint = self.world.endpoint().trim_start_matches("http://");
        let host = format!("http://{}:{}@{endpoint}", keys.access, keys.secret);
        let printed = run(Command::new(&self.program)
            .env_clear()
            .current_dir(self.world.path(""))
            .env("HOME", self.world.path("home"))
            .env("MC_CONFIG_DIR", self.world.path("mc"))
            .env("MC_HOST_gate", host)
            .arg("--json")
            .args(arguments))
        .unwrap_or_else(|error| {
            let storage = self.world.storage_name();
            panic!(
                "`mc {}` in front of {storage}: {error:#}",
                arguments.join(" ")
            )
        });
        serde_json::Deserializer::from_str(&printed)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("`mc {}`: {error}: {printed}", arguments.join(" ")))
    }
}

pub(super) fn mirrors_a_tree_and_copies_on_the_server(world: &World) -> Ran {
    let program = match minio::CLIENT.program("mc") {
        Ok(program) => program,
        Err(error) => {
            lifeboat_testkit::skip!("no mc: {error:#}");
            return Ran::Skipped;
        }
    };
    let mc = Mc { world, program };
    mc.ok(&["mb", "gate/mirrored"]);
    let tree = world.path("tree");
    plant(&tree);
    mc.ok(&["mirror", "tree", "gate/mirrored/tree"]);
    fs::remove_dir_all(tree.join("many/3")).unwrap();
    fs::write(tree.join("a"), "changed").unwrap();
    mc.ok(&[
        "mirror",
        "--overwrite",
        "--remove",
        "tree",
        "gate/mirrored/tree",
    ]);
    mc.ok(&["mirror", "gate/mirrored/tree", "back"]);
    assert_same_tree(&world.path("back"), &tree);

    mc.ok(&["cp", "gate/mirrored/tree/large", "gate/mirrored/copied"]);
    mc.ok(&["cp", "gate/mirrored/copied", "copied"]);
    assert!(fs::read(world.path("copied")).unwrap() == fs::read(tree.join("large")).unwrap());
    let bytes = noise(17, 17 * MIB);
    fs::write(world.path("summed"), &bytes).unwrap();
    mc.ok(&[
        "cp",
        "--checksum",
        "CRC32C",
        "summed",
        "gate/mirrored/summed",
    ]);
    let [told] = &mc.ok(&["stat", "gate/mirrored/summed"])[..] else {
        panic!("one object is told of");
    };
    assert_eq!(told["size"], bytes.len(), "{told}");
    assert!(
        mc.ok(&["ls", "--incomplete", "--recursive", "gate/mirrored"])
            .is_empty()
    );
    mc.ok(&["rm", "--recursive", "--force", "gate/mirrored/tree"]);
    assert_eq!(
        mc.ok(&["ls", "gate/mirrored"]).len(),
        2,
        "what was not removed"
    );
    mc.ok(&["rb", "--force", "gate/mirrored"]);
    Ran::Whole
}

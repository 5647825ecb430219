//! Damaged backups, through the whole program. Every bit and every length of a file is the format's own test; here a
//! few show that the person is told and the store stays what it was.

use std::fs;

use lifeboat_stackgraph::format::{HEADER_BYTES, Header};

use crate::world::World;

const NAME: &str = "sts-backup-20210216-0300.graph";

fn world_with_backup() -> (World, String) {
    let world = World::new();
    world.load_ring(400, "first");
    world.ok(&["stackgraph", "backup", "--name", NAME]);
    let digest = world.load_ring(400, "second");
    (world, digest)
}

#[test]
fn a_flipped_bit_is_found_by_verify_and_stops_a_restore() {
    let (world, digest) = world_with_backup();
    let whole = fs::read(world.object(NAME)).unwrap();
    for at in [whole.len() / 5, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(world.object(NAME), &damaged).unwrap();
        let verified = world.run(&["stackgraph", "verify", NAME]);
        assert_eq!(verified.code, 6, "{}{}", verified.stdout, verified.stderr);
        assert!(verified.stdout.contains("byte"), "{}", verified.stdout);
        let restored = world.run(&["stackgraph", "restore", NAME, "-force"]);
        assert_eq!(restored.code, 6, "{}{}", restored.stdout, restored.stderr);
        assert!(restored.stderr.contains("at byte"), "{}", restored.stderr);
        assert_eq!(world.digest(), digest);
    }
    fs::write(world.object(NAME), &whole).unwrap();
    world.ok(&["stackgraph", "verify", NAME]);
}

#[test]
fn a_cut_backup_is_not_listed_and_not_restored() {
    let (world, digest) = world_with_backup();
    let whole = fs::read(world.object(NAME)).unwrap();
    for length in [0, 1, 63, whole.len() / 2, whole.len() - 1] {
        fs::write(world.object(NAME), &whole[..length]).unwrap();
        assert!(world.listed().is_empty(), "{length} bytes are listed");
        let restored = world.run(&["stackgraph", "restore", NAME, "-force"]);
        assert_eq!(restored.code, 6, "{}{}", restored.stdout, restored.stderr);
        assert_eq!(world.digest(), digest);
    }
}

#[test]
fn another_programs_file_is_told_apart() {
    let (world, digest) = world_with_backup();
    fs::write(
        world.object(NAME),
        [b"\xac\xed\x00\x05".as_slice(), &[7; 500]].concat(),
    )
    .unwrap();
    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", NAME, "-force"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `sts-backup-20210216-0300.graph` cannot be restored: not a Lifeboat `.graph` file, it starts with `\xac\xed\x00\x05\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07`
    ");
    assert_eq!(world.digest(), digest);
}

#[test]
fn a_newer_major_version_is_refused_with_what_to_do() {
    let (world, digest) = world_with_backup();
    let mut newer = fs::read(world.object(NAME)).unwrap();
    let mut header = Header::decode(&newer[..HEADER_BYTES]).unwrap();
    header.major += 1;
    newer[..HEADER_BYTES].copy_from_slice(&header.encode());
    fs::write(world.path("newer.graph"), &newer).unwrap();
    insta::assert_snapshot!(world.seen(&["stackgraph", "verify", "--file", "newer.graph"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: the file needs a newer Lifeboat: it has format version 2, this one reads version 1; restore it with a release that reads version 2
    ");
    fs::write(world.object(NAME), &newer).unwrap();
    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", NAME, "-force"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: the file needs a newer Lifeboat: it has format version 2, this one reads version 1; restore it with a release that reads version 2
    hint: the store is whole and holds what it held before; `lifeboat stackgraph verify sts-backup-20210216-0300.graph` checks the backup
    ");
    assert_eq!(world.digest(), digest);
}

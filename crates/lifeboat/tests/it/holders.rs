//! Who may work on a store at the same time.

use lifeboat_stackgraph::embedded::{Holder, Options, Store};
use lifeboat_stackgraph::store::{Expected, GraphStore, LoadMode};

use crate::world::World;

fn store(world: &World) -> Store {
    let holder = Holder {
        pid: 4711,
        command: "lifeboat stackgraph restore".to_owned(),
        host: "node-1".to_owned(),
        since: "2026-08-01T03:00:00Z".parse().unwrap(),
    };
    let options = Options {
        cache: 1 << 20,
        holder,
    };
    Store::open(&world.store(), options).unwrap()
}

#[test]
fn while_a_restore_runs_every_other_command_is_told_who_holds_the_store_since_when() {
    let world = World::new();
    world.load_ring(3, "first");
    world.ok(&["stackgraph", "backup", "--name", "a.graph"]);
    let store = store(&world);
    let restore = store
        .begin_load(LoadMode::Replace, &Expected::default())
        .unwrap();
    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", "a.graph", "-force"]), @r"
    exit code 4
    --- stdout
    --- stderr
    error: the store `[FOLDER]/graph` is held by `lifeboat stackgraph restore` (process 4711 on `node-1`) since 2026-08-01T03:00:00Z
    hint: wait until it has ended, then run the same command again
    ");
    insta::assert_snapshot!(world.seen(&["stackgraph", "backup", "--name", "b.graph"]), @r"
    exit code 4
    --- stdout
    --- stderr
    error: the store `[FOLDER]/graph` is held by `lifeboat stackgraph restore` (process 4711 on `node-1`) since 2026-08-01T03:00:00Z
    hint: wait until it has ended, then run the same command again
    ");
    drop(restore);
    world.ok(&["stackgraph", "backup", "--name", "b.graph"]);
}

#[test]
fn while_a_backup_runs_a_restore_is_refused_and_a_writer_is_not() {
    let world = World::new();
    world.load_ring(3, "first");
    world.ok(&["stackgraph", "backup", "--name", "a.graph"]);
    let store = store(&world);
    let snapshot = store.snapshot().unwrap();
    let seen = world.run(&["stackgraph", "restore", "a.graph", "-force"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    world.load_ring(4, "second");
    drop(snapshot);
    world.ok(&["stackgraph", "restore", "a.graph", "-force"]);
}

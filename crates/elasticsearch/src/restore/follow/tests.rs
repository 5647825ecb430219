//! What health and recoveries tell.

use proptest::prelude::*;

use super::*;
use crate::odd;

fn health(active: u64, initializing: u64) -> Value {
    json!({"status": "yellow", "indices": {"i": {"number_of_shards": 2, "active_primary_shards": active, "initializing_shards": initializing}}})
}

fn shard(id: u64, kind: &str, snapshot: &str, stage: &str) -> Value {
    let size = json!({"total_in_bytes": 10, "reused_in_bytes": 3, "recovered_in_bytes": 4});
    json!({"id": id, "type": kind, "stage": stage, "primary": true, "source": {"repository": "r", "snapshot": snapshot, "index": "i"}, "index": {"size": size}})
}

fn seen(health: &Value, shards: &[Value]) -> Look {
    let mut looks = BTreeMap::new();
    note_health(&mut looks, health);
    note_recoveries(&mut looks, &json!({"i": {"shards": shards}}), "s");
    looks["i"]
}

#[test]
fn an_index_is_done_when_all_its_primaries_are_active_and_recovered() {
    let ours = shard(0, "SNAPSHOT", "s", "DONE");
    let empty = shard(1, "EMPTY_STORE", "", "DONE");
    let look = seen(&health(2, 0), &[ours.clone(), empty.clone()]);
    assert!(look.is_done());
    assert_eq!((look.bytes, look.bytes_total), (14, 20));
    let mut copy = shard(1, "PEER", "s", "DONE");
    copy["primary"] = json!(false);
    for (health, shards) in [
        (health(2, 0), vec![]),
        (health(2, 0), vec![ours.clone()]),
        (health(1, 1), vec![ours.clone(), empty]),
        (
            health(2, 0),
            vec![ours.clone(), shard(1, "SNAPSHOT", "s", "INDEX")],
        ),
        // Of another snapshot, and of a copy.
        (
            health(2, 0),
            vec![ours.clone(), shard(1, "SNAPSHOT", "t", "DONE")],
        ),
        (health(2, 0), vec![ours.clone(), copy]),
        (json!({}), vec![ours.clone(), ours]),
    ] {
        assert!(!seen(&health, &shards).is_done(), "{health} {shards:?}");
    }
}

#[test]
fn an_index_is_stuck_when_a_primary_is_neither_active_nor_coming() {
    assert!(seen(&health(1, 0), &[]).is_stuck());
    assert!(!seen(&health(1, 1), &[]).is_stuck());
    assert!(!seen(&health(2, 0), &[]).is_stuck());
    assert!(!seen(&json!({}), &[]).is_stuck());
}

proptest! {
    #[test]
    fn no_look_panics(
        health in odd::answer(&health(1, 1)),
        recoveries in odd::answer(&json!({"i": {"shards": [shard(0, "SNAPSHOT", "s", "DONE"), shard(1, "SNAPSHOT", "s", "INDEX")]}})),
        explained in odd::answer(&json!({
            "unassigned_info": {"details": "failed"}, "allocate_explanation": "no",
            "node_allocation_decisions": [{"deciders": [{"decision": "NO", "explanation": "x"}]}]
        })),
    ) {
        let mut looks = BTreeMap::new();
        note_health(&mut looks, &health);
        note_recoveries(&mut looks, &recoveries, "s");
        for look in looks.values() {
            look.is_done();
            look.is_stuck();
        }
        read_known(&recoveries, &recoveries, &[], "r");
        reason(&explained);
    }
}

#[test]
fn a_primary_that_moved_after_its_restore_is_recovered_once() {
    let moved = |id: u64, kind: &str, stage: &str, snapshot: &str| json!({"id": id, "type": kind, "stage": stage, "primary": true, "source": {"snapshot": snapshot}});
    let looked = |shards: &[Value]| {
        let mut look = Look {
            primaries: 2,
            active: 2,
            ..Look::default()
        };
        look.recover(&json!({"shards": shards}), "s");
        look.is_done()
    };
    let stays = moved(0, "SNAPSHOT", "DONE", "s");
    let on_its_way = [
        moved(1, "SNAPSHOT", "DONE", "s"),
        moved(1, "PEER", "INDEX", ""),
    ];
    let there = [
        moved(1, "SNAPSHOT", "DONE", "s"),
        moved(1, "PEER", "DONE", ""),
    ];
    for shards in [&on_its_way[..], &there[..], &there[1..]] {
        let both: Vec<Value> = shards.iter().chain([&stays]).cloned().collect();
        assert!(looked(&both), "{shards:?}");
        assert!(!looked(shards), "{shards:?}");
    }
    assert!(!looked(&[stays, moved(1, "SNAPSHOT", "DONE", "another")]));
}

#[test]
fn a_shard_that_waits_for_its_turn_has_not_failed() {
    let explained =
        |state: &str, can: &str| has_failed(&json!({"current_state": state, "can_allocate": can}));
    assert!(explained("unassigned", "no"));
    assert!(explained("unassigned", "no_valid_shard_copy"));
    let waits = [
        "yes",
        "throttled",
        "awaiting_info",
        "allocation_delayed",
        "no_attempt",
    ];
    for can in waits {
        assert!(!explained("unassigned", can), "{can}");
    }
    assert!(!explained("initializing", "no"));
}

#[test]
fn shards_that_wait_for_a_node_are_part_of_a_restore() {
    let source = |snapshot: &str| json!({"recovery_source": {"type": "SNAPSHOT", "repository": "r", "snapshot": snapshot, "index": "was"}});
    let recoveries = json!({"i": {"shards": [shard(0, "SNAPSHOT", "s", "DONE")]}});
    let waiting = json!({"routing_table": {"indices": {
        "i": {"shards": {"1": [source("s")]}},
        "j": {"shards": {"0": [source("s"), {"recovery_source": {"type": "PEER"}}]}},
        "k": {"shards": {"0": [{"recovery_source": {"type": "EMPTY_STORE"}}]}},
    }}});
    let known = read_known(&recoveries, &waiting, &[], "r");
    let expected = Known {
        snapshot: "s".to_owned(),
        indices: vec!["i".to_owned(), "j".to_owned()],
        sources: vec!["i".to_owned(), "was".to_owned()],
        is_active: true,
    };
    assert_eq!(known, [expected]);
    assert!(!read_known(&recoveries, &Value::Null, &[], "r")[0].is_active);
    assert_eq!(read_known(&recoveries, &waiting, &[], "q"), []);
}

#[test]
fn what_came_back_before_is_no_part_of_a_restore_that_is_under_way() {
    let recoveries = json!({
        "i": {"shards": [shard(0, "SNAPSHOT", "s", "DONE")]},
        "j": {"shards": [shard(0, "SNAPSHOT", "s", "INDEX")]},
        "k": {"shards": [shard(0, "SNAPSHOT", "s", "DONE")]},
    });
    let of = |indices: &[&str]| {
        let restore = |repository: &str| InEngine {
            repository: repository.to_owned(),
            snapshot: "s".to_owned(),
            indices: indices.iter().map(|name| (*name).to_owned()).collect(),
        };
        let restores = [restore("r"), restore("q")];
        let known = read_known(&recoveries, &Value::Null, &restores, "r");
        assert!(known[0].is_active);
        assert_eq!(known[0].sources.len(), known[0].indices.len());
        known[0].indices.clone()
    };
    assert_eq!(of(&["j", "k"]), ["j", "k"]);
    // The engine gave up what failed.
    assert_eq!(of(&[]), ["j"]);
}

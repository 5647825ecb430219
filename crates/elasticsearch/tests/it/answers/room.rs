//! What a plan finds out before a restore: names that are taken, and how many shards there may be.

use lifeboat_core::error::Kind;
use lifeboat_elasticsearch::catalog::Repository;
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::pattern::Patterns;
use lifeboat_elasticsearch::restore::{self, Existing, Partial, Planned, Wish};

use crate::exchanges::{self, Recorded};
use crate::server::{Reply, Server};

const SNAPSHOT: &str = "sts-backup-20221123-0300";
const DESCRIBED: &str = "GET /_snapshot/sts-backup/sts-backup-20221123-0300";
const CAT: &str = "GET /_cat/indices";
const ALIASES: &str = "GET /_cat/aliases";
const SETTINGS: &str = "GET /_cluster/settings";
const HEALTH: &str = "GET /_cluster/health";

/// Two indices are there, one of which the snapshot has too: 2 and 1 shards.
const INDICES: &str = r#"[{"index":"sts_internal_events-2022.09.20","status":"open","pri":"1","rep":"1"},{"index":"x","status":"open","pri":"1","rep":"0"}]"#;

/// What is planned, with these answers before all others. Nothing but questions is asked.
async fn planned(recorded: &Recorded, first: &[(&str, Reply)]) -> Result<Planned, Error> {
    let usual = [
        (DESCRIBED, recorded.get("list").into()),
        (CAT, Reply::good(INDICES)),
        (ALIASES, Reply::good("[]")),
        (
            SETTINGS,
            Reply::good(r#"{"defaults":{"cluster":{"max_shards_per_node":"1000"}}}"#),
        ),
        (HEALTH, Reply::good(r#"{"number_of_data_nodes":1}"#)),
    ];
    let server = Server::knowing(&[first, &usual].concat()).await;
    let client = server.client();
    let repository = Repository {
        client: &client,
        engine: recorded.engine,
        name: "sts-backup",
    };
    let wish = Wish {
        patterns: &Patterns::parse("sts*"),
        rename: None,
        partial: Partial::Refused,
        existing: Existing::Deleted,
    };
    let planned = restore::plan(repository, SNAPSHOT, &wish).await;
    let asked = server.asked();
    assert!(asked.iter().all(|one| one.starts_with("GET ")), "{asked:?}");
    planned
}

#[tokio::test]
async fn an_alias_of_that_name_is_refused_and_one_that_goes_is_not() {
    for recorded in exchanges::all() {
        let of = |index: &str| {
            let alias = format!(
                r#"[{{"alias":"sts_internal_events-2022.09.20","index":"{index}"}},{{"odd":1}}]"#
            );
            [(ALIASES, Reply::good(&alias))]
        };
        let without = r#"[{"index":"x","status":"open","pri":"1","rep":"0"}]"#;
        let taken = [&of("x")[..], &[(CAT, Reply::good(without))]].concat();
        let error = planned(&recorded, &taken).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert_eq!(
            error.to_string(),
            "the cluster has other things of these names: `sts_internal_events-2022.09.20` is an alias of `x`"
        );
        assert!(
            planned(&recorded, &of("sts_internal_events-2022.09.20"))
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn a_limit_is_judged_where_the_cluster_tells_it() {
    for recorded in exchanges::all() {
        let limit = |limit: &str| {
            let settings = format!(
                r#"{{"persistent":{{"cluster":{{"max_shards_per_node":"{limit}"}}}},"defaults":{{"cluster":{{"max_shards_per_node":"9"}}}}}}"#
            );
            [(SETTINGS, Reply::good(&settings))]
        };
        // The one that stays fills it.
        let error = planned(&recorded, &limit("1")).await.unwrap_err();
        assert!(matches!(error, Error::TooManyShards { .. }), "{error:?}");
        assert_eq!(error.kind(), Kind::Invalid);
        let crowd = |planned: Result<Planned, Error>| planned.unwrap().plan.crowd;
        let full = crowd(planned(&recorded, &limit("2")).await).unwrap();
        assert_eq!((full.after, full.limit), (3, 2));
        assert_eq!(crowd(planned(&recorded, &limit("3")).await), None);
        let nodes = [(HEALTH, Reply::good(r#"{"number_of_data_nodes":3}"#))];
        let three = [&limit("1")[..], &nodes].concat();
        assert_eq!(crowd(planned(&recorded, &three).await), None);
    }
}

#[tokio::test]
async fn what_somebody_may_not_ask_for_stops_no_restore() {
    let denied = Reply::status(
        403,
        r#"{"error":{"type":"security_exception","reason":"no permissions"},"status":403}"#,
    );
    for recorded in exchanges::all() {
        for route in [ALIASES, SETTINGS, HEALTH] {
            let planned = planned(&recorded, &[(route, denied.clone())]).await;
            let plan = planned.unwrap().plan;
            assert_eq!(plan.delete_indices, ["sts_internal_events-2022.09.20"]);
            assert_eq!(plan.crowd, None);
        }
    }
}

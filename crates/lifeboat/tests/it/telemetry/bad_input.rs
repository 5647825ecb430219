//! What a person sees who asks for what cannot be: a clear error, and nothing is changed.

use super::Telemetry;
use crate::world::World;

#[test]
fn a_cluster_that_is_down_is_told_with_its_key() {
    let world = World::new();
    let url = "lifeboat.elasticsearch.url=http://127.0.0.1:9";
    insta::assert_snapshot!(world.seen(&["--set", url, "elasticsearch", "list"]), @"
    exit code 5
    --- stdout
    --- stderr
    error: no answer from the cluster at http://127.0.0.1:9 when asked to tell its version
      caused by: error sending request
      caused by: client error (Connect)
      caused by: tcp connect error
      caused by: Connection refused (os error 111)
    hint: is the cluster running? `lifeboat.elasticsearch.url` says where it is
    ");
    let two = "lifeboat.elasticsearch.token=t";
    insta::assert_snapshot!(world.seen(&["--set", two, "--set", "lifeboat.elasticsearch.user=u", "elasticsearch", "list"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: `lifeboat.elasticsearch.token` is given beside `lifeboat.elasticsearch.user`: a request says only once who it is from
    ");
}

#[test]
fn what_cannot_be_is_told_and_nothing_is_changed() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    insta::assert_snapshot!(telemetry.seen(&["list"]), @"
    exit code 3
    --- stdout
    --- stderr
    error: no repository `sts-backup` is registered in the cluster
    hint: `lifeboat elasticsearch configure` registers it; what the bucket holds is there again then
    ");
    // Keys in the settings of a repository have to be allowed: nothing is left registered.
    let insecure = "lifeboat.elasticsearch.keys=settings";
    let seen = telemetry
        .world
        .run(&["--set", insecure, "elasticsearch", "configure"]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("is insecure, but property"),
        "{}",
        seen.stderr
    );
    for secret in [crate::world::SECRET_KEY, crate::world::ACCESS_KEY] {
        assert!(!seen.stderr.contains(secret), "{}", seen.stderr);
    }
    assert_eq!(
        telemetry.ask("GET", "/_snapshot/sts-backup", "").status,
        404
    );
    let nowhere = "lifeboat.elasticsearch.gateway=http://127.0.0.1:9";
    let seen = telemetry
        .world
        .run(&["--set", nowhere, "elasticsearch", "configure"]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr
            .contains("nobody listens at the endpoint of the repository"),
        "{}",
        seen.stderr
    );
    assert_eq!(
        telemetry.ask("GET", "/_snapshot/sts-backup", "").status,
        404
    );
    telemetry.run_json(&["configure"]);
    insta::assert_snapshot!(telemetry.seen(&["backup"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: no index matches `sts*`
    hint: nothing was changed; `lifeboat elasticsearch list-indices` shows what there is
    ");
    telemetry.index("sts_events", 10);
    telemetry.back_up();
    insta::assert_snapshot!(telemetry.seen(&["restore", "sts-backup-2021"]).lines().take(4).collect::<Vec<_>>().join("\n"), @"
    exit code 3
    --- stdout
    --- stderr
    error: no snapshot `sts-backup-2021` in repository `sts-backup`
    ");
    insta::assert_snapshot!(telemetry.seen(&["restore", "Not A Name"]).lines().take(4).collect::<Vec<_>>().join("\n"), @"
    exit code 3
    --- stdout
    --- stderr
    error: no snapshot `Not A Name` in repository `sts-backup`
    ");
    insta::assert_snapshot!(telemetry.seen(&["restore", "latest", "nothing*"]).lines().take(1).collect::<String>(), @"exit code 3");
    insta::assert_snapshot!(telemetry.seen(&["delete-indices", "nothing*", "--yes"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: no index matches `nothing*`
    hint: nothing was changed; `lifeboat elasticsearch list-indices` shows what there is
    ");
    insta::assert_snapshot!(telemetry.seen(&["restore", "--attach"]), @"
    exit code 3
    --- stdout
    --- stderr
    error: nothing is being restored
    hint: a restore that has ended is known only as long as its indices stay where they are
    ");
    assert_eq!(telemetry.documents("sts_events").len(), 10);
}

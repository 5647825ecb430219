//! OpenSearch keeps snapshots in S3.

use lifeboat_testkit::http;
use lifeboat_testkit::servers::{Server, opensearch, versitygw};

use super::{ask, end, started, work};

/// Sends JSON, which must be taken, and returns the answer.
fn json(server: &Server, method: &str, path: &str, body: &str) -> String {
    let answer = http::send(server.address(), method, path, "application/json", body).unwrap();
    assert!(answer.status < 300, "{method} {path}: {answer:?}");
    answer.body
}

#[test]
fn opensearch_snapshots_to_s3_and_restores() {
    let (bucket, work) = (work(), work());
    let Some(bucket) = started("versitygw", versitygw::start(bucket.path())) else {
        return;
    };
    let repositories = opensearch::Repositories {
        endpoint: bucket.endpoint(),
        keys: bucket.keys(),
    };
    let Some(server) = started("OpenSearch", opensearch::start(work.path(), repositories)) else {
        return;
    };
    // It makes the bucket.
    let Some(_seen) = ask(&bucket) else { return };
    json(
        &server,
        "PUT",
        "/boats/_doc/1?refresh=true",
        r#"{"name": "lifeboat"}"#,
    );
    json(
        &server,
        "PUT",
        "/_snapshot/there",
        r#"{"type": "s3", "settings": {"bucket": "witness", "base_path": "search"}}"#,
    );
    json(
        &server,
        "PUT",
        "/_snapshot/there/one?wait_for_completion=true",
        "{}",
    );
    json(&server, "DELETE", "/boats", "");
    let restored = json(
        &server,
        "POST",
        "/_snapshot/there/one/_restore?wait_for_completion=true",
        "{}",
    );
    assert!(restored.contains(r#""failed":0"#), "{restored}");
    let document = json(&server, "GET", "/boats/_source/1", "");
    assert_eq!(document, r#"{"name": "lifeboat"}"#);
    end(server);
    end(bucket);
}

//! Which engine a server is, whatever it says of itself.

use lifeboat_core::error::Kind;
use lifeboat_elasticsearch::engine::{Engine, Family};
use lifeboat_elasticsearch::error::Error;

use crate::exchanges;
use crate::server::{Reply, Server};

const NODES: &str = "GET /_nodes/_local";
const BANNER: &str = "GET /";

async fn detect(nodes: Reply, banner: Reply) -> Result<Engine, Error> {
    let server = Server::knowing(&[(NODES, nodes), (BANNER, banner)]).await;
    Engine::detect(&server.client()).await
}

fn nodes(version: &str, more: &str) -> Reply {
    let body = format!(r#"{{"nodes":{{"a":{{"version":"{version}"{more}}}}}}}"#);
    Reply::good(&body)
}

fn elastic(version: &str) -> Reply {
    nodes(version, r#","build_flavor":"default""#)
}

/// As a node of this engine describes itself. It was recorded of Elasticsearch 8 alone.
fn node_of(engine: Engine) -> Reply {
    let version = engine.version.to_string();
    match engine.family {
        Family::Elasticsearch => elastic(&version),
        Family::OpenSearch => nodes(&version, ""),
    }
}

fn silent() -> Reply {
    Reply::status(405, r#"{"error":"Incorrect HTTP method","status":405}"#)
}

#[tokio::test]
async fn each_engine_is_known_by_what_it_says_of_itself() {
    for recorded in exchanges::all() {
        let root = recorded.get("root");
        let mut told = node_of(recorded.engine);
        for (name, value) in &root.headers {
            told = told.header(name, value);
        }
        let found = detect(told, root.into()).await.unwrap();
        assert_eq!(found, recorded.engine);
    }
}

/// A proxy may drop them.
#[tokio::test]
async fn each_engine_is_known_without_its_headers() {
    for recorded in exchanges::all() {
        let root = recorded.get("root");
        let told = node_of(recorded.engine);
        let banner = Reply::status(root.status, &root.body);
        assert_eq!(detect(told.clone(), banner).await.unwrap(), recorded.engine);
        // And where `/` says nothing of use.
        for banner in [
            silent(),
            Reply::refusal(403, "security_exception", "not you"),
            Reply::good("<html>"),
            Reply::good("{}"),
        ] {
            let found = detect(told.clone(), banner).await;
            assert_eq!(found.unwrap(), recorded.engine);
        }
    }
}

#[tokio::test]
async fn a_header_decides_and_the_banner_is_not_asked_for() {
    for (name, value, expected) in [
        ("X-elastic-product", "Elasticsearch", "Elasticsearch 9.2.3"),
        (
            "X-OpenSearch-Version",
            "OpenSearch/9.2.3 (opensearch)",
            "OpenSearch 9.2.3",
        ),
    ] {
        let server = Server::knowing(&[(NODES, nodes("9.2.3", "").header(name, value))]).await;
        let found = Engine::detect(&server.client()).await.unwrap();
        assert_eq!(found.to_string(), expected);
        assert_eq!(server.asked(), [NODES]);
    }
}

/// `compatibility.override_main_response_version`, in the words of OpenSearch 1 and 2.
#[tokio::test]
async fn an_opensearch_that_calls_itself_7_10_2_is_found_out() {
    let lies = [
        r#"{"version":{"distribution":"opensearch","number":"7.10.2"},"tagline":"The OpenSearch Project: https://opensearch.org/"}"#,
        r#"{"version":{"number":"7.10.2"},"tagline":"The OpenSearch Project: https://opensearch.org/"}"#,
    ];
    for lie in lies {
        for version in ["1.3.20", "2.19.1"] {
            let found = detect(nodes(version, ""), Reply::good(lie)).await.unwrap();
            assert_eq!(found.to_string(), format!("OpenSearch {version}"));
            assert!(!found.has_slm() && !found.has_index_details());
        }
    }
}

#[tokio::test]
async fn versions_that_were_never_met_are_known_as_well() {
    for (version, told, expected) in [
        ("9.3.1", elastic("9.3.1"), "Elasticsearch 9.3.1"),
        ("9.0.0-rc1", elastic("9.0.0-rc1"), "Elasticsearch 9.0.0"),
        (
            "7.10.2",
            nodes("7.10.2", r#","build_flavor":"oss""#),
            "Elasticsearch 7.10.2",
        ),
        ("1.0.0", nodes("1.0.0", ""), "OpenSearch 1.0.0"),
        (
            "4.0.0-SNAPSHOT",
            nodes("4.0.0-SNAPSHOT", ""),
            "OpenSearch 4.0.0",
        ),
    ] {
        let found = detect(told, silent()).await.unwrap();
        assert_eq!(found.to_string(), expected, "{version}");
    }
}

#[tokio::test]
async fn what_is_no_search_engine_is_told_as_such() {
    let page = "<html><title>Welcome</title></html>";
    let mut told = Vec::new();
    for nodes in [
        Reply::good(page),
        Reply::good("{}"),
        Reply::good("[]"),
        Reply::good(r#"{"nodes":{}}"#),
        Reply::good(r#"{"nodes":{"a":{"version":"new"}}}"#),
        Reply::good(&format!(r#"{{"nodes":"{}"}}"#, "long".repeat(1000))),
        Reply::status(404, page),
    ] {
        let error = detect(nodes, silent()).await.unwrap_err();
        assert_ne!(error.kind(), Kind::Unavailable, "{error}");
        let text = error.to_string();
        assert!(text.len() < 600, "{text}");
        told.push(text.replace(&"long".repeat(90), "long… "));
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    the cluster answered something else than expected when asked to tell its version: <html><title>Welcome</title></html>
    the cluster answered something else than expected when asked to tell its version: {}
    the cluster answered something else than expected when asked to tell its version: []
    the cluster answered something else than expected when asked to tell its version: {"nodes":{}}
    the cluster answered something else than expected when asked to tell its version: {"nodes":{"a":{"version":"new"}}}
    the cluster answered something else than expected when asked to tell its version: {"nodes":"long… longlonglonglonglonglonglonglo
    the cluster refused to tell its version: <html><title>Welcome</title></html>
    "#);
}

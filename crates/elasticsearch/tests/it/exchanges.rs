//! Answers of real servers, as they were recorded, less what nobody reads.
//!
//! A file has blocks with an empty line between them: `### name`, `> METHOD path`, `< status | header: value`, and the body in one line.

use lifeboat_elasticsearch::engine::{Engine, Family, Version};
use serde_json::Value;

/// One answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What was recorded of one engine.
pub(crate) struct Recorded {
    pub(crate) engine: Engine,
    pub(crate) exchanges: Vec<Exchange>,
}

impl Recorded {
    pub(crate) fn find(&self, name: &str) -> Option<&Exchange> {
        self.exchanges.iter().find(|one| one.name == name)
    }

    pub(crate) fn get(&self, name: &str) -> &Exchange {
        self.find(name)
            .unwrap_or_else(|| panic!("no exchange `{name}` of {}", self.engine))
    }
}

impl Exchange {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// All four of them.
pub(crate) fn all() -> Vec<Recorded> {
    use Family::{Elasticsearch, OpenSearch};
    let of = |family, version, text| Recorded {
        engine: Engine { family, version },
        exchanges: read(text),
    };
    vec![
        of(
            Elasticsearch,
            Version::new(7, 17, 29),
            include_str!("exchanges/elasticsearch-7.17.29.txt"),
        ),
        of(
            Elasticsearch,
            Version::new(8, 19, 21),
            include_str!("exchanges/elasticsearch-8.19.21.txt"),
        ),
        of(
            OpenSearch,
            Version::new(2, 19, 1),
            include_str!("exchanges/opensearch-2.19.txt"),
        ),
        of(
            OpenSearch,
            Version::new(3, 6, 0),
            include_str!("exchanges/opensearch-3.6.0.txt"),
        ),
    ]
}

/// Those of OpenSearch 3.6.0, the only one that was recorded with repositories in S3.
pub(crate) fn opensearch() -> Recorded {
    all().pop().unwrap()
}

fn read(text: &str) -> Vec<Exchange> {
    text.split("\n\n")
        .map(|block| {
            let lines: Vec<&str> = block.trim_end().lines().collect();
            let [name, _, head, body] = lines[..] else {
                panic!("{block}");
            };
            let mut head = head.strip_prefix("< ").unwrap().split(" | ");
            let status = head.next().unwrap().parse().unwrap();
            let header = |line: &str| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.to_owned(), value.to_owned())
            };
            Exchange {
                name: name.strip_prefix("### ").unwrap().to_owned(),
                status,
                headers: head.map(header).collect(),
                body: body.to_owned(),
            }
        })
        .collect()
}

//! The JSON of the commands, as far as the demo reads it.

use std::collections::BTreeMap;

use lifeboat_core::size::ByteSize;
use serde::Deserialize;

/// What `backup`, `restore` and `verify` print.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Report {
    pub(super) name: String,
    pub(super) elements: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) digest: String,
}

/// What `list` prints.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) backups: Vec<Backup>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Backup {
    pub(super) name: String,
    #[serde(rename = "bytes", deserialize_with = "bytes")]
    pub(super) size: ByteSize,
}

/// What `show --digest` prints: how many elements of which type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Show {
    vertices: BTreeMap<String, u64>,
    edges: BTreeMap<String, u64>,
    pub(super) digest: String,
}

impl Show {
    pub(super) fn elements(&self) -> u64 {
        self.vertices.values().chain(self.edges.values()).sum()
    }
}

fn bytes<'de, D: serde::Deserializer<'de>>(source: D) -> Result<ByteSize, D::Error> {
    u64::deserialize(source).map(ByteSize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_come_later_do_no_harm() {
        let list: List = serde_json::from_str(
            r#"{"backups":[{"name":"a.graph","bytes":2048,"checksum":"x"}],"bucket":"b"}"#,
        )
        .unwrap();
        assert_eq!(list.backups[0].size.to_string(), "2.0 KiB");
        let show: Show =
            serde_json::from_str(r#"{"vertices":{"host":2},"edges":{"runs":3},"digest":"00"}"#)
                .unwrap();
        assert_eq!(show.elements(), 5);
    }
}

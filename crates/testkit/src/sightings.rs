//! Which operation of the gateway was seen to serve which client, in front of which storage.
//!
//! Tests with real clients note it after they have passed; the table of the S3 reference is made from the notes, so that
//! it says what was run and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::path::Path;

use crate::environment;

/// One operation that one client used, answered without an error.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// What objects were stored in: `volume`, `versitygw`.
    pub storage: String,
    pub client: String,
    /// As S3 spells it: `PutObject`.
    pub operation: String,
}

/// Notes every operation that `metrics`, the text of a gateway's own page, counts an answer below 400 of. Without a log
/// in the environment nothing is noted.
pub fn record(storage: &str, client: &str, metrics: &str) {
    let Some(log) = environment::path(environment::SIGHTINGS_LOG) else {
        return;
    };
    let mut lines = String::new();
    for operation in answered(metrics) {
        writeln!(lines, "{storage}\t{client}\t{operation}").expect("a text takes everything");
    }
    // One write, so that tests running at once do not mix theirs.
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .and_then(|mut file| std::io::Write::write_all(&mut file, lines.as_bytes()))
        .expect("the log of sightings can be written, or the table would miss what was seen");
}

/// The operations with at least one answer of a status below 400.
fn answered(metrics: &str) -> BTreeSet<&str> {
    metrics
        .lines()
        .filter_map(|line| {
            let labels = line.strip_prefix("lifeboat_gateway_requests_total{")?;
            let (labels, count) = labels.split_once("} ")?;
            let value = |name: &str| {
                labels
                    .split(',')
                    .filter_map(|label| label.split_once('='))
                    .find(|(label, _)| *label == name)
                    .map(|(_, value)| value.trim_matches('"'))
            };
            let served = value("status")?.parse::<u16>().ok()? < 400 && count.trim() != "0";
            value("operation").filter(|_| served)
        })
        .collect()
}

/// Reads a log. One that is not there means that nothing was seen.
pub fn read(log: &Path) -> std::io::Result<BTreeSet<Sighting>> {
    let text = match std::fs::read_to_string(log) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let sightings = text.lines().filter_map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        Some(Sighting {
            storage: fields.next()?,
            client: fields.next()?,
            operation: fields.next()?,
        })
    });
    Ok(sightings.collect())
}

/// Writes sightings as a Markdown table: operations down, storages across, clients in the cells.
pub fn table(sightings: &BTreeSet<Sighting>) -> String {
    let storages: BTreeSet<&str> = sightings.iter().map(|one| one.storage.as_str()).collect();
    let mut rows: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for one in sightings {
        rows.entry(&one.operation)
            .or_default()
            .entry(&one.storage)
            .or_default()
            .push(&one.client);
    }
    let mut text = String::from("| operation |");
    for storage in &storages {
        write!(text, " {storage} |").expect("a text takes everything");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(storages.len()));
    text.push('\n');
    for (operation, cells) in rows {
        write!(text, "| {operation} |").expect("a text takes everything");
        for storage in &storages {
            let clients = cells
                .get(storage)
                .map_or_else(String::new, |cell| cell.join(", "));
            write!(text, " {clients} |").expect("a text takes everything");
        }
        text.push('\n');
    }
    text
}

/// Reads what [`table`] wrote.
pub fn of_table(text: &str) -> BTreeSet<Sighting> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let mut lines = text.lines().filter(|line| line.starts_with('|'));
    let storages = lines.next().map(cells).unwrap_or_default();
    let mut sightings = BTreeSet::new();
    for line in lines.skip(1) {
        let row = cells(line);
        let Some((operation, clients)) = row.split_first() else {
            continue;
        };
        for (storage, cell) in storages.iter().skip(1).zip(clients) {
            for client in cell.split(", ").filter(|client| !client.is_empty()) {
                sightings.insert(Sighting {
                    storage: storage.clone(),
                    client: client.to_owned(),
                    operation: operation.clone(),
                });
            }
        }
    }
    sightings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(storage: &str, client: &str, operation: &str) -> Sighting {
        Sighting {
            storage: storage.to_owned(),
            client: client.to_owned(),
            operation: operation.to_owned(),
        }
    }

    #[test]
    fn only_what_was_answered_counts() {
        let metrics = "# TYPE lifeboat_gateway_requests counter\n\
            lifeboat_gateway_requests_total{operation=\"PutObject\",status=\"200\"} 3\n\
            lifeboat_gateway_requests_total{operation=\"GetObject\",status=\"404\"} 1\n\
            lifeboat_gateway_requests_total{operation=\"GetObject\",status=\"206\"} 1\n\
            lifeboat_gateway_requests_total{operation=\"CopyObject\",status=\"501\"} 1\n\
            lifeboat_gateway_errors_total{code=\"NoSuchKey\"} 1\n";
        let expected = BTreeSet::from(["GetObject", "PutObject"]);
        assert_eq!(answered(metrics), expected);
    }

    #[test]
    fn a_table_says_what_was_seen_and_is_read_back() {
        let sightings = BTreeSet::from([
            sighting("volume", "restic", "PutObject"),
            sighting("volume", "rclone", "PutObject"),
            sighting("azurite", "rclone", "CopyObject"),
        ]);
        let text = table(&sightings);
        insta::assert_snapshot!(text, @r"
        | operation | azurite | volume |
        |---|---|---|
        | CopyObject | rclone |  |
        | PutObject |  | rclone, restic |
        ");
        assert_eq!(of_table(&text), sightings);
    }
}

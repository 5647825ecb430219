//! The agent that keeps samples while a server is stopped for its restore: how much it holds, and for how long it can.
//!
//! All of it is read from what vmagent says on `/metrics` (names seen in 1.79.5, 1.112.0 and 1.145.0). Nothing is ever changed: another list of targets would
//! make it drop its queue.

mod drain;

use std::time::Duration;

use reqwest::Client;

use crate::error::Error;

pub use self::drain::drain;

const QUESTION: Duration = Duration::from_secs(20);
/// Between two looks, of which the second shows how fast the buffer grows.
const APART: Duration = Duration::from_secs(2);

/// What a vmagent says of its queues, all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Bytes that wait, in memory and on disk.
    pub pending: u64,
    /// Bytes for each target at most; 0: as many as its volume holds.
    pub limit: u64,
    /// Bytes of room, where it tells (since about 1.120).
    pub room: Option<u64>,
    /// Bytes that were sent since its start.
    pub sent: u64,
    /// Bytes and blocks that it has dropped since its start.
    pub dropped: u64,
    /// Tries to send that have failed since its start.
    pub retries: u64,
    /// Blocks that its workers have in hand: they wait nowhere and were not taken yet. No number says that; it is what was made, and was neither sent nor dropped and
    /// waits neither in memory nor on disk.
    pub held: u64,
    /// It has no queue on disk: what comes while a server is stopped is lost.
    pub is_lossy: bool,
}

/// How a vmagent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    pub now: Reading,
    /// Bytes a second that come in.
    pub rate: u64,
}

impl Reading {
    /// Reads the text that Prometheus reads.
    pub fn parse(text: &str) -> Self {
        let mut reading = Self::default();
        let mut held = 0_i64;
        for line in text.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let name = series.split('{').next().unwrap_or_default();
            if name == "flag" {
                reading.read_flag(series);
                continue;
            }
            let Some(value) = whole(value) else { continue };
            let blocks = i64::try_from(value).unwrap_or(i64::MAX);
            held = held.saturating_add(blocks.saturating_mul(sign_in_held(name, series)));
            match name {
                "vmagent_remotewrite_pending_data_bytes" => reading.pending += value,
                "vmagent_remotewrite_bytes_sent_total" => reading.sent += value,
                "vm_persistentqueue_bytes_dropped_total"
                | "vmagent_remotewrite_packets_dropped_total"
                | "vmagent_remotewrite_samples_dropped_total" => reading.dropped += value,
                "vmagent_remotewrite_retries_count_total" => reading.retries += value,
                "vm_persistentqueue_free_disk_space_bytes" => {
                    reading.room = Some(reading.room.map_or(value, |room| room.min(value)));
                }
                _ => {}
            }
        }
        // Numbers that are read one after the other need not agree.
        reading.held = u64::try_from(held).unwrap_or(0);
        reading
    }

    fn read_flag(&mut self, series: &str) {
        let label = |name: &str| {
            let rest = series.split(&format!("{name}=\"")).nth(1)?;
            rest.split('"').next()
        };
        let (Some(name), Some(value)) = (label("name"), label("value")) else {
            return;
        };
        // One value for each target; the smallest decides.
        let values = || value.split(',').map(str::trim);
        match name {
            "remoteWrite.maxDiskUsagePerURL" => {
                self.limit = values()
                    .filter_map(size)
                    .filter(|limit| *limit > 0)
                    .min()
                    .unwrap_or(0);
            }
            "remoteWrite.disableOnDiskQueue" => {
                self.is_lossy = values().any(|value| value == "true");
            }
            _ => {}
        }
    }
}

/// How a number of blocks counts in [`Reading::held`]; 0 where it does not. What was there before the start of vmagent is read from the disk and was never written by it, which makes
/// up for it.
fn sign_in_held(name: &str, series: &str) -> i64 {
    match name {
        "vmagent_remotewrite_block_size_bytes_count" | "vm_persistentqueue_blocks_read_total" => 1,
        "vm_persistentqueue_blocks_written_total"
        | "vm_persistentqueue_blocks_dropped_total"
        | "vmagent_remotewrite_pending_inmemory_blocks"
        | "vmagent_remotewrite_packets_dropped_total" => -1,
        // 1.79.5 counts what it tries to send as sent.
        "vmagent_remotewrite_requests_total" if series.contains("status_code=\"2XX\"") => -1,
        _ => 0,
    }
}

impl Buffer {
    fn between(before: Reading, now: Reading, seconds: u64) -> Self {
        // What was sent and what has begun to wait both came in.
        let came = (now.sent + now.pending).saturating_sub(before.sent + before.pending);
        Self {
            now,
            rate: came / seconds.max(1),
        }
    }

    /// Seconds until it has to drop what it got first; none where nothing comes in, or where nobody knows its room.
    pub fn seconds_left(&self) -> Option<u64> {
        let room = match (self.now.room, self.now.limit) {
            (Some(room), _) => room,
            (None, 0) => return None,
            (None, limit) => limit.saturating_sub(self.now.pending),
        };
        room.checked_div(self.rate)
    }
}

/// Looks at a vmagent twice.
pub async fn look(url: &str) -> Result<Buffer, Error> {
    let before = read(url).await?;
    tokio::time::sleep(APART).await;
    Ok(Buffer::between(before, read(url).await?, APART.as_secs()))
}

/// Asks a vmagent once.
pub async fn read(url: &str) -> Result<Reading, Error> {
    let failed = |source: reqwest::Error| Error::Agent {
        url: url.to_owned(),
        source: source.without_url(),
    };
    let client = Client::builder()
        .timeout(QUESTION)
        .build()
        .map_err(failed)?;
    let answer = client
        .get(format!("{url}/metrics"))
        .send()
        .await
        .map_err(failed)?;
    let answer = answer.error_for_status().map_err(failed)?;
    Ok(Reading::parse(&answer.text().await.map_err(failed)?))
}

fn whole(value: &str) -> Option<u64> {
    whole_part(value.parse().ok()?)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked to be in range; parts of a byte are nobody's"
)]
fn whole_part(value: f64) -> Option<u64> {
    (value >= 0.0 && value < u64::MAX as f64).then_some(value as u64)
}

/// A flag's number of bytes, as VictoriaMetrics reads them: `1073741824`, `10GB`, `1.5GiB`, in any case.
fn size(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 8] = [
        ("kib", 1_024.0),
        ("mib", 1_048_576.0),
        ("gib", 1_073_741_824.0),
        ("tib", 1_099_511_627_776.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("tb", 1e12),
    ];
    let text = text.to_ascii_lowercase();
    let with_unit = UNITS.iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?;
        Some((number, *factor))
    });
    let (number, factor) = with_unit.unwrap_or((&text, 1.0));
    whole_part(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_queues_count_together_and_the_smallest_room_decides() {
        let text = "flag{name=\"remoteWrite.maxDiskUsagePerURL\", value=\"10GiB,2GiB\", is_set=\"true\"} 1\n\
                    flag{name=\"remoteWrite.disableOnDiskQueue\", value=\"false\", is_set=\"false\"} 1\n\
                    vmagent_remotewrite_pending_data_bytes{path=\"/q/1\", url=\"1:secret-url\"} 1000\n\
                    vmagent_remotewrite_pending_data_bytes{path=\"/q/2\", url=\"2:secret-url\"} 24\n\
                    vmagent_remotewrite_bytes_sent_total{url=\"1:secret-url\"} 1.5e3\n\
                    vmagent_remotewrite_retries_count_total{url=\"1:secret-url\"} 5\n\
                    vm_persistentqueue_bytes_dropped_total{path=\"/q/1\"} 7\n";
        let reading = Reading::parse(text);
        let expected = Reading {
            pending: 1024,
            limit: 2 << 30,
            room: None,
            sent: 1500,
            dropped: 7,
            retries: 5,
            held: 0,
            is_lossy: false,
        };
        assert_eq!(reading, expected);
        let lossy = text.replace(
            "value=\"false\", is_set=\"false\"",
            "value=\"true\", is_set=\"true\"",
        );
        assert!(Reading::parse(&lossy).is_lossy);
    }

    #[test]
    fn sizes_are_read_as_victoria_metrics_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1073741824", 1 << 30),
            ("1.5GiB", 3 << 29),
            ("1.5gib", 3 << 29),
            ("0.5KB", 500),
            ("2MB", 2_000_000),
            ("10GB", 10_000_000_000),
            ("1TB", 1_000_000_000_000),
            ("3KiB", 3072),
            ("3MiB", 3 << 20),
            ("1TiB", 1 << 40),
            ("1e9", 1_000_000_000),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "GiB", "-1", "x", "1PB", "1e99TB", "NaN"] {
            assert_eq!(size(text), None, "{text}");
        }
        let flag =
            "flag{name=\"remoteWrite.maxDiskUsagePerURL\", value=\"1.5GiB\", is_set=\"true\"} 1\n";
        assert_eq!(Reading::parse(flag).limit, 3 << 29);
    }

    #[test]
    fn the_time_left_is_what_the_room_has_for_what_comes_in() {
        let before = Reading {
            pending: 100,
            sent: 1000,
            limit: 10_000,
            ..Reading::default()
        };
        let stopped = Reading {
            pending: 700,
            ..before
        };
        let buffer = Buffer::between(before, stopped, 2);
        assert_eq!(buffer.rate, 300);
        assert_eq!(buffer.seconds_left(), Some(31));
        assert_eq!(Buffer::between(before, before, 2).seconds_left(), None);
        let unlimited = Reading {
            limit: 0,
            ..stopped
        };
        assert_eq!(Buffer::between(before, unlimited, 2).seconds_left(), None);
        let told = Reading {
            room: Some(900),
            ..unlimited
        };
        assert_eq!(Buffer::between(before, told, 2).seconds_left(), Some(3));
    }

    #[test]
    fn what_workers_have_in_hand_is_what_is_left_of_all_blocks() {
        let text = "vmagent_remotewrite_block_size_bytes_count 20\n\
                    vmagent_remotewrite_requests_total{url=\"1:secret-url\", status_code=\"2XX\"} 9\n\
                    vmagent_remotewrite_requests_total{url=\"1:secret-url\", status_code=\"503\"} 70\n\
                    vmagent_remotewrite_packets_dropped_total{url=\"1:secret-url\"} 1\n\
                    vmagent_remotewrite_pending_inmemory_blocks{path=\"/q/1\"} 2\n\
                    vm_persistentqueue_blocks_written_total{path=\"/q/1\"} 8\n\
                    vm_persistentqueue_blocks_read_total{path=\"/q/1\"} 5\n\
                    vm_persistentqueue_blocks_dropped_total{path=\"/q/1\"} 1\n";
        assert_eq!(Reading::parse(text).held, 4);
        // Blocks of before its start were sent too.
        let restarted = text.replace("read_total{path=\"/q/1\"} 5", "read_total{path=\"/q/1\"} 8");
        assert_eq!(Reading::parse(&restarted).held, 7);
        assert_eq!(Reading::parse(&text.replace("count 20", "count 2")).held, 0);
    }

    proptest! {
        #[test]
        fn no_text_of_metrics_panics(text in "(flag\\{name=\"|vmagent_remotewrite_pending_data_bytes )?\\PC*") {
            Reading::parse(&text);
        }
    }
}

//! What a server says of itself, as Prometheus reads it.

use std::time::Duration;

use crate::era::Version;

/// What a server says of itself on `/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Some builds do not know.
    pub version: Option<Version>,
    /// Samples, in memory and on the disk.
    pub rows: Option<u64>,
    /// Samples that are on their way to where `rows` counts them. Only to be used with `accepted`: 1.79.5 counted them twice.
    pending: u64,
    /// Samples taken in since the start. Servers that do not say beside it how many they received, such as 1.79.5, count here what they refuse, too, and
    /// have none.
    accepted: Option<u64>,
    /// Samples dropped since the start because others took their place.
    deduplicated: u64,
    /// When the process was started, in seconds of its own clock.
    pub started: Option<u64>,
    /// How far back the server keeps samples.
    pub retention: Option<Duration>,
    /// It takes no samples, for want of room.
    pub is_read_only: bool,
}

impl Vitals {
    /// Reads the text that Prometheus reads.
    pub fn parse(text: &str) -> Self {
        let mut vitals = Self::default();
        let (mut accepted, mut tells_received) = (None, false);
        for line in text.lines() {
            if line.starts_with("vm_storage_is_read_only{") {
                vitals.is_read_only |= line.ends_with(" 1");
                continue;
            }
            if let Some(rest) = line.strip_prefix("vm_app_version{version=\"") {
                let version = rest.split('"').next().unwrap_or_default();
                vitals.version = version.parse().ok();
                continue;
            }
            if let Some(rest) = line.strip_prefix("flag{name=\"retentionPeriod\", value=\"") {
                vitals.retention = rest.split('"').next().and_then(period);
                continue;
            }
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Some(value) = value.parse().ok().and_then(whole) else {
                continue;
            };
            match name {
                "vm_pending_rows{type=\"storage\"}" => vitals.pending = value,
                "vm_rows_received_by_storage_total" => tells_received = true,
                "vm_rows_added_to_storage_total" => accepted = Some(value),
                "vm_deduplicated_samples_total{type=\"merge\"}" => vitals.deduplicated = value,
                "vm_app_start_timestamp" => vitals.started = Some(value),
                _ if name.starts_with("vm_rows{type=\"storage/") => {
                    vitals.rows = Some(vitals.rows.unwrap_or(0).saturating_add(value));
                }
                _ => {}
            }
        }
        vitals.accepted = accepted.filter(|_| tells_received);
        vitals
    }

    /// All samples, also those on their way, where the server tells them apart.
    pub fn samples(&self) -> Option<u64> {
        let pending = self.accepted.map_or(0, |_| self.pending);
        self.rows.map(|rows| rows.saturating_add(pending))
    }

    /// Samples that have come in since the start, where the server tells. What took the place of others is not counted.
    pub fn came_in(&self) -> Option<u64> {
        let accepted = self.accepted?;
        Some(accepted.saturating_sub(self.deduplicated))
    }

    /// Samples that were there when the server was started; all, where it does not tell what has come in since.
    pub fn from_before(&self) -> Option<u64> {
        let came_in = self.came_in().unwrap_or(0);
        self.samples()
            .map(|samples| samples.saturating_sub(came_in))
    }
}

/// `1` is a month of 31 days; `36h`, `30d`, `2w`, `1.5y`.
fn period(text: &str) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    let split = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "" => 31.0 * DAY,
        "h" => DAY / 24.0,
        "d" => DAY,
        "w" => 7.0 * DAY,
        "y" => 365.0 * DAY,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

/// A number of samples is printed like any other value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked to be whole and in range"
)]
pub(super) fn whole(value: f64) -> Option<u64> {
    (value >= 0.0 && value < u64::MAX as f64 && value.fract() == 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vitals_are_read_from_metrics() {
        let text = "vm_app_version{version=\"victoria-metrics-20250226-1-tags-v1.112.0-0-g1\", short_version=\"v1.112.0\"} 1\n\
                    vm_rows{type=\"storage/inmemory\"} 9\nvm_rows{type=\"storage/small\"} 1.5e+03\nvm_rows{type=\"indexdb/file\"} 75\n\
                    vm_app_start_timestamp 1795685695\nflag{name=\"retentionPeriod\", value=\"1\", is_set=\"false\"} 1\n";
        let vitals = Vitals::parse(text);
        assert!(!vitals.is_read_only);
        assert!(Vitals::parse("vm_storage_is_read_only{path=\"/storage\"} 1\n").is_read_only);
        assert_eq!(vitals.version, "1.112.0".parse().ok());
        assert_eq!(vitals.rows, Some(1509));
        assert_eq!(vitals.samples(), Some(1509));
        assert_eq!(vitals.started, Some(1_795_685_695));
        assert_eq!(vitals.retention, Some(Duration::from_hours(31 * 24)));
        assert_eq!(
            Vitals::parse("vm_app_version{version=\"\"} 1\n"),
            Vitals::default()
        );
    }

    /// 1000 good samples, 10 that are no numbers and 7 from too far ahead, as the servers were seen to count them.
    #[test]
    fn what_came_in_is_told_from_what_was_there() {
        let of_1_112 = "vm_rows{type=\"storage/small\"} 300\nvm_pending_rows{type=\"storage\"} 1000\n\
                        vm_rows_received_by_storage_total 1017\nvm_rows_added_to_storage_total 1000\n";
        let vitals = Vitals::parse(of_1_112);
        assert_eq!(vitals.samples(), Some(1300));
        assert_eq!(vitals.came_in(), Some(1000));
        assert_eq!(vitals.from_before(), Some(300));
        let of_1_79 = "vm_rows{type=\"storage/small\"} 1300\nvm_pending_rows{type=\"storage\"} 1000\n\
                       vm_rows_added_to_storage_total 1017\n";
        let vitals = Vitals::parse(of_1_79);
        assert_eq!(vitals.came_in(), None);
        assert_eq!(vitals.from_before(), Some(1300));
        let deduplicated = format!(
            "{}vm_deduplicated_samples_total{{type=\"merge\"}} 400\n",
            of_1_112.replace("1000\nvm_rows_r", "600\nvm_rows_r")
        );
        let vitals = Vitals::parse(&deduplicated);
        assert_eq!(vitals.samples(), Some(900));
        assert_eq!(vitals.from_before(), Some(300));
    }

    #[test]
    fn a_retention_is_read_as_servers_take_it() {
        let days = |text: &str| period(text).map(|period| period.as_secs() / 86_400);
        let read = ["1", "12", "36h", "30d", "2w", "100y", "1.5y"].map(days);
        let wanted = [31, 372, 1, 30, 14, 36_500, 547].map(Some);
        assert_eq!(read, wanted);
        for text in ["", "d", "1d12h", "1M", "-1", "1.2.3d", "1e300y"] {
            assert_eq!(days(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_of_metrics_panics(text in "(vm_rows\\{type=\"storage/|vm_app_version\\{version=\"|flag\\{name=\"retentionPeriod\", value=\")?\\PC*") {
            Vitals::parse(&text);
        }
    }
}

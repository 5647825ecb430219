//! What a server says of itself, as Prometheus reads it.

use crate::era::Version;

/// What a server says of itself on `/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Some builds do not know.
    pub version: Option<Version>,
    /// Samples, in memory and on the disk.
    pub rows: Option<u64>,
}

impl Vitals {
    /// Reads the text that Prometheus reads.
    pub fn parse(text: &str) -> Self {
        let mut vitals = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("vm_rows{type=\"storage/") {
                let rows = rest
                    .rsplit(' ')
                    .next()
                    .and_then(|value| value.parse::<f64>().ok());
                if let Some(rows) = rows.and_then(whole) {
                    vitals.rows = Some(vitals.rows.unwrap_or(0).saturating_add(rows));
                }
            } else if let Some(rest) = line.strip_prefix("vm_app_version{version=\"") {
                let version = rest.split('"').next().unwrap_or_default();
                vitals.version = version.parse().ok();
            }
        }
        vitals
    }
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
                    vm_rows{type=\"storage/inmemory\"} 9\nvm_rows{type=\"storage/small\"} 1.5e+03\nvm_rows{type=\"indexdb/file\"} 75\n";
        let vitals = Vitals::parse(text);
        assert_eq!(vitals.version, "1.112.0".parse().ok());
        assert_eq!(vitals.rows, Some(1509));
        assert_eq!(
            Vitals::parse("vm_app_version{version=\"\"} 1\n"),
            Vitals::default()
        );
    }

    proptest! {
        #[test]
        fn no_text_of_metrics_panics(text in "(vm_rows\\{type=\"storage/|vm_app_version\\{version=\")?\\PC*") {
            Vitals::parse(&text);
        }
    }
}

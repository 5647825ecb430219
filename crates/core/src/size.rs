//! Sizes in bytes, as people and Kubernetes write them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A number of bytes. Printed with binary units (`7.2 MiB`), serialised as a plain number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size: expected a number with an optional unit, such as `512Mi` or `2G`")]
pub struct ParseError {
    text: String,
}

const BINARY: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

impl ByteSize {
    pub const fn mib(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 0;
        let mut whole = self.0;
        let mut rest = 0;
        while whole >= 1024 && unit + 1 < BINARY.len() {
            rest = whole % 1024;
            whole /= 1024;
            unit += 1;
        }
        let text = if unit == 0 {
            format!("{whole} B")
        } else {
            format!("{whole}.{} {}", rest * 10 / 1024, BINARY[unit])
        };
        f.pad(&text)
    }
}

impl FromStr for ByteSize {
    type Err = ParseError;

    /// Reads `1048576`, `512Mi`, `2G`, `64K`, `1GiB`: Kubernetes quantities and their spelled-out forms.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError {
            text: text.to_owned(),
        };
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let factor: u64 = match unit.trim() {
            "" | "B" => 1,
            "k" | "K" | "kB" | "KB" => 1000,
            "M" | "MB" => 1000_u64.pow(2),
            "G" | "GB" => 1000_u64.pow(3),
            "T" | "TB" => 1000_u64.pow(4),
            "Ki" | "KiB" => 1 << 10,
            "Mi" | "MiB" => 1 << 20,
            "Gi" | "GiB" => 1 << 30,
            "Ti" | "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        count.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_one_decimal_of_the_largest_unit() {
        let texts: Vec<_> = [0, 1023, 1024, 1536, 5 << 30]
            .map(|bytes| ByteSize(bytes).to_string())
            .into();
        assert_eq!(texts, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn reads_kubernetes_quantities() {
        assert_eq!("768Mi".parse(), Ok(ByteSize::mib(768)));
        assert_eq!("2G".parse(), Ok(ByteSize(2_000_000_000)));
        assert!("2 parsecs".parse::<ByteSize>().is_err());
        assert!("99999999999999999999".parse::<ByteSize>().is_err());
        assert!("18446744073709551615Ki".parse::<ByteSize>().is_err());
    }
}

//! Keys and passwords: a text that does not get out by accident.

use std::fmt;
use std::hint::black_box;

/// A secret text. Printing shows `***`, it cannot be serialised, and comparing takes the same time wherever two texts
/// of one length differ.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for signing and for the server it belongs to, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let differences = a
            .iter()
            .zip(b)
            .fold(0_u8, |seen, (a, b)| black_box(seen | (a ^ b)));
        a.len() == b.len() && differences == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A pair of keys, as S3 knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key: Secret,
    pub secret_key: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_equal_to_itself_alone() {
        assert_eq!(Secret::new("abcdefgh"), Secret::new("abcdefgh"));
        for other in ["", "abcdefg", "abcdefghi", "abcdefgH", "Abcdefgh"] {
            assert_ne!(Secret::new("abcdefgh"), Secret::new(other));
        }
    }

    #[test]
    fn a_secret_prints_as_three_stars() {
        let credentials = Credentials {
            access_key: Secret::new("AccessKey1"),
            secret_key: Secret::new("SecretKey1"),
        };
        let text = format!(
            "{credentials:?} {} {:?}",
            credentials.secret_key, credentials.access_key
        );
        assert_eq!(
            text,
            "Credentials { access_key: ***, secret_key: *** } *** ***"
        );
    }
}

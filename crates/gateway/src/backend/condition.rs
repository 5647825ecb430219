//! What must hold of an object for a request to go on. Pure: judged against the object as it is at that moment.

use jiff::Timestamp;

use super::{Error, ObjectInfo};

/// An etag named by a request, or any at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtagMatch {
    Any,
    /// Without quotes.
    Exactly(String),
}

impl EtagMatch {
    fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => wanted == etag,
        }
    }
}

/// What must hold of a key for a write to replace what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WriteCondition {
    #[default]
    None,
    /// The key holds no object.
    Absent,
    /// The key holds an object, and the etag matches.
    Matches(EtagMatch),
    /// The key holds no object with this etag.
    Differs(String),
}

impl WriteCondition {
    /// `current` is the etag of what `key` holds now.
    pub fn judge(&self, key: &str, current: Option<&str>) -> Result<(), Error> {
        let holds = match (self, current) {
            (Self::None, _) | (Self::Absent | Self::Differs(_), None) => true,
            (Self::Absent, Some(_)) => false,
            (Self::Differs(etag), Some(current)) => etag != current,
            (Self::Matches(wanted), Some(current)) => wanted.matches(current),
            (Self::Matches(_), None) => {
                return Err(Error::NoSuchKey {
                    key: key.to_owned(),
                });
            }
        };
        if holds {
            Ok(())
        } else {
            Err(Error::PreconditionFailed {
                key: key.to_owned(),
            })
        }
    }
}

/// What must hold of an object for it to be read. Times count in whole seconds, as HTTP does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadConditions {
    pub matches: Option<EtagMatch>,
    pub differs: Option<EtagMatch>,
    pub modified_since: Option<Timestamp>,
    pub unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// An etag given takes the place of the date that asks the same, as RFC 9110 §13.2.2 has it.
    pub fn judge(&self, key: &str, info: &ObjectInfo) -> Result<(), Error> {
        let modified = info.modified.as_second();
        let met = match (&self.matches, self.unmodified_since) {
            (Some(wanted), _) => wanted.matches(&info.etag),
            (None, Some(date)) => modified <= date.as_second(),
            (None, None) => true,
        };
        if !met {
            return Err(Error::PreconditionFailed {
                key: key.to_owned(),
            });
        }
        let fresh = match (&self.differs, self.modified_since) {
            (Some(known), _) => !known.matches(&info.etag),
            (None, Some(date)) => modified > date.as_second(),
            (None, None) => true,
        };
        if !fresh {
            return Err(Error::NotModified {
                key: key.to_owned(),
                etag: info.etag.clone(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Attributes;
    use crate::backend::relay::Relayed;

    fn info(second: i64) -> ObjectInfo {
        ObjectInfo {
            size: 0,
            etag: "abc".to_owned(),
            modified: Timestamp::from_millisecond(second * 1000 + 999).unwrap(),
            attributes: Attributes::default(),
            checksum: None,
            parts: None,
            version: None,
            relayed: Relayed::default(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_matching_etag_outweighs_a_date_that_says_no() {
        let conditions = ReadConditions {
            matches: Some(EtagMatch::Exactly("abc".to_owned())),
            unmodified_since: Some(at(1)),
            ..ReadConditions::default()
        };
        assert!(conditions.judge("k", &info(5)).is_ok());
    }

    #[test]
    fn dates_ignore_fractions_of_a_second() {
        let unmodified = ReadConditions {
            unmodified_since: Some(at(5)),
            ..ReadConditions::default()
        };
        assert!(unmodified.judge("k", &info(5)).is_ok());
        assert!(unmodified.judge("k", &info(6)).is_err());
        let modified = ReadConditions {
            modified_since: Some(at(5)),
            ..ReadConditions::default()
        };
        assert!(matches!(
            modified.judge("k", &info(5)),
            Err(Error::NotModified { .. })
        ));
        assert!(modified.judge("k", &info(6)).is_ok());
    }

    #[test]
    fn a_write_that_demands_an_etag_needs_an_object() {
        let matches = WriteCondition::Matches(EtagMatch::Any);
        assert!(matches!(
            matches.judge("k", None),
            Err(Error::NoSuchKey { .. })
        ));
        assert!(matches.judge("k", Some("x")).is_ok());
        assert!(matches!(
            WriteCondition::Absent.judge("k", Some("x")),
            Err(Error::PreconditionFailed { .. })
        ));
    }
}

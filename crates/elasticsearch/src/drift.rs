//! What is, compared with what should be.

use serde::Serialize;
use serde_json::Value;

/// A setting that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub setting: String,
    pub found: Option<String>,
    pub wanted: Option<String>,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There is none yet.
    Register,
    Correct(Vec<Drift>),
    Nothing,
}

impl Change {
    /// Of what is there already.
    pub fn by(drifts: Vec<Drift>) -> Self {
        if drifts.is_empty() {
            Self::Nothing
        } else {
            Self::Correct(drifts)
        }
    }

    /// `register`, `correct` or `nothing`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Correct(_) => "correct",
            Self::Nothing => "nothing",
        }
    }

    pub fn drifts(self) -> Vec<Drift> {
        match self {
            Self::Correct(drifts) => drifts,
            Self::Register | Self::Nothing => Vec::new(),
        }
    }
}

/// Notes a setting where it is not what it should be.
pub(crate) fn note(
    drifts: &mut Vec<Drift>,
    setting: &str,
    found: Option<String>,
    wanted: Option<String>,
) {
    if found != wanted {
        let setting = setting.to_owned();
        drifts.push(Drift {
            setting,
            found,
            wanted,
        });
    }
}

/// A value as a text: servers write numbers and booleans either way, and lists as lists or with commas.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

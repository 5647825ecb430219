//! What holds, key by key, for `settings show`.

use super::origin::Origin;

/// One key and the value in force.
///
/// Keys with a newer name are not listed: their value is listed under the newer name, and `said_as` names the older
/// one. Read as values again, the list gives the same settings, secrets apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    pub path: &'static str,
    /// As YAML; a secret is `***`.
    pub value: String,
    pub origin: Origin,
    /// The key that said it, where that is an older or another name.
    pub said_as: Option<&'static str>,
}

//! What a key pair may do. Pure: grants and a wish in, a verdict out.
//!
//! Nothing is allowed but what a grant allows, and no grant takes anything away from another.

use std::fmt;

use lifeboat_core::settings::users;
pub use lifeboat_core::settings::users::Role;

/// A role in a part of the buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    role: Role,
    buckets: Vec<Pattern>,
    /// Only keys that begin so.
    prefix: String,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Know that a bucket is there.
    See,
    List,
    Read,
    /// Put an object where there is none.
    Create,
    /// Put an object where there may be one, or change what is said of one.
    Overwrite,
    Delete,
    /// End an upload that has not become an object.
    Abort,
    /// Make or remove a bucket.
    Manage,
    /// Change how a bucket is kept, or set aside what protects its objects.
    Configure,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On<'a> {
    /// A bucket as a whole.
    Bucket(&'a str),
    /// All keys of a bucket that begin so.
    Below {
        bucket: &'a str,
        prefix: &'a str,
    },
    Object {
        bucket: &'a str,
        key: &'a str,
    },
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this key pair has no role in bucket `{bucket}`")]
    Bucket { bucket: String },
    #[error("this key pair may work only below {prefixes} in bucket `{bucket}`")]
    Prefix { bucket: String, prefixes: String },
    #[error("role `{role}` of this key pair in bucket `{bucket}` does not allow to {action}")]
    Role {
        bucket: String,
        role: Role,
        action: Action,
    },
}

impl Action {
    pub const ALL: [Self; 9] = [
        Self::See,
        Self::List,
        Self::Read,
        Self::Create,
        Self::Overwrite,
        Self::Delete,
        Self::Abort,
        Self::Manage,
        Self::Configure,
    ];

    /// The least role that allows it.
    pub fn needs(self) -> Role {
        match self {
            Self::See | Self::List | Self::Read => Role::Read,
            // Clients end what they cannot complete, and no object is lost by it.
            Self::Create | Self::Abort => Role::AppendOnly,
            Self::Overwrite | Self::Delete => Role::Write,
            Self::Manage | Self::Configure => Role::Admin,
        }
    }
}

/// Completes "does not allow to …".
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::See => "see it",
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create objects",
            Self::Overwrite => "overwrite objects",
            Self::Delete => "delete objects",
            Self::Abort => "end uploads",
            Self::Manage => "make or remove it",
            Self::Configure => "change how it is kept",
        })
    }
}

impl<'a> On<'a> {
    fn bucket(self) -> &'a str {
        match self {
            Self::Bucket(bucket) | Self::Below { bucket, .. } | Self::Object { bucket, .. } => {
                bucket
            }
        }
    }
}

impl Grant {
    /// Everything in every bucket.
    pub fn everything() -> Self {
        Self {
            role: Role::Admin,
            buckets: vec![Pattern::new("*")],
            prefix: String::new(),
        }
    }

    /// Whether the part of the bucket it is about is within this grant, the role aside. To see a bucket it is enough to
    /// have any part of it; a bucket as a whole takes all of it.
    fn covers(&self, action: Action, on: On<'_>) -> bool {
        match on {
            On::Bucket(_) => action == Action::See || self.prefix.is_empty(),
            On::Below { prefix: text, .. } | On::Object { key: text, .. } => {
                text.starts_with(&self.prefix)
            }
        }
    }
}

impl From<users::Grant> for Grant {
    fn from(grant: users::Grant) -> Self {
        Self {
            role: grant.role,
            buckets: grant
                .buckets
                .iter()
                .map(|text| Pattern::new(text))
                .collect(),
            prefix: grant.prefix,
        }
    }
}

/// Decides whether whoever has these grants may do something.
pub fn decide(grants: &[Grant], action: Action, on: On<'_>) -> Result<(), Refusal> {
    let bucket = on.bucket();
    let in_bucket: Vec<_> = grants
        .iter()
        .filter(|grant| grant.buckets.iter().any(|pattern| pattern.matches(bucket)))
        .collect();
    if in_bucket.is_empty() {
        let bucket = bucket.to_owned();
        return Err(Refusal::Bucket { bucket });
    }
    let covering = in_bucket.iter().filter(|grant| grant.covers(action, on));
    match covering.map(|grant| grant.role).max() {
        Some(role) if role >= action.needs() => Ok(()),
        Some(role) => Err(Refusal::Role {
            bucket: bucket.to_owned(),
            role,
            action,
        }),
        None => {
            let prefixes: Vec<_> = in_bucket
                .iter()
                .map(|grant| format!("`{}`", grant.prefix))
                .collect();
            Err(Refusal::Prefix {
                bucket: bucket.to_owned(),
                prefixes: prefixes.join(", "),
            })
        }
    }
}

/// Names of buckets, in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(Vec<String>);

impl Pattern {
    fn new(text: &str) -> Self {
        Self(text.split('*').map(str::to_owned).collect())
    }

    fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return name == first;
        };
        let Some(mut left) = name.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in middle {
            let Some(at) = left.find(part.as_str()) else {
                return false;
            };
            left = &left[at + part.len()..];
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(role: Role, bucket: &str, prefix: &str) -> Grant {
        Grant {
            role,
            buckets: vec![Pattern::new(bucket)],
            prefix: prefix.to_owned(),
        }
    }

    fn object<'a>(bucket: &'a str, key: &'a str) -> On<'a> {
        On::Object { bucket, key }
    }

    fn any_grant() -> impl Strategy<Value = Grant> {
        let role = proptest::sample::select(Role::ALL.to_vec());
        let bucket = proptest::sample::select(vec!["*", "aa*", "aab", "b*b", "bbb"]);
        let prefix = proptest::sample::select(vec!["", "x/", "x/y/", "y/"]);
        (role, bucket, prefix).prop_map(|(role, bucket, prefix)| grant(role, bucket, prefix))
    }

    fn any_wish() -> impl Strategy<Value = (Action, &'static str, &'static str, u8)> {
        (
            proptest::sample::select(Action::ALL.to_vec()),
            proptest::sample::select(vec!["aaa", "aab", "bab", "bbb", "ccc"]),
            proptest::sample::select(vec!["", "x", "x/", "x/k", "x/y/k", "y/k", "z"]),
            0_u8..3,
        )
    }

    fn on(bucket: &'static str, text: &'static str, kind: u8) -> On<'static> {
        match kind {
            0 => On::Bucket(bucket),
            1 => On::Below {
                bucket,
                prefix: text,
            },
            _ => object(bucket, text),
        }
    }

    proptest! {
        #[test]
        fn what_is_allowed_is_allowed_by_one_grant_alone(grants in proptest::collection::vec(any_grant(), 0..4), wish in any_wish()) {
            let (action, bucket, text, kind) = wish;
            let on = on(bucket, text, kind);
            let together = decide(&grants, action, on).is_ok();
            let alone = grants.iter().any(|grant| decide(std::slice::from_ref(grant), action, on).is_ok());
            prop_assert_eq!(together, alone);
        }

        #[test]
        fn a_grant_never_reaches_beyond_its_bucket_and_prefix(grant in any_grant(), wish in any_wish()) {
            let (action, bucket, text, kind) = wish;
            if decide(std::slice::from_ref(&grant), action, on(bucket, text, kind)).is_ok() {
                prop_assert!(grant.role >= action.needs());
                prop_assert!(grant.buckets[0].matches(bucket));
                prop_assert!(kind == 0 || text.starts_with(&grant.prefix));
                prop_assert!(kind != 0 || action == Action::See || grant.prefix.is_empty());
            }
        }

        #[test]
        fn a_pattern_matches_as_a_person_reads_it(pattern in "[ab*]{0,6}", name in "[ab]{0,6}") {
            fn read(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) => read(rest, name) || name.split_first().is_some_and(|(_, name)| read(pattern, name)),
                    (Some((one, pattern)), Some((other, name))) => one == other && read(pattern, name),
                    _ => false,
                }
            }
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), read(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn each_role_allows_what_its_name_says() {
        use Action::{Abort, Configure, Create, Delete, List, Manage, Overwrite, Read, See};
        for (role, allowed) in [
            (Role::Read, vec![See, List, Read]),
            (Role::AppendOnly, vec![See, List, Read, Create, Abort]),
            (
                Role::Write,
                vec![See, List, Read, Create, Abort, Overwrite, Delete],
            ),
            (
                Role::Admin,
                vec![
                    See, List, Read, Create, Abort, Overwrite, Delete, Manage, Configure,
                ],
            ),
        ] {
            let grants = [grant(role, "bucket", "")];
            for action in Action::ALL {
                let verdict = decide(&grants, action, On::Bucket("bucket"));
                assert_eq!(
                    verdict.is_ok(),
                    allowed.contains(&action),
                    "{role} {action:?}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_says_what_would_be_allowed() {
        let grants = [
            grant(Role::Read, "sts-*", "a/"),
            grant(Role::AppendOnly, "sts-graph", "b/"),
        ];
        let told = |action, on| decide(&grants, action, on).unwrap_err().to_string();
        assert_eq!(
            told(Action::Read, object("other", "a/k")),
            "this key pair has no role in bucket `other`"
        );
        assert_eq!(
            told(Action::Read, object("sts-graph", "c")),
            "this key pair may work only below `a/`, `b/` in bucket `sts-graph`"
        );
        assert_eq!(
            told(Action::Delete, object("sts-graph", "b/k")),
            "role `append-only` of this key pair in bucket `sts-graph` does not allow to delete objects"
        );
        let list = On::Below {
            bucket: "sts-graph",
            prefix: "",
        };
        assert!(told(Action::List, list).contains("only below"));
        assert_eq!(
            decide(&grants, Action::See, On::Bucket("sts-metrics")),
            Ok(())
        );
        assert!(decide(&[], Action::See, On::Bucket("sts-metrics")).is_err());
    }
}

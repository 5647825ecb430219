//! Who may use the gateway beside the key pair of the values: read from a file of its own, which is a secret as a whole and
//! may change while the gateway runs.
//!
//! ```yaml
//! users:
//!   - accessKey: vmbackup
//!     secretKeyFile: /etc/lifeboat/users/vmbackup   # or secretKey: the key itself
//!     grants:
//!       - role: append-only
//!         buckets: ["sts-victoria-metrics-backup"]
//!         prefix: victoria-metrics-0/
//! ```

use std::fmt;
use std::path::PathBuf;

use super::error::{Error, Errors, Problem};
use super::keys::nearest_of;
use super::origin::Origin;
use super::secret::Secret;
use super::tree::{Map, Node, Style, Value};
use super::yaml;

const SHORTEST_ACCESS_KEY: usize = 5;
const SHORTEST_SECRET_KEY: usize = 8;

/// A key pair and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub access_key: String,
    pub secret_key: SecretKey,
    /// All of them count. Without any, it may do nothing.
    pub grants: Vec<Grant>,
}

/// Where the secret half of a key pair is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretKey {
    Here(Secret),
    /// The content of this file, less the line end after it.
    File(PathBuf),
}

/// A role in a part of the buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    /// Names of buckets; `*` stands for any characters.
    pub buckets: Vec<String>,
    /// Only keys that begin so; empty, or ends in `/`.
    pub prefix: String,
}

/// What may be done, each role including the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// List and read.
    Read,
    /// Also add objects where there are none: neither overwrite nor delete.
    AppendOnly,
    /// Also overwrite and delete objects.
    Write,
    /// Also make and remove buckets, and change how they are kept.
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Read, Self::AppendOnly, Self::Write, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::AppendOnly => "append-only",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a file of users. `name` is how errors call it.
///
/// # Errors
/// Everything that is wrong, at once; no secret is quoted.
pub fn parse(name: &str, text: &str) -> Result<Vec<User>, Errors> {
    let alone = |error| Errors::sorted(vec![error]);
    let root = yaml::parse(0, name, text).map_err(alone)?;
    let mut reader = Reader { errors: Vec::new() };
    let users = match &root.value {
        Value::Null => Vec::new(),
        _ => reader.root(&root),
    };
    if reader.errors.is_empty() {
        Ok(users)
    } else {
        Err(Errors::sorted(reader.errors))
    }
}

/// Collects what is wrong; what it returns counts only if nothing is.
struct Reader {
    errors: Vec<Error>,
}

impl Reader {
    fn root(&mut self, root: &Node) -> Vec<User> {
        let map = self.map("the file", root, &["users"]);
        let Some(entry) = map.and_then(|map| map.get("users")) else {
            return Vec::new();
        };
        let mut users: Vec<User> = Vec::new();
        for (index, node) in self.list("users", &entry.node).iter().enumerate() {
            let path = format!("users[{index}]");
            let Some(user) = self.user(&path, node) else {
                continue;
            };
            if users
                .iter()
                .any(|other| other.access_key == user.access_key)
            {
                let reason = "names an access key a second time".to_owned();
                self.rule(&node.origin, path, reason);
            }
            users.push(user);
        }
        users
    }

    fn user(&mut self, path: &str, node: &Node) -> Option<User> {
        let known = ["accessKey", "secretKey", "secretKeyFile", "grants"];
        let map = self.map(path, node, &known)?;
        let access_key = self.required(path, node, map, "accessKey")?;
        let path_of = |key: &str| format!("{path}.{key}");
        // Parts of the signature are separated by these.
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"/,=".contains(&byte);
        if access_key.len() < SHORTEST_ACCESS_KEY || !access_key.bytes().all(fits) {
            let reason = format!(
                "must be at least {SHORTEST_ACCESS_KEY} characters of ASCII without blanks, `/`, `,` and `=`"
            );
            self.rule(&node.origin, path_of("accessKey"), reason);
        }
        let here = self.text(&path_of("secretKey"), map, "secretKey");
        let file = self.text(&path_of("secretKeyFile"), map, "secretKeyFile");
        let secret_key = match (here, file) {
            (Some(secret), None) => {
                if let Err(reason) = check_secret(&secret) {
                    self.rule(&node.origin, path_of("secretKey"), reason);
                }
                SecretKey::Here(Secret::new(secret))
            }
            (None, Some(file)) => SecretKey::File(PathBuf::from(file)),
            _ => {
                let reason = "needs either `secretKey` or `secretKeyFile`".to_owned();
                self.rule(&node.origin, path.to_owned(), reason);
                return None;
            }
        };
        let mut grants = Vec::new();
        if let Some(entry) = map.get("grants") {
            let nodes = self.list(&path_of("grants"), &entry.node);
            for (index, node) in nodes.iter().enumerate() {
                grants.extend(self.grant(&format!("{path}.grants[{index}]"), node));
            }
        }
        Some(User {
            access_key,
            secret_key,
            grants,
        })
    }

    fn grant(&mut self, path: &str, node: &Node) -> Option<Grant> {
        let map = self.map(path, node, &["role", "buckets", "prefix"])?;
        let name = self.required(path, node, map, "role")?;
        let role = Role::ALL.into_iter().find(|role| role.name() == name);
        if role.is_none() {
            let expected = "`read`, `append-only`, `write` or `admin`";
            self.wrong(&node.origin, format!("{path}.role"), expected, &name);
        }
        let buckets: Vec<String> = match map.get("buckets") {
            Some(entry) => {
                let path = format!("{path}.buckets");
                let nodes = self.list(&path, &entry.node);
                nodes
                    .iter()
                    .filter_map(|node| self.bucket(&path, node))
                    .collect()
            }
            None => Vec::new(),
        };
        if buckets.is_empty() {
            let reason = "names no bucket; `[\"*\"]` stands for all".to_owned();
            self.rule(&node.origin, format!("{path}.buckets"), reason);
        }
        let prefix = self.text(&format!("{path}.prefix"), map, "prefix");
        let prefix = prefix.unwrap_or_default();
        if !(prefix.is_empty() || prefix.ends_with('/')) || prefix.starts_with('/') {
            let reason = format!(
                "must end in `/` and not begin with it: `{prefix}` would cover other keys than meant"
            );
            self.rule(&node.origin, format!("{path}.prefix"), reason);
        }
        Some(Grant {
            role: role?,
            buckets,
            prefix,
        })
    }

    fn bucket(&mut self, path: &str, node: &Node) -> Option<String> {
        let text = scalar(node)?;
        let fits =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-*".contains(&byte);
        if text.is_empty() || !text.bytes().all(fits) {
            let expected = "names of buckets, in which `*` stands for any characters";
            self.wrong(&node.origin, path.to_owned(), expected, &text);
        }
        Some(text)
    }

    fn required(&mut self, path: &str, node: &Node, map: &Map, key: &str) -> Option<String> {
        let text = self.text(&format!("{path}.{key}"), map, key);
        if text.is_none() && !map.contains_key(key) {
            let reason = format!("has no `{key}`");
            self.rule(&node.origin, path.to_owned(), reason);
        }
        text
    }

    fn text(&mut self, path: &str, map: &Map, key: &str) -> Option<String> {
        let node = &map.get(key)?.node;
        let text = scalar(node);
        if text.is_none() {
            self.type_error(&node.origin, path.to_owned(), "a text", "something else");
        }
        text
    }

    /// A mapping with no other keys than those known.
    fn map<'a>(&mut self, path: &str, node: &'a Node, known: &[&str]) -> Option<&'a Map> {
        let Value::Map(map) = &node.value else {
            self.type_error(&node.origin, path.to_owned(), "a mapping", "something else");
            return None;
        };
        for (key, entry) in map {
            if !known.contains(&key.as_str()) {
                let problem = Problem::UnknownKey {
                    path: key.clone(),
                    nearest: nearest_of(known.iter().copied(), key).map(str::to_owned),
                };
                self.errors.push(Error::new(entry.origin.clone(), problem));
            } else if entry.earlier.is_some() {
                let reason = "is there twice".to_owned();
                self.rule(&entry.origin, key.clone(), reason);
            }
        }
        Some(map)
    }

    fn list<'a>(&mut self, path: &str, node: &'a Node) -> &'a [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            Value::Scalar(_) | Value::Map(_) => {
                self.type_error(&node.origin, path.to_owned(), "a list", "something else");
                &[]
            }
        }
    }

    fn rule(&mut self, origin: &Origin, path: String, reason: String) {
        let problem = Problem::Rule { path, reason };
        self.errors.push(Error::new(origin.clone(), problem));
    }

    fn wrong(&mut self, origin: &Origin, path: String, expected: &str, found: &str) {
        let found = format!("the text {found:?}");
        self.type_error(origin, path, expected, &found);
    }

    fn type_error(&mut self, origin: &Origin, path: String, expected: &str, found: &str) {
        let problem = Problem::Type {
            path,
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
        self.errors.push(Error::new(origin.clone(), problem));
    }
}

/// Whether a secret key will do; else what it must be.
///
/// # Errors
/// The rule that it breaks.
pub fn check_secret(secret: &str) -> Result<(), String> {
    let long = secret.len() >= SHORTEST_SECRET_KEY;
    if long && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(format!(
        "must be at least {SHORTEST_SECRET_KEY} characters of ASCII without blanks"
    ))
}

/// The text of a scalar. Numbers are texts here, `~` and truth values without quotes are not.
fn scalar(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else {
        return None;
    };
    let truth = scalar.style == Style::Plain && matches!(scalar.text.as_str(), "true" | "false");
    (!truth).then(|| scalar.text.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> String {
        parse("users.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn users_are_read_with_their_grants() {
        let text = "users:\n  - accessKey: reader\n    secretKey: \"12345678\"\n    grants:\n      - {role: read, buckets: [\"sts-*\"]}\n  \
                    - accessKey: adder\n    secretKeyFile: /etc/adder\n    grants:\n      - role: append-only\n        buckets: [a-bucket, other]\n        prefix: deep/er/\n";
        let users = parse("users.yaml", text).unwrap();
        assert_eq!(
            users,
            [
                User {
                    access_key: "reader".to_owned(),
                    secret_key: SecretKey::Here(Secret::new("12345678")),
                    grants: vec![Grant {
                        role: Role::Read,
                        buckets: vec!["sts-*".to_owned()],
                        prefix: String::new(),
                    }],
                },
                User {
                    access_key: "adder".to_owned(),
                    secret_key: SecretKey::File("/etc/adder".into()),
                    grants: vec![Grant {
                        role: Role::AppendOnly,
                        buckets: vec!["a-bucket".to_owned(), "other".to_owned()],
                        prefix: "deep/er/".to_owned(),
                    }],
                },
            ]
        );
        assert_eq!(parse("users.yaml", "").unwrap(), []);
        assert_eq!(parse("users.yaml", "users: []").unwrap(), []);
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_its_place_and_no_secret() {
        let text = "users:\n  - accesskey: reader\n    secretKey: hidden-hidden\n  - accessKey: a/b\n    secretKey: hush\n    grants:\n      \
                    - {role: owner, buckets: [Upper]}\n      - {role: write, prefix: team}\n  - accessKey: other1\n  - {accessKey: other2, secretKey: hidden-hidden, secretKeyFile: x}\n\
                    more: 1\n";
        insta::assert_snapshot!(told(text), @r#"
        users.yaml:2:5: unknown key `accesskey`; did you mean `accessKey`?
        users.yaml:2:5: `users[0]` has no `accessKey`
        users.yaml:4:5: `users[1].accessKey` must be at least 5 characters of ASCII without blanks, `/`, `,` and `=`
        users.yaml:4:5: `users[1].secretKey` must be at least 8 characters of ASCII without blanks
        users.yaml:7:9: `users[1].grants[0].role` must be `read`, `append-only`, `write` or `admin`, found the text "owner"
        users.yaml:7:33: `users[1].grants[0].buckets` must be names of buckets, in which `*` stands for any characters, found the text "Upper"
        users.yaml:8:9: `users[1].grants[1].buckets` names no bucket; `["*"]` stands for all
        users.yaml:8:9: `users[1].grants[1].prefix` must end in `/` and not begin with it: `team` would cover other keys than meant
        users.yaml:9:5: `users[2]` needs either `secretKey` or `secretKeyFile`
        users.yaml:10:5: `users[3]` needs either `secretKey` or `secretKeyFile`
        users.yaml:11:1: unknown key `more`
        "#);
        assert!(!told(text).contains("hidden") && !told(text).contains("hush"));
    }

    #[test]
    fn an_access_key_belongs_to_one_user() {
        let one = "\n  - {accessKey: reader, secretKey: hidden-hidden}";
        insta::assert_snapshot!(told(&format!("users:{one}{one}")), @"users.yaml:3:5: `users[1]` names an access key a second time");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            drop(parse("users.yaml", &text));
        }
    }
}

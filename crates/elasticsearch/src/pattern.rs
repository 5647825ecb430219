//! Which indices are meant.
//!
//! A list of names and of patterns with `*`, of which one that begins with `-` takes away again. Engines take such lists too, but not all alike, and some take a pattern
//! for everything; so lists are resolved here, and servers get exact names.

/// Indices of the engines themselves, and their histories. They are left alone unless they are named.
const SYSTEM: [&str; 9] = [
    ".slm-history*",
    ".ds-.slm-history*",
    ".ilm-history*",
    ".ds-ilm-history*",
    "ilm-history*",
    ".geoip_databases",
    ".opendistro*",
    ".opensearch*",
    ".plugins*",
];

/// An ordered list of patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Reads a comma list.
    pub fn parse(text: &str) -> Self {
        let patterns = text.split(',').map(str::trim);
        Self(
            patterns
                .filter(|pattern| !pattern.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether a name is meant. The last pattern that matches decides; system indices have to be named in full, or by a pattern that begins with a dot.
    pub fn matches(&self, name: &str) -> bool {
        let mut found = None;
        for pattern in &self.0 {
            match pattern.strip_prefix('-') {
                Some(pattern) if matches(pattern, name) => found = None,
                None if matches(pattern, name) => found = Some(pattern),
                _ => {}
            }
        }
        match found {
            None => false,
            Some(pattern) => !is_system(name) || pattern.starts_with('.') || pattern == name,
        }
    }

    /// Names in the list, without `*`, of which there is none.
    pub fn missing<'a>(&'a self, names: &[String]) -> Vec<&'a str> {
        self.0
            .iter()
            .filter(|pattern| !pattern.contains('*') && !pattern.starts_with('-'))
            .filter(|pattern| !names.contains(pattern))
            .map(String::as_str)
            .collect()
    }
}

/// Whether an index is one of the engine's own. Backing indices of data streams are not, for all their dots.
pub fn is_system(name: &str) -> bool {
    let hidden = name.starts_with('.') && !name.starts_with(".ds-");
    hidden || SYSTEM.iter().any(|pattern| matches(pattern, name))
}

/// `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let patterns = Patterns::parse("sts*, -sts_tmp*,sts_tmp_kept");
        assert!(patterns.matches("sts_events"));
        assert!(!patterns.matches("sts_tmp_1"));
        assert!(patterns.matches("sts_tmp_kept"));
        assert!(!patterns.matches("other"));
    }

    #[test]
    fn system_indices_have_to_be_named() {
        assert!(!Patterns::parse("*").matches(".geoip_databases"));
        assert!(!Patterns::parse("*").matches("ilm-history-1-000001"));
        assert!(Patterns::parse(".geo*").matches(".geoip_databases"));
        assert!(Patterns::parse("*").matches(".ds-sts_k8s_logs-000001"));
        assert!(Patterns::parse("ilm-history-1-000001").matches("ilm-history-1-000001"));
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("ab", "abc", false),
            ("*-x", "a-x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_cut_anywhere_matches_its_pattern(name in "[a-z.]{1,12}", from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
            let (from, to) = (from.index(name.len()), to.index(name.len()));
            let (from, to) = (from.min(to), from.max(to));
            let pattern = format!("{}*{}", &name[..from], &name[to..]);
            prop_assert!(matches(&pattern, &name));
        }
    }
}

//! The fields in which one Debian package names others: `libc6 (>= 2.34), exim4 | mail-transport-agent`.

/// One package that satisfies one dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alternative<'a> {
    /// Position of the dependency in its field; all its alternatives have the same.
    pub(super) group: usize,
    pub(super) name: &'a str,
    /// The condition on the version: `>= 2.34`.
    pub(super) version: Option<&'a str>,
    /// What follows the name after a colon: `any`.
    pub(super) architecture: Option<&'a str>,
}

/// Returns all alternatives of all dependencies. What has no name is passed over.
pub(super) fn alternatives(field: &str) -> impl Iterator<Item = Alternative<'_>> {
    field
        .split(',')
        .enumerate()
        .flat_map(|(group, dependency)| {
            dependency
                .split('|')
                .filter_map(move |text| alternative(group, text))
        })
}

fn alternative(group: usize, text: &str) -> Option<Alternative<'_>> {
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '<'))
        .unwrap_or(text.len());
    let (full_name, conditions) = text.split_at(end);
    let (name, architecture) = match full_name.split_once(':') {
        Some((name, architecture)) => (name, Some(architecture)),
        None => (full_name, None),
    };
    let version = conditions
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(version, _)| version.trim());
    (!name.is_empty()).then_some(Alternative {
        group,
        name,
        version,
        architecture,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn understands_every_condition() {
        let read: Vec<_> =
            alternatives("libc6 (>= 2.34),\n python3:any(<< 3.12)|pypy3 [amd64] <!nocheck>")
                .map(|found| (found.group, found.name, found.version, found.architecture))
                .collect();
        assert_eq!(
            read,
            [
                (0, "libc6", Some(">= 2.34"), None),
                (1, "python3", Some("<< 3.12"), Some("any")),
                (1, "pypy3", None, None),
            ]
        );
    }

    #[test]
    fn passes_over_what_has_no_name() {
        assert_eq!(alternatives(" , | (>= 1), :any ,").count(), 0);
        let open: Vec<_> = alternatives("a (>= 1").collect();
        assert_eq!((open[0].name, open[0].version), ("a", None));
    }

    proptest! {
        #[test]
        fn every_name_is_a_part_of_the_field(field in "\\PC{0,40}") {
            for found in alternatives(&field) {
                prop_assert!(!found.name.is_empty() && field.contains(found.name));
            }
        }
    }
}

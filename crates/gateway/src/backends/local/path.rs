//! Where a key lies below its bucket's directory, and which key lies where. Pure.
//!
//! A key is cut at every `/`, and a component is a file name as it stands, so that ordinary tools find
//! `backups/2026/a.graph` where they expect it. What the file system cannot hold as it stands is written with names that
//! begin with `.lifeboat.`:
//!
//! | component | name |
//! |---|---|
//! | nothing (`a//b`, `/a`, `a/`) | `.lifeboat.empty` |
//! | `.` and `..` | `.lifeboat.dot`, `.lifeboat.dots` |
//! | one that begins with `.lifeboat.` | `.lifeboat.as.` before it |
//! | more than 255 bytes | cut between characters into directories `.lifeboat.more.…` and a last name `.lifeboat.last.…` |
//!
//! No key ever ends in [`SELF_NAME`]: it is the file of key `a` inside the directory `a`, once `a/b` exists beside it. The
//! mapping is one to one: [`decode`] returns nothing for a name that [`encode`] would not have written.

/// What every name of ours begins with.
const RESERVED: &str = ".lifeboat.";
/// The object that has the name of the directory it lies in.
pub(super) const SELF_NAME: &str = ".lifeboat.self";
/// The file of a key that ends in `/`, in the directory that the `/` stands for.
pub(super) const EMPTY: &str = ".lifeboat.empty";
const DOT: &str = ".lifeboat.dot";
const DOTS: &str = ".lifeboat.dots";
const ESCAPED: &str = ".lifeboat.as.";
const MORE: &str = ".lifeboat.more.";
const LAST: &str = ".lifeboat.last.";
/// The longest file name of Linux, in bytes.
const MAX_NAME: usize = 255;
/// The longest piece of a long component, in bytes; leaves room for what stands before it.
const PIECE: usize = MAX_NAME - MORE.len();

/// Returns the names from the bucket's directory down to the file, never empty, none of them `.`, `..` or with a `/`.
pub(super) fn encode(key: &str) -> Vec<String> {
    let mut names = Vec::new();
    for component in key.split('/') {
        encode_component(component, &mut names);
    }
    names
}

/// Returns the names of the directory that holds every key beginning with `prefix`, which ends in `/` or is empty.
pub(super) fn encode_directory(prefix: &str) -> Vec<String> {
    prefix.strip_suffix('/').map(encode).unwrap_or_default()
}

fn encode_component(component: &str, names: &mut Vec<String>) {
    let reserved = component.starts_with(RESERVED);
    match component {
        "" => names.push(EMPTY.to_owned()),
        "." => names.push(DOT.to_owned()),
        ".." => names.push(DOTS.to_owned()),
        _ if reserved && component.len() <= MAX_NAME - ESCAPED.len() => {
            names.push(format!("{ESCAPED}{component}"));
        }
        _ if !reserved && component.len() <= MAX_NAME => names.push(component.to_owned()),
        _ => {
            let mut rest = component;
            while rest.len() > PIECE {
                let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
                names.push(format!("{MORE}{piece}"));
                rest = after;
            }
            names.push(format!("{LAST}{rest}"));
        }
    }
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A whole component: a file is an object, a directory holds keys that go on with `/`.
    Component(String),
    /// The beginning of a long component; only a directory can have such a name.
    Beginning,
    /// The object named like the directory.
    Itself,
}

/// Returns what `name` stands for in a directory, or nothing if no key leads to it.
///
/// `pieces` are the names of the directories that begin the component, outermost first; most often there are none.
pub(super) fn decode(pieces: &[String], name: &str) -> Option<Decoded> {
    if !name.starts_with(RESERVED) && name.len() <= MAX_NAME && pieces.is_empty() {
        return Some(Decoded::Component(name.to_owned()));
    }
    if name.starts_with(MORE) {
        return Some(Decoded::Beginning);
    }
    if name == SELF_NAME {
        return pieces.is_empty().then_some(Decoded::Itself);
    }
    let component = if let Some(last) = name.strip_prefix(LAST) {
        let beginning = pieces.iter().map(|piece| &piece[MORE.len()..]);
        beginning.chain([last]).collect()
    } else {
        match name {
            EMPTY => String::new(),
            DOT => ".".to_owned(),
            DOTS => "..".to_owned(),
            _ => name.strip_prefix(ESCAPED).unwrap_or(name).to_owned(),
        }
    };
    let mut canonical = Vec::new();
    encode_component(&component, &mut canonical);
    let same_place = canonical
        .split_last()
        .is_some_and(|(last, before)| last == name && before == pieces);
    same_place.then_some(Decoded::Component(component))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(names: &[String]) -> Option<String> {
        let mut components = Vec::new();
        let mut pieces = Vec::new();
        for name in names {
            match decode(&pieces, name)? {
                Decoded::Component(component) => {
                    components.push(component);
                    pieces.clear();
                }
                Decoded::Beginning => pieces.push(name.clone()),
                Decoded::Itself => return None,
            }
        }
        Some(components.join("/"))
    }

    fn nasty_component() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            Just(".".to_owned()),
            Just("..".to_owned()),
            Just(SELF_NAME.to_owned()),
            Just(".lifeboat".to_owned()),
            "\\.lifeboat\\.(as\\.|more\\.|last\\.|empty|dot|dots)?[a-z.]{0,3}",
            "[a-zé€😀]{1,8}",
            "[é€😀x]{60,140}",
            "\\.lifeboat\\.[é€😀x]{60,140}",
            "[^/\u{0}]{0,6}",
        ]
    }

    fn nasty_key() -> impl Strategy<Value = String> {
        proptest::collection::vec(nasty_component(), 1..5).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #[test]
        fn every_key_is_found_again(key in nasty_key()) {
            prop_assert_eq!(read(&encode(&key)), Some(key));
        }

        #[test]
        fn names_never_leave_the_bucket(key in nasty_key()) {
            for name in encode(&key) {
                prop_assert!(!name.is_empty() && name != "." && name != "..");
                prop_assert!(!name.contains('/') && name.len() <= MAX_NAME);
                prop_assert!(name != SELF_NAME);
            }
        }

        #[test]
        fn two_keys_never_share_a_place(one in nasty_key(), other in nasty_key()) {
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
        }

        #[test]
        fn a_name_of_ours_that_no_key_leads_to_is_nobodys(
            name in prop_oneof!["\\.lifeboat\\.[a-z.]{0,12}", "[^/\u{0}]{1,300}", "\\.lifeboat\\.(more|last|as)\\.[a-zé]{0,260}"]
        ) {
            if let Some(Decoded::Component(component)) = decode(&[], &name) {
                prop_assert_eq!(encode(&component), vec![name]);
            }
        }
    }

    #[test]
    fn ordinary_keys_lie_where_people_look_for_them() {
        assert_eq!(
            encode("backups/2026/a.graph"),
            ["backups", "2026", "a.graph"]
        );
    }

    #[test]
    fn what_a_file_system_cannot_hold_is_written_otherwise() {
        insta::assert_debug_snapshot!(encode("/a//../.lifeboat.self/"), @r#"
        [
            ".lifeboat.empty",
            "a",
            ".lifeboat.empty",
            ".lifeboat.dots",
            ".lifeboat.as..lifeboat.self",
            ".lifeboat.empty",
        ]
        "#);
    }
}

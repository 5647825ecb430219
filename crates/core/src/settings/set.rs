//! `--set` arguments, in Helm's syntax: `a.b=c,d[0]=e,f={x,y}`, with `\` before a separator that is meant as text.
//!
//! Values are typed as Helm does: `true`, `false`, `null` and whole numbers are that, everything else is a text. Errors
//! quote the path and the column only: a value may be a secret.

use super::error::{Error, Problem};
use super::origin::Origin;
use super::tree::{Entry, Map, Node, Scalar, Style, Value};

/// The highest index that `a[0]` may name; more is a slip, not a list.
const MAX_INDEX: usize = 1024;
/// Segments of one path.
const MAX_DEPTH: usize = 32;

/// Lays one argument over `root`. On an error `root` may have taken the assignments before it.
pub(super) fn apply(root: &mut Node, argument: &str) -> Result<(), Error> {
    let mut reader = Reader {
        chars: argument.chars().collect(),
        next: 0,
    };
    while reader.next < reader.chars.len() {
        let path = reader.path()?;
        let value = reader.value()?;
        assign(root, &path, value);
    }
    Ok(())
}

enum Segment {
    Key(String),
    Index(usize),
}

struct Reader {
    chars: Vec<char>,
    next: usize,
}

impl Reader {
    fn path(&mut self) -> Result<Vec<Segment>, Error> {
        let mut path = Vec::new();
        loop {
            let (text, end) = self.until(&['=', '.', '[', ',']);
            let after_index = matches!(path.last(), Some(Segment::Index(_)));
            if !(text.is_empty() && after_index) {
                if text.is_empty() {
                    return Err(self.wrong("a key is missing"));
                }
                path.push(Segment::Key(text));
            }
            if path.len() > MAX_DEPTH {
                return Err(self.wrong("the key has too many parts"));
            }
            match end {
                Some('=') => return Ok(path),
                Some('.') => {}
                Some('[') => {
                    path.push(Segment::Index(self.index()?));
                    self.after_index()?;
                }
                _ => return Err(self.wrong("expected `=` and a value after the key")),
            }
        }
    }

    fn index(&mut self) -> Result<usize, Error> {
        let (digits, end) = self.until(&[']']);
        let index = digits.parse::<usize>().ok();
        match (index, end) {
            (Some(index), Some(_)) if index <= MAX_INDEX => Ok(index),
            _ => Err(self.wrong(format!("expected an index from 0 to {MAX_INDEX} and `]`"))),
        }
    }

    /// Steps over the dot in `a[0].b`; whatever else follows an index belongs to the next part.
    fn after_index(&mut self) -> Result<(), Error> {
        let following = self.chars.get(self.next..).unwrap_or_default();
        match following {
            ['.'] | ['.', '=' | '.' | '[' | ',', ..] => Err(self.wrong("a key is missing")),
            ['.', ..] => {
                self.next += 1;
                Ok(())
            }
            ['[' | '=', ..] => Ok(()),
            _ => Err(self.wrong("expected `.`, `[` or `=` after the index")),
        }
    }

    fn value(&mut self) -> Result<Value, Error> {
        if self.chars.get(self.next) != Some(&'{') {
            return Ok(typed(self.until(&[',']).0));
        }
        self.next += 1;
        let mut items = Vec::new();
        loop {
            let (text, end) = self.until(&[',', '}']);
            let empty_list = items.is_empty() && text.is_empty() && end == Some('}');
            if !empty_list {
                items.push(node(typed(text)));
            }
            match end {
                Some(',') => {}
                Some(_) => break,
                None => return Err(self.wrong("the list has no closing `}`")),
            }
        }
        match self.chars.get(self.next) {
            None => {}
            Some(',') => self.next += 1,
            Some(_) => return Err(self.wrong("expected `,` after the list")),
        }
        Ok(Value::List(items))
    }

    /// Reads up to and including one of `stops`, which it returns; `\` takes the next character as it is.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(&c) = self.chars.get(self.next) {
            self.next += 1;
            if c == '\\' {
                if let Some(&escaped) = self.chars.get(self.next) {
                    self.next += 1;
                    text.push(escaped);
                }
            } else if stops.contains(&c) {
                return (text, Some(c));
            } else {
                text.push(c);
            }
        }
        (text, None)
    }

    fn wrong(&self, reason: impl Into<String>) -> Error {
        let problem = Problem::Assignment {
            column: self.next.max(1),
            reason: reason.into(),
        };
        Error::new(Origin::Set, problem)
    }
}

fn typed(text: String) -> Value {
    if text == "null" {
        return Value::Null;
    }
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let number = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    let plain = number || matches!(text.as_str(), "true" | "false");
    let style = if plain { Style::Plain } else { Style::Block };
    Value::Scalar(Scalar { text, style })
}

fn node(value: Value) -> Node {
    Node {
        origin: Origin::Set,
        value,
    }
}

fn assign(target: &mut Node, path: &[Segment], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        target.origin = Origin::Set;
        target.value = value;
        return;
    };
    match first {
        Segment::Key(key) => {
            if !matches!(target.value, Value::Map(_)) {
                *target = Node::empty_map(Origin::Set);
            }
            let Value::Map(map) = &mut target.value else {
                return;
            };
            if rest.is_empty() && matches!(value, Value::Null) {
                map.remove(key);
                return;
            }
            assign(entry(map, key), rest, value);
        }
        Segment::Index(index) => {
            if !matches!(target.value, Value::List(_)) {
                *target = node(Value::List(Vec::new()));
            }
            let Value::List(items) = &mut target.value else {
                return;
            };
            while items.len() <= *index {
                items.push(node(Value::Null));
            }
            assign(&mut items[*index], rest, value);
        }
    }
}

fn entry<'a>(map: &'a mut Map, key: &str) -> &'a mut Node {
    let entry = map.entry(key.to_owned()).or_insert_with(|| Entry {
        origin: Origin::Set,
        node: node(Value::Null),
        earlier: None,
    });
    entry.origin = Origin::Set;
    &mut entry.node
}

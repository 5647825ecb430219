//! From the text of a values file to a tree, with bounds on everything the text controls.
//!
//! YAML is read as Helm reads it: anchors, aliases, merge keys and repeated keys (the last one counts) are fine, one
//! document only. What a small text could blow up is limited: nesting, and how much aliases may copy.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::error::{Error, Problem};
use super::origin::{Origin, Place};
use super::tree::{Entry, Map, Node, Scalar, Style, Value};

/// Bytes of one values file; Kubernetes itself refuses objects above one MiB.
const MAX_BYTES: usize = 8 << 20;
/// Mappings and lists inside each other; also bounds every recursion over the tree.
const MAX_DEPTH: usize = 64;
/// Values that anchors and aliases may copy in one file.
const MAX_COPIES: usize = 200_000;

/// Reads one document. `rank` is the place of the file among the sources.
pub(super) fn parse(rank: usize, name: &str, text: &str) -> Result<Node, Error> {
    let mut builder = Builder::new(rank, name);
    if text.len() > MAX_BYTES {
        return Err(builder.wrong(
            Marker::new(0, 1, 0),
            format!("the file is larger than {} MiB", MAX_BYTES >> 20),
        ));
    }
    let mut parser = Parser::new_from_str(text.trim_start_matches('\u{feff}'));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.not_yaml(&error))?;
        builder.take(event, span)?;
    }
    Ok(builder.finish())
}

struct Builder {
    rank: usize,
    file: Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    copies: usize,
    documents: usize,
    root: Option<Node>,
}

/// A mapping or list whose end has not been seen.
struct Open {
    anchor: usize,
    origin: Origin,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        map: Map,
        merged: Vec<Node>,
        key: Option<Key>,
    },
}

enum Key {
    Merge,
    Named(String, Origin),
}

struct Anchor {
    node: Node,
    measure: Measure,
}

#[derive(Clone, Copy)]
struct Measure {
    weight: usize,
    depth: usize,
}

impl Builder {
    fn new(rank: usize, name: &str) -> Self {
        Self {
            rank,
            file: name.into(),
            open: Vec::new(),
            anchors: HashMap::new(),
            copies: 0,
            documents: 0,
            root: None,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Error> {
        match event {
            Event::DocumentStart(_) => self.documents += 1,
            Event::Scalar(text, style, anchor, tag) => {
                let origin = self.origin(span.start);
                let value = scalar(text.into_owned(), style, tag.as_deref());
                self.close(Node { origin, value }, anchor, span.start)?;
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).map(|known| known.measure);
                let Some(measure) = known else {
                    return Err(self.wrong(span.start, "an alias stands inside its own anchor"));
                };
                self.count_copy(measure.weight, span.start)?;
                if self.open.len() + measure.depth > MAX_DEPTH {
                    return Err(self.too_deep(span.start));
                }
                let node = self.anchors[&anchor].node.clone();
                self.close(node, 0, span.start)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(anchor, span.start, Content::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, _) => {
                let content = Content::Map {
                    map: Map::new(),
                    merged: Vec::new(),
                    key: None,
                };
                self.begin(anchor, span.start, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let (anchor, node) = Self::seal(open)?;
                    self.close(node, anchor, span.start)?;
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, anchor: usize, at: Marker, content: Content) -> Result<(), Error> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        let origin = self.origin(at);
        self.open.push(Open {
            anchor,
            origin,
            content,
        });
        Ok(())
    }

    /// Turns a finished mapping or list into a node; merge keys are resolved here.
    fn seal(open: Open) -> Result<(usize, Node), Error> {
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map {
                mut map, merged, ..
            } => {
                for node in merged {
                    merge_into(&mut map, node).map_err(|origin| {
                        Error::new(
                            origin,
                            Problem::Document(
                                "`<<` must name a mapping or a list of mappings".into(),
                            ),
                        )
                    })?;
                }
                Value::Map(map)
            }
        };
        let origin = open.origin;
        Ok((open.anchor, Node { origin, value }))
    }

    /// Gives a finished node to whatever is open around it.
    fn close(&mut self, node: Node, anchor: usize, at: Marker) -> Result<(), Error> {
        if anchor != 0 {
            let measure = measure(&node);
            self.count_copy(measure.weight, at)?;
            let node = node.clone();
            self.anchors.insert(anchor, Anchor { node, measure });
        }
        let Some(open) = self.open.last_mut() else {
            return self.close_document(node);
        };
        let Content::Map { map, merged, key } = &mut open.content else {
            if let Content::List(items) = &mut open.content {
                items.push(node);
            }
            return Ok(());
        };
        match key.take() {
            Some(Key::Merge) => merged.push(node),
            Some(Key::Named(name, origin)) => {
                let earlier = map.get(&name).map(|entry| entry.origin.clone());
                let entry = Entry {
                    origin,
                    node,
                    earlier,
                };
                map.insert(name, entry);
            }
            None => match node.value {
                Value::Scalar(scalar) if scalar.text == "<<" && scalar.style == Style::Plain => {
                    *key = Some(Key::Merge);
                }
                Value::Scalar(scalar) => *key = Some(Key::Named(scalar.text, node.origin)),
                Value::Null => *key = Some(Key::Named("null".into(), node.origin)),
                Value::List(_) | Value::Map(_) => {
                    let problem =
                        Problem::Document("a key must be a text, not a mapping or a list".into());
                    return Err(Error::new(node.origin, problem));
                }
            },
        }
        Ok(())
    }

    fn close_document(&mut self, node: Node) -> Result<(), Error> {
        if self.documents < 2 {
            self.root = Some(node);
            return Ok(());
        }
        match node.value {
            Value::Null => Ok(()),
            _ => Err(Error::new(
                node.origin,
                Problem::Document("a second document begins here; a values file holds one".into()),
            )),
        }
    }

    fn finish(self) -> Node {
        let start = self.origin(Marker::new(0, 1, 0));
        self.root.unwrap_or_else(|| Node::empty_map(start))
    }

    fn count_copy(&mut self, weight: usize, at: Marker) -> Result<(), Error> {
        self.copies = self.copies.saturating_add(weight);
        if self.copies > MAX_COPIES {
            return Err(self.wrong(
                at,
                format!("anchors and aliases copy more than {MAX_COPIES} values"),
            ));
        }
        Ok(())
    }

    fn too_deep(&self, at: Marker) -> Error {
        self.wrong(
            at,
            format!("mappings and lists are nested more than {MAX_DEPTH} deep"),
        )
    }

    fn not_yaml(&self, error: &ScanError) -> Error {
        self.wrong(*error.marker(), format!("not valid YAML: {}", error.info()))
    }

    fn wrong(&self, at: Marker, reason: impl Into<String>) -> Error {
        Error::new(self.origin(at), Problem::Document(reason.into()))
    }

    fn origin(&self, at: Marker) -> Origin {
        Origin::File(Place {
            rank: self.rank,
            file: Arc::clone(&self.file),
            line: at.line(),
            column: at.col() + 1,
        })
    }
}

/// Adds what `node` has and `map` has not; the error is where something else than a mapping stands.
fn merge_into(map: &mut Map, node: Node) -> Result<(), Origin> {
    match node.value {
        Value::Map(other) => {
            for (key, entry) in other {
                map.entry(key).or_insert(entry);
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| match item.value {
            Value::Map(_) => merge_into(map, item),
            _ => Err(item.origin),
        }),
        Value::Null => Ok(()),
        Value::Scalar(_) => Err(node.origin),
    }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let tagged_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    let style = match style {
        ScalarStyle::Plain if tagged_text => Style::Block,
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if !text.contains('\n') => {
            Style::Quoted
        }
        _ => Style::Block,
    };
    let null = matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    if style == Style::Plain && null {
        return Value::Null;
    }
    Value::Scalar(Scalar { text, style })
}

fn measure(node: &Node) -> Measure {
    let children: Vec<Measure> = match &node.value {
        Value::Null => Vec::new(),
        Value::Scalar(scalar) => {
            let weight = 1 + scalar.text.len() / 32;
            return Measure { weight, depth: 0 };
        }
        Value::List(items) => items.iter().map(measure).collect(),
        Value::Map(map) => map.values().map(|entry| measure(&entry.node)).collect(),
    };
    Measure {
        weight: 1 + children.iter().map(|child| child.weight).sum::<usize>(),
        depth: 1 + children.iter().map(|child| child.depth).max().unwrap_or(0),
    }
}

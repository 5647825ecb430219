//! Topology payloads: the JSON by which agents and people send components and relations.
//!
//! Two spellings are in use and both are understood: the agents' (`id`, `source_id`, `target_id`, a type that is a text)
//! and the receiver's (`externalId`, `sourceId`, `targetId`, a type that is `{"name": …}`); one topology by itself, or an
//! envelope with several under `topologies`.
//!
//! | in the payload | in the graph |
//! |---|---|
//! | component | vertex; its label is the type's name |
//! | its id, then `data.identifiers` | identifiers; components of one type that share one are merged |
//! | relation | edge; its label is the type's name |
//! | its `externalId` (or that of its data) | tells parallel relations apart; without one, their order within the topology does |
//! | `data` | properties |
//! | any other field | a property of its own name; `component.NAME` or `relation.NAME` where `data` has that name too |
//! | `delete_ids` | components, or relations by `externalId`, that are deleted last: agents name what they have just sent |
//!
//! A relation whose other end nobody has reported yet is left out and told. What a topology does not name stays: `start_snapshot` and `stop_snapshot` belong to a running synchronisation, and
//! are not acted upon. Numbers are kept exactly: an integer beyond 64 bits, or a number beyond a double's range, becomes
//! a text of its digits. A key that stands twice in an object is refused, since one of the two would be lost.

mod element;
mod json;

use std::collections::HashMap;
use std::fmt;

use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;

use crate::embedded::write::{Identity, Writer};
use crate::model::Lid;
use element::{Component, Relation};
use json::{Fields, Source};

/// A file's text and what to call it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// As the user named it; only for errors.
    pub file: String,
    pub text: String,
}

/// How much was read. What changed by it, the writer's commit says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    pub topologies: u64,
    pub components: u64,
    /// Those that were put in.
    pub relations: u64,
    /// Components and relations that `delete_ids` named and that existed.
    pub deleted: u64,
    /// Relations that were not put in.
    pub left_out: Vec<LeftOut>,
}

/// A relation of which one end is neither in the store nor in any of the payloads. Agents send such: the other end is
/// another agent's to report. Loaded again after it, the relation goes in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {relation}: there is no component `{missing}`")]
pub struct LeftOut {
    pub position: Position,
    /// Its type and both ids.
    pub relation: String,
    pub missing: String,
}

/// Where in which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{position}: {what}")]
    Malformed { position: Position, what: String },
    #[error("{position}: `{id}` may be any of several components, of the types {types}")]
    Ambiguous {
        position: Position,
        id: String,
        types: String,
    },
    #[error("{position}: the component is refused")]
    Refused {
        position: Position,
        #[source]
        source: crate::error::Error,
    },
    #[error("stopped on request")]
    Stopped,
    #[error(transparent)]
    Store(#[from] crate::error::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Malformed { .. } | Self::Ambiguous { .. } => Kind::Invalid,
            Self::Stopped => Kind::Unavailable,
            Self::Refused { source, .. } | Self::Store(source) => source.kind(),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Puts payloads into a change. Nothing of it is in the store before the writer commits; after an error the writer
/// must be dropped. Components of all payloads come before any relation, so the order of the files does not matter.
///
/// `progress` counts components and relations. Once it is asked to stop, the load fails.
pub fn load(
    writer: &mut Writer,
    payloads: &[Payload],
    progress: &Progress,
) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    let mut topologies = Vec::new();
    for payload in payloads {
        topologies.extend(read_topologies(Source::new(&payload.file, &payload.text))?);
    }
    loaded.topologies = topologies.len() as u64;
    let elements: usize = topologies
        .iter()
        .map(|topology| topology.components.len() + topology.relations.len())
        .sum();
    progress.expect(elements as u64, 0);
    for topology in &topologies {
        for component in &topology.components {
            let component = Component::read(topology.source, component)?;
            writer
                .upsert_vertex(&component.kind, &component.identifiers, component.props)
                .map_err(|source| Error::Refused {
                    position: topology.source.position(component.raw),
                    source,
                })?;
            loaded.components += 1;
            count(progress)?;
        }
    }
    let mut ends = Ends::default();
    for topology in &topologies {
        let mut unnamed = HashMap::new();
        for relation in &topology.relations {
            count(progress)?;
            let relation = Relation::read(topology.source, relation)?;
            let mut end = |id| ends.find(writer, topology.source, &relation, id);
            let (src, dst) = match (end(&relation.source_id)?, end(&relation.target_id)?) {
                (Ok(src), Ok(dst)) => (src, dst),
                (Err(left_out), _) | (_, Err(left_out)) => {
                    loaded.left_out.push(left_out);
                    continue;
                }
            };
            let identity = if let Some(id) = &relation.external_id {
                Identity::External(id)
            } else {
                let next = unnamed
                    .entry((relation.kind.clone(), src, dst))
                    .or_insert(0_u32);
                *next += 1;
                Identity::Ordinal(*next - 1)
            };
            writer.upsert_edge(&relation.kind, (src, dst), identity, relation.props)?;
            loaded.relations += 1;
        }
    }
    for topology in &topologies {
        delete(writer, topology, &mut loaded)?;
    }
    Ok(loaded)
}

fn count(progress: &Progress) -> Result<(), Error> {
    progress.add(1, 0);
    if progress.is_stopped() {
        return Err(Error::Stopped);
    }
    Ok(())
}

/// One topology, its elements not yet read.
struct Topology<'a> {
    source: Source<'a>,
    components: Vec<&'a serde_json::value::RawValue>,
    relations: Vec<&'a serde_json::value::RawValue>,
    delete_ids: Vec<String>,
}

fn read_topologies(source: Source<'_>) -> Result<Vec<Topology<'_>>, Error> {
    let whole = source.whole()?;
    let envelope = source.fields(whole)?;
    if let Some(topologies) = envelope.get("topologies") {
        return source
            .items(topologies)?
            .into_iter()
            .map(|topology| read_topology(source, &source.fields(topology)?))
            .collect();
    }
    if envelope.get("components").is_none() && envelope.get("relations").is_none() {
        return Err(source.wrong(
            whole,
            "expected `components` and `relations`, or `topologies`",
        ));
    }
    Ok(vec![read_topology(source, &envelope)?])
}

fn read_topology<'a>(source: Source<'a>, fields: &Fields<'a>) -> Result<Topology<'a>, Error> {
    let items = |name| match fields.get(name) {
        Some(items) => source.items(items),
        None => Ok(Vec::new()),
    };
    Ok(Topology {
        source,
        components: items("components")?,
        relations: items("relations")?,
        delete_ids: items("delete_ids")?
            .into_iter()
            .map(|id| source.text(id))
            .collect::<Result<_, _>>()?,
    })
}

fn delete(writer: &mut Writer, topology: &Topology<'_>, loaded: &mut Loaded) -> Result<(), Error> {
    let mut others = std::collections::HashSet::new();
    for id in &topology.delete_ids {
        let vertices = writer.resolve(id)?;
        if vertices.is_empty() {
            others.insert(id.as_str());
        }
        for (lid, _) in vertices {
            writer.delete_vertex(lid)?;
            loaded.deleted += 1;
        }
    }
    if !others.is_empty() {
        loaded.deleted += writer.delete_edges_named(&others)? as u64;
    }
    Ok(())
}

/// Ids of components that relations have named so far.
#[derive(Default)]
struct Ends {
    known: HashMap<String, Lid>,
}

impl Ends {
    fn find(
        &mut self,
        writer: &Writer,
        source: Source<'_>,
        relation: &Relation<'_>,
        id: &str,
    ) -> Result<Result<Lid, LeftOut>, Error> {
        if let Some(&lid) = self.known.get(id) {
            return Ok(Ok(lid));
        }
        let found = writer.resolve(id)?;
        match found.as_slice() {
            [(lid, _)] => {
                self.known.insert(id.to_owned(), *lid);
                Ok(Ok(*lid))
            }
            [] => Ok(Err(LeftOut {
                position: source.position(relation.raw),
                relation: format!(
                    "relation of type `{}` from `{}` to `{}`",
                    relation.kind, relation.source_id, relation.target_id
                ),
                missing: id.to_owned(),
            })),
            several => {
                let mut types: Vec<String> = several
                    .iter()
                    .map(|(_, label)| format!("`{label}`"))
                    .collect();
                types.sort();
                Err(Error::Ambiguous {
                    position: source.position(relation.raw),
                    id: id.to_owned(),
                    types: types.join(", "),
                })
            }
        }
    }
}

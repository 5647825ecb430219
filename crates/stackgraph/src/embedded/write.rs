//! Small changes: vertices and edges put in or taken out, all at once or not at all.
//!
//! Changes are collected and compared with what the store holds; only what differs becomes a new version, and all of
//! them share one transaction. Putting the same graph in twice changes nothing. What is collected lies in memory, a
//! few hundred bytes for each element.

mod apply;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use redb::Database;

use super::claim::Claim;
use super::graph::Graph;
use super::row;
use super::tables::begin_read;
use crate::batch::value_ref;
use crate::error::Error;
use crate::model::{Edge, Lid, Value, Vertex};

pub use apply::{Change, Changes};

/// The property that holds the name by which the outside knows an edge.
pub const EXTERNAL_ID: &str = "externalId";

/// A change in the making. Dropped, nothing happened.
pub struct Writer {
    graph: Graph,
    now_millis: i64,
    next_lid: Lid,
    vertices: BTreeMap<Lid, NewVertex>,
    /// The vertices above that are not deleted, by each of their identifiers.
    identifiers: HashMap<Box<str>, Vec<Lid>>,
    /// By source and lid.
    edges: BTreeMap<(Lid, Lid), NewEdge>,
    /// Every edge that leaves a vertex, for each vertex that was touched.
    sources: HashMap<Lid, HashMap<EdgeKey, Lid>>,
    database: Database,
    _claim: Claim,
}

/// Which of several edges of one label between one pair of vertices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// The outside has a name for it; kept as its property [`EXTERNAL_ID`].
    External(&'a str),
    /// The n-th (from 0) of those without a name. Given together with that property, the property counts.
    Ordinal(u32),
}

/// A vertex as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NewVertex {
    deleted: bool,
    label: String,
    identifiers: Vec<String>,
    props: BTreeMap<String, Value>,
}

/// An edge as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NewEdge {
    deleted: bool,
    label: u32,
    dst: Lid,
    row: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EdgeKey {
    label: u32,
    dst: Lid,
    identity: OwnIdentity,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum OwnIdentity {
    External(Box<str>),
    Ordinal(u32),
}

impl Writer {
    pub(super) fn new(database: Database, claim: Claim, now_millis: i64) -> Result<Self, Error> {
        let graph = Graph::open(&begin_read(&database)?)?;
        Ok(Self {
            next_lid: graph.counters.next_lid.max(1),
            graph,
            now_millis,
            vertices: BTreeMap::new(),
            identifiers: HashMap::new(),
            edges: BTreeMap::new(),
            sources: HashMap::new(),
            database,
            _claim: claim,
        })
    }

    /// Puts a vertex in. It is the one of the same label that has any of the identifiers, or a new one.
    ///
    /// A vertex met for the first time in this change becomes as given; met again, it is merged: identifiers are
    /// joined, properties are added and replaced. Fails, with nothing changed, where there is no identifier or where
    /// the identifiers belong to two vertices of the label.
    pub fn upsert_vertex(
        &mut self,
        label: &str,
        identifiers: &[String],
        props: BTreeMap<String, Value>,
    ) -> Result<Lid, Error> {
        let Some(lid) = self.owner(label, identifiers)? else {
            let lid = self.new_lid()?;
            self.put_vertex(lid, label, identifiers, props);
            return Ok(lid);
        };
        self.put_vertex(lid, label, identifiers, props);
        Ok(lid)
    }

    /// Finds the vertex of a label that has any of the identifiers.
    fn owner(&self, label: &str, identifiers: &[String]) -> Result<Option<Lid>, Error> {
        if identifiers.is_empty() {
            return Err(Error::Element {
                element: format!("a vertex of label `{label}`"),
                what: "has no identifier".to_owned(),
            });
        }
        let mut owner: Option<(Lid, &str)> = None;
        for identifier in identifiers {
            for (lid, _) in self
                .resolve(identifier)?
                .into_iter()
                .filter(|(_, own)| own == label)
            {
                match owner {
                    Some((first, by)) if first != lid => {
                        return Err(Error::Element {
                            element: format!("identifier `{identifier}`"),
                            what: format!(
                                "belongs to another vertex of label `{label}` than `{by}`, which the same element has"
                            ),
                        });
                    }
                    _ => owner = owner.or(Some((lid, identifier))),
                }
            }
        }
        Ok(owner.map(|(lid, _)| lid))
    }

    fn put_vertex(
        &mut self,
        lid: Lid,
        label: &str,
        identifiers: &[String],
        props: BTreeMap<String, Value>,
    ) {
        let vertex = match self.vertices.entry(lid) {
            Entry::Vacant(entry) => entry.insert(NewVertex {
                deleted: false,
                label: label.to_owned(),
                identifiers: Vec::new(),
                props,
            }),
            Entry::Occupied(entry) => {
                let vertex = entry.into_mut();
                vertex.props.extend(props);
                vertex
            }
        };
        for identifier in identifiers {
            if !vertex.identifiers.contains(identifier) {
                vertex.identifiers.push(identifier.clone());
                self.identifiers
                    .entry(identifier.as_str().into())
                    .or_default()
                    .push(lid);
            }
        }
    }

    /// Returns lid and label of every vertex that has the identifier, this change included.
    pub fn resolve(&self, identifier: &str) -> Result<Vec<(Lid, String)>, Error> {
        let mut found = Vec::new();
        for lid in self.graph.candidates(identifier)? {
            if !self.vertices.contains_key(&lid)
                && let Some(vertex) = self.graph.vertex(lid)?
                && vertex.identifiers.iter().any(|own| own == identifier)
            {
                found.push((lid, vertex.label));
            }
        }
        for lid in self.identifiers.get(identifier).into_iter().flatten() {
            found.push((*lid, self.vertices[lid].label.clone()));
        }
        Ok(found)
    }

    /// Puts an edge in. It is the one of the same label, ends and identity, or a new one, and becomes as given. Both
    /// ends must exist, in the store or in this change.
    pub fn upsert_edge(
        &mut self,
        label: &str,
        (src, dst): (Lid, Lid),
        identity: Identity<'_>,
        props: BTreeMap<String, Value>,
    ) -> Result<Lid, Error> {
        for end in [src, dst] {
            if !self.exists(end)? {
                return Err(Error::Element {
                    element: format!("an edge of label `{label}`"),
                    what: format!("refers to vertex `{end}`, which does not exist"),
                });
            }
        }
        self.touch(src)?;
        let mut props = props;
        let identity = match (identity, props.get(EXTERNAL_ID)) {
            (Identity::Ordinal(_), Some(Value::Text(name))) => {
                OwnIdentity::External(name.as_str().into())
            }
            (Identity::Ordinal(number), _) => OwnIdentity::Ordinal(number),
            (Identity::External(name), _) => {
                props.insert(EXTERNAL_ID.to_owned(), Value::Text(name.to_owned()));
                OwnIdentity::External(name.into())
            }
        };
        let label = self.graph.names.intern(label);
        let key = EdgeKey {
            label,
            dst,
            identity,
        };
        let known = self.sources.get(&src).and_then(|edges| edges.get(&key));
        let lid = if let Some(&lid) = known {
            lid
        } else {
            let lid = self.new_lid()?;
            self.sources.entry(src).or_default().insert(key, lid);
            lid
        };
        let row = self.edge_row(false, label, dst, &props);
        self.edges.insert(
            (src, lid),
            NewEdge {
                deleted: false,
                label,
                dst,
                row,
            },
        );
        Ok(lid)
    }

    fn exists(&self, lid: Lid) -> Result<bool, Error> {
        if let Some(vertex) = self.vertices.get(&lid) {
            return Ok(!vertex.deleted);
        }
        Ok(self
            .graph
            .vertex(lid)?
            .is_some_and(|vertex| !vertex.deleted))
    }

    /// Learns which edges leave a vertex.
    fn touch(&mut self, src: Lid) -> Result<(), Error> {
        if self.sources.contains_key(&src) {
            return Ok(());
        }
        let mut keys = HashMap::new();
        let mut unnamed: HashMap<(u32, Lid), u32> = HashMap::new();
        self.graph.each_outgoing(src, |edge| {
            let label = self.graph.names.id(&edge.label);
            let label = label.expect("the label of a row was found by its id");
            let identity = if let Some(Value::Text(name)) = edge.props.get(EXTERNAL_ID) {
                OwnIdentity::External(name.as_str().into())
            } else {
                let next = unnamed.entry((label, edge.dst)).or_default();
                *next += 1;
                OwnIdentity::Ordinal(*next - 1)
            };
            let dst = edge.dst;
            let key = EdgeKey {
                label,
                dst,
                identity,
            };
            keys.insert(key, edge.lid);
            Ok(())
        })?;
        self.sources.insert(src, keys);
        Ok(())
    }

    /// Deletes a vertex and every edge at it. What does not exist stays so.
    pub fn delete_vertex(&mut self, lid: Lid) -> Result<(), Error> {
        if !self.exists(lid)? {
            return Ok(());
        }
        let label = match self.vertices.get(&lid) {
            Some(vertex) => Some(vertex.label.clone()),
            None => self.graph.vertex(lid)?.map(|vertex| vertex.label),
        };
        let mut edges = Vec::new();
        self.graph.each_outgoing(lid, |edge| {
            edges.push(edge);
            Ok(())
        })?;
        self.graph.each_incoming(lid, |src, edge| {
            edges.extend(self.graph.edge(src, edge)?.filter(|edge| !edge.deleted));
            Ok(())
        })?;
        for edge in edges {
            self.delete_edge(&edge);
        }
        let collected: Vec<_> = self
            .edges
            .iter()
            .filter(|((src, _), edge)| !edge.deleted && (*src == lid || edge.dst == lid))
            .map(|(&(src, lid), edge)| (src, lid, edge.label, edge.dst))
            .collect();
        for (src, edge, label, dst) in collected {
            self.bury_edge(src, edge, label, dst);
        }
        let gone = NewVertex {
            deleted: true,
            label: label.unwrap_or_default(),
            identifiers: Vec::new(),
            props: BTreeMap::new(),
        };
        if let Some(before) = self.vertices.insert(lid, gone) {
            for identifier in before.identifiers {
                if let Some(lids) = self.identifiers.get_mut(identifier.as_str()) {
                    lids.retain(|&other| other != lid);
                }
            }
        }
        Ok(())
    }

    /// Deletes every edge, of the store or of this change, whose [`EXTERNAL_ID`] is among the names, and returns how
    /// many. Reads all edges: there is no index for it.
    pub fn delete_edges_named(&mut self, names: &HashSet<&str>) -> Result<usize, Error> {
        let mut edges = Vec::new();
        self.graph.each_edge(|edge| {
            if let Some(Value::Text(name)) = edge.props.get(EXTERNAL_ID)
                && names.contains(name.as_str())
            {
                edges.push(edge);
            }
            Ok(())
        })?;
        for edge in &edges {
            self.delete_edge(edge);
        }
        let mut pending = Vec::new();
        for (&src, keys) in &self.sources {
            for (key, &lid) in keys {
                if matches!(&key.identity, OwnIdentity::External(name) if names.contains(&**name)) {
                    pending.push((src, lid, key.label, key.dst));
                }
            }
        }
        for &(src, lid, label, dst) in &pending {
            self.bury_edge(src, lid, label, dst);
        }
        Ok(edges.len() + pending.len())
    }

    fn delete_edge(&mut self, edge: &Edge) {
        let label = self.graph.names.intern(&edge.label);
        self.bury_edge(edge.src, edge.lid, label, edge.dst);
    }

    fn bury_edge(&mut self, src: Lid, lid: Lid, label: u32, dst: Lid) {
        let row = self.edge_row(true, label, dst, &BTreeMap::new());
        self.edges.insert(
            (src, lid),
            NewEdge {
                deleted: true,
                label,
                dst,
                row,
            },
        );
        if let Some(keys) = self.sources.get_mut(&src) {
            keys.retain(|_, known| *known != lid);
        }
    }

    fn new_lid(&mut self) -> Result<Lid, Error> {
        let lid = self.next_lid;
        self.next_lid = lid.checked_add(1).ok_or_else(|| Error::Element {
            element: "a new element".to_owned(),
            what: "finds no free number: the graph has used the last one".to_owned(),
        })?;
        Ok(lid)
    }

    fn edge_row(
        &mut self,
        deleted: bool,
        label: u32,
        dst: Lid,
        props: &BTreeMap<String, Value>,
    ) -> Vec<u8> {
        let mut row = Vec::new();
        row::begin_edge(deleted, label, dst, &mut row);
        self.put_props(props, &mut row);
        row
    }

    fn vertex_row(&mut self, vertex: &NewVertex) -> Vec<u8> {
        let label = self.graph.names.intern(&vertex.label);
        let mut row = Vec::new();
        row::begin_vertex(vertex.deleted, label, vertex.identifiers.len(), &mut row);
        for identifier in &vertex.identifiers {
            row::put_bytes(identifier.as_bytes(), &mut row);
        }
        self.put_props(&vertex.props, &mut row);
        row
    }

    fn put_props(&mut self, props: &BTreeMap<String, Value>, row: &mut Vec<u8>) {
        let keys: Vec<u32> = props
            .keys()
            .map(|key| self.graph.names.intern(key))
            .collect();
        let mut nested: Vec<Vec<u8>> = vec![Vec::new(); props.len()];
        let values = keys
            .into_iter()
            .zip(props.values().zip(&mut nested))
            .map(|(key, (value, scratch))| (key, value_ref(value, scratch)));
        row::put_props(values, row);
    }
}

impl NewVertex {
    fn is_like(&self, vertex: &Vertex) -> bool {
        self.deleted == vertex.deleted
            && self.label == vertex.label
            && self.identifiers == vertex.identifiers
            && self.props == vertex.props
    }
}

//! Looking things up: how much there is of what, and one element with what is around it.

use std::collections::BTreeMap;

use redb::ReadOnlyDatabase;

use super::claim::Claim;
use super::counters::by_label;
use super::graph::Graph;
use super::tables::begin_read;
use crate::error::Error;
use crate::model::{Edge, Lid, Vertex};

/// A frozen state of a store. Writers go on meanwhile and are not seen; a restore is refused while it lives.
pub struct View {
    graph: Graph,
    // The graph reads through these.
    _database: ReadOnlyDatabase,
    _claim: Claim,
}

/// Numbers of elements that exist now, by label: neither older versions nor deleted elements count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub vertices: BTreeMap<String, u64>,
    pub edges: BTreeMap<String, u64>,
}

/// A vertex and what is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub vertex: Vertex,
    /// Milliseconds since 1970 in UTC at which this version was written, where the graph knows it.
    pub millis: Option<i64>,
    pub outgoing: Neighbours,
    pub incoming: Neighbours,
}

/// The edges on one side of a vertex.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The first ones, in the order of lids.
    pub shown: Vec<Neighbour>,
    /// How many there are.
    pub total: u64,
}

/// An edge and the vertex at its other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub edge: Edge,
    pub vertex: Vertex,
}

/// One version of a vertex and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub vertex: Vertex,
    /// Milliseconds since 1970 in UTC, where the graph knows it.
    pub millis: Option<i64>,
}

impl View {
    pub(super) fn new(database: ReadOnlyDatabase, claim: Claim) -> Result<Self, Error> {
        Ok(Self {
            graph: Graph::open(&begin_read(&database)?)?,
            _database: database,
            _claim: claim,
        })
    }

    pub fn counts(&self) -> Result<Counts, Error> {
        let Graph {
            counters, names, ..
        } = &self.graph;
        Ok(Counts {
            vertices: by_label(&counters.vertices, names, |count| count.current)?,
            edges: by_label(&counters.edges, names, |count| count.current)?,
        })
    }

    /// Returns every vertex that has the identifier: at most one of each label. Of the edges on each side at most
    /// `limit` are shown, and all are counted.
    pub fn find(&self, identifier: &str, limit: usize) -> Result<Vec<Found>, Error> {
        self.graph
            .holders(identifier)?
            .into_iter()
            .map(|vertex| {
                Ok(Found {
                    millis: self.graph.millis(vertex.tx)?,
                    outgoing: self.outgoing(vertex.lid, limit)?,
                    incoming: self.incoming(vertex.lid, limit)?,
                    vertex,
                })
            })
            .collect()
    }

    /// Returns all versions of a vertex, the oldest first; none where there never was one.
    pub fn history(&self, lid: Lid) -> Result<Vec<Version>, Error> {
        self.graph
            .versions(lid)?
            .into_iter()
            .map(|vertex| {
                let millis = self.graph.millis(vertex.tx)?;
                Ok(Version { vertex, millis })
            })
            .collect()
    }

    fn outgoing(&self, lid: Lid, limit: usize) -> Result<Neighbours, Error> {
        let mut neighbours = Neighbours::default();
        self.graph.each_outgoing(lid, |edge| {
            let other = edge.dst;
            self.add(&mut neighbours, edge, other, limit)
        })?;
        Ok(neighbours)
    }

    fn incoming(&self, lid: Lid, limit: usize) -> Result<Neighbours, Error> {
        let mut neighbours = Neighbours::default();
        self.graph.each_incoming(lid, |src, edge| {
            match self.graph.edge(src, edge)?.filter(|edge| !edge.deleted) {
                Some(edge) => self.add(&mut neighbours, edge, src, limit),
                None => Ok(()),
            }
        })?;
        Ok(neighbours)
    }

    fn add(
        &self,
        neighbours: &mut Neighbours,
        edge: Edge,
        other: Lid,
        limit: usize,
    ) -> Result<(), Error> {
        neighbours.total += 1;
        if neighbours.shown.len() < limit
            && let Some(vertex) = self.graph.vertex(other)?
        {
            neighbours.shown.push(Neighbour { edge, vertex });
        }
        Ok(())
    }
}

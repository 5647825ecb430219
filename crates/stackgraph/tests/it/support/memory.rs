//! A store that keeps its promises in memory, and breaks them where a test asks for it.

use std::sync::{Arc, Mutex};

use lifeboat_core::backup::Consistency;
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::store::{
    Expected, GraphStore, Info, LoadMode, Loader, Piece, Snapshot, Totals,
};

use super::graphs::Graph;

pub(crate) struct MemoryStore {
    content: Arc<Mutex<Graph>>,
    /// How many elements a batch of a snapshot has.
    pub(crate) batch: usize,
    /// The piece of a load, counted from 0, that is refused.
    pub(crate) refuses: Option<usize>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::holding(Graph::default())
    }
}

impl MemoryStore {
    pub(crate) fn holding(graph: Graph) -> Self {
        Self {
            content: Arc::new(Mutex::new(graph)),
            batch: 3,
            refuses: None,
        }
    }

    pub(crate) fn content(&self) -> Graph {
        self.content.lock().unwrap().clone()
    }
}

impl GraphStore for MemoryStore {
    fn info(&self) -> Result<Info, Error> {
        Ok(Info {
            driver: "memory",
            consistency: Consistency::Snapshot,
            totals: self.content().totals(),
        })
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        let graph = self.content();
        Ok(Box::new(Pieces {
            totals: graph.totals(),
            pieces: graph.pieces(self.batch).into_iter(),
        }))
    }

    fn begin_load(&self, mode: LoadMode, _: &Expected) -> Result<Box<dyn Loader>, Error> {
        let totals = self.content().totals();
        if mode == LoadMode::IntoEmpty && totals.elements() > 0 {
            return Err(Error::NotEmpty {
                vertices: totals.vertex_count(),
                edges: totals.edge_count(),
            });
        }
        Ok(Box::new(Load {
            target: Arc::clone(&self.content),
            pieces: Vec::new(),
            refuses: self.refuses,
        }))
    }
}

/// A snapshot of exactly these pieces.
pub(crate) struct Pieces {
    pub(crate) totals: Totals,
    pub(crate) pieces: std::vec::IntoIter<Piece>,
}

impl Snapshot for Pieces {
    fn totals(&self) -> &Totals {
        &self.totals
    }

    fn consistency(&self) -> Consistency {
        Consistency::Snapshot
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        Ok(self.pieces.next())
    }
}

struct Load {
    target: Arc<Mutex<Graph>>,
    pieces: Vec<Piece>,
    refuses: Option<usize>,
}

impl Loader for Load {
    fn add(&mut self, piece: Piece) -> Result<(), Error> {
        if self.refuses == Some(self.pieces.len()) {
            return Err(Error::Mismatch {
                what: "the test refuses it".to_owned(),
            });
        }
        self.pieces.push(piece);
        Ok(())
    }

    fn commit(self: Box<Self>, promised: &Totals) -> Result<(), Error> {
        let graph = Graph::from_pieces(&self.pieces);
        let mut totals = graph.totals();
        totals.digest = promised.digest;
        assert_eq!(&totals, promised);
        *self.target.lock().unwrap() = graph;
        Ok(())
    }
}

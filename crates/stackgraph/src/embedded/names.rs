//! Labels and property keys, each kept once and known by a number.

use std::collections::HashMap;

use redb::{ReadableTable, WriteTransaction};

use super::tables::{READ, STRINGS, WRITE, damaged, failed};
use crate::error::Error;
use crate::value::Malformed;

/// The table `strings`, whole in memory: a graph has few labels and keys, however large it is.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    /// How many of them the store has already.
    stored: usize,
}

impl Names {
    pub(super) fn read(transaction: &redb::ReadTransaction) -> Result<Self, Error> {
        let table = transaction.open_table(STRINGS).map_err(failed(READ))?;
        let mut names = Self::default();
        for entry in table.iter().map_err(failed(READ))? {
            let (id, text) = entry.map_err(failed(READ))?;
            let text = std::str::from_utf8(text.value())
                .map_err(|_| damaged(Malformed("a name is not UTF-8")))?;
            if names.intern(text).to_be_bytes() != *id.value() {
                return Err(damaged(Malformed("the names are not numbered in order")));
            }
        }
        names.stored = names.texts.len();
        Ok(names)
    }

    /// Returns the id of a name, giving it one at its first use.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = u32::try_from(self.texts.len()).expect("a graph has fewer than 2^32 names");
        self.texts.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(super) fn text(&self, id: u32) -> Result<&str, Error> {
        self.texts
            .get(id as usize)
            .map(AsRef::as_ref)
            .ok_or_else(|| damaged(Malformed("a row has a name that the store does not know")))
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Writes those that the store does not have.
    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), Error> {
        let mut table = transaction.open_table(STRINGS).map_err(failed(WRITE))?;
        for (text, id) in self.texts.iter().zip(0_u32..).skip(self.stored) {
            table
                .insert(&id.to_be_bytes(), text.as_bytes())
                .map_err(failed(WRITE))?;
        }
        Ok(())
    }
}

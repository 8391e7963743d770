//! A store in memory.

use crate::{
    Committed,
    backend::{Backend, Done, Marks, Reading, Reads, Row, check, touched},
    error::{CommitError, ReadError},
    log::{Head, RawEntry},
};
use landfall_types::record::{Change, Version};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A store in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
    marks: Marks,
}

#[derive(Debug, Default)]
struct State {
    last_version: u64,
    collections: BTreeMap<&'static str, Collection>,
    logs: BTreeMap<&'static str, Vec<RawEntry>>,
}

#[derive(Debug, Default)]
struct Collection {
    records: BTreeMap<String, Stored>,
    /// Index name, value, key.
    postings: BTreeSet<(String, String, String)>,
}

#[derive(Clone, Debug)]
struct Stored {
    version: Version,
    value: String,
    indexes: Vec<(&'static str, String)>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Applies all changes, or puts back what was there before.
    fn commit(&mut self, changes: Vec<Change>) -> Result<Committed, CommitError> {
        let mut committed = Committed::default();
        let mut undo = Vec::new();
        for change in changes {
            if let Err(e) = self.apply(change, &mut committed, &mut undo) {
                undo.into_iter().rev().for_each(|step| self.undo(step));
                return Err(e);
            }
        }
        Ok(committed)
    }

    fn apply(&mut self, change: Change, committed: &mut Committed, undo: &mut Vec<Undo>) -> Result<(), CommitError> {
        match change {
            Change::Put { collection, key, value, indexes, expect } => {
                let records = self.collections.entry(collection).or_default();
                check(expect, records.records.get(&key).map(|stored| stored.version), collection, &key)?;
                self.last_version += 1;
                let version = Version(self.last_version);
                let before = records.set(&key, Some(Stored { version, value, indexes }));
                undo.push(Undo::Record(collection, key, before));
                committed.versions.push(version);
            }
            Change::Delete { collection, key } => {
                let before = self.collections.entry(collection).or_default().set(&key, None);
                undo.push(Undo::Record(collection, key, before));
            }
            Change::Append { log, entry } => {
                let previous = self.end(log);
                let head = previous.append(&entry);
                let raw = RawEntry { seq: head.seq, entry, hash: head.hash, previous: previous.hash };
                self.logs.entry(log).or_default().push(raw);
                undo.push(Undo::Entry(log));
                committed.appended.push(head);
            }
        }
        Ok(())
    }

    fn undo(&mut self, step: Undo) {
        match step {
            Undo::Record(collection, key, before) => {
                self.collections.entry(collection).or_default().set(&key, before);
            }
            Undo::Entry(log) => {
                self.logs.entry(log).or_default().pop();
            }
        }
    }

    fn end(&self, log: &str) -> Head {
        let last = self.logs.get(log).and_then(|entries| entries.last());
        last.map_or_else(|| Head::empty(log), |last| Head { seq: last.seq, hash: last.hash })
    }
}

/// How to take back a change.
enum Undo {
    Record(&'static str, String, Option<Stored>),
    Entry(&'static str),
}

impl Collection {
    /// Writes or removes a record, with its postings, and returns what was there.
    fn set(&mut self, key: &str, stored: Option<Stored>) -> Option<Stored> {
        let posting = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone(), key.to_owned());
        let before = self.records.remove(key);
        for index in before.iter().flat_map(|before| &before.indexes) {
            self.postings.remove(&posting(index));
        }
        if let Some(stored) = stored {
            self.postings.extend(stored.indexes.iter().map(posting));
            self.records.insert(key.to_owned(), stored);
        }
        before
    }

    fn row(&self, key: &str) -> Option<Row> {
        self.records.get(key).map(|stored| row(key, stored))
    }

    /// The postings of `index` after a pair of value and key.
    fn postings<'a>(&'a self, index: &'a str, after: (&str, &str)) -> impl Iterator<Item = (&'a str, &'a str)> {
        let after = (index.to_owned(), after.0.to_owned(), after.1.to_owned());
        self.postings
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take_while(move |(name, ..)| name == index)
            .map(|(_, value, key)| (value.as_str(), key.as_str()))
    }

    fn having<'a>(&'a self, index: &'a str, value: &'a str) -> impl Iterator<Item = &'a str> {
        self.postings(index, (value, "")).take_while(move |(found, _)| *found == value).map(|(_, key)| key)
    }
}

fn row(key: &str, stored: &Stored) -> Row {
    Row { key: key.to_owned(), version: stored.version, value: stored.value.clone() }
}

impl Backend for Memory {
    fn submit(&self, changes: Vec<Change>, done: Done) {
        let touched = touched(&changes);
        let result = self.state().commit(changes);
        self.marks.note(&touched);
        // Whoever asked may have gone away.
        drop(done.send(result));
    }

    fn mark(&self, collections: &[&'static str]) -> Option<u64> {
        Some(self.marks.of(collections))
    }

    fn read(&self, _: Reading, work: &mut dyn FnMut(&dyn Reads)) -> Result<(), ReadError> {
        work(&*self.state());
        Ok(())
    }
}

impl Reads for State {
    fn find(&self, collection: &str, key: &str) -> Result<Option<Row>, ReadError> {
        Ok(self.collections.get(collection).and_then(|records| records.row(key)))
    }

    fn find_by(&self, collection: &str, index: &str, value: &str, limit: usize) -> Result<Vec<Row>, ReadError> {
        let Some(records) = self.collections.get(collection) else { return Ok(Vec::new()) };
        Ok(records.having(index, value).filter_map(|key| records.row(key)).take(limit).collect())
    }

    fn scan(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Row>, ReadError> {
        let Some(records) = self.collections.get(collection) else { return Ok(Vec::new()) };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = records.records.range::<str, _>((from, Bound::Unbounded));
        Ok(found.take(limit).map(|(key, stored)| row(key, stored)).collect())
    }

    fn scan_index(
        &self,
        collection: &str,
        index: &str,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<(String, Row)>, ReadError> {
        let Some(records) = self.collections.get(collection) else { return Ok(Vec::new()) };
        let found = records.postings(index, after.unwrap_or_default());
        Ok(found.filter_map(|(value, key)| Some((value.to_owned(), records.row(key)?))).take(limit).collect())
    }

    fn count(&self, collection: &str) -> Result<u64, ReadError> {
        Ok(self.collections.get(collection).map_or(0, |records| records.records.len() as u64))
    }

    fn count_by(&self, collection: &str, index: &str, value: &str) -> Result<u64, ReadError> {
        Ok(self.collections.get(collection).map_or(0, |records| records.having(index, value).count() as u64))
    }

    fn log(&self, log: &str, after: u64, limit: usize) -> Result<Vec<RawEntry>, ReadError> {
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(self.logs.get(log).into_iter().flatten().skip(skip).take(limit).cloned().collect())
    }

    fn head(&self, log: &str) -> Result<Head, ReadError> {
        Ok(self.end(log))
    }

    fn noted_head(&self, log: &str) -> Result<Head, ReadError> {
        self.head(log)
    }
}

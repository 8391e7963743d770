//! Reading: several things in a transaction, so that all of them are of one moment, and the file is looked at anew but once.

use crate::{
    backend::{Reading, Reads, Row},
    error::ReadError,
    log::{Head, RawEntry, fingerprint},
};
use landfall_types::{Fingerprint, record::Version};
use rusqlite::{Connection, OptionalExtension, Params, params};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// How many idle connections are kept.
const IDLE: usize = 8;

/// Connections that read; made when needed, kept when idle.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), idle: Mutex::default() }
    }

    /// Reads with a connection that nobody else uses meanwhile.
    pub(super) fn with(&self, reading: Reading, work: &mut dyn FnMut(&dyn Reads)) -> Result<(), ReadError> {
        let connection = match self.idle().pop() {
            Some(connection) => connection,
            None => connect(&self.path).map_err(failed)?,
        };
        match reading {
            Reading::Once => work(&connection),
            Reading::Snapshot => {
                run(&connection, "BEGIN").map_err(failed)?;
                work(&connection);
                run(&connection, "COMMIT").map_err(failed)?;
            }
        }
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = super::connect(path)?;
    // Every commit empties the caches of all readers, so large ones would only hold memory.
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -1000;")?;
    Ok(connection)
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn failed(error: rusqlite::Error) -> ReadError {
    ReadError::Failed(error.to_string())
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { key: row.get(0)?, version: Version(row.get(1)?), value: row.get(2)? })
}

fn rows(connection: &Connection, query: &str, parameters: impl Params) -> Result<Vec<Row>, ReadError> {
    let read = || -> rusqlite::Result<_> { connection.prepare_cached(query)?.query_map(parameters, row)?.collect() };
    read().map_err(failed)
}

fn number(connection: &Connection, query: &str, parameters: impl Params) -> Result<u64, ReadError> {
    let read = || connection.prepare_cached(query)?.query_row(parameters, |row| row.get(0));
    read().map_err(failed)
}

impl Reads for Connection {
    fn find(&self, collection: &str, key: &str) -> Result<Option<Row>, ReadError> {
        let query = "SELECT key, version, value FROM record WHERE collection = ?1 AND key = ?2";
        let read = || self.prepare_cached(query)?.query_row([collection, key], row).optional();
        read().map_err(failed)
    }

    fn find_by(&self, collection: &str, index: &str, value: &str, limit: usize) -> Result<Vec<Row>, ReadError> {
        let query = "SELECT record.key, version, record.value FROM posting JOIN record ON record.id = posting.record
            WHERE posting.collection = ?1 AND posting.name = ?2 AND posting.value = ?3 ORDER BY posting.key LIMIT ?4";
        rows(self, query, params![collection, index, value, limit_of(limit)])
    }

    fn scan(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Row>, ReadError> {
        let query = "SELECT key, version, value FROM record WHERE collection = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
        rows(self, query, params![collection, after.unwrap_or_default(), limit_of(limit)])
    }

    fn scan_index(
        &self,
        collection: &str,
        index: &str,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<(String, Row)>, ReadError> {
        let query = "SELECT record.key, version, record.value, posting.value
            FROM posting JOIN record ON record.id = posting.record
            WHERE posting.collection = ?1 AND posting.name = ?2 AND (posting.value, posting.key) > (?3, ?4)
            ORDER BY posting.value, posting.key LIMIT ?5";
        let (value, key) = after.unwrap_or_default();
        let parameters = params![collection, index, value, key, limit_of(limit)];
        let read = || -> rusqlite::Result<_> {
            let mut statement = self.prepare_cached(query)?;
            statement.query_map(parameters, |found| Ok((found.get(3)?, row(found)?)))?.collect()
        };
        read().map_err(failed)
    }

    fn count(&self, collection: &str) -> Result<u64, ReadError> {
        number(self, "SELECT count(*) FROM record WHERE collection = ?1", [collection])
    }

    fn count_by(&self, collection: &str, index: &str, value: &str) -> Result<u64, ReadError> {
        let query = "SELECT count(*) FROM posting WHERE collection = ?1 AND name = ?2 AND value = ?3";
        number(self, query, [collection, index, value])
    }

    fn log(&self, log: &str, after: u64, limit: usize) -> Result<Vec<RawEntry>, ReadError> {
        let query =
            "SELECT seq, entry, hash, previous FROM log_entry WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let entry = |row: &rusqlite::Row<'_>| {
            let digest = |column| row.get_ref(column)?.as_blob().map(fingerprint).map_err(rusqlite::Error::from);
            Ok(RawEntry { seq: row.get(0)?, entry: row.get(1)?, hash: digest(2)?, previous: digest(3)? })
        };
        let parameters = params![log, after, limit_of(limit)];
        let read = || -> rusqlite::Result<_> { self.prepare_cached(query)?.query_map(parameters, entry)?.collect() };
        read().map_err(failed)
    }

    fn head(&self, log: &str) -> Result<Head, ReadError> {
        head(self, log).map_err(failed)
    }

    fn noted_head(&self, log: &str) -> Result<Head, ReadError> {
        noted_head(self, log).map_err(failed)
    }
}

/// The end of a log; the writer uses this too.
pub(super) fn head(connection: &Connection, log: &str) -> rusqlite::Result<Head> {
    head_by(connection, "SELECT seq, hash FROM log_entry WHERE log = ?1 ORDER BY seq DESC LIMIT 1", log)
}

/// The head of a log that was noted last; the writer uses this too.
pub(super) fn noted_head(connection: &Connection, log: &str) -> rusqlite::Result<Head> {
    head_by(connection, "SELECT seq, hash FROM log_head WHERE log = ?1", log)
}

/// The hash of an entry; the writer uses this too.
pub(super) fn hash(connection: &Connection, log: &str, seq: u64) -> rusqlite::Result<Option<Fingerprint>> {
    let mut statement = connection.prepare_cached("SELECT hash FROM log_entry WHERE log = ?1 AND seq = ?2")?;
    statement.query_row(params![log, seq], |row| Ok(fingerprint(row.get_ref(0)?.as_blob()?))).optional()
}

fn head_by(connection: &Connection, query: &str, log: &str) -> rusqlite::Result<Head> {
    let head = |row: &rusqlite::Row<'_>| Ok(Head { seq: row.get(0)?, hash: fingerprint(row.get_ref(1)?.as_blob()?) });
    let found = connection.prepare_cached(query)?.query_row([log], head).optional()?;
    Ok(found.unwrap_or_else(|| Head::empty(log)))
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

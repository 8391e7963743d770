//! Reading: every operation is one statement, so it sees one state of the store.

use crate::{
    backend::Row,
    error::ReadError,
    log::{Head, RawEntry, fingerprint},
};
use landfall_types::record::Version;
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
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        let failed = |e: rusqlite::Error| ReadError::Failed(e.to_string());
        let connection = match self.idle().pop() {
            Some(connection) => connection,
            None => connect(&self.path).map_err(failed)?,
        };
        let result = read(&connection).map_err(failed)?;
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(result)
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

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { key: row.get(0)?, version: Version(row.get(1)?), value: row.get(2)? })
}

fn rows(connection: &Connection, query: &str, parameters: impl Params) -> rusqlite::Result<Vec<Row>> {
    connection.prepare_cached(query)?.query_map(parameters, row)?.collect()
}

fn number(connection: &Connection, query: &str, parameters: impl Params) -> rusqlite::Result<u64> {
    connection.prepare_cached(query)?.query_row(parameters, |row| row.get(0))
}

pub(super) fn find(connection: &Connection, collection: &str, key: &str) -> rusqlite::Result<Option<Row>> {
    let query = "SELECT key, version, value FROM record WHERE collection = ?1 AND key = ?2";
    connection.prepare_cached(query)?.query_row([collection, key], row).optional()
}

pub(super) fn find_by(
    connection: &Connection,
    collection: &str,
    index: &str,
    value: &str,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let query = "SELECT record.key, version, record.value FROM posting JOIN record USING (collection, key)
        WHERE collection = ?1 AND posting.name = ?2 AND posting.value = ?3 ORDER BY posting.key LIMIT ?4";
    rows(connection, query, params![collection, index, value, limit_of(limit)])
}

pub(super) fn scan(
    connection: &Connection,
    collection: &str,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let query = "SELECT key, version, value FROM record WHERE collection = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
    rows(connection, query, params![collection, after.unwrap_or_default(), limit_of(limit)])
}

pub(super) fn scan_index(
    connection: &Connection,
    collection: &str,
    index: &str,
    after: Option<(&str, &str)>,
    limit: usize,
) -> rusqlite::Result<Vec<(String, Row)>> {
    let query =
        "SELECT record.key, version, record.value, posting.value FROM posting JOIN record USING (collection, key)
        WHERE collection = ?1 AND posting.name = ?2 AND (posting.value, posting.key) > (?3, ?4)
        ORDER BY posting.value, posting.key LIMIT ?5";
    let (value, key) = after.unwrap_or_default();
    let mut statement = connection.prepare_cached(query)?;
    let found = statement
        .query_map(params![collection, index, value, key, limit_of(limit)], |found| Ok((found.get(3)?, row(found)?)))?;
    found.collect()
}

pub(super) fn count(connection: &Connection, collection: &str) -> rusqlite::Result<u64> {
    number(connection, "SELECT count(*) FROM record WHERE collection = ?1", [collection])
}

pub(super) fn count_by(connection: &Connection, collection: &str, index: &str, value: &str) -> rusqlite::Result<u64> {
    let query = "SELECT count(*) FROM posting WHERE collection = ?1 AND name = ?2 AND value = ?3";
    number(connection, query, [collection, index, value])
}

pub(super) fn log(connection: &Connection, log: &str, after: u64, limit: usize) -> rusqlite::Result<Vec<RawEntry>> {
    let query = "SELECT seq, entry, hash, previous FROM log_entry WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    let mut statement = connection.prepare_cached(query)?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let entries = statement.query_map(params![log, after, limit_of(limit)], |row| {
        let digest = |column| row.get_ref(column)?.as_blob().map(fingerprint).map_err(rusqlite::Error::from);
        Ok(RawEntry { seq: row.get(0)?, entry: row.get(1)?, hash: digest(2)?, previous: digest(3)? })
    })?;
    entries.collect()
}

/// The end of a log; the writer uses this too.
pub(super) fn head(connection: &Connection, log: &str) -> rusqlite::Result<Head> {
    let mut statement = connection.prepare_cached("SELECT seq, hash FROM log_head WHERE log = ?1")?;
    let found = statement
        .query_row([log], |row| Ok(Head { seq: row.get(0)?, hash: fingerprint(row.get_ref(1)?.as_blob()?) }))
        .optional()?;
    Ok(found.unwrap_or_else(|| Head::empty(log)))
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

//! The tables, and how older files reach them.

use super::unopened;
use crate::error::OpenError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// Marks the file as ours ("LDFL").
const APPLICATION_ID: i32 = 0x4C44_464C;

/// Step n brings a file of schema n to schema n + 1. A step that was released never changes.
const STEPS: &[&str] = &[
"
    -- `indexes` repeats the record's postings, so that they can be found again when it changes.
    CREATE TABLE record (
        id         INTEGER PRIMARY KEY,
        collection TEXT    NOT NULL,
        key        TEXT    NOT NULL,
        version    INTEGER NOT NULL,
        indexes    TEXT    NOT NULL,
        value      TEXT    NOT NULL,
        UNIQUE (collection, key)
    ) STRICT;
    CREATE TABLE posting (
        collection TEXT NOT NULL,
        name       TEXT NOT NULL,
        value      TEXT NOT NULL,
        key        TEXT NOT NULL,
        PRIMARY KEY (collection, name, value, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE log_entry (
        id       INTEGER PRIMARY KEY,
        log      TEXT    NOT NULL,
        seq      INTEGER NOT NULL,
        entry    TEXT    NOT NULL,
        hash     BLOB    NOT NULL,
        previous BLOB    NOT NULL,
        UNIQUE (log, seq)
    ) STRICT;
    CREATE TABLE log_head (
        log  TEXT    PRIMARY KEY,
        seq  INTEGER NOT NULL,
        hash BLOB    NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- The highest version given out; versions are never used again, not even for a record that was removed.
    CREATE TABLE last_version (value INTEGER NOT NULL) STRICT;
    INSERT INTO last_version VALUES (0);
",
"
    -- A posting leads to the record itself, not to its key in another tree.
    ALTER TABLE posting ADD COLUMN record INTEGER NOT NULL DEFAULT 0;
    UPDATE posting SET record =
        (SELECT id FROM record WHERE record.collection = posting.collection AND record.key = posting.key);
    -- From here on `log_head` has no longer the last entry of each log, but one that it certainly had: it is written now
    -- and then, so that few transactions have to touch it.
"];

/// Makes the tables, or brings those of an older program up to date; refuses what is not ours or newer.
pub(super) fn prepare(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    recognise(path, connection)?;
    migrate(connection, STEPS).map_err(|e| unopened(path, &e)).and_then(|found| match found {
        Some(found) => Err(OpenError::Newer { path: path.into(), found, known: known(STEPS) }),
        None => Ok(()),
    })
}

fn recognise(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let number = |query| connection.query_row(query, [], |row| row.get::<_, i32>(0)).map_err(|e| unopened(path, &e));
    let foreign = |why: &str| Err(OpenError::Foreign { path: path.into(), why: why.into() });
    match (number("PRAGMA application_id")?, number("SELECT count(*) FROM sqlite_schema")?) {
        (APPLICATION_ID, _) | (0, 0) => Ok(()),
        (0, _) => foreign("it holds the tables of another program"),
        _ => foreign("it is marked as the file of another program"),
    }
}

fn known(steps: &[&str]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}

/// Applies the steps that the file lacks, all or none; the file's schema if it is newer than the last step.
fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<Option<u32>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL) STRICT;")?;
    let found: Option<u32> = transaction.query_row("SELECT max(version) FROM schema", [], |row| row.get(0))?;
    let found = found.unwrap_or(0);
    if found > known(steps) {
        return Ok(Some(found));
    }
    for step in steps.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.execute("DELETE FROM schema", [])?;
    transaction.execute("INSERT INTO schema VALUES (?1)", [known(steps)])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "ALTER TABLE record ADD COLUMN colour TEXT; CREATE TABLE thing (x INTEGER) STRICT;";

    fn made(steps: &[&str]) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut connection, steps).unwrap(), None);
        connection
    }

    fn next() -> Vec<&'static str> {
        STEPS.iter().copied().chain([NEXT]).collect()
    }

    #[test]
    fn an_older_file_gets_only_the_steps_that_it_lacks() {
        let mut connection = made(STEPS);
        connection.execute("INSERT INTO log_head VALUES ('kept', 1, x'00')", []).unwrap();
        assert_eq!(migrate(&mut connection, &next()).unwrap(), None);
        assert_eq!(migrate(&mut connection, &next()).unwrap(), None);
        let kept: i64 = connection.query_row("SELECT count(*) FROM log_head", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 1);
        connection.execute("INSERT INTO thing VALUES (1)", []).unwrap();
    }

    #[test]
    fn a_newer_file_is_left_alone() {
        let mut connection = made(&next());
        assert_eq!(migrate(&mut connection, STEPS).unwrap(), Some(known(STEPS) + 1));
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut connection = made(STEPS);
        let broken: Vec<_> = next().into_iter().chain(["CREATE TABLE thing (y INTEGER) STRICT;"]).collect();
        assert!(migrate(&mut connection, &broken).is_err());
        assert_eq!(migrate(&mut connection, STEPS).unwrap(), None);
        assert!(connection.execute("INSERT INTO thing VALUES (1)", []).is_err());
    }
}

//! Writing: one thread, one transaction for all commits that wait.

use super::read;
use crate::{
    Committed, Head,
    backend::{Done, Marks, check, touched},
    error::CommitError,
};
use landfall_types::record::{Change, Version};
use rusqlite::{Connection, ErrorCode, OptionalExtension, hooks::Wal, params};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::Receiver,
    },
    thread,
    time::Duration,
};

/// How many changes one transaction takes before it is closed, so that the first commit in it does not wait for ever.
const GROUP: usize = 4096;

/// While several want to commit at the same time, the first of them waits so long for others to share its wait for the disk.
/// Longer saves little more, and leaves those idle who wait for an answer before they ask again.
const GATHERED: Duration = Duration::from_millis(1);

/// After so many pages, of 4 KiB, the log is folded into the file.
const LOG_PAGES: i32 = 4000;

/// Changes that wait to be made durable.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) changes: Vec<Change>,
    pub(super) done: Done,
}

/// The only connection that writes.
pub(super) struct Writer {
    connection: Connection,
    versions: Versions,
    heads: Heads,
    marks: Arc<Marks>,
    /// How many pages the log had when last something was committed.
    log_pages: Arc<AtomicI32>,
    /// What `data_version` was, if the store is shared: it changes whenever another process writes.
    seen: Option<i64>,
}

type Outcome = Result<Committed, CommitError>;

impl Writer {
    pub(super) fn new(mut connection: Connection, marks: Arc<Marks>, shared: bool) -> rusqlite::Result<Self> {
        let seen = shared.then(|| data_version(&connection)).transpose()?;
        let log_pages = Arc::new(AtomicI32::new(0));
        let counted = log_pages.clone();
        // SQLite by itself would fold the log within a commit, and those who made it would wait for that.
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let versions = Versions::read(&connection)?;
        Ok(Self { versions, connection, heads: Heads::default(), marks, log_pages, seen })
    }

    /// Commits what comes, in groups, until the queue is closed.
    pub(super) fn run(mut self, queue: &Receiver<Commit>) {
        let mut are_many = false;
        while let Ok(first) = queue.recv() {
            if are_many {
                thread::sleep(GATHERED);
            }
            let mut group = vec![first];
            let mut size = 0;
            while size < GROUP {
                let Ok(next) = queue.try_recv() else { break };
                size += next.changes.len();
                group.push(next);
            }
            are_many = group.len() > 1;
            self.commit_group(group);
            self.fold_log();
        }
        if let Err(e) = self.heads.note(&self.connection, 1) {
            tracing::debug!(error = %e, "the ends of the logs could not be noted");
        }
        if let Err(e) = self.connection.execute_batch("PRAGMA optimize;") {
            tracing::debug!(error = %e, "the store could not be tidied");
        }
    }

    /// Commits all of `group` in one transaction; one that conflicts fails alone. Everybody is told only after the
    /// transaction is on the disk.
    fn commit_group(&mut self, group: Vec<Commit>) {
        let (changes, done): (Vec<_>, Vec<_>) = group.into_iter().map(|commit| (commit.changes, commit.done)).unzip();
        let count = done.len();
        let touched = touched(changes.iter().flatten());
        let outcomes = self.transaction(changes).unwrap_or_else(|e| {
            tracing::error!(error = %e, commits = count, "a group of commits failed");
            vec![Err(e); count]
        });
        self.marks.note(&touched);
        for (done, outcome) in done.into_iter().zip(outcomes) {
            // Whoever asked may have gone away; the commit stands all the same.
            drop(done.send(outcome));
        }
    }

    /// Folds the log into the file if it is long; whoever made the commits in it has been told already. If a reader still
    /// needs part of it, the rest is folded after a later commit.
    fn fold_log(&self) {
        if self.log_pages.swap(0, Ordering::Relaxed) >= LOG_PAGES
            && let Err(e) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        {
            tracing::warn!(error = %e, "the store's log could not be folded into its file; it is tried again");
        }
    }

    /// The outcome of each commit, or the error that kept all of them from the disk.
    fn transaction(&mut self, group: Vec<Vec<Change>>) -> Result<Vec<Outcome>, CommitError> {
        let result = self.try_transaction(group);
        if result.is_err() {
            if !self.connection.is_autocommit() {
                // Nothing of the group is kept. If even that fails, the next BEGIN says so.
                drop(self.connection.execute_batch("ROLLBACK"));
            }
            self.heads = Heads::default();
            self.versions.reserved = self.versions.last;
        }
        result
    }

    fn try_transaction(&mut self, group: Vec<Vec<Change>>) -> Result<Vec<Outcome>, CommitError> {
        self.run_statement("BEGIN IMMEDIATE")?;
        self.look_again().map_err(failed)?;
        let mut outcomes = Vec::with_capacity(group.len());
        for changes in group {
            outcomes.push(self.one(changes)?);
        }
        self.heads.note(&self.connection, Heads::SELDOM).map_err(failed)?;
        self.versions.reserve(&self.connection).map_err(failed)?;
        self.run_statement("COMMIT")?;
        Ok(outcomes)
    }

    /// Within the transaction: forgets what another process has changed meanwhile.
    fn look_again(&mut self) -> rusqlite::Result<()> {
        let Some(seen) = self.seen else { return Ok(()) };
        let version = data_version(&self.connection)?;
        if version != seen {
            self.versions = Versions::read(&self.connection)?;
            self.heads = Heads::default();
            self.seen = Some(version);
        }
        Ok(())
    }

    /// One commit within the transaction. An inner error is its own; an outer one ends the transaction.
    fn one(&mut self, changes: Vec<Change>) -> Result<Outcome, CommitError> {
        match touches_a_record_twice(&changes) {
            false => self.apply(changes),
            true => self.step_by_step(changes),
        }
    }

    /// Changes see those before them, so they are made one by one, and unmade if one of them conflicts.
    fn step_by_step(&mut self, changes: Vec<Change>) -> Result<Outcome, CommitError> {
        self.run_statement("SAVEPOINT one")?;
        let heads = self.heads.clone();
        let mut committed = Committed::default();
        for change in changes {
            match self.apply(vec![change])? {
                Ok(one) => {
                    committed.versions.extend(one.versions);
                    committed.appended.extend(one.appended);
                }
                Err(conflict) => {
                    self.heads = heads;
                    self.run_statement("ROLLBACK TO one")?;
                    self.run_statement("RELEASE one")?;
                    return Ok(Err(conflict));
                }
            }
        }
        self.run_statement("RELEASE one")?;
        Ok(Ok(committed))
    }

    /// Changes of different records: nothing is written before it is known that none conflicts.
    fn apply(&mut self, changes: Vec<Change>) -> Result<Outcome, CommitError> {
        let mut found = Vec::with_capacity(changes.len());
        for change in &changes {
            found.push(match change {
                Change::Put { collection, key, expect, .. } => {
                    let stored = self.stored(collection, key).map_err(failed)?;
                    let version = stored.as_ref().map(|stored| stored.version);
                    if let Err(conflict) = check(*expect, version, collection, key) {
                        return Ok(Err(conflict));
                    }
                    stored
                }
                Change::Delete { collection, key } => self.stored(collection, key).map_err(failed)?,
                Change::Append { .. } => None,
            });
        }
        self.write(changes, found).map(Ok).map_err(failed)
    }

    fn write(&mut self, changes: Vec<Change>, found: Vec<Option<Stored>>) -> rusqlite::Result<Committed> {
        let mut committed = Committed::default();
        for (change, found) in changes.into_iter().zip(found) {
            match (change, found) {
                (Change::Put { collection, key, value, indexes, .. }, found) => {
                    let version = self.versions.next();
                    self.put(collection, &key, version, &value, &indexes, found.as_ref())?;
                    committed.versions.push(version);
                }
                (Change::Delete { collection, key }, Some(found)) => self.delete(collection, &key, &found)?,
                (Change::Delete { .. }, None) => {}
                (Change::Append { log, entry }, _) => committed.appended.push(self.append(log, &entry)?),
            }
        }
        Ok(committed)
    }

    fn put(
        &self,
        collection: &str,
        key: &str,
        version: Version,
        value: &str,
        indexes: &[(&str, String)],
        found: Option<&Stored>,
    ) -> rusqlite::Result<()> {
        let postings = serde_json::to_string(indexes).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        let (id, before) = match found {
            Some(found) => {
                let update = "UPDATE record SET version = ?2, indexes = ?3, value = ?4 WHERE id = ?1";
                self.connection.prepare_cached(update)?.execute(params![found.id, version.0, postings, value])?;
                if found.indexes == postings {
                    return Ok(());
                }
                (found.id, found.postings()?)
            }
            None => {
                let insert =
                    "INSERT INTO record (collection, key, version, indexes, value) VALUES (?1, ?2, ?3, ?4, ?5)";
                self.connection
                    .prepare_cached(insert)?
                    .execute(params![collection, key, version.0, postings, value])?;
                (self.connection.last_insert_rowid(), Vec::new())
            }
        };
        if before.is_empty() && indexes.is_empty() {
            return Ok(());
        }
        let is = |(a, b): &(String, String), (name, value): &(&str, String)| a == name && b == value;
        self.remove_postings(collection, key, before.iter().filter(|old| !indexes.iter().any(|new| is(old, new))))?;
        // A record may have one posting twice.
        let insert = "INSERT OR IGNORE INTO posting (collection, name, value, key, record) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = self.connection.prepare_cached(insert)?;
        for (name, value) in indexes.iter().filter(|new| !before.iter().any(|old| is(old, new))) {
            insert.execute(params![collection, name, value, key, id])?;
        }
        Ok(())
    }

    fn delete(&self, collection: &str, key: &str, found: &Stored) -> rusqlite::Result<()> {
        self.remove_postings(collection, key, found.postings()?.iter())?;
        self.connection.prepare_cached("DELETE FROM record WHERE id = ?1")?.execute([found.id]).map(drop)
    }

    fn remove_postings<'a>(
        &self,
        collection: &str,
        key: &str,
        postings: impl Iterator<Item = &'a (String, String)>,
    ) -> rusqlite::Result<()> {
        let delete = "DELETE FROM posting WHERE collection = ?1 AND name = ?2 AND value = ?3 AND key = ?4";
        let mut delete = self.connection.prepare_cached(delete)?;
        for (name, value) in postings {
            delete.execute(params![collection, name, value, key])?;
        }
        Ok(())
    }

    fn append(&mut self, log: &'static str, entry: &str) -> rusqlite::Result<Head> {
        let (previous, noted) = self.heads.of(&self.connection, log)?;
        let head = previous.append(entry);
        let insert = "INSERT INTO log_entry (log, seq, entry, hash, previous) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![log, head.seq, entry, head.hash.0, previous.hash.0];
        self.connection.prepare_cached(insert)?.execute(values)?;
        self.heads.set(log, head, noted);
        Ok(head)
    }

    fn stored(&self, collection: &str, key: &str) -> rusqlite::Result<Option<Stored>> {
        let query = "SELECT id, version, indexes FROM record WHERE collection = ?1 AND key = ?2";
        let mut statement = self.connection.prepare_cached(query)?;
        let stored = statement.query_row([collection, key], |row| {
            Ok(Stored { id: row.get(0)?, version: Version(row.get(1)?), indexes: row.get(2)? })
        });
        stored.optional()
    }

    fn run_statement(&self, statement: &str) -> Result<(), CommitError> {
        self.connection.prepare_cached(statement).and_then(|mut s| s.execute([])).map(drop).map_err(failed)
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

fn touches_a_record_twice(changes: &[Change]) -> bool {
    let mut seen = HashSet::new();
    changes.iter().any(|change| match change {
        Change::Put { collection, key, .. } | Change::Delete { collection, key } => !seen.insert((*collection, key)),
        Change::Append { .. } => false,
    })
}

/// What the writer must know of the record that is there.
struct Stored {
    id: i64,
    version: Version,
    indexes: String,
}

impl Stored {
    fn postings(&self) -> rusqlite::Result<Vec<(String, String)>> {
        serde_json::from_str(&self.indexes)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into()))
    }
}

/// The versions given out. What the file holds is a number that none of them exceeds, raised long before it is reached,
/// so that few transactions have to write it.
struct Versions {
    last: u64,
    reserved: u64,
}

impl Versions {
    const AHEAD: u64 = 4096;

    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let last = connection.query_row("SELECT value FROM last_version", [], |row| row.get(0))?;
        Ok(Self { last, reserved: last })
    }

    const fn next(&mut self) -> Version {
        self.last += 1;
        Version(self.last)
    }

    /// Within the transaction that gave versions out, so that none of them is ever given out again.
    fn reserve(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.last > self.reserved {
            let reserved = self.last + Self::AHEAD;
            connection.prepare_cached("UPDATE last_version SET value = ?1")?.execute([reserved])?;
            self.reserved = reserved;
        }
        Ok(())
    }
}

/// The ends of the logs that were written to, as the transaction under way will leave them, each with the number of the
/// entry that is noted as its head.
#[derive(Clone, Default)]
struct Heads(BTreeMap<&'static str, (Head, u64)>);

impl Heads {
    /// After how many entries the head is noted.
    const SELDOM: u64 = 1024;
    /// What is noted stays, as evidence: the log has lost that entry.
    const NEVER: u64 = u64::MAX;

    /// The head and the number noted.
    fn of(&self, connection: &Connection, log: &'static str) -> rusqlite::Result<(Head, u64)> {
        match self.0.get(log) {
            Some(known) => Ok(*known),
            None => {
                let noted = read::noted_head(connection, log)?;
                let whole = noted.seq == 0 || read::hash(connection, log, noted.seq)? == Some(noted.hash);
                Ok((read::head(connection, log)?, if whole { noted.seq } else { Self::NEVER }))
            }
        }
    }

    fn set(&mut self, log: &'static str, head: Head, noted: u64) {
        self.0.insert(log, (head, noted));
    }

    /// Notes the heads that have moved by `far` entries. Whoever removes a noted entry is found out by it.
    fn note(&mut self, connection: &Connection, far: u64) -> rusqlite::Result<()> {
        // Another process may have noted a later one.
        let update = "INSERT INTO log_head (log, seq, hash) VALUES (?1, ?2, ?3) ON CONFLICT (log)
            DO UPDATE SET seq = excluded.seq, hash = excluded.hash WHERE excluded.seq > log_head.seq";
        for (log, (head, noted)) in
            self.0.iter_mut().filter(|(_, (head, noted))| head.seq.saturating_sub(*noted) >= far)
        {
            connection.prepare_cached(update)?.execute(params![log, head.seq, head.hash.0])?;
            *noted = head.seq;
        }
        Ok(())
    }
}

fn failed(error: rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => CommitError::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            CommitError::Failed("another program keeps the database locked".into())
        }
        _ => CommitError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_types::record::Expect;
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    fn put(key: &str, size: usize) -> Vec<Change> {
        let (value, indexes) = (format!("\"{}\"", "x".repeat(size)), Vec::new());
        vec![Change::Put { collection: "thing", key: key.into(), value, indexes, expect: Expect::Absent }]
    }

    /// Commits each group in one transaction.
    fn commit(writer: &mut Writer, group: Vec<Vec<Change>>) -> Vec<Outcome> {
        let (commits, results): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|changes| {
                let (done, result) = oneshot::channel();
                (Commit { changes, done }, result)
            })
            .unzip();
        writer.commit_group(commits);
        results.into_iter().map(|result| result.blocking_recv().unwrap()).collect()
    }

    fn writer(path: &std::path::Path) -> Writer {
        let mut connection = super::super::connect(path).unwrap();
        super::super::schema::prepare(path, &mut connection).unwrap();
        Writer::new(connection, Arc::default(), false).unwrap()
    }

    #[test]
    fn a_full_disk_is_said_to_be_full_and_keeps_what_was_there() {
        let directory = tempfile::TempDir::new().unwrap();
        let mut writer = writer(&directory.path().join("store"));
        assert!(commit(&mut writer, vec![put("a", 10)])[0].is_ok());
        writer.connection.execute_batch("PRAGMA max_page_count = 40").unwrap();
        let outcomes = commit(&mut writer, vec![put("b", 10), put("c", 1 << 20), put("d", 10)]);
        assert!(outcomes.contains(&Err(CommitError::Full)), "{outcomes:?}");
        for (key, outcome) in ["b", "c", "d"].into_iter().zip(outcomes) {
            assert_eq!(writer.stored("thing", key).unwrap().is_some(), outcome.is_ok(), "{key}");
        }
        assert!(writer.stored("thing", "a").unwrap().is_some());
        assert!(commit(&mut writer, vec![put("e", 10)])[0].is_ok());
    }

    #[test]
    fn a_long_log_is_folded_into_the_file_after_the_answer() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("store");
        let mut writer = writer(&path);
        let (grain, size) = (1 << 20, |path: &std::path::Path| std::fs::metadata(path).unwrap().len());
        let before = size(&path);
        for n in 0..8 {
            assert!(commit(&mut writer, vec![put(&n.to_string(), grain)])[0].is_ok());
            writer.fold_log();
        }
        assert_eq!(size(&path), before, "half of the log that there may be was folded");
        for n in 8..16 {
            assert!(commit(&mut writer, vec![put(&n.to_string(), grain)])[0].is_ok());
        }
        assert_eq!(size(&path), before, "the log was folded before the answer");
        writer.fold_log();
        assert!(size(&path) > 16 << 20);
    }

    #[test]
    fn in_a_group_only_the_commit_that_conflicts_fails() {
        let directory = tempfile::TempDir::new().unwrap();
        let mut writer = writer(&directory.path().join("store"));
        let outcomes = commit(&mut writer, vec![put("a", 1), put("b", 1), put("a", 2), put("c", 1)]);
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true]);
    }

    #[test]
    fn what_was_queued_is_committed_before_the_writer_ends() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("store");
        let (commits, queue) = mpsc::channel();
        let mut results = Vec::new();
        for n in 0..100 {
            let (done, result) = oneshot::channel();
            commits.send(Commit { changes: put(&n.to_string(), 1), done }).unwrap();
            results.push(result);
        }
        drop(commits);
        writer(&path).run(&queue);
        assert!(results.into_iter().all(|result| result.blocking_recv().unwrap().is_ok()));
    }
}

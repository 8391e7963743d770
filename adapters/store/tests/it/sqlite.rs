//! What only a store in a file promises.

use crate::thing::{Thing, thing};
use landfall_store::{LogBroken, OpenError, ReadError, Store};
use landfall_types::Changes;
use rusqlite::Connection;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use tempfile::TempDir;

struct Place {
    _directory: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("store");
        Self { _directory: directory, path }
    }

    fn open(&self) -> Store {
        Store::sqlite(&self.path).unwrap()
    }

    /// Does something to the file behind the store's back.
    fn tamper(&self, statements: &str) {
        Connection::open(&self.path).unwrap().execute_batch(statements).unwrap();
    }
}

#[test]
fn it_is_all_there_after_opening_again() {
    let place = Place::new();
    let store = place.open();
    let both = Changes::new().insert(&thing("a", &["red"], 1)).unwrap().append("diary", &1).unwrap();
    let committed = store.commit_blocking(both).unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.find::<Thing>("a").unwrap().unwrap().version, committed.versions[0]);
    assert_eq!(store.find_by::<Thing>("colour", "red", 9).unwrap().len(), 1);
    assert_eq!(store.verify_log("diary").unwrap(), committed.appended[0]);
    let again = store.commit_blocking(Changes::new().put(&thing("a", &["red"], 2)).unwrap()).unwrap();
    assert!(again.versions > committed.versions);
}

#[test]
fn only_its_owner_can_read_it() {
    let place = Place::new();
    let store = place.open();
    store.commit_blocking(Changes::new().insert(&thing("a", &[], 1)).unwrap()).unwrap();
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for suffix in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&format!("{}{suffix}", place.path.display())), 0o600, "{suffix}");
    }
    drop(store);
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(place.open());
    assert_eq!(mode(place.path.to_str().unwrap()), 0o600);
}

#[test]
fn a_second_one_is_told_who_holds_it() {
    let place = Place::new();
    let store = place.open();
    let error = Store::sqlite(&place.path).unwrap_err();
    assert!(matches!(error, OpenError::Held { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    place.open();
}

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let place = Place::new();
    drop(place.open());
    place.tamper("UPDATE schema SET version = 99");
    let error = Store::sqlite(&place.path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn files_of_other_programs_are_refused() {
    let text = Place::new();
    fs::write(&text.path, "not a database, and longer than the header of one would be: ".repeat(10)).unwrap();
    assert!(matches!(Store::sqlite(&text.path), Err(OpenError::Foreign { .. })));
    let tables = Place::new();
    tables.tamper("CREATE TABLE record (x)");
    assert!(matches!(Store::sqlite(&tables.path), Err(OpenError::Foreign { .. })));
    let marked = Place::new();
    marked.tamper("PRAGMA application_id = 7");
    assert!(matches!(Store::sqlite(&marked.path), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = Place::new();
    let error = Store::sqlite(place.path.join("store")).unwrap_err();
    assert!(error.to_string().contains(&*place.path.to_string_lossy()), "{error}");
}

/// A log of five entries, something done to it, and what the check says.
fn tampered(statements: &str) -> Result<u64, LogBroken> {
    let place = Place::new();
    let store = place.open();
    for n in 0..5 {
        store.commit_blocking(Changes::new().append("diary", &n).unwrap().append("other", &n).unwrap()).unwrap();
    }
    drop(store);
    place.tamper(statements);
    place.open().verify_log("diary").map(|head| head.seq)
}

#[test]
fn any_change_to_a_log_is_found() {
    let changed = |seq| Err(LogBroken::Changed { seq });
    let missing = |seq| Err(LogBroken::Missing { seq });
    assert_eq!(tampered("UPDATE log_entry SET entry = '77' WHERE log = 'other' AND seq = 3"), Ok(5));
    assert_eq!(tampered("UPDATE log_entry SET entry = '77' WHERE log = 'diary' AND seq = 3"), changed(3));
    assert_eq!(tampered("UPDATE log_entry SET entry = ' 2' WHERE log = 'diary' AND seq = 3"), changed(3));
    assert_eq!(tampered("UPDATE log_entry SET hash = x'00' WHERE log = 'diary' AND seq = 3"), changed(3));
    assert_eq!(tampered("UPDATE log_entry SET previous = hash WHERE log = 'diary' AND seq = 3"), changed(3));
    assert_eq!(tampered("DELETE FROM log_entry WHERE log = 'diary' AND seq = 1"), missing(1));
    assert_eq!(tampered("DELETE FROM log_entry WHERE log = 'diary' AND seq = 3"), missing(3));
    let swapped = "UPDATE log_entry SET seq = 9 WHERE log = 'diary' AND seq = 2;
        UPDATE log_entry SET seq = 2 WHERE log = 'diary' AND seq = 3;
        UPDATE log_entry SET seq = 3 WHERE log = 'diary' AND seq = 9;";
    assert_eq!(tampered(swapped), changed(2));
    let end = "DELETE FROM log_entry WHERE log = 'diary' AND seq = 5";
    assert_eq!(tampered(end), Err(LogBroken::WrongEnd { last: 4, head: 5 }));
    assert_eq!(tampered("UPDATE log_head SET hash = x'00' WHERE log = 'diary'"), changed(5));
    let other = "DELETE FROM log_entry WHERE log = 'diary'; UPDATE log_entry SET log = 'diary' WHERE log = 'other';
        UPDATE log_head SET hash = (SELECT hash FROM log_head WHERE log = 'other') WHERE log = 'diary';";
    assert_eq!(tampered(other), changed(1));
    let cut = "DELETE FROM log_entry WHERE log = 'diary' AND seq = 5;
        UPDATE log_head SET seq = 4, hash = (SELECT hash FROM log_entry WHERE log = 'diary' AND seq = 4)
        WHERE log = 'diary';";
    // Only a head kept elsewhere can show that the end is gone.
    assert_eq!(tampered(cut), Ok(4));
}

#[test]
fn a_log_that_was_cut_is_found_with_a_head_kept_elsewhere() {
    let place = Place::new();
    let store = place.open();
    for n in 0..5 {
        store.commit_blocking(Changes::new().append("diary", &n).unwrap()).unwrap();
    }
    let kept = store.log_head("diary").unwrap();
    drop(store);
    place.tamper("DELETE FROM log_entry; DELETE FROM log_head;");
    assert_eq!(place.open().verify_log_since("diary", &kept), Err(LogBroken::WrongEnd { last: 0, head: 5 }));
}

#[test]
fn a_log_that_was_cut_and_goes_on_stays_found() {
    let place = Place::new();
    let append = |store: &Store, n: u64| store.commit_blocking(Changes::new().append("diary", &n).unwrap()).unwrap();
    let store = place.open();
    (0..5).for_each(|n| drop(append(&store, n)));
    drop(store);
    place.tamper("DELETE FROM log_entry WHERE seq = 5");
    for n in 5..8 {
        let store = place.open();
        append(&store, n);
        assert_eq!(store.verify_log("diary"), Err(LogBroken::Changed { seq: 5 }), "{n}");
    }
}

#[test]
fn a_store_of_the_first_schema_is_read_and_written_as_before() {
    let place = Place::new();
    let store = place.open();
    for (id, colour) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        let changes = Changes::new().insert(&thing(id, &[colour], 1)).unwrap().append("diary", &id).unwrap();
        store.commit_blocking(changes).unwrap();
    }
    drop(store);
    place.tamper("ALTER TABLE posting DROP COLUMN record; UPDATE schema SET version = 1");
    let store = place.open();
    let red = || store.find_by::<Thing>("colour", "red", 9).unwrap().iter().map(|t| t.id.clone()).collect::<Vec<_>>();
    assert_eq!(red(), ["a", "b"]);
    store.commit_blocking(Changes::new().put(&thing("c", &["red"], 2)).unwrap().delete::<Thing>("a")).unwrap();
    assert_eq!(red(), ["b", "c"]);
    store.commit_blocking(Changes::new().append("diary", &"d").unwrap()).unwrap();
    assert_eq!(store.verify_log("diary").unwrap().seq, 4);
}

#[test]
fn a_snapshot_is_of_one_moment() {
    let place = Place::new();
    let store = place.open();
    let put = |id, number| store.commit_blocking(Changes::new().put(&thing(id, &["red"], number)).unwrap()).unwrap();
    put("a", 1);
    let seen = store.snapshot(|snapshot| {
        let number = || snapshot.find::<Thing>("a").map(|found| found.unwrap().number);
        let before = number()?;
        put("a", 2);
        put("b", 3);
        Ok::<_, ReadError>((before, number()?, snapshot.find_by::<Thing>("colour", "red", 9)?.len()))
    });
    assert_eq!(seen.unwrap(), (1, 1, 1));
    assert_eq!(store.find::<Thing>("a").unwrap().unwrap().number, 2);
}

#[test]
fn another_program_that_keeps_the_database_locked_does_no_harm() {
    let place = Place::new();
    let store = place.open();
    store.commit_blocking(Changes::new().insert(&thing("a", &[], 1)).unwrap()).unwrap();
    let intruder = Connection::open(&place.path).unwrap();
    intruder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = store.commit_blocking(Changes::new().insert(&thing("b", &[], 1)).unwrap()).unwrap_err();
    assert!(error.to_string().contains("another program keeps the database locked"), "{error}");
    intruder.execute_batch("ROLLBACK").unwrap();
    store.commit_blocking(Changes::new().insert(&thing("b", &[], 1)).unwrap()).unwrap();
}

#[test]
fn several_processes_can_share_it() {
    let place = Place::new();
    let stores: Vec<Store> = (0..3).map(|_| Store::sqlite_shared(&place.path).unwrap()).collect();
    std::thread::scope(|scope| {
        for (who, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for n in 0..50 {
                    let record = thing(&format!("{who}-{n}"), &["red"], n);
                    let changes = Changes::new().insert(&record).unwrap().append("diary", &(who, n)).unwrap();
                    store.commit_blocking(changes).unwrap();
                }
            });
        }
    });
    let seen = stores[0].find::<Thing>("1-7").unwrap().unwrap();
    stores[2].commit_blocking(Changes::new().put(&thing("1-7", &[], 8)).unwrap()).unwrap();
    let stale = Changes::new().put_if(&thing("1-7", &[], 9), seen.version).unwrap();
    assert!(stores[0].commit_blocking(stale).unwrap_err().is_conflict());
    assert!(matches!(Store::sqlite(&place.path), Err(OpenError::Held { .. })));
    drop(stores);
    let store = place.open();
    assert_eq!(store.verify_log("diary").unwrap().seq, 150);
    let versions: std::collections::BTreeSet<_> =
        store.scan::<Thing>(None, 999).unwrap().into_iter().map(|found| found.version).collect();
    assert_eq!(versions.len(), 150, "a version was given out twice");
}

//! Logs in which every entry holds the hash of the one before it.

use crate::{
    backend::{Backend, Reading, read},
    error::{LogBroken, ReadError},
};
use aws_lc_rs::digest::{Context, SHA256, digest};
use landfall_types::Fingerprint;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last entry; 0 for an empty log.
    pub seq: u64,
    /// Its hash; of an empty log, the hash of the log's name.
    pub hash: Fingerprint,
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogEntry {
    /// Its number; the first has 1.
    pub seq: u64,
    /// What was written.
    pub entry: Value,
    /// SHA-256 of `previous`, `seq` (8 bytes, big-endian) and the entry's bytes as stored.
    pub hash: Fingerprint,
    /// The hash of the entry before it.
    pub previous: Fingerprint,
}

/// An entry as stored.
#[derive(Clone, Debug)]
pub(crate) struct RawEntry {
    pub(crate) seq: u64,
    pub(crate) entry: String,
    pub(crate) hash: Fingerprint,
    pub(crate) previous: Fingerprint,
}

impl Head {
    /// The head of the empty log `log`. Its hash depends on the name, so that no log can stand in for another.
    pub(crate) fn empty(log: &str) -> Self {
        Self { seq: 0, hash: fingerprint(digest(&SHA256, log.as_bytes()).as_ref()) }
    }

    /// The head after `entry` was added.
    pub(crate) fn append(&self, entry: &str) -> Self {
        let seq = self.seq.saturating_add(1);
        let mut hash = Context::new(&SHA256);
        hash.update(&self.hash.0);
        hash.update(&seq.to_be_bytes());
        hash.update(entry.as_bytes());
        Self { seq, hash: fingerprint(hash.finish().as_ref()) }
    }
}

impl RawEntry {
    pub(crate) fn open(self, log: &str) -> Result<LogEntry, ReadError> {
        let Self { seq, entry, hash, previous } = self;
        match serde_json::from_str(&entry) {
            Ok(entry) => Ok(LogEntry { seq, entry, hash, previous }),
            Err(e) => Err(ReadError::Unreadable { collection: log.into(), key: seq.to_string(), why: e.to_string() }),
        }
    }
}

/// Follows the chain from the first entry to the head, page by page. The log must hold the head that was noted beside
/// it, and `known`.
pub(crate) fn verify(store: &dyn Backend, log: &str, known: Option<&Head>) -> Result<Head, LogBroken> {
    const PAGE: usize = 1000;
    // The head is read first: entries that arrive while we read come after it and do not matter.
    let (head, noted) = read(store, Reading::Snapshot, |reads| Ok((reads.head(log)?, reads.noted_head(log)?)))?;
    let held = || known.into_iter().chain([&noted]);
    let mut at = Head::empty(log);
    while at.seq < head.seq {
        let page = read(store, Reading::Once, |reads| reads.log(log, at.seq, PAGE))?;
        if page.is_empty() {
            return Err(LogBroken::WrongEnd { last: at.seq, head: head.seq });
        }
        for raw in page.into_iter().take_while(|raw| raw.seq <= head.seq) {
            at = follow(&at, &raw)?;
            held().filter(|held| held.seq == at.seq).try_for_each(|held| same(held, &at))?;
        }
    }
    same(&head, &at)?;
    match held().find(|held| held.seq > head.seq) {
        Some(beyond) => Err(LogBroken::WrongEnd { last: head.seq, head: beyond.seq }),
        None => Ok(head),
    }
}

fn follow(at: &Head, raw: &RawEntry) -> Result<Head, LogBroken> {
    let next = at.append(&raw.entry);
    if raw.seq != next.seq {
        return Err(LogBroken::Missing { seq: next.seq });
    }
    if raw.previous != at.hash || raw.hash != next.hash {
        return Err(LogBroken::Changed { seq: raw.seq });
    }
    Ok(next)
}

fn same(expected: &Head, found: &Head) -> Result<(), LogBroken> {
    if expected == found { Ok(()) } else { Err(LogBroken::Changed { seq: found.seq }) }
}

pub(crate) fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Fingerprint(bytes.try_into().unwrap_or_default())
}

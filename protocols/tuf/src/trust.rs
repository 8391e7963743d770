//! What a client does (TUF s5): from a root that it was given to files that it may use.

use crate::{
    METADATA, ROOTS,
    metadata::{Meta, Role, Root, Unverified, Verified, refuse},
};
use landfall_types::{Fault, Refusal, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeMap};

/// Where a bundle's files come from: a folder, a web server that was asked before, memory.
pub trait Source {
    /// The file of that path, which has no `..` and does not begin with a slash; None if there is none, or it has more than
    /// `longest` bytes.
    fn file(&self, path: &str, longest: u64) -> Option<Vec<u8>>;
}

impl Source for BTreeMap<String, Vec<u8>> {
    fn file(&self, path: &str, longest: u64) -> Option<Vec<u8>> {
        self.get(path).filter(|bytes| u64::try_from(bytes.len()).is_ok_and(|length| length <= longest)).cloned()
    }
}

/// Files that are fetched one after another: which one is wanted next shows when what there is does not suffice.
#[derive(Debug, Default)]
pub struct Fetched {
    files: BTreeMap<String, Option<Vec<u8>>>,
    wanted: RefCell<Option<(String, u64)>>,
}

impl Fetched {
    /// The file that was asked for first and was never fetched, and how long it may be.
    pub fn wanted(&self) -> Option<(String, u64)> {
        self.wanted.take()
    }

    /// What came of fetching it: none if there is no such file.
    pub fn put(&mut self, path: String, content: Option<Vec<u8>>) {
        self.files.insert(path, content);
    }
}

impl Source for Fetched {
    fn file(&self, path: &str, longest: u64) -> Option<Vec<u8>> {
        match self.files.get(path) {
            Some(Some(bytes)) if u64::try_from(bytes.len()).is_ok_and(|length| length <= longest) => {
                Some(bytes.clone())
            }
            Some(_) => None,
            None => {
                self.wanted.borrow_mut().get_or_insert_with(|| (path.to_owned(), longest));
                None
            }
        }
    }
}

/// What is trusted of a publisher's bundles, and what was the last that was seen of them. It is to be kept between updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    root: String,
    root_version: u64,
    timestamp: u64,
    snapshot: u64,
    /// The versions that the last snapshot named.
    named: BTreeMap<String, u64>,
}

/// A bundle that holds.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What is to be kept for the next time.
    pub trust: Trust,
    /// Until when its publisher vouches that there is nothing newer.
    pub fresh_until: Time,
    /// Its files by name.
    files: BTreeMap<String, Meta>,
    is_consistent: bool,
}

impl Trust {
    /// Trusts a publisher's root, which came by a way that can be trusted. It may have expired: the one that follows it counts.
    ///
    /// # Errors
    /// If it is no root, or has not been signed by its own keys.
    pub fn pin(root: &[u8]) -> Result<Self, Refusal> {
        let text = String::from_utf8(root.to_vec());
        let text =
            text.map_err(|_| Refusal::new(Fault::Malformed, "bundle-metadata", "TUF s4.3", "it is not UTF-8"))?;
        let (_, verified) = own(&text)?;
        Ok(Self { root: text, root_version: verified.version, timestamp: 0, snapshot: 0, named: BTreeMap::new() })
    }

    /// Its version of the root.
    pub const fn root_version(&self) -> u64 {
        self.root_version
    }

    /// Checks a bundle.
    ///
    /// # Errors
    /// If a signature is missing, something has expired at `now`, is older than what was seen before, or is not what another part
    /// of the bundle says that it is.
    pub fn update(&self, source: &dyn Source, now: Time) -> Result<Bundle, Refusal> {
        let (mut root, mut verified) = own(&self.root)?;
        let first = root.clone();
        let mut trust = self.clone();
        // s5.3: each root is signed by the keys of the one before and by its own, and follows it without a gap.
        for _ in 0..ROOTS {
            let next = trust.root_version.saturating_add(1);
            let longest = u64::try_from(METADATA).unwrap_or(u64::MAX);
            let Some(bytes) = source.file(&format!("{next}.root.json"), longest) else { break };
            let unverified = Unverified::read(Role::Root, &bytes)?;
            unverified.verify(&root)?;
            let own = unverified.as_root()?;
            verified = unverified.verify(&own)?;
            if verified.version != next {
                return Err(refuse(
                    "bundle-rollback",
                    Role::Root,
                    format!("it is version {}, not {next}", verified.version),
                ));
            }
            let text =
                String::from_utf8(bytes).map_err(|_| refuse("bundle-metadata", Role::Root, "it is not UTF-8"))?;
            (trust.root, trust.root_version, root) = (text, next, own);
        }
        let verified = verified.fresh(now)?;
        // s5.3.11: when those who sign were replaced, whoever stole the old keys may have used up high versions.
        if !root.has_same_signers(&first, Role::Timestamp) || !root.has_same_signers(&first, Role::Snapshot) {
            (trust.timestamp, trust.snapshot, trust.named) = (0, 0, BTreeMap::new());
        }
        trust.rest(&root, verified.expires(), source, now)
    }

    /// s5.4 to s5.6.
    fn rest(mut self, root: &Root, expires: Time, source: &dyn Source, now: Time) -> Result<Bundle, Refusal> {
        let longest = u64::try_from(METADATA).unwrap_or(u64::MAX);
        let read = |role: Role, version: Option<u64>| {
            let name = match version.filter(|_| root.is_consistent) {
                Some(version) => format!("{version}.{}.json", role.name()),
                None => format!("{}.json", role.name()),
            };
            source
                .file(&name, longest)
                .ok_or_else(|| refuse("bundle-file", role, format!("{name} is not there or too long")))
        };
        let verified = |role: Role, bytes: &[u8]| Unverified::read(role, bytes)?.verify(root);

        let timestamp = verified(Role::Timestamp, &read(Role::Timestamp, None)?)?;
        not_older(Role::Timestamp, timestamp.version, self.timestamp)?;
        let meta = timestamp.meta("snapshot.json")?;
        not_older(Role::Snapshot, meta.version, self.snapshot)?;
        let timestamp = timestamp.fresh(now)?;

        let snapshot = told(Role::Snapshot, &meta, read(Role::Snapshot, Some(meta.version))?, verified)?;
        let versions = snapshot.versions()?;
        for (name, known) in &self.named {
            let version = versions.get(name);
            let version = version
                .ok_or_else(|| refuse("bundle-rollback", Role::Snapshot, format!("{name} is not in it any more")))?;
            not_older(Role::Snapshot, *version, *known)?;
        }
        let snapshot = snapshot.fresh(now)?;

        let meta = snapshot.meta("targets.json")?;
        let targets = told(Role::Targets, &meta, read(Role::Targets, Some(meta.version))?, verified)?.fresh(now)?;

        (self.timestamp, self.snapshot, self.named) = (timestamp.version, snapshot.version, versions);
        let fresh_until =
            [timestamp.expires(), snapshot.expires(), targets.expires()].into_iter().fold(expires, Time::min);
        Ok(Bundle { trust: self, fresh_until, files: targets.targets()?, is_consistent: root.is_consistent })
    }
}

fn own(text: &str) -> Result<(Root, Verified), Refusal> {
    let unverified = Unverified::read(Role::Root, text.as_bytes())?;
    let verified = unverified.verify(&unverified.as_root()?)?;
    Ok((Root::of_verified(&verified)?, verified))
}

fn not_older(role: Role, version: u64, known: u64) -> Result<(), Refusal> {
    match version >= known {
        true => Ok(()),
        false => Err(refuse("bundle-rollback", role, format!("version {version} is older than {known}"))),
    }
}

/// The file that another part of the bundle has told of.
fn told(
    role: Role,
    meta: &Meta,
    bytes: Vec<u8>,
    verified: impl Fn(Role, &[u8]) -> Result<Verified, Refusal>,
) -> Result<Verified, Refusal> {
    if !meta.is(&bytes) {
        return Err(refuse("bundle-digest", role, "it is not the file that was signed"));
    }
    let found = verified(role, &bytes)?;
    match found.version == meta.version {
        true => Ok(found),
        false => Err(refuse("bundle-mixed", role, format!("it is version {}, not {}", found.version, meta.version))),
    }
}

impl Bundle {
    /// The names of its files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// What its publisher says of a file beside its digest (TUF s4.5: `custom`).
    pub fn custom(&self, name: &str) -> Option<&Value> {
        self.files.get(name).and_then(|meta| meta.custom.as_ref())
    }

    /// How long a file is.
    pub fn length(&self, name: &str) -> Option<u64> {
        self.files.get(name).and_then(Meta::length)
    }

    /// One of its files.
    ///
    /// # Errors
    /// If the bundle has none of that name, or it is not the one that was signed.
    pub fn file(&self, source: &dyn Source, name: &str) -> Result<Vec<u8>, Refusal> {
        let no = |check, why: &str| Err(refuse(check, Role::Targets, format!("{name:.200}: {why}")));
        let Some(meta) = self.files.get(name) else { return no("bundle-file", "the bundle has no such file") };
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\\');
        if !name.split('/').all(is_plain) {
            return no("bundle-file", "its name leads elsewhere");
        }
        let (folder, last) =
            name.rsplit_once('/').map_or((String::new(), name), |(folder, last)| (format!("{folder}/"), last));
        let paths: Vec<String> = match self.is_consistent {
            true => meta.digests().map(|digest| format!("targets/{folder}{digest}.{last}")).collect(),
            false => vec![format!("targets/{name}")],
        };
        let longest = meta.length().unwrap_or_default();
        let Some(bytes) = paths.iter().find_map(|path| source.file(path, longest)) else {
            return no("bundle-file", "it is not there, or too long");
        };
        if !meta.is(&bytes) {
            return no("bundle-digest", "it is not the file that was signed");
        }
        Ok(bytes)
    }
}

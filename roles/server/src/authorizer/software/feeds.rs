//! Feeds of vulnerabilities, from bundles that a publisher has signed (TUF): taken over as a whole, or not at all.

use super::{
    FeedReport, SECTION, Software, Vulnerabilities, digest, held,
    record::{FeedFile, FeedPart, FeedRecord, FileKind},
};
use crate::authorizer::{Authorizer, backend, gate};
use bytes::Bytes;
use landfall_software::{Feed, feed::Edition, vex};
use landfall_store::Store;
use landfall_tuf::{Archive, Trust};
use landfall_types::{Changes, Fault, Fingerprint, Refusal, Time};
use std::{collections::BTreeSet, sync::Arc};

/// The longest bundle, in octets.
pub(crate) const BUNDLE: usize = 512 * 1024 * 1024;

/// A bundle that holds, and what is to be written of it.
struct Brought {
    software: Software,
    changes: Changes,
    report: FeedReport,
}

impl Authorizer {
    /// Takes a bundle of feeds over, an archive as tar makes it, in the place of the last one; what follows is durable and in
    /// effect when this resolves.
    ///
    /// # Errors
    /// If no publisher is believed here; the bundle is forged, expired, older than the last one, or lacks a kind of feed that
    /// that one had; or one of its feeds is broken, older, or has lost too much. Then the last one stays.
    pub async fn import_feeds(self: &Arc<Self>, bundle: Bytes, by: String) -> Result<FeedReport, Refusal> {
        let _turn = self.bringing.lock().await;
        let authorizer = self.clone();
        // Feeds have some hundred thousand records: not on the threads that serve devices.
        let brought = tokio::task::spawn_blocking(move || authorizer.read_feeds(&bundle, by)).await;
        let Brought { software, changes, report } = brought.map_err(|_| gate::away())??;
        self.world.store.commit(changes).await.map_err(backend)?;
        {
            let mut held = self.software_mut();
            let published = std::mem::take(&mut held.published);
            *held = Software { devices: held.devices, published, ..software };
        }
        tracing::info!(role = "authorizer", files = report.record.files.len(), until = %report.record.fresh_until, "feeds were taken over");
        self.retell(|about| self.software().speaks_of(about)).await?;
        Ok(report)
    }

    /// The bundle that is used.
    pub fn feeds(&self) -> Option<FeedReport> {
        let now = self.world.clock.now();
        self.software().known.feeds.clone().map(|record| FeedReport::of(record, now))
    }

    fn read_feeds(&self, bundle: &[u8], by: String) -> Result<Brought, Refusal> {
        let (now, store) = (self.world.clock.now(), &self.world.store);
        let root = self.believed.feed_root.as_deref().ok_or_else(|| {
            let why = "no publisher of feeds is believed here (authorizer.feeds.root)";
            Refusal::new(Fault::Denied, "feed-publisher", SECTION, why)
        })?;
        let pinned = digest(root);
        let known = self.software().known.clone();
        let before = known.feeds.as_ref().filter(|feeds| feeds.pinned == pinned);
        let archive = Archive::read(bundle)?;
        let trust = match before {
            Some(before) => before.trust.clone(),
            None => Trust::pin(root)?,
        };
        let bundle = trust.update(&archive, now)?;
        let mut record = FeedRecord {
            pinned,
            trust: bundle.trust.clone(),
            at: now,
            by,
            fresh_until: bundle.fresh_until,
            files: Vec::new(),
            passed_over: Vec::new(),
        };
        let mut read = Vulnerabilities { brought: known.brought.clone(), ..Vulnerabilities::default() };
        let mut changes = known
            .feeds
            .iter()
            .flat_map(FeedRecord::parts)
            .fold(Changes::new(), |changes, part| changes.delete::<FeedPart>(part));
        for name in bundle.names() {
            match FileKind::of(name) {
                None => record.passed_over.push(name.to_owned()),
                Some(kind) => {
                    let content = bundle.file(&archive, name)?;
                    let earlier = before.and_then(|before| before.files.iter().find(|file| file.name == name));
                    let edition = read.take(kind, &content, earlier.map(|file| &file.edition), now)?;
                    let parts = FeedPart::split(name, &content).map_err(backend)?;
                    record.files.push(FeedFile {
                        name: name.to_owned(),
                        kind: kind.name().into(),
                        hash: digest(&content),
                        edition,
                        parts: parts.len(),
                    });
                    for part in &parts {
                        changes = changes.put(part).map_err(backend)?;
                    }
                }
            }
        }
        whole(&record, before)?;
        let changes = changes.put(&record).map_err(backend)?;
        let report = FeedReport::of(record.clone(), now);
        read.feeds = Some(record);
        let read = read.merged();
        let lists = held(store, &read, now)?;
        Ok(Brought { software: Software { lists, known: Arc::new(read), ..Software::default() }, changes, report })
    }
}

/// What is missing from a bundle hides what it no longer says.
fn whole(record: &FeedRecord, before: Option<&FeedRecord>) -> Result<(), Refusal> {
    let denied = |why: String| Err(Refusal::new(Fault::Denied, "feed-missing", SECTION, why));
    let kinds = |record: &FeedRecord| -> BTreeSet<String> {
        record.files.iter().map(|file| file.kind.clone()).filter(|kind| kind != FileKind::Vex.name()).collect()
    };
    let own = kinds(record);
    if own.is_empty() {
        return denied("no file of the bundle is a feed: their names begin with osv, nvd, kev or epss".into());
    }
    match before.and_then(|before| kinds(before).into_iter().find(|kind| !own.contains(kind))) {
        Some(kind) => denied(format!("the last bundle had a feed of {kind}, and this one has none")),
        None => Ok(()),
    }
}

impl FeedRecord {
    /// The keys of the parts that its files are kept in.
    fn parts(&self) -> impl Iterator<Item = String> + '_ {
        self.files.iter().flat_map(|file| (0..file.parts).map(|part| FeedPart::key_of(&file.name, part)))
    }
}

impl Vulnerabilities {
    /// Takes a file in, which may stand in the place of an earlier edition.
    fn take(
        &mut self,
        kind: FileKind,
        content: &[u8],
        earlier: Option<&Edition>,
        now: Time,
    ) -> Result<Edition, Refusal> {
        match kind {
            FileKind::Feed(kind) => {
                let feed = Feed::read(kind, content)?;
                feed.may_replace(earlier, now)?;
                let edition = feed.edition();
                Arc::make_mut(&mut self.catalogue).add(feed);
                Ok(edition)
            }
            FileKind::Vex => {
                let statements = vex::read(content)?;
                let edition = Edition { issued: now, records: statements.len() };
                self.from_feeds.extend(statements);
                Ok(edition)
            }
        }
    }
}

/// The feeds on record, if they are of the publisher who is believed.
pub(super) fn load(store: &Store, pinned: Option<Fingerprint>) -> Result<Vulnerabilities, Refusal> {
    let mut known = Vulnerabilities { brought: super::vex::load(store)?, ..Vulnerabilities::default() };
    let found = store.find::<FeedRecord>(FeedRecord::KEY).map_err(backend)?.map(|found| found.record);
    let Some(record) = found.filter(|record| Some(record.pinned) == pinned) else { return Ok(known.merged()) };
    let longest = u64::try_from(BUNDLE).unwrap_or(u64::MAX);
    for file in &record.files {
        let damaged = || backend(format_args!("the feed {} is not what it was", file.name));
        let mut parts = Vec::new();
        for part in 0..file.parts {
            let found = store.find::<FeedPart>(&FeedPart::key_of(&file.name, part)).map_err(backend)?;
            parts.push(found.ok_or_else(damaged)?.record);
        }
        let content = FeedPart::join(&parts, file.hash, longest).ok_or_else(damaged)?;
        let kind = FileKind::of(&file.name).ok_or_else(damaged)?;
        known.take(kind, &content, None, record.at)?;
    }
    known.feeds = Some(record);
    Ok(known.merged())
}

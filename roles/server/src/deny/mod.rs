//! Deny lists (SP 1800-36B 4.5, table G-1): addresses and names with which no device should be in contact, from the owner's files,
//! from servers that are asked again and again, and from what operators add.
//!
//! Here they are read and kept; the enforcer watches for what is on them. A list that cannot be read takes nothing away from the one
//! of before, and one that is too old is no ground to say that nobody was in contact with what is on it.

mod fetch;
mod in_force;
mod record;

pub use in_force::{Denied, InForce};
pub(crate) use record::is_name;
pub use record::{ListRecord, Listed, Origin};

use crate::{
    RoleError, Shutdown, World,
    authorizer::Authorizer,
    settings::{DenyListSettings, DenyListsSettings, Settings},
};
use fetch::Source;
use landfall_assurance::{Fact, Kind};
use landfall_behaviour::{DenyList, Format};
use landfall_types::{Changes, DeviceId, Fault, Refusal, Time};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What a fact is from that says that a device was in contact with nothing on any list.
pub const SOURCE: &str = "deny lists";
/// So many lists are kept.
const MOST: usize = 64;
/// One that could not be had is asked for again after this, and after twice as long each time, up to its usual time.
const AGAIN: Duration = Duration::from_secs(30);
/// What has expired is taken off within this time.
const LOOK: Duration = Duration::from_secs(60);
const SECTION: &str = "SP 1800-36B G.1";

/// How deny lists are set up.
#[derive(Debug)]
pub struct Config {
    refresh: Duration,
    remember: Duration,
    sources: Vec<Source>,
}

/// Deny lists as they are kept.
#[derive(Debug)]
pub struct Lists {
    world: World,
    config: Config,
    kept: Mutex<BTreeMap<String, ListRecord>>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Config {
    /// What `authorizer.deny-lists` means in `settings`.
    ///
    /// # Errors
    /// If a list cannot be meant, or a file that it needs is not there.
    pub fn from_settings(lists: &DenyListsSettings, settings: &Settings) -> Result<Self, RoleError> {
        let mut sources: Vec<Source> = Vec::new();
        for (index, list) in lists.list.iter().enumerate() {
            let key = |field: &str| format!("authorizer.deny-lists.list[{index}].{field}");
            let source = Source::read(list, settings).map_err(|(field, why)| RoleError::new(key(field), why))?;
            if sources.iter().any(|other| other.name == source.name) {
                return Err(RoleError::new(key("name"), "is also that of another list"));
            }
            sources.push(source);
        }
        if sources.len() > MOST {
            return Err(RoleError::new("authorizer.deny-lists.list", format!("are more than {MOST}")));
        }
        let (refresh, remember) = (lists.refresh.duration(), lists.remember.duration());
        if refresh < AGAIN {
            return Err(RoleError::new("authorizer.deny-lists.refresh", "is less than 30s"));
        }
        Ok(Self { refresh, remember, sources })
    }

    /// Reads what is on record, and the owner's files.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn build(self, world: World) -> Result<Arc<Lists>, RoleError> {
        let records =
            world.store.scan::<ListRecord>(None, MOST * 2).map_err(RoleError::while_("reading deny lists"))?;
        let is_meant = |record: &ListRecord| match record.origin {
            Origin::Operator => true,
            // What the settings do not name any more is over.
            Origin::Settings => self.sources.iter().any(|source| source.name == record.name),
        };
        let kept = records.into_iter().map(|found| found.record).filter(is_meant);
        let kept = kept.map(|record| (record.name.clone(), record)).collect();
        let lists = Arc::new(Lists { world, config: self, kept: Mutex::new(kept), turn: Default::default() });
        lists.refresh(Source::is_here).await;
        lists.publish();
        Ok(lists)
    }
}

impl Lists {
    /// Keeps them up to date until shutdown.
    pub async fn work(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            self.look().await;
            tokio::select! {
                () = shutdown.clone().begun() => return,
                () = tokio::time::sleep(LOOK.min(self.config.refresh)) => {}
            }
        }
    }

    /// Asks for those that are due, and puts in force what there is.
    pub async fn look(&self) {
        self.refresh(|_| true).await;
        self.publish();
    }

    /// All lists, by name; of those that never came only what is wrong with them.
    pub fn all(&self) -> Vec<ListRecord> {
        self.kept().values().cloned().collect()
    }

    /// One of them.
    pub fn find(&self, name: &str) -> Option<ListRecord> {
        self.kept().get(name).cloned()
    }

    /// Until when a list is fresh enough to rest on; nothing if it is for good, or was never had.
    pub fn fresh_until(&self, record: &ListRecord) -> Option<Time> {
        record
            .taken
            .zip(self.config.sources.iter().find(|source| source.name == record.name)?.max_age)
            .map(|(taken, age)| taken + age)
    }

    /// Takes in a list that an operator brings, in the place of one of that name that an operator brought before.
    ///
    /// # Errors
    /// If it cannot be read, its name is that of a list of the settings, or it cannot be written.
    pub async fn add(&self, name: &str, format: Format, bytes: &[u8]) -> Result<ListRecord, Refusal> {
        let _turn = self.turn.lock().await;
        if !is_name(name) {
            return Err(refuse(
                Fault::Malformed,
                "deny-list-name",
                "its name has not 1 to 32 small letters, digits and hyphens",
            ));
        }
        if self.config.sources.iter().any(|source| source.name == name) {
            return Err(refuse(Fault::Denied, "deny-list-settings", "a list of that name is in the settings"));
        }
        if self.kept().len() >= MOST && self.find(name).is_none() {
            return Err(refuse(Fault::Denied, "deny-list-count", format!("there are {MOST} lists already")));
        }
        let now = self.world.clock.now();
        let list = DenyList::read(format, bytes, now)?;
        let record = ListRecord::taken(name, Origin::Operator, format, list, now);
        self.keep(record.clone()).await?;
        self.publish();
        Ok(record)
    }

    /// Takes a list away that an operator brought; what devices did against it speaks against them no more. Nothing if there is none.
    ///
    /// # Errors
    /// If it is one of the settings, or the change cannot be written.
    pub async fn remove(&self, name: &str) -> Result<Option<ListRecord>, Refusal> {
        let _turn = self.turn.lock().await;
        let Some(record) = self.find(name) else { return Ok(None) };
        if record.origin == Origin::Settings {
            return Err(refuse(
                Fault::Denied,
                "deny-list-settings",
                "it is in the settings, and goes with its lines there",
            ));
        }
        let committed = self.world.store.commit(Changes::new().delete::<ListRecord>(name)).await;
        committed.map_err(|why| backend(&why))?;
        self.kept().remove(name);
        self.publish();
        if let Some(authorizer) = self.world.authorizer.authorizer() {
            let source = source_of(name);
            let devices = authorizer.told_by(&source);
            self.take_back(&authorizer, devices.into_iter().map(|device| (device, source.clone())).collect()).await?;
        }
        Ok(Some(record))
    }

    /// Forgives a device what it was in contact with: with how many lists.
    ///
    /// # Errors
    /// If the authorizer does not take it.
    pub async fn forgive(&self, device: &DeviceId) -> Result<usize, Refusal> {
        let Some(authorizer) = self.world.authorizer.authorizer() else { return Ok(0) };
        let view = authorizer.view(device);
        let facts = view.iter().flat_map(|view| view.dossier.of(Kind::DenyListContact));
        let is_contact = |fact: &&Fact| fact.source.starts_with(SOURCE_OF) && fact.value != Vec::new().into();
        let sources: Vec<_> = facts.filter(is_contact).map(|fact| (device.clone(), fact.source.clone())).collect();
        let count = sources.len();
        self.take_back(&authorizer, sources).await.map(|()| count)
    }

    async fn take_back(&self, authorizer: &Authorizer, told: Vec<(DeviceId, String)>) -> Result<(), Refusal> {
        let now = self.world.clock.now();
        for part in told.chunks(crate::authorizer::AT_ONCE) {
            let facts = part.iter().map(|(device, source)| contact(device, source, Vec::new(), now, now));
            authorizer.assert(facts.collect()).await?;
        }
        Ok(())
    }

    /// Asks for those that are due and fit.
    async fn refresh(&self, fits: impl Fn(&Source) -> bool) {
        for source in self.config.sources.iter().filter(|source| fits(source)) {
            let _turn = self.turn.lock().await;
            let (now, before) = (self.world.clock.now(), self.find(&source.name));
            if !source.is_here() && before.as_ref().is_some_and(|before| now < before.next) {
                continue;
            }
            let read = source.read_now(before.as_ref(), now).await;
            let record = match read {
                // It is the file of before.
                Ok(None) => continue,
                Ok(Some((list, of, state))) => {
                    let record = ListRecord::taken(&source.name, Origin::Settings, source.format, list, now);
                    tracing::info!(
                        role = "authorizer",
                        list = source.name,
                        entries = record.entries.len(),
                        "a deny list is in force"
                    );
                    ListRecord { taken: Some(of), next: now + self.config.refresh, state, ..record }
                }
                Err(why) => {
                    let record =
                        before.clone().unwrap_or_else(|| ListRecord::missing(&source.name, source.format, now));
                    let trouble = Some(format!("{}: {}", why.check, why.detail));
                    if record.trouble != trouble {
                        tracing::error!(role = "authorizer", list = source.name, %why, "a deny list could not be had, and the one of before counts");
                    }
                    let wait = AGAIN.saturating_mul(2u32.saturating_pow(record.failures.min(16)));
                    let failures = record.failures.saturating_add(1);
                    ListRecord { tried: now, next: now + wait.min(self.config.refresh), failures, trouble, ..record }
                }
            };
            let outcome = if record.trouble.is_none() { "taken" } else { "refused" };
            metrics::counter!("landfall_deny_lists_total", "outcome" => outcome).increment(1);
            if let Err(why) = self.keep(record).await {
                tracing::error!(role = "authorizer", list = source.name, %why, "a deny list could not be written");
            }
        }
    }

    async fn keep(&self, record: ListRecord) -> Result<(), Refusal> {
        let changes = Changes::new().put(&record).map_err(|why| backend(&why))?;
        let written = self.world.store.commit(changes).await.map(drop).map_err(|why| backend(&why));
        // What cannot be written counts all the same: it only closes.
        self.kept().insert(record.name.clone(), record);
        written
    }

    /// Has the enforcer watch for what holds now.
    fn publish(&self) {
        let now = self.world.clock.now();
        let kept = self.kept();
        let mut watched = None;
        let mut is_whole = !kept.is_empty();
        for record in kept.values() {
            let until = match (record.taken, self.fresh_until(record)) {
                (None, _) => {
                    is_whole = false;
                    continue;
                }
                (Some(_), until) => until.unwrap_or(Time::FOREVER),
            };
            watched = Some(watched.map_or(until, |earlier: Time| earlier.min(until)));
            let age = record.taken.map_or(0.0, |taken| now.since(taken).as_secs_f64());
            metrics::gauge!("landfall_deny_list_age_seconds", "list" => record.name.clone()).set(age);
        }
        is_whole &= self.config.sources.iter().all(|source| kept.contains_key(&source.name));
        let watched = watched.filter(|until| is_whole && now < *until);
        let in_force = InForce::of(kept.values(), watched, self.config.remember, now);
        drop(kept);
        self.world.denied.put(in_force);
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, ListRecord>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SOURCE_OF: &str = "deny list ";

/// What a fact is from that says that a device was in contact with what is on a list.
pub(crate) fn source_of(list: &str) -> String {
    format!("{SOURCE_OF}{list}")
}

/// That a device was in contact with these.
pub(crate) fn contact(device: &DeviceId, source: &str, with: Vec<String>, at: Time, expires: Time) -> Fact {
    Fact {
        subject: device.clone(),
        kind: Kind::DenyListContact,
        value: with.into(),
        source: source.to_owned(),
        issuer: None,
        at,
        expires: Some(expires),
        verifier: "enforcer".into(),
    }
}

fn backend(why: &dyn std::fmt::Display) -> Refusal {
    refuse(Fault::Backend, "deny-list-records", why.to_string())
}

fn refuse(fault: Fault, check: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(fault, check, SECTION, why.into())
}

impl Source {
    fn read(list: &DenyListSettings, settings: &Settings) -> Result<Self, (&'static str, String)> {
        if !is_name(&list.name) {
            return Err(("name", "has not 1 to 32 small letters, digits and hyphens".into()));
        }
        Self::from_settings(list, settings)
    }
}

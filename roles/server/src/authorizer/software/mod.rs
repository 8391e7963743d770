//! What devices run, and what is wrong with it: lists of components are held against feeds once for each list, however many
//! devices it is about.

mod feeds;
mod published;
mod record;
mod report;
mod seek;
mod shown;
mod vex;
mod well_known;

pub(crate) use feeds::BUNDLE;
pub use published::{Had, PublishedRecord};
pub(super) use record::digest;
pub use record::{FeedFile, FeedRecord, SbomRecord, Scope};
pub use report::{FeedReport, FindingReport, SbomReport};
pub use seek::Publications;
pub use vex::VexRecord;
pub use well_known::{Addresses, Devices, Whereabouts};

use super::{
    Authorizer,
    about::{About, SOFTWARE},
    backend,
    believed::OwnWord,
};
use landfall_assurance::{Fact, Kind};
use landfall_policy::Value;
use landfall_software::{Assessment, Catalogue, Sbom, Statement, assess, sbom};
use landfall_store::Store;
use landfall_types::{Changes, DeviceId, Fault, Fingerprint, Refusal, Time};
use published::Published;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLockReadGuard},
    time::Duration,
};

/// So much is read at a time.
const PARTS: usize = 16;
/// So many lists of components are kept.
const LISTS: usize = 10_000;
/// Whose a list is, and what the sources are called of what it says and of what feeds say of it.
struct Sources {
    whose: &'static str,
    list: &'static str,
    feeds: &'static str,
}

/// Of a list that an operator has brought, …
const BROUGHT: Sources = Sources { whose: "owner", list: "SBOM", feeds: FEEDS };
/// … and of one that a manufacturer publishes.
const PUBLISHED: Sources = Sources { whose: "manufacturer", list: "SBOM that its MUD file names", feeds: FEEDS };
const FEEDS: &str = "vulnerability feeds";
/// So many exploited vulnerabilities are named.
const NAMED: usize = 256;
/// The longest release of a firmware, and the longest name of a type, in octets.
const TEXT: usize = 256;
const DAY: u64 = 24 * 3600;
/// The age of feeds is told so much before it is reached, so that nothing known has to be unknown for a moment.
const AHEAD: Duration = Duration::from_secs(600);

/// What is known of software.
#[derive(Debug, Default)]
pub(super) struct Software {
    devices: OwnWord,
    lists: BTreeMap<String, Held>,
    published: Published,
    known: Arc<Vulnerabilities>,
}

/// What is said of vulnerabilities.
#[derive(Clone, Debug, Default)]
struct Vulnerabilities {
    catalogue: Arc<Catalogue>,
    /// What is said in feeds, …
    from_feeds: Vec<Statement>,
    /// … and in documents that operators have brought.
    brought: BTreeMap<String, vex::Said>,
    /// Both.
    statements: Vec<Statement>,
    feeds: Option<FeedRecord>,
}

/// A list of components, without its text, and what was found in it.
#[derive(Clone, Debug)]
struct Held {
    record: SbomRecord,
    assessment: Assessment,
}

impl Vulnerabilities {
    fn assess(&self, list: &Sbom, now: Time) -> Assessment {
        assess(Some(list), &self.catalogue, &self.statements, now)
    }
}

impl Software {
    /// Reads what is on record, with the feeds of a publisher whose root has that digest.
    pub(super) fn load(
        store: &Store,
        pinned: Option<Fingerprint>,
        devices: OwnWord,
        now: Time,
    ) -> Result<Self, Refusal> {
        let known = Arc::new(feeds::load(store, pinned)?);
        let lists = held(store, &known, now)?;
        Ok(Self { devices, lists, published: Published::load(store)?, known })
    }

    /// The list that is about a device: one that was brought rather than one that its manufacturer publishes, of the device rather
    /// than of its type, of its firmware rather than of any.
    fn list_of(&self, about: &About) -> Option<&Held> {
        let device = Some(Scope::Device(about.device.clone()));
        let device_type = about.device_type.clone().map(Scope::DeviceType);
        let firmware = about.firmware.as_deref();
        let mud_file = self.published.file_of(&about.device).map(|file| Scope::MudFile(file.to_owned()));
        [device, device_type, mud_file].into_iter().flatten().find_map(|scope| {
            let of = |firmware: Option<&str>| self.lists.get(&SbomRecord::id(&scope, firmware));
            firmware.and_then(|firmware| of(Some(firmware))).or_else(|| of(None))
        })
    }

    /// Whether any list is about a device.
    fn speaks_of(&self, about: &About) -> bool {
        self.list_of(about).is_some() || self.shown_by(about).is_some()
    }

    /// What follows about a device: from what others say that it consists of, and from what it says itself.
    pub(super) fn facts(&self, about: &About, now: Time) -> Vec<Fact> {
        let others = self.list_of(about).map(|held| self.told_by(held, about, now)).unwrap_or_default();
        match self.shown_by(about) {
            Some(held) => shown::beside(others, self.told_by(held, about, now), self.devices.alone),
            None => others,
        }
    }

    /// What follows from one list.
    fn told_by(&self, held: &Held, about: &About, now: Time) -> Vec<Fact> {
        let Held { assessment, record } = held;
        let of_device = match record.scope {
            Scope::MudFile(_) => PUBLISHED,
            Scope::Shown(_) => shown::SOURCES,
            Scope::Device(_) | Scope::DeviceType(_) => BROUGHT,
        };
        // One that nobody has seen for long where it comes from says nothing any more.
        let until = match &record.scope {
            Scope::MudFile(_) => Some(self.published.until(&record.id).unwrap_or(Time::EPOCH)),
            // With evidence, or when it was asked for.
            Scope::Shown(_) => (self.published.until(&record.id)).max(Some(record.at + self.devices.max_age)),
            Scope::Device(_) | Scope::DeviceType(_) => None,
        };
        if until.is_some_and(|until| until <= now) {
            return Vec::new();
        }
        let list =
            |kind, value: Value| Fact { expires: until, ..about.fact(kind, value, of_device.list, SOFTWARE, now) };
        let whose = vec![of_device.whose.to_owned()];
        let mut facts = vec![list(Kind::SbomKnown, assessment.is_known.into()), list(Kind::SbomSources, whose.into())];
        // A result that cannot be told is no fact. What feeds say ends with their bundle: told after that, it is nothing.
        let Some(feeds) = &self.known.feeds else { return facts };
        let mut tell = |kind, value: Value, expires: Time| {
            let expires = until.map_or(expires, |until| until.min(expires));
            facts.push(Fact { expires: Some(expires), ..about.fact(kind, value, of_device.feeds, SOFTWARE, now) });
        };
        if let Some(score) = assessment.score {
            tell(Kind::VulnerabilityScore, i64::from(score.get()).into(), feeds.fresh_until);
        }
        if let Some(exploited) = &assessment.exploited {
            let names: Vec<String> = exploited.iter().take(NAMED).cloned().collect();
            tell(Kind::KnownExploited, names.into(), feeds.fresh_until);
        }
        if let Some((hours, until)) = self.age(now) {
            tell(Kind::FeedAgeHours, hours.into(), until.min(feeds.fresh_until));
        }
        facts
    }

    /// Whether there is room for a list. Those that devices show take none from the others.
    fn may_hold(&self, record: &SbomRecord) -> Result<(), Refusal> {
        let is_shown = |scope: &Scope| matches!(scope, Scope::Shown(_));
        let most = if is_shown(&record.scope) { shown::MOST } else { LISTS };
        let alike = || self.lists.values().filter(|held| is_shown(&held.record.scope) == is_shown(&record.scope));
        match !self.lists.contains_key(&record.id) && alike().count() >= most {
            true => {
                let why = format!("there are {most} lists already");
                Err(Refusal::new(Fault::Denied, "sbom-count", SECTION, why))
            }
            false => Ok(()),
        }
    }

    /// Whether a list of that scope is about a device.
    fn is_about(&self, scope: &Scope, about: &About) -> bool {
        match scope {
            Scope::Device(device) => *device == about.device,
            Scope::DeviceType(name) => about.device_type.as_ref() == Some(name),
            Scope::MudFile(name) => self.published.file_of(&about.device) == Some(name),
            Scope::Shown(device) => *device == about.device,
        }
    }

    fn report(&self, held: &Held) -> SbomReport {
        let published = self.published.find(&held.record.id).cloned();
        SbomReport { published, ..SbomReport::of(&held.record, &held.assessment) }
    }

    /// How old the oldest feed is, in hours, and until when that can be said. A day that has begun counts as a whole one: the
    /// age is never told as less than it is, and does not change with every hour of every device.
    fn age(&self, now: Time) -> Option<(i64, Time)> {
        let oldest = self.known.catalogue.oldest()?;
        let days = (now.since(oldest) + AHEAD).as_secs() / DAY + 1;
        Some((i64::try_from(days * 24).ok()?, oldest + Duration::from_secs(days * DAY)))
    }
}

impl Authorizer {
    /// Takes a list of components in, in the place of an earlier one of the same scope and firmware; what follows about the
    /// devices that it is of is durable and in effect when this resolves.
    ///
    /// # Errors
    /// If it is no list that can be read, or cannot be written.
    pub async fn add_sbom(
        &self,
        scope: Scope,
        firmware: Option<String>,
        document: &[u8],
        by: String,
    ) -> Result<SbomReport, Refusal> {
        let malformed = |why: &str| Refusal::new(Fault::Malformed, "sbom-scope", SECTION, why);
        if let Scope::DeviceType(name) = &scope
            && (name.len() > TEXT
                || !name.split_once('/').is_some_and(|(vendor, model)| !vendor.is_empty() && !model.is_empty()))
        {
            return Err(malformed("a type of devices is a manufacturer and a model: acme/lamp"));
        }
        if firmware.as_ref().is_some_and(|firmware| !(1..=TEXT).contains(&firmware.len())) {
            return Err(malformed("a release of a firmware has a name of 1 to 256 octets"));
        }
        let _turn = self.bringing.lock().await;
        let (record, held) = self.examine(scope, firmware, document, by)?;
        let changes = Changes::new().put(&record).map_err(backend)?;
        self.world.store.commit(changes).await.map_err(backend)?;
        let (scope, report) = (record.scope, SbomReport::of(&held.record, &held.assessment));
        self.software_mut().lists.insert(record.id, held);
        let devices = self.retell(|about| self.software().is_about(&scope, about)).await?;
        Ok(SbomReport { devices: Some(devices), ..report })
    }

    /// A list of components as it is to be kept, and as it is to be held.
    fn examine(
        &self,
        scope: Scope,
        firmware: Option<String>,
        document: &[u8],
        by: String,
    ) -> Result<(SbomRecord, Held), Refusal> {
        let list = read(&scope, document)?;
        let text = std::str::from_utf8(document)
            .map_err(|why| Refusal::new(Fault::Malformed, "sbom-scope", SECTION, why.to_string()))?;
        let now = self.world.clock.now();
        let record = SbomRecord {
            id: SbomRecord::id(&scope, firmware.as_deref()),
            scope,
            firmware,
            format: list.format.clone(),
            document: list.document.clone(),
            hash: digest(document),
            components: list.components.len(),
            at: now,
            by,
            text: text.to_owned(),
        };
        let known = {
            let software = self.software();
            software.may_hold(&record)?;
            software.known.clone()
        };
        let assessment = known.assess(&list, now);
        let held = Held { record: SbomRecord { text: String::new(), ..record.clone() }, assessment };
        Ok((record, held))
    }

    /// Removes a list of components: what followed from it is not known any more. Whether there was one.
    ///
    /// # Errors
    /// If it is one that its manufacturer publishes, or that cannot be written.
    pub async fn remove_sbom(&self, id: &str) -> Result<bool, Refusal> {
        let _turn = self.bringing.lock().await;
        let Some(scope) = self.software().lists.get(id).map(|held| held.record.scope.clone()) else { return Ok(false) };
        if matches!(scope, Scope::MudFile(_)) {
            let why = "its manufacturer publishes it; one that you bring counts instead of it";
            return Err(Refusal::new(Fault::Denied, "sbom-published", SECTION, why));
        }
        self.world.store.commit(Changes::new().delete::<SbomRecord>(id)).await.map_err(backend)?;
        self.software_mut().lists.remove(id);
        self.retell(|about| self.software().is_about(&scope, about)).await?;
        Ok(true)
    }

    /// The lists of components, without what was found in them.
    pub fn sboms(&self) -> Vec<SbomReport> {
        let software = self.software();
        let short = |held: &Held| SbomReport { findings: Vec::new(), ..software.report(held) };
        software.lists.values().map(short).collect()
    }

    /// One of them, with what was found in it.
    pub fn sbom(&self, id: &str) -> Option<SbomReport> {
        let software = self.software();
        software.lists.get(id).map(|held| software.report(held))
    }

    /// That which is about a device.
    pub fn sbom_of(&self, device: &DeviceId) -> Option<SbomReport> {
        let about = self.desk().dossier(device).map(About::of)?;
        let software = self.software();
        software.list_of(&about).or_else(|| software.shown_by(&about)).map(|held| software.report(held))
    }

    /// Tells the age of feeds again when it has come to another day.
    pub(super) async fn refresh_age(&self, told: &mut Option<i64>) {
        let age = self.software().age(self.world.clock.now()).map(|(hours, _)| hours);
        if age != *told {
            *told = age;
            if let Err(why) = self.retell(|about| self.software().speaks_of(about)).await {
                tracing::error!(role = "authorizer", %why, "the age of feeds could not be told");
                *told = None;
            }
        }
    }

    pub(super) fn software(&self) -> RwLockReadGuard<'_, Software> {
        self.software.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn software_mut(&self) -> std::sync::RwLockWriteGuard<'_, Software> {
        self.software.write().unwrap_or_else(PoisonError::into_inner)
    }
}

const SECTION: &str = "SP 1800-36B G.1";

/// A list of components. Nobody excuses himself: what a device says of vulnerabilities in it does not count.
fn read(scope: &Scope, document: &[u8]) -> Result<Sbom, Refusal> {
    let mut list = sbom::read(document)?;
    if matches!(scope, Scope::Shown(_)) {
        list.statements.clear();
    }
    Ok(list)
}

/// The lists on record, each held against what is known.
fn held(store: &Store, known: &Vulnerabilities, now: Time) -> Result<BTreeMap<String, Held>, Refusal> {
    let (mut lists, mut after) = (BTreeMap::new(), None::<String>);
    loop {
        let part = store.scan::<SbomRecord>(after.as_deref(), PARTS).map_err(backend)?;
        let Some(last) = part.last() else { return Ok(lists) };
        after = Some(last.record.id.clone());
        for found in part {
            let record = found.record;
            // What cannot be read any more is not known; that is no reason to decide about nobody.
            let list = match read(&record.scope, record.text.as_bytes()) {
                Ok(list) => list,
                Err(why) => {
                    tracing::error!(role = "authorizer", sbom = record.id, %why, "a list of components cannot be read");
                    continue;
                }
            };
            let assessment = known.assess(&list, now);
            lists.insert(record.id.clone(), Held { record: SbomRecord { text: String::new(), ..record }, assessment });
        }
    }
}

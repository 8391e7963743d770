//! The manager of manufacturers' files (RFC 8520 s1.5, s5; SP 1800-36B 3.3.2): where a device's exchange says that its file is, it
//! is fetched from, held against the anchors that the owner has for that manufacturer, kept, and asked for anew when its time is over.
//!
//! What cannot be had, or is not signed by whom it should be, leaves the owner's preset in force: without one, names and time and
//! nothing else. A file that was good stays in force until a better one is there.

mod fetch;
mod record;

pub(crate) use record::LOG;
pub use record::{GoodFile, MudRecord, Trouble};

use crate::{
    RoleError, World,
    fetch::{Fetcher, Found, Wanted},
    identity::anchors,
    settings::{MakerSettings, MudSettings, Problem, Settings},
};
use fetch::Fetched;
use landfall_lifecycle::network::{DomainDevice, Learnt, MudSource};
use landfall_mud::{MudFile, MudUrl, Policy, signature, url::NotAMudUrl};
use landfall_net::tls::ClientTls;
use landfall_pki::Anchors;
use landfall_types::{Changes, Fault, Refusal, Time, VendorId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// So many files are fetched at the same time.
const AT_ONCE: usize = 8;
/// So many files are kept; a network has fewer kinds of devices.
const MOST: usize = 4096;
/// Who did not answer is asked again after a minute, then after twice as long, and so on up to these.
const AGAIN: Duration = Duration::from_secs(60);
const DOUBLINGS: u32 = 9;
/// Where the file is of what the owner says himself; nobody can have a host there (RFC 6761 s6.4).
const PRESET_URL: &str = "https://preset.invalid/";

/// Whom the owner believes for which devices.
#[derive(Clone, Debug)]
struct Maker {
    name: String,
    manufacturers: Vec<VendorId>,
    hosts: Vec<String>,
    /// Who signs.
    anchors: Anchors,
    /// Who has the web server.
    tls: ClientTls,
}

/// What settings say of it, before it has a store.
#[derive(Clone, Debug)]
pub struct Config {
    makers: Vec<Maker>,
    preset: Arc<Policy>,
    unnamed: bool,
    claims: bool,
    fetcher: Fetcher,
}

/// The manager as it runs.
#[derive(Debug)]
pub struct Manager {
    world: World,
    config: Config,
    kept: Mutex<BTreeMap<String, Kept>>,
    wanted: Mutex<BTreeSet<(usize, String)>>,
    awake: Notify,
    /// Told when a file was asked for.
    news: Notify,
}

/// A file in memory.
#[derive(Clone, Debug)]
struct Kept {
    record: MudRecord,
    /// What it means; nothing if there is none that is good now.
    means: Option<Meaning>,
}

/// What a file means that was found good.
#[derive(Clone, Debug)]
pub struct Meaning {
    /// The file.
    pub file: Arc<MudFile>,
    /// Its rules.
    pub policy: Arc<Policy>,
    /// Who signed it.
    pub signer: String,
}

/// What a manufacturer says of where to ask what a device consists of (RFC 9472).
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// The file that says it: whose anchors it is held against, and where it is.
    pub(crate) file: String,
    /// Who signed that.
    pub(crate) signer: String,
    /// What it says.
    pub(crate) says: Arc<MudFile>,
    /// Who vouches for the manufacturer's web servers.
    tls: ClientTls,
}

/// What counts for a device.
#[derive(Clone, Debug)]
pub struct Word {
    /// Its rules; nothing if its segment's count.
    pub policy: Option<Arc<Policy>>,
    /// Where its file is, and how that was learnt.
    pub source: Option<MudSource>,
    /// Its file, if that is what counts.
    pub meaning: Option<Meaning>,
    /// What is kept of it.
    pub record: Option<MudRecord>,
    /// Why its file does not count, if it has one.
    pub trouble: Option<Trouble>,
}

impl Config {
    /// What `[enforcer.mud]` means.
    pub(super) fn read(settings: &MudSettings, all: &Settings, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut makers: Vec<Maker> = Vec::new();
        for (index, maker) in settings.maker.iter().enumerate() {
            let key = format!("enforcer.mud.maker[{index}]");
            match Maker::read(maker, all) {
                Ok(read) if makers.iter().any(|other| other.name == read.name) => {
                    problems.push(Problem::new(format!("{key}.name"), "is also that of another maker"));
                }
                Ok(read) => makers.push(read),
                Err((field, why)) => problems.push(Problem::new(format!("{key}.{field}"), why)),
            }
        }
        if settings.deadline.duration().is_zero() {
            problems.push(Problem::new("enforcer.mud.deadline", "is no time at all"));
        }
        let url = PRESET_URL.parse().map_err(|why: NotAMudUrl| why.to_string());
        let preset = url.and_then(|url| match &settings.preset {
            None => Ok(Policy::silent(url)),
            // What the owner says is of no manufacturer: nobody is among a manufacturer's devices by it.
            Some(path) => super::purpose::owners(&all.resolve(path)).map(|policy| Policy { url, ..policy }),
        });
        let preset = match preset {
            Ok(preset) => Arc::new(preset),
            Err(why) => {
                problems.push(Problem::new("enforcer.mud.preset", why));
                return None;
            }
        };
        let fetcher = Fetcher { deadline: settings.deadline.duration(), private: settings.private.clone() };
        Some(Self { makers, preset, unnamed: settings.unnamed, claims: settings.claims, fetcher })
    }

    /// With what is in the store.
    pub(super) fn build(self, world: World) -> Result<Manager, RoleError> {
        let records = world.store.scan::<MudRecord>(None, MOST).map_err(RoleError::while_("reading MUD files"))?;
        let mut kept = BTreeMap::new();
        for record in records.into_iter().map(|record| record.record) {
            let key = MudRecord::key_of(&record.maker, &record.url);
            let Some(maker) = self.makers.iter().find(|maker| maker.name == record.maker) else { continue };
            // Whom the owner believes may be otherwise than it was when the file came.
            let means = record.good.as_ref().map(|good| {
                let url = record.url.parse().map_err(|why: NotAMudUrl| bad_url(&why))?;
                maker.examine(good.file.as_bytes(), &good.signature(), &url, world.clock.now()).map(|(means, _)| means)
            });
            let means = means.and_then(|means| {
                means.inspect_err(|why| tracing::warn!(role = "enforcer", url = record.url, %why, "a kept MUD file counts no more")).ok()
            });
            kept.insert(key, Kept { record, means });
        }
        Ok(Manager {
            world,
            config: self,
            kept: kept.into(),
            wanted: Mutex::default(),
            awake: Notify::new(),
            news: Notify::new(),
        })
    }
}

impl Maker {
    fn read(settings: &MakerSettings, all: &Settings) -> Result<Self, (&'static str, String)> {
        let MakerSettings { name, manufacturers, hosts, .. } = settings.clone();
        if name.is_empty() || name.len() > 64 || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(("name", "has not 1 to 64 characters without spaces".into()));
        }
        if manufacturers.is_empty() && hosts.is_empty() {
            return Err(("manufacturers", "are missing, and so are hosts: it would be for no device".into()));
        }
        let read = |key, paths: &[_]| {
            let anchors = anchors(paths, |path| all.resolve(path)).map_err(|why| (key, why.to_string()))?;
            if anchors.is_empty() { Err((key, "are missing".to_owned())) } else { Ok(anchors) }
        };
        let web = read("web-anchors", &settings.web_anchors)?;
        let tls = ClientTls::named(web, None).map_err(|why| ("web-anchors", why.to_string()))?;
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(Self { name, manufacturers, hosts, anchors: read("anchors", &settings.anchors)?, tls })
    }

    /// Whether it is for that device with a file there: by the manufacturer whose anchors its certificate chains to, or by the
    /// host, if both are given by both.
    fn is_for(&self, vendor: Option<&VendorId>, url: &MudUrl) -> bool {
        let by_vendor =
            self.manufacturers.is_empty() || vendor.is_some_and(|vendor| self.manufacturers.contains(vendor));
        by_vendor && (self.hosts.is_empty() || self.hosts.contains(&url.authority()))
    }

    /// What a file means that these anchors vouch for.
    fn examine(&self, file: &[u8], signed: &[u8], url: &MudUrl, now: Time) -> Result<(Meaning, Option<Time>), Refusal> {
        let expected = signature::Expected { anchors: self.anchors.clone(), signer: None, intermediates: Vec::new() };
        let signed = signature::verify(file, signed, &expected, now)?;
        let (file, report) = landfall_mud::read(file)?;
        // RFC 8520 s3.2: a file says itself where it is; one of another device does not count for this.
        if file.url != *url {
            let why = format!("the file at {url} says that it is that of {}", file.url);
            return Err(Refusal::new(Fault::Peer, "mud-url-other", "RFC 8520 s3.2", why));
        }
        let policy = Policy::of(&file);
        let (left_out, mended) = (policy.left_out.len(), report.count(landfall_mud::Kind::Mended));
        if left_out + mended > 0 {
            tracing::warn!(role = "enforcer", %url, left_out, mended, "a manufacturer's file is not as it should be");
        }
        let signer = signed.signer.subject();
        Ok((Meaning { file: Arc::new(file), policy: Arc::new(policy), signer }, signed.at))
    }
}

impl Manager {
    /// What `[enforcer.mud]` means, with what is in the store.
    ///
    /// # Errors
    /// If a setting cannot be meant, or the store cannot be read.
    pub fn from_settings(mud: &MudSettings, settings: &Settings, world: World) -> Result<Self, RoleError> {
        let mut problems = Vec::new();
        let config = Config::read(mud, settings, &mut problems);
        match (config, problems.into_iter().next()) {
            (Some(config), None) => config.build(world),
            (_, problem) => {
                let problem = problem.unwrap_or_else(|| Problem::new("enforcer.mud", "cannot be meant"));
                Err(RoleError::new(problem.key, problem.why))
            }
        }
    }

    /// What counts for a device now.
    pub fn word(&self, device: &DomainDevice) -> Word {
        let known = device.mud_source();
        let claim = device.mud_claim.clone().filter(|_| self.config.claims);
        let vendor = device.identity.vendor.as_ref();
        match (known, claim) {
            (Some(known), Some(claim)) => {
                let word = self.of(known, vendor);
                // draft-ietf-iotops-mud-acceptable-urls s4: firmware may say that another file of the same place and the same
                // signer is its own by now. Anything else that it says counts for nothing beside what is proven.
                let beside = word.meaning.as_ref().and_then(|meaning| {
                    let url: MudUrl = claim.url.parse().ok().filter(|url: &MudUrl| url.is_beside(&meaning.file.url))?;
                    let other = self.of(MudSource { url: url.to_string(), ..claim }, vendor);
                    other.meaning.as_ref().is_some_and(|other| other.signer == meaning.signer).then_some(other)
                });
                beside.unwrap_or(word)
            }
            (Some(source), None) | (None, Some(source)) => self.of(source, vendor),
            (None, None) => {
                let policy = self.config.unnamed.then(|| self.config.preset.clone());
                Word { policy, source: None, meaning: None, record: None, trouble: None }
            }
        }
    }

    /// What its manufacturer says of where to ask what a device consists of: by a file that holds, and that the certificate names
    /// with which it was born. What a device says of itself is not enough to say what is wrong with it.
    pub(crate) fn published(&self, device: &DomainDevice) -> Option<Published> {
        let vendor = device.identity.vendor.as_ref();
        let word = self.of(device.mud_source().filter(|source| source.learnt == Learnt::Idevid)?, vendor);
        let (meaning, record) = (word.meaning?, word.record?);
        let maker = self.config.makers.iter().find(|maker| maker.name == record.maker)?;
        Some(Published {
            file: MudRecord::key_of(&record.maker, &record.url),
            signer: meaning.signer,
            says: meaning.file,
            tls: maker.tls.clone(),
        })
    }

    /// What a manufacturer's file names.
    ///
    /// # Errors
    /// If it cannot be had.
    pub(crate) async fn fetch(&self, by: &Published, url: &MudUrl, wanted: Wanted) -> Result<Found, Refusal> {
        self.config.fetcher.in_time(wanted.checks, self.config.fetcher.get(url, &by.tls, wanted)).await
    }

    /// Until a file was asked for, which may say something else than before.
    pub(crate) async fn changed(&self) {
        self.news.notified().await;
    }

    fn of(&self, source: MudSource, vendor: Option<&VendorId>) -> Word {
        let (record, meaning) = match self.lookup(&source, vendor) {
            Ok(Some(kept)) => {
                let trouble = kept.record.trouble.clone();
                let meaning = kept.means.ok_or(trouble);
                (Some(kept.record), meaning)
            }
            Ok(None) => (None, Err(None)),
            Err(why) => (None, Err(Some(Trouble::from(&why)))),
        };
        // RFC 8520 s11: the device's certificate says by whom its file is signed.
        let meaning =
            meaning.and_then(|meaning| match source.signer.as_ref().filter(|name| **name != meaning.signer) {
                None => Ok(meaning),
                Some(name) => {
                    let why = format!("it is signed by {}, and the device's certificate names {name}", meaning.signer);
                    Err(Some(Trouble::from(&Refusal::new(Fault::Peer, "mud-signer", "RFC 8520 s11", why))))
                }
            });
        let policy = meaning.as_ref().map_or_else(|_| self.config.preset.clone(), |meaning| meaning.policy.clone());
        let (meaning, trouble) = match meaning {
            Ok(meaning) => (Some(meaning), None),
            Err(trouble) => (None, trouble),
        };
        Word { policy: Some(policy), source: Some(source), meaning, record, trouble }
    }

    /// What is kept of a file; it is asked for if it is not, or not fresh.
    fn lookup(&self, source: &MudSource, vendor: Option<&VendorId>) -> Result<Option<Kept>, Refusal> {
        let url: MudUrl = source.url.parse().map_err(|why: NotAMudUrl| bad_url(&why))?;
        let maker = self.config.makers.iter().position(|maker| maker.is_for(vendor, &url)).ok_or_else(|| {
            let why = format!("no maker (enforcer.mud.maker) is for this device with a file at {}", url.authority());
            Refusal::new(Fault::Denied, "mud-maker", "RFC 8520 s16", why)
        })?;
        let name = self.config.makers.get(maker).map(|maker| maker.name.clone()).unwrap_or_default();
        let kept = self.kept().get(&MudRecord::key_of(&name, url.as_str())).cloned();
        if kept.as_ref().is_none_or(|kept| kept.record.next <= self.world.clock.now()) {
            self.want((maker, url.to_string()));
        }
        Ok(kept)
    }

    fn want(&self, what: (usize, String)) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.len() < MOST && wanted.insert(what) {
            self.awake.notify_one();
        }
    }

    /// Until a file is wanted.
    pub(super) async fn wanted(&self) {
        self.awake.notified().await;
    }

    /// Fetches what is wanted; how many of them mean something else than before.
    pub async fn refresh(self: &Arc<Self>) -> usize {
        let wanted = std::mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut running, mut changed) = (JoinSet::new(), 0);
        for (maker, url) in wanted {
            if running.len() >= AT_ONCE {
                changed += running.join_next().await.map_or(0, |one| usize::from(one.unwrap_or(false)));
            }
            let manager = self.clone();
            running.spawn(async move { manager.refresh_one(maker, &url).await });
        }
        while let Some(one) = running.join_next().await {
            changed += usize::from(one.unwrap_or(false));
        }
        changed
    }

    async fn refresh_one(&self, maker: usize, url: &str) -> bool {
        let (Some(maker), Ok(url)) = (self.config.makers.get(maker), url.parse::<MudUrl>()) else { return false };
        let key = MudRecord::key_of(&maker.name, url.as_str());
        let before = self.kept().get(&key).cloned();
        let now = self.world.clock.now();
        if before.as_ref().is_some_and(|before| before.record.next > now) {
            return false;
        }
        let fetched = fetch::fetch(&self.config.fetcher, &url, &maker.tls).await;
        let now = self.world.clock.now();
        let outcome = fetched.and_then(|fetched| {
            let old = before.as_ref().and_then(|before| before.means.as_ref());
            self.take(maker, &url, fetched, old, now)
        });
        let kept = match outcome {
            Ok(kept) => kept,
            Err(why) => {
                tracing::warn!(role = "enforcer", %url, %why, "a manufacturer's file is not taken");
                let failures = before.as_ref().map_or(0, |before| before.record.failures) + 1;
                let next = now + AGAIN * 2u32.saturating_pow((failures - 1).min(DOUBLINGS));
                let trouble = Some(Trouble::from(&why));
                let (good, means) = before.clone().map_or((None, None), |before| (before.record.good, before.means));
                let (maker, url) = (maker.name.clone(), url.to_string());
                Kept { record: MudRecord { maker, url, good, tried: now, next, failures, trouble }, means }
            }
        };
        let outcome = kept.record.trouble.as_ref().map_or("taken", |_| "refused");
        metrics::counter!("landfall_mud_files_total", "outcome" => outcome).increment(1);
        self.write(&kept.record).await;
        let said = |kept: &Kept| kept.means.as_ref().map(|means| (means.policy.clone(), means.signer.clone()));
        let is_news = before.as_ref().and_then(said) != said(&kept);
        self.kept().insert(key, kept);
        self.news.notify_one();
        is_news
    }

    fn take(
        &self,
        maker: &Maker,
        url: &MudUrl,
        fetched: Fetched,
        old: Option<&Meaning>,
        now: Time,
    ) -> Result<Kept, Refusal> {
        let Fetched { file: Found { body: file, from, address }, signature } = fetched;
        let (means, signed_at) = maker.examine(&file, &signature, url, now)?;
        // A file of before is as well signed as it was then; whoever can answer for the web server could bring it back.
        if let (Some(new), Some(before)) = (means.file.last_update, old.and_then(|old| old.file.last_update))
            && new < before
        {
            let why = format!("it is of {new}, and the one in use is of {before}");
            return Err(Refusal::new(Fault::Peer, "mud-older", "RFC 8520 s3.4", why));
        }
        let fresh_until = means.file.fresh_until(now);
        let good = GoodFile {
            signature: GoodFile::encode(&signature),
            // It was read as JSON, which is UTF-8.
            file: String::from_utf8(file).unwrap_or_default(),
            signer: means.signer.clone(),
            signed_at,
            fetched: now,
            fresh_until,
            from: from.to_string(),
            address: address.to_string(),
        };
        let (maker, url) = (maker.name.clone(), url.to_string());
        tracing::info!(role = "enforcer", url, signer = good.signer, "a manufacturer's file is in force");
        let good = Some(good);
        let record = MudRecord { maker, url, good, tried: now, next: fresh_until, failures: 0, trouble: None };
        Ok(Kept { record, means: Some(means) })
    }

    async fn write(&self, record: &MudRecord) {
        let good = record.good.as_ref().filter(|_| record.trouble.is_none());
        let attempt = record::Attempt {
            at: record.tried,
            maker: &record.maker,
            url: &record.url,
            from: good.map(|good| &*good.from),
            address: good.map(|good| &*good.address),
            signer: good.map(|good| &*good.signer),
            trouble: record.trouble.as_ref(),
        };
        let changes = Changes::new().put(record).and_then(|changes| changes.append(LOG, &attempt));
        let written = match changes {
            Ok(changes) => self.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        if let Err(why) = written {
            tracing::error!(role = "enforcer", url = record.url, why, "a manufacturer's file could not be written");
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Word {
    /// Whether a file counts that was signed by whom it should be, from where the device proved that it is.
    pub fn is_proven(&self) -> bool {
        self.meaning.is_some() && self.source.as_ref().is_some_and(|source| source.learnt.is_authenticated())
    }

    /// How its place was learnt.
    pub fn learnt(&self) -> Option<Learnt> {
        self.source.as_ref().map(|source| source.learnt)
    }
}

fn bad_url(why: &NotAMudUrl) -> Refusal {
    Refusal::new(Fault::Peer, "mud-url", "RFC 8520 s6", why.to_string())
}

//! What people and services assert of devices, by credentials that they have signed (SP 1800-36B G.1): who may, is in the
//! settings; what follows is told as facts, and taken back when a credential is.

mod record;

pub use record::{CredentialRecord, CredentialReport, Withdrawal};

use super::{
    Authorizer,
    about::{About, CREDENTIALS},
    backend,
    software::digest,
};
use landfall_assurance::{Fact, Kind};
use landfall_claims::{
    Authorities, Claim, Credential, LONGEST, Verified, World,
    authority::Role,
    credential::Subject,
    status::StatusList,
    verify::{Retractions, recheck},
};
use landfall_policy::Value;
use landfall_store::Store;
use landfall_types::{Changes, Fault, Fingerprint, Refusal, Time};
use record::ListRecord;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{PoisonError, RwLockReadGuard},
};

const SECTION: &str = "SP 1800-36B G.1";
/// So much is read at a time.
const PART: usize = 500;
/// So many credentials are kept.
const MOST: usize = 100_000;
/// So many status lists are kept.
const LISTS: usize = 1000;
/// The checks that say that a credential was taken back by who may do so, and not only that it does not count.
const TAKEN_BACK: [&str; 3] = ["credential-revoked", "credential-retracted", WITHDRAWN];
const WITHDRAWN: &str = "credential-withdrawn";
const EXPIRED: &str = "credential-expired";

/// What is asserted, and who may.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    authorities: Authorities,
    /// Manufacturers as the operator names them, by the keys of their authorities.
    vendors: BTreeMap<Fingerprint, String>,
    held: BTreeMap<String, Held>,
    /// By the key, and by the type, that they are about.
    by_key: HashMap<Fingerprint, BTreeSet<String>>,
    by_type: HashMap<String, BTreeSet<String>>,
    lists: BTreeMap<String, StatusList>,
    retractions: Retractions,
}

#[derive(Clone, Debug)]
struct Held {
    record: CredentialRecord,
    credential: Credential,
}

/// What was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// A credential, and about how many devices it is.
    Credential(Box<CredentialReport>, usize),
    /// A list of which credentials are revoked, by its URL.
    StatusList(String),
}

impl Credentials {
    /// Reads what is on record.
    pub(super) fn load(
        store: &Store,
        authorities: Authorities,
        vendors: BTreeMap<Fingerprint, String>,
        now: Time,
    ) -> Result<Self, Refusal> {
        let mut credentials = Self { authorities, vendors, ..Self::default() };
        let mut after = None::<String>;
        loop {
            let part = store.scan::<CredentialRecord>(after.as_deref(), PART).map_err(backend)?;
            let Some(last) = part.last() else { break };
            after = Some(last.record.key.clone());
            for found in part {
                match Credential::read(&found.record.jwt) {
                    Ok(credential) => credentials.keep(Held { record: found.record, credential }),
                    Err(why) => {
                        let id = found.record.id;
                        tracing::error!(role = "authorizer", id, %why, "a credential cannot be read");
                    }
                }
            }
        }
        for found in store.scan::<ListRecord>(None, LISTS).map_err(backend)? {
            match StatusList::read(&found.record.jwt) {
                Ok(list) => drop(credentials.lists.insert(found.record.key, list)),
                Err(why) => {
                    let id = found.record.id;
                    tracing::error!(role = "authorizer", id, %why, "a status list cannot be read");
                }
            }
        }
        credentials.retract(now);
        Ok(credentials)
    }

    fn keep(&mut self, held: Held) {
        let (key, claim) = (held.record.key.clone(), &held.credential.claim);
        if let Some(about) = claim.key() {
            self.by_key.entry(about).or_default().insert(key.clone());
        }
        if let (None, Some(device_type)) = (claim.key(), claim.device_type()) {
            self.by_type.entry(device_type.to_owned()).or_default().insert(key.clone());
        }
        self.held.insert(key, held);
    }

    /// Looks anew at which credentials were taken back by others.
    fn retract(&mut self, now: Time) {
        let mut retractions = Retractions::default();
        for held in self.held.values().filter(|held| matches!(held.credential.claim, Claim::Retraction { .. })) {
            if let Ok(verified) = self.standing(held, None, now) {
                retractions.add(&verified);
            }
        }
        self.retractions = retractions;
    }

    /// Whether a credential is to be believed now, about a device if it is about one that is known.
    fn standing(&self, held: &Held, about: Option<&About>, now: Time) -> Result<Verified, Refusal> {
        let verified = self.check(held.credential.clone(), about, now)?;
        match &held.record.withdrawn {
            None => Ok(verified),
            Some(withdrawal) => {
                let why = format!("an operator took it back at {}: {}", withdrawal.at, withdrawal.why);
                Err(Refusal::new(Fault::Denied, WITHDRAWN, SECTION, why))
            }
        }
    }

    fn check(&self, credential: Credential, about: Option<&About>, now: Time) -> Result<Verified, Refusal> {
        let vendor_of = |key: Fingerprint| match about.filter(|about| about.key == Some(key)) {
            Some(about) => about.vendor().map(str::to_owned),
            None => self.vendors.get(&key).cloned(),
        };
        let lists: Vec<StatusList> = match &credential.status {
            Some(entry) => self.lists.values().filter(|list| list.id == entry.list).cloned().collect(),
            None => Vec::new(),
        };
        let world = World {
            authorities: &self.authorities,
            retractions: &self.retractions,
            lists: &lists,
            vendor_of: &vendor_of,
            now,
        };
        recheck(credential, &world)
    }

    /// What follows about a device.
    pub(super) fn facts(&self, about: &About, now: Time) -> Vec<Fact> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let makers = self.vendors.iter().filter(|(_, vendor)| about.vendor() == Some(vendor)).map(|(key, _)| key);
        let by_key = makers.chain(&about.key).filter_map(|key| self.by_key.get(key));
        let by_type = about.device_type.iter().filter_map(|name| self.by_type.get(name));
        let mut facts: BTreeMap<(Kind, String), Fact> = BTreeMap::new();
        for held in by_key.chain(by_type).flatten().filter_map(|key| self.held.get(key)) {
            for fact in self.told(held, about, now) {
                let place = (fact.kind, fact.source.clone());
                let fact = match facts.remove(&place) {
                    Some(other) => both(other, fact, now),
                    None => fact,
                };
                facts.insert(place, fact);
            }
        }
        facts.into_values().collect()
    }

    /// What one credential says of a device. Trust and bindings that were taken back speak against it, as long as they would
    /// have held; of other things nothing is left.
    fn told(&self, held: &Held, about: &About, now: Time) -> Vec<Fact> {
        let credential = &held.credential;
        let (stands, expires) = match self.standing(held, Some(about), now) {
            Ok(verified) => (true, verified.expires),
            Err(why) if TAKEN_BACK.contains(&why.check.as_ref()) => (false, credential.valid_until),
            // It stays known that it was so, for as long as the operator lets it count.
            Err(why) if why.check == EXPIRED => (held.record.withdrawn.is_none(), credential.valid_until),
            Err(_) => return Vec::new(),
        };
        let issuer = credential.issuer.fingerprint();
        let source = format!("credential of {}", self.name(issuer));
        let fact = |kind, value: Value| Fact {
            issuer: Some(issuer),
            expires,
            ..about.fact(kind, value, &source, CREDENTIALS, now)
        };
        match &credential.claim {
            Claim::ManufacturerTrust { .. } => vec![fact(Kind::ManufacturerTrusted, stands.into())],
            Claim::DeviceTrust { .. } => vec![fact(Kind::DeviceTrusted, stands.into())],
            Claim::TypeBinding { device_type, .. } => {
                let fits = about.device_type.as_ref().is_none_or(|known| known == device_type);
                let mut facts = vec![fact(Kind::TypeBound, (stands && fits).into())];
                if stands && about.device_type.is_none() {
                    facts.push(fact(Kind::DeviceType, device_type.as_str().into()));
                }
                facts
            }
            Claim::Ownership { owner, .. } if stands => vec![fact(Kind::Owner, owner.to_string().into())],
            Claim::TestResult { certificate, .. } if stands => {
                vec![fact(Kind::TestCertificates, vec![certificate.clone()].into())]
            }
            Claim::Vulnerability { score, .. } if stands => {
                vec![fact(Kind::VulnerabilityScore, i64::from(*score).into())]
            }
            _ => Vec::new(),
        }
    }

    /// What to call who has that key: what the operator does, and the beginning of its digest.
    fn name(&self, key: Fingerprint) -> String {
        let short: String = key.to_string().chars().take(12).collect();
        match self.authorities.of(key).find(|authority| !authority.name.is_empty()) {
            Some(authority) => format!("{} ({short})", authority.name),
            None => short,
        }
    }

    fn report(&self, held: &Held, about: Option<&About>, now: Time) -> CredentialReport {
        let issuer = held.credential.issuer.fingerprint();
        CredentialReport::of(&held.record, &held.credential, self.name(issuer), self.standing(held, about, now))
    }
}

/// Two facts of one issuer and kind. What still holds counts, and what was asserted anew, whatever was taken back before; lists
/// are joined.
fn both(one: Fact, other: Fact, now: Time) -> Fact {
    if one.holds(now) != other.holds(now) {
        return if one.holds(now) { one } else { other };
    }
    let soonest = [one.expires, other.expires].into_iter().flatten().min();
    match (&one.value, &other.value) {
        (Value::Bool(a), Value::Bool(b)) if a != b => {
            if *a {
                one
            } else {
                other
            }
        }
        (Value::Bool(_), _) | (Value::Text(_), _) => {
            // The one that holds longer.
            let is_longer = match (one.expires, other.expires) {
                (None, _) => true,
                (Some(one), Some(other)) => one >= other,
                (Some(_), None) => false,
            };
            if is_longer { one } else { other }
        }
        (Value::Number(a), Value::Number(b)) => Fact { value: (*a.max(b)).into(), expires: soonest, ..one },
        (Value::List(a), Value::List(b)) => {
            let all: BTreeSet<&String> = a.iter().chain(b).collect();
            let value = all.into_iter().cloned().collect::<Vec<_>>().into();
            Fact { value, expires: soonest, ..one }
        }
        _ => one,
    }
}

impl Authorizer {
    /// Takes in a credential, or a list of which are revoked; what follows is durable and in effect when this resolves.
    ///
    /// # Errors
    /// If it is forged or malformed, of a key that has no role or may not assert this, about its own issuer, expired, taken
    /// back or revoked (as [`landfall_claims::verify()`]); if another has its id; or if a list is older than the one that is there.
    pub async fn add_credential(&self, jwt: &str, by: String) -> Result<Brought, Refusal> {
        let jwt = jwt.trim();
        if jwt.len() > LONGEST {
            return Err(Refusal::new(Fault::Malformed, "credential-form", SECTION, "it is too long"));
        }
        let _turn = self.bringing.lock().await;
        match StatusList::read(jwt) {
            Ok(list) => self.add_list(list, jwt).await,
            Err(_) => self.add_assertion(jwt, by).await,
        }
    }

    async fn add_assertion(&self, jwt: &str, by: String) -> Result<Brought, Refusal> {
        let (now, credential) = (self.world.clock.now(), Credential::read(jwt)?);
        let about = credential.claim.key().and_then(|key| self.device_of(key));
        let denied = |check, why: &str| Err(Refusal::new(Fault::Denied, check, SECTION, why));
        let held = {
            let credentials = self.credentials();
            let verified = credentials.check(credential.clone(), about.as_ref(), now)?;
            let key = record::key(&credential);
            match credentials.held.get(&key) {
                Some(held) if held.record.withdrawn.is_some() => {
                    return denied(WITHDRAWN, "an operator took it back: it has to be issued anew, with another id");
                }
                Some(held) if held.record.jwt != jwt => {
                    return denied("credential-reused", "another credential of its issuer has its id");
                }
                None if credentials.held.len() >= MOST => {
                    return denied("credential-count", "there are 100000 credentials already");
                }
                _ => {}
            }
            if let Claim::Retraction { credential: id } = &credential.claim {
                let mut others = credentials.held.values().filter(|held| held.credential.id == *id);
                let may =
                    |held: &Held| verified.authority.role == Role::Owner || held.credential.issuer == credential.issuer;
                if !others.all(may) {
                    return denied(
                        "credential-retraction",
                        "only its issuer, or the owner of the network, takes it back",
                    );
                }
            }
            let record =
                CredentialRecord { key, id: credential.id.clone(), jwt: jwt.to_owned(), at: now, by, withdrawn: None };
            Held { record, credential }
        };
        let changes = Changes::new().put(&held.record).map_err(backend)?;
        self.world.store.commit(changes).await.map_err(backend)?;
        let report = {
            let mut credentials = self.credentials_mut();
            credentials.keep(held.clone());
            credentials.retract(now);
            credentials.report(&held, about.as_ref(), now)
        };
        let devices = self.follow_claims(&[held.credential.claim]).await?;
        Ok(Brought::Credential(Box::new(report), devices))
    }

    /// Whether exactly that list is the one that counts.
    pub(super) fn has_list(&self, list: &StatusList) -> bool {
        self.credentials().lists.values().any(|held| held == list)
    }

    async fn add_list(&self, list: StatusList, jwt: &str) -> Result<Brought, Refusal> {
        let (now, issuer) = (self.world.clock.now(), list.issuer.fingerprint());
        let denied = |check, why: String| Err(Refusal::new(Fault::Denied, check, SECTION, why));
        let key = digest(format!("{issuer}\0{}\0{}", list.is_suspension, list.id).as_bytes()).to_string();
        {
            let credentials = self.credentials();
            if credentials.authorities.of(issuer).next().is_none() {
                return denied("credential-issuer", format!("the key {issuer} has no role here"));
            }
            if list.valid_until.is_some_and(|until| until <= now) {
                return denied(EXPIRED, "it does not hold any more".into());
            }
            match credentials.lists.get(&key) {
                Some(held) if held.valid_from > list.valid_from => {
                    return denied("status-list-rollback", format!("there is one of {}", held.valid_from));
                }
                None if credentials.lists.len() >= LISTS => {
                    return denied("credential-count", "there are 1000 status lists already".into());
                }
                _ => {}
            }
        }
        let record = ListRecord { key: key.clone(), id: list.id.clone(), jwt: jwt.to_owned(), at: now };
        let changes = Changes::new().put(&record).map_err(backend)?;
        self.world.store.commit(changes).await.map_err(backend)?;
        let claims: Vec<Claim> = {
            let mut credentials = self.credentials_mut();
            credentials.lists.insert(key, list);
            credentials.retract(now);
            let its = credentials.held.values().filter(|held| held.credential.issuer.fingerprint() == issuer);
            its.map(|held| held.credential.claim.clone()).collect()
        };
        self.follow_claims(&claims).await?;
        Ok(Brought::StatusList(record.id))
    }

    /// Takes back the credentials of that id at once, whoever has issued them: how many they were.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn withdraw_credential(&self, id: &str, by: String, why: String) -> Result<usize, Refusal> {
        let _turn = self.bringing.lock().await;
        let now = self.world.clock.now();
        let withdrawal = Withdrawal { at: now, by, why };
        let is_meant = |held: &&Held| held.credential.id == id && held.record.withdrawn.is_none();
        let mut meant: Vec<Held> = self.credentials().held.values().filter(is_meant).cloned().collect();
        let mut changes = Changes::new();
        for held in &mut meant {
            held.record.withdrawn = Some(withdrawal.clone());
            changes = changes.put(&held.record).map_err(backend)?;
        }
        self.world.store.commit(changes).await.map_err(backend)?;
        let claims: Vec<Claim> = meant.iter().map(|held| held.credential.claim.clone()).collect();
        {
            let mut credentials = self.credentials_mut();
            meant.into_iter().for_each(|held| credentials.keep(held));
            credentials.retract(now);
        }
        self.follow_claims(&claims).await?;
        Ok(claims.len())
    }

    /// The credentials, and how each of them stands.
    pub fn credential_reports(&self) -> Vec<CredentialReport> {
        let known: HashMap<Fingerprint, About> = {
            let desk = self.desk();
            let all = desk.devices().filter_map(|device| desk.dossier(device)).map(About::of);
            all.filter_map(|about| Some((about.key?, about))).collect()
        };
        let (credentials, now) = (self.credentials(), self.world.clock.now());
        let reports = credentials.held.values().map(|held| {
            let about = held.credential.claim.key().and_then(|key| known.get(&key));
            credentials.report(held, about, now)
        });
        reports.collect()
    }

    /// Tells again what follows about the devices that these claims are about: how many they are.
    async fn follow_claims(&self, claims: &[Claim]) -> Result<usize, Refusal> {
        let concerned = Concerned::by(claims, &self.credentials());
        self.retell(|about| concerned.has(about)).await
    }

    /// The device that was born with that key.
    fn device_of(&self, key: Fingerprint) -> Option<About> {
        let desk = self.desk();
        let mut all = desk.devices().filter_map(|device| desk.dossier(device)).map(About::of);
        all.find(|about| about.key == Some(key))
    }

    pub(super) fn credentials(&self) -> RwLockReadGuard<'_, Credentials> {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn credentials_mut(&self) -> std::sync::RwLockWriteGuard<'_, Credentials> {
        self.credentials.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Devices that claims are about, however many of both there are.
#[derive(Default)]
struct Concerned {
    keys: HashSet<Fingerprint>,
    types: HashSet<String>,
    vendors: HashSet<String>,
}

impl Concerned {
    fn by(claims: &[Claim], credentials: &Credentials) -> Self {
        let mut concerned = Self::default();
        for claim in claims {
            concerned.add(claim, credentials);
            if let Claim::Retraction { credential: id } = claim {
                let meant = credentials.held.values().filter(|held| held.credential.id == *id);
                meant.for_each(|held| concerned.add(&held.credential.claim, credentials));
            }
        }
        concerned
    }

    fn add(&mut self, claim: &Claim, credentials: &Credentials) {
        match claim {
            Claim::ManufacturerTrust { manufacturer } => {
                self.vendors.extend(credentials.vendors.get(manufacturer).cloned())
            }
            Claim::TestResult { subject: Subject::Type(name), .. }
            | Claim::Vulnerability { subject: Subject::Type(name), .. } => drop(self.types.insert(name.clone())),
            claim => self.keys.extend(claim.key()),
        }
    }

    fn has(&self, about: &About) -> bool {
        about.key.is_some_and(|key| self.keys.contains(&key))
            || about.device_type.as_ref().is_some_and(|name| self.types.contains(name))
            || about.vendor().is_some_and(|vendor| self.vendors.contains(vendor))
    }
}

//! Devices that come into a tenant's book, and leave it.

use super::{Book, BookError, Entry};
use landfall_lifecycle::transfer::{Arrival, Bootstrapping, Feed, Held, Ownership, SUPPLY_LOG, SupplyEvent, Via};
use landfall_store::{Store, Versioned};
use landfall_types::{Changes, Fault, Fingerprint, OwnerId, Refusal, SerialNumber, Time, record::Unwritable};
use std::collections::HashMap;

/// How many devices go into one commit.
pub const AT_ONCE: usize = 500;
/// How often it is tried anew when others write the same records.
const ATTEMPTS: usize = 16;

/// What becomes of one device: its record, or why it is not in the book.
pub type Registered = Result<Bootstrapping, Refusal>;

/// Devices on their way into a book.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// Whose book.
    pub tenant: &'a OwnerId,
    /// The devices, at most [`AT_ONCE`].
    pub entries: &'a [Entry],
    /// The keys of devices that the tenant does not hold any more.
    pub released: &'a [Fingerprint],
    /// How they come.
    pub via: Via,
    /// When.
    pub at: Time,
}

impl Book<'_> {
    /// Brings devices into a tenant's book, and is durable when it returns; what becomes of each, in their order.
    ///
    /// A device that is in the book is as it was, or as it is told now if that differs. A device that another tenant
    /// holds is refused.
    pub async fn register(&self, registration: &Registration<'_>) -> Result<Vec<Registered>, BookError> {
        self.register_and(registration, |_| Ok(Changes::new())).await
    }

    /// The same, and writes together with it what `also` says once it is known what becomes of each.
    pub async fn register_and(
        &self,
        registration: &Registration<'_>,
        also: impl Fn(&[Registered]) -> Result<Changes, Unwritable>,
    ) -> Result<Vec<Registered>, BookError> {
        for _ in 1..ATTEMPTS {
            let (changes, registered) = self.registering(registration)?;
            let changes = changes.and(also(&registered)?);
            match self.store().commit(changes).await {
                Err(why) if why.is_conflict() => {}
                done => return done.map(|_| registered).map_err(Into::into),
            }
        }
        Err(BookError::Busy)
    }

    fn registering(&self, registration: &Registration<'_>) -> Result<(Changes, Vec<Registered>), BookError> {
        let Registration { tenant, entries, released, via, at } = registration;
        let mut writing = Writing::begin(self.store(), tenant)?;
        // One device may be told twice.
        let mut seen = HashMap::<Fingerprint, Registered>::new();
        let mut registered = Vec::with_capacity(entries.len());
        for entry in *entries {
            let told = match entry.bootstrapping(tenant, *via, *at) {
                Ok(told) => told,
                Err(refusal) => {
                    registered.push(Err(refusal));
                    continue;
                }
            };
            let hash = told.bootstrap_hash;
            let outcome = match seen.get(&hash) {
                Some(outcome) => outcome.clone(),
                None => writing.take(told)?,
            };
            seen.insert(hash, outcome.clone());
            registered.push(outcome);
        }
        for hash in *released {
            writing.release(hash, *at)?;
        }
        Ok((writing.finish()?, registered))
    }

    /// Takes a device out of the tenant's book: it was given away, or stolen. Whoever registers it next has it.
    pub async fn release(&self, tenant: &OwnerId, hash: &Fingerprint, at: Time) -> Result<Registered, BookError> {
        for _ in 1..ATTEMPTS {
            let mut writing = Writing::begin(self.store(), tenant)?;
            let Some(released) = writing.release(hash, at)? else {
                return Ok(Err(not_there("no device with this key is in the book")));
            };
            match self.store().commit(writing.finish()?).await {
                Err(why) if why.is_conflict() => {}
                done => return done.map(|_| Ok(released)).map_err(Into::into),
            }
        }
        Err(BookError::Busy)
    }

    /// Takes devices out of the tenant's book for good, by the hashes of their keys: they were struck off. They stay the
    /// tenant's, so that nobody registers them. Of a device that the tenant never had there is nothing to do; one that it
    /// sold is its buyer's, and that is said.
    pub async fn withdraw(
        &self,
        tenant: &OwnerId,
        struck_off: &[(Fingerprint, String)],
        at: Time,
    ) -> Result<Vec<Result<(), Refusal>>, BookError> {
        for _ in 1..ATTEMPTS {
            let mut writing = Writing::begin(self.store(), tenant)?;
            // One device may be told twice.
            let mut seen = HashMap::<Fingerprint, Result<(), Refusal>>::new();
            let mut outcomes = Vec::with_capacity(struck_off.len());
            for (hash, why) in struck_off {
                let outcome = match seen.get(hash) {
                    Some(outcome) => outcome.clone(),
                    None => writing.withdraw(hash, why, at)?,
                };
                seen.insert(*hash, outcome.clone());
                outcomes.push(outcome);
            }
            match self.store().commit(writing.finish()?).await {
                Err(why) if why.is_conflict() => {}
                done => return done.map(|_| outcomes).map_err(Into::into),
            }
        }
        Err(BookError::Busy)
    }

    /// The device of `tenant` that `name` means: the hash of its bootstrapping key, or its serial number.
    pub fn named(&self, tenant: &OwnerId, name: &str) -> Result<Result<Versioned<Bootstrapping>, Refusal>, BookError> {
        if let Ok(hash) = name.parse::<Fingerprint>()
            && let Some(found) = self.by_bootstrap(tenant, &hash)?
        {
            return Ok(Ok(found));
        }
        let Ok(serial) = name.parse::<SerialNumber>() else { return Ok(Err(not_there("it is no serial number"))) };
        let mut found = self.by_serial(tenant, &serial, 2)?;
        Ok(match (found.pop(), found.pop()) {
            (Some(found), None) => Ok(found),
            (Some(_), Some(_)) => Err(not_there("two devices have this serial number; say the hash of its key")),
            (None, _) => Err(not_there("no such device is in the book")),
        })
    }
}

/// A device that is not in a tenant's book, whoever's it may be.
pub(super) fn not_there(detail: &str) -> Refusal {
    Refusal::new(Fault::Denied, "bootstrapping-known", "NIST SP 1800-36B s4.2", detail)
}

/// Changes to one tenant's book in the making, with its feed.
pub(super) struct Writing<'a> {
    store: &'a Store,
    tenant: OwnerId,
    feed: Option<Versioned<Feed>>,
    last: u64,
    changes: Changes,
}

impl<'a> Writing<'a> {
    pub(super) fn begin(store: &'a Store, tenant: &OwnerId) -> Result<Self, BookError> {
        let feed = store.find::<Feed>(tenant.as_str())?;
        let last = feed.as_ref().map_or(0, |feed| feed.last);
        Ok(Self { store, tenant: tenant.clone(), feed, last, changes: Changes::new() })
    }

    /// Takes in what is told of a device, unless it belongs to somebody else.
    fn take(&mut self, told: Bootstrapping) -> Result<Registered, BookError> {
        let (ownership, version) = self.ownership(&told)?;
        let registered = match ownership.clone().registered(&self.tenant, told.received) {
            Ok(registered) => registered,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let known = self.store.find::<Bootstrapping>(&Bootstrapping::key_of(&self.tenant, &told.bootstrap_hash))?;
        if let Some(Err(refusal)) = known.as_ref().map(|known| known.takeable()) {
            return Ok(Err(refusal));
        }
        if let Some(known) = known.as_ref().filter(|known| known.state == Held::Held && same(known, &told)) {
            return Ok(Ok(known.record.clone()));
        }
        if registered != ownership {
            self.write(|changes| match version {
                Some(version) => changes.put_if(&registered, version),
                None => changes.insert(&registered),
            })?;
            let (bootstrap_hash, tenant) = (told.bootstrap_hash, self.tenant.clone());
            let event = SupplyEvent::Registered { bootstrap_hash, tenant, at: told.received };
            self.write(|changes| changes.append(SUPPLY_LOG, &event))?;
        }
        self.put(&told, known.map(|known| known.version))?;
        Ok(Ok(told))
    }

    /// Marks a device as not held any more; what it was, if the tenant held it.
    fn release(&mut self, hash: &Fingerprint, at: Time) -> Result<Option<Bootstrapping>, BookError> {
        let known = self.store.find::<Bootstrapping>(&Bootstrapping::key_of(&self.tenant, hash))?;
        let Some(known) = known.filter(|known| known.state == Held::Held) else { return Ok(None) };
        let (ownership, version) = self.ownership(&known)?;
        if ownership.owner() == Some(&self.tenant)
            && let (Some(version), Ok(free)) = (version, ownership.released(None, at))
        {
            self.write(|changes| changes.put_if(&free, version))?;
        }
        let released = known.released(at);
        self.put(&released, Some(known.version))?;
        Ok(Some(released))
    }

    /// Marks a device as struck off, if the tenant holds it; why not, if the tenant let it go before.
    fn withdraw(&mut self, hash: &Fingerprint, why: &str, at: Time) -> Result<Result<(), Refusal>, BookError> {
        let known = self.store.find::<Bootstrapping>(&Bootstrapping::key_of(&self.tenant, hash))?;
        let Some(known) = known else { return Ok(Ok(())) };
        match &known.state {
            Held::Withdrawn { .. } => Ok(Ok(())),
            Held::Released { .. } => Ok(Bootstrapping::held(Some(&known)).map(drop)),
            Held::Held => {
                let event =
                    SupplyEvent::Withdrawn { bootstrap_hash: *hash, tenant: self.tenant.clone(), why: why.into(), at };
                self.write(|changes| changes.append(SUPPLY_LOG, &event))?;
                self.put(&known.withdrawn(at, why), Some(known.version))?;
                Ok(Ok(()))
            }
        }
    }

    /// Who has a device, and which writing of the record says so.
    pub(super) fn ownership(
        &self,
        device: &Bootstrapping,
    ) -> Result<(Ownership, Option<landfall_types::record::Version>), BookError> {
        let id = Bootstrapping::ownership_id(&device.bootstrap_hash).map_err(BookError::invalid)?;
        Ok(match self.store.find::<Ownership>(id.as_str())? {
            Some(Versioned { record, version }) => (record, Some(version)),
            None => (Ownership::unsold(id, device.name().parse().map_err(BookError::invalid)?), None),
        })
    }

    /// Writes a record of the tenant, over the one with that version, and tells the tenant's feed.
    pub(super) fn put(
        &mut self,
        record: &Bootstrapping,
        version: Option<landfall_types::record::Version>,
    ) -> Result<(), BookError> {
        self.last += 1;
        let (tenant, bootstrap_hash) = (self.tenant.clone(), record.bootstrap_hash);
        let arrival = Arrival { tenant, number: self.last, bootstrap_hash };
        self.write(|changes| {
            match version {
                Some(version) => changes.put_if(record, version),
                None => changes.insert(record),
            }?
            .insert(&arrival)
        })
    }

    pub(super) fn write(
        &mut self,
        write: impl FnOnce(Changes) -> Result<Changes, Unwritable>,
    ) -> Result<(), BookError> {
        self.changes = write(std::mem::take(&mut self.changes))?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Changes, BookError> {
        let feed = Feed { tenant: self.tenant, last: self.last };
        Ok(match self.feed {
            Some(known) if known.last == self.last => self.changes,
            Some(known) => self.changes.put_if(&feed, known.version)?,
            None if self.last == 0 => self.changes,
            None => self.changes.insert(&feed)?,
        })
    }
}

/// Whether what is told of a device is what the book has, however and whenever it came.
fn same(known: &Bootstrapping, told: &Bootstrapping) -> bool {
    let told = Bootstrapping { received: known.received, via: known.via, state: known.state.clone(), ..told.clone() };
    *known == told
}

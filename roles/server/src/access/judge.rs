//! Whether a device that has shown its certificate may be let in, by what is on record of it now.

use super::{
    Access,
    orders::Due,
    password,
    session::{self, Session},
};
use crate::registrar::CertificateRecord;
use landfall_assurance::Level;
use landfall_eap::{radius::Place, tls::server::Shown};
use landfall_lifecycle::network::{DomainDevice, Identity, Quarantine};
use landfall_pki::{Certificate, PathPolicy, path};
use landfall_store::{ReadError, Snapshot};
use landfall_types::{DeviceId, Fault, Fingerprint, Record as _, Refusal, Time};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A device that may be let in.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) device: DeviceId,
    /// What it is called.
    pub(super) name: String,
    /// By what it comes in.
    pub(super) by: session::Shown,
    /// Where it is to be.
    pub(super) place: Place,
    /// Until when it may be inside with what it has shown.
    pub(super) ends: Time,
    /// What this was read from, if only the certificate counts.
    pub(super) read: Option<Read>,
}

/// The records that were read, as they were, and what else counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    mark: u64,
    level: Option<Level>,
}

/// What has records by which a device with a certificate is judged.
const JUDGED_BY: [&str; 3] = [CertificateRecord::COLLECTION, DomainDevice::COLLECTION, Quarantine::COLLECTION];

/// What is on record of a device whose certificate is good.
#[derive(Debug)]
pub(super) struct OnRecord {
    identity: Identity,
    quarantine: Option<Quarantine>,
}

impl OnRecord {
    fn read(store: &Snapshot<'_>, leaf: &Certificate) -> Result<Result<Self, Refusal>, ReadError> {
        match standing(store, &leaf.fingerprint(), &leaf.subject())? {
            Ok(DomainDevice { identity, .. }) => {
                let quarantine = store.find::<Quarantine>(identity.device.as_str())?.map(|found| found.record);
                Ok(Ok(Self { identity, quarantine }))
            }
            Err(why) => Ok(Err(why)),
        }
    }
}

/// What is on record of the devices that came in last, by their certificates, until anything is written that devices are
/// judged by: they come again and again, and little is written meanwhile.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<(u64, HashMap<Fingerprint, Arc<OnRecord>>)>);

impl Remembered {
    /// The most devices that are remembered, at some 500 octets.
    const MOST: usize = 16_384;

    /// What is on record of whoever has that certificate, if nothing was written since.
    fn of(&self, mark: Option<u64>, certificate: &Fingerprint) -> Option<Arc<OnRecord>> {
        let held = self.held();
        (mark? == held.0).then(|| held.1.get(certificate).cloned())?
    }

    /// Remembers what was read after `mark` was taken; nothing if others write too.
    fn remember(&self, mark: Option<u64>, certificate: Fingerprint, read: OnRecord) -> Arc<OnRecord> {
        let read = Arc::new(read);
        let mut held = self.held();
        // Marks grow only: what was read before a later one is of no use any more.
        if let Some(mark) = mark.filter(|mark| *mark >= held.0) {
            if mark > held.0 || held.1.len() >= Self::MOST {
                *held = (mark, HashMap::new());
            }
            held.1.insert(certificate, read.clone());
        }
        read
    }

    fn held(&self) -> MutexGuard<'_, (u64, HashMap<Fingerprint, Arc<OnRecord>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// The device whose certificate it is, if it may be let in. Nobody is if the records cannot be read.
    pub(super) fn judge(&self, shown: &Shown) -> Result<Known, Refusal> {
        self.on_record(shown).unwrap_or_else(|why| Err(unreadable(&why)))
    }

    /// Whether the device may still be let in, to the same place. If nothing was written that it was judged by, it need not be
    /// read again.
    pub(super) fn judge_again(&self, known: &Known, shown: &Shown) -> Result<(), Refusal> {
        let now = self.world.clock.now();
        if let Some(read) = &known.read
            && self.world.store.mark(&JUDGED_BY) == Some(read.mark)
            && self.level(&known.device)?.map(|(level, _)| level) == read.level
            && now < known.ends
        {
            return Ok(());
        }
        match self.judge(shown)?.place == known.place {
            true => Ok(()),
            // Then the device asks again.
            false => Err(Refusal::new(
                Fault::Peer,
                "access-moved",
                "SP 1800-36B 4.5",
                "its place has changed just now".to_owned(),
            )),
        }
    }

    fn on_record(&self, shown: &Shown) -> Result<Result<Known, Refusal>, ReadError> {
        let Some((leaf, intermediates)) = shown.chain.split_first() else {
            return Ok(Err(denied("access-certificate", "RFC 5216 s5.3", "it has shown no certificate".into())));
        };
        // RFC 5216 s5.3: the certificate must lead to what is trusted here, and be good today.
        let policy = PathPolicy { memo: Some(self.memo.clone()), ..PathPolicy::at(self.world.clock.now()) };
        if let Err(why) = path::validate(leaf, intermediates, &self.anchors, &policy) {
            let detail = format!(
                "the certificate of {} does not count here ({why}); a device comes in with the one that this domain gave it, \
                 and with that of its manufacturer only as a guest",
                leaf.subject()
            );
            let refusal = denied("access-certificate", "RFC 5216 s5.3", detail);
            return Ok(self.guest(&shown.chain).unwrap_or(Err(refusal)));
        }
        // Taken first: what is written from here on is noticed.
        let mark = self.world.store.mark(&JUDGED_BY);
        let on_record = match self.on_record.of(mark, &leaf.fingerprint()) {
            Some(known) => known,
            None => match self.world.store.snapshot(|store| OnRecord::read(store, leaf))? {
                Ok(read) => self.on_record.remember(mark, leaf.fingerprint(), read),
                Err(why) => return Ok(Err(why)),
            },
        };
        Ok(self.known(leaf, mark, &on_record))
    }

    /// A device of which that is on record.
    fn known(&self, leaf: &Certificate, mark: Option<u64>, on_record: &OnRecord) -> Result<Known, Refusal> {
        let OnRecord { identity, quarantine } = on_record;
        let level = self.level(&identity.device)?;
        let place = self.place_of(identity, quarantine.as_ref(), level.clone())?;
        Ok(Known {
            place,
            read: mark.map(|mark| Read { mark, level: level.map(|(level, _)| level) }),
            name: identity.serial_number.to_string(),
            device: identity.device.clone(),
            by: session::Shown::Certificate(leaf.fingerprint()),
            ends: leaf.not_after(),
        })
    }

    /// What is to be done about a session, by the records of this moment.
    pub(super) fn due(&self, session: &Session) -> Due {
        let now = self.world.clock.now();
        let device = match &session.by {
            session::Shown::Guest(permit) => {
                let place = self.guest_place(permit, &session.device).map(|(place, _)| place);
                return Self::due_at(session, place, now);
            }
            session::Shown::Certificate(fingerprint) => {
                let whose = session.device.to_string();
                self.world.store.snapshot(|store| standing(store, fingerprint, &whose))
            }
            session::Shown::Password(network) => self
                .world
                .store
                .snapshot(|store| Ok(password::standing(store, &session.device, network)?.map(|(device, ..)| device))),
        };
        let device = device.unwrap_or_else(|why| Err(unreadable(&why)));
        Self::due_at(session, device.and_then(|device| self.place(&device.identity)), now)
    }

    /// What is to be done about a session whose device is to be in that place, or out.
    fn due_at(session: &Session, place: Result<Place, Refusal>, now: Time) -> Due {
        match place {
            // Nobody is put out because records cannot be read for a moment.
            Err(why) if why.fault == Fault::Backend => {
                tracing::error!(role = "access", %why, "whether a device may still be inside cannot be read");
                Due::Nothing
            }
            Err(why) => Due::Out(why),
            Ok(_) if session.until + super::GRACE <= now => {
                let detail = "it did not show itself again in its time, or its certificate has ended".into();
                Due::Out(denied("access-over", "RFC 3580 s3.17", detail))
            }
            Ok(place) if session.is_in(&place) => Due::Nothing,
            Ok(place) => Due::Move(place),
        }
    }
}

/// The device that has the certificate with that fingerprint, if both are still good; `whose` says it to the operator.
pub(super) fn standing(
    store: &Snapshot<'_>,
    fingerprint: &Fingerprint,
    whose: &str,
) -> Result<Result<DomainDevice, Refusal>, ReadError> {
    let Some(certificate) = CertificateRecord::by_fingerprint(store, fingerprint)? else {
        let detail = format!("the certificate of {whose} is not on record: it is no device's");
        return Ok(Err(denied("access-record", "SP 1800-36B 4.3", detail)));
    };
    if let Some(revocation) = &certificate.revoked {
        let detail = format!("its certificate was revoked by {}: {}", revocation.by, revocation.why);
        return Ok(Err(denied("access-revoked", "SP 1800-36B 7.5", detail)));
    }
    let id = &certificate.issued.device.id;
    let Some(device) = store.find::<DomainDevice>(id.as_str())? else {
        let detail = format!("there is no record of device {id}");
        return Ok(Err(denied("access-record", "SP 1800-36B 4.3", detail)));
    };
    Ok(match device.state.is_inside() {
        true => Ok(device.record),
        false => {
            let detail = format!("{} is {}", device.identity.serial_number, device.state);
            Err(denied("access-state", "SP 1800-36B 4.5", detail))
        }
    })
}

pub(super) fn unreadable(why: &ReadError) -> Refusal {
    Refusal::new(Fault::Backend, "access-records", "landfall", why.to_string())
}

pub(super) fn denied(check: &'static str, section: &'static str, detail: String) -> Refusal {
    Refusal::new(Fault::Denied, check, section, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_lifecycle::network::Birth;

    fn on_record(serial: &str) -> OnRecord {
        let birth = Birth::IDevId { idevid: Fingerprint([7; 32]), birth_key: None, hardware_backed: false };
        let serial_number = serial.parse().unwrap();
        let device = DeviceId::new(&[1], &serial_number);
        OnRecord { identity: Identity { device, serial_number, vendor: None, model: None, birth }, quarantine: None }
    }

    #[test]
    fn what_is_on_record_is_remembered_until_anything_is_written() {
        let (remembered, one, other) = (Remembered::default(), Fingerprint([1; 32]), Fingerprint([2; 32]));
        let found =
            |mark, certificate| remembered.of(Some(mark), certificate).map(|it| it.identity.serial_number.to_string());
        remembered.remember(Some(5), one, on_record("one"));
        assert_eq!((found(5, &one).as_deref(), found(5, &other), found(6, &one)), (Some("one"), None, None));
        remembered.remember(Some(6), other, on_record("other"));
        assert_eq!((found(6, &one), found(6, &other).as_deref()), (None, Some("other")));
    }

    #[test]
    fn what_was_read_before_something_was_written_is_not_remembered() {
        let (remembered, one, other) = (Remembered::default(), Fingerprint([1; 32]), Fingerprint([2; 32]));
        remembered.remember(Some(6), one, on_record("one"));
        remembered.remember(Some(5), other, on_record("other"));
        assert!(remembered.of(Some(5), &other).is_none() && remembered.of(Some(6), &other).is_none());
        assert!(remembered.of(Some(6), &one).is_some());
    }

    #[test]
    fn nothing_is_remembered_where_others_write_too() {
        let (remembered, one) = (Remembered::default(), Fingerprint([1; 32]));
        remembered.remember(None, one, on_record("one"));
        assert!(remembered.of(None, &one).is_none() && remembered.of(Some(0), &one).is_none());
    }
}

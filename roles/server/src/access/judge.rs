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
use landfall_lifecycle::network::{DomainDevice, Quarantine};
use landfall_pki::{PathPolicy, path};
use landfall_store::{ReadError, Snapshot};
use landfall_types::{DeviceId, Fault, Fingerprint, Record as _, Refusal, Time};

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
        let (fingerprint, subject) = (leaf.fingerprint(), leaf.subject());
        // Taken first: what is written from here on is noticed.
        let mark = self.world.store.mark(&JUDGED_BY);
        self.world.store.snapshot(|store| {
            Ok(standing(store, &fingerprint, &subject)?.and_then(|device| {
                let level = self.level(&device.identity.device)?;
                let place = self.place_at(store, &device.identity, level.clone())?;
                Ok(Known {
                    place,
                    read: mark.map(|mark| Read { mark, level: level.map(|(level, _)| level) }),
                    name: device.identity.serial_number.to_string(),
                    device: device.identity.device,
                    by: session::Shown::Certificate(fingerprint),
                    ends: leaf.not_after(),
                })
            }))
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

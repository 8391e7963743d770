//! Whether a device that has shown its certificate may be let in, by what is on record of it now.

use super::{
    Access,
    orders::Due,
    session::{self, Session},
};
use crate::registrar::CertificateRecord;
use landfall_eap::tls::server::Shown;
use landfall_lifecycle::network::DomainDevice;
use landfall_pki::{PathPolicy, path};
use landfall_store::{ReadError, Snapshot};
use landfall_types::{Fault, Fingerprint, Refusal};

impl Access {
    /// The device whose certificate it is, if it may be let in. Nobody is if the records cannot be read.
    pub(super) fn judge(&self, shown: &Shown) -> Result<DomainDevice, Refusal> {
        self.on_record(shown)
            .unwrap_or_else(|why| Err(Refusal::new(Fault::Backend, "access-records", "landfall", why.to_string())))
    }

    fn on_record(&self, shown: &Shown) -> Result<Result<DomainDevice, Refusal>, ReadError> {
        let Some((leaf, intermediates)) = shown.chain.split_first() else {
            return Ok(Err(denied("access-certificate", "RFC 5216 s5.3", "it has shown no certificate".into())));
        };
        // RFC 5216 s5.3: the certificate must lead to what is trusted here, and be good today.
        let policy = PathPolicy { memo: Some(self.memo.clone()), ..PathPolicy::at(self.world.clock.now()) };
        if let Err(why) = path::validate(leaf, intermediates, &self.anchors, &policy) {
            let detail = format!(
                "the certificate of {} does not count here ({why}); a device comes in with the one that this domain gave it, \
                 not with that of its manufacturer",
                leaf.subject()
            );
            return Ok(Err(denied("access-certificate", "RFC 5216 s5.3", detail)));
        }
        self.world.store.snapshot(|store| standing(store, &leaf.fingerprint(), &leaf.subject()))
    }

    /// What is to be done about a session, by the records of this moment.
    pub(super) fn due(&self, session: &Session) -> Due {
        let device = match &session.by {
            session::Shown::Certificate(fingerprint) => {
                let whose = session.device.to_string();
                self.world.store.snapshot(|store| standing(store, fingerprint, &whose))
            }
        };
        let ended = session.until + super::GRACE <= self.world.clock.now();
        let device = match device {
            Ok(device) if ended => device.and_then(|_| {
                let detail = "it did not show itself again in its time, or its certificate has ended".into();
                Err(denied("access-over", "RFC 3580 s3.17", detail))
            }),
            Ok(device) => device,
            // Nobody is put out because records cannot be read for a moment.
            Err(why) => {
                tracing::error!(role = "access", %why, "whether a device may still be inside cannot be read");
                return Due::Nothing;
            }
        };
        match device.and_then(|device| self.place(&device.identity)) {
            Ok(place) if session.is_in(&place) => Due::Nothing,
            Ok(place) => Due::Move(place),
            Err(why) if why.fault == Fault::Backend => Due::Nothing,
            Err(why) => Due::Out(why),
        }
    }
}

/// The device that has the certificate with that fingerprint, if both are still good; `whose` says it to the operator.
fn standing(
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

fn denied(check: &'static str, section: &'static str, detail: String) -> Refusal {
    Refusal::new(Fault::Denied, check, section, detail)
}

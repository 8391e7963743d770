//! Whether a device that has shown its certificate may be let in, by what is on record of it now.

use super::Access;
use crate::registrar::CertificateRecord;
use landfall_eap::tls::server::Shown;
use landfall_lifecycle::network::DomainDevice;
use landfall_pki::{PathPolicy, path};
use landfall_store::ReadError;
use landfall_types::{Fault, Refusal};

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
        self.world.store.snapshot(|store| {
            let Some(certificate) = CertificateRecord::by_fingerprint(store, &leaf.fingerprint())? else {
                let detail = format!("the certificate of {} is not on record: it is no device's", leaf.subject());
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
        })
    }
}

fn denied(check: &'static str, section: &'static str, detail: String) -> Refusal {
    Refusal::new(Fault::Denied, check, section, detail)
}

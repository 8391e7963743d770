//! Revoking, and publishing what was revoked (RFC 5280 s5).

use super::{CertificateRecord, CrlRecord, Registrar};
use crate::RoleError;
use landfall_pki::{CertificateSerial, Crl, CrlRequest, Revoked, crl::Reason};
use landfall_types::{Changes, Time, http::Response};
use std::sync::PoisonError;

impl Registrar {
    /// The latest list, in DER.
    pub fn crl(&self) -> Option<std::sync::Arc<[u8]>> {
        self.crl.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn crl_response(&self) -> Response {
        match self.crl() {
            Some(der) => Response::with(200, "application/pkix-crl", der.to_vec()),
            None => Response::new(503),
        }
    }

    /// Makes the list anew, always or only if there is none that is good for a while.
    pub async fn renew_crl(&self, always: bool) -> Result<(), RoleError> {
        const WHAT: &str = "making the revocation list";
        let now = self.world.clock.now();
        let kept = self.world.store.find::<CrlRecord>(CrlRecord::KEY).map_err(RoleError::while_(WHAT))?;
        let old = kept.as_ref().and_then(|kept| Crl::from_pem(&kept.pem).ok());
        if let Some(old) = old.filter(|old| !always && old.is_current(now + self.crl_every)) {
            self.publish(&old);
            return Ok(());
        }
        let crl = self.make_crl(kept.map_or(1, |kept| kept.number + 1), now).await?;
        self.publish(&crl);
        Ok(())
    }

    async fn make_crl(&self, number: u64, now: Time) -> Result<Crl, RoleError> {
        const WHAT: &str = "making the revocation list";
        let store = &self.world.store;
        let revoked = CertificateRecord::all_revoked(store).map_err(RoleError::while_(WHAT))?;
        let request = CrlRequest {
            number,
            this_update: now,
            // Twice as long as the interval, so that one failure to renew it does no harm.
            next_update: now + self.crl_every * 2,
            revoked: revoked.iter().filter(|record| record.issued.not_after >= now).filter_map(entry).collect(),
        };
        let prepared = request.prepare(&self.issuer).map_err(RoleError::while_(WHAT))?;
        let crl = prepared.issue(self.authority.signer.as_ref()).map_err(RoleError::while_(WHAT))?;
        let record = CrlRecord { number, pem: crl.to_pem() };
        let changes = Changes::new().put(&record).map_err(RoleError::while_(WHAT))?;
        store.commit(changes).await.map_err(RoleError::while_(WHAT))?;
        Ok(crl)
    }

    fn publish(&self, crl: &Crl) {
        *self.crl.write().unwrap_or_else(PoisonError::into_inner) = Some(crl.der().into());
    }
}

fn entry(record: &CertificateRecord) -> Option<(CertificateSerial, Revoked)> {
    let serial = CertificateSerial::from_bytes(&hex::decode(&record.issued.serial).ok()?).ok()?;
    let at = record.revoked.as_ref()?.at;
    Some((serial, Revoked { at, reason: Reason::PrivilegeWithdrawn }))
}

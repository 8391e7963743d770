//! Another configurator that gets our keys, sealed for the exchange in which it was authenticated (DPP s6.4.6).
//!
//! Who has them lets devices into every network of the tenant's, so nobody gets them for what a list says that it is: an
//! operator allows it for that very device, once and for a short time. What was allowed is not kept over a restart.

use super::{Configurator, Tenant, backup};
use crate::book::Book;
use landfall_dpp::crypto::Secret;
use landfall_lifecycle::{
    network::Identity,
    transfer::{Bootstrapping, DppRole},
};
use landfall_store::ReadError;
use landfall_types::{DeviceId, Fault, Fingerprint, Refusal, Time};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const SECTION: &str = "DPP s6.4.6";
/// For so long it is allowed.
const LASTING: Duration = Duration::from_secs(600);
/// Devices for which it is allowed at the same time.
const MANY: usize = 16;

/// For which devices it is allowed, and until when.
#[derive(Debug, Default)]
pub(super) struct HandOvers(Mutex<HashMap<DeviceId, Time>>);

impl HandOvers {
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Time>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is allowed for this device now.
    pub(super) fn allows(&self, device: &DeviceId, now: Time) -> bool {
        self.lock().get(device).is_some_and(|until| now < *until)
    }

    /// Takes the permission, which is for once; false if there is none.
    pub(super) fn take(&self, device: &DeviceId, now: Time) -> bool {
        self.lock().remove(device).is_some_and(|until| now < until)
    }

    fn allow(&self, device: DeviceId, now: Time) -> Option<Time> {
        let mut allowed = self.lock();
        allowed.retain(|_, until| now < *until);
        if allowed.len() >= MANY {
            return None;
        }
        allowed.insert(device, now + LASTING);
        Some(now + LASTING)
    }
}

impl Configurator {
    /// Lets a configurator in the tenant's book have our keys, once: until when.
    pub(crate) async fn allow_hand_over(&self, tenant: &Tenant, hash: &Fingerprint) -> Result<Time, Refusal> {
        let allowed = self.allowed(tenant, hash);
        self.tell(hash, "configurator-hand-over-allowed", allowed.as_ref().err().cloned()).await;
        allowed
    }

    fn allowed(&self, tenant: &Tenant, hash: &Fingerprint) -> Result<Time, Refusal> {
        let failed = |why: ReadError| Refusal::new(Fault::Backend, "device-book", SECTION, why.to_string());
        let found = Book::of(&self.world.store).by_bootstrap(&tenant.id, hash).map_err(failed)?;
        let entry = Bootstrapping::held(found.as_deref())?;
        if entry.role != Some(DppRole::Configurator) {
            return Err(refused("hand-over-role", "the book does not have it down as a configurator"));
        }
        // Keys that never leave their element are not promised to anybody.
        tenant.keys.exported().map_err(backup::unusable)?;
        let id = Identity::bootstrapped_id(&tenant.id, hash)
            .map_err(|why| Refusal::new(Fault::Backend, "device-record", SECTION, why.to_string()))?;
        let until = self.hand_overs.allow(id, self.world.clock.now());
        until.ok_or_else(|| refused("hand-over-many", "it is allowed for too many others at the same time"))
    }

    /// Our keys for whoever knows the password of this exchange.
    pub(super) fn seal_for(&self, tenant: &Tenant, password: &Secret) -> Result<Vec<u8>, Refusal> {
        backup::sealed(tenant, password)
    }
}

/// Why a configurator gets nothing of which nobody said that it may.
pub(super) fn not_allowed() -> Refusal {
    refused("hand-over-allowed", "no operator has allowed to hand our keys over to it")
}

fn refused(check: &'static str, why: &str) -> Refusal {
    Refusal::new(Fault::Denied, check, SECTION, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_allowed_once_and_for_a_while() {
        let (allowed, now) = (HandOvers::default(), Time::EPOCH);
        let device = |number: usize| format!("device-{number}").parse::<DeviceId>().unwrap();
        let until = allowed.allow(device(0), now).unwrap();
        assert!(allowed.allows(&device(0), now) && !allowed.allows(&device(1), now));
        assert!(!allowed.allows(&device(0), until) && !allowed.take(&device(0), until));
        allowed.allow(device(0), now).unwrap();
        assert!(allowed.take(&device(0), now) && !allowed.take(&device(0), now));
        for number in 0..MANY {
            assert!(allowed.allow(device(number), now).is_some());
        }
        assert!(allowed.allow(device(MANY), now).is_none());
        assert!(allowed.allow(device(MANY), until).is_some(), "the others are over");
    }
}

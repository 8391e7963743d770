//! Remembering which signatures have been checked.

use crate::{Certificate, PkiError, PublicKey, key::Strength};
use landfall_types::Fingerprint;
use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Mutex, PoisonError},
};

/// Signatures of certificates and revocation lists that were checked and found good, so that an unchanged CA chain
/// costs one check, not one per device, and a device's certificate one check, not one per request.
///
/// It holds pure facts ("this key signed these very bytes"), so it can be shared by everything and never
/// goes stale; expiry, revocation and policy are checked anew each time. Bounded: the oldest facts go first.
pub struct SignatureMemo {
    facts: Mutex<Facts>,
    capacity: usize,
}

#[derive(Default)]
struct Facts {
    known: HashSet<Fact>,
    order: VecDeque<Fact>,
}

/// Of what, by whom, and how strictly it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fact(Fingerprint, Fingerprint, Strength);

impl SignatureMemo {
    /// Remembers at most `capacity` signatures.
    pub fn new(capacity: usize) -> Self {
        Self { facts: Mutex::default(), capacity }
    }

    /// Checks that `issuer` signed `certificate`, unless that is known.
    pub fn verify(&self, certificate: &Certificate, issuer: &PublicKey) -> Result<(), PkiError> {
        let fingerprint = certificate.fingerprint();
        if !self.knows(fingerprint, issuer, Strength::Modern) {
            certificate.verify_issued_by(issuer)?;
            self.learn(fingerprint, issuer, Strength::Modern);
        }
        Ok(())
    }

    /// Whether it is known that `issuer` signed what has that fingerprint.
    pub(crate) fn knows(&self, signed: Fingerprint, issuer: &PublicKey, strength: Strength) -> bool {
        self.lock().known.contains(&Fact(signed, issuer.fingerprint(), strength))
    }

    /// Remembers it.
    pub(crate) fn learn(&self, signed: Fingerprint, issuer: &PublicKey, strength: Strength) {
        let fact = Fact(signed, issuer.fingerprint(), strength);
        let mut facts = self.lock();
        if facts.known.insert(fact) {
            facts.order.push_back(fact);
        }
        while facts.order.len() > self.capacity {
            if let Some(oldest) = facts.order.pop_front() {
                facts.known.remove(&oldest);
            }
        }
    }

    /// How many signatures it remembers.
    pub fn len(&self) -> usize {
        self.lock().order.len()
    }

    /// Whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SignatureMemo {
    fn default() -> Self {
        Self::new(1024)
    }
}

impl fmt::Debug for SignatureMemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureMemo({} of {})", self.len(), self.capacity)
    }
}

//! Remembering which CA signatures have been checked.

use crate::{Certificate, PublicKey};
use landfall_types::Fingerprint;
use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Mutex, PoisonError},
};

/// Signatures of CA certificates that were checked and found good, so that an unchanged CA chain costs one check, not
/// one per device.
///
/// It holds pure facts ("this key made the signature of these very bytes"), so it can be shared by everything and never
/// goes stale; expiry, revocation and policy are checked anew each time. Bounded: the oldest facts go first.
pub struct SignatureMemo {
    facts: Mutex<Facts>,
    capacity: usize,
}

#[derive(Default)]
struct Facts {
    known: HashSet<(Fingerprint, Fingerprint)>,
    order: VecDeque<(Fingerprint, Fingerprint)>,
}

impl SignatureMemo {
    /// Remembers at most `capacity` signatures.
    pub fn new(capacity: usize) -> Self {
        Self { facts: Mutex::default(), capacity }
    }

    /// Whether it is known that `issuer` signed `certificate`.
    pub(crate) fn knows(&self, certificate: &Certificate, issuer: &PublicKey) -> bool {
        self.lock().known.contains(&(certificate.fingerprint(), issuer.fingerprint()))
    }

    /// Remembers that `issuer` signed `certificate`.
    pub(crate) fn learn(&self, certificate: &Certificate, issuer: &PublicKey) {
        let fact = (certificate.fingerprint(), issuer.fingerprint());
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

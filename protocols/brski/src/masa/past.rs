//! Vouchers issued before, and what they mean for a new claim.

use super::Claim;
use crate::{
    audit_log::Event,
    voucher::{Assertion, Nonce},
};
use landfall_types::{DomainId, Fingerprint, Time};
use serde::{Deserialize, Serialize};

/// A voucher issued before, as far as later claims and the audit log need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastVoucher {
    /// When it was issued.
    pub created_on: Time,
    /// When it ends, if it has no nonce.
    pub expires_on: Option<Time>,
    /// Its nonce.
    pub nonce: Option<Nonce>,
    /// How the owner was verified.
    pub assertion: Assertion,
    /// The domain, by what was pinned.
    pub domain: DomainId,
    /// The key that stood highest in the registrar's chain.
    pub authority: Fingerprint,
    /// The SHA-256 of the request.
    pub request: Fingerprint,
}

/// What earlier vouchers mean for a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precedent {
    /// Nothing.
    None,
    /// The same request, or one of the same domain with the same nonce, has been answered: the voucher at that
    /// position serves again, and no new one has to be logged.
    Answered(usize),
    /// The domain has had a nonceless voucher for the device; a new one should be granted without more ado
    /// (RFC 8995 s5.5.1).
    Renewal,
    /// Another domain has used this nonce: one of the two replays the other's (RFC 8995 s11.4).
    NonceReused,
    /// Another domain holds a nonceless voucher until then; whether it can be overridden is a matter of policy
    /// (RFC 8995 s5.6).
    Outstanding(Time),
}

impl PastVoucher {
    /// How the audit log tells of it.
    pub fn event(&self) -> Event {
        Event {
            date: self.created_on,
            domain: self.domain.clone(),
            nonce: self.nonce.clone().map(String::from),
            assertion: self.assertion,
            truncated: 0,
        }
    }
}

impl Claim {
    /// Whether `past` went to the domain that claims: the same certificate was pinned, or the CA of then stands above
    /// the registrar of now.
    pub fn same_domain(&self, past: &PastVoucher) -> bool {
        self.domain == past.domain || self.domain_chain.iter().any(|c| c.public_key().fingerprint() == past.authority)
    }

    /// What the vouchers issued for the device before, the latest first, mean for this claim.
    pub fn precedent(&self, past: &[PastVoucher], now: Time) -> Precedent {
        let same_nonce = |p: &PastVoucher| self.nonce.is_some() && p.nonce == self.nonce;
        if past.iter().any(|p| same_nonce(p) && !self.same_domain(p)) {
            return Precedent::NonceReused;
        }
        let alive = |p: &PastVoucher| p.expires_on.is_none_or(|end| now <= end);
        let answered =
            |p: &PastVoucher| same_nonce(p) && p.domain == self.domain || p.request == self.request && alive(p);
        if let Some(at) = past.iter().position(answered) {
            return Precedent::Answered(at);
        }
        let others = past.iter().filter(|p| !self.same_domain(p) && alive(p));
        if let Some(end) = others.filter_map(|p| p.expires_on).max() {
            return Precedent::Outstanding(end);
        }
        match self.nonce.is_none() && past.iter().any(|p| p.nonce.is_none() && self.same_domain(p)) {
            true => Precedent::Renewal,
            false => Precedent::None,
        }
    }
}

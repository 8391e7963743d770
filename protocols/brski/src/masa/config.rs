//! What a MASA is told once.

use crate::voucher::{Format, SealOptions};
use landfall_pki::{Anchors, Certificate, Crls, PathPolicy, SignatureMemo};
use landfall_types::Time;
use std::{sync::Arc, time::Duration};

/// Settings of a MASA.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whose key signs vouchers.
    pub certificate: Certificate,
    /// What stands above it; it travels with each voucher, so that others can audit (RFC 8366 s5.4).
    pub chain: Vec<Certificate>,
    /// What the IDevIDs of the devices lead to.
    pub idevid_anchors: Anchors,
    /// Whether the end of an IDevID's validity counts for nothing (RFC 8995 s2.6.2).
    pub idevid_expiry_ignored: bool,
    /// The key identifier of the only CA that issues IDevIDs here, for requests that do not name the issuer.
    pub sole_idevid_issuer: Option<Vec<u8>>,
    /// What the registrars of known customers lead to (RFC 8995 s5.5.4).
    pub customers: Anchors,
    /// Revocation lists of domains (RFC 8995 s5.5.3).
    pub crls: Crls,
    /// The forms of voucher that can be issued, the favourite first.
    pub formats: Vec<Format>,
    /// What vouchers in CMS say of their content.
    pub seal: SealOptions,
    /// How old a request may be, by its created-on (RFC 8995 s5.6: stale requests are refused).
    pub freshness: Duration,
    /// The same for requests of audit logs, which repeat an earlier request (RFC 8995 s5.8).
    pub audit_freshness: Duration,
    /// How far ahead a registrar's clock may be.
    pub skew: Duration,
    /// How long a nonceless voucher lasts (RFC 8995 s5.6 advises 20 minutes).
    pub lifetime: Duration,
    /// What is pinned for a pledge that waits: by default its registrar's own CA.
    pub pin_nonced: Pin,
    /// What is pinned for a pledge that will come later, to a registrar yet unknown: by default the highest CA.
    pub pin_nonceless: Pin,
    /// Whether pledges are told to look for revocations; RFC 8995 s5.6 suggests not.
    pub revocation_checks: Option<bool>,
    /// The most events that an audit log tells.
    pub audit_events: usize,
    /// Where checked CA signatures are remembered.
    pub memo: Option<Arc<SignatureMemo>>,
}

/// Which certificate of the registrar's chain a voucher pins (RFC 8995 s5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The registrar's own.
    EndEntity,
    /// The nearest CA above it (draft-ietf-anima-constrained-voucher s8.2, for a nonced voucher).
    LowestCa,
    /// The one farthest from it (the same, for a nonceless voucher).
    HighestCa,
}

impl Pin {
    /// The one among `chain`, the end entity first. Without a CA, it is the end entity.
    pub(super) fn choose(self, chain: &[Certificate]) -> Option<&Certificate> {
        match self {
            Self::EndEntity => chain.first(),
            Self::LowestCa => chain.get(1).or(chain.first()),
            Self::HighestCa => chain.last(),
        }
    }
}

impl Config {
    /// The usual settings for a MASA that signs with `certificate`, for devices that lead to `idevid_anchors`.
    pub fn new(certificate: Certificate, chain: Vec<Certificate>, idevid_anchors: Anchors) -> Self {
        Self {
            certificate,
            chain,
            idevid_anchors,
            idevid_expiry_ignored: true,
            sole_idevid_issuer: None,
            customers: Anchors::new(),
            crls: Crls::default(),
            formats: vec![Format::CmsJson, Format::JwsJson],
            seal: SealOptions::default(),
            freshness: Duration::from_secs(60 * 60),
            audit_freshness: Duration::from_secs(24 * 60 * 60),
            skew: Duration::from_secs(5 * 60),
            lifetime: Duration::from_secs(20 * 60),
            pin_nonced: Pin::LowestCa,
            pin_nonceless: Pin::HighestCa,
            revocation_checks: Some(false),
            audit_events: 256,
            memo: None,
        }
    }

    /// How a path is judged at `now`.
    pub(super) fn path_policy(&self, now: Time) -> PathPolicy {
        let policy = PathPolicy::at(now).crls(self.crls.now().iter().cloned());
        match &self.memo {
            Some(memo) => policy.memo(memo.clone()),
            None => policy,
        }
    }
}

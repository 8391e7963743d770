//! Certification paths: whether a certificate leads to an anchor (RFC 5280 s6).

use crate::{Certificate, Crl, PublicKey, SignatureMemo, oid::Oid};
use landfall_types::{Refusal, Time};
use std::sync::Arc;

/// Something that is trusted to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// A certificate, which need not be self-signed and may be the end entity's own (RFC 8995 s5.6.2).
    Certificate(Certificate),
    /// A bare key.
    Key(PublicKey),
}

impl Anchor {
    /// Its key.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Certificate(certificate) => certificate.public_key(),
            Self::Key(key) => key,
        }
    }
}

impl From<Certificate> for Anchor {
    fn from(certificate: Certificate) -> Self {
        Self::Certificate(certificate)
    }
}

impl From<PublicKey> for Anchor {
    fn from(key: PublicKey) -> Self {
        Self::Key(key)
    }
}

/// A set of anchors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors(Vec<Anchor>);

impl Anchors {
    /// No anchors: nothing is trusted.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These certificates.
    pub fn of(certificates: impl IntoIterator<Item = Certificate>) -> Self {
        Self(certificates.into_iter().map(Anchor::Certificate).collect())
    }

    /// Adds one.
    pub fn add(&mut self, anchor: impl Into<Anchor>) {
        let anchor = anchor.into();
        if !self.0.contains(&anchor) {
            self.0.push(anchor);
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Anchor> {
        self.0.iter()
    }
}

/// What a path must satisfy.
#[derive(Clone, Debug)]
pub struct PathPolicy {
    /// The time at which it must be valid.
    pub at: Time,
    /// Whether the end entity's own notAfter is ignored, as RFC 8995 s2.6.2 allows for IDevIDs.
    pub ignore_leaf_expiry: bool,
    /// An extended key usage that the end entity must name.
    pub required_eku: Option<Oid>,
    /// Revocation lists; one that does not belong to the path is ignored.
    pub crls: Vec<Crl>,
    /// Whether every certificate below the anchor must be covered by a current list.
    pub require_crls: bool,
    /// How many certificates there may be, end entity and anchor included.
    pub max_len: usize,
    /// Whether RSA keys of 1024 bits pass.
    pub legacy_rsa: bool,
    /// Where CA signatures already checked are remembered.
    pub memo: Option<Arc<SignatureMemo>>,
}

impl PathPolicy {
    /// The usual policy at that time: strict expiry, no purpose asked, at most 8 certificates.
    pub const fn at(at: Time) -> Self {
        Self {
            at,
            ignore_leaf_expiry: false,
            required_eku: None,
            crls: Vec::new(),
            require_crls: false,
            max_len: 8,
            legacy_rsa: false,
            memo: None,
        }
    }

    /// The same, ignoring the end entity's notAfter.
    #[must_use]
    pub const fn ignore_leaf_expiry(mut self, ignore: bool) -> Self {
        self.ignore_leaf_expiry = ignore;
        self
    }

    /// The same, asking the end entity for a purpose.
    #[must_use]
    pub const fn require_eku(mut self, purpose: Oid) -> Self {
        self.required_eku = Some(purpose);
        self
    }

    /// The same, with revocation lists.
    #[must_use]
    pub fn crls(mut self, crls: impl IntoIterator<Item = Crl>) -> Self {
        self.crls.extend(crls);
        self
    }

    /// The same, refusing what no current list covers.
    #[must_use]
    pub const fn require_crls(mut self) -> Self {
        self.require_crls = true;
        self
    }

    /// The same, taking RSA keys of 1024 bits.
    #[must_use]
    pub const fn legacy_rsa(mut self, take: bool) -> Self {
        self.legacy_rsa = take;
        self
    }

    /// The same, remembering CA signatures.
    #[must_use]
    pub fn memo(mut self, memo: Arc<SignatureMemo>) -> Self {
        self.memo = Some(memo);
        self
    }
}

/// A path that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidPath {
    /// The end entity first; the anchor last if it is a certificate.
    pub chain: Vec<Certificate>,
    /// What it ends at.
    pub anchor: Anchor,
}

/// Finds a path from `leaf` through `intermediates` to one of `anchors` that satisfies `policy`.
pub fn validate(
    leaf: &Certificate,
    intermediates: &[Certificate],
    anchors: &Anchors,
    policy: &PathPolicy,
) -> Result<ValidPath, Refusal> {
    let _ = (leaf, intermediates, anchors, policy);
    todo!()
}

//! Certification paths: whether a certificate leads to an anchor (RFC 5280 s6).

use crate::{Certificate, Crl, Oid, PublicKey, SignatureMemo, extension::KeyUsage, key::Strength, oid};
use landfall_types::{Fault, Fingerprint, Refusal, Time};
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
    /// Revocation lists; one that does not belong to the path is ignored. An issuer of whom there is one must have a
    /// current one: after its nextUpdate, nothing below that issuer is good until there is a new one.
    pub crls: Vec<Crl>,
    /// Whether every certificate below the anchor must be covered by a current list.
    pub require_crls: bool,
    /// How many certificates there may be, end entity and anchor included.
    pub max_len: usize,
    /// Whether the end entity's key is to be encrypted to, as endorsement keys of TPMs are, and not to sign.
    pub enciphers: bool,
    /// Whether RSA keys of 1024 bits pass.
    pub legacy_rsa: bool,
    /// Where signatures already checked are remembered.
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
            enciphers: false,
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

    /// The same for an end entity whose key is encrypted to.
    #[must_use]
    pub const fn enciphers(mut self) -> Self {
        self.enciphers = true;
        self
    }

    /// The same, taking RSA keys of 1024 bits.
    #[must_use]
    pub const fn legacy_rsa(mut self, take: bool) -> Self {
        self.legacy_rsa = take;
        self
    }

    /// The same, remembering signatures.
    #[must_use]
    pub fn memo(mut self, memo: Arc<SignatureMemo>) -> Self {
        self.memo = Some(memo);
        self
    }

    const fn strength(&self) -> Strength {
        if self.legacy_rsa { Strength::Legacy } else { Strength::Modern }
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
///
/// An anchor is trusted as a name and a key: its own dates are not looked at (RFC 5280 s6.1.1 d), and an end entity
/// that holds an anchor's very key needs no other path (RFC 8995 s5.6.2), so whoever presents one must also prove that
/// it has the private half. Names are compared byte by byte. Name constraints are not understood, so certificates that
/// have them are refused.
pub fn validate(
    leaf: &Certificate,
    intermediates: &[Certificate],
    anchors: &Anchors,
    policy: &PathPolicy,
) -> Result<ValidPath, Refusal> {
    let mut search =
        Search { intermediates, anchors, policy, checks: MAX_SIGNATURE_CHECKS, learned: Vec::new(), nearest: None };
    if intermediates.len() > MAX_INTERMEDIATES {
        return Err(refuse("path-too-long", "RFC 5280 s6.1", "more certificates came than any path needs"));
    }
    let mut path = vec![leaf.clone()];
    let Some(anchor) = search.climb(&mut path) else {
        return Err(search.nearest.map_or_else(|| unknown_issuer(leaf), |(_, refusal)| refusal));
    };
    check_leaf(leaf, policy)?;
    if let Anchor::Certificate(top) = &anchor
        && path.last() != Some(top)
        && path.last().is_none_or(|last| last.public_key() != top.public_key())
    {
        path.push(top.clone());
    }
    check_revocation(&path, &anchor, policy)?;
    // Only now: a stranger's chain must not drive the known ones out.
    if let Some(memo) = &policy.memo {
        search.learned.iter().for_each(|(signed, key)| memo.learn(*signed, key, policy.strength()));
    }
    Ok(ValidPath { chain: path, anchor })
}

/// How many certificates may come along, and how many signatures may be checked in one search: a peer that sends many
/// CAs of one name must not make the search explode.
const MAX_INTERMEDIATES: usize = 32;
const MAX_SIGNATURE_CHECKS: usize = 48;

struct Search<'a> {
    intermediates: &'a [Certificate],
    anchors: &'a Anchors,
    policy: &'a PathPolicy,
    /// How many signatures may still be looked at.
    checks: usize,
    /// Signatures that were found good.
    learned: Vec<(Fingerprint, PublicKey)>,
    /// The refusal that was met farthest up, for the operator.
    nearest: Option<(usize, Refusal)>,
}

impl Search<'_> {
    /// Extends `path` upwards until it meets an anchor.
    fn climb(&mut self, path: &mut Vec<Certificate>) -> Option<Anchor> {
        let top = path.last()?.clone();
        let is_anchor = |anchor: &&Anchor| match anchor {
            Anchor::Certificate(certificate) if path.len() > 1 => *certificate == top,
            // Above the end entity only the anchor itself will do: another certificate of its key could be without its
            // constraints.
            _ => anchor.public_key() == top.public_key(),
        };
        if let Some(anchor) = self.anchors.iter().find(is_anchor) {
            return Some(anchor.clone());
        }
        let depth = path.len();
        for anchor in self.anchors.iter() {
            match self.issued_by_anchor(path, &top, anchor) {
                Some(Ok(())) => return Some(anchor.clone()),
                Some(Err(refusal)) => self.note(depth, || refusal),
                None => {}
            }
        }
        for issuer in self.intermediates.iter().filter(|c| may_have_issued(c, &top)) {
            // RFC 5280 s6.1: a certificate stands in a path once; cross-certified loops end here.
            if path.iter().any(|c| c.public_key() == issuer.public_key() && c.subject_der() == issuer.subject_der()) {
                continue;
            }
            if let Err(refusal) = self.issued_by(path, &top, issuer) {
                self.note(depth, || refusal);
                continue;
            }
            path.push(issuer.clone());
            if let Some(anchor) = self.climb(path) {
                return Some(anchor);
            }
            path.pop();
        }
        self.note(depth.saturating_sub(1), || unknown_issuer(&top));
        None
    }

    /// `None` if the anchor's name says that it is another.
    fn issued_by_anchor(
        &mut self,
        path: &[Certificate],
        top: &Certificate,
        anchor: &Anchor,
    ) -> Option<Result<(), Refusal>> {
        match anchor {
            Anchor::Certificate(certificate) if !may_have_issued(certificate, top) => None,
            Anchor::Certificate(certificate) => Some(
                check_issuer(path, certificate)
                    .and_then(|()| check_extensions(certificate))
                    .and_then(|()| self.check_length(path))
                    .and_then(|()| self.check_signature(top, certificate.public_key())),
            ),
            // A bare key has no name: only its signature tells, and a wrong one says nothing.
            Anchor::Key(key) => {
                self.check_length(path).and_then(|()| self.check_signature(top, key)).is_ok().then_some(Ok(()))
            }
        }
    }

    fn issued_by(&mut self, path: &[Certificate], top: &Certificate, issuer: &Certificate) -> Result<(), Refusal> {
        check_issuer(path, issuer)?;
        check_dates(issuer, self.policy, false)?;
        check_extensions(issuer)?;
        self.check_length(path)?;
        self.check_signature(top, issuer.public_key())
    }

    fn check_length(&self, path: &[Certificate]) -> Result<(), Refusal> {
        if path.len() < self.policy.max_len {
            return Ok(());
        }
        let most = self.policy.max_len;
        Err(refuse("path-too-long", "RFC 5280 s6.1", format!("it is longer than {most} certificates")))
    }

    /// Checks that `key` signed `certificate`.
    fn check_signature(&mut self, certificate: &Certificate, key: &PublicKey) -> Result<(), Refusal> {
        let spent = || refuse("path-too-long", "RFC 5280 s6.1", "too many issuers of the same name came");
        self.checks = self.checks.checked_sub(1).ok_or_else(spent)?;
        let memo = self.policy.memo.as_ref();
        if memo.is_some_and(|memo| memo.knows(certificate.fingerprint(), key, self.policy.strength())) {
            return Ok(());
        }
        certificate.verify_issued_with(key, self.policy.strength()).map_err(|e| {
            let detail = format!("{}: {e}", certificate.subject());
            Refusal::new(e.fault(), "path-signature", "RFC 5280 s6.1.3 a.1", detail).field("signatureValue")
        })?;
        if memo.is_some() {
            self.learned.push((certificate.fingerprint(), key.clone()));
        }
        Ok(())
    }

    fn note(&mut self, depth: usize, refusal: impl FnOnce() -> Refusal) {
        if self.nearest.as_ref().is_none_or(|(nearest, _)| depth > *nearest) {
            self.nearest = Some((depth, refusal()));
        }
    }
}

/// Whether names and key identifiers allow that `issuer` issued `certificate` (RFC 5280 s6.1.3 a.4, s4.2.1.1).
fn may_have_issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    let key_fits = match (certificate.authority_key_id(), issuer.subject_key_id()) {
        (Some(wanted), Some(id)) => wanted == id,
        _ => true,
    };
    key_fits && issuer.subject_der() == certificate.issuer_der()
}

/// Whether `issuer` may stand above `path` (RFC 5280 s6.1.4 k to n).
fn check_issuer(path: &[Certificate], issuer: &Certificate) -> Result<(), Refusal> {
    if !issuer.is_ca() {
        let detail = format!("{} issued a certificate and is not a CA", issuer.subject());
        return Err(refuse("path-not-a-ca", "RFC 5280 s6.1.4 k", detail).field("basicConstraints"));
    }
    if issuer.key_usage().is_some_and(|usage| !usage.allows(KeyUsage::KEY_CERT_SIGN)) {
        let detail = format!("{} issued a certificate without keyCertSign", issuer.subject());
        return Err(refuse("path-key-usage", "RFC 5280 s6.1.4 n", detail).field("keyUsage"));
    }
    // RFC 5280 s4.2.1.9: the end entity and self-issued certificates do not count.
    let below = path.iter().skip(1).filter(|c| !c.is_self_issued()).count();
    if issuer.path_len().is_some_and(|most| below > usize::from(most)) {
        let detail = format!("{} allows fewer CAs below it than the {below} that there are", issuer.subject());
        return Err(refuse("path-length", "RFC 5280 s6.1.4 m", detail).field("pathLenConstraint"));
    }
    Ok(())
}

fn check_leaf(leaf: &Certificate, policy: &PathPolicy) -> Result<(), Refusal> {
    check_dates(leaf, policy, policy.ignore_leaf_expiry)?;
    check_extensions(leaf)?;
    let (uses, what) = match policy.enciphers {
        true => ([KeyUsage::KEY_ENCIPHERMENT, KeyUsage::KEY_AGREEMENT], "be encrypted to"),
        false => ([KeyUsage::DIGITAL_SIGNATURE, KeyUsage::NON_REPUDIATION], "sign"),
    };
    if !leaf.is_ca() && leaf.key_usage().is_some_and(|usage| !uses.into_iter().any(|one| usage.allows(one))) {
        let detail = format!("{} may not {what}", leaf.subject());
        return Err(refuse("path-key-usage", "RFC 5280 s4.2.1.3", detail).field("keyUsage"));
    }
    match policy.required_eku {
        Some(purpose) if !leaf.has_eku(purpose) => {
            let detail = format!("{} is not for {}", leaf.subject(), oid::name(purpose));
            Err(refuse("path-purpose", "RFC 5280 s4.2.1.12", detail).field("extKeyUsage"))
        }
        _ => Ok(()),
    }
}

/// RFC 5280 s6.1.3 a.2.
fn check_dates(certificate: &Certificate, policy: &PathPolicy, ignore_expiry: bool) -> Result<(), Refusal> {
    let (subject, at) = (|| certificate.subject(), policy.at);
    if at < certificate.not_before() {
        let detail = format!("{} is valid from {} on, and it is {at}", subject(), certificate.not_before());
        return Err(refuse("path-not-yet-valid", "RFC 5280 s6.1.3 a.2", detail).field("notBefore"));
    }
    // The last second counts whole.
    if !ignore_expiry && at.as_unix() > certificate.not_after().as_unix() {
        let detail = format!("{} was valid until {}, and it is {at}", subject(), certificate.not_after());
        return Err(refuse("path-expired", "RFC 5280 s6.1.3 a.2", detail).field("notAfter"));
    }
    Ok(())
}

/// RFC 5280 s6.1.4 o: what is critical must be understood. Name constraints are refused even when not critical.
fn check_extensions(certificate: &Certificate) -> Result<(), Refusal> {
    const UNDERSTOOD: [Oid; 10] = [
        oid::BASIC_CONSTRAINTS,
        oid::KEY_USAGE,
        oid::EXTENDED_KEY_USAGE,
        oid::SUBJECT_ALT_NAME,
        oid::SUBJECT_KEY_ID,
        oid::AUTHORITY_KEY_ID,
        // Any policy is acceptable to start with (s6.1.1 c), so policies restrict nothing.
        oid::CERTIFICATE_POLICIES,
        oid::MASA_URL,
        oid::MUD_URL,
        oid::MUD_SIGNER,
    ];
    let subject = || certificate.subject();
    if certificate.extension(oid::NAME_CONSTRAINTS).is_some() {
        let detail = format!("{} has name constraints, which are not understood here", subject());
        return Err(refuse("path-name-constraints", "RFC 5280 s4.2.1.10", detail).field("nameConstraints"));
    }
    match certificate.extensions().iter().find(|e| e.critical && !UNDERSTOOD.contains(&e.oid)) {
        None => Ok(()),
        Some(unknown) => {
            let detail = format!("{} has the critical extension {}, which is not understood", subject(), unknown.oid);
            Err(refuse("path-critical-extension", "RFC 5280 s6.1.4 o", detail).field("extensions"))
        }
    }
}

/// RFC 5280 s6.3, for the lists that are at hand.
fn check_revocation(path: &[Certificate], anchor: &Anchor, policy: &PathPolicy) -> Result<(), Refusal> {
    for (position, certificate) in path.iter().enumerate() {
        let issuer = path.get(position + 1);
        let issuer_key = issuer.map_or(anchor.public_key(), Certificate::public_key);
        let is_anchor = certificate.public_key() == anchor.public_key();
        if is_anchor {
            break;
        }
        let may_sign = issuer.and_then(Certificate::key_usage).is_none_or(|u| u.allows(KeyUsage::CRL_SIGN));
        let key_id = issuer.map_or_else(|| issuer_key.key_id().to_vec(), Certificate::key_id);
        let (mut asked, mut covered) = (policy.require_crls, false);
        for crl in policy.crls.iter().filter(|crl| crl.issuer_der() == certificate.issuer_der()) {
            if !may_sign || !verify_crl(crl, issuer_key, policy) {
                // Another key may have the same name. What names this very key and is not its own is a broken list.
                asked |= crl.authority_key_id() == Some(&key_id);
                continue;
            }
            asked = true;
            // What an overdue list revokes stays revoked; what it does not name, it says nothing about.
            if let Some(revoked) = crl.is_revoked(certificate) {
                let detail = format!("{} was revoked at {} ({})", certificate.subject(), revoked.at, revoked.reason);
                return Err(refuse("path-revoked", "RFC 5280 s6.3.3", detail).field("revokedCertificates"));
            }
            covered |= crl.is_current(policy.at);
        }
        // RFC 5280 s6.3.3: what no current list covers is undetermined, and so not good where a list is kept.
        if asked && !covered {
            let detail = format!("no current revocation list of {} is at hand", certificate.issuer());
            return Err(refuse("path-revocation-unknown", "RFC 5280 s6.3.3", detail));
        }
    }
    Ok(())
}

fn verify_crl(crl: &Crl, key: &PublicKey, policy: &PathPolicy) -> bool {
    let known = |memo: &Arc<SignatureMemo>| memo.knows(crl.fingerprint(), key, Strength::Modern);
    if policy.memo.as_ref().is_some_and(known) {
        return true;
    }
    let good = crl.verify_issued_by(key).is_ok();
    if let Some(memo) = policy.memo.as_ref().filter(|_| good) {
        memo.learn(crl.fingerprint(), key, Strength::Modern);
    }
    good
}

fn unknown_issuer(certificate: &Certificate) -> Refusal {
    let detail = format!("{} was issued by {}, which leads to no anchor", certificate.subject(), certificate.issuer());
    refuse("path-unknown-issuer", "RFC 5280 s6.1", detail).field("issuer")
}

fn refuse(check: &'static str, section: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Peer, check, section, detail)
}

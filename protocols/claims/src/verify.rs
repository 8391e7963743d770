//! Whether a credential is to be believed: who may say it, of whom, when, and whether it was taken back.

use crate::{
    authority::{Authorities, Authority, Role},
    credential::{Claim, Credential},
    status::StatusList,
};
use landfall_types::{Fault, Fingerprint, Refusal, Time};
use std::{collections::BTreeMap, time::Duration};

/// What a credential is held against.
pub struct World<'a> {
    /// Who may assert what.
    pub authorities: &'a Authorities,
    /// Which credentials have been taken back, and by whom.
    pub retractions: &'a Retractions,
    /// The status lists that are there.
    pub lists: &'a [StatusList],
    /// The vendor of the device or manufacturer with that key, if it is known.
    pub vendor_of: &'a dyn Fn(Fingerprint) -> Option<String>,
    /// The time.
    pub now: Time,
}

/// Credentials that have been taken back: by their ids, who has done so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retractions(BTreeMap<String, Vec<(Fingerprint, Role)>>);

impl Retractions {
    /// Adds a verified retraction; whether it is one.
    pub fn add(&mut self, verified: &Verified) -> bool {
        let Claim::Retraction { credential } = &verified.credential.claim else { return false };
        let by = (verified.issuer, verified.authority.role);
        self.0.entry(credential.clone()).or_default().push(by);
        true
    }

    /// Whether that credential has been taken back, by who issued it or by the owner of the network.
    pub fn has(&self, credential: &Credential) -> bool {
        let issuer = credential.issuer.fingerprint();
        let by = self.0.get(&credential.id);
        by.is_some_and(|all| all.iter().any(|(key, role)| *key == issuer || *role == Role::Owner))
    }
}

/// A credential that is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub credential: Credential,
    /// The key of who says it.
    pub issuer: Fingerprint,
    /// As what.
    pub authority: Authority,
    /// Until when that holds, at the most.
    pub expires: Option<Time>,
}

/// How far an issuer's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(300);

/// Verifies a credential.
///
/// # Errors
/// If it is forged or malformed; of a key that has no role, or none that may assert this, or not of these devices; about the issuer
/// itself; not valid yet or any more; taken back; or revoked, or with a status that cannot be told.
pub fn verify(jwt: &str, world: &World<'_>) -> Result<Verified, Refusal> {
    let credential = Credential::read(jwt)?;
    recheck(credential, world)
}

/// The same for one whose signature was verified before: what has changed since?
///
/// # Errors
/// As [`verify()`].
pub fn recheck(credential: Credential, world: &World<'_>) -> Result<Verified, Refusal> {
    let issuer = credential.issuer.fingerprint();
    let authority = authority(&credential, issuer, world)?.clone();
    if credential.claim.key() == Some(issuer) {
        return Err(denied("credential-self-issued", "it is about the key that signed it"));
    }
    if world.now + AHEAD < credential.valid_from {
        return Err(denied("credential-early", format!("it holds from {}", credential.valid_from)));
    }
    if credential.valid_until.is_some_and(|until| until <= world.now) {
        return Err(denied("credential-expired", "it does not hold any more"));
    }
    if world.retractions.has(&credential) {
        return Err(denied("credential-retracted", "it was taken back"));
    }
    let fresh = status(&credential, world)?;
    let expires = [credential.valid_until, fresh].into_iter().flatten().min();
    Ok(Verified { issuer, authority, expires, credential })
}

/// In which of its roles a key may assert this.
fn authority<'a>(credential: &Credential, issuer: Fingerprint, world: &'a World<'_>) -> Result<&'a Authority, Refusal> {
    let mut roles = world.authorities.of(issuer).peekable();
    if roles.peek().is_none() {
        return Err(denied("credential-issuer", format!("the key {issuer} has no role here")));
    }
    let claim = &credential.claim;
    let mut able = roles.filter(|authority| authority.role.may(claim.kind())).peekable();
    if able.peek().is_none() {
        return Err(denied("credential-role", format!("the role of {issuer} does not assert {}", claim.kind())));
    }
    // Both what the claim says of itself and what is known of the device must be of the authority's vendor.
    let named = claim.device_type().map(|text| text.split('/').next().map(str::to_owned));
    let known = claim.key().map(|key| (world.vendor_of)(key));
    let is_over = |authority: &&Authority| {
        [&named, &known].into_iter().flatten().all(|vendor| authority.is_over(vendor.as_deref()))
    };
    able.find(is_over)
        .ok_or_else(|| denied("credential-scope", format!("{issuer} may not speak of this vendor's devices")))
}

/// Until when the credential's status is known to be good.
fn status(credential: &Credential, world: &World<'_>) -> Result<Option<Time>, Refusal> {
    let Some(entry) = &credential.status else { return Ok(None) };
    let holds = |list: &&StatusList| {
        list.is_meant(entry, &credential.issuer)
            && list.valid_from <= world.now + AHEAD
            && list.valid_until.is_none_or(|until| world.now < until)
    };
    // Of several the newest counts: an older one may lack what was revoked since.
    let list = world.lists.iter().filter(holds).max_by_key(|list| list.valid_from);
    match list.map(|list| (list, list.is_set(entry.index))) {
        Some((list, Some(false))) => Ok(list.valid_until),
        Some((_, Some(true))) => Err(denied("credential-revoked", "it was revoked by its issuer")),
        _ => Err(denied("credential-status", format!("no list that holds tells its status: {}", entry.list))),
    }
}

fn denied(check: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Denied, check, "SP 1800-36B G.1", why)
}

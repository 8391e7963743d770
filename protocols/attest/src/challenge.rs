//! What evidence has to cover: a fresh nonce, and the connection that it is shown over.

use crate::{malformed, refuse};
use aws_lc_rs::{digest, hmac, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_types::{Fingerprint, Refusal, Time, json};
use serde_json::{Value, json};
use std::{fmt, time::Duration};
use subtle::ConstantTimeEq;

const FRESHNESS: &str = "draft-ietf-lamps-attestation-freshness s5";
/// How long a nonce may be (draft-ietf-lamps-attestation-freshness s5.1).
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=64;
/// How far the clock of whoever made a nonce may have been set back since.
const SLACK: Duration = Duration::from_secs(5);

/// What tells one TLS connection from every other, at both its ends: tls-exporter (RFC 9266), or tls-unique (RFC 5929).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a>(pub &'a [u8]);

/// What evidence has to cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    nonce: Vec<u8>,
    covered: [u8; 32],
}

impl Challenge {
    /// Of a nonce, for one connection.
    ///
    /// # Errors
    /// If the nonce is too short to be one, or too long.
    pub fn new(nonce: &[u8], connection: Connection<'_>) -> Result<Self, Refusal> {
        if !LENGTHS.contains(&nonce.len()) {
            let why = format!("a nonce has 8 to 64 octets, and this one {}", nonce.len());
            return Err(refuse("attestation-nonce", FRESHNESS, why));
        }
        // RFC 9334 s12.2.1 asks that evidence be bound to its channel, or it is relayed. Both lengths are told apart.
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"landfall attestation 1\0");
        for part in [nonce, connection.0] {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let covered = hash.finish().as_ref().try_into().unwrap_or_default();
        Ok(Self { nonce: nonce.to_vec(), covered })
    }

    /// The nonce.
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// The 32 octets that evidence covers: the qualifying data of a quote, the nonce of an EAT.
    pub const fn covered(&self) -> &[u8; 32] {
        &self.covered
    }

    /// What a quote covers that comes with a list of components (SBOM): the digest of that as well, so that neither can be taken
    /// from one exchange into another. Without one, [`Challenge::covered`].
    pub fn covered_with(&self, sbom: Option<&Fingerprint>) -> [u8; 32] {
        let Some(sbom) = sbom else { return self.covered };
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"landfall attestation with sbom 1\0");
        hash.update(&self.covered);
        hash.update(&sbom.0);
        hash.finish().as_ref().try_into().unwrap_or_default()
    }

    pub(crate) fn is(&self, covered: &[u8], sbom: Option<&Fingerprint>) -> bool {
        self.covered_with(sbom).ct_eq(covered).into()
    }
}

/// Makes nonces and knows them again, without keeping any: each holds its time, and a tag over that and its connection.
pub struct Nonces {
    key: hmac::Key,
    life: Duration,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Nonces {
    /// With a key of its own, whose nonces hold for as long as `life`; `None` if the system has no random octets.
    pub fn new(life: Duration) -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok()?;
        Some(Self { key, life })
    }

    /// A nonce for that connection.
    pub fn make(&self, connection: Connection<'_>, now: Time) -> Vec<u8> {
        let at = now.as_unix_millis().to_be_bytes();
        [&at[..], &self.tag(&at, connection)].concat()
    }

    /// The same in the words of EST.
    pub fn answer(&self, connection: Connection<'_>, now: Time) -> String {
        let nonce = URL_SAFE_NO_PAD.encode(self.make(connection, now));
        json!({ "nonce": nonce, "expiry": self.life.as_secs() }).to_string()
    }

    /// The challenge that a nonce stands for, if it was made here, lately, and for that connection.
    ///
    /// # Errors
    /// `attestation-nonce` or `attestation-nonce-age`.
    pub fn check(&self, nonce: &[u8], connection: Connection<'_>, now: Time) -> Result<Challenge, Refusal> {
        let (at, tag) = nonce.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        if !bool::from(self.tag(at, connection).ct_eq(tag)) {
            let why = "the nonce was not given out for this connection";
            return Err(refuse("attestation-nonce", FRESHNESS, why));
        }
        let at = Time::EPOCH + Duration::from_millis(u64::from_be_bytes(*at));
        if now.since(at) >= self.life || at.since(now) > SLACK {
            return Err(refuse("attestation-nonce-age", FRESHNESS, format!("the nonce is of {at}")));
        }
        Challenge::new(nonce, connection)
    }

    fn tag(&self, at: &[u8; 8], connection: Connection<'_>) -> Vec<u8> {
        let tag = hmac::sign(&self.key, &[&at[..], connection.0].concat());
        tag.as_ref().iter().take(24).copied().collect()
    }
}

/// Reads a nonce in the words of EST.
///
/// # Errors
/// If it is none.
pub fn read_answer(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let bad = |why: &dyn fmt::Display| malformed("attestation-nonce", FRESHNESS, why);
    let value = json::parse(body).map_err(|why| bad(&why))?;
    let nonce = value.get("nonce").and_then(Value::as_str).ok_or_else(|| bad(&"it holds no nonce"))?;
    let nonce = URL_SAFE_NO_PAD.decode(nonce.trim_end_matches('=')).map_err(|_| bad(&"the nonce is not base64url"))?;
    if !LENGTHS.contains(&nonce.len()) {
        return Err(bad(&"a nonce has 8 to 64 octets"));
    }
    Ok(nonce)
}

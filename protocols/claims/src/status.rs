//! Lists that say which credentials have been revoked: W3C Bitstring Status List 1.0.

use crate::{
    credential::{Entry, malformed, opened, validity},
    identifier::did,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use landfall_pki::{Algorithm, PkiError, PublicKey, Signer, UnsignedJws};
use landfall_types::{Refusal, Time};
use serde_json::{Value, json};
use std::io::{Read, Write};

/// s6.1: the fewest bits that a list has, so that nobody can tell from it which credential was asked for.
pub const FEWEST: usize = 131_072;
/// The most octets of a list that are unpacked.
pub const MOST: u64 = 2 * 1024 * 1024;

/// A list, as its issuer has signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusList {
    /// Its URL.
    pub id: String,
    /// The key of who signed it.
    pub issuer: PublicKey,
    /// From when it holds.
    pub valid_from: Time,
    /// Until when.
    pub valid_until: Option<Time>,
    /// Whether it is for what holds again later.
    pub is_suspension: bool,
    bits: Vec<u8>,
}

impl StatusList {
    /// A list in which nothing is revoked.
    pub fn new(id: String, issuer: PublicKey, valid_from: Time, valid_until: Option<Time>) -> Self {
        Self { id, issuer, valid_from, valid_until, is_suspension: false, bits: vec![0; FEWEST / 8] }
    }

    /// Whether the credential of that place has been revoked; None if the list does not reach so far.
    pub fn is_set(&self, index: u64) -> Option<bool> {
        let octet = self.bits.get(usize::try_from(index / 8).ok()?)?;
        // s3.3: the first bit is that of the highest value.
        Some(octet & (0x80 >> (index % 8)) != 0)
    }

    /// Revokes the credential of that place. Whether the list reaches so far.
    pub fn set(&mut self, index: u64) -> bool {
        let octet = usize::try_from(index / 8).ok().and_then(|place| self.bits.get_mut(place));
        octet.map(|octet| *octet |= 0x80 >> (index % 8)).is_some()
    }

    /// Whether it is the list that a credential's entry means.
    pub(crate) fn is_meant(&self, entry: &Entry, issuer: &PublicKey) -> bool {
        // s3.2: who issued the credential answers for its status.
        self.id == entry.list && self.is_suspension == entry.is_suspension && self.issuer == *issuer
    }

    /// The list as a credential, signed by its issuer.
    ///
    /// # Errors
    /// If the key is another, or does not sign.
    pub fn issue(&self, signer: &dyn Signer) -> Result<String, PkiError> {
        let issuer = did(&self.issuer).filter(|_| *signer.public_key() == self.issuer);
        let issuer = issuer.ok_or_else(|| PkiError::Misuse("the key is not the issuer's".into()))?;
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        let packed = packer.write_all(&self.bits).and_then(|()| packer.finish());
        let packed = packed.map_err(|error| PkiError::Misuse(error.to_string()))?;
        let mut document = json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": self.id,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "issuer": issuer,
            "validFrom": self.valid_from.to_string(),
            "credentialSubject": {
                "id": format!("{}#list", self.id),
                "type": "BitstringStatusList",
                "statusPurpose": if self.is_suspension { "suspension" } else { "revocation" },
                "encodedList": format!("u{}", URL_SAFE_NO_PAD.encode(packed)),
            },
        });
        if let (Some(until), Some(members)) = (self.valid_until, document.as_object_mut()) {
            members.insert("validUntil".into(), until.to_string().into());
        }
        let (algorithm, kid) = (Algorithm::of(self.issuer.kind()).unwrap_or_default(), format!("{issuer}#0"));
        let header = [("typ", crate::credential::TYPE), ("kid", kid.as_str())];
        UnsignedJws::new(algorithm, &header, document.to_string().as_bytes()).sign(signer)
    }

    /// Reads a list that its issuer has signed.
    ///
    /// # Errors
    /// If it is forged, no such list, too short or too long.
    pub fn read(jwt: &str) -> Result<Self, Refusal> {
        let (issuer, document) = opened(jwt)?;
        let is_list = |value: &Value| value.as_str() == Some("BitstringStatusListCredential");
        if !document.get("type").and_then(Value::as_array).is_some_and(|all| all.iter().any(is_list)) {
            return Err(malformed("type", "it is no BitstringStatusListCredential"));
        }
        let subject = document.get("credentialSubject");
        let text = |name: &str| subject.and_then(|subject| subject.get(name)).and_then(Value::as_str);
        let is_suspension = match (text("type"), text("statusPurpose")) {
            (Some("BitstringStatusList"), Some("revocation")) => false,
            (Some("BitstringStatusList"), Some("suspension")) => true,
            _ => return Err(malformed("credentialSubject", "it is no list of revocations or suspensions")),
        };
        let packed = text("encodedList").and_then(|list| list.strip_prefix('u'));
        let packed = packed.and_then(|list| URL_SAFE_NO_PAD.decode(list).ok());
        let packed = packed.ok_or_else(|| malformed("encodedList", "it is not multibase of base64url"))?;
        let mut bits = Vec::new();
        let unpacked = GzDecoder::new(packed.as_slice()).take(MOST + 1).read_to_end(&mut bits);
        let length = u64::try_from(bits.len()).unwrap_or(u64::MAX);
        if unpacked.is_err() || length > MOST || bits.len() < FEWEST / 8 {
            return Err(malformed("encodedList", "it does not unpack to a list of the length that lists have"));
        }
        let (valid_from, valid_until) = validity(&document)?;
        let id = crate::credential::need(&document, "id")?;
        Ok(Self { id, issuer, valid_from, valid_until, is_suspension, bits })
    }
}

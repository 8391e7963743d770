//! What good software looks like, said and signed by somebody who may: reference values (RFC 9334 s8.3).
//!
//! A form of our own, JSON in JWS, that a person can write; [`corim`](crate::corim) says the same in the words of draft-ietf-rats-corim.
//! An update is published before it is rolled out: a release may hold from some time on and until some time, and while two
//! hold, both are good.

use crate::{jws::Opened, malformed, refuse};
use landfall_pki::{PkiError, PublicKey, Signer};
use landfall_types::{Fingerprint, Refusal, Time, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const KIND: &str = "landfall-reference-values+jwt";
const FORMAT: &str = "landfall reference values 1";
const SECTION: &str = "RFC 9334 s8.3";
pub(crate) const MOST: usize = 1024;

/// What is known of one model of devices, or of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReferenceValues {
    /// `landfall reference values 1`.
    pub format: String,
    /// The manufacturer, by the name that the domain has for it.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// When it was said. Of two about the same the later one counts.
    pub issued: Time,
    /// The keys by which it may speak of itself, if it has no certificate for that from its manufacturer: those of a
    /// service's TPM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Fingerprint>,
    /// The releases that are known.
    pub releases: Vec<Release>,
}

/// One release of firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Release {
    /// Its version.
    pub firmware: String,
    /// From when on it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Whether it must not be used any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// What PCRs hold when it runs (SHA-256 bank).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pcrs: BTreeMap<u8, Fingerprint>,
    /// What may be measured into PCRs besides, in any order: every event of such a PCR has to be one of these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<u8, BTreeSet<Fingerprint>>,
    /// The SHA-256 of the firmware, as a device without a TPM tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<Fingerprint>,
}

impl ReferenceValues {
    /// Of a model, with releases.
    pub fn new(vendor: &str, model: &str, issued: Time, releases: Vec<Release>) -> Self {
        Self { format: FORMAT.into(), vendor: vendor.into(), model: model.into(), issued, keys: Vec::new(), releases }
    }

    /// Reads them, before they are signed.
    ///
    /// # Errors
    /// A [`Refusal`] if they are not of their form, or say nothing about a release.
    pub fn from_json(text: &[u8]) -> Result<Self, Refusal> {
        Self::of(json::parse(text).map_err(|why| malformed("reference-syntax", SECTION, why))?)
    }

    fn of(value: Value) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed("reference-syntax", SECTION, why);
        let read: Self = serde_json::from_value(value).map_err(|why| bad(&why.to_string()))?;
        if read.format != FORMAT || read.releases.len() > MOST {
            return Err(bad("it is of another format, or has too many releases"));
        }
        for release in &read.releases {
            if release.pcrs.is_empty() && release.software.is_none() {
                return Err(bad(&format!("it does not say how {} is recognised", release.firmware)));
            }
            if release.pcrs.keys().chain(release.events.keys()).any(|pcr| *pcr > 23) {
                return Err(bad("there are 24 PCRs"));
            }
        }
        Ok(read)
    }

    /// The same, signed.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, signer: &dyn Signer) -> Result<String, PkiError> {
        crate::jws::sign(KIND, &serde_json::to_value(self).unwrap_or(Value::Null), signer, &[])
    }

    /// Reads them if one of `signers` signed them.
    ///
    /// # Errors
    /// `reference-syntax`, `reference-signer` or `reference-signature`.
    pub fn verify(text: &str, signers: &[PublicKey]) -> Result<Self, Refusal> {
        let opened = Opened::read(text, KIND, "reference-syntax")?;
        let signer = signers.iter().find(|key| opened.key_id() == Some(&key.fingerprint().to_string()));
        let signer = signer.ok_or_else(|| {
            refuse("reference-signer", SECTION, "it is by nobody who may say what good software looks like")
        })?;
        Self::of(Value::Object(opened.verified(signer, "reference-signature")?.clone()))
    }

    /// Reads them, whoever signed.
    ///
    /// # Errors
    /// A [`Refusal`] if it is none.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        Self::of(Value::Object(Opened::read(text, KIND, "reference-syntax")?.unverified().clone()))
    }
}

impl Release {
    /// Whether it is good at `now`.
    pub fn holds(&self, now: Time) -> bool {
        !self.withdrawn && self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

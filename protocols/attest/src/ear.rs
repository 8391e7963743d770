//! Attestation results: EAR (draft-ietf-rats-ear-04) with the trustworthiness claims of AR4SI (draft-ietf-rats-ar4si-09).

use crate::{jws::Opened, malformed, refuse};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_pki::{PkiError, PublicKey, Signer};
use landfall_types::{Refusal, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{fmt, str::FromStr};

const PROFILE: &str = "tag:ietf.org,2026:rats/ear#04";
const KIND: &str = "eat+jwt";
const SECTION: &str = "draft-ietf-rats-ear s3";
/// The one part of a device that is appraised.
const PART: &str = "device";

/// How far something may be trusted (AR4SI s2.3.2). The order is from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// There is evidence against it.
    Contraindicated,
    /// Nothing is known.
    None,
    /// It is known, and there is something about it that needs looking after.
    Warning,
    /// It is as it should be.
    Affirming,
}

impl Tier {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contraindicated => "contraindicated",
            Self::None => "none",
            Self::Warning => "warning",
            Self::Affirming => "affirming",
        }
    }

    const fn of(claim: i8) -> Self {
        match claim {
            -1..=1 => Self::None,
            2..=31 | -32..=-2 => Self::Affirming,
            32..=95 | -96..=-33 => Self::Warning,
            _ => Self::Contraindicated,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// It is no tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tier is one of affirming, warning, none and contraindicated")]
pub struct InvalidTier;

impl FromStr for Tier {
    type Err = InvalidTier;

    fn from_str(text: &str) -> Result<Self, InvalidTier> {
        let all = [Self::Contraindicated, Self::None, Self::Warning, Self::Affirming];
        all.into_iter().find(|tier| tier.as_str() == text).ok_or(InvalidTier)
    }
}

/// Values of claims that are used here (AR4SI s2.3.4).
pub mod claim {
    /// Nothing is claimed.
    pub const NONE: i8 = 0;
    /// The device is the one that it says it is.
    pub const RECOGNIZED_INSTANCE: i8 = 2;
    /// Only approved software was loaded during the boot.
    pub const APPROVED_BOOT: i8 = 3;
    /// The software was approved, and has no longer been since, or is not yet.
    pub const UNSAFE_EXECUTABLES: i8 = 32;
    /// There is software that is not recognised.
    pub const UNRECOGNIZED_EXECUTABLES: i8 = 33;
    /// There is software that must not be there.
    pub const CONTRAINDICATED_EXECUTABLES: i8 = 96;
    /// The hardware is genuine.
    pub const GENUINE_HARDWARE: i8 = 2;
    /// The device is not one that is recognised.
    pub const UNRECOGNIZED_INSTANCE: i8 = 97;
    /// The evidence does not stand up to cryptography: signature, nonce, or what it is bound to.
    pub const CRYPTO_FAILED: i8 = 99;
}

/// The eight claims (AR4SI s2.3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Vector {
    /// Who it is.
    pub instance_identity: i8,
    /// How it is configured.
    pub configuration: i8,
    /// What software it runs.
    pub executables: i8,
    /// Its files.
    pub file_system: i8,
    /// Its hardware and firmware.
    pub hardware: i8,
    /// Whether its memory is hidden from others.
    pub runtime_opaque: i8,
    /// Whether its storage is.
    pub storage_opaque: i8,
    /// Whether the data that it takes in is to be trusted.
    pub sourced_data: i8,
}

impl Vector {
    /// The claims with their names.
    pub const fn claims(&self) -> [(&'static str, i8); 8] {
        [
            ("instance-identity", self.instance_identity),
            ("configuration", self.configuration),
            ("executables", self.executables),
            ("file-system", self.file_system),
            ("hardware", self.hardware),
            ("runtime-opaque", self.runtime_opaque),
            ("storage-opaque", self.storage_opaque),
            ("sourced-data", self.sourced_data),
        ]
    }

    /// The worst of what is claimed; where nothing is claimed, nothing is known.
    pub fn tier(&self) -> Tier {
        let made = self.claims().into_iter().filter(|(_, value)| *value != claim::NONE);
        made.map(|(_, value)| Tier::of(value)).min().unwrap_or(Tier::None)
    }
}

/// An attestation result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ear {
    /// The device, by the name that policies use.
    pub subject: String,
    /// When it was appraised.
    pub at: Time,
    /// Until when the result is to be believed.
    pub expires: Time,
    /// The nonce of the challenge.
    pub nonce: Vec<u8>,
    /// What is claimed.
    pub vector: Vector,
    /// The tier: that of the vector.
    pub tier: Tier,
    /// The release of the firmware that was recognised.
    pub firmware: Option<String>,
    /// What the evidence rests on: `tpm`, `software`.
    pub root: String,
    /// What spoke against it, each as check and what was found.
    pub findings: Vec<(String, String)>,
}

impl Ear {
    /// As a JWT, signed by the verifier.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, signer: &dyn Signer) -> Result<String, PkiError> {
        let vector = Map::from_iter(self.vector.claims().map(|(name, value)| (name.to_owned(), Value::from(value))));
        let findings: Vec<_> = self.findings.iter().map(|(check, why)| json!({ "check": check, "why": why })).collect();
        let mut about = json!({
            "ear_status": self.tier.as_str(),
            "ear_trustworthiness_vector": vector,
            "ear_appraisal_policy_ids": ["tag:landfall,2026:reference-values#1"],
            "ear_verifier_claims": { "root-of-trust": self.root, "findings": findings },
        });
        if let (Some(firmware), Some(about)) = (&self.firmware, about.as_object_mut()) {
            about.insert("ear_attester_claims".into(), json!({ "firmware": firmware }));
        }
        let payload = json!({
            "eat_profile": PROFILE,
            "iat": self.at.as_unix(),
            "exp": self.expires.as_unix(),
            "sub": self.subject,
            "eat_nonce": URL_SAFE_NO_PAD.encode(&self.nonce),
            "ear_verifier_id": { "developer": "https://github.com/landfall-iot/landfall", "build": concat!("landfall ", env!("CARGO_PKG_VERSION")) },
            "submods": { PART: about },
        });
        crate::jws::sign(KIND, &payload, signer, &[])
    }

    /// Reads one, and checks that it is by one of `verifiers` and still to be believed.
    ///
    /// # Errors
    /// A [`Refusal`] that says which of it is not so.
    pub fn verify(text: &str, verifiers: &[PublicKey], now: Time) -> Result<Self, Refusal> {
        let opened = Opened::read(text, KIND, "ear-syntax")?;
        let key = verifiers.iter().find(|key| opened.key_id() == Some(&key.fingerprint().to_string()));
        let key = key.ok_or_else(|| refuse("ear-verifier", SECTION, "it is by nobody who is trusted to appraise"))?;
        let ear = Self::of(opened.verified(key, "ear-signature")?)?;
        match now < ear.expires {
            true => Ok(ear),
            false => {
                Err(refuse("ear-expired", "RFC 7519 s4.1.4", format!("it was to be believed until {}", ear.expires)))
            }
        }
    }

    /// Reads one, whoever made it.
    ///
    /// # Errors
    /// A [`Refusal`] if it is none.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        Self::of(Opened::read(text, KIND, "ear-syntax")?.unverified())
    }

    fn of(payload: &Map<String, Value>) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed("ear-syntax", SECTION, why);
        let text = |of: &Map<String, Value>, name: &str| {
            of.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| bad(&format!("it has no {name}")))
        };
        let time = |name: &str| {
            let seconds = payload.get(name).and_then(Value::as_i64).filter(|at| (0..=253_402_300_799).contains(at));
            seconds.map(Time::from_unix).ok_or_else(|| bad(&format!("it has no {name}")))
        };
        if text(payload, "eat_profile")? != PROFILE {
            return Err(bad("it is of another profile"));
        }
        let about = payload.get("submods").and_then(|parts| parts.get(PART)).and_then(Value::as_object);
        let about = about.ok_or_else(|| bad("it is not about a device"))?;
        let vector = about.get("ear_trustworthiness_vector").cloned().unwrap_or_default();
        let vector: Vector = serde_json::from_value(vector).map_err(|why| bad(&why.to_string()))?;
        let tier: Tier = text(about, "ear_status")?.parse().map_err(|why: InvalidTier| bad(&why.to_string()))?;
        // A status that is better than its claims is none that this program wrote.
        if tier > vector.tier() {
            return Err(bad("its status is better than its claims"));
        }
        let verifier = about.get("ear_verifier_claims").and_then(Value::as_object);
        let verifier = verifier.ok_or_else(|| bad("it has no ear_verifier_claims"))?;
        let finding = |value: &Value| {
            let part = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            part("check").zip(part("why")).ok_or_else(|| bad("a finding of it is none"))
        };
        let findings = verifier.get("findings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let firmware = about.get("ear_attester_claims").and_then(|claims| claims.get("firmware"));
        Ok(Self {
            subject: text(payload, "sub")?,
            at: time("iat")?,
            expires: time("exp")?,
            nonce: URL_SAFE_NO_PAD
                .decode(text(payload, "eat_nonce")?)
                .map_err(|_| bad("eat_nonce is not base64url"))?,
            vector,
            tier,
            firmware: firmware.and_then(Value::as_str).map(str::to_owned),
            root: text(verifier, "root-of-trust")?,
            findings: findings.iter().map(finding).collect::<Result<_, _>>()?,
        })
    }
}

//! Credentials: what is asserted, and how it is written (W3C VCDM 2.0, secured as a JWT by VC-JOSE-COSE).

use crate::{
    LONGEST, TEXT,
    identifier::{did, fingerprint_of, key_of, ni},
};
use landfall_pki::{Algorithm, Jws, PkiError, PublicKey, Signer, UnsignedJws};
use landfall_types::{Fault, Fingerprint, Refusal, Time, json};
use serde_json::{Map, Value, json};
use std::fmt;

/// What the header says that it is (VC-JOSE-COSE s3.1.1).
pub const TYPE: &str = "vc+jwt";
/// VCDM 2.0 s4.3, and the context for terms that no other defines (s5.2).
const CONTEXT: [&str; 2] =
    ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/undefined-terms/v2"];

/// What is asserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A manufacturer is trusted: by the key of its authority.
    ManufacturerTrust {
        /// The manufacturer's key.
        manufacturer: Fingerprint,
    },
    /// A device is trusted: by the key of its birth certificate.
    DeviceTrust {
        /// The device's key.
        device: Fingerprint,
    },
    /// A device is of that type.
    TypeBinding {
        /// The device's key.
        device: Fingerprint,
        /// Manufacturer and model: `acme/lamp`.
        device_type: String,
    },
    /// A device is owned by somebody.
    Ownership {
        /// The device's key.
        device: Fingerprint,
        /// The owner's key.
        owner: Fingerprint,
    },
    /// A device, or all of a type, have passed a test.
    TestResult {
        /// What was tested.
        subject: Subject,
        /// The name of the test's certificate.
        certificate: String,
    },
    /// A type of device has a vulnerability.
    Vulnerability {
        /// What has it.
        subject: Subject,
        /// Its name: `CVE-2026-1234`.
        id: String,
        /// How bad it is, in tenths of the CVSS scale.
        score: u8,
    },
    /// A credential is taken back.
    Retraction {
        /// Its id.
        credential: String,
    },
}

/// A device or a type of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A device by its key.
    Device(Fingerprint),
    /// A type: `acme/lamp`.
    Type(String),
}

/// The kinds of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is described with its claim")]
pub enum ClaimKind {
    ManufacturerTrust,
    DeviceTrust,
    TypeBinding,
    Ownership,
    TestResult,
    Vulnerability,
    Retraction,
}

impl ClaimKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::ManufacturerTrust,
        Self::DeviceTrust,
        Self::TypeBinding,
        Self::Ownership,
        Self::TestResult,
        Self::Vulnerability,
        Self::Retraction,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ManufacturerTrust => "manufacturer-trust",
            Self::DeviceTrust => "device-trust",
            Self::TypeBinding => "type-binding",
            Self::Ownership => "ownership",
            Self::TestResult => "test-result",
            Self::Vulnerability => "vulnerability",
            Self::Retraction => "retraction",
        }
    }

    /// Its type in a credential.
    pub const fn credential_type(self) -> &'static str {
        match self {
            Self::ManufacturerTrust => "ManufacturerTrustCredential",
            Self::DeviceTrust => "DeviceTrustCredential",
            Self::TypeBinding => "DeviceTypeBindingCredential",
            Self::Ownership => "OwnershipCredential",
            Self::TestResult => "TestResultCredential",
            Self::Vulnerability => "VulnerabilityCredential",
            Self::Retraction => "RetractionCredential",
        }
    }
}

impl fmt::Display for ClaimKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Claim {
    /// Of which kind it is.
    pub const fn kind(&self) -> ClaimKind {
        match self {
            Self::ManufacturerTrust { .. } => ClaimKind::ManufacturerTrust,
            Self::DeviceTrust { .. } => ClaimKind::DeviceTrust,
            Self::TypeBinding { .. } => ClaimKind::TypeBinding,
            Self::Ownership { .. } => ClaimKind::Ownership,
            Self::TestResult { .. } => ClaimKind::TestResult,
            Self::Vulnerability { .. } => ClaimKind::Vulnerability,
            Self::Retraction { .. } => ClaimKind::Retraction,
        }
    }

    /// The key that it is about, if it is about one.
    pub const fn key(&self) -> Option<Fingerprint> {
        match self {
            Self::ManufacturerTrust { manufacturer: key }
            | Self::DeviceTrust { device: key }
            | Self::TypeBinding { device: key, .. }
            | Self::Ownership { device: key, .. }
            | Self::TestResult { subject: Subject::Device(key), .. }
            | Self::Vulnerability { subject: Subject::Device(key), .. } => Some(*key),
            _ => None,
        }
    }

    /// The type of devices that it names, if it names one.
    pub fn device_type(&self) -> Option<&str> {
        match self {
            Self::TypeBinding { device_type, .. } => Some(device_type),
            Self::TestResult { subject: Subject::Type(device_type), .. }
            | Self::Vulnerability { subject: Subject::Type(device_type), .. } => Some(device_type),
            _ => None,
        }
    }
}

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id, a URI: `urn:uuid:…`.
    pub id: String,
    /// The key of who asserts it.
    pub issuer: PublicKey,
    /// What is asserted.
    pub claim: Claim,
    /// From when it holds.
    pub valid_from: Time,
    /// Until when, if it ends.
    pub valid_until: Option<Time>,
    /// Where its status stands, if there is such a place.
    pub status: Option<Entry>,
}

/// A place in a status list (W3C Bitstring Status List 1.0 s2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The URL of the list.
    pub list: String,
    /// Which bit.
    pub index: u64,
    /// Whether it is for what holds again later.
    pub is_suspension: bool,
}

impl Credential {
    /// What the issuer's key is to sign.
    ///
    /// # Errors
    /// If its key has no JWK.
    pub fn unsigned(&self) -> Result<UnsignedJws, PkiError> {
        let issuer = did(&self.issuer).ok_or_else(|| PkiError::Misuse("the issuer's key has no JWK".into()))?;
        let algorithm = Algorithm::of(self.issuer.kind()).unwrap_or_default();
        let mut document = json!({
            "@context": CONTEXT,
            "id": self.id,
            "type": ["VerifiableCredential", self.claim.kind().credential_type()],
            "issuer": issuer,
            "validFrom": self.valid_from.to_string(),
            "credentialSubject": subject(&self.claim),
        });
        if let (Some(until), Some(members)) = (self.valid_until, document.as_object_mut()) {
            members.insert("validUntil".into(), until.to_string().into());
        }
        if let (Some(status), Some(members)) = (&self.status, document.as_object_mut()) {
            members.insert("credentialStatus".into(), status.to_value());
        }
        let kid = format!("{issuer}#0");
        Ok(UnsignedJws::new(algorithm, &[("typ", TYPE), ("kid", &kid)], document.to_string().as_bytes()))
    }

    /// The credential as a JWT, signed by the issuer.
    ///
    /// # Errors
    /// If the key is another, or does not sign.
    pub fn issue(&self, signer: &dyn Signer) -> Result<String, PkiError> {
        if *signer.public_key() != self.issuer {
            return Err(PkiError::Misuse("the key is not the issuer's".into()));
        }
        self.unsigned()?.sign(signer)
    }

    /// Reads a credential that its issuer's key has signed. Whether that key may assert it is another question: [`crate::verify()`].
    ///
    /// # Errors
    /// If it is forged, no credential of this form, or says two different things.
    pub fn read(jwt: &str) -> Result<Self, Refusal> {
        let (issuer, document) = opened(jwt)?;
        let claim = claim(&document)?;
        Self::of(issuer, &document, claim)
    }

    fn of(issuer: PublicKey, document: &Map<String, Value>, claim: Claim) -> Result<Self, Refusal> {
        let (valid_from, valid_until) = validity(document)?;
        let status = document.get("credentialStatus").map(Entry::of).transpose()?;
        Ok(Self { id: need(document, "id")?, issuer, claim, valid_from, valid_until, status })
    }
}

/// A signed credential of whatever type: who has signed it, and what it says.
pub(crate) fn opened(jwt: &str) -> Result<(PublicKey, Map<String, Value>), Refusal> {
    let wrong = |error: PkiError| {
        let check = if matches!(error, PkiError::BadSignature(_)) { "credential-signature" } else { "credential-form" };
        Refusal::new(error.fault(), check, "VC-JOSE-COSE s3.1", error.to_string())
    };
    let jws = Jws::parse(jwt.trim(), LONGEST).map_err(wrong)?;
    if jws.header("typ") != Some(TYPE) {
        return Err(malformed("typ", "it is no vc+jwt"));
    }
    let Ok(Value::Object(document)) = json::parse(jws.unverified()) else {
        return Err(malformed("", "it is no JSON object with each name once"));
    };
    // VCDM 1.1 wrapped it.
    if document.contains_key("vc") {
        return Err(malformed("vc", "it is a credential of version 1"));
    }
    let issuer = match document.get("issuer") {
        Some(Value::Object(members)) => members.get("id").and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    let issuer = issuer.ok_or_else(|| malformed("issuer", "it has none"))?;
    let key = key_of(issuer).map_err(wrong)?;
    jws.verify(&key).map_err(wrong)?;
    if jws.header("kid").is_some_and(|kid| kid.split('#').next() != Some(issuer)) {
        return Err(malformed("kid", "it is not of its issuer"));
    }
    // What the envelope says too must be the same (VC-JOSE-COSE s3.1.3).
    for (name, same) in [("iss", "issuer"), ("jti", "id")] {
        if document.get(name).is_some_and(|value| Some(value) != document.get(same)) {
            return Err(malformed(same, "the envelope says something else"));
        }
    }
    let contexts = document.get("@context").and_then(Value::as_array);
    if contexts.and_then(|all| all.first()).and_then(Value::as_str) != CONTEXT.first().copied() {
        return Err(malformed("@context", "it is not of W3C's second version"));
    }
    Ok((key, document))
}

/// From when until when: the narrower of what the credential and its envelope say.
pub(crate) fn validity(document: &Map<String, Value>) -> Result<(Time, Option<Time>), Refusal> {
    let time = |name: &'static str| match document.get(name).map(|value| value.as_str().map(str::parse::<Time>)) {
        None => Ok(None),
        Some(Some(Ok(at))) => Ok(Some(at)),
        Some(_) => Err(malformed(name, "it is no time")),
    };
    let seconds = |name: &'static str| match document.get(name).map(Value::as_i64) {
        None => Ok(None),
        Some(Some(seconds)) => Ok(Some(Time::from_unix(seconds))),
        Some(None) => Err(malformed(name, "it is no whole number of seconds")),
    };
    let from = time("validFrom")?.ok_or_else(|| malformed("validFrom", "it has none"))?;
    let until = [time("validUntil")?, seconds("exp")?].into_iter().flatten().min();
    Ok((seconds("nbf")?.map_or(from, |early| early.max(from)), until))
}

pub(crate) fn malformed(field: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Malformed, "credential-form", "W3C VCDM 2.0 s4", why).field(field)
}

pub(crate) fn need(members: &Map<String, Value>, name: &'static str) -> Result<String, Refusal> {
    let text = members.get(name).and_then(Value::as_str).filter(|text| is_plain(text));
    text.map(str::to_owned).ok_or_else(|| malformed(name, "it is no short text"))
}

fn is_plain(text: &str) -> bool {
    (1..=TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn claim(document: &Map<String, Value>) -> Result<Claim, Refusal> {
    let types: Vec<&str> = match document.get("type") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.contains(&"VerifiableCredential") {
        return Err(malformed("type", "it is no VerifiableCredential"));
    }
    let mut kinds = ClaimKind::ALL.into_iter().filter(|kind| types.contains(&kind.credential_type()));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err(malformed("type", "it is not of exactly one type that is known here"));
    };
    let Some(Value::Object(subject)) = document.get("credentialSubject") else {
        return Err(malformed("credentialSubject", "it is not about exactly one thing"));
    };
    let key = |name: &'static str| {
        let text = subject.get(name).and_then(Value::as_str);
        text.and_then(fingerprint_of).ok_or_else(|| malformed(name, "it is no key's digest (ni:///sha-256;…)"))
    };
    let device_type = || need(subject, "deviceType").and_then(|text| checked_type(&text).map(|()| text));
    let about = || match subject.contains_key("deviceType") {
        true if subject.contains_key("id") => Err(malformed("credentialSubject", "it is about a device and a type")),
        true => device_type().map(Subject::Type),
        false => key("id").map(Subject::Device),
    };
    Ok(match kind {
        ClaimKind::ManufacturerTrust => Claim::ManufacturerTrust { manufacturer: key("id")? },
        ClaimKind::DeviceTrust => Claim::DeviceTrust { device: key("id")? },
        ClaimKind::TypeBinding => Claim::TypeBinding { device: key("id")?, device_type: device_type()? },
        ClaimKind::Ownership => Claim::Ownership { device: key("id")?, owner: key("owner")? },
        ClaimKind::TestResult => Claim::TestResult { subject: about()?, certificate: need(subject, "certificate")? },
        ClaimKind::Vulnerability => {
            let score = subject.get("score").and_then(Value::as_u64).and_then(|score| u8::try_from(score).ok());
            let score = score.filter(|score| *score <= 100);
            let score = score.ok_or_else(|| malformed("score", "it is no number of tenths up to 100"))?;
            Claim::Vulnerability { subject: about()?, id: need(subject, "vulnerability")?, score }
        }
        ClaimKind::Retraction => Claim::Retraction { credential: need(subject, "id")? },
    })
}

/// Manufacturer and model: `acme/lamp`.
fn checked_type(text: &str) -> Result<(), Refusal> {
    match text.split_once('/') {
        Some((vendor, model)) if !vendor.is_empty() && !model.is_empty() => Ok(()),
        _ => Err(malformed("deviceType", "it is not manufacturer/model")),
    }
}

fn subject(claim: &Claim) -> Value {
    let about = |subject: &Subject| match subject {
        Subject::Device(key) => ("id", ni(*key)),
        Subject::Type(device_type) => ("deviceType", device_type.clone()),
    };
    match claim {
        Claim::ManufacturerTrust { manufacturer: key } | Claim::DeviceTrust { device: key } => {
            json!({ "id": ni(*key) })
        }
        Claim::TypeBinding { device, device_type } => json!({ "id": ni(*device), "deviceType": device_type }),
        Claim::Ownership { device, owner } => json!({ "id": ni(*device), "owner": ni(*owner) }),
        Claim::TestResult { subject, certificate } => {
            let (name, value) = about(subject);
            json!({ name: value, "certificate": certificate })
        }
        Claim::Vulnerability { subject, id, score } => {
            let (name, value) = about(subject);
            json!({ name: value, "vulnerability": id, "score": score })
        }
        Claim::Retraction { credential } => json!({ "id": credential }),
    }
}

impl Entry {
    fn to_value(&self) -> Value {
        let purpose = if self.is_suspension { "suspension" } else { "revocation" };
        json!({
            "type": "BitstringStatusListEntry",
            "statusPurpose": purpose,
            "statusListIndex": self.index.to_string(),
            "statusListCredential": self.list,
        })
    }

    fn of(value: &Value) -> Result<Self, Refusal> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let wrong = || malformed("credentialStatus", "it is no entry of a bitstring status list");
        if text("type") != Some("BitstringStatusListEntry") {
            return Err(wrong());
        }
        let is_suspension = match text("statusPurpose") {
            Some("revocation") => false,
            Some("suspension") => true,
            _ => return Err(wrong()),
        };
        let index = text("statusListIndex").and_then(|index| index.parse().ok()).ok_or_else(wrong)?;
        let list = text("statusListCredential").filter(|list| is_plain(list)).ok_or_else(wrong)?;
        Ok(Self { list: list.to_owned(), index, is_suspension })
    }
}

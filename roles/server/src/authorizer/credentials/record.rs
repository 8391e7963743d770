//! What is kept of credentials, and what is shown of them.

use crate::authorizer::software::digest;
use landfall_claims::{Claim, Credential, Verified, credential::Subject, identifier::ni};
use landfall_types::{Fingerprint, Record, Refusal, Time};
use serde::{Deserialize, Serialize};

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CredentialRecord {
    /// The SHA-256 of its issuer's key and its id.
    pub key: String,
    /// Its id.
    pub id: String,
    /// The credential.
    pub jwt: String,
    /// Since when it is here.
    pub at: Time,
    /// Who brought it.
    pub by: String,
    /// Whether an operator took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawal>,
}

/// That an operator took a credential back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Withdrawal {
    /// When.
    pub at: Time,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
}

impl Record for CredentialRecord {
    const COLLECTION: &'static str = "verification-credential";

    fn key(&self) -> String {
        self.key.clone()
    }
}

/// A list of which credentials are revoked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ListRecord {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) jwt: String,
    pub(super) at: Time,
}

impl Record for ListRecord {
    const COLLECTION: &'static str = "verification-status-list";

    fn key(&self) -> String {
        self.key.clone()
    }
}

/// What names a credential here: two issuers may use one id.
pub(super) fn key(credential: &Credential) -> String {
    digest(format!("{}\0{}", credential.issuer.fingerprint(), credential.id).as_bytes()).to_string()
}

/// A credential, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CredentialReport {
    /// Its id.
    pub id: String,
    /// What kind of thing it asserts: `device-trust`.
    pub claim: String,
    /// Of whom: a key's digest, or a type of devices.
    pub about: String,
    /// What it says beyond its kind: a type, an owner, a test, a vulnerability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// The SHA-256 of its issuer's key.
    pub issuer: Fingerprint,
    /// What its issuer is called here.
    pub issuer_name: String,
    /// As what its issuer speaks, if it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// From when it holds.
    pub valid_from: Time,
    /// Until when it holds, by itself and by its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Why it does not count, if it does not: the check, and what it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<(String, String)>,
    /// Since when it is here.
    pub at: Time,
    /// Who brought it.
    pub by: String,
}

impl CredentialReport {
    pub(super) fn of(
        record: &CredentialRecord,
        credential: &Credential,
        issuer_name: String,
        standing: Result<Verified, Refusal>,
    ) -> Self {
        let (role, expires, refused) = match standing {
            Ok(verified) => (Some(verified.authority.role.to_string()), verified.expires, None),
            Err(why) => (None, credential.valid_until, Some((why.check.to_string(), why.detail))),
        };
        let (about, says) = said(&credential.claim);
        Self {
            id: record.id.clone(),
            claim: credential.claim.kind().to_string(),
            about,
            says,
            issuer: credential.issuer.fingerprint(),
            issuer_name,
            role,
            valid_from: credential.valid_from,
            expires,
            refused,
            at: record.at,
            by: record.by.clone(),
        }
    }
}

fn said(claim: &Claim) -> (String, Option<String>) {
    let whom = |subject: &Subject| match subject {
        Subject::Device(key) => ni(*key),
        Subject::Type(name) => name.clone(),
    };
    match claim {
        Claim::ManufacturerTrust { manufacturer: key } | Claim::DeviceTrust { device: key } => (ni(*key), None),
        Claim::TypeBinding { device, device_type } => (ni(*device), Some(device_type.clone())),
        Claim::Ownership { device, owner } => (ni(*device), Some(ni(*owner))),
        Claim::TestResult { subject, certificate } => (whom(subject), Some(certificate.clone())),
        Claim::Vulnerability { subject, id, score } => (whom(subject), Some(format!("{id} ({score})"))),
        Claim::Retraction { credential } => (credential.clone(), None),
    }
}

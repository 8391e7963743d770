//! What the registrar keeps besides what its cores write down.

use landfall_brski::est::server::Issued;
use landfall_lifecycle::network::Revocation;
use landfall_policy::Policy;
use landfall_store::{ReadError, Snapshot, Store, Versioned};
use landfall_types::{DeviceId, Fingerprint, Record, Time};
use serde::{Deserialize, Serialize};

/// A certificate that this domain gave a device, and whether it still counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// What was issued.
    pub issued: Issued,
    /// The SHA-256 of the issuer's name, if a CA elsewhere issued it: that one numbers them as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Fingerprint>,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
    /// Whether its key was proven to live in hardware and not to be able to leave it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hardware_backed: bool,
}

/// What the log says of a certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CertificateEntry<'a> {
    at: Time,
    serial: &'a str,
    device: &'a DeviceId,
    fingerprint: &'a Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<&'a Revocation>,
}

impl CertificateRecord {
    const BY_FINGERPRINT: &'static str = "fingerprint";
    const BY_KEY: &'static str = "key";
    const BY_DEVICE: &'static str = "device";
    const BY_STATUS: &'static str = "status";
    /// The most certificates that one device or key is expected to have had.
    const MOST: usize = 1000;

    pub(crate) const fn new(issued: Issued) -> Self {
        Self { issued, elsewhere: None, revoked: None, hardware_backed: false }
    }

    /// The record of a certificate that a CA elsewhere issued, the SHA-256 of whose name is `issuer`.
    pub(crate) const fn elsewhere(issued: Issued, issuer: Fingerprint) -> Self {
        Self { issued, elsewhere: Some(issuer), revoked: None, hardware_backed: false }
    }

    /// What the log says of it.
    pub(crate) fn log_entry(&self) -> CertificateEntry<'_> {
        CertificateEntry {
            at: self.revoked.as_ref().map_or(self.issued.at, |revoked| revoked.at),
            serial: &self.issued.serial,
            device: &self.issued.device.id,
            fingerprint: &self.issued.fingerprint,
            revoked: self.revoked.as_ref(),
        }
    }

    /// The certificate with that SHA-256.
    pub fn by_fingerprint(
        store: &Snapshot<'_>,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Versioned<Self>>, ReadError> {
        Ok(store.find_by(Self::BY_FINGERPRINT, &fingerprint.to_string(), 1)?.pop())
    }

    /// The latest certificate for a key that was not revoked.
    pub fn latest_for_key(store: &Snapshot<'_>, key: &Fingerprint) -> Result<Option<Self>, ReadError> {
        let found = store.find_by::<Self>(Self::BY_KEY, &key.to_string(), Self::MOST)?;
        let good = found.into_iter().map(|found| found.record).filter(|record| record.revoked.is_none());
        Ok(good.max_by_key(|record| record.issued.at))
    }

    /// Every certificate of a device, the earliest first.
    pub fn of_device(store: &Store, device: &DeviceId) -> Result<Vec<Versioned<Self>>, ReadError> {
        let mut found = store.find_by::<Self>(Self::BY_DEVICE, device.as_str(), Self::MOST)?;
        found.sort_by_key(|record| record.issued.at);
        Ok(found)
    }

    /// Every certificate that was revoked.
    pub fn all_revoked(store: &Store) -> Result<Vec<Self>, ReadError> {
        let found = store.find_by::<Self>(Self::BY_STATUS, "revoked", usize::MAX >> 1)?;
        Ok(found.into_iter().map(|record| record.record).collect())
    }
}

impl Record for CertificateRecord {
    const COLLECTION: &'static str = "domain-certificate";

    fn key(&self) -> String {
        match &self.elsewhere {
            None => self.issued.serial.clone(),
            Some(issuer) => format!("{}-{issuer}", self.issued.serial),
        }
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let always = [
            (Self::BY_FINGERPRINT, self.issued.fingerprint.to_string()),
            (Self::BY_KEY, self.issued.key.to_string()),
            (Self::BY_DEVICE, self.issued.device.id.to_string()),
        ];
        // Only those are looked for by their status that count no more.
        let revoked = self.revoked.iter().map(|_| (Self::BY_STATUS, "revoked".to_owned()));
        always.into_iter().chain(revoked).collect()
    }
}

/// The latest revocation list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlRecord {
    /// Its number (RFC 5280 s5.2.3).
    pub number: u64,
    /// The list, in PEM.
    pub pem: String,
}

impl CrlRecord {
    /// The one key.
    pub const KEY: &'static str = "crl";
}

impl Record for CrlRecord {
    const COLLECTION: &'static str = "domain-crl";

    fn key(&self) -> String {
        Self::KEY.into()
    }
}

/// The policy that an operator set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// The policy.
    pub policy: Policy,
    /// Since when.
    pub since: Time,
}

impl PolicyRecord {
    /// The one key.
    pub const KEY: &'static str = "policy";
}

impl Record for PolicyRecord {
    const COLLECTION: &'static str = "network-policy";

    fn key(&self) -> String {
        Self::KEY.into()
    }
}

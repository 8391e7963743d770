//! The certificates that the domain's CA issued.

use super::sortable;
use landfall_types::{DeviceId, Fault, Fingerprint, Record, Refusal, Time};
use serde::{Deserialize, Serialize};

/// A certificate that the domain's CA issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IssuedCertificate {
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// The device that it was issued to.
    pub device: DeviceId,
    /// Its subject, for people.
    pub subject: String,
    /// From when it is valid.
    pub not_before: Time,
    /// Until when it is valid.
    pub not_after: Time,
    /// When it was issued.
    pub issued: Time,
    /// The SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// The SHA-256 of its public key info.
    pub key: Fingerprint,
    /// The certificate, in PEM.
    pub certificate: String,
    /// Whether it still counts.
    pub status: CertificateStatus,
}

/// Whether a certificate still counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum CertificateStatus {
    /// It does, until it expires.
    Good,
    /// It was revoked.
    Revoked(Revocation),
}

/// When and why a certificate was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Revocation {
    /// When.
    pub at: Time,
    /// Who did it.
    pub by: String,
    /// Why, in that one's words.
    pub why: String,
}

impl IssuedCertificate {
    /// The index by device.
    pub const BY_DEVICE: &'static str = "device";
    /// The index by the certificate's SHA-256.
    pub const BY_FINGERPRINT: &'static str = "fingerprint";
    /// The index by end of validity, which sorts as time does.
    pub const BY_EXPIRY: &'static str = "not-after";
    /// The index of revoked certificates (`revoked`) and of others (`good`).
    pub const BY_STATUS: &'static str = "status";

    /// Whether it was not revoked; it may have expired.
    pub const fn is_good(&self) -> bool {
        matches!(self.status, CertificateStatus::Good)
    }

    /// After its revocation; the first one counts.
    pub fn revoked(mut self, revocation: Revocation) -> Result<Self, Refusal> {
        if !self.is_good() {
            let detail = format!("the certificate {} has been revoked already", self.serial);
            return Err(Refusal::new(Fault::Denied, "certificate-good", "RFC 5280 s5.3", detail));
        }
        self.status = CertificateStatus::Revoked(revocation);
        Ok(self)
    }
}

impl Record for IssuedCertificate {
    const COLLECTION: &'static str = "issued-certificate";

    fn key(&self) -> String {
        self.serial.clone()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let status = if self.is_good() { "good" } else { "revoked" };
        vec![
            (Self::BY_DEVICE, self.device.to_string()),
            (Self::BY_FINGERPRINT, self.fingerprint.to_string()),
            (Self::BY_EXPIRY, sortable(self.not_after)),
            (Self::BY_STATUS, status.into()),
        ]
    }
}

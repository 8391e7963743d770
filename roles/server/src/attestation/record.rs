//! What is kept of an appraisal.

use landfall_assurance::{Fact, Kind};
use landfall_attest::{BootState, Tier};
use landfall_types::{DeviceId, Fingerprint, Record, Time};
use serde::{Deserialize, Serialize};

/// The latest attestation result of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttestationRecord {
    /// The device.
    pub device: DeviceId,
    /// When it was appraised.
    pub at: Time,
    /// Until when that is to be believed.
    pub expires: Time,
    /// How far it may be trusted.
    pub tier: Tier,
    /// What its evidence rests on: `tpm`, `software`, `none`.
    pub root: String,
    /// The release of its firmware, if it is a known one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// What came of it, in words.
    pub why: String,
    /// The result as an EAR.
    pub ear: String,
    /// The key that signed that.
    pub verifier: Fingerprint,
    /// Where its TPM's counters stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootState>,
}

impl Record for AttestationRecord {
    const COLLECTION: &'static str = "attestation";

    fn key(&self) -> String {
        self.device.to_string()
    }
}

impl AttestationRecord {
    /// The log of results.
    pub(crate) const LOG: &'static str = "attestations";

    /// What the log says of it.
    pub(crate) fn entry(&self) -> serde_json::Value {
        serde_json::json!({
            "at": self.at, "device": self.device, "tier": self.tier, "root": self.root, "firmware": self.firmware,
            "why": self.why,
        })
    }

    /// The same as facts for policy.
    pub fn facts(&self) -> Vec<Fact> {
        let fact = |kind, value: &str| Fact {
            subject: self.device.clone(),
            kind,
            value: value.into(),
            // One source, whatever the evidence rested on: the newest result counts, and not the worst that there ever was.
            source: "the evidence that the device showed last".into(),
            issuer: Some(self.verifier),
            at: self.at,
            expires: Some(self.expires),
            verifier: "attestation".into(),
        };
        let tier = fact(Kind::Attestation, self.tier.as_str());
        let firmware = self.firmware.as_deref().map(|firmware| fact(Kind::Firmware, firmware));
        std::iter::once(tier).chain(firmware).collect()
    }
}

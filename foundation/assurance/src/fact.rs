//! What is known of a device.

use landfall_policy::Value;
use landfall_types::{DeviceId, Fingerprint, Time};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that is known of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fact {
    /// The device that it is about.
    pub subject: DeviceId,
    /// What kind of thing it is.
    pub kind: Kind,
    /// What is the case.
    pub value: Value,
    /// From where, in words: `TPM quote`, `SBOM from the manufacturer`, `deny list feodo`.
    pub source: String,
    /// Who vouches for it: the fingerprint of the key that signed, never a name. None if it was observed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Fingerprint>,
    /// Since when.
    pub at: Time,
    /// Until when, if it does not hold for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Which part of Landfall verified it: `attestation`, `credentials`, `registrar`.
    pub verifier: String,
}

/// The kinds of facts. Each has one name, which policies write with underscores, and one shape of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Whether its manufacturer is trusted, by somebody who may say so.
    ManufacturerTrusted,
    /// Whether the device itself is trusted, by somebody who may say so.
    DeviceTrusted,
    /// What type of device it is: manufacturer and model, `acme/lamp`.
    DeviceType,
    /// Whether somebody who may say so has bound this device's key to that type.
    TypeBound,
    /// Who owns it.
    Owner,
    /// Its network credential: `none`, `good`, `renewal-due`, `expired`, `revoked`.
    Credential,
    /// Whether its birth key was proven to be in hardware.
    HardwareBacked,
    /// Whether the key of its network credential was.
    LdevidHardwareBacked,
    /// Whether its software is known, by a list of its components.
    SbomKnown,
    /// Whose lists of its components count: `owner`, `manufacturer`, or `device` for what it says itself.
    SbomSources,
    /// The worst vulnerability that is reachable in it, in tenths of the CVSS scale: 98 is 9.8, 0 is none known.
    VulnerabilityScore,
    /// Vulnerabilities in it that are known to be exploited (CISA KEV), by their names.
    KnownExploited,
    /// The age of the oldest vulnerability feed that its score rests on, in hours.
    FeedAgeHours,
    /// Addresses and names on deny lists that it has been in contact with.
    DenyListContact,
    /// Whether its communications intent is known and verified (RFC 8520).
    IntentKnown,
    /// Packets against its intent, dropped in the last minute.
    IntentViolations,
    /// What is unusual in its behaviour: detectors that have struck, by name.
    UnusualBehaviour,
    /// How its evidence was appraised: `affirming`, `warning`, `contraindicated`, `none` (draft-ietf-rats-ar4si tiers).
    Attestation,
    /// The release of its firmware, as its evidence tells it.
    Firmware,
    /// Tests that it has passed, by the names of their certificates.
    TestCertificates,
    /// The segment that it is in.
    Segment,
    /// Whether it has proven who it is, by the key that it was born with.
    IdentityProven,
    /// Whether its way from its manufacturer to its owner is on record.
    ProvenanceKnown,
    /// Whether it has been paid for.
    Paid,
    /// Whether it may be brought and used here by export law.
    ExportPermitted,
    /// Whether it may be used by its licence.
    Licensed,
    /// Whether it is as another service wants it, which manages or watches devices (CAEP 1.0).
    Compliant,
}

/// The shape of a fact's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Yes or no.
    Bool,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// Several texts.
    List,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 27] = [
        Self::ManufacturerTrusted,
        Self::DeviceTrusted,
        Self::DeviceType,
        Self::TypeBound,
        Self::Owner,
        Self::Credential,
        Self::HardwareBacked,
        Self::LdevidHardwareBacked,
        Self::SbomKnown,
        Self::SbomSources,
        Self::VulnerabilityScore,
        Self::KnownExploited,
        Self::FeedAgeHours,
        Self::DenyListContact,
        Self::IntentKnown,
        Self::IntentViolations,
        Self::UnusualBehaviour,
        Self::Attestation,
        Self::Firmware,
        Self::TestCertificates,
        Self::Segment,
        Self::IdentityProven,
        Self::ProvenanceKnown,
        Self::Paid,
        Self::ExportPermitted,
        Self::Licensed,
        Self::Compliant,
    ];

    /// Its name, in kebab-case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ManufacturerTrusted => "manufacturer-trusted",
            Self::DeviceTrusted => "device-trusted",
            Self::DeviceType => "device-type",
            Self::TypeBound => "type-bound",
            Self::Owner => "owner",
            Self::Credential => "credential",
            Self::HardwareBacked => "hardware-backed",
            Self::LdevidHardwareBacked => "ldevid-hardware-backed",
            Self::SbomKnown => "sbom-known",
            Self::SbomSources => "sbom-sources",
            Self::VulnerabilityScore => "vulnerability-score",
            Self::KnownExploited => "known-exploited",
            Self::FeedAgeHours => "feed-age-hours",
            Self::DenyListContact => "deny-list-contact",
            Self::IntentKnown => "intent-known",
            Self::IntentViolations => "intent-violations",
            Self::UnusualBehaviour => "unusual-behaviour",
            Self::Attestation => "attestation",
            Self::Firmware => "firmware",
            Self::TestCertificates => "test-certificates",
            Self::Segment => "segment",
            Self::IdentityProven => "identity-proven",
            Self::ProvenanceKnown => "provenance-known",
            Self::Paid => "paid",
            Self::ExportPermitted => "export-permitted",
            Self::Licensed => "licensed",
            Self::Compliant => "compliant",
        }
    }

    /// The shape of its value.
    pub const fn shape(self) -> Shape {
        match self {
            Self::ManufacturerTrusted
            | Self::DeviceTrusted
            | Self::TypeBound
            | Self::HardwareBacked
            | Self::LdevidHardwareBacked
            | Self::SbomKnown
            | Self::IntentKnown
            | Self::IdentityProven
            | Self::ProvenanceKnown
            | Self::Paid
            | Self::ExportPermitted
            | Self::Licensed
            | Self::Compliant => Shape::Bool,
            Self::VulnerabilityScore | Self::FeedAgeHours | Self::IntentViolations => Shape::Number,
            Self::DeviceType | Self::Owner | Self::Credential | Self::Attestation | Self::Firmware | Self::Segment => {
                Shape::Text
            }
            Self::SbomSources
            | Self::KnownExploited
            | Self::DenyListContact
            | Self::UnusualBehaviour
            | Self::TestCertificates => Shape::List,
        }
    }
}

impl Kind {
    /// Its name as policies write it: `context.vulnerability_score`.
    pub fn attribute(self) -> String {
        self.name().replace('-', "_")
    }

    /// The kind with that name, in kebab-case or as policies write it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name || kind.attribute() == name)
    }

    /// What speaks for a device, which counts for as long as an operator has it that nothing need be known yet; None where
    /// no value does.
    pub fn favourable(self) -> Option<Value> {
        match (self, self.shape()) {
            (Self::Attestation, _) => Some("affirming".into()),
            (Self::Credential, _) => Some("good".into()),
            (Self::SbomSources | Self::TestCertificates, _) | (_, Shape::Text) => None,
            (_, Shape::Bool) => Some(true.into()),
            (_, Shape::Number) => Some(0.into()),
            (_, Shape::List) => Some(Vec::new().into()),
        }
    }
}

impl Fact {
    /// Whether it still holds at `now`; at the moment that it expires it does not.
    pub fn holds(&self, now: Time) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// The fact that takes this one back at `now`.
    #[must_use]
    pub fn withdrawn(self, now: Time) -> Self {
        Self { at: now, expires: Some(now), ..self }
    }

    /// Whether it ends when it begins: its source takes back what it told.
    pub fn is_withdrawal(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= self.at)
    }

    /// Whether its value has the shape of its kind.
    pub const fn is_well_formed(&self) -> bool {
        matches!(
            (self.kind.shape(), &self.value),
            (Shape::Bool, Value::Bool(_))
                | (Shape::Number, Value::Number(_))
                | (Shape::Text, Value::Text(_))
                | (Shape::List, Value::List(_))
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

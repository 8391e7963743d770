//! Process 3 (the guide's 4.3): what the registrar and its CA know of the devices in their domain.
//!
//! How a device's record changes is told in [`device`](crate::device).

mod certificate;
mod credential;
mod guest;
mod quarantine;
mod usage;

pub use certificate::Revocation;
pub use credential::{CREDENTIAL_LOG, NetworkCredential, SharedSecret};
pub use guest::GuestPermit;
pub use quarantine::Quarantine;
pub use usage::{Learnt, MudSource};

use crate::{device::State, transfer::Via};
use landfall_brski::voucher::Assertion;
use landfall_policy::{Decision, Facts, Verdict, acceptance};
use landfall_types::{
    DeviceId, DomainId, Fingerprint, Model, OwnerId, Record, SerialNumber, Time, VendorId, id::InvalidId,
};
use serde::{Deserialize, Serialize};

/// The log of everything that happened to devices in this domain.
pub const LOG: &str = "network-devices";
/// The log of every certificate that was issued or revoked.
pub const CERTIFICATE_LOG: &str = "network-certificates";

/// How many reports of a device are kept; the log has them all.
const REPORTS: usize = 8;

/// Who a device is, as its IDevID says it, or as it stands in the book of who can bootstrap it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// Its id: its manufacturer's issuing key, and its serial number; or its tenant and its bootstrapping key.
    pub device: DeviceId,
    /// Its serial number; of a device that is known by its bootstrapping key only, the beginning of the key's hash.
    pub serial_number: SerialNumber,
    /// Its manufacturer, as the operator names it: the one whose anchors its IDevID chains to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<VendorId>,
    /// Its model, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// What it was born with.
    #[serde(flatten)]
    pub birth: Birth,
}

/// What a device is born with, and known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "kebab-case")]
pub enum Birth {
    /// A certificate of its manufacturer.
    IDevId {
        /// The SHA-256 of its IDevID.
        idevid: Fingerprint,
        /// The SHA-256 of its key, by which others speak of it. Records of old have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        birth_key: Option<Fingerprint>,
        /// Whether the manufacturer has verified that its key lives in hardware.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hardware_backed: bool,
    },
    /// A bootstrapping key, in the book of a tenant.
    Bootstrapping {
        /// Whose book.
        tenant: OwnerId,
        /// The SHA-256 of the key.
        bootstrap_hash: Fingerprint,
    },
}

impl Birth {
    /// The SHA-256 of the key that it was born with, if it is on record.
    pub const fn key(&self) -> Option<Fingerprint> {
        match self {
            Self::IDevId { birth_key, .. } => *birth_key,
            Self::Bootstrapping { bootstrap_hash, .. } => Some(*bootstrap_hash),
        }
    }

    /// Whether its key was verified to live in hardware.
    pub const fn is_hardware_backed(&self) -> bool {
        matches!(self, Self::IDevId { hardware_backed: true, .. })
    }
}

impl Identity {
    /// A device that `tenant` knows by its bootstrapping key. Its id holds the tenant, since no tenant sees what
    /// another one had to do with the same device.
    pub fn bootstrapped(
        tenant: &OwnerId,
        bootstrap_hash: Fingerprint,
        serial_number: Option<SerialNumber>,
        model: Option<Model>,
    ) -> Result<Self, InvalidId> {
        let serial_number = match serial_number {
            Some(serial_number) => serial_number,
            None => bootstrap_hash.to_string().chars().take(16).collect::<String>().try_into()?,
        };
        let device = Self::bootstrapped_id(tenant, &bootstrap_hash)?;
        let birth = Birth::Bootstrapping { tenant: tenant.clone(), bootstrap_hash };
        Ok(Self { device, serial_number, vendor: None, model, birth })
    }

    /// The id of the device that `tenant` knows by the bootstrapping key with that hash.
    pub fn bootstrapped_id(tenant: &OwnerId, bootstrap_hash: &Fingerprint) -> Result<DeviceId, InvalidId> {
        format!("{tenant}.dpp.{bootstrap_hash}").parse()
    }

    /// The tenant in whose book it is, if it is known by its bootstrapping key.
    pub const fn tenant(&self) -> Option<&OwnerId> {
        match &self.birth {
            Birth::Bootstrapping { tenant, .. } => Some(tenant),
            Birth::IDevId { .. } => None,
        }
    }

    /// Whether its serial number is really one.
    fn has_serial_number(&self) -> bool {
        match &self.birth {
            Birth::IDevId { .. } => true,
            Birth::Bootstrapping { bootstrap_hash, .. } => {
                !bootstrap_hash.to_string().starts_with(self.serial_number.as_str())
            }
        }
    }
}

/// What a domain knows of one device. Devices that wait for an operator's approval are those with the state
/// `awaiting-approval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DomainDevice {
    /// Who it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// How far it has come.
    pub state: State,
    /// When it was first seen.
    pub first_seen: Time,
    /// When its state last changed.
    pub since: Time,
    /// When it last asked for something.
    pub last_asked: Time,
    /// The latest decision about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Ruled>,
    /// What an operator said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The latest voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<VoucherSeen>,
    /// What its manufacturer's audit log said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistorySeen>,
    /// What it reported, the latest last; only the last few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<Report>,
    /// The serial number of its latest certificate, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The latest configuration by Wi-Fi Easy Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationSeen>,
    /// Where its MUD file is, as its certificate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mud: Option<MudSource>,
    /// The same as whoever is behind its port has claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mud_claim: Option<MudSource>,
}

/// A configuration that a device was given by Wi-Fi Easy Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigurationSeen {
    /// When.
    pub at: Time,
    /// How the device had become known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced: Option<Via>,
    /// The networks that it was configured for, the best first.
    pub networks: Vec<String>,
    /// What it wanted to be: `sta`, `ap`.
    pub role: String,
    /// Whether it authenticated the network too. If not, it took whoever had its bootstrapping key: the resurrecting
    /// duckling (SP 1800-36B 6.1.2).
    pub network_authenticated: bool,
    /// The SHA-256 of its key in the network.
    pub key: Fingerprint,
    /// When the first of its connectors ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Where its description is (RFC 8520), if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mud_url: Option<String>,
    /// What others put into its request, under their names.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// A decision, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ruled {
    /// When.
    pub at: Time,
    /// What.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What an operator said about a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approval {
    /// Whether it may come in.
    pub approved: bool,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Time,
    /// The other domains that the manufacturer's audit log had named until then: it was said knowing of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub knowing: Vec<DomainId>,
}

/// A voucher that the registrar passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VoucherSeen {
    /// When.
    pub at: Time,
    /// How the MASA says that it knows the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
    /// Whether it was one that had been fetched ahead.
    pub from_stock: bool,
    /// The SHA-256 of its bytes.
    pub fingerprint: Fingerprint,
}

/// What a manufacturer's audit log said of a device (RFC 8995 s5.8.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HistorySeen {
    /// When it was read.
    pub at: Time,
    /// How many vouchers it lists.
    pub events: u64,
    /// Other domains in it.
    pub foreign_domains: Vec<DomainId>,
    /// Other domains that had vouchers without a nonce, and could take the device over.
    pub foreign_nonceless: Vec<DomainId>,
    /// How many events had been left out for length.
    pub left_out: u64,
}

/// What a device reported (RFC 8995 s5.7 and s5.9.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// When.
    pub at: Time,
    /// About what.
    pub about: ReportKind,
    /// Whether it went well.
    pub success: bool,
    /// Why not, in the device's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it came over a connection made with the certificate that it had just been issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_new_certificate: Option<bool>,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    /// The voucher (RFC 8995 s5.7).
    Voucher,
    /// The enrolment (RFC 8995 s5.9.4).
    Enrolment,
    /// Whether it takes its configuration (DPP s6.4.4).
    Configuration,
    /// Whether it got onto the network (DPP s6.4.5).
    Connection,
}

impl DomainDevice {
    /// The index by state.
    pub const BY_STATE: &'static str = "state";
    /// The index by serial number.
    pub const BY_SERIAL: &'static str = "serial-number";

    /// A device that shows itself for the first time.
    pub const fn seen(identity: Identity, now: Time) -> Self {
        Self {
            identity,
            state: State::Seen,
            first_seen: now,
            since: now,
            last_asked: now,
            decision: None,
            approval: None,
            voucher: None,
            history: None,
            reports: Vec::new(),
            certificate: None,
            configuration: None,
            mud: None,
            mud_claim: None,
        }
    }

    /// What an acceptance policy may ask about the device.
    pub fn facts(&self, now: Time) -> Facts {
        let identity = &self.identity;
        let source = match identity.birth {
            Birth::IDevId { .. } => "IDevID",
            Birth::Bootstrapping { .. } => "device book",
        };
        let mut facts = Facts::new().with(acceptance::DEVICE, identity.device.as_str(), source, now).with(
            acceptance::REVOKED,
            self.state == State::Revoked,
            "our records",
            now,
        );
        facts = facts.with(acceptance::HARDWARE_BACKED, identity.birth.is_hardware_backed(), source, now);
        if identity.has_serial_number() {
            facts = facts.with(acceptance::SERIAL_NUMBER, identity.serial_number.as_str(), source, now);
        }
        if let Some(vendor) = &identity.vendor {
            facts = facts.with(acceptance::MANUFACTURER, vendor.as_str(), "trust anchors", now);
        }
        if let Some(model) = &identity.model {
            facts = facts.with(acceptance::MODEL, model.as_str(), source, now);
        }
        if let Some(Approval { approved, by, at, .. }) = self.approval() {
            let name = if *approved { acceptance::APPROVED } else { acceptance::REJECTED };
            facts = facts.with(name, true, by, *at);
        }
        if let Some(history) = &self.history {
            let domains: Vec<_> = history.foreign_domains.iter().map(ToString::to_string).collect();
            facts = facts.with(acceptance::FOREIGN_DOMAINS, domains, "MASA audit log", history.at).with(
                acceptance::FOREIGN_OWNER,
                self.has_foreign_owner(),
                "MASA audit log",
                history.at,
            );
        }
        facts
    }

    /// What an operator said about it. What was said before it left was said about its former life here.
    pub fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref().filter(|_| self.state != State::Retired)
    }

    /// Whether its manufacturer's audit log names another domain that no operator knew of when letting it in (RFC 8995
    /// s5.8.3).
    pub fn has_foreign_owner(&self) -> bool {
        let known = |domain: &DomainId| {
            self.approval().is_some_and(|approval| approval.approved && approval.knowing.contains(domain))
        };
        self.history.as_ref().is_some_and(|history| !history.foreign_domains.iter().all(known))
    }

    /// The policy's decision; where it asks for a person, what a person has said already is the answer, unless it was a yes
    /// without knowing of a foreign owner.
    pub fn settled(&self, decision: Decision) -> Decision {
        match (decision.verdict, self.approval()) {
            (Verdict::Ask, Some(approval)) if !(approval.approved && self.has_foreign_owner()) => {
                let verdict = if approval.approved { Verdict::Permit } else { Verdict::Deny };
                Decision::because(verdict, "operator", format!("{} said so", approval.by))
            }
            _ => decision,
        }
    }

    /// Keeps `report`, and forgets the oldest if there are too many.
    pub(crate) fn add_report(&mut self, report: Report) {
        self.reports.push(report);
        let excess = self.reports.len().saturating_sub(REPORTS);
        self.reports.drain(..excess);
    }
}

impl Record for DomainDevice {
    const COLLECTION: &'static str = "domain-device";

    fn key(&self) -> String {
        self.identity.device.to_string()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        vec![(Self::BY_STATE, self.state.to_string()), (Self::BY_SERIAL, self.identity.serial_number.to_string())]
    }
}

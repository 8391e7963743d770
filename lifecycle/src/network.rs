//! Process 3 (the guide's 4.3): what the registrar and its CA know of the devices in their domain.
//!
//! How a device's record changes is told in [`device`](crate::device).

mod certificate;

pub use certificate::Revocation;

use crate::device::State;
use landfall_brski::voucher::Assertion;
use landfall_policy::{Decision, Facts, acceptance};
use landfall_types::{DeviceId, DomainId, Fingerprint, Model, Record, SerialNumber, Time, VendorId};
use serde::{Deserialize, Serialize};

/// The log of everything that happened to devices in this domain.
pub const LOG: &str = "network-devices";
/// The log of every certificate that was issued or revoked.
pub const CERTIFICATE_LOG: &str = "network-certificates";

/// How many reports of a device are kept; the log has them all.
const REPORTS: usize = 8;

/// Who a device is, as its IDevID says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// Its id: its manufacturer's issuing key, and its serial number.
    pub device: DeviceId,
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// Its manufacturer, as the operator names it: the one whose anchors its IDevID chains to.
    pub vendor: VendorId,
    /// Its model, if its IDevID says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The SHA-256 of its IDevID.
    pub idevid: Fingerprint,
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
}

impl DomainDevice {
    /// The index by state.
    pub const BY_STATE: &'static str = "state";
    /// The index by manufacturer.
    pub const BY_VENDOR: &'static str = "vendor";
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
        }
    }

    /// What an acceptance policy may ask about the device.
    pub fn facts(&self, now: Time) -> Facts {
        let identity = &self.identity;
        let mut facts = Facts::new()
            .with(acceptance::DEVICE, identity.device.as_str(), "IDevID", now)
            .with(acceptance::SERIAL_NUMBER, identity.serial_number.as_str(), "IDevID", now)
            .with(acceptance::MANUFACTURER, identity.vendor.as_str(), "trust anchors", now)
            .with(acceptance::REVOKED, self.state == State::Revoked, "our records", now);
        if let Some(model) = &identity.model {
            facts = facts.with(acceptance::MODEL, model.as_str(), "IDevID", now);
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
        vec![
            (Self::BY_STATE, self.state.to_string()),
            (Self::BY_VENDOR, self.identity.vendor.to_string()),
            (Self::BY_SERIAL, self.identity.serial_number.to_string()),
        ]
    }
}

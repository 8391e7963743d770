//! Process 2 (the guide's 4.2): who owns a device, and who may have a voucher for it.
//!
//! The manufacturer's sales records and the ownership of each device are kept at the MASA. [`claim`] decides about one
//! voucher; [`Ownership::sold`] and [`Ownership::released`] are how devices change hands. For Wi-Fi Easy Connect,
//! [`Bootstrapping`] is a device in the book of whoever may act for it, and a [`Tenant`] of the supply chain service has
//! such a book.

mod bootstrapping;
mod claim;
mod ownership;
mod tenancy;

pub use bootstrapping::{Bootstrapping, DppRole, Held, Via};
pub use claim::{Claimant, Grant, Issue, claim};
pub use ownership::{Basis, Holding, NoncelessVoucher, Ownership, Past};
pub use tenancy::{Arrival, Awaited, Feed, Intake, SUPPLY_LOG, SupplyEvent, Tenant, Token};

use landfall_brski::voucher::Assertion;
use landfall_types::{DeviceId, DomainId, Fingerprint, OwnerId, Record, Time};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The log of every voucher that the MASA issued.
pub const ISSUED_LOG: &str = "masa-issued";
/// The log of every change of ownership.
pub const OWNERSHIP_LOG: &str = "masa-ownership";

/// A customer of the manufacturer, and how its registrars are recognised (RFC 8995 s11.1, "know your customer").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Customer {
    /// Its name in the sales records.
    pub owner: OwnerId,
    /// The SHA-256 of its registrar certificates, or of the domain CA certificates that issue them.
    #[serde(default)]
    pub certificates: Vec<Fingerprint>,
    /// The domain ids of its registrars or CAs (RFC 8995 s5.8.2).
    #[serde(default)]
    pub domains: Vec<DomainId>,
    /// Whether it may have vouchers without a nonce (RFC 8995 s7.4.1).
    #[serde(default)]
    pub nonceless: bool,
}

impl Customer {
    /// The index by certificate.
    pub const BY_CERTIFICATE: &'static str = "certificate";
    /// The index by domain id.
    pub const BY_DOMAIN: &'static str = "domain";
}

impl Record for Customer {
    const COLLECTION: &'static str = "customer";

    fn key(&self) -> String {
        self.owner.to_string()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let certificates = self.certificates.iter().map(|fingerprint| (Self::BY_CERTIFICATE, fingerprint.to_string()));
        let domains = self.domains.iter().map(|domain| (Self::BY_DOMAIN, domain.to_string()));
        certificates.chain(domains).collect()
    }
}

/// A sale, as it comes from the sales system (RFC 8995 s10.1 calls it sales channel integration).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sale {
    /// Its number in the sales system.
    pub id: String,
    /// When.
    pub at: Time,
    /// Who bought.
    pub buyer: OwnerId,
    /// Who sold, if it was not the manufacturer: an owner that sells on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<OwnerId>,
    /// What was sold.
    pub devices: Vec<DeviceId>,
}

impl Record for Sale {
    const COLLECTION: &'static str = "sale";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// How a MASA decides who owns a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TransferPolicy {
    /// How ownership is established.
    pub ownership: Mode,
    /// Whether the first domain to ask for an unsold device must show that the device sees it (RFC 8995 s7.4.2).
    pub first_use_needs_proximity: bool,
    /// Whether vouchers without a nonce are issued at all (RFC 8995 s7.4.1).
    pub nonceless: bool,
    /// How long a voucher without a nonce is good for, in days; the 20 minutes of RFC 8995 s5.6 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonceless_days: Option<u32>,
    /// The last day on which vouchers without a nonce are issued and renewed, if that is settled: they tell it as their
    /// last-renewal-date (RFC 8366 s5.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_renewal: Option<Time>,
}

/// How ownership is established.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Only by a record of the sale.
    #[default]
    SalesRecord,
    /// By being the first to ask (RFC 8995 s7.4.2). A sale does not count: the first who asks takes its place.
    TrustOnFirstUse,
    /// By a record of the sale; what has not been sold belongs to the first who asks.
    Both,
}

impl Default for TransferPolicy {
    fn default() -> Self {
        Self {
            ownership: Mode::default(),
            first_use_needs_proximity: true,
            nonceless: true,
            nonceless_days: Some(365),
            last_renewal: None,
        }
    }
}

impl TransferPolicy {
    /// Until when a voucher without a nonce that is issued at `now` is good.
    pub fn nonceless_until(&self, now: Time) -> Option<Time> {
        self.nonceless_days.map(|days| now + Duration::from_secs(u64::from(days) * 86_400))
    }
}

/// A voucher that was issued: an entry of [`ISSUED_LOG`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VoucherEvent {
    /// The device.
    pub device: DeviceId,
    /// Which voucher for this device it was; the first has 1.
    pub number: u64,
    /// When.
    pub at: Time,
    /// The domain that was pinned.
    pub domain: DomainId,
    /// The nonce, if there was one.
    #[serde(default)]
    pub nonce: Option<String>,
    /// How ownership was established.
    pub assertion: Assertion,
    /// When the voucher expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// The owner by the sales records, if they say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// The SHA-256 of the certificate of the registrar that asked.
    pub registrar: Fingerprint,
    /// The SHA-256 of the voucher as it was sent.
    pub voucher: Fingerprint,
}

//! Customers, sales, and tenants of the supply chain service.

use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A customer: an owner whose registrars are recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewCustomer {
    /// Its name in the sales records.
    pub owner: String,
    /// Certificates of its domain, in PEM: of the CA that its registrars lead to, or of a registrar.
    pub certificates: Vec<String>,
    /// Whether it may have vouchers without a nonce, to fetch them ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonceless: Option<bool>,
}

/// A customer that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CustomerView {
    /// Its name in the sales records.
    pub owner: String,
    /// The SHA-256 of each certificate that it is recognised by.
    pub certificates: Vec<String>,
    /// Whether it may have vouchers without a nonce.
    pub nonceless: bool,
}

/// A sale of devices to an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewSale {
    /// The devices sold, by serial number.
    pub serial_numbers: Vec<String>,
    /// Who bought them: a customer that is known.
    pub owner: String,
    /// Who sold them, if it is not the manufacturer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<String>,
    /// The number of the order or invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

/// Who owns a device, as its manufacturer knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ownership {
    /// The device.
    pub device: String,
    /// Its serial number.
    pub serial_number: String,
    /// Who owns it by the sales records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Since when that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// On what the ownership rests; absent while nobody has the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// How many vouchers were issued for it.
    pub vouchers: u64,
    /// How many owners it had before.
    pub former_owners: u64,
}

/// Devices whose owner gives them up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resale {
    /// Which devices, by serial number.
    pub serial_numbers: Vec<String>,
    /// The owner who says so; without it, the manufacturer does on its behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What was done to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// How many.
    pub count: u64,
}

/// Serial numbers, each of which was done something to or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PerDevice {
    /// Done.
    pub done: Vec<String>,
    /// Not done, and why.
    pub failed: Vec<Failure>,
}

/// One that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The serial number.
    pub serial_number: String,
    /// Why.
    pub error: String,
}

/// A tenant of the supply chain service, to be made known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTenant {
    /// Its name.
    pub tenant: String,
    /// Certificates in PEM by which its clients are known; the first in each counts.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Whether a new token is made for it.
    #[serde(default)]
    pub token: bool,
    /// Whether the tokens that were made before are of no use any more.
    #[serde(default)]
    pub revoke_tokens: bool,
}

/// A tenant of the supply chain service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantView {
    /// Its name.
    pub tenant: String,
    /// The SHA-256 of certificates by which its clients are known.
    pub certificates: Vec<String>,
    /// How many tokens it has.
    pub tokens: u64,
    /// The token that was made just now: it is not kept and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

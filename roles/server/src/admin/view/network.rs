//! Devices of a domain, their certificates, and vouchers fetched ahead.

use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A device of this domain, or one that wanted to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its id here: the issuing key of its IDevID, and its serial number; or its tenant and its bootstrapping key.
    pub id: String,
    /// Its serial number.
    pub serial_number: String,
    /// In whose device book it is, if it came by Wi-Fi Easy Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its manufacturer, as the operator calls it; empty if it is not known.
    pub vendor: String,
    /// Its model, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether its manufacturer has verified that its birth key lives in hardware and cannot leave it.
    #[serde(default)]
    pub hardware_backed: bool,
    /// How far it is.
    pub state: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// When it last asked for something.
    #[schema(value_type = String, format = DateTime)]
    pub last_asked: Time,
    /// Why it is in that state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What it was configured with by Wi-Fi Easy Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Its certificates of this domain, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<IssuedCertificate>,
    /// What it told of itself, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telemetry: Vec<Telemetry>,
}

/// A configuration by Wi-Fi Easy Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Configuration {
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// How the device had become known: `qr`, `uri`, `nfc`, `file`, `upload`, `sale`, `pkex`, by a code, or
    /// `push-button`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced: Option<String>,
    /// For which networks, the best first.
    pub networks: Vec<String>,
    /// What the device is in them: `sta` or `ap`.
    pub role: String,
    /// Whether the device authenticated the network. If not, it took whoever had its bootstrapping key: the resurrecting
    /// duckling (SP 1800-36B 6.1.2).
    pub network_authenticated: bool,
    /// When the first of its connectors ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Time>,
    /// Where its description is (RFC 8520), if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mud_url: Option<String>,
    /// What others put into its request, under their names.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schema(value_type = Object)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// A certificate that this domain issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedCertificate {
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// Whose it is.
    pub device: String,
    /// Its subject.
    pub subject: String,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub not_before: Time,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Time,
    /// Whether its key was proven to live in the device's hardware and not to be able to leave it.
    #[serde(default)]
    pub hardware_backed: bool,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked: Option<Time>,
    /// The certificate itself.
    pub pem: String,
}

/// A status report of a device (RFC 8995 s5.7, s5.9.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Telemetry {
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// What about: `voucher` or `enrolment`.
    pub about: String,
    /// Whether the device was content.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it came over a connection made with the certificate issued here.
    pub with_new_certificate: bool,
}

/// A decision of an operator, or why there is one to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
}

/// A voucher fetched ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredVoucher {
    /// For which device.
    pub device: String,
    /// Its serial number.
    pub serial_number: String,
    /// Whose device it is.
    pub vendor: String,
    /// When it was fetched.
    #[schema(value_type = String, format = DateTime)]
    pub fetched: Time,
    /// Until when it is good.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Time,
}

/// Which vouchers to fetch ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Prefetch {
    /// Whose devices.
    pub vendor: String,
    /// Which.
    pub serial_numbers: Vec<String>,
    /// The certificate, in PEM, of the CA that issued their IDevIDs.
    pub issuer_certificate: String,
    /// Where their MASA is, if the settings do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masa: Option<String>,
}

/// What came of one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Prefetched {
    /// Which device.
    pub serial_number: String,
    /// The voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<StoredVoucher>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

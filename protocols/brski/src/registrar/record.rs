//! What a registrar writes down.

use super::{MasaEndpoint, Pledge};
use crate::voucher::{Assertion, Format, Nonce};
use landfall_types::{DeviceId, DomainId, Fingerprint, Record, SerialNumber, Time, VendorId};
use serde::{Deserialize, Serialize};

/// Bytes as base64 in JSON.
pub(crate) mod base64_bytes {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// How a device stands with this registrar: one record for each device, the latest request counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherRecord {
    /// The device.
    pub device: DeviceId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// Its vendor.
    pub vendor: VendorId,
    /// Its IDevID, in DER.
    #[serde(with = "base64_bytes")]
    pub idevid: Vec<u8>,
    /// The nonce that it chose.
    pub nonce: Option<Nonce>,
    /// Since when it stands so.
    pub at: Time,
    /// How it stands.
    pub standing: Standing,
}

/// How a device stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Standing {
    /// A person has to decide.
    Waiting {
        /// Why.
        why: String,
    },
    /// It was refused; what it had before counts no more (RFC 8995 s5.8.3: any EST action is to be refused too).
    Refused {
        /// Why.
        why: String,
    },
    /// It was handed a voucher.
    Accepted(Accepted),
}

/// What a device was let in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The voucher, as the MASA gave it.
    #[serde(with = "base64_bytes")]
    pub voucher: Vec<u8>,
    /// Its form.
    pub format: Format,
    /// What the MASA asserts in it.
    pub assertion: Assertion,
    /// The domain that it pins.
    pub domain: DomainId,
    /// Where it came from.
    pub source: Source,
    /// The MASA that the device depends on.
    pub masa: MasaEndpoint,
    /// The request that the MASA was or would have been asked with; the pledge's own request stands inside.
    #[serde(with = "base64_bytes")]
    pub request: Vec<u8>,
}

/// Where a voucher came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The MASA answered.
    Masa,
    /// The MASA could not be reached, and a voucher from before was used.
    Stored,
}

impl VoucherRecord {
    pub(super) fn new(pledge: &Pledge, nonce: Option<Nonce>, at: Time, standing: Standing) -> Self {
        Self {
            device: pledge.device.clone(),
            serial: pledge.serial.clone(),
            vendor: pledge.vendor.id.clone(),
            idevid: pledge.idevid.der().to_vec(),
            nonce,
            at,
            standing,
        }
    }

    /// When it was handed a voucher, if that still counts.
    pub const fn accepted_at(&self) -> Option<Time> {
        match self.standing {
            Standing::Accepted(_) => Some(self.at),
            _ => None,
        }
    }
}

impl Record for VoucherRecord {
    const COLLECTION: &'static str = "registrar-voucher";

    fn key(&self) -> String {
        self.device.to_string()
    }
}

/// A voucher fetched ahead, for when the MASA is out of reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefetchedVoucher {
    /// The device that it is for.
    pub device: DeviceId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// Its vendor.
    pub vendor: VendorId,
    /// The voucher.
    #[serde(with = "base64_bytes")]
    pub voucher: Vec<u8>,
    /// Its form.
    pub format: Format,
    /// When it was fetched.
    pub at: Time,
    /// Until when it is good.
    pub expires: Time,
    /// Where it was fetched.
    pub masa: MasaEndpoint,
}

impl Record for PrefetchedVoucher {
    const COLLECTION: &'static str = "registrar-prefetched-voucher";

    fn key(&self) -> String {
        self.device.to_string()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        vec![("vendor", self.vendor.to_string())]
    }
}

/// What a pledge reported (RFC 8995 s5.7, s5.9.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// About the voucher, or about the enrolment.
    pub about: About,
    /// Who reported, as far as its certificate tells.
    pub device: DeviceId,
    /// The certificate that it authenticated with.
    pub certificate: Fingerprint,
    /// What that certificate is to us; RFC 8995 s5.9.4 wants this in the log.
    pub presented: Presented,
    /// When.
    pub at: Time,
    /// Whether it worked.
    pub success: bool,
    /// Why not.
    pub reason: Option<String>,
    /// More, as JSON, as the pledge sent it.
    pub context: Option<serde_json::Value>,
    /// What an operator should look at: a newer version of the report, fields that are not known, a certificate that
    /// does not fit.
    pub alerts: Vec<String>,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// The voucher (s5.7).
    Voucher,
    /// The enrolment (s5.9.4).
    Enrolment,
}

/// What the certificate is that a report came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presented {
    /// The IDevID.
    Idevid,
    /// The LDevID that was issued to this device.
    IssuedLdevid,
}

impl Record for StatusRecord {
    const COLLECTION: &'static str = "registrar-status";

    fn key(&self) -> String {
        let about = match self.about {
            About::Voucher => "voucher",
            About::Enrolment => "enrolment",
        };
        format!("{}/{about}", self.device)
    }
}

//! Process 1 (the guide's 4.1 and H.1.1): the manufacturer's database.

mod dpp;
mod line;
mod serial;

pub use dpp::{DppProduct, DppRecord};
pub use line::{BadStation, Published, REJECTS_LOG, Reject, Station};
pub use serial::{BadSerial, SerialCounter, SerialRange, SerialScheme};

use landfall_pki::Algorithm;
use landfall_types::{DeviceId, Fault, Fingerprint, KeyUri, Model, Record, Refusal, SerialNumber, Time};
use serde::{Deserialize, Serialize};

/// The log of all that the factory did with devices.
pub const LOG: &str = "factory-devices";

/// How a device got its key (the guide's H.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Method 1: the device made it and asked for a certificate.
    OnDevice,
    /// Method 2: its secure element made it.
    InSecureElement,
    /// Method 3: the factory made it and loaded it.
    Loaded,
    /// Method 4: the factory of the secure element put it there, with its certificate.
    PreProvisioned,
    /// Method 5: it is derived from a seed that the chip's maker put into the device.
    FromSeed,
}

/// What is known of the TPM that a device's birth key lives in, because the factory had it proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HardwareProof {
    /// Who issued the TPM's endorsement certificate.
    pub maker: String,
    /// The SHA-256 of that certificate: one TPM is in one device.
    pub endorsement: String,
    /// The certificate, in PEM, of the key by which the TPM speaks of its others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<String>,
}

/// A device that was made: its row in the manufacturer's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactoryDevice {
    /// Its serial number, which no other device of the manufacturer has.
    pub serial_number: SerialNumber,
    /// Its id: the key that issued its IDevID, and its serial number.
    pub device: DeviceId,
    /// Its model.
    pub model: Model,
    /// How it got its key.
    pub method: Method,
    /// Its IDevID, in PEM.
    pub idevid: String,
    /// What stands between it and its root, in PEM, if not the manufacturer's own CA issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The SHA-256 of its IDevID.
    pub fingerprint: Fingerprint,
    /// The SHA-256 of its public key info.
    pub key: Fingerprint,
    /// Where its private key is, if the factory keeps it in an element of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_uri: Option<KeyUri>,
    /// In which TPM its private key lives, if that was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<HardwareProof>,
    /// What the seed is known by that its private key was derived from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Fingerprint>,
    /// Its bootstrapping key for Wi-Fi Easy Connect, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpp: Option<DppRecord>,
    /// The batch that it was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The station that made it, if not in a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<Station>,
    /// When it was made.
    pub made: Time,
    /// When and why it was struck off: it must not be onboarded by anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<Void>,
}

/// When and why a device was struck off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// When.
    pub at: Time,
    /// Why, in the words of whoever did it.
    pub why: String,
}

impl FactoryDevice {
    /// Whether the MASA may serve this device: it was made here and was not struck off.
    pub fn known(device: Option<&Self>) -> Result<&Self, Refusal> {
        let refused = |detail: String| Refusal::new(Fault::Denied, "voucher-device-known", "RFC 8995 s5.6", detail);
        let device = device.ok_or_else(|| refused("no device with this serial number was made here".into()))?;
        match &device.void {
            None => Ok(device),
            Some(void) => Err(refused(format!("{} was struck off: {}", device.serial_number, void.why))),
        }
    }

    /// The index by public key: one key belongs to one device. A key that the factory made itself belongs to no other, and
    /// does not stand here unless its device was struck off.
    pub const BY_KEY: &'static str = "key";
    /// The index by bootstrapping key.
    pub const BY_BOOTSTRAP: &'static str = "bootstrap";
    /// The index by the endorsement certificate of its TPM.
    pub const BY_ENDORSEMENT: &'static str = "endorsement";
    /// The index by seed: two devices with one seed would be a copy of each other.
    pub const BY_SEED: &'static str = "seed";
}

impl Record for FactoryDevice {
    const COLLECTION: &'static str = "factory-device";

    fn key(&self) -> String {
        self.serial_number.to_string()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let may_come_again = self.method != Method::Loaded || self.void.is_some();
        let key = may_come_again.then(|| (Self::BY_KEY, self.key.to_string())).into_iter();
        let dpp = self.dpp.iter().map(|dpp| (Self::BY_BOOTSTRAP, dpp.bootstrap_hash.to_string()));
        let tpm = self.hardware.iter().map(|tpm| (Self::BY_ENDORSEMENT, tpm.endorsement.clone()));
        let seed = self.seed.iter().map(|seed| (Self::BY_SEED, seed.to_string()));
        key.chain(dpp).chain(tpm).chain(seed).collect()
    }
}

/// Something that one device alone may have, by its name, and which device has it. The indexes of [`FactoryDevice`] tell the
/// same; but two stations may look at once, and find it free, and of two that write this record one fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Belonging {
    /// What it is: an index of [`FactoryDevice`] and its value.
    pub what: String,
    /// The device.
    pub serial_number: SerialNumber,
}

impl Record for Belonging {
    const COLLECTION: &'static str = "factory-belonging";

    fn key(&self) -> String {
        self.what.clone()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The name of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(String);

impl BatchId {
    /// The batch that got `range`: named after its first serial number, so that no two batches have one name.
    pub fn of(range: &SerialRange) -> Result<Self, BadSerial> {
        range.scheme.serial(range.first).map(|first| Self(first.to_string()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for BatchId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// What devices of one kind have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Product {
    /// The model.
    pub model: Model,
    /// How their serial numbers look.
    pub serials: SerialScheme,
    /// What their keys sign with.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Where their MASA is (RFC 8995 s2.3.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masa_url: Option<String>,
    /// Where their MUD file is (RFC 8520 s11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mud_url: Option<String>,
    /// How they are bootstrapped by Wi-Fi Easy Connect, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpp: Option<DppProduct>,
}

/// In what files the bundles of a batch are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundleForm {
    /// One for each device, `SERIAL.json`, for stations that load one device at a time.
    #[default]
    File,
    /// One for up to 512 devices, `FIRST.jsonl`, with a line for each (JSON Lines): for lines that load many, and fast.
    Lines,
}

impl BundleForm {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A number of devices to be made alike, with the serial numbers set aside for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// What they are.
    pub product: Product,
    /// How the devices get their keys.
    pub method: Method,
    /// Their serial numbers.
    pub range: SerialRange,
    /// In what files their bundles are.
    #[serde(default, skip_serializing_if = "BundleForm::is_default")]
    pub bundles: BundleForm,
    /// The station that makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<Station>,
    /// When it was planned.
    pub planned: Time,
    /// When the last device was made, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
}

impl Batch {
    /// The index of batches that are not finished; its value is `yes` or `no`.
    pub const BY_FINISHED: &'static str = "finished";
}

impl Record for Batch {
    const COLLECTION: &'static str = "factory-batch";

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let finished = if self.finished.is_some() { "yes" } else { "no" };
        vec![(Self::BY_FINISHED, finished.into())]
    }
}

/// What the factory's log says of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum FactoryEvent {
    /// These were made, and recorded together.
    Made {
        /// The devices.
        devices: Vec<MadeDevice>,
        /// When they were recorded.
        at: Time,
    },
    /// One was struck off.
    Voided {
        /// Its serial number.
        serial_number: SerialNumber,
        /// Why.
        why: String,
        /// When.
        at: Time,
    },
}

/// A device that was made, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeDevice {
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// The SHA-256 of its IDevID.
    pub idevid: Fingerprint,
}

impl From<&FactoryDevice> for MadeDevice {
    fn from(device: &FactoryDevice) -> Self {
        Self { serial_number: device.serial_number.clone(), idevid: device.fingerprint }
    }
}

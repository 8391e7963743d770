//! The device book: which bootstrapping keys a tenant holds, and so for which devices it may act.

use landfall_types::{
    DeviceId, Fault, Fingerprint, Model, OwnerId, Record, Refusal, SerialNumber, Time, id::InvalidId,
};
use serde::{Deserialize, Serialize};

/// What a refusal here rests on: the guide's section on transfer.
const SECTION: &str = "NIST SP 1800-36B s4.2";

/// A device that a tenant can bootstrap by Wi-Fi Easy Connect, since it knows the device's public bootstrapping key.
///
/// A tenant and a bootstrapping key make one record; another tenant's record of the same key is another record, and no
/// look-up goes across tenants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bootstrapping {
    /// Whose book it is in.
    pub tenant: OwnerId,
    /// The SHA-256 of the bootstrapping key (DPP s4.2), as authentication requests name it.
    pub bootstrap_hash: Fingerprint,
    /// The SHA-256 of "chirp" and the bootstrapping key, as presence announcements name it.
    pub chirp_hash: Fingerprint,
    /// The bootstrapping URI (DPP s5.2.1) as it came.
    pub uri: String,
    /// The serial number, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<SerialNumber>,
    /// The model, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The device by its IDevID, if it has one and it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// What the device is to become in the network, if whoever registered it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<DppRole>,
    /// The hash of the configurator's key that was given to the device when it was made: it takes no other configurator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configurator: Option<Fingerprint>,
    /// When it came into the book.
    pub received: Time,
    /// How it came into the book.
    pub via: Via,
    /// Whether the tenant holds it still.
    #[serde(default)]
    pub state: Held,
}

/// What a device is to become in the network (DPP s6.4.2; the words of `dppRole`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DppRole {
    /// A station.
    Sta,
    /// An access point.
    Ap,
    /// A configurator.
    Configurator,
}

impl DppRole {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sta => "sta",
            Self::Ap => "ap",
            Self::Configurator => "configurator",
        }
    }

    /// The role with that word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Sta, Self::Ap, Self::Configurator].into_iter().find(|role| role.as_str() == word)
    }
}

/// How a device came into a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A QR picture.
    Qr,
    /// A URI that somebody typed or passed on.
    Uri,
    /// An NFC record.
    Nfc,
    /// A file with many.
    File,
    /// The interface of the supply chain service, from a manufacturer.
    Upload,
    /// A sale.
    Sale,
    /// PKEX: the key was learnt from the device by a code.
    Pkex,
    /// Push button: the key was learnt from the one device whose button was pushed together with the configurator's.
    PushButton,
}

impl Via {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qr => "qr",
            Self::Uri => "uri",
            Self::Nfc => "nfc",
            Self::File => "file",
            Self::Upload => "upload",
            Self::Sale => "sale",
            Self::Pkex => "pkex",
            Self::PushButton => "push-button",
        }
    }
}

/// Whether a tenant holds a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Held {
    /// It does.
    #[default]
    Held,
    /// It did: the device was sold on or given up.
    Released {
        /// When.
        at: Time,
    },
    /// It did, and took the device back from everyone: it was struck off. It stays the tenant's, so that nobody else registers
    /// it, and comes into no book again.
    Withdrawn {
        /// When.
        at: Time,
        /// Why, in the words of whoever did it.
        why: String,
    },
}

impl Bootstrapping {
    /// The index by chirp hash; its values are made by [`Bootstrapping::chirp_value`].
    pub const BY_CHIRP: &'static str = "chirp";
    /// The index by serial number; its values are made by [`Bootstrapping::serial_value`].
    pub const BY_SERIAL: &'static str = "serial-number";

    /// The key of the record of `tenant` for the device with that bootstrapping key.
    pub fn key_of(tenant: &OwnerId, bootstrap_hash: &Fingerprint) -> String {
        format!("{}{bootstrap_hash}", Self::keys_of(tenant))
    }

    /// What the keys of all records of `tenant` begin with, and of nobody else's.
    pub fn keys_of(tenant: &OwnerId) -> String {
        format!("{}/", tenant.as_str().replace('%', "%25").replace('/', "%2F"))
    }

    /// What [`Bootstrapping::BY_CHIRP`] has for the device of `tenant` that announces itself with `chirp_hash`.
    pub fn chirp_value(tenant: &OwnerId, chirp_hash: &Fingerprint) -> String {
        Self::key_of(tenant, chirp_hash)
    }

    /// What [`Bootstrapping::BY_SERIAL`] has for the devices of `tenant` with that serial number.
    pub fn serial_value(tenant: &OwnerId, serial: &SerialNumber) -> String {
        format!("{}{serial}", Self::keys_of(tenant))
    }

    /// What was found for a tenant, if it may act for the device: only then may a configurator answer.
    ///
    /// Authorization comes before authentication: a device that is not the tenant's gets no answer, and the refusal is
    /// for the operator alone.
    pub fn held(found: Option<&Self>) -> Result<&Self, Refusal> {
        let refused = |check, detail: String| Refusal::new(Fault::Denied, check, SECTION, detail);
        let found = found.ok_or_else(|| {
            refused("bootstrapping-known", "no device with this bootstrapping key is in the tenant's book".into())
        })?;
        match &found.state {
            Held::Held => Ok(found),
            Held::Released { at } => {
                Err(refused("bootstrapping-held", format!("{} was sold or given up on {at}", found.name())))
            }
            Held::Withdrawn { .. } => found.takeable().map(|()| found),
        }
    }

    /// Whether the device may come into its tenant's book again: not once it was struck off.
    pub fn takeable(&self) -> Result<(), Refusal> {
        match &self.state {
            Held::Held | Held::Released { .. } => Ok(()),
            Held::Withdrawn { at, why } => {
                let detail = format!("{} was struck off on {at}: {why}", self.name());
                Err(Refusal::new(Fault::Denied, "bootstrapping-withdrawn", SECTION, detail))
            }
        }
    }

    /// What people call the device: its serial number, or else the beginning of its key's hash.
    pub fn name(&self) -> String {
        match &self.serial_number {
            Some(serial) => serial.to_string(),
            None => self.bootstrap_hash.to_string().chars().take(16).collect(),
        }
    }

    /// The same device in the book of another tenant.
    #[must_use]
    pub fn moved_to(&self, tenant: OwnerId, via: Via, received: Time) -> Self {
        Self { tenant, via, received, state: Held::Held, ..self.clone() }
    }

    /// The record from `at` on, when the tenant does not hold the device any more.
    #[must_use]
    pub fn released(&self, at: Time) -> Self {
        Self { state: Held::Released { at }, ..self.clone() }
    }

    /// The record from `at` on, when the tenant has struck the device off.
    #[must_use]
    pub fn withdrawn(&self, at: Time, why: &str) -> Self {
        Self { state: Held::Withdrawn { at, why: why.into() }, ..self.clone() }
    }

    /// The id under which the ownership of the device stands: its bootstrapping key is what makes it one device.
    pub fn ownership_id(bootstrap_hash: &Fingerprint) -> Result<DeviceId, InvalidId> {
        format!("dpp.{bootstrap_hash}").parse()
    }
}

impl Record for Bootstrapping {
    const COLLECTION: &'static str = "bootstrapping";

    fn key(&self) -> String {
        Self::key_of(&self.tenant, &self.bootstrap_hash)
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let serial =
            self.serial_number.iter().map(|serial| (Self::BY_SERIAL, Self::serial_value(&self.tenant, serial)));
        let chirp = (Self::BY_CHIRP, Self::chirp_value(&self.tenant, &self.chirp_hash));
        std::iter::once(chirp).chain(serial).collect()
    }
}

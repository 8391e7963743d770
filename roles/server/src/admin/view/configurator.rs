//! The configurator and its access points.

use landfall_types::{Redacted, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// The configurator, as one tenant has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfiguratorView {
    /// Whose it is.
    pub tenant: String,
    /// Its bootstrapping keys, one a curve: devices that have one can authenticate the network.
    pub keys: Vec<BootstrapKey>,
    /// The ids of the keys that signed connectors, the present one last (DPP s4.2).
    pub signers: Vec<String>,
    /// Its networks, the best first.
    pub networks: Vec<NetworkView>,
}

/// A bootstrapping key of a configurator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BootstrapKey {
    /// Its curve.
    pub curve: String,
    /// Its bootstrapping URI.
    pub uri: String,
    /// The SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
    pub hash: String,
}

/// A network that devices are configured for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkView {
    /// Its name on the air.
    pub ssid: String,
    /// How it is joined.
    pub kind: String,
}

/// A device that got no answer, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unanswered {
    /// Whose access point or device it was, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its serial number, or the hash that it announced.
    pub device: String,
    /// The address from which it came.
    pub from: String,
    /// Which check it failed.
    pub check: String,
    /// Why, in words.
    pub why: String,
    /// When first.
    #[schema(value_type = String, format = DateTime)]
    pub first: Time,
    /// When last.
    #[schema(value_type = String, format = DateTime)]
    pub last: Time,
    /// How often.
    pub count: u64,
}

/// Which device to reach out to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its serial number, or the SHA-256 of its bootstrapping key.
    pub device: String,
    /// Host and port of an access point that listens, where the device's URI names no host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Which configurator may have the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandOver {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its serial number, or the SHA-256 of its bootstrapping key.
    pub device: String,
}

/// A configurator that may have the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandOverAllowed {
    /// The SHA-256 of its bootstrapping key.
    pub device: String,
    /// Until then, and once.
    #[schema(value_type = String, format = DateTime)]
    pub until: Time,
}

/// Whose key that signs connectors is followed by a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotation {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// A code by which one device is to be introduced (PKEX, DPP s5.6).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewPkexCode {
    /// Whose device it is for; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// By what devices tell codes apart; one code of a tenant may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The code.
    #[schema(value_type = String)]
    pub code: Secret,
    /// The serial number of the device, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Its model, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it is to become in the network: `sta` or `ap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A push of the configurator's button (DPP release 3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PushButton {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The curve of the device's key, if it is not P-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<String>,
    /// The serial number of the device, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Its model, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it is to become in the network: `sta` or `ap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A device that was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Introduced {
    /// Its serial number, or the beginning of the hash of its bootstrapping key.
    pub device: String,
}

/// A code by its tenant and identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PkexName {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its identifier, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
}

/// A code that waits for its device; never the code itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PkexCode {
    /// Whose it is.
    pub tenant: String,
    /// Its identifier, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The serial number of the device, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Its model, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub made: Time,
    /// How often it has failed.
    pub failures: u8,
    /// Whether it has failed so often that it is worth nothing any more.
    pub dead: bool,
    /// The hash of the bootstrapping key of the device that had the code, if one has shown itself already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// Whose keys are to be put into an envelope, and for whom.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewBackup {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Opens the envelope: 16 characters or more.
    #[schema(value_type = String)]
    pub passphrase: Secret,
}

/// An envelope with a configurator's keys.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// Who takes them in; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The envelope: CMS EnvelopedData (DPP s7.5), in base64.
    pub envelope: String,
    /// What opens it, from whoever takes them in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub passphrase: Option<Secret>,
}

/// A secret that an operator hands over: it is wiped when dropped, and nothing shows it.
#[derive(Clone, Debug)]
pub struct Secret(pub Redacted<String>);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Redacted::new(text)))
    }
}

/// An access point that is to relay for the configurator and to serve its networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewAccessPoint {
    /// Whose; the owner of the service if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its name, for people.
    pub name: String,
    /// Its wireless interface.
    pub interface: String,
    /// The address at which it reaches the configurator.
    pub controller: String,
    /// The address and port of its RADIUS server, for networks with 802.1X.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<String>,
    /// How many days its connectors last, if they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// The folder in which the files will be.
    pub folder: String,
}

/// A file for an access point. It holds secrets that nobody is to see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessPointFile {
    /// Its name.
    pub name: String,
    /// What stands in it.
    pub content: String,
}

impl std::fmt::Debug for AccessPointFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessPointFile({:?})", self.name)
    }
}

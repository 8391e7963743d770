//! What devices get onto a network with, where it is not a certificate alone.

use super::Revocation;
use landfall_types::{DeviceId, Fingerprint, Record, Time};
use serde::{Deserialize, Serialize};

/// The log of every network credential that was issued or deleted; it holds no secret.
pub const CREDENTIAL_LOG: &str = "network-credentials";

/// The credential of one device for one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkCredential {
    /// Whose it is.
    pub device: DeviceId,
    /// For which network, by its SSID.
    pub network: String,
    /// By which methods it leads in: `dpp`, `psk+sae`.
    pub methods: String,
    /// When it was issued.
    pub issued: Time,
    /// The SHA-256 of the device's key in the network.
    pub key: Fingerprint,
    /// The SHA-256 of the key by which the device asked for this one, if it had a connector: it may have to ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Fingerprint>,
    /// The signed connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// When the connector ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// The password or key that this device alone has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SharedSecret>,
    /// The serial number of its certificate, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// When and why it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Revocation>,
}

/// A password that one device shares with the access points. Nobody ever reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SharedSecret {
    /// The password, sealed by the element and in base64.
    pub sealed: String,
    /// By what access points tell whose it is (IEEE 802.11 s12.4.3, password identifier).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The address of the device's radio, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// What the log says of a credential.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Entry<'a> {
    at: Time,
    device: &'a DeviceId,
    network: &'a str,
    methods: &'a str,
    key: &'a Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<&'a Revocation>,
}

impl NetworkCredential {
    /// The index by device.
    pub const BY_DEVICE: &'static str = "device";
    /// The index by network; its values are made by [`NetworkCredential::network_value`].
    pub const BY_NETWORK: &'static str = "network";

    /// The index by the device's key in the network, and by the one before; its values are made by
    /// [`NetworkCredential::key_value`].
    pub const BY_KEY: &'static str = "key";

    /// The index by the address of the device's radio, for those with a password; its values are made by
    /// [`NetworkCredential::address_value`].
    pub const BY_ADDRESS: &'static str = "address";

    /// What [`Self::BY_ADDRESS`] has for the credentials for a network of a tenant's device with that address
    /// (`02:00:00:00:00:01`).
    pub fn address_value(tenant: &str, network: &str, mac: &str) -> String {
        Self::network_value(tenant, &format!("{mac}/{network}"))
    }

    /// What [`Self::BY_KEY`] has for the credentials of a tenant's device with that key.
    pub fn key_value(tenant: &str, key: &Fingerprint) -> String {
        Self::network_value(tenant, &key.to_string())
    }

    /// The key of the credential of `device` for `network`.
    pub fn key_of(device: &DeviceId, network: &str) -> String {
        format!("{device}/{network}")
    }

    /// What [`Self::BY_NETWORK`] has for a network of a tenant.
    pub fn network_value(tenant: &str, network: &str) -> String {
        format!("{}:{tenant}/{network}", tenant.len())
    }

    /// What the log says of it.
    pub fn log_entry(&self) -> impl Serialize + '_ {
        Entry {
            at: self.deleted.as_ref().map_or(self.issued, |deleted| deleted.at),
            device: &self.device,
            network: &self.network,
            methods: &self.methods,
            key: &self.key,
            expires: self.expires,
            certificate: self.certificate.as_deref(),
            deleted: self.deleted.as_ref(),
        }
    }

    /// The same without what leads in, after it was deleted.
    #[must_use]
    pub fn deleted(&self, why: Revocation) -> Self {
        Self { connector: None, secret: None, deleted: Some(why), ..self.clone() }
    }

    fn tenant(&self) -> &str {
        self.device.as_str().rsplit_once(".dpp.").map_or("", |(tenant, _)| tenant)
    }
}

impl Record for NetworkCredential {
    const COLLECTION: &'static str = "network-credential";

    fn key(&self) -> String {
        Self::key_of(&self.device, &self.network)
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let keys = [Some(self.key), self.former].into_iter().flatten();
        let keys = keys.map(|key| (Self::BY_KEY, Self::key_value(self.tenant(), &key)));
        let always = [
            (Self::BY_DEVICE, self.device.to_string()),
            (Self::BY_NETWORK, Self::network_value(self.tenant(), &self.network)),
        ];
        let mac = self.secret.as_ref().and_then(|secret| secret.mac.as_ref());
        let address = mac.map(|mac| (Self::BY_ADDRESS, Self::address_value(self.tenant(), &self.network, mac)));
        always.into_iter().chain(keys).chain(address).collect()
    }
}

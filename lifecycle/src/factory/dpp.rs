//! What a factory gives a device for Wi-Fi Easy Connect.

use landfall_dpp::Curve;
use landfall_types::Fingerprint;
use serde::{Deserialize, Serialize};

/// What the bootstrapping of devices of one kind has in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DppProduct {
    /// The curve of their bootstrapping keys.
    #[serde(default)]
    pub curve: Curve,
    /// The highest release that they speak; 1 is not written into the URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// Where they listen on the air, as in the URI: `81/1,115/36`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<String>,
    /// Where they listen on TCP: a host, with a port or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The address to which a serial number's counter is added to make the address of the device's radio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_base: Option<String>,
    /// The bootstrapping URI of the only configurator that they take (mutual authentication).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configurator: Option<String>,
}

/// A device's bootstrapping key, as the manufacturer's database has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DppRecord {
    /// The bootstrapping URI (DPP s5.2.1).
    pub uri: String,
    /// The hash of the key.
    pub bootstrap_hash: Fingerprint,
    /// The hash by which the device announces its presence.
    pub chirp_hash: Fingerprint,
    /// The hash of the only configurator's key that the device takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configurator: Option<Fingerprint>,
}

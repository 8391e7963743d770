//! What a device leaves the factory with: the file that the factory hands out and the device's agent takes in.

use crate::{Model, Redacted, SerialNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The format of [`DeviceBundle`] that is written here.
pub const FORMAT: u32 = 1;

/// A device's birth credential, and whom to trust: one JSON file per device, readable by its owner only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceBundle {
    /// The version of this format: [`FORMAT`].
    pub format: u32,
    /// The serial number, as the IDevID says it.
    pub serial_number: SerialNumber,
    /// The model, as the IDevID says it.
    pub model: Model,
    /// The IDevID certificate (IEEE 802.1AR-2018), in PEM.
    pub idevid: String,
    /// The CA certificates between the IDevID and its root, nearest first, in PEM one after another.
    pub chain: String,
    /// The IDevID's private key, unless the device made it and keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<BundleKey>,
    /// What the signer of a voucher must chain to (RFC 8995 s5.6.1), in PEM.
    pub masa_anchors: String,
    /// Where the MASA is, as the IDevID says it (RFC 8995 s2.3.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masa_url: Option<String>,
    /// The certificate of the key by which the device's TPM speaks of its others, in PEM, if the factory had it proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<String>,
    /// What Wi-Fi Easy Connect needs, if the device can be onboarded with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpp: Option<DppBirth>,
}

/// What a device that knows Wi-Fi Easy Connect alone leaves the factory with. Such a device takes a [`DeviceBundle`]
/// too, if that has the part `dpp`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DppBundle {
    /// The version of this format: [`FORMAT`].
    pub format: u32,
    /// The serial number.
    pub serial_number: SerialNumber,
    /// The model.
    pub model: Model,
    /// The bootstrapping key, and whom to trust.
    pub dpp: DppBirth,
}

/// A device's bootstrapping key for Wi-Fi Easy Connect, and whose configuration it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DppBirth {
    /// The bootstrapping URI, as the device's label shows it (DPP s5.2.1).
    pub uri: String,
    /// The private half of the bootstrapping key, unless the device made it and keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<BundleKey>,
    /// The bootstrapping URI of the one configurator that may take the device; without it, whoever has the device's own
    /// URI may (NIST SP 1800-36B s6.1.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configurator: Option<String>,
}

/// A private key on its way to the device: PKCS #8 (RFC 5958) in PEM. It is wiped when dropped and never printed.
#[derive(Clone, Debug)]
pub struct BundleKey(pub Redacted<String>);

impl Serialize for BundleKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for BundleKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|pem| Self(Redacted::new(pem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_reads_back_and_its_key_is_not_printed() {
        let bundle = DeviceBundle {
            format: FORMAT,
            serial_number: "A-1".parse().unwrap(),
            model: "T1".parse().unwrap(),
            idevid: "idevid".into(),
            chain: "chain".into(),
            key: Some(BundleKey(Redacted::new("secret".into()))),
            masa_anchors: "anchors".into(),
            masa_url: None,
            attestation: None,
            dpp: None,
        };
        let again: DeviceBundle = serde_json::from_str(&serde_json::to_string(&bundle).unwrap()).unwrap();
        assert_eq!(again.key.as_ref().unwrap().0.expose(), "secret");
        assert!(!format!("{again:?}").contains("secret"));
    }

    #[test]
    fn a_device_of_one_protocol_reads_the_bundle_of_one_of_two() {
        let key = Some(BundleKey(Redacted::new("secret".into())));
        let dpp = DppBirth { uri: "DPP:K:;;".into(), key, configurator: None };
        let bundle = DeviceBundle {
            format: FORMAT,
            serial_number: "A-1".parse().unwrap(),
            model: "T1".parse().unwrap(),
            idevid: "idevid".into(),
            chain: "chain".into(),
            key: None,
            masa_anchors: "anchors".into(),
            masa_url: None,
            attestation: None,
            dpp: Some(dpp),
        };
        let text = serde_json::to_string(&bundle).unwrap();
        let again: DppBundle = serde_json::from_str(&text).unwrap();
        assert_eq!((again.dpp.uri.as_str(), again.dpp.configurator.is_none()), ("DPP:K:;;", true));
        assert!(!format!("{again:?}").contains("secret"));
        assert!(serde_json::from_str::<DppBundle>(&text.replace("dpp", "other")).is_err());
    }
}

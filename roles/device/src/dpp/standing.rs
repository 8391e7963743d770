//! Where a device stands, in words: never a secret.

use super::{birth::Birth, networks::Networks, radio::Certificates};
use landfall_dpp::{config::ConfigObject, connector::SignedConnector};
use landfall_types::{Fingerprint, SerialNumber, Time};
use serde::Serialize;

/// Where a device stands with Wi-Fi Easy Connect.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// The device.
    pub serial_number: SerialNumber,
    /// Its model.
    pub model: String,
    /// Its bootstrapping URI, as the label shows it.
    pub uri: String,
    /// Where the private half of the key in it lives.
    pub bootstrapping_key: String,
    /// The hash of the bootstrapping key of the one configurator that may take it, if it is known.
    pub configurator: Option<Fingerprint>,
    /// The networks that it was given.
    pub networks: Vec<NetworkSummary>,
    /// When.
    pub obtained: Option<Time>,
    /// The release of the protocol that was spoken.
    pub release: Option<u8>,
    /// Whether the configurator proved who it is; nothing is known of that without networks.
    pub network_authenticated: Option<bool>,
    /// What that means, for people.
    pub assurance: Option<&'static str>,
    /// Whether there is a network whose credential is valid now.
    pub valid: bool,
}

/// A network.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkSummary {
    /// Its name.
    pub ssid: String,
    /// How its members authenticate.
    pub akm: String,
    /// The groups of the connector: `id (role)`.
    pub groups: Vec<String>,
    /// Until when the connector is valid, if it ends.
    pub expiry: Option<Time>,
    /// The certificate for 802.1X.
    pub certificate: Option<Certified>,
}

/// A certificate for 802.1X.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Certified {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Until when it is valid.
    pub not_after: Time,
}

/// Where the device of that birth stands; a device without a clock ignores dates.
pub(super) fn of(birth: &Birth, networks: Option<&Networks>, now: Option<Time>) -> Standing {
    let identity = &birth.identity;
    let summaries: Vec<_> = networks
        .map(|networks| networks.objects.iter().map(|object| network(object, networks)).collect())
        .unwrap_or_default();
    let authenticated = networks.map(|networks| networks.authenticated);
    Standing {
        serial_number: birth.serial_number.clone(),
        model: birth.model.to_string(),
        uri: identity.uri.to_string(),
        bootstrapping_key: identity.key.place(),
        configurator: identity.configurator.as_ref().map(|uri| uri.key.bootstrap_hash()),
        obtained: networks.map(|networks| networks.obtained),
        release: networks.map(|networks| networks.release),
        network_authenticated: authenticated,
        assurance: authenticated.map(|authenticated| match authenticated {
            true => "network authenticated: the configurator proved to hold the key that the device knows",
            false => "network not authenticated (resurrecting duckling, SP 1800-36B 6.1.2)",
        }),
        valid: summaries.iter().any(|network| network.is_valid(now)),
        networks: summaries,
    }
}

impl NetworkSummary {
    fn is_valid(&self, now: Option<Time>) -> bool {
        let ends = [self.expiry, self.certificate.as_ref().map(|certificate| certificate.not_after)];
        ends.into_iter().flatten().all(|end| now.is_none_or(|now| now <= end))
    }
}

fn network(object: &ConfigObject, networks: &Networks) -> NetworkSummary {
    let connector = object.credential.connector.as_deref().and_then(|text| SignedConnector::parse(text).ok());
    let connector = connector.as_ref().map(SignedConnector::unverified);
    let enterprise = object.credential.enterprise.as_ref();
    let certificates = enterprise.and_then(|found| Certificates::of(found, networks.key.public()).ok());
    NetworkSummary {
        ssid: String::from_utf8_lossy(&object.discovery.ssid).into_owned(),
        akm: object.credential.akm.to_string(),
        groups: connector
            .map(|connector| connector.groups.iter().map(|group| format!("{} ({})", group.id, group.role)).collect())
            .unwrap_or_default(),
        expiry: connector.and_then(|connector| connector.expiry),
        certificate: certificates.and_then(|found| found.chain.into_iter().next()).map(|leaf| Certified {
            subject: leaf.subject(),
            issuer: leaf.issuer(),
            not_after: leaf.not_after(),
        }),
    }
}

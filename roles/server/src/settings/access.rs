//! `[access]`: the RADIUS server that access points and switches ask whether a device may be let in.

use super::{IdentitySettings, Span, Subnet};
use landfall_types::{Model, VendorId};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// `[access]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AccessSettings {
    /// Where access points and switches ask (RFC 2865 s3).
    pub listen: SocketAddr,
    /// The EAP server's certificate, by which devices know the network.
    pub identity: IdentitySettings,
    /// What the certificates of this domain lead to.
    pub anchors: Vec<PathBuf>,
    /// The access points and switches.
    pub client: Vec<AccessClientSettings>,
    /// Where devices are to be; the first that fits counts.
    pub place: Vec<PlaceSettings>,
    /// Where devices in quarantine are to be; without it they are not let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<PlaceSettings>,
    /// How many devices are answered at a time.
    pub at_once: usize,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0u16; 8], 1812)),
            identity: IdentitySettings::at("domain/registrar.pem"),
            anchors: vec!["domain/root.pem".into()],
            client: Vec::new(),
            place: Vec::new(),
            quarantine: None,
            at_once: 64,
        }
    }
}

impl AccessSettings {
    /// Whether any device may have its place in that VLAN.
    pub(super) fn has_place_in(&self, vlan: &str) -> bool {
        self.place.iter().chain(&self.quarantine).any(|place| place.vlan.as_deref() == Some(vlan))
    }
}

/// `[[access.client]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessClientSettings {
    /// What the operator calls it.
    pub name: String,
    /// From where it asks.
    pub addresses: Vec<Subnet>,
    /// The file whose first line is the secret that it shares with this server.
    pub secret_file: PathBuf,
    /// The port at which it takes orders (RFC 5176 s3); none if it takes no orders.
    #[serde(default = "usual_port")]
    pub orders: Option<u16>,
    /// Whether it moves a device to another VLAN when told to (CoA, RFC 5176 s2.2). Others are told to put it out, and
    /// it comes in again.
    #[serde(default)]
    pub changes: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "it is the default of an option")]
const fn usual_port() -> Option<u16> {
    Some(3799)
}

/// `[[access.place]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PlaceSettings {
    /// Only devices of these manufacturers.
    pub manufacturers: Vec<VendorId>,
    /// Only devices of these models.
    pub models: Vec<Model>,
    /// Their VLAN, by number or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<String>,
    /// The filter that the access point applies to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// After how long they must show themselves again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reauthenticate: Option<Span>,
}

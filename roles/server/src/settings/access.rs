//! `[access]`: the RADIUS server that access points and switches ask whether a device may be let in.

use super::{IdentitySettings, Span, Subnet};
use landfall_types::{Fingerprint, Model, OwnerId, VendorId};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

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
    /// Where access points ask over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radsec: Option<RadsecSettings>,
    /// Where RADIUS servers of others ask by HTTPS, such as freeradius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<WebSettings>,
    /// The access points and switches.
    pub client: Vec<AccessClientSettings>,
    /// Where devices are to be; the first that fits counts.
    pub place: Vec<PlaceSettings>,
    /// Where devices in quarantine are to be; without it they are not let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<PlaceSettings>,
    /// Where devices are to be that policy sends to be mended; without it they are in quarantine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<PlaceSettings>,
    /// Where devices are to be that somebody else owns, and that are permitted here (`landfall network guest`); without it
    /// they are not let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<PlaceSettings>,
    /// How many devices are answered at a time.
    pub at_once: usize,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0u16; 8], 1812)),
            identity: IdentitySettings::at("domain/registrar.pem"),
            anchors: vec!["domain/root.pem".into()],
            radsec: None,
            web: None,
            client: Vec::new(),
            place: Vec::new(),
            quarantine: None,
            remediation: None,
            guest: None,
            at_once: 64,
        }
    }
}

impl AccessSettings {
    /// Whether any device may have its place in that VLAN.
    pub(super) fn has_place_in(&self, vlan: &str) -> bool {
        let others = [&self.quarantine, &self.remediation, &self.guest];
        let mut places = self.place.iter().chain(others.into_iter().flatten());
        places.any(|place| place.vlan.as_deref() == Some(vlan))
    }
}

/// `[access.radsec]`: RADIUS over TLS (RFC 6614), with the certificate of `[access]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct RadsecSettings {
    /// Where access points ask.
    pub listen: SocketAddr,
    /// What the certificates of access points lead to that are known by name.
    pub anchors: Vec<PathBuf>,
}

impl Default for RadsecSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0u16; 8], 2083)), anchors: vec!["domain/root.pem".into()] }
    }
}

/// `[access.web]`: HTTPS for RADIUS servers of others, with the certificate of `[access]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct WebSettings {
    /// Where they ask.
    pub listen: SocketAddr,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0u16; 8], 1814)) }
    }
}

/// `[[access.client]]`: known by its address and a secret, over TLS by its certificate, or over HTTP by a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessClientSettings {
    /// What the operator calls it.
    pub name: String,
    /// From where it asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Subnet>,
    /// The file whose first line is the secret that it shares with this server; empty if it is not known by its address.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub secret_file: PathBuf,
    /// DNS names in its certificate; one of them is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_names: Vec<String>,
    /// The SHA-256 of its certificates, which then need not lead anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_fingerprints: Vec<Fingerprint>,
    /// The file whose first line is the token with which it asks by HTTP, under its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The port at which it takes orders (RFC 5176 s3), by UDP with the secret; none if it takes no orders.
    #[serde(default = "usual_port")]
    pub orders: Option<u16>,
    /// Whether it moves a device to another VLAN when told to (CoA, RFC 5176 s2.2). Others are told to put it out, and
    /// it comes in again.
    #[serde(default)]
    pub changes: bool,
    /// Whose devices' passwords it is told, among the tenants of the configurator.
    #[serde(default = "OwnerId::home")]
    pub tenant: OwnerId,
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
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

//! `[configurator]`: Wi-Fi Easy Connect, the networks that devices are configured for, and whose devices may come.

use super::{EstSettings, IdentitySettings, Span, Subnet};
use landfall_dpp::{Curve, config::Akms};
use landfall_policy::{Policy, Verdict, acceptance::Acceptance};
use landfall_types::{Model, OwnerId};
use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// `[configurator]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ConfiguratorSettings {
    /// Where access points relay to, and devices come to by TCP.
    pub listen: SocketAddr,
    /// Whether it is announced by multicast DNS as `_dpp._tcp`.
    pub announce: bool,
    /// The network interfaces that it announces itself on; empty means all but loopback.
    pub interfaces: Vec<String>,
    /// What the announcement calls its owner.
    pub organization: String,
    /// The owner's name: in its device book are the devices that may come.
    pub tenant: OwnerId,
    /// Where the owner's access points are; empty means anywhere.
    pub relays: Vec<Subnet>,
    /// Whether devices have to authenticate the network too.
    pub mutual: MutualWish,
    /// The curve of the key that signs connectors, made at the first start.
    pub csign: CurveName,
    /// Whether that key can be backed up: then it is not made in the element, which gives keys to nobody.
    pub exportable: bool,
    /// Where certificates for networks with 802.1X come from.
    pub certificates: CertificateSettings,
    /// Who of the devices in the book may join.
    pub acceptance: Acceptance,
    /// Rules of the operator's own, in the place of `acceptance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The networks, the best first.
    pub network: Vec<NetworkSettings>,
    /// Others whose devices are configured here too; none of them sees another's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosted: Vec<TenantSettings>,
    /// How long things take when its button is pushed.
    pub push_button: PushButtonSettings,
    /// What the listener bears.
    pub limits: ConfiguratorLimits,
}

impl Default for ConfiguratorSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0u16; 8], landfall_dpp::tcp::PORT)),
            announce: true,
            interfaces: Vec::new(),
            organization: "Example network".into(),
            tenant: OwnerId::home(),
            relays: Vec::new(),
            mutual: MutualWish::default(),
            csign: CurveName::default(),
            exportable: false,
            certificates: CertificateSettings::default(),
            acceptance: owned(),
            policy: None,
            network: Vec::new(),
            hosted: Vec::new(),
            push_button: PushButtonSettings::default(),
            limits: ConfiguratorLimits::default(),
        }
    }
}

impl ConfiguratorSettings {
    /// The owner of the service and those whom it hosts, as equals.
    pub fn tenants(&self) -> impl Iterator<Item = TenantSettings> + '_ {
        let own = TenantSettings {
            id: self.tenant.clone(),
            relays: self.relays.clone(),
            mutual: self.mutual,
            csign: self.csign,
            exportable: self.exportable,
            certificates: self.certificates.clone(),
            acceptance: self.acceptance.clone(),
            policy: self.policy.clone(),
            network: self.network.clone(),
        };
        std::iter::once(own).chain(self.hosted.iter().cloned())
    }
}

/// `[[configurator.hosted]]`: the same for one tenant among several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TenantSettings {
    /// Its name: in its device book are the devices that may come.
    pub id: OwnerId,
    /// Where its access points are; empty means anywhere.
    #[serde(default)]
    pub relays: Vec<Subnet>,
    /// Whether devices have to authenticate the network too.
    #[serde(default)]
    pub mutual: MutualWish,
    /// The curve of the key that signs connectors, made at the first start.
    #[serde(default)]
    pub csign: CurveName,
    /// Whether that key can be backed up: then it is not made in the element, which gives keys to nobody.
    #[serde(default)]
    pub exportable: bool,
    /// Where certificates for networks with 802.1X come from.
    #[serde(default)]
    pub certificates: CertificateSettings,
    /// Who of the devices in the book may join.
    #[serde(default = "owned")]
    pub acceptance: Acceptance,
    /// Rules of its own, in the place of `acceptance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The networks, the best first.
    #[serde(default)]
    pub network: Vec<NetworkSettings>,
}

/// `[[configurator.network]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkSettings {
    /// Its name on the air, at most 32 octets.
    pub ssid: String,
    /// How it is joined: connector, psk, sae or dot1x, or several joined by `+`.
    pub kind: CredentialKind,
    /// Only for devices of these models; empty means all.
    #[serde(default)]
    pub models: Vec<Model>,
    /// The groups in the connectors of its devices; if none are named, the network's name.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Further groups, for some models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<GroupSettings>,
    /// How long a connector lasts, if it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
    /// Whether devices have to authenticate this network, where it differs from the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual: Option<MutualWish>,
    /// The name in the certificate of its EAP server, for dot1x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eap_server: Option<String>,
    /// What that certificate leads to, for dot1x: a PEM file; without it, the root of those who issue the devices'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eap_anchor: Option<PathBuf>,
}

/// `[[configurator.network.group]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GroupSettings {
    /// The group.
    pub id: String,
    /// For devices of these models; empty means all.
    #[serde(default)]
    pub models: Vec<Model>,
}

/// `[configurator.certificates]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CertificateSettings {
    /// The CA that issues them.
    pub authority: IdentitySettings,
    /// How long one is good for.
    pub lifetime: Span,
    /// A CA elsewhere that issues them in the place of `authority`, for as long as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub est: Option<EstSettings>,
}

impl Default for CertificateSettings {
    fn default() -> Self {
        Self { authority: IdentitySettings::at("domain/issuing.pem"), lifetime: Span::days(90), est: None }
    }
}

/// `[configurator.push-button]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PushButtonSettings {
    /// How long a push is good for.
    pub window: Span,
    /// How long it is listened for other devices, once one has announced itself.
    pub listening: Span,
}

impl Default for PushButtonSettings {
    fn default() -> Self {
        Self { window: Span::seconds(100), listening: Span::seconds(15) }
    }
}

/// `[configurator.limits]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ConfiguratorLimits {
    /// Connections at a time. Most of them may be idle: the one that has waited longest makes room for who comes.
    pub connections: usize,
    /// How long a connection may stay without its first whole frame.
    pub first: Span,
    /// How long it may stay without a whole frame after that.
    pub idle: Span,
    /// How long to wait for the answer to a frame.
    pub response: Span,
    /// How long to wait until a device tells how joining went; it is asked to if this is not zero.
    pub join: Span,
    /// How long exchanges under way may take when the server stops.
    pub drain: Span,
}

impl Default for ConfiguratorLimits {
    fn default() -> Self {
        Self {
            connections: 10_240,
            first: Span::seconds(10),
            idle: Span::seconds(60),
            response: Span::seconds(10),
            join: Span::seconds(60),
            drain: Span::seconds(30),
        }
    }
}

/// Whether devices have to authenticate the network, as it authenticates them (SP 1800-36B 6.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MutualWish {
    /// Those that do not are not configured.
    Required,
    /// Those that know the configurator's key do.
    #[default]
    IfKnown,
    /// None is asked to.
    Never,
}

/// A curve by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CurveName(pub Curve);

impl Default for CurveName {
    fn default() -> Self {
        Self(Curve::P256)
    }
}

impl TryFrom<String> for CurveName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let names = Curve::ALL.map(Curve::name).join(", ");
        Curve::named(&text).map(Self).ok_or_else(|| format!("{text:?} is no curve of DPP; write {names}"))
    }
}

impl From<CurveName> for String {
    fn from(CurveName(curve): CurveName) -> Self {
        curve.name().into()
    }
}

/// How a network is joined: `connector`, `psk`, `sae`, `dot1x`, or several joined by `+`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialKind(pub Akms);

const KINDS: [(&str, Akms); 4] =
    [("connector", Akms::DPP), ("psk", Akms::PSK), ("sae", Akms::SAE), ("dot1x", Akms::DOT1X)];

/// The text names no kind of credential.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is no kind of credential; write connector, psk, sae, dot1x, or several joined by +")]
pub struct NotAKind(String);

impl FromStr for CredentialKind {
    type Err = NotAKind;
    fn from_str(text: &str) -> Result<Self, NotAKind> {
        let bad = || NotAKind(text.chars().take(40).collect());
        let kind = |word| KINDS.iter().find(|(name, _)| *name == word).map(|(_, akm)| *akm).ok_or_else(bad);
        let akm = text.split('+').try_fold(Akms::default(), |all, word| Ok(all.and(kind(word)?)))?;
        // What leads in by certificate cannot lead in by password as well: access points keep such networks apart.
        match akm.dot1x && akm.is_personal() {
            true => Err(bad()),
            false => Ok(Self(akm)),
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |akm: Akms| {
            let Self(own) = self;
            (own.dpp && akm.dpp) || (own.psk && akm.psk) || (own.sae && akm.sae) || (own.dot1x && akm.dot1x)
        };
        let names: Vec<&str> = KINDS.iter().filter(|(_, akm)| has(*akm)).map(|(name, _)| *name).collect();
        f.write_str(&names.join("+"))
    }
}

impl TryFrom<String> for CredentialKind {
    type Error = NotAKind;
    fn try_from(text: String) -> Result<Self, NotAKind> {
        text.parse()
    }
}

impl From<CredentialKind> for String {
    fn from(kind: CredentialKind) -> Self {
        kind.to_string()
    }
}

/// A device that its owner has taken into the book is welcome, unless something else is said.
fn owned() -> Acceptance {
    Acceptance { others: Verdict::Permit, ..Acceptance::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_both_ways() {
        for text in ["connector", "psk", "sae", "dot1x", "psk+sae", "connector+psk+sae", "connector+dot1x"] {
            assert_eq!(text.parse::<CredentialKind>().unwrap().to_string(), text);
        }
        for text in ["", "wep", "psk+", "psk+dot1x", "PSK"] {
            text.parse::<CredentialKind>().unwrap_err();
        }
    }
}

//! Where a device's manufacturer says what it is for (RFC 8520), and how far that is known (SP 1800-36B 3.3.2, 4.1 step 4b).

use super::DomainDevice;
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a device's MUD file is, and how that was learnt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MudSource {
    /// The MUD URL.
    pub url: String,
    /// The subject of who signs the file, if the device's certificate names one (RFC 8520 s11), in the form of RFC 4514.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// How it was learnt.
    pub learnt: Learnt,
    /// When first.
    pub at: Time,
}

/// How a MUD URL was learnt, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learnt {
    /// From the certificate of its manufacturer, whose key it proved to have: its manufacturer says so.
    Idevid,
    /// From its configuration request (DPP s6.4.2), by whoever has its bootstrapping key: the device itself says so.
    ConfigurationRequest,
    /// From a message of DHCP: whoever is behind its port says so.
    Dhcp,
    /// From a frame of LLDP: whoever is behind its port says so.
    Lldp,
}

impl Learnt {
    /// Whether it came in an exchange in which the device proved who it is.
    pub const fn is_authenticated(self) -> bool {
        matches!(self, Self::Idevid | Self::ConfigurationRequest)
    }
}

impl DomainDevice {
    /// Where its MUD file is as an authenticated exchange told it, the best word first.
    pub fn mud_source(&self) -> Option<MudSource> {
        let told = self.configuration.as_ref().and_then(|configuration| {
            let (url, at) = (configuration.mud_url.clone()?, configuration.at);
            Some(MudSource { url, signer: None, learnt: Learnt::ConfigurationRequest, at })
        });
        self.mud.clone().or(told)
    }

    /// Keeps where its MUD file is. What is only claimed stands beside what is known, and never in its place; what was known and
    /// is not said any more stays known, since a certificate says it for good. True if this is news.
    pub fn learn_mud(&mut self, source: MudSource) -> bool {
        let kept = if source.learnt.is_authenticated() { &mut self.mud } else { &mut self.mud_claim };
        let is_same =
            |kept: &MudSource| (&kept.url, &kept.signer, kept.learnt) == (&source.url, &source.signer, source.learnt);
        if kept.as_ref().is_some_and(is_same) {
            return false;
        }
        *kept = Some(source);
        true
    }
}

impl fmt::Display for Learnt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idevid => "its manufacturer's certificate",
            Self::ConfigurationRequest => "its configuration request",
            Self::Dhcp => "DHCP, unproven",
            Self::Lldp => "LLDP, unproven",
        })
    }
}

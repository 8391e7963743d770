//! `[enforcer.behaviour]`: looking at what devices begin for what is unusual.

use super::Span;
use landfall_behaviour::detect::Limits;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// `[enforcer.behaviour]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BehaviourSettings {
    /// How long a kind of device is new, so that its destinations are learnt.
    pub learning: Span,
    /// The time within which destinations are counted.
    pub window: Span,
    /// So many destinations within it are not unusual.
    pub destinations: usize,
    /// Nor are so many that do not answer.
    pub unanswered: usize,
    /// So many octets in a minute are never unusual.
    pub quiet: u64,
    /// For how long what was unusual is held against a device.
    pub remember: Span,
    /// Whether connections of devices elsewhere that this machine routes are looked at, as its kernel tells of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conntrack: bool,
    /// Where routers, switches and access points tell of flows of devices elsewhere (IPFIX, RFC 7011).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipfix: Option<IpfixSettings>,
}

/// `[enforcer.behaviour.ipfix]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IpfixSettings {
    /// Where they send, by UDP.
    pub listen: SocketAddr,
    /// A template that is not told again holds for so long (RFC 7011 s8.4).
    #[serde(default = "half_an_hour")]
    pub template_lifetime: Span,
    /// Who is heard.
    #[serde(default)]
    pub exporter: Vec<ExporterSettings>,
}

/// `[[enforcer.behaviour.ipfix.exporter]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExporterSettings {
    /// What the operator calls it.
    pub name: String,
    /// The addresses from which it sends.
    pub addresses: Vec<IpAddr>,
}

const fn half_an_hour() -> Span {
    Span::seconds(1800)
}

impl Default for BehaviourSettings {
    fn default() -> Self {
        let Limits { learning, window, destinations, unanswered, quiet, .. } = Limits::default();
        let span = |time: std::time::Duration| Span::seconds(time.as_secs());
        let (learning, window) = (span(learning), span(window));
        let remember = Span::seconds(3600);
        Self { learning, window, destinations, unanswered, quiet, remember, conntrack: false, ipfix: None }
    }
}

impl BehaviourSettings {
    /// The same for the detectors.
    pub fn limits(&self) -> Limits {
        Limits {
            learning: self.learning.duration(),
            window: self.window.duration(),
            destinations: self.destinations,
            unanswered: self.unanswered,
            quiet: self.quiet,
            ..Limits::default()
        }
    }
}

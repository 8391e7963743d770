//! What the agent is told of Wi-Fi Easy Connect: the part `[dpp]` of its TOML file.

use crate::DeviceError;
use landfall_dpp::{Uri, exchange, tcp};
use landfall_net::http::Endpoint;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// How the device takes part in Wi-Fi Easy Connect.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Controllers or relays that are known beforehand: `host` or `host:port`.
    pub controllers: Vec<String>,
    /// The configurator's bootstrapping URI, if it is not in the bundle.
    pub configurator: Option<String>,
    /// Whether the configurator must prove who it is: by default if its URI is known.
    pub mutual: Option<Mutual>,
    /// Where to listen for configurators that begin by themselves; nowhere by default.
    pub listen: Option<SocketAddr>,
    /// The highest release that is spoken: 1, 2 or 3.
    pub release: u8,
    /// What the device calls itself; its serial number by default.
    pub name: Option<String>,
    /// Where its MUD file is (RFC 8520).
    pub mud_url: Option<String>,
    /// The operating classes that its radio has (IEEE 802.11 annex E).
    pub bands: Vec<u8>,
    /// Members of other specifications for the configuration request, by their reverse domain names.
    pub members: serde_json::Map<String, serde_json::Value>,
    /// The control socket of the wpa_supplicant that shall join what is received.
    pub radio: Option<PathBuf>,
    /// Who takes part in the exchange.
    pub via: Via,
    /// How long to wait after an announcement, in milliseconds.
    pub patience_ms: u64,
    /// How long to rest between rounds of announcements, in milliseconds.
    pub pause_ms: u64,
    /// How long to rest, when the button was pushed and a configurator has answered, before that one is taken to be the only
    /// one, in milliseconds.
    pub push_rest_ms: u64,
}

/// Whether the configurator must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mutual {
    /// Nobody else's configuration is taken than that of the configurator whose URI is known.
    Required,
    /// It is authenticated if its URI is known; whoever else has the device's URI is taken too.
    IfKnown,
    /// It is not asked.
    Never,
}

impl From<Mutual> for exchange::Mutual {
    fn from(mutual: Mutual) -> Self {
        match mutual {
            Mutual::Required => Self::Required,
            Mutual::IfKnown => Self::IfKnown,
            Mutual::Never => Self::Never,
        }
    }
}

/// Who takes part in the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// The agent, over TCP.
    #[default]
    Tcp,
    /// The wpa_supplicant of `radio`, over the air; the agent lends it the bootstrapping key and keeps what it gets.
    WpaSupplicant,
}

impl Default for Config {
    /// hostap's timers: two seconds after an announcement, thirty between rounds (DPP s6.2.3).
    fn default() -> Self {
        Self {
            controllers: Vec::new(),
            configurator: None,
            mutual: None,
            listen: None,
            release: 3,
            name: None,
            mud_url: None,
            bands: Vec::new(),
            members: serde_json::Map::new(),
            radio: None,
            via: Via::Tcp,
            patience_ms: 2_000,
            pause_ms: 30_000,
            push_rest_ms: 10_000,
        }
    }
}

impl Config {
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms)
    }

    pub(crate) const fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }

    pub(crate) const fn push_rest(&self) -> Duration {
        Duration::from_millis(self.push_rest_ms)
    }

    /// Where configurators are known to be.
    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>, DeviceError> {
        let endpoint = |text: &String| {
            Endpoint::parse(text, tcp::PORT).map_err(|e| DeviceError::Config(format!("controllers: {e}")))
        };
        self.controllers.iter().map(endpoint).collect()
    }

    /// The configurator, if it is named here.
    pub(crate) fn configurator(&self) -> Result<Option<Uri>, DeviceError> {
        let parse = |text: &String| text.parse().map_err(|e| DeviceError::Config(format!("configurator: {e}")));
        self.configurator.as_ref().map(parse).transpose()
    }
}

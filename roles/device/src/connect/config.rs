//! What the agent is told of the network that it goes into with its LDevID: the part `[connect]` of its TOML file.

use serde::Deserialize;
use std::path::PathBuf;

/// How the device goes into the network with its LDevID.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The control socket of the wpa_supplicant that authenticates, such as `/run/wpa_supplicant/eth0`; the interface is
    /// called like it. Without it nobody has to authenticate, or another program does.
    pub control: Option<PathBuf>,
    /// What the interface is.
    pub medium: Medium,
    /// The Wi-Fi network for onboarded devices; without it, whichever with 802.1X proves to be of our domain.
    pub ssid: Option<String>,
    /// The DNS name that the EAP server's certificate must bear; without it, any server of our domain will do.
    pub server_name: Option<String>,
    /// What we call ourselves before we are authenticated, for everybody to hear (RFC 9190 s2.1.4).
    pub identity: String,
    /// Names of Wi-Fi networks for devices that are new; `*` at the end stands for any rest.
    pub onboarding: Vec<String>,
}

/// What an interface is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// A port of a switch (IEEE 802.1X; wpa_supplicant's driver `wired`).
    #[default]
    Wire,
    /// A radio (WPA2- or WPA3-Enterprise).
    Wifi,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            control: None,
            medium: Medium::Wire,
            ssid: None,
            server_name: None,
            identity: "anonymous".into(),
            onboarding: Vec::new(),
        }
    }
}

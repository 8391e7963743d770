//! What the agent is told of the network that it goes into with its LDevID: the part `[connect]` of its TOML file.

use crate::DeviceError;
use serde::Deserialize;
use std::path::PathBuf;

/// How the device goes into the network with its LDevID.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The interface at a wired port at which the agent authenticates by itself (IEEE 802.1X), with a key in any element.
    pub interface: Option<String>,
    /// The control socket of the wpa_supplicant that authenticates, such as `/run/wpa_supplicant/eth0`; the interface is
    /// called like it. With neither, nobody has to authenticate, or another program does.
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
    /// Realms by which access points tell of networks for devices that are new, whatever these are called (ANQP, IEEE 802.11-2020 s9.4.5.10).
    pub realms: Vec<String>,
}

impl Config {
    /// Whether it goes together.
    pub(crate) fn check(&self) -> Result<(), DeviceError> {
        let refuse = |why: &str| Err(DeviceError::Config(why.into()));
        match self {
            Self { interface: Some(_), control: Some(_), .. } => refuse(
                "[connect] has both interface and control: either the agent authenticates, or wpa_supplicant does",
            ),
            Self { interface: Some(_), medium: Medium::Wifi, .. } => {
                refuse("[connect] interface is for wired ports; over Wi-Fi wpa_supplicant authenticates (control)")
            }
            _ => Ok(()),
        }
    }
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
            interface: None,
            control: None,
            medium: Medium::Wire,
            ssid: None,
            server_name: None,
            identity: "anonymous".into(),
            onboarding: Vec::new(),
            realms: Vec::new(),
        }
    }
}

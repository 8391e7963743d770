//! Who is behind a port, as the authenticator there says it and as it is remembered.

use super::picture::Mac;
use landfall_eap::radius::{Attributes, Kind};
use landfall_types::{DeviceId, Record, Time};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Where an authenticator on this machine says that a device is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plug {
    /// What it calls the port.
    pub names: Vec<String>,
    /// The device's address.
    pub mac: Option<Mac>,
    /// What it calls the session.
    pub session: Option<String>,
}

impl Plug {
    /// What a request says that came from `from`; nothing if that is another machine, whose ports are not ours.
    pub fn of(from: IpAddr, attributes: &Attributes) -> Option<Self> {
        let names = [Kind::NAS_PORT_ID, Kind::NAS_IDENTIFIER];
        from.to_canonical().is_loopback().then(|| Self {
            names: names.into_iter().filter_map(|kind| attributes.text(kind)).collect(),
            mac: attributes.text(Kind::CALLING_STATION_ID).and_then(|text| text.parse().ok()),
            session: attributes.text(Kind::ACCT_SESSION_ID),
        })
    }
}

/// A device that was let in, and where; it is let in there again after a restart, if it may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Guest {
    /// Which device.
    pub device: DeviceId,
    /// At which port.
    pub port: String,
    /// With which address.
    pub mac: String,
    /// In which segment.
    pub segment: String,
    /// What its authenticator calls the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Since when.
    pub since: Time,
    /// Until when, unless it shows itself again.
    pub until: Time,
}

impl Record for Guest {
    const COLLECTION: &'static str = "segment-guest";

    fn key(&self) -> String {
        self.port.clone()
    }
}

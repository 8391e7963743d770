//! A door: the port where a device is plugged in, which Debian's hostapd opens when a network's access server says so (IEEE 802.1X).

use super::{
    device::{Device, Way},
    place::Place,
};
use crate::{
    peers::{self, Peer},
    port::free_port,
};
use anyhow::{Context, Result, ensure};
use landfall_server::RoleName;
use landfall_types::Refusal;
use std::{fs, path::PathBuf, time::Duration};

/// What hostapd and the access server share.
pub(crate) const SECRET: &str = "the lab's own secret";
/// What runs in a network that has doors.
pub(crate) const ROLES: &[RoleName] = &[RoleName::Registrar, RoleName::Access];
/// A real peer's step takes seconds at the most; a busy machine may take longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The doors of a network.
pub(crate) struct Doors {
    radius: u16,
    /// Where access points take orders of it.
    orders: u16,
    secret: PathBuf,
}

impl Doors {
    /// What the access server calls them.
    pub(crate) const CLIENT: &str = "door";

    /// Those of the network of that name, if there can be any here.
    pub(crate) fn of(place: &Place, network: &str) -> Result<Option<Self>> {
        if !place.has_link() || peers::program("hostapd").is_none() {
            return Ok(None);
        }
        let secret = secret(place, network)?;
        Ok(Some(Self { radius: free_port()?, orders: free_port()?, secret }))
    }

    /// The lines of landfall.toml.
    pub(crate) fn settings(&self) -> String {
        let Self { radius, orders, secret } = self;
        format!(
            "[access]\nlisten = \"127.0.0.1:{radius}\"\n[[access.client]]\nname = \"{}\"\n\
             addresses = [\"127.0.0.1\"]\nsecret-file = {secret:?}\norders = {orders}\n",
            Self::CLIENT
        )
    }

    /// Where the access server listens, on loopback.
    pub(crate) const fn radius(&self) -> u16 {
        self.radius
    }

    /// A device comes by itself with what it has; why its door stays shut, if so.
    pub(crate) async fn knock(&self, place: &Place, device: &Device) -> Result<Option<Refusal>> {
        let port = device.socket().context("the device is at no port")?.port();
        let mut door = Peer::switch_port(&port, &asks(&port, self.radius)).await?;
        let refusal = device.connect(place, Way::Itself("link0")).await?;
        if refusal.is_none() {
            door.event(&["AP-STA-CONNECTED"], LIMIT).await?;
        }
        Ok(refusal)
    }

    /// It comes in.
    pub(crate) async fn open_to(&self, place: &Place, device: &Device) -> Result<()> {
        let refusal = self.knock(place, device).await?;
        ensure!(refusal.is_none(), "{} was not let in: {refusal:?}", device.serial);
        Ok(())
    }

    /// It does not come in, and why.
    pub(crate) async fn shut_to(&self, place: &Place, device: &Device) -> Result<Refusal> {
        self.knock(place, device).await?.with_context(|| format!("{} was let in", device.serial))
    }
}

/// The file with the secret of the network of that name.
pub(crate) fn secret(place: &Place, network: &str) -> Result<PathBuf> {
    let secret = place.folder(&format!("{network}-secret"))?.join("port.secret");
    fs::write(&secret, format!("{SECRET}\n"))?;
    Ok(secret)
}

/// The lines of a hostapd at that interface which asks the access server at that port of this machine.
pub(crate) fn asks(interface: &str, radius: u16) -> String {
    format!(
        "own_ip_addr=127.0.0.1\nnas_identifier={interface}\nauth_server_addr=127.0.0.1\nauth_server_port={radius}\n\
         auth_server_shared_secret={SECRET}\nacct_server_addr=127.0.0.1\nacct_server_port={radius}\n\
         acct_server_shared_secret={SECRET}\n"
    )
}

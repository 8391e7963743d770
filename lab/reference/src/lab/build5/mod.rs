//! Build 5 (SP 1800-36B appendix G), by wire: BRSKI, a certificate by EST, and 802.1X with it, which opens the device's part of
//! the network. Debian's hostapd and wpa_supplicant are the authenticator and the supplicant; packets say what is open.

mod again;
mod assurance;
mod behaviour;
mod contact;
mod evidence;
mod hardware;
mod network;
mod rows;
mod switch;
mod trace;
mod witness;

use super::{
    Shown, Table,
    device::Device,
    door,
    party::{Manufacturer, MasaManners, More, Owner},
    place::{Place, free_port},
};
use crate::peers;
use anyhow::{Context, Result};
use landfall_lifecycle::factory::Product;
use landfall_pki::Algorithm;
use landfall_server::RoleName;
use std::path::Path;
use switch::{PORTS, Switch};
use witness::Witnesses;

pub(super) const TITLE: &str = "Build 5: BRSKI and 802.1X with EAP-TLS, by wire (SP 1800-36B appendix G)";
const BUILD: &str = "5";

/// The parties of Build 5.
pub(super) struct Site {
    kestrel: Manufacturer,
    orchard: Owner,
    switch: Switch,
    witnesses: Witnesses,
    thermostat: Product,
    camera: Product,
}

/// Why this build cannot run here, if it cannot.
fn obstacle(place: &Place) -> Option<String> {
    if !place.has_link() {
        return Some("needs root and network namespaces".into());
    }
    let missing =
        ["hostapd", "wpa_supplicant", "nft", "tcpdump"].into_iter().find(|name| peers::program(name).is_none());
    missing.map(|name| format!("needs {name}, which is not installed"))
}

/// Runs the build: its story, then its rows; nothing is left where it cannot run.
pub(super) async fn run(place: &Place, table: &mut Table<'_>) -> Result<Option<Site>> {
    place.narrator.chapter(TITLE);
    if let Some(why) = obstacle(place) {
        place.narrator.note(&format!("It {why}."));
        rows::not_run(table, &why)?;
        return Ok(None);
    }
    let site = Site::prepare(place).await?;
    place.narrator.chapter("The capabilities, each with the case that must be refused");
    rows::run(place, &site, table).await?;
    Ok(Some(site))
}

impl Site {
    async fn prepare(place: &Place) -> Result<Self> {
        let kestrel = Manufacturer::found(place, "kestrel-5", "Kestrel Devices", &MasaManners::default()).await?;
        let sockets =
            (0..PORTS).map(|_| place.namespace()?.context("devices have no namespaces")).collect::<Result<_>>()?;
        let (radius, proxy) = (free_port()?, free_port()?);
        let secret = door::secret(place, "orchard-5")?;
        let switch = Switch::new(sockets, radius)?;
        let witnesses = Witnesses::new(place)?;
        let more = More {
            settings: switch.settings(&secret, proxy) + &witnesses.settings(),
            roles: &[RoleName::Authorizer, RoleName::Registrar, RoleName::Enforcer, RoleName::Access],
            proxy: Some((proxy, switch::ONBOARDING)),
        };
        let models = ["THERMOSTAT-1", "CAMERA-2"];
        let orchard =
            Owner::settle_with(place, "orchard-5", "Orchard House", &[kestrel.known()], &models, more).await?;
        kestrel.customer(&orchard).await?;
        switch.furnish()?;
        let thermostat = kestrel.product("THERMOSTAT-1", "KT5", Algorithm::EcdsaP256)?;
        let camera = kestrel.product("CAMERA-2", "KC5", Algorithm::EcdsaP256)?;
        place.narrator.note(&format!(
            "Orchard House has a registrar, an access server at 127.0.0.1:{radius}, and a switch with {PORTS} ports: new devices reach \
             the join proxy at its port {proxy} and nothing else."
        ));
        Ok(Self { kestrel, orchard, switch, witnesses, thermostat, camera })
    }

    /// A device that Orchard House has bought, plugged into the port of that number.
    async fn bought(&self, place: &Place, product: &Product, port: usize) -> Result<Device> {
        let bundles = self.kestrel.make(product, 1)?;
        self.kestrel.record().await?;
        let bundle = bundles.first().map(Path::new).context("the factory made nothing")?;
        let device = Device::unpack_at(place, bundle, self.switch.socket(port)?)?;
        self.kestrel.sell(&[&device.serial], self.orchard.name).await?;
        Ok(device)
    }

    /// Commands to look around with.
    pub(super) fn look_around(&self) -> Vec<String> {
        let settings = self.orchard.registrar.settings.display();
        let commands =
            ["network segments", "network devices", "network audit", "verification devices", "verification decisions"];
        commands.iter().map(|command| format!("{command} --config {settings}")).collect()
    }

    /// Stops everything.
    pub(super) async fn close(mut self, place: &Place) {
        self.orchard.leave(place).await;
        self.kestrel.masa_goes_away().await;
    }
}

//! Build 5 (SP 1800-36B appendix G), by wire: BRSKI, a certificate by EST, and 802.1X with it, which opens the device's part of
//! the network. Debian's hostapd and wpa_supplicant are the authenticator and the supplicant; packets say what is open.

mod again;
mod air;
mod assurance;
mod behaviour;
mod contact;
mod evidence;
mod firmware;
mod hardware;
mod network;
mod rows;
mod trace;
mod witness;

use super::{
    Shown, Table,
    device::Device,
    door::{self, Doors},
    party::{Manufacturer, MasaManners, More, Owner},
    place::Place,
    switch::{Layout, Switch},
};
use crate::{peers, port::free_port};
use anyhow::{Context, Result};
use landfall_lifecycle::factory::Product;
use landfall_pki::Algorithm;
use landfall_server::RoleName;
use std::path::Path;
use witness::Witnesses;

pub(super) const TITLE: &str = "Build 5: BRSKI and 802.1X with EAP-TLS, by wire (SP 1800-36B appendix G)";
const BUILD: &str = "5";

/// How many ports the switch has.
const PORTS: usize = 4;
/// Where the service answers that devices are to reach.
const SERVICE: u16 = 5005;
/// Where the service answers that mends devices, and where the host of updates is.
const MENDING: u16 = 5006;
const UPDATES: u16 = 5007;
const LAYOUT: Layout = Layout {
    onboarding: "lf5-new",
    others: &["lf5-heating", "lf5-cameras", "lf5-clinic", "lf5-repair"],
    services: &[SERVICE, MENDING],
};

/// The parties of Build 5.
pub(super) struct Site {
    kestrel: Manufacturer,
    orchard: Owner,
    switch: Switch,
    witnesses: Witnesses,
    publisher: firmware::Publisher,
    thermostat: Product,
    camera: Product,
}

/// Where devices are to be.
const PLACES: &str = "[access.quarantine]\nvlan = \"99\"\n[access.remediation]\nvlan = \"98\"\n\
     [[access.place]]\nmodels = [\"THERMOSTAT-1\", \"THERMOSTAT-2\"]\nvlan = \"30\"\nreauthenticate = \"1h\"\n\
     [[access.place]]\nmodels = [\"CAMERA-2\"]\nvlan = \"40\"\nreauthenticate = \"3s\"\n";

/// What is behind the ports beside the segment of new devices, and who says when devices move between them.
fn segments(proxy: u16) -> String {
    format!(
        "[[enforcer.segment]]\nname = \"heating\"\nkind = \"production\"\nbridge = \"lf5-heating\"\nvlan = \"30\"\nlateral = true\n\
         [[enforcer.segment]]\nname = \"cameras\"\nkind = \"production\"\nbridge = \"lf5-cameras\"\nvlan = \"40\"\n\
         [[enforcer.segment]]\nname = \"clinic\"\nkind = \"quarantine\"\nbridge = \"lf5-clinic\"\nvlan = \"99\"\n\
         [[enforcer.segment]]\nname = \"repair\"\nkind = \"quarantine\"\nbridge = \"lf5-repair\"\nvlan = \"98\"\n\
         reach = [\"udp fe80::/10 {MENDING}\", \"tcp fe80::/10 {UPDATES}\", \"tcp fe80::/10 {proxy}\"]\n\
         [authorizer]\nrecover = \"1s\"\ndwell = \"1s\"\n[authorizer.brake]\nat-least = 100\n\
         [enforcer.behaviour]\n[authorizer.grace]\ndevice-trusted = \"1d\"\nsbom-known = \"1d\"\nvulnerability-score = \"1d\"\n\
         deny-list-contact = \"1d\"\n"
    )
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
        let switch = Switch::new(&LAYOUT, sockets, radius)?;
        let (witnesses, publisher) = (Witnesses::new(place)?, firmware::Publisher::new(place)?);
        let new = format!("\"tcp fe80::/10 {proxy}\", \"udp ff02::fb 5353\", \"udp ff02::13 7017\"");
        let more = More {
            settings: switch.settings(&secret, PLACES, &new)
                + &segments(proxy)
                + &witnesses.settings()
                + &publisher.settings(),
            roles: &[RoleName::Authorizer, RoleName::Registrar, RoleName::Enforcer, RoleName::Access],
            proxy: Some((proxy, LAYOUT.onboarding)),
        };
        let models = ["THERMOSTAT-1", "THERMOSTAT-2", "CAMERA-2"];
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
        Ok(Self { kestrel, orchard, switch, witnesses, publisher, thermostat, camera })
    }

    /// A device that Orchard House has bought, plugged into the port of that number.
    async fn bought(&self, place: &Place, product: &Product, port: usize) -> Result<Device> {
        let device = self.made(place, product, port).await?;
        self.kestrel.sell(&[&device.serial], self.orchard.name).await?;
        Ok(device)
    }

    /// The same before anybody has bought it.
    async fn made(&self, place: &Place, product: &Product, port: usize) -> Result<Device> {
        let bundles = self.kestrel.make(product, 1)?;
        self.kestrel.record().await?;
        let bundle = bundles.first().map(Path::new).context("the factory made nothing")?;
        Device::unpack_at(place, bundle, self.switch.socket(port)?)
    }

    /// Another network that takes in thermostats, with an access server of its own.
    async fn another(&self, place: &Place, name: &'static str, organization: &str) -> Result<(Owner, Doors)> {
        let doors = Doors::of(place, name)?.context("devices are at no ports")?;
        let more = More { settings: doors.settings(), roles: door::ROLES, proxy: None };
        let vendors = [self.kestrel.known()];
        let owner = Owner::settle_with(place, name, organization, &vendors, &["THERMOSTAT-1"], more).await?;
        self.kestrel.customer(&owner).await?;
        Ok((owner, doors))
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

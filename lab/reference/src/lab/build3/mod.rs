//! Build 3 (SP 1800-36B appendix E): BRSKI on a wired network, with what the guide says is missing there: discovery, a join
//! proxy, a factory and a certificate authority.

mod factory;
pub(super) mod network;
mod rows;
mod story;

use super::{
    Shown, Table,
    device::Device,
    door::{self, Doors},
    party::{Manufacturer, MasaManners, More, Owner},
    place::Place,
};
use anyhow::{Context, Result};
pub(super) use factory::close;
use landfall_lifecycle::factory::Product;
use landfall_pki::Algorithm;
use std::path::Path;

pub(super) const TITLE: &str = "Build 3: BRSKI on a wired network (SP 1800-36B appendix E)";
const BUILD: &str = "3";

/// The parties of Build 3.
pub(super) struct Site {
    kestrel: Manufacturer,
    orchard: Owner,
    /// Where devices show their credential to come in, if there can be such ports here.
    doors: Option<Doors>,
    thermostat: Product,
}

/// Runs the build: its story, then its rows.
pub(super) async fn run(place: &Place, table: &mut Table<'_>) -> Result<Site> {
    place.narrator.chapter(TITLE);
    let mut site = Site::prepare(place).await?;
    story::tell(place, &site).await.context("the story of appendix E.2.1")?;
    place.narrator.chapter("The capabilities, each with the case that must be refused");
    rows::run(place, &mut site, table).await?;
    Ok(site)
}

impl Site {
    async fn prepare(place: &Place) -> Result<Self> {
        let kestrel = Manufacturer::found(place, "kestrel", "Kestrel Devices", &MasaManners::default()).await?;
        let models = ["THERMOSTAT-1", "CAMERA-2"];
        let doors = Doors::of(place, "orchard")?;
        let known = [kestrel.known()];
        let orchard = match &doors {
            None => Owner::settle(place, "orchard", "Orchard House", &known, &models).await?,
            Some(doors) => {
                let more = More { settings: doors.settings(), roles: door::ROLES, proxy: None };
                Owner::settle_with(place, "orchard", "Orchard House", &known, &models, more).await?
            }
        };
        kestrel.customer(&orchard).await?;
        let thermostat = kestrel.product("THERMOSTAT-1", "KT", Algorithm::EcdsaP256)?;
        place.narrator.note(&format!(
            "Kestrel Devices has a factory and a MASA at {}; Orchard House has a registrar at {} and a join proxy.",
            kestrel.masa_url,
            orchard.address()?
        ));
        Ok(Self { kestrel, orchard, doors, thermostat })
    }

    /// A device fresh from the factory, on record at the MASA.
    async fn make(&self, place: &Place, product: &Product) -> Result<Device> {
        let bundles = self.kestrel.make(product, 1)?;
        self.kestrel.record().await?;
        Device::unpack(place, bundles.first().map(Path::new).context("the factory made nothing")?)
    }

    /// A device that Orchard House has bought.
    async fn bought(&self, place: &Place, product: &Product) -> Result<Device> {
        let device = self.make(place, product).await?;
        self.kestrel.sell(&[&device.serial], self.orchard.name).await?;
        Ok(device)
    }

    /// A thermostat that Orchard House has bought and onboarded.
    async fn onboarded(&self, place: &Place) -> Result<Device> {
        let device = self.bought(place, &self.thermostat).await?;
        device.onboard(place, 3).await?.onboarded()?;
        device.collect(place, &self.orchard)?;
        Ok(device)
    }

    /// Commands to look around with.
    pub(super) fn look_around(&self) -> Vec<String> {
        let registrar = self.orchard.registrar.settings.display();
        let mut commands: Vec<String> = ["network devices", "network status", "network audit"]
            .iter()
            .map(|command| format!("{command} --config {registrar}"))
            .collect();
        if let Some(masa) = &self.kestrel.masa {
            let masa = masa.settings.display();
            commands
                .extend(["transfer list", "transfer log"].iter().map(|command| format!("{command} --config {masa}")));
        }
        commands
    }

    /// Stops everything.
    pub(super) async fn close(mut self, place: &Place) {
        self.orchard.leave(place).await;
        self.kestrel.masa_goes_away().await;
    }
}

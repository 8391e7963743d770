//! What Builds 1 and 2 have in common: Wi-Fi Easy Connect at the network layer (SP 1800-36B 6.1, appendices C and D).
//!
//! The builds differ in how a device's bootstrapping URI comes to its owner, and in what networks are joined with.

mod access_point;
mod again;
mod air;
mod certificate;
mod cloud;
mod device;
mod evidence;
mod factory;
pub(super) mod hardware;
mod maker;
mod network;
mod owner;
mod story;

use super::{Shown, Table, chip::Kind, intent, place::Place};
use anyhow::{Context, Result};
use device::{Device, Joined};
use hardware::Workshop;
use landfall_dpp::Curve;
use landfall_lifecycle::factory::Product;
use maker::{Maker, SupplyChain};
use owner::Owner;
use std::net::Ipv4Addr;

/// What tells the two builds apart.
#[derive(Debug)]
pub(super) struct Build {
    /// Its number.
    pub(super) number: &'static str,
    /// The chapter's title.
    pub(super) title: &'static str,
    /// How bootstrapping URIs come to the owner.
    pub(super) way: Way,
    /// What networks are joined with, beside connectors.
    pub(super) password: &'static str,
    /// The rows that are not run, and why.
    pub(super) not_run: &'static [(&'static str, &'static str)],
}

/// How bootstrapping URIs come to the owner, and where its configurator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a supply chain service, into the owner's tenancy of a configurator that serves others as well.
    Cloud,
    /// By the QR code on the device, into the configurator of a gateway in the owner's house.
    Gateway,
}

/// The network of the lamps.
const LAMPS: &str = "Lamps";
/// The network of the sensors.
const SENSORS: &str = "Sensors";
/// The network of the neighbour.
const NEIGHBOUR: &str = "Pine";

/// The parties of a build.
pub(super) struct Site {
    build: &'static Build,
    kestrel: Maker,
    supply_chain: Option<SupplyChain>,
    orchard: Owner,
    pine: Owner,
    lamp: Product,
    sensor: Product,
}

/// Runs the build: its story, then its rows.
pub(super) async fn run(build: &'static Build, place: &Place, table: &mut Table<'_>) -> Result<Site> {
    let tell = place.narrator;
    tell.chapter(build.title);
    let site = Site::prepare(build, place).await?;
    story::tell(place, &site).await.context("the story of the build's appendix")?;
    tell.chapter("The capabilities, each with the case that must be refused");
    let number = build.number;
    table.row(number, "S0.C1", factory::birth_credentials(place, &site)).await?;
    table.row(number, "S0.C2", factory::signed_by_a_trusted_ca(place, &site)).await?;
    match build.way {
        Way::Cloud => table.row(number, "S0.C3", factory::by_supply_chain(place, &site)).await?,
        Way::Gateway => table.row(number, "S0.C3", factory::by_label(place, &site)).await?,
    }
    table.row(number, "S1.C1", network::device_authenticated(place, &site)).await?;
    table.row(number, "S1.C2", network::device_welcome(place, &site)).await?;
    table.row(number, "S1.C3", network::network_authenticated(place, &site)).await?;
    table.row(number, "S1.C4", network::network_may_take_over(place, &site)).await?;
    table.row(number, "S1.C5", network::unique_credentials(place, &site)).await?;
    match Kind::Tpm.missing() {
        None => table.row(number, "S1.C6", kept_in_hardware(place, &site)).await?,
        Some(why) => table.not_run(number, "S1.C6", why)?,
    }
    table.row(number, "S1.C7", network::selection(place, &site)).await?;
    table.row(number, "S1.C8", network::two_types(place, &site)).await?;
    table.row(number, "S2.C2-ready", cloud::ready(place, &site)).await?;
    table.row(number, "S3.C1", again::credential_deleted(place, &site)).await?;
    table.row(number, "S3.C2", again::cannot_connect(place, &site)).await?;
    table.row(number, "S3.C3", again::onboarded_again(place, &site)).await?;
    table.row(number, "S5.C2", again::credentials_replaced(place, &site)).await?;
    match intent::obstacle(place) {
        None => table.row(number, "S5.C4", network::intent_enforced(place, &site)).await?,
        Some(why) => table.not_run(number, "S5.C4", &why)?,
    }
    if build.way == Way::Gateway {
        table.part(number, "S2.C1", STREAMLINED, network::carried_for_others(place, &site)).await?;
    }
    for (id, why) in build.not_run.iter().chain(NOT_RUN) {
        table.not_run(number, id, why)?;
    }
    Ok(site)
}

/// S1.C6: a lamp of which the maker put a TPM into each is bought and onboarded like any other.
async fn kept_in_hardware(place: &Place, site: &Site) -> Result<Shown> {
    Workshop::of(site, Kind::Tpm, &format!("K{}H", site.build.number))?.kept_in_hardware(place).await
}

const STREAMLINED: &str = "this version has no Diplomat and no onboarding tool for OCF (D.2.1 steps 7 and 8)";
const NO_VERIFICATION: &str = "the build has no continuous verification";

/// The rows that neither build runs.
const NOT_RUN: &[(&str, &str)] = &[
    ("S4.C1", NO_VERIFICATION),
    ("S4.C2", NO_VERIFICATION),
    ("S4.C3", NO_VERIFICATION),
    ("S4.C4", NO_VERIFICATION),
    ("S4.C5", NO_VERIFICATION),
    ("S4.C6", NO_VERIFICATION),
    ("S4.C7", NO_VERIFICATION),
    ("S4.C8", NO_VERIFICATION),
    ("S5.C1", "shown by Builds 3 and 5: what the agent checks is the same"),
    ("S5.C3", NO_VERIFICATION),
    ("S5.C5", "this version binds to no life cycle management service"),
    ("S5.C6", NO_VERIFICATION),
];

impl Site {
    async fn prepare(build: &'static Build, place: &Place) -> Result<Self> {
        let kestrel = Maker::found(place, "Kestrel Devices")?;
        let (supply_chain, orchard, pine) = match build.way {
            Way::Cloud => cloud(build, place).await?,
            Way::Gateway => gateways(build, place).await?,
        };
        let number = build.number;
        let lamp = maker::product("LAMP-1", &format!("K{number}L"), Curve::P256)?;
        let sensor = maker::product("SENSOR-2", &format!("K{number}S"), Curve::P384)?;
        // The addresses by which access points know whose password it is.
        let lamp = maker::with_radio(lamp, "020000000000");
        let site = Self { build, kestrel, supply_chain, orchard, pine, lamp, sensor };
        place.narrator.note(&format!(
            "Kestrel Devices makes lamps and sensors; {} and {} have configurators at {} and {}, and an access point each.",
            site.orchard.name,
            site.pine.name,
            site.orchard.address()?,
            site.pine.address()?,
        ));
        Ok(site)
    }

    /// A device that Orchard House has bought.
    async fn bought(&self, place: &Place, product: &Product) -> Result<Device> {
        let device = self.kestrel.make(place, product)?;
        self.sell(place, &device).await?;
        Ok(device)
    }

    /// Brings what is to be known of a new device to Orchard House, in the way of this build.
    async fn sell(&self, place: &Place, device: &Device) -> Result<()> {
        match &self.supply_chain {
            Some(service) => {
                service.upload("kestrel", self.kestrel.list(device)?).await?;
                service.sell("kestrel", self.orchard.tenant, &self.kestrel.order(), device).await?;
                self.orchard.awaits(device, true).await?;
            }
            None => drop(maker::scan(place, &self.orchard, &self.kestrel.label(device)?).await?),
        }
        Ok(())
    }

    /// A device that Orchard House has bought and onboarded.
    async fn onboarded(&self, place: &Place, product: &Product) -> Result<(Device, Joined)> {
        let device = self.bought(place, product).await?;
        let joined = self.join(place, &device).await?;
        Ok((device, joined))
    }

    /// Onboards a device at Orchard House.
    async fn join(&self, place: &Place, device: &Device) -> Result<Joined> {
        let joined = device.onboard(&[&self.orchard.access_point]).await?.joined()?;
        evidence::write(place, device, &joined)?;
        Ok(joined)
    }

    /// Commands to look around with.
    pub(super) fn look_around(&self) -> Vec<String> {
        let configurator = self.orchard.party.settings.display();
        let nouns = ["network devices", "network configurator show", "network configurator refused", "network audit"];
        let mut commands: Vec<String> = nouns.iter().map(|noun| format!("{noun} --config {configurator}")).collect();
        commands.push(format!("transfer devices --tenant {} --config {configurator}", self.orchard.tenant));
        if let Some(service) = &self.supply_chain {
            commands.push(format!("transfer tenant --config {}", service.settings().display()));
        }
        commands
    }

    /// Stops everything.
    pub(super) async fn close(self) {
        let Self { supply_chain, orchard, pine, .. } = self;
        orchard.leave().await;
        pine.leave().await;
        if let Some(service) = supply_chain {
            service.stop().await;
        }
    }
}

/// Build 1: one configurator for both owners, each with access points of its own, and a supply chain service.
async fn cloud(build: &Build, place: &Place) -> Result<(Option<SupplyChain>, Owner, Owner)> {
    let (own, theirs) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let service = SupplyChain::start(place, &["kestrel", "orchard", "pine", certificate::TENANT]).await?;
    let mut settings = service.intake("orchard") + &service.intake("pine");
    // Simulated radios are reached from loopback.
    let relays = [own, Ipv4Addr::LOCALHOST];
    settings.push_str(&format!(
        "[configurator]\nlisten = \"127.0.0.1:0\"\nannounce = false\norganization = \"Orchard House\"\n\
         tenant = \"orchard\"\nrelays = {relays:?}\n{}{}",
        manners("configurator"),
        networks("configurator", build.password),
        relays = relays.map(|address| address.to_string()),
    ));
    settings.push_str(&format!(
        "[[configurator.hosted]]\nid = \"pine\"\nrelays = [\"{theirs}\"]\n{}",
        neighbour("configurator.hosted", build.password)
    ));
    let party = owner::configurator(place, "cloud", "Orchard House", &settings).await?;
    let orchard = Owner::of(&party, "Orchard House", "orchard", own).await?;
    let pine = Owner::of(&party, "Pine Street", "pine", theirs).await?;
    Ok((Some(service), orchard, pine))
}

/// Build 2: a gateway with a configurator in each house.
async fn gateways(build: &Build, place: &Place) -> Result<(Option<SupplyChain>, Owner, Owner)> {
    let orchard = gateway(place, "Orchard House", &networks("configurator", build.password)).await?;
    let pine = gateway(place, "Pine Street", &neighbour("configurator", build.password)).await?;
    Ok((None, orchard, pine))
}

/// A configurator in a house of its own.
async fn gateway(place: &Place, name: &'static str, networks: &str) -> Result<Owner> {
    let settings = format!(
        "[configurator]\nlisten = \"127.0.0.1:0\"\nannounce = false\norganization = {name:?}\n{}{networks}",
        manners("configurator")
    );
    let party = owner::configurator(place, "gateway", name, &settings).await?;
    Owner::of(&party, name, "home", Ipv4Addr::LOCALHOST).await
}

/// Who may come, and how long is waited for a device that does not answer, or for a second one whose button is pushed.
fn manners(table: &str) -> String {
    format!(
        "[{table}.acceptance]\nmodels = [\"LAMP-1\", \"SENSOR-2\"]\nlisted = \"permit\"\nothers = \"ask\"\n\
         [{table}.limits]\nresponse = \"3s\"\njoin = \"0s\"\n\
         [{table}.push-button]\nlistening = \"1s\"\n"
    )
}

fn networks(table: &str, password: &str) -> String {
    format!(
        "[[{table}.network]]\nssid = \"{LAMPS}\"\nkind = \"connector+{password}\"\nmodels = [\"LAMP-1\", \"NOVELTY-9\"]\n\
         [[{table}.network]]\nssid = \"{SENSORS}\"\nkind = \"{}\"\nmodels = [\"SENSOR-2\"]\n{}",
        // The certificates of Build 1; Build 2 has no CA (D.1).
        if password == "sae" { "dot1x" } else { "connector" },
        if password == "sae" {
            "eap-server = \"aaa.orchard.example\"\n"
        } else {
            "groups = [\"sensors\"]\nexpires = \"30d\"\n"
        },
    )
}

fn neighbour(table: &str, password: &str) -> String {
    format!("[[{table}.network]]\nssid = \"{NEIGHBOUR}\"\nkind = \"connector+{password}\"\n")
}

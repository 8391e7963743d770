//! The certificate that a configurator of Build 1 gives for networks with 802.1X (C.2.1): the access server in its owner's house lets
//! the device in by it and by nothing else, the enforcer opens the device's part of the network, and both end when it is
//! thrown out. Over the air too, where the radio rig is.

use super::{
    Curve, SENSORS, Site,
    device::{Device, Joined},
    evidence, maker,
    maker::SupplyChain,
    manners,
    owner::{self, Owner},
};
use crate::{
    lab::{
        door::{SECRET, secret},
        place::Place,
        switch::{self, Layout, Switch},
    },
    peers,
    port::free_port,
    rig::{
        Radius, Relay, Rig, Security,
        scenario::{Enrollee, Network, chirp_and_join},
    },
};
use anyhow::{Context, Result, ensure};
use landfall_pki::{Certificate, cms::parse_certs_only};
use landfall_server::RoleName;
use landfall_types::Redacted;
use std::{fs, net::Ipv4Addr, path::Path, sync::Arc};

/// Who lives there, for the supply chain service.
pub(super) const TENANT: &str = "larch";
const NAME: &str = "Larch House";
const LAYOUT: Layout = Layout { onboarding: "lf1-new", others: &["lf1-sensors"], services: &[5015] };

/// A house whose sensors come in by certificates.
struct House {
    owner: Owner,
    switch: Switch,
    radius: u16,
}

/// What was shown, and what was refused; says why not where it cannot be.
pub(super) async fn shown(place: &Place, site: &Site, service: &SupplyChain) -> Result<(String, String)> {
    if let Some(why) = obstacle(place) {
        place.narrator.note(&format!("That a certificate opens a port is not shown: this {why}."));
        return Ok(("; not shown: that a certificate opens a port".into(), String::new()));
    }
    let house = House::open(place, service).await?;
    let shown = async {
        let (shown, refused) =
            house.lets_in_and_throws_out(place, site, service).await.context("at the port of a house")?;
        Ok((shown + &house.over_the_air(place, site, service).await.context("in a house, over the air")?, refused))
    };
    let shown = shown.await;
    house.owner.leave().await;
    shown
}

fn obstacle(place: &Place) -> Option<String> {
    let needed = ["hostapd", "wpa_supplicant", "nft"];
    match needed.into_iter().find(|name| peers::program(name).is_none()) {
        _ if !place.has_link() => Some("needs root and network namespaces".into()),
        missing => missing.map(|name| format!("needs {name}, which is not installed")),
    }
}

impl House {
    async fn open(place: &Place, service: &SupplyChain) -> Result<Self> {
        let (radius, own) = (free_port()?, Ipv4Addr::new(127, 0, 0, 4));
        let switch = Switch::new(&LAYOUT, vec![place.namespace()?.context("devices have no namespaces")?], radius)?;
        // Simulated radios are reached from loopback.
        let relays = [own, Ipv4Addr::LOCALHOST].map(|address| address.to_string());
        let settings = format!(
            "{}[configurator]\nlisten = \"127.0.0.1:0\"\nannounce = false\norganization = {NAME:?}\ntenant = {TENANT:?}\n\
             relays = {relays:?}\n{}[[configurator.network]]\nssid = \"{SENSORS}\"\nkind = \"dot1x\"\neap-server = \"localhost\"\n{}\
             [[enforcer.segment]]\nname = \"sensors\"\nkind = \"production\"\nbridge = \"lf1-sensors\"\nvlan = \"30\"\n",
            service.intake(TENANT),
            manners("configurator"),
            switch.settings(
                &secret(place, "larch-1")?,
                "[[access.place]]\nmodels = [\"SENSOR-2\"]\nvlan = \"30\"\n",
                ""
            ),
        );
        let roles = [RoleName::Configurator, RoleName::Enforcer, RoleName::Access];
        let party = owner::beside(place, TENANT, NAME, &settings, &roles).await?;
        switch.furnish()?;
        Ok(Self { owner: Owner::of(&party, NAME, TENANT, own).await?, switch, radius })
    }

    /// A sensor that the house has bought.
    async fn bought(&self, place: &Place, site: &Site, service: &SupplyChain) -> Result<Device> {
        let sensor = maker::product("SENSOR-2", &format!("K{}D", site.build.number), Curve::P256)?;
        let device = site.kestrel.make(place, &sensor)?;
        service.upload("kestrel", site.kestrel.list(&device)?).await?;
        service.sell("kestrel", TENANT, &site.kestrel.order(), &device).await?;
        self.owner.awaits(&device, true).await?;
        Ok(device)
    }

    async fn lets_in_and_throws_out(
        &self,
        place: &Place,
        site: &Site,
        service: &SupplyChain,
    ) -> Result<(String, String)> {
        let device = self.bought(place, site, service).await?;
        let joined = device.onboard(&[&self.owner.access_point]).await?.joined()?;
        evidence::write(place, &device, &joined)?;
        let network = network(&device, &joined)?;
        self.switch.expect(0, false, "a device that has not shown its certificate")?;
        let (inside, supplicant) = self.switch.knock(0, &network).await?;
        ensure!(inside, "{} was not let in", device.serial);
        self.switch.expect(0, true, "a device with the certificate that it was given")?;
        self.owner.judge(&device, "revoke", "the lab throws it out").await?;
        self.switch.expect(0, false, "a device that was thrown out")?;
        drop(supplicant);
        let (again, supplicant) = self.switch.knock(0, &network).await?;
        drop(supplicant);
        ensure!(!again, "{} was let in after it was thrown out", device.serial);
        self.switch.expect(0, false, "a device that was thrown out, and came again")?;
        let refusal = self.owner.party.refusal("").await?;
        Ok((
            format!("; {} came in at a wired port by the certificate that it was given (802.1X)", device.serial),
            format!("; thrown out, not a packet of it comes through, and its certificate opens nothing: {refusal}"),
        ))
    }

    /// A real station is configured through a real access point, which asks our access server whether it may come in.
    async fn over_the_air(&self, place: &Place, site: &Site, service: &SupplyChain) -> Result<String> {
        let Ok(rig) = Rig::find() else { return Ok("; not shown over the air".into()) };
        let machine = Arc::new(rig.boot().await?);
        let device = self.bought(place, site, service).await?;
        let key = hex::encode(device.birth_key()?.to_ec_private_key()?.expose());
        let security = [Security::EapBy(Radius { port: self.radius, secret: Redacted::new(SECRET.into()) })];
        let relays = [Relay { controller: self.owner.address()?, key_hash: self.owner.key().await?.hash }];
        let network = Network { ssid: SENSORS, security: &security, relays: &relays };
        let enrollee = Enrollee { curve: device.uri.key.curve(), key: &key };
        let association = chirp_and_join(&machine, &network, &enrollee).await?;
        let method = association.eap.unwrap_or_default();
        ensure!(
            association.state == "COMPLETED" && association.reached && method.contains("TLS"),
            "the station is {} by {} {method}",
            association.state,
            association.key_mgmt
        );
        Ok(format!(
            "; over simulated radios, {} was configured and associated by {}",
            device.serial, association.key_mgmt
        ))
    }
}

/// The lines of a wired supplicant's network: what the device was given for that over Wi-Fi (DPP s4.5.3).
fn network(device: &Device, joined: &Joined) -> Result<String> {
    let enterprise = joined.object(SENSORS)?.credential.enterprise.as_ref().context("it was given no certificate")?;
    ensure!(enterprise.server_name.as_deref() == Some("localhost"), "it was not told the server's name");
    // Its own first, in whatever order the set has them.
    let (own, above): (Vec<_>, Vec<_>) =
        parse_certs_only(&enterprise.cert_bag)?.into_iter().partition(|certificate| !certificate.is_ca());
    let chain: String = own.iter().chain(&above).map(Certificate::to_pem).collect();
    let anchor = Certificate::from_der(enterprise.ca_cert.as_ref().context("it was told of no anchor")?)?;
    let folder = device.folder.join("supplicant");
    let root = folder.join("root.pem");
    fs::create_dir_all(&folder)?;
    fs::write(&root, anchor.to_pem())?;
    let key = joined.networks.key.to_pkcs8()?;
    switch::network(&folder, "given", (&chain, key.expose()), Path::new(&root))
}

//! Build 5 over the air (G.2.1): where the radio rig is, devices find networks for new devices by their names, and choose.

use super::{BUILD, Site};
use crate::{
    lab::{Shown, Table, door::Doors, party::Owner, place::Place},
    peers,
    rig::{Machine, Rig},
};
use anyhow::{Context, Result, ensure};
use landfall_types::bundle::DeviceBundle;
use serde_json::Value;
use std::fs;

/// Who has bought the device, and who has not.
const ROWAN: Network = Network { name: "rowan-5", organization: "Rowan House", new: "BRSKI Rowan", radio: 0 };
const FIR: Network = Network { name: "fir-5", organization: "Fir Court", new: "BRSKI Fir", radio: 2 };
/// By what devices find networks for new ones.
const NAMED: &str = "onboarding = [\"BRSKI*\"]\n";

/// A network in the air, closed, and another for new devices beside it.
struct Network {
    name: &'static str,
    /// What the closed network is called too.
    organization: &'static str,
    new: &'static str,
    radio: u8,
}

/// Row S1.C7, which says why not where there is no rig.
pub(super) async fn row(place: &Place, site: &Site, table: &mut Table<'_>) -> Result<()> {
    match Rig::find() {
        Err(missing) => table.not_run(BUILD, "S1.C7", &missing.to_string()),
        Ok(_) if peers::program("busybox").is_none() => table.not_run(BUILD, "S1.C7", "needs busybox"),
        Ok(rig) => table.row(BUILD, "S1.C7", selection(place, site, rig)).await,
    }
}

/// Two networks for new devices are in the air, of which only one is the owner's.
async fn selection(place: &Place, site: &Site, rig: Rig) -> Result<Shown> {
    place.narrator.note("The radio rig boots: hostapd and wpa_supplicant over simulated 802.11.");
    let machine = rig.boot_with(&place.program).await?;
    let (rowan, fir) = (
        site.another(place, ROWAN.name, ROWAN.organization).await?,
        site.another(place, FIR.name, FIR.organization).await?,
    );
    let shown = choose(place, site, &machine, [&rowan, &fir]).await;
    rowan.0.leave(place).await;
    fir.0.leave(place).await;
    shown
}

async fn choose(place: &Place, site: &Site, machine: &Machine, [rowan, fir]: [&(Owner, Doors); 2]) -> Result<Shown> {
    let bundles = site.kestrel.make(&site.thermostat, 1)?;
    site.kestrel.record().await?;
    let bundle = fs::read(bundles.first().context("the factory made nothing")?)?;
    let serial = serde_json::from_slice::<DeviceBundle>(&bundle)?.serial_number.to_string();
    site.kestrel.sell(&[&serial], ROWAN.name).await?;
    machine.turn_on().await?;
    machine.unpack(&serial, &bundle, NAMED).await?;

    FIR.welcomes(place, machine, fir).await?;
    let alone = machine.agent(&serial, "onboard --attempts 1 --timeout 60").await?;
    ensure!(alone.pointer("/onboarded") == Some(&Value::Bool(false)), "it joined the network of another: {alone}");
    let refusal = fir.0.registrar.refusal(&serial).await?;

    ROWAN.welcomes(place, machine, rowan).await?;
    let became = machine.agent(&serial, "onboard --attempts 1 --timeout 150").await?;
    let issuer = became.pointer("/result/credential/issuer").and_then(Value::as_str).unwrap_or_default();
    ensure!(issuer.contains(ROWAN.organization), "it joined {issuer:?}: {became}");
    let heard = machine.heard().await?;
    let tried = |network: &Network| heard.contains(&format!("SSID='{}'", network.new));
    ensure!(tried(&ROWAN) && tried(&FIR), "it did not try both networks for new devices");
    let connected = machine.agent(&serial, "connect --timeout 100").await?;
    ensure!(connected.pointer("/connected") == Some(&Value::Bool(true)), "it was not let in: {connected}");
    let inside = machine.whereabouts().await?;
    let ssid = format!("ssid={}\n", ROWAN.organization);
    ensure!(inside.contains(&ssid) && inside.contains("key_mgmt=WPA2-EAP"), "it is elsewhere: {inside}");
    Ok(Shown {
        shown: format!(
            "over simulated radios {serial} heard {} and {}, was onboarded in its owner's, and associated with {} by EAP-TLS",
            FIR.new, ROWAN.new, ROWAN.organization
        ),
        refused: format!("by the other network: {refusal}"),
    })
}

impl Network {
    /// Its access point goes on the air, with what `landfall network ap-config` writes.
    async fn welcomes(&self, place: &Place, machine: &Machine, (owner, doors): &(Owner, Doors)) -> Result<()> {
        let files = place.new_folder(self.name)?.join("access-point");
        let (there, interface) = (format!("/opt/{}", self.name), format!("wlan{}", self.radio));
        let mut write = place.command(None);
        write.args(["network", "ap-config", Doors::CLIENT, "--radius", &format!("10.0.2.2:{}", doors.radius())]);
        write.args(["--interface", &interface, "--closed", self.organization, "--onboarding", self.new]);
        write.args(["--folder", &there, "--out"]).arg(&files).arg("--config").arg(&owner.registrar.settings);
        let written = tokio::task::block_in_place(|| write.output())?;
        ensure!(written.status.success(), "ap-config: {}", String::from_utf8_lossy(&written.stderr).trim());
        machine.welcome(self.radio, &files, &there, owner.address()?).await
    }
}

//! From the deletion of a device to its last packet: it comes in by EAP-TLS at a port of this machine, talks without end, and an
//! operator deletes its credentials.

use super::{
    device::{Device, Spot},
    server,
};
use crate::{
    bench::{
        cut::{Cut, until_silent},
        ground::Ground,
    },
    wires::{BRIDGE, DEVICE, Wires},
};
use anyhow::{Context, Result, anyhow};
use landfall_server::{
    Settings,
    access::Places,
    admin::{Address, Client, Console, LocalDoor, router, view},
    enforcer,
    health::Readiness,
    settings::PlaceSettings,
    shutdown,
};
use std::sync::Arc;

const SEGMENT: &str = "30";
const PORT: u16 = 5683;

/// Each device comes in and is deleted once.
pub(super) async fn measure(ground: &Ground, devices: &[Device]) -> Result<Cut> {
    let wires = Wires::lay("deleted").await?;
    let (_trigger, shutdown) = shutdown();
    let text = format!(
        "[enforcer]\n[[enforcer.segment]]\nname = \"things\"\nkind = \"production\"\nbridge = \"{BRIDGE}\"\nvlan = \"{SEGMENT}\"\n\
         [[enforcer.port]]\ninterface = \"lan0\"\n"
    );
    let settings = Settings::parse(&text).map_err(|(key, why)| anyhow!("{key}: {why}"))?;
    let config = settings.enforcer.as_ref().context("there is no enforcer")?;
    let config =
        enforcer::Config { kernel: wires.kernel.clone(), ..enforcer::Config::from_settings(config, &settings)? };
    let (task, enforcer) = config.build(ground.domain.clone(), shutdown.clone()).await?;
    tokio::spawn(task.run());
    let place = PlaceSettings { vlan: Some(SEGMENT.into()), ..PlaceSettings::default() };
    let (access, address) =
        server::access(ground, Places::of(&[place]), Some(enforcer.clone()), shutdown.clone()).await?;
    let console = Console::new(ground.domain.clone(), Readiness::default());
    let console = console.onboarding(ground.role.clone()).at_the_door(access, enforcer);
    let socket = ground.folder().join("admin.sock");
    tokio::spawn(LocalDoor::bind(&socket)?.serve(router(Arc::new(console)), shutdown));
    let operator = Client::new(Address::Local(socket));
    let (talker, listener) = wires.sockets(PORT)?;
    let mut took = Vec::with_capacity(devices.len());
    for device in devices {
        let at = Spot { port: "lan0", mac: DEVICE };
        device.come_in(address, at).await.with_context(|| format!("{} does not come in", device.serial))?;
        let delete = async {
            let path = format!("/v1/network/devices/{}/delete-credentials", device.serial);
            let note = view::Note { reason: "the benchmark deletes it".into() };
            let _: view::Device = operator.post(&path, &note).await?;
            Ok(())
        };
        took.push(until_silent(&talker, &listener, delete).await.with_context(|| device.serial.clone())?);
    }
    wires.clear().await?;
    Ok(Cut::of(took))
}

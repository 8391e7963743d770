//! Scenarios 3 and 5: onboarded again, here and by another owner; and renewed while it is inside.

use super::{
    Device, Shown, Site,
    network::{admitted, come_in, leave, stay_out},
};
use crate::lab::{
    build3::network::waiting,
    door::{Doors, LIMIT},
    party::Owner,
    place::Place,
};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;

/// S3.C3: onboarded again it comes in with its new credential and not with the old one; and after resale into the network of
/// its new owner, and there not with that of the former.
pub(super) async fn onboarded_again(place: &Place, site: &Site) -> Result<Shown> {
    let mut device = site.bought(place, &site.thermostat, 0).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let first = device.ldevid()?;
    let supplicant = come_in(place, site, &device, 0).await?;
    device.copy_state("first")?;
    site.orchard.judge(&device.serial, "delete-credentials", "the lab wants it anew").await?;
    device.reset(place).await?;
    drop(supplicant);
    device.onboard(place, 3).await?.onboarded()?;
    let second = device.ldevid()?;
    ensure!(first.public_key() != second.public_key(), "the old key came back");
    device.copy_state("second")?;
    device.use_state("first")?;
    stay_out(place, site, &device, 0).await?;
    let refusal = site.orchard.registrar.refusal("").await?;
    device.use_state("second")?;
    let supplicant = come_in(place, site, &device, 0).await?;
    // Sold on: the former owner forgets it, the MASA records release and sale, the device is reset.
    device.reset(place).await?;
    leave(site, &device, supplicant).await?;
    let (pine, doors) = site.another(place, "pine-5", "Pine Street").await?;
    let moved = move_in(place, site, &mut device, &pine, &doors).await;
    pine.leave(place).await;
    let (issuer, there) = moved?;
    Ok(Shown {
        shown: format!(
            "{} came in with {} after {}, and after resale into the network of {issuer}",
            device.serial,
            second.serial_hex(),
            first.serial_hex()
        ),
        refused: format!("the first credential: {refusal}; in the other network, that of the former owner: {there}"),
    })
}

/// The device is sold to another owner, is plugged in there, onboarded, and goes in. Who issued its credential, and why it
/// does not get in with that of its former owner.
async fn move_in(
    place: &Place,
    site: &Site,
    device: &mut Device,
    pine: &Owner,
    doors: &Doors,
) -> Result<(String, String)> {
    site.kestrel.release(&[&device.serial], site.orchard.name).await?;
    site.kestrel.sell(&[&device.serial], pine.name).await?;
    let home = Arc::new(place.namespace()?.context("devices have no namespaces")?);
    device.moves(home);
    // The manufacturer's audit log shows the new owner's registrar that another domain had it: a person decides.
    let approve = async {
        waiting(pine, &device.serial).await?;
        pine.judge(&device.serial, "approve", "bought second-hand").await
    };
    let (onboarded, approved) = tokio::join!(device.onboard_only(place, pine), approve);
    let onboarded = onboarded?.onboarded()?;
    approved?;
    let issuer = onboarded.pointer("/credential/issuer").and_then(serde_json::Value::as_str).unwrap_or_default();
    ensure!(issuer.contains("Pine Street"), "it joined {issuer}");
    doors.open_to(place, device).await?;
    device.copy_state("third")?;
    device.use_state("second")?;
    let refusal = doors.shut_to(place, device).await.context("with the former owner's credential")?;
    Ok((issuer.to_owned(), refusal.to_string()))
}

/// S5.C2: the agent renews while it is inside, the next authentications go by the new certificate, and nothing is interrupted;
/// a revoked one is good for none.
pub(super) async fn renewed_and_revoked(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.camera, 1).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let first = device.ldevid()?;
    let mut supplicant = come_in(place, site, &device, 1).await?;
    device.copy_state("first")?;
    device.renew(place, 60).await?.onboarded()?;
    let second = device.ldevid()?;
    ensure!(first.public_key() != second.public_key(), "the key is the same");
    let told = supplicant.request("GET_NETWORK 0 client_cert").await?;
    ensure!(told.contains(&second.serial_hex()), "wpa_supplicant shows {told}");
    let times = admitted(site, &device, 1).await?;
    // One may have been under way.
    let times = admitted(site, &device, times + 2).await?;
    site.switch.expect(1, true, "a device with a renewed certificate")?;
    supplicant.event(&["CTRL-EVENT-EAP-SUCCESS"], LIMIT).await?;
    let broken = supplicant.passed().iter().find(|event| INTERRUPTIONS.contains(&event.name.as_str()));
    ensure!(broken.is_none(), "it was interrupted: {broken:?}");
    site.orchard.judge(&device.serial, "revoke", "the lab withdraws it").await?;
    site.switch.expect(1, false, "a device that was revoked")?;
    drop(supplicant);
    stay_out(place, site, &device, 1).await?;
    device.use_state("first")?;
    stay_out(place, site, &device, 1).await?;
    Ok(Shown {
        shown: format!(
            "{} renewed {} to {} while it was inside, and was authenticated {times} times without an interruption",
            device.serial,
            first.serial_hex(),
            second.serial_hex()
        ),
        refused: format!("both after revocation: {}", site.orchard.registrar.refusal("").await?),
    })
}

const INTERRUPTIONS: [&str; 2] = ["CTRL-EVENT-DISCONNECTED", "CTRL-EVENT-EAP-FAILURE"];

//! Scenario 3 at the network layer: how it ends, and how it begins anew; and what comes of credentials in between.

use super::{LAMPS, NEIGHBOUR, Shown, Site, certificate, device::ROUNDS, evidence, maker, owner::introduced};
use crate::lab::place::Place;
use anyhow::{Result, bail, ensure};

/// S3.C1: the network forgets what it gave, and the device what it got; the birth credential stays.
pub(super) async fn credential_deleted(place: &Place, site: &Site) -> Result<Shown> {
    let (device, joined) = site.onboarded(place, &site.lamp).await?;
    let password = joined.password(LAMPS)?;
    ensure!(site.orchard.hostapd().await?.has(password.expose()), "the access point does not have the password");
    let seen = site.orchard.judge(&device, "delete-credentials", "the lab deletes it").await?;
    ensure!(seen.configuration.is_none(), "it is on record as configured");
    ensure!(device.reset().await?, "there was nothing to forget");
    let standing = device.standing()?;
    ensure!(standing.networks.is_empty() && !standing.valid, "it still has a network");
    ensure!(standing.uri == device.uri.to_string(), "it lost its bootstrapping key");
    ensure!(!site.orchard.hostapd().await?.has(password.expose()), "the access point still has the password");
    ensure!(!device.reset().await?, "there was something left to forget");
    Ok(Shown {
        shown: format!("{} forgot its networks and their key, and keeps its bootstrapping key", device.serial),
        refused: format!(
            "the settings of access points have no password of {} any more: it is {}",
            device.serial, seen.state
        ),
    })
}

/// S3.C2: what was given before opens nothing, even if somebody kept a copy, and the device hears nothing any more.
pub(super) async fn cannot_connect(place: &Place, site: &Site) -> Result<Shown> {
    let (device, copy) = site.onboarded(place, &site.lamp).await?;
    let before = site.orchard.hostapd().await?;
    introduced(&copy.connector(LAMPS)?, &before.connector(LAMPS)?)?;
    ensure!(before.has(copy.password(LAMPS)?.expose()), "the access point does not have the password");
    site.orchard.judge(&device, "revoke", "the lab withdraws it").await?;
    site.orchard.rotate().await?;
    device.reset().await?;
    let after = site.orchard.hostapd().await?;
    ensure!(!after.has(copy.password(LAMPS)?.expose()), "the access point still has the password");
    let Err(refusal) = introduced(&copy.connector(LAMPS)?, &after.connector(LAMPS)?) else {
        bail!("a copy of the connector still leads in");
    };
    device.onboard_in_vain(&[&site.orchard.access_point]).await?.refused()?;
    let unanswered = site.orchard.unanswered(&device).await?;
    let (shown, refused) = match &site.supply_chain {
        Some(service) => certificate::shown(place, site, service).await?,
        None => Default::default(),
    };
    Ok(Shown {
        shown: format!(
            "{} is revoked, and access points have a new key to check connectors with{shown}",
            device.serial
        ),
        refused: format!(
            "a copy of the connector: {refusal}; its password is gone; the device hears nothing: {}{refused}",
            unanswered.check
        ),
    })
}

/// S3.C3: the same network again, then another owner's; the former owner does not answer any more.
pub(super) async fn onboarded_again(place: &Place, site: &Site) -> Result<Shown> {
    let (device, first) = site.onboarded(place, &site.lamp).await?;
    site.orchard.judge(&device, "delete-credentials", "the lab begins anew").await?;
    device.reset().await?;
    let second = site.join(place, &device).await?;
    ensure!(first.networks.key.public() != second.networks.key.public(), "the old key came back");
    ensure!(first.password(LAMPS)?.expose() != second.password(LAMPS)?.expose(), "the old password came back");
    // Sold on: the new owner has it in its book from now on, and the former one has not.
    site.orchard.judge(&device, "forget", "sold").await?;
    site.orchard.release(&device).await?;
    match &site.supply_chain {
        Some(service) => {
            service.sell(site.orchard.tenant, site.pine.tenant, &site.kestrel.order(), &device).await?;
            site.pine.awaits(&device, true).await?;
        }
        None => drop(maker::scan(place, &site.pine, &site.kestrel.label(&device)?).await?),
    }
    site.orchard.awaits(&device, false).await?;
    device.reset().await?;
    device.onboard_in_vain(&[&site.orchard.access_point]).await?.refused()?;
    let unanswered = site.orchard.unanswered(&device).await?;
    let moved = device.onboard(&[&site.orchard.access_point, &site.pine.access_point]).await?.joined()?;
    evidence::write(place, &device, &moved)?;
    ensure!(moved.names() == [NEIGHBOUR], "it was given {:?}", moved.names());
    let theirs = site.pine.hostapd().await?;
    introduced(&moved.connector(NEIGHBOUR)?, &theirs.connector(NEIGHBOUR)?)?;
    Ok(Shown {
        shown: format!(
            "{} joined again with a new key and password, and after resale the network of {}",
            device.serial, site.pine.name
        ),
        refused: format!("the former owner: {}: {}", unanswered.check, unanswered.why),
    })
}

/// S5.C2: a device gets another connector for the one that it has, from the key that signs now; what was revoked gets none (7.5).
pub(super) async fn credentials_replaced(place: &Place, site: &Site) -> Result<Shown> {
    let (device, first) = site.onboarded(place, &site.lamp).await?;
    let (gone, _) = site.onboarded(place, &site.lamp).await?;
    site.orchard.judge(&gone, "revoke", "the lab withdraws it").await?;
    site.orchard.rotate().await?;
    let network = site.orchard.hostapd().await?.connector(LAMPS)?;
    let Err(over) = introduced(&first.connector(LAMPS)?, &network) else {
        bail!("a connector of the key that was replaced still leads in");
    };
    let near = [&site.orchard.access_point];
    let second = device.reconfigure(&near, ROUNDS).await?.joined()?;
    evidence::write(place, &device, &second)?;
    introduced(&second.connector(LAMPS)?, &network)?;
    ensure!(second.names() == first.names(), "it was given {:?}", second.names());
    let refusal = gone.reconfigure(&near, 1).await?.refused()?;
    Ok(Shown {
        shown: format!(
            "the key that signs connectors was replaced ({over}); {} came again with the old connector, and \
             joins with another, {} ms later",
            device.serial,
            second.took.as_millis()
        ),
        refused: format!("{}, which was revoked: {refusal}", gone.serial),
    })
}

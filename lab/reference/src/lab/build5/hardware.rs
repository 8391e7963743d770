//! Scenario 1 where the key that opens the network is in hardware, which NIST's Build 5 left for later (SP 1800-36B 6.2.4).

use super::{Device, Shown, Site, network::admitted};
use crate::lab::{
    chip::Kind,
    device::{Body, copy},
    factory::line::proven,
    place::Place,
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// S1.C6: the TPM makes the LDevID's key, proves it when the device asks for its certificate, and signs with it when the port asks who is there. All
/// else that the device has opens nothing with another TPM.
pub(super) async fn comes_in_with_its_key(place: &Place, site: &Site) -> Result<Shown> {
    let device = bought(place, site, 0).await?;
    let became = device.onboard(place, 3).await?.onboarded()?;
    let key = became.pointer("/credential/key").and_then(Value::as_str).context("there is no key")?.to_owned();
    ensure!(key.starts_with("tpm:"), "its key is {key}");
    let refusal = site.switch.come_by_itself(place, &device, 0).await?;
    ensure!(refusal.is_none(), "{} was not let in: {refusal:?}", device.serial);
    site.switch.expect(0, true, "a device that is inside")?;
    device.collect(place, &site.orchard)?;
    // Its agent stays, and is asked again every few seconds.
    let staying = site.switch.stay_by_itself(place, &device, 0).await?;
    let times = admitted(site, &device, 3).await?;
    drop(staying);
    let thief = Body::with_chip_at(place, "KC5-THIEF", Kind::Tpm, site.switch.socket(1)?)?;
    copy(&device.body.folder.join("state"), &thief.folder.join("state"))?;
    let thief = thief.born(device.bundle.clone())?;
    let why = match site.switch.come_by_itself(place, &thief, 1).await {
        Err(why) => why.to_string(),
        Ok(Some(refusal)) => refusal.to_string(),
        Ok(None) => bail!("a copy of {} comes in with another TPM", device.serial),
    };
    site.switch.expect(1, false, "a copy of a device")?;
    site.orchard.judge(&device.serial, "forget", "the lab is done").await?;
    Ok(Shown {
        shown: format!(
            "{} came in by 802.1X with {key}, which its simulated TPM made and keeps, and was asked for it {times} times",
            device.serial
        ),
        refused: format!("a copy of all its files with another TPM: {why}"),
    })
}

/// A camera with a TPM, whose keys the factory had proven.
async fn bought(place: &Place, site: &Site, port: usize) -> Result<Device> {
    let body = Body::with_chip_at(place, "KC5-TPM", Kind::Tpm, site.switch.socket(port)?)?;
    let bundle = proven(&site.kestrel, &site.camera, &body, place).await?;
    let device = body.born(bundle)?;
    site.kestrel.record().await?;
    site.kestrel.sell(&[&device.serial], site.orchard.name).await?;
    Ok(device)
}

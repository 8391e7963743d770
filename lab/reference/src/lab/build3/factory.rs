//! Scenario 0: birth credentials, and how what is known of them reaches who needs it.

use super::{Shown, Site};
use crate::lab::{
    device::Body,
    party::{Manufacturer, MasaManners},
    place::Place,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_lifecycle::factory::Method;
use landfall_pki::{Anchors, Certificate, PathPolicy, pem, validate};
use landfall_server::{
    admin::view::{Prefetch, Prefetched},
    factory::Choice,
};
use landfall_types::Time;
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

/// S0.C1: methods 1 and 3 of H.1.1.
pub(super) async fn birth_credentials(place: &Place, site: &Site) -> Result<Shown> {
    // Method 3: the factory makes the key and loads it; the device keeps it encrypted.
    let loaded = site.onboarded(place).await?;
    let keys = loaded.body.folder.join("state/keys");
    for entry in fs::read_dir(&keys)? {
        let mode = entry?.metadata()?.permissions().mode() & 0o077;
        ensure!(mode == 0, "others may read the keys of {}", loaded.serial);
    }
    // Method 1: the device makes the key, and the factory only ever sees a request.
    let blank = Body::blank(place, "self-made", "")?;
    let asked = blank.run(place, &["request"], |_| ()).await?;
    let request = asked.get("request").and_then(Value::as_str).context("the device asks for nothing")?;
    let request = pem::decode(request)?.into_iter().next().context("an empty request")?.der;
    let certify = |request: &[u8]| {
        tokio::task::block_in_place(|| {
            site.kestrel.factory.certify(&site.thermostat, Method::OnDevice, request, Choice::Factory)
        })
    };
    let bundle = certify(&request)?;
    ensure!(bundle.key.is_none(), "the factory has the key of a device that made its own");
    site.kestrel.record().await?;
    let made = blank.born(bundle)?;
    site.kestrel.sell(&[&made.serial], site.orchard.name).await?;
    made.onboard(place, 3).await?.onboarded()?;
    // One bit of the signature differs: nobody has shown possession of the key.
    let mut forged = request.clone();
    *forged.last_mut().context("an empty request")? ^= 1;
    let Err(why) = certify(&forged) else { bail!("the factory certified a key that nobody showed to have") };
    Ok(Shown {
        shown: format!(
            "{} was loaded with its key (method 3), {} made its own (method 1); both keep them in encrypted files, and onboarded",
            loaded.serial, made.serial
        ),
        refused: why.to_string(),
    })
}

/// S0.C2: the IDevID leads to the manufacturer's root, and to nobody else's of the same name.
pub(super) async fn signed_by_a_trusted_ca(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.make(place, &site.thermostat).await?;
    let (idevid, chain) = (device.idevid()?, Certificate::chain_from_pem(&device.bundle.chain)?);
    let policy = PathPolicy::at(Time::now());
    let path = validate(&idevid, &chain, &Anchors::of([site.kestrel.root.clone()]), &policy)?;
    let namesake = Manufacturer::found(place, "kestrel-sham", "Kestrel Devices", &MasaManners::default()).await?;
    let refused = validate(&idevid, &chain, &Anchors::of([namesake.root.clone()]), &policy);
    let Err(refusal) = refused else { bail!("another CA of the same name is believed") };
    let issuer = idevid.issuer();
    close(namesake).await;
    Ok(Shown {
        shown: format!("{}: {} certificates up to the root, issued by {issuer}", device.serial, path.chain.len()),
        refused: refusal.to_string(),
    })
}

/// S0.C3: records and sales reach the MASA, and vouchers fetched ahead let a device in while the MASA is away (6.2.1).
pub(super) async fn bootstrapping_information(place: &Place, site: &mut Site) -> Result<Shown> {
    let (ahead, late) = (site.bought(place, &site.thermostat).await?, site.bought(place, &site.thermostat).await?);
    let issuer = Certificate::chain_from_pem(&ahead.bundle.chain)?;
    let wanted = Prefetch {
        vendor: site.kestrel.vendor.into(),
        serial_numbers: vec![ahead.serial.clone()],
        issuer_certificate: issuer.first().context("no issuer in the bundle")?.to_pem(),
        masa: Some(site.kestrel.masa_url.clone()),
    };
    let fetched: Vec<Prefetched> = site.orchard.registrar.admin.post("/v1/network/vouchers", &wanted).await?;
    let voucher = fetched.into_iter().next().context("nothing was fetched")?;
    let voucher = voucher.voucher.with_context(|| voucher.error.unwrap_or_default())?;
    site.kestrel.masa_goes_away().await;
    let onboarded = ahead.onboard(place, 3).await;
    let refused = late.onboard_in_vain(place, 3).await;
    site.kestrel.masa_comes_back().await?;
    onboarded?.onboarded()?;
    refused?.refused()?;
    ahead.collect(place, &site.orchard)?;
    let refusal = site.orchard.registrar.refusal(&late.serial).await?;
    // What was never made cannot be sold.
    let Err(unsold) = site.kestrel.sell(&["KT999999X"], site.orchard.name).await else {
        bail!("a device that was never made was sold");
    };
    Ok(Shown {
        shown: format!(
            "the sale is on record; with a voucher fetched ahead (good to {}) {} joined while the MASA was away",
            voucher.expires, ahead.serial
        ),
        refused: format!("{} had no voucher ahead: {refusal}; and {unsold}", late.serial),
    })
}

/// Stops a manufacturer that was only there for one case.
pub(in crate::lab) async fn close(mut manufacturer: Manufacturer) {
    manufacturer.masa_goes_away().await;
}

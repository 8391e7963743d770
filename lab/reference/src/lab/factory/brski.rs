//! Factory BRSKI (H.3): the IDevID's key in a secure element, then Build 3's onboarding with it.

use super::{
    Build,
    line::{Line, last, probed, proof},
    story,
};
use crate::lab::{
    Shown, Table,
    chip::Kind,
    device::Device,
    party::{Manufacturer, MasaManners},
    place::Place,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_lifecycle::factory::{FactoryDevice, Method};
use landfall_pki::{Anchors, Certificate, PathPolicy, validate};
use landfall_types::{Redacted, Time};
use serde_json::Value;
use std::fs;

/// Runs the build: its story, then its rows.
pub(super) async fn run(build: &'static Build, place: &Place, table: &mut Table<'_>) -> Result<()> {
    place.narrator.chapter(build.title);
    let line = Line::prepare(build, place).await?;
    let device = story::tell(place, &line).await.context("the story of H.3.2")?;
    place.narrator.chapter("The capabilities, each with the case that must be refused");
    table.row(build.name, "S0.C1", birth_credentials(place, &line, &device)).await?;
    table.row(build.name, "S0.C2", signed_by_a_trusted_ca(place, &line, &device)).await?;
    table.row(build.name, "S0.C3", bootstrapping_information(place, &line)).await?;
    table.row(build.name, "S1.C6", kept_in_hardware(place, &line)).await?;
    line.close(place).await;
    Ok(())
}

/// S0.C1: each of the five methods of H.1.1, and a device onboarded with each of their keys. The key cannot be taken out, a
/// copy of the files is of no use in another device, a seed serves once.
async fn birth_credentials(place: &Place, line: &Line, second: &Device) -> Result<Shown> {
    let kind = line.build.kind;
    let mut seed = vec![0; 32];
    aws_lc_rs::rand::fill(&mut seed).ok().context("there is no randomness")?;
    let seed = Redacted::new(seed);
    let (first, third) = (line.on_device(place).await?, line.loaded(place)?);
    let (fourth, fifth) = (line.pre_provisioned(place).await?, line.seeded(place, &seed).await?);
    for device in [&first, &third, &fourth, &fifth] {
        line.sold(device).await?;
        line.joined(place, device).await.with_context(|| format!("with the key of {}", device.serial))?;
    }
    let methods = [(&first, Method::OnDevice), (second, Method::InSecureElement), (&third, Method::Loaded)];
    for (device, method) in methods.into_iter().chain([(&fourth, Method::PreProvisioned), (&fifth, Method::FromSeed)]) {
        let record = line.maker.factory.store().find::<FactoryDevice>(&device.serial)?;
        let record = record.with_context(|| format!("{} is not on record", device.serial))?.record;
        ensure!(record.method == method, "{} is on record as {:?}", device.serial, record.method);
    }
    let (extracted, pre_provisioned) = (probed(&second.body, place).await?, probed(&fourth.body, place).await?);
    ensure!(extracted == pre_provisioned, "{extracted}; {pre_provisioned}");
    let cloned = line.cloned(place, second).await?;
    let Err(reused) = line.derived(&format!("{}-SEED-2", line.build.prefix), &seed) else {
        bail!("one seed serves two devices");
    };
    Ok(Shown {
        shown: format!(
            "onboarded with keys made on the device ({}, method 1), in its {kind} ({}, 2), in the factory ({}, 3), in the \
             {kind} by its maker ({}, 4), and from a seed ({}, 5)",
            first.serial, second.serial, third.serial, fourth.serial, fifth.serial
        ),
        refused: format!(
            "key taken out: {extracted}; its files at another {kind}: {cloned}; seed again: {}",
            last(&reused)
        ),
    })
}

/// S0.C2: the IDevID leads to the manufacturer's root. A TPM whose endorsement certificate another CA of the same name issued
/// gets none, nor does whoever does not have the key.
async fn signed_by_a_trusted_ca(place: &Place, line: &Line, device: &Device) -> Result<Shown> {
    let (idevid, chain) = (device.idevid()?, Certificate::chain_from_pem(&device.bundle.chain)?);
    let policy = PathPolicy::at(Time::now());
    let path = validate(&idevid, &chain, &Anchors::of([line.root.clone()]), &policy)?;
    let name = if line.build.ca_elsewhere { "Chipworks" } else { "Kestrel Devices" };
    let sham = Manufacturer::found(place, "sham", name, &MasaManners::default()).await?;
    let other = validate(&idevid, &chain, &Anchors::of([sham.root.clone()]), &policy);
    crate::lab::build3::close(sham).await;
    let Err(other) = other else { bail!("another CA of the same name is believed") };
    let blank = line.blank(place)?;
    let mut forged = line.requested(&blank, place).await?;
    let refused = match (line.build.kind, &device.body.chip) {
        (Kind::Tpm, Some(chip)) => {
            let Err(why) = proof(&blank, place, &chip.maker()).await else { bail!("an endorsement chain was made up") };
            format!("an endorsement certificate by another CA of the same name: {}", last(&why))
        }
        _ => {
            *forged.last_mut().context("an empty request")? ^= 1;
            let Err(why) = line.certified(Method::InSecureElement, &forged) else {
                bail!("a forged request is signed")
            };
            format!("a request that the key did not sign: {}", last(&why))
        }
    };
    Ok(Shown {
        shown: format!(
            "{}: {} certificates up to the root, issued by {}{}",
            device.serial,
            path.chain.len(),
            idevid.issuer(),
            if line.build.ca_elsewhere { " by EST" } else { "" }
        ),
        refused: format!("{refused}; another CA of the same name: {other}"),
    })
}

/// S0.C3: the record and the sale are at the MASA; of what was not recorded it knows nothing.
async fn bootstrapping_information(place: &Place, line: &Line) -> Result<Shown> {
    let device = line.in_element(place).await?;
    let Err(unsold) = line.maker.sell(&[&device.serial], line.owner.name).await else {
        bail!("a device that is not on record was sold");
    };
    line.sold(&device).await?;
    line.joined(place, &device).await?;
    let record = line.maker.factory.store().find::<FactoryDevice>(&device.serial)?.context("it is not on record")?;
    let hardware = record.record.hardware.map(|tpm| format!(", in a TPM of {}", tpm.maker)).unwrap_or_default();
    Ok(Shown {
        shown: format!("the MASA has the record of {} (key made in its element{hardware}) and its sale", device.serial),
        refused: format!("before it was on record: {}", last(&unsold)),
    })
}

/// S1.C6: the LDevID's key is made in the element, replaced there on renewal, and destroyed there on reset.
async fn kept_in_hardware(place: &Place, line: &Line) -> Result<Shown> {
    let device = line.in_element(place).await?;
    line.sold(&device).await?;
    let first = line.joined(place, &device).await?;
    let renewed = device.renew(place, 20).await?.onboarded()?;
    let second = renewed.pointer("/credential/key").and_then(Value::as_str).context("there is no key")?.to_owned();
    let scheme = if line.build.kind == Kind::Tpm { "tpm:ldevid-" } else { "pkcs11:token=device;object=ldevid-" };
    ensure!(first.starts_with(scheme) && second.starts_with(scheme), "the key is at {first}, then at {second}");
    let held = keys(place, &device).await?;
    ensure!(held.len() == 2 && held.contains(&second), "after renewal there are {held:?}");
    let extracted = probed(&device.body, place).await?;
    let cloned = line.cloned(place, &device).await?;
    device.reset(place).await?;
    let held = keys(place, &device).await?;
    ensure!(held.len() == 1 && !held.contains(&second), "after reset there are {held:?}");
    line.joined(place, &device).await?;
    let others = fs::read_dir(device.body.folder.join("state"))?.flatten();
    ensure!(others.into_iter().all(|file| file.file_name() != "keys"), "there is a folder of software keys");
    Ok(Shown {
        shown: format!(
            "{} made {first} in its {}, then {second} in its place, and destroyed it on reset",
            device.serial, line.build.kind
        ),
        refused: format!("key taken out: {extracted}; its files at another element: {cloned}"),
    })
}

/// The keys in a device's element.
async fn keys(place: &Place, device: &Device) -> Result<Vec<String>> {
    let said = device.body.run(place, &["probe"], |_| ()).await?;
    let keys = said.get("keys").and_then(Value::as_array).into_iter().flatten();
    Ok(keys.filter_map(|key| key.get("key").and_then(Value::as_str).map(str::to_owned)).collect())
}

//! Scenario 0: bootstrapping keys, and how what is to be known of them reaches who needs it.

use super::{Maker, Shown, Site, maker};
use crate::lab::place::Place;
use anyhow::{Context, Result, bail, ensure};
use landfall_pki::{Anchors, Certificate, PathPolicy, pem, validate};
use landfall_types::Time;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// S0.C1: method 3 of H.1.1: the factory makes the key, and the device puts it into its encrypted store.
pub(super) async fn birth_credentials(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.kestrel.make(place, &site.lamp)?;
    let key = device.birth_key()?.to_bytes();
    // The first start takes the key in.
    let kept = device.standing()?.bootstrapping_key;
    let state = device.folder.join("state");
    ensure!(fs::metadata(&state)?.permissions().mode() & 0o077 == 0, "others may look into {}", state.display());
    for path in files(&state)? {
        ensure!(!holds(&fs::read(&path)?, key.expose()), "the key stands in {}", path.display());
    }
    let told = format!("{:?}{}", device.standing()?, String::from_utf8_lossy(&site.kestrel.list(&device)?));
    ensure!(!holds(told.as_bytes(), key.expose()), "the key is told to people");
    // The same files with another key to them: nothing opens.
    let key_file = device.key_to_store();
    let good = fs::read(&key_file)?;
    let mut other = good.clone();
    *other.last_mut().context("an empty key file")? ^= 1;
    fs::write(&key_file, other)?;
    let opened = device.standing();
    fs::write(&key_file, good)?;
    let Err(why) = opened else { bail!("the store opens with another key") };
    device.standing()?;
    Ok(Shown {
        shown: format!(
            "{} was loaded with its bootstrapping key (method 3), which is in {kept}, encrypted, and is told to nobody",
            device.serial
        ),
        refused: format!("with another key to the store: {}", last_line(&why)),
    })
}

/// S0.C2: a bootstrapping key is believed because the owner got it from the maker; beside it is an IDevID, which a CA signed.
pub(super) async fn signed_by_a_trusted_ca(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.kestrel.make(place, &site.lamp)?;
    let idevid = Certificate::from_pem(&device.bundle.idevid)?;
    let (chain, policy) = (Certificate::chain_from_pem(&device.bundle.chain)?, PathPolicy::at(Time::now()));
    let path = validate(&idevid, &chain, &Anchors::of([site.kestrel.root.clone()]), &policy)?;
    let namesake = Maker::found(place, "Kestrel Devices")?;
    let refused = validate(&idevid, &chain, &Anchors::of([namesake.root]), &policy);
    let Err(refusal) = refused else { bail!("another CA of the same name is believed") };
    Ok(Shown {
        shown: format!(
            "a bootstrapping key is raw, and no CA signs it; {} has an IDevID beside it, {} certificates up to the root",
            device.serial,
            path.chain.len()
        ),
        refused: refusal.to_string(),
    })
}

/// S0.C3, Build 1: the maker uploads, sells, and the owner's authorization service receives; nobody else does.
pub(super) async fn by_supply_chain(place: &Place, site: &Site) -> Result<Shown> {
    let service = site.supply_chain.as_ref().context("there is no supply chain service")?;
    let device = site.kestrel.make(place, &site.lamp)?;
    service.upload("kestrel", site.kestrel.list(&device)?).await?;
    ensure!(site.orchard.booked(&device).await?.is_none(), "it is in a book before it was sold");
    // Somebody who is not its owner sells it to itself.
    let claimed = service.sell("pine", "pine", &site.kestrel.order(), &device).await;
    let Err(why) = claimed else { bail!("a tenant sold what is another's") };
    service.sell("kestrel", "orchard", &site.kestrel.order(), &device).await?;
    let booked = site.orchard.awaits(&device, true).await?;
    ensure!(site.pine.booked(&device).await?.is_none(), "another tenant sees it");
    Ok(Shown {
        shown: format!(
            "{} was uploaded, sold, and taken into the book of {} by {}; {} sees nothing of it",
            device.serial, site.orchard.name, booked.via, site.pine.name
        ),
        refused: format!("{}, who sells what is not its own: {}", site.pine.name, last_line(&why)),
    })
}

/// S0.C3, Build 2: the URI is on the device, and a camera reads it.
pub(super) async fn by_label(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.kestrel.make(place, &site.lamp)?;
    let picture = site.kestrel.label(&device)?;
    // The same picture with a piece cut off.
    let torn = picture.with_file_name("torn.png");
    let whole = fs::read(&picture)?;
    fs::write(&torn, whole.get(..whole.len() / 2).unwrap_or_default())?;
    let Err(why) = maker::scan(place, &site.orchard, &torn).await else { bail!("a torn label was read") };
    ensure!(site.orchard.booked(&device).await?.is_none(), "a device came into the book by a torn label");
    maker::scan(place, &site.orchard, &picture).await?;
    let booked = site.orchard.booked(&device).await?.context("it is not in the book")?;
    ensure!(booked.uri == device.uri.to_string(), "the book has another URI");
    ensure!(site.pine.booked(&device).await?.is_none(), "another house sees it");
    Ok(Shown {
        shown: format!(
            "the QR code on {} was read from a picture into the book of {} ({})",
            device.serial, site.orchard.name, booked.via
        ),
        refused: format!("half of the picture: {}", last_line(&why)),
    })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => found.extend(files(&entry.path())?),
            false => found.push(entry.path()),
        }
    }
    Ok(found)
}

/// Whether `secret` stands in `content` in any of the forms in which keys are written.
fn holds(content: &[u8], secret: &[u8]) -> bool {
    let plain = content.windows(secret.len().max(1)).any(|part| part == secret);
    let text = String::from_utf8_lossy(content);
    let blocks = pem::decode(&text).unwrap_or_default();
    plain
        || text.contains(&hex::encode(secret))
        || blocks.iter().any(|block| block.der.windows(secret.len().max(1)).any(|part| part == secret))
}

pub(super) fn last_line(why: &anyhow::Error) -> String {
    format!("{why:#}").lines().next_back().unwrap_or_default().trim().to_owned()
}

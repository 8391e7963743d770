//! The numbered steps of appendices C.2.1 and D.2.1, told as they happen to one device.

use super::{LAMPS, Site, Way, device::Device, evidence, maker};
use crate::lab::place::Place;
use anyhow::{Context, Result, ensure};
use landfall_server::admin::view::Configuration;
use serde_json::json;
use std::sync::{Mutex, PoisonError};

/// Makes, sells and onboards a lamp, and tells each step.
pub(super) async fn tell(place: &Place, site: &Site) -> Result<()> {
    let mut device = manufacturer(place, site).await?;
    // Build 2 carries what the application layer begins with in the request (D.2.1 step 4).
    device.members.insert("org.openconnectivity".into(), json!({ "soinfo": [{ "uuid": uuid(&device) }] }));
    let tell = place.narrator;
    tell.line(&format!("  The device and its owner's network ({}):", site.section()));
    let said = Mutex::new(Vec::new());
    let hear = |line: &str| said.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    let became = device.onboard_telling(&[&site.orchard.access_point], 20, &hear).await?;
    let joined = became.joined()?;
    evidence::write(place, &device, &joined)?;
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    let heard = |word: &str| said.iter().find(|line| line.starts_with(word)).with_context(|| format!("nothing {word}"));
    let seen = site.orchard.device(&device).await?.configuration.context("nothing is on record")?;
    tell.step("1", &format!("onboarding mode: the device {}", heard("announces")?));
    tell.step("2", &format!("the hash it says is that of {} in the book of {}", device.serial, site.orchard.name));
    tell.step("3", &format!("authentication in three frames: {}", heard("authenticated")?));
    let networks = joined.names().join(", ");
    tell.step("4", &format!("configuration in three frames: {} for {networks}", methods(&joined.standing)));
    last(place, site, &device, &seen).await?;
    tell.line(&format!("  {} has its credentials, {} ms after it was heard.", device.serial, joined.took.as_millis()));
    Ok(())
}

/// The steps of the manufacturer, and how the URI comes to the owner.
async fn manufacturer(place: &Place, site: &Site) -> Result<Device> {
    let tell = place.narrator;
    tell.line(&format!("  The manufacturer ({}):", site.section()));
    let device = site.kestrel.make(place, &site.lamp)?;
    match &site.supply_chain {
        Some(service) => {
            service.upload("kestrel", site.kestrel.list(&device)?).await?;
            let what = format!(
                "makes lamp {}, and uploads its URI to the supply chain service at {}",
                device.serial, service.place
            );
            tell.step("A1", &what);
            service.sell("kestrel", site.orchard.tenant, &site.kestrel.order(), &device).await?;
            let booked = site.orchard.awaits(&device, true).await?;
            tell.step("A2", &format!("sells it: the book of {} has its URI by {}", site.orchard.name, booked.via));
        }
        None => {
            let label = site.kestrel.label(&device)?;
            tell.step("A1", &format!("makes lamp {}, and prints its URI as a QR code on it", device.serial));
            maker::scan(place, &site.orchard, &label).await?;
            let booked = site.orchard.booked(&device).await?.context("it is not in the book")?;
            tell.step(
                "A2",
                &format!("a person scans it: the book of {} has its URI by {}", site.orchard.name, booked.via),
            );
        }
    }
    Ok(device)
}

/// What the builds do differently after the configuration.
async fn last(place: &Place, site: &Site, device: &Device, seen: &Configuration) -> Result<()> {
    let tell = place.narrator;
    let hostapd = site.orchard.hostapd().await?;
    let methods = hostapd.value(LAMPS, "wpa_key_mgmt")?;
    match site.build.way {
        Way::Cloud => {
            let state = site.orchard.device(device).await?.state;
            tell.step("5", &format!("the access point's settings have the device, which is {state}, in its group"));
        }
        Way::Gateway => {
            let members = seen.others.get("org.openconnectivity").context("what the device sent for OCF is lost")?;
            ensure!(members.to_string().contains(&uuid(device)), "what the device sent for OCF was changed");
            tell.step(
                "5",
                "the device's OCF bootstrapping information came with the request, and is kept for a Diplomat",
            );
        }
    }
    let authenticated = if seen.network_authenticated { "both sides" } else { "the device alone" };
    tell.step("6", &format!("the device can join {LAMPS} by {methods}; authenticated was {authenticated} (6.1.2)"));
    if site.build.way == Way::Gateway {
        tell.note("Steps 7 and 8 are those of the application layer, which this version does not have.");
    }
    Ok(())
}

fn methods(standing: &landfall_device::dpp::Standing) -> String {
    standing.networks.iter().map(|network| network.akm.clone()).collect::<Vec<_>>().join(", ")
}

/// A name for the application layer that is the device's own.
fn uuid(device: &Device) -> String {
    let hash = device.hash().to_string();
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

impl Site {
    const fn section(&self) -> &'static str {
        match self.build.way {
            Way::Cloud => "C.2.1",
            Way::Gateway => "D.2.1",
        }
    }
}

//! S4.C5: what a device does decides where it is, if policy says so.

use super::{
    Device, Shown, Site,
    contact::until_quarantined,
    evidence::{examined, leave_evidence},
    network::{come_in, leave},
};
use crate::lab::{door::LIMIT, place::Place, switch::target};
use anyhow::{Result, ensure};
use landfall_assurance::{DEFAULT, Kind};
use landfall_policy::Value;
use landfall_server::admin::view::{PolicyInForce, PolicyTrial, ProposedPolicy};
use std::time::{Duration, Instant};

const POLICY: &str = "/v1/verification/policy";
/// What the owner adds to the usual policy.
const NO_SCANS: &str = r#"
@id("no-scans")
@says("it looks for open ports")
forbid (principal, action in [Action::"join", Action::"stay"], resource in Level::"remediation")
when { context has unusual_behaviour && context.unusual_behaviour.contains("scan") };
"#;

/// A device scans: it is told of at once, and moved as soon as policy says so; its sister stays.
pub(super) async fn behaviour_places(place: &Place, site: &Site) -> Result<Shown> {
    let admin = &site.orchard.registrar.admin;
    let (device, sister) =
        (site.bought(place, &site.thermostat, 0).await?, site.bought(place, &site.thermostat, 1).await?);
    let mut inside = Vec::new();
    for (port, device) in [&device, &sister].into_iter().enumerate() {
        device.onboard(place, 3).await?.onboarded()?;
        inside.push(come_in(place, site, device, port).await?);
    }
    let voice = site.switch.voice(0)?;
    for port in 20_000..20_030 {
        // Somebody may say that nobody is there.
        let _ = voice.send_to(b"anybody?", target(port));
    }
    let why = until_unusual(site, &device).await?;
    // Until policy speaks of it, it is only said.
    site.switch.expect(0, true, "a device of which policy says nothing")?;
    let before: PolicyInForce = admin.get(POLICY).await?;
    let proposed = ProposedPolicy { text: format!("{DEFAULT}{NO_SCANS}"), reason: "no scans".into(), signature: None };
    let _: PolicyTrial = admin.post(POLICY, &proposed).await?;
    until_quarantined(site, &device).await?;
    site.switch.expect(0, false, "a device that scans")?;
    site.switch.expect(1, true, "its sister, which does not")?;
    ensure!(unusual(site, &sister).await?.is_none(), "something is said of its sister");
    let refused = leave_evidence(place, site, &device, &[&why]).await?;
    let back = ProposedPolicy { text: before.text, reason: "the lab is done".into(), signature: None };
    let _: PolicyTrial = admin.post(POLICY, &back).await?;
    let serials = (device.serial.clone(), sister.serial.clone());
    for (device, supplicant) in [&device, &sister].into_iter().zip(inside) {
        leave(site, device, supplicant).await?;
    }
    Ok(Shown {
        shown: format!("{}: {why}; said at once, and moved when policy said so; {} stayed", serials.0, serials.1),
        refused: format!("{}: {refused}", serials.0),
    })
}

/// What is said of a device, in words.
async fn unusual(site: &Site, device: &Device) -> Result<Option<String>> {
    let view = examined(site, device).await?.view;
    let found = view.dossier.of(Kind::UnusualBehaviour).find_map(|fact| match &fact.value {
        Value::List(list) => list.iter().find(|text| text.starts_with("scan: ")).cloned(),
        _ => None,
    });
    Ok(found)
}

async fn until_unusual(site: &Site, device: &Device) -> Result<String> {
    let begun = Instant::now();
    loop {
        if let Some(why) = unusual(site, device).await? {
            return Ok(why);
        }
        ensure!(begun.elapsed() < LIMIT, "nobody saw it scan");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

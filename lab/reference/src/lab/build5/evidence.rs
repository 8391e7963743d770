//! What the lab looks at and leaves of a device that is judged.

use super::{Device, Site};
use crate::lab::place::Place;
use anyhow::{Context, Result};
use landfall_server::admin::{
    escape,
    view::{Decided, Examined, Page, PolicyInForce},
};
use std::fs;

pub(super) async fn examined(site: &Site, device: &Device) -> Result<Examined> {
    let path = format!("/v1/verification/devices/{}", escape(&device.serial));
    Ok(site.orchard.registrar.admin.get(&path).await?)
}

/// Leaves what the decision rests on beside the packets: the facts, the policy and its version, the decisions. Why it is not let
/// further in.
pub(super) async fn leave_evidence(place: &Place, site: &Site, device: &Device, measured: &[&str]) -> Result<String> {
    let admin = &site.orchard.registrar.admin;
    let examined = examined(site, device).await?;
    let policy: PolicyInForce = admin.get("/v1/verification/policy").await?;
    let (mut decisions, mut after) = (Vec::new(), None::<String>);
    loop {
        let query = [("limit", Some("500")), ("after", after.as_deref())];
        let page: Page<Decided> = admin.list("/v1/verification/decisions", &query).await?;
        let its = page.items.into_iter().map(|it| it.decision).filter(|it| it.device == examined.view.dossier.device);
        decisions.extend(its);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let folder = device.evidence();
    fs::write(folder.join("facts.json"), serde_json::to_string_pretty(&examined.view)?)?;
    fs::write(folder.join("decisions.json"), serde_json::to_string_pretty(&decisions)?)?;
    fs::write(folder.join(format!("policy-version-{}.cedar", policy.version)), &policy.text)?;
    if !measured.is_empty() {
        fs::write(folder.join("cause-to-effect.txt"), measured.join("\n") + "\n")?;
    }
    device.collect(place, &site.orchard)?;
    let last = decisions.last().context("nothing was decided about it")?;
    Ok(last.ruling.why())
}

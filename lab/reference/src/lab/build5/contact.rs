//! S5.C6, the fifth check of table G-1: a device sends a packet to an address that is on a deny list, and is off the network.

use super::{
    Device, Shown, Site,
    evidence::{examined, leave_evidence},
    network::{Traces, come_in, leave},
};
use crate::lab::{door::LIMIT, place::Place};
use anyhow::{Context, Result, ensure};
use landfall_assurance::{Kind, Level};
use landfall_server::admin::view::{DenyListAdded, DenyListView, Note, ProposedDenyList};
use std::{
    net::{Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

const LISTS: &str = "/v1/verification/deny-lists";
/// Nobody has addresses of documentation (RFC 3849).
const LISTED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x66, 0, 0, 0, 0, 0x66);
/// One of them that is on no list.
const HARMLESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0x77);
/// Where it is said that malware calls home.
const PORT: u16 = 4444;

/// One device speaks with what is on a list, its sister with what is on none.
pub(super) async fn contact_quarantines(place: &Place, site: &Site) -> Result<Shown> {
    let admin = &site.orchard.registrar.admin;
    let name = "lab".to_owned();
    let list = ProposedDenyList { name, format: "plain".into(), text: format!("{LISTED}\n") };
    let _: DenyListAdded = admin.post(LISTS, &list).await?;
    let (device, sister) =
        (site.bought(place, &site.thermostat, 0).await?, site.bought(place, &site.thermostat, 1).await?);
    for device in [&device, &sister] {
        device.onboard(place, 3).await?.onboarded()?;
    }
    let traces = Traces::begin(site, &device, 0, "lf5-heating").await?;
    let (first, second) = (come_in(place, site, &device, 0).await?, come_in(place, site, &sister, 1).await?);
    for port in [0, 1] {
        site.switch.lead(port, LISTED)?;
        site.switch.lead(port, HARMLESS)?;
    }
    site.switch.voice(1)?.send_to(b"words", SocketAddr::from((HARMLESS, PORT)))?;
    let voice = site.switch.voice(0)?;
    let word = async {
        voice.send_to(b"call home", SocketAddr::from((LISTED, PORT)))?;
        until_quarantined(site, &device).await
    };
    let silenced = traces.silence(site, 0, word).await?;
    site.switch.expect(0, false, "a device that spoke with what is on a deny list")?;
    site.switch.expect(1, true, "its sister, which did not")?;
    let view = examined(site, &device).await?.view;
    let fact = view.dossier.of(Kind::DenyListContact).find(|fact| fact.source == "deny list lab");
    let fact = fact.context("nobody told of it")?;
    ensure!(fact.verifier == "enforcer", "{} told of it", fact.verifier);
    let why = leave_evidence(place, site, &device, &[&silenced.to_string()]).await?;
    let serials = (device.serial.clone(), sister.serial.clone());
    leave(site, &device, first).await?;
    leave(site, &sister, second).await?;
    let _: DenyListView = admin.post(&format!("{LISTS}/lab/remove"), &Note::default()).await?;
    Ok(Shown {
        shown: format!(
            "{} by a packet to {LISTED}: quarantine, {silenced}; {}, which sent one elsewhere, stayed",
            Kind::DenyListContact,
            serials.1
        ),
        refused: format!("{}: {why}", serials.0),
    })
}

pub(super) async fn until_quarantined(site: &Site, device: &Device) -> Result<()> {
    let begun = Instant::now();
    loop {
        let stands = examined(site, device).await?.view.assessment.context("it was not assessed")?.level;
        if stands == Level::Quarantine {
            return Ok(());
        }
        ensure!(begun.elapsed() < LIMIT, "after that it is {stands}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

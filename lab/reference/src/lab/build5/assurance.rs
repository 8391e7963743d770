//! Scenarios 4 and 5 where continuous assurance decides: what becomes known of a device, what policy makes of it, and when the
//! last packet of it comes through.

use super::{
    Device, MENDING, Shown, Site, contact,
    evidence::{examined, leave_evidence},
    network::{Traces, come_in, leave, stay_out},
    witness::{Asserted, Witnesses, birth_key},
};
use crate::lab::place::Place;
use anyhow::{Context, Result, bail, ensure};
use landfall_assurance::{Kind, Level};
use landfall_claims::Claim;

/// S4.C4: two devices of a model; one of them has a vulnerability, and is placed where it is mended when it joins.
pub(super) async fn segment_by_posture(place: &Place, site: &Site) -> Result<Shown> {
    let (sound, frail) =
        (site.bought(place, &site.thermostat, 0).await?, site.bought(place, &site.thermostat, 1).await?);
    for device in [&sound, &frail] {
        device.onboard(place, 3).await?.onboarded()?;
    }
    site.witnesses.publish(site, &frail, true).await?;
    site.witnesses.list_components(site, &sound, None, true).await?;
    site.witnesses.list_components(site, &frail, None, false).await?;
    let first = come_in(place, site, &sound, 0).await?;
    let (refusal, second) = site.switch.come(place, &frail, 1).await?;
    ensure!(refusal.is_none(), "it was not let in at all: {refusal:?}");
    ensure!(site.switch.answered_by(1, MENDING, true)?, "it does not reach where it is mended");
    site.switch.expect(1, false, "a device with a vulnerability")?;
    let why = leave_evidence(place, site, &frail, &[]).await?;
    let (heating, repair) = (sound.serial.clone(), frail.serial.clone());
    leave(site, &sound, first).await?;
    leave(site, &frail, second).await?;
    Ok(Shown {
        shown: format!("thermostats of one model: {heating} joined among its like, {repair} where it is mended"),
        refused: format!("{repair} does not reach the service: {why}"),
    })
}

/// S5.C6: table G-1's five checks. Each fails one device that is inside and talks, which is then off the network.
pub(super) async fn continuously_assured(place: &Place, site: &Site) -> Result<Shown> {
    let checks = [
        (Kind::ManufacturerTrusted, Level::Blocked),
        (Kind::DeviceTrusted, Level::Blocked),
        (Kind::TypeBound, Level::Blocked),
        (Kind::VulnerabilityScore, Level::Remediation),
    ];
    let (mut shown, mut refused) = (Vec::new(), Vec::new());
    for (kind, level) in checks {
        let device = site.bought(place, &site.thermostat, 0).await?;
        device.onboard(place, 3).await?.onboarded()?;
        let traces = Traces::begin(site, &device, 0, "lf5-heating").await?;
        let grounds = Grounds::lay(site, &device, kind).await?;
        let supplicant = come_in(place, site, &device, 0).await?;
        let silenced = traces.silence(site, 0, grounds.fail(site, &device)).await?;
        site.switch.expect(0, false, "a device that has failed a check")?;
        let examined = examined(site, &device).await?;
        let stands = examined.view.assessment.context("it was not assessed")?.level;
        ensure!(stands == level, "after {kind} it is {stands}");
        let why = leave_evidence(place, site, &device, &[&silenced.to_string()]).await?;
        shown.push(format!("{kind}: {level}, {silenced}"));
        if level == Level::Blocked {
            drop(supplicant);
            stay_out(place, site, &device, 0).await?;
            site.orchard.judge(&device.serial, "forget", "the lab is done").await?;
        } else {
            leave(site, &device, supplicant).await?;
        }
        grounds.mend(site, &device, kind).await?;
        refused.push(format!("{}: {why}", device.serial));
    }
    let contact = contact::contact_quarantines(place, site).await?;
    shown.push(contact.shown);
    refused.push(contact.refused);
    Ok(Shown { shown: shown.join("; "), refused: refused.join("; ") })
}

/// What a check rests on before it fails.
enum Grounds<'a> {
    /// Somebody who may has said so, and takes it back.
    Word(Asserted<'a>),
    /// Its components are known, and what is wrong with them; now something is found.
    Components,
}

impl<'a> Grounds<'a> {
    async fn lay(site: &'a Site, device: &Device, kind: Kind) -> Result<Self> {
        let Witnesses { owner, user, .. } = &site.witnesses;
        let (witness, claim) = match kind {
            Kind::ManufacturerTrusted => {
                (owner, Claim::ManufacturerTrust { manufacturer: site.kestrel.root.public_key().fingerprint() })
            }
            Kind::DeviceTrusted => (user, Claim::DeviceTrust { device: birth_key(device)? }),
            Kind::TypeBound => {
                let device_type = format!("{}/THERMOSTAT-1", site.kestrel.vendor);
                (user, Claim::TypeBinding { device: birth_key(device)?, device_type })
            }
            Kind::VulnerabilityScore => {
                site.witnesses.publish(site, device, false).await?;
                site.witnesses.list_components(site, device, None, false).await?;
                return Ok(Self::Components);
            }
            _ => bail!("nobody here says anything of {kind}"),
        };
        witness.assert(site, device, claim).await.map(Self::Word)
    }

    async fn fail(&self, site: &Site, device: &Device) -> Result<()> {
        match self {
            Self::Word(asserted) => asserted.revoke(site, device).await,
            Self::Components => site.witnesses.publish(site, device, true).await,
        }
    }

    /// Has said again what holds of more than that one device.
    async fn mend(&self, site: &'a Site, device: &Device, kind: Kind) -> Result<()> {
        match kind {
            Kind::ManufacturerTrusted => Self::lay(site, device, kind).await.map(drop),
            _ => Ok(()),
        }
    }
}

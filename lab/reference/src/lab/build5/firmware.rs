//! Scenarios 4 and 5 where new firmware mends a device: it takes that where it is mended, shows what it runs, and is back by itself.

use super::{
    Device, SERVICE, Shown, Site, UPDATES,
    evidence::{examined, leave_evidence},
    network::{Traces, come_in, leave},
    trace::Trace,
};
use crate::lab::{
    attested::release,
    chip::Kind,
    device::Body,
    factory::line::proven,
    place::Place,
    switch,
    update::{self, Host, Releases},
};
use anyhow::{Context, Result, anyhow, ensure};
use landfall_assurance::Level;
use landfall_attest::ReferenceValues;
use landfall_pki::{Algorithm, Signer, SoftwareKey, pem};
use landfall_types::Time;
use serde_json::Value;
use std::{fs, path::PathBuf, time::Instant};

const VENDOR: &str = "kestrel-5";
/// The model whose firmware is known: its like measure what they start.
const MODEL: &str = "THERMOSTAT-2";
const OLD: &[u8] = b"thermostat 1.0, with a flaw";
const NEW: &[u8] = b"thermostat 2.0, without it";

/// Those who publish firmware, and what it looks like.
pub(super) struct Publisher {
    /// Of the model that measures what it starts.
    measured: Releases,
    /// Of the other.
    plain: Releases,
    values: PathBuf,
    signer: PathBuf,
}

impl Publisher {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let folder = place.folder("kestrel-5-releases")?;
        let (values, signer) = (folder.join("values.jwt"), folder.join("signer.pem"));
        let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
        fs::write(&signer, pem::encode("PUBLIC KEY", key.public_key().spki_der()))?;
        // Those of an update are there before it is rolled out.
        let known = vec![release(OLD, "1.0"), release(NEW, "2.0")];
        fs::write(&values, ReferenceValues::new(VENDOR, MODEL, Time::now(), known).sign(&key)?)?;
        let (measured, plain) = (Releases::new(VENDOR, MODEL)?, Releases::new(VENDOR, "THERMOSTAT-1")?);
        Ok(Self { measured, plain, values, signer })
    }

    /// The lines of landfall.toml: what devices run is a fact, and no more.
    pub(super) fn settings(&self) -> String {
        let Self { values, signer, .. } = self;
        format!("[registrar.attestation]\nask = true\nreference-values = [{values:?}]\nsigners = [{signer:?}]\n")
    }
}

/// Where devices find the host.
fn place_of_releases() -> String {
    format!("https://{}", switch::target(UPDATES))
}

/// S5.C1: a device that is inside takes what its manufacturer has signed for it, and nothing else.
pub(super) async fn updated(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let supplicant = come_in(place, site, &device, 0).await?;
    let host = Host::start(place, &site.orchard, UPDATES).await?;
    let shown = update::updated(place, &device, &site.publisher.plain, &host, &place_of_releases()).await;
    host.stop().await;
    device.collect(place, &site.orchard)?;
    leave(site, &device, supplicant).await?;
    shown
}

/// S4.C6: what becomes known of a device that is inside moves it to where it reaches its update and nothing else. It takes that, is started
/// again, and shows what it runs now: it is back by itself. Nobody says that it was mended.
pub(super) async fn moved_and_mended(place: &Place, site: &Site) -> Result<Shown> {
    let mut device = bought(place, site).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let serial = device.serial.clone();
    let traces = Traces::begin(site, &device, 0, "lf5-heating").await?;
    site.witnesses.publish(site, &device, false).await?;
    // The manufacturer says what each of its releases consists of.
    site.witnesses.list_components(site, &device, Some("1.0"), false).await?;
    site.witnesses.list_components(site, &device, Some("2.0"), true).await?;
    let host = Host::start(place, &site.orchard, UPDATES).await?;
    host.give(site.publisher.measured.publish("2.0", 20, NEW)?);
    let refusal = site.switch.come_by_itself(place, &device, 0).await?;
    ensure!(refusal.is_none(), "{serial} was not let in: {refusal:?}");
    site.switch.expect(0, true, "a device that is inside")?;
    let silenced = traces.silence(site, 0, site.witnesses.publish(site, &device, true)).await?;
    let placed = examined(site, &device).await?.view.assessment.context("it was not assessed")?.level;
    ensure!(placed == Level::Remediation, "with a vulnerability it is {placed}");
    let why = leave_evidence(place, site, &device, &[&silenced.to_string()]).await?;

    let filter = format!("tcp dst port {UPDATES} or udp dst port {SERVICE}");
    let mending = Trace::begin("lf5-repair", &filter, device.evidence().join("where-it-is-mended.pcap")).await?;
    let taken = update::looks(place, &device, &place_of_releases()).await?;
    taken.map_err(|why| anyhow!("{serial} was not updated: {why}"))?;
    let fetched = mending.packets()?.len();
    ensure!(fetched > 0, "its update came by another way");
    site.switch.expect(0, false, "a device that has its update and has not shown it")?;
    host.stop().await;

    device.body.restart(place).await?;
    let begun = Instant::now();
    let said = device.body.run(place, &["show"], |_| ()).await?;
    ensure!(said.get("firmware").and_then(Value::as_str) == Some("2.0"), "it shows {said}");
    site.switch.expect(0, true, "a device that was mended")?;
    let back = begun.elapsed();
    leave_evidence(place, site, &device, &[&silenced.to_string()]).await?;
    site.orchard.judge(&serial, "forget", "the lab is done").await?;
    Ok(Shown {
        shown: format!(
            "{serial} was moved to where it is mended, {silenced}; there it fetched release 2.0 ({fetched} packets to the host of updates), was \
             started again, showed it by its simulated TPM, and was back by itself after {:.1} s",
            back.as_secs_f64()
        ),
        refused: format!("meanwhile, and with the update before it was shown, it did not reach the service: {why}"),
    })
}

/// A thermostat that measured its first firmware when it started, at the switch's first port.
async fn bought(place: &Place, site: &Site) -> Result<Device> {
    let product = site.kestrel.product(MODEL, "KT5M", Algorithm::EcdsaP256)?;
    let mut body = Body::with_chip_at(place, "KT5-MEASURED", Kind::Tpm, site.switch.socket(0)?)?;
    site.publisher.measured.equip(&body, OLD)?;
    body.restart(place).await?;
    let bundle = proven(&site.kestrel, &product, &body, place).await?;
    let device = body.born(bundle)?;
    site.kestrel.record().await?;
    site.kestrel.sell(&[&device.serial], site.orchard.name).await?;
    Ok(device)
}

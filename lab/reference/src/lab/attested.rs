//! Attestation (the guide's 7.7): which software a device runs is shown by its TPM, before it gets a network credential and
//! before what needs that shown again. For every build whose devices come by BRSKI and EST.

use super::{
    Shown, Table,
    application::Service,
    chip::{Chip, Kind},
    device::{Device, copy},
    factory::line::proven,
    party::{Manufacturer, MasaManners, More, Owner},
    place::Place,
};
use crate::peers::program;
use anyhow::{Context, Result, anyhow, bail, ensure};
use landfall_attest::{EventLog, ReferenceValues, Release, Tier, log::IPL};
use landfall_lifecycle::{factory::Product, network::DomainDevice};
use landfall_pki::{Algorithm, Signer, SoftwareKey, pem};
use landfall_server::{RoleName, attestation::AttestationRecord};
use landfall_tpm::TpmElement;
use landfall_types::{Fingerprint, Record, Time};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tokio::time::sleep;

const MODEL: &str = "THERMOSTAT-1";
/// What is measured before it runs, and into which PCR: what a boot loader measures the rest into.
const FIRMWARE: &[u8] = b"thermostat 1.4.2";
const PCR: u8 = 8;
/// A device that shows itself every second has done so by then.
const LIMIT: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(50);
/// What it says that it consists of; its TPM's quote covers that as well.
const SBOM: &[u8] = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[
    {"type":"library","bom-ref":"smallvec","name":"smallvec","purl":"pkg:cargo/smallvec@1.6.1"}]}"#;
/// What is measured on the registrar's machine.
const REGISTRAR: &[u8] = b"registrar 0.4";

/// A network that asks devices what software they run, and the manufacturer that says what is good.
pub(super) struct Watched {
    maker: Manufacturer,
    owner: Owner,
    product: Product,
    folder: PathBuf,
    /// What its devices' serial numbers and folders begin with, in each build another.
    prefix: &'static str,
    numbers: AtomicU32,
    /// The registrar's own TPM.
    chip: Chip,
    own: TpmElement,
}

impl Watched {
    /// Why there is none here, and what brings one.
    fn missing() -> &'static str {
        Kind::Tpm.missing().unwrap_or("nobody asked for it")
    }

    /// If there can be TPMs here, and one of its rows is asked for.
    pub(super) async fn wanted(place: &Place, table: &Table<'_>, prefix: &'static str) -> Result<Option<Self>> {
        let wanted = ["S4.C1", "S4.C2", "S4.C3", "S5.C3"].into_iter().any(|id| table.wants(id));
        match wanted && Kind::Tpm.missing().is_none() {
            true => Self::prepare(place, prefix).await.map(Some),
            false => Ok(None),
        }
    }

    async fn prepare(place: &Place, prefix: &'static str) -> Result<Self> {
        let maker = Manufacturer::found(place, "heron", "Heron Devices", &MasaManners::default()).await?;
        let product = maker.product(MODEL, prefix, Algorithm::EcdsaP256)?;
        let folder = place.new_folder("releases")?;
        let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
        fs::write(folder.join("signer.pem"), pem::encode("PUBLIC KEY", key.public_key().spki_der()))?;
        fs::write(folder.join("values.jwt"), known().sign(&key)?)?;
        // The registrar's machine has a TPM too, and its boot measured the registrar.
        let chip = Chip::solder(Kind::Tpm, &folder.join("chip"), None)?;
        let own = TpmElement::from_uri(chip.uri(), &folder.join("own-keys"))?;
        let log = measured(REGISTRAR);
        log.events.iter().try_for_each(|event| own.measure(event.pcr, &event.digest))?;
        fs::write(folder.join("own-log"), log.write())?;
        let mut service = values("heronry", "registrar", REGISTRAR, "0.4");
        service.keys.push(own.attestation_public_key()?.fingerprint());
        fs::write(folder.join("service.jwt"), service.sign(&key)?)?;
        let settings = format!(
            "[registrar.attestation]\nrequire = \"affirming\"\nreference-values = [{:?}]\nsigners = [{:?}]\nevidence = {:?}\n\
             own-tpm = {:?}\nown-keys = {:?}\nown-pcrs = [8]\nown-event-log = {:?}\n",
            folder.join("values.jwt"),
            folder.join("signer.pem"),
            folder.join("shown"),
            chip.uri(),
            folder.join("own-keys"),
            folder.join("own-log")
        );
        let more = More { settings, roles: &[RoleName::Registrar], proxy: None };
        let owner = Owner::settle_with(place, "heronry", "Heron House", &[maker.known()], &[MODEL], more).await?;
        maker.customer(&owner).await?;
        Ok(Self { maker, owner, product, folder, prefix, numbers: AtomicU32::new(1), chip, own })
    }

    /// Runs one of its rows, or says why it cannot be run.
    pub(super) async fn row(
        watched: Option<&Self>,
        place: &Place,
        table: &mut Table<'_>,
        build: &'static str,
        id: &'static str,
    ) -> Result<()> {
        match (watched, id) {
            (None, _) => table.not_run(build, id, Self::missing()),
            (Some(watched), "S4.C1") => table.row(build, id, watched.before_the_network(place)).await,
            (Some(watched), "S4.C2") => table.row(build, id, watched.before_the_application(place)).await,
            (Some(watched), "S4.C3") => table.row(build, id, watched.before_an_operation(place)).await,
            (Some(watched), "S5.C3") => table.row(build, id, watched.the_server_too(place)).await,
            (Some(_), other) => bail!("{other} is no row about attestation"),
        }
    }

    pub(super) async fn close(mut self, place: &Place) {
        self.owner.leave(place).await;
        self.maker.masa_goes_away().await;
    }

    /// A device that measured that into its TPM when it started, and was then made and sold as every other.
    async fn started(&self, place: &Place, firmware: &[u8]) -> Result<Device> {
        use super::device::Body;
        let name = format!("{}-{}", self.prefix, self.numbers.fetch_add(1, Ordering::Relaxed));
        let body = Body::with_chip(place, &name, Kind::Tpm)?;
        let image = body.folder.join("firmware.bin");
        fs::write(&image, firmware)?;
        let image = image.display().to_string();
        body.run(place, &["measure", &image, "--pcr", &PCR.to_string(), "--name", "firmware"], |_| ()).await?;
        let bundle = proven(&self.maker, &self.product, &body, place).await?;
        self.sold(body.born(bundle)?).await
    }

    /// One that has no TPM, and so only its own word.
    async fn without_tpm(&self, place: &Place) -> Result<Device> {
        let bundles = self.maker.make(&self.product, 1)?;
        self.sold(Device::unpack(place, bundles.first().context("the factory made nothing")?)?).await
    }

    async fn sold(&self, device: Device) -> Result<Device> {
        self.maker.record().await?;
        self.maker.sell(&[&device.serial], self.owner.name).await?;
        Ok(device)
    }

    /// What the registrar knows of a device's software.
    fn result(&self, device: &Device) -> Result<AttestationRecord> {
        let store = &self.owner.registrar.store;
        let known = store.find_by::<DomainDevice>(DomainDevice::BY_SERIAL, &device.serial, 1)?.pop();
        let known = known.context("the registrar does not know it")?;
        Ok(store.find::<AttestationRecord>(&known.key())?.context("it has shown nothing")?.record)
    }

    /// Copies what a device showed to where the user wants it.
    fn collect(&self, place: &Place, device: &Device, when: &str) -> Result<PathBuf> {
        let shown = self.folder.join("shown").join(&device.serial);
        if let Some(evidence) = &place.evidence {
            let to = evidence.join("attestation").join(format!("{}-{when}", device.serial));
            copy(&shown, &to)?;
            fs::copy(self.folder.join("values.jwt"), to.join("reference-values.jwt"))?;
            fs::copy(self.folder.join("signer.pem"), to.join("reference-signer.pem"))?;
        }
        Ok(shown)
    }

    /// S4.C1: a device whose TPM quotes a known release gets a certificate. One that runs something else, and one that has
    /// only its own word, get none, though their vouchers are good.
    async fn before_the_network(&self, place: &Place) -> Result<Shown> {
        let device = self.started(place, FIRMWARE).await?;
        let length = lengthened(place, &device).await?;
        fs::write(device.body.folder.join("sbom.json"), SBOM)?;
        device.onboard_only(place, &self.owner).await?.onboarded()?;
        let result = self.result(&device)?;
        ensure!(result.tier == Tier::Affirming && result.root == "tpm", "{}", result.why);
        let shown = self.collect(place, &device, "onboarded")?;
        ensure!(fs::read(shown.join("sbom.json"))? == SBOM, "its list of components did not come along");
        let checked = checked_by_others(&shown)?;

        let tampered = self.started(place, b"thermostat 1.4.2 with something added").await?;
        tampered.onboard_only(place, &self.owner).await?.refused()?;
        let refusal = self.owner.registrar.refusal(&tampered.serial).await?;
        let judged = self.result(&tampered)?;
        ensure!(judged.why.contains("reference-pcr"), "{}", judged.why);
        self.collect(place, &tampered, "refused")?;

        let plain = self.without_tpm(place).await?;
        plain.onboard_only(place, &self.owner).await?.refused()?;
        let word = self.result(&plain)?;
        ensure!(word.root == "software" && word.tier < Tier::Affirming, "{}", word.why);
        Ok(Shown {
            shown: format!(
                "{} is affirmed by its simulated TPM with an event log of {} KiB and a list of its components, firmware {}{checked}",
                device.serial,
                length / 1024,
                result.firmware.unwrap_or_default()
            ),
            refused: format!("{}: {}; without a TPM: {}", refusal.check, judged.why, word.why),
        })
    }

    /// S4.C2: an application service over TLS with both sides' network credentials takes the device in by a result of now, and
    /// no more once something else runs.
    async fn before_the_application(&self, place: &Place) -> Result<Shown> {
        let service = Service::start(place, &self.owner).await?;
        let device = self.started(place, FIRMWARE).await?;
        device.onboard_only(place, &self.owner).await?.onboarded()?;
        let given = applies(&device, place, &service).await?.map_err(|why| anyhow!("it was refused: {why}"))?;
        let added = device.body.folder.join("added.bin");
        fs::write(&added, b"what was not there at the start")?;
        let added = added.display().to_string();
        device.body.run(place, &["measure", &added, "--pcr", &PCR.to_string(), "--name", "added"], |_| ()).await?;
        let refused = applies(&device, place, &service).await?;
        service.stop().await;
        let Err(why) = refused else { bail!("{} was taken in with something added", device.serial) };
        ensure!(why.contains("application-tier"), "{why}");
        Ok(Shown {
            shown: format!("the service in the lab gave {} {given} for a result of the moment", device.serial),
            refused: why,
        })
    }

    /// Waits until a device that runs has shown itself so many times.
    async fn shown_again(&self, device: &Device, times: usize) -> Result<usize> {
        let (begun, mut last) = (Instant::now(), self.result(device)?.at);
        for _ in 0..times {
            while self.result(device)?.at == last {
                ensure!(begun.elapsed() < LIMIT, "{} does not show itself again", device.serial);
                sleep(GLANCE).await;
            }
            last = self.result(device)?.at;
        }
        Ok(times)
    }

    /// S4.C3: before it gets its credential renewed, from time to time, and whenever it is asked. Once something else was measured, the same device
    /// gets neither a good result nor a certificate.
    async fn before_an_operation(&self, place: &Place) -> Result<Shown> {
        let device = self.started(place, FIRMWARE).await?;
        device.onboard_only(place, &self.owner).await?.onboarded()?;
        device.renew(place, 20).await?.onboarded()?;
        let good = shows(&device, place).await?;
        ensure!(good == "affirming", "it is {good}");
        let running = device.stay(place, None)?;
        let times = self.shown_again(&device, 2).await?;
        drop(running);
        let added = device.body.folder.join("added.bin");
        fs::write(&added, b"what was not there at the start")?;
        let added = added.display().to_string();
        device.body.run(place, &["measure", &added, "--pcr", &PCR.to_string(), "--name", "added"], |_| ()).await?;
        let bad = shows(&device, place).await?;
        ensure!(bad != "affirming", "it is {bad} with something added");
        device.renew(place, 4).await?.refused()?;
        let refusal = self.owner.registrar.refusal(&device.serial).await?;
        let judged = self.result(&device)?;
        self.collect(place, &device, "changed")?;
        Ok(Shown {
            shown: format!(
                "{} is {good} when it is asked, gets its credential renewed, and showed itself {times} times more as it ran",
                device.serial
            ),
            refused: format!("renewal with something added: {}: {}", refusal.check, judged.why),
        })
    }
}

impl Watched {
    /// S5.C3: a device asks the registrar for its own evidence, for a nonce of its own, before it lets it renew its credential.
    /// Once something else was measured on the registrar's machine, the device does not.
    async fn the_server_too(&self, place: &Place) -> Result<Shown> {
        let device = self.started(place, FIRMWARE).await?;
        device.onboard_only(place, &self.owner).await?.onboarded()?;
        fs::copy(self.folder.join("service.jwt"), device.body.folder.join("service.jwt"))?;
        fs::copy(self.folder.join("signer.pem"), device.body.folder.join("service-signer.pem"))?;
        device.renew(place, 20).await?.onboarded()?;
        self.own.measure(PCR, &[0xbd; 32])?;
        let refusal = device.renew(place, 20).await?.refused()?;
        ensure!(refusal.check == "service-attestation", "{refusal}");
        Ok(Shown {
            shown: format!(
                "{} let its registrar renew its credential, whose TPM at {} quotes release 0.4",
                device.serial,
                self.chip.uri()
            ),
            refused: format!("by the device: {refusal}"),
        })
    }
}

/// Has a device measure more, until its event log is as long as those of PCs are; how long it is.
async fn lengthened(place: &Place, device: &Device) -> Result<u64> {
    let folder = &device.body.folder;
    let (image, told) = (folder.join("firmware.bin").display().to_string(), "an option ROM ".repeat(4000));
    for pcr in ["0", "7", "7", "7"] {
        device.body.run(place, &["measure", &image, "--pcr", pcr, "--name", &told], |_| ()).await?;
    }
    let length = fs::metadata(folder.join("event-log"))?.len();
    ensure!(length > 200 * 1024, "the log has {length} bytes");
    Ok(length)
}

/// What the application service has for a device that shows it the registrar's result, or why it has nothing.
async fn applies(device: &Device, place: &Place, service: &Service) -> Result<Result<String, String>> {
    let said = device.body.run(place, &["show", "--to", &service.address], |_| ()).await?;
    let why = said.pointer("/refusal/detail").and_then(Value::as_str).map(str::to_owned);
    Ok(why.map_or_else(|| Ok(said.pointer("/application/topic").unwrap_or(&said).to_string()), Err))
}

/// What the registrar makes of what a device shows now.
async fn shows(device: &Device, place: &Place) -> Result<String> {
    let said = device.body.run(place, &["show"], |_| ()).await?;
    match said.get("tier").and_then(Value::as_str) {
        Some(tier) => Ok(tier.to_owned()),
        None => bail!("the device said {said}"),
    }
}

/// What the manufacturer says of its one good release.
fn known() -> ReferenceValues {
    values("heron", MODEL, FIRMWARE, "1.4.2")
}

fn values(vendor: &str, model: &str, firmware: &[u8], name: &str) -> ReferenceValues {
    ReferenceValues::new(vendor, model, Time::now(), vec![release(firmware, name)])
}

/// What a device's TPM has when that was measured at its start.
pub(super) fn release(firmware: &[u8], name: &str) -> Release {
    let pcrs = measured(firmware).replay([PCR]).into_iter().map(|(pcr, value)| (pcr, Fingerprint(value))).collect();
    Release { firmware: name.into(), pcrs, ..Release::default() }
}

fn measured(firmware: &[u8]) -> EventLog {
    EventLog { events: vec![landfall_attest::log::event(PCR, IPL, firmware, "firmware")], locality: 0 }
}

/// Whether tpm2_checkquote, if it is there, believes the quote from the files alone, and not with another nonce.
fn checked_by_others(folder: &Path) -> Result<String> {
    let Some(tool) = program("tpm2_checkquote") else { return Ok(String::new()) };
    let covered = fs::read_to_string(folder.join("qualification.hex"))?;
    let believes = |covered: &str| -> Result<bool> {
        let mut command = Command::new(&tool);
        command.args(["-u", "attestation-key.pub.pem", "-m", "quote.attest", "-s", "quote.sig", "-g", "sha256"]);
        Ok(command.args(["-q", covered]).current_dir(folder).output()?.status.success())
    };
    ensure!(believes(&covered)?, "tpm2_checkquote does not believe the quote");
    ensure!(!believes(&"00".repeat(32))?, "tpm2_checkquote believes anything");
    Ok("; tpm2_checkquote believes the quote".into())
}

//! A device: a process of its own, in a network namespace of its own where there is one, with a chip for its keys if it has
//! one.

use super::{
    chip::{self, Chip},
    party::Owner,
    place::Place,
};
use crate::link::Namespace;
use anyhow::{Context, Result, bail, ensure};
use landfall_brski::registrar::{Standing, VoucherRecord};
use landfall_lifecycle::network::DomainDevice;
use landfall_pki::Certificate;
use landfall_types::{Record, Refusal, bundle::DeviceBundle};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// A device.
pub(crate) struct Device {
    /// Its serial number.
    pub(crate) serial: String,
    /// What the factory handed out.
    pub(crate) bundle: DeviceBundle,
    /// The rest of it.
    pub(crate) body: Body,
}

/// A device that knows nothing yet: a folder, a place on the link, and where it keeps its keys.
pub(crate) struct Body {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its secure element, if it has one.
    pub(crate) chip: Option<Chip>,
    /// The lines of `[keys]` in its configuration.
    keys: String,
    namespace: Option<Arc<Namespace>>,
    /// How it comes in where devices have to show their certificate.
    way: Mutex<Option<Way>>,
}

/// How a device comes into the network by 802.1X.
#[derive(Clone)]
pub(crate) enum Way {
    /// Through the wpa_supplicant that has this control socket.
    Supplicant(PathBuf),
    /// By itself, at the interface of that name.
    Itself(&'static str),
}

impl Way {
    /// What `[connect]` says then.
    fn settings(&self) -> String {
        let way = match self {
            Self::Supplicant(socket) => format!("control = {socket:?}"),
            Self::Itself(interface) => format!("interface = {interface:?}"),
        };
        format!("{way}\nserver-name = \"localhost\"\n")
    }
}

/// What became of an onboarding or a renewal.
#[derive(Debug)]
pub(crate) enum Became {
    /// The device has a network credential; what it says of it.
    Onboarded(Value),
    /// It has none, and says why.
    Refused(Refusal),
}

impl Became {
    /// What the device says of its credential; an error if it has none.
    pub(crate) fn onboarded(self) -> Result<Value> {
        match self {
            Self::Onboarded(result) => Ok(result),
            Self::Refused(refusal) => bail!("it was not onboarded: {refusal}"),
        }
    }

    /// Why it has none; an error if it has one.
    pub(crate) fn refused(self) -> Result<Refusal> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Onboarded(_) => bail!("it was onboarded, and should not have been"),
        }
    }
}

impl Device {
    /// Takes a device out of its box.
    pub(crate) fn unpack(place: &Place, bundle: &Path) -> Result<Self> {
        Self::plugged(place, bundle, place.namespace()?.map(Arc::new))
    }

    /// The same, and plugs it in there.
    pub(crate) fn unpack_at(place: &Place, bundle: &Path, namespace: Arc<Namespace>) -> Result<Self> {
        Self::plugged(place, bundle, Some(namespace))
    }

    fn plugged(place: &Place, bundle: &Path, namespace: Option<Arc<Namespace>>) -> Result<Self> {
        let content = fs::read(bundle).with_context(|| bundle.display().to_string())?;
        let parsed: DeviceBundle = serde_json::from_slice(&content)?;
        let body = Body::blank_at(place, parsed.serial_number.as_str(), "", namespace)?;
        body.born(parsed)
    }

    /// Its IDevID.
    pub(crate) fn idevid(&self) -> Result<Certificate> {
        Ok(Certificate::from_pem(&self.bundle.idevid)?)
    }

    /// Where it is plugged in, where there are ports.
    pub(crate) fn socket(&self) -> Option<&Namespace> {
        self.body.namespace.as_deref()
    }

    /// Where copies of what crossed its wire are.
    pub(crate) fn evidence(&self) -> PathBuf {
        self.body.folder.join("evidence")
    }

    /// Its LDevID, as it keeps it.
    pub(crate) fn ldevid(&self) -> Result<Certificate> {
        Ok(Certificate::from_pem(&fs::read_to_string(self.evidence().join("ldevid.pem"))?)?)
    }

    /// Onboards it, giving up after that many attempts.
    pub(crate) async fn onboard(&self, place: &Place, attempts: u32) -> Result<Became> {
        self.onboard_telling(place, attempts, |_| ()).await
    }

    /// The same, and tells each line of its progress.
    pub(crate) async fn onboard_telling(
        &self,
        place: &Place,
        attempts: u32,
        tell: impl FnMut(&str) + Send,
    ) -> Result<Became> {
        let attempts = attempts.to_string();
        became(&self.run(place, &["onboard", "--attempts", &attempts, "--timeout", "60"], tell).await?)
    }

    /// Tries to onboard it for so many seconds, where it is to be kept waiting.
    pub(crate) async fn onboard_in_vain(&self, place: &Place, seconds: u64) -> Result<Became> {
        became(&self.run(place, &["onboard", "--timeout", &seconds.to_string()], |_| ()).await?)
    }

    /// Onboards it where no network but `owner`'s can be reached.
    pub(crate) async fn onboard_only(&self, place: &Place, owner: &Owner) -> Result<Became> {
        let elsewhere = place.only(owner.name);
        let became = self.onboard(place, 1).await;
        drop(elsewhere);
        became
    }

    /// Renews its credential now, trying for so many seconds.
    pub(crate) async fn renew(&self, place: &Place, seconds: u64) -> Result<Became> {
        became(&self.run(place, &["renew", "--timeout", &seconds.to_string()], |_| ()).await?)
    }

    /// Has it go into the network by 802.1X with what it has; why it was not let in, if so.
    pub(crate) async fn connect(&self, place: &Place, way: Way) -> Result<Option<Refusal>> {
        *self.body.way.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
        let said = self.run(place, &["connect", "--timeout", "60"], |_| ()).await?;
        match said.get("connected").and_then(Value::as_bool) {
            Some(true) => Ok(None),
            Some(false) => {
                Ok(Some(serde_json::from_value(said.get("refusal").cloned().context("it does not say why")?)?))
            }
            None => bail!("the device said {said}"),
        }
    }

    /// Has its agent run, which stays in the network until this is dropped.
    pub(crate) fn stay(&self, place: &Place, way: Option<Way>) -> Result<Child> {
        *self.body.way.lock().unwrap_or_else(PoisonError::into_inner) = way;
        self.body.start(place, &["run"])
    }

    /// Takes it to another place, and plugs it in there.
    pub(crate) fn moves(&mut self, namespace: Arc<Namespace>) {
        self.body.namespace = Some(namespace);
        *self.body.way.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Makes it ready for another owner; true if there was anything to forget.
    pub(crate) async fn reset(&self, place: &Place) -> Result<bool> {
        let said = self.run(place, &["reset"], |_| ()).await?;
        Ok(said.get("forgot").and_then(Value::as_bool).unwrap_or_default())
    }

    /// Whether it has a valid credential.
    pub(crate) async fn is_onboarded(&self, place: &Place) -> Result<bool> {
        Ok(self.run(place, &["status"], |_| ()).await?.get("valid").and_then(Value::as_bool).unwrap_or_default())
    }

    /// A thief's copy of everything that this device keeps, in a device with the same network.
    pub(crate) fn copy_state(&self, to: &str) -> Result<()> {
        copy(&self.body.folder.join("state"), &self.body.folder.join(to))
    }

    /// Puts such a copy in the place of what the device keeps.
    pub(crate) fn use_state(&self, from: &str) -> Result<()> {
        fs::remove_dir_all(self.body.folder.join("state"))?;
        copy(&self.body.folder.join(from), &self.body.folder.join("state"))
    }

    /// Adds what the registrar sent to the MASA to the evidence, and copies all of it to where the user wants it.
    pub(crate) fn collect(&self, place: &Place, owner: &Owner) -> Result<()> {
        let store = &owner.registrar.store;
        let known = store.find_by::<DomainDevice>(DomainDevice::BY_SERIAL, &self.serial, 1)?.pop();
        let voucher = match known {
            Some(known) => store.find::<VoucherRecord>(&known.key())?,
            None => None,
        };
        if let Some(Standing::Accepted(accepted)) = voucher.map(|found| found.record.standing) {
            let name = match accepted.format {
                landfall_brski::voucher::Format::CmsJson => "registrar-voucher-request.cms",
                landfall_brski::voucher::Format::JwsJson => "registrar-voucher-request.jws",
                landfall_brski::voucher::Format::CoseCbor => "registrar-voucher-request.cose",
            };
            fs::write(self.evidence().join(name), &accepted.request)?;
        }
        match &place.evidence {
            Some(folder) => copy(&self.evidence(), &folder.join(&self.serial)),
            None => Ok(()),
        }
    }

    async fn run(&self, place: &Place, arguments: &[&str], tell: impl FnMut(&str) + Send) -> Result<Value> {
        self.body.run(place, arguments, tell).await
    }
}

impl Body {
    /// A device whose agent is configured with these lines of `[keys]`.
    pub(crate) fn blank(place: &Place, name: &str, keys: &str) -> Result<Self> {
        Self::blank_at(place, name, keys, place.namespace()?.map(Arc::new))
    }

    /// The same, plugged in there.
    fn blank_at(place: &Place, name: &str, keys: &str, namespace: Option<Arc<Namespace>>) -> Result<Self> {
        let folder = place.folder(&format!("devices/{name}"))?;
        Ok(Self { folder, chip: None, keys: keys.into(), namespace, way: Mutex::default() })
    }

    /// A device with a chip of its own, which keeps its keys.
    pub(crate) fn with_chip(place: &Place, name: &str, kind: chip::Kind) -> Result<Self> {
        Self::blank(place, name, "")?.soldered(kind)
    }

    /// The same, plugged in there.
    pub(crate) fn with_chip_at(place: &Place, name: &str, kind: chip::Kind, namespace: Arc<Namespace>) -> Result<Self> {
        Self::blank_at(place, name, "", Some(namespace))?.soldered(kind)
    }

    /// The same beside the servers, where simulated radios are.
    pub(crate) fn with_chip_here(place: &Place, name: &str, kind: chip::Kind) -> Result<Self> {
        let folder = place.folder(&format!("devices/{name}"))?;
        Self { folder, chip: None, keys: String::new(), namespace: None, way: Mutex::default() }.soldered(kind)
    }

    fn soldered(self, kind: chip::Kind) -> Result<Self> {
        let blank = self;
        let chip = Chip::solder(kind, &blank.folder.join("chip"), blank.namespace.as_deref())?;
        Ok(Self { keys: format!("element = {:?}\n", chip.uri()), chip: Some(chip), ..blank })
    }

    /// The device once the factory has handed out its bundle.
    pub(crate) fn born(self, bundle: DeviceBundle) -> Result<Device> {
        fs::write(self.folder.join("bundle.json"), serde_json::to_vec(&bundle)?)?;
        Ok(Device { serial: bundle.serial_number.to_string(), bundle, body: self })
    }

    /// What the device's agent says, as a process of its own.
    pub(crate) async fn run(
        &self,
        place: &Place,
        arguments: &[&str],
        mut tell: impl FnMut(&str) + Send,
    ) -> Result<Value> {
        let mut command = self.command(place, arguments)?;
        let mut child = command.spawn().with_context(|| format!("running {}", place.program.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await? {
            tell(line.trim());
            said.push(line);
        }
        let output = child.wait_with_output().await?;
        let last = said.last().map(|line| line.trim()).unwrap_or_default();
        let answered = output.status.code() != Some(2) || !output.stdout.is_empty();
        ensure!(answered, "{}", complaint(last));
        serde_json::from_slice(&output.stdout).with_context(|| format!("the device did not answer in JSON: {last}"))
    }

    /// Starts the device's agent, which does that until it has done it or this is dropped.
    pub(crate) fn start(&self, place: &Place, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command(place, arguments)?;
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("running {}", place.program.display()))
    }

    /// Starts the device again: its TPM forgets what was measured, which is then measured anew.
    pub(crate) async fn restart(&mut self, place: &Place) -> Result<()> {
        let chip = self.chip.as_mut().context("it has no TPM")?;
        chip.restart(self.namespace.as_deref())?;
        let log = self.folder.join("event-log");
        if log.is_file() {
            fs::remove_file(log)?;
        }
        let image = self.folder.join("firmware.bin").display().to_string();
        self.run(place, &["measure", &image, "--pcr", "8", "--name", "firmware"], |_| ()).await.map(drop)
    }

    /// Has the device's agent do something with what it reads from its standard input.
    pub(crate) async fn hears(&self, place: &Place, arguments: &[&str], input: &[u8]) -> Result<()> {
        let mut child = self.command(place, arguments)?.stdin(Stdio::piped()).spawn()?;
        child.stdin.take().context("no standard input")?.write_all(input).await?;
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "{}", complaint(String::from_utf8_lossy(&output.stderr).trim()));
        Ok(())
    }

    fn command(&self, place: &Place, arguments: &[&str]) -> Result<Command> {
        let config = self.folder.join("device.toml");
        let connect = self.way.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Way::settings);
        let service = match self.folder.join("service.jwt").is_file() {
            true => "service-values = \"service.jwt\"\nservice-signers = [\"service-signer.pem\"]\n",
            false => "",
        };
        let update = fs::read_to_string(self.folder.join("update.toml")).unwrap_or_default();
        let software = match self.folder.join("sbom.json").is_file() {
            true => "[software]\nsbom = \"sbom.json\"\n",
            false => "",
        };
        let text = format!(
            "bundle = \"bundle.json\"\nstate = \"state\"\nevidence = \"evidence\"\n[keys]\n{}[discovery]\n{}[connect]\n{}\
             [attestation]\npcrs = [0, 7, 8]\nevent-log = \"event-log\"\nevery-seconds = 1\n{service}{software}{update}[dpp]\npatience-ms = 1500\npause-ms = 300\n",
            self.keys,
            place.discovery(),
            connect.unwrap_or_default()
        );
        fs::write(&config, text)?;
        let mut command = place.command(self.namespace.as_deref());
        command.envs(self.chip.as_ref().and_then(Chip::environment));
        let mut command = Command::from(command);
        command.arg("device").args(arguments).args(["--json", "--progress", "--config"]).arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }
}

/// What the agent complains of, in words.
fn complaint(said: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(said).ok();
    let words = parsed.as_ref().and_then(|said| said.get("error")).and_then(Value::as_str);
    words.unwrap_or(said).to_owned()
}

/// What an answer of the agent means.
pub(crate) fn became(said: &Value) -> Result<Became> {
    match said.get("onboarded").and_then(Value::as_bool) {
        Some(true) => Ok(Became::Onboarded(said.get("result").cloned().unwrap_or_default())),
        Some(false) => {
            let refusal = said.get("refusal").cloned().context("the device does not say why")?;
            Ok(Became::Refused(serde_json::from_value(refusal)?))
        }
        None => bail!("the device said {said}"),
    }
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), &target)?),
        }
    }
    Ok(())
}

/// How long something took.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

//! Firmware that is updated: a manufacturer's releases, the host that gives them out, and a device that takes what is good.

use super::{
    Shown, application,
    device::{Body, Device},
    party::Owner,
    place::Place,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_net::{
    http::Server,
    tls::{ClientAuth, ServerTls},
};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_tuf::{
    firmware::Release,
    publish::{self, Target},
};
use landfall_types::{
    Refusal, Time,
    http::{Request, Response},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, unix::pipe},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

const DAY: Duration = Duration::from_secs(86_400);
const LIMIT: Duration = Duration::from_secs(60);
/// What a device was made with, and what its manufacturer has for it now: longer than a pipe takes at once.
const OLD: &[u8] = b"release 1.0";
const NEW: &[u8] = &[0x20; 1024 * 1024];

type Files = BTreeMap<String, Vec<u8>>;

/// A manufacturer that signs releases for one of its models, by two keys.
pub(super) struct Releases {
    vendor: &'static str,
    model: &'static str,
    keys: [SoftwareKey; 2],
    root: Vec<u8>,
    bundles: AtomicU64,
}

impl Releases {
    pub(super) fn new(vendor: &'static str, model: &'static str) -> Result<Self> {
        let keys = keys()?;
        let root = publish::root_of(&signers(&keys), 2, 1, Time::now() + DAY * 365, &[])?;
        Ok(Self { vendor, model, keys, root, bundles: AtomicU64::new(1) })
    }

    /// Gives a device its firmware, and tells it by whom the next is signed.
    pub(super) fn equip(&self, body: &Body, firmware: &[u8]) -> Result<()> {
        fs::write(body.folder.join("firmware-root.json"), &self.root)?;
        fs::write(body.folder.join("firmware.bin"), firmware)?;
        let vendor = self.vendor;
        let text = format!("[update]\nroot = \"firmware-root.json\"\nvendor = {vendor:?}\nimage = \"firmware.bin\"\n");
        Ok(fs::write(body.folder.join("update.toml"), text)?)
    }

    fn release(&self, version: &str, sequence: u64) -> Release {
        Release { vendor: self.vendor.into(), model: self.model.into(), version: version.into(), sequence }
    }

    /// A bundle with a release, as it is to be.
    pub(super) fn publish(&self, version: &str, sequence: u64, image: &[u8]) -> Result<Files> {
        self.bundle(&self.release(version, sequence), image, &self.keys, Time::now() + DAY)
    }

    fn bundle(&self, release: &Release, image: &[u8], keys: &[SoftwareKey], until: Time) -> Result<Files> {
        let target = Target { content: image.to_vec(), custom: Some(release.custom()) };
        let files = BTreeMap::from([("firmware.bin".to_owned(), target)]);
        let number = self.bundles.fetch_add(1, Ordering::Relaxed);
        Ok(publish::bundle_of(&signers(keys), number, until, &files)?)
    }

    /// Each is a good release with one thing otherwise: how, and the check that refuses it.
    fn bad(&self) -> Result<[(&'static str, &'static str, Files); 4]> {
        let (good, until) = (self.release("2.0", 20), Time::now() + DAY);
        let mut changed = self.bundle(&good, NEW, &self.keys, until)?;
        let image = changed.iter_mut().find(|(name, _)| name.starts_with("targets/"));
        let octet = image.and_then(|(_, image)| image.first_mut()).context("there is no image")?;
        *octet ^= 1;
        let other = Release { model: "ANOTHER-1".into(), ..good.clone() };
        Ok([
            ("an octet changed", "bundle-digest", changed),
            ("signed by others", "bundle-threshold", self.bundle(&good, NEW, &keys()?, until)?),
            ("expired", "bundle-expired", self.bundle(&good, NEW, &self.keys, Time::now())?),
            ("for another model", "firmware-model", self.bundle(&other, NEW, &self.keys, until)?),
        ])
    }
}

fn keys() -> Result<[SoftwareKey; 2]> {
    Ok([SoftwareKey::generate(Algorithm::Ed25519)?, SoftwareKey::generate(Algorithm::EcdsaP256)?])
}

fn signers(keys: &[SoftwareKey]) -> Vec<&dyn Signer> {
    keys.iter().map(|key| key as &dyn Signer).collect()
}

/// The host that gives releases out: a small https server in the owner's domain, for devices with its network credentials.
pub(super) struct Host {
    pub(super) address: SocketAddr,
    files: Arc<Mutex<Files>>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Host {
    /// Starts one at that port, or at any.
    pub(super) async fn start(place: &Place, owner: &Owner, port: u16) -> Result<Self> {
        let tls = ServerTls::new(&application::identity(owner)?.into(), ClientAuth::Required)?;
        let any = if place.has_link() { "[::]" } else { "127.0.0.1" };
        let listener = TcpListener::bind(format!("{any}:{port}")).await?;
        let address = listener.local_addr()?;
        let files = Arc::new(Mutex::new(Files::new()));
        let (stop, stopped) = watch::channel(false);
        let given = files.clone();
        let answer = move |request: Request, _| {
            let name = request.path.trim_start_matches('/').to_owned();
            let found = given.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
            let found = found.map(|content| Response::with(200, "application/octet-stream", content));
            async move { found.unwrap_or_else(|| Response::new(404)) }
        };
        let running = tokio::spawn(Server::new(listener).tls(tls).run(answer, stopped));
        Ok(Self { address, files, stop, running })
    }

    /// Gives out that from now on.
    pub(super) fn give(&self, files: Files) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.running.await;
    }
}

/// Has a device look for new firmware there: what it has now, or why it took nothing.
pub(super) async fn looks(place: &Place, device: &Device, from: &str) -> Result<Result<Value, Refusal>> {
    let said = device.body.run(place, &["update", "--from", from], |_| ()).await?;
    match said.get("updated").and_then(Value::as_bool) {
        Some(true) => Ok(Ok(said.get("result").cloned().unwrap_or_default())),
        Some(false) => Ok(Err(serde_json::from_value(said.get("refusal").cloned().context("it does not say why")?)?)),
        None => bail!("the device said {said}"),
    }
}

/// S5.C1: a device that is inside takes a release that its manufacturer has signed for it. One with anything otherwise it does not take,
/// and killed while it writes, it still has what it had.
pub(super) async fn updated(
    place: &Place,
    device: &Device,
    releases: &Releases,
    host: &Host,
    from: &str,
) -> Result<Shown> {
    releases.equip(&device.body, OLD)?;
    let (image, serial) = (device.body.folder.join("firmware.bin"), &device.serial);
    let mut refused = Vec::new();
    let (good, bad) = (releases.publish("2.0", 20, NEW)?, releases.bad()?);
    for (how, check, files) in bad {
        host.give(files);
        let Err(why) = looks(place, device, from).await? else { bail!("{serial} took firmware that is {how}") };
        ensure!(why.check == check, "{how}: {why}");
        ensure!(fs::read(&image)? == OLD, "{how}: it was written all the same");
        refused.push(format!("{how}: {check}"));
    }
    // It was signed before those that the device has seen.
    host.give(good);
    let Err(why) = looks(place, device, from).await? else { bail!("{serial} took a bundle from before") };
    ensure!(why.check == "bundle-rollback", "{why}");
    refused.push(format!("from before: {}", why.check));

    host.give(releases.publish("2.0", 20, NEW)?);
    killed(place, device, from).await?;
    ensure!(fs::read(&image)? == OLD, "killed while it wrote, it has no longer what it had");
    let taken = looks(place, device, from).await?.map_err(|why| anyhow::anyhow!("{serial} was not updated: {why}"))?;
    ensure!(fs::read(&image)? == NEW, "it is not what was published");
    let version = taken.pointer("/release/version").and_then(Value::as_str).unwrap_or_default().to_owned();
    ensure!(version == "2.0", "it has {taken}");

    host.give(releases.publish("1.9", 19, OLD)?);
    let Err(why) = looks(place, device, from).await? else { bail!("{serial} went back to an older release") };
    ensure!(why.check == "firmware-rollback", "{why}");
    ensure!(fs::read(&image)? == NEW, "an older release was written all the same");
    refused.push(format!("an older release: {}", why.check));
    fs::copy(device.body.folder.join("firmware-root.json"), device.evidence().join("firmware-root.json"))?;
    Ok(Shown {
        shown: format!(
            "{serial} took release {version} by https; killed (SIGKILL) while it wrote, it had still the old one"
        ),
        refused: refused.join("; "),
    })
}

/// Kills a device's agent in the middle of writing: into a pipe, which takes a part and then waits.
async fn killed(place: &Place, device: &Device, from: &str) -> Result<()> {
    let beside: PathBuf = device.body.folder.join("firmware.bin.new");
    ensure!(Command::new("mkfifo").arg(&beside).status()?.success(), "there can be no pipe");
    let mut open = pipe::OpenOptions::new().read_write(true).open_receiver(&beside)?;
    let mut agent = device.body.start(place, &["update", "--from", from])?;
    let mut part = [0; 1024];
    let read = timeout(LIMIT, open.read_exact(&mut part)).await;
    agent.kill().await?;
    fs::remove_file(&beside)?;
    read.context("it wrote nothing")??;
    ensure!(NEW.starts_with(&part), "that is not the new image");
    Ok(())
}

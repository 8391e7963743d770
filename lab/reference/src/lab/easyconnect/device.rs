//! A device: its folder, and the agent's own library in it.

use super::access_point::AccessPoint;
use crate::lab::place::Place;
use anyhow::{Context, Result, bail};
use landfall_device::{
    Config, Discovery, Keys,
    dpp::{
        self, BootstrapKey, End, Enrollee, Identity, MemoryStore, Networks, NoRadio, Onboarding, Outcome, Session,
        Standing, Wishes,
    },
};
use landfall_dpp::{
    Uri,
    config::ConfigObject,
    connector::SignedConnector,
    curve::{PrivateKey, PublicKey},
    nfc,
};
use landfall_pki::pem;
use landfall_types::{DeviceBundle, Fingerprint, Redacted, Refusal};
use serde_json::{Map, Value};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long a device waits for an answer to an announcement, in milliseconds.
const PATIENCE: u64 = 1_500;
/// How long it rests between rounds.
const PAUSE: u64 = 300;
/// How long a device whose button was pushed waits for a second configurator, in milliseconds; over the air it is longer.
const PUSH_REST: u64 = 500;
/// After so many rounds a device that should be answered gives up: also one that was configured a moment ago.
pub(super) const ROUNDS: u32 = 20;

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    /// Its serial number.
    pub(super) serial: String,
    /// Its bootstrapping URI, as its label has it.
    pub(super) uri: Uri,
    /// What the factory handed out.
    pub(super) bundle: DeviceBundle,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Where it says that its manufacturer's word on it is.
    pub(super) mud_url: String,
    /// The configurator's URI, if it has heard that since.
    pub(super) configurator: Option<String>,
    /// What it tells the configurator for other protocols.
    pub(super) members: Map<String, Value>,
}

/// What a device got.
#[derive(Debug)]
pub(super) struct Joined {
    /// Where it stands now, without secrets.
    pub(super) standing: Standing,
    /// What it was given.
    pub(super) networks: Arc<Networks>,
    /// How long the exchange took.
    pub(super) took: Duration,
}

/// What became of an onboarding.
#[derive(Debug)]
pub(super) enum Became {
    /// The device has networks.
    Joined(Box<Joined>),
    /// It has none, and says why.
    Refused(Refusal),
}

impl Became {
    /// What the device got; an error if nothing.
    pub(super) fn joined(self) -> Result<Joined> {
        match self {
            Self::Joined(joined) => Ok(*joined),
            Self::Refused(refusal) => bail!("it was not onboarded: {refusal}"),
        }
    }

    /// Why it got nothing; an error if it got something.
    pub(super) fn refused(self) -> Result<Refusal> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Joined(_) => bail!("it was onboarded, and should not have been"),
        }
    }
}

impl Device {
    /// Takes a device out of its box.
    pub(super) fn unpack(place: &Place, bundle: &Path) -> Result<Self> {
        let content = fs::read(bundle).with_context(|| bundle.display().to_string())?;
        let parsed: DeviceBundle = serde_json::from_slice(&content)?;
        let serial = parsed.serial_number.to_string();
        let uri = parsed.dpp.as_ref().context("it was not made for Wi-Fi Easy Connect")?.uri.parse()?;
        let folder = place.folder(&format!("devices/{serial}"))?;
        fs::copy(bundle, folder.join("bundle.json"))?;
        let mud_url = format!("https://kestrel.example/mud/{serial}.json");
        Ok(Self { serial, uri, bundle: parsed, folder, mud_url, configurator: None, members: Map::new() })
    }

    /// What its key is known by.
    pub(super) fn hash(&self) -> Fingerprint {
        self.uri.key.bootstrap_hash()
    }

    /// The private half of its bootstrapping key, which nobody but the device has to know.
    pub(super) fn birth_key(&self) -> Result<PrivateKey> {
        let birth = self.bundle.dpp.as_ref().and_then(|dpp| dpp.key.as_ref());
        let text = birth.context("the device keeps its key")?.0.expose();
        let block = pem::decode(text)?.into_iter().next().context("no key in the bundle")?;
        Ok(PrivateKey::from_pkcs8(&block.der)?)
    }

    /// It touches the configurator, which asks by the NFC message in that file, and learns its key: the file with its answer.
    pub(super) fn touch(&mut self, request: &Path) -> Result<PathBuf> {
        let answer = self.folder.join("select.ndef");
        self.agent(self.config())?.hand_over_by_nfc(&answer, Some(request))?;
        self.configurator = Some(nfc::decode(&fs::read(request)?)?.0.to_string());
        Ok(answer)
    }

    /// Announces it at these access points until one answers.
    pub(super) async fn onboard(&self, at: &[&AccessPoint]) -> Result<Became> {
        self.onboard_telling(at, ROUNDS, &|_| ()).await
    }

    /// Announces it once, where it is not to be answered.
    pub(super) async fn onboard_in_vain(&self, at: &[&AccessPoint]) -> Result<Became> {
        self.onboard_telling(at, 1, &|_| ()).await
    }

    /// Announces it in so many rounds, and tells each step.
    pub(super) async fn onboard_telling(
        &self,
        at: &[&AccessPoint],
        rounds: u32,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Became> {
        let mut config = self.config();
        config.dpp.controllers = at.iter().map(|access_point| access_point.address.to_string()).collect();
        self.run(config, Onboarding { attempts: Some(rounds), ..Onboarding::default() }, tell).await
    }

    /// Its button is pushed: it looks for the one configurator whose button is pushed too.
    pub(super) async fn push_button(&self, at: &AccessPoint, limit: Duration) -> Result<Became> {
        let mut config = self.config();
        config.dpp.controllers = vec![at.address.to_string()];
        config.dpp.push_rest_ms = PUSH_REST;
        let how = Onboarding { push_button: true, limit: Some(limit), ..Onboarding::default() };
        self.run(config, how, &|_| ()).await
    }

    /// Has a device that has networks get others, at these access points.
    pub(super) async fn reconfigure(&self, at: &[&AccessPoint], rounds: u32) -> Result<Became> {
        let mut config = self.config();
        config.dpp.controllers = at.iter().map(|access_point| access_point.address.to_string()).collect();
        let how = Onboarding { attempts: Some(rounds), ..Onboarding::default() };
        self.became(self.agent(config)?.reconfigure(&how, &|_| ()).await?)
    }

    /// Waits so long for a configurator to come; says nothing by itself. What it did not answer it tells.
    pub(super) async fn wait_at(&self, address: SocketAddr, limit: Duration) -> Result<(Became, Vec<String>)> {
        let mut config = self.config();
        config.dpp.listen = Some(address);
        let said = Mutex::new(Vec::new());
        let tell = |line: &str| said.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        let how = Onboarding { limit: Some(limit), ..Onboarding::default() };
        let became = self.run(config, how, &tell).await?;
        Ok((became, said.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Makes it ready for another owner; true if there was anything to forget.
    pub(super) async fn reset(&self) -> Result<bool> {
        Ok(self.agent(self.config())?.reset().await?)
    }

    /// Where it stands.
    pub(super) fn standing(&self) -> Result<Standing> {
        Ok(self.agent(self.config())?.standing()?)
    }

    async fn run(&self, config: Config, how: Onboarding, tell: &(dyn Fn(&str) + Send + Sync)) -> Result<Became> {
        self.became(self.agent(config)?.onboard(&how, tell).await?)
    }

    fn became(&self, end: End) -> Result<Became> {
        match end {
            End::Refused(refusal) => Ok(Became::Refused(refusal)),
            End::TakenOver(_) => bail!("{} was given the configurator's keys", self.serial),
            End::Onboarded { enrolled: None, .. } => bail!("{} had networks before", self.serial),
            End::Onboarded { standing, enrolled: Some(enrolled) } => {
                let (networks, took) = (Arc::clone(&enrolled.networks), enrolled.took);
                Ok(Became::Joined(Box::new(Joined { standing: *standing, networks, took })))
            }
        }
    }

    fn agent(&self, config: Config) -> Result<dpp::Device> {
        let opened = tokio::task::block_in_place(|| dpp::Device::open(config))?;
        opened.with_context(|| format!("{} was not made for Wi-Fi Easy Connect", self.serial))
    }

    /// The file with the key to its store, which is best on another medium.
    pub(super) fn key_to_store(&self) -> PathBuf {
        self.folder.join("store.key")
    }

    fn config(&self) -> Config {
        let easy = dpp::Config {
            members: self.members.clone(),
            configurator: self.configurator.clone(),
            mud_url: Some(self.mud_url.clone()),
            patience_ms: PATIENCE,
            pause_ms: PAUSE,
            ..dpp::Config::default()
        };
        Config {
            bundle: Some(self.folder.join("bundle.json")),
            state: self.folder.join("state"),
            keys: Keys { key_file: Some(self.key_to_store()), ..Keys::default() },
            discovery: Discovery { mdns: false, grasp: false, ..Discovery::default() },
            dpp: easy,
            ..Config::default()
        }
    }
}

/// Somebody who shows another device's label and has a key of its own; what came of it.
pub(super) async fn impersonate(device: &Device, at: &AccessPoint) -> Result<Became> {
    let key = PrivateKey::generate(device.uri.key.curve(), &mut random);
    let key = BootstrapKey::Software(Arc::new(key));
    let identity = Identity { uri: device.uri.clone(), key, configurator: None };
    let mut wishes = Wishes::new(&device.serial, &identity);
    wishes.patience = Duration::from_millis(PATIENCE);
    let keep = MemoryStore::default();
    let session = Session { keep: &keep, join: &NoRadio, random: Box::new(random), watch: &|_| () };
    match (Enrollee { identity, wishes }).announce(&at.address.into(), session).await? {
        Outcome::Refused(refusal) => Ok(Became::Refused(refusal)),
        Outcome::TakenOver(_) => bail!("the copy was given the configurator's keys"),
        Outcome::Enrolled(enrolled) => bail!("the copy was given {} networks", enrolled.networks.objects.len()),
    }
}

fn random(out: &mut [u8]) {
    // The only reason for a failure is a system without randomness, on which nothing of this runs.
    let _ = aws_lc_rs::rand::fill(out);
}

impl Joined {
    /// The names of its networks, the best first.
    pub(super) fn names(&self) -> Vec<String> {
        self.networks.objects.iter().map(name).collect()
    }

    /// What it was given for the network of that name.
    pub(super) fn object(&self, ssid: &str) -> Result<&ConfigObject> {
        let found = self.networks.objects.iter().find(|object| name(object) == ssid);
        found.with_context(|| format!("it was given nothing for {ssid}, but for {:?}", self.names()))
    }

    /// Its connector for that network, and the key that signed it.
    pub(super) fn connector(&self, ssid: &str) -> Result<(SignedConnector, PublicKey)> {
        let credential = &self.object(ssid)?.credential;
        let text = credential.connector.as_deref().context("there is no connector")?;
        let csign = credential.csign.as_ref().context("there is no key to check connectors with")?;
        Ok((SignedConnector::parse(text)?, csign.key.clone()))
    }

    /// Its password for that network.
    pub(super) fn password(&self, ssid: &str) -> Result<&Redacted<String>> {
        self.object(ssid)?.credential.passphrase.as_ref().context("there is no password")
    }
}

/// The name of a network.
pub(super) fn name(object: &ConfigObject) -> String {
    String::from_utf8_lossy(&object.discovery.ssid).into_owned()
}

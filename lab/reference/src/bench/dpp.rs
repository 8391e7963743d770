//! What Wi-Fi Easy Connect costs: authentication and configuration of devices over TCP, by a configurator with durable
//! records, beside what the cryptography alone costs.

use super::{
    floor::price,
    frames::{Frames, NEEDS, Needs},
    load::{self, Load, Tally},
};
use crate::peers::{
    Peer,
    dpp::{AuthInit, BootstrapId},
};
use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::{
    agreement::{self, PrivateKey as Agreeing, UnparsedPublicKey},
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, KeyPair},
};
use landfall_device::dpp::{BootstrapKey, Enrollee, Identity, MemoryStore, NoRadio, Outcome, Session, Wishes};
use landfall_dpp::{Curve, System, Uri, config::Akms, curve::PrivateKey};
use landfall_element::MemoryElement;
use landfall_lifecycle::transfer::{Bootstrapping, DppRole, Held, Via};
use landfall_net::http::Endpoint;
use landfall_server::{
    Settings, Trigger, World, configurator,
    settings::{ConfiguratorLimits, ConfiguratorSettings, CredentialKind, NetworkSettings, Span},
    shutdown,
};
use landfall_store::Store;
use landfall_types::{Changes, OwnerId, Time};
use serde::Serialize;
use std::{
    fmt::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// A name that every exchange of the benchmark goes by.
const NAME: &str = "Bench";
/// How long another program may take for one exchange.
const LIMIT: Duration = Duration::from_secs(20);

/// Who the devices are, and who is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Devices {
    /// Landfall's own, in this process. They announce themselves, and the configurator authenticates them.
    OneWay,
    /// The same, which authenticate the configurator too.
    Mutual,
    /// A wpa_supplicant, which begins by itself and authenticates the configurator too.
    WpaSupplicant,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Who the devices are.
    pub devices: Devices,
    /// How often each public-key operation happens in one exchange.
    pub counts: Counts,
    /// What one exchange needs of the network and of the disk.
    pub needs: Needs,
    /// What each operation costs here.
    pub prices: Prices,
    /// What the cryptography of one exchange costs, both ends together, in milliseconds of CPU.
    pub floor_ms: f64,
    /// Each load, with its cost.
    pub loads: Vec<Measurement>,
}

/// One load, and its cost in floors.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The load.
    #[serde(flatten)]
    pub load: Load,
    /// CPU time of this process over the floor; a wpa_supplicant's own is not in it.
    pub ratio: f64,
    /// Milliseconds of CPU that bare TCP and durable writes take, as many at once, with the floor's cryptography: what would
    /// be left without Landfall's own code. Nothing for a wpa_supplicant, of whose half nothing is known.
    pub ground_ms: Option<f64>,
}

/// How often each operation on P-256 happens in one exchange, at both ends together (DPP s6.3, s6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Protocol keys: one at each end.
    pub generate: u32,
    /// Agreements: M and N at both ends, and L if both authenticate each other.
    pub agree: u32,
    /// Signatures: the connector's.
    pub sign: u32,
    /// Verifications: the device's, of the connector.
    pub verify: u32,
}

impl Devices {
    /// The public-key operations of one exchange.
    pub const fn counts(self) -> Counts {
        let agree = match self {
            Self::OneWay => 4,
            Self::Mutual | Self::WpaSupplicant => 6,
        };
        Counts { generate: 2, agree, sign: 1, verify: 1 }
    }
}

/// What one operation of each kind takes on one core, measured in this run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prices {
    /// Nanoseconds of one key generation.
    pub generate_ns: u64,
    /// Nanoseconds of one agreement with keys that are there.
    pub agree_ns: u64,
    /// Nanoseconds of one signature.
    pub sign_ns: u64,
    /// Nanoseconds of one verification.
    pub verify_ns: u64,
}

impl Prices {
    /// Measures each operation for about `each`.
    pub fn measure(each: Duration) -> Result<Self> {
        let curve = &agreement::ECDH_P256;
        let own = Agreeing::generate(curve).context("no key")?;
        let peer = Agreeing::generate(curve).context("no key")?.compute_public_key().context("no public key")?;
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).context("no key")?;
        let message = [7; 300];
        let made = key.sign(&random, &message).context("no signature")?;
        let public = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key.public_key().as_ref());
        Ok(Self {
            generate_ns: price(each, || Agreeing::generate(curve).is_ok_and(|key| key.compute_public_key().is_ok()))?,
            agree_ns: price(each, || {
                agreement::agree(&own, UnparsedPublicKey::new(curve, peer.as_ref()), (), |_| Ok(())).is_ok()
            })?,
            sign_ns: price(each, || key.sign(&random, &message).is_ok())?,
            verify_ns: price(each, || public.verify(&message, made.as_ref()).is_ok())?,
        })
    }

    fn floor_ms(&self, counts: Counts) -> f64 {
        let Counts { generate, agree, sign, verify } = counts;
        let each =
            [(generate, self.generate_ns), (agree, self.agree_ns), (sign, self.sign_ns), (verify, self.verify_ns)];
        each.iter().map(|(count, price)| f64::from(*count) * *price as f64).sum::<f64>() / 1e6
    }
}

/// Authenticates and configures `count` distinct devices at each degree of parallelism. A wpa_supplicant does one exchange
/// at a time.
pub async fn measure(devices: Devices, count: usize, parallel: &[usize], progress: impl Fn(&str)) -> Result<Measured> {
    ensure!(count > 0, "there is nothing to measure");
    progress("measuring the cryptography");
    let (counts, prices) = (devices.counts(), Prices::measure(Duration::from_millis(300))?);
    let floor_ms = prices.floor_ms(counts);
    let ground = Arc::new(Ground::lay().await?);
    let own = devices != Devices::WpaSupplicant;
    let frames = Frames::start(ground.folder.path()).await?;
    let parallel: &[usize] = if own { parallel } else { &[1] };
    let mut loads = Vec::new();
    for &parallel in parallel {
        progress(&format!("{parallel} at a time"));
        let tally = match devices {
            Devices::OneWay => ground.enrollees(count, parallel, None).await?,
            Devices::Mutual => ground.enrollees(count, parallel, Some(ground.uri.clone())).await?,
            Devices::WpaSupplicant => ground.supplicant(count).await?,
        };
        let load = tally.load(parallel);
        let ground_ms = match own {
            true => Some(floor_ms + frames.cpu_ms(count, parallel).await?),
            false => None,
        };
        loads.push(Measurement { ratio: load.cpu_ms / floor_ms, ground_ms, load });
    }
    Ok(Measured { devices, counts, needs: NEEDS, prices, floor_ms, loads })
}

/// A configurator in this process, until dropped.
struct Ground {
    world: World,
    address: SocketAddr,
    tenant: OwnerId,
    /// The configurator's key.
    uri: Uri,
    folder: TempDir,
    _trigger: Trigger,
}

impl Ground {
    async fn lay() -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the benchmark")?;
        let store = Store::sqlite(folder.path().join("landfall.db"))?;
        let world = World::new(store, Arc::new(MemoryElement::new()));
        let (trigger, shutdown) = shutdown();
        let settings = Settings { data: folder.path().to_owned(), ..Settings::default() };
        let configurator = ConfiguratorSettings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            announce: false,
            network: vec![NetworkSettings {
                ssid: NAME.into(),
                kind: CredentialKind(Akms::DPP),
                models: Vec::new(),
                groups: Vec::new(),
                group: Vec::new(),
                expires: None,
                mutual: None,
                eap_server: None,
                eap_anchor: None,
            }],
            // Joining is not measured.
            limits: ConfiguratorLimits { join: Span::seconds(0), ..ConfiguratorLimits::default() },
            ..ConfiguratorSettings::default()
        };
        let config = configurator::Config::from_settings(&configurator, &settings, &world)?;
        let (task, role) = config.build(world.clone(), shutdown).await?;
        let own = role.tenant(role.own()).context("a configurator without a tenant")?;
        let mut uris = own.uris();
        let uri = uris.find_map(|(curve, uri, _)| (curve == Curve::P256).then_some(uri)).context("no key on P-256")?;
        let (address, tenant) = (task.address.context("it listens")?, own.id.clone());
        tokio::spawn(task.run());
        Ok(Self { world, address, tenant, uri, folder, _trigger: trigger })
    }

    /// Landfall's own devices, each of which announces itself; those that know `configurator` authenticate it.
    async fn enrollees(&self, count: usize, parallel: usize, configurator: Option<Uri>) -> Result<Tally> {
        let devices: Arc<[Enrollee]> = (0..count).map(|_| enrollee(configurator.clone())).collect();
        self.own(devices.iter().map(|device| &device.identity.uri)).await?;
        let at = Endpoint::from(self.address);
        Ok(load::run(count, parallel, move |number| {
            let (devices, at) = (devices.clone(), at.clone());
            async move {
                let device = devices.get(number).with_context(|| format!("there is no device {number}"))?;
                onboard(device, &at).await
            }
        })
        .await)
    }

    /// A wpa_supplicant with a bootstrapping key for each exchange.
    async fn supplicant(&self, count: usize) -> Result<Tally> {
        let mut peer = Peer::supplicant().await?;
        let (mut keys, mut uris) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let key = peer.bootstrap_gen(Curve::P256, None, "").await?;
            uris.push(peer.uri(key).await?.parse::<Uri>()?);
            keys.push(key);
        }
        self.own(uris.iter()).await?;
        let configurator = peer.qr_code(&self.uri.to_string()).await?;
        let (peer, keys, address) = (Arc::new(Mutex::new(peer)), Arc::<[BootstrapId]>::from(keys), self.address);
        Ok(load::run(count, 1, move |number| {
            let (peer, keys) = (peer.clone(), keys.clone());
            async move {
                let key = keys.get(number).with_context(|| format!("there is no key {number}"))?;
                let mut peer = peer.lock().await;
                peer.auth_init(&AuthInit::enrollee(configurator).to(address).own(*key)).await?;
                let ends = ["DPP-CONF-RECEIVED", "DPP-CONF-FAILED", "DPP-FAIL", "DPP-NOT-COMPATIBLE"];
                let end = peer.event(&ends, LIMIT).await?;
                ensure!(end.name == "DPP-CONF-RECEIVED", "{} {}", end.name, end.text);
                Ok(())
            }
        })
        .await)
    }

    /// Takes devices into the configurator's book.
    async fn own(&self, uris: impl Iterator<Item = &Uri>) -> Result<()> {
        let mut changes = Changes::new();
        for uri in uris {
            changes = changes.put(&Bootstrapping {
                tenant: self.tenant.clone(),
                bootstrap_hash: uri.key.bootstrap_hash(),
                chirp_hash: uri.key.chirp_hash(),
                uri: uri.to_string(),
                serial_number: None,
                model: None,
                device: None,
                role: Some(DppRole::Sta),
                configurator: None,
                received: Time::now(),
                via: Via::Uri,
                state: Held::Held,
            })?;
        }
        self.world.store.commit(changes).await?;
        Ok(())
    }
}

fn enrollee(configurator: Option<Uri>) -> Enrollee {
    let key = PrivateKey::generate(Curve::P256, &mut System);
    let uri = Uri::of(key.public().clone());
    let identity = Identity { uri, key: BootstrapKey::Software(Arc::new(key)), configurator };
    let wishes = Wishes { patience: LIMIT, ..Wishes::new(NAME, &identity) };
    Enrollee { identity, wishes }
}

async fn onboard(device: &Enrollee, at: &Endpoint) -> Result<()> {
    let store = MemoryStore::default();
    let session = Session { keep: &store, join: &NoRadio, random: Box::new(System), watch: &|_| () };
    match device.announce(at, session).await? {
        Outcome::Enrolled(enrolled) if enrolled.told => {
            ensure!(
                enrolled.networks.authenticated == device.identity.configurator.is_some(),
                "authenticated otherwise"
            );
            Ok(())
        }
        Outcome::Enrolled(_) | Outcome::TakenOver(_) => bail!("configured, but the configurator was not told"),
        Outcome::Refused(refusal) => bail!("{refusal}"),
    }
}

/// A table, with the floor beneath it.
pub fn text(measured: &Measured) -> String {
    let Measured { devices, counts, needs, prices, floor_ms, loads } = measured;
    let mut text = String::from(match devices {
        Devices::OneWay => "The configurator authenticates devices of Landfall and configures them",
        Devices::Mutual => "The configurator and devices of Landfall authenticate each other",
        Devices::WpaSupplicant => "The configurator and a wpa_supplicant authenticate each other",
    });
    let _ = writeln!(
        text,
        "\n\n{:>8} {:>7} {:>7} {:>9} {:>9} {:>9} {:>8} {:>7} {:>10}",
        "parallel", "done", "errors", "per s", "p50 ms", "p99 ms", "CPU ms", "floors", "ground ms"
    );
    for Measurement { load, ratio, ground_ms } in loads {
        let ground_ms = ground_ms.map(|ground| format!("{ground:.3}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{:>8} {:>7} {:>7} {:>9.1} {:>9.2} {:>9.2} {:>8.3} {:>7.2} {:>10}",
            load.parallel, load.done, load.errors, load.rate, load.p50_ms, load.p99_ms, load.cpu_ms, ratio, ground_ms,
        );
        if let Some(error) = &load.first_error {
            let _ = writeln!(text, "         first error: {error}");
        }
    }
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    let _ = writeln!(
        text,
        "\nThe floor of both ends is {floor_ms:.3} ms of CPU: {} keys of {:.1} µs, {} agreements of {:.1} µs, {} signature of \
         {:.1} µs, {} verification of {:.1} µs, all on P-256.",
        counts.generate,
        micros(prices.generate_ns),
        counts.agree,
        micros(prices.agree_ns),
        counts.sign,
        micros(prices.sign_ns),
        counts.verify,
        micros(prices.verify_ns),
    );
    let _ = writeln!(
        text,
        "The ground is this, and a TCP connection, {} frames and {} durable writes with nothing of Landfall in them.",
        needs.frames, needs.commits,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::program;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_device_that_is_measured_is_configured() {
        for devices in [Devices::OneWay, Devices::Mutual, Devices::WpaSupplicant] {
            if devices == Devices::WpaSupplicant && program("wpa_supplicant").is_none() {
                println!("SKIPPED: wpa_supplicant is not installed");
                continue;
            }
            let measured = measure(devices, 3, &[2], |_| ()).await.unwrap();
            let [one] = measured.loads.as_slice() else { panic!("{measured:?}") };
            assert_eq!((one.load.done, one.load.errors), (3, 0), "{devices:?}: {:?}", one.load.first_error);
            assert_eq!(
                one.ground_ms.is_some_and(|ground| ground > measured.floor_ms),
                devices != Devices::WpaSupplicant
            );
        }
    }
}

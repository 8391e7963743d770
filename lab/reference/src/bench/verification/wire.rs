//! From a cause to the last packet: a device that talks all the time, in namespaces of its own, behind a real enforcer.

use crate::{
    bench::cut::{Cut, until_silent},
    wires::{BRIDGE, DEVICE, Wires},
};
use anyhow::{Context, Result, anyhow};
use landfall_assurance::{Fact, Grace, Kind, Level, Policies};
use landfall_behaviour::Format;
use landfall_element::MemoryElement;
use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity},
    verification::{BrakeManners, Manners},
};
use landfall_policy::Value;
use landfall_server::{
    Settings, World, authorizer,
    authorizer::Authorizer,
    deny,
    enforcer::{self, Enforcer, Plug},
};
use landfall_store::Store;
use landfall_types::{Changes, DeviceId, Fingerprint, Time};
use serde::Serialize;
use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Both causes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cuts {
    /// From a packet to an address on a deny list to the last packet to anybody else.
    pub contact: Cut,
    /// From the word that a device is not trusted any more to its last packet.
    pub revoked: Cut,
}

const PORT: u16 = 5683;
const USUAL: &str = "30";
const APART: &str = "99";

struct Stage {
    device: DeviceId,
    world: World,
    authorizer: Arc<Authorizer>,
    lists: Arc<deny::Lists>,
    enforcer: Arc<Enforcer>,
    talker: UdpSocket,
    listener: UdpSocket,
}

/// Cuts a device off so often, for either cause.
pub(super) async fn measure(folder: &Path, rounds: usize) -> Result<Cuts> {
    let wires = Wires::lay("cut").await?;
    let (trigger, shutdown) = landfall_server::shutdown();
    let world = World::new(Store::sqlite(folder.join("wire.db"))?, Arc::new(MemoryElement::new()));
    let brake = BrakeManners { share: 100, ..BrakeManners::default() };
    let manners = Manners { brake, recover: Duration::ZERO, dwell: Duration::ZERO, ..Manners::default() };
    let config = authorizer::Config {
        manners,
        grace: Grace::default(),
        policies: Policies::default(),
        signers: None,
        believed: authorizer::Believed::default(),
        network_layer: None,
    };
    let (task, authorizer) = config.build(world.clone(), shutdown.clone()).await?;
    tokio::spawn(task.run());
    let text = format!(
        "[authorizer]\n[enforcer]\n[[enforcer.segment]]\nname = \"things\"\nkind = \"production\"\nbridge = \"{BRIDGE}\"\nvlan = \"{USUAL}\"\n\
         [[enforcer.segment]]\nname = \"clinic\"\nkind = \"quarantine\"\nvlan = \"{APART}\"\n[[enforcer.port]]\ninterface = \"lan0\"\n"
    );
    let settings = Settings::parse(&text).map_err(|(key, why)| anyhow!("{key}: {why}"))?;
    let lists = settings.authorizer.as_ref().map(|authorizer| authorizer.deny_lists.clone()).unwrap_or_default();
    let lists = deny::Config::from_settings(&lists, &settings)?.build(world.clone()).await?;
    let enforcer = settings.enforcer.as_ref().context("there is no enforcer")?;
    let config =
        enforcer::Config { kernel: wires.kernel.clone(), ..enforcer::Config::from_settings(enforcer, &settings)? };
    let (task, enforcer) = config.build(world.clone(), shutdown).await?;
    tokio::spawn(task.run());
    let device = known(&world, &authorizer).await?;
    let (talker, listener) = wires.sockets(PORT)?;
    wires.lead()?;
    let stage = Stage { device, world, authorizer, lists, enforcer, talker, listener };
    let moving = tokio::spawn(stage.follow());
    let contact = stage.cut(rounds, true).await?;
    let revoked = stage.cut(rounds, false).await?;
    moving.abort();
    drop(trigger);
    wires.clear().await?;
    Ok(Cuts { contact, revoked })
}

async fn known(world: &World, authorizer: &Authorizer) -> Result<DeviceId> {
    let device: DeviceId = "bench.thing".parse()?;
    let birth = Birth::IDevId { idevid: Fingerprint([7; 32]), hardware_backed: false, birth_key: None };
    let identity =
        Identity { device: device.clone(), serial_number: "thing".parse()?, vendor: None, model: None, birth };
    let record = DomainDevice { state: State::Connected, ..DomainDevice::seen(identity, Time::now()) };
    world.store.commit(Changes::new().put(&record)?).await?;
    authorizer.assert(super::known(&device).into()).await?;
    Ok(device)
}

impl Stage {
    /// What access does for a device whose level changes.
    fn follow(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (mut moves, authorizer, enforcer) =
            (self.world.authorizer.moves(), self.authorizer.clone(), self.enforcer.clone());
        async move {
            while let Ok(device) = moves.recv().await {
                match authorizer.level(&device).0 {
                    Level::Blocked => drop(enforcer.put_out(&device).await),
                    Level::Quarantine | Level::Remediation => drop(enforcer.relocate(&device, Some(APART)).await),
                    Level::Limited | Level::Full => drop(enforcer.relocate(&device, Some(USUAL)).await),
                }
            }
        }
    }

    async fn cut(&self, rounds: usize, by_contact: bool) -> Result<Cut> {
        let mut took = Vec::with_capacity(rounds);
        for round in 0..rounds {
            // The same contact is told of once a minute: each time it is with another one.
            let listed = format!("198.51.{}.{}", round / 250, round % 250);
            self.lists.add("bench", Format::Plain, format!("{listed}\n").as_bytes()).await?;
            self.enforcer.watch_for_denied().await?;
            took.push(
                self.once(by_contact.then(|| listed.parse()).transpose()?)
                    .await
                    .with_context(|| format!("round {round}"))?,
            );
        }
        Ok(Cut::of(took))
    }

    /// Lets the device in, has it talk, and cuts it off: from the cause to the last packet that came through.
    async fn once(&self, listed: Option<std::net::IpAddr>) -> Result<Duration> {
        self.trusted(true).await?;
        self.lists.forgive(&self.device).await?;
        let plug = Plug { names: vec!["lan0".into()], mac: Some(DEVICE.parse()?), session: None };
        let until = Time::now() + Duration::from_secs(3600);
        self.enforcer.admit(&self.device, &plug, Some(USUAL), until).await.map_err(|why| anyhow!("{why}"))?;
        let cause = async {
            match listed {
                Some(listed) => self.talker.send_to(b"call home", SocketAddr::from((listed, PORT))).map(drop)?,
                None => self.trusted(false).await?,
            }
            Ok(())
        };
        until_silent(&self.talker, &self.listener, cause).await
    }

    async fn trusted(&self, is_trusted: bool) -> Result<()> {
        let value: Value = is_trusted.into();
        let fact: Fact = super::fact(&self.device, Kind::DeviceTrusted, value);
        self.authorizer.assert(vec![fact]).await?;
        Ok(())
    }
}

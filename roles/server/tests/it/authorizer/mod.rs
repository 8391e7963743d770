//! The authorizer: facts in, decisions out, and what keeps it from doing harm.

mod brake;
mod credentials;
mod decisions;
mod durable;
mod fetched;
mod joins;
mod network_layer;
mod policies;
mod published;
mod shown;
mod signals;
mod software;
mod vex;
mod well_known;

use landfall_assurance::{Fact, Grace, Kind, Level, Policies};
use landfall_element::MemoryElement;
use landfall_lifecycle::verification::{BrakeManners, Manners};
use landfall_policy::Value;
use landfall_server::{
    Clock, Trigger, World,
    authorizer::{Authorizer, Believed, Config},
    shutdown,
};
use landfall_store::Store;
use landfall_types::{DeviceId, Time};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const START: Time = Time::from_unix(1_800_000_000);

/// An authorizer on a clock of its own.
struct Office {
    world: World,
    authorizer: Arc<Authorizer>,
    seconds: Arc<AtomicU64>,
    trigger: Trigger,
    task: tokio::task::JoinHandle<()>,
}

fn config() -> Config {
    let (within, dismissed) = (Duration::from_secs(600), Duration::from_secs(3600));
    let brake = BrakeManners { share: 10, at_least: 2, within, dismissed };
    let manners = Manners {
        recover: Duration::from_secs(30),
        dwell: Duration::from_secs(60),
        valid: Duration::from_secs(3600),
        brake,
    };
    Config {
        manners,
        grace: Grace::default(),
        policies: Policies::default(),
        signers: None,
        believed: Believed::default(),
        network_layer: None,
    }
}

impl Office {
    async fn open() -> Self {
        Self::with(Store::memory(), config(), 0).await
    }

    async fn with(store: Store, config: Config, since: u64) -> Self {
        let seconds = Arc::new(AtomicU64::new(since));
        let at = seconds.clone();
        let mut world = World::new(store, Arc::new(MemoryElement::new()));
        world.clock = Clock::of(move || START + Duration::from_secs(at.load(Ordering::Relaxed)));
        let (trigger, shutdown) = shutdown();
        let (task, authorizer) = config.build(world.clone(), shutdown).await.unwrap();
        let task = tokio::spawn(async move { task.run().await.unwrap() });
        Self { world, authorizer, seconds, trigger, task }
    }

    /// Ends it, and waits until it has ended.
    async fn close(self) -> World {
        self.trigger.pull();
        self.task.await.unwrap();
        self.world
    }

    fn now(&self) -> Time {
        self.world.clock.now()
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    fn fact(&self, device: &DeviceId, kind: Kind, value: impl Into<Value>, source: &str) -> Fact {
        Fact {
            subject: device.clone(),
            kind,
            value: value.into(),
            source: source.into(),
            issuer: None,
            at: self.now(),
            expires: None,
            verifier: "test".into(),
        }
    }

    async fn say(&self, device: &DeviceId, kind: Kind, value: impl Into<Value>, source: &str) {
        self.authorizer.assert(vec![self.fact(device, kind, value, source)]).await.unwrap();
    }

    /// So many devices of which all is known, and good.
    async fn devices(&self, count: usize) -> Vec<DeviceId> {
        let devices: Vec<DeviceId> = (0..count).map(|number| format!("07.D-{number:06}").parse().unwrap()).collect();
        for part in devices.chunks(100) {
            let facts = part.iter().flat_map(|device| self.good(device)).collect();
            self.authorizer.assert(facts).await.unwrap();
        }
        devices
    }

    fn good(&self, device: &DeviceId) -> Vec<Fact> {
        let values: [(Kind, Value); 7] = [
            (Kind::ManufacturerTrusted, true.into()),
            (Kind::DeviceTrusted, true.into()),
            (Kind::DeviceType, "kestrel/thermostat".into()),
            (Kind::TypeBound, true.into()),
            (Kind::SbomKnown, true.into()),
            (Kind::VulnerabilityScore, 10.into()),
            (Kind::DenyListContact, Vec::new().into()),
        ];
        values.into_iter().map(|(kind, value)| self.fact(device, kind, value, "records")).collect()
    }

    fn level(&self, device: &DeviceId) -> Level {
        self.authorizer.level(device).0
    }
}

fn listed() -> Value {
    vec!["192.0.2.66".to_owned()].into()
}

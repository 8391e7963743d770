//! Wi-Fi Easy Connect, against a configurator of the same protocol core on a real socket.

mod cli;
mod configurator;
mod exchange;
mod hostap;
mod radio;

use configurator::Configurator;
use landfall_device::dpp::{BootstrapKey, Enrollee, Identity, MemoryStore, NoRadio, Outcome, Session, Wishes};
use landfall_dpp::{Curve, Uri, curve::PrivateKey};
use landfall_net::http::Endpoint;
use landfall_testkit::Rng;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// A device with a key of its own, and what it keeps.
pub(crate) struct Device {
    pub(crate) enrollee: Enrollee,
    pub(crate) store: MemoryStore,
    rng: Mutex<Rng>,
}

impl Device {
    pub(crate) fn new(curve: Curve, seed: u64, configurator: Option<Uri>) -> Self {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let key = PrivateKey::generate(curve, &mut random(&mut rng));
        let uri = Uri::of(key.public().clone());
        Self::with_key(Identity { uri, key: BootstrapKey::Software(Arc::new(key)), configurator }, rng)
    }

    pub(crate) fn with_key(identity: Identity, rng: Rng) -> Self {
        let wishes = Wishes::new("SN-0001", &identity);
        Self { enrollee: Enrollee { identity, wishes }, store: MemoryStore::default(), rng: Mutex::new(rng) }
    }

    pub(crate) fn session(&self) -> Session<'_> {
        self.session_joining(&NoRadio)
    }

    pub(crate) fn session_joining<'a>(&'a self, join: &'a dyn landfall_device::dpp::Join) -> Session<'a> {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Session {
            keep: &self.store,
            join,
            random: Box::new(random(&mut rng)),
            watch: &|line| println!("  device: {line}"),
        }
    }

    pub(crate) async fn announce(&self, to: &Configurator) -> Outcome {
        self.enrollee.announce(&endpoint(to.address), self.session()).await.unwrap()
    }

    pub(crate) async fn ask(&self, configurator: &Configurator) -> Outcome {
        self.enrollee.ask(&configurator.uri(), &endpoint(configurator.address), self.session()).await.unwrap()
    }
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from(address)
}

/// A source of random octets, split off from another.
pub(crate) fn random(rng: &mut Rng) -> impl FnMut(&mut [u8]) + Send + use<> {
    let mut rng = Rng::new(rng.next());
    move |out: &mut [u8]| out.iter_mut().for_each(|octet| *octet = rng.bytes::<1>()[0])
}

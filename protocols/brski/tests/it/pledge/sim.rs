//! A device among registrars, under a virtual clock.

use super::registrar::Registrar;
use landfall_brski::{
    pledge::{
        Config, ConnectionId, Credential, Identity as Shown, Input, InvalidInput, Onboarding, Output, Progress,
        SigningKey, Summary,
    },
    proxy::Offer,
};
use landfall_pki::{Signer, SoftwareKey};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, Rng};
use landfall_types::{KeyUri, Machine, Refusal, Time};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// A device, the registrars around it, and the time.
pub(super) struct Sim<M> {
    pub(super) machine: M,
    pub(super) now: Time,
    pub(super) registrars: Vec<(Offer, Registrar)>,
    pub(super) notes: Vec<Progress>,
    pub(super) persisted: Vec<Credential>,
    pub(super) discarded: Vec<KeyUri>,
    pub(super) summary: Option<Summary>,
    pub(super) gave_up: Option<Refusal>,
    /// Every connection that was asked for: when, where to, with the LDevID or not.
    pub(super) connections: Vec<(Time, String, bool)>,
    pub(super) discoveries: usize,
    /// Whether the device's element works.
    pub(super) element: bool,
    /// Whether the device's storage works.
    pub(super) storage: bool,
    device: Identity,
    keys: BTreeMap<String, Arc<SoftwareKey>>,
    open: BTreeMap<ConnectionId, usize>,
    under_way: VecDeque<Input>,
}

/// A maker, a domain, and a device of the one that is to join the other.
pub(super) fn cast() -> (Manufacturer, Domain, Identity) {
    let maker = Manufacturer::new();
    let device = maker.device("SN-0001");
    (maker, Domain::new(), device)
}

pub(super) fn config(maker: &Manufacturer, device: &Identity) -> Config {
    let config = Config::new(device.certificate.clone(), device.intermediates.clone(), maker.masa_anchors());
    Config { attempts: Some(1), ..config.unwrap() }
}

pub(super) fn offer(host: &str) -> Offer {
    Offer::fixed(host.parse().unwrap(), 443)
}

pub(super) fn random(seed: u64) -> impl FnMut(&mut [u8]) + Send + 'static {
    let mut rng = Rng::new(seed);
    move |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = rng.bytes::<1>()[0])
}

impl Sim<Onboarding> {
    /// A device that knows of these registrars, and gives up after its first failure unless `config` says otherwise.
    pub(super) fn new(config: Config, device: Identity, registrars: Vec<(&str, Registrar)>) -> Self {
        let registrars: Vec<_> = registrars.into_iter().map(|(host, registrar)| (offer(host), registrar)).collect();
        let offers = registrars.iter().map(|(offer, _)| offer.clone()).collect();
        let mut sim = Self::around(Onboarding::new(config, random(1)), device, registrars);
        sim.tell(Input::Start);
        sim.tell(Input::Offers(offers));
        sim
    }

    /// One registrar that differs from a good one as `change` says.
    pub(super) fn with(change: impl FnOnce(&mut Registrar)) -> Self {
        let (maker, domain, device) = cast();
        let mut registrar = Registrar::new(&maker, &domain);
        change(&mut registrar);
        Self::new(config(&maker, &device), device, vec![("registrar", registrar)])
    }
}

impl<M: Machine<Input = Input, Output = Output, Error = InvalidInput>> Sim<M> {
    pub(super) fn around(machine: M, device: Identity, registrars: Vec<(Offer, Registrar)>) -> Self {
        Self {
            machine,
            now: NOW,
            registrars,
            notes: Vec::new(),
            persisted: Vec::new(),
            discarded: Vec::new(),
            summary: None,
            gave_up: None,
            connections: Vec::new(),
            discoveries: 0,
            element: true,
            storage: true,
            device,
            keys: BTreeMap::new(),
            open: BTreeMap::new(),
            under_way: VecDeque::new(),
        }
    }

    pub(super) fn registrar(&mut self) -> &mut Registrar {
        &mut self.registrars[0].1
    }

    /// Takes over what another simulation's device holds.
    pub(super) fn inherit<N>(&mut self, other: &Sim<N>) {
        self.keys.clone_from(&other.keys);
        self.now = other.now;
    }

    /// One message; true if there was one.
    pub(super) fn step(&mut self) -> bool {
        let input = self.under_way.pop_front();
        let some = input.is_some();
        input.into_iter().for_each(|input| self.tell(input));
        some
    }

    /// Until the machine has ended, or that much time has passed.
    pub(super) fn run_for(&mut self, duration: Duration) -> &mut Self {
        let end = self.now + duration;
        while self.summary.is_none() && self.gave_up.is_none() {
            if self.step() {
                continue;
            }
            match self.machine.poll_timeout() {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.tell(Input::Timeout);
                }
                _ => {
                    self.now = end;
                    break;
                }
            }
        }
        self
    }

    /// Until the machine has ended.
    pub(super) fn run(&mut self) -> &mut Self {
        self.run_for(Duration::from_secs(30 * 86_400))
    }

    /// Runs to the refusal that it ends with.
    pub(super) fn refusal(&mut self) -> Refusal {
        self.run();
        self.gave_up.clone().unwrap_or_else(|| panic!("it did not give up: {:#?}", self.notes))
    }

    /// Every check that failed on the way, in order.
    pub(super) fn failures(&self) -> Vec<String> {
        let failed = self.notes.iter().filter_map(|note| match note {
            Progress::Failed { refusal, .. } => Some(refusal.check.to_string()),
            _ => None,
        });
        failed.collect()
    }

    /// The connection in use goes away.
    pub(super) fn cut(&mut self) {
        for (connection, _) in std::mem::take(&mut self.open) {
            self.under_way.clear();
            self.tell(Input::ConnectionLost { connection, why: "cut".into() });
        }
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.machine.handle(self.now, input).unwrap();
        while let Some(output) = self.machine.poll_output() {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Discover => self.discoveries += 1,
            Output::Progress(progress) => self.notes.push(progress),
            Output::Connect { connection, offer, identity, .. } => self.connect(connection, &offer, &identity),
            Output::Disconnect { connection } => {
                self.open.remove(&connection);
            }
            Output::Send { connection, request } => {
                if let Some(at) = self.open.get(&connection) {
                    let response = self.registrars[*at].1.answer(request, self.now);
                    // Status 0 stands for no answer at all.
                    if response.status != 0 {
                        self.under_way.push_back(Input::Response { connection, response });
                    }
                }
            }
            Output::Sign { key, bytes } => self.under_way.push_back(self.sign(&key, &bytes)),
            Output::MakeKey { algorithm } => {
                let private = Arc::new(SoftwareKey::generate(algorithm).unwrap());
                let public_key = private.public_key().clone();
                let key: KeyUri = format!("test:{}", self.keys.len()).parse().unwrap();
                self.keys.insert(key.to_string(), private);
                self.under_way.push_back(Input::KeyMade { key, public_key });
            }
            Output::Persist(credential) => {
                self.under_way.push_back(match self.storage {
                    true => Input::Persisted,
                    false => Input::Failed("the disk is full".into()),
                });
                self.persisted.push(*credential);
            }
            Output::DiscardKey(key) => self.discarded.push(key),
            Output::Done(summary) => self.summary = Some(*summary),
            Output::GaveUp(refusal) => self.gave_up = Some(refusal),
        }
    }

    fn connect(&mut self, connection: ConnectionId, offer: &Offer, identity: &Shown) {
        let ldevid = matches!(identity, Shown::Ldevid { .. });
        if let Shown::Ldevid { key, chain } = identity {
            // Nothing is used before it is durable.
            assert!(self.persisted.iter().any(|c| c.key == *key && c.ldevid == chain[0]));
        }
        self.connections.push((self.now, offer.to_string(), ldevid));
        let at = self.registrars.iter().position(|(place, r)| place.same_place(offer) && r.reachable);
        self.under_way.push_back(match at {
            Some(at) => {
                self.open.insert(connection, at);
                Input::Connected { connection, peer: self.registrars[at].1.peer(connection.0) }
            }
            None => Input::ConnectionLost { connection, why: "refused".into() },
        });
    }

    fn sign(&self, key: &SigningKey, bytes: &[u8]) -> Input {
        if !self.element {
            return Input::Failed("the element does not answer".into());
        }
        Input::Signed(match key {
            SigningKey::Idevid => self.device.sign(bytes),
            SigningKey::Ldevid(uri) => self.keys[uri.as_str()].sign(bytes).unwrap(),
        })
    }
}

//! A device among registrars, under a virtual clock.

use super::registrar::Registrar;
use landfall_brski::{
    TlsPeer,
    pledge::{
        Config, ConnectionId, Credential, Identity as Shown, Input, InvalidInput, Onboarding, Output, Progress,
        SigningKey, Summary,
    },
    proxy::Offer,
};
use landfall_pki::{Signer, SoftwareKey};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, Rng};
use landfall_types::{
    KeyUri, Machine, Refusal, Time,
    http::{Request, Response},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The other end of a connection.
pub(crate) trait Far {
    /// Whether it can be connected to.
    fn reachable(&self) -> bool;
    /// How it looks from the other end of connection number `connection`.
    fn peer(&self, connection: u64) -> TlsPeer;
    /// What it answers to `client`; status 0 stands for no answer at all.
    fn answer(&mut self, request: Request, client: TlsPeer, now: Time) -> Response;
}

/// What happens to a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Answered,
    /// It is answered, so much later.
    Delayed(Duration),
    /// The connection breaks before it arrives.
    LostGoing,
    /// It arrives, and the connection breaks before the answer does.
    LostComing,
}

/// A device, the registrars around it, and the time.
pub(crate) struct Sim<M, F = Registrar> {
    pub(crate) machine: M,
    pub(crate) now: Time,
    pub(crate) registrars: Vec<(Offer, F)>,
    /// What the network does.
    pub(crate) network: Box<dyn FnMut() -> Fate>,
    pub(crate) notes: Vec<Progress>,
    pub(crate) persisted: Vec<Credential>,
    pub(crate) discarded: Vec<KeyUri>,
    pub(crate) summary: Option<Summary>,
    pub(crate) gave_up: Option<Refusal>,
    /// Every connection that was asked for: when, where to, with the LDevID or not.
    pub(crate) connections: Vec<(Time, String, bool)>,
    pub(crate) discoveries: usize,
    /// Whether the device's element works.
    pub(crate) element: bool,
    /// Whether the device's storage works.
    pub(crate) storage: bool,
    device: Identity,
    keys: BTreeMap<String, Arc<SoftwareKey>>,
    open: BTreeMap<ConnectionId, (usize, TlsPeer)>,
    /// By time of arrival, then in order.
    under_way: BTreeMap<(Time, u64), Input>,
    sent: u64,
}

/// A maker, a domain, and a device of the one that is to join the other.
pub(crate) fn cast() -> (Manufacturer, Domain, Identity) {
    let maker = Manufacturer::new();
    let device = maker.device("SN-0001");
    (maker, Domain::new(), device)
}

pub(crate) fn config(maker: &Manufacturer, device: &Identity) -> Config {
    let config = Config::new(device.certificate.clone(), device.intermediates.clone(), maker.masa_anchors());
    Config { attempts: Some(1), ..config.unwrap() }
}

pub(crate) fn offer(host: &str) -> Offer {
    Offer::fixed(host.parse().unwrap(), 443)
}

pub(crate) fn random(seed: u64) -> impl FnMut(&mut [u8]) + Send + 'static {
    let mut rng = Rng::new(seed);
    move |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = rng.bytes::<1>()[0])
}

impl Sim<Onboarding> {
    /// A device that knows of these registrars, and gives up after its first failure unless `config` says otherwise.
    pub(crate) fn new(config: Config, device: Identity, registrars: Vec<(&str, Registrar)>) -> Self {
        let registrars: Vec<_> = registrars.into_iter().map(|(host, registrar)| (offer(host), registrar)).collect();
        let offers = registrars.iter().map(|(offer, _)| offer.clone()).collect();
        let mut sim = Self::around(Onboarding::new(config, random(1)), device, registrars);
        sim.tell(Input::Start);
        sim.tell(Input::Offers(offers));
        sim
    }

    /// One registrar that differs from a good one as `change` says.
    pub(crate) fn with(change: impl FnOnce(&mut Registrar)) -> Self {
        let (maker, domain, device) = cast();
        let mut registrar = Registrar::new(&maker, &domain);
        change(&mut registrar);
        Self::new(config(&maker, &device), device, vec![("registrar", registrar)])
    }
}

impl<M: Machine<Input = Input, Output = Output, Error = InvalidInput>, F: Far> Sim<M, F> {
    pub(crate) fn around(machine: M, device: Identity, registrars: Vec<(Offer, F)>) -> Self {
        Self {
            machine,
            now: NOW,
            registrars,
            network: Box::new(|| Fate::Answered),
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
            under_way: BTreeMap::new(),
            sent: 0,
        }
    }

    pub(crate) fn registrar(&mut self) -> &mut F {
        &mut self.registrars[0].1
    }

    /// Takes over what another simulation's device holds, and its time.
    pub(crate) fn inherit<N>(&mut self, other: &Sim<N, F>) {
        self.keys.clone_from(&other.keys);
        self.now = other.now;
    }

    /// One message that is due; true if there was one.
    pub(crate) fn step(&mut self) -> bool {
        let due = self.under_way.first_key_value().is_some_and(|((at, _), _)| *at <= self.now);
        let input = due.then(|| self.under_way.pop_first()).flatten();
        input.map(|(_, input)| self.tell(input)).is_some()
    }

    fn later(&mut self, input: Input, wait: Duration) {
        self.sent += 1;
        self.under_way.insert((self.now + wait, self.sent), input);
    }

    fn at_once(&mut self, input: Input) {
        self.later(input, Duration::ZERO);
    }

    /// Until the machine has ended, or that much time has passed.
    pub(crate) fn run_for(&mut self, duration: Duration) -> &mut Self {
        let end = self.now + duration;
        while self.summary.is_none() && self.gave_up.is_none() {
            if self.step() {
                continue;
            }
            let timeout = self.machine.poll_timeout();
            let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
            match timeout.into_iter().chain(arrival).min() {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    if timeout.is_some_and(|timeout| timeout <= self.now) {
                        self.tell(Input::Timeout);
                    }
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
    pub(crate) fn run(&mut self) -> &mut Self {
        self.run_for(Duration::from_secs(30 * 86_400))
    }

    /// Runs to the refusal that it ends with.
    pub(crate) fn refusal(&mut self) -> Refusal {
        self.run();
        self.gave_up.clone().unwrap_or_else(|| panic!("it did not give up: {:#?}", self.notes))
    }

    /// Every check that failed on the way, in order.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failed = self.notes.iter().filter_map(|note| match note {
            Progress::Failed { refusal, .. } => Some(refusal.check.to_string()),
            _ => None,
        });
        failed.collect()
    }

    /// The connection in use goes away.
    pub(crate) fn cut(&mut self) {
        for (connection, _) in std::mem::take(&mut self.open) {
            self.under_way.clear();
            self.tell(Input::ConnectionLost { connection, why: "cut".into() });
        }
    }

    pub(crate) fn tell(&mut self, input: Input) {
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
            Output::Send { connection, request } => self.send(connection, request),
            Output::Sign { key, bytes } => self.at_once(self.sign(&key, &bytes)),
            Output::MakeKey { algorithm } => {
                let private = Arc::new(SoftwareKey::generate(algorithm).unwrap());
                let public_key = private.public_key().clone();
                let key: KeyUri = format!("test:{}", self.keys.len()).parse().unwrap();
                self.keys.insert(key.to_string(), private);
                self.at_once(Input::KeyMade { key, public_key, attestation: None });
            }
            Output::Attest { nonce, .. } => self.at_once(Input::Attested(format!("evidence for {nonce:?}"))),
            Output::Persist(credential) => {
                self.at_once(match self.storage {
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
        let at = self.registrars.iter().position(|(place, r)| place.same_place(offer) && r.reachable());
        let input = match at {
            Some(at) => {
                let peer = self.registrars[at].1.peer(connection.0);
                let chain = match identity {
                    Shown::Idevid => self.device.chain(),
                    Shown::Ldevid { chain, .. } => chain.clone(),
                };
                self.open.insert(connection, (at, TlsPeer { chain, binding: peer.binding.clone() }));
                Input::Connected { connection, peer }
            }
            None => Input::ConnectionLost { connection, why: "refused".into() },
        };
        self.at_once(input);
    }

    fn send(&mut self, connection: ConnectionId, request: Request) {
        let Some((at, client)) = self.open.get(&connection).cloned() else { return };
        let fate = (self.network)();
        if fate == Fate::LostGoing {
            return self.at_once(Input::ConnectionLost { connection, why: "lost going".into() });
        }
        let response = self.registrars[at].1.answer(request, client, self.now);
        match fate {
            _ if response.status == 0 => {}
            Fate::Answered => self.at_once(Input::Response { connection, response }),
            Fate::Delayed(delay) => self.later(Input::Response { connection, response }, delay),
            _ => self.at_once(Input::ConnectionLost { connection, why: "lost coming".into() }),
        }
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

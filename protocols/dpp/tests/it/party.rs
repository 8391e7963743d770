//! One side of an exchange with everything around it, for the two-endpoint harness.

use landfall_dpp::{
    Curve,
    auth::Peer,
    backup::{self, Configurator},
    capabilities::{Capabilities, Role},
    config::{Akms, ConfigObject, ConfigRequest, ConnectionStatus, Credential, Discovery, NetRole},
    connector::Group,
    crypto::Secret,
    curve::{PrivateKey, PublicKey},
    enterprise,
    exchange::{
        Authenticated, Config, ConfiguratorConfig, Done, EnrolleeConfig, Event, Exchange, Facts, Grant, Grants, Input,
        KeyRole, Mutual, Output, PeerKey, Record, Ruling, Timing,
    },
    frame::Frame,
};
use landfall_testkit::{
    Rng,
    harness::{Act, Side},
};
use landfall_types::{Fingerprint, Redacted, Refusal, Time};
use std::{collections::HashMap, sync::Arc};

/// A configurator or an enrollee, with its keys, its book of peers, and what it has seen.
pub(super) struct Party {
    pub(super) exchange: Exchange,
    pub(super) keys: Keys,
    /// Whose bootstrapping information it has.
    pub(super) book: HashMap<Fingerprint, PublicKey>,
    /// What it answers for keys that are not in the book.
    pub(super) stranger: PeerKey,
    /// What it decides, as configurator; the first is taken, and the last stays.
    pub(super) rulings: Vec<fn(&Facts) -> Ruling>,
    pub(super) facts: Vec<Facts>,
    pub(super) records: Vec<Record>,
    pub(super) authenticated: Vec<Authenticated>,
    pub(super) dropped: Vec<Refusal>,
    pub(super) pending: usize,
    pub(super) done: Option<Result<Done, Refusal>>,
    /// Every frame that it sent.
    pub(super) sent: Vec<Frame>,
    /// The number of a frame that is replaced on its way, and by what.
    pub(super) replace: Option<(usize, Frame)>,
    /// What becomes of an envelope with its keys before it is sent.
    pub(super) envelope: fn(Vec<u8>) -> Vec<u8>,
}

/// The long-lived keys.
pub(super) struct Keys {
    pub(super) bootstrap: PrivateKey,
    pub(super) csign: PrivateKey,
    pub(super) privacy: PrivateKey,
}

impl Keys {
    pub(super) fn new(curve: Curve, seed: u64) -> Self {
        Self::signing_on(Curve::P256, curve, seed)
    }

    /// The same with a key that signs connectors on another curve.
    pub(super) fn signing_on(csign: Curve, curve: Curve, seed: u64) -> Self {
        let mut random = random(seed);
        Self {
            bootstrap: PrivateKey::generate(curve, &mut random),
            csign: PrivateKey::generate(csign, &mut random),
            privacy: PrivateKey::generate(csign, &mut random),
        }
    }

    /// What makes it a configurator, sealed.
    pub(super) fn sealed(&self, password: &Secret) -> Vec<u8> {
        let copy = |key: &PrivateKey| PrivateKey::from_pkcs8(key.to_pkcs8().unwrap().expose()).unwrap();
        let ours = Configurator {
            csign: copy(&self.csign),
            privacy_key: copy(&self.privacy),
            config_template: Redacted::new("{}".into()),
            connector_template: None,
        };
        backup::seal(&[ours], password, &mut random(1)).unwrap()
    }
}

/// Randomness that can be repeated.
pub(super) fn random(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut rng = Rng::new(seed);
    move |out: &mut [u8]| out.iter_mut().for_each(|byte| *byte = rng.bytes::<1>()[0])
}

/// Either side's configuration.
pub(super) fn config(keys: &Keys, role: Role) -> Config {
    let request = ConfigRequest::parse(br#"{"name":"lamp","wi-fi_tech":"infra","netRole":"sta"}"#).unwrap();
    Config {
        bootstrap: keys.bootstrap.public().clone(),
        capabilities: Capabilities::from(role),
        version: 3,
        mutual: Mutual::IfKnown,
        channel: None,
        configurator: Some(ConfiguratorConfig { csign: keys.csign.public().clone(), privacy: None }),
        enrollee: Some(EnrolleeConfig { request, certificates: true }),
        timing: Timing::RADIO,
    }
}

impl Party {
    pub(super) fn initiator(keys: Keys, config: Config, peer: &PublicKey, seed: u64) -> Self {
        let peer = Peer { key: peer.clone() };
        let exchange = Exchange::initiator(Arc::new(config), peer, Box::new(random(seed)));
        Self::new(keys, exchange)
    }

    pub(super) fn responder(keys: Keys, config: Config, seed: u64) -> Self {
        Self::new(keys, Exchange::responder(Arc::new(config), Box::new(random(seed))))
    }

    fn new(keys: Keys, exchange: Exchange) -> Self {
        Self {
            exchange,
            keys,
            book: HashMap::new(),
            stranger: PeerKey::Unknown,
            rulings: vec![connector],
            facts: Vec::new(),
            records: Vec::new(),
            authenticated: Vec::new(),
            dropped: Vec::new(),
            pending: 0,
            done: None,
            sent: Vec::new(),
            replace: None,
            envelope: |sealed| sealed,
        }
    }

    pub(super) fn knows(mut self, key: &PublicKey) -> Self {
        self.book.insert(key.bootstrap_hash(), key.clone());
        self
    }

    /// The refusal that ended it, by its check.
    pub(super) fn refused(&self) -> &str {
        match &self.done {
            Some(Err(refusal)) => &refusal.check,
            Some(Ok(_)) => "done",
            None => "still waiting",
        }
    }

    fn rule(&mut self, facts: Facts) -> Ruling {
        let rule = if self.rulings.len() > 1 { self.rulings.remove(0) } else { self.rulings[0] };
        let ruling = rule(&facts);
        self.facts.push(facts);
        ruling
    }
}

/// A network with a connector.
pub(super) fn connector(_: &Facts) -> Ruling {
    Ruling::Provide(Grants { objects: vec![network("home", Akms::DPP)], status: false })
}

/// The same, and the device shall tell how joining went.
pub(super) fn connector_and_status(facts: &Facts) -> Ruling {
    match connector(facts) {
        Ruling::Provide(grants) => Ruling::Provide(Grants { status: true, ..grants }),
        other => other,
    }
}

pub(super) fn network(ssid: &str, akm: Akms) -> Grant {
    let mut credential = Credential { akm, ..Credential::default() };
    if akm != Akms::DPP {
        credential.passphrase = Some(Redacted::new("correct horse".into()));
    }
    Grant {
        object: ConfigObject::infra(Discovery { ssid: ssid.into(), charset: None }, credential),
        groups: vec![Group { id: "lights".into(), role: NetRole::Sta }],
        expiry: None,
    }
}

pub(super) fn csr(_: &Facts) -> Ruling {
    Ruling::Csr(enterprise::challenge_password_only())
}

impl Side for Party {
    type Machine = Exchange;
    type Message = Frame;

    fn machine(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    fn arrived(&mut self, message: Frame) -> Input {
        Input::Frame(message)
    }

    fn timeout(&mut self) -> Input {
        Input::Timeout
    }

    fn act(&mut self, _: Time, output: Output) -> Act<Input, Frame> {
        match output {
            Output::Send(frame) => {
                let number = self.sent.len();
                self.sent.push(frame.clone());
                return Act::Send(match &self.replace {
                    Some((at, other)) if *at == number => other.clone(),
                    _ => frame,
                });
            }
            Output::Agree(agreement) => {
                assert_eq!(agreement.key, KeyRole::Bootstrap);
                return Act::Answer(Input::Agreed(agreement.by_key(&self.keys.bootstrap).unwrap()));
            }
            Output::Sign { key, bytes } => {
                assert_eq!(key, KeyRole::CSign);
                return Act::Answer(Input::Signed(self.keys.csign.sign(&bytes).unwrap()));
            }
            Output::FindPeer { hash } => {
                let found = self.book.get(&hash).cloned().map(PeerKey::Known);
                return Act::Answer(Input::Peer(found.unwrap_or_else(|| self.stranger.clone())));
            }
            Output::Rule(facts) => return Act::Answer(Input::Ruled(self.rule(*facts))),
            Output::Seal { password } => {
                return Act::Answer(Input::Sealed((self.envelope)(self.keys.sealed(&password))));
            }
            Output::Persist(record) => {
                self.records.push(*record);
                return Act::Answer(Input::Persisted);
            }
            Output::Join => {
                let status = br#"{"result":0,"ssid64":"dGVzdA","channelList":"81/1"}"#;
                return Act::Answer(Input::Joined(ConnectionStatus::parse(status).unwrap()));
            }
            Output::Event(Event::Dropped(refusal)) => self.dropped.push(refusal),
            Output::Event(Event::PeerPending) => self.pending += 1,
            Output::Event(Event::Authenticated(peer)) => self.authenticated.push(peer),
            Output::Event(Event::ComeBack(_)) => {}
            Output::Done(done) => {
                assert!(self.done.is_none(), "an exchange ends once");
                self.done = Some(done);
            }
        }
        Act::Nothing
    }
}

//! A configurator that listens: the same core in its other role, with everything in memory.

use super::random;
use landfall_dpp::{
    Capabilities, Curve, NetRole, Role, Status, System, Uri,
    auth::Peer,
    backup,
    config::{Akms, ConfigObject, Credential, Enterprise},
    connector::Group,
    crypto::Secret,
    curve::{PrivateKey, PublicKey},
    exchange::{
        Config, ConfiguratorConfig, Done, Exchange, Facts, Grant, Grants, Input, KeyRole, Mutual, Output, PeerKey,
        Ruling, Timing,
    },
    frame::{Action, AttributeId, Frame, FrameType},
};
use landfall_net::dpp::Link;
use landfall_pki::{CertificateSerial, Csr, Name, Validity, cms, profile::Ldevid};
use landfall_testkit::Rng;
use landfall_types::{Machine, Redacted, Refusal, Time};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};

/// What it decides about a device.
pub(crate) type Decide = Box<dyn FnMut(&Facts) -> Ruling + Send>;

/// What can be changed while it runs.
pub(crate) struct Rules {
    /// Whose requests and announcements it answers.
    pub(crate) devices: Vec<PublicKey>,
    pub(crate) decide: Decide,
    pub(crate) mutual: Mutual,
    /// Whether connections are dropped instead of sending what is durable.
    pub(crate) cut_before_answer: bool,
}

#[derive(Clone)]
pub(crate) struct Configurator {
    pub(crate) address: SocketAddr,
    pub(crate) bootstrap: Arc<PrivateKey>,
    pub(crate) csign: Arc<PrivateKey>,
    rules: Arc<Mutex<Rules>>,
    ends: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Result<Done, Refusal>>>>,
    end: mpsc::UnboundedSender<Result<Done, Refusal>>,
    rng: Arc<Mutex<Rng>>,
}

impl Configurator {
    /// One that knows `devices` and gives each the network "lab net" by connector.
    pub(crate) async fn start(curve: Curve, csign: Curve, devices: Vec<PublicKey>) -> Self {
        static SEED: AtomicU64 = AtomicU64::new(1000);
        let mut rng = Rng::new(SEED.fetch_add(1, Ordering::Relaxed));
        let mut key = |curve| Arc::new(PrivateKey::generate(curve, &mut random(&mut rng)));
        let (bootstrap, csign) = (key(curve), key(csign));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (end, ends) = mpsc::unbounded_channel();
        let rules =
            Rules { devices, decide: Box::new(|_| connector()), mutual: Mutual::IfKnown, cut_before_answer: false };
        let configurator = Self {
            address: listener.local_addr().unwrap(),
            bootstrap,
            csign,
            rules: Arc::new(Mutex::new(rules)),
            ends: Arc::new(tokio::sync::Mutex::new(ends)),
            end,
            rng: Arc::new(Mutex::new(rng)),
        };
        let accepting = configurator.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = accepting.clone();
                tokio::spawn(async move { serving.serve(Link::of(stream).unwrap()).await });
            }
        });
        configurator
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn decide(&self, decide: impl FnMut(&Facts) -> Ruling + Send + 'static) {
        self.rules().decide = Box::new(decide);
    }

    pub(crate) fn uri(&self) -> Uri {
        let mut uri = Uri::of(self.bootstrap.public().clone());
        uri.host = Some(self.address.to_string().parse().unwrap());
        uri
    }

    /// How the next exchange ended on this side.
    pub(crate) async fn end(&self) -> Result<Done, Refusal> {
        timeout(Duration::from_secs(30), async { self.ends.lock().await.recv().await.unwrap() }).await.unwrap()
    }

    /// Begins an exchange with a device that listens.
    pub(crate) async fn begin(&self, device: &PublicKey, at: SocketAddr) {
        let mut link = Link::of(TcpStream::connect(at).await.unwrap()).unwrap();
        let exchange = Exchange::initiator(self.config(), Peer { key: device.clone() }, self.random());
        let end = self.drive(exchange, Input::Start, &mut link).await;
        self.end.send(end).unwrap();
    }

    async fn serve(&self, mut link: Link) {
        let Ok(Some(frame)) = link.next().await else { return };
        let Frame::Action(Action { kind, .. }) = &frame else { return };
        let end = match kind {
            FrameType::PresenceAnnouncement => {
                let Some(key) = self.announced(&frame) else {
                    // Nothing is said to devices of others; they go away by themselves.
                    let _ = link.next().await;
                    return;
                };
                let exchange = Exchange::initiator(self.config(), Peer { key }, self.random());
                self.drive(exchange, Input::Start, &mut link).await
            }
            _ => {
                let exchange = Exchange::responder(self.config(), self.random());
                self.drive(exchange, Input::Frame(frame), &mut link).await
            }
        };
        let _ = self.end.send(end);
    }

    fn announced(&self, frame: &Frame) -> Option<PublicKey> {
        let Frame::Action(action) = frame else { return None };
        let attributes = action.attributes().ok()?;
        let hash = attributes.one(AttributeId::ResponderBootstrapHash).ok()??;
        self.rules().devices.iter().find(|key| key.chirp_hash().0 == *hash).cloned()
    }

    fn random(&self) -> Box<dyn landfall_dpp::Random> {
        Box::new(random(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn config(&self) -> Arc<Config> {
        Arc::new(Config {
            bootstrap: self.bootstrap.public().clone(),
            capabilities: Capabilities::from(Role::Configurator),
            version: 3,
            mutual: self.rules().mutual,
            channel: None,
            configurator: Some(ConfiguratorConfig { csign: self.csign.public().clone(), privacy: None }),
            enrollee: None,
            timing: Timing::RELIABLE,
        })
    }

    async fn drive(&self, mut exchange: Exchange, first: Input, link: &mut Link) -> Result<Done, Refusal> {
        let mut next = Some(first);
        loop {
            let input = match next.take() {
                Some(input) => input,
                None => {
                    let left = exchange.poll_timeout().map_or(Duration::from_secs(60), |at| at.since(Time::now()));
                    tokio::select! {
                        frame = link.next() => match frame {
                            Ok(Some(frame)) => Input::Frame(frame),
                            _ => return Err(gone()),
                        },
                        () = sleep(left) => Input::Timeout,
                    }
                }
            };
            exchange.handle(Time::now(), input).unwrap();
            while let Some(output) = exchange.poll_output() {
                match output {
                    Output::Send(frame) => {
                        if link.send(&frame).await.is_err() {
                            return Err(gone());
                        }
                    }
                    Output::Agree(agreement) => {
                        next = Some(Input::Agreed(agreement.by_key(&self.bootstrap).unwrap()));
                    }
                    Output::Sign { key, bytes } => {
                        assert_eq!(key, KeyRole::CSign);
                        next = Some(Input::Signed(self.csign.sign(&bytes).unwrap()));
                    }
                    Output::FindPeer { hash } => {
                        let known = self.rules().devices.iter().find(|key| key.bootstrap_hash() == hash).cloned();
                        next = Some(Input::Peer(known.map_or(PeerKey::Unknown, PeerKey::Known)));
                    }
                    Output::Rule(facts) => next = Some(Input::Ruled((self.rules().decide)(&facts))),
                    Output::Seal { password } => next = Some(Input::Sealed(self.sealed(&password))),
                    Output::Persist(_) if self.rules().cut_before_answer => return Err(gone()),
                    Output::Persist(_) => next = Some(Input::Persisted),
                    Output::Event(event) => println!("  configurator: {event:?}"),
                    Output::Join => unreachable!("a configurator joins nothing"),
                    Output::Done(end) => return end,
                }
            }
        }
    }
}

impl Configurator {
    /// What makes it a configurator, for another one.
    fn sealed(&self, password: &Secret) -> Vec<u8> {
        let copy = || PrivateKey::from_pkcs8(self.csign.to_pkcs8().unwrap().expose()).unwrap();
        let ours = backup::Configurator {
            csign: copy(),
            privacy_key: copy(),
            config_template: Redacted::new("{}".into()),
            connector_template: None,
        };
        backup::seal(&[ours], password, &mut System).unwrap()
    }
}

fn gone() -> Refusal {
    Refusal::new(landfall_types::Fault::Backend, "gone", "", "the connection is gone")
}

/// A grant of the network "lab net" by connector.
pub(crate) fn connector() -> Ruling {
    provide(vec![grant(Credential { akm: Akms::DPP, ..Credential::default() })])
}

pub(crate) fn grant(credential: Credential) -> Grant {
    let groups = vec![Group { id: "plant".into(), role: NetRole::Sta }];
    Grant { object: ConfigObject::infra("lab net".into(), credential), groups, expiry: None }
}

pub(crate) fn provide(objects: Vec<Grant>) -> Ruling {
    Ruling::Provide(Grants { objects, status: false })
}

pub(crate) fn password(akm: Akms, password: &str) -> Grant {
    let passphrase = Some(Redacted::new(password.to_owned()));
    Grant { groups: Vec::new(), ..grant(Credential { akm, passphrase, ..Credential::default() }) }
}

pub(crate) fn deny() -> Ruling {
    let refusal = Refusal::new(landfall_types::Fault::Denied, "policy", "", "not this one");
    Ruling::Deny(Status::ConfigureFailure, refusal)
}

/// Gives the network "lab net" by a certificate of a new domain, and asks for a request before.
pub(crate) fn certificates() -> impl FnMut(&Facts) -> Ruling + Send + 'static {
    let domain = landfall_testkit::Domain::new();
    move |facts| match &facts.csr {
        None => Ruling::Csr(landfall_dpp::enterprise::challenge_password_only()),
        Some(csr) => {
            let authority = &domain.issuing.authority;
            let leaf =
                Ldevid { subject: Name::common("SN-0001"), alt_names: Vec::new(), purposes: Vec::new(), crl_url: None };
            let validity = Validity::forever(Time::EPOCH);
            let key = Csr::from_der(csr).unwrap().public_key().clone();
            let leaf = leaf.prepare(authority, &key, CertificateSerial::random().unwrap(), validity).unwrap();
            let leaf = leaf.checked().unwrap().issue(&*domain.issuing.key).unwrap();
            let cert_bag = cms::certs_only(&[leaf, authority.certificate.clone(), authority.chain[0].clone()]);
            let enterprise = Some(Enterprise { cert_bag, eap_methods: vec![13], ..Enterprise::default() });
            provide(vec![grant(Credential { akm: Akms::DOT1X, enterprise, ..Credential::default() })])
        }
    }
}

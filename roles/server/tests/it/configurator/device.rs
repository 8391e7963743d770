//! A device on TCP: the enrollee's side of the same core, with everything around it.

use landfall_dpp::{
    Curve, NetRole, Role, Status, Uri,
    auth::Peer,
    capabilities::Capabilities,
    config::{ConfigObject, ConfigRequest, ConnectionStatus},
    connector::SignedConnector,
    curve::{PrivateKey, PublicKey},
    exchange::{Config, EnrolleeConfig, Exchange, Input, Mutual, Output, PeerKey, Received, Record, TakenOver, Timing},
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType},
    introduction::Own,
    pkex::{self, Code},
    push_button,
    reconfiguration::enrollee::{self, Identity},
    tcp::{self, Decoder},
};
use landfall_testkit::Rng;
use landfall_types::{Fault, Machine, Refusal, Time};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A device with its keys, and how it behaves.
pub(crate) struct Device {
    pub(crate) key: PrivateKey,
    pub(crate) serial: String,
    /// The configurator's key, if it has it.
    pub(crate) knows: Option<PublicKey>,
    pub(crate) mutual: Mutual,
    pub(crate) version: u8,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) request: ConfigRequest,
    /// How joining goes.
    pub(crate) joining: Status,
    pub(super) seed: u64,
    /// The keys that it was given, if it is a configurator.
    pub(crate) taken_over: Mutex<Option<TakenOver>>,
}

/// What a device has in the end.
#[derive(Debug)]
pub(crate) struct Onboarded {
    pub(crate) received: Received,
    /// How it ended for the device.
    pub(crate) done: Result<(), Refusal>,
}

impl Onboarded {
    pub(crate) fn object(&self) -> &ConfigObject {
        &self.received.objects[0]
    }
}

/// Randomness that can be repeated.
pub(crate) fn random(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut rng = Rng::new(seed);
    move |out: &mut [u8]| out.iter_mut().for_each(|byte| *byte = rng.bytes::<1>()[0])
}

impl Device {
    pub(crate) fn new(number: u64) -> Self {
        Self::on(Curve::P256, number)
    }

    pub(crate) fn on(curve: Curve, number: u64) -> Self {
        Self {
            key: PrivateKey::generate(curve, &mut random(number)),
            serial: format!("D-{number:06}"),
            knows: None,
            mutual: Mutual::IfKnown,
            version: 3,
            mac: None,
            request: ConfigRequest::new("lamp", NetRole::Sta),
            joining: Status::Ok,
            seed: number + 1_000_000,
            taken_over: Mutex::default(),
        }
    }

    pub(crate) fn uri(&self) -> Uri {
        Uri { mac: self.mac, ..Uri::of(self.key.public().clone()) }
    }

    /// The frame by which it announces itself.
    pub(crate) fn announcement(&self) -> Frame {
        let mut attributes = AttributeWriter::new();
        attributes.put(AttributeId::ResponderBootstrapHash, &self.key.public().chirp_hash().0);
        Action { kind: FrameType::PresenceAnnouncement, attributes: attributes.into_bytes() }.into()
    }

    /// Announces itself at the configurator, as an access point would relay it; nothing if it is not answered.
    pub(crate) async fn chirp(&self, configurator: SocketAddr) -> Option<Onboarded> {
        let mut link = Link::try_to(configurator).await?;
        link.send(&self.announcement()).await;
        self.answer(&mut link).await
    }

    /// The same by a device that gets nothing: what it is told.
    pub(crate) async fn refused(&self, configurator: SocketAddr) -> Refusal {
        let mut link = Link::to(configurator).await;
        link.send(&self.announcement()).await;
        let exchange = Exchange::responder(self.config(), Box::new(random(self.seed)));
        let (received, done) = self.carry(&mut link, exchange, None).await;
        assert!(received.is_none(), "it got {received:?}");
        done.unwrap_err()
    }

    /// Waits for a configurator on a connection.
    pub(crate) async fn answer(&self, link: &mut Link) -> Option<Onboarded> {
        self.run(link, Exchange::responder(self.config(), Box::new(random(self.seed))), None).await
    }

    /// Begins by itself with the configurator's key.
    pub(crate) async fn ask(&self, configurator: SocketAddr, key: &PublicKey) -> Option<Onboarded> {
        self.ask_by(&mut Link::to(configurator).await, key).await
    }

    /// The same by a connection that it has.
    pub(crate) async fn ask_by(&self, link: &mut Link, key: &PublicKey) -> Option<Onboarded> {
        let exchange = Exchange::initiator(self.config(), Peer { key: key.clone() }, Box::new(random(self.seed)));
        self.run(link, exchange, Some(Input::Start)).await
    }

    /// Shows that it has a code; the configurator's key, if that has the same.
    pub(crate) async fn introduce(&self, link: &mut Link, code: &str, identifier: Option<&str>) -> Option<PublicKey> {
        let config = pkex::Config {
            code: Code::new(identifier, code.as_bytes()).unwrap(),
            bootstrap: self.key.public().clone(),
            version: self.version,
            versions: pkex::Versions::Two,
            link: pkex::Link::Tcp,
            timing: pkex::Timing::default(),
        };
        let mut initiator = pkex::Initiator::new(config, Box::new(random(self.seed)));
        let mut next = Some(pkex::Input::Start);
        loop {
            let input = match next.take() {
                Some(input) => input,
                None => pkex::Input::Frame { frame: link.next().await?, from: None },
            };
            initiator.handle(Time::now(), input).unwrap();
            while let Some(output) = initiator.poll_output() {
                match output {
                    pkex::Output::Send(frame) => link.send(&frame).await,
                    pkex::Output::Agree(point) => next = Some(pkex::Input::Agreed(self.key.agree(&point).unwrap())),
                    pkex::Output::Dropped(_) => {}
                    pkex::Output::Done(done) => return done.ok().map(|done| done.peer),
                }
            }
        }
    }

    /// The frame by which it says that its button was pushed.
    pub(crate) fn pushed(&self) -> Frame {
        let mut attributes = AttributeWriter::new();
        attributes.put(AttributeId::ResponderBootstrapHash, &self.key.public().chirp_hash().0);
        Action { kind: FrameType::PbPresenceAnnouncement, attributes: attributes.into_bytes() }.into()
    }

    /// Its button is pushed: the key of the only configurator that answers.
    pub(crate) async fn push(&self, link: &mut Link) -> Result<PublicKey, Refusal> {
        let now = Duration::from_millis(1);
        let timing = push_button::Timing { repetitions: 1, gap: now, rest: now, listen: now, ..Default::default() };
        let config = push_button::Config { timing, pkex: pkex::Timing::default() };
        let mut machine = push_button::Enrollee::new(config, Vec::new(), Box::new(random(self.seed)));
        let mut inputs = VecDeque::from([push_button::Input::Pushed(self.key.public().clone())]);
        loop {
            while let Some(input) = inputs.pop_front() {
                machine.handle(Time::now(), input).unwrap();
                while let Some(output) = machine.poll_output() {
                    match output {
                        push_button::Output::Announce { frame, .. } => link.send(&frame).await,
                        push_button::Output::Send { frame, .. } => link.send(&frame).await,
                        push_button::Output::Agree(point) => {
                            inputs.push_back(push_button::Input::Agreed(self.key.agree(&point).unwrap()));
                        }
                        push_button::Output::Dropped(_) => {}
                        push_button::Output::Done(done) => return done.map(|done| done.peer),
                    }
                }
            }
            let Some(at) = machine.poll_timeout() else { panic!("it waits for nothing") };
            let wait = at.since(Time::now()) + now;
            match timeout(wait, link.next()).await {
                Err(_) => inputs.push_back(push_button::Input::Timeout),
                Ok(Some(frame)) => inputs.push_back(push_button::Input::Frame { frame, from: [2; 6] }),
                Ok(None) => return Err(Refusal::new(Fault::Peer, "closed", "", "the connection was closed")),
            }
        }
    }

    /// The frame by which it announces itself with what it was given.
    pub(crate) fn announcement_of(&self, has: &Onboarded) -> Frame {
        let (own, privacy) = Self::shown(has);
        // Another each time: one that has just been configured is not answered for a while.
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let mut random = random(self.seed + COUNT.fetch_add(1, Ordering::Relaxed));
        let identity = Identity::generate(privacy.curve(), &mut random);
        identity.announce(&own, &privacy, &mut random).unwrap()
    }

    fn shown(has: &Onboarded) -> (Own, PublicKey) {
        let credential = &has.object().credential;
        let connector = SignedConnector::parse(credential.connector.as_ref().unwrap()).unwrap();
        let csign = credential.csign.as_ref().unwrap().key.clone();
        (Own::new(connector, csign, 3).unwrap(), credential.privacy_key.as_ref().unwrap().key.clone())
    }

    /// Announces itself with what it was given, and is configured anew; nothing if it is not answered.
    pub(crate) async fn again(&self, has: &Onboarded, configurator: SocketAddr) -> Option<Onboarded> {
        let mut random = random(self.seed + 2 + u64::from(has.received.key.public().x()[0]));
        let mut link = Link::to(configurator).await;
        link.send(&self.announcement_of(has)).await;
        let (own, key) = (Self::shown(has).0, has.received.key.clone());
        let Frame::Action(request) = link.next().await? else { panic!("a GAS frame") };
        let why = ConnectionStatus { result: Status::NoAp, ssid: None, channels: Vec::new() };
        let pending = enrollee::requested(&own, Time::now(), &request, &why, &mut random).unwrap();
        let secret = key.plus(pending.addend()).unwrap().agree(pending.point()).unwrap();
        let (response, confirming) = pending.agreed(&secret, self.version);
        link.send(&response).await;
        let Frame::Action(confirm) = link.next().await? else { panic!("a GAS frame") };
        let session = confirming.confirmed(&confirm).unwrap().into_session(key, self.version, false);
        let exchange = Exchange::configuration(self.config(), session, Time::now(), Box::new(random));
        self.run(&mut link, exchange, Some(Input::Timeout)).await
    }

    fn config(&self) -> Arc<Config> {
        Arc::new(Config {
            bootstrap: self.key.public().clone(),
            capabilities: Capabilities::from(Role::Enrollee),
            version: self.version,
            mutual: self.mutual,
            channel: None,
            configurator: None,
            enrollee: Some(EnrolleeConfig { request: self.request.clone(), certificates: true }),
            timing: Timing::RELIABLE,
        })
    }

    async fn run(&self, link: &mut Link, exchange: Exchange, first: Option<Input>) -> Option<Onboarded> {
        let (received, done) = self.carry(link, exchange, first).await;
        // What it has received it keeps.
        received.map(|received| Onboarded { received, done })
    }

    async fn carry(
        &self,
        link: &mut Link,
        mut exchange: Exchange,
        first: Option<Input>,
    ) -> (Option<Received>, Result<(), Refusal>) {
        let mut inputs: VecDeque<Input> = first.into_iter().collect();
        let (mut received, mut done) = (None, None);
        loop {
            while let Some(input) = inputs.pop_front() {
                exchange.handle(Time::now(), input).unwrap();
                while let Some(output) = exchange.poll_output() {
                    match output {
                        Output::Send(frame) => link.send(&frame).await,
                        Output::Agree(agreement) => {
                            inputs.push_back(Input::Agreed(agreement.by_key(&self.key).unwrap()));
                        }
                        Output::FindPeer { hash } => {
                            let known = self.knows.clone().filter(|key| key.bootstrap_hash() == hash);
                            inputs.push_back(Input::Peer(known.map_or(PeerKey::Unknown, PeerKey::Known)));
                        }
                        Output::Persist(record) => {
                            match *record {
                                Record::Received(what) => received = Some(what),
                                Record::TakenOver(what) => *self.taken_over.lock().unwrap() = Some(what),
                                other => panic!("{other:?}"),
                            }
                            inputs.push_back(Input::Persisted);
                        }
                        Output::Join => inputs.push_back(Input::Joined(ConnectionStatus {
                            result: self.joining,
                            ssid: Some(b"Home".to_vec()),
                            channels: Vec::new(),
                        })),
                        Output::Done(ended) => done = Some(ended.map(drop)),
                        Output::Event(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            if let Some(done) = done {
                link.finish().await;
                return (received, done);
            }
            // A little later, since a deadline that is not quite reached is none.
            let wait = exchange.poll_timeout().map(|deadline| deadline.since(Time::now()) + Duration::from_millis(1));
            let Ok(next) = timeout(wait.unwrap_or(Duration::from_secs(3600)), link.next()).await else {
                inputs.push_back(Input::Timeout);
                continue;
            };
            match next {
                Some(frame) => inputs.push_back(Input::Frame(frame)),
                None => return (received, Err(Refusal::new(Fault::Peer, "closed", "", "the connection was closed"))),
            }
        }
    }
}

/// A TCP connection to a configurator.
pub(crate) struct Link {
    stream: TcpStream,
    decoder: Decoder,
}

impl Link {
    pub(crate) async fn to(configurator: SocketAddr) -> Self {
        Self::over(TcpStream::connect(configurator).await.unwrap())
    }

    /// None if nobody listens there.
    pub(crate) async fn try_to(configurator: SocketAddr) -> Option<Self> {
        TcpStream::connect(configurator).await.ok().map(Self::over)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, decoder: Decoder::new() }
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        self.bytes(&tcp::encode(frame)).await;
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        // The other side may be gone; then the next frame is none.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame; none if the connection was closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return Some(frame);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.decoder.push(&buffer[..length]),
            }
        }
    }

    /// Waits until the other side is through with the exchange, and has written down what came of it.
    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
        while self.next().await.is_some() {}
    }

    /// Whether the other side says nothing to `frame`: it answers a later one first.
    pub(crate) async fn is_silent_to(&mut self, frame: &Frame, other: &Device) -> bool {
        self.send(frame).await;
        self.send(&other.announcement()).await;
        let answer = timeout(Duration::from_secs(60), self.next()).await.expect("an answer").expect("a connection");
        let Frame::Action(action) = answer else { panic!("{answer:?}") };
        let hash = action.attributes().unwrap().need_array::<32>(AttributeId::ResponderBootstrapHash).unwrap();
        hash == other.key.public().bootstrap_hash().0
    }
}

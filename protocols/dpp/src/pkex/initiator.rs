//! The initiator's side of PKEX.

use super::{
    Side,
    code::Attempt,
    io::{Config, Done, Input, Link, Outbox, Output, Versions, failed, unasked},
    keys::{self, Binding},
    message::{self, SECTION, malformed},
};
use crate::{
    Status,
    crypto::Secret,
    curve::{Curve, PrivateKey, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    random::Random,
};
use landfall_types::{Fault, Machine, Redacted, Refusal, Time};

/// The side that begins. Tell it [`Input::Start`].
pub struct Initiator {
    outbox: Outbox,
    random: Box<dyn Random>,
    state: State,
}

enum State {
    AwaitStart,
    AwaitExchange(Box<AwaitExchange>),
    AwaitAgreed(Box<AwaitAgreed>),
    AwaitReveal(Box<AwaitReveal>),
    Over,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::AwaitStart => "AwaitStart",
            Self::AwaitExchange(_) => "AwaitExchange",
            Self::AwaitAgreed(_) => "AwaitAgreed",
            Self::AwaitReveal(_) => "AwaitReveal",
            Self::Over => "Over",
        }
    }
}

/// Our blinded key is out.
struct AwaitExchange {
    version: Versions,
    x: PrivateKey,
    m: PublicKey,
}

/// The responder's key is known; our bootstrapping key is asked for J = a·Y.
struct AwaitAgreed {
    x: PrivateKey,
    y: PublicKey,
    z: Secret,
    binding: Binding,
    attempt: Attempt,
    peer_version: u8,
}

/// Our bootstrapping key is revealed to whoever knows the code.
struct AwaitReveal {
    x: PrivateKey,
    y: PublicKey,
    z: Secret,
    binding: Binding,
    attempt: Attempt,
    peer_version: u8,
}

impl Initiator {
    /// A side that has not begun.
    pub fn new(config: Config, random: Box<dyn Random>) -> Self {
        Self { outbox: Outbox::new(config), random, state: State::AwaitStart }
    }

    /// Whether nothing more will come of it.
    pub const fn is_over(&self) -> bool {
        self.outbox.over
    }

    fn begin(&mut self) -> Result<State, Refusal> {
        let config = &self.outbox.config;
        if config.code.is_dead() {
            return Err(message::dead());
        }
        let version = match (config.versions, config.link) {
            (Versions::One, Link::Tcp) => {
                let detail = "the form of release 1 is bound to MAC addresses, which TCP does not have";
                return Err(Refusal::new(Fault::Misuse, "dpp-pkex-version", SECTION, detail));
            }
            (Versions::One, Link::Air { .. }) => Versions::One,
            (Versions::Two | Versions::Both, _) => Versions::Two,
        };
        self.request(version)
    }

    /// Sends M = X + Qi (DPP s5.6.2).
    fn request(&mut self, version: Versions) -> Result<State, Refusal> {
        let config = &self.outbox.config;
        let curve = config.bootstrap.curve();
        let (kind, mac) = match (version, config.link) {
            (Versions::One, Link::Air { own }) => (FrameType::PkexV1ExchangeRequest, own.to_vec()),
            _ => (FrameType::PkexExchangeRequest, Vec::new()),
        };
        let x = PrivateKey::generate(curve, &mut *self.random);
        let blind = keys::blind(curve, Side::Initiator, &mac, &config.code).map_err(malformed)?;
        let m = x.public().plus(&blind).map_err(malformed)?;
        let mut frame = AttributeWriter::new();
        if kind == FrameType::PkexExchangeRequest {
            frame.put_u8(AttributeId::ProtocolVersion, config.version);
        }
        frame.put_u16le(AttributeId::FiniteCyclicGroup, curve.group());
        message::put_identifier(&mut frame, &config.code);
        frame.put(AttributeId::EncryptedKey, &m.to_wire());
        self.outbox.ask(Frame::Action(Action { kind, attributes: frame.into_bytes() }));
        Ok(State::AwaitExchange(Box::new(AwaitExchange { version, x, m })))
    }

    fn on_frame(&mut self, state: State, frame: Frame, from: Option<[u8; 6]>) -> State {
        let Frame::Action(action) = frame else {
            return self.unexpected(state, "a GAS frame");
        };
        match (state, action.kind) {
            (State::AwaitExchange(state), FrameType::PkexExchangeResponse) => {
                match state.response(&self.outbox.config, &action.attributes, from) {
                    Ok(found) => self.commit(*state, found),
                    Err(Answer::Ignore(refusal)) => {
                        self.outbox.push(Output::Dropped(refusal));
                        State::AwaitExchange(state)
                    }
                    Err(Answer::End(refusal)) => self.end(Err(refusal)),
                }
            }
            (State::AwaitReveal(state), FrameType::PkexCommitRevealResponse) => {
                match state.response(&action.attributes) {
                    Ok(peer) => {
                        state.attempt.succeeded();
                        self.end(Ok(Done { peer, version: state.peer_version }))
                    }
                    // Anyone can send a frame that does not open, and learns nothing from it: the right one may follow.
                    Err(refusal) => {
                        self.outbox.push(Output::Dropped(refusal));
                        State::AwaitReveal(state)
                    }
                }
            }
            (state, kind) => self.unexpected(state, kind.name()),
        }
    }

    /// Asks our bootstrapping key for J. From here on the responder can tell whether it knows the code: that counts.
    fn commit(&mut self, state: AwaitExchange, found: Found) -> State {
        let Some(attempt) = self.outbox.config.code.attempt() else { return self.end(Err(message::dead())) };
        let Some(y) = found.y else { return self.end(Err(message::wrong_code())) };
        let k = match state.x.agree(&y) {
            Ok(k) => k,
            Err(error) => return self.end(Err(malformed(error))),
        };
        let z = keys::z(&found.binding, &state.m, &found.n, &self.outbox.config.code, k.expose());
        self.outbox.answered();
        self.outbox.push(Output::Agree(y.clone()));
        let (binding, peer_version) = (found.binding, found.version);
        State::AwaitAgreed(Box::new(AwaitAgreed { x: state.x, y, z, binding, attempt, peer_version }))
    }

    /// Reveals A with its tag (DPP s5.6.3).
    fn reveal(&mut self, state: AwaitAgreed, j: &Redacted<Vec<u8>>) -> State {
        let AwaitAgreed { x, y, z, binding, attempt, peer_version } = state;
        let own = &self.outbox.config.bootstrap;
        let u = keys::tag(&binding, Side::Initiator, j.expose(), own, &y, x.public());
        let kind = FrameType::PkexCommitRevealRequest;
        let frame = message::reveal(kind, &z, own, AttributeId::InitiatorAuthTag, &u, 0);
        self.outbox.ask(frame);
        State::AwaitReveal(Box::new(AwaitReveal { x, y, z, binding, attempt, peer_version }))
    }

    fn on_timeout(&mut self, state: State) -> State {
        if !self.outbox.is_due() || self.outbox.sent_again() {
            return state;
        }
        match state {
            // The responder may know the form of release 1 only.
            State::AwaitExchange(state) if state.version == Versions::Two && self.falls_back() => {
                self.request(Versions::One).unwrap_or_else(|refusal| self.end(Err(refusal)))
            }
            State::AwaitExchange(_) => self.end(Err(silent("nobody answers"))),
            State::AwaitReveal(_) => self.end(Err(silent("the peer says no more: perhaps it has another code"))),
            state => state,
        }
    }

    fn falls_back(&self) -> bool {
        let config = &self.outbox.config;
        config.versions == Versions::Both && matches!(config.link, Link::Air { .. })
    }

    fn unexpected(&mut self, state: State, name: &str) -> State {
        let detail = format!("{name} does not belong here");
        self.outbox.push(Output::Dropped(Refusal::new(Fault::Peer, "dpp-order", SECTION, detail)));
        state
    }

    fn end(&mut self, result: Result<Done, Refusal>) -> State {
        self.outbox.done(result);
        State::Over
    }
}

/// The responder's answer.
struct Found {
    n: PublicKey,
    /// Y = N − Qr; `None` if that is infinite, which only a guess brings about.
    y: Option<PublicKey>,
    binding: Binding,
    version: u8,
}

/// What becomes of a bad answer.
enum Answer {
    Ignore(Refusal),
    End(Refusal),
}

impl<E: Into<Refusal>> From<E> for Answer {
    fn from(error: E) -> Self {
        Self::Ignore(error.into())
    }
}

impl AwaitExchange {
    fn response(&self, config: &Config, attributes: &[u8], from: Option<[u8; 6]>) -> Result<Found, Answer> {
        let attributes = Attributes::parse(attributes)?;
        let curve = self.m.curve();
        let (binding, version) = match (self.version, config.link, from) {
            (Versions::One, Link::Air { own }, Some(from)) => (Binding::V1(own, from), 1),
            (Versions::One, ..) => return Err(malformed("the sender's MAC address is not known").into()),
            _ => {
                let version = message::version(&attributes)?;
                (Binding::V2(config.version, version), version)
            }
        };
        message::check_identifier(&attributes, &config.code)?;
        match attributes.status()? {
            Status::Ok => {}
            Status::BadGroup => return Err(Answer::End(bad_group(&attributes))),
            status => return Err(Answer::End(Refusal::new(Fault::Peer, "dpp-status", SECTION, status.to_string()))),
        }
        let n = message::encrypted_key(&attributes, curve)?;
        let mac = binding.mac(Side::Responder);
        let blind = keys::blind(curve, Side::Responder, mac, &config.code).map_err(malformed)?;
        Ok(Found { y: n.minus(&blind).ok(), n, binding, version })
    }
}

impl AwaitReveal {
    fn response(&self, attributes: &[u8]) -> Result<PublicKey, Refusal> {
        let attributes = Attributes::parse(attributes)?;
        let kind = FrameType::PkexCommitRevealResponse;
        let curve = self.y.curve();
        let (peer, v) = message::revealed(kind, &attributes, &self.z, curve, AttributeId::ResponderAuthTag, 1)?;
        let l = self.x.agree(&peer).map_err(malformed)?;
        let expected = keys::tag(&self.binding, Side::Responder, l.expose(), &peer, self.x.public(), &self.y);
        if expected.matches(&v) { Ok(peer) } else { Err(message::wrong_tag()) }
    }
}

fn bad_group(attributes: &Attributes<'_>) -> Refusal {
    let group = attributes.one_array(AttributeId::FiniteCyclicGroup).ok().flatten().map(u16::from_le_bytes);
    let theirs = match (group, group.and_then(Curve::of_group)) {
        (_, Some(curve)) => format!("the peer's key is on {curve}"),
        (Some(group), None) => format!("the peer's key is in group {group}, which is not one of DPP"),
        (None, None) => "the peer's key is on another curve".to_owned(),
    };
    Refusal::new(Fault::Incompatible, "dpp-pkex-group", SECTION, theirs).field("Finite Cyclic Group")
}

fn silent(detail: &'static str) -> Refusal {
    Refusal::new(Fault::Peer, "dpp-silence", SECTION, detail)
}

impl Machine for Initiator {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// It fails only if the driver answers what it was not asked.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        self.outbox.now = now;
        let mut misuse = None;
        self.state = match (std::mem::replace(&mut self.state, State::Over), input) {
            (State::Over, _) => State::Over,
            (_, Input::Failed(why)) => self.end(Err(failed(why))),
            (state, Input::Timeout) => self.on_timeout(state),
            (state, Input::Frame { frame, from }) => self.on_frame(state, frame, from),
            (State::AwaitStart, Input::Start) => self.begin().unwrap_or_else(|refusal| self.end(Err(refusal))),
            (State::AwaitAgreed(state), Input::Agreed(j)) => self.reveal(*state, &j),
            (state, input) => {
                misuse = Some(unasked(state.name(), &input));
                state
            }
        };
        misuse.map_or(Ok(()), Err)
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.outbox.deadline
    }
}

//! The responder's side of PKEX.

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
    curve::{PrivateKey, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    random::Random,
};
use landfall_types::{Fault, Machine, Redacted, Refusal, Time};

/// The side that answers one initiator. It waits from the beginning.
pub struct Responder {
    outbox: Outbox,
    random: Box<dyn Random>,
    state: State,
}

enum State {
    AwaitExchange,
    AwaitReveal(Box<AwaitReveal>),
    AwaitAgreed(Box<AwaitAgreed>),
    Over,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::AwaitExchange => "AwaitExchange",
            Self::AwaitReveal(_) => "AwaitReveal",
            Self::AwaitAgreed(_) => "AwaitAgreed",
            Self::Over => "Over",
        }
    }
}

/// Both blinded keys are out.
struct AwaitReveal {
    y: PrivateKey,
    binding: Binding,
    peer_version: u8,
    /// `None` if the initiator's blinded key is what the code alone makes: nobody who follows the protocol sends that.
    shared: Option<Shared>,
}

struct Shared {
    x: PublicKey,
    z: Secret,
}

/// The initiator has proved its key; our bootstrapping key is asked for L = b·X.
struct AwaitAgreed {
    earlier: AwaitReveal,
    shared: Shared,
    peer: PublicKey,
    request: Frame,
    attempt: Attempt,
}

impl Responder {
    /// A side that waits for an initiator.
    pub fn new(config: Config, random: Box<dyn Random>) -> Self {
        Self { outbox: Outbox::new(config), random, state: State::AwaitExchange }
    }

    /// Whether nothing new will come of it. It still repeats its last answer to an initiator that did not get it.
    pub const fn is_over(&self) -> bool {
        self.outbox.over
    }

    fn on_frame(&mut self, state: State, frame: Frame, from: Option<[u8; 6]>) -> State {
        if self.outbox.repeats(&frame) || matches!(state, State::Over) {
            return state;
        }
        let Frame::Action(action) = &frame else {
            return self.unexpected(state, "a GAS frame");
        };
        let version = match action.kind {
            FrameType::PkexV1ExchangeRequest => Some(Versions::One),
            FrameType::PkexExchangeRequest => Some(Versions::Two),
            _ => None,
        };
        match (state, version) {
            // An initiator that begins anew is not kept waiting for what it has forgotten.
            (state @ (State::AwaitExchange | State::AwaitReveal(_)), Some(version)) => {
                match self.answer(version, &action.attributes, from) {
                    Ok((reply, next)) => {
                        self.outbox.reply(frame, reply);
                        next
                    }
                    Err(refusal) => {
                        self.outbox.push(Output::Dropped(refusal));
                        state
                    }
                }
            }
            (State::AwaitReveal(state), None) if action.kind == FrameType::PkexCommitRevealRequest => {
                self.examine(*state, frame)
            }
            (state, _) => {
                let name = action.kind.name();
                self.unexpected(state, name)
            }
        }
    }

    /// Sends N = Y + Qr (DPP s5.6.2), or which curve we speak.
    fn answer(
        &mut self,
        version: Versions,
        attributes: &[u8],
        from: Option<[u8; 6]>,
    ) -> Result<(Frame, State), Refusal> {
        let config = &self.outbox.config;
        if config.code.is_dead() {
            return Err(message::dead());
        }
        let attributes = Attributes::parse(attributes)?;
        let (binding, peer_version) = binding(config, version, &attributes, from)?;
        message::check_identifier(&attributes, &config.code)?;
        let group = attributes.need_array(AttributeId::FiniteCyclicGroup).map(u16::from_le_bytes)?;
        let curve = config.bootstrap.curve();
        if group != curve.group() {
            let mut reply = reply(config, &binding, Status::BadGroup);
            reply.put_u16le(AttributeId::FiniteCyclicGroup, curve.group());
            return Ok((response(reply), State::AwaitExchange));
        }
        let m = message::encrypted_key(&attributes, curve)?;
        let blind = |side| keys::blind(curve, side, binding.mac(side), &config.code).map_err(malformed);
        let x = m.minus(&blind(Side::Initiator)?).ok();
        let y = PrivateKey::generate(curve, &mut *self.random);
        let n = y.public().plus(&blind(Side::Responder)?).map_err(malformed)?;
        // Whoever sends a guess of Qi itself would learn from silence that it is right, without its being counted. It
        // gets an answer like any other, and fails when it goes on.
        let shared = match x {
            None => None,
            Some(x) => {
                let k = y.agree(&x).map_err(malformed)?;
                let z = keys::z(&binding, &m, &n, &config.code, k.expose());
                Some(Shared { x, z })
            }
        };
        let mut reply = reply(config, &binding, Status::Ok);
        reply.put(AttributeId::EncryptedKey, &n.to_wire());
        let state = AwaitReveal { y, binding, peer_version, shared };
        Ok((response(reply), State::AwaitReveal(Box::new(state))))
    }

    /// Checks what the initiator reveals (DPP s5.6.3).
    fn examine(&mut self, mut state: AwaitReveal, frame: Frame) -> State {
        let Some(attempt) = self.outbox.config.code.attempt() else { return self.end(Err(message::dead())) };
        let Some(shared) = state.shared.take() else { return self.end(Err(message::wrong_code())) };
        match revealed(&state, &shared, &frame) {
            Ok(peer) => {
                self.outbox.answered();
                self.outbox.push(Output::Agree(shared.x.clone()));
                let earlier = state;
                State::AwaitAgreed(Box::new(AwaitAgreed { earlier, shared, peer, request: frame, attempt }))
            }
            Err(refusal) => self.end(Err(refusal)),
        }
    }

    /// Reveals B with its tag.
    fn reveal(&mut self, state: AwaitAgreed, l: &Redacted<Vec<u8>>) -> State {
        let AwaitAgreed { earlier, shared, peer, request, attempt } = state;
        let own = &self.outbox.config.bootstrap;
        let y = earlier.y.public();
        let v = keys::tag(&earlier.binding, Side::Responder, l.expose(), own, &shared.x, y);
        let kind = FrameType::PkexCommitRevealResponse;
        let reply = message::reveal(kind, &shared.z, own, AttributeId::ResponderAuthTag, &v, 1);
        self.outbox.reply(request, reply);
        attempt.succeeded();
        self.end(Ok(Done { peer, version: earlier.peer_version }))
    }

    fn on_timeout(&mut self, state: State) -> State {
        match state {
            State::AwaitExchange | State::AwaitReveal(_) if self.outbox.is_due() => {
                self.outbox.answered();
                State::AwaitExchange
            }
            state => state,
        }
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

/// What the exchange is tied to, and the release that the initiator speaks.
fn binding(
    config: &Config,
    version: Versions,
    attributes: &Attributes<'_>,
    from: Option<[u8; 6]>,
) -> Result<(Binding, u8), Refusal> {
    if !config.versions.includes(version) {
        let detail = "this form of PKEX is switched off";
        return Err(Refusal::new(Fault::Incompatible, "dpp-pkex-version", SECTION, detail));
    }
    match (version, config.link, from) {
        (Versions::One, Link::Air { own }, Some(from)) => Ok((Binding::V1(from, own), 1)),
        (Versions::One, ..) => {
            let detail = "the form of release 1 is bound to MAC addresses, which TCP does not have";
            Err(Refusal::new(Fault::Peer, "dpp-pkex-version", SECTION, detail))
        }
        _ => {
            let theirs = message::version(attributes)?;
            Ok((Binding::V2(theirs, config.version), theirs))
        }
    }
}

fn reply(config: &Config, binding: &Binding, status: Status) -> AttributeWriter {
    let mut reply = AttributeWriter::new();
    reply.put_u8(AttributeId::Status, status.into());
    if let Binding::V2(_, own) = binding {
        reply.put_u8(AttributeId::ProtocolVersion, *own);
    }
    message::put_identifier(&mut reply, &config.code);
    reply
}

fn response(reply: AttributeWriter) -> Frame {
    Frame::Action(Action { kind: FrameType::PkexExchangeResponse, attributes: reply.into_bytes() })
}

/// The initiator's bootstrapping key, proved.
fn revealed(state: &AwaitReveal, shared: &Shared, frame: &Frame) -> Result<PublicKey, Refusal> {
    let Frame::Action(action) = frame else { return Err(malformed("a GAS frame")) };
    let attributes = action.attributes()?;
    let curve = shared.x.curve();
    let (peer, u) = message::revealed(action.kind, &attributes, &shared.z, curve, AttributeId::InitiatorAuthTag, 0)?;
    let j = state.y.agree(&peer).map_err(malformed)?;
    let expected = keys::tag(&state.binding, Side::Initiator, j.expose(), &peer, state.y.public(), &shared.x);
    if expected.matches(&u) { Ok(peer) } else { Err(message::wrong_tag()) }
}

impl Machine for Responder {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// It fails only if the driver answers what it was not asked.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        self.outbox.now = now;
        let mut misuse = None;
        self.state = match (std::mem::replace(&mut self.state, State::Over), input) {
            (state, Input::Frame { frame, from }) => self.on_frame(state, frame, from),
            (State::Over, _) => State::Over,
            (_, Input::Failed(why)) => self.end(Err(failed(why))),
            (state, Input::Timeout) => self.on_timeout(state),
            (state, Input::Start) => state,
            (State::AwaitAgreed(state), Input::Agreed(l)) => self.reveal(*state, &l),
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

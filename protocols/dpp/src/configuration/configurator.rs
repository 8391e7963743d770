//! The configurator's side of configuration.

use super::{
    message::{self, malformed},
    new_key,
};
use crate::{
    auth::Session,
    backup,
    config::{ConfigObject, ConfigRequest, ConnectionStatus},
    connector::{Connector, SignedConnector},
    curve::{PrivateKey, PublicKey},
    enterprise,
    exchange::{
        ConfiguratorConfig, Context, Done, Event, Facts, Grant, Grants, Input, Issued, KeyRole, Next, Output, Record,
        Ruling, State, silent, unexpected,
    },
    frame::{AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    gas::Gas,
    jwk::Jwk,
    status::Status,
};
use landfall_types::{Fault, Refusal};
use std::time::Duration;

/// How long an enrollee waits before it asks again.
const COME_BACK: Duration = Duration::from_millis(512);

pub(super) fn start(cx: &mut Context, session: Session) -> Next {
    cx.wait(cx.config.timing.configuration);
    Box::new(AwaitConfigRequest { session, last_nonce: Vec::new(), new_key: None })
}

/// Waits for a Configuration Request: the first one, or one more with what was asked for.
struct AwaitConfigRequest {
    session: Session,
    last_nonce: Vec<u8>,
    /// Our half, if the enrollee was asked for a new key.
    new_key: Option<PrivateKey>,
}

impl State for AwaitConfigRequest {
    fn name(&self) -> &'static str {
        "AwaitConfigRequest"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Frame(Frame::Gas(Gas::InitialRequest { token, query })) => match self.open(&query) {
                Ok(asked) => self.asked(cx, token, asked),
                Err(refusal) => self.ignoring(cx, refusal),
            },
            Input::Timeout => cx.refuse(silent("Configuration Request")),
            input => self.otherwise(cx, input),
        }
    }
}

/// A request, opened.
struct Opened {
    nonce: Vec<u8>,
    request: ConfigRequest,
    key: Result<PublicKey, Refusal>,
}

impl AwaitConfigRequest {
    fn open(&self, query: &[u8]) -> Result<Opened, Refusal> {
        let inner = message::open_request(&self.session.ke, query)?;
        let inner = Attributes::parse(inner.expose())?;
        let nonce = message::nonce_of(&inner, self.session.peer.curve.nonce_len())?;
        if nonce == self.last_nonce {
            return Err(malformed("E-nonce was used before"));
        }
        let request = inner.need(AttributeId::ConfigRequestObject)?;
        let request = ConfigRequest::parse(request).map_err(|e| e.refusal("dpp-config-request"))?;
        let key = self.key(&inner, &nonce);
        Ok(Opened { nonce, request, key })
    }

    /// The enrollee's key for the network: the protocol key, or a new one if, and only if, that was asked for.
    fn key(&self, inner: &Attributes<'_>, nonce: &[u8]) -> Result<PublicKey, Refusal> {
        let sent = inner.one(AttributeId::InitiatorProtocolKey)?;
        let Some((ours, sent)) = self.new_key.as_ref().zip(sent) else {
            return match (&self.new_key, sent) {
                (None, None) => Ok(self.session.other.clone()),
                (None, Some(_)) => Err(malformed("a new protocol key was sent that was not asked for")),
                _ => Err(malformed("the new protocol key that was asked for is missing")),
            };
        };
        let key = PublicKey::from_wire(ours.curve(), sent).map_err(malformed)?;
        let tag = inner.need(AttributeId::InitiatorAuthTag)?;
        let proof = new_key::proof(&self.session, ours, &key, nonce, ours.public(), &key).map_err(malformed)?;
        if proof.matches(tag) {
            return Ok(key);
        }
        Err(Refusal::new(Fault::Peer, "dpp-new-key", "DPP s6.4.3.1", "the sender does not prove the new protocol key")
            .field("I-Auth tag"))
    }

    fn asked(self, cx: &mut Context, token: u8, opened: Opened) -> Next {
        let reply = Reply::Now { token };
        let turn = Turn { session: self.session, nonce: opened.nonce, reply, new_key: self.new_key };
        let key = match opened.key {
            Ok(key) => key,
            Err(refusal) => return turn.deny(cx, Status::ConfigureFailure, refusal),
        };
        let csr = opened.request.pkcs10.clone();
        if let Some(csr) = &csr
            && let Err(refusal) = enterprise::check(csr, &key, &turn.session.bk, turn.session.peer.curve)
        {
            return turn.deny(cx, Status::CsrBad, refusal);
        }
        cx.push(Output::Rule(Box::new(Facts {
            peer: turn.session.peer.clone(),
            request: opened.request,
            key: key.clone(),
            csr,
        })));
        cx.wait(cx.config.timing.decision);
        Box::new(AwaitRuling { turn, key })
    }
}

/// A request that is being answered.
struct Turn {
    session: Session,
    nonce: Vec<u8>,
    reply: Reply,
    /// Our half of the enrollee's new key, which it proves with every request from then on.
    new_key: Option<PrivateKey>,
}

/// How the answer gets to the enrollee.
enum Reply {
    /// It waits for the answer to its first request.
    Now { token: u8 },
    /// It was told to come back, and did.
    Back { token: u8 },
    /// It was told to come back later.
    Later { token: u8 },
}

impl Turn {
    /// Tells the enrollee to come back.
    fn later(&mut self, cx: &mut Context) {
        let delay = units(COME_BACK);
        let (token, gas) = match self.reply {
            Reply::Now { token } => {
                (token, Gas::InitialResponse { token, status: 0, comeback: delay, response: Vec::new() })
            }
            Reply::Back { token } => {
                let data = Vec::new();
                (token, Gas::ComebackResponse { token, status: 0, more: false, fragment: 0, delay, data })
            }
            Reply::Later { .. } => return,
        };
        self.reply = Reply::Later { token };
        cx.reply_for_now(Frame::Gas(gas));
        cx.event(Event::ComeBack(COME_BACK));
        cx.wait(cx.config.timing.configuration);
    }

    /// What may happen while an answer is being made.
    fn meanwhile(&mut self, cx: &mut Context, input: Input, state: &'static str) -> Result<(), Refusal> {
        match input {
            Input::Timeout if matches!(self.reply, Reply::Later { .. }) => {
                return Err(silent("request of an enrollee that was told to come back"));
            }
            Input::Timeout => self.later(cx),
            Input::Frame(Frame::Gas(Gas::ComebackRequest { token })) if self.reply.is_later(token) => {
                self.reply = Reply::Back { token };
                cx.wait(cx.config.timing.decision);
            }
            Input::Frame(frame) => cx.ignore(unexpected(&frame)),
            Input::Peer(_) => {}
            input => cx.unasked(state, &input),
        }
        Ok(())
    }

    /// Answers with a status only (DPP s6.4.3).
    fn status(&mut self, cx: &mut Context, status: Status, rest: AttributeWriter) -> Option<Vec<u8>> {
        let mut inner = AttributeWriter::new();
        inner.put(AttributeId::EnrolleeNonce, &self.nonce);
        inner.append(&rest);
        let response = message::response(&self.session.ke, status, inner);
        self.answer(cx, response)
    }

    /// Sends the answer, or gives it back to be kept until the enrollee comes.
    fn answer(&mut self, cx: &mut Context, response: Vec<u8>) -> Option<Vec<u8>> {
        match self.reply {
            Reply::Now { token } => {
                cx.reply(Frame::Gas(Gas::InitialResponse { token, status: 0, comeback: 0, response }));
                None
            }
            Reply::Back { token } => {
                cx.reply(Frame::Gas(last_fragment(token, response)));
                None
            }
            Reply::Later { .. } => Some(response),
        }
    }

    fn deny(mut self, cx: &mut Context, status: Status, refusal: Refusal) -> Next {
        match self.status(cx, status, AttributeWriter::new()) {
            None => cx.refuse(refusal),
            Some(response) => Box::new(AwaitReturn { turn: self, response, then: Then::Refuse(refusal) }),
        }
    }
}

impl Reply {
    fn is_later(&self, of: u8) -> bool {
        matches!(self, Self::Later { token } if *token == of)
    }
}

fn last_fragment(token: u8, data: Vec<u8>) -> Gas {
    Gas::ComebackResponse { token, status: 0, more: false, fragment: 0, delay: 0, data }
}

/// Time units of 1,024 microseconds (IEEE 802.11-2020 s9.4.2.92).
fn units(delay: Duration) -> u16 {
    u16::try_from(delay.as_micros().div_ceil(1024)).unwrap_or(u16::MAX)
}

/// Waits for the decision.
struct AwaitRuling {
    turn: Turn,
    key: PublicKey,
}

impl State for AwaitRuling {
    fn name(&self) -> &'static str {
        "AwaitRuling"
    }

    fn on(mut self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Ruled(Ruling::Provide(grants)) => self.provide(cx, grants),
            Input::Ruled(Ruling::Csr(attributes)) => {
                let mut rest = AttributeWriter::new();
                rest.put(AttributeId::CsrAttributesRequest, enterprise::attributes_text(&attributes).as_bytes());
                self.again(cx, Status::CsrNeeded, rest)
            }
            Input::Ruled(Ruling::NewKey(curve)) => {
                let ours = PrivateKey::generate(curve, &mut *cx.random);
                let mut rest = AttributeWriter::new();
                rest.put(AttributeId::FiniteCyclicGroup, &curve.group().to_le_bytes());
                rest.put(AttributeId::ResponderProtocolKey, &ours.public().to_wire());
                self.turn.new_key = Some(ours);
                self.again(cx, Status::NewKeyNeeded, rest)
            }
            Input::Ruled(Ruling::HandOver) => {
                let session = &self.turn.session;
                cx.push(Output::Seal { password: backup::password(session.peer.curve, &session.bk) });
                Box::new(AwaitSealed { turn: self.turn })
            }
            Input::Ruled(Ruling::Deny(status, refusal)) => self.turn.deny(cx, status, refusal),
            input => match self.turn.meanwhile(cx, input, "AwaitRuling") {
                Ok(()) => self,
                Err(refusal) => cx.refuse(refusal),
            },
        }
    }
}

impl AwaitRuling {
    /// Asks for one more request.
    fn again(mut self, cx: &mut Context, status: Status, rest: AttributeWriter) -> Next {
        let held = self.turn.status(cx, status, rest);
        cx.wait(cx.config.timing.configuration);
        match held {
            None => self.turn.again(),
            Some(response) => Box::new(AwaitReturn { turn: self.turn, response, then: Then::Again }),
        }
    }

    fn provide(self, cx: &mut Context, grants: Grants) -> Next {
        let Some(config) = cx.config.configurator.clone() else {
            return self.turn.deny(cx, Status::ConfigureFailure, no_keys());
        };
        let Grants { mut objects, status } = grants;
        if self.turn.session.peer.version < 2 {
            // Release 1 takes one object (DPP s6.4.3.1).
            objects.truncate(1);
        }
        if objects.is_empty() {
            let refusal = Refusal::new(Fault::Denied, "dpp-nothing", "DPP s6.4.3", "there is nothing for this device");
            return self.turn.deny(cx, Status::ConfigureFailure, refusal);
        }
        objects.reverse();
        Signing { turn: self.turn, key: self.key, config, status, left: objects, made: Vec::new() }.next(cx)
    }
}

impl Turn {
    fn again(self) -> Next {
        Box::new(AwaitConfigRequest { session: self.session, last_nonce: self.nonce, new_key: self.new_key })
    }
}

fn no_keys() -> Refusal {
    Refusal::new(Fault::Misuse, "dpp-configurator", "DPP s6.4", "there is no configurator's key to give")
}

/// Makes the configuration objects one after the other.
struct Signing {
    turn: Turn,
    key: PublicKey,
    config: ConfiguratorConfig,
    status: bool,
    /// Still to be made, last first.
    left: Vec<Grant>,
    made: Vec<ConfigObject>,
}

impl Signing {
    fn next(mut self, cx: &mut Context) -> Next {
        while let Some(grant) = self.left.pop() {
            let Grant { mut object, groups, expiry } = grant;
            if groups.is_empty() {
                self.made.push(object);
                continue;
            }
            let version = (self.turn.session.peer.version >= 3).then_some(self.turn.session.peer.version);
            let connector = Connector { groups, key: self.key.clone(), expiry, version };
            let input = connector.signing_input(&self.config.csign);
            object.credential.csign = Some(Jwk::with_kid(self.config.csign.clone()));
            object.credential.privacy_key = self.config.privacy.clone().map(Jwk::of);
            cx.push(Output::Sign { key: KeyRole::CSign, bytes: input.clone().into_bytes() });
            return Box::new(AwaitSignature { signing: self, object, input });
        }
        let connectors = self.made.iter().filter_map(|object| object.credential.connector.clone()).collect();
        let issued = Issued { peer: self.turn.session.peer.clone(), key: self.key, connectors };
        cx.push(Output::Persist(Box::new(Record::Issued(issued))));
        Box::new(AwaitPersisted { turn: self.turn, status: self.status, given: Given::Objects(self.made) })
    }
}

/// Waits for the signature of a connector.
struct AwaitSignature {
    signing: Signing,
    object: ConfigObject,
    input: String,
}

impl State for AwaitSignature {
    fn name(&self) -> &'static str {
        "AwaitSignature"
    }

    fn on(mut self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Signed(signature) => {
                let Self { mut signing, mut object, input } = *self;
                match SignedConnector::attach(&input, &signature) {
                    Ok(connector) => object.credential.connector = Some(connector.as_str().to_owned()),
                    Err(error) => return cx.refuse(error.refusal()),
                }
                signing.made.push(object);
                signing.next(cx)
            }
            input => match self.signing.turn.meanwhile(cx, input, "AwaitSignature") {
                Ok(()) => self,
                Err(refusal) => cx.refuse(refusal),
            },
        }
    }
}

/// Waits for the envelope with our keys.
struct AwaitSealed {
    turn: Turn,
}

impl State for AwaitSealed {
    fn name(&self) -> &'static str {
        "AwaitSealed"
    }

    fn on(mut self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Sealed(envelope) => {
                cx.push(Output::Persist(Box::new(Record::HandedOver(self.turn.session.peer.clone()))));
                Box::new(AwaitPersisted { turn: self.turn, status: false, given: Given::Envelope(envelope) })
            }
            input => match self.turn.meanwhile(cx, input, "AwaitSealed") {
                Ok(()) => self,
                Err(refusal) => cx.refuse(refusal),
            },
        }
    }
}

/// What an enrollee is given.
enum Given {
    Objects(Vec<ConfigObject>),
    /// The configurator's keys, sealed.
    Envelope(Vec<u8>),
}

/// Waits until it is on record what will be handed out.
struct AwaitPersisted {
    turn: Turn,
    status: bool,
    given: Given,
}

impl State for AwaitPersisted {
    fn name(&self) -> &'static str {
        "AwaitPersisted"
    }

    fn on(mut self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Persisted => {
                let mut rest = AttributeWriter::new();
                match &self.given {
                    Given::Objects(objects) => objects.iter().for_each(|object| {
                        rest.put(AttributeId::ConfigObject, object.to_json().expose().as_bytes());
                    }),
                    Given::Envelope(envelope) => drop(rest.put(AttributeId::EnvelopedData, envelope)),
                }
                if self.status && self.turn.session.peer.version >= 2 {
                    rest.put(AttributeId::SendConnStatus, &[]);
                }
                let held = self.turn.status(cx, Status::Ok, rest);
                let Self { turn, status, .. } = *self;
                match held {
                    None => turn.given(cx, status),
                    Some(response) => Box::new(AwaitReturn { turn, response, then: Then::Result { status } }),
                }
            }
            input => match self.turn.meanwhile(cx, input, "AwaitPersisted") {
                Ok(()) => self,
                Err(refusal) => cx.refuse(refusal),
            },
        }
    }
}

impl Turn {
    /// What comes after the answer was given.
    fn given(self, cx: &mut Context, status: bool) -> Next {
        if self.session.peer.version < 2 {
            return cx.done(Done { peer: self.session.peer, result: None, connection: None });
        }
        cx.wait(cx.config.timing.result);
        Box::new(AwaitResult { session: self.session, nonce: self.nonce, status })
    }
}

/// Waits for an enrollee that was told to come back; the answer is ready.
struct AwaitReturn {
    turn: Turn,
    response: Vec<u8>,
    then: Then,
}

/// What comes after an answer.
enum Then {
    Refuse(Refusal),
    Again,
    Result { status: bool },
}

impl State for AwaitReturn {
    fn name(&self) -> &'static str {
        "AwaitReturn"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Frame(Frame::Gas(Gas::ComebackRequest { token })) if self.turn.reply.is_later(token) => {
                let Self { turn, response, then } = *self;
                cx.reply(Frame::Gas(last_fragment(token, response)));
                match then {
                    Then::Refuse(refusal) => cx.refuse(refusal),
                    Then::Again => turn.again(),
                    Then::Result { status } => turn.given(cx, status),
                }
            }
            Input::Timeout => cx.refuse(silent("request of an enrollee that was told to come back")),
            input => self.otherwise(cx, input),
        }
    }
}

/// Waits for the Configuration Result.
struct AwaitResult {
    session: Session,
    nonce: Vec<u8>,
    status: bool,
}

impl State for AwaitResult {
    fn name(&self) -> &'static str {
        "AwaitResult"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Frame(Frame::Action(action)) if action.kind == FrameType::ConfigurationResult => {
                let opened = message::open_result(&self.session.ke, &action, &self.nonce);
                let status = opened.and_then(|inner| Ok(Attributes::parse(inner.expose())?.status()?));
                match status {
                    Ok(Status::Ok) if self.status => {
                        cx.answered();
                        cx.wait(cx.config.timing.connection);
                        Box::new(AwaitConnectionStatus { session: self.session, nonce: self.nonce })
                    }
                    Ok(Status::Ok) => {
                        cx.done(Done { peer: self.session.peer, result: Some(Status::Ok), connection: None })
                    }
                    Ok(status) => {
                        let detail = format!("the device does not take its configuration: {status}");
                        cx.refuse(Refusal::new(Fault::Peer, "dpp-result", "DPP s6.4.4", detail).field("Status"))
                    }
                    Err(refusal) => self.ignoring(cx, refusal),
                }
            }
            Input::Timeout => cx.refuse(silent("Configuration Result")),
            input => self.otherwise(cx, input),
        }
    }
}

/// Waits to hear how joining went.
struct AwaitConnectionStatus {
    session: Session,
    nonce: Vec<u8>,
}

impl State for AwaitConnectionStatus {
    fn name(&self) -> &'static str {
        "AwaitConnectionStatus"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        let done = |connection| Done { peer: self.session.peer.clone(), result: Some(Status::Ok), connection };
        match input {
            Input::Frame(Frame::Action(action)) if action.kind == FrameType::ConnectionStatusResult => {
                let opened = message::open_result(&self.session.ke, &action, &self.nonce);
                let status = opened.and_then(|inner| {
                    let inner = Attributes::parse(inner.expose())?;
                    let json = inner.need(AttributeId::ConnStatus)?;
                    ConnectionStatus::parse(json).map_err(|e| e.refusal("dpp-connection-status"))
                });
                match status {
                    Ok(status) => cx.done(done(Some(status))),
                    Err(refusal) => self.ignoring(cx, refusal),
                }
            }
            // It has its configuration; how it fares is not known.
            Input::Timeout => cx.done(done(None)),
            input => self.otherwise(cx, input),
        }
    }
}

//! The enrollee's side of configuration.

use super::{
    message::{self, malformed},
    new_key,
};
use crate::{
    auth::Session,
    backup,
    config::{ConfigObject, ConfigRequest, ConnectionStatus},
    connector::SignedConnector,
    curve::{Curve, PrivateKey, PublicKey},
    enterprise,
    exchange::{Context, Done, EnrolleeConfig, Event, Input, Next, Output, Received, Record, State, TakenOver, silent},
    frame::{AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    gas::{Gas, Reassembly},
    net_role::NetRole,
    status::Status,
};
use landfall_types::{Fault, Refusal};
use std::{sync::Arc, time::Duration};

/// More objects than this are not read.
const OBJECTS: usize = 10;

pub(super) fn start(cx: &mut Context, session: Session) -> Next {
    let Some(config) = cx.config.enrollee.clone() else {
        return cx.refuse(Refusal::new(Fault::Misuse, "dpp-enrollee", "DPP s6.4", "there is nothing to ask for"));
    };
    Asking { session, config, key: None, token: 0, asked: Asked::default() }.ask(cx)
}

/// An enrollee and what it has been asked for.
struct Asking {
    session: Session,
    config: EnrolleeConfig,
    /// The new key, if one was asked for.
    key: Option<Arc<PrivateKey>>,
    token: u8,
    asked: Asked,
}

/// What the configurator wanted before it decides; each once.
#[derive(Default)]
struct Asked {
    csr: Option<Vec<u8>>,
    /// The configurator's half of the proof of a new key.
    new_key: Option<PublicKey>,
}

impl Asking {
    /// Sends a Configuration Request (DPP s6.4.2), each with a nonce of its own.
    fn ask(mut self, cx: &mut Context) -> Next {
        let mut nonce = vec![0; self.session.peer.curve.nonce_len()];
        cx.random.fill(&mut nonce);
        match self.request(&nonce) {
            Ok(query) => {
                self.token = self.token.wrapping_add(1);
                cx.ask(Frame::Gas(Gas::InitialRequest { token: self.token, query }), cx.config.timing.configuration);
                Box::new(AwaitConfigResponse { asking: self, nonce, data: None })
            }
            Err(refusal) => cx.refuse(refusal),
        }
    }

    fn request(&self, nonce: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut inner = AttributeWriter::new();
        inner.put(AttributeId::EnrolleeNonce, nonce);
        if let Some((key, theirs)) = self.key.as_ref().zip(self.asked.new_key.as_ref()) {
            let proof = new_key::proof(&self.session, key, theirs, nonce, theirs, key.public()).map_err(malformed)?;
            inner.put(AttributeId::InitiatorProtocolKey, &key.public().to_wire());
            inner.put(AttributeId::InitiatorAuthTag, proof.expose());
        }
        let mut request: ConfigRequest = self.config.request.clone();
        if let Some(attributes) = &self.asked.csr {
            let name = request.name.clone();
            let session = &self.session;
            let csr = enterprise::request(&name, self.key(), &session.bk, session.peer.curve, attributes)?;
            request.pkcs10 = Some(csr);
        }
        inner.put(AttributeId::ConfigRequestObject, request.to_json().as_bytes());
        Ok(message::request(&self.session.ke, inner))
    }

    /// The key for the network.
    fn key(&self) -> &Arc<PrivateKey> {
        self.key.as_ref().unwrap_or(&self.session.own)
    }
}

/// Waits for a Configuration Response.
struct AwaitConfigResponse {
    asking: Asking,
    nonce: Vec<u8>,
    /// What came of the response so far, once the configurator has told us to come back.
    data: Option<Reassembly>,
}

impl State for AwaitConfigResponse {
    fn name(&self) -> &'static str {
        "AwaitConfigResponse"
    }

    fn on(mut self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Frame(Frame::Gas(gas)) => match self.gas(cx, gas) {
                Ok(Some(response)) => match self.open(&response) {
                    Ok(answer) => {
                        cx.answered();
                        self.answer(cx, answer)
                    }
                    // Over a connection that loses nothing, no other answer to this request comes: whoever altered this
                    // one stands between the two, and the configurator need not wait for us.
                    Err(refusal) if cx.config.timing.retries == 0 => {
                        send_result(cx, &self.asking.session, &self.nonce, Status::ConfigRejected);
                        cx.refuse(refusal)
                    }
                    Err(refusal) => self.ignoring(cx, refusal),
                },
                Ok(None) => self,
                Err(refusal) => self.ignoring(cx, refusal),
            },
            Input::Timeout if self.data.is_some() => {
                let frame = Frame::Gas(Gas::ComebackRequest { token: self.asking.token });
                cx.ask(frame, cx.config.timing.configuration);
                self
            }
            Input::Timeout => cx.refuse(silent("Configuration Response")),
            input => self.otherwise(cx, input),
        }
    }
}

/// What a configurator says.
enum Answer {
    /// These, and whether to tell how joining goes.
    Objects { objects: Vec<ConfigObject>, status: bool },
    /// Its keys.
    Keys(Vec<backup::Configurator>),
    /// Another request, with a certificate request that has these attributes.
    Csr(Vec<u8>),
    /// Another request, with a new key on that curve.
    NewKey(Curve, PublicKey),
    /// Nothing.
    Denied(Status),
}

impl AwaitConfigResponse {
    /// The response, when all of it is there.
    fn gas(&mut self, cx: &mut Context, gas: Gas) -> Result<Option<Vec<u8>>, Refusal> {
        let token = self.asking.token;
        match gas {
            Gas::InitialResponse { token: of, status, comeback, response } if of == token && self.data.is_none() => {
                refuse_status(status)?;
                if comeback == 0 {
                    return Ok(Some(response));
                }
                self.data = Some(Reassembly::new());
                self.come_back(cx, comeback);
                Ok(None)
            }
            Gas::ComebackResponse { token: of, status, more, fragment, delay, data } if of == token => {
                refuse_status(status)?;
                let Some(sofar) = self.data.as_mut() else { return Err(malformed("nobody asked to come back")) };
                if delay != 0 {
                    self.come_back(cx, delay);
                    return Ok(None);
                }
                match sofar.push(fragment, more, &data).map_err(malformed)? {
                    Some(response) => Ok(Some(response)),
                    None => {
                        cx.answered();
                        cx.ask(Frame::Gas(Gas::ComebackRequest { token }), cx.config.timing.configuration);
                        Ok(None)
                    }
                }
            }
            _ => Err(malformed("it does not answer our request")),
        }
    }

    fn come_back(&self, cx: &mut Context, delay: u16) {
        let delay = Duration::from_micros(u64::from(delay) * 1024);
        cx.event(Event::ComeBack(delay));
        cx.answered();
        cx.wait(delay);
    }

    fn open(&self, response: &[u8]) -> Result<Answer, Refusal> {
        let (status, inner) = message::open_response(&self.asking.session.ke, response)?;
        let inner = Attributes::parse(inner.expose())?;
        message::check_nonce(&inner, &self.nonce)?;
        match status {
            Status::Ok if self.asking.config.request.net_role == NetRole::Configurator => {
                let session = &self.asking.session;
                let password = backup::password(session.peer.curve, &session.bk);
                Ok(Answer::Keys(backup::open(inner.need(AttributeId::EnvelopedData)?, &password)?))
            }
            Status::Ok => {
                let objects = inner.all(AttributeId::ConfigObject).take(OBJECTS).map(ConfigObject::parse);
                let objects = objects.collect::<Result<Vec<_>, _>>().map_err(|e| e.refusal("dpp-config-object"))?;
                let status = inner.one(AttributeId::SendConnStatus)?.is_some();
                Ok(Answer::Objects { objects, status })
            }
            Status::CsrNeeded => {
                let text = inner.need(AttributeId::CsrAttributesRequest)?;
                Ok(Answer::Csr(enterprise::attributes_of_text(text)?))
            }
            Status::NewKeyNeeded => {
                let group = inner.need_u16(AttributeId::FiniteCyclicGroup)?;
                let curve = Curve::of_group(group).ok_or_else(|| malformed(format!("no curve has group {group}")))?;
                let key = inner.need(AttributeId::ResponderProtocolKey)?;
                Ok(Answer::NewKey(curve, PublicKey::from_wire(curve, key).map_err(malformed)?))
            }
            status => Ok(Answer::Denied(status)),
        }
    }

    fn answer(self, cx: &mut Context, answer: Answer) -> Next {
        let Self { mut asking, nonce, .. } = self;
        match answer {
            Answer::Objects { objects, status } => match check(&asking, &objects, cx) {
                Ok(()) => {
                    cx.push(Output::Persist(Box::new(Record::Received(Received {
                        peer: asking.session.peer.clone(),
                        objects,
                        key: Arc::clone(asking.key()),
                    }))));
                    Box::new(AwaitPersisted { session: asking.session, nonce, status })
                }
                Err(refusal) => {
                    // DPP s6.4.4: say that it is not taken.
                    send_result(cx, &asking.session, &nonce, Status::ConfigRejected);
                    cx.refuse(refusal)
                }
            },
            Answer::Keys(configurators) => {
                let peer = asking.session.peer.clone();
                cx.push(Output::Persist(Box::new(Record::TakenOver(TakenOver { peer, configurators }))));
                Box::new(AwaitPersisted { session: asking.session, nonce, status: false })
            }
            Answer::Csr(attributes) if asking.config.certificates && asking.asked.csr.is_none() => {
                asking.asked.csr = Some(attributes);
                asking.ask(cx)
            }
            Answer::NewKey(curve, theirs) if asking.key.is_none() => {
                asking.key = Some(Arc::new(PrivateKey::generate(curve, &mut *cx.random)));
                asking.asked.new_key = Some(theirs);
                asking.ask(cx)
            }
            Answer::Csr(_) => cx.refuse(again("a certificate request")),
            Answer::NewKey(..) => cx.refuse(again("a new key")),
            Answer::Denied(status) => {
                let detail = format!("the configurator gives nothing: {status}");
                cx.refuse(Refusal::new(Fault::Denied, "dpp-denied", "DPP s6.4.3", detail).field("Status"))
            }
        }
    }
}

fn again(what: &str) -> Refusal {
    let detail = format!("the configurator asks for {what}, which this device does not make, or has made");
    Refusal::new(Fault::Peer, "dpp-asked-again", "DPP s6.4.3", detail)
}

fn refuse_status(status: u16) -> Result<(), Refusal> {
    match status {
        0 => Ok(()),
        other => Err(malformed(format!("GAS status {other}"))),
    }
}

/// Takes an answer only if its connectors are for our key and signed by the key that comes with them (DPP s6.4.3.2).
fn check(asking: &Asking, objects: &[ConfigObject], cx: &Context) -> Result<(), Refusal> {
    if objects.is_empty() {
        return Err(malformed("a Configuration Response without a Configuration Object"));
    }
    for credential in objects.iter().map(|object| &object.credential) {
        let Some(connector) = &credential.connector else { continue };
        let csign = credential.csign.as_ref().ok_or_else(|| malformed("a connector without csign"))?;
        SignedConnector::parse(connector)?.verify(&csign.key, cx.now)?.is_about(asking.key().public())?;
    }
    Ok(())
}

/// Sends the Configuration Result (DPP s6.4.4), which release 1 does not know.
fn send_result(cx: &mut Context, session: &Session, nonce: &[u8], status: Status) {
    if session.peer.version >= 2 {
        let mut inner = AttributeWriter::new();
        inner.put(AttributeId::Status, &[status.into()]);
        inner.put(AttributeId::EnrolleeNonce, nonce);
        cx.send(message::result(&session.ke, FrameType::ConfigurationResult, inner));
    }
}

/// Waits until the configuration is durable; only then is it said to be taken.
struct AwaitPersisted {
    session: Session,
    nonce: Vec<u8>,
    status: bool,
}

impl State for AwaitPersisted {
    fn name(&self) -> &'static str {
        "AwaitPersisted"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Persisted => {
                send_result(cx, &self.session, &self.nonce, Status::Ok);
                let result = (self.session.peer.version >= 2).then_some(Status::Ok);
                if !self.status || result.is_none() {
                    return cx.done(Done { peer: self.session.peer, result, connection: None });
                }
                cx.push(Output::Join);
                cx.wait(cx.config.timing.connection);
                Box::new(AwaitJoined { session: self.session, nonce: self.nonce })
            }
            input => self.otherwise(cx, input),
        }
    }
}

/// Waits to hear how joining went, to tell the configurator (DPP s6.4.5).
struct AwaitJoined {
    session: Session,
    nonce: Vec<u8>,
}

impl State for AwaitJoined {
    fn name(&self) -> &'static str {
        "AwaitJoined"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        let connection: Option<ConnectionStatus> = match input {
            Input::Joined(status) => {
                let mut inner = AttributeWriter::new();
                inner.put(AttributeId::EnrolleeNonce, &self.nonce);
                inner.put(AttributeId::ConnStatus, status.to_json().as_bytes());
                cx.send(message::result(&self.session.ke, FrameType::ConnectionStatusResult, inner));
                Some(status)
            }
            Input::Timeout => None,
            input => return self.otherwise(cx, input),
        };
        cx.done(Done { peer: self.session.peer, result: Some(Status::Ok), connection })
    }
}

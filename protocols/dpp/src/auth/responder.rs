//! The responder's side of authentication.

use super::{
    Session,
    keys::{self, Transcript},
    message::{self, malformed},
};
use crate::{
    capabilities::{Capabilities, Role},
    configuration,
    crypto::{Secret, siv},
    curve::{PrivateKey, PublicKey},
    exchange::{
        Agreement, Authenticated, Context, Event, Input, KeyRole, Mutual, Next, Output, PeerKey, State, silent,
    },
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    status::Status,
};
use landfall_types::{Fingerprint, Redacted, Refusal};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A responder that waits for a request.
pub(crate) fn start() -> Next {
    Box::new(AwaitRequest)
}

/// The same, after a request of which nothing came.
fn again(cx: &mut Context) -> Next {
    cx.rest();
    start()
}

struct AwaitRequest;

impl State for AwaitRequest {
    fn name(&self) -> &'static str {
        "AwaitRequest"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Start => self,
            Input::Frame(Frame::Action(Action { kind: FrameType::AuthenticationRequest, attributes })) => {
                match Request::parse(cx, attributes) {
                    Ok(request) => {
                        let point = request.protocol.clone();
                        cx.push(Output::Agree(Agreement { key: KeyRole::Bootstrap, point, addend: None }));
                        cx.wait(cx.config.timing.person);
                        Box::new(AwaitFirst { request })
                    }
                    Err(refusal) => self.ignoring(cx, refusal),
                }
            }
            input => self.otherwise(cx, input),
        }
    }
}

/// An Authentication Request, not opened yet.
struct Request {
    attributes: Vec<u8>,
    initiator: Option<Fingerprint>,
    protocol: PublicKey,
    version: u8,
}

impl Request {
    fn parse(cx: &Context, attributes: Vec<u8>) -> Result<Self, Refusal> {
        let outer = Attributes::parse(&attributes)?;
        // DPP s6.3.3: a request for another key is not answered.
        let own = cx.config.bootstrap.bootstrap_hash();
        message::check_hash(&outer, AttributeId::ResponderBootstrapHash, &own)?;
        let initiator = message::hash(&outer, AttributeId::InitiatorBootstrapHash)?;
        let protocol = outer.need(AttributeId::InitiatorProtocolKey)?;
        let protocol = PublicKey::from_wire(cx.config.bootstrap.curve(), protocol).map_err(malformed)?;
        let version = message::version(&outer)?;
        outer.wrapped()?;
        Ok(Self { initiator, protocol, version, attributes })
    }
}

/// Waits for M = bR·PI.
struct AwaitFirst {
    request: Request,
}

impl State for AwaitFirst {
    fn name(&self) -> &'static str {
        "AwaitFirst"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Agreed(m) => match Opened::new(cx, self.request, m) {
                Ok(opened) => opened.judge(cx),
                Err(refusal) => {
                    cx.ignore(refusal);
                    again(cx)
                }
            },
            Input::Timeout => cx.refuse(silent("answer to a request")),
            input => self.otherwise(cx, input),
        }
    }
}

/// A request whose sealed part was opened: its sender has our bootstrapping information.
struct Opened {
    request: Request,
    nonce: Vec<u8>,
    capabilities: Capabilities,
    m: Redacted<Vec<u8>>,
    k1: Secret,
}

impl Opened {
    fn new(cx: &Context, request: Request, m: Redacted<Vec<u8>>) -> Result<Self, Refusal> {
        let curve = cx.config.bootstrap.curve();
        let k1 = keys::first(curve, m.expose());
        let outer = Attributes::parse(&request.attributes)?;
        let inner = message::opened(FrameType::AuthenticationRequest, &outer, &k1)?;
        let inner = Attributes::parse(inner.expose())?;
        let nonce = message::nonce(&inner, AttributeId::InitiatorNonce, curve.nonce_len())?;
        let capabilities = message::capabilities(&inner, AttributeId::InitiatorCapabilities)?;
        Ok(Self { request, nonce, capabilities, m, k1 })
    }

    /// Finds a role, and who asks.
    fn judge(self, cx: &mut Context) -> Next {
        let Some(role) = message::complement(cx.config.capabilities, self.capabilities) else {
            let frame = self.status(cx, Status::NotCompatible, cx.config.capabilities);
            cx.reply(frame);
            cx.event(Event::Dropped(message::incompatible()));
            return again(cx);
        };
        match (cx.config.mutual, self.request.initiator) {
            (Mutual::Never, _) | (Mutual::IfKnown, None) => self.go_on(cx, role, None),
            (Mutual::Required, None) => {
                // Nothing is said to a stranger (DPP s6.3.3).
                cx.ignore(message::one_way());
                again(cx)
            }
            (_, Some(hash)) => {
                cx.push(Output::FindPeer { hash });
                Box::new(AwaitPeer { opened: self, role, hash, said: false })
            }
        }
    }

    /// A response that only says a status (DPP s6.3.3).
    fn status(&self, cx: &Context, status: Status, capabilities: Capabilities) -> Frame {
        let mut outer = AttributeWriter::new();
        outer.put(AttributeId::Status, &[status.into()]);
        outer.put(AttributeId::ResponderBootstrapHash, &cx.config.bootstrap.bootstrap_hash().0);
        if let Some(initiator) = self.request.initiator.filter(|_| status == Status::ResponsePending) {
            outer.put(AttributeId::InitiatorBootstrapHash, &initiator.0);
        }
        self.put_version(cx, &mut outer);
        let mut inner = AttributeWriter::new();
        inner.put(AttributeId::InitiatorNonce, &self.nonce);
        inner.put(AttributeId::ResponderCapabilities, &[capabilities.into()]);
        message::sealed(FrameType::AuthenticationResponse, outer, &self.k1, inner)
    }

    /// Release 1 knows no version and is not told one (DPP s8.1.1.17).
    fn put_version(&self, cx: &Context, outer: &mut AttributeWriter) {
        if cx.config.version >= 2 && self.request.version >= 2 {
            outer.put(AttributeId::ProtocolVersion, &[cx.config.version]);
        }
    }

    /// Makes our half of the keys, and asks for the mutual secret if the initiator is known.
    fn go_on(self, cx: &mut Context, role: Role, initiator: Option<PublicKey>) -> Next {
        let curve = cx.config.bootstrap.curve();
        let mut nonce = vec![0; curve.nonce_len()];
        cx.random.fill(&mut nonce);
        let protocol = Arc::new(PrivateKey::generate(curve, &mut *cx.random));
        let n = match protocol.agree(&self.request.protocol) {
            Ok(n) => n,
            Err(error) => return cx.refuse(malformed(error)),
        };
        let transcript = Transcript {
            i_nonce: self.nonce.clone(),
            r_nonce: nonce,
            i_protocol: self.request.protocol.clone(),
            r_protocol: protocol.public().clone(),
            i_bootstrap: initiator.clone(),
            r_bootstrap: cx.config.bootstrap.clone(),
        };
        let waiting = Box::new(AwaitMutual { opened: self, role, protocol, n, transcript });
        match initiator {
            None => waiting.respond(cx, None),
            Some(point) => {
                // L = (bR + pR)·BI, DPP s6.3.3.
                let addend = Some(Arc::clone(&waiting.protocol));
                cx.push(Output::Agree(Agreement { key: KeyRole::Bootstrap, point, addend }));
                waiting
            }
        }
    }
}

/// Waits to hear whose key it is that the request names.
struct AwaitPeer {
    opened: Opened,
    role: Role,
    hash: Fingerprint,
    /// Whether the initiator was told that a person is asked.
    said: bool,
}

impl State for AwaitPeer {
    fn name(&self) -> &'static str {
        "AwaitPeer"
    }

    fn on(mut self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Peer(PeerKey::Known(key)) => {
                if key.bootstrap_hash() != self.hash || key.curve() != cx.config.bootstrap.curve() {
                    cx.event(Event::Dropped(another_key()));
                    return self;
                }
                self.opened.go_on(cx, self.role, Some(key))
            }
            Input::Peer(PeerKey::Unknown) if cx.config.mutual == Mutual::Required => {
                cx.ignore(message::one_way());
                again(cx)
            }
            Input::Peer(PeerKey::Unknown) => self.opened.go_on(cx, self.role, None),
            Input::Peer(PeerKey::Awaited) if !self.said => {
                let frame = self.opened.status(cx, Status::ResponsePending, Capabilities::from(self.role));
                cx.reply(frame);
                cx.wait(cx.config.timing.person);
                self.said = true;
                self
            }
            Input::Peer(PeerKey::Awaited) => self,
            Input::Timeout => cx.refuse(silent("scan of the other side's code")),
            input => self.otherwise(cx, input),
        }
    }
}

/// Waits for L = (bR + pR)·BI.
struct AwaitMutual {
    opened: Opened,
    role: Role,
    protocol: Arc<PrivateKey>,
    n: Redacted<Vec<u8>>,
    transcript: Transcript,
}

impl State for AwaitMutual {
    fn name(&self) -> &'static str {
        "AwaitMutual"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Agreed(l) => self.respond(cx, Some(l)),
            input => self.otherwise(cx, input),
        }
    }
}

impl AwaitMutual {
    /// Sends the Authentication Response with our proof (DPP s6.3.3).
    fn respond(self: Box<Self>, cx: &mut Context, l: Option<Redacted<Vec<u8>>>) -> Next {
        let Self { opened, role, protocol, n, transcript } = *self;
        let l = l.as_ref().map(|l| l.expose().as_slice());
        let (bk, ke) = transcript.keys(opened.m.expose(), n.expose(), l);
        let k2 = keys::second(protocol.curve(), n.expose());

        let mut outer = AttributeWriter::new();
        outer.put(AttributeId::Status, &[Status::Ok.into()]);
        outer.put(AttributeId::ResponderBootstrapHash, &cx.config.bootstrap.bootstrap_hash().0);
        if let Some(initiator) = &transcript.i_bootstrap {
            outer.put(AttributeId::InitiatorBootstrapHash, &initiator.bootstrap_hash().0);
        }
        outer.put(AttributeId::ResponderProtocolKey, &protocol.public().to_wire());
        opened.put_version(cx, &mut outer);
        let mut proof = AttributeWriter::new();
        proof.put(AttributeId::ResponderAuthTag, &transcript.r_auth());
        let mut inner = AttributeWriter::new();
        inner.put(AttributeId::ResponderNonce, &transcript.r_nonce);
        inner.put(AttributeId::InitiatorNonce, &transcript.i_nonce);
        inner.put(AttributeId::ResponderCapabilities, &[Capabilities::from(role).into()]);
        inner.put(AttributeId::WrappedData, &siv::seal(&ke, &[], proof.bytes()));
        let frame = message::sealed(FrameType::AuthenticationResponse, outer, &k2, inner);
        cx.reply(frame.clone());
        // Over the air the response is sent again until the confirmation comes.
        cx.repeat(frame, cx.config.timing.response);

        let peer = Authenticated {
            role,
            peer: opened.request.initiator,
            peer_proved: transcript.i_bootstrap.is_some(),
            we_proved: true,
            version: cx.config.version.min(opened.request.version),
            curve: protocol.curve(),
        };
        let session = Session { peer, own: protocol, other: opened.request.protocol, bk, ke };
        Box::new(AwaitConfirm { session, k2, transcript })
    }
}

/// Waits for the Authentication Confirm.
struct AwaitConfirm {
    session: Session,
    k2: Secret,
    transcript: Transcript,
}

impl State for AwaitConfirm {
    fn name(&self) -> &'static str {
        "AwaitConfirm"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Frame(Frame::Action(Action { kind: FrameType::AuthenticationConfirm, attributes })) => {
                match self.confirmed(cx, &attributes) {
                    Ok(Status::Ok) => {
                        cx.answered();
                        cx.event(Event::Authenticated(self.session.peer.clone()));
                        configuration::start(cx, self.session)
                    }
                    Ok(Status::NotCompatible) => cx.refuse(message::incompatible()),
                    Ok(_) => cx.refuse(message::unproved("responder, the initiator says,")),
                    Err(refusal) => self.ignoring(cx, refusal),
                }
            }
            Input::Timeout => cx.refuse(silent("Authentication Confirm")),
            input => self.otherwise(cx, input),
        }
    }
}

impl AwaitConfirm {
    fn confirmed(&self, cx: &Context, attributes: &[u8]) -> Result<Status, Refusal> {
        let outer = Attributes::parse(attributes)?;
        let status = outer.status()?;
        message::check_hash(&outer, AttributeId::ResponderBootstrapHash, &cx.config.bootstrap.bootstrap_hash())?;
        let expected = self.transcript.i_bootstrap.as_ref().map(PublicKey::bootstrap_hash);
        if message::hash(&outer, AttributeId::InitiatorBootstrapHash)? != expected {
            return Err(another_key());
        }
        match status {
            Status::Ok => {
                let inner = message::opened(FrameType::AuthenticationConfirm, &outer, &self.session.ke)?;
                let inner = Attributes::parse(inner.expose())?;
                let tag = inner.need(AttributeId::InitiatorAuthTag)?;
                if bool::from(tag.ct_eq(&self.transcript.i_auth())) {
                    return Ok(status);
                }
                Err(message::unproved("initiator"))
            }
            Status::NotCompatible | Status::AuthFailure => {
                let inner = message::opened(FrameType::AuthenticationConfirm, &outer, &self.k2)?;
                let inner = Attributes::parse(inner.expose())?;
                let nonce = inner.need(AttributeId::ResponderNonce)?;
                if bool::from(nonce.ct_eq(&self.transcript.r_nonce)) {
                    return Ok(status);
                }
                Err(malformed("the confirmation is of another exchange"))
            }
            other => Err(malformed(format!("an Authentication Confirm cannot have the status {other}"))),
        }
    }
}

fn another_key() -> Refusal {
    let detail = "the frame names another initiator's key than the request did";
    Refusal::new(landfall_types::Fault::Peer, "dpp-bootstrap-hash", "DPP s6.3.3", detail).field("I-BK hash")
}

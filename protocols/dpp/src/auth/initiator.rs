//! The initiator's side of authentication.

use super::{
    Peer, Session,
    keys::{self, Transcript},
    message::{self, malformed},
};
use crate::{
    capabilities::Role,
    configuration,
    crypto::{Secret, siv},
    curve::{PrivateKey, PublicKey},
    exchange::{Agreement, Authenticated, Context, Event, Input, KeyRole, Mutual, Next, State, silent},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    status::Status,
};
use landfall_types::{Fault, Redacted, Refusal};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// An initiator that waits to be told to begin.
pub(crate) fn start(peer: Peer) -> Next {
    Box::new(AwaitStart { peer })
}

struct AwaitStart {
    peer: Peer,
}

impl State for AwaitStart {
    fn name(&self) -> &'static str {
        "AwaitStart"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        if !matches!(input, Input::Start) {
            cx.unasked(self.name(), &input);
            return self;
        }
        match request(cx, self.peer) {
            Ok(state) => state,
            Err(refusal) => cx.refuse(refusal),
        }
    }
}

/// Sends the Authentication Request (DPP s6.3.2).
fn request(cx: &mut Context, peer: Peer) -> Result<Next, Refusal> {
    let curve = peer.key.curve();
    if cx.config.bootstrap.curve() != curve {
        let detail = format!("the peer's bootstrapping key is on {curve}, ours on {}", cx.config.bootstrap.curve());
        return Err(Refusal::new(Fault::Misuse, "dpp-curve", "DPP s6.3.2", detail));
    }
    let mut nonce = vec![0; curve.nonce_len()];
    cx.random.fill(&mut nonce);
    let protocol = PrivateKey::generate(curve, &mut *cx.random);
    let m = protocol.agree(&peer.key).map_err(malformed)?;
    let k1 = keys::first(curve, m.expose());

    let mut outer = AttributeWriter::new();
    outer.put(AttributeId::ResponderBootstrapHash, &peer.key.bootstrap_hash().0);
    outer.put(AttributeId::InitiatorBootstrapHash, &cx.config.bootstrap.bootstrap_hash().0);
    outer.put(AttributeId::InitiatorProtocolKey, &protocol.public().to_wire());
    if let Some(channel) = cx.config.channel {
        outer.put(AttributeId::Channel, &channel.to_bytes());
    }
    if cx.config.version >= 2 {
        outer.put(AttributeId::ProtocolVersion, &[cx.config.version]);
    }
    let mut inner = AttributeWriter::new();
    inner.put(AttributeId::InitiatorNonce, &nonce);
    inner.put(AttributeId::InitiatorCapabilities, &[cx.config.capabilities.into()]);
    let frame = message::sealed(FrameType::AuthenticationRequest, outer, &k1, inner);
    cx.ask(frame, cx.config.timing.response);
    Ok(Box::new(AwaitResponse { peer: peer.key, protocol, nonce, m, k1 }))
}

/// Waits for the Authentication Response.
struct AwaitResponse {
    peer: PublicKey,
    protocol: PrivateKey,
    nonce: Vec<u8>,
    m: Redacted<Vec<u8>>,
    k1: Secret,
}

impl State for AwaitResponse {
    fn name(&self) -> &'static str {
        "AwaitResponse"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Frame(Frame::Action(Action { kind: FrameType::AuthenticationResponse, attributes })) => {
                match self.response(cx, &attributes) {
                    Ok(Response::Pending) => {
                        cx.event(Event::PeerPending);
                        cx.answered();
                        cx.wait(cx.config.timing.person);
                        self
                    }
                    Ok(Response::Incompatible) => cx.refuse(message::incompatible()),
                    Ok(Response::Complete(response)) => self.complete(cx, *response),
                    Err(refusal) => self.ignoring(cx, refusal),
                }
            }
            Input::Timeout => cx.refuse(silent("Authentication Response")),
            input => self.otherwise(cx, input),
        }
    }
}

/// What a responder says (DPP s6.3.3).
enum Response {
    /// Its user has to scan our code first.
    Pending,
    /// Its role does not fit ours.
    Incompatible,
    /// It goes on.
    Complete(Box<Complete>),
}

struct Complete {
    mutual: bool,
    version: u8,
    role: Option<Role>,
    protocol: PublicKey,
    nonce: Vec<u8>,
    /// {R-auth}ke, not opened yet.
    proof: Vec<u8>,
    n: Redacted<Vec<u8>>,
    k2: Secret,
}

impl AwaitResponse {
    fn response(&self, cx: &Context, attributes: &[u8]) -> Result<Response, Refusal> {
        let outer = Attributes::parse(attributes)?;
        let status = outer.status()?;
        message::check_hash(&outer, AttributeId::ResponderBootstrapHash, &self.peer.bootstrap_hash())?;
        let mutual = message::hash(&outer, AttributeId::InitiatorBootstrapHash)?;
        if mutual.is_some_and(|hash| hash != cx.config.bootstrap.bootstrap_hash()) {
            message::check_hash(&outer, AttributeId::InitiatorBootstrapHash, &cx.config.bootstrap.bootstrap_hash())?;
        }
        let version = message::version(&outer)?;
        match status {
            Status::Ok => self.complete_response(cx, &outer, mutual.is_some(), version),
            Status::NotCompatible | Status::ResponsePending => {
                let inner = message::opened(FrameType::AuthenticationResponse, &outer, &self.k1)?;
                let inner = Attributes::parse(inner.expose())?;
                self.check_nonce(&inner)?;
                message::capabilities(&inner, AttributeId::ResponderCapabilities)?;
                Ok(if status == Status::ResponsePending { Response::Pending } else { Response::Incompatible })
            }
            other => Err(malformed(format!("an Authentication Response cannot have the status {other}"))),
        }
    }

    fn complete_response(
        &self,
        cx: &Context,
        outer: &Attributes<'_>,
        mutual: bool,
        version: u8,
    ) -> Result<Response, Refusal> {
        let curve = self.peer.curve();
        let protocol = outer.need(AttributeId::ResponderProtocolKey)?;
        let protocol = PublicKey::from_wire(curve, protocol).map_err(malformed)?;
        let n = self.protocol.agree(&protocol).map_err(malformed)?;
        let k2 = keys::second(curve, n.expose());
        let inner = message::opened(FrameType::AuthenticationResponse, outer, &k2)?;
        let inner = Attributes::parse(inner.expose())?;
        let nonce = message::nonce(&inner, AttributeId::ResponderNonce, curve.nonce_len())?;
        self.check_nonce(&inner)?;
        let theirs = message::capabilities(&inner, AttributeId::ResponderCapabilities)?;
        let proof = inner.wrapped()?.to_vec();
        // DPP s6.3.1.5: a responder is exactly one of the two.
        let role = theirs.single().map(Role::other).filter(|role| cx.config.capabilities.contains(*role));
        Ok(Response::Complete(Box::new(Complete { mutual, version, role, protocol, nonce, proof, n, k2 })))
    }

    /// The response must be to this request.
    fn check_nonce(&self, inner: &Attributes<'_>) -> Result<(), Refusal> {
        let nonce = inner.need(AttributeId::InitiatorNonce)?;
        if bool::from(nonce.ct_eq(&self.nonce)) {
            return Ok(());
        }
        Err(Refusal::new(Fault::Peer, "dpp-nonce", "DPP s6.3.3", "the answer is to another request").field("I-nonce"))
    }

    /// Judges a response that goes on, and asks for the mutual secret if there is one.
    fn complete(self, cx: &mut Context, response: Complete) -> Next {
        let refused = match response.role {
            None => Some((Status::NotCompatible, message::incompatible())),
            Some(_) if !response.mutual && cx.config.mutual == Mutual::Required => {
                Some((Status::AuthFailure, message::one_way()))
            }
            Some(_) => None,
        };
        if let Some((status, refusal)) = refused {
            let mut inner = AttributeWriter::new();
            inner.put(AttributeId::ResponderNonce, &response.nonce);
            cx.answered();
            cx.send(confirm(cx, &self.peer, response.mutual, status, &response.k2, inner));
            return cx.refuse(refusal);
        }
        cx.answered();
        let sum = response.mutual.then(|| self.peer.plus(&response.protocol));
        let waiting = Box::new(AwaitMutual { earlier: self, response });
        match sum {
            None => waiting.finish(cx, None),
            Some(Ok(point)) => {
                // L = bI·(BR + PR), DPP s6.3.4.
                cx.push(crate::exchange::Output::Agree(Agreement { key: KeyRole::Bootstrap, point, addend: None }));
                waiting
            }
            Some(Err(error)) => cx.refuse(malformed(error)),
        }
    }
}

/// Waits for what our bootstrapping key makes of the responder's keys.
struct AwaitMutual {
    earlier: AwaitResponse,
    response: Complete,
}

impl State for AwaitMutual {
    fn name(&self) -> &'static str {
        "AwaitMutual"
    }

    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next {
        match input {
            Input::Agreed(l) => self.finish(cx, Some(l)),
            input => self.otherwise(cx, input),
        }
    }
}

impl AwaitMutual {
    /// Checks the responder's proof, gives ours and goes on (DPP s6.3.4).
    fn finish(self: Box<Self>, cx: &mut Context, l: Option<Redacted<Vec<u8>>>) -> Next {
        let Self { earlier, response } = *self;
        let transcript = Transcript {
            i_nonce: earlier.nonce,
            r_nonce: response.nonce,
            i_protocol: earlier.protocol.public().clone(),
            r_protocol: response.protocol.clone(),
            i_bootstrap: response.mutual.then(|| cx.config.bootstrap.clone()),
            r_bootstrap: earlier.peer.clone(),
        };
        let l = l.as_ref().map(|l| l.expose().as_slice());
        let (bk, ke) = transcript.keys(earlier.m.expose(), response.n.expose(), l);
        if !proved(&response.proof, &ke, &transcript) {
            let mut inner = AttributeWriter::new();
            inner.put(AttributeId::ResponderNonce, &transcript.r_nonce);
            let frame = confirm(cx, &earlier.peer, response.mutual, Status::AuthFailure, &response.k2, inner);
            cx.send(frame);
            return cx.refuse(message::unproved("responder"));
        }
        let mut inner = AttributeWriter::new();
        inner.put(AttributeId::InitiatorAuthTag, &transcript.i_auth());
        let frame = confirm(cx, &earlier.peer, response.mutual, Status::Ok, &ke, inner);
        cx.send(frame);
        let Some(role) = response.role else { return cx.refuse(message::incompatible()) };
        let peer = Authenticated {
            role,
            peer: Some(earlier.peer.bootstrap_hash()),
            peer_proved: true,
            we_proved: response.mutual,
            version: cx.config.version.min(response.version),
            curve: earlier.peer.curve(),
        };
        cx.event(Event::Authenticated(peer.clone()));
        configuration::start(cx, Session { peer, own: Arc::new(earlier.protocol), other: response.protocol, bk, ke })
    }
}

/// Whether {R-auth}ke, sealed with nothing beside it, is what the responder must have computed.
fn proved(proof: &[u8], ke: &Secret, transcript: &Transcript) -> bool {
    let Ok(inner) = siv::open(ke, &[], proof) else { return false };
    let Ok(inner) = Attributes::parse(inner.expose()) else { return false };
    let Ok(tag) = inner.need(AttributeId::ResponderAuthTag) else { return false };
    bool::from(tag.ct_eq(&transcript.r_auth()))
}

/// The Authentication Confirm (DPP s6.3.4).
fn confirm(
    cx: &Context,
    peer: &PublicKey,
    mutual: bool,
    status: Status,
    key: &Secret,
    inner: AttributeWriter,
) -> Frame {
    let mut outer = AttributeWriter::new();
    outer.put(AttributeId::Status, &[status.into()]);
    outer.put(AttributeId::ResponderBootstrapHash, &peer.bootstrap_hash().0);
    if mutual {
        outer.put(AttributeId::InitiatorBootstrapHash, &cx.config.bootstrap.bootstrap_hash().0);
    }
    message::sealed(FrameType::AuthenticationConfirm, outer, key, inner)
}

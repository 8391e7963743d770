//! Orders to access points: that a device is to be put out, or placed anew (RFC 5176).

use super::{Attributes, Authenticator, Code, Kind, Packet, Secret};
use landfall_types::{Fault, Machine, Refusal, Time};
use std::{collections::VecDeque, time::Duration};

/// An order is sent again after so long, each time after twice as many (RFC 5176 s2.3 refers to RFC 5080 s2.2.1).
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is sent at most.
const TIMES: u32 = 5;
/// The same for one that has another to fall back on.
const FEW_TIMES: u32 = 2;
/// Session-Context-Not-Found (RFC 5176 s3.5).
const NO_SESSION: u32 = 503;

/// What the access point says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done.
    Done,
    /// It was not.
    Not(Refusal),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To be sent to the access point.
    Send(Vec<u8>),
    /// How it ended.
    Ended(Reply),
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// Something came from the access point.
    Datagram(Vec<u8>),
    /// It is time.
    Timeout,
}

/// One order, until it is answered or given up.
#[derive(Debug)]
pub struct Order {
    code: Code,
    identifier: u8,
    secret: Secret,
    bytes: Vec<u8>,
    authenticator: Authenticator,
    sent: u32,
    most: u32,
    until: Option<Time>,
    outputs: VecDeque<Output>,
}

impl Order {
    /// That the session with these attributes is to be ended: User-Name, Calling-Station-Id and Acct-Session-Id name it,
    /// NAS-Identifier or NAS-IP-Address the access point (RFC 5176 s3).
    pub fn disconnect(session: Attributes, identifier: u8, secret: Secret, now: Time) -> Self {
        Self::new(Code::DisconnectRequest, session, identifier, secret, now)
    }

    /// That the session with these attributes is to be as the others of them say. It is given up sooner than an order to end
    /// a session, to which one falls back.
    pub fn change(attributes: Attributes, identifier: u8, secret: Secret, now: Time) -> Self {
        Self::new(Code::CoaRequest, attributes, identifier, secret, now)
    }

    fn new(code: Code, attributes: Attributes, identifier: u8, secret: Secret, now: Time) -> Self {
        // RFC 5176 s3.3: the time makes a replay good for nothing.
        let seconds = u32::try_from(now.as_unix()).unwrap_or(u32::MAX);
        let attributes = attributes.with_number(Kind::EVENT_TIMESTAMP, seconds);
        let packet = Packet { code, identifier, authenticator: [0; 16], attributes };
        let bytes = packet.seal_request(&secret);
        let authenticator = bytes.get(4..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default();
        // Whoever does not answer that a session is to change is told that it is to end, and soon.
        let most = if code == Code::CoaRequest { FEW_TIMES } else { TIMES };
        let (sent, until, outputs) = (0, None, VecDeque::new());
        let mut order = Self { code, identifier, secret, bytes, authenticator, sent, most, until, outputs };
        order.send(now);
        order
    }

    fn send(&mut self, now: Time) {
        self.until = Some(now + AGAIN * 2_u32.pow(self.sent));
        self.sent += 1;
        self.outputs.push_back(Output::Send(self.bytes.clone()));
    }

    fn end(&mut self, reply: Reply) {
        self.until = None;
        self.outputs.push_back(Output::Ended(reply));
    }

    fn answer(&self, bytes: &[u8]) -> Result<Reply, Refusal> {
        let answer = Packet::open_answer(bytes, &self.authenticator, &self.secret)?;
        let (done, not) = match self.code {
            Code::CoaRequest => (Code::CoaAck, Code::CoaNak),
            _ => (Code::DisconnectAck, Code::DisconnectNak),
        };
        match answer.code {
            code if answer.identifier == self.identifier && code == done => Ok(Reply::Done),
            code if answer.identifier == self.identifier && code == not => {
                let cause = answer.attributes.number(Kind::ERROR_CAUSE);
                let detail = format!("the access point does not do it: {}", words(cause));
                let check = if cause == Some(NO_SESSION) { "radius-no-session" } else { "radius-order" };
                Ok(Reply::Not(Refusal::new(Fault::Denied, check, "RFC 5176 s3.5", detail).field("Error-Cause")))
            }
            _ => Err(Refusal::new(Fault::Peer, "radius-order", "RFC 5176 s2.3", "it answers something else")),
        }
    }
}

impl Machine for Order {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// # Errors
    /// If what came is no answer to this order; it goes on waiting.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        let Some(until) = self.until else { return Ok(()) };
        match input {
            Input::Datagram(bytes) => {
                let reply = self.answer(&bytes)?;
                self.end(reply);
            }
            Input::Timeout if now < until => {}
            Input::Timeout if self.sent < self.most => self.send(now),
            Input::Timeout => {
                let detail = format!("the access point did not answer, though asked {} times", self.sent);
                self.end(Reply::Not(Refusal::new(Fault::Peer, "radius-silence", "RFC 5176 s2.3", detail)));
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.until
    }
}

/// RFC 5176 s3.5.
fn words(cause: Option<u32>) -> &'static str {
    match cause {
        Some(401) => "it does not know an attribute",
        Some(402) => "an attribute is missing",
        Some(403) => "it is another access point",
        Some(404) => "the request is not valid",
        Some(405) => "it does not do such things",
        Some(406) => "it does not know an extension",
        Some(407) => "an attribute has a value that it does not take",
        Some(501) => "it is forbidden",
        Some(503) => "there is no such session",
        Some(504) => "the session cannot be ended",
        Some(506) => "it has no room",
        Some(508) => "there are several such sessions",
        _ => "it does not say why",
    }
}

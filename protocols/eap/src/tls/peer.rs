//! The device's end: it is asked, and answers.

use super::{
    Fragment, Keys,
    tunnel::{self, Came, Tunnel},
};
use crate::{
    bounds,
    packet::{self, Message, Packet},
};
use landfall_types::{Fault, Machine, Refusal, Time};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, pki_types::ServerName};
use std::{collections::VecDeque, sync::Arc};

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// To be sent to the server.
    Send(Packet),
    /// The network is joined.
    Joined(Keys),
    /// It is not.
    Refused(Refusal),
}

/// A device's end of one conversation.
#[derive(Debug)]
pub struct Peer {
    settings: Arc<ClientConfig>,
    server: ServerName<'static>,
    identity: String,
    largest: usize,
    talk: Option<Talk>,
    /// What was answered last, and to which request: one that comes again is answered again (RFC 3748 s4.1).
    last: Option<(u8, Message)>,
    ended: bool,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Talk {
    tls: ClientConnection,
    tunnel: Tunnel,
    /// Whether the server has said that success is meant (RFC 9190 s2.1.1).
    promised: bool,
    failed: Option<Refusal>,
}

impl Peer {
    /// A device that calls itself `identity` (RFC 9190 s2.1.8 advises `@realm`, without its name), and that knows its
    /// server by `settings` and `server`.
    pub fn new(settings: Arc<ClientConfig>, server: ServerName<'static>, identity: &str, largest: usize) -> Self {
        let largest = largest.clamp(bounds::SMALLEST_EAP, bounds::EAP);
        let identity = identity.to_owned();
        Self { settings, server, identity, largest, talk: None, last: None, ended: false, outputs: VecDeque::new() }
    }

    /// Whether that was the last request that was answered.
    pub(crate) fn has_answered(&self, identifier: u8) -> bool {
        self.last.as_ref().is_some_and(|(last, _)| *last == identifier)
    }

    fn request(&mut self, request: Message) -> Result<(), Refusal> {
        if let Some((identifier, answer)) = &self.last
            && *identifier == request.identifier
        {
            self.outputs.push_back(Output::Send(Packet::Response(answer.clone())));
            return Ok(());
        }
        let (kind, data) = match request.kind {
            packet::IDENTITY => (packet::IDENTITY, self.identity.clone().into_bytes()),
            packet::TLS => (packet::TLS, self.answer(&request.data)?),
            // RFC 3748 s5.3.1: what we would rather speak.
            _ => (packet::NAK, vec![packet::TLS]),
        };
        let answer = Message { identifier: request.identifier, kind, data };
        self.last = Some((request.identifier, answer.clone()));
        self.outputs.push_back(Output::Send(Packet::Response(answer)));
        Ok(())
    }

    fn answer(&mut self, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        let Some(talk) = &mut self.talk else {
            if !Fragment::parse(data)?.flags.start {
                return Err(order("TLS was not started"));
            }
            let tls = ClientConnection::new(self.settings.clone(), self.server.clone());
            let mut tls = tls
                .map_err(|error| Refusal::new(Fault::Misuse, "eap-tls-settings", "RFC 5216 s5.3", error.to_string()))?;
            let mut tunnel = Tunnel::new(self.largest);
            let hello = tunnel.send(tunnel::flight(&mut tls));
            self.talk = Some(Talk { tls, tunnel, promised: false, failed: None });
            return Ok(hello);
        };
        talk.answer(data)
    }

    fn success(&mut self) -> Result<(), Refusal> {
        let talk = self.talk.as_ref().filter(|talk| talk.is_over());
        let keys = talk.and_then(|talk| Keys::of(&talk.tls));
        // RFC 9190 s2.1.1: a success that comes before its time may be anyone's.
        let keys =
            keys.ok_or_else(|| order("success before the server has shown itself, or before it was promised"))?;
        self.ended = true;
        self.outputs.push_back(Output::Joined(keys));
        Ok(())
    }

    fn failure(&mut self) {
        self.ended = true;
        let ours = self.talk.as_mut().and_then(|talk| talk.failed.take());
        let theirs = || Refusal::new(Fault::Denied, "eap-failure", "RFC 3748 s4.2", "the network does not let us in");
        self.outputs.push_back(Output::Refused(ours.unwrap_or_else(theirs)));
    }
}

impl Talk {
    fn answer(&mut self, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        let flight = match self.tunnel.take(data)? {
            Came::Next(data) | Came::Part(data) => return Ok(data),
            Came::Flight(flight) => flight,
        };
        if let Err(why) = tunnel::feed(&mut self.tls, &flight) {
            // The alert goes out; the server's failure follows.
            self.failed = Some(why);
        } else if !self.tls.is_handshaking() {
            self.promised |= tunnel::heard(&mut self.tls) == [0];
        }
        let answer = tunnel::flight(&mut self.tls);
        Ok(self.tunnel.send(answer))
    }

    fn is_over(&self) -> bool {
        let promised = self.promised || self.tls.protocol_version() != Some(ProtocolVersion::TLSv1_3);
        !self.tls.is_handshaking() && promised && self.failed.is_none()
    }
}

impl Machine for Peer {
    type Input = Packet;
    type Output = Output;
    type Error = Refusal;

    /// # Errors
    /// If the packet does not belong here: the conversation goes on as if it had not come.
    fn handle(&mut self, _: Time, input: Packet) -> Result<(), Refusal> {
        if self.ended {
            return Err(order("the conversation is over"));
        }
        match input {
            Packet::Request(request) => self.request(request),
            Packet::Success { .. } => self.success(),
            Packet::Failure { .. } => {
                self.failure();
                Ok(())
            }
            Packet::Response(_) => Err(order("a device is asked, and not answered")),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

fn order(detail: &str) -> Refusal {
    Refusal::new(Fault::Peer, "eap-tls-order", "RFC 5216 s2.1.1", detail)
}

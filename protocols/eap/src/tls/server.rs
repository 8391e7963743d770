//! The server's end: it asks, the device answers.

use super::{
    Keys,
    tunnel::{self, Came, Tunnel},
};
use crate::{
    bounds,
    packet::{self, Message, Packet},
};
use landfall_pki::Certificate;
use landfall_types::{Fault, Machine, Refusal, Time};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use std::{collections::VecDeque, sync::Arc};

/// What can happen.
#[derive(Debug)]
pub enum Input {
    /// The device answers.
    Response(Message),
    /// It was decided on what [`Output::Judge`] showed.
    Ruled(Result<(), Refusal>),
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// To be sent to the device.
    Send(Packet),
    /// To be decided: whether this device may come in.
    Judge(Shown),
    /// It is in; the success to be sent with the keys for the link, which are the access point's.
    Admitted {
        /// To be sent to the device.
        success: Packet,
        /// What device and server agree on now.
        keys: Keys,
    },
    /// It stays out.
    Refused {
        /// To be sent to the device.
        failure: Packet,
        /// Why.
        why: Refusal,
    },
}

/// What a device has shown of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its certificates, its own first, whose key it has proved to hold. Nothing else is known of them.
    pub chain: Vec<Certificate>,
    /// What it called itself before that, which nothing proves.
    pub identity: String,
}

/// One conversation with one device. TLS must be set up to ask for the certificate of the client, whatever it is, and to
/// resume no sessions.
#[derive(Debug)]
pub struct Server {
    tls: ServerConnection,
    tunnel: Tunnel,
    identity: String,
    state: State,
    /// Of the last request.
    identifier: u8,
    rounds: u32,
    outputs: VecDeque<Output>,
}

/// What it waits for.
#[derive(Debug)]
enum State {
    /// For the identity with which every conversation begins.
    AwaitIdentity,
    /// For a flight of the device.
    AwaitFlight,
    /// For what is decided on it.
    AwaitRuling,
    /// For the device to have heard that it is in.
    AwaitConfirmed,
    /// For the device to have heard TLS's alert.
    AwaitAlerted(Refusal),
    /// For nothing more.
    Ended,
}

impl Server {
    /// A conversation whose EAP packets have at most `largest` octets.
    ///
    /// # Errors
    /// `eap-tls-settings`: TLS cannot be begun with these settings.
    pub fn new(tls: Arc<ServerConfig>, largest: usize) -> Result<Self, Refusal> {
        let tls = ServerConnection::new(tls)
            .map_err(|error| Refusal::new(Fault::Misuse, "eap-tls-settings", "RFC 5216 s5.3", error.to_string()))?;
        let tunnel = Tunnel::new(largest.clamp(bounds::SMALLEST_EAP, bounds::EAP));
        let (identity, outputs) = (String::new(), VecDeque::new());
        Ok(Self { tls, tunnel, identity, state: State::AwaitIdentity, identifier: 0, rounds: 0, outputs })
    }

    fn response(&mut self, response: Message) -> Result<(), Refusal> {
        let state = std::mem::replace(&mut self.state, State::Ended);
        if matches!(state, State::AwaitIdentity) {
            return self.begin(response);
        }
        // RFC 3748 s4.1: what does not answer the last request is passed over.
        if response.identifier != self.identifier || matches!(state, State::AwaitRuling | State::Ended) {
            self.state = state;
            let detail = format!("response {} does not answer request {}", response.identifier, self.identifier);
            return Err(Refusal::new(Fault::Peer, "eap-identifier", "RFC 3748 s4.1", detail).field("Identifier"));
        }
        match response.kind {
            packet::TLS => {}
            packet::NAK => {
                let detail = format!("the device offers other methods, {:?}", response.data);
                self.refuse(Refusal::new(Fault::Incompatible, "eap-method", "RFC 3748 s5.3.1", detail));
                return Ok(());
            }
            kind => {
                let detail = format!("the device answers with method {kind}");
                self.refuse(Refusal::new(Fault::Peer, "eap-method", "RFC 3748 s5", detail).field("Type"));
                return Ok(());
            }
        }
        if let State::AwaitAlerted(why) = state {
            self.refuse(why);
            return Ok(());
        }
        match self.tunnel.take(&response.data) {
            Ok(Came::Next(data) | Came::Part(data)) => {
                self.state = state;
                self.ask(data);
            }
            Ok(Came::Flight(flight)) => self.flight(state, &flight),
            Err(why) => self.refuse(why),
        }
        Ok(())
    }

    /// The identity, which is answered with the start of TLS (RFC 5216 s2.1.1).
    fn begin(&mut self, response: Message) -> Result<(), Refusal> {
        if response.kind != packet::IDENTITY || response.data.len() > bounds::IDENTITY {
            self.state = State::AwaitIdentity;
            let detail = "a conversation begins with an identity";
            return Err(Refusal::new(Fault::Peer, "eap-identity", "RFC 3748 s5.1", detail).field("Type"));
        }
        self.identity = String::from_utf8_lossy(&response.data).into_owned();
        self.identifier = response.identifier;
        self.state = State::AwaitFlight;
        let start = super::Flags { start: true, ..Default::default() };
        self.ask(super::Fragment { flags: start, data: &[] }.to_bytes());
        Ok(())
    }

    fn flight(&mut self, state: State, flight: &[u8]) {
        if let Err(why) = tunnel::feed(&mut self.tls, flight) {
            return self.alert(why);
        }
        let confirmed = matches!(state, State::AwaitConfirmed);
        match (confirmed, flight.is_empty()) {
            (true, true) => self.admit(),
            (false, false) if self.tls.is_handshaking() => {
                let answer = tunnel::flight(&mut self.tls);
                self.state = State::AwaitFlight;
                let data = self.tunnel.send(answer);
                self.ask(data);
            }
            (false, false) => self.judge(),
            (true, false) => self.refuse(order("the device goes on after it was let in")),
            (false, true) => self.refuse(order("the device says nothing where it is its turn")),
        }
    }

    /// The handshake is over. With TLS 1.2 our last flight is not sent before it is decided.
    fn judge(&mut self) {
        let certificates = self.tls.peer_certificates().unwrap_or_default();
        match certificates.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>() {
            Ok(chain) if !chain.is_empty() => {
                self.state = State::AwaitRuling;
                self.outputs.push_back(Output::Judge(Shown { chain, identity: self.identity.clone() }));
            }
            Ok(_) => self.refuse(certificate("the device has shown no certificate".into())),
            Err(error) => self.refuse(certificate(error.to_string())),
        }
    }

    fn ruled(&mut self, ruling: Result<(), Refusal>) {
        if let Err(why) = ruling {
            return self.refuse(why);
        }
        // RFC 9190 s2.1.1, s2.5: an octet of nothing tells the device that there is nothing more to come, and that success
        // is meant.
        let said = match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => tunnel::say(&mut self.tls, &[0]),
            _ => Ok(()),
        };
        if let Err(why) = said {
            return self.refuse(why);
        }
        self.state = State::AwaitConfirmed;
        let last = tunnel::flight(&mut self.tls);
        let data = self.tunnel.send(last);
        self.ask(data);
    }

    fn admit(&mut self) {
        match Keys::of(&self.tls) {
            Some(keys) => {
                let success = Packet::Success { identifier: self.identifier };
                self.outputs.push_back(Output::Admitted { success, keys });
            }
            None => self.refuse(Refusal::new(
                Fault::Backend,
                "eap-tls-keys",
                "RFC 9190 s2.3",
                "there are no keys to be had of the connection",
            )),
        }
    }

    /// TLS has failed, and says so to the device (RFC 5216 s2.1.3).
    fn alert(&mut self, why: Refusal) {
        let alert = tunnel::flight(&mut self.tls);
        if alert.is_empty() {
            return self.refuse(why);
        }
        self.state = State::AwaitAlerted(why);
        let data = self.tunnel.send(alert);
        self.ask(data);
    }

    fn ask(&mut self, data: Vec<u8>) {
        self.rounds += 1;
        if self.rounds > bounds::ROUNDS {
            return self.refuse(order("the conversation has no end"));
        }
        self.identifier = self.identifier.wrapping_add(1);
        let message = Message { identifier: self.identifier, kind: packet::TLS, data };
        self.outputs.push_back(Output::Send(Packet::Request(message)));
    }

    fn refuse(&mut self, why: Refusal) {
        self.state = State::Ended;
        let failure = Packet::Failure { identifier: self.identifier };
        self.outputs.push_back(Output::Refused { failure, why });
    }
}

impl Machine for Server {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// # Errors
    /// If the input does not belong here: the conversation goes on as if it had not come.
    fn handle(&mut self, _: Time, input: Input) -> Result<(), Refusal> {
        match input {
            Input::Response(response) => self.response(response),
            Input::Ruled(ruling) if matches!(self.state, State::AwaitRuling) => {
                self.ruled(ruling);
                Ok(())
            }
            Input::Ruled(_) => {
                Err(Refusal::new(Fault::Misuse, "eap-ruling", "RFC 5216 s2.1", "nothing was asked to be decided"))
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

fn order(detail: &str) -> Refusal {
    Refusal::new(Fault::Peer, "eap-tls-order", "RFC 5216 s2.1.1", detail)
}

fn certificate(detail: String) -> Refusal {
    Refusal::new(Fault::Malformed, "eap-tls-certificate", "RFC 5216 s5.3", detail)
}

//! Where the packets of access points come in.

use super::{Attributes, Authenticator, Code, Kind, Packet, Place, Secret};
use crate::{bounds, packet, tls::Keys};
use landfall_types::{Fault, Redacted, Refusal, Time};
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    net::SocketAddr,
    time::Duration,
};

/// So long a conversation waits for the device, and an answer for whoever asks again (RFC 5080 s2.2.2 has five seconds for
/// the latter at least).
const KEPT: Duration = Duration::from_secs(30);

/// What became of a packet.
#[derive(Debug)]
pub enum Received<C> {
    /// A request that is to be answered.
    Asked(Box<Asked<C>>),
    /// To be sent back as it is: the packet was answered before, or asks for nothing but a sign of life.
    Answer(Vec<u8>),
    /// It is being answered.
    Underway,
}

/// A genuine request.
#[derive(Debug)]
pub struct Asked<C> {
    /// To be given back with the answer.
    pub ticket: Ticket,
    /// What it is.
    pub code: Code,
    /// What it says.
    pub attributes: Attributes,
    /// The EAP packet in it.
    pub eap: Option<packet::Packet>,
    /// The conversation that it goes on with, if it names one that is known. While it is answered nobody else has it.
    pub conversation: Option<C>,
    /// Whether it names one.
    pub goes_on: bool,
}

impl<C> Asked<C> {
    /// Octets that an EAP packet to this device may have (RFC 3579 s2.4).
    pub fn largest_eap(&self) -> usize {
        let told = self.attributes.number(Kind::FRAMED_MTU).and_then(|mtu| usize::try_from(mtu).ok());
        // The header of EAPOL takes four.
        told.map_or(bounds::EAP, |mtu| mtu.saturating_sub(4)).clamp(bounds::SMALLEST_EAP, bounds::EAP)
    }
}

/// What an answer needs of its request.
#[derive(Clone, Debug)]
pub struct Ticket {
    request: Request,
    secret: Secret,
    /// What the proxies in between want back (RFC 2865 s5.33).
    proxies: Attributes,
}

impl Ticket {
    /// From where the request came.
    pub const fn from(&self) -> SocketAddr {
        self.request.from
    }
}

/// What tells a request from others (RFC 5080 s2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    from: SocketAddr,
    identifier: u8,
    authenticator: Authenticator,
}

/// The State of a conversation (RFC 2865 s5.24): random, and another for each of its rounds.
type State = [u8; 16];

/// Opens requests, remembers answers and conversations.
#[derive(Debug)]
pub struct Desk<C> {
    conversations: Remembered<State, C>,
    /// `None` until it is there.
    answers: Remembered<Request, Option<Vec<u8>>>,
}

impl<C> Default for Desk<C> {
    fn default() -> Self {
        Self { conversations: Remembered::of(bounds::CONVERSATIONS), answers: Remembered::of(bounds::ANSWERS) }
    }
}

impl<C> Desk<C> {
    /// Takes a packet that came from an access point with that secret.
    ///
    /// # Errors
    /// If it is not genuine or no request: it is then to be passed over in silence.
    pub fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        secret: &Secret,
        bytes: &[u8],
    ) -> Result<Received<C>, Refusal> {
        let Packet { code, identifier, authenticator, attributes } = Packet::open_request(bytes, secret)?;
        let request = Request { from, identifier, authenticator };
        match self.answers.find(&request, now) {
            Some(Some(answer)) => return Ok(Received::Answer(answer.clone())),
            Some(None) => return Ok(Received::Underway),
            None => {}
        }
        let proxies = Attributes::default().with_all_of(Kind::PROXY_STATE, &attributes);
        let ticket = Ticket { request, secret: secret.clone(), proxies };
        match code {
            Code::AccessRequest | Code::AccountingRequest => {}
            Code::StatusServer => {
                return Ok(Received::Answer(self.answer(now, &ticket, Code::AccessAccept, Attributes::default())));
            }
            code => {
                let detail = format!("{code:?} is nothing that this server is asked");
                return Err(Refusal::new(Fault::Peer, "radius-code", "RFC 2865 s4", detail).field("Code"));
            }
        }
        let eap = attributes.eap().map(|bytes| packet::Packet::parse(&bytes)).transpose()?;
        let state = attributes.one(Kind::STATE)?;
        let conversation =
            state.and_then(|state| State::try_from(state).ok()).and_then(|state| self.conversations.take(&state, now));
        let goes_on = state.is_some();
        self.answers.keep(request, None, now);
        Ok(Received::Asked(Box::new(Asked { ticket, code, attributes, eap, conversation, goes_on })))
    }

    /// The answer that goes on with a conversation; `state` is sixteen random octets.
    pub fn challenge(
        &mut self,
        now: Time,
        ticket: &Ticket,
        eap: &packet::Packet,
        conversation: C,
        state: State,
    ) -> Vec<u8> {
        self.conversations.keep(state, conversation, now);
        let attributes = Attributes::default().with(Kind::STATE, state).with_eap(eap);
        self.answer(now, ticket, Code::AccessChallenge, attributes)
    }

    /// The answer that lets a device in: `salt` is two random octets.
    pub fn accept(
        &mut self,
        now: Time,
        ticket: &Ticket,
        success: &packet::Packet,
        (keys, salt): (&Keys, [u8; 2]),
        (name, place): (&str, &Place),
    ) -> Vec<u8> {
        let attributes = Attributes::default()
            .with(Kind::USER_NAME, name)
            .with_eap(success)
            .with_place(place)
            .with_keys(keys, salt, &ticket.secret, &ticket.request.authenticator);
        self.answer(now, ticket, Code::AccessAccept, attributes)
    }

    /// The answer that lets a device try with a password of its own: `salt` is two random octets.
    pub fn accept_by_password(
        &mut self,
        now: Time,
        ticket: &Ticket,
        (password, salt): (&Redacted<String>, [u8; 2]),
        (name, place): (&str, &Place),
    ) -> Vec<u8> {
        let attributes = Attributes::default().with(Kind::USER_NAME, name).with_place(place).with_password(
            password.expose().as_bytes(),
            salt,
            &ticket.secret,
            &ticket.request.authenticator,
        );
        self.answer(now, ticket, Code::AccessAccept, attributes)
    }

    /// The answer that leaves a device outside.
    pub fn reject(&mut self, now: Time, ticket: &Ticket, failure: Option<&packet::Packet>) -> Vec<u8> {
        let none = Attributes::default();
        let attributes = failure.map_or(none.clone(), |failure| none.with_eap(failure));
        self.answer(now, ticket, Code::AccessReject, attributes)
    }

    /// The answer that an accounting record is kept (RFC 2866 s4.2): only once it is.
    pub fn accounted(&mut self, now: Time, ticket: &Ticket) -> Vec<u8> {
        self.answer(now, ticket, Code::AccountingResponse, Attributes::default())
    }

    /// Nothing is answered: whoever asked may ask again.
    pub fn forget(&mut self, ticket: &Ticket) {
        self.answers.forget(&ticket.request);
    }

    /// How many conversations wait for their device.
    pub fn conversations(&self) -> usize {
        self.conversations.held.len()
    }

    fn answer(&mut self, now: Time, ticket: &Ticket, code: Code, attributes: Attributes) -> Vec<u8> {
        let Request { identifier, authenticator, .. } = ticket.request;
        let attributes = attributes.with_all_of(Kind::PROXY_STATE, &ticket.proxies);
        let answer = Packet { code, identifier, authenticator, attributes }.seal_answer(&authenticator, &ticket.secret);
        self.answers.keep(ticket.request, Some(answer.clone()), now);
        answer
    }
}

/// Things that are forgotten after a while, and the oldest when there are too many.
#[derive(Debug)]
struct Remembered<K, V> {
    held: HashMap<K, (Time, V)>,
    /// In the order in which they end. What is held no more, or longer, may still stand here.
    ends: VecDeque<(Time, K)>,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> Remembered<K, V> {
    fn of(most: usize) -> Self {
        Self { held: HashMap::new(), ends: VecDeque::new(), most }
    }

    fn keep(&mut self, key: K, value: V, now: Time) {
        self.tidy(now);
        let end = now + KEPT;
        self.held.insert(key, (end, value));
        self.ends.push_back((end, key));
    }

    fn find(&self, key: &K, now: Time) -> Option<&V> {
        self.held.get(key).filter(|(end, _)| now < *end).map(|(_, value)| value)
    }

    fn take(&mut self, key: &K, now: Time) -> Option<V> {
        self.held.remove(key).filter(|(end, _)| now < *end).map(|(_, value)| value)
    }

    fn forget(&mut self, key: &K) {
        self.held.remove(key);
    }

    /// Lets go of what has ended, and of the oldest where there is no room for one more.
    fn tidy(&mut self, now: Time) {
        while let Some((end, key)) = self.ends.front().copied() {
            // Each entry may have one that stands for nothing any more beside it.
            let full = self.held.len() >= self.most || self.ends.len() >= 2 * self.most;
            if now < end && !full {
                break;
            }
            self.ends.pop_front();
            if self.held.get(&key).is_some_and(|(until, _)| *until == end) {
                self.held.remove(&key);
            }
        }
    }
}

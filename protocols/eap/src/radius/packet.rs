//! Packets (RFC 2865 s3), and what makes them genuine: the authenticator of answers, accounting and orders, and
//! Message-Authenticator (RFC 3579 s3.2), without which no access request and no answer to one is taken or sent
//! (draft-ietf-radext-deprecating-radius s5: without it an answer can be forged).

use super::{Attributes, Kind};
use crate::bounds;
use hmac::{Hmac, KeyInit, Mac};
use landfall_types::{Fault, Redacted, Refusal};
use md5::{Digest, Md5};
use std::fmt;
use subtle::ConstantTimeEq;

/// Sixteen octets: random in an access request, a proof in all other packets.
pub type Authenticator = [u8; 16];

const HEADER: usize = 20;

/// What access point and server share.
#[derive(Clone, Debug)]
pub struct Secret(Redacted<Vec<u8>>);

impl Secret {
    /// # Errors
    /// `radius-secret`: it is empty (RFC 2865 s3).
    pub fn new(secret: Redacted<Vec<u8>>) -> Result<Self, Refusal> {
        match secret.expose().is_empty() {
            false => Ok(Self(secret)),
            true => Err(Refusal::new(Fault::Misuse, "radius-secret", "RFC 2865 s3", "a secret of nothing is none")),
        }
    }

    /// The secret itself, for settings of others.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// The one that RFC 6614 s2.3 has for RADIUS over TLS, where TLS protects.
    pub fn over_tls() -> Self {
        Self(Redacted::new(b"radsec".to_vec()))
    }

    /// MD5 of the secret and then the pieces.
    pub(super) fn md5(&self, pieces: &[&[u8]]) -> Authenticator {
        let first = Md5::new().chain_update(self.0.expose());
        pieces.iter().fold(first, |md5, piece| md5.chain_update(piece)).finalize().into()
    }

    /// MD5 of the pieces and then the secret.
    fn proof(&self, pieces: &[&[u8]]) -> Authenticator {
        let md5 = pieces.iter().fold(Md5::new(), |md5, piece| md5.chain_update(piece));
        md5.chain_update(self.0.expose()).finalize().into()
    }

    /// HMAC-MD5 of a packet.
    fn mac(&self, packet: &[u8]) -> Authenticator {
        // HMAC takes keys of every length.
        let Ok(mac) = Hmac::<Md5>::new_from_slice(self.0.expose()) else { return [0; 16] };
        mac.chain_update(packet).finalize().into_bytes().into()
    }
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are named as in RFC 2865 s4, RFC 2866 s4, RFC 5997 and RFC 5176 s2")]
pub enum Code {
    AccessRequest = 1,
    AccessAccept = 2,
    AccessReject = 3,
    AccountingRequest = 4,
    AccountingResponse = 5,
    AccessChallenge = 11,
    StatusServer = 12,
    DisconnectRequest = 40,
    DisconnectAck = 41,
    DisconnectNak = 42,
    CoaRequest = 43,
    CoaAck = 44,
    CoaNak = 45,
}

impl Code {
    const ALL: [Self; 13] = [
        Self::AccessRequest,
        Self::AccessAccept,
        Self::AccessReject,
        Self::AccountingRequest,
        Self::AccountingResponse,
        Self::AccessChallenge,
        Self::StatusServer,
        Self::DisconnectRequest,
        Self::DisconnectAck,
        Self::DisconnectNak,
        Self::CoaRequest,
        Self::CoaAck,
        Self::CoaNak,
    ];

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u8 == code)
    }

    /// Whether packets of this kind must carry a Message-Authenticator: those about access, and what asks whether the server
    /// is there (RFC 3579 s3.2, RFC 5997 s3).
    const fn needs_mac(self) -> bool {
        matches!(
            self,
            Self::AccessRequest | Self::AccessAccept | Self::AccessReject | Self::AccessChallenge | Self::StatusServer
        )
    }

    /// Whether its authenticator is random, and not a proof.
    const fn is_random(self) -> bool {
        matches!(self, Self::AccessRequest | Self::StatusServer)
    }
}

/// A packet.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub code: Code,
    /// Matches answers with requests.
    pub identifier: u8,
    /// Random in an access request, a proof in all other packets.
    pub authenticator: Authenticator,
    /// What it says.
    pub attributes: Attributes,
}

impl Packet {
    /// Opens a request that came from whoever has `secret`.
    ///
    /// # Errors
    /// `radius-packet`, `radius-attribute`: it is malformed. `radius-message-authenticator`, `radius-authenticator`: it
    /// lacks the proof, or it is wrong. Such packets are to be passed over in silence (RFC 2865 s3, RFC 3579 s3.2).
    pub fn open_request(bytes: &[u8], secret: &Secret) -> Result<Self, Refusal> {
        let (packet, bytes) = Self::read(bytes)?;
        let in_proof = if packet.code.is_random() { packet.authenticator } else { [0; 16] };
        if !packet.code.is_random() {
            packet.check_authenticator(bytes, &in_proof, secret)?;
        }
        packet.check_mac(bytes, &in_proof, secret)?;
        Ok(packet)
    }

    /// Opens the answer to a request with that authenticator.
    ///
    /// # Errors
    /// As [`Packet::open_request`].
    pub fn open_answer(bytes: &[u8], request: &Authenticator, secret: &Secret) -> Result<Self, Refusal> {
        let (packet, bytes) = Self::read(bytes)?;
        packet.check_authenticator(bytes, request, secret)?;
        packet.check_mac(bytes, request, secret)?;
        Ok(packet)
    }

    /// Writes a request. Its authenticator counts for access requests only, where it must be random.
    pub fn seal_request(mut self, secret: &Secret) -> Vec<u8> {
        if !self.code.is_random() {
            self.authenticator = [0; 16];
        }
        let mut bytes = self.with_mac(secret);
        if !self.code.is_random() {
            self.authenticator = secret.proof(&[&bytes]);
            put(&mut bytes, 4, &self.authenticator);
        }
        bytes
    }

    /// Writes an answer to `request`.
    pub fn seal_answer(mut self, request: &Authenticator, secret: &Secret) -> Vec<u8> {
        self.authenticator = *request;
        // RFC 2866 s5.13 has none in an accounting response, and freeradius reckons one there in its own way.
        let mut bytes = if self.code == Code::AccountingResponse { self.to_bytes() } else { self.with_mac(secret) };
        let proof = secret.proof(&[&bytes]);
        put(&mut bytes, 4, &proof);
        bytes
    }

    /// With Message-Authenticator as its first attribute, so that nothing can be put before it.
    fn with_mac(&mut self, secret: &Secret) -> Vec<u8> {
        self.attributes.put_first(Kind::MESSAGE_AUTHENTICATOR, &[0; 16]);
        let mut bytes = self.to_bytes();
        let mac = secret.mac(&bytes);
        put(&mut bytes, HEADER + 2, &mac);
        bytes
    }

    fn to_bytes(&self) -> Vec<u8> {
        let attributes = self.attributes.to_bytes();
        let length = u16::try_from(HEADER + attributes.len()).unwrap_or(u16::MAX);
        [&[self.code as u8, self.identifier], length.to_be_bytes().as_slice(), &self.authenticator, &attributes]
            .concat()
    }

    /// The packet, and its octets without what follows its end, which is padding (RFC 2865 s3).
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Refusal> {
        let malformed = |detail: &str| Refusal::new(Fault::Malformed, "radius-packet", "RFC 2865 s3", detail);
        let (&[code, identifier, high, low], _) =
            bytes.split_first_chunk().ok_or_else(|| malformed("it is shorter than a header"))?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let bytes = bytes.get(..length).filter(|_| (HEADER..=bounds::RADIUS).contains(&length));
        let bytes = bytes.ok_or_else(|| malformed("its length is not that of what came").field("Length"))?;
        let code = Code::of(code).ok_or_else(|| malformed("there is no such code").field("Code"))?;
        let (header, attributes) = bytes.split_at(HEADER);
        let authenticator = header.last_chunk().copied().unwrap_or_default();
        Ok((Self { code, identifier, authenticator, attributes: Attributes::parse(attributes)? }, bytes))
    }

    fn check_authenticator(&self, bytes: &[u8], in_proof: &Authenticator, secret: &Secret) -> Result<(), Refusal> {
        let mut proved = bytes.to_vec();
        put(&mut proved, 4, in_proof);
        match bool::from(secret.proof(&[&proved]).ct_eq(&self.authenticator)) {
            true => Ok(()),
            false => Err(Refusal::new(
                Fault::Peer,
                "radius-authenticator",
                "RFC 2865 s3",
                "whoever sent it has another secret, or it was altered",
            )),
        }
    }

    fn check_mac(&self, bytes: &[u8], in_proof: &Authenticator, secret: &Secret) -> Result<(), Refusal> {
        let refusal = |detail: &str| {
            Refusal::new(Fault::Peer, "radius-message-authenticator", "RFC 3579 s3.2", detail)
                .field("Message-Authenticator")
        };
        let Some(mac) = self.attributes.one(Kind::MESSAGE_AUTHENTICATOR)? else {
            return match self.code.needs_mac() || self.attributes.eap().is_some() {
                true => Err(refusal("it has none; the access point must be set to send it with every request")),
                false => Ok(()),
            };
        };
        let mut proved = bytes.to_vec();
        put(&mut proved, 4, in_proof);
        let place = place(bytes, Kind::MESSAGE_AUTHENTICATOR).ok_or_else(|| refusal("it is not to be found"))?;
        put(&mut proved, place, &[0; 16]);
        match mac.len() == 16 && bool::from(secret.mac(&proved).ct_eq(mac)) {
            true => Ok(()),
            false => Err(refusal("whoever sent it has another secret, or it was altered")),
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {:?}", self.code, self.identifier, self.attributes)
    }
}

/// Where the value of the first attribute of that kind begins.
fn place(bytes: &[u8], kind: Kind) -> Option<usize> {
    let mut at = HEADER;
    loop {
        let (&found, &length) = (bytes.get(at)?, bytes.get(at + 1)?);
        if found == kind.0 {
            return Some(at + 2);
        }
        at += usize::from(length.max(2));
    }
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + what.len()) {
        place.copy_from_slice(what);
    }
}

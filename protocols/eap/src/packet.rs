//! EAP packets (RFC 3748 s4).

use landfall_types::{Fault, Refusal};
use std::fmt;

/// What asks for an identity (RFC 3748 s5.1).
pub const IDENTITY: u8 = 1;
/// What is said to a method that is not spoken (RFC 3748 s5.3.1).
pub const NAK: u8 = 3;
/// EAP-TLS (RFC 5216 s3.1).
pub const TLS: u8 = 13;

/// An EAP packet.
#[derive(Clone, PartialEq, Eq)]
pub enum Packet {
    /// The server asks.
    Request(Message),
    /// The device answers.
    Response(Message),
    /// The device is in.
    Success {
        /// That of the last request.
        identifier: u8,
    },
    /// The device stays out.
    Failure {
        /// That of the last request.
        identifier: u8,
    },
}

/// What a request or response carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Matches responses with requests.
    pub identifier: u8,
    /// The method.
    pub kind: u8,
    /// What it says.
    pub data: Vec<u8>,
}

impl Packet {
    /// Reads a packet; what follows its end is padding of the link (RFC 3748 s4).
    ///
    /// # Errors
    /// `eap-packet`: it is shorter than it says, or of no known kind.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |detail: &str| Refusal::new(Fault::Malformed, "eap-packet", "RFC 3748 s4", detail);
        let (&[code, identifier, high, low], rest) =
            bytes.split_first_chunk().ok_or_else(|| malformed("it is shorter than a header"))?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = length.checked_sub(4).and_then(|length| rest.get(..length));
        let body = body.ok_or_else(|| malformed("its length is not that of what came").field("Length"))?;
        let message = |body: &[u8]| {
            let (&kind, data) = body.split_first().ok_or_else(|| malformed("it has no type").field("Type"))?;
            Ok(Message { identifier, kind, data: data.to_vec() })
        };
        match code {
            1 => message(body).map(Self::Request),
            2 => message(body).map(Self::Response),
            3 if body.is_empty() => Ok(Self::Success { identifier }),
            4 if body.is_empty() => Ok(Self::Failure { identifier }),
            _ => Err(malformed("there is no such code").field("Code")),
        }
    }

    /// Writes it. A message longer than 65,530 octets is cut, which no caller makes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (code, identifier, message) = match self {
            Self::Request(message) => (1, message.identifier, Some(message)),
            Self::Response(message) => (2, message.identifier, Some(message)),
            Self::Success { identifier } => (3, *identifier, None),
            Self::Failure { identifier } => (4, *identifier, None),
        };
        let mut bytes = vec![code, identifier, 0, 0];
        if let Some(message) = message {
            bytes.push(message.kind);
            bytes.extend_from_slice(&message.data);
        }
        bytes.truncate(usize::from(u16::MAX));
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(place) = bytes.get_mut(2..4) {
            place.copy_from_slice(&length);
        }
        bytes
    }
}

/// Its kind and size: an identity is personal.
impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(message) => write!(f, "Request({message:?})"),
            Self::Response(message) => write!(f, "Response({message:?})"),
            Self::Success { identifier } => write!(f, "Success({identifier})"),
            Self::Failure { identifier } => write!(f, "Failure({identifier})"),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} type {} with {} octets", self.identifier, self.kind, self.data.len())
    }
}

//! Generic advertisement frames, in which an enrollee asks for its configuration (IEEE 802.11 s9.6.7.12; DPP s8.3).

use crate::{
    bounds,
    frame::{FrameError, OUI},
};
use std::fmt;

/// The lowest action code of these frames.
pub(crate) const FIRST: u8 = INITIAL_REQUEST;
/// The highest.
pub(crate) const LAST: u8 = COMEBACK_RESPONSE;

const INITIAL_REQUEST: u8 = 0x0A;
const INITIAL_RESPONSE: u8 = 0x0B;
const COMEBACK_REQUEST: u8 = 0x0C;
const COMEBACK_RESPONSE: u8 = 0x0D;

/// The bit in the fragment number that says that more fragments follow.
const MORE: u8 = 0x80;

/// How many fragments their numbers can tell apart.
const FRAGMENTS: usize = 128;

/// One of the four frames.
#[derive(Clone, PartialEq, Eq)]
pub enum Gas {
    /// The enrollee asks.
    InitialRequest {
        /// Tells exchanges apart.
        token: u8,
        /// Attributes.
        query: Vec<u8>,
    },
    /// The configurator answers, or says when to come back.
    InitialResponse {
        /// That of the request.
        token: u8,
        /// Zero for success (IEEE 802.11 s9.4.1.9).
        status: u16,
        /// When to come back, in time units of 1.024 ms; zero if the response is here.
        comeback: u16,
        /// Attributes.
        response: Vec<u8>,
    },
    /// The enrollee comes back.
    ComebackRequest {
        /// That of the request.
        token: u8,
    },
    /// A fragment of the answer.
    ComebackResponse {
        /// That of the request.
        token: u8,
        /// Zero for success.
        status: u16,
        /// Whether more fragments follow.
        more: bool,
        /// The fragment's number, from zero.
        fragment: u8,
        /// When to come back, in time units of 1.024 ms, if there is nothing yet.
        delay: u16,
        /// A piece of the attributes.
        data: Vec<u8>,
    },
}

impl Gas {
    /// Reads a frame that begins with the action code.
    ///
    /// # Errors
    /// If it is of another protocol, cut short or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader(bytes);
        let frame = match reader.octet()? {
            INITIAL_REQUEST => {
                let token = reader.octet()?;
                reader.protocol()?;
                Self::InitialRequest { token, query: reader.counted()? }
            }
            INITIAL_RESPONSE => {
                let (token, status, comeback) = (reader.octet()?, reader.number()?, reader.number()?);
                reader.protocol()?;
                Self::InitialResponse { token, status, comeback, response: reader.counted()? }
            }
            COMEBACK_REQUEST => Self::ComebackRequest { token: reader.octet()? },
            COMEBACK_RESPONSE => {
                let (token, status) = (reader.octet()?, reader.number()?);
                let (fragment, delay) = (reader.octet()?, reader.number()?);
                reader.protocol()?;
                Self::ComebackResponse {
                    token,
                    status,
                    more: fragment & MORE != 0,
                    fragment: fragment & !MORE,
                    delay,
                    data: reader.counted()?,
                }
            }
            _ => return Err(FrameError::NotDpp("Action")),
        };
        match reader.0.is_empty() {
            true => Ok(frame),
            false => Err(FrameError::Trailing("the GAS frame")),
        }
    }

    /// Writes it, beginning with the action code.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::InitialRequest { token, query } => {
                [&[INITIAL_REQUEST, *token], PROTOCOL.as_slice(), &counted(query)].concat()
            }
            Self::InitialResponse { token, status, comeback, response } => [
                &[INITIAL_RESPONSE, *token],
                status.to_le_bytes().as_slice(),
                &comeback.to_le_bytes(),
                &PROTOCOL,
                &counted(response),
            ]
            .concat(),
            Self::ComebackRequest { token } => vec![COMEBACK_REQUEST, *token],
            Self::ComebackResponse { token, status, more, fragment, delay, data } => [
                &[COMEBACK_RESPONSE, *token],
                status.to_le_bytes().as_slice(),
                &[if *more { fragment | MORE } else { fragment & !MORE }],
                &delay.to_le_bytes(),
                &PROTOCOL,
                &counted(data),
            ]
            .concat(),
        }
    }

    /// The token that tells exchanges apart.
    pub const fn token(&self) -> u8 {
        match self {
            Self::InitialRequest { token, .. }
            | Self::InitialResponse { token, .. }
            | Self::ComebackRequest { token }
            | Self::ComebackResponse { token, .. } => *token,
        }
    }

    /// The name in the standard.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InitialRequest { .. } => "GAS Initial Request",
            Self::InitialResponse { .. } => "GAS Initial Response",
            Self::ComebackRequest { .. } => "GAS Comeback Request",
            Self::ComebackResponse { .. } => "GAS Comeback Response",
        }
    }
}

/// The lengths instead of the octets.
impl fmt::Debug for Gas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct(self.name());
        debug.field("token", &self.token());
        match self {
            Self::InitialRequest { query, .. } => debug.field("query", &query.len()),
            Self::InitialResponse { status, comeback, response, .. } => {
                debug.field("status", status).field("comeback", comeback).field("response", &response.len())
            }
            Self::ComebackRequest { .. } => &mut debug,
            Self::ComebackResponse { status, more, fragment, delay, data, .. } => debug
                .field("status", status)
                .field("more", more)
                .field("fragment", fragment)
                .field("delay", delay)
                .field("data", &data.len()),
        };
        debug.finish()
    }
}

/// Cuts a response into fragments of at most `size` octets for comeback responses: the number of each, whether more
/// follow, and its octets. A response without octets is one empty fragment.
///
/// Numbers have seven bits. What would need more than 128 fragments of `size` is cut into 128 longer ones.
pub fn fragment(response: &[u8], size: usize) -> impl Iterator<Item = (u8, bool, &[u8])> {
    let size = size.max(response.len().div_ceil(FRAGMENTS)).max(1);
    let last = response.len().div_ceil(size).max(1) - 1;
    (0..=u8::try_from(last).unwrap_or(u8::MAX)).map(move |number| {
        let start = usize::from(number) * size;
        let end = response.len().min(start + size);
        (number, usize::from(number) < last, response.get(start..end).unwrap_or_default())
    })
}

/// Puts a response together from its fragments.
#[derive(Clone, Default)]
pub struct Reassembly {
    response: Vec<u8>,
    next: u8,
}

impl Reassembly {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { response: Vec::new(), next: 0 }
    }

    /// Takes a fragment and returns the response once it is whole. A fragment that came before is passed over, since
    /// frames are repeated on the air.
    ///
    /// # Errors
    /// If it is not the fragment that is due, or the response grows too long.
    pub fn push(&mut self, fragment: u8, more: bool, data: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        if fragment < self.next {
            return Ok(None);
        }
        if fragment > self.next {
            return Err(FrameError::Fragment { expected: self.next, found: fragment });
        }
        let len = self.response.len() + data.len();
        if len > bounds::GAS_RESPONSE {
            return Err(FrameError::TooLarge { part: "GAS response", len, max: bounds::GAS_RESPONSE });
        }
        self.response.extend(data);
        self.next = self.next.saturating_add(1);
        Ok((!more).then(|| std::mem::take(&mut self.response)))
    }
}

impl fmt::Debug for Reassembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reassembly({} octets in {} fragments)", self.response.len(), self.next)
    }
}

/// The Advertisement Protocol element with the advertisement protocol of DPP (DPP s8.3.2).
const PROTOCOL: [u8; 10] = [0x6C, 0x08, 0x7F, 0xDD, 0x05, OUI[0], OUI[1], OUI[2], OUI[3], 0x01];

fn counted(octets: &[u8]) -> Vec<u8> {
    // Attributes that are sent stay far below.
    let octets = octets.get(..u16::MAX.into()).unwrap_or(octets);
    let len = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    [len.to_le_bytes().as_slice(), octets].concat()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(FrameError::Truncated("the GAS frame"))?;
        self.0 = rest;
        Ok(*octets)
    }

    fn octet(&mut self) -> Result<u8, FrameError> {
        self.take().map(|[octet]| octet)
    }

    fn number(&mut self) -> Result<u16, FrameError> {
        self.take().map(u16::from_le_bytes)
    }

    fn protocol(&mut self) -> Result<(), FrameError> {
        let [id, len, _response_info, rest @ ..] = self.take::<10>()?;
        // IEEE 802.11 s9.4.2.92: the third octet says how long a response may be; peers write 7F or 00.
        match [id, len] == [PROTOCOL[0], PROTOCOL[1]] && rest == PROTOCOL[3..] {
            true => Ok(()),
            false => Err(FrameError::NotDpp("Advertisement Protocol")),
        }
    }

    fn counted(&mut self) -> Result<Vec<u8>, FrameError> {
        let len = usize::from(self.number()?);
        let (octets, rest) = self.0.split_at_checked(len).ok_or(FrameError::Truncated("the GAS query or response"))?;
        self.0 = rest;
        Ok(octets.to_vec())
    }
}

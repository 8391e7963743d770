//! A flow: what one side said to the other, and what came back.

use landfall_types::Time;
use std::net::IpAddr;

/// One flow, from the side of whoever began it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who began it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The protocol above IP (6 is TCP, 17 is UDP).
    pub protocol: u8,
    /// The port that it began from; zero if the protocol has none.
    pub source_port: u16,
    /// The port that it went to; zero if the protocol has none.
    pub port: u16,
    /// When it began.
    pub start: Time,
    /// Octets that it sent, as far as they were counted.
    pub sent: u64,
    /// Octets that came back.
    pub received: u64,
    /// Whether anything came back; None if nobody looked.
    pub answered: Option<bool>,
    /// Whether it is over.
    pub ended: bool,
}

impl Flow {
    /// One of which only the ends are known.
    pub const fn between(source: IpAddr, destination: IpAddr, protocol: u8, port: u16, start: Time) -> Self {
        Self {
            source,
            destination,
            protocol,
            source_port: 0,
            port,
            start,
            sent: 0,
            received: 0,
            answered: None,
            ended: false,
        }
    }

    /// The same from the side of the other.
    #[must_use]
    pub fn turned(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.port,
            port: self.source_port,
            sent: self.received,
            received: self.sent,
            answered: self.answered.map(|_| self.sent > 0),
            ..self
        }
    }
}

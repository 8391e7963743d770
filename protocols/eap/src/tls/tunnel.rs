//! A TLS connection that is fed flights and asked for flights, and their fragments. Both ends have one.

use super::flight::{Coming, Fragment, Leaving};
use landfall_types::{Fault, Refusal};
use rustls::{CertificateError, ConnectionCommon, Error, SideData};
use std::io::{Read, Write};

/// The fragments of the flight that leaves, and of the one that comes.
#[derive(Debug)]
pub(super) struct Tunnel {
    largest: usize,
    leaving: Leaving,
    coming: Coming,
}

/// What a fragment of the other side was.
#[derive(Debug)]
pub(super) enum Came {
    /// It asks for the next fragment, which is this.
    Next(Vec<u8>),
    /// Part of a flight: the acknowledgement to send.
    Part(Vec<u8>),
    /// The last part of a flight, or nothing, if there was nothing to say.
    Flight(Vec<u8>),
}

impl Tunnel {
    /// EAP packets will have at most `largest` octets.
    pub(super) fn new(largest: usize) -> Self {
        Self { largest, leaving: Leaving::default(), coming: Coming::default() }
    }

    /// Reads what the other side sent.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<Came, Refusal> {
        let fragment = Fragment::parse(data)?;
        if !self.leaving.is_sent() {
            return match fragment.is_acknowledgement() {
                true => Ok(Came::Next(self.leaving.next(self.largest))),
                false => Err(Refusal::new(
                    Fault::Peer,
                    "eap-tls-order",
                    "RFC 5216 s2.1.5",
                    "something was said before our flight was over",
                )),
            };
        }
        let acknowledgement = Fragment { flags: Default::default(), data: &[] }.to_bytes();
        Ok(self.coming.take(&fragment)?.map_or(Came::Part(acknowledgement), Came::Flight))
    }

    /// Begins to send a flight: its first fragment.
    pub(super) fn send(&mut self, flight: Vec<u8>) -> Vec<u8> {
        self.leaving = Leaving::new(flight);
        self.leaving.next(self.largest)
    }
}

/// Hands a flight to TLS. What TLS has to say to it, an alert too, is in [`flight`].
pub(super) fn feed<D: SideData>(connection: &mut ConnectionCommon<D>, mut flight: &[u8]) -> Result<(), Refusal> {
    let failed = |detail: String| Refusal::new(Fault::Peer, "eap-tls-handshake", "RFC 5216 s2.1.3", detail);
    while !flight.is_empty() {
        let read = connection.read_tls(&mut flight).map_err(|error| failed(error.to_string()))?;
        if read == 0 {
            return Err(failed("TLS takes no more".into()));
        }
        connection.process_new_packets().map_err(|error| failed(in_words(&error)))?;
    }
    Ok(())
}

/// What went wrong; of a certificate that was refused, as whoever refused it says it.
fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(refusal)) => refusal.0.to_string(),
        _ => error.to_string(),
    }
}

/// What TLS has to say.
pub(super) fn flight<D: SideData>(connection: &mut ConnectionCommon<D>) -> Vec<u8> {
    let mut flight = Vec::new();
    // Writing to a vector cannot fail.
    while connection.wants_write() && connection.write_tls(&mut flight).is_ok_and(|written| written > 0) {}
    flight
}

/// Says something over the connection.
pub(super) fn say<D: SideData>(connection: &mut ConnectionCommon<D>, what: &[u8]) -> Result<(), Refusal> {
    let written = connection.writer().write_all(what);
    written.map_err(|error| Refusal::new(Fault::Backend, "eap-tls-handshake", "RFC 9190 s2.1.1", error.to_string()))
}

/// What the other side said over the connection, at most a few octets of it.
pub(super) fn heard<D: SideData>(connection: &mut ConnectionCommon<D>) -> Vec<u8> {
    let mut heard = [0; 16];
    // There is nothing, or the other side has closed: both are nothing.
    let length = connection.reader().read(&mut heard).unwrap_or(0);
    heard.get(..length).unwrap_or_default().to_vec()
}

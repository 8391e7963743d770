//! The access point's side of network introduction.

use super::{Own, Pending, SECTION, action, attributes, hpke::Sealed};
use crate::{
    Status,
    curve::PublicKey,
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
};
use landfall_types::{Fault, Redacted, Refusal, Time};

/// What becomes of a Peer Discovery Request.
#[derive(Debug)]
pub enum Discovered {
    /// The station is one of our network: agree, then send the response.
    Welcome {
        /// What the network access keys make.
        pending: Pending,
        /// The response.
        response: Frame,
    },
    /// It is not, and is told so.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The response, with the status alone.
        response: Frame,
    },
}

/// Judges a Peer Discovery Request.
///
/// # Errors
/// If the frame is not worth an answer: it is not whole, or our own connector is over.
pub fn discovered(own: &Own, now: Time, request: &Action) -> Result<Discovered, Refusal> {
    own.in_force(now)?;
    let attributes = attributes(request, FrameType::PeerDiscoveryRequest)?;
    let transaction = attributes.need_u8(AttributeId::TransactionId)?;
    let connector = attributes.need(AttributeId::Connector)?;
    let version = attributes.one_u8(AttributeId::ProtocolVersion)?;
    let response = |status: Status| {
        let mut frame = AttributeWriter::new();
        frame.put_u8(AttributeId::TransactionId, transaction);
        frame.put_u8(AttributeId::Status, status.into());
        if status == Status::Ok {
            frame.put(AttributeId::Connector, own.connector.as_str().as_bytes());
        }
        own.put_version(&mut frame);
        action(FrameType::PeerDiscoveryResponse, frame)
    };
    Ok(match own.check(now, connector, version) {
        Ok(pending) => Discovered::Welcome { pending, response: response(Status::Ok) },
        Err((status, refusal)) => Discovered::Refused { refusal, response: response(status) },
    })
}

/// Answers a Private Peer Introduction Query with our connector. Nothing is remembered of it.
///
/// # Errors
/// If the frame is not whole, or our own connector is over.
pub fn queried(own: &Own, now: Time, query: &Action) -> Result<Frame, Refusal> {
    own.in_force(now)?;
    let attributes = attributes(query, FrameType::PrivatePeerIntroductionQuery)?;
    let transaction = attributes.need_u8(AttributeId::TransactionId)?;
    attributes.need_u8(AttributeId::ProtocolVersion)?;
    let mut frame = AttributeWriter::new();
    frame.put_u8(AttributeId::TransactionId, transaction);
    frame.put_u8(AttributeId::ProtocolVersion, own.said());
    frame.put(AttributeId::Connector, own.connector.as_str().as_bytes());
    Ok(action(FrameType::PrivatePeerIntroductionNotify, frame))
}

/// Reads a Private Peer Introduction Update, which our network access key has to open.
///
/// # Errors
/// If the frame is not whole, or our own connector is over.
pub fn updated(own: &Own, now: Time, update: &Action) -> Result<AwaitOpening, Refusal> {
    own.in_force(now)?;
    let attributes = attributes(update, FrameType::PrivatePeerIntroductionUpdate)?;
    attributes.need_u8(AttributeId::TransactionId)?;
    let sealed = Sealed::parse(own.key().curve(), attributes.wrapped()?).map_err(|_| closed())?;
    Ok(AwaitOpening { own: own.clone(), sealed })
}

/// The station's connector is still sealed.
#[derive(Debug)]
pub struct AwaitOpening {
    own: Own,
    sealed: Sealed,
}

impl AwaitOpening {
    /// What our network access key has to multiply: the station's ephemeral key.
    pub const fn point(&self) -> &PublicKey {
        &self.sealed.enc
    }

    /// Opens and judges the connector, with the x coordinate of that product. No station is told of a refusal.
    ///
    /// # Errors
    /// If it does not open, or the connector is not good.
    pub fn agreed(self, now: Time, dh: &Redacted<Vec<u8>>) -> Result<Pending, Refusal> {
        let header = Action::header(FrameType::PrivatePeerIntroductionUpdate);
        let inner = self.sealed.open(self.own.key(), dh.expose(), &[], &header).map_err(|_| closed())?;
        let inner = Attributes::parse(inner.expose())?;
        let version = inner.need_u8(AttributeId::ProtocolVersion)?;
        let connector = inner.need(AttributeId::Connector)?;
        self.own.check(now, connector, Some(version)).map_err(|(_, refusal)| refusal)
    }
}

fn closed() -> Refusal {
    let detail = "what is wrapped cannot be opened: it is for another access point, or was changed on its way";
    Refusal::new(Fault::Peer, "dpp-unwrap", SECTION, detail).field("Wrapped Data")
}

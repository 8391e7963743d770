//! The two frames, and what is refused on the way.

use crate::{
    curve::Curve,
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType},
};
use landfall_types::{Fault, Fingerprint, Refusal};

pub(super) const SECTION: &str = "DPP release 3, push button";

/// The identifier of the code in PKEX.
pub(super) const IDENTIFIER: &str = "PBPKEX";

/// What the enrollee sends to everyone: its key by its chirp hash.
pub(super) fn announcement(key: &Fingerprint) -> Frame {
    let mut frame = AttributeWriter::new();
    frame.put(AttributeId::ResponderBootstrapHash, &key.0);
    Frame::Action(Action { kind: FrameType::PbPresenceAnnouncement, attributes: frame.into_bytes() })
}

/// Whose announcement it is.
pub(super) fn announced(action: &Action) -> Result<Fingerprint, Refusal> {
    Ok(Fingerprint(action.attributes()?.need_array(AttributeId::ResponderBootstrapHash)?))
}

/// A configurator's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The configurator's key, by its chirp hash.
    pub(super) configurator: Fingerprint,
    /// The enrollee's key, as it was announced.
    pub(super) enrollee: Fingerprint,
    /// The configurator's nonce, which is the code.
    pub(super) nonce: Vec<u8>,
}

impl Answer {
    pub(super) fn to_frame(&self) -> Frame {
        let mut frame = AttributeWriter::new();
        frame.put(AttributeId::InitiatorBootstrapHash, &self.configurator.0);
        frame.put(AttributeId::ResponderBootstrapHash, &self.enrollee.0);
        frame.put(AttributeId::ConfiguratorNonce, &self.nonce);
        Frame::Action(Action { kind: FrameType::PbPresenceAnnouncementResponse, attributes: frame.into_bytes() })
    }

    pub(super) fn parse(action: &Action) -> Result<Self, Refusal> {
        let attributes = action.attributes()?;
        let nonce = attributes.need(AttributeId::ConfiguratorNonce)?;
        // The nonce is as long as that of the configurator's curve, which is not known yet.
        if !Curve::ALL.iter().any(|curve| curve.nonce_len() == nonce.len()) {
            let detail = format!("a nonce of {} octets is not that of any curve", nonce.len());
            return Err(Refusal::new(Fault::Malformed, "dpp-pb-nonce", SECTION, detail).field("C-nonce"));
        }
        Ok(Self {
            configurator: Fingerprint(attributes.need_array(AttributeId::InitiatorBootstrapHash)?),
            enrollee: Fingerprint(attributes.need_array(AttributeId::ResponderBootstrapHash)?),
            nonce: nonce.to_vec(),
        })
    }
}

pub(super) fn overlap(detail: &'static str) -> Refusal {
    Refusal::new(Fault::Denied, "dpp-pb-overlap", SECTION, detail)
}

pub(super) fn window() -> Refusal {
    let detail = "nobody whose button was pushed came through in time";
    Refusal::new(Fault::Peer, "dpp-pb-window", SECTION, detail)
}

pub(super) fn other_key() -> Refusal {
    let detail = "the key that the peer reveals is not the one that was announced";
    Refusal::new(Fault::Peer, "dpp-pb-hash", SECTION, detail).field("Bootstrapping Key")
}

pub(super) fn not_pushed(kind: FrameType) -> Refusal {
    let detail = format!("{kind} does not belong here");
    Refusal::new(Fault::Peer, "dpp-order", SECTION, detail)
}

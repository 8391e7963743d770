//! The three frames of authentication, and what is sealed in them (DPP s6.3.2 to s6.3.4, s8.2).

use crate::{
    capabilities::{Capabilities, Role},
    crypto::{Secret, siv},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
};
use landfall_types::{Fault, Fingerprint, Redacted, Refusal};

const SECTION: &str = "DPP s6.3";

/// A frame's fault, for the operator.
pub(super) fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Fault::Malformed, "dpp-frame", SECTION, error.to_string())
}

/// A frame whose last attribute is `inner`, sealed; what stands before is authenticated with it.
pub(super) fn sealed(kind: FrameType, mut outer: AttributeWriter, key: &Secret, inner: AttributeWriter) -> Frame {
    let header = Action::header(kind);
    let sealed = siv::seal(key, &[&header, outer.bytes()], inner.bytes());
    outer.put(AttributeId::WrappedData, &sealed);
    Frame::Action(Action { kind, attributes: outer.into_bytes() })
}

/// Opens what [`sealed`] made.
pub(super) fn opened(kind: FrameType, attributes: &Attributes<'_>, key: &Secret) -> Result<Redacted<Vec<u8>>, Refusal> {
    let header = Action::header(kind);
    let wrapped = attributes.wrapped()?;
    siv::open(key, &[&header, attributes.before_wrapped()], wrapped).map_err(|_| {
        let detail = "what is wrapped cannot be opened: another key, or it was changed on its way";
        Refusal::new(Fault::Peer, "dpp-unwrap", SECTION, detail).field("Wrapped Data")
    })
}

/// Refuses a frame that is for, or about, another bootstrapping key.
pub(super) fn check_hash(attributes: &Attributes<'_>, id: AttributeId, expected: &Fingerprint) -> Result<(), Refusal> {
    let value = attributes.need(id)?;
    if value == expected.0 {
        return Ok(());
    }
    Err(Refusal::new(Fault::Peer, "dpp-bootstrap-hash", SECTION, "the frame is about another bootstrapping key")
        .field("Bootstrapping Key Hash"))
}

/// A hash that may be there.
pub(super) fn hash(attributes: &Attributes<'_>, id: AttributeId) -> Result<Option<Fingerprint>, Refusal> {
    Ok(attributes.one_array(id)?.map(Fingerprint))
}

/// The release that the peer speaks; release 1 does not say (DPP s8.1.1.17).
pub(super) fn version(attributes: &Attributes<'_>) -> Result<u8, Refusal> {
    match attributes.one_u8(AttributeId::ProtocolVersion)? {
        Some(0) => Err(malformed("there is no Protocol Version 0")),
        version => Ok(version.unwrap_or(1)),
    }
}

/// A nonce of the length that the curve has.
pub(super) fn nonce(inner: &Attributes<'_>, id: AttributeId, length: usize) -> Result<Vec<u8>, Refusal> {
    Ok(inner.need_len(id, length)?.to_vec())
}

/// Capabilities, of either side.
pub(super) fn capabilities(inner: &Attributes<'_>, id: AttributeId) -> Result<Capabilities, Refusal> {
    Ok(inner.need_u8(id)?.into())
}

/// What a responder becomes for an initiator that would be `theirs`; a configurator rather than an enrollee if both
/// would do, since an enrollee that could be either has nothing to give.
pub(super) fn complement(ours: Capabilities, theirs: Capabilities) -> Option<Role> {
    [Role::Configurator, Role::Enrollee].into_iter().find(|role| ours.contains(*role) && theirs.contains(role.other()))
}

/// That the two roles do not fit.
pub(super) fn incompatible() -> Refusal {
    let detail = "both would be the same: one must be configurator, the other enrollee";
    Refusal::new(Fault::Incompatible, "dpp-roles", "DPP s6.3.1.5", detail).field("Capabilities")
}

/// That only the responder was authenticated, and that is not enough.
pub(super) fn one_way() -> Refusal {
    let detail = "authentication would be one-way, and both sides must be authenticated";
    Refusal::new(Fault::Denied, "dpp-mutual", "DPP s6.3.1", detail)
}

/// That a side did not prove its key.
pub(super) fn unproved(side: &'static str) -> Refusal {
    let detail = format!("the {side} does not prove that it holds its key");
    Refusal::new(Fault::Peer, "dpp-auth-tag", "DPP s6.3", detail)
}

//! What is read out of the frames of PKEX, and the sealed half of them.

use super::Code;
use crate::{
    crypto::{Secret, siv},
    curve::{Curve, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
};
use landfall_types::{Fault, Refusal};

pub(super) const SECTION: &str = "DPP s5.6";

pub(super) fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Fault::Malformed, "dpp-pkex-frame", SECTION, error.to_string())
}

/// The peer's version, which release 2 says in the clear.
pub(super) fn version(attributes: &Attributes<'_>) -> Result<u8, Refusal> {
    match attributes.need_u8(AttributeId::ProtocolVersion)? {
        0 => Err(malformed("there is no version 0").field("Protocol Version")),
        version => Ok(version),
    }
}

/// Writes the identifier, if the code has one.
pub(super) fn put_identifier(frame: &mut AttributeWriter, code: &Code) {
    if let Some(identifier) = code.identifier() {
        frame.put(AttributeId::CodeIdentifier, identifier.as_bytes());
    }
}

/// Refuses a frame that is about another code.
pub(super) fn check_identifier(attributes: &Attributes<'_>, code: &Code) -> Result<(), Refusal> {
    let theirs = attributes.one(AttributeId::CodeIdentifier)?;
    if theirs == code.identifier().map(str::as_bytes) {
        return Ok(());
    }
    let detail = "the peer means another code";
    Err(Refusal::new(Fault::Peer, "dpp-pkex-identifier", SECTION, detail).field("Code Identifier"))
}

/// The blinded key.
pub(super) fn encrypted_key(attributes: &Attributes<'_>, curve: Curve) -> Result<PublicKey, Refusal> {
    let key = attributes.need(AttributeId::EncryptedKey)?;
    PublicKey::from_wire(curve, key).map_err(|error| malformed(error).field("Encrypted Key"))
}

/// A bootstrapping key with its tag, sealed. `last` is the octet that tells the two frames apart.
pub(super) fn reveal(kind: FrameType, z: &Secret, key: &PublicKey, id: AttributeId, tag: &Secret, last: u8) -> Frame {
    let mut inner = AttributeWriter::new();
    inner.put(AttributeId::BootstrapKey, &key.to_wire());
    inner.put(id, tag.expose());
    let mut outer = AttributeWriter::new();
    outer.put(AttributeId::WrappedData, &siv::seal(z, &[&Action::header(kind), &[last]], inner.bytes()));
    Frame::Action(Action { kind, attributes: outer.into_bytes() })
}

/// What [`reveal`] sealed: the key, and the tag that is still to be checked.
pub(super) fn revealed(
    kind: FrameType,
    attributes: &Attributes<'_>,
    z: &Secret,
    curve: Curve,
    id: AttributeId,
    last: u8,
) -> Result<(PublicKey, Vec<u8>), Refusal> {
    let wrapped = attributes.wrapped()?;
    let inner = siv::open(z, &[&Action::header(kind), &[last]], wrapped).map_err(|_| wrong_code())?;
    let inner = Attributes::parse(inner.expose())?;
    let key = inner.need_len(AttributeId::BootstrapKey, 2 * curve.coordinate_len())?;
    let key = PublicKey::from_wire(curve, key).map_err(|error| malformed(error).field("Bootstrapping Key"))?;
    Ok((key, inner.need_len(id, curve.hash_len())?.to_vec()))
}

pub(super) fn wrong_code() -> Refusal {
    let detail = "what the peer sealed does not open: it has another code, or somebody guesses";
    Refusal::new(Fault::Peer, "dpp-pkex-code", SECTION, detail).field("Wrapped Data")
}

pub(super) fn wrong_tag() -> Refusal {
    let detail = "the peer does not prove that it holds the bootstrapping key that it reveals";
    Refusal::new(Fault::Peer, "dpp-pkex-tag", SECTION, detail).field("Authenticating Tag")
}

pub(super) fn dead() -> Refusal {
    let detail = format!("the code has failed {} times: a new one is needed", Code::ATTEMPTS);
    Refusal::new(Fault::Denied, "dpp-pkex-attempts", SECTION, detail)
}

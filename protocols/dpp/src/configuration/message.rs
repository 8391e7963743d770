//! What is sealed in the frames of configuration (DPP s6.4.2 to s6.4.5). What is authenticated beside it differs: nothing in
//! a request, the status in a response, the header and an empty string in the results.

use crate::{
    crypto::{Secret, siv},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    status::Status,
};
use landfall_types::{Fault, Redacted, Refusal};
use subtle::ConstantTimeEq;

const SECTION: &str = "DPP s6.4";

/// A fault in a message, for the operator.
pub(super) fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Fault::Malformed, "dpp-configuration", SECTION, error.to_string())
}

fn unwrap(_: impl Sized) -> Refusal {
    let detail = "what is wrapped cannot be opened: another key, or it was changed on its way";
    Refusal::new(Fault::Peer, "dpp-unwrap", SECTION, detail).field("Wrapped Data")
}

/// A Configuration Request, as a GAS query.
pub(super) fn request(ke: &Secret, inner: AttributeWriter) -> Vec<u8> {
    let mut query = AttributeWriter::new();
    query.put(AttributeId::WrappedData, &siv::seal(ke, &[], inner.bytes()));
    query.into_bytes()
}

/// Opens a Configuration Request. Whatever stands before the wrapped part is authenticated, if there is anything.
pub(super) fn open_request(ke: &Secret, query: &[u8]) -> Result<Redacted<Vec<u8>>, Refusal> {
    let outer = Attributes::parse(query)?;
    open_beside(ke, &outer)
}

/// A Configuration Response, as a GAS response.
pub(super) fn response(ke: &Secret, status: Status, inner: AttributeWriter) -> Vec<u8> {
    let mut response = AttributeWriter::new();
    response.put(AttributeId::Status, &[status.into()]);
    let sealed = siv::seal(ke, &[response.bytes()], inner.bytes());
    response.put(AttributeId::WrappedData, &sealed);
    response.into_bytes()
}

/// Opens a Configuration Response.
pub(super) fn open_response(ke: &Secret, response: &[u8]) -> Result<(Status, Redacted<Vec<u8>>), Refusal> {
    let outer = Attributes::parse(response)?;
    Ok((outer.status()?, open_beside(ke, &outer)?))
}

fn open_beside(ke: &Secret, outer: &Attributes<'_>) -> Result<Redacted<Vec<u8>>, Refusal> {
    let sealed = outer.wrapped()?;
    match outer.before_wrapped() {
        [] => siv::open(ke, &[], sealed).map_err(unwrap),
        beside => siv::open(ke, &[beside], sealed).map_err(unwrap),
    }
}

/// A Configuration Result or a Connection Status Result.
pub(super) fn result(ke: &Secret, kind: FrameType, inner: AttributeWriter) -> Frame {
    let mut outer = AttributeWriter::new();
    outer.put(AttributeId::WrappedData, &siv::seal(ke, &[&Action::header(kind), &[]], inner.bytes()));
    Frame::Action(Action { kind, attributes: outer.into_bytes() })
}

/// Opens a result and checks that it is of this exchange.
pub(super) fn open_result(ke: &Secret, action: &Action, nonce: &[u8]) -> Result<Redacted<Vec<u8>>, Refusal> {
    let outer = Attributes::parse(&action.attributes)?;
    let sealed = outer.wrapped()?;
    let header = Action::header(action.kind);
    let opened = siv::open(ke, &[&header, outer.before_wrapped()], sealed).map_err(unwrap)?;
    let inner = Attributes::parse(opened.expose())?;
    check_nonce(&inner, nonce)?;
    Ok(opened)
}

/// Refuses what belongs to another request.
pub(super) fn check_nonce(inner: &Attributes<'_>, nonce: &[u8]) -> Result<(), Refusal> {
    let found = inner.need(AttributeId::EnrolleeNonce)?;
    if bool::from(found.ct_eq(nonce)) {
        return Ok(());
    }
    Err(Refusal::new(Fault::Peer, "dpp-nonce", SECTION, "the answer is to another request").field("E-nonce"))
}

/// A new E-nonce that has to be answered with.
pub(super) fn nonce_of(inner: &Attributes<'_>, length: usize) -> Result<Vec<u8>, Refusal> {
    Ok(inner.need_len(AttributeId::EnrolleeNonce, length)?.to_vec())
}

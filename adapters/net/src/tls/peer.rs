//! From rustls' view of a peer to the cores'.

use super::{binding, record::Tape};
use crate::NetError;
use landfall_brski::TlsPeer;
use landfall_pki::Certificate;
use landfall_types::{Fault, Refusal};
use rustls::ConnectionCommon;

/// What the cores are told about the other end of a connection whose handshake has just ended.
pub(super) fn of<D>(
    connection: &ConnectionCommon<D>,
    secret: &binding::MasterSecret,
    tape: Option<Tape>,
    side: binding::Side,
) -> Result<TlsPeer, NetError> {
    let binding = binding::of(connection, secret, tape, side);
    let presented = connection.peer_certificates().unwrap_or_default();
    let chain = presented.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>().map_err(|error| {
        NetError::Refused(Refusal::new(Fault::Malformed, "tls-certificate", "RFC 5280 s4.1", error.to_string()))
    })?;
    Ok(TlsPeer { chain, binding })
}

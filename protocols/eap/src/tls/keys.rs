//! The keys that both ends of an EAP-TLS conversation come to (RFC 5216 s2.3; with TLS 1.3, RFC 9190 s2.3).

use crate::packet;
use landfall_types::Redacted;
use rustls::{ConnectionCommon, ProtocolVersion};

/// Keys for the link between device and access point.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The master session key.
    pub msk: Redacted<[u8; 64]>,
    /// The extended master session key, which stays with device and server.
    pub emsk: Redacted<[u8; 64]>,
}

impl Keys {
    /// Of a connection whose handshake is over.
    pub(super) fn of<D>(connection: &ConnectionCommon<D>) -> Option<Self> {
        let (label, context): (&[u8], _) = match connection.protocol_version()? {
            // RFC 9190 s2.3: the context is the type of the method.
            ProtocolVersion::TLSv1_3 => (b"EXPORTER_EAP_TLS_Key_Material", Some([packet::TLS])),
            ProtocolVersion::TLSv1_2 => (b"client EAP encryption", None),
            _ => return None,
        };
        let context = context.as_ref().map(<[u8; 1]>::as_slice);
        let material = Redacted::new(connection.export_keying_material([0; 128], label, context).ok()?);
        let half = |from: usize| Some(Redacted::new(*material.expose().get(from..)?.first_chunk()?));
        Some(Self { msk: half(0)?, emsk: half(64)? })
    }
}

//! What a TLS connection says of the other side.

use landfall_pki::Certificate;

/// The other side of a TLS connection, as it showed itself: the handshake signature has been verified with the first
/// certificate's key, and nothing else has been decided.
#[derive(Clone, Debug)]
pub struct TlsPeer {
    /// The certificates as presented, the peer's own first (RFC 8446 s4.4.2).
    pub chain: Vec<Certificate>,
    /// What binds a message to this connection.
    pub binding: ChannelBinding,
}

impl TlsPeer {
    /// The peer's own certificate.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.chain.first()
    }
}

/// Values that only the two ends of one TLS connection know (RFC 5056), as far as its version has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelBinding {
    /// `tls-exporter` (RFC 9266 s2): 32 bytes.
    pub tls_exporter: Option<[u8; 32]>,
    /// `tls-unique` (RFC 5929 s3), which TLS 1.3 does not have.
    pub tls_unique: Option<Vec<u8>>,
}

impl ChannelBinding {
    /// The better of the two, if the connection has any.
    pub fn value(&self) -> Option<&[u8]> {
        self.tls_exporter.as_ref().map(<[u8; 32]>::as_slice).or(self.tls_unique.as_deref())
    }
}

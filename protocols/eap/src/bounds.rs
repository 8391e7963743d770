//! How much is read, and kept, of anything that a peer sends.

/// A RADIUS packet, in octets (RFC 2865 s3).
pub const RADIUS: usize = 4096;
/// A value of a RADIUS attribute, in octets (RFC 2865 s5).
pub const VALUE: usize = 253;
/// A password in a RADIUS attribute, in octets: what fits beside its salt, in whole blocks.
pub const PASSWORD: usize = 239;
/// A TLS flight that comes in fragments, in octets: a chain of ten large certificates.
pub const FLIGHT: usize = 64 * 1024;
/// An EAP identity, in octets.
pub const IDENTITY: usize = 253;
/// Octets of an EAP packet where nobody says how large a frame is (RFC 3579 s2.4 speaks of 1500 on Ethernet).
pub const EAP: usize = 1400;
/// The smallest EAP packet that a device may be sent: every link carries so much (RFC 3748 s3.1).
pub const SMALLEST_EAP: usize = 256;
/// Requests in one conversation. The largest flight in the smallest fragments, both ways, stays below.
pub const ROUNDS: u32 = 512;
/// Conversations at once.
pub const CONVERSATIONS: usize = 16_384;
/// Answers that are kept for those who ask again.
pub const ANSWERS: usize = 32_768;
/// An EAPOL frame without its Ethernet header, in octets: what Ethernet carries.
pub const EAPOL: usize = 1500;

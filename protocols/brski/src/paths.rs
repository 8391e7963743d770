//! Where each operation is asked for: paths below the origin of a registrar or a MASA.

/// Pledge to registrar and registrar to MASA: ask for a voucher (RFC 8995 s5.2, s5.5).
pub const REQUEST_VOUCHER: &str = "/.well-known/brski/requestvoucher";
/// Pledge to registrar: whether the voucher was acceptable (RFC 8995 s5.7).
pub const VOUCHER_STATUS: &str = "/.well-known/brski/voucher_status";
/// Registrar to MASA: who has had vouchers for a device (RFC 8995 s5.8).
pub const REQUEST_AUDIT_LOG: &str = "/.well-known/brski/requestauditlog";
/// Pledge to registrar: whether enrolment worked (RFC 8995 s5.9.4).
pub const ENROLL_STATUS: &str = "/.well-known/brski/enrollstatus";

/// Below this stands every EST operation, after an optional label (RFC 7030 s3.2.2).
pub const EST: &str = "/.well-known/est/";
/// The CA certificates (RFC 7030 s4.1).
pub const CACERTS: &str = "/.well-known/est/cacerts";
/// Enrol (RFC 7030 s4.2.1).
pub const SIMPLE_ENROLL: &str = "/.well-known/est/simpleenroll";
/// Renew or rekey (RFC 7030 s4.2.2).
pub const SIMPLE_REENROLL: &str = "/.well-known/est/simplereenroll";
/// Full CMC (RFC 7030 s4.3).
pub const FULL_CMC: &str = "/.well-known/est/fullcmc";
/// Enrol with a key that the server makes (RFC 7030 s4.4).
pub const SERVER_KEYGEN: &str = "/.well-known/est/serverkeygen";
/// A nonce for evidence in a request (draft-ietf-lamps-attestation-freshness s5).
pub const NONCE: &str = "/.well-known/est/nonce";
/// What a request should hold (RFC 7030 s4.5).
pub const CSR_ATTRIBUTES: &str = "/.well-known/est/csrattrs";

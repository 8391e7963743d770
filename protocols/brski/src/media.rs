//! Media types, as they are sent. Compare received ones by their [essence](landfall_types::http::essence).

/// A voucher or request as JSON in CMS (RFC 8366 s8.3).
pub const VOUCHER_CMS: &str = "application/voucher-cms+json";
/// A voucher or request as JSON in JWS, general serialisation (draft-ietf-anima-jws-voucher).
pub const VOUCHER_JWS: &str = "application/voucher-jws+json";
/// A voucher or request as CBOR in COSE (draft-ietf-anima-constrained-voucher s15).
pub const VOUCHER_COSE: &str = "application/voucher+cose";
/// What older drafts called [`VOUCHER_COSE`]: accepted, never sent.
pub const VOUCHER_COSE_OLD: &str = "application/voucher-cose+cbor";
/// Status telemetry and audit logs (RFC 8995 s5.7, s5.8.1, s5.9.4).
pub const JSON: &str = "application/json";

/// A certificate request (RFC 7030 s4.2.1).
pub const PKCS10: &str = "application/pkcs10";
/// CA certificates (RFC 7030 s4.1.3).
pub const PKCS7: &str = "application/pkcs7-mime";
/// An issued certificate (RFC 7030 s4.2.3).
pub const PKCS7_CERTS_ONLY: &str = "application/pkcs7-mime; smime-type=certs-only";
/// CSR attributes (RFC 7030 s4.5.2).
pub const CSR_ATTRIBUTES: &str = "application/csrattrs";
/// A private key (RFC 7030 s4.4.2).
pub const PKCS8: &str = "application/pkcs8";
/// Key and certificate together (RFC 7030 s4.4.2).
pub const MULTIPART_MIXED: &str = "multipart/mixed";
/// An error, for people (RFC 8995 s5.6, RFC 8951 s5).
pub const TEXT: &str = "text/plain; charset=utf-8";

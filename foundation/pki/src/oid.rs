//! Object identifiers, by the names that their specifications give them.

pub use const_oid::ObjectIdentifier as Oid;

macro_rules! oids {
    ($($(#[$doc:meta])* $name:ident = $dotted:literal;)*) => {
        $($(#[$doc])* pub const $name: Oid = Oid::new_unwrap($dotted);)*
    };
}

oids! {
    /// TLS server (RFC 5280 s4.2.1.12).
    SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
    /// TLS client (RFC 5280 s4.2.1.12).
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
    /// Registration authority (RFC 6402 s2.10), which RFC 8995 s5.5.4 asks of a registrar.
    CMC_RA = "1.3.6.1.5.5.7.3.28";
    /// Signing documents (RFC 9336 s3.1).
    DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36";
    /// A policy: that the issuer has verified that the key lives in a TPM (TCG OID Registry).
    TPM_RESIDENCY = "2.23.133.11.1.1";
    /// A policy: and that it cannot leave it.
    TPM_FIXED = "2.23.133.11.1.2";
    /// A policy: that the key signs only what its TPM says.
    TPM_RESTRICTED = "2.23.133.11.1.3";
    /// The attribute of requests that proves where their key lives (draft-ietf-lamps-csr-attestation).
    KEY_ATTESTATION = "1.2.840.113549.1.9.16.2.59";
    /// A statement by TPM2_Certify in it (TCG OID Registry).
    TPM_CERTIFY = "2.23.133.20.1";
    /// A conceptual message wrapper (draft-ietf-rats-msg-wrap): evidence of another kind in it.
    CMW = "1.3.6.1.5.5.7.1.35";
    /// Any purpose (RFC 5280 s4.2.1.12).
    ANY_EKU = "2.5.29.37.0";
    /// MASA URL (RFC 8995 s2.3.2).
    MASA_URL = "1.3.6.1.5.5.7.1.32";
    /// MUD URL (RFC 8520 s11).
    MUD_URL = "1.3.6.1.5.5.7.1.25";
    /// Who signs the MUD file (RFC 8520 s11).
    MUD_SIGNER = "1.3.6.1.5.5.7.1.30";
    /// Hardware module name, an otherName (RFC 4108 s5).
    HARDWARE_MODULE_NAME = "1.3.6.1.5.5.7.8.4";
    /// A voucher in JSON (RFC 8366 s5.4).
    VOUCHER_CONTENT = "1.2.840.113549.1.9.16.1.40";
    /// Plain content (RFC 5652 s4).
    DATA = "1.2.840.113549.1.7.1";
    /// Signed content (RFC 5652 s5.1).
    SIGNED_DATA = "1.2.840.113549.1.7.2";
    /// The content-type attribute (RFC 5652 s11.1).
    CONTENT_TYPE = "1.2.840.113549.1.9.3";
    /// The message-digest attribute (RFC 5652 s11.2).
    MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
    /// The signing-time attribute (RFC 5652 s11.3).
    SIGNING_TIME = "1.2.840.113549.1.9.5";
    /// The challengePassword attribute (RFC 2985 s5.4.1).
    CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7";
    /// The extensionRequest attribute (RFC 2985 s5.4.2).
    EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
    /// SHA-256 (RFC 5754 s2).
    SHA256 = "2.16.840.1.101.3.4.2.1";
    /// SHA-384 (RFC 5754 s2).
    SHA384 = "2.16.840.1.101.3.4.2.2";
    /// SHA-512 (RFC 5754 s2).
    SHA512 = "2.16.840.1.101.3.4.2.3";
    /// A key on an elliptic curve (RFC 5480 s2.1.1).
    EC_PUBLIC_KEY = "1.2.840.10045.2.1";
    /// The curve P-256 (RFC 5480 s2.1.1.1).
    P256 = "1.2.840.10045.3.1.7";
    /// The curve P-384 (RFC 5480 s2.1.1.1).
    P384 = "1.3.132.0.34";
    /// The curve P-521 (RFC 5480 s2.1.1.1).
    P521 = "1.3.132.0.35";
    /// ECDSA over SHA-256 (RFC 5758 s3.2).
    ECDSA_SHA256 = "1.2.840.10045.4.3.2";
    /// ECDSA over SHA-384 (RFC 5758 s3.2).
    ECDSA_SHA384 = "1.2.840.10045.4.3.3";
    /// ECDSA over SHA-512 (RFC 5758 s3.2).
    ECDSA_SHA512 = "1.2.840.10045.4.3.4";
    /// Ed25519, key and signature (RFC 8410 s3).
    ED25519 = "1.3.101.112";
    /// An RSA key, and in CMS also a PKCS #1 v1.5 signature whose digest stands elsewhere (RFC 8017 A.1).
    RSA = "1.2.840.113549.1.1.1";
    /// RSA PKCS #1 v1.5 over SHA-256 (RFC 4055 s5).
    RSA_SHA256 = "1.2.840.113549.1.1.11";
    /// RSA PKCS #1 v1.5 over SHA-384 (RFC 4055 s5).
    RSA_SHA384 = "1.2.840.113549.1.1.12";
    /// RSA PKCS #1 v1.5 over SHA-512 (RFC 4055 s5).
    RSA_SHA512 = "1.2.840.113549.1.1.13";
    /// RSA-PSS (RFC 4055 s3.1).
    RSA_PSS = "1.2.840.113549.1.1.10";
    /// Mask generation function 1 (RFC 4055 s2.2).
    MGF1 = "1.2.840.113549.1.1.8";
    /// Subject key identifier (RFC 5280 s4.2.1.2).
    SUBJECT_KEY_ID = "2.5.29.14";
    /// Key usage (RFC 5280 s4.2.1.3).
    KEY_USAGE = "2.5.29.15";
    /// Subject alternative names (RFC 5280 s4.2.1.6).
    SUBJECT_ALT_NAME = "2.5.29.17";
    /// Basic constraints (RFC 5280 s4.2.1.9).
    BASIC_CONSTRAINTS = "2.5.29.19";
    /// CRL number (RFC 5280 s5.2.3).
    CRL_NUMBER = "2.5.29.20";
    /// Reason of a revocation (RFC 5280 s5.3.1).
    CRL_REASON = "2.5.29.21";
    /// Delta CRL indicator (RFC 5280 s5.2.4).
    DELTA_CRL = "2.5.29.27";
    /// Issuing distribution point (RFC 5280 s5.2.5).
    ISSUING_DISTRIBUTION_POINT = "2.5.29.28";
    /// Name constraints (RFC 5280 s4.2.1.10).
    NAME_CONSTRAINTS = "2.5.29.30";
    /// CRL distribution points (RFC 5280 s4.2.1.13).
    CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    /// Certificate policies (RFC 5280 s4.2.1.4).
    CERTIFICATE_POLICIES = "2.5.29.32";
    /// Authority key identifier (RFC 5280 s4.2.1.1).
    AUTHORITY_KEY_ID = "2.5.29.35";
    /// Extended key usage (RFC 5280 s4.2.1.12).
    EXTENDED_KEY_USAGE = "2.5.29.37";
    /// Common name (X.520).
    COMMON_NAME = "2.5.4.3";
    /// Serial number of a thing (X.520), where an IDevID names its device (IEEE 802.1AR-2018 s8.6).
    SERIAL_NUMBER = "2.5.4.5";
    /// Country (X.520).
    COUNTRY = "2.5.4.6";
    /// Organization (X.520).
    ORGANIZATION = "2.5.4.10";
    /// Organizational unit (X.520).
    ORGANIZATIONAL_UNIT = "2.5.4.11";
}

/// What people call it, for messages: a name where this crate knows one that they would recognise, else the numbers.
pub fn name(oid: Oid) -> String {
    let known = match oid {
        SERVER_AUTH => "serverAuth",
        CLIENT_AUTH => "clientAuth",
        CMC_RA => "cmcRA",
        DOCUMENT_SIGNING => "documentSigning",
        TPM_RESIDENCY => "key verified to be in a TPM",
        TPM_FIXED => "key verified not to leave its TPM",
        TPM_RESTRICTED => "key verified to attest only",
        KEY_ATTESTATION => "key attestation",
        ANY_EKU => "anyExtendedKeyUsage",
        MASA_URL => "MASA URL",
        MUD_URL => "MUD URL",
        MUD_SIGNER => "MUD signer",
        SUBJECT_KEY_ID => "subject key identifier",
        AUTHORITY_KEY_ID => "authority key identifier",
        KEY_USAGE => "key usage",
        EXTENDED_KEY_USAGE => "extended key usage",
        BASIC_CONSTRAINTS => "basic constraints",
        SUBJECT_ALT_NAME => "subject alternative names",
        CRL_DISTRIBUTION_POINTS => "CRL distribution points",
        CERTIFICATE_POLICIES => "certificate policies",
        NAME_CONSTRAINTS => "name constraints",
        VOUCHER_CONTENT => "voucher in JSON",
        DATA => "data",
        _ => return oid.to_string(),
    };
    known.into()
}

//! Keys as identifiers: issuers by did:jwk, which holds the key itself; subjects by the digest of theirs (RFC 6920).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_pki::{PkiError, PublicKey};
use landfall_types::{Fingerprint, json};

const DID: &str = "did:jwk:";
const DIGEST: &str = "ni:///sha-256;";

/// A key as `did:jwk:…`. None for keys that have no JWK.
pub fn did(key: &PublicKey) -> Option<String> {
    Some(format!("{DID}{}", URL_SAFE_NO_PAD.encode(key.to_jwk()?.to_string())))
}

/// The key in `did:jwk:…`, without the part after `#`.
///
/// # Errors
/// If it is none, or holds another kind of key.
pub fn key_of(did: &str) -> Result<PublicKey, PkiError> {
    let wrong = |why: &str| PkiError::Malformed { what: "did:jwk", why: why.to_owned() };
    let text = did.strip_prefix(DID).ok_or_else(|| wrong("it does not begin so"))?;
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    let jwk = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong("it is not base64url"))?;
    PublicKey::from_jwk(&json::parse(&jwk).map_err(|_| wrong("it holds no JSON"))?)
}

/// The SHA-256 of a key (its SubjectPublicKeyInfo) as `ni:///sha-256;…`.
pub fn ni(fingerprint: Fingerprint) -> String {
    format!("{DIGEST}{}", URL_SAFE_NO_PAD.encode(fingerprint.0))
}

/// The digest in `ni:///sha-256;…`.
pub fn fingerprint_of(text: &str) -> Option<Fingerprint> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(DIGEST)?).ok()?;
    Some(Fingerprint(bytes.try_into().ok()?))
}

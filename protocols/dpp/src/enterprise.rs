//! Certificates for 802.1X: the request is signed by the protocol key and bound to the exchange (DPP s6.4.3.7).

use crate::{
    crypto::{self, Secret},
    curve::{Curve, PrivateKey, PublicKey},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use landfall_pki::{Algorithm, Csr, CsrRequest, Name, der_from_fixed};
use landfall_types::{Fault, Redacted, Refusal};

const SECTION: &str = "DPP s6.4.3.7";
/// The length in octets of what binds a request to its exchange.
const BINDING_LEN: usize = 64;

fn refused(check: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Peer, check, SECTION, detail).field("pkcs10")
}

/// CsrAttrs (RFC 7030 s4.5.2) with challengePassword alone, which is all that DPP needs.
pub fn challenge_password_only() -> Vec<u8> {
    vec![0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07]
}

/// CsrAttrs as a CSR Attributes Request carries them: base64.
pub fn attributes_text(der: &[u8]) -> String {
    BASE64_STANDARD.encode(der)
}

/// The DER in a CSR Attributes Request.
pub fn attributes_of_text(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    BASE64_STANDARD
        .decode(text)
        .map_err(|_| Refusal::new(Fault::Malformed, "dpp-csr-attributes", SECTION, "it is not base64"))
}

/// What the challengePassword of a request must be.
fn binding(bk: &Secret, curve: Curve) -> Redacted<String> {
    let octets = crypto::expand(curve, bk, &[b"CSR challengePassword"], BINDING_LEN);
    Redacted::new(BASE64_STANDARD.encode(octets.expose()))
}

/// A certificate request for `key`, bound to an exchange on `curve` by `bk`.
pub fn request(name: &str, key: &PrivateKey, bk: &Secret, curve: Curve, attributes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let failed = |error: &dyn std::fmt::Display| refused("dpp-csr", error.to_string());
    let _ = attributes;
    let public = landfall_pki::PublicKey::from_spki_der(&key.public().spki()).map_err(|e| failed(&e))?;
    let algorithm = Algorithm::of(public.kind()).ok_or_else(|| {
        refused("dpp-csr", format!("no certificate request can be made with a key on {}", key.curve()))
    })?;
    let request = CsrRequest { challenge_password: Some(binding(bk, curve)), ..CsrRequest::new(Name::common(name)) };
    let prepared = request.prepare(&public, algorithm).map_err(|e| failed(&e))?;
    let signature = key.sign(prepared.to_be_signed()).map_err(|e| failed(&e))?;
    let signature = der_from_fixed(algorithm, &signature).map_err(|e| failed(&e))?;
    Ok(prepared.sign(&signature).map_err(|e| failed(&e))?.der().to_vec())
}

/// Refuses a request that is not signed by `key`, or not bound to this exchange.
pub fn check(der: &[u8], key: &PublicKey, bk: &Secret, curve: Curve) -> Result<(), Refusal> {
    let csr = Csr::from_der(der).map_err(|e| refused("dpp-csr", e.to_string()))?;
    let own = PublicKey::from_spki(csr.public_key().spki_der());
    if own.as_ref() != Ok(key) {
        return Err(refused("dpp-csr-key", "the request is for another key than the protocol key"));
    }
    csr.verify_possession().map_err(|e| refused("dpp-csr-signature", e.to_string()))?;
    let password = Redacted::new(csr.challenge_password().unwrap_or_default());
    let same = Secret::new(binding(bk, curve).expose().clone().into_bytes());
    if !same.matches(password.expose().as_bytes()) {
        return Err(refused("dpp-csr-binding", "the challengePassword is not of this exchange"));
    }
    Ok(())
}

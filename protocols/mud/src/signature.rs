//! Who signed a file (RFC 8520 s13).
//!
//! The signature is a detached CMS message over the very bytes of the file. The owner says which authorities may vouch for
//! whom; a device's IDevID may say more narrowly by whom its file is signed (s11).

use crate::bounds;
use landfall_pki::{
    Anchors, Certificate, PkiError, Signer,
    cms::{ContentDigest, SignedData, SignedDataBuilder},
    extension::KeyUsage,
    path::{self, PathPolicy},
};
use landfall_types::{Fault, Refusal, Time};

const VERIFY: &str = "RFC 8520 s13.2";

/// Who may sign.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Authorities whose signers are believed.
    pub anchors: Anchors,
    /// The subject that the device's IDevID names (RFC 8520 s11), in the form of RFC 4514.
    pub signer: Option<String>,
    /// Certificates between signers and authorities that are known beside those in the signature.
    pub intermediates: Vec<Certificate>,
}

/// A signature that was found good.
#[derive(Clone, Debug)]
pub struct Signed {
    /// By whom.
    pub signer: Certificate,
    /// When, as the signer says.
    pub at: Option<Time>,
}

/// Checks that `signature` is over `file`, by someone who may sign it, whose certificate was good when it was made.
///
/// A signature without a time is held against `now`, and so is one whose time has not come. What a signer says of the time
/// nobody else vouches for: who holds the key of a signer that has expired can sign with a time of before, so a key that has got
/// into wrong hands is shut out by its authority, or by the anchors that the owner has.
///
/// # Errors
/// By name: `mud-signature-form`, `mud-signature` (not over these bytes, or not by that key), `mud-signature-time`,
/// `mud-signer-path` with what was found on the way to the authorities, `mud-signer-usage`, `mud-signer` (another one than the
/// device's certificate names).
pub fn verify(file: &[u8], signature: &[u8], expected: &Expected, now: Time) -> Result<Signed, Refusal> {
    let refuse = |fault, check, why: String| Err(Refusal::new(fault, check, VERIFY, why));
    if signature.len() > bounds::SIGNATURE {
        return refuse(Fault::Malformed, "mud-signature-form", "it is too long".into());
    }
    let message = SignedData::parse(signature).map_err(form)?;
    let mut digest = message.content_digest().map_err(form)?;
    digest.update(file);
    let signer = message
        .verify_detached(digest)
        .map_err(|why| Refusal::new(Fault::Peer, "mud-signature", VERIFY, why.to_string()))?;
    let at = message.signing_time();
    if at.is_some_and(|at| at > now) {
        return refuse(Fault::Peer, "mud-signature-time", "it is from a time that has not come".into());
    }
    // RFC 8520 s13.1: digitalSignature, if the certificate says at all what its key is for.
    if signer.key_usage().is_some_and(|usage| !usage.allows(KeyUsage::DIGITAL_SIGNATURE)) {
        return refuse(Fault::Peer, "mud-signer-usage", "the signer's key is not for signatures".into());
    }
    let between = [message.certificates(), &expected.intermediates].concat();
    let policy = PathPolicy::at(at.unwrap_or(now));
    path::validate(&signer, &between, &expected.anchors, &policy).map_err(|why| {
        let found = format!("{}: {} [{}]", why.check, why.detail, why.section);
        Refusal::new(why.fault, "mud-signer-path", VERIFY, found)
    })?;
    // RFC 8520 s11: the subject that the device's certificate names is the one of who signs.
    if let Some(name) = expected.signer.as_ref().filter(|name| **name != signer.subject()) {
        let why = format!("it is signed by {}, and the device's certificate names {name}", signer.subject());
        return Err(Refusal::new(Fault::Peer, "mud-signer", "RFC 8520 s11", why));
    }
    Ok(Signed { signer, at })
}

fn form(why: PkiError) -> Refusal {
    Refusal::new(Fault::Malformed, "mud-signature-form", VERIFY, why.to_string())
}

/// Signs a file: the detached message that is put beside it. `chain` is the signer's certificate first, then those up to its
/// authority.
///
/// # Errors
/// If there is no certificate, or the key does not sign.
pub fn sign(file: &[u8], chain: &[Certificate], key: &dyn Signer, at: Time) -> Result<Vec<u8>, PkiError> {
    let (signer, above) = chain.split_first().ok_or_else(|| PkiError::Misuse("there is no certificate".into()))?;
    let mut digest = ContentDigest::for_signer(signer)?;
    digest.update(file);
    SignedDataBuilder::detached(digest, signer, above.iter().cloned()).prepare(Some(at))?.issue(key)
}

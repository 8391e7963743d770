//! What a certificate request holds (RFC 7030 s4.2, s4.5; RFC 8995 s5.9.2).

use crate::{
    ChannelBinding,
    est::{
        binding,
        csrattrs::{CsrAttrs, EC_PUBLIC_KEY, ExtensionWish, RSA_ENCRYPTION},
    },
};
use landfall_pki::{Algorithm, AltName, Certificate, CsrRequest, Name, extension::Extension, oid};
use landfall_types::{Fault, Redacted, Refusal};

const SECTION: &str = "RFC 7030 s4.5.2";

/// Whom a certificate is for.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: Name,
    pub(super) alt_names: Vec<AltName>,
    /// RFC 7030 s4.2.2: names of a certificate that is renewed stay as they are, whatever the registrar wishes.
    pub(super) fixed: bool,
}

impl Subject {
    /// A device that asks for its first LDevID: all it knows of itself is what its IDevID says (RFC 8995 s5.9.2).
    pub(super) fn of_idevid(idevid: &Certificate) -> Self {
        Self { name: idevid.subject_name(), alt_names: Vec::new(), fixed: false }
    }

    /// A device that renews `ldevid`.
    pub(super) fn of_ldevid(ldevid: &Certificate) -> Self {
        Self { name: ldevid.subject_name(), alt_names: ldevid.alt_names().to_vec(), fixed: true }
    }

    /// The request, with what the registrar wishes and what links it to the connection if that is wished.
    pub(super) fn request(&self, wishes: &CsrAttrs, channel: &ChannelBinding) -> Result<CsrRequest, Refusal> {
        let challenge_password = match wishes.wants_binding() {
            true => Some(binding::challenge_password(channel).ok_or_else(|| {
                let detail = "the registrar asks for a channel binding, and this connection has none";
                Refusal::new(Fault::Incompatible, "csr-binding", "RFC 7030 s3.5", detail).field("challengePassword")
            })?),
            false => None,
        };
        Ok(CsrRequest {
            subject: self.name.clone(),
            alt_names: self.alt_names.clone(),
            extensions: self.extensions(wishes),
            challenge_password: challenge_password.map(Redacted::new),
            attributes: Vec::new(),
        })
    }

    /// The extensions that the registrar gave with their values; a mere type asks for a value that the device does not
    /// have, and RFC 7030 s4.5.2 tells clients to pass over what they do not recognise.
    fn extensions(&self, wishes: &CsrAttrs) -> Vec<Extension> {
        let given = wishes.extensions().into_iter().filter_map(|wish| match wish {
            ExtensionWish::Value(extension) => Some(extension),
            ExtensionWish::Type(_) => None,
        });
        given.filter(|extension| !(self.fixed && extension.oid == oid::SUBJECT_ALT_NAME)).collect()
    }
}

/// The kind of key to make: what the registrar wishes, else `usual`.
///
/// RFC 7030 s4.5.2: a key type is an attribute with the curve as value; a signature scheme is a bare name.
pub(super) fn algorithm(wishes: &CsrAttrs, usual: Algorithm) -> Result<Algorithm, Refusal> {
    let unknown = |what: String| {
        Err(Refusal::new(Fault::Incompatible, "csr-key-type", SECTION, what).field("subjectPublicKeyInfo"))
    };
    if wishes.values(EC_PUBLIC_KEY).next().is_some() {
        return match wishes.curve() {
            Some(oid::P256) => Ok(Algorithm::EcdsaP256),
            Some(oid::P384) => Ok(Algorithm::EcdsaP384),
            Some(other) => unknown(format!("the registrar asks for a key on the curve {other}")),
            None => unknown("the registrar asks for a key on a curve that it does not name".into()),
        };
    }
    if wishes.values(RSA_ENCRYPTION).next().is_some() || wishes.names(RSA_ENCRYPTION) {
        return unknown("the registrar asks for an RSA key".into());
    }
    let wished = [
        (oid::ED25519, Algorithm::Ed25519),
        (oid::ECDSA_SHA256, Algorithm::EcdsaP256),
        (oid::ECDSA_SHA384, Algorithm::EcdsaP384),
    ];
    let mut wished = wished.into_iter().filter(|(name, _)| wishes.names(*name)).map(|(_, algorithm)| algorithm);
    match wished.next() {
        // Several schemes are a choice.
        Some(first) if first != usual && !wished.any(|other| other == usual) => Ok(first),
        _ => Ok(usual),
    }
}

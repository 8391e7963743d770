//! Objects in a token: finding them, and reading what they are.

use crate::{Pkcs11Uri, trouble::Failed};
use cryptoki::{
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use landfall_element::{ElementError, Trouble};
use landfall_pki::{Algorithm, KeyKind, PublicKey};
use landfall_types::KeyUri;

/// The named curves in DER (RFC 5480 s2.1.1.1).
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";

/// What a key's URI says of the key.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) label: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
}

impl Query {
    pub(crate) fn labelled(label: &str) -> Self {
        Self { label: Some(label.into()), id: None }
    }

    pub(crate) fn of(uri: &Pkcs11Uri) -> Result<Self, ElementError> {
        let query = Self { label: uri.object.clone(), id: uri.id.clone() };
        match (&query.label, &query.id) {
            (None, None) => Err(ElementError::Label { label: String::new(), why: "it names neither object nor id" }),
            _ => Ok(query),
        }
    }

    pub(crate) fn template(&self, class: ObjectClass) -> Vec<Attribute> {
        let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
        template.extend(self.label.clone().map(Attribute::Label));
        template.extend(self.id.clone().map(Attribute::Id));
        template
    }

    /// The one private key that is meant.
    pub(crate) fn one(&self, session: &Session, key: &KeyUri) -> Result<ObjectHandle, Failed> {
        match session.find_objects(&self.template(ObjectClass::PRIVATE_KEY))?.as_slice() {
            [] => Err(ElementError::Missing(key.clone()).into()),
            [one] => Ok(*one),
            _ => {
                Err(ElementError::hardware(Trouble::Failed, format!("{key} names more than one key; add its id"))
                    .into())
            }
        }
    }
}

/// The objects of that class which belong to a private key: those with its id, or without one with its label.
pub(crate) fn siblings(session: &Session, key: ObjectHandle, class: ObjectClass) -> Result<Vec<ObjectHandle>, Failed> {
    let id = bytes(session, key, AttributeType::Id)?;
    let by = match id.is_empty() {
        true => Attribute::Label(bytes(session, key, AttributeType::Label)?),
        false => Attribute::Id(id),
    };
    Ok(session.find_objects(&[Attribute::Class(class), Attribute::Token(true), by])?)
}

/// An attribute that is octets; empty if there is none.
pub(crate) fn bytes(session: &Session, object: ObjectHandle, which: AttributeType) -> Result<Vec<u8>, Failed> {
    let found = session.get_attributes(object, &[which])?.into_iter().next();
    Ok(match found {
        Some(
            Attribute::Label(value)
            | Attribute::Id(value)
            | Attribute::EcParams(value)
            | Attribute::EcPoint(value)
            | Attribute::Value(value),
        ) => value,
        _ => Vec::new(),
    })
}

pub(crate) fn flag(session: &Session, object: ObjectHandle, which: AttributeType) -> Result<bool, Failed> {
    let found = session.get_attributes(object, &[which])?.into_iter().next();
    Ok(matches!(found, Some(Attribute::Sensitive(true) | Attribute::Extractable(true))))
}

pub(crate) fn curve(algorithm: Algorithm) -> Result<Vec<u8>, ElementError> {
    match algorithm {
        Algorithm::EcdsaP256 => Ok(P256.to_vec()),
        Algorithm::EcdsaP384 => Ok(P384.to_vec()),
        Algorithm::Ed25519 => Err(ElementError::Unsupported("make Ed25519 keys")),
    }
}

pub(crate) fn algorithm_on(curve: &[u8]) -> Result<Algorithm, ElementError> {
    match curve {
        P256 => Ok(Algorithm::EcdsaP256),
        P384 => Ok(Algorithm::EcdsaP384),
        _ => Err(ElementError::Unsupported("use keys that are not on P-256 or P-384")),
    }
}

pub(crate) fn algorithm(key: &PublicKey) -> Result<Algorithm, ElementError> {
    match key.kind() {
        KeyKind::P256 => Ok(Algorithm::EcdsaP256),
        KeyKind::P384 => Ok(Algorithm::EcdsaP384),
        _ => Err(ElementError::Unsupported("use keys that are not on P-256 or P-384")),
    }
}

/// PKCS#11 v3.0 s2.3.3 has points in an OCTET STRING; some tokens leave it away.
pub(crate) fn bare_point(value: &[u8]) -> &[u8] {
    match value {
        [4, length, point @ ..] if usize::from(*length) == point.len() && point.first() == Some(&4) => point,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_taken_out_of_its_octet_string() {
        let point = [&[4][..], &[7; 64]].concat();
        assert_eq!(bare_point(&[&[4, 65][..], &point].concat()), point);
        assert_eq!(bare_point(&point), point);
        assert_eq!(bare_point(&[]), [0; 0]);
    }
}

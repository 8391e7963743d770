//! Certificates beside a key, as objects that other programs find too: the leaf has the key's label and id, and the CA
//! certificates above it the label with a number.

use crate::{
    Pkcs11Element,
    object::{bytes, siblings},
    public_key,
    trouble::Failed,
};
use cryptoki::{
    object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle},
    session::Session,
};
use landfall_element::{CertificateStore, ElementError};
use landfall_pki::Certificate;
use landfall_types::KeyUri;

/// No chain is longer.
const MOST: usize = 8;

impl CertificateStore for Pkcs11Element {
    fn keep(&self, key: &KeyUri, chain: &[Certificate]) -> Result<(), ElementError> {
        let query = self.query(key)?;
        self.0.with(|session| {
            let private = query.one(session, key)?;
            let own = public_key(session, private)?;
            if chain.first().is_none_or(|leaf| *leaf.public_key() != own) {
                return Err(ElementError::OtherKey(key.clone()).into());
            }
            if chain.len() > MOST {
                return Err(ElementError::Unsupported("keep a chain of more than 8 certificates").into());
            }
            let before = held(session, private)?;
            let mut made = Vec::new();
            for (place, certificate) in chain.iter().enumerate() {
                match session.create_object(&object(session, private, place, certificate)?) {
                    Ok(object) => made.push(object),
                    Err(error) => {
                        // Full, most likely: what was there before stays whole.
                        made.iter().for_each(|object| drop(session.destroy_object(*object)));
                        return Err(error.into());
                    }
                }
            }
            before.into_iter().try_for_each(|object| Ok(session.destroy_object(object)?))
        })
    }

    fn chain(&self, key: &KeyUri) -> Result<Vec<Certificate>, ElementError> {
        let query = self.query(key)?;
        self.0.with(|session| {
            let private = query.one(session, key)?;
            let found = held(session, private)?.into_iter();
            let certificate = |object| {
                let der = bytes(session, object, AttributeType::Value)?;
                Ok(Certificate::from_der(&der).map_err(ElementError::from)?)
            };
            found.map(certificate).collect()
        })
    }
}

pub(crate) fn remove(session: &Session, private: ObjectHandle) -> Result<(), Failed> {
    held(session, private)?.into_iter().try_for_each(|object| Ok(session.destroy_object(object)?))
}

/// The objects of the chain, leaf first.
fn held(session: &Session, private: ObjectHandle) -> Result<Vec<ObjectHandle>, Failed> {
    let mut found = siblings(session, private, ObjectClass::CERTIFICATE)?;
    for place in 1..MOST {
        let (label, id) = name(session, private, place)?;
        let named = [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::Label(label), Attribute::Id(id)];
        match session.find_objects(&named)? {
            none if none.is_empty() => break,
            some => found.extend(some),
        }
    }
    Ok(found)
}

fn object(
    session: &Session,
    private: ObjectHandle,
    place: usize,
    certificate: &Certificate,
) -> Result<Vec<Attribute>, Failed> {
    let (label, id) = name(session, private, place)?;
    Ok(vec![
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Label(label),
        Attribute::Id(id),
        Attribute::Subject(certificate.subject_der().to_vec()),
        Attribute::Issuer(certificate.issuer_der().to_vec()),
        Attribute::Value(certificate.der().to_vec()),
    ])
}

/// Label and id of the certificate at that place. The id of one above the leaf begins with the key's, so that two keys do
/// not share it; a key without an id has a leaf without one.
fn name(session: &Session, private: ObjectHandle, place: usize) -> Result<(Vec<u8>, Vec<u8>), Failed> {
    let mut label = bytes(session, private, AttributeType::Label)?;
    let mut id = bytes(session, private, AttributeType::Id)?;
    if place > 0 {
        label.extend(format!(".{place}").into_bytes());
        id.extend(u8::try_from(place));
    }
    Ok((label, id))
}

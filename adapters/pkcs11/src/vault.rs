//! Sealing with an AES key of the token's own, which is made at first use and never leaves it.

use crate::{Pkcs11Element, trouble::Failed};
use cryptoki::{
    error::Error,
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use landfall_element::{ElementError, SecureElement, Trouble, Vault, label};
use landfall_types::Redacted;

/// No key's label, since labels hold no space.
const LABEL: &str = "landfall vault";
/// The first octet of what is sealed, so that its form can change one day.
const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG_BITS: u64 = 128;

impl Vault for Pkcs11Element {
    fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, ElementError> {
        label::check(name)?;
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| ElementError::Crypto("draw a random number"))?;
        let sealed = self.0.with(|session| {
            let key = match found(session)? {
                Some(key) => key,
                None => made(session)?,
            };
            let mut used = nonce;
            let parameters = GcmParams::new(&mut used, name.as_bytes(), TAG_BITS.into())?;
            Ok(session.encrypt(&Mechanism::AesGcm(parameters), key, secret)?)
        })?;
        Ok([&[VERSION][..], &nonce, &sealed].concat())
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, ElementError> {
        let tampered = || self.uri(name).map_or_else(|error| error, ElementError::Tampered);
        let Some((&[VERSION], rest)) = sealed.split_first_chunk::<1>() else { return Err(tampered()) };
        let Some((nonce, content)) = rest.split_first_chunk::<NONCE>() else { return Err(tampered()) };
        self.0.with(|session| {
            let Some(key) = found(session)? else {
                return Err(ElementError::hardware(Trouble::Reset, "it has no key to open secrets with").into());
            };
            let mut used = *nonce;
            let parameters = GcmParams::new(&mut used, name.as_bytes(), TAG_BITS.into())?;
            match session.decrypt(&Mechanism::AesGcm(parameters), key, content) {
                Err(error @ Error::Pkcs11(..)) if !crate::trouble::is_lost(&error) => Err(tampered().into()),
                opened => Ok(Redacted::new(opened?)),
            }
        })
    }
}

fn found(session: &Session) -> Result<Option<ObjectHandle>, Failed> {
    let named = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Token(true),
        Attribute::Label(LABEL.as_bytes().to_vec()),
    ];
    Ok(session.find_objects(&named)?.into_iter().next())
}

fn made(session: &Session) -> Result<ObjectHandle, Failed> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Label(LABEL.into()),
    ];
    Ok(session.generate_key(&Mechanism::AesKeyGen, &template)?)
}

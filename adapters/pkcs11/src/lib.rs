//! Keys in whatever speaks PKCS#11: HSMs, smart cards, secure elements on a board, SoftHSM.
//!
//! Which token, by which module and with which PIN stands in one URI (RFC 7512), and so does each key:
//!
//! ```text
//! pkcs11:token=devices?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/landfall/pin
//! pkcs11:token=devices;object=idevid;type=private
//! ```
//!
//! Keys are made in the token, not extractable, and checked to be so. The module is loaded when an element is opened;
//! nothing of it is needed to build. A session that was lost is opened again; a PIN that was refused is not tried twice,
//! since tokens lock.

mod certificates;
mod object;
mod token;
mod trouble;
mod uri;
mod vault;

pub use token::Pin;
pub use uri::{InvalidUri, Pkcs11Uri};

use cryptoki::{
    mechanism::{
        Mechanism,
        elliptic_curve::{EcKdf, Ecdh1DeriveParams},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use landfall_element::{
    CertificateStore, ElementError, Exposure, KeyAgreement, SecureElement, Trouble, Vault, keys, label,
};
use landfall_pki::{Algorithm, PublicKey, SignError, Signer, der_from_fixed};
use landfall_types::{KeyUri, Redacted};
use object::{Query, bytes, flag};
use std::{fmt, sync::Arc};
use token::Token;
use trouble::Failed;

const SCHEME: &str = "pkcs11";

/// A token as an element.
#[derive(Clone)]
pub struct Pkcs11Element(Arc<Token>);

impl Pkcs11Element {
    /// Opens the token that `uri` names, and logs in.
    ///
    /// # Errors
    /// If the module cannot be loaded, the token is not there, or the PIN is not the right one.
    pub fn open(uri: &Pkcs11Uri, pin: Pin) -> Result<Self, ElementError> {
        Token::open(uri, pin).map(|token| Self(Arc::new(token)))
    }

    /// The same from the text of a URI, which says where the PIN is too.
    ///
    /// # Errors
    /// As [`Pkcs11Element::open`], or if it is no such URI.
    pub fn from_uri(text: &str) -> Result<Self, ElementError> {
        let uri = Pkcs11Uri::parse(text).map_err(|why| ElementError::hardware(Trouble::Gone, why.to_string()))?;
        Self::open(&uri, Pin::of(&uri)?)
    }

    /// The key's handle, its attributes checked against what `key` says of the token.
    fn query(&self, key: &KeyUri) -> Result<Query, ElementError> {
        let foreign = || ElementError::Foreign { key: key.clone(), scheme: SCHEME };
        if !key.as_str().starts_with("pkcs11:") {
            return Err(foreign());
        }
        let uri = Pkcs11Uri::parse(key.as_str()).map_err(|why| ElementError::Label {
            label: key.as_str().chars().skip(7).take(40).collect(),
            why: why.0,
        })?;
        if !self.0.is_named_by(&uri) {
            return Err(foreign());
        }
        Query::of(&uri)
    }
}

impl fmt::Debug for Pkcs11Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pkcs11Element({})", self.0)
    }
}

impl SecureElement for Pkcs11Element {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn uri(&self, name: &str) -> Result<KeyUri, ElementError> {
        label::check(name)?;
        self.0.key_uri(name.as_bytes())
    }

    fn label(&self, key: &KeyUri) -> Result<String, ElementError> {
        let why = "it names its key by no label";
        let query = self.query(key)?;
        let label = query.label.and_then(|label| String::from_utf8(label).ok());
        label.ok_or_else(|| ElementError::Label { label: key.to_string(), why })
    }

    fn generate(&self, name: &str, algorithm: Algorithm) -> Result<KeyUri, ElementError> {
        let uri = self.uri(name)?;
        let curve = object::curve(algorithm)?;
        let mut id = [0; 20];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| ElementError::Crypto("draw a random number"))?;
        let named = [Attribute::Token(true), Attribute::Label(name.into()), Attribute::Id(id.to_vec())];
        let public = [&named[..], &[Attribute::Verify(true), Attribute::Private(false), Attribute::EcParams(curve)]];
        let private = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Derive(true),
        ];
        self.0.with(|session| {
            if !session.find_objects(&Query::labelled(name).template(ObjectClass::PRIVATE_KEY))?.is_empty() {
                return Err(ElementError::Taken(uri.clone()).into());
            }
            let made = session
                .generate_key_pair(&Mechanism::EccKeyPairGen, &public.concat(), &[&named[..], &private].concat())
                .map_err(Failed::from)
                .and_then(|(_, private)| must_stay_inside(session, private));
            if made.is_err() {
                // A token that failed half-way may keep half a pair.
                for left in session.find_objects(&[Attribute::Id(id.to_vec())]).unwrap_or_default() {
                    let _ = session.destroy_object(left);
                }
            }
            made
        })?;
        Ok(uri)
    }

    fn import(&self, _label: &str, _pkcs8: &Redacted<Vec<u8>>) -> Result<KeyUri, ElementError> {
        Err(ElementError::Unsupported("take in a key that was made outside"))
    }

    fn signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ElementError> {
        let query = self.query(key)?;
        let public_key = self.0.with(|session| public_key(session, query.one(session, key)?))?;
        let algorithm = object::algorithm(&public_key)?;
        Ok(Arc::new(TokenKey { token: Arc::clone(&self.0), uri: key.clone(), query, public_key, algorithm }))
    }

    fn delete(&self, key: &KeyUri) -> Result<(), ElementError> {
        let query = self.query(key)?;
        self.0.with(|session| {
            let private = query.one(session, key)?;
            certificates::remove(session, private)?;
            // The private key last: cut off before, it can still be found and deleted.
            for public in object::siblings(session, private, ObjectClass::PUBLIC_KEY)? {
                session.destroy_object(public)?;
            }
            Ok(session.destroy_object(private)?)
        })
    }

    fn list(&self) -> Result<Vec<KeyUri>, ElementError> {
        let mut labels = self.0.with(|session| {
            let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true)];
            let found = session.find_objects(&template)?.into_iter();
            found.map(|key| bytes(session, key, AttributeType::Label)).collect::<Result<Vec<_>, _>>()
        })?;
        labels.retain(|label| !label.is_empty());
        labels.sort();
        labels.dedup();
        labels.iter().map(|label| self.0.key_uri(label)).collect()
    }

    fn expose(&self, key: &KeyUri) -> Result<Exposure, ElementError> {
        let query = self.query(key)?;
        self.0.with(|session| {
            let private = query.one(session, key)?;
            // PKCS #11 s4.9: of a sensitive key no value is told; of one that is not extractable none is wrapped.
            let told = Redacted::new(bytes(session, private, AttributeType::Value)?);
            match told.expose().is_empty() && must_stay_inside(session, private).is_ok() {
                true => {
                    Ok(Exposure::Refused("the token tells no CKA_VALUE, and the key is not CKA_EXTRACTABLE".into()))
                }
                false => Ok(Exposure::GivenOut),
            }
        })
    }

    fn key_agreement(&self) -> Option<&dyn KeyAgreement> {
        Some(self)
    }

    fn certificates(&self) -> Option<&dyn CertificateStore> {
        Some(self)
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

/// Some tokens ignore what they are asked and make keys that can be read.
fn must_stay_inside(session: &Session, private: ObjectHandle) -> Result<(), Failed> {
    let sensitive = flag(session, private, AttributeType::Sensitive)?;
    match sensitive && !flag(session, private, AttributeType::Extractable)? {
        true => Ok(()),
        false => Err(ElementError::Unsupported("make keys that cannot be taken out").into()),
    }
}

fn public_key(session: &Session, private: ObjectHandle) -> Result<PublicKey, Failed> {
    let curve = bytes(session, private, AttributeType::EcParams)?;
    let algorithm = object::algorithm_on(&curve)?;
    let Some(public) = object::siblings(session, private, ObjectClass::PUBLIC_KEY)?.into_iter().next() else {
        return Err(ElementError::Unsupported("use a private key without its public half beside it").into());
    };
    let point = bytes(session, public, AttributeType::EcPoint)?;
    Ok(PublicKey::from_point(algorithm, object::bare_point(&point)).map_err(ElementError::from)?)
}

impl KeyAgreement for Pkcs11Element {
    fn agree(&self, key: &KeyUri, peer: &PublicKey) -> Result<Redacted<Vec<u8>>, ElementError> {
        let query = self.query(key)?;
        self.0.with(|session| {
            let private = query.one(session, key)?;
            let algorithm = object::algorithm_on(&bytes(session, private, AttributeType::EcParams)?)?;
            let point = keys::agreeable(algorithm, peer)?;
            let width = point.len() / 2;
            let secret = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::GENERIC_SECRET),
                Attribute::Token(false),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
                Attribute::ValueLen(u64::try_from(width).unwrap_or_default().into()),
            ];
            let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
            let derived = session.derive_key(&mechanism, private, &secret)?;
            let value = bytes(session, derived, AttributeType::Value).map(Redacted::new);
            session.destroy_object(derived)?;
            let value = value?;
            match value.expose().len() == width {
                true => Ok(value),
                // SP 800-56A s5.7.1.2: the whole field element; a token that drops leading zeros gave fewer octets.
                false => Ok(Redacted::new(padded(value.expose(), width))),
            }
        })
    }
}

fn padded(value: &[u8], width: usize) -> Vec<u8> {
    let mut whole = vec![0; width.saturating_sub(value.len())];
    whole.extend_from_slice(value);
    whole
}

/// A key in the token, ready to sign.
struct TokenKey {
    token: Arc<Token>,
    uri: KeyUri,
    query: Query,
    public_key: PublicKey,
    algorithm: Algorithm,
}

impl Signer for TokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let digest = keys::digest(self.algorithm, message)?;
        let signed = self.token.with(|session| {
            let private = self.query.one(session, &self.uri)?;
            Ok(session.sign(&Mechanism::Ecdsa, private, &digest)?)
        });
        let refused = |why: &dyn fmt::Display| SignError(why.to_string());
        der_from_fixed(self.algorithm, &signed.map_err(|why| refused(&why))?).map_err(|why| refused(&why))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("uri", &self.uri).field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

//! Public keys as JSON Web Keys (RFC 7517; DPP s4.2).

use crate::{
    curve::{Curve, PublicKey},
    json::{JsonError, Object},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

const SECTION: &str = "RFC 7518 s6.2.1";
/// The longest coordinate is 66 octets, 88 characters.
const TEXT: usize = 128;

/// A public key with the name that it may have been given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    /// The key.
    pub key: PublicKey,
    /// Its `kid`. DPP computes it from the key, so nothing depends on what stands here.
    pub kid: Option<String>,
}

impl Jwk {
    /// A key without a name, as in a connector.
    pub const fn of(key: PublicKey) -> Self {
        Self { key, kid: None }
    }

    /// A key with the name that DPP gives it.
    pub fn with_kid(key: PublicKey) -> Self {
        Self { kid: Some(kid(&key)), key }
    }

    /// Reads it. Members that are not known are passed over.
    ///
    /// # Errors
    /// If a member is missing or wrong, or the point is not on its curve.
    pub fn from_value(value: Value) -> Result<Self, JsonError> {
        Self::read(&mut Object::of(value, "JWK", SECTION)?)
    }

    pub(crate) fn read(object: &mut Object) -> Result<Self, JsonError> {
        let kty = object.need_text("kty", TEXT)?;
        if kty != "EC" {
            return Err(object.error("kty", "is not EC"));
        }
        let crv = object.need_text("crv", TEXT)?;
        let curve = Curve::named(&crv).ok_or_else(|| object.error("crv", "is none of the six curves"))?;
        let mut coordinate = |field| match object.base64url(field, TEXT)? {
            None => Err(object.error(field, "is missing")),
            // RFC 7518 s6.2.1.2: as many octets as the curve's coordinates have, leading zeros included.
            Some(octets) if octets.len() == curve.coordinate_len() => Ok(octets),
            Some(_) => Err(object.error(field, "does not have the length of the curve")),
        };
        let (x, y) = (coordinate("x")?, coordinate("y")?);
        let key = PublicKey::from_coordinates(curve, &x, &y)
            .map_err(|_| object.error("x", "and y are not a point of the curve"))?;
        Ok(Self { key, kid: object.text("kid", TEXT)? })
    }

    /// Writes it.
    pub fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("kty".into(), "EC".into());
        members.insert("crv".into(), self.key.curve().name().into());
        members.insert("x".into(), URL_SAFE_NO_PAD.encode(self.key.x()).into());
        members.insert("y".into(), URL_SAFE_NO_PAD.encode(self.key.y()).into());
        if let Some(kid) = &self.kid {
            members.insert("kid".into(), kid.as_str().into());
        }
        Value::Object(members)
    }
}

/// The name that DPP gives a key: SHA-256 of its uncompressed point, in base64 for URLs (DPP s4.2.1).
pub fn kid(key: &PublicKey) -> String {
    URL_SAFE_NO_PAD.encode(key.key_id().0)
}

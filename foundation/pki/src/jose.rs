//! JSON Web Signatures in their compact form (RFC 7515 s3.1), and public keys as JSON Web Keys (RFC 7517).

use crate::{
    error::PkiError,
    key::{Algorithm, KeyKind, PublicKey},
    signer::{Signer, fixed_from_der},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_types::json;
use serde_json::{Map, Value};

const JWS: &str = "JWS";
const JWK: &str = "JWK";

impl Algorithm {
    /// Its name in JOSE (RFC 7518 s3.1, RFC 8037 s3.1).
    pub const fn jose_name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ES256",
            Self::EcdsaP384 => "ES384",
            Self::Ed25519 => "EdDSA",
        }
    }
}

/// A signed text whose signature has not been looked at: nothing in it may be believed before [`Jws::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jws {
    header: Map<String, Value>,
    algorithm: Algorithm,
    signed: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Jws {
    /// Takes a compact JWS of at most `longest` bytes apart.
    ///
    /// # Errors
    /// If it does not have that form, has an algorithm that is not spoken here (`none` among them), or an extension that
    /// it calls critical (RFC 7515 s4.1.11).
    pub fn parse(text: &str, longest: usize) -> Result<Self, PkiError> {
        let bad = |why: &str| PkiError::malformed(JWS, why);
        if text.len() > longest {
            return Err(bad("it is too long"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(|| bad("it does not have three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| bad("it does not have three parts"))?;
        let Value::Object(header) = json::parse(&octets(JWS, header)?).map_err(|e| PkiError::malformed(JWS, e))? else {
            return Err(bad("its header is no object"));
        };
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(PkiError::unsupported(JWS, "a critical extension"));
        }
        let alg = header.get("alg").and_then(Value::as_str).ok_or_else(|| bad("it has no alg"))?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.jose_name() == alg);
        let algorithm = algorithm.ok_or_else(|| PkiError::unsupported(JWS, format!("the algorithm {alg:.20}")))?;
        let (payload, signature) = (octets(JWS, payload)?, octets(JWS, signature)?);
        Ok(Self { header, algorithm, signed: signed.to_owned(), payload, signature })
    }

    /// A member of its header that is a text: `typ`, `kid`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// What it says, if `key` signed it.
    ///
    /// # Errors
    /// If it did not, or its algorithm is not that key's.
    pub fn verify(&self, key: &PublicKey) -> Result<&[u8], PkiError> {
        key.verify_raw(self.algorithm, self.signed.as_bytes(), &self.signature)?;
        Ok(&self.payload)
    }

    /// What it says, whoever may have signed it: to find out whose key to ask, and for nothing else.
    pub fn unverified(&self) -> &[u8] {
        &self.payload
    }
}

/// A compact JWS that lacks its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedJws {
    algorithm: Algorithm,
    input: String,
}

impl UnsignedJws {
    /// What a key of `algorithm` is to sign; `header` has the members beside `alg`.
    pub fn new(algorithm: Algorithm, header: &[(&str, &str)], payload: &[u8]) -> Self {
        let mut members = Map::from_iter([("alg".to_owned(), Value::from(algorithm.jose_name()))]);
        members.extend(header.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
        let header = URL_SAFE_NO_PAD.encode(Value::Object(members).to_string());
        Self { algorithm, input: format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload)) }
    }

    /// What has to be signed.
    pub fn to_be_signed(&self) -> &[u8] {
        self.input.as_bytes()
    }

    /// The whole, with the signature as [`Signer::sign`] gives it.
    ///
    /// # Errors
    /// If the signature does not have the form of its algorithm.
    pub fn seal(self, signature: &[u8]) -> Result<String, PkiError> {
        let fixed = fixed_from_der(self.algorithm, signature)?;
        Ok(format!("{}.{}", self.input, URL_SAFE_NO_PAD.encode(fixed)))
    }

    /// The whole, signed by `signer`.
    ///
    /// # Errors
    /// If the key does not sign, or is of another algorithm.
    pub fn sign(self, signer: &dyn Signer) -> Result<String, PkiError> {
        if signer.algorithm() != self.algorithm {
            return Err(PkiError::Misuse(format!("a key of {} cannot sign as {}", signer.algorithm(), self.algorithm)));
        }
        let signature = signer.sign(self.to_be_signed())?;
        self.seal(&signature)
    }
}

impl PublicKey {
    /// As a JWK: P-256 and P-384 (RFC 7518 s6.2.1), Ed25519 (RFC 8037 s2). `None` for other kinds and compressed points.
    pub fn to_jwk(&self) -> Option<Value> {
        let encode = |octets: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(octets));
        let member = |name: &str, value| (name.to_owned(), value);
        let (kty, crv) = names(self.kind())?;
        let mut members = Map::from_iter([member("kty", kty.into()), member("crv", crv.into())]);
        match self.key_bits() {
            octets if self.kind() == KeyKind::Ed25519 => members.extend([member("x", encode(octets))]),
            [4, point @ ..] => {
                let (x, y) = point.split_at_checked(point.len() / 2)?;
                members.extend([member("x", encode(x)), member("y", encode(y))]);
            }
            _ => return None,
        }
        Some(Value::Object(members))
    }

    /// From a JWK. Members that do not belong to the key are passed over.
    ///
    /// # Errors
    /// If a member is missing or wrong, or the key is of a kind that is not spoken here. One that holds a private key is
    /// refused: whoever published it has lost it.
    pub fn from_jwk(jwk: &Value) -> Result<Self, PkiError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let kinds = [(KeyKind::P256, 32), (KeyKind::P384, 48), (KeyKind::Ed25519, 32)];
        let named = (text("kty").unwrap_or_default(), text("crv").unwrap_or_default());
        let (kind, width) = kinds
            .into_iter()
            .find(|(kind, _)| names(*kind) == Some(named))
            .ok_or_else(|| PkiError::unsupported(JWK, "neither P-256, P-384 nor Ed25519"))?;
        if jwk.get("d").is_some() {
            return Err(PkiError::unacceptable(JWK, "it holds a private key"));
        }
        let coordinate = |name| match text(name).map(|text| octets(JWK, text)) {
            Some(Ok(octets)) if octets.len() == width => Ok(octets),
            _ => Err(PkiError::malformed(JWK, format!("{name} is not {width} octets in base64url"))),
        };
        match Algorithm::of(kind) {
            Some(Algorithm::Ed25519) => Self::from_point(Algorithm::Ed25519, &coordinate("x")?),
            Some(algorithm) => Self::from_point(algorithm, &[vec![4], coordinate("x")?, coordinate("y")?].concat()),
            None => Err(PkiError::unsupported(JWK, kind)),
        }
    }
}

const fn names(kind: KeyKind) -> Option<(&'static str, &'static str)> {
    match kind {
        KeyKind::P256 => Some(("EC", "P-256")),
        KeyKind::P384 => Some(("EC", "P-384")),
        KeyKind::Ed25519 => Some(("OKP", "Ed25519")),
        _ => None,
    }
}

fn octets(what: &'static str, text: &str) -> Result<Vec<u8>, PkiError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PkiError::malformed(what, "not base64url without padding"))
}

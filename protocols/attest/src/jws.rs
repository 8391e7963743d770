//! Signed JSON: JWS in its compact serialisation (RFC 7515 s7.1), with ES256 or ES384.

use crate::{malformed, refuse};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use landfall_pki::{Algorithm, Certificate, PkiError, PublicKey, Signer, fixed_from_der};
use landfall_types::{Refusal, json};
use serde_json::{Map, Value};

const SECTION: &str = "RFC 7515 s5.2";
/// How long a whole one may be.
const LONGEST: usize = 512 * 1024;
const MOST_CERTIFICATES: usize = 8;

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256 => "ES256",
        Algorithm::EcdsaP384 => "ES384",
        Algorithm::Ed25519 => "EdDSA",
    }
}

/// Signs `payload`. `kid` is the key's fingerprint, so that whoever reads it finds the key; certificates go along if there
/// are any.
pub(crate) fn sign(
    kind: &str,
    payload: &Value,
    signer: &dyn Signer,
    certificates: &[Certificate],
) -> Result<String, PkiError> {
    let mut header = Map::from_iter([
        ("alg".to_owned(), Value::from(name(signer.algorithm()))),
        ("typ".to_owned(), Value::from(kind)),
        ("kid".to_owned(), Value::from(signer.public_key().fingerprint().to_string())),
    ]);
    if !certificates.is_empty() {
        header.insert("x5c".into(), certificates.iter().map(|c| Value::from(STANDARD.encode(c.der()))).collect());
    }
    let encode = |value: &str| URL_SAFE_NO_PAD.encode(value);
    let input = format!("{}.{}", encode(&Value::Object(header).to_string()), encode(&payload.to_string()));
    let signature = fixed_from_der(signer.algorithm(), &signer.sign(input.as_bytes()).map_err(PkiError::Sign)?)?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// One that was read; nothing in it is to be believed yet.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    header: Map<String, Value>,
    /// What is signed.
    input: String,
    signature: Vec<u8>,
    payload: Map<String, Value>,
}

impl Opened {
    pub(crate) fn read(text: &str, kind: &str, check: &'static str) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed(check, SECTION, why);
        let octets = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| bad("a part is not base64url"));
        let object = |part: &str| match json::parse(&octets(part)?) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err(bad("a part is no JSON object")),
            Err(why) => Err(bad(&why.to_string())),
        };
        let mut parts = text.trim_end().split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("it has not three parts"));
        };
        if text.len() > LONGEST {
            return Err(bad("it is too long"));
        }
        let read = Self {
            header: object(header)?,
            input: format!("{header}.{payload}"),
            signature: octets(signature)?,
            payload: object(payload)?,
        };
        // RFC 7515 s4.1.11: an extension marked critical must be understood, and none is.
        if read.header.contains_key("crit") {
            return Err(bad("it has a critical extension"));
        }
        // RFC 8725 s3.11: one kind of token is never taken for another.
        match read.header.get("typ").and_then(Value::as_str) {
            Some(typ) if typ.eq_ignore_ascii_case(kind) => Ok(read),
            _ => Err(bad(&format!("its typ is not {kind}"))),
        }
    }

    /// The content, if it is signed by `key`.
    pub(crate) fn verified(&self, key: &PublicKey, check: &'static str) -> Result<&Map<String, Value>, Refusal> {
        let algorithm = Algorithm::of(key.kind());
        let algorithm = algorithm.filter(|of| self.header.get("alg").and_then(Value::as_str) == Some(name(*of)));
        let algorithm = algorithm.ok_or_else(|| refuse(check, SECTION, "its algorithm does not fit the key"))?;
        key.verify_raw(algorithm, self.input.as_bytes(), &self.signature)
            .map_err(|_| refuse(check, SECTION, "it is not signed by that key"))?;
        Ok(&self.payload)
    }

    /// The content, whoever signed it.
    pub(crate) const fn unverified(&self) -> &Map<String, Value> {
        &self.payload
    }

    /// Which key is said to have signed it.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// The certificates of the key that is said to have signed it, that of the key itself first.
    pub(crate) fn certificates(&self, check: &'static str) -> Result<Vec<Certificate>, Refusal> {
        let bad = |why: &str| malformed(check, "RFC 7515 s4.1.6", why);
        let list = match self.header.get("x5c") {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= MOST_CERTIFICATES => list,
            Some(_) => return Err(bad("x5c is no list of up to 8 certificates")),
        };
        let one = |value: &Value| {
            let der = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            let der = der.ok_or_else(|| bad("x5c holds no base64"))?;
            Certificate::from_der(&der).map_err(|why| bad(&why.to_string()))
        };
        list.iter().map(one).collect()
    }
}

//! JSON Web Signatures in their compact form, as DPP uses them (RFC 7515 s3.1; DPP s4.2).

use crate::{
    bounds,
    connector::ConnectorError,
    curve::{Curve, PublicKey},
    json::Object,
    jwk,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

const SECTION: &str = "DPP s4.2.1";
const TYPE: &str = "dppCon";

/// A signed object whose signature has not been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jws {
    /// The whole text.
    pub(crate) text: String,
    /// How much of the text is signed.
    signed: usize,
    /// The name of the key that is said to have signed.
    pub(crate) kid: String,
    /// On which curve.
    pub(crate) curve: Curve,
    pub(crate) payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What has to be signed so that `csign` says `payload`: the first two parts of the compact form.
pub(crate) fn signing_input(payload: &str, csign: &PublicKey) -> String {
    let mut header = Map::new();
    header.insert("typ".into(), TYPE.into());
    header.insert("kid".into(), jwk::kid(csign).into());
    header.insert("alg".into(), csign.curve().jws_algorithm().into());
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}", encode(&Value::Object(header).to_string()), encode(payload))
}

/// The compact form.
pub(crate) fn attach(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl Jws {
    /// Takes the compact form apart.
    pub(crate) fn parse(text: &str) -> Result<Self, ConnectorError> {
        let malformed = |field, why| ConnectorError::Jws { field, why };
        if text.len() > bounds::CONNECTOR {
            return Err(malformed("connector", "is too long"));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("connector", "does not have three parts"));
        };
        let decode =
            |part: &str, field| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed(field, "is not base64 for URLs"));
        let signed = header.len() + 1 + payload.len();
        let (header, payload) = (decode(header, "JWS header")?, decode(payload, "JWS payload")?);
        let signature = decode(signature, "JWS signature")?;

        // DPP s4.2.1: typ, kid and alg are mandatory.
        let mut header = Object::parse(&header, bounds::CONNECTOR, "JWS header", SECTION)?;
        if header.need_text("typ", bounds::NAME)? != TYPE {
            return Err(malformed("typ", "is not dppCon"));
        }
        let kid = header.need_text("kid", bounds::NAME)?;
        let alg = header.need_text("alg", bounds::NAME)?;
        let curve = Curve::ALL.into_iter().find(|curve| curve.jws_algorithm() == alg);
        let curve = curve.ok_or(malformed("alg", "is none of the six that DPP has"))?;
        if signature.len() != 2 * curve.coordinate_len() {
            return Err(malformed("JWS signature", "does not have the length of its curve"));
        }
        Ok(Self { text: text.to_owned(), signed, kid, curve, payload, signature })
    }

    /// Whether `csign` signed it.
    pub(crate) fn verify(&self, csign: &PublicKey) -> Result<(), ConnectorError> {
        // Before the signature: a connector of another configurator is no forgery, and the peer is told so.
        if self.kid != jwk::kid(csign) {
            return Err(ConnectorError::OtherSigner);
        }
        if self.curve != csign.curve() {
            return Err(ConnectorError::Jws { field: "alg", why: "is not that of the C-sign key's curve" });
        }
        let signed = self.text.get(..self.signed).unwrap_or_default();
        csign.verify(signed.as_bytes(), &self.signature).map_err(|_| ConnectorError::Signature)
    }
}

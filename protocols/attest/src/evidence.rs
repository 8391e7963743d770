//! Evidence as it crosses the wire: a conceptual message wrapper (draft-ietf-rats-msg-wrap) in JSON around a quote or an EAT.

use crate::{EAT_JWT, eat::Eat, malformed, tpm::Pcrs};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use landfall_pki::{Certificate, PublicKey};
use landfall_types::{Fingerprint, Refusal, json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The media type of a quote with what belongs to it.
pub const TPM_JSON: &str = "application/vnd.landfall.tpm-quote+json";
/// How long all of it may be.
pub const LONGEST: usize = 1024 * 1024;
const SECTION: &str = "draft-ietf-rats-msg-wrap s3";
/// The indicator of evidence among what such a wrapper may hold (s3.1).
const EVIDENCE: u64 = 1 << 2;
const MOST_CERTIFICATES: usize = 8;

/// What a device shows.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// What its TPM says.
    Tpm(Quoted),
    /// What it says itself; the token, and the same read.
    Software(String, Box<Eat>),
}

/// A quote, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The nonce of the challenge.
    pub nonce: Vec<u8>,
    /// The statement, a TPMS_ATTEST.
    pub statement: Vec<u8>,
    /// The attestation key's signature over it, a TPMT_SIGNATURE.
    pub signature: Vec<u8>,
    /// What the quoted PCRs hold, as the device says.
    pub pcrs: Pcrs,
    /// The event log, if the device keeps one.
    pub log: Option<Vec<u8>>,
    /// The certificate of the attestation key, and those above it.
    pub certificates: Vec<Certificate>,
    /// The key itself, where it has no certificate because it is known beforehand.
    pub key: Option<PublicKey>,
    /// The SHA-256 of the list of components that comes along, which the statement covers as well.
    pub sbom: Option<Fingerprint>,
}

/// The same in JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    nonce: String,
    statement: String,
    signature: String,
    pcrs: BTreeMap<u8, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_log: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sbom: Option<Fingerprint>,
}

impl Evidence {
    /// The nonce that it answers.
    pub fn nonce(&self) -> &[u8] {
        match self {
            Self::Tpm(quoted) => &quoted.nonce,
            Self::Software(_, eat) => &eat.unverified().nonce,
        }
    }

    /// The SHA-256 of the list of components that it says comes along.
    pub fn sbom(&self) -> Option<Fingerprint> {
        match self {
            Self::Tpm(quoted) => quoted.sbom,
            Self::Software(_, eat) => eat.unverified().sbom,
        }
    }

    /// What it rests on, in a word.
    pub const fn root(&self) -> &'static str {
        match self {
            Self::Tpm(_) => "tpm",
            Self::Software(..) => "software",
        }
    }

    /// An EAT as evidence.
    ///
    /// # Errors
    /// A [`Refusal`] if it is none.
    pub fn of_eat(token: String) -> Result<Self, Refusal> {
        let eat = Eat::read(&token)?;
        Ok(Self::Software(token, Box::new(eat)))
    }

    /// As it crosses the wire.
    pub fn to_cmw(&self) -> String {
        self.to_json().to_string()
    }

    pub(crate) fn to_json(&self) -> Value {
        let (kind, value) = match self {
            Self::Tpm(quoted) => (TPM_JSON, quoted.to_json()),
            Self::Software(token, _) => (EAT_JWT, token.clone()),
        };
        json!([kind, URL_SAFE_NO_PAD.encode(value), EVIDENCE])
    }

    /// Reads it.
    ///
    /// # Errors
    /// A [`Refusal`] if it is cut short, too long, or of another kind.
    pub fn from_cmw(text: &[u8]) -> Result<Self, Refusal> {
        Self::of_json(&read(text)?)
    }

    pub(crate) fn of_json(value: &Value) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed("evidence-syntax", SECTION, why);
        let (kind, content) = match value.as_array().map(Vec::as_slice) {
            Some([kind, content]) => (kind, content),
            Some([kind, content, indicator]) if indicator.as_u64() == Some(EVIDENCE) => (kind, content),
            _ => return Err(bad("it is no wrapper with one piece of evidence")),
        };
        let content = content.as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let content = content.ok_or_else(|| bad("its content is not base64url"))?;
        match kind.as_str() {
            Some(TPM_JSON) => Quoted::from_json(&content).map(Self::Tpm),
            Some(EAT_JWT) => Self::of_eat(String::from_utf8(content).map_err(|_| bad("a token is text"))?),
            _ => Err(bad("it holds evidence of a kind that is not known here")),
        }
    }
}

impl Quoted {
    fn to_json(&self) -> String {
        let octets = |octets: &[u8]| STANDARD.encode(octets);
        let written = Written {
            nonce: octets(&self.nonce),
            statement: octets(&self.statement),
            signature: octets(&self.signature),
            pcrs: self.pcrs.iter().map(|(number, value)| (*number, hex::encode(value))).collect(),
            event_log: self.log.as_deref().map(octets),
            certificates: self.certificates.iter().map(|certificate| octets(certificate.der())).collect(),
            key: self.key.as_ref().map(|key| octets(key.spki_der())),
            sbom: self.sbom,
        };
        serde_json::to_value(written).unwrap_or(Value::Null).to_string()
    }

    fn from_json(text: &[u8]) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed("evidence-syntax", SECTION, why);
        let value = json::parse(text).map_err(|why| bad(&why.to_string()))?;
        let read: Written = serde_json::from_value(value).map_err(|why| bad(&why.to_string()))?;
        let octets = |text: &String| STANDARD.decode(text).map_err(|_| bad("a part is not base64"));
        if read.certificates.len() > MOST_CERTIFICATES {
            return Err(bad("it has too many certificates"));
        }
        let certificate = |text: &String| Certificate::from_der(&octets(text)?).map_err(|why| bad(&why.to_string()));
        let key = |text: &String| PublicKey::from_spki_der(&octets(text)?).map_err(|why| bad(&why.to_string()));
        Ok(Self {
            nonce: octets(&read.nonce)?,
            statement: octets(&read.statement)?,
            signature: octets(&read.signature)?,
            pcrs: read.pcrs.iter().map(|(number, value)| Ok((*number, pcr(value)?))).collect::<Result<_, Refusal>>()?,
            log: read.event_log.as_ref().map(octets).transpose()?,
            certificates: read.certificates.iter().map(certificate).collect::<Result<_, _>>()?,
            key: read.key.as_ref().map(key).transpose()?,
            sbom: read.sbom,
        })
    }
}

pub(crate) fn read(text: &[u8]) -> Result<Value, Refusal> {
    let bad = |why: &str| malformed("evidence-syntax", SECTION, why);
    match text.len() > LONGEST {
        true => Err(bad("it is too long")),
        false => json::parse(text).map_err(|why| bad(&why.to_string())),
    }
}

fn pcr(text: &str) -> Result<[u8; 32], Refusal> {
    let mut value = [0; 32];
    match hex::decode_to_slice(text, &mut value) {
        Ok(()) => Ok(value),
        Err(_) => Err(malformed("evidence-syntax", SECTION, "a PCR is not 32 octets in hexadecimal")),
    }
}

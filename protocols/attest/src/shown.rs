//! Evidence together with the list of components (SBOM) that the device shows of itself.
//!
//! The list stands beside the evidence, in a collection of wrappers (draft-ietf-rats-msg-wrap s3.3), and its digest stands in what is
//! signed: a quote covers it besides its challenge ([`Challenge::covered_with`](crate::Challenge::covered_with)), and an EAT names it
//! among its manifests (RFC 9711 s4.2.15). So a list can neither be altered nor be put beside another's evidence. It is the device's
//! own word all the same.

use crate::{Evidence, evidence, malformed, refuse};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_types::{Fingerprint, Refusal};
use serde_json::{Map, Value, json};

/// The longest list that goes along, in octets.
pub const LONGEST_SBOM: usize = 256 * 1024;
const SECTION: &str = "draft-ietf-rats-msg-wrap s3.3";
const BOUND: &str = "RFC 9711 s4.2.15";
const EVIDENCE: &str = "evidence";
const SBOM: &str = "sbom";
const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
const SPDX: &str = "application/spdx+json";

/// What a device shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What it proves of its software.
    pub evidence: Evidence,
    /// What it consists of, as it says.
    pub sbom: Option<Vec<u8>>,
}

impl Shown {
    /// As it crosses the wire: evidence alone is no collection.
    pub fn to_cmw(&self) -> String {
        let Some(sbom) = &self.sbom else { return self.evidence.to_cmw() };
        json!({ EVIDENCE: self.evidence.to_json(), SBOM: [media_type(sbom), URL_SAFE_NO_PAD.encode(sbom)] }).to_string()
    }

    /// Reads it, with a list or without.
    ///
    /// # Errors
    /// A [`Refusal`] if it is cut short, too long, or of another kind.
    pub fn from_cmw(text: &[u8]) -> Result<Self, Refusal> {
        let value = evidence::read(text)?;
        match &value {
            Value::Object(collection) => Self::of_collection(collection),
            one => Ok(Self { evidence: Evidence::of_json(one)?, sbom: None }),
        }
    }

    fn of_collection(collection: &Map<String, Value>) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed("evidence-syntax", SECTION, why);
        let (Some(evidence), Some(sbom), 2) = (collection.get(EVIDENCE), collection.get(SBOM), collection.len()) else {
            return Err(bad("it is no collection of evidence and a list of components"));
        };
        let content = match sbom.as_array().map(Vec::as_slice) {
            Some([Value::String(kind), Value::String(content)]) if [CYCLONEDX, SPDX].contains(&kind.as_str()) => {
                content
            }
            _ => return Err(bad("what is beside the evidence is no list of components")),
        };
        let sbom = URL_SAFE_NO_PAD.decode(content).map_err(|_| bad("the list is not base64url"))?;
        if sbom.len() > LONGEST_SBOM {
            let why = format!("the list of components has {} octets, and at most {LONGEST_SBOM} go along", sbom.len());
            return Err(malformed("evidence-sbom-size", SECTION, why));
        }
        Ok(Self { evidence: Evidence::of_json(evidence)?, sbom: Some(sbom) })
    }

    /// Whether the list is the one that the evidence names. Whether the evidence is to be believed is [`appraise`](crate::appraise)'s
    /// to say.
    ///
    /// # Errors
    /// `evidence-sbom-missing`, `evidence-sbom-unbound` or `evidence-sbom-digest`.
    pub fn is_whole(&self) -> Result<(), Refusal> {
        match (self.evidence.sbom(), &self.sbom) {
            (None, None) => Ok(()),
            (Some(_), None) => {
                Err(refuse("evidence-sbom-missing", BOUND, "the evidence names a list of components that is not there"))
            }
            (None, Some(_)) => {
                let why = "the evidence does not cover the list of components that comes with it";
                Err(refuse("evidence-sbom-unbound", BOUND, why))
            }
            (Some(named), Some(sbom)) if named == digest_of(sbom) => Ok(()),
            (Some(named), Some(_)) => {
                let why = format!("the list of components is not the one that the evidence covers, {named}");
                Err(refuse("evidence-sbom-digest", BOUND, why))
            }
        }
    }
}

/// What names a list in evidence: its SHA-256.
pub fn digest_of(sbom: &[u8]) -> Fingerprint {
    Fingerprint(digest::digest(&digest::SHA256, sbom).as_ref().try_into().unwrap_or_default())
}

/// What a list says that it is; whoever reads it looks for himself.
pub fn media_type(sbom: &[u8]) -> &'static str {
    const MEMBER: &[u8] = b"\"spdxVersion\"";
    if sbom.windows(MEMBER.len()).any(|part| part == MEMBER) { SPDX } else { CYCLONEDX }
}

//! What a device without a TPM says of itself: an EAT (RFC 9711) as a JWT, signed with its birth key.
//!
//! Nothing measured it but the software that it speaks of. It is worth knowing, and it is no proof.

use crate::{jws::Opened, malformed};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_pki::{Certificate, PkiError, PublicKey, Signer};
use landfall_types::{Fingerprint, Refusal};
use serde_json::{Map, Value, json};

const KIND: &str = "eat+jwt";
const SECTION: &str = "RFC 9711 s4";
/// The media type of a digest in `manifests`. The list itself goes beside the token, where it may be long.
const SBOM_DIGEST: &str = "application/vnd.landfall.sbom-sha-256";
const PROFILE: &str = "tag:landfall,2026:device-without-tpm#1";

/// The claims of a device about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// What the challenge has it cover, and by that the connection (s4.1).
    pub covered: Vec<u8>,
    /// The nonce of the challenge itself.
    pub nonce: Vec<u8>,
    /// The name of its firmware (s4.2.6), and its version (s4.2.7).
    pub firmware: (String, String),
    /// The SHA-256 of its firmware (s4.2.16, of its own form).
    pub measured: [u8; 32],
    /// The SHA-256 of the list of its components that comes along (s4.2.15, of its own form).
    pub sbom: Option<Fingerprint>,
}

/// One as it came, with the certificates of the key that is said to have signed it.
#[derive(Clone, Debug)]
pub struct Eat {
    opened: Opened,
    /// The certificates, that of the key first.
    pub certificates: Vec<Certificate>,
    claims: Claims,
}

impl Claims {
    /// As a JWT, signed by the device.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, signer: &dyn Signer, certificates: &[Certificate]) -> Result<String, PkiError> {
        let mut payload = json!({
            "eat_profile": PROFILE,
            "eat_nonce": [URL_SAFE_NO_PAD.encode(&self.covered), URL_SAFE_NO_PAD.encode(&self.nonce)],
            "swname": self.firmware.0,
            "swversion": [self.firmware.1],
            "measurements": [["application/vnd.landfall.sha-256", URL_SAFE_NO_PAD.encode(self.measured)]],
        });
        if let (Some(sbom), Some(members)) = (&self.sbom, payload.as_object_mut()) {
            members.insert("manifests".into(), json!([[SBOM_DIGEST, URL_SAFE_NO_PAD.encode(sbom.0)]]));
        }
        crate::jws::sign(KIND, &payload, signer, certificates)
    }

    fn of(payload: &Map<String, Value>) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed("eat-syntax", SECTION, why);
        let octets = |value: Option<&Value>, name: &str| {
            let text = value.and_then(Value::as_str).ok_or_else(|| bad(&format!("it has no {name}")))?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| bad(&format!("{name} is not base64url")))
        };
        let within = |name: &str, at: usize| payload.get(name).and_then(|list| list.get(at));
        if payload.get("eat_profile").and_then(Value::as_str) != Some(PROFILE) {
            return Err(bad("it is of another profile"));
        }
        let text = |value: Option<&Value>, name: &str| {
            let text = value.and_then(Value::as_str).filter(|text| text.len() <= 128);
            text.map(str::to_owned).ok_or_else(|| bad(&format!("it has no {name}")))
        };
        let measured = within("measurements", 0).and_then(|measured| measured.get(1));
        let manifest = match payload.get("manifests").map(|all| all.as_array().map(Vec::as_slice)) {
            None => None,
            Some(Some([one])) if one.get(0).and_then(Value::as_str) == Some(SBOM_DIGEST) => {
                Some(octets(one.get(1), "manifests")?)
            }
            Some(_) => return Err(bad("its manifests are not one digest of a list of components")),
        };
        let sbom = manifest.map(|digest| digest.try_into().map_err(|_| bad("manifests is no SHA-256"))).transpose()?;
        Ok(Self {
            covered: octets(within("eat_nonce", 0), "eat_nonce")?,
            nonce: octets(within("eat_nonce", 1), "eat_nonce")?,
            firmware: (text(payload.get("swname"), "swname")?, text(within("swversion", 0), "swversion")?),
            measured: octets(measured, "measurements")?.try_into().map_err(|_| bad("measurements is no SHA-256"))?,
            sbom: sbom.map(Fingerprint),
        })
    }
}

impl Eat {
    /// Reads one.
    ///
    /// # Errors
    /// A [`Refusal`] if it is none.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let opened = Opened::read(text, KIND, "eat-syntax")?;
        let certificates = opened.certificates("eat-syntax")?;
        let claims = Claims::of(opened.unverified())?;
        Ok(Self { opened, certificates, claims })
    }

    /// What it says, whoever says so.
    pub const fn unverified(&self) -> &Claims {
        &self.claims
    }

    /// What it says, if `key` signed it.
    ///
    /// # Errors
    /// `eat-signature`.
    pub fn verified(&self, key: &PublicKey) -> Result<&Claims, Refusal> {
        self.opened.verified(key, "eat-signature").map(|_| &self.claims)
    }
}

//! Artefacts in JWS, general JSON serialisation (draft-ietf-anima-jws-voucher; RFC 7515 s7.2.1).

use super::{Format, MAX_CERTIFICATES, Opened, VoucherError, fixed_algorithm};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use landfall_pki::{Algorithm, Certificate, fixed_from_der};
use landfall_types::json;
use serde_json::{Map, Value};

/// What the header says that it is.
const TYPE: &str = "voucher-jws+json";

fn bad(why: impl ToString) -> VoucherError {
    VoucherError::container(Format::JwsJson, why)
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, VoucherError> {
    match json::parse(bytes).map_err(bad)? {
        Value::Object(members) => Ok(members),
        _ => Err(bad("no JSON object")),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, VoucherError> {
    members.get(name).and_then(Value::as_str).ok_or_else(|| bad(format!("no {name}")))
}

fn base64url(text: &str) -> Result<Vec<u8>, VoucherError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| bad("not base64url without padding"))
}

pub(super) fn open(bytes: &[u8]) -> Result<Opened, VoucherError> {
    let jws = object(bytes)?;
    let payload = text(&jws, "payload")?;
    let signatures = jws.get("signatures").and_then(Value::as_array).ok_or_else(|| bad("no signatures"))?;
    let [Value::Object(one)] = signatures.as_slice() else {
        return Err(VoucherError::Signatures(signatures.len()));
    };
    let protected = text(one, "protected")?;
    let signature = base64url(text(one, "signature")?)?;
    let header = object(&base64url(protected)?)?;
    // RFC 7515 s4.1.11: an extension marked critical must be understood, and none is.
    if header.contains_key("crit") {
        return Err(bad("it has a critical extension"));
    }
    if header.get("typ").is_some_and(|typ| typ.as_str() != Some(TYPE)) {
        return Err(VoucherError::ContentType(header.get("typ").map(Value::to_string).unwrap_or_default()));
    }
    let mut certificates = x5c(&header)?;
    if certificates.is_empty() {
        return Err(VoucherError::NoSigner);
    }
    let signer = certificates.remove(0);
    let algorithm = fixed_algorithm(&signer)?;
    match text(&header, "alg")? {
        found if found == algorithm.jose_name() => {}
        found => {
            return Err(VoucherError::Algorithm(format!("the algorithm {found:.20} does not fit the signer's key")));
        }
    }
    let signed = format!("{protected}.{payload}");
    let verified = signer.public_key().verify_raw(algorithm, signed.as_bytes(), &signature);
    verified.map_err(|e| VoucherError::signature(&e))?;
    Ok(Opened { content: base64url(payload)?, signer, certificates })
}

/// The certificates of the header, the signer's first (RFC 7515 s4.1.6).
fn x5c(header: &Map<String, Value>) -> Result<Vec<Certificate>, VoucherError> {
    let Some(list) = header.get("x5c") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| bad("x5c is no list"))?;
    if list.len() > MAX_CERTIFICATES {
        return Err(VoucherError::TooManyCertificates(list.len()));
    }
    let one = |value: &Value| {
        let der = value.as_str().and_then(super::transfer::decode_base64).ok_or_else(|| bad("x5c holds no base64"))?;
        Certificate::from_der(&der).map_err(bad)
    };
    list.iter().map(one).collect()
}

/// A JWS that lacks its signature.
#[derive(Debug)]
pub(super) struct Prepared {
    algorithm: Algorithm,
    /// Protected header and payload, joined by a dot: what is signed.
    input: String,
}

impl Prepared {
    pub(super) fn new(content: &[u8], signer: &Certificate, extra: &[Certificate]) -> Result<Self, VoucherError> {
        let algorithm = fixed_algorithm(signer)?;
        let x5c = std::iter::once(signer).chain(extra).map(|c| Value::from(STANDARD.encode(c.der()))).collect();
        let header = Map::from_iter([
            ("alg".to_owned(), Value::from(algorithm.jose_name())),
            ("typ".to_owned(), Value::from(TYPE)),
            ("x5c".to_owned(), Value::Array(x5c)),
        ]);
        let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        Ok(Self { algorithm, input: format!("{header}.{}", URL_SAFE_NO_PAD.encode(content)) })
    }

    pub(super) fn to_be_signed(&self) -> &[u8] {
        self.input.as_bytes()
    }

    pub(super) fn seal(self, signature: &[u8]) -> Result<Vec<u8>, VoucherError> {
        let fixed = fixed_from_der(self.algorithm, signature).map_err(|e| VoucherError::Sealing(e.to_string()))?;
        let (protected, payload) = self.input.split_once('.').unwrap_or_default();
        let one = Map::from_iter([
            ("protected".to_owned(), Value::from(protected)),
            ("signature".to_owned(), Value::from(URL_SAFE_NO_PAD.encode(fixed))),
        ]);
        let jws = Map::from_iter([
            ("payload".to_owned(), Value::from(payload)),
            ("signatures".to_owned(), Value::Array(vec![Value::Object(one)])),
        ]);
        Ok(Value::Object(jws).to_string().into_bytes())
    }
}

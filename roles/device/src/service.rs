//! What the registrar's own software looks like, before it may act on the device (SP 1800-36B 7.8): the device is the verifier.

use crate::{Agent, DeviceError, agent::random, file};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_attest::{
    Appraisal, CMW_JSON, Challenge, Connection, Device, Evidence, FRESHNESS_JSON, ReferenceValues, Tier, appraise,
    verifier::Speaks,
};
use landfall_brski::pledge::Credential;
use landfall_pki::PublicKey;
use landfall_types::{Fault, Refusal, Time, http::Request};
use std::path::Path;

/// Where a service shows evidence of itself.
const PATH: &str = "/.well-known/landfall/attestation/service";
const SECTION: &str = "SP 1800-36B 7.8";

impl Agent {
    /// Whether the registrar shows, for a nonce of ours, that it runs what its owner says it should; if nobody said what that
    /// is, it is not asked.
    pub(crate) async fn service_attested(&self, credential: &Credential) -> Result<Result<(), Refusal>, DeviceError> {
        let about = &self.config.attestation;
        let Some(path) = &about.service_values else { return Ok(Ok(())) };
        let text = file::read(path)?.ok_or_else(|| DeviceError::file(path, "there is no such file"))?;
        let signers = about.service_signers.iter().map(|path| key_in(path)).collect::<Result<Vec<_>, _>>()?;
        let values = ReferenceValues::verify(&String::from_utf8_lossy(&text), &signers);
        let values = match values {
            Ok(values) => values,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (mut connection, trusted) = match self.registrar(credential).await? {
            Ok(both) => both,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut nonce = [0; 32];
        random(&mut nonce);
        let ask = serde_json::json!({ "nonce": URL_SAFE_NO_PAD.encode(nonce) }).to_string();
        let answer = connection.send(Request::post(PATH, FRESHNESS_JSON, ask.into_bytes()).accept(CMW_JSON)).await?;
        let refuse = |why: String| Refusal::new(Fault::Denied, "service-attestation", SECTION, why);
        if answer.status != 200 {
            return Ok(Err(refuse(format!("the registrar shows nothing of itself: it answered {}", answer.status))));
        }
        let appraisal = judged(&answer.body, &nonce, trusted.binding().value(), &values);
        Ok(match appraisal {
            Ok(appraisal) if appraisal.tier() == Tier::Affirming => Ok(()),
            Ok(appraisal) => Err(refuse(format!("the registrar is {}", appraisal.why()))),
            Err(refusal) => Err(refusal),
        })
    }
}

fn judged(
    shown: &[u8],
    nonce: &[u8],
    connection: Option<&[u8]>,
    values: &ReferenceValues,
) -> Result<Appraisal, Refusal> {
    let none =
        || Refusal::new(Fault::Incompatible, "attestation-channel", "RFC 9266 s3", "the connection has no binding");
    let challenge = Challenge::new(nonce, Connection(connection.ok_or_else(none)?))?;
    let evidence = Evidence::from_cmw(shown)?;
    let service = Device { vendor: &values.vendor, model: &values.model, speaks: Speaks::Known(&values.keys) };
    Ok(appraise(&evidence, &challenge, &service, std::slice::from_ref(values), None, Time::now()))
}

fn key_in(path: &Path) -> Result<PublicKey, DeviceError> {
    let text = file::read(path)?.ok_or_else(|| DeviceError::file(path, "there is no such file"))?;
    Ok(PublicKey::from_pem(&String::from_utf8_lossy(&text))?)
}

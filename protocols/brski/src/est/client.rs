//! The client's side: requests as they are sent, responses as they are believed (RFC 7030 s4).

use super::{Operation, body, csrattrs::CsrAttrs, multipart};
use crate::{media, paths};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_pki::{Anchors, Certificate, Csr, PathPolicy, PublicKey, cms, oid, validate};
use landfall_types::{
    Fault, Redacted, Refusal, Time,
    http::{Request, Response, essence},
    json,
};
use std::time::Duration;

/// The media type of a nonce.
const FRESHNESS: &str = "application/est-attestation-freshness+json";
/// How long to wait when a server says "later" without saying when.
const LATER: Duration = Duration::from_secs(60);

/// Asks for the CA certificates (s4.1.2).
pub fn cacerts(label: Option<&str>) -> Request {
    Request::get(&Operation::CaCerts.path(label)).accept(media::PKCS7)
}

/// Asks what a request should hold (s4.5.1).
pub fn csrattrs(label: Option<&str>) -> Request {
    Request::get(&Operation::CsrAttrs.path(label)).accept(media::CSR_ATTRIBUTES)
}

/// Asks for a nonce that evidence in a request has to cover (draft-ietf-lamps-attestation-freshness s5.2).
pub fn nonce() -> Request {
    Request::get(paths::NONCE).accept(FRESHNESS)
}

/// Asks for a first certificate (s4.2.1).
pub fn enroll(label: Option<&str>, csr: &Csr) -> Request {
    post(Operation::SimpleEnroll, label, csr).accept(media::PKCS7)
}

/// Asks for a certificate in place of the one that the connection is authenticated with (s4.2.2).
pub fn reenroll(label: Option<&str>, csr: &Csr) -> Request {
    post(Operation::SimpleReenroll, label, csr).accept(media::PKCS7)
}

/// Asks for a key and a certificate; key and signature in `csr` mean nothing (s4.4.1).
pub fn keygen(label: Option<&str>, csr: &Csr) -> Request {
    post(Operation::ServerKeyGen, label, csr).accept(media::MULTIPART_MIXED)
}

fn post(operation: Operation, label: Option<&str>, csr: &Csr) -> Request {
    let mut request = Request::post(&operation.path(label), media::PKCS10, body::encode(csr.der()));
    // RFC 8951 s3 makes it meaningless, yet servers made before it refuse requests without it.
    request.headers.add("content-transfer-encoding", "base64");
    request
}

/// What a server said to a request for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// Here it is.
    Granted(T),
    /// Ask the same again, no sooner than after this time (s4.2.3).
    Later(Duration),
}

/// An issued certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The certificate for the key that was asked for.
    pub certificate: Certificate,
    /// Whatever came with it; s4.2.3 allows nothing, servers often send the chain.
    pub others: Vec<Certificate>,
}

/// An issued certificate with the key that the server made for it.
#[derive(Debug)]
pub struct Generated {
    /// The private key: PKCS #8 (RFC 5958).
    pub key: Redacted<Vec<u8>>,
    /// The certificates that came with it. Which is for the key, only who can read the key can tell.
    pub certificates: Vec<Certificate>,
}

/// Reads the CA certificates (s4.1.3). Whether to trust them hangs on the connection that they came over.
///
/// Refuses another status than 200 (`est-status`), another type (`est-type`), or an unreadable or empty bag
/// (`est-body`, `est-certificates`).
pub fn read_cacerts(response: &Response) -> Result<Vec<Certificate>, Refusal> {
    expect(response, &[200], "RFC 7030 s4.1.3")?;
    certificates(response, "RFC 7030 s4.1.3")
}

/// Reads the CSR attributes; a server that has none says 204 or 404 (s4.5.2).
pub fn read_csrattrs(response: &Response) -> Result<CsrAttrs, Refusal> {
    const SECTION: &str = "RFC 7030 s4.5.2";
    expect(response, &[200, 204, 404], SECTION)?;
    if response.status != 200 || response.body.is_empty() {
        return Ok(CsrAttrs::default());
    }
    expect_type(response, media::CSR_ATTRIBUTES, SECTION)?;
    CsrAttrs::from_der(&body::decode(&response.body)?)
}

/// Reads a nonce: between 8 and 64 octets (draft-ietf-lamps-attestation-freshness s5.1).
///
/// Refuses another status than 200 (`est-status`), another type (`est-type`), or what holds no nonce (`est-nonce`).
pub fn read_nonce(response: &Response) -> Result<Vec<u8>, Refusal> {
    const SECTION: &str = "draft-ietf-lamps-attestation-freshness s5.2";
    expect(response, &[200], SECTION)?;
    expect_type(response, FRESHNESS, SECTION)?;
    let body = json::parse(&response.body).ok();
    let nonce = body.as_ref().and_then(|body| body.get("nonce")).and_then(|nonce| nonce.as_str());
    let nonce = nonce.and_then(|text| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok());
    nonce
        .filter(|nonce| (8..=64).contains(&nonce.len()))
        .ok_or_else(|| Refusal::new(Fault::Malformed, "est-nonce", SECTION, "it holds no nonce of 8 to 64 octets"))
}

/// Reads the answer to [`enroll`] or [`reenroll`] for the key `asked` (s4.2.3).
///
/// Refuses what [`read_cacerts`] refuses, and a bag without a certificate for that key (`est-issued-key`).
pub fn read_enrolled(response: &Response, asked: &PublicKey) -> Result<Answer<Enrolled>, Refusal> {
    const SECTION: &str = "RFC 7030 s4.2.3";
    expect(response, &[200, 202], SECTION)?;
    if response.status == 202 {
        return Ok(Answer::Later(retry_after(response)));
    }
    let mut others = certificates(response, SECTION)?;
    let position = others.iter().position(|certificate| certificate.public_key() == asked).ok_or_else(|| {
        Refusal::new(Fault::Peer, "est-issued-key", SECTION, "no certificate is for the key that was asked for")
    })?;
    Ok(Answer::Granted(Enrolled { certificate: others.remove(position), others }))
}

/// Reads the answer to [`keygen`] (s4.4.2).
pub fn read_generated(response: &Response) -> Result<Answer<Generated>, Refusal> {
    const SECTION: &str = "RFC 7030 s4.4.2";
    expect(response, &[200, 202], SECTION)?;
    if response.status == 202 {
        return Ok(Answer::Later(retry_after(response)));
    }
    let parts = multipart::decode(response.headers.first("content-type").unwrap_or_default(), &response.body)?;
    let part = |wanted: &str| {
        parts.iter().find(|part| essence(&part.content_type) == wanted).ok_or_else(|| {
            Refusal::new(Fault::Malformed, "est-multipart", SECTION, format!("there is no {wanted} part"))
        })
    };
    Ok(Answer::Granted(Generated {
        key: Redacted::new(part(media::PKCS8)?.der.clone()),
        certificates: bag(&part(media::PKCS7)?.der, SECTION)?,
    }))
}

/// Whether the server at the other end may act as an EST server for the domain of `anchors` at the time `at`.
///
/// RFC 7030 s3.6.1: under an explicit trust anchor its certificate either names the host that was asked for, or it
/// carries id-kp-cmcRA. A pledge knows no host, so for it only the second counts.
pub fn authorise_server(chain: &[Certificate], anchors: &Anchors, host: Option<&str>, at: Time) -> Result<(), Refusal> {
    const SECTION: &str = "RFC 7030 s3.6.1";
    let (server, rest) = chain.split_first().ok_or_else(|| {
        Refusal::new(Fault::Peer, "est-server-certificate", SECTION, "the server presented no certificate")
    })?;
    validate(server, rest, anchors, &PathPolicy::at(at))?;
    let named = host.is_some_and(|host| server.dns_names().iter().any(|name| name.eq_ignore_ascii_case(host)));
    match named || server.has_eku(oid::CMC_RA) {
        true => Ok(()),
        false => Err(Refusal::new(
            Fault::Peer,
            "est-server-cmc-ra",
            SECTION,
            "the server's certificate neither names the host nor carries id-kp-cmcRA",
        )
        .field("extKeyUsage")),
    }
}

fn expect(response: &Response, statuses: &[u16], section: &'static str) -> Result<(), Refusal> {
    if statuses.contains(&response.status) {
        return Ok(());
    }
    let fault = if response.status >= 500 { Fault::Backend } else { Fault::Denied };
    let said: String = String::from_utf8_lossy(&response.body).chars().filter(|c| !c.is_control()).take(200).collect();
    let detail = format!("the server answered {}: {said}", response.status);
    Err(Refusal::new(fault, "est-status", section, detail).field("status"))
}

fn expect_type(response: &Response, wanted: &str, section: &'static str) -> Result<(), Refusal> {
    // A server that leaves the type out means the one that the operation has.
    match response.headers.first("content-type").map(essence) {
        Some(other) if other != essence(wanted) => {
            let detail = format!("{other} came where {wanted} was due");
            Err(Refusal::new(Fault::Peer, "est-type", section, detail).field("Content-Type"))
        }
        _ => Ok(()),
    }
}

fn certificates(response: &Response, section: &'static str) -> Result<Vec<Certificate>, Refusal> {
    expect_type(response, media::PKCS7, section)?;
    bag(&body::decode(&response.body)?, section)
}

fn bag(der: &[u8], section: &'static str) -> Result<Vec<Certificate>, Refusal> {
    let refuse = |detail: String| Refusal::new(Fault::Malformed, "est-certificates", section, detail);
    match cms::parse_certs_only(der) {
        Ok(certificates) if certificates.is_empty() => Err(refuse("it holds no certificate".into())),
        Ok(certificates) => Ok(certificates),
        Err(e) => Err(refuse(e.to_string())),
    }
}

/// RFC 9110 s10.2.3 also allows a date there, which a client without a clock cannot use.
fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers.first("retry-after").and_then(|value| value.trim().parse().ok());
    seconds.map_or(LATER, Duration::from_secs)
}

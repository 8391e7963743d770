//! The checks of a registrar's request (RFC 8995 s5.5.2 to s5.5.6), in the order of the specification.

use super::{
    Claim, Config,
    authentication::{self, Authentication},
    prior::{self, Prior},
};
use crate::{
    TlsPeer, media,
    voucher::{self, Assertion, Format, Signed, VoucherRequest, key_identifier},
};
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use landfall_pki::{Anchors, Certificate, oid, validate};
use landfall_types::{
    DeviceId, Fault, Fingerprint, Refusal, Time,
    http::{Headers, Method, Request, accepts, essence},
};
use std::time::Duration;

const S55: &str = "RFC 8995 s5.5";
const S56: &str = "RFC 8995 s5.6";

/// A request whose signature and signer have been checked.
pub(super) struct Registrar {
    pub(super) request: Signed<VoucherRequest>,
    /// The signer's path, its own certificate first.
    pub(super) chain: Vec<Certificate>,
}

/// Checks a request for a voucher.
pub(super) fn check(config: &Config, now: Time, http: &Request, client: Option<&TlsPeer>) -> Result<Claim, Refusal> {
    let format = media_type(http)?;
    let answer = answer_format(config, &http.headers, format)?;
    let registrar = registrar(config, now, format, &http.body, config.freshness)?;
    let authentication = authentication::of(config, now, &registrar, client);
    claim(config, now, registrar, authentication, answer)
}

/// The form of the request's body, of a request that is for here.
pub(super) fn media_type(http: &Request) -> Result<Format, Refusal> {
    if http.method != Method::Post {
        return Err(Refusal::new(Fault::Malformed, "request-method", S55, "only POST is allowed"));
    }
    let found = http.headers.first("content-type").unwrap_or_default();
    Format::from_media_type(found).ok_or_else(|| {
        let detail = format!("{:?} is no type of voucher request", found.chars().take(80).collect::<String>());
        Refusal::new(Fault::Incompatible, "request-type", S56, detail).field("Content-Type")
    })
}

/// The form of the voucher: that of the request if it will do, else the favourite among those that are accepted.
fn answer_format(config: &Config, headers: &Headers, asked: Format) -> Result<Format, Refusal> {
    let accepted = |format: &Format| {
        accepts(headers, format.media_type())
            || *format == Format::CoseCbor && accepts(headers, media::VOUCHER_COSE_OLD)
    };
    let same = config.formats.iter().filter(|format| **format == asked);
    if let Some(format) = same.chain(&config.formats).find(|format| accepted(format)) {
        return Ok(*format);
    }
    // RFC 8995 s5.6: 415 if nothing of the list is understood, 406 if it is and cannot be made.
    let understood = headers
        .all("accept")
        .flat_map(|list| list.split(','))
        .any(|range| Format::from_media_type(&essence(range)).is_some());
    let (check, detail) = match understood {
        true => ("request-accept", "no voucher of an accepted form is issued here"),
        false => ("request-accept-unknown", "no accepted form is known here"),
    };
    Err(Refusal::new(Fault::Incompatible, check, S56, detail).field("Accept"))
}

/// Opens a registrar's request and checks that a registrar made it, lately.
pub(super) fn registrar(
    config: &Config,
    now: Time,
    format: Format,
    body: &[u8],
    freshness: Duration,
) -> Result<Registrar, Refusal> {
    let request = voucher::open::<VoucherRequest>(format, body)?;
    // RFC 8995 s5.5: this field is the pledge's.
    if request.payload.proximity_registrar_cert.is_some() {
        let detail = "a registrar must not send it";
        return Err(
            Refusal::new(Fault::Peer, "registrar-request-proximity", S55, detail).field("proximity-registrar-cert")
        );
    }
    fresh(config, now, &request.payload, freshness)?;
    let chain = domain_chain(config, now, &request)?;
    // RFC 8995 s5.5.4: the domain must have meant the signer to be a registrar.
    if !request.signer.has_eku(oid::CMC_RA) {
        let detail = format!("the certificate of {} does not name id-kp-cmcRA", request.signer.subject());
        return Err(Refusal::new(Fault::Peer, "registrar-cmc-ra", "RFC 8995 s5.5.4", detail).field("extKeyUsage"));
    }
    for certificate in &chain {
        own_key_id(certificate)?;
    }
    Ok(Registrar { request, chain })
}

/// RFC 8995 s5.6: a stale request is refused. One without created-on has nothing to judge by (s5.5: SHOULD).
fn fresh(config: &Config, now: Time, request: &VoucherRequest, freshness: Duration) -> Result<(), Refusal> {
    let Some(created_on) = request.created_on else { return Ok(()) };
    let detail = match (now > created_on + freshness, created_on > now + config.skew) {
        (false, false) => return Ok(()),
        (true, _) => format!("it is from {created_on}, which is longer ago than {} s", freshness.as_secs()),
        (_, true) => format!("it is from {created_on}, which is yet to come"),
    };
    Err(Refusal::new(Fault::Peer, "registrar-request-stale", S56, detail).field("created-on"))
}

/// The signer's path through the certificates of the request. The highest that came along is a temporary anchor
/// (RFC 8995 s5.5.2): this shows that the domain's PKI is consistent, not whose it is.
fn domain_chain(config: &Config, now: Time, request: &Signed<VoucherRequest>) -> Result<Vec<Certificate>, Refusal> {
    let all = || std::iter::once(&request.signer).chain(&request.certificates);
    let highest = |c: &&Certificate| {
        c.is_self_issued()
            || !all().any(|issuer| issuer != *c && issuer.is_ca() && issuer.subject_der() == c.issuer_der())
    };
    let anchors = Anchors::of(all().filter(highest).cloned());
    let path = validate(&request.signer, &request.certificates, &anchors, &config.path_policy(now));
    path.map(|path| path.chain).map_err(|refusal| {
        Refusal::new(Fault::Peer, "registrar-path", "RFC 8995 s5.5.3", refusal.to_string()).field("certificates")
    })
}

/// RFC 8995 s11.2: nobody may pass for another domain. A domain is known by its certificate's key identifier (s5.8.2),
/// which whoever makes a certificate chooses; so only one that is a hash of the key counts (RFC 5280 s4.2.1.2 method 1,
/// RFC 7093 s2).
fn own_key_id(certificate: &Certificate) -> Result<(), Refusal> {
    let Some(id) = certificate.subject_key_id() else { return Ok(()) };
    let key = certificate.public_key();
    let is = |algorithm, message: &[u8]| id.len() >= 20 && digest(algorithm, message).as_ref().starts_with(id);
    let of_bits = [&SHA256, &SHA384, &SHA512].into_iter().any(|algorithm| is(algorithm, key.key_bits()));
    if id == key.key_id() || of_bits || is(&SHA256, key.spki_der()) {
        return Ok(());
    }
    let detail = format!("the key identifier of {} is not made from its key", certificate.subject());
    Err(Refusal::new(Fault::Peer, "registrar-key-id", "RFC 8995 s11.2", detail).field("subjectKeyIdentifier"))
}

/// The certificates of a request are not signed with it, and nothing above a temporary anchor vouches for it; so what
/// is pinned has at least to be what its own key signed, where it is self-signed.
fn own_signature(config: &Config, pinned: &Certificate) -> Result<(), Refusal> {
    if !pinned.is_self_issued() {
        return Ok(());
    }
    let key = pinned.public_key();
    let signed = config.memo.as_ref().map_or_else(|| pinned.verify_issued_by(key), |memo| memo.verify(pinned, key));
    signed.map_err(|e| {
        let detail = format!("{}: {e}", pinned.subject());
        Refusal::new(Fault::Peer, "registrar-path", "RFC 8995 s5.5.2", detail).field("certificates")
    })
}

/// Puts together what the request proves.
pub(super) fn claim(
    config: &Config,
    now: Time,
    registrar: Registrar,
    authentication: Authentication,
    format: Format,
) -> Result<Claim, Refusal> {
    let prior = prior::check(config, now, &registrar)?;
    let Registrar { request, chain } = registrar;
    let Signed { payload: VoucherRequest { serial_number, nonce, idevid_issuer, .. }, signer, raw, .. } = request;
    let issuer = issuer(config, idevid_issuer.as_deref(), prior.as_ref().map(|prior| prior.issuer.as_slice()))?;
    let (idevid, assertion) = match prior {
        Some(Prior { idevid, assertion, .. }) => (Some(idevid), assertion),
        None => (None, Assertion::Logged),
    };
    let certified = idevid.as_ref().and_then(Certificate::idevid_issuer);
    let pin = if nonce.is_some() { config.pin_nonced } else { config.pin_nonceless };
    let pinned = pin.choose(&chain).unwrap_or(&signer).clone();
    own_signature(config, &pinned)?;
    Ok(Claim {
        device: DeviceId::new(&issuer, &serial_number),
        serial: serial_number,
        idevid_issuer: certified.or(idevid_issuer),
        idevid,
        nonce,
        assertion,
        domain: pinned.domain_id(),
        pinned,
        registrar: signer,
        domain_chain: chain,
        authentication,
        request: sha256(&raw),
        format,
    })
}

/// The key identifier of who issued the IDevID: as its own certificate certifies, else as the registrar claims, else
/// the only one that there is (RFC 8366 s5.3: optional where serial numbers are unique).
fn issuer(config: &Config, claimed: Option<&[u8]>, certified: Option<&[u8]>) -> Result<Vec<u8>, Refusal> {
    let refuse = |detail: &str| Err(Refusal::new(Fault::Peer, "idevid-issuer", S55, detail).field("idevid-issuer"));
    let claimed = match claimed.map(key_identifier) {
        Some(None) => return refuse("it is no authority key identifier"),
        Some(identifier) => identifier,
        None => None,
    };
    match (claimed.as_deref(), certified, config.sole_idevid_issuer.as_deref()) {
        (Some(claimed), Some(certified), _) if claimed != certified => {
            refuse("it is not that of the IDevID which signed the pledge's request")
        }
        (_, Some(issuer), _) | (Some(issuer), None, _) | (None, None, Some(issuer)) => Ok(issuer.to_vec()),
        (None, None, None) => refuse("it is missing, and several CAs issue IDevIDs here"),
    }
}

fn sha256(bytes: &[u8]) -> Fingerprint {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Fingerprint(fingerprint)
}

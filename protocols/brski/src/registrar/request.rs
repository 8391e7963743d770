//! Checking a pledge's voucher request, and making the registrar's own (RFC 8995 s5.2, s5.3, s5.5).

use super::{Config, MasaEndpoint, Pledge};
use crate::{
    TlsPeer, media,
    voucher::{self, Assertion, Format, Signed, VoucherRequest},
};
use landfall_types::{
    Fault, Refusal, Time,
    http::{Headers, Method, Request, accepts, essence},
};

const S52: &str = "RFC 8995 s5.2";
const S55: &str = "RFC 8995 s5.5";
const S56: &str = "RFC 8995 s5.6";

/// A pledge's request that has passed every check that needs nobody else.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) pledge: Pledge,
    pub(super) request: Signed<VoucherRequest>,
    /// What the pledge takes: its Accept list, word by word, for the MASA.
    pub(super) accept: String,
    pub(super) masa: MasaEndpoint,
}

/// Checks everything that the request and the connection alone can tell.
pub(super) fn check(config: &Config, now: Time, request: &Request, client: Option<&TlsPeer>) -> Result<Asked, Refusal> {
    if request.method != Method::Post {
        return Err(Refusal::new(Fault::Peer, "request-method", S52, "a voucher is asked for with POST"));
    }
    let format = content_type(request)?;
    let accept = accept(request, format)?;
    // Who it is comes before what it says: a stranger's signatures are not worth verifying.
    let pledge = config.vendors.identify(client, now)?;
    let signed = voucher::open::<VoucherRequest>(format, &request.body)?;
    consistent(config, &pledge, &signed)?;
    let masa = pledge.vendor.masa_for(&pledge.idevid)?;
    Ok(Asked { pledge, request: signed, accept, masa })
}

fn content_type(request: &Request) -> Result<Format, Refusal> {
    let given = request.headers.first("content-type").unwrap_or_default();
    Format::from_media_type(given).ok_or_else(|| {
        let shown: String = essence(given).chars().take(80).collect();
        Refusal::new(Fault::Incompatible, "request-type", S56, format!("{shown:?} is no form of a voucher request"))
            .field("Content-Type")
    })
}

/// The Accept list, or the form of the request where there is none.
fn accept(request: &Request, format: Format) -> Result<String, Refusal> {
    let list = request.headers.all("accept").collect::<Vec<_>>().join(", ");
    if list.is_empty() {
        return Ok(format.media_type().to_owned());
    }
    let served = [media::VOUCHER_CMS, media::VOUCHER_JWS, media::VOUCHER_COSE, media::VOUCHER_COSE_OLD];
    match served.into_iter().any(|media_type| accepts(&request.headers, media_type)) {
        true => Ok(list),
        false => {
            let detail = "no form of voucher that is known here would be accepted";
            Err(Refusal::new(Fault::Incompatible, "request-accept", S56, detail).field("Accept"))
        }
    }
}

/// The request against the connection that it came over.
fn consistent(config: &Config, pledge: &Pledge, signed: &Signed<VoucherRequest>) -> Result<(), Refusal> {
    let refuse =
        |check, section, field, detail: String| Err(Refusal::new(Fault::Peer, check, section, detail).field(field));
    let request = &signed.payload;
    // RFC 8995 s5.2: signed with the credentials that the pledge authenticates with; else it could be someone else's
    // request, replayed (s11.4).
    if signed.signer.public_key() != pledge.idevid.public_key() {
        let detail = format!("{:?} signed it, {:?} sent it", signed.signer.subject(), pledge.idevid.subject());
        return refuse("request-signer", S52, "signerInfo", detail);
    }
    // RFC 8995 s5.5: what is parsed from the IDevID counts, and what the pledge claims has to be the same.
    if request.serial_number != pledge.serial {
        let detail = format!("it says {}, the IDevID says {}", request.serial_number, pledge.serial);
        return refuse("request-serial", S55, "serial-number", detail);
    }
    if request.nonce.is_none() {
        return refuse("request-nonce", S52, "nonce", "a pledge's request has to carry a nonce".into());
    }
    if request.assertion != Some(Assertion::Proximity) {
        let detail = format!("{:?} is claimed, not proximity", request.assertion);
        return refuse("request-assertion", S52, "assertion", detail);
    }
    // RFC 8995 s5.2: anything but our own certificate means that someone stands in between.
    match &request.proximity_registrar_cert {
        Some(seen) if seen.der() == config.certificate.der() => Ok(()),
        Some(seen) => {
            let detail = format!("the pledge saw {:?}, which is not our certificate", seen.subject());
            refuse("request-proximity", S52, "proximity-registrar-cert", detail)
        }
        None => refuse("request-proximity", S52, "proximity-registrar-cert", "it is missing".into()),
    }
}

impl Asked {
    /// The pledge's Accept list as a header field.
    pub(super) fn accept_headers(&self) -> Headers {
        let mut headers = Headers::default();
        headers.add("accept", self.accept.clone());
        headers
    }

    /// The registrar's own request for the MASA.
    ///
    /// RFC 8995 s5.5: the serial number comes from the authenticated IDevID, the nonce from the pledge, the pledge's
    /// request goes along whole, and proximity-registrar-cert must not.
    pub(super) fn registrar_request(&self, now: Time) -> VoucherRequest {
        VoucherRequest {
            created_on: Some(now),
            assertion: Some(Assertion::Proximity),
            idevid_issuer: self.pledge.idevid.idevid_issuer(),
            nonce: self.request.payload.nonce.clone(),
            prior_signed_voucher_request: Some(self.request.raw.clone()),
            ..VoucherRequest::new(self.pledge.serial.clone())
        }
    }
}

//! The pledge's own request inside the registrar's (RFC 8995 s5.5.5, s5.5.6).

use super::{Config, request::Registrar};
use crate::voucher::{self, Assertion, Format, Signed, VoucherRequest};
use landfall_pki::{Certificate, validate};
use landfall_types::{Fault, Refusal, Time};

const S555: &str = "RFC 8995 s5.5.5";
const S556: &str = "RFC 8995 s5.5.6";

/// What the pledge's request proves.
pub(super) struct Prior {
    /// Who signed it.
    pub(super) idevid: Certificate,
    /// The key identifier of who issued its certificate.
    pub(super) issuer: Vec<u8>,
    /// Proximity, if the pledge names the registrar that asks.
    pub(super) assertion: Assertion,
}

/// Checks the pledge's request, if it came along, against the registrar's.
pub(super) fn check(config: &Config, now: Time, registrar: &Registrar) -> Result<Option<Prior>, Refusal> {
    let request = &registrar.request.payload;
    let Some(bytes) = &request.prior_signed_voucher_request else { return Ok(None) };
    let pledge = open(bytes)?;
    let idevid = &pledge.signer;
    let issuer = trusted(config, now, &pledge)?;

    // RFC 8995 s5.5.5: the registrar asks for the device that signed, by the serial number in its certificate.
    let certified = idevid.subject_serial_number();
    if certified.as_ref() != Some(&request.serial_number) || pledge.payload.serial_number != request.serial_number {
        let found = certified.map_or_else(|| "none".into(), String::from);
        let detail = format!(
            "the registrar asks for {}, the pledge for {}, and its IDevID says {found}",
            request.serial_number, pledge.payload.serial_number
        );
        return Err(Refusal::new(Fault::Peer, "prior-request-serial", S555, detail).field("serial-number"));
    }
    // RFC 8995 s5.5.6: a nonce must be the pledge's.
    if request.nonce.is_some() && request.nonce != pledge.payload.nonce {
        let detail = "the registrar's nonce is not the pledge's";
        return Err(Refusal::new(Fault::Peer, "prior-request-nonce", S556, detail).field("nonce"));
    }
    let assertion = match (proximity(&pledge.payload, &registrar.chain)?, &request.nonce) {
        // RFC 8995 s11.4: a registrar that leaves the nonce out may have kept the pledge's word for long.
        (_, None) => Assertion::Logged,
        (assertion, Some(_)) => assertion,
    };
    Ok(Some(Prior { idevid: pledge.signer, issuer, assertion }))
}

fn open(bytes: &[u8]) -> Result<Signed<VoucherRequest>, Refusal> {
    let field = "prior-signed-voucher-request";
    let Some(format) = Format::sniff(bytes) else {
        let detail = "it is neither CMS nor JWS nor COSE";
        return Err(Refusal::new(Fault::Malformed, "prior-request", S555, detail).field(field));
    };
    let refuse = |e: voucher::VoucherError| Refusal::new(e.fault(), "prior-request", S555, e.to_string()).field(field);
    voucher::open(format, bytes).map_err(refuse)
}

/// The signer is one of our devices. Gives the key identifier of its issuer, as the IDevID says, or if it says nothing
/// (that of RFC 8995 App. C does not), as its path does.
fn trusted(config: &Config, now: Time, pledge: &Signed<VoucherRequest>) -> Result<Vec<u8>, Refusal> {
    let policy = config.path_policy(now).ignore_leaf_expiry(config.idevid_expiry_ignored);
    match validate(&pledge.signer, &pledge.certificates, &config.idevid_anchors, &policy) {
        Ok(path) => Ok(pledge.signer.authority_key_id().unwrap_or_else(|| match path.chain.get(1) {
            Some(issuer) => issuer.key_id(),
            None => path.anchor.public_key().key_id().to_vec(),
        })),
        Err(refusal) => {
            let detail = format!("{}: {refusal}", pledge.signer.subject());
            Err(Refusal::new(Fault::Denied, "idevid-untrusted", S555, detail).field("prior-signed-voucher-request"))
        }
    }
}

/// RFC 8995 s5.5.5: the registrar that the pledge saw has to be in the path of the one that asks, by its key. A pledge
/// that names none, and asks for no more, is only logged.
fn proximity(pledge: &VoucherRequest, chain: &[Certificate]) -> Result<Assertion, Refusal> {
    let refuse = |detail| {
        Err(Refusal::new(Fault::Peer, "prior-request-proximity", S555, detail).field("proximity-registrar-cert"))
    };
    match &pledge.proximity_registrar_cert {
        Some(seen) if chain.iter().any(|c| c.public_key() == seen.public_key()) => Ok(Assertion::Proximity),
        Some(_) => refuse("the pledge saw another registrar than the one that asks"),
        None if pledge.assertion == Some(Assertion::Proximity) => refuse("the pledge asserts proximity to nobody"),
        None => Ok(Assertion::Logged),
    }
}

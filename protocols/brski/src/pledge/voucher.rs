//! How a pledge judges a voucher (RFC 8995 s5.6.1, RFC 8366 s5.3).

use crate::voucher::{Format, Nonce, Signed, Voucher, open};
use landfall_pki::{Anchors, Certificate, PathPolicy, validate};
use landfall_types::{Fault, Refusal, SerialNumber, Time};
use std::time::Duration;

const CHECKS: &str = "RFC 8995 s5.6.1";
const TIMES: &str = "RFC 8995 s2.6.1";

/// By what rules a pledge accepts vouchers.
#[derive(Clone, Debug)]
pub struct VoucherPolicy {
    /// The manufacturer's anchors for its MASA, put in at the factory.
    pub anchors: Anchors,
    /// Whether the device knows the time. One that does not ignores every date (RFC 8995 s2.6.1).
    pub clock: bool,
    /// Whether vouchers without a nonce are taken (RFC 8995 s7.2 asks for it, so that registrars without a way to the
    /// MASA can onboard devices with vouchers fetched ahead).
    pub nonceless: bool,
    /// How far the clocks of device and MASA may differ.
    pub skew: Duration,
}

impl VoucherPolicy {
    /// The usual rules for a device with a clock.
    pub const fn new(anchors: Anchors) -> Self {
        Self { anchors, clock: true, nonceless: true, skew: Duration::from_secs(300) }
    }
}

/// What a voucher has to match.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    pub(super) serial_number: &'a SerialNumber,
    pub(super) idevid: &'a Certificate,
    pub(super) nonce: &'a Nonce,
}

/// A voucher that passed every check: this device may be taken over by the domain that it pins.
#[derive(Clone, Debug)]
pub struct Imprint {
    voucher: Voucher,
    pinned: Certificate,
    raw: Vec<u8>,
}

impl Imprint {
    /// What it says.
    pub const fn voucher(&self) -> &Voucher {
        &self.voucher
    }

    /// The certificate that it pins.
    pub const fn pinned(&self) -> &Certificate {
        &self.pinned
    }

    /// The voucher as it came.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

impl VoucherPolicy {
    /// Applies every check to the body of a voucher response.
    pub(super) fn judge(&self, format: Format, body: &[u8], asked: &Asked<'_>, now: Time) -> Result<Imprint, Refusal> {
        let signed: Signed<Voucher> = open(format, body)?;
        self.signer(&signed, now)?;
        let Signed { payload: voucher, raw, .. } = signed;
        device(&voucher, asked)?;
        self.fresh(&voucher, asked.nonce, now)?;
        let pinned = pinned(&voucher)?;
        Ok(Imprint { voucher, pinned, raw })
    }

    /// RFC 8995 s5.6.1: the signer must lead to the anchors that the factory put in, and to no others.
    fn signer(&self, signed: &Signed<Voucher>, now: Time) -> Result<(), Refusal> {
        let at = instant(self.clock, now, std::iter::once(&signed.signer).chain(&signed.certificates));
        let path = validate(&signed.signer, &signed.certificates, &self.anchors, &PathPolicy::at(at));
        path.map(drop).map_err(|why| {
            Refusal::new(Fault::Peer, "voucher-signer-trust", CHECKS, why.to_string()).field("certificates")
        })
    }

    /// RFC 8995 s5.6.1, s7.2 and s2.6.1: the nonce that was sent makes a voucher fresh; without one only its dates do.
    fn fresh(&self, voucher: &Voucher, sent: &Nonce, now: Time) -> Result<(), Refusal> {
        let refuse =
            |check, section, field, detail: String| Err(Refusal::new(Fault::Peer, check, section, detail).field(field));
        match &voucher.nonce {
            Some(nonce) if nonce != sent => {
                return refuse("voucher-nonce", CHECKS, "nonce", "it is not the nonce that was sent".into());
            }
            None if !self.nonceless => {
                return refuse(
                    "voucher-nonceless",
                    "RFC 8995 s7.2",
                    "nonce",
                    "vouchers without one are refused".into(),
                );
            }
            _ => {}
        }
        match (voucher.created_on, voucher.expires_on) {
            (Some(created), _) if self.clock && created > now + self.skew => {
                refuse("voucher-created-on", TIMES, "created-on", format!("it is of {created}, and it is {now} now"))
            }
            (_, Some(expires)) if self.clock && expires < now => {
                refuse("voucher-expired", TIMES, "expires-on", format!("it expired at {expires}, and it is {now} now"))
            }
            _ => Ok(()),
        }
    }
}

/// RFC 8995 s5.6.1 and RFC 8366 s5.3 (idevid-issuer): it is for this very device, not for one of another manufacturer
/// that happens to have the same serial number.
fn device(voucher: &Voucher, asked: &Asked<'_>) -> Result<(), Refusal> {
    if voucher.serial_number != *asked.serial_number {
        let detail = format!("it is for {}, and this is {}", voucher.serial_number, asked.serial_number);
        return Err(Refusal::new(Fault::Peer, "voucher-serial-number", CHECKS, detail).field("serial-number"));
    }
    if voucher.idevid_issuer.is_some() && voucher.idevid_issuer != asked.idevid.idevid_issuer() {
        let detail = "it is for a device whose IDevID has another issuer";
        let refusal = Refusal::new(Fault::Peer, "voucher-idevid-issuer", "RFC 8366 s5.3", detail);
        return Err(refusal.field("idevid-issuer"));
    }
    Ok(())
}

fn pinned(voucher: &Voucher) -> Result<Certificate, Refusal> {
    // RFC 8366 s5.3: with this set, the pinned certificate must not be used before its revocation status is known,
    // and a device that is on no network yet cannot know it.
    if voucher.domain_cert_revocation_checks == Some(true) {
        let detail = "it demands a revocation check, for which there is no means before enrolment";
        let refusal = Refusal::new(Fault::Incompatible, "voucher-revocation-checks", "RFC 8366 s5.3", detail);
        return Err(refusal.field("domain-cert-revocation-checks"));
    }
    // RFC 8995 s5.6.1: a voucher that pins nothing means that this domain will not have the device.
    voucher.pinned_domain_cert.clone().ok_or_else(|| {
        let detail = "it pins no certificate: this domain will not have the device";
        Refusal::new(Fault::Denied, "voucher-pinned-domain-cert", CHECKS, detail).field("pinned-domain-cert")
    })
}

/// For what time certificates are judged. A device that does not know the time takes the latest moment at which any
/// of them began, which can only be too early: so none counts as expired for its own age (RFC 8995 s2.6.1).
pub(super) fn instant<'a>(clock: bool, now: Time, chain: impl Iterator<Item = &'a Certificate>) -> Time {
    match clock {
        true => now,
        false => chain.map(Certificate::not_before).max().unwrap_or(now),
    }
}

//! What a registrar's request proves.

use super::Authentication;
use crate::voucher::{Assertion, Format, Nonce};
use landfall_pki::Certificate;
use landfall_types::{DeviceId, DomainId, Fingerprint, SerialNumber};

/// A registrar's claim on a device: every field has been verified, and whether the claim is just has not been decided.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The device.
    pub device: DeviceId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// The authority key identifier of its IDevID, as it will stand in the voucher.
    pub idevid_issuer: Option<Vec<u8>>,
    /// The IDevID, if the pledge's own request came along; its path and its signature have been verified.
    pub idevid: Option<Certificate>,
    /// The nonce, if the voucher is for a pledge that waits.
    pub nonce: Option<Nonce>,
    /// What the request proves: proximity, or nothing beyond what is logged.
    pub assertion: Assertion,
    /// The registrar's certificate, which signed the request and names cmcRA.
    pub registrar: Certificate,
    /// Its path, its own certificate first, to the highest that came along.
    pub domain_chain: Vec<Certificate>,
    /// Which of them the voucher will pin.
    pub pinned: Certificate,
    /// The domain, by what is pinned (RFC 8995 s5.8.2).
    pub domain: DomainId,
    /// How the registrar has shown who it is, beyond its signature.
    pub authentication: Authentication,
    /// The SHA-256 of the request, to recognise it when it comes again.
    pub request: Fingerprint,
    /// The form that the voucher will have.
    pub format: Format,
}

impl Claim {
    /// The key that stands highest in the registrar's chain: the domain's CA, as far as the MASA can see.
    pub fn authority(&self) -> Fingerprint {
        let highest = self.domain_chain.last().unwrap_or(&self.registrar);
        highest.public_key().fingerprint()
    }
}

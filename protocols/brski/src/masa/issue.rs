//! From a claim that was granted to a voucher.

use super::{Claim, Config, PastVoucher};
use crate::voucher::{Assertion, Format, Voucher};
use landfall_pki::Certificate;
use landfall_types::{Fault, Refusal, Time};
use std::time::Duration;

/// What the role says to a [`Claim`].
#[derive(Clone, Debug)]
pub enum Ruling {
    /// The claimant may have the device.
    Permit(Permit),
    /// The claimant has had its answer ([`Precedent::Answered`](super::Precedent::Answered)): this voucher.
    Repeat {
        /// Its form.
        format: Format,
        /// Its bytes.
        voucher: Vec<u8>,
        /// As in [`Permit::known_customer`].
        known_customer: bool,
    },
    /// The claimant may not have it. [`status`](crate::status) says how the registrar hears of it: a check named
    /// `device-unknown` becomes 404.
    Refuse(Refusal),
}

/// The terms of a permission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// Whether the ownership has been verified, by a record of the sale for example; then the voucher says so.
    pub ownership_verified: bool,
    /// How long a nonceless voucher lasts, instead of the configured time.
    pub lifetime: Option<Duration>,
    /// Until when a nonceless voucher is likely to be renewed.
    pub last_renewal: Option<Time>,
    /// Whether a certificate of [`Claim::domain_chain`] is on record as a customer's. It is then an anchor that was
    /// configured beforehand, which is one of the ways of RFC 8995 s5.5.4 to authenticate a registrar.
    pub known_customer: bool,
}

/// A voucher that was issued, to be made durable and logged before the registrar gets it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The claim that it answers.
    pub claim: Claim,
    /// Its form.
    pub format: Format,
    /// Its bytes.
    pub voucher: Vec<u8>,
    /// What later claims and the audit log need to know of it.
    pub past: PastVoucher,
}

impl Config {
    /// The voucher for a claim that was granted.
    pub(super) fn voucher(&self, now: Time, claim: &Claim, permit: &Permit) -> Result<Voucher, Refusal> {
        let mut voucher = Voucher::new(claim.serial.clone());
        voucher.created_on = Some(now);
        voucher.assertion = Some(if permit.ownership_verified { Assertion::Verified } else { claim.assertion });
        voucher.idevid_issuer = claim.idevid_issuer.clone();
        voucher.pinned_domain_cert = Some(claim.pinned.clone());
        voucher.domain_cert_revocation_checks = self.revocation_checks;
        voucher.nonce = claim.nonce.clone();
        // RFC 8366 s5.3: nonce and expiry exclude each other; RFC 8995 s5.6: without nonce there is an expiry.
        if claim.nonce.is_none() {
            voucher.expires_on = Some(self.expiry(now, claim, permit)?);
            voucher.last_renewal_date = permit.last_renewal;
        }
        Ok(voucher)
    }

    /// RFC 8995 s5.6: before the earliest of the configured lifetime, the end of the registrar's certificate and of
    /// what is pinned, and the next update of the domain's revocation lists.
    fn expiry(&self, now: Time, claim: &Claim, permit: &Permit) -> Result<Time, Refusal> {
        let wanted = now + permit.lifetime.unwrap_or(self.lifetime);
        let certificates = claim.domain_chain.iter().map(Certificate::not_after);
        let of_domain =
            |crl: &&landfall_pki::Crl| claim.domain_chain.iter().any(|c| c.issuer_der() == crl.issuer_der());
        let crls = self.crls.now();
        let lists = crls.iter().filter(of_domain).filter_map(landfall_pki::Crl::next_update);
        let expiry = certificates.chain(lists).fold(wanted, Time::min);
        match expiry > now {
            true => Ok(expiry),
            false => Err(Refusal::new(
                Fault::Peer,
                "voucher-lifetime",
                "RFC 8995 s5.6",
                format!("the registrar's certificates or revocation lists end on {expiry}"),
            )
            .field("expires-on")),
        }
    }
}

impl Issued {
    pub(super) fn new(claim: Claim, content: &Voucher, now: Time, voucher: Vec<u8>) -> Self {
        let past = PastVoucher {
            created_on: now,
            expires_on: content.expires_on,
            nonce: claim.nonce.clone(),
            assertion: content.assertion.unwrap_or(Assertion::Logged),
            domain: claim.domain.clone(),
            authority: claim.authority(),
            request: claim.request,
        };
        Self { format: claim.format, claim, voucher, past }
    }
}

//! Whether a domain gets a voucher for a device.

use super::{Basis, Customer, Holding, Mode, NoncelessVoucher, Ownership, TransferPolicy, VoucherEvent};
use landfall_brski::voucher::Assertion;
use landfall_types::{
    Changes, DomainId, Fault, Fingerprint, OwnerId, Refusal, Time,
    record::{Unwritable, Version},
};

/// Who asks, as far as the MASA has verified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The domain that would be pinned (RFC 8995 s5.8.2). It must have been checked to be made from the domain's key, since
    /// anyone can write any into a certificate (s11.2).
    pub domain: DomainId,
    /// The SHA-256 of the registrar's certificate.
    pub registrar: Fingerprint,
    /// The nonce, or none if a voucher without one is wanted.
    pub nonce: Option<String>,
    /// Whether the device itself has said that it sees this registrar (RFC 8995 s5.5.5 and s5.5.6).
    pub proximity: bool,
    /// Whether the registrar has shown who it is (RFC 8995 s5.5.4): as the TLS client, or by a certificate that leads to
    /// a configured anchor or to a customer's certificate on record.
    pub authenticated: bool,
}

/// Leave to issue one voucher.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the voucher that is issued on a grant must be recorded"]
pub struct Grant {
    /// What the voucher says of how ownership was established.
    pub assertion: Assertion,
    /// When the voucher must expire, if it must.
    pub expires: Option<Time>,
    /// The owner by the sales records, if they say it.
    pub owner: Option<OwnerId>,
    /// In words, for the operator: why.
    pub why: String,
    claimant: Claimant,
    ownership: Ownership,
}

/// What must be durable before a voucher is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The device's ownership from now on.
    pub ownership: Ownership,
    /// What the log says of it.
    pub event: VoucherEvent,
}

/// Decides whether `claimant` gets a voucher at `now`.
///
/// `ownership` is that of the device ([`Ownership::unsold`] if none is recorded), and `customer` the one that the
/// claimant's certificates or domain belong to, if they belong to one. A refusal names the check.
pub fn claim(
    ownership: &Ownership,
    claimant: Claimant,
    customer: Option<&Customer>,
    policy: &TransferPolicy,
    now: Time,
) -> Result<Grant, Refusal> {
    let expires = match claimant.nonce {
        Some(_) => None,
        None => {
            nonceless(&claimant, customer, policy, now)?;
            policy.nonceless_until(now)
        }
    };
    let mut ownership = ownership.clone();
    let (assertion, why) = match &ownership.holding {
        Some(Holding { basis: Basis::Sale { owner, sale }, .. }) if policy.ownership != Mode::TrustOnFirstUse => {
            if customer.map(|customer| &customer.owner) != Some(owner) {
                return Err(other_owner(&ownership, customer));
            }
            (Assertion::Verified, format!("sold to {owner} ({sale})"))
        }
        Some(Holding { basis: Basis::FirstUse { domain }, .. }) if policy.ownership != Mode::SalesRecord => {
            if *domain != claimant.domain {
                return Err(other_owner(&ownership, customer));
            }
            (reached(&claimant), "the domain that was the first to ask".into())
        }
        _ if policy.ownership == Mode::SalesRecord => {
            let detail = format!("{} has not been sold, as far as the sales records go", ownership.serial_number);
            return Err(refused("voucher-sold", "RFC 8995 s10.1", detail));
        }
        _ => {
            first_use(&mut ownership, &claimant, policy, now)?;
            (reached(&claimant), "nobody asked for it before".into())
        }
    };
    let owner = ownership.owner().filter(|_| assertion == Assertion::Verified).cloned();
    Ok(Grant { assertion, expires, owner, why, claimant, ownership })
}

/// RFC 8995 s5.5.1 and s7.4.1: without a nonce only for an authenticated registrar of a customer that may have it.
fn nonceless(
    claimant: &Claimant,
    customer: Option<&Customer>,
    policy: &TransferPolicy,
    now: Time,
) -> Result<(), Refusal> {
    let refused = |check, detail: &str| Err(refused(check, "RFC 8995 s5.5.4, s7.4.1", detail.into()).field("nonce"));
    if !policy.nonceless {
        return refused("voucher-nonceless", "vouchers without a nonce are not issued here");
    }
    if let Some(last) = policy.last_renewal.filter(|last| *last < now) {
        return refused("voucher-last-renewal", &format!("no voucher without a nonce is issued after {last}"));
    }
    if !claimant.authenticated {
        return refused("nonceless-authentication", "nothing shows who the registrar is");
    }
    match customer {
        Some(customer) if customer.nonceless => Ok(()),
        Some(customer) => {
            let detail = format!("{} may not have vouchers without a nonce", customer.owner);
            refused("voucher-nonceless-customer", &detail)
        }
        None => refused("voucher-nonceless-customer", "the registrar belongs to no known customer"),
    }
}

/// RFC 8995 s7.4.2: the first who asks has it from now on.
fn first_use(
    ownership: &mut Ownership,
    claimant: &Claimant,
    policy: &TransferPolicy,
    now: Time,
) -> Result<(), Refusal> {
    if policy.first_use_needs_proximity && !claimant.proximity {
        let detail = format!("nothing shows that {} is where this registrar is", ownership.serial_number);
        let refusal = refused("voucher-first-use-proximity", "RFC 8995 s7.4.2", detail);
        return Err(refusal.field("prior-signed-voucher-request"));
    }
    ownership.hold(Basis::FirstUse { domain: claimant.domain.clone() }, now);
    Ok(())
}

fn reached(claimant: &Claimant) -> Assertion {
    if claimant.proximity { Assertion::Proximity } else { Assertion::Logged }
}

fn other_owner(ownership: &Ownership, customer: Option<&Customer>) -> Refusal {
    let who = customer.map_or("the registrar belongs to no known customer".into(), |c| format!("{} asked", c.owner));
    refused("voucher-owner", "RFC 8995 s5.5", format!("{} belongs to someone else; {who}", ownership.serial_number))
}

fn refused(check: &'static str, section: &'static str, detail: String) -> Refusal {
    Refusal::new(Fault::Denied, check, section, detail)
}

impl Grant {
    /// What must be durable before the voucher is sent; `voucher` is the SHA-256 of its bytes.
    pub fn issue(self, voucher: Fingerprint, now: Time) -> Issue {
        let Self { assertion, expires, owner, claimant, mut ownership, .. } = self;
        ownership.vouchers = ownership.vouchers.saturating_add(1);
        let Claimant { domain, registrar, nonce, .. } = claimant;
        if nonce.is_none() {
            ownership.nonceless.retain(|known| known.domain != domain);
            ownership.nonceless.push(NoncelessVoucher { domain: domain.clone(), issued: now, expires });
        }
        let device = ownership.device.clone();
        let number = ownership.vouchers;
        let event =
            VoucherEvent { device, number, at: now, domain, nonce, assertion, expires, owner, registrar, voucher };
        Issue { ownership, event }
    }
}

impl Issue {
    /// The changes to commit. `version` is that of the ownership on which the claim was decided, none if there was none:
    /// so no voucher goes out on an ownership that has changed meanwhile.
    pub fn changes(&self, version: Option<Version>) -> Result<Changes, Unwritable> {
        let changes = match version {
            Some(version) => Changes::new().put_if(&self.ownership, version)?,
            None => Changes::new().insert(&self.ownership)?,
        };
        changes.append(super::ISSUED_LOG, &self.event)
    }
}

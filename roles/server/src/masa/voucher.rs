//! One request for a voucher (RFC 8995 s5.5): whose device it is, and the voucher made durable before it is sent.

use super::{IssuedVoucher, Masa};
use crate::exchange::{Ending, Failure, Host, Kind, run};
use aws_lc_rs::digest::{SHA256, digest};
use landfall_brski::{
    TlsPeer,
    masa::{Authentication, Claim, Input, Issued, Output, PastVoucher, Permit, Precedent, Ruling, VoucherExchange},
    voucher::Assertion,
};
use landfall_lifecycle::{
    factory::FactoryDevice,
    transfer::{self, Claimant, Customer, Grant, Ownership},
};
use landfall_store::{ReadError, Snapshot};
use landfall_types::{
    Changes, Fault, Fingerprint, Process, Refusal, Time,
    http::{Request, Response},
    record::Version,
};

const KIND: Kind = Kind { process: Process::Transfer, role: "masa", action: "voucher-issued" };

pub(super) async fn answer(masa: &Masa, request: Request, client: Option<TlsPeer>) -> Response {
    let attempt = || {
        let first = Input::Request { request: request.clone(), client: client.clone() };
        (VoucherExchange::new(masa.core.clone()), first, VoucherHost { masa, granted: None })
    };
    run(&masa.world, Ending::new(KIND), attempt).await.1.response()
}

struct VoucherHost<'a> {
    masa: &'a Masa,
    granted: Option<Granted>,
}

/// A claim that was granted, and the version of the ownership that it was granted on.
struct Granted {
    grant: Grant,
    version: Option<Version>,
}

impl Host<VoucherExchange> for VoucherHost<'_> {
    const FAILED: fn(String) -> Input = Input::Failed;

    async fn perform(&mut self, output: Output, ending: &mut Ending) -> Result<Option<Input>, Failure> {
        Ok(Some(match output {
            Output::Rule(claim) => {
                ending.device = claim.serial.to_string();
                Input::Ruled(self.rule(&claim)?)
            }
            Output::Sign { bytes } => Input::Signed(self.masa.signer.signer.sign(&bytes)?),
            Output::Persist(issued) => {
                self.persist(*issued).await?;
                Input::Persisted
            }
            Output::Respond(response) => return ending.respond(response),
            Output::Close(outcome) => return ending.close(outcome),
        }))
    }
}

impl VoucherHost<'_> {
    /// On who has the device and which vouchers were issued for it, as they were at one moment.
    fn rule(&mut self, claim: &Claim) -> Result<Ruling, ReadError> {
        let masa = self.masa;
        masa.world.store.snapshot(|store| self.rule_on(claim, store))
    }

    fn rule_on(&mut self, claim: &Claim, store: &Snapshot<'_>) -> Result<Ruling, ReadError> {
        let now = self.masa.world.clock.now();
        if self.masa.made_here_only {
            let made = store.find::<FactoryDevice>(claim.serial.as_str())?;
            // Another manufacturer may have used the serial number too.
            let made = made.as_ref().map(|made| &made.record).filter(|made| made.device == claim.device);
            if let Err(mut refusal) = FactoryDevice::known(made) {
                // The name under which the status table knows it.
                refusal.check = "device-unknown".into();
                return Ok(Ruling::Refuse(refusal));
            }
        }
        let found = store.find::<Ownership>(claim.device.as_str())?;
        let version = found.as_ref().map(|found| found.version);
        let ownership =
            found.map_or_else(|| Ownership::unsold(claim.device.clone(), claim.serial.clone()), |found| found.record);
        let issued = IssuedVoucher::of(store, &ownership)?;
        let customer = customer(claim, store)?;
        let granted = transfer::claim(
            &ownership,
            claimant(claim, customer.is_some()),
            customer.as_ref(),
            &self.masa.transfer,
            now,
        );
        let grant = match granted {
            Ok(grant) => grant,
            Err(refusal) => return Ok(Ruling::Refuse(refusal)),
        };
        if let Some(ruling) = precedent(claim, &issued, &ownership, customer.is_some(), now) {
            return Ok(ruling);
        }
        let permit = Permit {
            ownership_verified: grant.assertion == Assertion::Verified,
            lifetime: grant.expires.map(|expires| expires.since(now)),
            last_renewal: self.masa.transfer.last_renewal,
            known_customer: customer.is_some(),
        };
        self.granted = Some(Granted { grant, version });
        Ok(Ruling::Permit(permit))
    }

    async fn persist(&mut self, issued: Issued) -> Result<(), Failure> {
        let Granted { mut grant, version } =
            self.granted.take().ok_or_else(|| Failure::new("a voucher that nobody granted"))?;
        // The registrar's certificates may have ended it earlier than the policy does (RFC 8995 s5.6).
        grant.expires = issued.past.expires_on;
        let now = issued.past.created_on;
        let issue = grant.issue(fingerprint(&issued.voucher), now);
        let Issued { claim, format, voucher, past } = issued;
        let kept = IssuedVoucher::new(claim.device, issue.event.number, past, format, &voucher);
        let changes = issue.changes(version)?.and(Changes::new().insert(&kept)?);
        self.masa.world.store.commit(changes).await?;
        Ok(())
    }
}

/// The customer that the registrar belongs to, by its certificate or one above it.
fn customer(claim: &Claim, store: &Snapshot<'_>) -> Result<Option<Customer>, ReadError> {
    for certificate in &claim.domain_chain {
        let names = [
            (Customer::BY_CERTIFICATE, certificate.fingerprint().to_string()),
            (Customer::BY_DOMAIN, certificate.domain_id().to_string()),
        ];
        for (index, value) in names {
            if let Some(found) = store.find_by::<Customer>(index, &value, 1)?.pop() {
                return Ok(Some(found.record));
            }
        }
    }
    Ok(None)
}

/// What the vouchers of before say, if that settles the matter.
fn precedent(
    claim: &Claim,
    issued: &[IssuedVoucher],
    ownership: &Ownership,
    known_customer: bool,
    now: Time,
) -> Option<Ruling> {
    let past: Vec<PastVoucher> = issued.iter().map(|voucher| voucher.past.clone()).collect();
    let refuse =
        |check, section, detail: &str| Some(Ruling::Refuse(Refusal::new(Fault::Denied, check, section, detail)));
    match claim.precedent(&past, now) {
        Precedent::Answered(_) if ownership.holding.is_none() => {
            refuse("voucher-released", "SP 1800-36B s4.2", "the device was released after this request was answered")
        }
        Precedent::Answered(at) => issued.get(at).and_then(|before| {
            Some(Ruling::Repeat { format: before.format, voucher: before.bytes()?, known_customer })
        }),
        Precedent::NonceReused => {
            refuse("voucher-nonce-reused", "RFC 8995 s11.4", "another domain has used this nonce")
        }
        Precedent::Outstanding(until) => {
            // RFC 8995 s5.6 leaves it to policy: the new owner is told by the audit log, and the old one's voucher
            // works only where it is presented.
            tracing::warn!(device = %claim.serial, %until, "another domain holds a voucher without nonce");
            None
        }
        Precedent::None | Precedent::Renewal => None,
    }
}

fn claimant(claim: &Claim, known: bool) -> Claimant {
    Claimant {
        domain: claim.domain.clone(),
        registrar: claim.registrar.fingerprint(),
        nonce: claim.nonce.as_ref().map(|nonce| nonce.as_str().to_owned()),
        proximity: claim.assertion == Assertion::Proximity,
        authenticated: known || claim.authentication != Authentication::None,
    }
}

fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Fingerprint(digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default())
}

//! EST: certificates for devices that have their voucher, and new ones for old (RFC 7030).

use super::{CertificateRecord, Registrar, device::Tracked};
use crate::{
    drive::{Host, drive, refusal},
    exchange::{Ending, Kind, sign, uncontested},
};
use landfall_brski::{
    TlsPeer,
    est::{
        Operation,
        server::{Config, EnrolFacts, Enrollment, Found, Input, Output, Query, Ruling, Written},
    },
    registrar::VoucherRecord,
};
use landfall_lifecycle::device::{DeviceEvent, State, may_enrol};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_policy::{Decision, Verdict, decide};
use landfall_store::ReadError;
use landfall_types::{
    Changes, Fault, Process, Refusal,
    http::{Request, Response},
};
use std::{convert::Infallible, sync::Arc};

pub(super) async fn answer(
    registrar: &Registrar,
    config: Arc<Config>,
    operation: Operation,
    label: Option<String>,
    request: Request,
    client: Option<TlsPeer>,
) -> Response {
    let attempt = async || {
        let ending = Ending::new(Kind { process: Process::Network, role: "registrar", action: operation.as_str() });
        let ending = ending.about(client.as_ref());
        let mut host = EnrolHost { registrar, ending, device: None };
        let mut serial = [0; 16];
        if aws_lc_rs::rand::fill(&mut serial).is_err() {
            return (host.ending, Some(no_random()));
        }
        let mut exchange = Enrollment::new(config.clone(), serial);
        let (label, request, client) = (label.clone(), request.clone(), client.clone());
        let first = Input::Request { operation, label, request, client };
        let driven = drive(&mut exchange, first, &mut host, &registrar.world.clock).await;
        (host.ending, refusal(driven))
    };
    let (ending, broken) = uncontested(attempt).await;
    ending.tell(&registrar.world, broken).await
}

fn no_random() -> Refusal {
    Refusal::new(Fault::Backend, "certificate-serial", "RFC 5280 s4.1.2.2", "the system gave no random bytes")
}

struct EnrolHost<'a> {
    registrar: &'a Registrar,
    ending: Ending,
    device: Option<Tracked>,
}

impl Host<Enrollment> for EnrolHost<'_> {
    type Error = Infallible;

    async fn perform(&mut self, output: Output) -> Result<Option<Input>, Infallible> {
        Ok(match output {
            Output::Find(query) => Some(
                self.find(&query)
                    .map_or_else(|why| Input::Failed(why.to_string()), |found| Input::Found(Box::new(found))),
            ),
            Output::Rule(facts) => Some(Input::Ruled(Ruling(self.decide(&facts)))),
            Output::MakeKey(algorithm) => Some(make_key(algorithm).unwrap_or_else(Input::Failed)),
            Output::Sign { bytes } => {
                let signer = self.registrar.authority.signer.as_ref();
                Some(sign(signer, &bytes).map_or_else(Input::Failed, Input::Signed))
            }
            Output::Persist(written) => {
                Some(self.persist(*written).await.map_or_else(Input::Failed, |()| Input::Persisted))
            }
            Output::Respond(response) => {
                self.ending.respond(response);
                None
            }
            Output::Close(outcome) => {
                self.ending.close(outcome);
                None
            }
        })
    }
}

impl EnrolHost<'_> {
    fn find(&mut self, query: &Query) -> Result<Found, ReadError> {
        let store = &self.registrar.world.store;
        let client = CertificateRecord::by_fingerprint(store, &query.certificate)?;
        let member = client.as_ref().map(|client| client.record.issued.device.id.clone());
        let device = query.pledge.clone().or(member);
        if let Some(id) = &device {
            self.device = Tracked::find(store, id)?;
        }
        let known = self.device.as_ref().map(|tracked| &tracked.device);
        let thrown_out = known.is_some_and(|device| matches!(device.state, State::Revoked | State::Retired));
        let may_enrol = may_enrol(known).is_ok();
        let voucher = match &query.pledge {
            Some(pledge) if may_enrol => store.find::<VoucherRecord>(pledge.as_str())?,
            _ => None,
        };
        let for_key = match &query.key {
            Some(key) => CertificateRecord::latest_for_key(store, key)?,
            None => None,
        };
        Ok(Found {
            revoked: thrown_out || client.as_ref().is_some_and(|client| client.revoked.is_some()),
            client: client.map(|client| client.record.issued),
            voucher_at: voucher.and_then(|voucher| voucher.accepted_at()),
            for_key: for_key.map(|record| record.issued),
        })
    }

    /// The policy decides anew, so that a device whose like is no longer wanted gets no new certificate. One that is in
    /// already was let in by someone, so it need not wait for a person again.
    fn decide(&mut self, facts: &EnrolFacts) -> Decision {
        let now = self.registrar.world.clock.now();
        self.ending.device = facts.client.serial().to_string();
        let Some(tracked) = &self.device else {
            return Decision::because(Verdict::Deny, "device-unknown", "this device has no record here");
        };
        let mut known = facts.facts(now);
        known.0.extend(tracked.device.facts(now).0);
        let decision = decide(&self.registrar.policy(), &known, now);
        match decision.verdict {
            Verdict::Ask if tracked.device.state.is_inside() => {
                Decision::because(Verdict::Permit, "inside", "it was taken in with its voucher")
            }
            _ => decision,
        }
    }

    async fn persist(&mut self, written: Written) -> Result<(), String> {
        let changes = match written {
            Written::Waiting(waiting) => Changes::new().put(&waiting).map_err(|why| why.to_string())?,
            Written::Issued(issued) => {
                let device = self.device.as_mut().ok_or("the device has no record here")?;
                let event = DeviceEvent::Certified { serial: issued.serial.clone() };
                device.step(event, issued.at).map_err(|refusal| refusal.to_string())?;
                let record = CertificateRecord::new(issued);
                let entry = record.log_entry();
                Changes::new()
                    .insert(&record)
                    .and_then(|changes| changes.append(landfall_lifecycle::network::CERTIFICATE_LOG, &entry))
                    .map_err(|why| why.to_string())?
                    .and(device.take_changes().map_err(|refusal| refusal.to_string())?)
            }
        };
        let committed = self.registrar.world.store.commit(changes).await;
        committed.map(drop).map_err(|why| self.ending.uncommitted(&why))
    }
}

/// RFC 7030 s4.4: a key for the client, which is not kept.
fn make_key(algorithm: Algorithm) -> Result<Input, String> {
    let key = SoftwareKey::generate(algorithm).map_err(|why| why.to_string())?;
    Ok(Input::KeyMade { public_key: key.public_key().clone(), pkcs8: key.to_pkcs8_der() })
}

//! EST: certificates for devices that have their voucher, and new ones for old (RFC 7030).

use super::{CertificateRecord, Registrar, attest, device::Tracked, hardware};
use crate::attestation::Judged;
use crate::exchange::{Ending, Failure, Host, Kind, run};
use landfall_assurance::Level;
use landfall_brski::{
    ChannelBinding, TlsPeer,
    est::{
        Operation,
        server::{Config, EnrolFacts, Enrollment, Found, Input, Output, Query, Ruling, Written},
    },
    registrar::VoucherRecord,
};
use landfall_lifecycle::{
    device::{DeviceEvent, State, may_enrol},
    network::CERTIFICATE_LOG,
};
use landfall_pki::{Algorithm, PkiError, Signer, SoftwareKey};
use landfall_policy::{Decision, Verdict, acceptance, decide};
use landfall_store::{ReadError, Snapshot};
use landfall_types::{
    Changes, Fault, Process, Refusal,
    http::{Request, Response},
};
use std::sync::Arc;

pub(super) async fn answer(
    registrar: &Registrar,
    config: Arc<Config>,
    operation: Operation,
    label: Option<String>,
    request: Request,
    client: Option<TlsPeer>,
) -> Response {
    let ending = Ending::new(Kind { process: Process::Network, role: "registrar", action: operation.as_str() });
    let ending = ending.about(client.as_ref());
    let binding = client.as_ref().map(|peer| peer.binding.clone()).unwrap_or_default();
    // An attempt that somebody else forestalled hands no certificate out, so the next one may have its number.
    let mut serial = [0; 16];
    if aws_lc_rs::rand::fill(&mut serial).is_err() {
        return ending.tell(&registrar.world, Some(no_random())).await.response();
    }
    let attempt = || {
        let (label, request, client) = (label.clone(), request.clone(), client.clone());
        let first = Input::Request { operation, label, request, client };
        let binding = binding.clone();
        let host = EnrolHost {
            registrar,
            binding,
            device: None,
            hardware_before: false,
            hardware_backed: false,
            attested: None,
        };
        (Enrollment::new(config.clone(), serial), first, host)
    };
    let (host, ended) = run(&registrar.world, ending, attempt).await;
    // Also of a device that was refused: what it showed, and why that was not enough.
    if let Some(judged) = &host.attested
        && let Err(Failure { why, .. }) = attest::keep(registrar, judged).await
    {
        tracing::warn!(why, device = %judged.record.device, "an attestation result could not be written");
    }
    ended.response()
}

fn no_random() -> Refusal {
    Refusal::new(Fault::Backend, "certificate-serial", "RFC 5280 s4.1.2.2", "the system gave no random bytes")
}

struct EnrolHost<'a> {
    registrar: &'a Registrar,
    /// The connection.
    binding: ChannelBinding,
    device: Option<Tracked>,
    /// Whether the key was proven to live in hardware when it was certified before.
    hardware_before: bool,
    /// Whether it is proven to.
    hardware_backed: bool,
    /// What the evidence in the request is worth.
    attested: Option<Judged>,
}

impl Host<Enrollment> for EnrolHost<'_> {
    const FAILED: fn(String) -> Input = Input::Failed;

    async fn perform(&mut self, output: Output, ending: &mut Ending) -> Result<Option<Input>, Failure> {
        Ok(Some(match output {
            Output::Find(query) => Input::Found(Box::new(self.find(&query)?)),
            Output::Rule(facts) => {
                ending.device = facts.client.serial().to_string();
                let decision = self.decide(&facts)?;
                Input::Ruled(Ruling(self.still_welcome(decision)?))
            }
            Output::MakeKey(algorithm) => make_key(algorithm)?,
            Output::Sign { bytes } => Input::Signed(self.registrar.authority.signer.sign(&bytes)?),
            Output::Persist(written) => {
                self.persist(*written).await?;
                Input::Persisted
            }
            Output::Respond(response) => return ending.respond(response),
            Output::Close(outcome) => return ending.close(outcome),
        }))
    }
}

impl EnrolHost<'_> {
    fn find(&mut self, query: &Query) -> Result<Found, ReadError> {
        let registrar = self.registrar;
        registrar.world.store.snapshot(|store| self.look_up(query, store))
    }

    fn look_up(&mut self, query: &Query, store: &Snapshot<'_>) -> Result<Found, ReadError> {
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
        self.hardware_before = for_key.as_ref().is_some_and(|record| {
            record.hardware_backed && device.as_ref().is_some_and(|device| record.issued.device.id == *device)
        });
        Ok(Found {
            revoked: thrown_out || client.as_ref().is_some_and(|client| client.revoked.is_some()),
            client: client.map(|client| client.record.issued),
            voucher_at: voucher.and_then(|voucher| voucher.accepted_at()),
            for_key: for_key.map(|record| record.issued),
        })
    }

    /// The policy decides anew, so that a device whose like is no longer wanted gets no new certificate. One that is in
    /// already was let in by someone, so it need not wait for a person again.
    fn decide(&mut self, facts: &EnrolFacts) -> Result<Decision, Failure> {
        let now = self.registrar.world.clock.now();
        let Some(tracked) = &self.device else {
            return Ok(Decision::because(Verdict::Deny, "device-unknown", "this device has no record here"));
        };
        let mut known = facts.facts(now);
        known.0.extend(tracked.device.facts(now).0);
        let proof = hardware::proof(facts, self.hardware_before, &tracked.device, &self.registrar.vendors, now);
        self.hardware_backed = proof.is_ok();
        let why = proof.map_or_else(|refusal| format!("certificate request: {refusal}"), str::to_owned);
        let mut known = known.with(acceptance::LDEVID_HARDWARE_BACKED, self.hardware_backed, &why, now);
        if let Some((verifier, judged)) =
            attest::in_request(self.registrar, &facts.csr, &self.binding, &tracked.device)?
        {
            let record = &judged.record;
            known = known.until(acceptance::ATTESTATION, record.tier.as_str(), &record.why, now, record.expires);
            if let Some(firmware) = &record.firmware {
                known = known.until(acceptance::FIRMWARE, firmware.as_str(), &record.why, now, record.expires);
            }
            let (suffices, why) = (verifier.suffices(record.tier), record.why.clone());
            self.attested = Some(judged);
            if !suffices {
                return Ok(Decision::because(Verdict::Deny, "attestation", why));
            }
        }
        let decision = decide(&self.registrar.policy(), &known, now);
        Ok(match decision.verdict {
            Verdict::Ask if tracked.device.state.is_inside() => {
                Decision::because(Verdict::Permit, "inside", "it was taken in with its voucher")
            }
            _ => decision,
        })
    }

    /// A device that is blocked by what is known of it gets no certificate (SP 1800-36B G.2.1 step 10).
    fn still_welcome(&self, decision: Decision) -> Result<Decision, Failure> {
        let (Some(tracked), world) = (self.device.as_ref().filter(|_| decision.permits()), &self.registrar.world)
        else {
            return Ok(decision);
        };
        let (id, now) = (&tracked.device.identity.device, world.clock.now());
        Ok(match world.authorizer.level(&world.store, id, now) {
            Ok(Some((Level::Blocked, why))) => {
                Decision::because(Verdict::Deny, "authorizer", format!("blocked by policy: {why}"))
            }
            Ok(_) => decision,
            Err(why) => Decision::because(Verdict::Deny, "authorizer-away", why.to_string()),
        })
    }

    async fn persist(&mut self, written: Written) -> Result<(), Failure> {
        let changes = match written {
            Written::Waiting(waiting) => Changes::new().put(&waiting)?,
            Written::Issued(issued) => {
                let device = self.device.as_mut().ok_or_else(|| Failure::new("the device has no record here"))?;
                device.step(DeviceEvent::Certified { serial: issued.serial.clone() }, issued.at)?;
                let record =
                    CertificateRecord { hardware_backed: self.hardware_backed, ..CertificateRecord::new(issued) };
                let changes = Changes::new().insert(&record)?.append(CERTIFICATE_LOG, &record.log_entry())?;
                changes.and(device.take_changes()?)
            }
        };
        self.registrar.world.store.commit(changes).await?;
        if let Some(tracked) = &self.device {
            self.registrar.world.authorizer.look_again(&tracked.device.identity.device);
        }
        Ok(())
    }
}

/// RFC 7030 s4.4: a key for the client, which is not kept.
fn make_key(algorithm: Algorithm) -> Result<Input, PkiError> {
    let key = SoftwareKey::generate(algorithm)?;
    Ok(Input::KeyMade { public_key: key.public_key().clone(), pkcs8: key.to_pkcs8_der() })
}

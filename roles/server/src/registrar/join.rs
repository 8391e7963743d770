//! A pledge asks for a voucher (RFC 8995 s5.2 to s5.6, s5.8).

use super::{Registrar, device::Tracked};
use crate::{
    drive::{Host, drive, refusal},
    exchange::{Ending, Kind, sign, uncontested},
};
use aws_lc_rs::digest::{SHA256, digest};
use landfall_brski::{
    TlsPeer,
    registrar::{
        Findings, History, Input, JoinFacts, Output, PrefetchedVoucher, Ruling, Source, Stage, Standing,
        VoucherExchange, VoucherRecord,
    },
    voucher::Nonce,
};
use landfall_lifecycle::{
    device::DeviceEvent,
    network::{DomainDevice, HistorySeen, Identity, VoucherSeen},
};
use landfall_pki::Certificate;
use landfall_policy::{Decision, Verdict, decide};
use landfall_store::ReadError;
use landfall_types::{
    Changes, DeviceId, Fingerprint, Model, Process, Time,
    http::{Request, Response},
};
use std::convert::Infallible;

const KIND: Kind = Kind { process: Process::Network, role: "registrar", action: "voucher-passed-on" };

pub(super) async fn answer(registrar: &Registrar, request: Request, client: Option<TlsPeer>) -> Response {
    let attempt = async || {
        let mut host = JoinHost { registrar, ending: Ending::new(KIND).about(client.as_ref()), device: None };
        let mut exchange = VoucherExchange::new(registrar.core.clone());
        let first = Input::Request { request: request.clone(), client: client.clone() };
        let driven = drive(&mut exchange, first, &mut host, &registrar.world.clock).await;
        host.keep_the_rest().await;
        (host.ending, refusal(driven))
    };
    let (ending, broken) = uncontested(attempt).await;
    ending.tell(&registrar.world, broken).await
}

struct JoinHost<'a> {
    registrar: &'a Registrar,
    ending: Ending,
    device: Option<Tracked>,
}

impl Host<VoucherExchange> for JoinHost<'_> {
    type Error = Infallible;

    async fn perform(&mut self, output: Output) -> Result<Option<Input>, Infallible> {
        let registrar = self.registrar;
        let now = registrar.world.clock.now();
        Ok(match output {
            Output::Rule(facts) => {
                self.ending.device = facts.serial.to_string();
                Some(self.rule(&facts, now).map_or_else(|why| Input::Failed(why.to_string()), Input::Ruled))
            }
            Output::Sign { bytes } => {
                Some(sign(registrar.identity.signer.as_ref(), &bytes).map_or_else(Input::Failed, Input::Signed))
            }
            Output::AskMasa { vendor, masa, request } => {
                Some(Input::MasaAnswered(registrar.masas.ask(&vendor, &masa, request, now).await))
            }
            Output::AskAuditLog { vendor, masa, request } => {
                Some(Input::AuditLogAnswered(registrar.masas.ask(&vendor, &masa, request, now).await))
            }
            Output::FindVoucher { device, nonce } => Some(
                self.stored(&device, nonce.as_ref(), now)
                    .map_or_else(|why| Input::Failed(why.to_string()), Input::StoredVoucher),
            ),
            Output::Persist(record) => {
                Some(self.persist(&record, now).await.map_or_else(Input::Failed, |()| Input::Persisted))
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

impl JoinHost<'_> {
    fn rule(&mut self, facts: &JoinFacts, now: Time) -> Result<Ruling, ReadError> {
        let mut device = match self.device.take() {
            Some(device) => device,
            None => Tracked::find_or_new(&self.registrar.world.store, identity(facts), now)?,
        };
        let decision = self.decide(facts, &device.device, now);
        let event = match &facts.stage {
            Stage::BeforeMasa => Some(DeviceEvent::Asked { decision: decision.clone() }),
            Stage::WithVoucher { history: History::Known(findings), .. } => {
                Some(DeviceEvent::HistoryRead { history: seen(findings, now), decision: decision.clone() })
            }
            Stage::WithVoucher { .. } => None,
        };
        let stepped = event.map_or(Ok(Vec::new()), |event| device.step(event, now));
        self.device = Some(device);
        Ok(match stepped {
            Ok(_) => decision.into(),
            Err(refusal) => Decision::because(Verdict::Deny, "device-state", refusal.to_string()).into(),
        })
    }

    /// The policy decides; where it asks for a person, what a person has said already is the answer.
    fn decide(&self, facts: &JoinFacts, device: &DomainDevice, now: Time) -> Decision {
        let mut known = facts.facts(now);
        known.0.extend(device.facts(now).0);
        let decision = decide(&self.registrar.policy(), &known, now);
        match (decision.verdict, &device.approval) {
            (Verdict::Ask, Some(approval)) => {
                let verdict = if approval.approved { Verdict::Permit } else { Verdict::Deny };
                Decision::because(verdict, "operator", format!("{} said so", approval.by))
            }
            _ => decision,
        }
    }

    /// A voucher for this very request, else one that was fetched ahead and is still good.
    fn stored(&self, device: &DeviceId, nonce: Option<&Nonce>, now: Time) -> Result<Option<Vec<u8>>, ReadError> {
        let store = &self.registrar.world.store;
        if let Some(before) = store.find::<VoucherRecord>(device.as_str())?
            && nonce.is_some()
            && before.nonce.as_ref() == nonce
            && let Standing::Accepted(accepted) = before.record.standing
        {
            return Ok(Some(accepted.voucher));
        }
        let ahead = store.find::<PrefetchedVoucher>(device.as_str())?;
        Ok(ahead.filter(|ahead| now < ahead.expires).map(|ahead| ahead.record.voucher))
    }

    async fn persist(&mut self, record: &VoucherRecord, now: Time) -> Result<(), String> {
        let mut changes = Changes::new().put(record).map_err(|why| why.to_string())?;
        if let Some(device) = &mut self.device {
            if let Standing::Accepted(accepted) = &record.standing {
                let voucher = VoucherSeen {
                    at: now,
                    assertion: Some(accepted.assertion),
                    from_stock: accepted.source == Source::Stored,
                    fingerprint: Fingerprint(
                        digest(&SHA256, &accepted.voucher).as_ref().try_into().unwrap_or_default(),
                    ),
                };
                device.step(DeviceEvent::Vouchered { voucher }, now).map_err(|refusal| refusal.to_string())?;
            }
            changes = changes.and(device.take_changes().map_err(|refusal| refusal.to_string())?);
        }
        let committed = self.registrar.world.store.commit(changes).await;
        committed.map(drop).map_err(|why| self.ending.uncommitted(&why))
    }

    /// That the device asked is worth keeping even if nothing came of it; no answer waits for that.
    async fn keep_the_rest(&mut self) {
        let Some(device) = &mut self.device else { return };
        let written = match device.take_changes() {
            Ok(changes) => self.registrar.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(refusal) => Err(refusal.to_string()),
        };
        if let Err(why) = written {
            tracing::warn!(why, device = self.ending.device, "what became of the device could not be written");
        }
    }
}

fn identity(facts: &JoinFacts) -> Identity {
    Identity {
        device: facts.device.clone(),
        serial_number: facts.serial.clone(),
        vendor: facts.vendor.clone(),
        model: model(&facts.idevid),
        idevid: facts.idevid.fingerprint(),
    }
}

/// The model, where our factory and many others put it (IEEE 802.1AR-2018 s8.6 leaves it open).
fn model(idevid: &Certificate) -> Option<Model> {
    idevid.common_name()?.parse().ok()
}

fn seen(findings: &Findings, now: Time) -> HistorySeen {
    let foreign: Vec<_> = findings.foreign_domains.iter().cloned().collect();
    HistorySeen {
        at: now,
        events: findings.events as u64,
        foreign_domains: foreign.clone(),
        // Which of them had vouchers without nonce is not told, so all of them are suspected.
        foreign_nonceless: if findings.foreign_nonceless > 0 { foreign } else { Vec::new() },
        left_out: findings.withheld,
    }
}

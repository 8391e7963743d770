//! A pledge asks for a voucher (RFC 8995 s5.2 to s5.6, s5.8).

use super::{Registrar, device::Tracked};
use crate::{
    authorizer::sources,
    exchange::{Ending, Failure, Host, Kind, run},
};
use aws_lc_rs::digest::{SHA256, digest};
use landfall_assurance::Fact;
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
    network::{Birth, DomainDevice, HistorySeen, Identity, Learnt, MudSource, VoucherSeen},
};
use landfall_pki::Certificate;
use landfall_policy::{Decision, Verdict, decide};
use landfall_store::ReadError;
use landfall_types::{
    Changes, DeviceId, Fingerprint, Model, Process, Time,
    http::{Request, Response},
};

const KIND: Kind = Kind { process: Process::Network, role: "registrar", action: "voucher-passed-on" };

pub(super) async fn answer(registrar: &Registrar, request: Request, client: Option<TlsPeer>) -> Response {
    let attempt = || {
        let first = Input::Request { request: request.clone(), client: client.clone() };
        (VoucherExchange::new(registrar.core.clone()), first, JoinHost { registrar, device: None })
    };
    let (host, ended) = run(&registrar.world, Ending::new(KIND).about(client.as_ref()), attempt).await;
    host.keep_the_rest().await;
    ended.response()
}

struct JoinHost<'a> {
    registrar: &'a Registrar,
    device: Option<Tracked>,
}

impl Host<VoucherExchange> for JoinHost<'_> {
    const FAILED: fn(String) -> Input = Input::Failed;

    async fn perform(&mut self, output: Output, ending: &mut Ending) -> Result<Option<Input>, Failure> {
        let registrar = self.registrar;
        let now = registrar.world.clock.now();
        Ok(Some(match output {
            Output::Rule(facts) => {
                ending.device = facts.serial.to_string();
                Input::Ruled(self.rule(&facts, now).await?)
            }
            Output::Sign { bytes } => Input::Signed(registrar.identity.signer.sign(&bytes)?),
            Output::AskMasa { vendor, masa, request } => {
                Input::MasaAnswered(registrar.masas.ask(&vendor, &masa, request, now).await)
            }
            Output::AskAuditLog { vendor, masa, request } => {
                Input::AuditLogAnswered(registrar.masas.ask(&vendor, &masa, request, now).await)
            }
            Output::FindVoucher { device, nonce } => Input::StoredVoucher(self.stored(&device, nonce.as_ref(), now)?),
            Output::Persist(record) => {
                self.persist(&record, now).await?;
                Input::Persisted
            }
            Output::Respond(response) => return ending.respond(response),
            Output::Close(outcome) => return ending.close(outcome),
        }))
    }
}

impl JoinHost<'_> {
    async fn rule(&mut self, facts: &JoinFacts, now: Time) -> Result<Ruling, ReadError> {
        let mut device = match self.device.take() {
            Some(device) => device,
            None => Tracked::find_or_new(&self.registrar.world.store, identity(facts), now)?,
        };
        // SP 1800-36B s4.1 step 4b, RFC 8520 s11: what its certificate says of its MUD file is known from here on.
        if let Some(url) = facts.idevid.mud_url() {
            let signer = facts.idevid.mud_signer();
            device.device.learn_mud(MudSource { url, signer, learnt: Learnt::Idevid, at: now });
        }
        let history = match &facts.stage {
            Stage::WithVoucher { history: History::Known(findings), .. } => Some(seen(findings, now)),
            _ => None,
        };
        let judged =
            DomainDevice { history: history.clone().or(device.device.history.clone()), ..device.device.clone() };
        let decision = self.decide(facts, &judged, now);
        // SP 1800-36B G.2.1 steps 4 and 6: before the MASA is asked, and again with the voucher in hand.
        let known = known(facts, &judged, now);
        let decision = self.registrar.world.authorizer.admits(&judged.identity.device, known, decision).await;
        let event = match (&facts.stage, history) {
            (Stage::BeforeMasa, _) => Some(DeviceEvent::Asked { decision: decision.clone() }),
            (_, Some(history)) => Some(DeviceEvent::HistoryRead { history, decision: decision.clone() }),
            (_, None) => None,
        };
        let stepped = event.map_or(Ok(Vec::new()), |event| device.step(event, now));
        self.device = Some(device);
        Ok(match stepped {
            Ok(_) => decision.into(),
            Err(refusal) => Decision::because(Verdict::Deny, "device-state", refusal.to_string()).into(),
        })
    }

    fn decide(&self, facts: &JoinFacts, device: &DomainDevice, now: Time) -> Decision {
        let mut known = facts.facts(now);
        known.0.extend(device.facts(now).0);
        device.settled(decide(&self.registrar.policy(), &known, now))
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

    async fn persist(&mut self, record: &VoucherRecord, now: Time) -> Result<(), Failure> {
        let mut changes = Changes::new().put(record)?;
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
                device.step(DeviceEvent::Vouchered { voucher }, now)?;
            }
            changes = changes.and(device.take_changes()?);
        }
        self.registrar.world.store.commit(changes).await?;
        if let (Some(device), Standing::Accepted(_)) = (&self.device, &record.standing) {
            self.registrar.world.joined(&device.device.identity.device);
        }
        Ok(())
    }

    /// That the device asked is worth keeping even if nothing came of it; no answer waits for that.
    async fn keep_the_rest(self) {
        let Some(mut device) = self.device else { return };
        let id = device.device.identity.device.clone();
        let written = async {
            self.registrar.world.store.commit(device.take_changes()?).await?;
            Ok::<_, Failure>(())
        };
        if let Err(Failure { why, .. }) = written.await {
            let device = device.device.identity.serial_number;
            tracing::warn!(why, %device, "what became of the device could not be written");
        }
        self.registrar.world.authorizer.look_again(&id);
    }
}

/// What is known of the device at that stage, for the authorizer.
fn known(facts: &JoinFacts, device: &DomainDevice, now: Time) -> Vec<Fact> {
    let mut known = sources::of_record(device, now);
    if matches!(facts.stage, Stage::WithVoucher { .. }) {
        known.extend(sources::of_voucher(&device.identity.device, now));
    }
    known
}

fn identity(facts: &JoinFacts) -> Identity {
    Identity {
        device: facts.device.clone(),
        serial_number: facts.serial.clone(),
        vendor: Some(facts.vendor.clone()),
        model: model(&facts.idevid),
        birth: Birth::IDevId {
            idevid: facts.idevid.fingerprint(),
            birth_key: Some(facts.idevid.public_key().fingerprint()),
            hardware_backed: facts.idevid.is_hardware_backed(),
        },
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

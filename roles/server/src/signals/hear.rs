//! What other services tell of devices, as facts: from known issuers alone, each event once, and durable before it is acknowledged.

use super::{Source, outbox::backend};
use crate::{
    Shutdown, World,
    registrar::CertificateRecord,
    supply_chain::{bearer, token_hash},
};
use landfall_assurance::{Fact, Kind};
use landfall_claims::{
    Event, Receiver,
    caep::{Heard, Subject, error_code},
    identifier::fingerprint_of,
    poll::{Answer, Complaint, LONGEST_ANSWER, MOST, Poll},
};
use landfall_lifecycle::network::DomainDevice;
use landfall_net::http::ClientLimits;
use landfall_policy::Value;
use landfall_types::{Changes, DeviceId, Fault, Fingerprint, Record, Refusal, Time, http::Request};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So much is read at a time.
const PART: usize = 1000;
/// Nobody is left unasked for longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Who has nothing to tell may wait so long for something (RFC 8936 s2.2).
const LIMITS: ClientLimits =
    ClientLimits { connect: Duration::from_secs(10), exchange: Duration::from_secs(120), body_bytes: LONGEST_ANSWER };
/// Who answers sooner that there is nothing does not wait for something.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Who verifies what other services tell.
const VERIFIER: &str = "signals";

/// What is kept of an event that was taken, so that it counts once, also after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    issuer: String,
    id: String,
    at: Time,
}

impl Record for Taken {
    const COLLECTION: &'static str = "verification-event";

    fn key(&self) -> String {
        key(&self.issuer, &self.id)
    }
}

fn key(issuer: &str, id: &str) -> String {
    token_hash(&format!("{issuer}\n{id}")).to_string()
}

/// How one source stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SourceReport {
    /// What the operator calls it.
    pub source: String,
    /// How many of its events were taken since this server runs.
    pub taken: u64,
    /// How many were refused.
    pub refused: u64,
    /// What went wrong the last time, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[derive(Debug)]
pub(super) struct Ear {
    world: World,
    sources: Vec<Source>,
    remember: Duration,
    /// One event at a time: it is remembered when what follows is durable, and not before.
    receiver: tokio::sync::Mutex<Receiver>,
    reports: Mutex<BTreeMap<String, SourceReport>>,
}

impl Ear {
    pub(super) async fn open(
        world: World,
        audience: String,
        sources: Vec<Source>,
        remember: Duration,
    ) -> Result<Self, Refusal> {
        let mut receiver = Receiver::new(audience);
        for source in &sources {
            source.keys.iter().for_each(|key| receiver.believe(source.issuer.clone(), key.clone()));
        }
        let (mut known, mut after) = (Vec::new(), None::<String>);
        loop {
            let part = world.store.scan::<Taken>(after.as_deref(), PART).map_err(|why| backend(&why))?;
            let Some(last) = part.last() else { break };
            after = Some(last.record.key());
            known.extend(part.into_iter().map(|found| found.record));
        }
        known.sort_by_key(|taken| taken.at);
        let mut changes = Changes::new();
        for taken in known {
            if let Some((issuer, id)) = receiver.remember(taken.issuer, taken.id) {
                changes = changes.delete::<Taken>(key(&issuer, &id));
            }
        }
        world.store.commit(changes).await.map_err(|why| backend(&why))?;
        let report = |source: &Source| {
            (source.name.clone(), SourceReport { source: source.name.clone(), ..SourceReport::default() })
        };
        let reports = Mutex::new(sources.iter().map(report).collect());
        Ok(Self { world, sources, remember, receiver: tokio::sync::Mutex::new(receiver), reports })
    }

    /// How each source stands.
    pub(super) fn reports(&self) -> Vec<SourceReport> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The places of the sources that are asked.
    pub(super) fn asked(&self) -> Vec<usize> {
        let asked = self.sources.iter().enumerate().filter(|(_, source)| source.poll.is_some());
        asked.map(|(at, _)| at).collect()
    }

    /// Takes an event that was pushed by who shows that token.
    pub(super) async fn pushed(&self, token: Option<Fingerprint>, event: &str) -> Result<(), Refusal> {
        let is_its = |source: &&Source| source.poll.is_none() && Some(token_hash(source.token.expose())) == token;
        let source = self.sources.iter().find(is_its).ok_or_else(|| {
            Refusal::new(Fault::Denied, "event-token", "RFC 8935 s3", "no token of a source that pushes was shown")
        })?;
        self.hear(source, None, event).await
    }

    /// Takes an event of a source; `id` is what it says that it is called.
    async fn hear(&self, source: &Source, id: Option<&str>, event: &str) -> Result<(), Refusal> {
        let taken = self.take(source, id, event).await;
        let outcome = match &taken {
            Ok(()) => "taken",
            Err(why) if why.check == "event-replayed" => "replayed",
            Err(_) => "refused",
        };
        metrics::counter!("landfall_signals_heard_total", "source" => source.name.clone(), "outcome" => outcome)
            .increment(1);
        self.note(source, |report| match &taken {
            Ok(()) => report.taken += 1,
            Err(why) if why.check == "event-replayed" => {}
            Err(why) => {
                tracing::warn!(role = "authorizer", source = source.name, %why, "a security event was not taken");
                report.refused += 1;
                report.trouble = Some(why.to_string());
            }
        });
        taken
    }

    async fn take(&self, source: &Source, id: Option<&str>, event: &str) -> Result<(), Refusal> {
        let mut receiver = self.receiver.lock().await;
        let now = self.world.clock.now();
        let heard = receiver.read(event, now)?;
        let denied = |check, why: &str| Refusal::new(Fault::Denied, check, "RFC 8935 s2.4", why);
        // Who is let speak by his token speaks for himself.
        if heard.event.issuer != source.issuer {
            return Err(denied("event-issuer", "it is of another issuer than who brings it"));
        }
        if id.is_some_and(|id| id != heard.event.id) {
            return Err(denied("event-form", "it is told by another id than its own"));
        }
        let facts = self.facts(source, &heard, now)?;
        if !facts.is_empty() {
            let authorizer = self.world.authorizer.authorizer().ok_or_else(crate::authorizer::away)?;
            authorizer.assert(facts).await?;
        }
        let taken = Taken { issuer: heard.event.issuer, id: heard.event.id, at: now };
        let mut changes = Changes::new().put(&taken).map_err(|why| backend(&why))?;
        // Durable before it is remembered; what is told once more meanwhile says what is known.
        if let Some((issuer, id)) = receiver.oldest() {
            changes = changes.delete::<Taken>(key(issuer, id));
        }
        self.world.store.commit(changes).await.map_err(|why| backend(&why))?;
        receiver.remember(taken.issuer, taken.id);
        Ok(())
    }

    /// What an event says of a device here. Another service's word may speak against a device; for it only where its kind of fact is
    /// that service's own (`compliant`).
    fn facts(&self, source: &Source, heard: &Heard, now: Time) -> Result<Vec<Fact>, Refusal> {
        let event = &heard.event;
        let at = event.at.unwrap_or(event.issued).min(now);
        let expires = at + self.remember;
        let Some(device) = self.device(&event.subject)? else {
            tracing::info!(
                role = "authorizer",
                source = source.name,
                id = event.id,
                "a security event is about no device here"
            );
            return Ok(Vec::new());
        };
        let fact = |kind, value: Value| Fact {
            subject: device.clone(),
            kind,
            value,
            source: format!("signals of {}", source.name),
            issuer: Some(heard.key),
            at,
            expires: Some(expires),
            verifier: VERIFIER.into(),
        };
        let taken_back = |kind, value| fact(kind, value).withdrawn(at);
        let facts = match &event.event {
            Event::SessionRevoked => vec![fact(Kind::DeviceTrusted, false.into())],
            Event::ComplianceChange { is: false, .. } => vec![fact(Kind::Compliant, false.into())],
            Event::ComplianceChange { is: true, .. } => {
                vec![fact(Kind::Compliant, true.into()), taken_back(Kind::DeviceTrusted, false.into())]
            }
            Event::AssuranceLevelChange { namespace, current, .. } if namespace.eq_ignore_ascii_case("ar4si") => {
                match current.as_str() {
                    "warning" | "contraindicated" | "none" => vec![fact(Kind::Attestation, current.as_str().into())],
                    "affirming" => vec![taken_back(Kind::Attestation, "affirming".into())],
                    _ => Vec::new(),
                }
            }
            Event::CredentialChange { credential, change, serial } if credential == "x509" => {
                match (change.as_str(), self.is_ours(&device, serial.as_deref())?) {
                    ("revoke" | "delete", true) => vec![fact(Kind::Credential, "revoked".into())],
                    ("create" | "update", true) => vec![taken_back(Kind::Credential, "revoked".into())],
                    _ => Vec::new(),
                }
            }
            Event::AssuranceLevelChange { .. }
            | Event::CredentialChange { .. }
            | Event::Verification { .. }
            | Event::Other(_) => Vec::new(),
        };
        // What is over says nothing.
        Ok(if expires <= now { Vec::new() } else { facts })
    }

    /// Whether a certificate is one that this device has from us.
    fn is_ours(&self, device: &DeviceId, serial: Option<&str>) -> Result<bool, Refusal> {
        let Some(serial) = serial else { return Ok(false) };
        let plain = |text: &str| text.replace(':', "").trim_start_matches('0').to_ascii_lowercase();
        let its = CertificateRecord::of_device(&self.world.store, device).map_err(|why| backend(&why))?;
        Ok(its.iter().any(|found| plain(&found.issued.serial) == plain(serial)))
    }

    /// The device that is meant: by its id, by its serial number if that is one device's, or by the digest of its birth key.
    fn device(&self, subject: &Subject) -> Result<Option<DeviceId>, Refusal> {
        let authorizer = self.world.authorizer.authorizer().ok_or_else(crate::authorizer::away)?;
        let name = match subject {
            Subject::Device(name) => name,
            Subject::Uri(uri) => return Ok(fingerprint_of(uri).and_then(|key| authorizer.born_with(key))),
            Subject::Other => return Ok(None),
        };
        if let Some(id) = name.parse().ok().filter(|id| authorizer.view(id).is_some()) {
            return Ok(Some(id));
        }
        let found = self.world.store.find_by::<DomainDevice>(DomainDevice::BY_SERIAL, name, 2);
        match found.map_err(|why| backend(&why))?.as_slice() {
            [only] => Ok(Some(only.identity.device.clone())),
            _ => Ok(None),
        }
    }

    /// Asks a source for its events, again and again.
    pub(super) async fn ask(self: Arc<Self>, place: usize, retry: Duration, shutdown: Shutdown) {
        let Some(source) = self.sources.get(place) else { return };
        let (mut poll, mut pause) = (Poll { most: Some(MOST), ..Poll::default() }, retry);
        loop {
            let begun = Instant::now();
            let answer = tokio::select! {
                () = shutdown.clone().begun() => return,
                answer = self.exchange(source, &poll) => answer,
            };
            let wait = match answer {
                Ok(answer) => {
                    let is_nothing = answer.events.is_empty();
                    let went = self.hear_all(source, answer, &mut poll).await;
                    pause = if went.is_ok() { retry } else { pause };
                    went.map(|()| (is_nothing && begun.elapsed() < AT_ONCE).then_some(retry))
                }
                Err(why) => Err(why),
            };
            let wait = wait.unwrap_or_else(|why| {
                self.note(source, |report| report.trouble = Some(why.clone()));
                tracing::warn!(
                    role = "authorizer",
                    source = source.name,
                    why,
                    "a source of security events could not be asked"
                );
                let wait = pause;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                Some(wait)
            });
            if let Some(wait) = wait {
                tokio::select! {
                    () = shutdown.clone().begun() => return,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }

    async fn exchange(&self, source: &Source, poll: &Poll) -> Result<Answer, String> {
        let Some(site) = &source.poll else { return Err("it is not asked".into()) };
        let failed = |why: landfall_net::NetError| format!("{site}: {why}");
        let mut connection = site.open(LIMITS).await.map_err(failed)?;
        let mut request =
            Request::post(&site.path, "application/json", poll.to_json().into_bytes()).accept("application/json");
        request.headers.add("authorization", bearer(&source.token));
        let response = connection.send(request).await.map_err(failed)?;
        match response.status {
            200 => Answer::read(&response.body).map_err(|why| format!("{site}: {why}")),
            status => Err(format!("{site} answers with {status}")),
        }
    }

    /// Takes what came, and notes what is to be acknowledged the next time.
    async fn hear_all(&self, source: &Source, answer: Answer, poll: &mut Poll) -> Result<(), String> {
        poll.taken.clear();
        poll.refused.clear();
        for (id, event) in answer.events {
            match self.hear(source, Some(&id), &event).await {
                Ok(()) => poll.taken.push(id),
                // Ours to mend: it is asked for again.
                Err(why) if why.fault == Fault::Backend => return Err(why.to_string()),
                Err(why) => match error_code(&why) {
                    None => poll.taken.push(id),
                    Some(code) => poll.refused.push((id, Complaint { code: code.into(), description: why.detail })),
                },
            }
        }
        if poll.refused.is_empty() {
            self.note(source, |report| report.trouble = None);
        }
        Ok(())
    }

    fn note(&self, source: &Source, change: impl FnOnce(&mut SourceReport)) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(report) = reports.get_mut(&source.name) {
            change(report);
        }
    }
}

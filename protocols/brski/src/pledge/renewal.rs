//! Keeping an LDevID alive (RFC 7030 s4.2.2).
//!
//! Two thirds into its life, sooner or later by a random share so that a fleet does not come all at once, the device
//! connects with its LDevID and asks for the next one, by default with a new key. The old credential stays in force
//! until the new one is durable.

use super::{
    config::{Random, Timing},
    csr::Subject,
    enrol::{Awaits, Issued, Job, Key, Line, Next, Step, discard},
    io::{ConnectionId, Credential, Input, InvalidInput, Output, Progress, Summary, Trust},
    onboarding::own_failure,
    outbox::Outbox,
    provisional::Trusted,
};
use crate::TlsPeer;
use landfall_pki::{Algorithm, Certificate};
use landfall_types::{Fault, Machine, Refusal, SerialNumber, Time, http::Response};
use std::{mem, time::Duration};

/// How a device renews.
#[derive(Clone, Debug)]
pub struct RenewalConfig {
    /// The device.
    pub serial_number: SerialNumber,
    /// Whether each certificate gets a new key. RFC 7030 s4.2.2 calls that rekeying.
    pub rekey: bool,
    /// Whether the device knows the time. One that does not cannot know when to renew, and renews when it is told to.
    pub clock: bool,
    /// How long it waits for what.
    pub timing: Timing,
}

/// Renews one credential once. Ends with [`Output::Done`], or with [`Output::GaveUp`] when the old certificate has
/// expired meanwhile, after which only onboarding helps.
#[derive(Debug)]
pub struct Renewal {
    config: RenewalConfig,
    old: Credential,
    out: Outbox,
    state: State,
    /// What had been begun when the last connection went away. A registrar that asks for patience knows it by its key.
    begun: Option<(Job, Step)>,
    due: Time,
    failures: u32,
    attempts: u32,
    started: Time,
}

impl State {
    const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Connecting { connection, .. } => Some(*connection),
            Self::Enrolling(enrolling) => Some(enrolling.line.connection),
            Self::Persisting { connection, .. } => *connection,
            Self::Resting(_) | Self::Ended => None,
        }
    }
}

#[derive(Debug)]
enum State {
    /// The time to renew, or to try again, is awaited.
    Resting(Time),
    Connecting {
        connection: ConnectionId,
        since: Time,
    },
    Enrolling(Box<Enrolling>),
    Persisting {
        connection: Option<ConnectionId>,
        job: Box<Job>,
        credential: Box<Credential>,
    },
    Ended,
}

#[derive(Debug)]
struct Enrolling {
    line: Line,
    job: Job,
    step: Step,
    since: Time,
    lost: bool,
}

impl Renewal {
    /// Renews `old` when it is time.
    pub fn new(config: RenewalConfig, old: Credential, mut random: impl Random) -> Self {
        let due = due(&old.ldevid, &mut random);
        let state = State::Resting(due);
        let (out, started) = (Outbox::default(), Time::EPOCH);
        Self { config, old, out, state, begun: None, due, failures: 0, attempts: 0, started }
    }

    /// When it is time.
    pub const fn due(&self) -> Time {
        self.due
    }

    fn connect(&mut self, now: Time) -> State {
        if self.attempts == 0 {
            self.started = now;
        }
        self.attempts += 1;
        let trust = Trust::Anchored(self.old.domain());
        let connection = self.out.connect(self.old.offer.clone(), self.old.identity(), trust);
        State::Connecting { connection, since: now }
    }

    fn connected(&mut self, connection: ConnectionId, peer: TlsPeer, now: Time) -> State {
        let domain = self.old.domain();
        match Trusted::by_anchors(peer, &domain, &self.old.registrar, self.config.clock, now) {
            Ok(trusted) => {
                self.out.note(Progress::Connected { registrar: trusted.registrar().subject(), trusted: true });
                let line = Line { connection, trusted };
                let (mut job, step) =
                    self.begun.take().map_or_else(|| (self.job(), None), |(job, step)| (job, Some(step)));
                let next = match step {
                    None => Ok(Next::Step(Step::begin(&line, &mut self.out))),
                    Some(step) => step.again(&mut job, &line, &mut self.out),
                };
                self.after(line, job, next, now)
            }
            Err(refusal) => self.fail(Some(connection), None, refusal, now),
        }
    }

    fn job(&self) -> Job {
        let public_key = self.old.ldevid.public_key().clone();
        Job {
            subject: Subject::of_ldevid(&self.old.ldevid),
            algorithm: Algorithm::of(public_key.kind()).unwrap_or(Algorithm::EcdsaP256),
            key: (!self.config.rekey).then(|| Key {
                uri: self.old.key.clone(),
                public_key,
                new: false,
                attestation: None,
            }),
            renewal: true,
            clock: self.config.clock,
            timing: self.config.timing.clone(),
            pending: None,
        }
    }

    fn after(&mut self, line: Line, job: Job, next: Result<Next, Refusal>, now: Time) -> State {
        match next {
            Ok(Next::Step(step)) => State::Enrolling(Box::new(Enrolling { line, job, step, since: now, lost: false })),
            Ok(Next::Issued(issued)) => {
                let credential = Box::new(self.renewed(*issued, &line.trusted, now));
                self.out.push(Output::Persist(credential.clone()));
                State::Persisting { connection: Some(line.connection), job: Box::new(job), credential }
            }
            Err(refusal) => self.fail(Some(line.connection), job.key, refusal, now),
        }
    }

    fn renewed(&self, issued: Issued, trusted: &Trusted, now: Time) -> Credential {
        Credential {
            key: issued.key,
            ldevid: issued.certificate,
            chain: issued.chain,
            anchors: issued.anchors,
            registrar: trusted.registrar().clone(),
            obtained: now,
            ..self.old.clone()
        }
    }

    fn persisted(&mut self, connection: Option<ConnectionId>, credential: Credential, now: Time) -> State {
        if let Some(connection) = connection {
            self.out.disconnect(connection);
        }
        if credential.key != self.old.key {
            self.out.push(Output::DiscardKey(self.old.key.clone()));
        }
        self.out.push(Output::Done(Box::new(Summary {
            serial_number: self.config.serial_number.clone(),
            credential,
            reported: true,
            attempts: self.attempts,
            took: now.since(self.started),
        })));
        State::Ended
    }

    /// Goes on later where the connection broke.
    fn interrupted(
        &mut self,
        connection: Option<ConnectionId>,
        job: Job,
        step: Step,
        why: Refusal,
        now: Time,
    ) -> State {
        self.begun = Some((job, step));
        self.fail(connection, None, why, now)
    }

    /// Tries again later, as long as there is a certificate to try with.
    fn fail(&mut self, connection: Option<ConnectionId>, key: Option<Key>, refusal: Refusal, now: Time) -> State {
        discard(key, &mut self.out);
        if let Some(connection) = connection {
            self.out.disconnect(connection);
        }
        self.out.note(Progress::Failed { offer: self.old.offer.clone(), refusal: refusal.clone() });
        if self.config.clock && now > self.old.ldevid.not_after() {
            discard(self.begun.take().and_then(|(job, _)| job.key), &mut self.out);
            self.out.push(Output::GaveUp(refusal));
            return State::Ended;
        }
        self.failures += 1;
        let wait = self.config.timing.back_off_after(self.failures);
        self.out.note(Progress::Resting { wait: Some(wait) });
        State::Resting(now + wait)
    }
}

impl Machine for Renewal {
    type Input = Input;
    type Output = Output;
    type Error = InvalidInput;

    /// [`Input::Start`] renews at once, whatever the time.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), InvalidInput> {
        if input.connection().is_some_and(|connection| self.state.connection() != Some(connection)) {
            return Ok(());
        }
        if matches!(input, Input::Timeout) && self.poll_timeout().is_none_or(|due| due > now) {
            return Ok(());
        }
        self.state = match (mem::replace(&mut self.state, State::Ended), input) {
            (State::Resting(_), Input::Start | Input::Timeout) => self.connect(now),

            (State::Connecting { .. }, Input::Connected { connection, peer }) => self.connected(connection, peer, now),
            (State::Connecting { .. }, Input::ConnectionLost { why, .. }) => self.fail(None, None, gone(&why), now),
            (State::Connecting { connection, .. }, Input::Timeout) => {
                self.fail(Some(connection), None, too_slow(), now)
            }

            (State::Enrolling(e), Input::Response { response, .. }) => e.response(self, &response, now),
            (State::Enrolling(e), Input::KeyMade { key: uri, public_key, attestation }) => {
                e.key_made(self, Key { uri, public_key, new: true, attestation }, now)
            }
            (State::Enrolling(e), Input::Attested(evidence)) => e.attested(self, &evidence, now),
            (State::Enrolling(e), Input::Signed(signature)) => e.signed(self, &signature, now),
            (State::Enrolling(e), Input::Failed(why)) => {
                let connection = (!e.lost).then_some(e.line.connection);
                self.fail(connection, e.job.key, own_failure(why), now)
            }
            (State::Enrolling(mut e), Input::ConnectionLost { why, .. }) => match e.step.awaits() {
                Awaits::Key | Awaits::Evidence | Awaits::Signature => {
                    e.lost = true;
                    State::Enrolling(e)
                }
                Awaits::Response | Awaits::Time(_) => self.interrupted(None, e.job, e.step, gone(&why), now),
            },
            (State::Enrolling(e), Input::Timeout) => match e.step.awaits() {
                Awaits::Time(_) => {
                    let step = e.step.resume(&e.line, &mut self.out);
                    State::Enrolling(Box::new(Enrolling { step, since: now, ..*e }))
                }
                _ => self.interrupted(Some(e.line.connection), e.job, e.step, too_slow(), now),
            },

            (State::Persisting { connection, credential, .. }, Input::Persisted) => {
                self.persisted(connection, *credential, now)
            }
            (State::Persisting { connection, job, .. }, Input::Failed(why)) => {
                self.fail(connection, job.key, own_failure(why), now)
            }
            (State::Persisting { job, credential, .. }, Input::ConnectionLost { .. }) => {
                State::Persisting { connection: None, job, credential }
            }

            // Announcements say nothing new to a device that knows its registrar; a new link is worth a try.
            (state, Input::Offers(_)) => state,
            (State::Resting(_), Input::LinkChanged) if self.failures > 0 => self.connect(now),
            (state, Input::LinkChanged) => state,

            (state, input) => {
                self.state = state;
                return Err(InvalidInput(input.name()));
            }
        };
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let patience = self.config.timing.patience_alone;
        match &self.state {
            // A device without a clock is told when to renew.
            State::Resting(at) => (self.config.clock || self.failures > 0).then_some(*at),
            State::Connecting { since, .. } => Some(*since + patience),
            State::Enrolling(enrolling) => match enrolling.step.awaits() {
                Awaits::Response => Some(enrolling.since + patience),
                Awaits::Time(until) => Some(until),
                Awaits::Key | Awaits::Evidence | Awaits::Signature => None,
            },
            State::Persisting { .. } | State::Ended => None,
        }
    }
}

impl Enrolling {
    fn response(self, renewal: &mut Renewal, response: &Response, now: Time) -> State {
        let Self { line, mut job, step, .. } = self;
        let next = step.response(response, &mut job, &line, &mut renewal.out, now);
        renewal.after(line, job, next, now)
    }

    fn key_made(self, renewal: &mut Renewal, key: Key, now: Time) -> State {
        let Self { line, mut job, step, lost, .. } = self;
        if lost {
            job.key = Some(key);
            return renewal.interrupted(None, job, step, gone("lost while a key was made"), now);
        }
        let next = step.key_made(key, &mut job, &line, &mut renewal.out);
        renewal.after(line, job, next, now)
    }

    fn attested(self, renewal: &mut Renewal, evidence: &str, now: Time) -> State {
        let Self { line, job, step, lost, .. } = self;
        if lost {
            return renewal.interrupted(None, job, step, gone("lost while evidence was gathered"), now);
        }
        let next = step.attested(evidence, &job, &line, &mut renewal.out);
        renewal.after(line, job, next, now)
    }

    fn signed(self, renewal: &mut Renewal, signature: &[u8], now: Time) -> State {
        let Self { line, job, step, lost, .. } = self;
        if lost {
            return renewal.interrupted(None, job, step, gone("lost while the request was signed"), now);
        }
        let next = step.signed(signature, &job, &line, &mut renewal.out);
        renewal.after(line, job, next, now)
    }
}

fn gone(why: &str) -> Refusal {
    Refusal::new(Fault::Backend, "connection", "RFC 7030 s4.2.2", why)
}

fn too_slow() -> Refusal {
    Refusal::new(Fault::Peer, "registrar-progress", "RFC 7030 s4.2.2", "no progress in time")
}

/// Two thirds into the life of `ldevid`, or up to a twentieth of it sooner or later.
fn due(ldevid: &Certificate, random: &mut dyn Random) -> Time {
    let life = ldevid.not_after().since(ldevid.not_before());
    let spread = life / 20;
    ldevid.not_before() + (life * 2 / 3).saturating_sub(spread) + random.between(Duration::ZERO, spread * 2)
}

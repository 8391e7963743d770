//! From an IDevID to an LDevID (RFC 8995 s4.1, s5).
//!
//! One connection is used at a time. A registrar that asks for patience does not block others: its request is kept and
//! sent again, unchanged, when it is due, and meanwhile the next one is tried.

mod ask;
mod join;
mod report;

use super::{
    config::{Config, Random},
    enrol::Key,
    io::{ConnectionId, Credential, Input, InvalidInput, Output, Progress, Summary},
    outbox::Outbox,
    prospects::Prospects,
};
use crate::proxy::Offer;
use ask::{Attempt, AwaitingVoucher, Connecting, ReportingRefusal, SigningRequest, Waiting};
use join::{Enrolling, Persisting, Reconnecting, ReportingFailure, ReportingVoucher};
use landfall_types::{Fault, Machine, Refusal, Time};
use report::{Announcing, ReportingSuccess};
use std::{fmt, mem};

/// Takes a device from its IDevID to an LDevID. Ends with [`Output::Done`], or with [`Output::GaveUp`] if the
/// configuration bounds the number of attempts.
#[derive(Debug)]
pub struct Onboarding {
    context: Context,
    state: State,
}

/// What the states share.
struct Context {
    config: Config,
    random: Box<dyn Random>,
    prospects: Prospects,
    out: Outbox,
    started: Time,
    attempts: u32,
    failures: u32,
}

/// Where an onboarding stands: each state is named for what it awaits.
#[derive(Debug)]
enum State {
    Idle(Option<Box<Credential>>),
    Resting(Resting),
    Connecting(Connecting),
    SigningRequest(SigningRequest),
    AwaitingVoucher(AwaitingVoucher),
    Waiting(Waiting),
    ReportingRefusal(ReportingRefusal),
    ReportingVoucher(ReportingVoucher),
    Enrolling(Box<Enrolling>),
    Reconnecting(Reconnecting),
    ReportingFailure(ReportingFailure),
    Persisting(Persisting),
    Announcing(Announcing),
    ReportingSuccess(ReportingSuccess),
    Ended,
}

/// Nobody is being talked to: an announcement or the end of a back-off is awaited.
#[derive(Debug)]
struct Resting {
    /// Not before then, to leave the network some air (RFC 8995 s4.1).
    not_before: Time,
}

impl Onboarding {
    /// A device that has no network credential.
    pub fn new(config: Config, random: impl Random + 'static) -> Self {
        Self::from(config, random, None)
    }

    /// A device that was interrupted after `credential` became durable: it only has to tell the registrar.
    pub fn resume(config: Config, random: impl Random + 'static, credential: Credential) -> Self {
        Self::from(config, random, Some(Box::new(credential)))
    }

    fn from(config: Config, random: impl Random + 'static, credential: Option<Box<Credential>>) -> Self {
        let context = Context {
            config,
            random: Box::new(random),
            prospects: Prospects::default(),
            out: Outbox::default(),
            started: Time::EPOCH,
            attempts: 0,
            failures: 0,
        };
        Self { context, state: State::Idle(credential) }
    }
}

impl Machine for Onboarding {
    type Input = Input;
    type Output = Output;
    type Error = InvalidInput;

    fn handle(&mut self, now: Time, input: Input) -> Result<(), InvalidInput> {
        if input.connection().is_some_and(|connection| self.state.connection() != Some(connection)) {
            return Ok(());
        }
        if matches!(input, Input::Timeout) && self.poll_timeout().is_none_or(|due| due > now) {
            return Ok(());
        }
        let state = mem::replace(&mut self.state, State::Ended);
        let (state, result) = state.next(&mut self.context, now, input);
        self.state = state;
        result
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.context.out.pop()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let context = &self.context;
        match &self.state {
            State::Resting(resting) => {
                context.prospects.due_at(resting.not_before, None).map(|due| due.max(resting.not_before))
            }
            State::Connecting(connecting) => Some(context.patience(connecting.since, connecting.prospect())),
            State::AwaitingVoucher(awaiting) => Some(context.patience(awaiting.since, awaiting.prospect())),
            State::Waiting(waiting) => Some(waiting.until),
            State::ReportingRefusal(ReportingRefusal { since, .. }) => Some(*since + context.config.timing.patience),
            State::ReportingVoucher(ReportingVoucher { since, .. })
            | State::ReportingFailure(ReportingFailure { since, .. })
            | State::ReportingSuccess(ReportingSuccess { since, .. }) => {
                Some(*since + context.config.timing.patience_alone)
            }
            State::Enrolling(enrolling) => enrolling.deadline(&context.config.timing),
            State::Reconnecting(Reconnecting { redial, .. }) | State::Announcing(Announcing { redial, .. }) => {
                Some(redial.deadline(&context.config.timing))
            }
            State::Idle(_) | State::SigningRequest(_) | State::Persisting(_) | State::Ended => None,
        }
    }
}

impl State {
    /// The connection in use.
    fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Idle(_) | Self::Resting(_) | Self::Ended => None,
            Self::Connecting(state) => Some(state.connection),
            Self::SigningRequest(state) => Some(state.connection),
            Self::AwaitingVoucher(state) => Some(state.connection),
            Self::Waiting(state) => Some(state.awaiting.connection),
            Self::ReportingRefusal(state) => Some(state.connection),
            Self::ReportingVoucher(state) => Some(state.line.connection),
            Self::Enrolling(state) => Some(state.line.connection),
            Self::Reconnecting(state) => state.redial.connection(),
            Self::ReportingFailure(state) => Some(state.connection),
            Self::Persisting(state) => state.line.as_ref().map(|line| line.connection),
            Self::Announcing(state) => state.redial.connection(),
            Self::ReportingSuccess(state) => Some(state.connection),
        }
    }

    /// Every transition there is.
    fn next(self, context: &mut Context, now: Time, input: Input) -> (Self, Result<(), InvalidInput>) {
        let next = match (self, input) {
            (Self::Idle(resumed), Input::Start) => context.start(resumed, now),
            (state, Input::Offers(offers)) => context.hear(state, &offers, now),
            (state, Input::LinkChanged) => {
                context.prospects.forgive(now);
                state.woken(context, now)
            }

            (Self::Resting(_), Input::Timeout) => context.try_next(now),

            (Self::Connecting(state), Input::Connected { peer, .. }) => state.connected(context, now, peer),
            (Self::Connecting(state), Input::ConnectionLost { why, .. }) => state.lost(context, now, &why),
            (Self::Connecting(state), Input::Timeout) => state.timeout(context, now),

            (Self::SigningRequest(state), Input::Signed(signature)) => state.signed(context, now, &signature),
            (Self::SigningRequest(state), Input::Failed(why)) => state.failed(context, now, why),
            (Self::SigningRequest(state), Input::ConnectionLost { why, .. }) => state.lost(why),

            (Self::AwaitingVoucher(state), Input::Response { response, .. }) => state.response(context, now, &response),
            (Self::AwaitingVoucher(state), Input::ConnectionLost { why, .. }) => state.lost(context, now, &why),
            (Self::AwaitingVoucher(state), Input::Timeout) => state.timeout(context, now),

            (Self::Waiting(state), Input::Timeout) => state.resend(context, now),
            (Self::Waiting(state), Input::ConnectionLost { .. }) => state.lost(context, now),

            (Self::ReportingRefusal(state), Input::Response { .. } | Input::ConnectionLost { .. } | Input::Timeout) => {
                state.over(context, now)
            }

            (Self::ReportingVoucher(state), Input::Response { .. }) => state.reported(context, now),
            (Self::ReportingVoucher(state), Input::ConnectionLost { .. } | Input::Timeout) => state.lost(context, now),

            (Self::Enrolling(state), Input::Response { response, .. }) => state.response(context, now, &response),
            (Self::Enrolling(state), Input::KeyMade { key, public_key, attestation }) => {
                state.key_made(context, now, Key { uri: key, public_key, new: true, attestation })
            }
            (Self::Enrolling(state), Input::Attested(evidence)) => state.attested(context, now, &evidence),
            (Self::Enrolling(state), Input::Signed(signature)) => state.signed(context, now, &signature),
            (Self::Enrolling(state), Input::Failed(why)) => state.failed(context, now, why),
            (Self::Enrolling(state), Input::ConnectionLost { .. }) => state.lost(context, now),
            (Self::Enrolling(state), Input::Timeout) => state.timeout(context, now),

            (Self::Reconnecting(state), Input::Connected { peer, .. }) => state.connected(context, now, peer),
            (Self::Reconnecting(state), Input::ConnectionLost { .. }) => state.lost(context, now),
            (Self::Reconnecting(state), Input::Timeout) => state.timeout(context, now),

            (Self::ReportingFailure(state), Input::Response { .. } | Input::ConnectionLost { .. } | Input::Timeout) => {
                state.over(context, now)
            }

            (Self::Persisting(state), Input::Persisted) => state.persisted(context, now),
            (Self::Persisting(state), Input::Failed(why)) => state.failed(context, now, why),
            (Self::Persisting(state), Input::ConnectionLost { .. }) => state.lost(),

            (Self::Announcing(state), Input::Connected { peer, .. }) => state.connected(context, now, peer),
            (Self::Announcing(state), Input::ConnectionLost { why, .. }) => state.lost(context, now, why),
            (Self::Announcing(state), Input::Timeout) => state.timeout(context, now),

            (Self::ReportingSuccess(state), Input::Response { .. }) => state.reported(context, now),
            (Self::ReportingSuccess(state), Input::ConnectionLost { .. } | Input::Timeout) => state.lost(context, now),

            (state, input) => return (state, Err(InvalidInput(input.name()))),
        };
        (next, Ok(()))
    }

    /// Lets a resting machine look at once whether there is something to do.
    fn woken(self, context: &mut Context, now: Time) -> Self {
        match self {
            Self::Resting(resting) if resting.not_before <= now => context.try_next(now),
            other => other,
        }
    }
}

impl Context {
    fn start(&mut self, resumed: Option<Box<Credential>>, now: Time) -> State {
        self.started = now;
        match resumed {
            Some(credential) => Announcing::begin(self, credential, now),
            None => {
                self.discover();
                State::Resting(Resting { not_before: now })
            }
        }
    }

    fn discover(&mut self) {
        self.out.push(Output::Discover);
        self.out.note(Progress::Discovering);
    }

    fn hear(&mut self, state: State, offers: &[Offer], now: Time) -> State {
        for offer in offers {
            if self.prospects.hear(offer, now) {
                self.out.note(Progress::Found(offer.clone()));
            }
        }
        state.woken(self, now)
    }

    /// Connects to whoever's turn it is.
    fn try_next(&mut self, now: Time) -> State {
        match self.prospects.next(now) {
            Some((offer, pending)) => Connecting::begin(self, Attempt::new(offer, pending), now),
            None => State::Resting(Resting { not_before: now }),
        }
    }

    /// Nobody is being talked to now; somebody will be in a while.
    fn rest(&mut self, now: Time) -> State {
        let (low, high) = self.config.timing.spacing;
        let not_before = now + self.random.between(low, high);
        let due = self.prospects.due_at(now, None).map(|due| due.max(not_before));
        // RFC 8995 s4.1: once all have been tried in vain, listen again.
        if due.is_none_or(|due| due > not_before) {
            self.discover();
        }
        self.out.note(Progress::Resting { wait: due.map(|due| due.since(now)) });
        State::Resting(Resting { not_before })
    }

    /// An attempt came to nothing.
    fn fail(&mut self, prospect: &Offer, connection: Option<ConnectionId>, refusal: Refusal, now: Time) -> State {
        if let Some(connection) = connection {
            self.out.disconnect(connection);
        }
        self.prospects.failed(prospect, now, &self.config.timing);
        self.failures += 1;
        self.out.note(Progress::Failed { offer: prospect.clone(), refusal: refusal.clone() });
        if self.config.attempts.is_some_and(|most| self.failures >= most) {
            self.out.push(Output::GaveUp(refusal));
            return State::Ended;
        }
        self.rest(now)
    }

    /// Until when someone who shows no progress `since` then is waited for.
    ///
    /// RFC 8995 s5.1: five seconds, if there is another to go to; longer if there is not, while listening for others.
    fn patience(&self, since: Time, with: &Offer) -> Time {
        let timing = &self.config.timing;
        let alone = since + timing.patience_alone;
        let other = self.prospects.due_at(since, Some(with)).unwrap_or(alone);
        other.max(since + timing.patience).min(alone)
    }

    fn done(&mut self, credential: Credential, reported: bool, now: Time) -> State {
        self.out.push(Output::Done(Box::new(Summary {
            serial_number: self.config.serial_number.clone(),
            credential,
            reported,
            attempts: self.attempts,
            took: now.since(self.started),
        })));
        State::Ended
    }
}

/// The device's own element or storage failed.
pub(super) fn own_failure(why: String) -> Refusal {
    Refusal::new(Fault::Backend, "device-element", "RFC 8995 s2.3", why)
}

/// A registrar did not answer in time.
fn too_slow() -> Refusal {
    Refusal::new(Fault::Peer, "registrar-progress", "RFC 8995 s5.1", "no progress in time")
}

/// A connection went away in the middle.
fn gone(why: &str) -> Refusal {
    Refusal::new(Fault::Backend, "connection", "RFC 8995 s5.1", why)
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("config", &self.config)
            .field("prospects", &self.prospects)
            .finish_non_exhaustive()
    }
}

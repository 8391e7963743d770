//! Enrolling with a registrar that a voucher made trusted (RFC 8995 s5.7, s5.9).

use super::{Announcing, Context, State, ask::Attempt, gone, own_failure, report::Redial};
use crate::{
    TlsPeer,
    pledge::{
        config::Timing,
        csr::Subject,
        enrol::{Awaits, Issued, Job, Key, Line, Next, Step, discard},
        io::{ConnectionId, Credential, Identity, Output, Progress, Trust},
        provisional::Trusted,
        voucher::Imprint,
    },
};
use landfall_pki::{Anchors, Certificate};
use landfall_types::{Refusal, Time, http::Response};
use std::time::Duration;

/// What outlives a connection once there is a good voucher.
#[derive(Debug)]
pub(super) struct Joining {
    attempt: Attempt,
    imprint: Imprint,
    /// The certificate that every connection has to show (RFC 8995 s5).
    registrar: Certificate,
    job: Job,
    /// Connections lost since the last answer.
    lost: u32,
    /// Whether the registrar knows that its voucher was good.
    reported: bool,
    /// Where enrolment stood when the last connection went away.
    step: Option<Step>,
}

impl Joining {
    pub(super) fn new(context: &Context, attempt: Attempt, imprint: Imprint, registrar: Certificate) -> Self {
        let config = &context.config;
        let job = Job {
            subject: Subject::of_idevid(&config.idevid),
            algorithm: config.algorithm,
            key: None,
            renewal: false,
            clock: config.vouchers.clock,
            timing: config.timing.clone(),
            pending: None,
        };
        Self { attempt, imprint, registrar, job, lost: 0, reported: false, step: None }
    }

    /// Goes on where the last connection ended.
    fn go_on(mut self, context: &mut Context, line: Line, now: Time) -> State {
        if !self.reported {
            return ReportingVoucher::begin(context, self, line, now);
        }
        let next = match self.step.take() {
            None => Ok(Next::Step(Step::begin(&line, &mut context.out))),
            Some(step) => step.again(&mut self.job, &line, &mut context.out),
        };
        Enrolling::after(self, line, next, context, now)
    }

    /// The connection is gone. What is done is not lost, so it is made again: at once, then a few times more.
    fn reconnect(mut self, context: &mut Context, connection: Option<ConnectionId>, now: Time) -> State {
        self.lost += 1;
        if self.lost > context.config.timing.reconnections {
            return self.fail(context, connection, gone("lost too often"), now);
        }
        if let Some(connection) = connection {
            context.out.disconnect(connection);
        }
        let wait = match self.lost {
            1 => Duration::ZERO,
            more => context.config.timing.back_off_after(more - 1),
        };
        State::Reconnecting(Reconnecting { joining: self, redial: Redial::At(now + wait) })
    }

    fn fail(self, context: &mut Context, connection: Option<ConnectionId>, refusal: Refusal, now: Time) -> State {
        discard(self.job.key, &mut context.out);
        context.fail(&self.attempt.prospect, connection, refusal, now)
    }

    /// RFC 8995 s5.9.4: a failure is told over the connection on which it happened.
    fn report_failure(self, context: &mut Context, line: Line, refusal: Refusal, now: Time) -> State {
        context.out.send(line.connection, line.trusted.report_enrolment(Err(&refusal)));
        context.out.note(Progress::Reported { what: "enrollstatus", success: false });
        State::ReportingFailure(ReportingFailure { joining: self, connection: line.connection, refusal, since: now })
    }

    fn credential(&self, issued: Issued, now: Time) -> Credential {
        Credential {
            key: issued.key,
            ldevid: issued.certificate,
            chain: issued.chain,
            anchors: issued.anchors,
            pinned: self.imprint.pinned().clone(),
            registrar: self.registrar.clone(),
            offer: self.attempt.target.clone(),
            voucher: self.imprint.raw().to_vec(),
            obtained: now,
        }
    }
}

/// The registrar is being told that its voucher is good.
#[derive(Debug)]
pub(super) struct ReportingVoucher {
    joining: Joining,
    pub(super) line: Line,
    pub(super) since: Time,
}

impl ReportingVoucher {
    pub(super) fn begin(context: &mut Context, joining: Joining, line: Line, now: Time) -> State {
        context.out.send(line.connection, line.trusted.report_voucher());
        State::ReportingVoucher(Self { joining, line, since: now })
    }

    /// RFC 8995 s5.7: whatever it answers is ignored.
    pub(super) fn reported(mut self, context: &mut Context, now: Time) -> State {
        context.out.note(Progress::Reported { what: "voucher_status", success: true });
        self.joining.reported = true;
        self.joining.go_on(context, self.line, now)
    }

    pub(super) fn lost(self, context: &mut Context, now: Time) -> State {
        self.joining.reconnect(context, Some(self.line.connection), now)
    }
}

/// Enrolment is under way.
#[derive(Debug)]
pub(super) struct Enrolling {
    joining: Joining,
    pub(super) line: Line,
    step: Step,
    since: Time,
    /// The connection went away while the device's own element was busy, whose answer still comes.
    lost: bool,
}

impl Enrolling {
    pub(super) fn deadline(&self, timing: &Timing) -> Option<Time> {
        match self.step.awaits() {
            Awaits::Response => Some(self.since + timing.patience_alone),
            Awaits::Time(until) => Some(until),
            Awaits::Key | Awaits::Evidence | Awaits::Signature => None,
        }
    }

    pub(super) fn response(mut self, context: &mut Context, now: Time, response: &Response) -> State {
        self.joining.lost = 0;
        let next = self.step.response(response, &mut self.joining.job, &self.line, &mut context.out, now);
        Self::after(self.joining, self.line, next, context, now)
    }

    pub(super) fn key_made(mut self, context: &mut Context, now: Time, key: Key) -> State {
        if self.lost {
            self.joining.job.key = Some(key);
            return self.interrupted(context, None, now);
        }
        let next = self.step.key_made(key, &mut self.joining.job, &self.line, &mut context.out);
        Self::after(self.joining, self.line, next, context, now)
    }

    pub(super) fn attested(self, context: &mut Context, now: Time, evidence: &str) -> State {
        if self.lost {
            return self.interrupted(context, None, now);
        }
        let next = self.step.attested(evidence, &self.joining.job, &self.line, &mut context.out);
        Self::after(self.joining, self.line, next, context, now)
    }

    pub(super) fn signed(self, context: &mut Context, now: Time, signature: &[u8]) -> State {
        if self.lost {
            return self.interrupted(context, None, now);
        }
        let next = self.step.signed(signature, &self.joining.job, &self.line, &mut context.out);
        Self::after(self.joining, self.line, next, context, now)
    }

    pub(super) fn failed(self, context: &mut Context, now: Time, why: String) -> State {
        match self.lost {
            true => self.joining.fail(context, None, own_failure(why), now),
            false => self.joining.report_failure(context, self.line, own_failure(why), now),
        }
    }

    fn after(joining: Joining, line: Line, next: Result<Next, Refusal>, context: &mut Context, now: Time) -> State {
        match next {
            Ok(Next::Step(step)) => State::Enrolling(Box::new(Self { joining, line, step, since: now, lost: false })),
            Ok(Next::Issued(issued)) => {
                let credential = Box::new(joining.credential(*issued, now));
                context.out.push(Output::Persist(credential.clone()));
                State::Persisting(Persisting { joining, line: Some(line), credential })
            }
            Err(refusal) => joining.report_failure(context, line, refusal, now),
        }
    }

    pub(super) fn lost(mut self: Box<Self>, context: &mut Context, now: Time) -> State {
        match self.step.awaits() {
            Awaits::Key | Awaits::Evidence | Awaits::Signature => {
                self.lost = true;
                State::Enrolling(self)
            }
            Awaits::Response | Awaits::Time(_) => self.interrupted(context, None, now),
        }
    }

    fn interrupted(mut self, context: &mut Context, connection: Option<ConnectionId>, now: Time) -> State {
        self.joining.step = Some(self.step);
        self.joining.reconnect(context, connection, now)
    }

    pub(super) fn timeout(self: Box<Self>, context: &mut Context, now: Time) -> State {
        match self.step.awaits() {
            Awaits::Time(_) => {
                let step = self.step.resume(&self.line, &mut context.out);
                State::Enrolling(Box::new(Self { step, since: now, ..*self }))
            }
            _ => {
                let connection = self.line.connection;
                self.interrupted(context, Some(connection), now)
            }
        }
    }
}

/// The connection to a trusted registrar is being made again, with the IDevID.
#[derive(Debug)]
pub(super) struct Reconnecting {
    joining: Joining,
    pub(super) redial: Redial,
}

impl Reconnecting {
    pub(super) fn connected(self, context: &mut Context, now: Time, peer: TlsPeer) -> State {
        let connection = self.redial.connection();
        match (Trusted::again(peer, &self.joining.registrar), connection) {
            (Ok(trusted), Some(connection)) => {
                context.out.note(Progress::Connected { registrar: trusted.registrar().subject(), trusted: true });
                self.joining.go_on(context, Line { connection, trusted }, now)
            }
            (Ok(_), None) => self.joining.reconnect(context, None, now),
            (Err(refusal), _) => self.joining.fail(context, connection, refusal, now),
        }
    }

    pub(super) fn lost(self, context: &mut Context, now: Time) -> State {
        self.joining.reconnect(context, None, now)
    }

    pub(super) fn timeout(mut self, context: &mut Context, now: Time) -> State {
        if let Some(connection) = self.redial.connection() {
            return self.joining.reconnect(context, Some(connection), now);
        }
        let mut pinned = Anchors::new();
        pinned.add(self.joining.imprint.pinned().public_key().clone());
        let target = self.joining.attempt.target.clone();
        let connection = context.out.connect(target, Identity::Idevid, Trust::Anchored(pinned));
        self.redial = Redial::Dialing { connection, since: now };
        State::Reconnecting(self)
    }
}

/// The registrar is being told that enrolment failed.
#[derive(Debug)]
pub(super) struct ReportingFailure {
    joining: Joining,
    pub(super) connection: ConnectionId,
    refusal: Refusal,
    pub(super) since: Time,
}

impl ReportingFailure {
    pub(super) fn over(self, context: &mut Context, now: Time) -> State {
        self.joining.fail(context, Some(self.connection), self.refusal, now)
    }
}

/// The credential is being made durable; nothing uses it before.
#[derive(Debug)]
pub(super) struct Persisting {
    joining: Joining,
    pub(super) line: Option<Line>,
    credential: Box<Credential>,
}

impl Persisting {
    /// RFC 8995 s5.9.4: the old connection ends, and a new one begins with the LDevID.
    pub(super) fn persisted(self, context: &mut Context, now: Time) -> State {
        if let Some(line) = self.line {
            context.out.disconnect(line.connection);
        }
        Announcing::begin(context, self.credential, now)
    }

    pub(super) fn failed(self, context: &mut Context, now: Time, why: String) -> State {
        match self.line {
            Some(line) => self.joining.report_failure(context, line, own_failure(why), now),
            None => self.joining.fail(context, None, own_failure(why), now),
        }
    }

    pub(super) fn lost(self) -> State {
        State::Persisting(Self { line: None, ..self })
    }
}

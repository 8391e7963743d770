//! Telling the registrar, over a connection with the new credential, that enrolment worked (RFC 8995 s5.9.4).

use super::{Context, State};
use crate::{
    TlsPeer,
    pledge::{
        config::Timing,
        io::{ConnectionId, Credential, Progress, Trust},
        provisional::Trusted,
    },
};
use landfall_types::{Refusal, Time};

/// A connection that is made again: after a pause, or now.
#[derive(Debug)]
pub(super) enum Redial {
    /// Not before then.
    At(Time),
    /// It is being made.
    Dialing { connection: ConnectionId, since: Time },
}

impl Redial {
    pub(super) fn deadline(&self, timing: &Timing) -> Time {
        match self {
            Self::At(at) => *at,
            Self::Dialing { since, .. } => *since + timing.patience_alone,
        }
    }

    pub(super) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::At(_) => None,
            Self::Dialing { connection, .. } => Some(*connection),
        }
    }
}

/// A connection with the LDevID is being made.
#[derive(Debug)]
pub(super) struct Announcing {
    credential: Box<Credential>,
    pub(super) redial: Redial,
    tries: u32,
}

impl Announcing {
    pub(super) fn begin(context: &mut Context, credential: Box<Credential>, now: Time) -> State {
        let redial = dial(context, &credential, now);
        State::Announcing(Self { credential, redial, tries: 1 })
    }

    pub(super) fn connected(self, context: &mut Context, now: Time, peer: TlsPeer) -> State {
        let Self { credential, redial, tries } = self;
        let clock = context.config.vouchers.clock;
        match (Trusted::by_anchors(peer, &credential.domain(), &credential.registrar, clock, now), redial.connection())
        {
            (Ok(trusted), Some(connection)) => {
                context.out.note(Progress::Connected { registrar: trusted.registrar().subject(), trusted: true });
                context.out.send(connection, trusted.report_enrolment(Ok(())));
                State::ReportingSuccess(ReportingSuccess { credential, connection, tries, since: now })
            }
            (Ok(_), None) => again(context, credential, None, tries, now),
            (Err(refusal), connection) => {
                complain(context, &credential, refusal);
                again(context, credential, connection, tries, now)
            }
        }
    }

    pub(super) fn lost(self, context: &mut Context, now: Time, why: String) -> State {
        complain(context, &self.credential, super::gone(&why));
        again(context, self.credential, None, self.tries, now)
    }

    pub(super) fn timeout(self, context: &mut Context, now: Time) -> State {
        if let Some(connection) = self.redial.connection() {
            return again(context, self.credential, Some(connection), self.tries, now);
        }
        let redial = dial(context, &self.credential, now);
        State::Announcing(Self { redial, ..self })
    }
}

fn dial(context: &mut Context, credential: &Credential, now: Time) -> Redial {
    let trust = Trust::Anchored(credential.domain());
    let connection = context.out.connect(credential.offer.clone(), credential.identity(), trust);
    Redial::Dialing { connection, since: now }
}

/// The registrar is being told that enrolment worked.
#[derive(Debug)]
pub(super) struct ReportingSuccess {
    credential: Box<Credential>,
    pub(super) connection: ConnectionId,
    tries: u32,
    pub(super) since: Time,
}

impl ReportingSuccess {
    pub(super) fn reported(self, context: &mut Context, now: Time) -> State {
        context.out.note(Progress::Reported { what: "enrollstatus", success: true });
        context.out.disconnect(self.connection);
        context.done(*self.credential, true, now)
    }

    pub(super) fn lost(self, context: &mut Context, now: Time) -> State {
        again(context, self.credential, Some(self.connection), self.tries, now)
    }
}

/// Tries once more, unless it has been tried often enough. The credential is good all the same.
fn again(
    context: &mut Context,
    credential: Box<Credential>,
    connection: Option<ConnectionId>,
    tries: u32,
    now: Time,
) -> State {
    if let Some(connection) = connection {
        context.out.disconnect(connection);
    }
    if tries > context.config.timing.reconnections {
        return context.done(*credential, false, now);
    }
    let redial = Redial::At(now + context.config.timing.back_off_after(tries));
    State::Announcing(Announcing { credential, redial, tries: tries + 1 })
}

fn complain(context: &mut Context, credential: &Credential, refusal: Refusal) {
    context.out.note(Progress::Failed { offer: credential.offer.clone(), refusal });
}

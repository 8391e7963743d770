//! Asking for a voucher over a provisional connection (RFC 8995 s5.1 to s5.7).

use super::{
    Context, State, gone,
    join::{Joining, ReportingVoucher},
    own_failure, too_slow,
};
use crate::{
    TlsPeer, paths,
    pledge::{
        enrol::Line,
        io::{ConnectionId, Identity, Output, Progress, SigningKey, Trust},
        prospects::Pending,
        provisional::{Provisional, changed},
        redirect::{self, Redirect},
        voucher::Asked,
    },
    proxy::Offer,
    voucher::{self, Nonce, Unsealed},
};
use landfall_types::{
    Fault, Refusal, Time,
    http::{Request, Response},
};
use std::time::Duration;

/// One try with one registrar.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Whose turn it is.
    pub(super) prospect: Offer,
    /// Where the connection goes: to the prospect, or to where it redirected.
    pub(super) target: Offer,
    /// Where vouchers are asked for.
    path: String,
    /// Whether a redirection has been followed; RFC 8995 s5.6 allows one.
    redirected: bool,
    /// A request that this registrar has accepted before.
    pending: Option<Pending>,
}

impl Attempt {
    pub(super) fn new(prospect: Offer, pending: Option<Pending>) -> Self {
        let (target, path, redirected) = match &pending {
            Some(pending) => (pending.target.clone(), pending.request.path.clone(), pending.redirected),
            None => (prospect.clone(), paths::REQUEST_VOUCHER.to_owned(), false),
        };
        Self { prospect, target, path, redirected, pending }
    }
}

/// A connection is being made.
#[derive(Debug)]
pub(super) struct Connecting {
    attempt: Attempt,
    pub(super) connection: ConnectionId,
    pub(super) since: Time,
}

impl Connecting {
    pub(super) fn begin(context: &mut Context, attempt: Attempt, now: Time) -> State {
        context.attempts += 1;
        let connection = context.out.connect(attempt.target.clone(), Identity::Idevid, Trust::Provisional);
        State::Connecting(Self { attempt, connection, since: now })
    }

    pub(super) const fn prospect(&self) -> &Offer {
        &self.attempt.prospect
    }

    pub(super) fn connected(mut self, context: &mut Context, now: Time, peer: TlsPeer) -> State {
        let provisional = match Provisional::new(peer) {
            Ok(provisional) => provisional,
            Err(refusal) => return context.fail(&self.attempt.prospect, Some(self.connection), refusal, now),
        };
        context.out.note(Progress::Connected { registrar: provisional.registrar().subject(), trusted: false });
        match self.attempt.pending.take() {
            // RFC 8995 s5: a later connection has to show the same certificate.
            Some(pending) if pending.registrar != *provisional.registrar() => {
                context.fail(&self.attempt.prospect, Some(self.connection), changed(), now)
            }
            Some(Pending { request, nonce, since: first, .. }) => {
                let Self { attempt, connection, .. } = self;
                let (waited, since) = (false, now);
                AwaitingVoucher { attempt, connection, provisional, request, nonce, first, since, waited }
                    .send(context, true)
            }
            None => self.sign(context, now, provisional),
        }
    }

    /// RFC 8995 s5.2: a nonce of its own for every attempt, and the registrar's certificate as the device sees it.
    fn sign(self, context: &mut Context, now: Time, provisional: Provisional) -> State {
        let config = &context.config;
        let nonce = Nonce::from_random(context.random.nonce());
        let time = config.vouchers.clock.then_some(now);
        let request = provisional.voucher_request(config.serial_number.clone(), nonce.clone(), time);
        let prepared = voucher::prepare(config.format, &request, &config.idevid, &config.idevid_chain, config.seal);
        let unsealed = match prepared {
            Ok(unsealed) => unsealed,
            Err(e) => return context.fail(&self.attempt.prospect, Some(self.connection), e.refusal(), now),
        };
        context.out.push(Output::Sign { key: SigningKey::Idevid, bytes: unsealed.to_be_signed().to_vec() });
        let Self { attempt, connection, .. } = self;
        State::SigningRequest(SigningRequest { attempt, connection, provisional, nonce, unsealed, lost: None })
    }

    pub(super) fn lost(self, context: &mut Context, now: Time, why: &str) -> State {
        self.keep_pending(context);
        context.fail(&self.attempt.prospect, None, gone(why), now)
    }

    pub(super) fn timeout(self, context: &mut Context, now: Time) -> State {
        self.keep_pending(context);
        context.fail(&self.attempt.prospect, Some(self.connection), too_slow(), now)
    }

    /// A registrar that cannot be reached just now still has the request.
    fn keep_pending(&self, context: &mut Context) {
        if let Some(pending) = self.attempt.pending.clone() {
            context.prospects.keep(&self.attempt.prospect, pending);
        }
    }
}

/// The device's element is signing the voucher request.
#[derive(Debug)]
pub(super) struct SigningRequest {
    attempt: Attempt,
    pub(super) connection: ConnectionId,
    provisional: Provisional,
    nonce: Nonce,
    unsealed: Unsealed,
    lost: Option<String>,
}

impl SigningRequest {
    pub(super) fn signed(self, context: &mut Context, now: Time, signature: &[u8]) -> State {
        let Self { attempt, connection, provisional, nonce, unsealed, lost } = self;
        if let Some(why) = lost {
            return context.fail(&attempt.prospect, None, gone(&why), now);
        }
        match unsealed.seal(signature) {
            Ok(sealed) => {
                let request = provisional.ask(&attempt.path, context.config.format, sealed);
                let (first, since, waited) = (now, now, false);
                AwaitingVoucher { attempt, connection, provisional, request, nonce, first, since, waited }
                    .send(context, false)
            }
            Err(e) => context.fail(&attempt.prospect, Some(connection), e.refusal(), now),
        }
    }

    pub(super) fn failed(self, context: &mut Context, now: Time, why: String) -> State {
        context.fail(&self.attempt.prospect, Some(self.connection), own_failure(why), now)
    }

    /// The signature still comes, and must not be taken for another's.
    pub(super) fn lost(mut self, why: String) -> State {
        self.lost = Some(why);
        State::SigningRequest(self)
    }
}

/// The voucher request has been sent.
#[derive(Debug)]
pub(super) struct AwaitingVoucher {
    attempt: Attempt,
    pub(super) connection: ConnectionId,
    provisional: Provisional,
    request: Request,
    nonce: Nonce,
    /// When the request was sent first, and last.
    first: Time,
    pub(super) since: Time,
    /// Whether the connection lay idle before.
    waited: bool,
}

impl AwaitingVoucher {
    fn send(self, context: &mut Context, again: bool) -> State {
        context.out.send(self.connection, self.request.clone());
        context.out.note(Progress::VoucherRequested { again });
        State::AwaitingVoucher(self)
    }

    pub(super) const fn prospect(&self) -> &Offer {
        &self.attempt.prospect
    }

    pub(super) fn response(self, context: &mut Context, now: Time, response: &Response) -> State {
        match response.status {
            200 => self.voucher(context, now, response),
            202 => self.later(context, now, response),
            300..=399 => self.redirected(context, now, response),
            status => {
                let said = String::from_utf8_lossy(&response.body);
                let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
                let detail = format!("the registrar answered {status}: {said}");
                let fault = if status >= 500 { Fault::Backend } else { Fault::Denied };
                let refusal = Refusal::new(fault, "registrar-status", "RFC 8995 s5.6", detail).field("status");
                context.fail(&self.attempt.prospect, Some(self.connection), refusal, now)
            }
        }
    }

    fn voucher(self, context: &mut Context, now: Time, response: &Response) -> State {
        let config = &context.config;
        let asked = Asked { serial_number: &config.serial_number, idevid: &config.idevid, nonce: &self.nonce };
        match self.provisional.verify(&config.vouchers, config.format, response, &asked, now) {
            Ok((trusted, imprint)) => {
                let assertion = imprint.voucher().assertion.map(voucher::Assertion::as_str);
                context.out.note(Progress::VoucherAccepted { assertion, pinned: imprint.pinned().subject() });
                let joining = Joining::new(context, self.attempt, imprint, trusted.registrar().clone());
                let line = Line { connection: self.connection, trusted };
                ReportingVoucher::begin(context, joining, line, now)
            }
            Err(failed) => {
                let (provisional, refusal) = *failed;
                context.out.send(self.connection, provisional.report());
                context.out.note(Progress::Reported { what: "voucher_status", success: false });
                let Self { attempt, connection, .. } = self;
                State::ReportingRefusal(ReportingRefusal { attempt, connection, refusal, since: now })
            }
        }
    }

    /// RFC 8995 s5.6: at most 60 s at a time and 4 days in all. Meanwhile others get their turn.
    fn later(self, context: &mut Context, now: Time, response: &Response) -> State {
        let timing = &context.config.timing;
        if now.since(self.first) >= timing.pending_most {
            let detail = "the registrar asked for patience for too long";
            let refusal = Refusal::new(Fault::Peer, "voucher-pending", "RFC 8995 s5.6", detail);
            return context.fail(&self.attempt.prospect, Some(self.connection), refusal, now);
        }
        let asked = response.headers.first("retry-after").and_then(|value| value.trim().parse().ok());
        let wait = asked.map_or(timing.retry_after_most, Duration::from_secs).min(timing.retry_after_most);
        context.out.note(Progress::Pending { wait });
        let until = now + wait;
        match context.prospects.due_at(now, Some(&self.attempt.prospect)) {
            Some(other) if other < until => {
                context.out.disconnect(self.connection);
                self.put_aside(context, until, now)
            }
            _ => State::Waiting(Waiting { awaiting: self, until }),
        }
    }

    /// Remembers the request for the next connection to this registrar, and goes on to another.
    fn put_aside(self, context: &mut Context, until: Time, now: Time) -> State {
        let registrar = self.provisional.registrar().clone();
        let Attempt { prospect, target, redirected, .. } = self.attempt;
        let (request, nonce, since) = (self.request, self.nonce, self.first);
        context.prospects.postpone(&prospect, until, Pending { request, nonce, target, redirected, registrar, since });
        context.rest(now)
    }

    /// RFC 8995 s5.6: one redirection is followed, so that a malicious registrar cannot lead the device in circles. At
    /// another origin there is another certificate, so another request with another nonce is made.
    fn redirected(self, context: &mut Context, now: Time, response: &Response) -> State {
        let refuse =
            |detail| Refusal::new(Fault::Peer, "registrar-redirect", "RFC 8995 s5.6", detail).field("Location");
        let prospect = self.attempt.prospect.clone();
        let target = match redirect::read(response) {
            Some(_) if self.attempt.redirected => Err(refuse("a second redirection")),
            Some(target) => Ok(target),
            None => Err(refuse("a redirection that cannot be followed")),
        };
        match target {
            Ok(Redirect::Path(path)) => {
                let mut again = Self { since: now, ..self };
                (again.attempt.redirected, again.attempt.path) = (true, path.clone());
                again.request.path = path;
                again.send(context, true)
            }
            Ok(Redirect::Origin(target, path)) => {
                context.out.disconnect(self.connection);
                context.out.note(Progress::Redirected(target.clone()));
                Connecting::begin(context, Attempt { prospect, target, path, redirected: true, pending: None }, now)
            }
            Err(refusal) => context.fail(&prospect, Some(self.connection), refusal, now),
        }
    }

    /// A connection that lay idle may have been closed long ago; the request is still with the registrar.
    pub(super) fn lost(self, context: &mut Context, now: Time, why: &str) -> State {
        match self.waited {
            true => self.put_aside(context, now, now),
            false => context.fail(&self.attempt.prospect, None, gone(why), now),
        }
    }

    pub(super) fn timeout(self, context: &mut Context, now: Time) -> State {
        context.fail(&self.attempt.prospect, Some(self.connection), too_slow(), now)
    }
}

/// The registrar asked for patience, and nobody else is to be tried meanwhile: the connection is kept.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) awaiting: AwaitingVoucher,
    pub(super) until: Time,
}

impl Waiting {
    /// RFC 8995 s5.6: the same request, with the same nonce.
    pub(super) fn resend(self, context: &mut Context, now: Time) -> State {
        AwaitingVoucher { since: now, waited: true, ..self.awaiting }.send(context, true)
    }

    pub(super) fn lost(self, context: &mut Context, now: Time) -> State {
        self.awaiting.put_aside(context, self.until, now)
    }
}

/// The registrar is being told that its voucher is no good.
#[derive(Debug)]
pub(super) struct ReportingRefusal {
    attempt: Attempt,
    pub(super) connection: ConnectionId,
    refusal: Refusal,
    pub(super) since: Time,
}

impl ReportingRefusal {
    /// RFC 8995 s5.7: whatever it answers is ignored.
    pub(super) fn over(self, context: &mut Context, now: Time) -> State {
        context.fail(&self.attempt.prospect, Some(self.connection), self.refusal, now)
    }
}

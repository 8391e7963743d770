//! A registrar asks who has had vouchers for a device (RFC 8995 s5.8).

use super::{Authentication, Claim, Config, PastVoucher, request};
use crate::{audit_log::AuditLog, media, paths, status};
use landfall_types::{
    Fault, Machine, Outcome, Refusal, Time,
    http::{Request, Response},
};
use std::{collections::VecDeque, mem, sync::Arc};

const S58: &str = "RFC 8995 s5.8";

/// What can happen to an [`AuditLogExchange`].
#[derive(Debug)]
pub enum AuditInput {
    /// A registrar has sent a request: the one that it sent for the voucher, or a later one.
    Request(Request),
    /// Every voucher issued for the device, the latest first; none if it is not known.
    History(Vec<PastVoucher>),
    /// The history cannot be read.
    Failed(String),
}

/// What an [`AuditLogExchange`] can ask for.
#[derive(Debug)]
pub enum AuditOutput {
    /// Find every voucher issued for the claim's device.
    FindHistory(Box<Claim>),
    /// Answer the registrar.
    Respond(Response),
    /// It is over.
    Close(Outcome),
}

/// One request for an audit log, from its arrival to the answer.
#[derive(Debug)]
pub struct AuditLogExchange {
    config: Arc<Config>,
    state: State,
    outputs: VecDeque<AuditOutput>,
}

#[derive(Debug)]
enum State {
    Request(AwaitRequest),
    History(AwaitHistory),
    Over,
}

#[derive(Debug)]
struct AwaitRequest;

#[derive(Debug)]
struct AwaitHistory {
    claim: Box<Claim>,
}

impl AuditLogExchange {
    /// An exchange that waits for its request.
    pub const fn new(config: Arc<Config>) -> Self {
        Self { config, state: State::Request(AwaitRequest), outputs: VecDeque::new() }
    }

    fn step(&mut self, now: Time, state: State, input: AuditInput) -> Result<State, Refusal> {
        match (state, input) {
            (State::Request(s), AuditInput::Request(request)) => {
                let next = s.request(&self.config, now, &request)?;
                self.outputs.push_back(AuditOutput::FindHistory(next.claim.clone()));
                Ok(State::History(next))
            }
            (State::History(s), AuditInput::History(past)) => {
                let response = s.found(&self.config, &past)?;
                self.outputs.push_back(AuditOutput::Respond(response));
                self.outputs.push_back(AuditOutput::Close(Outcome::Done));
                Ok(State::Over)
            }
            (_, AuditInput::Failed(why)) => Err(Refusal::new(Fault::Backend, "masa-backend", S58, why)),
            _ => Err(out_of_order()),
        }
    }
}

impl Machine for AuditLogExchange {
    type Input = AuditInput;
    type Output = AuditOutput;
    type Error = Refusal;

    /// Every refusal becomes a response and the end of the exchange; only an input after that end is an error.
    fn handle(&mut self, now: Time, input: AuditInput) -> Result<(), Refusal> {
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Err(out_of_order());
        }
        match self.step(now, state, input) {
            Ok(next) => self.state = next,
            Err(refusal) => {
                self.outputs.push_back(AuditOutput::Respond(status::response(&refusal)));
                self.outputs.push_back(AuditOutput::Close(Outcome::Refused(refusal)));
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<AuditOutput> {
        self.outputs.pop_front()
    }
}

fn out_of_order() -> Refusal {
    Refusal::new(Fault::Misuse, "exchange-order", S58, "an input came out of order")
}

impl AwaitRequest {
    /// The same checks as for a voucher, except that the request may be older, and that no authentication is asked
    /// beyond it: the answer goes only to one that has had a voucher.
    fn request(self, config: &Config, now: Time, http: &Request) -> Result<AwaitHistory, Refusal> {
        if http.path != paths::REQUEST_AUDIT_LOG {
            return Err(Refusal::new(Fault::Malformed, "request-path", S58, "it is for something else"));
        }
        let format = request::media_type(http)?;
        let registrar = request::registrar(config, now, format, &http.body, config.audit_freshness)?;
        let claim = Box::new(request::claim(config, now, registrar, Authentication::None, format)?);
        Ok(AwaitHistory { claim })
    }
}

impl AwaitHistory {
    /// RFC 8995 s5.8: 404 for a device that does not exist, and for one that the requester never owned.
    fn found(self, config: &Config, past: &[PastVoucher]) -> Result<Response, Refusal> {
        if !past.iter().any(|p| self.claim.same_domain(p)) {
            let detail = format!("no voucher for {} went to this domain", self.claim.serial);
            return Err(Refusal::new(Fault::Denied, "audit-log-owner", S58, detail));
        }
        let log = AuditLog::new(past.iter().map(PastVoucher::event).collect(), config.audit_events);
        Ok(Response::with(200, media::JSON, log.encode()))
    }
}

//! A pledge asks for a voucher (RFC 8995 s5.2 to s5.6, s5.8).
//!
//! ```text
//! Request -> rule -> sign -> ask the MASA -> [ask for the audit log] -> rule -> persist -> respond
//!              |                  |                                       |
//!              +-> 202, 404, 403  +-> find a voucher from before -> rule  +-> 202, 406
//! ```
//!
//! The pledge that got a 202 sends the same request again; it makes a new exchange and takes the same way.

use super::{
    Accepted, Config, History, JoinFacts, MasaEndpoint, MasaUnreachable, Ruling, Stage, Standing, VoucherRecord,
    answer::{self, Expected, Found, Said},
    history::Findings,
    request::{self, Asked},
    wire::Refused,
};
use crate::{
    TlsPeer,
    audit_log::AuditLog,
    media, paths,
    voucher::{self, Nonce, Unsealed},
};
use landfall_policy::{Decision, Verdict};
use landfall_types::{
    DeviceId, Fault, Machine, Outcome, Refusal, SerialNumber, Time, VendorId,
    http::{Request, Response, accepts},
};
use std::{collections::VecDeque, mem, sync::Arc};

const S56: &str = "RFC 8995 s5.6";
const S58: &str = "RFC 8995 s5.8";

/// What can happen to a [`VoucherExchange`].
#[derive(Debug)]
pub enum Input {
    /// The pledge has sent a request.
    Request {
        /// The request.
        request: Request,
        /// Who sent it.
        client: Option<TlsPeer>,
    },
    /// The role has decided.
    Ruled(Ruling),
    /// The signature for [`Output::Sign`].
    Signed(Vec<u8>),
    /// What became of [`Output::AskMasa`].
    MasaAnswered(Result<Response, MasaUnreachable>),
    /// What [`Output::FindVoucher`] found.
    StoredVoucher(Option<Vec<u8>>),
    /// What became of [`Output::AskAuditLog`].
    AuditLogAnswered(Result<Response, MasaUnreachable>),
    /// What [`Output::Persist`] asked for is durable.
    Persisted,
    /// What was asked for last cannot be done on our side: no signature, no storage.
    Failed(String),
}

/// What a [`VoucherExchange`] can ask for.
#[derive(Debug)]
pub enum Output {
    /// Decide whether the device may go on.
    Rule(Box<JoinFacts>),
    /// Sign with the registrar's key.
    Sign {
        /// What.
        bytes: Vec<u8>,
    },
    /// Send this to the MASA. Its certificate has to name the host (RFC 8995 s5.4). Redirects are the role's affair:
    /// at most one to another origin, and only with https.
    AskMasa {
        /// The vendor, whose settings may hold anchors and credentials for the connection.
        vendor: VendorId,
        /// Where.
        masa: MasaEndpoint,
        /// What.
        request: Request,
    },
    /// Look for a voucher from before: one for this very nonce, else one without nonce.
    FindVoucher {
        /// For this device.
        device: DeviceId,
        /// Of this request.
        nonce: Option<Nonce>,
    },
    /// Ask the MASA who has had vouchers for the device; otherwise as [`AskMasa`](Self::AskMasa).
    AskAuditLog {
        /// The vendor.
        vendor: VendorId,
        /// Where.
        masa: MasaEndpoint,
        /// What.
        request: Request,
    },
    /// Make this durable, in place of what was there for the device.
    Persist(Box<VoucherRecord>),
    /// Answer the pledge.
    Respond(Response),
    /// It is over.
    Close(Outcome),
}

/// One request of a pledge, from its arrival to the answer.
#[derive(Debug)]
pub struct VoucherExchange {
    config: Arc<Config>,
    state: State,
    device: Option<(DeviceId, SerialNumber)>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Request(AwaitRequest),
    FirstRuling(Box<AwaitFirstRuling>),
    Signature(Box<AwaitSignature>),
    Masa(Box<AwaitMasa>),
    Stored(Box<AwaitStored>),
    History(Box<AwaitHistory>),
    LastRuling(Box<AwaitLastRuling>),
    Persisted(Box<AwaitPersisted>),
    Over,
}

#[derive(Debug)]
struct AwaitRequest;

#[derive(Debug)]
struct AwaitFirstRuling {
    asked: Asked,
}

#[derive(Debug)]
struct AwaitSignature {
    asked: Asked,
    unsealed: Unsealed,
}

#[derive(Debug)]
struct AwaitMasa {
    asked: Asked,
    sealed: Vec<u8>,
}

#[derive(Debug)]
struct AwaitStored {
    asked: Asked,
    sealed: Vec<u8>,
    unreachable: Refusal,
}

#[derive(Debug)]
struct AwaitHistory {
    asked: Asked,
    sealed: Vec<u8>,
    found: Found,
    /// The log stood elsewhere, and has been asked for there.
    followed: bool,
}

#[derive(Debug)]
struct AwaitLastRuling {
    asked: Asked,
    sealed: Vec<u8>,
    found: Found,
}

#[derive(Debug)]
struct AwaitPersisted {
    response: Response,
    outcome: Outcome,
}

/// What every transition has at hand.
struct Context<'a> {
    config: &'a Config,
    now: Time,
    outputs: &'a mut VecDeque<Output>,
}

impl VoucherExchange {
    /// An exchange that waits for its request.
    pub const fn new(config: Arc<Config>) -> Self {
        Self { config, state: State::Request(AwaitRequest), device: None, outputs: VecDeque::new() }
    }

    /// The device that it is about, once that is known.
    pub fn device(&self) -> Option<(&DeviceId, &SerialNumber)> {
        self.device.as_ref().map(|(device, serial)| (device, serial))
    }

    fn step(&mut self, now: Time, state: State, input: Input) -> Result<State, Refused> {
        let cx = &mut Context { config: &self.config, now, outputs: &mut self.outputs };
        match (state, input) {
            (State::Request(s), Input::Request { request, client }) => {
                let next = s.request(cx, &request, client.as_ref())?;
                let pledge = &next.asked.pledge;
                self.device = Some((pledge.device.clone(), pledge.serial.clone()));
                Ok(State::FirstRuling(Box::new(next)))
            }
            (State::FirstRuling(s), Input::Ruled(ruling)) => s.ruled(cx, &ruling),
            (State::Signature(s), Input::Signed(signature)) => s.signed(cx, &signature),
            (State::Masa(s), Input::MasaAnswered(answer)) => s.answered(cx, answer),
            (State::Stored(s), Input::StoredVoucher(voucher)) => s.found(cx, voucher),
            (State::History(s), Input::AuditLogAnswered(answer)) => Ok(s.answered(cx, answer)),
            (State::LastRuling(s), Input::Ruled(ruling)) => Ok(s.ruled(cx, &ruling)),
            (State::Persisted(s), Input::Persisted) => Ok(s.persisted(cx)),
            (_, Input::Failed(why)) => Err(Refusal::new(Fault::Backend, "registrar-backend", S56, why).into()),
            (_, input) => {
                let detail = format!("{} came out of order", input.name());
                Err(Refusal::new(Fault::Misuse, "exchange-order", S56, detail).into())
            }
        }
    }
}

impl Machine for VoucherExchange {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// Every refusal becomes a response and the end of the exchange; only an input after that end is an error.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            let detail = format!("{} came after the end", input.name());
            return Err(Refusal::new(Fault::Misuse, "exchange-order", S56, detail));
        }
        match self.step(now, state, input) {
            Ok(next) => self.state = next,
            Err(refused) => {
                self.outputs.push_back(Output::Respond(refused.response(self.config.retry_after)));
                self.outputs.push_back(Output::Close(refused.outcome()));
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

impl Input {
    const fn name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "a request",
            Self::Ruled(_) => "a ruling",
            Self::Signed(_) => "a signature",
            Self::MasaAnswered(_) => "an answer of the MASA",
            Self::StoredVoucher(_) => "a stored voucher",
            Self::AuditLogAnswered(_) => "an audit log",
            Self::Persisted => "word that something is durable",
            Self::Failed(_) => "a failure",
        }
    }
}

impl Context<'_> {
    fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn rule(&mut self, asked: &Asked, stage: Stage) {
        let Asked { pledge, request, masa, .. } = asked;
        let content = &request.payload;
        let facts = JoinFacts::new(pledge, content.nonce.clone(), content.created_on, masa, stage);
        self.emit(Output::Rule(Box::new(facts)));
    }

    /// Writes down how the device stands now, and what it will be told then.
    fn persist(&mut self, asked: &Asked, standing: Standing, response: Response, outcome: Outcome) -> State {
        let record = VoucherRecord::new(&asked.pledge, asked.request.payload.nonce.clone(), self.now, standing);
        self.emit(Output::Persist(Box::new(record)));
        State::Persisted(Box::new(AwaitPersisted { response, outcome }))
    }

    /// RFC 8995 s5.6: 202 while a person decides; the pledge keeps asking for up to four days.
    fn wait(&mut self, asked: &Asked, decision: &Decision) -> State {
        let response = later(self.config.retry_after.as_secs());
        self.persist(asked, Standing::Waiting { why: decision.why() }, response, Outcome::Pending)
    }

    /// Denied by policy. What the device had before counts no more, so this is written down too.
    fn deny(&mut self, asked: &Asked, check: &'static str, section: &'static str, decision: &Decision) -> State {
        let refused = Refused::from(Refusal::new(Fault::Denied, check, section, decision.why()));
        let response = refused.response(self.config.retry_after);
        self.persist(asked, Standing::Refused { why: decision.why() }, response, refused.outcome())
    }
}

fn later(seconds: u64) -> Response {
    Response::text(202, "The request is waiting for a decision.").header("retry-after", seconds.to_string())
}

impl AwaitRequest {
    fn request(
        self,
        cx: &mut Context<'_>,
        request: &Request,
        client: Option<&TlsPeer>,
    ) -> Result<AwaitFirstRuling, Refused> {
        let asked = request::check(cx.config, cx.now, request, client)?;
        cx.rule(&asked, Stage::BeforeMasa);
        Ok(AwaitFirstRuling { asked })
    }
}

impl AwaitFirstRuling {
    fn ruled(self, cx: &mut Context<'_>, ruling: &Ruling) -> Result<State, Refused> {
        let asked = self.asked;
        match ruling.decision.verdict {
            Verdict::Permit => {}
            Verdict::Ask => return Ok(cx.wait(&asked, &ruling.decision)),
            Verdict::Deny => {
                let check = if ruling.for_now { "policy-denied-for-now" } else { "policy-denied" };
                return Ok(cx.deny(&asked, check, "RFC 8995 s5.3", &ruling.decision));
            }
        }
        let Config { certificate, chain, seal, .. } = cx.config;
        let format = asked.request.format;
        let unsealed = voucher::prepare(format, &asked.registrar_request(cx.now), certificate, chain, *seal)
            .map_err(Refusal::from)?;
        cx.emit(Output::Sign { bytes: unsealed.to_be_signed().to_vec() });
        Ok(State::Signature(Box::new(AwaitSignature { asked, unsealed })))
    }
}

impl AwaitSignature {
    fn signed(self, cx: &mut Context<'_>, signature: &[u8]) -> Result<State, Refused> {
        let Self { asked, unsealed } = self;
        let sealed = unsealed.seal(signature).map_err(Refusal::from)?;
        let path = asked.masa.path(paths::REQUEST_VOUCHER);
        // RFC 8995 s5.5: what the pledge takes is what the MASA is asked for.
        let request = Request::post(&path, asked.request.format.media_type(), sealed.clone()).accept(&asked.accept);
        cx.emit(Output::AskMasa { vendor: asked.pledge.vendor.id.clone(), masa: asked.masa.clone(), request });
        Ok(State::Masa(Box::new(AwaitMasa { asked, sealed })))
    }
}

impl AwaitMasa {
    fn answered(self, cx: &mut Context<'_>, answer: Result<Response, MasaUnreachable>) -> Result<State, Refused> {
        let Self { asked, sealed } = self;
        let said = match answer {
            Ok(response) => answer::read(response, &asked.masa, &asked.accept_headers())?,
            Err(why) => Said::Unavailable(answer::unreachable(&asked.masa, &why.0)),
        };
        match said {
            Said::Voucher(format, body) => {
                let expected = Expected::by(cx.config, &asked, cx.now);
                let found = expected.fresh(format, &body).map_err(Refused::upstream)?;
                Ok(with_voucher(cx, asked, sealed, found))
            }
            Said::Later(seconds) => {
                let seconds = seconds.unwrap_or(cx.config.retry_after.as_secs());
                cx.emit(Output::Respond(later(seconds)));
                cx.emit(Output::Close(Outcome::Pending));
                Ok(State::Over)
            }
            Said::Unavailable(unreachable) => {
                let nonce = asked.request.payload.nonce.clone();
                cx.emit(Output::FindVoucher { device: asked.pledge.device.clone(), nonce });
                Ok(State::Stored(Box::new(AwaitStored { asked, sealed, unreachable })))
            }
        }
    }
}

fn with_voucher(cx: &mut Context<'_>, asked: Asked, sealed: Vec<u8>, found: Found) -> State {
    if !cx.config.check_history {
        return AwaitLastRuling { asked, sealed, found }.rule(cx, History::NotAsked);
    }
    // RFC 8995 s5.8: the very request that the voucher was asked for with, at another place.
    let path = asked.masa.path(paths::REQUEST_AUDIT_LOG);
    let request = Request::post(&path, asked.request.format.media_type(), sealed.clone()).accept(media::JSON);
    let waiting = AwaitHistory { asked, sealed, found, followed: false };
    waiting.ask(cx, request)
}

impl AwaitStored {
    fn found(self, cx: &mut Context<'_>, stored: Option<Vec<u8>>) -> Result<State, Refused> {
        let Self { asked, sealed, mut unreachable } = self;
        let Some(body) = stored else { return Err(unreachable.into()) };
        let found = Expected::by(cx.config, &asked, cx.now).stored(&body);
        match found {
            Ok(found) if accepts(&asked.accept_headers(), found.voucher.format.media_type()) => {
                let history = History::Unavailable(unreachable.detail);
                Ok(AwaitLastRuling { asked, sealed, found }.rule(cx, history))
            }
            Ok(_) => {
                unreachable.detail.push_str("; the stored voucher is of a form that the pledge does not take");
                Err(unreachable.into())
            }
            Err(why) => {
                unreachable.detail.push_str(&format!("; the stored voucher cannot be used: {why}"));
                Err(unreachable.into())
            }
        }
    }
}

impl AwaitHistory {
    fn ask(self, cx: &mut Context<'_>, request: Request) -> State {
        let (vendor, masa) = (self.asked.pledge.vendor.id.clone(), self.asked.masa.clone());
        cx.emit(Output::AskAuditLog { vendor, masa, request });
        State::History(Box::new(self))
    }

    fn answered(mut self, cx: &mut Context<'_>, answer: Result<Response, MasaUnreachable>) -> State {
        let history = match answer {
            // RFC 8995 s5.8: the log may stand elsewhere, at a place that cannot be guessed.
            Ok(response) if response.status == 201 && !self.followed => {
                match response.headers.first("location").and_then(|location| self.asked.masa.path_here(location)) {
                    Some(path) => {
                        self.followed = true;
                        return self.ask(cx, Request::get(&path).accept(media::JSON));
                    }
                    None => History::Unavailable("it stands at a place that is not the MASA's".into()),
                }
            }
            Ok(response) => self.read(cx, &response),
            Err(why) => History::Unavailable(why.0),
        };
        let Self { asked, sealed, found, .. } = self;
        AwaitLastRuling { asked, sealed, found }.rule(cx, history)
    }

    fn read(&self, cx: &Context<'_>, response: &Response) -> History {
        if response.status != 200 {
            return History::Unavailable(format!("the MASA answered {} [{S58}]", response.status));
        }
        match AuditLog::parse(&response.body) {
            Ok(log) => History::Known(Findings::of(&log, &cx.config.domains())),
            Err(why) => History::Unavailable(why.to_string()),
        }
    }
}

impl AwaitLastRuling {
    fn rule(self, cx: &mut Context<'_>, history: History) -> State {
        let Found { assertion, pinned, source, .. } = &self.found;
        let (assertion, domain, source) = (*assertion, pinned.domain_id(), *source);
        cx.rule(&self.asked, Stage::WithVoucher { assertion, domain, source, history });
        State::LastRuling(Box::new(self))
    }

    fn ruled(self, cx: &mut Context<'_>, ruling: &Ruling) -> State {
        let Self { asked, sealed, found } = self;
        match ruling.decision.verdict {
            Verdict::Permit => {}
            Verdict::Ask => return cx.wait(&asked, &ruling.decision),
            Verdict::Deny => return cx.deny(&asked, "policy-denied-voucher", "RFC 8995 s5.8.3", &ruling.decision),
        }
        // RFC 8995 s5.6: the pledge gets the voucher as the MASA made it.
        let voucher = found.voucher;
        let response = Response::with(200, voucher.format.media_type(), voucher.raw.clone());
        let accepted = Accepted {
            voucher: voucher.raw,
            format: voucher.format,
            assertion: found.assertion,
            domain: found.pinned.domain_id(),
            source: found.source,
            masa: asked.masa.clone(),
            request: sealed,
        };
        cx.persist(&asked, Standing::Accepted(accepted), response, Outcome::Done)
    }
}

impl AwaitPersisted {
    fn persisted(self, cx: &mut Context<'_>) -> State {
        cx.emit(Output::Respond(self.response));
        cx.emit(Output::Close(self.outcome));
        State::Over
    }
}

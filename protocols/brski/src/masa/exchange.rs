//! A registrar asks for a voucher.
//!
//! ```text
//! Request -> rule -> sign -> persist -> respond
//!              |
//!              +-> the voucher of before, or 403, 404, …
//! ```

use super::{Claim, Config, Issued, Permit, Ruling, authentication, request};
use crate::{
    TlsPeer, paths, status,
    voucher::{self, Format, Unsealed, Voucher},
};
use landfall_types::{
    Fault, Machine, Outcome, Refusal, Time,
    http::{Request, Response},
};
use std::{collections::VecDeque, mem, sync::Arc};

const S56: &str = "RFC 8995 s5.6";

/// What can happen to a [`VoucherExchange`].
#[derive(Debug)]
pub enum Input {
    /// A registrar has sent a request.
    Request {
        /// The request.
        request: Request,
        /// Who sent it, if it showed a certificate.
        client: Option<TlsPeer>,
    },
    /// The role has decided.
    Ruled(Ruling),
    /// The signature for [`Output::Sign`].
    Signed(Vec<u8>),
    /// What [`Output::Persist`] asked for is durable.
    Persisted,
    /// What was asked for last cannot be done on our side: no signature, no storage.
    Failed(String),
}

/// What a [`VoucherExchange`] can ask for.
#[derive(Debug)]
pub enum Output {
    /// Decide whether the claimant may have the device.
    Rule(Box<Claim>),
    /// Sign with the key that signs vouchers.
    Sign {
        /// What.
        bytes: Vec<u8>,
    },
    /// Make this durable and add it to the device's audit log (RFC 8995 s5.6).
    Persist(Box<Issued>),
    /// Answer the registrar.
    Respond(Response),
    /// It is over.
    Close(Outcome),
}

/// One request of a registrar, from its arrival to the answer.
#[derive(Debug)]
pub struct VoucherExchange {
    config: Arc<Config>,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Request(AwaitRequest),
    Ruling(AwaitRuling),
    Signature(Box<AwaitSignature>),
    Persisted(AwaitPersisted),
    Over,
}

#[derive(Debug)]
struct AwaitRequest;

#[derive(Debug)]
struct AwaitRuling {
    claim: Box<Claim>,
}

#[derive(Debug)]
struct AwaitSignature {
    claim: Claim,
    voucher: Voucher,
    unsealed: Unsealed,
}

#[derive(Debug)]
struct AwaitPersisted {
    response: Response,
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
        Self { config, state: State::Request(AwaitRequest), outputs: VecDeque::new() }
    }

    fn step(&mut self, now: Time, state: State, input: Input) -> Result<State, Refusal> {
        let cx = Context { config: &self.config, now, outputs: &mut self.outputs };
        match (state, input) {
            (State::Request(s), Input::Request { request, client }) => s.request(cx, &request, client.as_ref()),
            (State::Ruling(s), Input::Ruled(ruling)) => s.ruled(cx, ruling),
            (State::Signature(s), Input::Signed(signature)) => s.signed(cx, &signature),
            (State::Persisted(s), Input::Persisted) => Ok(s.persisted(cx)),
            (_, Input::Failed(why)) => Err(Refusal::new(Fault::Backend, "masa-backend", S56, why)),
            (_, input) => Err(out_of_order(&input)),
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
            return Err(out_of_order(&input));
        }
        match self.step(now, state, input) {
            Ok(next) => self.state = next,
            Err(refusal) => {
                self.outputs.push_back(Output::Respond(status::response(&refusal)));
                self.outputs.push_back(Output::Close(Outcome::Refused(refusal)));
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

fn out_of_order(input: &Input) -> Refusal {
    let what = match input {
        Input::Request { .. } => "a request",
        Input::Ruled(_) => "a ruling",
        Input::Signed(_) => "a signature",
        Input::Persisted => "word that something is durable",
        Input::Failed(_) => "a failure",
    };
    Refusal::new(Fault::Misuse, "exchange-order", S56, format!("{what} came out of order"))
}

impl AwaitRequest {
    fn request(self, cx: Context<'_>, request: &Request, client: Option<&TlsPeer>) -> Result<State, Refusal> {
        if request.path != paths::REQUEST_VOUCHER {
            return Err(Refusal::new(Fault::Malformed, "request-path", "RFC 8995 s5.5", "it is for something else"));
        }
        let claim = Box::new(request::check(cx.config, cx.now, request, client)?);
        cx.outputs.push_back(Output::Rule(claim.clone()));
        Ok(State::Ruling(AwaitRuling { claim }))
    }
}

impl AwaitRuling {
    fn ruled(self, cx: Context<'_>, ruling: Ruling) -> Result<State, Refusal> {
        match ruling {
            Ruling::Permit(permit) => {
                authentication::check_nonceless(&self.claim, permit.known_customer)?;
                self.permitted(cx, &permit)
            }
            Ruling::Repeat { format, voucher, known_customer } => {
                authentication::check_nonceless(&self.claim, known_customer)?;
                cx.outputs.push_back(Output::Respond(answer(format, voucher)));
                cx.outputs.push_back(Output::Close(Outcome::Done));
                Ok(State::Over)
            }
            Ruling::Refuse(refusal) => Err(refusal),
        }
    }

    fn permitted(self, cx: Context<'_>, permit: &Permit) -> Result<State, Refusal> {
        let Config { certificate, chain, seal, .. } = cx.config;
        let voucher = cx.config.voucher(cx.now, &self.claim, permit)?;
        let unsealed = voucher::prepare(self.claim.format, &voucher, certificate, chain, *seal)?;
        cx.outputs.push_back(Output::Sign { bytes: unsealed.to_be_signed().to_vec() });
        Ok(State::Signature(Box::new(AwaitSignature { claim: *self.claim, voucher, unsealed })))
    }
}

impl AwaitSignature {
    fn signed(self, cx: Context<'_>, signature: &[u8]) -> Result<State, Refusal> {
        let bytes = self.unsealed.seal(signature)?;
        let response = answer(self.claim.format, bytes.clone());
        let created_on = self.voucher.created_on.unwrap_or(cx.now);
        let issued = Issued::new(self.claim, &self.voucher, created_on, bytes);
        cx.outputs.push_back(Output::Persist(Box::new(issued)));
        Ok(State::Persisted(AwaitPersisted { response }))
    }
}

impl AwaitPersisted {
    fn persisted(self, cx: Context<'_>) -> State {
        cx.outputs.push_back(Output::Respond(self.response));
        cx.outputs.push_back(Output::Close(Outcome::Done));
        State::Over
    }
}

fn answer(format: Format, voucher: Vec<u8>) -> Response {
    Response::with(200, format.media_type(), voucher)
}

//! Fetching a voucher before the device comes, for when the MASA is out of reach then (RFC 8995 s5.5, nonceless).

use super::{
    Config, MasaEndpoint, MasaUnreachable, PrefetchedVoucher, Vendor,
    answer::{self, Expected, Said},
};
use crate::{
    paths,
    voucher::{self, Format, Unsealed, VoucherRequest},
};
use landfall_types::{
    DeviceId, Fault, Machine, Outcome, Refusal, SerialNumber, Time, VendorId,
    http::{Headers, Request, Response},
};
use std::{collections::VecDeque, mem, sync::Arc};

const S55: &str = "RFC 8995 s5.5";

/// The device to fetch a voucher for, as the sales channel or a label tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its serial number.
    pub serial: SerialNumber,
    /// The authority key identifier of its IDevID, as an OCTET STRING with its header (RFC 8366 s5.3).
    pub idevid_issuer: Vec<u8>,
    /// Its vendor.
    pub vendor: VendorId,
    /// Its MASA, where the vendor's settings name none.
    pub masa: Option<MasaEndpoint>,
    /// The form of voucher that it takes.
    pub format: Format,
}

impl Target {
    /// The device in our records.
    pub fn device(&self) -> Option<DeviceId> {
        Some(DeviceId::new(&voucher::key_identifier(&self.idevid_issuer)?, &self.serial))
    }
}

/// What can happen to a [`Prefetch`].
#[derive(Debug)]
pub enum PrefetchInput {
    /// Begin.
    Start,
    /// The signature for [`PrefetchOutput::Sign`].
    Signed(Vec<u8>),
    /// What became of [`PrefetchOutput::AskMasa`].
    MasaAnswered(Result<Response, MasaUnreachable>),
    /// What [`PrefetchOutput::Persist`] asked for is durable.
    Persisted,
    /// What was asked for last cannot be done on our side.
    Failed(String),
}

/// What a [`Prefetch`] can ask for.
#[derive(Debug)]
pub enum PrefetchOutput {
    /// Sign with the registrar's key.
    Sign {
        /// What.
        bytes: Vec<u8>,
    },
    /// Send this to the MASA, authenticated with the registrar's certificate: without a nonce the MASA has to know who
    /// asks (RFC 8995 s5.5.4).
    AskMasa {
        /// The vendor.
        vendor: VendorId,
        /// Where.
        masa: MasaEndpoint,
        /// What.
        request: Request,
    },
    /// Make this durable, in place of what was there for the device.
    Persist(Box<PrefetchedVoucher>),
    /// It is over.
    Close(Outcome),
}

/// One voucher fetched ahead.
#[derive(Debug)]
pub struct Prefetch {
    config: Arc<Config>,
    target: Target,
    state: State,
    outputs: VecDeque<PrefetchOutput>,
}

#[derive(Debug)]
enum State {
    Start,
    Signature(Box<AwaitSignature>),
    Masa(AwaitMasa),
    Persisted,
    Over,
}

/// Whom to ask about which device.
#[derive(Debug)]
struct Found {
    vendor: Arc<Vendor>,
    masa: MasaEndpoint,
    device: DeviceId,
}

#[derive(Debug)]
struct AwaitSignature {
    found: Found,
    unsealed: Unsealed,
}

#[derive(Debug)]
struct AwaitMasa {
    found: Found,
}

impl Prefetch {
    /// A prefetch that waits to begin.
    pub const fn new(config: Arc<Config>, target: Target) -> Self {
        Self { config, target, state: State::Start, outputs: VecDeque::new() }
    }

    /// What is asked for.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    fn step(&mut self, now: Time, state: State, input: PrefetchInput) -> Result<State, Refusal> {
        match (state, input) {
            (State::Start, PrefetchInput::Start) => self.start(now),
            (State::Signature(s), PrefetchInput::Signed(signature)) => self.signed(*s, &signature),
            (State::Masa(s), PrefetchInput::MasaAnswered(answer)) => self.answered(now, s, answer),
            (State::Persisted, PrefetchInput::Persisted) => {
                self.outputs.push_back(PrefetchOutput::Close(Outcome::Done));
                Ok(State::Over)
            }
            (_, PrefetchInput::Failed(why)) => Err(Refusal::new(Fault::Backend, "registrar-backend", S55, why)),
            _ => Err(out_of_order()),
        }
    }

    /// RFC 8995 s5.5: serial number and issuer come from outside, and there is neither a nonce nor a pledge's request.
    fn start(&mut self, now: Time) -> Result<State, Refusal> {
        let found = self.find()?;
        let request = VoucherRequest {
            created_on: Some(now),
            idevid_issuer: Some(self.target.idevid_issuer.clone()),
            ..VoucherRequest::new(self.target.serial.clone())
        };
        let Config { certificate, chain, seal, .. } = &*self.config;
        let unsealed = voucher::prepare(self.target.format, &request, certificate, chain, *seal)?;
        self.outputs.push_back(PrefetchOutput::Sign { bytes: unsealed.to_be_signed().to_vec() });
        Ok(State::Signature(Box::new(AwaitSignature { found, unsealed })))
    }

    fn find(&self) -> Result<Found, Refusal> {
        let refuse = |check, detail: String| Refusal::new(Fault::Misuse, check, S55, detail);
        let Target { vendor: id, masa, .. } = &self.target;
        let vendor = self.config.vendors.find(id);
        let vendor = vendor.ok_or_else(|| refuse("prefetch-vendor", format!("there is no vendor {id}")))?;
        let masa = vendor.masa.as_ref().or(masa.as_ref());
        let masa = masa.ok_or_else(|| refuse("masa-unknown", format!("no MASA is known for vendor {id}")))?;
        let device = self.target.device().ok_or_else(|| {
            let detail = "it is no authority key identifier with a key identifier in it".into();
            refuse("prefetch-issuer", detail).field("idevid-issuer")
        })?;
        Ok(Found { vendor: Arc::clone(vendor), masa: masa.clone(), device })
    }

    fn signed(
        &mut self,
        AwaitSignature { found, unsealed }: AwaitSignature,
        signature: &[u8],
    ) -> Result<State, Refusal> {
        let media_type = self.target.format.media_type();
        let path = found.masa.path(paths::REQUEST_VOUCHER);
        let request = Request::post(&path, media_type, unsealed.seal(signature)?).accept(media_type);
        let (vendor, masa) = (found.vendor.id.clone(), found.masa.clone());
        self.outputs.push_back(PrefetchOutput::AskMasa { vendor, masa, request });
        Ok(State::Masa(AwaitMasa { found }))
    }

    fn answered(
        &mut self,
        now: Time,
        AwaitMasa { found: Found { vendor, masa, device } }: AwaitMasa,
        answer: Result<Response, MasaUnreachable>,
    ) -> Result<State, Refusal> {
        let mut accept = Headers::default();
        accept.add("accept", self.target.format.media_type());
        let response = answer.map_err(|why| answer::unreachable(&masa, &why.0))?;
        let (format, body) = match answer::read(response, &masa, &accept).map_err(|refused| refused.refusal)? {
            Said::Voucher(format, body) => (format, body),
            Said::Unavailable(refusal) => return Err(refusal),
            Said::Later(_) => {
                self.outputs.push_back(PrefetchOutput::Close(Outcome::Pending));
                return Ok(State::Over);
            }
        };
        let Target { serial, idevid_issuer, .. } = &self.target;
        let expected = Expected::ahead(&self.config, &vendor, serial, idevid_issuer, now);
        let voucher = expected.fresh(format, &body)?.voucher;
        let record = PrefetchedVoucher {
            device,
            serial: serial.clone(),
            vendor: vendor.id.clone(),
            expires: expected.nonceless(&voucher.payload)?,
            voucher: voucher.raw,
            format,
            at: now,
            masa,
        };
        self.outputs.push_back(PrefetchOutput::Persist(Box::new(record)));
        Ok(State::Persisted)
    }
}

fn out_of_order() -> Refusal {
    Refusal::new(Fault::Misuse, "exchange-order", S55, "an input came out of order")
}

impl Machine for Prefetch {
    type Input = PrefetchInput;
    type Output = PrefetchOutput;
    type Error = Refusal;

    /// Every refusal ends the exchange; only an input after that end is an error.
    fn handle(&mut self, now: Time, input: PrefetchInput) -> Result<(), Refusal> {
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Err(out_of_order());
        }
        match self.step(now, state, input) {
            Ok(next) => self.state = next,
            Err(refusal) => self.outputs.push_back(PrefetchOutput::Close(Outcome::Refused(refusal))),
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<PrefetchOutput> {
        self.outputs.pop_front()
    }
}

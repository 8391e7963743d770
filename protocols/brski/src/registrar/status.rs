//! A pledge reports how it went: with the voucher (RFC 8995 s5.7), with the enrolment (s5.9.4).

use super::{About, Pledge, Presented, StatusRecord, Vendors};
use crate::{
    TlsPeer, media,
    telemetry::{Status, VERSION},
};
use landfall_types::{
    DeviceId, Fault, Fingerprint, Machine, Outcome, Refusal, Time,
    http::{Method, Request, Response, essence},
};
use std::{collections::VecDeque, mem, sync::Arc};

/// What can happen to a [`StatusExchange`].
#[derive(Debug)]
pub enum StatusInput {
    /// The pledge has sent a report.
    Request {
        /// The report.
        request: Request,
        /// Who sent it.
        client: Option<TlsPeer>,
    },
    /// The answer to [`StatusOutput::FindIssued`]: the device that the certificate was issued to, if it was.
    FoundIssued(Option<DeviceId>),
    /// What [`StatusOutput::Persist`] asked for is durable.
    Persisted,
    /// What was asked for last cannot be done on our side.
    Failed(String),
}

/// What a [`StatusExchange`] can ask for.
#[derive(Debug)]
pub enum StatusOutput {
    /// Look up the certificate of that name among those that were issued here.
    FindIssued(Fingerprint),
    /// Make this durable, and tell an operator of its alerts.
    Persist(Box<StatusRecord>),
    /// Answer the pledge.
    Respond(Response),
    /// It is over.
    Close(Outcome),
}

/// One report.
#[derive(Debug)]
pub struct StatusExchange {
    about: About,
    vendors: Arc<Vendors>,
    state: State,
    outputs: VecDeque<StatusOutput>,
}

#[derive(Debug)]
enum State {
    Request,
    Issued(Box<AwaitIssued>),
    Persisted,
    Over,
}

#[derive(Debug)]
struct AwaitIssued {
    status: Status,
    certificate: Fingerprint,
    /// The device, if the certificate is an IDevID; else why it is not.
    pledge: Result<Box<Pledge>, Refusal>,
}

impl StatusExchange {
    /// An exchange that waits for a report about that.
    pub const fn new(about: About, vendors: Arc<Vendors>) -> Self {
        Self { about, vendors, state: State::Request, outputs: VecDeque::new() }
    }

    const fn section(&self) -> &'static str {
        match self.about {
            About::Voucher => "RFC 8995 s5.7",
            About::Enrolment => "RFC 8995 s5.9.4",
        }
    }

    fn refusal(&self, fault: Fault, check: &'static str, detail: impl Into<String>) -> Refusal {
        Refusal::new(fault, check, self.section(), detail)
    }

    fn step(&mut self, now: Time, state: State, input: StatusInput) -> Result<State, Refusal> {
        match (state, input) {
            (State::Request, StatusInput::Request { request, client }) => self.request(now, &request, client.as_ref()),
            (State::Issued(s), StatusInput::FoundIssued(device)) => self.found(now, *s, device),
            (State::Persisted, StatusInput::Persisted) => {
                self.outputs.push_back(StatusOutput::Respond(Response::new(200)));
                self.outputs.push_back(StatusOutput::Close(Outcome::Done));
                Ok(State::Over)
            }
            (_, StatusInput::Failed(why)) => Err(self.refusal(Fault::Backend, "registrar-backend", why)),
            _ => Err(self.out_of_order()),
        }
    }

    fn out_of_order(&self) -> Refusal {
        self.refusal(Fault::Misuse, "exchange-order", "an input came out of order")
    }

    fn request(&mut self, now: Time, request: &Request, client: Option<&TlsPeer>) -> Result<State, Refusal> {
        if request.method != Method::Post {
            return Err(self.refusal(Fault::Peer, "status-method", "a report is sent with POST"));
        }
        let Some(certificate) = client.and_then(TlsPeer::certificate) else {
            return Err(self.refusal(Fault::Peer, "status-client", "the client authenticated with no certificate"));
        };
        if let Some(other) = request.headers.first("content-type").map(essence).filter(|t| t != media::JSON) {
            let shown: String = other.chars().take(80).collect();
            let detail = format!("{shown:?} is not {}", media::JSON);
            return Err(self.refusal(Fault::Incompatible, "status-type", detail).field("Content-Type"));
        }
        let status = Status::parse(&request.body)
            .map_err(|why| self.refusal(Fault::Malformed, "status-syntax", why.to_string()))?;
        let certificate = certificate.fingerprint();
        let pledge = self.vendors.identify(client, now).map(Box::new);
        self.outputs.push_back(StatusOutput::FindIssued(certificate));
        Ok(State::Issued(Box::new(AwaitIssued { status, certificate, pledge })))
    }

    fn found(&mut self, now: Time, waiting: AwaitIssued, issued: Option<DeviceId>) -> Result<State, Refusal> {
        let AwaitIssued { status, certificate, pledge } = waiting;
        let (device, presented) = match (issued, pledge) {
            (Some(device), _) => (device, Presented::IssuedLdevid),
            (None, Ok(pledge)) => (pledge.device, Presented::Idevid),
            (None, Err(why)) => {
                let detail = format!("the certificate was not issued here, and {why}");
                return Err(self.refusal(Fault::Denied, "status-client", detail));
            }
        };
        let alerts = alerts(self.about, &status, presented);
        let record = StatusRecord {
            about: self.about,
            device,
            certificate,
            presented,
            at: now,
            success: status.status,
            reason: status.reason,
            context: status.reason_context,
            alerts,
        };
        self.outputs.push_back(StatusOutput::Persist(Box::new(record)));
        Ok(State::Persisted)
    }
}

fn alerts(about: About, status: &Status, presented: Presented) -> Vec<String> {
    let mut alerts = Vec::new();
    // RFC 8995 s5.7: a higher version is logged and a person told; the rest is read as ever.
    if status.version > VERSION {
        alerts.push(format!("the report is of version {}, newer than {VERSION}", status.version));
    }
    if !status.unknown.is_empty() {
        alerts.push(format!("the report has fields that are not known: {}", status.unknown.join(", ")));
    }
    // RFC 8995 s5.9.4: success is told over a new connection with the new certificate, failure over the old one.
    match (about, status.status, presented) {
        (About::Enrolment, true, Presented::Idevid) => {
            alerts.push("success is reported with the IDevID, not with the certificate that was issued".into());
        }
        (About::Voucher, _, Presented::IssuedLdevid) => {
            alerts.push("the voucher is reported on with an LDevID, not with the IDevID".into());
        }
        _ => {}
    }
    alerts
}

/// RFC 8995 s5.7: 200, or simply 404; the pledge ignores either.
fn response(refusal: &Refusal) -> Response {
    match refusal.check.as_ref() {
        "status-method" => Response::new(405).header("allow", "POST"),
        "status-type" => Response::new(415),
        "status-syntax" => Response::new(400),
        "registrar-backend" | "exchange-order" => Response::new(503),
        _ => Response::new(404),
    }
}

impl Machine for StatusExchange {
    type Input = StatusInput;
    type Output = StatusOutput;
    type Error = Refusal;

    /// Every refusal becomes a response and the end of the exchange; only an input after that end is an error.
    fn handle(&mut self, now: Time, input: StatusInput) -> Result<(), Refusal> {
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Err(self.out_of_order());
        }
        match self.step(now, state, input) {
            Ok(next) => self.state = next,
            Err(refusal) => {
                self.outputs.push_back(StatusOutput::Respond(response(&refusal)));
                self.outputs.push_back(StatusOutput::Close(Outcome::Refused(refusal)));
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<StatusOutput> {
        self.outputs.pop_front()
    }
}

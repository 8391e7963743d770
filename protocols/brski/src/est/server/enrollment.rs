//! One request to an EST server, from its arrival to the answer.

use super::{
    Client, Config, EnrolFacts, Found, Issued, Query, Ruling, Waiting, Written, check,
    client::{self, Authenticated},
    wire,
};
use crate::{
    TlsPeer,
    est::{
        Operation,
        binding::{self, Linked},
        body,
        multipart::{self, Part},
    },
    media,
};
use landfall_pki::{
    Algorithm, Certificate, Csr, PkiError, PublicKey, Token, Validity, cms, issue::CertificateSerial, profile::Ldevid,
};
use landfall_policy::Verdict;
use landfall_types::{
    Fault, Machine, Outcome, Redacted, Refusal, SerialNumber, Time,
    http::{Method, Request, Response, essence},
};
use std::{collections::VecDeque, fmt, mem, sync::Arc};

const S423: &str = "RFC 7030 s4.2.3";

/// What can happen to an [`Enrollment`].
#[derive(Debug)]
pub enum Input {
    /// A client has sent a request.
    Request {
        /// What it asks, by its path ([`route`](crate::est::route)).
        operation: Operation,
        /// The label in its path.
        label: Option<String>,
        /// The request.
        request: Request,
        /// Who sent it, and over which connection.
        client: Option<TlsPeer>,
    },
    /// The answer to [`Output::Find`].
    Found(Box<Found>),
    /// The role has decided.
    Ruled(Ruling),
    /// The key that [`Output::MakeKey`] asked for.
    KeyMade {
        /// Its public half.
        public_key: PublicKey,
        /// Its private half: PKCS #8 (RFC 5958).
        pkcs8: Redacted<Vec<u8>>,
    },
    /// The signature for [`Output::Sign`].
    Signed(Vec<u8>),
    /// What [`Output::Persist`] asked for is durable.
    Persisted,
    /// What was asked for last cannot be done on our side: no signature, no storage.
    Failed(String),
}

/// What an [`Enrollment`] can ask for.
pub enum Output {
    /// Look up what is known of the client and of the key.
    Find(Query),
    /// Decide whether the certificate may be issued.
    Rule(Box<EnrolFacts>),
    /// Make a key for the client; it is not to be kept.
    MakeKey(Algorithm),
    /// Sign with the authority's key.
    Sign {
        /// What.
        bytes: Vec<u8>,
    },
    /// Make this durable.
    Persist(Box<Written>),
    /// Answer the client.
    Respond(Response),
    /// It is over.
    Close(Outcome),
}

impl fmt::Debug for Output {
    /// Shows no body of a response: it may hold a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find(query) => f.debug_tuple("Find").field(query).finish(),
            Self::Rule(facts) => f.debug_tuple("Rule").field(facts).finish(),
            Self::MakeKey(algorithm) => f.debug_tuple("MakeKey").field(algorithm).finish(),
            Self::Sign { bytes } => f.debug_struct("Sign").field("bytes", &bytes.len()).finish(),
            Self::Persist(written) => f.debug_tuple("Persist").field(written).finish(),
            Self::Respond(response) => f.debug_tuple("Respond").field(&response.status).finish(),
            Self::Close(outcome) => f.debug_tuple("Close").field(outcome).finish(),
        }
    }
}

/// One request to an EST server.
#[derive(Debug)]
pub struct Enrollment {
    config: Arc<Config>,
    serial: CertificateSerial,
    operation: Option<Operation>,
    device: Option<SerialNumber>,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Request,
    Found(Box<AwaitFound>),
    Ruling(Box<AwaitRuling>),
    Key(Box<AwaitKey>),
    Signature(Box<AwaitSignature>),
    Persisted(Box<AwaitPersisted>),
    Over,
}

/// What was asked, as far as every later state needs it.
#[derive(Debug)]
struct Asked {
    operation: Operation,
    label: Option<String>,
    csr: Csr,
    linked: Linked,
}

#[derive(Debug)]
struct AwaitFound {
    asked: Asked,
    who: Authenticated,
}

#[derive(Debug)]
struct AwaitRuling {
    asked: Asked,
    client: Client,
    profile: Ldevid,
    /// The certificate that the key in the request has already got.
    before: Option<Certificate>,
}

#[derive(Debug)]
struct AwaitKey {
    asked: Asked,
    client: Client,
    profile: Ldevid,
}

#[derive(Debug)]
struct AwaitSignature {
    asked: Asked,
    client: Client,
    token: Token,
    /// The private key, where the server has made it.
    generated: Option<Redacted<Vec<u8>>>,
}

struct AwaitPersisted {
    response: Response,
    outcome: Outcome,
}

impl fmt::Debug for AwaitPersisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitPersisted").field("status", &self.response.status).finish_non_exhaustive()
    }
}

/// What every transition has at hand.
struct Context<'a> {
    config: &'a Config,
    serial: &'a CertificateSerial,
    now: Time,
    outputs: &'a mut VecDeque<Output>,
}

impl Enrollment {
    /// An exchange that waits for its request. `random` becomes the certificate's serial number, if there will be one.
    pub fn new(config: Arc<Config>, random: [u8; 16]) -> Self {
        let serial = CertificateSerial::from_random(random);
        Self { config, serial, operation: None, device: None, state: State::Request, outputs: VecDeque::new() }
    }

    /// The device that it is about, once that is known.
    pub const fn device(&self) -> Option<&SerialNumber> {
        self.device.as_ref()
    }

    fn step(&mut self, now: Time, state: State, input: Input) -> Result<State, Refusal> {
        let cx = &mut Context { config: &self.config, serial: &self.serial, now, outputs: &mut self.outputs };
        match (state, input) {
            (State::Request, Input::Request { operation, label, request, client }) => {
                self.operation = Some(operation);
                cx.request(operation, label, &request, client.as_ref())
            }
            (State::Found(s), Input::Found(found)) => {
                let next = s.found(cx, &found)?;
                self.device = Some(next.client.serial().clone());
                Ok(State::Ruling(Box::new(next)))
            }
            (State::Ruling(s), Input::Ruled(ruling)) => s.ruled(cx, &ruling),
            (State::Key(s), Input::KeyMade { public_key, pkcs8 }) => s.made(cx, &public_key, pkcs8),
            (State::Signature(s), Input::Signed(signature)) => s.signed(cx, &signature),
            (State::Persisted(s), Input::Persisted) => Ok(s.persisted(cx)),
            (_, Input::Failed(why)) => Err(Refusal::new(Fault::Backend, "est-backend", S423, why)),
            (_, input) => Err(out_of_order(&input)),
        }
    }
}

fn out_of_order(input: &Input) -> Refusal {
    let name = match input {
        Input::Request { .. } => "a request",
        Input::Found(_) => "what was found",
        Input::Ruled(_) => "a ruling",
        Input::KeyMade { .. } => "a key",
        Input::Signed(_) => "a signature",
        Input::Persisted => "word that something is durable",
        Input::Failed(_) => "a failure",
    };
    Refusal::new(Fault::Misuse, "exchange-order", S423, format!("{name} came out of order"))
}

impl Machine for Enrollment {
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
                let allow = match self.operation.map(Operation::method) {
                    Some(Method::Get) => "GET",
                    _ => "POST",
                };
                let response = wire::response(&refusal, allow, self.config.retry_after);
                self.outputs.push_back(Output::Respond(response));
                self.outputs.push_back(Output::Close(Outcome::Refused(refusal)));
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

impl Context<'_> {
    fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn end(&mut self, response: Response, outcome: Outcome) -> State {
        self.emit(Output::Respond(response));
        self.emit(Output::Close(outcome));
        State::Over
    }

    fn request(
        &mut self,
        operation: Operation,
        label: Option<String>,
        request: &Request,
        client: Option<&TlsPeer>,
    ) -> Result<State, Refusal> {
        let not_offered = |what: &str| {
            Err(Refusal::new(
                Fault::Incompatible,
                "est-not-offered",
                "RFC 7030 s4.3.2",
                format!("{what} is not offered"),
            ))
        };
        if request.method != operation.method() {
            let detail = format!("{} was asked with another method", operation.as_str());
            return Err(Refusal::new(Fault::Peer, "est-method", "RFC 7030 s3.2.2", detail));
        }
        match operation {
            // RFC 7030 s4.1, s4.5: neither asks the client who it is.
            Operation::CaCerts => {
                let response = certificates(media::PKCS7, &self.config.cacerts);
                Ok(self.end(response, Outcome::Done))
            }
            Operation::CsrAttrs => {
                let response = csrattrs(self.config)?;
                Ok(self.end(response, Outcome::Done))
            }
            Operation::FullCmc => not_offered("full CMC"),
            Operation::ServerKeyGen if self.config.server_keygen.is_none() => not_offered("making keys"),
            Operation::SimpleEnroll | Operation::SimpleReenroll | Operation::ServerKeyGen => {
                let next = self.enrol(operation, label, request, client)?;
                Ok(State::Found(Box::new(next)))
            }
        }
    }

    fn enrol(
        &mut self,
        operation: Operation,
        label: Option<String>,
        request: &Request,
        client: Option<&TlsPeer>,
    ) -> Result<AwaitFound, Refusal> {
        // Who it is comes before what it says: a stranger's signatures are not worth verifying.
        let who = client::authenticate(self.config, client, self.now)?;
        let content_type = request.headers.first("content-type").map(essence).unwrap_or_default();
        if content_type != media::PKCS10 {
            let shown: String = content_type.chars().take(80).collect();
            let detail = format!("{shown:?} is not {}", media::PKCS10);
            return Err(Refusal::new(Fault::Incompatible, "est-type", "RFC 7030 s4.2.1", detail).field("Content-Type"));
        }
        // Long requests are looked at only where a long log may be in them.
        let csr = match self.config.wants_evidence() {
            true => Csr::from_der_with_evidence(&body::decode_up_to(body::LIMIT_WITH_EVIDENCE, &request.body)?),
            false => Csr::from_der(&body::decode(&request.body)?),
        };
        let csr =
            csr.map_err(|why| Refusal::new(Fault::Malformed, "csr-syntax", "RFC 7030 s4.2.1", why.to_string()))?;
        check::alone(self.config, operation, &csr)?;
        // RFC 7030 s3.5: the value belongs to the connection that the request came over.
        let binding = client.map(|peer| peer.binding.clone()).unwrap_or_default();
        let linked = binding::check(csr.challenge_password().as_deref(), &binding, self.config.require_binding)?;
        let key = (operation != Operation::ServerKeyGen).then(|| csr.public_key().fingerprint());
        let (certificate, pledge) = (who.certificate().fingerprint(), who.pledge().cloned());
        self.emit(Output::Find(Query { certificate, pledge, key }));
        Ok(AwaitFound { asked: Asked { operation, label, csr, linked }, who })
    }

    /// Prepares the certificate, holds it against every lint, and asks for the signature.
    fn issue(
        &mut self,
        asked: Asked,
        client: Client,
        profile: &Ldevid,
        key: &PublicKey,
        generated: Option<Redacted<Vec<u8>>>,
    ) -> Result<State, Refusal> {
        let authority = &self.config.authority;
        let end = (self.now + self.config.lifetime).min(authority.certificate.not_after());
        let begin = (self.now - self.config.backdate).max(authority.certificate.not_before());
        let validity = Validity { not_before: begin, not_after: end };
        let prepared = profile.prepare(authority, key, self.serial.clone(), validity).map_err(|e| unmade(&e))?;
        let token = prepared.lint().map_err(|findings| {
            let list: Vec<String> =
                findings.iter().map(|f| format!("{} [{}]: {}", f.lint, f.source, f.detail)).collect();
            Refusal::new(Fault::Misuse, "profile-lint", "RFC 5280", list.join("; "))
        })?;
        self.emit(Output::Sign { bytes: token.to_be_signed().to_vec() });
        Ok(State::Signature(Box::new(AwaitSignature { asked, client, token, generated })))
    }
}

fn unmade(error: &PkiError) -> Refusal {
    let fault = if error.fault() == Fault::Backend { Fault::Backend } else { Fault::Misuse };
    Refusal::new(fault, "certificate-issue", S423, error.to_string())
}

impl AwaitFound {
    fn found(self, cx: &mut Context<'_>, found: &Found) -> Result<AwaitRuling, Refusal> {
        let Self { asked, who } = self;
        let client = who.authorise(cx.config, found, cx.now)?;
        let profile = check::profile(cx.config, asked.operation, &client, &asked.csr)?;
        let before = found.for_key.as_ref().and_then(|issued| still_good(cx, issued, &client, &profile));
        let dns_names = asked.csr.dns_names();
        cx.emit(Output::Rule(Box::new(EnrolFacts {
            operation: asked.operation,
            label: asked.label.clone(),
            client: client.clone(),
            key: asked.key(),
            csr: asked.csr.clone(),
            subject: profile.subject.to_string(),
            dns_names,
            linked: asked.linked,
        })));
        Ok(AwaitRuling { asked, client, profile, before })
    }
}

/// The certificate on record, if it is what this request would get and is not due for renewal.
///
/// RFC 7030 s4.2.3: the client sends the same request until it has its answer, and the server knows it again. A client
/// that authenticates with this very certificate has it, and wants the next.
fn still_good(cx: &Context<'_>, issued: &Issued, client: &Client, profile: &Ldevid) -> Option<Certificate> {
    let certificate = Certificate::from_der(&issued.certificate).ok()?;
    let (begin, end) = (certificate.not_before(), certificate.not_after());
    let renewal = begin + end.since(begin) / 3 * 2;
    let good = issued.device.id == *client.device()
        && certificate != *client.certificate()
        && certificate.issuer_der() == cx.config.authority.certificate.subject_der()
        && certificate.subject_der() == profile.subject.to_der()
        && certificate.alt_names() == profile.alt_names
        && cx.now < renewal;
    good.then_some(certificate)
}

impl Asked {
    fn key(&self) -> Option<landfall_types::Fingerprint> {
        (self.operation != Operation::ServerKeyGen).then(|| self.csr.public_key().fingerprint())
    }
}

impl AwaitRuling {
    fn ruled(self, cx: &mut Context<'_>, Ruling(decision): &Ruling) -> Result<State, Refusal> {
        let Self { asked, client, profile, before } = self;
        match decision.verdict {
            Verdict::Permit => {}
            Verdict::Deny => return Err(Refusal::new(Fault::Denied, "policy-denied", "RFC 7030 s3.7", decision.why())),
            Verdict::Ask => {
                let (key, operation, csr) = (asked.key(), asked.operation, asked.csr.der().to_vec());
                let waiting =
                    Waiting { device: client.id().clone(), key, operation, csr, at: cx.now, why: decision.why() };
                cx.emit(Output::Persist(Box::new(Written::Waiting(waiting))));
                // RFC 7030 s4.2.3: 202 has to say when to come back.
                let seconds = cx.config.retry_after.as_secs().to_string();
                let response =
                    Response::text(202, "The request is waiting for a decision.").header("retry-after", seconds);
                return Ok(State::Persisted(Box::new(AwaitPersisted { response, outcome: Outcome::Pending })));
            }
        }
        if let Some(certificate) = before {
            return Ok(cx.end(certificates(media::PKCS7_CERTS_ONLY, &[certificate]), Outcome::Done));
        }
        match (asked.operation, cx.config.server_keygen) {
            (Operation::ServerKeyGen, Some(algorithm)) => {
                cx.emit(Output::MakeKey(algorithm));
                Ok(State::Key(Box::new(AwaitKey { asked, client, profile })))
            }
            _ => {
                let key = asked.csr.public_key().clone();
                cx.issue(asked, client, &profile, &key, None)
            }
        }
    }
}

impl AwaitKey {
    fn made(self, cx: &mut Context<'_>, key: &PublicKey, pkcs8: Redacted<Vec<u8>>) -> Result<State, Refusal> {
        cx.issue(self.asked, self.client, &self.profile, key, Some(pkcs8))
    }
}

impl AwaitSignature {
    fn signed(self, cx: &mut Context<'_>, signature: &[u8]) -> Result<State, Refusal> {
        let Self { asked, client, token, generated } = self;
        let certificate = token.sign(signature).map_err(|e| unmade(&e))?;
        let issued = Issued {
            serial: certificate.serial_hex(),
            certificate: certificate.der().to_vec(),
            fingerprint: certificate.fingerprint(),
            device: client.id().clone(),
            key: certificate.public_key().fingerprint(),
            operation: asked.operation,
            client: client.certificate().fingerprint(),
            csr: asked.csr.der().to_vec(),
            linked: asked.linked,
            at: cx.now,
            not_after: certificate.not_after(),
        };
        cx.emit(Output::Persist(Box::new(Written::Issued(issued))));
        let response = match generated {
            None => certificates(media::PKCS7_CERTS_ONLY, &[certificate]),
            Some(key) => with_key(&key, certificate),
        };
        Ok(State::Persisted(Box::new(AwaitPersisted { response, outcome: Outcome::Done })))
    }
}

impl AwaitPersisted {
    fn persisted(self, cx: &mut Context<'_>) -> State {
        cx.end(self.response, self.outcome)
    }
}

fn certificates(content_type: &str, bag: &[Certificate]) -> Response {
    encoded(content_type, &cms::certs_only(bag))
}

fn encoded(content_type: &str, der: &[u8]) -> Response {
    // RFC 8951 s3.1 makes the last field meaningless, yet clients made before it do without it badly.
    Response::with(200, content_type, body::encode(der)).header("content-transfer-encoding", "base64")
}

/// RFC 8951 s4: an empty sequence says the same as a 204.
fn csrattrs(config: &Config) -> Result<Response, Refusal> {
    let offered = config.offered_csrattrs();
    if offered.0.is_empty() {
        return Ok(Response::new(204));
    }
    let der =
        offered.to_der().map_err(|e| Refusal::new(Fault::Misuse, "csrattrs-encode", "RFC 8951 s4", e.to_string()))?;
    Ok(encoded(media::CSR_ATTRIBUTES, &der))
}

fn with_key(pkcs8: &Redacted<Vec<u8>>, certificate: Certificate) -> Response {
    let part = |content_type: &str, der: Vec<u8>| Part { content_type: content_type.into(), der };
    let bag = cms::certs_only(&[certificate]);
    let parts = [part(media::PKCS8, pkcs8.expose().clone()), part(media::PKCS7_CERTS_ONLY, bag)];
    let (content_type, text) = multipart::encode(&parts);
    Response::with(200, &content_type, text)
}

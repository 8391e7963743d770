//! Enrolment with EST over a trusted connection (RFC 8995 s5.9, RFC 7030): CA certificates, CSR attributes, key,
//! request, certificate. Onboarding and renewal share it.
//!
//! Each step is a type named for what it awaits, and is consumed by what comes.

use super::{
    config::Timing,
    csr::{self, Subject},
    io::{ConnectionId, Output, Progress, SigningKey},
    ldevid::{self, Domain},
    outbox::Outbox,
    provisional::Trusted,
};
use crate::est::{
    client::{self, Answer},
    csrattrs::CsrAttrs,
};
use landfall_pki::{
    Algorithm, Certificate, PublicKey,
    attestation::{KeyAttestation, with_evidence},
    csr::PreparedCsr,
    oid,
};
use landfall_types::{
    Fault, KeyUri, Refusal, Time,
    http::{Request, Response},
};

/// What is wanted, and what has been made for it so far. Outlives a connection.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) subject: Subject,
    /// The kind of key, unless the registrar wishes another.
    pub(super) algorithm: Algorithm,
    /// The key, once there is one.
    pub(super) key: Option<Key>,
    /// Whether this renews a certificate.
    pub(super) renewal: bool,
    /// Whether the device knows the time.
    pub(super) clock: bool,
    pub(super) timing: Timing,
    /// Since when the registrar has been asking for patience.
    pub(super) pending: Option<Time>,
}

/// A key that the certificate is asked for.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) uri: KeyUri,
    pub(super) public_key: PublicKey,
    /// Whether it was made for this job, and so is of no use if the job fails.
    pub(super) new: bool,
    /// Proof of where it lives.
    pub(super) attestation: Option<Box<KeyAttestation>>,
}

/// The connection that a step goes over.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: ConnectionId,
    pub(super) trusted: Trusted,
}

/// What enrolment gave.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) certificate: Certificate,
    pub(super) chain: Vec<Certificate>,
    pub(super) anchors: Vec<Certificate>,
    pub(super) key: KeyUri,
}

/// Where enrolment stands.
#[derive(Debug)]
pub(super) enum Step {
    CaCertificates(AwaitingCaCertificates),
    CsrAttributes(AwaitingCsrAttributes),
    Key(AwaitingKey),
    Nonce(AwaitingNonce),
    Evidence(AwaitingEvidence),
    Signature(AwaitingSignature),
    Certificate(AwaitingCertificate),
    Pause(Pausing),
}

/// What comes after a step.
#[derive(Debug)]
pub(super) enum Next {
    Step(Step),
    Issued(Box<Issued>),
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    Response,
    Key,
    Evidence,
    Signature,
    Time(Time),
}

#[derive(Debug)]
pub(super) struct AwaitingCaCertificates;

#[derive(Debug)]
pub(super) struct AwaitingCsrAttributes {
    domain: Domain,
}

#[derive(Debug)]
pub(super) struct AwaitingKey {
    domain: Domain,
    wishes: CsrAttrs,
}

/// The registrar wishes to know what software the device runs, and gives a nonce for that.
#[derive(Debug)]
pub(super) struct AwaitingNonce {
    domain: Domain,
    wishes: CsrAttrs,
    key: Key,
}

#[derive(Debug)]
pub(super) struct AwaitingEvidence {
    domain: Domain,
    wishes: CsrAttrs,
    key: Key,
}

#[derive(Debug)]
pub(super) struct AwaitingSignature {
    domain: Domain,
    wishes: CsrAttrs,
    prepared: PreparedCsr,
    key: Key,
    bound: bool,
}

#[derive(Debug)]
pub(super) struct AwaitingCertificate {
    domain: Domain,
    wishes: CsrAttrs,
    request: Request,
    key: Key,
}

#[derive(Debug)]
pub(super) struct Pausing {
    until: Time,
    next: AwaitingCertificate,
}

impl Step {
    /// RFC 8995 s5.9.1: first the CA certificates, so that what is issued can be checked.
    pub(super) fn begin(line: &Line, out: &mut Outbox) -> Self {
        out.send(line.connection, client::cacerts(None));
        Self::CaCertificates(AwaitingCaCertificates)
    }

    /// Goes on over a new connection, so that also a server that closes after each answer is enrolled with. What was
    /// learned and made is kept; the request is made anew, for it may be bound to its connection (RFC 7030 s4.2.3).
    pub(super) fn again(self, job: &mut Job, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        let (domain, wishes) = match self {
            Self::CaCertificates(_) => return Ok(Next::Step(Self::begin(line, out))),
            Self::CsrAttributes(state) => {
                out.send(line.connection, client::csrattrs(None));
                return Ok(Next::Step(Self::CsrAttributes(state)));
            }
            Self::Key(state) => (state.domain, state.wishes),
            Self::Nonce(state) => (state.domain, state.wishes),
            Self::Evidence(state) => (state.domain, state.wishes),
            Self::Signature(state) => (state.domain, state.wishes),
            Self::Certificate(state) | Self::Pause(Pausing { next: state, .. }) => (state.domain, state.wishes),
        };
        key_or_request(domain, wishes, job, line, out)
    }

    pub(super) const fn awaits(&self) -> Awaits {
        match self {
            Self::CaCertificates(_) | Self::CsrAttributes(_) | Self::Nonce(_) | Self::Certificate(_) => {
                Awaits::Response
            }
            Self::Evidence(_) => Awaits::Evidence,
            Self::Key(_) => Awaits::Key,
            Self::Signature(_) => Awaits::Signature,
            Self::Pause(pausing) => Awaits::Time(pausing.until),
        }
    }

    pub(super) fn response(
        self,
        response: &Response,
        job: &mut Job,
        line: &Line,
        out: &mut Outbox,
        now: Time,
    ) -> Result<Next, Refusal> {
        match self {
            Self::CaCertificates(state) => state.response(response, line, out),
            Self::CsrAttributes(state) => state.response(response, job, line, out),
            Self::Nonce(state) => state.response(response, line, out),
            Self::Certificate(state) => state.response(response, job, out, now),
            Self::Key(_) | Self::Evidence(_) | Self::Signature(_) | Self::Pause(_) => Err(unasked("a response")),
        }
    }

    pub(super) fn key_made(self, key: Key, job: &mut Job, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        job.key = Some(key.clone());
        match self {
            Self::Key(state) => evidence_or_request(state.domain, state.wishes, key, job, line, out),
            _ => Err(unasked("a key")),
        }
    }

    pub(super) fn attested(self, evidence: &str, job: &Job, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        match self {
            Self::Evidence(state) => prepare(state.domain, state.wishes, state.key, Some(evidence), job, line, out),
            _ => Err(unasked("evidence")),
        }
    }

    pub(super) fn signed(self, signature: &[u8], job: &Job, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        match self {
            Self::Signature(state) => state.signed(signature, job, line, out),
            _ => Err(unasked("a signature")),
        }
    }

    /// The pause is over: the same request again (RFC 7030 s4.2.3).
    pub(super) fn resume(self, line: &Line, out: &mut Outbox) -> Self {
        match self {
            Self::Pause(Pausing { next, .. }) => {
                out.send(line.connection, next.request.clone());
                Self::Certificate(next)
            }
            other => other,
        }
    }
}

impl AwaitingCaCertificates {
    fn response(self, response: &Response, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        let certificates = client::read_cacerts(response)?;
        out.note(Progress::CaCertificates { count: certificates.len() });
        let domain = Domain::of(certificates)?;
        // RFC 8995 s5.9.2: a pledge must ask for these.
        out.send(line.connection, client::csrattrs(None));
        Ok(Next::Step(Step::CsrAttributes(AwaitingCsrAttributes { domain })))
    }
}

impl AwaitingCsrAttributes {
    fn response(self, response: &Response, job: &mut Job, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        let wishes = client::read_csrattrs(response)?;
        out.note(Progress::CsrAttributes { count: wishes.0.len() });
        key_or_request(self.domain, wishes, job, line, out)
    }
}

/// The request, if there is a key for it that the registrar will take; else the key.
fn key_or_request(
    domain: Domain,
    wishes: CsrAttrs,
    job: &mut Job,
    line: &Line,
    out: &mut Outbox,
) -> Result<Next, Refusal> {
    let algorithm = csr::algorithm(&wishes, job.algorithm)?;
    match job.key.clone() {
        Some(key) if Algorithm::of(key.public_key.kind()) == Some(algorithm) => {
            evidence_or_request(domain, wishes, key, job, line, out)
        }
        other => {
            discard(other, out);
            job.key = None;
            out.push(Output::MakeKey { algorithm });
            Ok(Next::Step(Step::Key(AwaitingKey { domain, wishes })))
        }
    }
}

/// A registrar whose CSR attributes name evidence wants it in the request; the nonce for it is asked for over the same
/// connection (draft-ietf-lamps-csr-attestation; draft-ietf-lamps-attestation-freshness s5).
fn evidence_or_request(
    domain: Domain,
    wishes: CsrAttrs,
    key: Key,
    job: &Job,
    line: &Line,
    out: &mut Outbox,
) -> Result<Next, Refusal> {
    if !wishes.names(oid::KEY_ATTESTATION) {
        return prepare(domain, wishes, key, None, job, line, out);
    }
    out.send(line.connection, client::nonce());
    Ok(Next::Step(Step::Nonce(AwaitingNonce { domain, wishes, key })))
}

impl AwaitingNonce {
    fn response(self, response: &Response, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        let nonce = client::read_nonce(response)?;
        out.push(Output::Attest { nonce, binding: line.trusted.binding().clone() });
        let Self { domain, wishes, key } = self;
        Ok(Next::Step(Step::Evidence(AwaitingEvidence { domain, wishes, key })))
    }
}

fn prepare(
    domain: Domain,
    wishes: CsrAttrs,
    key: Key,
    evidence: Option<&str>,
    job: &Job,
    line: &Line,
    out: &mut Outbox,
) -> Result<Next, Refusal> {
    let unusable = |detail: String| {
        Refusal::new(Fault::Backend, "device-key", "RFC 7030 s4.2.1", detail).field("subjectPublicKeyInfo")
    };
    let algorithm = Algorithm::of(key.public_key.kind())
        .ok_or_else(|| unusable(format!("a key of kind {:?} cannot sign requests", key.public_key.kind())))?;
    let mut request = job.subject.request(&wishes, line.trusted.binding())?;
    let proof = key.attestation.as_deref();
    let shown = evidence.map(|evidence| with_evidence(proof, evidence)).or_else(|| proof.map(KeyAttestation::to_der));
    request.attributes.extend(shown.map(|value| (oid::KEY_ATTESTATION, value)));
    let prepared = request.prepare(&key.public_key, algorithm).map_err(|e| unusable(e.to_string()))?;
    let bytes = prepared.to_be_signed().to_vec();
    out.push(Output::Sign { key: SigningKey::Ldevid(key.uri.clone()), bytes });
    let bound = request.challenge_password.is_some();
    Ok(Next::Step(Step::Signature(AwaitingSignature { domain, wishes, prepared, key, bound })))
}

impl AwaitingSignature {
    fn signed(self, signature: &[u8], job: &Job, line: &Line, out: &mut Outbox) -> Result<Next, Refusal> {
        let Self { domain, wishes, prepared, key, bound } = self;
        let csr = prepared.sign(signature).map_err(|e| {
            Refusal::new(Fault::Backend, "device-signature", "RFC 7030 s4.2.1", e.to_string()).field("signature")
        })?;
        let request = match job.renewal {
            true => client::reenroll(None, &csr),
            false => client::enroll(None, &csr),
        };
        out.send(line.connection, request.clone());
        out.note(Progress::CertificateRequested { bound });
        Ok(Next::Step(Step::Certificate(AwaitingCertificate { domain, wishes, request, key })))
    }
}

impl AwaitingCertificate {
    fn response(self, response: &Response, job: &mut Job, out: &mut Outbox, now: Time) -> Result<Next, Refusal> {
        let issued = match client::read_enrolled(response, &self.key.public_key)? {
            Answer::Granted(issued) => issued,
            Answer::Later(wait) => return self.pause(wait, job, out, now),
        };
        let chain = ldevid::check(&issued, &self.domain, &job.subject, job.clock, now)?;
        let certificate = issued.certificate;
        let (subject, not_after) = (certificate.subject(), certificate.not_after());
        out.note(Progress::CertificateIssued { subject, not_after });
        let (anchors, key) = (self.domain.anchors, self.key.uri);
        Ok(Next::Issued(Box::new(Issued { certificate, chain, anchors, key })))
    }

    /// RFC 7030 s4.2.3, with the bounds of RFC 8995 s5.6.
    fn pause(self, wait: std::time::Duration, job: &mut Job, out: &mut Outbox, now: Time) -> Result<Next, Refusal> {
        if now.since(*job.pending.get_or_insert(now)) >= job.timing.pending_most {
            let detail = "the registrar asked for patience for too long";
            return Err(Refusal::new(Fault::Peer, "enrolment-pending", "RFC 7030 s4.2.3", detail));
        }
        let wait = wait.min(job.timing.retry_after_most);
        out.note(Progress::Pending { wait });
        Ok(Next::Step(Step::Pause(Pausing { until: now + wait, next: self })))
    }
}

/// Lets go of a key that was made for nothing.
pub(super) fn discard(key: Option<Key>, out: &mut Outbox) {
    if let Some(key) = key.filter(|key| key.new) {
        out.push(Output::DiscardKey(key.uri));
    }
}

/// The machines look at [`Step::awaits`] before, so this is never seen.
fn unasked(what: &str) -> Refusal {
    Refusal::new(Fault::Misuse, "enrolment-order", "RFC 8995 s5.9", format!("{what} came when none was awaited"))
}

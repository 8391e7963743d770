//! The server's side: [`Enrollment`] answers one request (RFC 7030 s4).
//!
//! ```text
//! Request -> find what is known -> rule -> [make a key] -> sign -> persist -> respond
//!                                   |
//!                                   +-> 202, 403, or the certificate that was issued for this key before
//! ```
//!
//! No certificate leaves before its record is durable, and a request that is sent again, after a crash or a timeout,
//! gets the certificate that its key has already got.

mod check;
mod client;
mod enrollment;
mod record;
mod wire;

pub use client::Client;
pub use enrollment::{Enrollment, Input, Output};
pub use record::{Issued, Waiting, Written};

use super::{
    Operation,
    binding::Linked,
    csrattrs::{CHALLENGE_PASSWORD, CsrAttrs, Wish},
};
use crate::registrar::Vendors;
use landfall_pki::{Algorithm, Anchors, Authority, Certificate, Csr, KeyKind, Oid, oid};
use landfall_policy::{Decision, Facts, acceptance};
use landfall_types::{DeviceId, Fingerprint, SerialNumber, Time};
use std::time::Duration;

/// How an EST server is set up, for one label.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who issues.
    pub authority: Authority,
    /// What clients are told to trust, and what they need to build paths (s4.1.3): the root, the certificates below
    /// it, and the ones that lead from an old root to a new one.
    pub cacerts: Vec<Certificate>,
    /// Whose devices may come with their IDevIDs.
    pub vendors: Vendors,
    /// What the LDevIDs chain to that may enrol again.
    pub domain_anchors: Anchors,
    /// What a request should hold. [`require_binding`](Self::require_binding) adds to it what it needs.
    pub csrattrs: CsrAttrs,
    /// The keys that are certified; an RSA key must have at least as many bits.
    pub keys: Vec<KeyKind>,
    /// Whether a request must be linked to its TLS connection (s3.5).
    pub require_binding: bool,
    /// The purposes that certificates are issued for; a request may name some of them and no others.
    pub purposes: Vec<Oid>,
    /// The DNS names that a device may ask for stand below one of these.
    pub dns_suffixes: Vec<String>,
    /// The organization that stands in every subject.
    pub organization: Option<String>,
    /// How long certificates last, from now; never longer than the authority.
    pub lifetime: Duration,
    /// How far before now they begin, for devices whose clocks are behind.
    pub backdate: Duration,
    /// How old the voucher may be that lets a pledge enrol.
    pub voucher_max_age: Duration,
    /// How long after its end an LDevID may still be renewed.
    pub expired_grace: Duration,
    /// When a client that has to wait is to come back.
    pub retry_after: Duration,
    /// Where the authority's revocation list is, if certificates are to say so (RFC 5280 s4.2.1.13).
    pub crl_url: Option<String>,
    /// The kind of key that serverkeygen makes (s4.4), if it is offered.
    pub server_keygen: Option<Algorithm>,
}

impl Config {
    /// Whether requests are to hold evidence of what software the device runs.
    pub fn wants_evidence(&self) -> bool {
        self.csrattrs.0.contains(&Wish::Oid(oid::KEY_ATTESTATION))
    }

    /// The CSR attributes as they are sent. RFC 7030 s4.5.2: where linking is required, they say so.
    pub fn offered_csrattrs(&self) -> CsrAttrs {
        let mut offered = self.csrattrs.clone();
        if self.require_binding && !offered.wants_binding() {
            offered.0.push(Wish::Oid(CHALLENGE_PASSWORD));
        }
        offered
    }
}

/// What has been verified of a request for a certificate.
#[derive(Clone, Debug)]
pub struct EnrolFacts {
    /// What is asked.
    pub operation: Operation,
    /// The label in the path.
    pub label: Option<String>,
    /// Who asks.
    pub client: Client,
    /// The key to be certified; nothing where the server makes it.
    pub key: Option<Fingerprint>,
    /// The request.
    pub csr: Csr,
    /// The subject that the certificate would have.
    pub subject: String,
    /// The DNS names that it would have.
    pub dns_names: Vec<String>,
    /// Whether the request is linked to the connection.
    pub linked: Linked,
}

impl EnrolFacts {
    /// The same as facts for a policy, by the names of [`landfall_policy::acceptance`].
    pub fn facts(&self, at: Time) -> Facts {
        let (certificate, request) = (self.client.word(), "certificate request");
        let mut facts = Facts::new()
            .with(acceptance::DEVICE, self.client.device().as_str(), certificate, at)
            .with(acceptance::SERIAL_NUMBER, self.client.serial().as_str(), certificate, at)
            .with("operation", self.operation.as_str(), request, at)
            .with("dns-names", self.dns_names.clone(), request, at)
            .with("linked", self.linked == Linked::Proven, request, at);
        if let Client::Pledge { vendor, .. } = &self.client {
            let source = "the anchors that the IDevID chains to";
            facts = facts.with(acceptance::MANUFACTURER, vendor.as_str(), source, at);
        }
        if let Some(label) = &self.label {
            facts = facts.with("label", label.as_str(), "path", at);
        }
        facts
    }
}

/// What the role has decided.
#[derive(Clone, Debug)]
pub struct Ruling(pub Decision);

/// What the role looks up before anything is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The client's certificate: is it one that was issued here, and is it revoked?
    pub certificate: Fingerprint,
    /// The pledge, if the client is one: has it been handed a voucher?
    pub pledge: Option<DeviceId>,
    /// The key in the request: what was issued for it last?
    pub key: Option<Fingerprint>,
}

/// What the role has found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The record of the client's certificate, if it was issued here.
    pub client: Option<Issued>,
    /// Whether the client's certificate, or the device that it names, is revoked.
    pub revoked: bool,
    /// When the pledge was handed the voucher that still counts
    /// ([`VoucherRecord::accepted_at`](crate::registrar::VoucherRecord::accepted_at)).
    pub voucher_at: Option<Time>,
    /// The latest certificate for the key in the request that is not revoked.
    pub for_key: Option<Issued>,
}

/// The device that a certificate is for, in our records and in its own words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Device {
    /// In our records.
    pub id: DeviceId,
    /// Its serial number.
    pub serial: SerialNumber,
}

//! Lints: one per rule, grouped by the document that the rule stands in.

mod ieee8021ar;
mod rfc5280;
mod rfc6402;
mod rfc7030;
mod rfc8520;
mod rfc8995;

use crate::{Certificate, oid};
use landfall_types::Time;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Against advice (SHOULD).
    Warning,
    /// Against a rule (MUST); nothing that has one is signed.
    Error,
}

/// What a lint found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The lint's kebab-case name.
    pub lint: &'static str,
    /// Document and section of the rule.
    pub source: &'static str,
    /// What was found, in plain words.
    pub detail: String,
    /// How bad it is.
    pub severity: Severity,
}

impl Finding {
    pub(crate) const fn error(lint: &'static str, source: &'static str, detail: String) -> Self {
        Self { lint, source, detail, severity: Severity::Error }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.lint, self.detail, self.source)
    }
}

/// What a certificate is for; lints of one role do not look at the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A certification authority.
    Ca,
    /// A device's identity from its factory.
    Idevid,
    /// A device's identity in a domain.
    Ldevid,
    /// A registrar.
    Registrar,
    /// Who signs vouchers.
    Masa,
    /// A TLS server.
    Server,
    /// Who operates a server.
    Operator,
    /// Something else.
    Other,
}

impl Role {
    /// What a certificate seems to be for.
    pub fn of(certificate: &Certificate) -> Self {
        let identifies_device = certificate.masa_url().is_some() || certificate.not_after() == Time::FOREVER;
        if certificate.is_ca() {
            Self::Ca
        } else if certificate.has_eku(oid::CMC_RA) {
            Self::Registrar
        } else if certificate.subject_serial_number().is_some() && identifies_device {
            Self::Idevid
        } else if certificate.subject_serial_number().is_some() && certificate.has_eku(oid::CLIENT_AUTH) {
            Self::Ldevid
        } else if certificate.has_eku(oid::SERVER_AUTH) {
            Self::Server
        } else {
            Self::Other
        }
    }
}

/// One rule.
pub(crate) struct Lint {
    name: &'static str,
    source: &'static str,
    severity: Severity,
    /// Whom it looks at.
    applies: fn(Role) -> bool,
    /// What is wrong, if something is.
    check: fn(&Certificate) -> Option<String>,
}

fn everyone(_: Role) -> bool {
    true
}

/// What to say if `wrong`.
fn when(wrong: bool, detail: impl Into<String>) -> Option<String> {
    wrong.then(|| detail.into())
}

/// What the lints find in a certificate, for the role that it seems to have.
pub fn certificate(certificate: &Certificate) -> Vec<Finding> {
    certificate_as(Role::of(certificate), certificate)
}

/// Every rule, by the name of its lint, its source and how bad it is to break it.
pub fn rules() -> impl Iterator<Item = (&'static str, &'static str, Severity)> {
    all().map(|lint| (lint.name, lint.source, lint.severity))
}

fn all() -> impl Iterator<Item = &'static Lint> {
    let documents = [rfc5280::LINTS, ieee8021ar::LINTS, rfc8995::LINTS, rfc8520::LINTS, rfc7030::LINTS, rfc6402::LINTS];
    documents.into_iter().flatten()
}

/// What the lints find in a certificate that is meant for `role`.
pub fn certificate_as(role: Role, certificate: &Certificate) -> Vec<Finding> {
    let lints = all().filter(|lint| (lint.applies)(role));
    let finding = |lint: &Lint| {
        let detail = (lint.check)(certificate)?;
        Some(Finding { lint: lint.name, source: lint.source, detail, severity: lint.severity })
    };
    lints.filter_map(finding).collect()
}

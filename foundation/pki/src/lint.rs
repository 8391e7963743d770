//! Lints: one per rule, grouped by the document that the rule stands in.

use crate::Certificate;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Against advice (SHOULD).
    Warning,
    /// Against a rule (MUST); nothing that has one is signed.
    Error,
}

/// What a lint found.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.lint, self.detail, self.source)
    }
}

/// What the lints find in a certificate.
pub fn certificate(certificate: &Certificate) -> Vec<Finding> {
    let _ = certificate;
    todo!()
}

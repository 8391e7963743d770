//! A refusal, as the operator sees it.

use crate::fault::Fault;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// Why something was refused: the check that failed, the field it looked at, and where the check is specified.
///
/// This is for the operator. The peer is told only what the specification says, which each protocol derives from
/// [`Refusal::check`] in one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable kebab-case name of the check, for programs and metrics: `voucher-nonce`, `registrar-cmc-ra`.
    pub check: Cow<'static, str>,
    /// Whose fault it is.
    pub fault: Fault,
    /// The field looked at, by its name in the specification, or empty.
    pub field: Cow<'static, str>,
    /// The source of the check: `RFC 8995 s5.5.4`.
    pub section: Cow<'static, str>,
    /// What was found, in plain words; never a secret.
    pub detail: String,
}

impl Refusal {
    /// A refusal by `check` of `section`, with what was found.
    pub fn new(fault: Fault, check: &'static str, section: &'static str, detail: impl Into<String>) -> Self {
        Self { check: check.into(), fault, field: "".into(), section: section.into(), detail: detail.into() }
    }

    /// The same, naming the field.
    #[must_use]
    pub fn field(mut self, field: &'static str) -> Self {
        self.field = field.into();
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.detail)?;
        match self.field.is_empty() {
            true => write!(f, " [{}]", self.section),
            false => write!(f, " [{}, {}]", self.field, self.section),
        }
    }
}

impl std::error::Error for Refusal {}

//! What happened, for the log, the metrics and the audit.

use crate::{process::Process, refusal::Refusal, time::Time};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was for.
    Done,
    /// It waits for something, such as an operator's approval.
    Pending,
    /// It was refused.
    Refused(Refusal),
}

impl Outcome {
    /// The word for it, for a metric label.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Pending => "pending",
            Self::Refused(_) => "refused",
        }
    }
}

/// The closing line of one exchange. Tracing line, metric and audit record derive from it, so they cannot disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it ended.
    pub at: Time,
    /// The guide's process.
    pub process: Process,
    /// The role that writes this: `registrar`, `masa`.
    pub role: &'static str,
    /// What was done, in kebab-case: `voucher-issued`.
    pub action: &'static str,
    /// The device, in words that an operator recognises (its serial number), or empty.
    pub device: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, on the driver's clock.
    pub duration: Duration,
}

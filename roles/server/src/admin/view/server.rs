//! What the server says of itself, its logs, and lists of all kinds.

use crate::RoleName;
use landfall_types::{Outcome, Process, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// Only what comes after this key: the `next` of the part before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most this many, 100 if it is not said, never more than 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Part {
    /// How many to give.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1000)
    }
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for `after` to get the next part; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A part of at most `limit` items; if it is full, there may be more after its last.
    pub fn of(items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Self {
        let next = (items.len() >= limit).then(|| items.last().map(key)).flatten();
        Self { items, next }
    }
}

/// The server, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// The roles that run here.
    pub roles: Vec<RoleStatus>,
    /// What is not ready; empty when all is well.
    pub not_ready: Vec<String>,
    /// The servers elsewhere that roles here need.
    pub dependencies: Vec<Dependency>,
}

/// A role that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleStatus {
    /// Which.
    pub role: RoleName,
    /// Where it listens; empty if nobody calls on it.
    pub address: String,
}

/// A server elsewhere that a role here needs, and what follows if it is away (SP 1800-36B 6.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// Who needs it.
    pub role: RoleName,
    /// What is needed: `masa`.
    pub needs: String,
    /// The manufacturer whose it is.
    pub vendor: String,
    /// Where it was last looked for.
    pub address: String,
    /// Whether it answered the last time: unknown until it was asked.
    pub state: Reachability,
    /// Since when that is so.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// What went wrong the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many devices can join without it, since vouchers for them were fetched ahead.
    pub vouchers_ahead: u64,
    /// What follows if it is away, in words.
    pub consequence: String,
}

/// Whether a server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    /// It has not been asked.
    #[default]
    Unknown,
    /// It answered.
    Up,
    /// It did not.
    Down,
}

/// An entry of a hash-chained log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its number, from 1.
    pub seq: u64,
    /// What was written.
    #[schema(value_type = Object)]
    pub entry: serde_json::Value,
    /// SHA-256 of the entry before it, its number and itself, in hexadecimal.
    pub hash: String,
}

/// Whether a log is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogVerified {
    /// The log.
    pub log: String,
    /// Whether every hash is right.
    pub intact: bool,
    /// How many entries it has.
    pub entries: u64,
    /// The hash of its last entry. Keep it elsewhere, and a log that was written anew as a whole can be told too.
    pub head: String,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The end of an exchange, as the audit keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// The guide's process.
    #[schema(value_type = String)]
    pub process: Process,
    /// The role.
    pub role: String,
    /// What was done.
    pub action: String,
    /// The device.
    pub device: String,
    /// How it ended: `done`, `pending`, or the refusal.
    #[schema(value_type = Object)]
    pub outcome: Outcome,
}

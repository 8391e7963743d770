//! Judging the MASA's audit log of a device (RFC 8995 s5.8.3).

use crate::audit_log::AuditLog;
use landfall_policy::{Facts, acceptance};
use landfall_types::{DomainId, Time};
use std::collections::BTreeSet;

/// What is known of a device's earlier vouchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// It was not asked for.
    NotAsked,
    /// It was asked for and could not be had; why.
    Unavailable(String),
    /// It is known.
    Known(Findings),
}

/// What stands out in an audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many vouchers are listed.
    pub events: usize,
    /// The domains other than ours, each once.
    pub foreign_domains: BTreeSet<DomainId>,
    /// How many vouchers without nonce other domains have had: with one of them, such a domain could take the device
    /// over after a reset.
    pub foreign_nonceless: usize,
    /// How many entries the MASA has left out at will; left-out duplicates are not counted.
    pub withheld: u64,
    /// When the last voucher for another domain was made.
    pub last_foreign: Option<Time>,
    /// The log is of a version above 1, and so may say more than was read here.
    pub newer: bool,
}

impl Findings {
    /// Looks through `log` for what is not of the domains `ours`.
    pub fn of(log: &AuditLog, ours: &[DomainId]) -> Self {
        let mut findings = Self {
            events: log.events.len(),
            withheld: log.truncation.arbitrary,
            newer: log.version > 1,
            ..Self::default()
        };
        for event in log.events.iter().filter(|event| !ours.contains(&event.domain)) {
            findings.foreign_nonceless += usize::from(event.nonce.is_none());
            findings.last_foreign = findings.last_foreign.max(Some(event.date));
            findings.foreign_domains.insert(event.domain.clone());
        }
        findings
    }

    pub(super) fn facts(&self, facts: Facts, at: Time) -> Facts {
        const LOG: &str = "MASA audit log";
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let domains: Vec<String> = self.foreign_domains.iter().map(ToString::to_string).collect();
        facts
            .with(acceptance::FOREIGN_DOMAINS, domains, LOG, at)
            .with("foreign-nonceless", number(self.foreign_nonceless as u64), LOG, at)
            .with("audit-log-withheld", number(self.withheld), LOG, at)
            .with("audit-log-newer", self.newer, LOG, at)
    }
}

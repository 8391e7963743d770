//! The one state machine of a device in a domain.
//!
//! ```text
//!   seen ──► awaiting-approval ──► authorized ──► vouchered ──► enrolled ──► connected
//!     │                                 └───── configuration ──────►┘  (Wi-Fi Easy Connect)
//!     └────────────► refused ◄────────┘  (each new request is decided anew)
//!   any state ──► revoked (until reinstated)      any state ──► retired (a later request begins anew)
//! ```
//!
//! [`step`] takes the record, what happened and the time, and gives the new record and what must be done besides.

use crate::network::{
    Approval, ConfigurationSeen, DomainDevice, HistorySeen, LOG, Report, ReportKind, Ruled, VoucherSeen,
};
use landfall_policy::{Decision, Verdict};
use landfall_types::{
    Changes, DeviceId, Fault, Refusal, Time,
    record::{Unwritable, Version},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has shown itself, and nothing has been decided.
    Seen,
    /// A person must decide.
    AwaitingApproval,
    /// It may come in.
    Authorized,
    /// It may not come in.
    Refused,
    /// It has been sent a voucher.
    Vouchered,
    /// It has a certificate of this domain, or a configuration for its networks.
    Enrolled,
    /// It has shown that it uses its certificate, or that its configuration leads onto the network.
    Connected,
    /// It was thrown out.
    Revoked,
    /// It has left: sold, broken or no longer needed.
    Retired,
}

/// What can happen to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum DeviceEvent {
    /// It asked for a voucher, or for its configuration, and this was decided.
    Asked {
        /// The decision.
        decision: Decision,
    },
    /// An operator lets it in.
    Approved {
        /// Who.
        by: String,
    },
    /// An operator keeps it out.
    Rejected {
        /// Who.
        by: String,
    },
    /// Its manufacturer's audit log was read, and this was decided in view of it.
    HistoryRead {
        /// What it said.
        history: HistorySeen,
        /// The decision.
        decision: Decision,
    },
    /// A voucher is about to be sent to it.
    Vouchered {
        /// Which.
        voucher: VoucherSeen,
    },
    /// It reported something.
    Reported {
        /// What.
        report: Report,
    },
    /// A certificate is about to be sent to it: its first, or a new one.
    Certified {
        /// The serial number, in hexadecimal.
        serial: String,
    },
    /// A configuration is about to be sent to it (DPP s6.4).
    Configured {
        /// Which.
        configuration: ConfigurationSeen,
    },
    /// Its credentials are deleted; it may be onboarded anew, to the same network or to another one.
    Deleted {
        /// Who wants it.
        by: String,
        /// Why.
        why: String,
    },
    /// An operator throws it out.
    Revoked {
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// An operator takes a revocation back; the device must ask anew.
    Reinstated {
        /// Who.
        by: String,
    },
    /// It leaves.
    Retired {
        /// Who says so.
        by: String,
        /// Why.
        why: String,
    },
}

/// What must be done besides writing the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask an operator whether it may come in.
    AskOperator,
    /// Tell an operator.
    Alert(String),
    /// Revoke all its certificates, and delete its other credentials.
    RevokeCertificates {
        /// Who wants it.
        by: String,
        /// Why.
        why: String,
    },
    /// Forget the voucher that was fetched ahead for it.
    ForgetVoucher,
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a step that is not committed did not happen"]
pub struct Step {
    /// The record from now on.
    pub device: DomainDevice,
    /// What must be done besides.
    pub effects: Vec<Effect>,
    entry: LogEntry,
}

/// What the log says of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct LogEntry {
    at: Time,
    device: DeviceId,
    from: State,
    to: State,
    #[serde(flatten)]
    event: DeviceEvent,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seen => "seen",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Authorized => "authorized",
            Self::Refused => "refused",
            Self::Vouchered => "vouchered",
            Self::Enrolled => "enrolled",
            Self::Connected => "connected",
            Self::Revoked => "revoked",
            Self::Retired => "retired",
        })
    }
}

impl State {
    /// Whether the device has had a voucher, so that it may enrol and report.
    pub const fn is_inside(self) -> bool {
        matches!(self, Self::Vouchered | Self::Enrolled | Self::Connected)
    }
}

impl Step {
    /// The changes to commit; `version` is that of the record that the step was made from, none if it is new.
    pub fn changes(&self, version: Option<Version>) -> Result<Changes, Unwritable> {
        let changes = match version {
            Some(version) => Changes::new().put_if(&self.device, version)?,
            None => Changes::new().insert(&self.device)?,
        };
        Ok(changes.and(self.entry()?))
    }

    /// What goes to the log, without the record: for whoever takes several steps and writes the record once.
    pub fn entry(&self) -> Result<Changes, Unwritable> {
        Changes::new().append(LOG, &self.entry)
    }
}

/// What follows from `event` for `device` at `now`; a refusal if it cannot happen in the device's state.
///
/// A device that shows itself for the first time is given as [`DomainDevice::seen`].
pub fn step(device: &DomainDevice, event: DeviceEvent, now: Time) -> Result<Step, Refusal> {
    let entry = event.clone();
    let mut next = Next { device: device.clone(), effects: Vec::new(), now };
    match event {
        DeviceEvent::Asked { decision } => next.asked(decision)?,
        DeviceEvent::Approved { by } => next.judged(true, by)?,
        DeviceEvent::Rejected { by } => next.judged(false, by)?,
        DeviceEvent::HistoryRead { history, decision } => next.history_read(history, decision)?,
        DeviceEvent::Vouchered { voucher } => next.vouchered(voucher)?,
        DeviceEvent::Reported { report } => next.reported(report)?,
        DeviceEvent::Certified { serial } => next.certified(serial)?,
        DeviceEvent::Configured { configuration } => next.configured(configuration)?,
        DeviceEvent::Deleted { by, why } => next.deleted(by, why)?,
        DeviceEvent::Revoked { by, why } => next.thrown_out(State::Revoked, by, why)?,
        DeviceEvent::Reinstated { by: _ } => next.reinstated()?,
        DeviceEvent::Retired { by, why } => next.thrown_out(State::Retired, by, why)?,
    }
    let Next { device: after, effects, .. } = next;
    let (from, to) = (device.state, after.state);
    let entry = LogEntry { at: now, device: after.identity.device.clone(), from, to, event: entry };
    Ok(Step { device: after, effects, entry })
}

/// Whether a device may be issued a certificate: only after its voucher, and not once it was thrown out (RFC 8995 s5.9;
/// after a bad audit log the registrar must refuse all EST requests, s5.8.3).
pub fn may_enrol(device: Option<&DomainDevice>) -> Result<&DomainDevice, Refusal> {
    match device {
        Some(device) if device.state.is_inside() => Ok(device),
        Some(device) => Err(refused("enrol-after-voucher", device, "cannot be issued a certificate")),
        None => {
            let detail = "this device has not asked for a voucher here";
            Err(Refusal::new(Fault::Denied, "enrol-after-voucher", "RFC 8995 s5.9", detail))
        }
    }
}

/// A step in the making.
struct Next {
    device: DomainDevice,
    effects: Vec<Effect>,
    now: Time,
}

impl Next {
    fn go(&mut self, state: State) {
        if self.device.state != state {
            self.device.state = state;
            self.device.since = self.now;
        }
    }

    /// RFC 8995 s5.3: every request is decided anew, so that a device that was reset can come back.
    fn asked(&mut self, decision: Decision) -> Result<(), Refusal> {
        if self.device.state == State::Revoked {
            return Err(refused("device-revoked", &self.device, "must be reinstated before it can ask"));
        }
        if self.device.state == State::Retired {
            // Whatever an operator said about it before, it was said about its former life here.
            self.device.approval = None;
        }
        self.device.last_asked = self.now;
        self.rule(decision);
        Ok(())
    }

    /// RFC 8995 s5.8.3: the audit log can still turn a decision round.
    fn history_read(&mut self, history: HistorySeen, decision: Decision) -> Result<(), Refusal> {
        let early = matches!(self.device.state, State::Authorized | State::AwaitingApproval);
        if !early && !self.device.state.is_inside() {
            return Err(refused("device-authorized", &self.device, "is not being taken in"));
        }
        if !history.foreign_nonceless.is_empty() {
            let count = history.foreign_nonceless.len();
            let serial = &self.device.identity.serial_number;
            self.effects.push(Effect::Alert(format!(
                "{count} other domains have had vouchers without a nonce for {serial}: they could take it over"
            )));
        }
        self.device.history = Some(history);
        match decision.verdict {
            // A device inside stays where it is as long as nothing speaks against it.
            Verdict::Permit if self.device.state.is_inside() => self.remember(decision),
            _ => self.rule(decision),
        }
        Ok(())
    }

    fn remember(&mut self, decision: Decision) {
        self.device.decision = Some(Ruled { at: self.now, decision });
    }

    fn rule(&mut self, decision: Decision) {
        let verdict = decision.verdict;
        self.remember(decision);
        match verdict {
            Verdict::Permit => self.go(State::Authorized),
            Verdict::Deny => self.go(State::Refused),
            Verdict::Ask => {
                if self.device.state != State::AwaitingApproval {
                    self.effects.push(Effect::AskOperator);
                }
                self.go(State::AwaitingApproval);
            }
        }
    }

    fn judged(&mut self, approved: bool, by: String) -> Result<(), Refusal> {
        let state = self.device.state;
        if state.is_inside() || matches!(state, State::Revoked | State::Retired) {
            return Err(refused("device-waiting", &self.device, "does not wait to be taken in"));
        }
        let knowing = self.device.history.as_ref().map(|history| history.foreign_domains.clone()).unwrap_or_default();
        self.device.approval = Some(Approval { approved, by, at: self.now, knowing });
        self.go(if approved { State::Authorized } else { State::Refused });
        Ok(())
    }

    fn vouchered(&mut self, voucher: VoucherSeen) -> Result<(), Refusal> {
        // The same device may have lost the voucher on its way, and ask again.
        if !matches!(self.device.state, State::Authorized | State::Vouchered) {
            return Err(refused("device-authorized", &self.device, "cannot be sent a voucher"));
        }
        if voucher.from_stock {
            self.effects.push(Effect::ForgetVoucher);
        }
        self.device.voucher = Some(voucher);
        self.go(State::Vouchered);
        Ok(())
    }

    fn reported(&mut self, report: Report) -> Result<(), Refusal> {
        // DPP s6.4.3: it may come in, and could be given nothing.
        let unconfigured =
            self.device.state == State::Authorized && report.about == ReportKind::Configuration && !report.success;
        if !self.device.state.is_inside() && !unconfigured {
            return Err(refused("device-vouchered", &self.device, "has nothing to report"));
        }
        let serial = &self.device.identity.serial_number;
        if !report.success {
            let why = report.reason.as_deref().unwrap_or("it does not say why");
            self.effects.push(Effect::Alert(format!("{serial} reports a failure: {why}")));
        }
        // RFC 8995 s5.9.4: success is reported over a connection with the new certificate.
        if report.success && report.about == ReportKind::Enrolment {
            match report.with_new_certificate {
                Some(true) if self.device.state == State::Enrolled => self.go(State::Connected),
                Some(true) => {}
                _ => self.effects.push(Effect::Alert(format!(
                    "{serial} reports its enrolment over a connection without its new certificate"
                ))),
            }
        }
        // DPP s6.4.5: the device tells whether its configuration led onto the network.
        if report.success && report.about == ReportKind::Connection && self.device.state == State::Enrolled {
            self.go(State::Connected);
        }
        self.device.add_report(report);
        Ok(())
    }

    fn certified(&mut self, serial: String) -> Result<(), Refusal> {
        may_enrol(Some(&self.device))?;
        self.device.certificate = Some(serial);
        if self.device.state == State::Vouchered {
            self.go(State::Enrolled);
        }
        Ok(())
    }

    fn configured(&mut self, configuration: ConfigurationSeen) -> Result<(), Refusal> {
        // The same device may have lost its configuration on the way, and ask again.
        if !matches!(self.device.state, State::Authorized | State::Enrolled) {
            return Err(refused("device-authorized", &self.device, "cannot be sent a configuration"));
        }
        self.device.configuration = Some(configuration);
        self.go(State::Enrolled);
        Ok(())
    }

    fn deleted(&mut self, by: String, why: String) -> Result<(), Refusal> {
        if !self.device.state.is_inside() {
            return Err(refused("device-inside", &self.device, "has no credentials"));
        }
        self.effects.push(Effect::RevokeCertificates { by, why });
        self.device.configuration = None;
        self.device.certificate = None;
        self.go(State::Seen);
        Ok(())
    }

    fn thrown_out(&mut self, state: State, by: String, why: String) -> Result<(), Refusal> {
        if self.device.state == state {
            return Err(refused("device-state", &self.device, "cannot become so again"));
        }
        self.effects.push(Effect::RevokeCertificates { by, why });
        self.effects.push(Effect::ForgetVoucher);
        self.go(state);
        Ok(())
    }

    fn reinstated(&mut self) -> Result<(), Refusal> {
        if self.device.state != State::Revoked {
            return Err(refused("device-state", &self.device, "has not been thrown out"));
        }
        self.go(State::Seen);
        Ok(())
    }
}

fn refused(check: &'static str, device: &DomainDevice, what: &str) -> Refusal {
    let detail = format!("{} is {}, and {what}", device.identity.serial_number, device.state);
    Refusal::new(Fault::Denied, check, "RFC 8995 s5.3", detail)
}

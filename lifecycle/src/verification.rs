//! Process 5 (the guide's 4.5): is the device still what it was when it joined?
//!
//! Its network credential has a [standing]; what is known of it besides is ruled by policy, and what follows from that is an
//! [`Assessment`].

mod assessment;
mod brake;

pub use assessment::{Assessment, Effect, Heard, Held, Manners, POLICY, Step, assess};
pub use brake::{Brake, BrakeManners, Braked};

use crate::{device::State, network::DomainDevice};
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a device stands at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its credential is good.
    Good,
    /// Its credential is good and should be renewed: two thirds of its life are over.
    RenewalDue,
    /// Its credential has expired.
    Expired,
    /// It has no credential, or not any more: it was never enrolled, or was revoked, refused or retired.
    Out,
}

/// A network credential, as far as its standing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// From when it is valid.
    pub not_before: Time,
    /// Until when it is valid.
    pub not_after: Time,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// How `device` stands at `now` with its latest credential.
pub fn standing(device: &DomainDevice, credential: Option<Credential>, now: Time) -> Standing {
    let inside = matches!(device.state, State::Enrolled | State::Connected);
    match credential.filter(|credential| inside && !credential.revoked) {
        None => Standing::Out,
        Some(credential) if now > credential.not_after => Standing::Expired,
        Some(credential) if now >= renewal_due(credential.not_before, credential.not_after) => Standing::RenewalDue,
        Some(_) => Standing::Good,
    }
}

/// When a certificate should be renewed: after two thirds of its life.
pub fn renewal_due(not_before: Time, not_after: Time) -> Time {
    let third = not_after.since(not_before) / 3;
    not_before + third.saturating_mul(2).max(Duration::from_secs(1))
}

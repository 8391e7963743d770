//! Process 5 (the guide's 4.5): is the device still what it was when it joined?
//!
//! What is verified so far is its network credential.

use crate::{
    device::State,
    network::{DomainDevice, IssuedCertificate},
};
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

/// How `device` stands at `now` with its latest certificate.
pub fn standing(device: &DomainDevice, certificate: Option<&IssuedCertificate>, now: Time) -> Standing {
    let inside = matches!(device.state, State::Enrolled | State::Connected);
    match certificate.filter(|certificate| inside && certificate.is_good()) {
        None => Standing::Out,
        Some(certificate) if now > certificate.not_after => Standing::Expired,
        Some(certificate) if now >= renewal_due(certificate.not_before, certificate.not_after) => Standing::RenewalDue,
        Some(_) => Standing::Good,
    }
}

/// When a certificate should be renewed: after two thirds of its life.
pub fn renewal_due(not_before: Time, not_after: Time) -> Time {
    let third = not_after.since(not_before) / 3;
    not_before + third.saturating_mul(2).max(Duration::from_secs(1))
}

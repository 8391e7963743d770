//! What is known of a device that wants to join, for the role and its policy (RFC 8995 s5.3, s5.8.3).

use super::{History, MasaEndpoint, Pledge, Source};
use crate::voucher::{Assertion, Nonce};
use landfall_pki::Certificate;
use landfall_policy::{Decision, Facts, acceptance};
use landfall_types::{DeviceId, DomainId, Model, SerialNumber, Time, VendorId};

/// Everything that has been verified so far.
#[derive(Clone, Debug)]
pub struct JoinFacts {
    /// How far the exchange has come.
    pub stage: Stage,
    /// The device.
    pub device: DeviceId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// Its vendor.
    pub vendor: VendorId,
    /// Its model, as far as its IDevID tells.
    pub model: Option<Model>,
    /// Its IDevID.
    pub idevid: Certificate,
    /// The nonce of its request.
    pub nonce: Option<Nonce>,
    /// When it says that it made the request; devices without a clock do not say.
    pub created_on: Option<Time>,
    /// The MASA that it depends on.
    pub masa: MasaEndpoint,
}

/// How far the exchange has come.
#[derive(Clone, Debug)]
pub enum Stage {
    /// The pledge's request is good; the MASA has not been asked.
    BeforeMasa,
    /// There is a good voucher; it has not been handed out.
    WithVoucher {
        /// What the MASA asserts.
        assertion: Assertion,
        /// What the voucher pins.
        domain: DomainId,
        /// Where it came from.
        source: Source,
        /// Which domains have had vouchers for the device.
        history: History,
    },
}

/// What the role has decided.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// Whether an operator could turn a denial round, by adding the vendor to a list for example; the pledge then
    /// sees 403 in place of 404 (RFC 8995 s5.3).
    pub for_now: bool,
}

impl From<Decision> for Ruling {
    fn from(decision: Decision) -> Self {
        Self { decision, for_now: false }
    }
}

impl JoinFacts {
    pub(super) fn new(
        pledge: &Pledge,
        nonce: Option<Nonce>,
        created_on: Option<Time>,
        masa: &MasaEndpoint,
        stage: Stage,
    ) -> Self {
        Self {
            stage,
            device: pledge.device.clone(),
            serial: pledge.serial.clone(),
            vendor: pledge.vendor.id.clone(),
            model: pledge.model.clone(),
            idevid: pledge.idevid.clone(),
            nonce,
            created_on,
            masa: masa.clone(),
        }
    }

    /// The same as facts for a policy, by the names of [`landfall_policy::acceptance`].
    pub fn facts(&self, at: Time) -> Facts {
        const IDEVID: &str = "IDevID";
        let mut facts = Facts::new()
            .with(acceptance::DEVICE, self.device.as_str(), IDEVID, at)
            .with(acceptance::MANUFACTURER, self.vendor.as_str(), "the anchors that the IDevID chains to", at)
            .with(acceptance::SERIAL_NUMBER, self.serial.as_str(), IDEVID, at)
            .with(acceptance::HARDWARE_BACKED, self.idevid.is_hardware_backed(), IDEVID, at)
            .with("masa", self.masa.to_string(), IDEVID, at);
        if let Some(model) = &self.model {
            facts = facts.with(acceptance::MODEL, model.as_str(), IDEVID, at);
        }
        if let Some(url) = self.idevid.mud_url() {
            facts = facts.with("mud-url", url, IDEVID, at);
        }
        let Stage::WithVoucher { assertion, source, history, .. } = &self.stage else { return facts };
        facts = facts.with(acceptance::ASSERTION, assertion.as_str(), "voucher", at).with(
            "voucher-stored",
            *source == Source::Stored,
            "registrar",
            at,
        );
        match history {
            History::Known(findings) => findings.facts(facts, at),
            History::NotAsked | History::Unavailable(_) => facts,
        }
    }
}

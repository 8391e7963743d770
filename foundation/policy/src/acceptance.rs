//! Which devices a domain takes in (RFC 8995 s5.3): the names of the facts, and the usual rules ready-made.

use crate::{
    decide::Verdict,
    rule::{Condition, Policy, Rule, Test},
};
use serde::{Deserialize, Serialize};

/// The manufacturer, as the operator names it: the one whose anchors the IDevID chains to.
pub const MANUFACTURER: &str = "manufacturer";
/// The model, as the IDevID tells it.
pub const MODEL: &str = "model";
/// The serial number, as the IDevID tells it.
pub const SERIAL_NUMBER: &str = "serial-number";
/// The device's id in our records: unlike the serial number, it cannot be that of another manufacturer's device.
pub const DEVICE: &str = "device";
/// Whether an operator has approved this very device.
pub const APPROVED: &str = "approved";
/// Whether an operator has refused this very device.
pub const REJECTED: &str = "rejected";
/// Whether this device has been revoked here.
pub const REVOKED: &str = "revoked";
/// The domains other than ours in the MASA's audit log of the device (RFC 8995 s5.8).
pub const FOREIGN_DOMAINS: &str = "foreign-domains";
/// Whether that log names other domains, beyond those that an operator knew of when approving the device.
pub const FOREIGN_OWNER: &str = "foreign-owner";
/// What the device wants to be in a network that it is to be configured for: `sta` or `ap`.
pub const NETWORK_ROLE: &str = "network-role";
/// Whether the device authenticated the network, or takes whoever has its bootstrapping key.
pub const NETWORK_AUTHENTICATED: &str = "network-authenticated";
/// How the device became known to its owner: `qr`, `uri`, `nfc`, `file`, `upload`, `sale`, `pkex`, by a code, or
/// `push-button`.
pub const INTRODUCED: &str = "introduced";
/// The release of Wi-Fi Easy Connect that the device speaks.
pub const RELEASE: &str = "easy-connect-release";
/// Where the device's description is (RFC 8520), as it says itself.
pub const MUD_URL: &str = "mud-url";
/// The assertion of the voucher.
pub const ASSERTION: &str = "assertion";

/// Whether the manufacturer has verified that the birth key lives in hardware and cannot leave it.
pub const HARDWARE_BACKED: &str = "hardware-backed";
/// Whether the device proves the same of the key that it wants a certificate for.
pub const LDEVID_HARDWARE_BACKED: &str = "ldevid-hardware-backed";

/// How the evidence of what software the device runs was appraised: `affirming`, `warning`, `none`, `contraindicated`.
pub const ATTESTATION: &str = "attestation";
/// The release of its firmware, as that evidence tells it.
pub const FIRMWARE: &str = "firmware";

/// The set of serial numbers that [`Acceptance`] makes.
pub const ALLOWED_SERIALS: &str = "allowed-serials";

/// The usual acceptance policy, in the few words that most operators need; [`Acceptance::policy`] spells it out.
///
/// Every list that is given must hold the device; a list that is empty restricts nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Acceptance {
    /// Manufacturers to accept.
    pub manufacturers: Vec<String>,
    /// Models to accept.
    pub models: Vec<String>,
    /// Serial numbers to accept; as many as you like.
    pub serials: Vec<String>,
    /// What becomes of devices outside the lists: denied, unless a person is to be asked.
    pub others: Verdict,
    /// What becomes of devices on the lists: permitted, unless a person is to be asked about those too.
    pub listed: Listed,
    /// What becomes of devices that another domain has registered before, by their manufacturer's audit log, whatever the
    /// lists say: a person is asked, unless they are permitted or denied. An approval settles it for the domains that were
    /// known when it was given.
    pub foreign_owner: Verdict,
    /// Which credentials must have their keys in hardware, proven; whatever the lists or a person say, a device without is
    /// denied.
    pub require_hardware_backed: Vec<Credential>,
}

/// A credential of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// What it was born with.
    Idevid,
    /// What the domain issues to it.
    Ldevid,
}

impl Default for Acceptance {
    fn default() -> Self {
        Self {
            manufacturers: Vec::new(),
            models: Vec::new(),
            serials: Vec::new(),
            others: Verdict::default(),
            listed: Listed::default(),
            foreign_owner: Verdict::Ask,
            require_hardware_backed: Vec::new(),
        }
    }
}

/// What becomes of a device that is on every list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listed {
    /// It is taken in.
    #[default]
    Permit,
    /// A person decides.
    Ask,
}

impl Acceptance {
    /// The policy. What was revoked or what a person refused stays out; what others had before waits for a person; what a
    /// person approved comes in; then the lists.
    ///
    /// Without any list nothing is listed, and `others` applies to every device.
    pub fn policy(&self) -> Policy {
        let mut rules = vec![
            Rule::new("revoked devices stay out", vec![Condition::is(REVOKED, true)], Verdict::Deny),
            Rule::new("refused by an operator", vec![Condition::is(REJECTED, true)], Verdict::Deny),
        ];
        for credential in &self.require_hardware_backed {
            let (name, fact) = match credential {
                Credential::Idevid => ("birth key not proven to be in hardware", HARDWARE_BACKED),
                Credential::Ldevid => ("key of the request not proven to be in hardware", LDEVID_HARDWARE_BACKED),
            };
            rules.push(Rule::new(name, vec![Condition::is(fact, false)], Verdict::Deny));
        }
        // RFC 8995 s5.8.3: an approval that was given before the log was known does not count here.
        if self.foreign_owner != Verdict::Permit {
            let when = vec![Condition::is(FOREIGN_OWNER, true)];
            rules.push(Rule::new("registered by another domain", when, self.foreign_owner));
        }
        rules.push(Rule::new("approved by an operator", vec![Condition::is(APPROVED, true)], Verdict::Permit));
        let when = self.lists();
        if !when.is_empty() {
            let then = match self.listed {
                Listed::Permit => Verdict::Permit,
                Listed::Ask => Verdict::Ask,
            };
            rules.push(Rule::new("on the acceptance lists", when, then));
        }
        Policy::new(rules, self.others).with_set(ALLOWED_SERIALS, self.serials.iter().cloned())
    }

    fn lists(&self) -> Vec<Condition> {
        let one_of = |fact, list: &Vec<String>| Condition::passes(fact, Test::OneOf(list.clone()));
        let lists = [
            (!self.manufacturers.is_empty()).then(|| one_of(MANUFACTURER, &self.manufacturers)),
            (!self.models.is_empty()).then(|| one_of(MODEL, &self.models)),
            (!self.serials.is_empty()).then(|| Condition::passes(SERIAL_NUMBER, Test::InSet(ALLOWED_SERIALS.into()))),
        ];
        lists.into_iter().flatten().collect()
    }
}

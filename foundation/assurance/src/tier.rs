//! How far a device can be trusted, by its whole background (the guide's 7.10), in steps of which each has its reasons.

use crate::{
    dossier::{Dossier, Known, Mark, MarkKind},
    fact::Kind,
    grace::Grace,
};
use landfall_policy::Value;
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, time::Duration};

/// So long something that spoke against a device is held against it.
const MEMORY: Duration = Duration::from_secs(90 * 24 * 3600);

/// How far a device can be trusted; more is greater. Each needs all that the one below it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Something speaks against it now.
    Contraindicated,
    /// It is not even known who it is.
    #[default]
    Unknown,
    /// It has proven who it is.
    Identified,
    /// It and its manufacturer are trusted by those who may say so.
    Trusted,
    /// What runs in it is known and without grave vulnerabilities, as is what it is to communicate with.
    Assured,
    /// Its keys are in hardware, and its evidence affirms what runs.
    Rooted,
}

/// A tier with its reasons: a background check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Background {
    /// The tier.
    pub tier: Tier,
    /// What speaks for it.
    pub claims: Vec<Claim>,
    /// What is missing for the next one, or stands against it.
    pub wanting: Vec<Claim>,
    /// What spoke against the device and is not forgotten.
    pub marks: Vec<Mark>,
}

/// One claim about a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Claim {
    /// What kind of thing is claimed.
    pub kind: Kind,
    /// In words.
    pub text: String,
}

impl Tier {
    /// As policies see it, from 0 to 5.
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contraindicated => "contraindicated",
            Self::Unknown => "unknown",
            Self::Identified => "identified",
            Self::Trusted => "trusted",
            Self::Assured => "assured",
            Self::Rooted => "rooted",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What each step needs.
const STEPS: [(Tier, &[Kind]); 4] = [
    (Tier::Identified, &[Kind::IdentityProven]),
    (Tier::Trusted, &[Kind::ManufacturerTrusted, Kind::DeviceTrusted, Kind::TypeBound]),
    (Tier::Assured, &[Kind::SbomKnown, Kind::VulnerabilityScore, Kind::IntentKnown]),
    (Tier::Rooted, &[Kind::HardwareBacked, Kind::LdevidHardwareBacked, Kind::Attestation]),
];

/// What speaks against a device if it is known.
const AGAINST: [Kind; 6] = [
    Kind::ManufacturerTrusted,
    Kind::DeviceTrusted,
    Kind::VulnerabilityScore,
    Kind::KnownExploited,
    Kind::DenyListContact,
    Kind::Attestation,
];

/// From here on a vulnerability is critical (CVSS 3.1 s5), in tenths.
const CRITICAL: i64 = 90;
/// From here on it is high.
const HIGH: i64 = 70;

impl Dossier {
    /// The background check of the device, as it is at `now`.
    pub fn background(&self, grace: &Grace, now: Time) -> Background {
        let held = |kind| match self.known(kind, grace, now) {
            Known::Holds(value, _) => Some(value),
            Known::Missing | Known::Stale(_) => None,
        };
        let claim = |kind: Kind, text: String| Claim { kind, text };
        let marks: Vec<Mark> = self.marks(now).cloned().collect();
        let against =
            AGAINST.into_iter().filter_map(|kind| Some((kind, held(kind).filter(|it| is_against(kind, it))?)));
        let against: Vec<Claim> = against.map(|(kind, value)| claim(kind, format!("{kind} is {value}"))).collect();
        if !against.is_empty() {
            return Background { tier: Tier::Contraindicated, claims: Vec::new(), wanting: against, marks };
        }
        let mut background = Background { tier: Tier::Unknown, marks, ..Background::default() };
        for (tier, kinds) in STEPS {
            let (mut claims, mut wanting) = (Vec::new(), Vec::new());
            for kind in kinds.iter().copied() {
                match held(kind) {
                    Some(value) if is_for(kind, &value) => claims.push(claim(kind, format!("{kind} is {value}"))),
                    Some(value) => wanting.push(claim(kind, format!("{kind} is {value}"))),
                    None => wanting.push(claim(kind, format!("{kind} is not known"))),
                }
            }
            // Who was compromised is believed again what others say of it, but not yet what it says of itself.
            if tier > Tier::Trusted {
                let remembered = background.marks.iter().filter(|mark| mark.what != MarkKind::Distrusted);
                wanting.extend(remembered.map(|mark| claim(mark.what.kind(), format!("{} at {}", mark.what, mark.at))));
            }
            background.claims.extend(claims);
            if !wanting.is_empty() {
                background.wanting = wanting;
                return background;
            }
            background.tier = tier;
        }
        background
    }

    /// What spoke against the device within memory.
    pub(crate) fn marks(&self, now: Time) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter(move |mark| now.since(mark.at) < MEMORY)
    }

    /// The names of that.
    pub(crate) fn mark_names(&self, now: Time) -> BTreeSet<String> {
        self.marks(now).map(|mark| mark.what.to_string()).collect()
    }
}

impl MarkKind {
    const fn kind(self) -> Kind {
        match self {
            Self::DenyListContact => Kind::DenyListContact,
            Self::KnownExploited => Kind::KnownExploited,
            Self::Contraindicated => Kind::Attestation,
            Self::Distrusted => Kind::DeviceTrusted,
        }
    }
}

impl fmt::Display for MarkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DenyListContact => "deny-list-contact",
            Self::KnownExploited => "known-exploited",
            Self::Contraindicated => "contraindicated",
            Self::Distrusted => "distrusted",
        })
    }
}

fn is_for(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Attestation, Value::Text(tier)) => tier == "affirming",
        (Kind::VulnerabilityScore, Value::Number(score)) => *score < HIGH,
        (_, value) => *value == true.into(),
    }
}

fn is_against(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Attestation, Value::Text(tier)) => tier == "contraindicated",
        (Kind::VulnerabilityScore, Value::Number(score)) => *score >= CRITICAL,
        (_, Value::List(list)) => !list.is_empty(),
        (_, value) => *value == false.into(),
    }
}

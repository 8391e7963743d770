//! What is known of devices, and what policies make of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "it/decide.rs"]
mod decide;
#[path = "it/dossier.rs"]
mod dossier;
#[path = "it/examples.rs"]
mod examples;
#[path = "it/policies.rs"]
mod policies;
#[path = "it/tier.rs"]
mod tier;

use landfall_assurance::{Dossier, Fact, Grace, Kind, Level, Policies, Question, Ruling, Taken};
use landfall_policy::Value;
use landfall_types::{DeviceId, Time};
use std::time::Duration;

const NOW: Time = Time::from_unix(1_800_000_000);

fn device() -> DeviceId {
    DeviceId::new(&[7; 20], &"KT5-1".parse().unwrap())
}

fn fact(kind: Kind, value: impl Into<Value>) -> Fact {
    Fact {
        subject: device(),
        kind,
        value: value.into(),
        source: "test".into(),
        issuer: None,
        at: NOW,
        expires: None,
        verifier: "test".into(),
    }
}

fn later(fact: Fact, seconds: u64) -> Fact {
    Fact { at: fact.at + Duration::from_secs(seconds), ..fact }
}

fn until(fact: Fact, seconds: u64) -> Fact {
    Fact { expires: Some(fact.at + Duration::from_secs(seconds)), ..fact }
}

fn take(dossier: &mut Dossier, fact: Fact) -> Taken {
    let at = fact.at;
    dossier.take(fact, at).unwrap()
}

/// A device of which everything is known, and all of it good.
fn good() -> Dossier {
    let mut dossier = Dossier::new(device(), NOW);
    for kind in Kind::ALL {
        let value = kind.favourable().unwrap_or_else(|| match kind {
            Kind::SbomSources => vec!["manufacturer".to_owned()].into(),
            Kind::TestCertificates => vec!["etsi-en-303-645".to_owned()].into(),
            Kind::DeviceType => "kestrel/thermostat".into(),
            _ => "ours".into(),
        });
        assert_eq!(take(&mut dossier, fact(kind, value)), Taken::News);
    }
    dossier
}

fn stay(policies: &Policies, dossier: &Dossier, now: Time) -> Ruling {
    policies.decide(dossier, Question::Stay, Level::Full, &Grace::default(), now)
}

fn names(ruling: &Ruling) -> Vec<&str> {
    ruling.reasons.iter().map(|reason| reason.policy.as_str()).collect()
}

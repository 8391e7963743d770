use crate::{NOW, fact, good, later, take};
use landfall_assurance::{Dossier, Grace, Kind, Tier};
use landfall_policy::Value;
use std::time::Duration;

fn tier(dossier: &Dossier) -> Tier {
    dossier.background(&Grace::default(), NOW + Duration::from_secs(60)).tier
}

#[test]
fn each_step_needs_all_below_it() {
    let all = good();
    assert_eq!(tier(&all), Tier::Rooted);
    for (missing, then) in [
        (Kind::Attestation, Tier::Assured),
        (Kind::SbomKnown, Tier::Trusted),
        (Kind::TypeBound, Tier::Identified),
        (Kind::IdentityProven, Tier::Unknown),
    ] {
        let mut dossier = all.clone();
        dossier.facts.retain(|fact| fact.kind != missing);
        assert_eq!(tier(&dossier), then, "without {missing}");
        let background = dossier.background(&Grace::default(), NOW);
        assert!(background.wanting.iter().any(|claim| claim.kind == missing), "{background:?}");
    }
}

#[test]
fn what_speaks_against_it_outweighs_everything() {
    let against: [(Kind, Value); 6] = [
        (Kind::DeviceTrusted, false.into()),
        (Kind::ManufacturerTrusted, false.into()),
        (Kind::VulnerabilityScore, 90.into()),
        (Kind::KnownExploited, vec!["CVE-2026-1".to_owned()].into()),
        (Kind::DenyListContact, vec!["192.0.2.1".to_owned()].into()),
        (Kind::Attestation, "contraindicated".into()),
    ];
    for (kind, value) in against {
        let mut dossier = good();
        take(&mut dossier, later(fact(kind, value), 1));
        assert_eq!(tier(&dossier), Tier::Contraindicated, "{kind}");
    }
}

#[test]
fn who_was_compromised_is_not_assured_for_90_days() {
    let mut dossier = good();
    take(&mut dossier, later(fact(Kind::DenyListContact, vec!["192.0.2.1".to_owned()]), 1));
    take(&mut dossier, later(fact(Kind::DenyListContact, Vec::new()), 2));
    assert_eq!(tier(&dossier), Tier::Trusted);
    let after = NOW + Duration::from_secs(91 * 24 * 3600);
    assert_eq!(dossier.background(&Grace::default(), after).tier, Tier::Rooted);
}

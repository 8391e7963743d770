//! Each example policy once as allow and once as deny: because something else is known, because nothing is, and because what
//! was known is so no longer.

use crate::{NOW, fact, good, later, names, stay, take, until};
use landfall_assurance::{EXAMPLES, Kind, Level, Policies, Question};
use landfall_policy::Value;
use std::time::Duration;

/// The example of that name alone, next to a permit.
fn example(name: &str) -> Policies {
    let begin = EXAMPLES.find(&format!("@id(\"{name}\")")).unwrap();
    let text = EXAMPLES[begin..].split_inclusive(';').next().unwrap();
    Policies::parse(&format!("@id(\"all\") permit (principal, action, resource);\n{text}")).unwrap()
}

fn list(text: &str) -> Value {
    vec![text.to_owned()].into()
}

#[test]
fn each_dimension_allows_denies_and_denies_no_longer() {
    let dimensions: [(&str, Kind, Value); 17] = [
        ("owner-known", Kind::Owner, "".into()),
        ("provenance-known", Kind::ProvenanceKnown, false.into()),
        ("identity-proven", Kind::IdentityProven, false.into()),
        ("manufacturer-trusted", Kind::ManufacturerTrusted, false.into()),
        ("device-trusted", Kind::DeviceTrusted, false.into()),
        ("type-bound", Kind::TypeBound, false.into()),
        ("paid", Kind::Paid, false.into()),
        ("tested", Kind::TestCertificates, Vec::new().into()),
        ("intent-known", Kind::IntentKnown, false.into()),
        ("software-known", Kind::SbomKnown, false.into()),
        ("export-permitted", Kind::ExportPermitted, false.into()),
        ("licensed", Kind::Licensed, false.into()),
        ("compliant", Kind::Compliant, false.into()),
        ("vulnerability-low", Kind::VulnerabilityScore, 98.into()),
        ("attested", Kind::Attestation, "warning".into()),
        ("deny-list-clean", Kind::DenyListContact, list("192.0.2.66")),
        ("intent-kept", Kind::IntentViolations, 61.into()),
    ];
    let soon = NOW + Duration::from_secs(60);
    for (name, kind, bad) in dimensions {
        let policies = example(name);
        for question in [Question::Join, Question::Stay] {
            let decide = |dossier| policies.decide(&dossier, question.clone(), Level::Full, &Default::default(), soon);
            assert_eq!(decide(good()).level, Level::Full, "{name} allows");
            let mut dossier = good();
            take(&mut dossier, later(fact(kind, bad.clone()), 1));
            let ruling = decide(dossier.clone());
            assert!(ruling.level <= Level::Quarantine && names(&ruling) == [name], "{name} denies: {ruling:?}");
            // And allows again, once it is so again.
            let again = good().of(kind).next().unwrap().clone();
            take(&mut dossier, later(again, 2));
            assert_eq!(decide(dossier).level, Level::Full, "{name} allows again");
            if name == "intent-kept" {
                continue; // Who breaks no rule breaks none, watched or not.
            }
            let mut dossier = good();
            dossier.facts.retain(|fact| fact.kind != kind);
            assert_eq!(names(&decide(dossier)), [name], "{name} is not known");
            let mut dossier = good();
            dossier.facts.iter_mut().filter(|fact| fact.kind == kind).for_each(|fact| *fact = until(fact.clone(), 60));
            let ruling = decide(dossier);
            assert_eq!((names(&ruling), ruling.stale.clone()), (vec![name], vec![kind]), "{name} no longer");
        }
    }
}

#[test]
fn guests_are_somebody_elses() {
    let policies = example("owner-ours");
    let mut dossier = good();
    assert_eq!(stay(&policies, &dossier, NOW).level, Level::Full);
    take(&mut dossier, fact(Kind::Owner, "guest:pine-street"));
    assert_eq!(names(&stay(&policies, &dossier, NOW)), ["owner-ours"]);
}

#[test]
fn an_operation_may_need_a_background() {
    let policies = example("background");
    let operate = |dossier| {
        let question = Question::Operate("unlock".into());
        policies.decide(&dossier, question, Level::Full, &Default::default(), NOW + Duration::from_secs(9)).level
    };
    assert_eq!(operate(good()), Level::Full);
    let mut dossier = good();
    take(&mut dossier, later(fact(Kind::KnownExploited, list("CVE-2026-1")), 1));
    assert_eq!(operate(dossier.clone()), Level::Blocked);
    // It is over, and not forgotten: it is trusted, as others say of it, and that is enough for this.
    take(&mut dossier, later(fact(Kind::KnownExploited, Vec::new()), 2));
    assert_eq!(operate(dossier), Level::Full);
}

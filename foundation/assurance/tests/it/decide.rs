use crate::{NOW, device, fact, good, later, names, stay, take, until};
use landfall_assurance::{Dossier, Grace, Kind, Level, Policies, Question};
use landfall_policy::Value;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn a_device_of_which_all_is_good_is_wholly_inside() {
    let (policies, dossier) = (Policies::default(), good());
    for question in [Question::Join, Question::Stay, Question::Operate("update".into())] {
        let ruling = policies.decide(&dossier, question, Level::Full, &Grace::default(), NOW);
        assert_eq!(ruling.level, Level::Full, "{ruling:?}");
        assert!(ruling.reasons.is_empty() && ruling.missing.is_empty() && !ruling.permitted_by.is_empty());
    }
}

/// Table G-1: each of the five checks, failed by what is said, by nothing being said, and by what was said having expired.
#[test]
fn each_of_the_five_checks_puts_a_device_off_the_network() {
    let policies = Policies::default();
    let listed: Value = vec!["192.0.2.66".to_owned()].into();
    let failed: [(Kind, Value, Level, &str); 6] = [
        (Kind::ManufacturerTrusted, false.into(), Level::Blocked, "manufacturer-trusted"),
        (Kind::DeviceTrusted, false.into(), Level::Blocked, "device-trusted"),
        (Kind::TypeBound, false.into(), Level::Blocked, "device-type-bound"),
        (Kind::VulnerabilityScore, 70.into(), Level::Remediation, "vulnerability-high"),
        (Kind::KnownExploited, listed.clone(), Level::Quarantine, "vulnerability-exploited"),
        (Kind::DenyListContact, listed, Level::Quarantine, "deny-list-contact"),
    ];
    for (kind, value, level, policy) in failed {
        let mut dossier = good();
        take(&mut dossier, later(fact(kind, value), 1));
        let ruling = stay(&policies, &dossier, NOW + Duration::from_secs(2));
        assert_eq!((ruling.level, names(&ruling)), (level, vec![policy]), "{ruling:?}");
        assert_eq!(ruling.blamed().into_iter().collect::<Vec<_>>(), ["test"]);
    }
    for kind in [Kind::ManufacturerTrusted, Kind::DeviceTrusted, Kind::TypeBound, Kind::DeviceType] {
        let mut dossier = good();
        dossier.facts.retain(|fact| fact.kind != kind);
        let ruling = stay(&policies, &dossier, NOW);
        assert_eq!((ruling.level, ruling.missing), (Level::Blocked, vec![kind]));
    }
    for (kind, level) in [(Kind::VulnerabilityScore, Level::Remediation), (Kind::DenyListContact, Level::Limited)] {
        let mut dossier = good();
        dossier.facts.iter_mut().filter(|fact| fact.kind == kind).for_each(|fact| *fact = until(fact.clone(), 10));
        let before = stay(&policies, &dossier, NOW);
        assert_eq!((before.level, before.next_check), (Level::Full, Some(NOW + Duration::from_secs(10))));
        let ruling = stay(&policies, &dossier, NOW + Duration::from_secs(10));
        assert_eq!((ruling.level, ruling.stale), (level, vec![kind]));
    }
}

#[test]
fn of_an_unknown_device_nothing_is_permitted() {
    let nothing = Dossier::new(device(), NOW);
    for question in [Question::Join, Question::Stay, Question::Operate("update".into())] {
        let ruling = Policies::default().decide(&nothing, question, Level::Blocked, &Grace::default(), NOW);
        assert_eq!(ruling.level, Level::Blocked);
        assert!(!ruling.reasons.is_empty());
    }
    let none = Policies::parse("").unwrap();
    assert_eq!(stay(&none, &good(), NOW).level, Level::Blocked, "what no policy permits is not permitted");
    assert_eq!(stay(&none, &good(), NOW).why(), "no policy permits it");
}

#[test]
fn an_operator_may_let_a_kind_be_unknown_for_a_while() {
    let policies = Policies::default();
    let mut dossier = good();
    dossier.facts.retain(|fact| fact.kind != Kind::DenyListContact);
    let grace = Grace([(Kind::DenyListContact, Duration::from_secs(60))].into());
    let at =
        |seconds| policies.decide(&dossier, Question::Stay, Level::Full, &grace, NOW + Duration::from_secs(seconds));
    let ruling = at(59);
    assert_eq!(
        (ruling.level, ruling.excused, ruling.next_check),
        (Level::Full, vec![Kind::DenyListContact], Some(NOW + Duration::from_secs(60)))
    );
    let ruling = at(60);
    assert_eq!((ruling.level, ruling.missing), (Level::Limited, vec![Kind::DenyListContact]));
}

#[test]
fn what_is_forbidden_stays_forbidden_whatever_permits_it() {
    let text = format!("{}\n@id(\"all\") permit (principal, action, resource);", landfall_assurance::DEFAULT);
    let mut dossier = good();
    take(&mut dossier, later(fact(Kind::DeviceTrusted, false), 1));
    assert_eq!(stay(&Policies::parse(&text).unwrap(), &dossier, NOW).level, Level::Blocked);
}

#[test]
fn a_policy_that_fails_permits_nothing() {
    let text = "@id(\"all\") permit (principal, action, resource);
        @id(\"fails\") forbid (principal, action, resource)
        when { context has vulnerability_score && context.vulnerability_score * 9223372036854775807 > 5 };";
    let policies = Policies::parse(text).unwrap();
    let mut dossier = good();
    assert_eq!(stay(&policies, &dossier, NOW).level, Level::Full);
    take(&mut dossier, later(fact(Kind::VulnerabilityScore, 98), 1));
    let ruling = stay(&policies, &dossier, NOW + Duration::from_secs(2));
    assert_eq!((ruling.level, names(&ruling)), (Level::Blocked, vec!["policy-fails"]));
}

#[test]
fn a_policy_may_have_the_credential_revoked() {
    let text = format!(
        "{}\n@id(\"stolen\") @says(\"it was stolen\") @revoke forbid (principal, action, resource)
         when {{ context has owner && context.owner == \"nobody\" }};",
        landfall_assurance::DEFAULT
    );
    let policies = Policies::parse(&text).unwrap();
    let mut dossier = good();
    assert!(!stay(&policies, &dossier, NOW).revoke);
    take(&mut dossier, later(fact(Kind::Owner, "nobody"), 1));
    let ruling = stay(&policies, &dossier, NOW + Duration::from_secs(2));
    assert!(ruling.revoke && ruling.why() == "it was stolen", "{ruling:?}");
}

#[test]
fn operations_are_for_devices_that_work() {
    let policies = Policies::default();
    let operate = |level| {
        policies.decide(&good(), Question::Operate("firmware-update".into()), level, &Grace::default(), NOW).level
    };
    for (level, then) in [
        (Level::Full, Level::Full),
        (Level::Limited, Level::Full),
        (Level::Remediation, Level::Blocked),
        (Level::Quarantine, Level::Blocked),
        (Level::Blocked, Level::Blocked),
    ] {
        assert_eq!(operate(level), then, "{level}");
    }
}

proptest! {
    /// Whatever is taken away from a device of which all is good, it never stands better for it.
    #[test]
    fn knowing_less_opens_nothing(gone in prop::collection::vec(0..Kind::ALL.len(), 0..8)) {
        let policies = Policies::default();
        let mut dossier = good();
        let mut before = stay(&policies, &dossier, NOW).level;
        for at in gone {
            // What speaks against a device is not what has to be known, and here nothing does.
            dossier.facts.retain(|fact| fact.kind != Kind::ALL[at]);
            let after = stay(&policies, &dossier, NOW).level;
            prop_assert!(after <= before);
            before = after;
        }
    }
}

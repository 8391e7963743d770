use crate::{NOW, device, fact, later, take, until};
use landfall_assurance::{Dossier, Fact, Grace, Kind, Known, MarkKind, Taken, Unfit};
use landfall_policy::Value;
use proptest::prelude::*;
use std::time::Duration;

fn value(dossier: &Dossier, kind: Kind) -> Option<Value> {
    match dossier.known(kind, &Grace::default(), NOW + Duration::from_secs(100)) {
        Known::Holds(value, _) => Some(value),
        Known::Missing | Known::Stale(_) => None,
    }
}

fn from(source: &str, fact: Fact) -> Fact {
    Fact { source: source.into(), ..fact }
}

#[test]
fn the_newest_of_a_source_counts_whichever_comes_first() {
    let mut dossier = Dossier::new(device(), NOW);
    assert_eq!(take(&mut dossier, later(fact(Kind::Paid, false), 9)), Taken::News);
    assert_eq!(take(&mut dossier, later(fact(Kind::Paid, true), 8)), Taken::Late);
    assert_eq!(take(&mut dossier, later(fact(Kind::Paid, false), 10)), Taken::Renewed);
    assert_eq!(value(&dossier, Kind::Paid), Some(false.into()));
    assert_eq!(take(&mut dossier, later(fact(Kind::Paid, true), 11)), Taken::News);
    assert_eq!(value(&dossier, Kind::Paid), Some(true.into()));
}

#[test]
fn of_several_sources_the_worst_counts() {
    let mut dossier = Dossier::new(device(), NOW);
    for (source, score, listed, trusted, tier) in [
        ("a", 10, vec!["x"], true, "affirming"),
        ("b", 98, vec![], false, "contraindicated"),
        ("c", 0, vec!["y"], true, "warning"),
    ] {
        let listed: Vec<String> = listed.into_iter().map(str::to_owned).collect();
        for one in [
            fact(Kind::VulnerabilityScore, score),
            fact(Kind::DenyListContact, listed),
            fact(Kind::DeviceTrusted, trusted),
            fact(Kind::Attestation, tier),
        ] {
            take(&mut dossier, from(source, one));
        }
    }
    assert_eq!(value(&dossier, Kind::VulnerabilityScore), Some(98.into()), "never an average");
    assert_eq!(value(&dossier, Kind::DenyListContact), Some(vec!["x".to_owned(), "y".to_owned()].into()));
    assert_eq!(value(&dossier, Kind::DeviceTrusted), Some(false.into()));
    assert_eq!(value(&dossier, Kind::Attestation), Some("contraindicated".into()));
    take(&mut dossier, from("d", fact(Kind::Attestation, "splendid")));
    assert_eq!(value(&dossier, Kind::Attestation), Some("splendid".into()), "an unknown tier opens nothing");
    assert!(dossier.forget("b") && !dossier.forget("b"));
    assert_eq!(value(&dossier, Kind::VulnerabilityScore), Some(10.into()));
}

#[test]
fn what_has_expired_is_stale_and_what_nobody_told_is_missing() {
    let mut dossier = Dossier::new(device(), NOW);
    let at = |seconds| NOW + Duration::from_secs(seconds);
    take(&mut dossier, until(fact(Kind::Paid, true), 10));
    let none = Grace::default();
    assert!(matches!(dossier.known(Kind::Paid, &none, at(9)), Known::Holds(..)));
    assert!(matches!(dossier.known(Kind::Paid, &none, at(10)), Known::Stale(_)));
    assert_eq!(dossier.known(Kind::Owner, &none, at(9)), Known::Missing);
    let grace = Grace([(Kind::Paid, Duration::from_secs(5))].into());
    assert!(matches!(dossier.known(Kind::Paid, &grace, at(14)), Known::Holds(..)));
    assert!(matches!(dossier.known(Kind::Paid, &grace, at(15)), Known::Stale(_)));
}

#[test]
fn what_its_source_takes_back_is_gone_without_grace() {
    let mut dossier = Dossier::new(device(), NOW);
    let (ours, theirs) = (from("ours", fact(Kind::Paid, true)), from("theirs", fact(Kind::Paid, true)));
    take(&mut dossier, ours.clone());
    let at = |seconds| NOW + Duration::from_secs(seconds);
    // Nobody takes back what another told, nor what he told after that.
    assert_eq!(dossier.take(theirs.withdrawn(at(1)), at(1)), Ok(Taken::Late));
    take(&mut dossier, later(ours.clone(), 5));
    assert_eq!(dossier.take(ours.clone().withdrawn(at(4)), at(5)), Ok(Taken::Late));
    assert_eq!(dossier.take(ours.withdrawn(at(6)), at(6)), Ok(Taken::News));
    let grace = Grace([(Kind::Paid, Duration::from_secs(1))].into());
    assert_eq!(dossier.known(Kind::Paid, &grace, at(6)), Known::Missing);
}

#[test]
fn what_nobody_could_mean_is_refused_and_changes_nothing() {
    let good = fact(Kind::DenyListContact, vec!["192.0.2.1".to_owned()]);
    let mut dossier = Dossier::new(device(), NOW);
    assert_eq!(dossier.take(good.clone(), NOW), Ok(Taken::News));
    let before = dossier.clone();
    let long = "a".repeat(1025);
    let bad = [
        (Fact { value: true.into(), ..good.clone() }, "a list of texts"),
        (Fact { value: vec![long.clone()].into(), ..good.clone() }, "longer"),
        (Fact { value: vec![String::new(); 257].into(), ..good.clone() }, "longer"),
        (Fact { source: long.clone(), ..good.clone() }, "longer"),
        (Fact { verifier: long, ..good.clone() }, "longer"),
        (Fact { subject: "0.other".parse().unwrap(), ..good.clone() }, "another device"),
        (later(good.clone(), 301), "has not come"),
    ];
    for (bad, why) in bad {
        let error = dossier.take(bad, NOW).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!(dossier, before);
    }
    for number in 1..16 {
        take(&mut dossier, from(&format!("feed {number}"), good.clone()));
    }
    assert_eq!(dossier.take(from("one more", good), NOW), Err(Unfit::Sources(Kind::DenyListContact)));
}

#[test]
fn what_spoke_against_it_is_remembered() {
    let mut dossier = Dossier::new(device(), NOW);
    take(&mut dossier, fact(Kind::DenyListContact, vec!["192.0.2.1".to_owned()]));
    take(&mut dossier, later(fact(Kind::DenyListContact, Vec::new()), 1));
    take(&mut dossier, later(fact(Kind::DeviceTrusted, false), 2));
    let marks: Vec<_> = dossier.marks.iter().map(|mark| mark.what).collect();
    assert_eq!(marks, [MarkKind::DenyListContact, MarkKind::Distrusted]);
    for second in 0..100 {
        take(&mut dossier, later(fact(Kind::KnownExploited, vec![format!("CVE-{second}")]), 3 + second));
    }
    assert_eq!(dossier.marks.len(), 32, "bounded");
}

proptest! {
    /// In whatever order facts come, the same is known in the end.
    #[test]
    fn the_order_of_arrival_does_not_matter(mut told in prop::collection::vec((0..4u64, 0..3usize, 0..200i64), 0..20)) {
        told.sort_unstable();
        told.dedup_by_key(|(at, source, _)| (*at, *source));
        let facts: Vec<Fact> = told.iter().map(|(at, source, score)| {
            from(["a", "b", "c"][*source], later(fact(Kind::VulnerabilityScore, *score), *at))
        }).collect();
        let (mut there, mut back) = (Dossier::new(device(), NOW), Dossier::new(device(), NOW));
        facts.iter().for_each(|fact| drop(there.take(fact.clone(), NOW)));
        facts.iter().rev().for_each(|fact| drop(back.take(fact.clone(), NOW)));
        prop_assert_eq!(there.facts, back.facts);
    }
}

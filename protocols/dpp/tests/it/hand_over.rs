//! A configurator hands its keys over to another one (DPP s6.4.6).

use super::party::{Keys, Party, config, connector};
use landfall_dpp::{
    Curve, NetRole,
    capabilities::Role,
    exchange::{Facts, Input, Record, Ruling, TakenOver},
};
use landfall_testkit::{
    NOW,
    harness::{Link, Pair},
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn hand_over(facts: &Facts) -> Ruling {
    assert_eq!(facts.request.net_role, NetRole::Configurator);
    Ruling::HandOver
}

/// A configurator and one that asks for what it has, after their exchange.
fn exchanged(
    ours: Keys,
    seed: u64,
    change: impl FnOnce(&mut Party, &mut landfall_dpp::exchange::Config),
) -> Pair<Party, Party> {
    let curve = ours.bootstrap.public().curve();
    let theirs = Keys::new(curve, seed + 1);
    let their_key = theirs.bootstrap.public().clone();
    let our_config = config(&ours, Role::Configurator);
    let mut their_config = config(&theirs, Role::Enrollee);
    their_config.enrollee.as_mut().unwrap().request.net_role = NetRole::Configurator;
    let mut configurator = Party::initiator(ours, our_config, &their_key, seed + 2);
    configurator.rulings = vec![hand_over];
    change(&mut configurator, &mut their_config);
    let other = Party::responder(theirs, their_config, seed + 3);
    let mut pair = Pair::new(configurator, other, Link::PERFECT, seed, NOW);
    pair.tell_a(Input::Start);
    let end = pair.now + HOUR;
    assert!(pair.run_until(end), "something is never over");
    assert!(pair.errors.is_empty(), "{:?}", pair.errors);
    pair
}

#[test]
fn whatever_the_curves_of_exchange_and_keys() {
    for curve in Curve::ALL {
        for csign in Curve::ALL {
            let pair = exchanged(Keys::signing_on(csign, curve, 11), 11, |_, _| ());
            assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"), "{curve} {csign}");
            let [Record::HandedOver(to)] = pair.a.records.as_slice() else { panic!("{:?}", pair.a.records) };
            assert!(to.peer_proved);
            let [Record::TakenOver(TakenOver { configurators, .. })] = pair.b.records.as_slice() else {
                panic!("{:?}", pair.b.records)
            };
            let [taken] = configurators.as_slice() else { panic!("{configurators:?}") };
            assert_eq!(taken.csign.public(), pair.a.keys.csign.public());
            assert_eq!(taken.privacy_key.public(), pair.a.keys.privacy.public());
        }
    }
}

#[test]
fn an_envelope_that_was_changed_or_is_missing_is_not_taken() {
    let keys = || Keys::new(Curve::P256, 21);
    let changed = exchanged(keys(), 21, |configurator, _| {
        configurator.envelope = |mut sealed| {
            *sealed.last_mut().unwrap() ^= 1;
            sealed
        };
    });
    assert!(changed.b.records.is_empty());
    assert!(changed.b.dropped.iter().any(|why| why.check == "dpp-envelope-password"), "{:?}", changed.b.dropped);
    // Networks are not what it asks for.
    let networks = exchanged(keys(), 22, |configurator, _| configurator.rulings = vec![connector]);
    assert!(networks.b.records.is_empty());
    assert!(networks.b.dropped.iter().any(|why| why.field == "DPP Enveloped Data"), "{:?}", networks.b.dropped);
}

#[test]
fn a_station_takes_no_keys() {
    let pair = exchanged(Keys::new(Curve::P256, 31), 31, |configurator, enrollee| {
        enrollee.enrollee.as_mut().unwrap().request.net_role = NetRole::Sta;
        configurator.rulings = vec![|_| Ruling::HandOver];
    });
    assert_eq!(pair.b.refused(), "dpp-configuration");
    assert!(pair.b.records.is_empty());
}

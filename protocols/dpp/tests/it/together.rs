//! Both sides of whole exchanges, on every curve, over a network that breaks.

use super::party::{Keys, Party, config, connector_and_status, csr, network};
use landfall_dpp::{
    Curve,
    capabilities::Role,
    config::Akms,
    curve::PrivateKey,
    exchange::{Facts, Grants, Input, Mutual, PeerKey, Record, Ruling},
    status::Status,
};
use landfall_testkit::{
    NOW,
    harness::{Link, Pair},
};
use std::{sync::Arc, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);

/// A configurator that reaches out to an enrollee, both with the same curve.
fn pair(curve: Curve, seed: u64, mutual: Mutual, link: Link) -> Pair<Party, Party> {
    let (ours, theirs) = (Keys::new(curve, seed), Keys::new(curve, seed + 1));
    let (our_key, their_key) = (ours.bootstrap.public().clone(), theirs.bootstrap.public().clone());
    let (mut a, mut b) = (config(&ours, Role::Configurator), config(&theirs, Role::Enrollee));
    (a.mutual, b.mutual) = (mutual, mutual);
    let configurator = Party::initiator(ours, a, &their_key, seed + 2);
    let mut enrollee = Party::responder(theirs, b, seed + 3);
    if mutual != Mutual::Never {
        enrollee = enrollee.knows(&our_key);
    }
    Pair::new(configurator, enrollee, link, seed, NOW)
}

fn run(pair: &mut Pair<Party, Party>) {
    pair.tell_a(Input::Start);
    let end = pair.now + HOUR;
    assert!(pair.run_until(end), "something is never over");
    assert!(pair.errors.is_empty(), "{:?}", pair.errors);
}

#[test]
fn a_device_gets_a_connector_on_every_curve_one_way_and_mutual() {
    for curve in Curve::ALL {
        for mutual in [Mutual::Never, Mutual::Required] {
            let mut pair = pair(curve, 7, mutual, Link::PERFECT);
            run(&mut pair);
            assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"), "{curve} {mutual:?}");
            assert!(pair.a.dropped.is_empty() && pair.b.dropped.is_empty());
            let [Record::Received(received)] = pair.b.records.as_slice() else { panic!("{:?}", pair.b.records) };
            let [Record::Issued(issued)] = pair.a.records.as_slice() else { panic!("{:?}", pair.a.records) };
            assert_eq!(received.objects[0].credential.connector.as_deref(), Some(issued.connectors[0].as_str()));
            assert_eq!(&issued.key, received.key.public());
            assert_eq!(issued.peer.we_proved, mutual == Mutual::Required);
            assert!(issued.peer.peer_proved);
            assert_eq!(received.peer.peer_proved, mutual == Mutual::Required);
        }
    }
}

#[test]
fn an_enrollee_may_begin_as_well() {
    for mutual in [Mutual::Never, Mutual::Required] {
        let (ours, theirs) = (Keys::new(Curve::P256, 1), Keys::new(Curve::P256, 2));
        let (our_key, their_key) = (ours.bootstrap.public().clone(), theirs.bootstrap.public().clone());
        let (mut a, mut b) = (config(&ours, Role::Enrollee), config(&theirs, Role::Configurator));
        (a.mutual, b.mutual) = (mutual, mutual);
        let enrollee = Party::initiator(ours, a, &their_key, 3);
        let configurator = Party::responder(theirs, b, 4).knows(&our_key);
        let mut pair = Pair::new(enrollee, configurator, Link::PERFECT, 5, NOW);
        run(&mut pair);
        assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"));
    }
}

#[test]
fn loss_duplication_and_reordering_change_nothing() {
    let mut over = 0;
    for seed in 0..200 {
        let mut pair = pair(Curve::P256, seed, Mutual::Required, Link::BAD);
        run(&mut pair);
        // Whatever is lost, nobody believes what did not happen.
        let configured = pair.b.records.len();
        assert!(configured <= 1 && pair.a.records.len() <= 1, "seed {seed}");
        if pair.a.refused() == "done" {
            assert_eq!(configured, 1, "seed {seed}");
            over += 1;
        }
    }
    assert!(over > 100, "only {over} of 200 came through");
}

#[test]
fn the_device_tells_how_joining_went_if_asked() {
    let mut pair = pair(Curve::P256, 1, Mutual::IfKnown, Link::PERFECT);
    pair.a.rulings = vec![connector_and_status];
    run(&mut pair);
    let done = pair.a.done.unwrap().unwrap();
    assert_eq!(done.result, Some(Status::Ok));
    assert!(done.connection.is_some());
}

#[test]
fn release_one_gets_one_object_and_gives_no_result() {
    fn two(_: &Facts) -> Ruling {
        Ruling::Provide(Grants { objects: vec![network("one", Akms::SAE), network("two", Akms::PSK)], status: true })
    }
    for version in [1, 2] {
        let (ours, theirs) = (Keys::new(Curve::P256, 1), Keys::new(Curve::P256, 2));
        let their_key = theirs.bootstrap.public().clone();
        let mut b = config(&theirs, Role::Enrollee);
        b.version = version;
        let configurator = Party::initiator(ours, config(&keys(1), Role::Configurator), &their_key, 3);
        let mut pair = Pair::new(configurator, Party::responder(theirs, b, 4), Link::PERFECT, 5, NOW);
        pair.a.rulings = vec![two];
        run(&mut pair);
        let [Record::Received(received)] = pair.b.records.as_slice() else { panic!() };
        assert_eq!(received.objects.len(), usize::from(version));
        assert_eq!(pair.a.done.as_ref().unwrap().as_ref().unwrap().result.is_some(), version == 2);
    }
}

fn keys(seed: u64) -> Keys {
    Keys::new(Curve::P256, seed)
}

#[test]
fn a_device_waits_until_its_user_has_scanned_the_configurator() {
    let mut pair = pair(Curve::P256, 3, Mutual::Required, Link::PERFECT);
    let key = pair.a.keys.bootstrap.public().clone();
    pair.b.book.clear();
    pair.b.stranger = PeerKey::Awaited;
    pair.tell_a(Input::Start);
    pair.run_until(NOW + Duration::from_secs(60));
    assert_eq!(pair.a.pending, 1);
    assert!(pair.a.done.is_none());
    pair.tell_b(Input::Peer(PeerKey::Known(key)));
    pair.run_until(NOW + HOUR);
    assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"));
}

#[test]
fn an_enrollee_is_asked_for_a_certificate_request_and_a_new_key() {
    fn new_key(_: &Facts) -> Ruling {
        Ruling::NewKey(Curve::P384)
    }
    let mut pair = pair(Curve::P256, 3, Mutual::Required, Link::PERFECT);
    pair.a.rulings = vec![csr, super::party::connector];
    run(&mut pair);
    assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"));
    assert!(pair.a.facts[0].csr.is_none() && pair.a.facts[1].csr.is_some());

    let mut pair = self::pair(Curve::P256, 3, Mutual::Required, Link::PERFECT);
    pair.a.rulings = vec![new_key, super::party::connector];
    run(&mut pair);
    assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"));
    let [Record::Received(received)] = pair.b.records.as_slice() else { panic!() };
    assert_eq!(received.key.curve(), Curve::P384);

    // One after the other: the new key is what the certificate is for.
    let mut pair = self::pair(Curve::Bp256, 3, Mutual::Required, Link::PERFECT);
    pair.a.rulings = vec![new_key, csr, super::party::connector];
    run(&mut pair);
    assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"));
    assert_eq!(pair.a.facts[2].key.curve(), Curve::P384);
    assert!(pair.a.facts[2].csr.is_some());
}

#[test]
fn the_holder_of_a_key_may_know_only_coordinates() {
    for curve in Curve::ALL {
        let mut random = super::party::random(9);
        let (held, other, addend) = (
            PrivateKey::generate(curve, &mut random),
            PrivateKey::generate(curve, &mut random),
            PrivateKey::generate(curve, &mut random),
        );
        for addend in [None, Some(Arc::new(addend))] {
            let agreement = landfall_dpp::exchange::Agreement {
                key: landfall_dpp::exchange::KeyRole::Bootstrap,
                point: other.public().clone(),
                addend,
            };
            let by_key = agreement.by_key(&held).unwrap();
            let by_coordinates = agreement.by_coordinates(held.public(), |point| held.agree(point)).unwrap();
            assert_eq!(by_key.expose(), by_coordinates.expose(), "{curve}");
        }
    }
}

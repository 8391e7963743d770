//! Reconfiguration: both sides, and each refusal.

use super::{
    curve::{key, random},
    introduction::{Device, action, connector, device},
    party::{self, Keys, config},
};
use landfall_dpp::{
    Curve, NetRole, Role, Status,
    config::ConnectionStatus,
    connector::SignedConnector,
    curve::PrivateKey,
    exchange::{Exchange, Facts, Input, Output, Received, Record},
    frame::{Action, AttributeId, AttributeWriter, FrameType},
    reconfiguration::{
        configurator::{self, Announcement},
        due,
        enrollee::{self, Identity},
    },
};
use landfall_types::{Machine, Refusal, Time};
use std::{collections::VecDeque, sync::Arc, time::Duration};

const NOW: Time = Time::from_unix(1_800_000_000);

struct Network {
    csign: PrivateKey,
    configurator: Device,
    device: Device,
}

fn network(curve: Curve) -> Network {
    let csign = key(Curve::P256, 1);
    let (own, theirs) = (key(curve, 2), key(curve, 3));
    let configurator = connector(&own, "*", NetRole::Configurator);
    // The device's connector is over: reconfiguration is how it gets another.
    let mut enrollee = connector(&theirs, "home", NetRole::Sta);
    enrollee.expiry = Some(NOW);
    Network { configurator: device(&csign, own, &configurator), device: device(&csign, theirs, &enrollee), csign }
}

fn status() -> ConnectionStatus {
    ConnectionStatus { result: Status::NoAp, ssid: Some(b"home".to_vec()), channels: vec![] }
}

const LATER: Time = Time::from_unix(1_800_000_100);

/// The whole exchange, each frame changed by `change`.
fn run(
    network: &Network,
    change: impl Fn(Action) -> Action,
) -> Result<(configurator::Reconfigured, enrollee::Reconfigured), Refusal> {
    run_with(network, true, change)
}

fn run_with(
    network: &Network,
    replace_key: bool,
    change: impl Fn(Action) -> Action,
) -> Result<(configurator::Reconfigured, enrollee::Reconfigured), Refusal> {
    let Network { configurator: c, device: d, .. } = network;
    let (request, waiting) = configurator::request(c.own.clone(), 3, 7, &mut random(4));
    let pending = enrollee::requested(&d.own, LATER, &change(action(request)), &status(), &mut random(5))?;
    let m = d.key.plus(pending.addend()).unwrap().agree(pending.point()).unwrap();
    let (response, confirming) = pending.agreed(&m, 3);
    let pending = waiting.answered(&change(action(response)))?;
    let m = c.key.agree(pending.point()).unwrap();
    let (confirm, ours) = pending.agreed(&m, replace_key)?;
    let theirs = confirming.confirmed(&change(action(confirm))).map_err(|(_, refusal)| refusal)?;
    Ok((ours, theirs))
}

fn check(network: &Network, change: impl Fn(Action) -> Action) -> String {
    run(network, change).expect_err("it is refused").check.into_owned()
}

/// Rewrites the attributes of frames of one kind.
fn rewrite(kind: FrameType, change: impl Fn(&mut Vec<(u16, Vec<u8>)>)) -> impl Fn(Action) -> Action {
    move |action| {
        if action.kind != kind {
            return action;
        }
        let mut attributes: Vec<_> =
            action.attributes().unwrap().iter().map(|(id, value)| (id, value.to_vec())).collect();
        change(&mut attributes);
        let mut writer = AttributeWriter::new();
        for (id, value) in attributes {
            writer.put(AttributeId::of(id).unwrap(), &value);
        }
        Action { kind, attributes: writer.into_bytes() }
    }
}

#[test]
fn both_have_the_same_keys_on_every_curve() {
    for curve in Curve::ALL {
        let network = network(curve);
        let (ours, theirs) = run(&network, |frame| frame).unwrap();
        assert_eq!(ours.keys.ke, theirs.keys.ke, "{curve}");
        assert_eq!(ours.keys.bk, theirs.keys.bk, "{curve}");
        assert_eq!(ours.keys.ke.expose().len(), curve.hash_len());
        assert_eq!(ours.protocol, *theirs.protocol.public());
        assert_eq!(ours.enrollee.key, *network.device.key.public());
        assert_eq!(ours.status, status());
        assert!(theirs.replace_key);
        assert_eq!((ours.version, theirs.version), (3, 3));
    }
}

#[test]
fn only_the_privacy_key_tells_who_announces_itself() {
    for curve in Curve::ALL {
        let network = network(Curve::P256);
        let (privacy, other) = (key(Curve::P256, 21), key(Curve::P256, 22));
        let identity = Identity::generate(Curve::P256, &mut random(23));
        let announce =
            |seed| action(identity.announce(&network.device.own, privacy.public(), &mut random(seed)).unwrap());
        let (first, second) = (announce(1), announce(2));
        assert_ne!(first, second, "no two announcements are alike");
        assert_eq!(configurator::addressee(&first).unwrap(), network.csign.public().key_id());
        for frame in [&first, &second] {
            let announcement = Announcement::parse(frame, network.csign.public()).unwrap();
            assert_eq!(announcement.curve, Curve::P256);
            let identify = |key: &PrivateKey| {
                let [x, shifted] = announcement.points().unwrap().map(|point| key.agree(&point).unwrap());
                announcement.identify(key.public(), x.expose(), shifted.expose())
            };
            assert_eq!(identify(&privacy).unwrap(), identity.0);
            assert_ne!(identify(&other).unwrap(), identity.0);
        }
        let wrong = Identity::generate(curve, &mut random(23));
        let fits = wrong.announce(&network.device.own, privacy.public(), &mut random(1)).is_ok();
        assert_eq!(fits, curve == Curve::P256);
    }
}

#[test]
fn a_bad_announcement_is_refused() {
    let network = network(Curve::P256);
    let identity = Identity::generate(Curve::P256, &mut random(23));
    let privacy = key(Curve::P256, 21);
    let good = action(identity.announce(&network.device.own, privacy.public(), &mut random(1)).unwrap());
    let parse = |frame: &Action| Announcement::parse(frame, network.csign.public()).map(|_| ());
    assert!(parse(&good).is_ok());
    assert_eq!(
        Announcement::parse(&good, privacy.public()).unwrap_err().check,
        "dpp-reconfig-csign",
        "it is to another configurator"
    );
    for at in 0..4 {
        for fault in 0..4 {
            let changed = rewrite(FrameType::ReconfigAnnouncement, |attributes| match fault {
                0 => drop(attributes.remove(at)),
                1 => attributes.push(attributes[at].clone()),
                2 => drop(attributes[at].1.pop()),
                _ => *attributes[at].1.last_mut().unwrap() ^= 1,
            });
            assert!(parse(&changed(good.clone())).is_err(), "attribute {at}, fault {fault}");
        }
    }
}

/// Each attribute of each frame missing, doubled, cut and changed. Nothing seals the version that a request says, so
/// that one changed to another that exists goes unnoticed.
#[test]
fn no_attribute_may_be_amiss() {
    let network = network(Curve::P256);
    let frames = [
        (FrameType::ReconfigAuthenticationRequest, 4),
        (FrameType::ReconfigAuthenticationResponse, 6),
        (FrameType::ReconfigAuthenticationConfirm, 2),
    ];
    for (kind, attributes) in frames {
        for at in 0..attributes {
            for fault in 0..5 {
                let result = run(
                    &network,
                    rewrite(kind, |attributes| match fault {
                        0 => drop(attributes.remove(at)),
                        1 => attributes.push(attributes[at].clone()),
                        2 => attributes[at].1.clear(),
                        3 => drop(attributes[at].1.pop()),
                        _ => *attributes[at].1.last_mut().unwrap() ^= 0x40,
                    }),
                );
                let unnoticed = (kind, at, fault) == (FrameType::ReconfigAuthenticationRequest, 1, 4);
                assert_eq!(result.is_ok(), unnoticed, "{kind}, attribute {at}, fault {fault}");
            }
        }
    }
}

#[test]
fn strangers_are_refused() {
    let other = key(Curve::P256, 9);
    // A configurator whose connector another key signed.
    let mut strange = network(Curve::P256);
    let own = key(Curve::P256, 2);
    strange.configurator = device(&other, key(Curve::P256, 2), &connector(&own, "*", NetRole::Configurator));
    assert_eq!(check(&strange, |frame| frame), "dpp-connector-csign");
    // One that is none.
    let mut strange = network(Curve::P256);
    strange.configurator = device(&strange.csign, key(Curve::P256, 2), &connector(&own, "*", NetRole::Ap));
    assert_eq!(check(&strange, |frame| frame), "dpp-connector-groups");
    // One whose connector is over.
    let mut strange = network(Curve::P256);
    let mut over = connector(&own, "*", NetRole::Configurator);
    over.expiry = Some(NOW + Duration::from_secs(1));
    strange.configurator = device(&strange.csign, key(Curve::P256, 2), &over);
    assert_eq!(check(&strange, |frame| frame), "dpp-connector-expiry");
    // One on another curve.
    let mut strange = network(Curve::P256);
    let own = key(Curve::P384, 2);
    strange.configurator = device(&strange.csign, key(Curve::P384, 2), &connector(&own, "*", NetRole::Configurator));
    assert_eq!(check(&strange, |frame| frame), "dpp-connector-curve");
    // A device, and a configurator, that have a connector but not its key.
    let mut strange = network(Curve::P256);
    strange.device.key = key(Curve::P256, 8);
    assert_eq!(check(&strange, |frame| frame), "dpp-unwrap");
    let mut strange = network(Curve::P256);
    strange.configurator.key = key(Curve::P256, 8);
    assert_eq!(check(&strange, |frame| frame), "dpp-unwrap");
}

#[test]
fn frames_of_another_exchange_are_refused() {
    let network = network(Curve::P256);
    let Network { configurator: c, device: d, .. } = &network;
    let exchange = |transaction, seed| {
        let (request, waiting) = configurator::request(c.own.clone(), 3, transaction, &mut random(seed));
        let pending = enrollee::requested(&d.own, LATER, &action(request), &status(), &mut random(seed + 1)).unwrap();
        let m = d.key.plus(pending.addend()).unwrap().agree(pending.point()).unwrap();
        let (response, confirming) = pending.agreed(&m, 3);
        (waiting, action(response), confirming)
    };
    let (first, response, _) = exchange(7, 30);
    let (second, _, confirming) = exchange(7, 40);
    let (third, _, _) = exchange(8, 50);
    assert_eq!(third.answered(&response).unwrap_err().check, "dpp-transaction");
    // The nonce is in the keys: an answer to another request does not open.
    let replayed = second.answered(&response).unwrap();
    let m = c.key.agree(replayed.point()).unwrap();
    assert_eq!(replayed.agreed(&m, false).unwrap_err().check, "dpp-unwrap");
    let pending = first.answered(&response).unwrap();
    let m = c.key.agree(pending.point()).unwrap();
    let (confirm, _) = pending.agreed(&m, false).unwrap();
    let (_, refusal) = confirming.confirmed(&action(confirm)).unwrap_err();
    assert_eq!(refusal.check, "dpp-unwrap");
}

#[test]
fn configuration_goes_on_with_the_same_or_a_new_key() {
    for (replace_key, seed) in [(true, 60), (false, 70)] {
        let network = network(Curve::P384);
        let (ours, theirs) = run_with(&network, replace_key, |frame| frame).unwrap();
        let (protocol, held) = (ours.protocol.clone(), network.device.key.public().clone());
        let Network { configurator, device, .. } = network;
        let ours = ours.into_session(Arc::new(configurator.key), 3, false);
        let theirs = theirs.into_session(Arc::new(device.key), 3, false);
        let configurator = Exchange::configuration(
            Arc::new(config(&Keys::new(Curve::P256, seed), Role::Configurator)),
            ours,
            LATER,
            Box::new(random(seed)),
        );
        let enrollee = Exchange::configuration(
            Arc::new(config(&Keys::new(Curve::P256, seed), Role::Enrollee)),
            theirs,
            LATER,
            Box::new(random(seed + 1)),
        );
        let (facts, received) = configured(configurator, enrollee, &Keys::new(Curve::P256, seed).csign);
        assert_eq!(facts.key, if replace_key { protocol } else { held });
        assert_eq!(*received.key.public(), facts.key);
        assert!(facts.peer.peer_proved && !facts.peer.we_proved && facts.peer.peer.is_none());
        let connector = SignedConnector::parse(received.objects[0].credential.connector.as_ref().unwrap()).unwrap();
        assert_eq!(connector.unverified().key, facts.key);
    }
}

/// Carries both sides to their ends, under a clock that stands still; what the device is and what it got.
fn configured(mut configurator: Exchange, mut enrollee: Exchange, csign: &PrivateKey) -> (Facts, Received) {
    let (mut facts, mut received, mut ended) = (None, None, 0);
    let (mut ours, mut theirs) = (VecDeque::new(), VecDeque::new());
    while ended < 2 {
        while let Some(output) = enrollee.poll_output() {
            match output {
                Output::Send(frame) => ours.push_back(Input::Frame(frame)),
                Output::Persist(record) => {
                    let Record::Received(what) = *record else { panic!("{record:?}") };
                    received = Some(what);
                    theirs.push_back(Input::Persisted);
                }
                Output::Done(done) => {
                    done.unwrap();
                    ended += 1;
                }
                Output::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
        while let Some(output) = configurator.poll_output() {
            match output {
                Output::Send(frame) => theirs.push_back(Input::Frame(frame)),
                Output::Rule(asked) => {
                    ours.push_back(Input::Ruled(party::connector(&asked)));
                    facts = Some(*asked);
                }
                Output::Sign { bytes, .. } => ours.push_back(Input::Signed(csign.sign(&bytes).unwrap())),
                Output::Persist(_) => ours.push_back(Input::Persisted),
                Output::Done(done) => {
                    done.unwrap();
                    ended += 1;
                }
                Output::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
        if let Some(input) = ours.pop_front() {
            configurator.handle(LATER, input).unwrap();
        }
        if let Some(input) = theirs.pop_front() {
            enrollee.handle(LATER, input).unwrap();
        }
    }
    (facts.unwrap(), received.unwrap())
}

#[test]
fn a_connector_is_replaced_two_thirds_into_its_life() {
    let (day, mut earliest, mut latest) = (Duration::from_secs(86_400), Time::from_unix(u32::MAX.into()), NOW);
    for seed in 0..1000 {
        let due = due(NOW, NOW + day * 30, &mut random(seed));
        assert!(due >= NOW + day * 37 / 2 && due <= NOW + day * 43 / 2, "{due}");
        (earliest, latest) = (earliest.min(due), latest.max(due));
    }
    assert!(latest.since(earliest) > day * 2, "they come apart");
    assert!(due(NOW, NOW, &mut random(1)) <= NOW, "what is over is due");
}

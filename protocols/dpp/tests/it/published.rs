//! Whole exchanges, octet by octet: against the published ones, and against themselves on all six curves.

use super::{
    party::{Keys, Party, config, network},
    vectors::{octets, vector},
};
use landfall_dpp::{
    Channel, Curve, Random, Role,
    config::{Akms, ConfigRequest},
    crypto,
    curve::PrivateKey,
    exchange::{Config, Exchange, Facts, Grants, Input, Mutual, Ruling},
    frame,
};
use landfall_testkit::{
    NOW,
    harness::{Link, Pair},
};
use landfall_types::Redacted;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Randomness that was drawn before.
fn drawn(values: Vec<Vec<u8>>) -> Box<dyn Random> {
    let mut values = values.into_iter();
    Box::new(move |out: &mut [u8]| out.copy_from_slice(&values.next().expect("no more randomness was drawn")))
}

fn keys(bootstrap: &Value, curve: Curve) -> Keys {
    Keys { bootstrap: PrivateKey::from_bytes(curve, &octets(bootstrap)).unwrap(), ..Keys::new(curve, 1) }
}

/// The passphrase of the published configuration object.
fn passphrase(_: &Facts) -> Ruling {
    let mut grant = network("test", Akms::PSK);
    grant.object.credential.passphrase = Some(Redacted::new("secret passphrase".into()));
    grant.groups.clear();
    Ruling::Provide(Grants { objects: vec![grant], status: true })
}

/// The exchange of that name, run by both sides; `e_nonce` is the enrollee's in its Configuration Request.
fn replay(name: &str, curve: Curve, version: u8, e_nonce: Vec<u8>) -> Option<Pair<Party, Party>> {
    let inputs = vector(&format!("/{name}/inputs"))?;
    let mutual = inputs.get("bI").is_some();
    let initiator = keys(inputs.get("bI").unwrap_or(&inputs["bI_key_sent_only_as_hash"]), curve);
    let responder = keys(&inputs["bR"], curve);
    let (our_key, their_key) = (initiator.bootstrap.public().clone(), responder.bootstrap.public().clone());
    // The vectors of release 1 on P-256 name a channel, the others do not.
    let channel = (version == 1 && curve == Curve::P256).then_some(Channel { class: 81, channel: 1 });
    let settle = |config: Config| Config {
        version,
        channel,
        mutual: if mutual { Mutual::Required } else { Mutual::Never },
        ..config
    };
    let (a, mut b) = (settle(config(&initiator, Role::Configurator)), settle(config(&responder, Role::Enrollee)));
    b.enrollee.as_mut().unwrap().request =
        ConfigRequest::parse(br#"{"name":"Test","wi-fi_tech":"infra","netRole":"sta"}"#).unwrap();
    let mut configurator = Party::initiator(initiator, a.clone(), &their_key, 0);
    let peer = landfall_dpp::auth::Peer { key: their_key };
    let told = drawn(vec![octets(&inputs["inn"]), octets(&inputs["pI"])]);
    configurator.exchange = Exchange::initiator(Arc::new(a), peer, told);
    configurator.rulings = vec![passphrase];
    let mut enrollee = Party::responder(responder, b.clone(), 0).knows(&our_key);
    let told = drawn(vec![octets(&inputs["rn"]), octets(&inputs["pR"]), e_nonce]);
    enrollee.exchange = Exchange::responder(Arc::new(b), told);
    let mut pair = Pair::new(configurator, enrollee, Link::PERFECT, 0, NOW);
    pair.tell_a(Input::Start);
    assert!(pair.run_until(NOW + Duration::from_secs(3600)));
    assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"), "{name}");
    Some(pair)
}

/// The three frames of authentication are those of the vector.
fn same_authentication(pair: &Pair<Party, Party>, frames: &Value) {
    let sent = [&pair.a.sent[0], &pair.b.sent[0], &pair.a.sent[1]];
    for (frame, name) in sent.into_iter().zip(["auth_req", "auth_resp", "auth_conf"]) {
        let published = octets(&frames[format!("{name}_frame_body")]);
        assert_eq!(hex::encode(frame::over_the_air(frame)), hex::encode(published), "{name}");
    }
}

#[test]
fn authentication_equals_what_hostap_did() {
    let exchanges = [
        ("auth_p256_mutual", Curve::P256, 2),
        ("auth_p256_mutual", Curve::P256, 3),
        ("auth_p256_responder_only", Curve::P256, 2),
        ("auth_p521_mutual", Curve::P521, 2),
    ];
    for (name, curve, version) in exchanges {
        let Some(pair) = replay(name, curve, version, vec![7; curve.nonce_len()]) else { return };
        let executed = vector(&format!("/{name}/frames_executed/version{version}")).unwrap();
        same_authentication(&pair, &executed);
    }
    // Release 1, which does not say its version.
    for (name, curve) in [
        ("auth_p256_mutual", Curve::P256),
        ("auth_p256_responder_only", Curve::P256),
        ("auth_p521_mutual", Curve::P521),
    ] {
        let Some(pair) = replay(name, curve, 1, vec![7; curve.nonce_len()]) else { return };
        same_authentication(&pair, &vector(&format!("/{name}/values")).unwrap());
    }
}

#[test]
fn configuration_equals_the_published_one() {
    let Some(published) = vector("/config_exchange_p256") else { return };
    let Some(pair) = replay("auth_p256_mutual", Curve::P256, 3, octets(&published["E_nonce"])) else { return };
    let body = |frame| hex::encode(frame::over_the_air(frame));
    let same = |frame, name: &str| assert_eq!(body(frame), published[name].as_str().unwrap(), "{name}");
    same(&pair.b.sent[1], "gas_initial_request_frame_body");
    same(&pair.b.sent[2], "config_result_frame_body");
    same(&pair.a.sent[2], "gas_initial_response_frame_body");
    same(&pair.b.sent[3], "conn_status_result_frame_body");
}

/// What all frames of an exchange were when they were compared with a running peer; any change shows here.
#[test]
fn exchanges_stay_what_they_are_on_all_six_curves() {
    const SEEN: [(Curve, &str); 6] = [
        (Curve::P256, "d217ff47b92c38407b3eb4454e3c7206fb55c74bd2289f27f16a177a89006e6e"),
        (Curve::P384, "b013fe3aaf54b19d347a0e209b501339d240ad27ef37f6eab44b1da4b9cc7762"),
        (Curve::P521, "1362916bf7be0c2934c55bc75d1eb269281412d2db7219cf08af8fd664c2ef9d"),
        (Curve::Bp256, "ba680f34b2a683e44391a1dbb71348a95bb25ee17361d19e844cb9f93e1c7b5d"),
        (Curve::Bp384, "1c461cb65a09f0eae52d422ccb0564b4a0913acb01bd64dd52384cafffe2cbf1"),
        (Curve::Bp512, "960f6c37224599ba1348aa289e60a7b9cf6f1a8c52ea0e071538b2387c2e5f21"),
    ];
    let mut now = Vec::new();
    for (curve, _) in SEEN {
        let (ours, theirs) = (Keys::new(curve, 11), Keys::new(curve, 12));
        let (our_key, their_key) = (ours.bootstrap.public().clone(), theirs.bootstrap.public().clone());
        let (a, b) = (config(&ours, Role::Configurator), config(&theirs, Role::Enrollee));
        let mut configurator = Party::initiator(ours, a, &their_key, 13);
        configurator.rulings = vec![passphrase];
        let enrollee = Party::responder(theirs, b, 14).knows(&our_key);
        let mut pair = Pair::new(configurator, enrollee, Link::PERFECT, 0, NOW);
        pair.tell_a(Input::Start);
        assert!(pair.run_until(NOW + Duration::from_secs(3600)));
        assert_eq!((pair.a.refused(), pair.b.refused()), ("done", "done"), "{curve}");
        let frames: Vec<u8> = pair.a.sent.iter().chain(&pair.b.sent).flat_map(frame::over_the_air).collect();
        now.push((curve, crypto::sha256(&[&frames]).to_string()));
    }
    let seen: Vec<_> = SEEN.map(|(curve, hash)| (curve, hash.to_owned())).into();
    assert_eq!(now, seen);
}

//! The MASA is away (RFC 8995 s5.5, nonceless; NIST SP 1800-36B 6.2.1).

use super::world::{Case, Ran, World, seal, serial};
use landfall_brski::{
    media,
    registrar::{History, MasaUnreachable, Source, Stage, Standing},
    voucher::{Format, Nonce, Voucher},
};
use landfall_testkit::NOW;
use landfall_types::{Outcome, http::Response};

fn with_stored(world: &World, voucher: &Voucher) -> Ran {
    let stored = seal(Format::CmsJson, voucher, &world.maker.masa);
    world.run(Case { stored: Some(stored), ..world.outage() })
}

#[test]
fn a_voucher_from_before_lets_the_device_in_and_the_record_says_so() {
    let world = World::new();
    let ran = with_stored(&world, &world.nonceless());
    assert_eq!(ran.order, ["rule", "sign", "ask", "find", "rule", "persist", "respond", "close"]);
    assert_eq!((ran.response.status, ran.outcome), (200, Outcome::Done));
    let Standing::Accepted(accepted) = &ran.records[0].standing else { panic!("{:?}", ran.records[0].standing) };
    assert_eq!(accepted.source, Source::Stored);
    let Stage::WithVoucher { source, history, .. } = &ran.facts[1].stage else { panic!("{:?}", ran.facts[1].stage) };
    assert_eq!(*source, Source::Stored);
    assert!(matches!(history, History::Unavailable(why) if why.contains("the connection timed out")), "{history:?}");
}

#[test]
fn a_voucher_for_this_very_request_will_do() {
    let world = World::new();
    assert_eq!(with_stored(&world, &world.voucher()).response.status, 200);
}

#[test]
fn trouble_of_the_masas_own_is_an_outage_too() {
    let world = World::new();
    let stored = Some(seal(Format::CmsJson, &world.nonceless(), &world.maker.masa));
    let ran = world.run(Case { masa: Ok(Response::new(503)), stored, ..world.case() });
    assert_eq!(ran.response.status, 200);
}

#[test]
fn without_a_voucher_the_pledge_is_to_come_again() {
    let world = World::new();
    let ran = world.run(world.outage());
    assert_eq!((ran.check(), ran.response.status), ("masa-unreachable", 202));
    assert_eq!(ran.response.headers.first("retry-after"), Some("30"));
    assert!(ran.records.is_empty());
}

#[test]
fn a_stored_voucher_is_checked_like_any_other() {
    let world = World::new();
    let nonceless = || world.nonceless();
    let cases: [(&str, Voucher); 5] = [
        ("voucher-expired", Voucher { expires_on: Some(NOW), ..nonceless() }),
        ("voucher-expires-on", Voucher { expires_on: None, ..nonceless() }),
        ("voucher-serial", Voucher { serial_number: serial("OTHER-1"), ..nonceless() }),
        ("voucher-pinned", Voucher { pinned_domain_cert: Some(world.maker.masa.certificate.clone()), ..nonceless() }),
        ("voucher-nonce", Voucher { nonce: Some(Nonce::from_random([8; 16])), ..world.voucher() }),
    ];
    for (why, voucher) in cases {
        let ran = with_stored(&world, &voucher);
        assert_eq!((ran.check(), ran.response.status), ("masa-unreachable", 202), "{why}");
        let Outcome::Refused(refusal) = &ran.outcome else { panic!("{:?}", ran.outcome) };
        assert!(refusal.detail.contains(why), "{refusal}");
    }
}

#[test]
fn a_stored_voucher_of_a_form_that_the_pledge_does_not_take() {
    let world = World::new();
    let stored = Some(seal(Format::JwsJson, &world.nonceless(), &world.maker.masa));
    assert_eq!(world.run(Case { stored, ..world.outage() }).response.status, 202);
}

#[test]
fn the_audit_log_may_be_away_while_the_masa_is_not() {
    let world = World::new();
    let mut case = world.case();
    case.config.check_history = true;
    case.logs = vec![Err(MasaUnreachable("it went away".into()))];
    let ran = world.run(case);
    assert_eq!(ran.response.status, 200, "what to make of it is the policy's affair");
    let Stage::WithVoucher { history, .. } = &ran.facts[1].stage else { panic!("{:?}", ran.facts[1].stage) };
    assert_eq!(*history, History::Unavailable("it went away".into()));
    assert_eq!(ran.response.headers.first("content-type"), Some(media::VOUCHER_CMS));
}

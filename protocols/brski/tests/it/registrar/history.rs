//! The audit log before a voucher is handed out (RFC 8995 s5.8).

use super::world::{Case, World, ruling};
use landfall_brski::{
    audit_log::{AuditLog, Event, Truncation},
    media, paths,
    registrar::{Findings, History, Stage},
    voucher::Assertion,
};
use landfall_policy::{Verdict, acceptance};
use landfall_testkit::NOW;
use landfall_types::{
    DomainId, Time,
    http::{Method, Response},
};
use std::time::Duration;

fn event(domain: &DomainId, nonce: Option<&str>, date: Time) -> Event {
    let (domain, nonce) = (domain.clone(), nonce.map(str::to_owned));
    Event { date, domain, nonce, assertion: Assertion::Logged, truncated: 0 }
}

fn log(events: Vec<Event>) -> AuditLog {
    AuditLog { version: 1, events, truncation: Truncation::default() }
}

fn with_history(world: &World, logs: Vec<Response>) -> Case {
    let mut case = world.case();
    case.config.check_history = true;
    case.logs = logs.into_iter().map(Ok).collect();
    case
}

fn history(world: &World, logs: Vec<Response>) -> (History, Vec<landfall_types::http::Request>) {
    let ran = world.run(with_history(world, logs));
    let Stage::WithVoucher { history, .. } = ran.facts[1].stage.clone() else { panic!("{:?}", ran.facts[1].stage) };
    (history, ran.asked)
}

#[test]
fn the_log_is_asked_for_with_the_very_same_request() {
    let world = World::new();
    let ours = world.domain.root.authority.certificate.domain_id();
    let told = log(vec![event(&ours, Some("abcdefgh"), NOW)]);
    let (history, asked) = history(&world, vec![Response::with(200, media::JSON, told.encode())]);
    assert_eq!(history, History::Known(Findings { events: 1, ..Findings::default() }));
    let [voucher, log] = asked.as_slice() else { panic!("{} requests", asked.len()) };
    assert_eq!((log.path.as_str(), log.headers.first("accept")), (paths::REQUEST_AUDIT_LOG, Some(media::JSON)));
    assert_eq!((&log.body, log.headers.first("content-type")), (&voucher.body, voucher.headers.first("content-type")));
}

#[test]
fn what_stands_out_becomes_a_fact() {
    let (foreign, ours) = (DomainId(vec![9; 20]), DomainId(vec![1; 20]));
    let earlier = NOW - Duration::from_secs(1000);
    let mut told = log(vec![
        event(&ours, None, NOW),
        event(&foreign, Some("abcdefgh"), earlier),
        event(&foreign, None, earlier - Duration::from_secs(1)),
    ]);
    told.truncation.arbitrary = 2;
    told.version = 2;
    let findings = Findings::of(&told, &[ours]);
    assert_eq!(findings.foreign_domains.iter().collect::<Vec<_>>(), [&foreign]);
    assert_eq!((findings.events, findings.foreign_nonceless, findings.withheld), (3, 1, 2));
    assert_eq!((findings.last_foreign, findings.newer), (Some(earlier), true));

    let world = World::new();
    let ran = world.run(with_history(&world, vec![Response::with(200, media::JSON, told.encode())]));
    let facts = ran.facts[1].facts(NOW);
    let value = |name| facts.find(name).map(|fact| fact.value.clone());
    let domains = vec![DomainId(vec![1; 20]).to_string(), foreign.to_string()];
    assert_eq!(value(acceptance::FOREIGN_DOMAINS), Some(domains.into()));
    assert_eq!(value("foreign-nonceless"), Some(2.into()));
    assert_eq!(value("audit-log-withheld"), Some(2.into()));
    assert_eq!(value("audit-log-newer"), Some(true.into()));
}

#[test]
fn a_log_that_stands_elsewhere_is_fetched_once() {
    let world = World::new();
    let moved = || Response::new(201).header("location", "https://masa.example/logs/3qX9");
    let told = log(vec![event(&DomainId(vec![9; 20]), None, NOW)]);
    let (found, asked) = history(&world, vec![moved(), Response::with(200, media::JSON, told.encode())]);
    assert!(matches!(found, History::Known(findings) if findings.foreign_nonceless == 1));
    assert_eq!((asked[2].method, asked[2].path.as_str()), (Method::Get, "/logs/3qX9"));
    let (found, asked) = history(&world, vec![moved(), moved()]);
    assert!(matches!(found, History::Unavailable(_)), "a second move is not followed");
    assert_eq!(asked.len(), 3);
}

#[test]
fn a_log_that_cannot_be_had() {
    let world = World::new();
    for bad in [
        Response::new(404),
        Response::new(201),
        Response::new(201).header("location", "https://elsewhere.example/logs/3qX9"),
        Response::with(200, media::JSON, b"{".to_vec()),
    ] {
        let (found, _) = history(&world, vec![bad.clone()]);
        assert!(matches!(found, History::Unavailable(_)), "{bad:?}");
    }
}

#[test]
fn the_policy_may_refuse_a_device_for_its_past() {
    let world = World::new();
    let told = log(vec![event(&DomainId(vec![9; 20]), None, NOW)]);
    let case = with_history(&world, vec![Response::with(200, media::JSON, told.encode())]);
    let ran = world.run(Case { last: ruling(Verdict::Deny), ..case });
    assert_eq!((ran.check(), ran.response.status), ("policy-denied-voucher", 406));
}

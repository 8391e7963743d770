//! Status reports (RFC 8995 s5.7, s5.9.4).

use super::world::{SERIAL, World, peer, serial};
use landfall_brski::{
    TlsPeer, media, paths,
    registrar::{About, Presented, StatusExchange, StatusInput, StatusOutput, StatusRecord, Vendors},
    telemetry::Status,
};
use landfall_pki::Name;
use landfall_testkit::NOW;
use landfall_types::{
    DeviceId, Machine, Outcome,
    contract::drain,
    http::{Method, Request},
};
use std::sync::Arc;

struct Report {
    about: About,
    request: Request,
    client: Option<TlsPeer>,
    issued: Option<DeviceId>,
}

fn report(world: &World, about: About, status: &Status) -> Report {
    let path = match about {
        About::Voucher => paths::VOUCHER_STATUS,
        About::Enrolment => paths::ENROLL_STATUS,
    };
    let request = Request::post(path, media::JSON, status.encode());
    Report { about, request, client: Some(peer(&world.device)), issued: None }
}

fn run(world: &World, report: Report) -> (u16, Outcome, Option<StatusRecord>) {
    let mut exchange = StatusExchange::new(report.about, Arc::new(Vendors::new([world.vendor()])));
    let (mut record, mut status) = (None, None);
    exchange.handle(NOW, StatusInput::Request { request: report.request, client: report.client }).unwrap();
    loop {
        for output in drain(&mut exchange) {
            let input = match output {
                StatusOutput::FindIssued(_) => StatusInput::FoundIssued(report.issued.clone()),
                StatusOutput::Persist(written) => {
                    record = Some(*written);
                    StatusInput::Persisted
                }
                StatusOutput::Respond(response) => {
                    status = Some(response.status);
                    continue;
                }
                StatusOutput::Close(outcome) => return (status.unwrap(), outcome, record),
            };
            exchange.handle(NOW, input).unwrap();
        }
    }
}

#[test]
fn a_report_on_the_voucher_is_kept() {
    let world = World::new();
    let (status, outcome, record) = run(&world, report(&world, About::Voucher, &Status::failure("no pin")));
    assert_eq!((status, outcome), (200, Outcome::Done));
    let record = record.unwrap();
    assert_eq!((record.success, record.reason.as_deref()), (false, Some("no pin")));
    assert_eq!((record.presented, record.alerts.len()), (Presented::Idevid, 0));
}

#[test]
fn success_is_told_with_the_certificate_that_was_issued() {
    let world = World::new();
    let ldevid = world.domain.ldevid(Name::new().serial_number(&serial(SERIAL)));
    let device = DeviceId::new(&[1; 20], &serial(SERIAL));
    let mut with_ldevid = report(&world, About::Enrolment, &Status::success());
    (with_ldevid.client, with_ldevid.issued) = (Some(peer(&ldevid)), Some(device.clone()));
    let record = run(&world, with_ldevid).2.unwrap();
    assert_eq!((record.presented, record.device, record.alerts.len()), (Presented::IssuedLdevid, device, 0));
    assert_eq!(record.certificate, ldevid.certificate.fingerprint());

    let record = run(&world, report(&world, About::Enrolment, &Status::success())).2.unwrap();
    assert_eq!((record.presented, record.alerts.len()), (Presented::Idevid, 1), "it does not match, and that is noted");
    let record = run(&world, report(&world, About::Enrolment, &Status::failure("no key"))).2.unwrap();
    assert_eq!((record.presented, record.alerts.len()), (Presented::Idevid, 0), "failure is told with the IDevID");
}

#[test]
fn newer_versions_and_unknown_fields_raise_an_alert() {
    let world = World::new();
    let newer = Status { version: 2, ..Status::success() };
    let record = run(&world, report(&world, About::Voucher, &newer)).2.unwrap();
    assert!(record.alerts[0].contains("version 2"), "{:?}", record.alerts);
    let mut odd = report(&world, About::Voucher, &Status::success());
    odd.request.body = br#"{"version":1,"status":true,"mood":"good"}"#.to_vec();
    assert!(run(&world, odd).2.unwrap().alerts[0].contains("mood"));
}

#[test]
fn reports_that_are_not_kept() {
    let world = World::new();
    let refused = |check: &str, wire: u16, change: &dyn Fn(&mut Report)| {
        let mut report = report(&world, About::Voucher, &Status::success());
        change(&mut report);
        let (status, outcome, record) = run(&world, report);
        assert!(matches!(&outcome, Outcome::Refused(refusal) if refusal.check == check), "{check}: {outcome:?}");
        assert_eq!((status, record), (wire, None), "{check}");
    };
    refused("status-method", 405, &|report| report.request.method = Method::Get);
    refused("status-client", 404, &|report| report.client = None);
    refused("status-client", 404, &|report| report.client = Some(peer(&World::new().device)));
    refused("status-type", 415, &|report| {
        report.request = Request::post(paths::VOUCHER_STATUS, "text/xml", report.request.body.clone());
    });
    refused("status-syntax", 400, &|report| report.request.body.truncate(5));
}

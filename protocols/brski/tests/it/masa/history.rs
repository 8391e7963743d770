//! What earlier vouchers mean: precedents, renewal, the audit log.

use super::case::*;
use crate::it::sealed::serial;
use landfall_brski::{
    audit_log::AuditLog,
    masa::{AuditInput, AuditLogExchange, AuditOutput, PastVoucher, Permit, Precedent, Ruling},
    paths,
    voucher::Nonce,
};
use landfall_testkit::NOW;
use landfall_types::{
    Machine, Outcome,
    http::{Method, Request, Response},
};
use std::sync::Arc;

#[test]
fn earlier_vouchers_are_precedents() {
    let (claim, issued, _) = Case::nonced().granted();
    let past = issued.past;
    let later = NOW + MINUTE;
    assert_eq!(claim.precedent(&[], later), Precedent::None);
    assert_eq!(claim.precedent(std::slice::from_ref(&past), later), Precedent::Answered(0));
    let elsewhere = PastVoucher {
        domain: OTHER.root.authority.certificate.domain_id(),
        authority: OTHER.root.authority.certificate.public_key().fingerprint(),
        request: OTHER.registrar.certificate.fingerprint(),
        ..past.clone()
    };
    assert_eq!(claim.precedent(std::slice::from_ref(&elsewhere), later), Precedent::NonceReused);
    let other_nonce = PastVoucher { nonce: Some(Nonce::from_random([9; 16])), ..elsewhere };
    assert_eq!(claim.precedent(std::slice::from_ref(&other_nonce), later), Precedent::None);
    let end = later + MINUTE;
    let outstanding = PastVoucher { nonce: None, expires_on: Some(end), ..other_nonce };
    assert_eq!(claim.precedent(std::slice::from_ref(&outstanding), later), Precedent::Outstanding(end));
    assert_eq!(claim.precedent(&[outstanding], end + MINUTE), Precedent::None);
}

/// RFC 8995 s5.5.1: a new voucher for an expired one of the same domain, whoever its registrar is now.
#[test]
fn an_expired_nonceless_voucher_is_renewed() {
    let (_, issued, _) = Case::nonceless().granted();
    let later = NOW + 30 * MINUTE;
    let mut again = Case::nonceless();
    again.now = later;
    again.request.created_on = Some(later);
    again.ruling = Ruling::Permit(Permit { last_renewal: Some(later + 60 * MINUTE), ..Permit::default() });
    let (claim, _, voucher) = again.granted();
    assert_eq!(claim.precedent(&[issued.past], later), Precedent::Renewal);
    assert_eq!(voucher.payload.expires_on, Some(later + 20 * MINUTE));
    assert_eq!(voucher.payload.last_renewal_date, Some(later + 60 * MINUTE));
}

/// Asks for the audit log with the request of `case`, after `past`.
fn audit(case: &Case, past: Vec<PastVoucher>, change: impl FnOnce(&mut Request)) -> (Response, Outcome) {
    let mut http = Request::post(paths::REQUEST_AUDIT_LOG, case.format.media_type(), case.body());
    change(&mut http);
    let mut exchange = AuditLogExchange::new(Arc::new(case.config.clone()));
    exchange.handle(case.now, AuditInput::Request(http)).expect("the first input");
    let mut output = exchange.poll_output().expect("an output");
    if let AuditOutput::FindHistory(claim) = &output {
        assert_eq!(claim.serial, serial(SERIAL));
        exchange.handle(case.now, AuditInput::History(past)).expect("the history");
        output = exchange.poll_output().expect("an output");
    }
    let AuditOutput::Respond(response) = output else { panic!("{output:?}") };
    let Some(AuditOutput::Close(outcome)) = exchange.poll_output() else { panic!("no end") };
    (response, outcome)
}

#[test]
fn the_audit_log_tells_of_every_voucher() {
    let nonced = Case::nonced().granted().1.past;
    let nonceless = Case::nonceless().granted().1.past;
    let mut case = Case::nonced();
    // The same request as for the voucher, hours later.
    case.now = NOW + 120 * MINUTE;
    let (response, outcome) = audit(&case, vec![nonceless.clone(), nonced.clone()], |_| {});
    assert_eq!((response.status, outcome), (200, Outcome::Done));
    assert_eq!(response.headers.first("content-type"), Some("application/json"));
    let log = AuditLog::parse(&response.body).unwrap();
    assert_eq!(log.events, [nonceless.event(), nonced.event()]);
    assert_eq!(
        (log.events[0].nonce.as_deref(), log.events[1].nonce.as_deref()),
        (None, nonced.nonce.as_ref().map(Nonce::as_str))
    );
}

#[test]
fn the_audit_log_is_for_those_who_owned_the_device() {
    let check = |(response, outcome): (Response, Outcome)| {
        let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
        (refusal.check.into_owned(), response.status)
    };
    let expect = |check: &str, status| (check.to_owned(), status);
    let mine = Case::nonced().granted().1.past;
    let mut other = Case::nonceless();
    other.registrar = OTHER.registrar.clone();
    other.extra = whole_chain(&OTHER);
    assert_eq!(check(audit(&other, vec![mine.clone()], |_| {})), expect("audit-log-owner", 404));
    assert_eq!(check(audit(&Case::nonced(), Vec::new(), |_| {})), expect("audit-log-owner", 404));
    let mut old = Case::nonced();
    old.now = NOW + 25 * 60 * MINUTE;
    assert_eq!(check(audit(&old, vec![mine.clone()], |_| {})), expect("registrar-request-stale", 403));
    let nonced = Case::nonced();
    let wrong_path = |http: &mut Request| http.path = paths::REQUEST_VOUCHER.into();
    assert_eq!(check(audit(&nonced, vec![mine.clone()], wrong_path)), expect("request-path", 404));
    assert_eq!(
        check(audit(&nonced, vec![mine.clone()], |http| http.method = Method::Get)),
        expect("request-method", 405)
    );
    let wrong_type = |http: &mut Request| *http = Request::post(&http.path, "text/html", http.body.clone());
    assert_eq!(check(audit(&nonced, vec![mine.clone()], wrong_type)), expect("request-type", 415));
    let mut impostor = Case::nonced();
    impostor.registrar = DOMAIN.impostor("registrar.example");
    assert_eq!(check(audit(&impostor, vec![mine], |_| {})), expect("registrar-cmc-ra", 403));
}

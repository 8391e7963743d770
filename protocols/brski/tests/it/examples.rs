//! The examples of RFC 8995 and RFC 8366, out of the text of the RFCs.

use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::{
    audit_log::AuditLog,
    masa::{AuditInput, AuditLogExchange, AuditOutput, Config, Input, Output, VoucherExchange},
    media, paths,
    telemetry::Status,
    voucher::{Assertion, Format, Payload, Signed, Voucher, VoucherRequest, open},
};
use landfall_pki::{Anchors, Certificate, PathPolicy, SignedData, oid, validate};
use landfall_testkit::Domain;
use landfall_types::{Machine, Outcome, Time, http::Request};
use std::{sync::Arc, time::Duration};

/// When the example plays: all its certificates are valid.
const THEN: &str = "2021-05-01T00:00:00Z";

/// The text of one file of the appendix.
fn file<'a>(rfc: &'a str, name: &str) -> &'a str {
    let begin = rfc.find(&format!("<CODE BEGINS> file \"{name}\"")).expect("the file is in the RFC");
    let rest = &rfc[begin..];
    &rest[..rest.find("<CODE ENDS>").expect("the file ends")]
}

/// Its lines of base64; page headers and footers of the text version fall in between, and hold blanks.
fn base64(text: &str) -> Vec<u8> {
    let lines = text.lines().map(str::trim).filter(|line| !line.contains(' ') && !line.contains('\u{c}'));
    STANDARD.decode(lines.collect::<String>()).expect("base64")
}

fn certificate(rfc: &str, name: &str) -> Certificate {
    let text = file(rfc, name);
    let begin = text.find("-----BEGIN CERTIFICATE-----").expect("a certificate");
    let end = text.find("-----END CERTIFICATE-----").expect("its end");
    Certificate::from_der(&base64(&text[begin + 27..end])).expect("a certificate")
}

fn leads(certificate: &Certificate, anchor: &Certificate) -> bool {
    let policy = PathPolicy::at(THEN.parse().unwrap()).ignore_leaf_expiry(true);
    validate(certificate, &[], &Anchors::of([anchor.clone()]), &policy).is_ok()
}

struct Examples {
    vendor: Certificate,
    masa: Certificate,
    owner: Certificate,
    registrar: Certificate,
    pledge: Certificate,
    pledge_request: Vec<u8>,
    registrar_request: Vec<u8>,
    voucher: Vec<u8>,
}

fn examples() -> Option<Examples> {
    let rfc = landfall_testkit::rfc(8995)?;
    Some(Examples {
        vendor: certificate(&rfc, "vendor.cert"),
        masa: certificate(&rfc, "masa.cert"),
        owner: certificate(&rfc, "ownerca_secp384r1.cert"),
        registrar: certificate(&rfc, "jrc_prime256v1.cert"),
        pledge: certificate(&rfc, "idevid_00-D0-E5-F2-00-02.cert"),
        pledge_request: base64(file(&rfc, "vr_00-D0-E5-F2-00-02.b64")),
        registrar_request: base64(file(&rfc, "parboiled_vr_00-D0-E5-F2-00-02.b64")),
        voucher: base64(file(&rfc, "voucher_00-D0-E5-F2-00-02.b64")),
    })
}

#[test]
fn the_artefacts_of_appendix_c_verify() {
    let Some(examples) = examples() else { return };
    let pledge: Signed<VoucherRequest> = open(Format::CmsJson, &examples.pledge_request).unwrap();
    assert_eq!(pledge.payload.serial_number.as_str(), "00-D0-E5-F2-00-02");
    assert_eq!(pledge.payload.proximity_registrar_cert.as_ref(), Some(&examples.registrar));
    assert_eq!(pledge.payload.assertion, Some(Assertion::Proximity));

    let registrar: Signed<VoucherRequest> = open(Format::CmsJson, &examples.registrar_request).unwrap();
    assert_eq!(registrar.signer, examples.registrar);
    assert_eq!(registrar.payload.nonce, pledge.payload.nonce);
    assert_eq!(registrar.payload.prior_signed_voucher_request.as_ref(), Some(&examples.pledge_request));

    let voucher: Signed<Voucher> = open(Format::CmsJson, &examples.voucher).unwrap();
    assert_eq!(voucher.signer, examples.masa);
    assert_eq!(voucher.payload.nonce, pledge.payload.nonce);
    assert_eq!(voucher.payload.pinned_domain_cert.as_ref(), Some(&examples.registrar));
    assert!(leads(&examples.masa, &examples.vendor));
    assert!(leads(&examples.registrar, &examples.owner));
}

/// What the examples do otherwise than the text: findings, not failures.
#[test]
fn the_traps_of_appendix_c() {
    let Some(examples) = examples() else { return };
    // The content is called id-data, although RFC 8366 s5.4 asks for id-ct-animaJSONVoucher.
    for artefact in [&examples.pledge_request, &examples.registrar_request, &examples.voucher] {
        assert_eq!(SignedData::parse(artefact).unwrap().content_type(), oid::DATA);
    }
    // The IDevID has no authority key identifier, and the one that signed the request is not the one that is printed.
    let pledge: Signed<VoucherRequest> = open(Format::CmsJson, &examples.pledge_request).unwrap();
    assert!(pledge.signer.authority_key_id().is_none());
    assert_ne!(pledge.signer, examples.pledge);
    assert!(leads(&examples.pledge, &examples.vendor));
    assert!(leads(&pledge.signer, &examples.vendor));
    // The registrar does not name the IDevID's issuer, and the nonce is in base64url.
    let registrar: Signed<VoucherRequest> = open(Format::CmsJson, &examples.registrar_request).unwrap();
    assert!(registrar.payload.idevid_issuer.is_none());
    assert!(pledge.payload.nonce.unwrap().as_str().contains('_'));
}

/// The registrar's request of the appendix, at our MASA.
#[test]
fn appendix_c_at_our_masa() {
    let Some(examples) = examples() else { return };
    let made: Signed<VoucherRequest> = open(Format::CmsJson, &examples.registrar_request).unwrap();
    let now = made.payload.created_on.unwrap() + Duration::from_secs(1);
    let config = Config::new(examples.masa, Vec::new(), Anchors::of([examples.vendor]));
    let post = |path| Request::post(path, media::VOUCHER_CMS, examples.registrar_request.clone());

    let claim = |config: Config, now: Time| {
        let mut exchange = VoucherExchange::new(Arc::new(config));
        exchange.handle(now, Input::Request { request: post(paths::REQUEST_VOUCHER), client: None }).unwrap();
        std::iter::from_fn(|| exchange.poll_output()).last().unwrap()
    };
    let claim_now = claim(config.clone(), now);
    let Output::Rule(claim_now) = claim_now else { panic!("{claim_now:?}") };
    assert_eq!(claim_now.assertion, Assertion::Proximity);
    assert_eq!(claim_now.registrar, examples.registrar);

    let mut exchange = AuditLogExchange::new(Arc::new(config.clone()));
    exchange.handle(now, AuditInput::Request(post(paths::REQUEST_AUDIT_LOG))).unwrap();
    assert!(matches!(exchange.poll_output(), Some(AuditOutput::FindHistory(_))));

    // Years later it is stale.
    let mut exchange = VoucherExchange::new(Arc::new(config));
    let later = "2026-11-22T09:30:00Z".parse().unwrap();
    exchange.handle(later, Input::Request { request: post(paths::REQUEST_VOUCHER), client: None }).unwrap();
    let ended = std::iter::from_fn(|| exchange.poll_output()).last();
    let Some(Output::Close(Outcome::Refused(refusal))) = ended else { panic!("{ended:?}") };
    assert_eq!(refusal.check, "registrar-request-stale");
}

/// RFC 8995 s5.6 figure 14 lacks created-on, which RFC 8366 s5.3 makes mandatory: a finding.
#[test]
fn the_sample_voucher_of_the_text_is_incomplete() {
    let figure = br#"{"ietf-voucher:voucher":{"nonce":"62a2e7693d82fcda2624de58fb6722e5","assertion":"logged",
        "pinned-domain-cert":"","serial-number":"JADA123456789"}}"#;
    assert!(Voucher::from_json(figure).is_err());
}

/// Every JSON object of `rfc` whose first name is `name`.
fn objects(rfc: &str, name: &str) -> Vec<String> {
    let name = format!("\"{name}\"");
    let starts = rfc.match_indices(&name).filter_map(|(at, _)| {
        let before = rfc[..at].trim_end();
        before.ends_with('{').then(|| before.len() - 1)
    });
    starts.filter_map(|start| whole(&rfc[start..])).collect()
}

/// The object at the start of `text`, up to its closing brace.
fn whole(text: &str) -> Option<String> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return Some(text[..=at].to_owned());
        }
    }
    None
}

/// The examples have words where certificates belong.
fn with_certificate(json: &str, certificate: &Certificate) -> String {
    json.replace("base64encodedvalue==", &STANDARD.encode(certificate.der()))
}

/// RFC 8366 s5.2: an ephemeral voucher, and one that expires; its nonce is a word too, and too long as a certificate.
#[test]
fn the_vouchers_of_rfc_8366_are_read() {
    let (Some(rfc), domain) = (landfall_testkit::rfc(8366), Domain::new()) else { return };
    let examples = objects(&rfc, "ietf-voucher:voucher");
    assert_eq!(examples.len(), 2);
    let read = |json: &str| {
        let json = json.replace("\"nonce\": \"base64encodedvalue==\"", "\"nonce\": \"bm9uY2Vub25jZQ==\"");
        Voucher::from_json(with_certificate(&json, &domain.registrar.certificate).as_bytes()).unwrap()
    };
    let ephemeral = read(&examples[0]);
    assert_eq!((ephemeral.assertion, ephemeral.expires_on), (Some(Assertion::Logged), None));
    let lasting = read(&examples[1]);
    assert_eq!((lasting.assertion, lasting.nonce), (Some(Assertion::Verified), None));
    assert_eq!(lasting.expires_on, Some("2016-10-21T19:31:42Z".parse().unwrap()));
    // A string where the YANG module has a boolean.
    assert_eq!(lasting.domain_cert_revocation_checks, Some(true));
}

/// RFC 8995 s3.3: a pledge's request, a registrar's, and one for a device that is offline.
#[test]
fn the_requests_of_rfc_8995_are_read() {
    let (Some(rfc), domain) = (landfall_testkit::rfc(8995), Domain::new()) else { return };
    let json = objects(&rfc, "ietf-voucher-request:voucher").into_iter().filter(|json| json.contains("JADA123456789"));
    let read =
        |json: String| VoucherRequest::from_json(with_certificate(&json, &domain.registrar.certificate).as_bytes());
    let requests: Vec<VoucherRequest> = json.map(|json| read(json).unwrap()).collect();
    let [pledge, registrar, offline] = &requests[..] else { panic!("{} examples", requests.len()) };
    assert_eq!(pledge.proximity_registrar_cert.as_ref(), Some(&domain.registrar.certificate));
    assert_eq!(registrar.nonce, pledge.nonce);
    assert!(registrar.prior_signed_voucher_request.is_some() && registrar.idevid_issuer.is_some());
    assert!(offline.nonce.is_none() && offline.prior_signed_voucher_request.is_none());
}

/// RFC 8995 figures 16, 18 and 20.
#[test]
fn telemetry_and_audit_log_of_rfc_8995_are_read() {
    let Some(rfc) = landfall_testkit::rfc(8995) else { return };
    let examples = objects(&rfc, "version");
    let [failed, log, enrolled] = &examples.iter().filter(|json| !json.contains("uint")).collect::<Vec<_>>()[..] else {
        panic!("{examples:?}")
    };
    let failed = Status::parse(failed.as_bytes()).unwrap();
    assert_eq!((failed.version, failed.status, failed.reason_context.is_some()), (1, false, true));
    assert!(Status::parse(enrolled.as_bytes()).unwrap().status);
    let log = AuditLog::parse(log.as_bytes()).unwrap();
    assert_eq!((log.events.len(), log.truncation.arbitrary), (2, 2));
}

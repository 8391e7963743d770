//! Bad input at the running registrar: one change each in a good exchange, the status of RFC 8995 s5.3 and s5.6, and
//! the reason in the operator's audit.

use super::{
    lab::{Lab, Setup},
    pledge::{connect, post_voucher_request, request, seal, seal_text},
};
use landfall_brski::{
    media, paths,
    voucher::{Assertion, Payload, VoucherRequest},
};
use landfall_pki::Name;
use landfall_policy::{Policy, Verdict};
use landfall_testkit::{Domain, Identity, Manufacturer};
use landfall_types::http::{Request, Response};

fn post(body: Vec<u8>) -> Request {
    Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, body).accept(media::VOUCHER_CMS)
}

/// Sends what a test made of a good request, and checks status and reason.
async fn refused(lab: &Lab, client: &Identity, request: Request, status: u16, check: &str) -> Response {
    let response = connect(lab.registrar, Some(client)).await.send(request).await.unwrap();
    let reasons = lab.refused_by_registrar().await;
    assert_eq!((response.status, reasons.last().map(String::as_str)), (status, Some(check)));
    // RFC 8995 s5.6: a sentence, which tells no more than the status.
    assert_eq!(response.headers.first("content-type"), Some(media::TEXT));
    assert!(!String::from_utf8_lossy(&response.body).contains("A-1"));
    response
}

/// A good request with one field changed.
async fn changed(lab: &Lab, device: &Identity, change: impl FnOnce(&mut VoucherRequest), status: u16, check: &str) {
    let mut content = request(lab, device);
    change(&mut content);
    refused(lab, device, post(seal(&content, device)), status, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_that_does_not_fit() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let body = seal(&request(&lab, &device), &device);
    let as_type = |media_type| Request::post(paths::REQUEST_VOUCHER, media_type, body.clone());
    refused(&lab, &device, as_type("application/json"), 415, "request-type").await;
    refused(&lab, &device, as_type("application/voucher-cms+xml"), 415, "request-type").await;
    refused(&lab, &device, as_type(media::VOUCHER_CMS).accept("text/html"), 406, "request-accept").await;
    refused(&lab, &device, Request::get(paths::REQUEST_VOUCHER), 405, "request-method").await;
    assert!(lab.vouchers().is_empty() && lab.crossed(paths::REQUEST_VOUCHER).is_empty());
    // The good one, so that the changes and nothing else were refused.
    assert_eq!(post_voucher_request(lab.registrar, &device, body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_voucher_request() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let good = request(&lab, &device);
    let body = seal(&good, &device);
    refused(&lab, &device, post(Vec::new()), 406, "voucher-container").await;
    let truncated = body[..body.len() - 1].to_vec();
    refused(&lab, &device, post(truncated), 406, "voucher-container").await;
    refused(&lab, &device, post(indefinite(&body)), 406, "voucher-container").await;
    let mut spoilt = body.clone();
    let last = spoilt.len() - 1;
    spoilt[last] ^= 1;
    refused(&lab, &device, post(spoilt), 403, "voucher-signature").await;

    let json = String::from_utf8(good.to_json()).unwrap();
    let twice = json.replacen("\"serial-number\"", "\"serial-number\":\"A-2\",\"serial-number\"", 1);
    assert_ne!(json, twice);
    refused(&lab, &device, post(seal_text(&twice, &device)), 400, "voucher-content").await;
    let voucher = json.replacen("ietf-voucher-request:voucher", "ietf-voucher:voucher", 1);
    refused(&lab, &device, post(seal_text(&voucher, &device)), 406, "voucher-artefact").await;
    let without = json.replacen("\"serial-number\":\"A-1\"", "\"serial-no\":\"A-1\"", 1);
    refused(&lab, &device, post(seal_text(&without, &device)), 400, "voucher-mandatory").await;
    assert!(lab.vouchers().is_empty() && lab.crossed(paths::REQUEST_VOUCHER).is_empty());
    let answer = post_voucher_request(lab.registrar, &device, seal_text(&json, &device)).await;
    assert_eq!(answer.status, 200, "the unchanged text is good");
}

/// The same bytes, with an outermost length that is not told but marked at the end (X.690 s8.1.3.6).
fn indefinite(der: &[u8]) -> Vec<u8> {
    let header = if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
    [&[der[0], 0x80], &der[header..], &[0, 0]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_do_not_fit_the_connection() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    // RFC 8995 s5.5: the serial number of the TLS certificate counts.
    changed(&lab, &device, |r| r.serial_number = "A-2".parse().unwrap(), 403, "request-serial").await;
    changed(&lab, &device, |r| r.nonce = None, 403, "request-nonce").await;
    changed(&lab, &device, |r| r.assertion = Some(Assertion::Logged), 401, "request-assertion").await;
    // Signed by another device than the one that connects: a replay (s11.4).
    let other = lab.manufacturer.device("A-1");
    let replayed = seal(&request(&lab, &other), &other);
    refused(&lab, &device, post(replayed), 403, "request-signer").await;
    assert!(lab.vouchers().is_empty() && lab.crossed(paths::REQUEST_VOUCHER).is_empty());
}

/// RFC 8995 s5.2: somebody stands in between; 401, and the connection is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proximity_mismatch_closes_the_connection() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let mut content = request(&lab, &device);
    content.proximity_registrar_cert = Some(Domain::new().registrar.certificate);
    let mut connection = connect(lab.registrar, Some(&device)).await;
    let response = connection.send(post(seal(&content, &device))).await.unwrap();
    assert_eq!((response.status, response.headers.first("connection")), (401, Some("close")));
    let good = connection.send(post(seal(&request(&lab, &device), &device))).await;
    assert!(good.is_err(), "{good:?}");
    assert_eq!(lab.refused_by_registrar().await, ["request-proximity"]);
    // On a new connection the good one is fine.
    assert_eq!(post_voucher_request(lab.registrar, &device, seal(&request(&lab, &device), &device)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_may_not_come() {
    let mut setup = Setup::new();
    setup.registrar.policy = Policy::new(Vec::new(), Verdict::Deny);
    let lab = setup.start().await;
    // Of a maker that the registrar does not know, though it has the name of one that it knows.
    let stranger = Manufacturer::new().device("A-1");
    refused(&lab, &stranger, post(seal(&request(&lab, &stranger), &stranger)), 404, "idevid-untrusted").await;
    // With another kind of certificate, and with none.
    let member = lab.domain.ldevid(Name::common("A-1"));
    let device = lab.manufacturer.device("A-1");
    refused(&lab, &member, post(seal(&request(&lab, &device), &device)), 404, "idevid-untrusted").await;
    let anonymous = connect(lab.registrar, None).await.send(post(seal(&request(&lab, &device), &device))).await;
    assert_eq!(anonymous.unwrap().status, 401);
    assert_eq!(lab.refused_by_registrar().await.last().unwrap(), "idevid-missing");
    // Of a maker that is known, where the owner does not want it.
    refused(&lab, &device, post(seal(&request(&lab, &device), &device)), 404, "policy-denied").await;
    assert!(lab.crossed(paths::REQUEST_VOUCHER).is_empty());
}

/// A person decides: 202 with Retry-After, the MASA is not asked, and the same request may come again (s5.6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_has_to_wait() {
    let mut setup = Setup::new();
    setup.registrar.policy = Policy::new(Vec::new(), Verdict::Ask);
    let lab = setup.start().await;
    let device = lab.manufacturer.device("A-1");
    let body = seal(&request(&lab, &device), &device);
    for _ in 0..2 {
        let response = post_voucher_request(lab.registrar, &device, body.clone()).await;
        assert_eq!((response.status, response.headers.first("retry-after")), (202, Some("30")));
    }
    assert!(lab.crossed(paths::REQUEST_VOUCHER).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_that_cannot_be_read() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    for path in [paths::VOUCHER_STATUS, paths::ENROLL_STATUS] {
        let report = |media_type, body: &str| Request::post(path, media_type, body.as_bytes().to_vec());
        let good = r#"{"version":1,"status":true}"#;
        let sent = connect(lab.registrar, Some(&device)).await.send(report(media::JSON, good)).await.unwrap();
        assert_eq!(sent.status, 200);
        let before = lab.refused_by_registrar().await.len();
        for (media_type, body, status) in [
            ("text/plain", good, 415),
            (media::JSON, r#"{"version":1,"version":1,"status":true}"#, 400),
            (media::JSON, r#"{"version":1}"#, 400),
            (media::JSON, "", 400),
        ] {
            let sent = connect(lab.registrar, Some(&device)).await.send(report(media_type, body)).await.unwrap();
            assert_eq!(sent.status, status, "{path} {body}");
        }
        assert_eq!(lab.refused_by_registrar().await.len(), before + 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_bodies() {
    let mut setup = Setup::new();
    setup.registrar.limits.body_bytes = 8 * 1024;
    let lab = setup.start().await;
    let device = lab.manufacturer.device("A-1");
    let huge = connect(lab.registrar, Some(&device)).await.send(post(vec![0x30; 8 * 1024 + 1])).await.unwrap();
    assert_eq!(huge.status, 413);
    let answer = post_voucher_request(lab.registrar, &device, seal(&request(&lab, &device), &device)).await;
    assert_eq!(answer.status, 200);
}

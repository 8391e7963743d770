//! Bad input at the running MASA: one change each in a good exchange (RFC 8995 s5.5, s5.6, s5.8).

use super::{
    lab::{Lab, Setup},
    pledge::{connect, post_voucher_request, request, seal, seal_text},
};
use landfall_brski::{
    media, paths,
    voucher::{Format, Payload, Voucher, VoucherRequest, open},
};
use landfall_lifecycle::transfer::Customer;
use landfall_testkit::{Domain, Identity, Manufacturer};
use landfall_types::{
    Changes, Time,
    http::{Request, Response},
};
use std::time::Duration;

/// A good request of the lab's registrar, with that of `device` inside.
fn registrar_request(lab: &Lab, device: &Identity) -> VoucherRequest {
    let pledge = request(lab, device);
    VoucherRequest {
        created_on: Some(Time::now()),
        idevid_issuer: device.certificate.idevid_issuer(),
        prior_signed_voucher_request: Some(seal(&pledge, device)),
        proximity_registrar_cert: None,
        ..pledge
    }
}

/// The registrar, with what it wants to have pinned: its chain with the root.
fn registrar(lab: &Lab) -> Identity {
    with_root(&lab.domain.registrar, &lab.domain)
}

fn with_root(who: &Identity, domain: &Domain) -> Identity {
    let mut who = who.clone();
    who.intermediates.push(domain.root.authority.certificate.clone());
    who
}

async fn ask(lab: &Lab, by: &Identity, content: &VoucherRequest) -> Response {
    post_voucher_request(lab.masa, by, seal(content, by)).await
}

async fn refused(lab: &Lab, response: Response, status: u16, check: &str) {
    let reasons = lab.refused_by_masa().await;
    assert_eq!((response.status, reasons.last().map(String::as_str)), (status, Some(check)));
    assert_eq!(response.headers.first("content-type"), Some(media::TEXT));
}

/// Changes one field of a good request.
async fn changed(lab: &Lab, change: impl FnOnce(&mut VoucherRequest), status: u16, check: &str) {
    let mut content = registrar_request(lab, &lab.manufacturer.device("A-1"));
    change(&mut content);
    refused(lab, ask(lab, &registrar(lab), &content).await, status, check).await;
}

fn voucher(response: &Response) -> Voucher {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    open::<Voucher>(Format::CmsJson, &response.body).unwrap().payload
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_that_does_not_fit() {
    let mut setup = Setup::new();
    setup.masa.limits.body_bytes = 32 * 1024;
    let lab = setup.start().await;
    let body = seal(&registrar_request(&lab, &lab.manufacturer.device("A-1")), &registrar(&lab));
    let send = async |request| connect(lab.masa, None).await.send(request).await.unwrap();
    let as_type = |media_type| Request::post(paths::REQUEST_VOUCHER, media_type, body.clone());
    refused(&lab, send(as_type("application/json")).await, 415, "request-type").await;
    refused(&lab, send(as_type(media::VOUCHER_CMS).accept("text/html")).await, 415, "request-accept-unknown").await;
    refused(&lab, send(as_type(media::VOUCHER_CMS).accept(media::VOUCHER_COSE)).await, 406, "request-accept").await;
    refused(&lab, send(Request::get(paths::REQUEST_VOUCHER)).await, 405, "request-method").await;
    let huge = Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, vec![0x30; 32 * 1024 + 1]);
    assert_eq!(send(huge).await.status, 413);
    assert_eq!(send(as_type(media::VOUCHER_CMS)).await.status, 200);
    let truncated = body[..body.len() - 1].to_vec();
    let truncated = Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, truncated);
    refused(&lab, send(truncated).await, 406, "voucher-container").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_contradict_themselves() {
    let lab = Lab::start().await;
    let other = request(&lab, &lab.manufacturer.device("A-2"));
    // RFC 8995 s5.5: this field is the pledge's.
    let seen = lab.domain.registrar.certificate.clone();
    changed(&lab, |r| r.proximity_registrar_cert = Some(seen), 403, "registrar-request-proximity").await;
    let long_ago = Time::now() - Duration::from_secs(7 * 86_400);
    changed(&lab, |r| r.created_on = Some(long_ago), 403, "registrar-request-stale").await;
    changed(&lab, |r| r.created_on = Some(Time::now() + Duration::from_secs(86_400)), 403, "registrar-request-stale")
        .await;
    // RFC 8995 s5.5.5, s5.5.6: what the pledge signed counts.
    changed(&lab, |r| r.serial_number = "A-2".parse().unwrap(), 403, "prior-request-serial").await;
    changed(&lab, |r| r.nonce = other.nonce, 403, "prior-request-nonce").await;
    changed(&lab, |r| r.idevid_issuer = Some(vec![4, 6, 0x30, 4, 0x80, 2, 1, 2]), 403, "idevid-issuer").await;
    changed(&lab, |r| r.prior_signed_voucher_request = Some(vec![1, 2, 3]), 400, "prior-request").await;
    let mut elsewhere = request(&lab, &lab.manufacturer.device("A-1"));
    elsewhere.proximity_registrar_cert = Some(Domain::new().registrar.certificate);
    let device = lab.manufacturer.device("A-1");
    let mut content = registrar_request(&lab, &device);
    content.nonce.clone_from(&elsewhere.nonce);
    content.prior_signed_voucher_request = Some(seal(&elsewhere, &device));
    // RFC 8995 s11.4: a registrar that got hold of a request which another registrar was meant to get.
    refused(&lab, ask(&lab, &registrar(&lab), &content).await, 403, "prior-request-proximity").await;
    let good = registrar_request(&lab, &device);
    assert_eq!(voucher(&ask(&lab, &registrar(&lab), &good).await).nonce, good.nonce);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_others() {
    let lab = Lab::start().await;
    let stranger = Manufacturer::new().device("A-1");
    let content = registrar_request(&lab, &stranger);
    refused(&lab, ask(&lab, &registrar(&lab), &content).await, 404, "idevid-untrusted").await;
}

/// RFC 8995 s5.5.4: who is no registration authority gets nothing, whatever else is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_without_cmc_ra() {
    let lab = Lab::start().await;
    let impostor = with_root(&lab.domain.impostor("localhost"), &lab.domain);
    let device = lab.manufacturer.device("A-1");
    let mut pledge = request(&lab, &device);
    pledge.proximity_registrar_cert = Some(impostor.certificate.clone());
    let mut content = registrar_request(&lab, &device);
    content.nonce.clone_from(&pledge.nonce);
    content.prior_signed_voucher_request = Some(seal(&pledge, &device));
    refused(&lab, ask(&lab, &impostor, &content).await, 403, "registrar-cmc-ra").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artefacts_that_do_not_verify() {
    let lab = Lab::start().await;
    let registrar = registrar(&lab);
    let content = registrar_request(&lab, &lab.manufacturer.device("A-1"));
    let json = String::from_utf8(content.to_json()).unwrap();
    let twice = json.replacen("\"nonce\"", "\"nonce\":\"AAAA\",\"nonce\"", 1);
    assert_ne!(json, twice);
    let answer = post_voucher_request(lab.masa, &registrar, seal_text(&twice, &registrar)).await;
    refused(&lab, answer, 400, "voucher-content").await;
    let mut spoilt = seal(&content, &registrar);
    *spoilt.last_mut().unwrap() ^= 1;
    refused(&lab, post_voucher_request(lab.masa, &registrar, spoilt).await, 403, "voucher-signature").await;
    // The chain that comes along is that of another domain of the same name.
    let other = Domain::named("Test Domain", "localhost").registrar.intermediates;
    let mixed = Identity { intermediates: other, ..registrar };
    refused(&lab, ask(&lab, &mixed, &content).await, 403, "registrar-path").await;
}

/// RFC 8995 s5.5.4: a voucher without nonce only for a registrar that has authenticated itself; it ends (s5.6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vouchers_without_nonce() {
    let mut setup = Setup::new();
    setup.masa.transfer.first_use_needs_proximity = false;
    let lab = setup.start().await;
    let device = lab.manufacturer.device("A-1");
    let mut content = registrar_request(&lab, &device);
    content.nonce = None;
    content.prior_signed_voucher_request = None;
    content.assertion = None;
    let by = registrar(&lab);
    let body = seal(&content, &by);
    let post = Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, body.clone());
    let anonymous = connect(lab.masa, None).await.send(post).await.unwrap();
    refused(&lab, anonymous, 403, "nonceless-authentication").await;
    let stranger = Domain::new().registrar;
    refused(&lab, post_voucher_request(lab.masa, &stranger, body.clone()).await, 403, "nonceless-authentication").await;
    // Who has authenticated itself and is no customer has no claim to one.
    refused(&lab, post_voucher_request(lab.masa, &by, body.clone()).await, 403, "voucher-nonceless-customer").await;
    let customer = Customer {
        owner: "owner".parse().unwrap(),
        certificates: vec![by.certificate.fingerprint()],
        domains: Vec::new(),
        nonceless: true,
    };
    lab.masa_world.store.commit(Changes::new().put(&customer).unwrap()).await.unwrap();
    let voucher = voucher(&post_voucher_request(lab.masa, &by, body).await);
    assert!(voucher.nonce.is_none() && voucher.expires_on.is_some_and(|end| end > Time::now()), "{voucher:?}");
}

/// RFC 8995 s5.8: a device's history is for those who have had a voucher for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_logs_are_for_owners() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let content = registrar_request(&lab, &device);
    let by = registrar(&lab);
    let body = seal(&content, &by);
    let post = |body: &[u8]| Request::post(paths::REQUEST_AUDIT_LOG, media::VOUCHER_CMS, body.to_vec());
    let early = connect(lab.masa, None).await.send(post(&body)).await.unwrap();
    assert_eq!(early.status, 404);
    assert_eq!(post_voucher_request(lab.masa, &by, body.clone()).await.status, 200);
    let log = connect(lab.masa, None).await.send(post(&body)).await.unwrap();
    assert_eq!((log.status, log.headers.first("content-type")), (200, Some(media::JSON)));
    let log: serde_json::Value = serde_json::from_slice(&log.body).unwrap();
    assert_eq!(log["events"].as_array().unwrap().len(), 1);
    assert_eq!(log["events"][0]["nonce"].as_str(), content.nonce.as_ref().map(|nonce| nonce.as_str()));
}

//! Requests that come several times at once: one of them counts, and the others get what it got.

use super::{
    lab::{Lab, Setup, records},
    pledge::{connect, post_voucher_request, request, seal, vouched},
};
use landfall_brski::{
    est::{
        body,
        csrattrs::{CsrAttrs, Wish},
    },
    media, paths,
};
use landfall_lifecycle::transfer::ISSUED_LOG;
use landfall_pki::{Algorithm, CsrRequest, Name, Signer, SoftwareKey, oid};
use landfall_server::{masa::IssuedVoucher, registrar::CertificateRecord};
use landfall_testkit::Identity;
use landfall_types::http::{Request, Response};

/// As many as are sure to be answered: in each round one of them wins, and a server tries as often.
const AT_ONCE: usize = 4;

fn simple_enroll(subject: Name) -> Request {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let csr = CsrRequest::new(subject).prepare(key.public_key(), Algorithm::EcdsaP256).unwrap().issue(&key).unwrap();
    Request::post("/.well-known/est/simpleenroll", media::PKCS10, body::encode(csr.der()))
}

/// The answers to the same request on connections of their own.
async fn at_once(lab: &Lab, client: &Identity, request: &Request) -> Vec<Response> {
    let mut connections = Vec::new();
    for _ in 0..AT_ONCE {
        connections.push(connect(lab.registrar, Some(client)).await);
    }
    let send = |mut connection: landfall_net::http::Connection| {
        let request = request.clone();
        tokio::spawn(async move { connection.send(request).await.unwrap() })
    };
    let tasks: Vec<_> = connections.into_iter().map(send).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_gets_one_certificate() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    vouched(&lab, &device).await;
    let enroll = simple_enroll(device.certificate.subject_name());
    let answers = at_once(&lab, &device, &enroll).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; AT_ONCE]);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "all get the same certificate");
    assert_eq!(records::<CertificateRecord>(&lab.registrar_world).len(), 1);
    // Another key is another certificate.
    let other = simple_enroll(device.certificate.subject_name());
    let answer = connect(lab.registrar, Some(&device)).await.send(other).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_ne!(answer.body, answers[0].body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_nonce_gets_one_voucher() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let body = seal(&request(&lab, &device), &device);
    let post = Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, body.clone());
    let answers = at_once(&lab, &device, &post).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; AT_ONCE]);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "all get the same voucher");
    assert_eq!(lab.masa_world.store.log(ISSUED_LOG, 0, 10).unwrap().len(), 1);
    assert_eq!(records::<IssuedVoucher>(&lab.masa_world).len(), 1);
    assert_eq!(post_voucher_request(lab.registrar, &device, body).await.body, answers[0].body);
}

/// RFC 8995 s5.9.2: what the registrar asks for by its CSR attributes has to be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_what_was_asked_for() {
    let mut setup = Setup::new();
    setup.registrar.est.csrattrs = CsrAttrs(vec![Wish::Oid(oid::SERIAL_NUMBER)]);
    let lab = setup.start().await;
    let device = lab.manufacturer.device("A-1");
    vouched(&lab, &device).await;
    let offered = connect(lab.registrar, None).await.send(Request::get("/.well-known/est/csrattrs")).await.unwrap();
    let offered = CsrAttrs::from_der(&body::decode(&offered.body).unwrap()).unwrap();
    assert!(offered.names(oid::SERIAL_NUMBER));
    let enroll = async |subject| {
        let request = simple_enroll(subject);
        connect(lab.registrar, Some(&device)).await.send(request).await.unwrap().status
    };
    assert_eq!(enroll(Name::common("A-1")).await, 400);
    assert_eq!(lab.refused_by_registrar().await, ["csr-attributes"]);
    assert_eq!(enroll(device.certificate.subject_name()).await, 200);
    let joined = lab.manufacturer.device("A-2");
    lab.onboard(&joined).await;
}

//! What a client believes, and what it does not.

use super::world::{World, csr};
use landfall_brski::{
    est::{
        Operation, body,
        client::{self, Answer, authorise_server},
    },
    media,
};
use landfall_pki::{Anchors, Signer, cms};
use landfall_testkit::{Domain, NOW};
use landfall_types::http::{Method, Response};
use proptest::prelude::*;
use std::time::Duration;

fn bag(certificates: &[landfall_pki::Certificate]) -> Response {
    Response::with(200, media::PKCS7_CERTS_ONLY, body::encode(&cms::certs_only(certificates)))
}

#[test]
fn requests_are_made_as_specified() {
    let world = World::new();
    let csr = csr(&world.content(), &world.key);
    let enroll = client::enroll(Some("sensors"), &csr);
    assert_eq!((enroll.method, enroll.path.as_str()), (Method::Post, "/.well-known/est/sensors/simpleenroll"));
    assert_eq!(enroll.headers.first("content-type"), Some(media::PKCS10));
    assert_eq!(body::decode(&enroll.body).unwrap(), csr.der());
    assert_eq!(client::reenroll(None, &csr).path, Operation::SimpleReenroll.path(None));
    assert_eq!(client::cacerts(None).method, Method::Get);
}

#[test]
fn the_certificate_has_to_be_for_the_key() {
    let world = World::new();
    let ldevid = world.domain.ldevid(super::world::subject());
    let above = world.domain.issuing.authority.certificate.clone();
    let response = bag(&[above.clone(), ldevid.certificate.clone()]);
    let Answer::Granted(enrolled) = client::read_enrolled(&response, ldevid.key.public_key()).unwrap() else {
        panic!()
    };
    assert_eq!((enrolled.certificate, enrolled.others), (ldevid.certificate, vec![above]));
    let refusal = client::read_enrolled(&response, world.key.public_key()).unwrap_err();
    assert_eq!(refusal.check, "est-issued-key");
}

#[test]
fn answers_that_are_not_believed() {
    let world = World::new();
    let key = world.key.public_key();
    let good = bag(std::slice::from_ref(&world.device.certificate));
    for (check, response) in [
        ("est-status", Response::text(400, "no\r\nhow")),
        ("est-status", Response::new(301)),
        ("est-type", Response::with(200, "text/html", good.body.clone())),
        ("est-body", Response::with(200, media::PKCS7, b"?".to_vec())),
        ("est-certificates", Response::with(200, media::PKCS7, body::encode(&[0x30, 0]))),
        ("est-certificates", bag(&[])),
    ] {
        let refusal = client::read_enrolled(&response, key).unwrap_err();
        assert_eq!(refusal.check, check, "{refusal}");
        assert!(!refusal.detail.contains('\n'), "what a peer said is shown in one line");
    }
}

#[test]
fn later_means_later() {
    let world = World::new();
    let at = |response: Response| client::read_enrolled(&response, world.key.public_key()).unwrap();
    let later = |seconds| Answer::Later(Duration::from_secs(seconds));
    assert_eq!(at(Response::new(202).header("retry-after", "7")), later(7));
    assert_eq!(at(Response::new(202)), later(60));
    assert_eq!(at(Response::new(202).header("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")), later(60));
}

#[test]
fn a_server_needs_cmc_ra_or_the_name_that_was_asked_for() {
    let domain = Domain::new();
    let anchors = domain.anchors();
    let registrar = domain.registrar.chain();
    authorise_server(&registrar, &anchors, None, NOW).unwrap();
    let plain = domain.impostor("est.example").chain();
    authorise_server(&plain, &anchors, Some("EST.example"), NOW).unwrap();
    for host in [None, Some("other.example")] {
        assert_eq!(authorise_server(&plain, &anchors, host, NOW).unwrap_err().check, "est-server-cmc-ra");
    }
    assert_eq!(authorise_server(&[], &anchors, None, NOW).unwrap_err().check, "est-server-certificate");
    assert!(authorise_server(&registrar, &Anchors::new(), None, NOW).is_err());
    assert!(authorise_server(&registrar, &Domain::new().anchors(), None, NOW).is_err());
}

proptest! {
    #[test]
    fn readers_never_panic(status in 100_u16..600, content_type in ".{0,60}", text: Vec<u8>) {
        let world_key = landfall_pki::SoftwareKey::generate(landfall_pki::Algorithm::EcdsaP256).unwrap();
        for response in [
            Response::with(status, &content_type, text.clone()),
            Response::with(200, media::PKCS7, body::encode(&text)),
            Response::with(200, media::CSR_ATTRIBUTES, body::encode(&text)),
        ] {
            let _ = client::read_cacerts(&response);
            let _ = client::read_csrattrs(&response);
            let _ = client::read_enrolled(&response, world_key.public_key());
            let _ = client::read_generated(&response);
        }
    }
}

//! A MASA and a registrar whose peers sign what they like.

use super::peer;
use crate::it::replay::rounds;
use landfall_brski::{
    masa, paths, registrar,
    voucher::{self, Assertion, Format, Nonce, Payload, Voucher, VoucherRequest},
};
use landfall_pki::{SignedDataBuilder, oid};
use landfall_policy::{Decision, Verdict};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, Rng};
use landfall_types::{
    Machine,
    contract::drain,
    http::{Request, Response},
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

const CMS: Format = Format::CmsJson;
const SERIAL: &str = "SN-0001";

struct World {
    made: Manufacturer,
    domain: Domain,
    device: Identity,
}

impl World {
    fn new() -> Self {
        let made = Manufacturer::new();
        let device = made.device(SERIAL);
        Self { made, domain: Domain::new(), device }
    }

    fn pledge_request(&self) -> VoucherRequest {
        let mut request = VoucherRequest::new(SERIAL.parse().unwrap());
        request.created_on = Some(NOW);
        request.assertion = Some(Assertion::Proximity);
        request.nonce = Some(Nonce::from_random([7; 16]));
        request.proximity_registrar_cert = Some(self.domain.registrar.certificate.clone());
        request
    }

    fn registrar_request(&self, prior: Vec<u8>) -> VoucherRequest {
        let mut request = self.pledge_request();
        request.proximity_registrar_cert = None;
        request.prior_signed_voucher_request = Some(prior);
        request.idevid_issuer = self.device.certificate.idevid_issuer();
        request
    }

    fn voucher(&self) -> Voucher {
        let mut voucher = Voucher::new(SERIAL.parse().unwrap());
        voucher.created_on = Some(NOW);
        voucher.assertion = Some(Assertion::Proximity);
        voucher.idevid_issuer = self.device.certificate.idevid_issuer();
        voucher.nonce = Some(Nonce::from_random([7; 16]));
        voucher.pinned_domain_cert = Some(self.domain.root.authority.certificate.clone());
        voucher
    }

    /// What the MASA answers to a registrar, where its role permits everything.
    fn masa(&self, request: Request) -> Response {
        let mut config = masa::Config::new(self.made.masa.certificate.clone(), Vec::new(), self.made.device_anchors());
        config.customers = self.domain.anchors();
        let mut exchange = masa::VoucherExchange::new(Arc::new(config));
        let mut next = Some(masa::Input::Request { request, client: Some(peer(&self.domain.registrar)) });
        let mut response = None;
        while let Some(input) = next.take() {
            exchange.handle(NOW, input).expect("the core takes what it asked for");
            for output in drain(&mut exchange) {
                match output {
                    masa::Output::Rule(_) => {
                        next = Some(masa::Input::Ruled(masa::Ruling::Permit(masa::Permit::default())));
                    }
                    masa::Output::Sign { bytes } => next = Some(masa::Input::Signed(self.made.masa.sign(&bytes))),
                    masa::Output::Persist(_) => next = Some(masa::Input::Persisted),
                    masa::Output::Respond(answer) => assert!(response.replace(answer).is_none(), "one answer"),
                    masa::Output::Close(_) => {}
                }
            }
        }
        response.expect("whoever asks gets an answer")
    }

    /// What the registrar answers to a pledge, where its role permits everything and the MASA answers `voucher`.
    fn registrar(&self, request: Request, voucher: &[u8]) -> Response {
        let config = registrar::Config {
            certificate: self.domain.registrar.certificate.clone(),
            chain: vec![
                self.domain.issuing.authority.certificate.clone(),
                self.domain.root.authority.certificate.clone(),
            ],
            vendors: registrar::Vendors::new([registrar::Vendor {
                id: "Test Manufacturer".parse().unwrap(),
                idevid_anchors: self.made.device_anchors(),
                idevid_crls: Default::default(),
                legacy_rsa: false,
                ignore_idevid_expiry: true,
                serial_fallback: None,
                masa: None,
                voucher_anchors: self.made.masa_anchors(),
            }]),
            seal: voucher::SealOptions::default(),
            retry_after: Duration::from_secs(30),
            check_history: false,
        };
        let mut exchange = registrar::VoucherExchange::new(Arc::new(config));
        let mut next = Some(registrar::Input::Request { request, client: Some(peer(&self.device)) });
        let mut response = None;
        while let Some(input) = next.take() {
            exchange.handle(NOW, input).expect("the core takes what it asked for");
            for output in drain(&mut exchange) {
                use registrar::{Input, Output};
                match output {
                    Output::Rule(_) => {
                        next = Some(Input::Ruled(Decision::because(Verdict::Permit, "test", "all may join").into()));
                    }
                    Output::Sign { bytes } => next = Some(Input::Signed(self.domain.registrar.sign(&bytes))),
                    Output::AskMasa { .. } => {
                        next = Some(Input::MasaAnswered(Ok(Response::with(200, CMS.media_type(), voucher.to_vec()))));
                    }
                    Output::FindVoucher { .. } => next = Some(Input::StoredVoucher(None)),
                    Output::AskAuditLog { .. } => next = Some(Input::AuditLogAnswered(Ok(Response::new(404)))),
                    Output::Persist(_) => next = Some(Input::Persisted),
                    Output::Respond(answer) => assert!(response.replace(answer).is_none(), "one answer"),
                    Output::Close(_) => {}
                }
            }
        }
        response.expect("whoever asks gets an answer")
    }
}

fn post(body: Vec<u8>) -> Request {
    Request::post(paths::REQUEST_VOUCHER, CMS.media_type(), body).accept(CMS.media_type())
}

fn signed(content: Vec<u8>, by: &Identity) -> Vec<u8> {
    let above = by.intermediates.clone();
    let message = SignedDataBuilder::new(oid::VOUCHER_CONTENT, content, &by.certificate, above);
    message.prepare(None).unwrap().issue(&*by.key).unwrap()
}

/// The JSON of a payload, sometimes with one or two changes to its members.
fn nonsense(rng: &mut Rng, payload: &impl Payload) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(&payload.to_json()).unwrap();
    let changes = rng.below(3);
    let members = document.as_object_mut().unwrap().values_mut().next().unwrap().as_object_mut().unwrap();
    (0..changes).for_each(|_| change(rng, members));
    document.to_string().into_bytes()
}

fn change(rng: &mut Rng, members: &mut Map<String, Value>) {
    const NAMES: [&str; 9] = [
        "nonce",
        "assertion",
        "serial-number",
        "created-on",
        "expires-on",
        "idevid-issuer",
        "pinned-domain-cert",
        "proximity-registrar-cert",
        "prior-signed-voucher-request",
    ];
    let pick = |rng: &mut Rng, members: &Map<String, Value>| {
        let index = rng.below(members.len() as u64) as usize;
        members.iter().nth(index).map(|(name, value)| (name.clone(), value.clone()))
    };
    let Some((name, value)) = pick(rng, members) else { return };
    let new = match rng.below(6) {
        0 => {
            members.remove(&name);
            return;
        }
        1 => {
            // The value of another member.
            let Some((_, other)) = pick(rng, members) else { return };
            other
        }
        2 => {
            // A member that may not belong here.
            let name = NAMES[rng.below(NAMES.len() as u64) as usize];
            members.insert(name.to_owned(), value);
            return;
        }
        3 => {
            let odd = [json!(null), json!(""), json!(-1), json!([]), json!({}), json!(true), json!("A".repeat(5000))];
            odd[rng.below(odd.len() as u64) as usize].clone()
        }
        4 => {
            let near =
                ["SN-0002", "SN-0001 ", "verified", "logged", "2026-11-22T09:30:00+25:00", "9999-12-31T23:59:59Z"];
            json!(near[rng.below(near.len() as u64) as usize])
        }
        _ => {
            // Another character somewhere.
            let mut text: Vec<char> = value.as_str().unwrap_or_default().chars().collect();
            let at = rng.below(text.len() as u64 + 1) as usize;
            text.insert(at, char::from(0x20 + rng.below(0x5f) as u8));
            json!(text.into_iter().collect::<String>())
        }
    };
    members.insert(name, new);
}

#[test]
fn a_masa_vouches_only_for_what_the_requests_prove() {
    let world = World::new();
    let mut granted = 0;
    for mut rng in rounds(8366) {
        let shown = format!("{rng:?}");
        let inner = nonsense(&mut rng, &world.pledge_request());
        let prior = signed(inner.clone(), &world.device);
        let outer = nonsense(&mut rng, &world.registrar_request(prior));
        let response = world.masa(post(signed(outer.clone(), &world.domain.registrar)));
        assert!(matches!(response.status, 200 | 400..500), "{shown}: {response:?}");
        if response.status != 200 {
            continue;
        }
        granted += 1;
        let voucher = voucher::open::<Voucher>(CMS, &response.body).unwrap().payload;
        let outer = VoucherRequest::from_json(&outer).unwrap();
        assert_eq!(voucher.nonce, outer.nonce, "{shown}");
        assert_eq!(voucher.serial_number, outer.serial_number, "{shown}");
        assert!(voucher.nonce.is_some() != voucher.expires_on.is_some(), "{shown}: fresh, or limited in time");
        let inner = VoucherRequest::from_json(&inner);
        match voucher.assertion {
            Some(Assertion::Proximity) => {
                let inner = inner.unwrap();
                assert_eq!(inner.serial_number.as_str(), SERIAL, "{shown}");
                // RFC 8995 s5.5.6: a registrar may ask for a voucher without nonce, but for none with another.
                assert!(outer.nonce.is_none() || inner.nonce == outer.nonce, "{shown}");
                let seen = inner.proximity_registrar_cert.unwrap();
                assert_eq!(seen.public_key(), world.domain.registrar.certificate.public_key(), "{shown}");
            }
            Some(Assertion::Logged) => {}
            other => panic!("{shown}: nobody verified anything, yet the voucher says {other:?}"),
        }
    }
    assert!(granted > 20, "some requests were left whole: {granted}");
}

#[test]
fn a_registrar_hands_out_only_vouchers_for_who_asks() {
    let world = World::new();
    let mut granted = 0;
    for mut rng in rounds(8366) {
        let shown = format!("{rng:?}");
        let request = nonsense(&mut rng, &world.pledge_request());
        let voucher = signed(nonsense(&mut rng, &world.voucher()), &world.made.masa);
        let response = world.registrar(post(signed(request.clone(), &world.device)), &voucher);
        // What a MASA does wrong is told to the pledge as a failure of the servers behind this one.
        assert!(matches!(response.status, 200 | 202 | 400..500 | 502), "{shown}: {response:?}");
        if response.status != 200 {
            continue;
        }
        granted += 1;
        assert_eq!(response.body, voucher, "{shown}: the MASA's own bytes");
        let voucher = voucher::open::<Voucher>(CMS, &voucher).unwrap().payload;
        let request = VoucherRequest::from_json(&request).unwrap();
        assert_eq!(voucher.serial_number.as_str(), SERIAL, "{shown}");
        assert_eq!(request.serial_number.as_str(), SERIAL, "{shown}");
        assert!(voucher.nonce.is_none() || voucher.nonce == request.nonce, "{shown}");
        let seen = request.proximity_registrar_cert.map(|seen| seen.public_key().clone());
        assert_eq!(seen.as_ref(), Some(world.domain.registrar.certificate.public_key()), "{shown}");
    }
    assert!(granted > 20, "some requests were left whole: {granted}");
}

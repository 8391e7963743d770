//! What a MASA refuses: each a good case with one change.

use super::case::*;
use crate::it::sealed::{cms, seal, serial};
use landfall_brski::{
    masa::{Input, Output, Ruling, VoucherExchange},
    media, paths,
    voucher::{Format, Nonce},
};
use landfall_pki::{Anchors, Certificate, Signer, oid};
use landfall_testkit::{Domain, Identity, Issuer, Manufacturer, NOW};
use landfall_types::{
    Fault, Machine, Outcome, Refusal,
    http::{Method, Request},
};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

#[test]
fn the_registrars_request_is_refused() {
    let nonced = Case::nonced;
    refused(nonced(), "request-method", 405, |c| c.http = |http| http.method = Method::Get);
    refused(nonced(), "request-path", 404, |c| c.http = |http| http.path = paths::VOUCHER_STATUS.into());
    refused(nonced(), "request-type", 415, |c| {
        c.http = |http| *http = Request::post(&http.path, "application/json", http.body.clone());
    });
    refused(nonced(), "request-accept", 406, |c| c.http = |http| http.headers.add("accept", media::VOUCHER_COSE));
    refused(nonced(), "request-accept-unknown", 415, |c| c.http = |http| http.headers.add("accept", "image/png"));
    refused(nonced(), "voucher-size", 413, |c| c.http = |http| http.body.resize(1 << 20, 0));
    refused(nonced(), "voucher-container", 406, |c| c.http = |http| http.body.truncate(100));
    refused(nonced(), "voucher-signature", 403, |c| {
        // The signature stands at the end.
        c.http = |http| *http.body.last_mut().unwrap() ^= 1;
    });
    refused(nonced(), "voucher-content-type", 406, |c| {
        c.http = |http| http.body = cms(oid::CMC_RA, b"{}", &DOMAIN.registrar);
    });
    refused(nonced(), "voucher-artefact", 406, |c| {
        c.http = |http| http.body = cms(oid::DATA, br#"{"ietf-voucher:voucher":{}}"#, &DOMAIN.registrar);
    });
    refused(nonced(), "registrar-request-proximity", 403, |c| {
        c.request.proximity_registrar_cert = Some(DOMAIN.registrar.certificate.clone());
    });
    refused(nonced(), "registrar-request-stale", 403, |c| c.now = NOW + 61 * MINUTE);
    refused(nonced(), "registrar-request-stale", 403, |c| c.now = NOW - 6 * MINUTE);
    refused(nonced(), "registrar-cmc-ra", 403, |c| c.registrar = DOMAIN.impostor("registrar.example"));
    refused(nonced(), "registrar-path", 403, |c| {
        c.request.created_on = None;
        c.now = DOMAIN.registrar.certificate.not_after() + MINUTE;
    });
    refused(nonced(), "idevid-issuer", 403, |c| c.request.idevid_issuer = Some(vec![9; 20]));
    refused(nonced(), "idevid-issuer", 403, |c| c.request.idevid_issuer = Some(vec![9]));
    refused(Case::nonceless(), "idevid-issuer", 403, |c| c.request.idevid_issuer = None);
}

#[test]
fn the_pledges_request_is_refused() {
    let nonced = Case::nonced;
    let garbage =
        |bytes: &'static [u8]| move |c: &mut Case| c.request.prior_signed_voucher_request = Some(bytes.to_vec());
    refused(nonced(), "prior-request", 400, garbage(b"garbage"));
    refused(nonced(), "prior-request", 400, garbage(&[0x30, 0x82, 0, 1, 0]));
    refused(nonced(), "prior-request", 403, |c| {
        // Its own signature: the last byte.
        let mut bytes = seal(Format::CmsJson, &c.pledge, &c.device);
        *bytes.last_mut().unwrap() ^= 1;
        c.request.prior_signed_voucher_request = Some(bytes);
    });
    refused(nonced(), "idevid-untrusted", 404, |c| c.device = Manufacturer::new().device(SERIAL));
    refused(nonced(), "prior-request-serial", 403, |c| c.device = MANUFACTURER.device("JADA987654321"));
    refused(nonced(), "prior-request-serial", 403, |c| c.pledge.serial_number = serial("JADA987654321"));
    refused(nonced(), "prior-request-serial", 403, |c| c.request.serial_number = serial("JADA987654321"));
    refused(nonced(), "prior-request-nonce", 403, |c| c.pledge.nonce = Some(Nonce::from_random([8; 16])));
    refused(nonced(), "prior-request-nonce", 403, |c| c.pledge.nonce = None);
    refused(nonced(), "prior-request-proximity", 403, |c| {
        c.pledge.proximity_registrar_cert = Some(OTHER.registrar.certificate.clone());
    });
    refused(nonced(), "prior-request-proximity", 403, |c| c.pledge.proximity_registrar_cert = None);
}

/// RFC 8995 s11.4: a fake registrar has overheard a pledge's request, and puts it and the true registrar's
/// certificate into its own.
#[test]
fn a_replayed_pledge_request_does_not_serve_a_fake_registrar() {
    refused(Case::nonced(), "prior-request-proximity", 403, |c| {
        c.registrar = OTHER.registrar.clone();
        c.extra = [whole_chain(&OTHER), DOMAIN.registrar.chain()].concat();
    });
}

/// The certificate of `identity` with the subject key identifier of another, signed anew by `issuer`.
fn with_key_id_of(identity: &Identity, other: &Certificate, issuer: &Issuer) -> Certificate {
    let mut tbs = identity.certificate.tbs_der().to_vec();
    let (mine, theirs) = (identity.certificate.subject_key_id().unwrap(), other.subject_key_id().unwrap());
    let at = tbs.windows(mine.len()).position(|window| window == mine).unwrap();
    tbs[at..at + mine.len()].copy_from_slice(theirs);
    let signature = [&[0], &issuer.key.sign(&tbs).unwrap()[..]].concat();
    let signature = [&[0x03, u8::try_from(signature.len()).unwrap()], &signature[..]].concat();
    // ecdsa-with-SHA256 (RFC 5758 s3.2).
    let algorithm = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let inner = [&tbs[..], &algorithm, &signature].concat();
    let length = u16::try_from(inner.len()).unwrap().to_be_bytes();
    Certificate::from_der(&[&[0x30, 0x82, length[0], length[1]], &inner[..]].concat()).unwrap()
}

/// RFC 8995 s11.2: a domain is known by a key identifier, which anyone can write into a certificate of their own.
#[test]
fn no_domain_passes_for_another() {
    refused(Case::nonced(), "registrar-key-id", 403, |c| {
        c.registrar = OTHER.registrar.clone();
        c.registrar.certificate = with_key_id_of(&OTHER.registrar, &DOMAIN.registrar.certificate, &OTHER.issuing);
        assert_eq!(c.registrar.certificate.domain_id(), DOMAIN.registrar.certificate.domain_id());
        c.extra = whole_chain(&OTHER);
        c.prior = None;
    });
}

/// RFC 8995 s11.1: without authentication, anyone could take over a device that is sold on.
#[test]
fn nonceless_vouchers_are_for_authenticated_registrars() {
    let nonceless = Case::nonceless;
    refused(nonceless(), "nonceless-authentication", 403, |c| c.client = None);
    refused(nonceless(), "nonceless-authentication", 403, |c| c.client = Some(OTHER.registrar.clone()));
    refused(nonceless(), "nonceless-authentication", 403, |c| {
        c.client = None;
        c.config.customers = OTHER.anchors();
    });
    refused(nonceless(), "nonceless-authentication", 403, |c| {
        // A certificate of the domain without its key is no client; one that only names the domain is neither.
        c.client = Some(Domain::named("Test Domain", "registrar.example").registrar);
    });
}

#[test]
fn the_role_refuses() {
    let device_unknown = || Refusal::new(Fault::Denied, "device-unknown", "RFC 8995 s5.6", "no such device was made");
    refused(Case::nonced(), "device-unknown", 404, |c| c.ruling = Ruling::Refuse(device_unknown()));
    let sold = Refusal::new(Fault::Denied, "policy", "RFC 8995 s5.5.4", "the device was sold to another");
    refused(Case::nonced(), "policy", 403, |c| c.ruling = Ruling::Refuse(sold));
}

#[test]
fn a_certificate_that_ends_now_leaves_no_time_for_a_nonceless_voucher() {
    refused(Case::nonceless(), "voucher-lifetime", 403, |c| {
        c.request.created_on = None;
        c.now = DOMAIN.registrar.certificate.not_after();
    });
}

#[test]
fn a_failure_of_our_own_is_said_to_be_ours() {
    let case = Case::nonced();
    let http = case.request();
    let mut exchange = VoucherExchange::new(Arc::new(case.config));
    exchange.handle(case.now, Input::Request { request: http, client: None }).unwrap();
    assert!(matches!(exchange.poll_output(), Some(Output::Rule(_))));
    exchange.handle(case.now, Input::Failed("the database is gone".into())).unwrap();
    let Some(Output::Respond(response)) = exchange.poll_output() else { panic!("no response") };
    assert_eq!(response.status, 503);
    let Some(Output::Close(Outcome::Refused(refusal))) = exchange.poll_output() else { panic!("no end") };
    assert_eq!((refusal.check.as_ref(), refusal.fault), ("masa-backend", Fault::Backend));
}

#[test]
fn an_input_out_of_order_ends_the_exchange() {
    let mut exchange = VoucherExchange::new(Arc::new(Case::nonced().config));
    exchange.handle(NOW, Input::Persisted).unwrap();
    assert!(matches!(exchange.poll_output(), Some(Output::Respond(response)) if response.status == 500));
    assert!(matches!(exchange.poll_output(), Some(Output::Close(Outcome::Refused(r))) if r.check == "exchange-order"));
}

/// A root on the way from the registrar may be another's work; here its own signature, which stands at its end.
#[test]
fn a_pinned_root_that_did_not_sign_itself_is_refused() {
    refused(Case::nonceless(), "registrar-path", 403, |c| {
        let mut forged = DOMAIN.root.authority.certificate.der().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        c.extra.pop();
        c.extra.push(Certificate::from_der(&forged).unwrap());
    });
}

/// RFC 8995 s5.5.3: revocation is looked at as usual.
#[test]
fn a_revoked_registrar_is_refused() {
    refused(Case::nonced(), "registrar-path", 403, |c| {
        c.config.crls = [revocations(&[&DOMAIN.registrar.certificate])].into_iter().collect();
    });
    let mut case = Case::nonced();
    case.config.crls = [revocations(&[&DOMAIN.operator("another").certificate])].into_iter().collect();
    case.granted();
}

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| Case::nonced().body());

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a good request, the exchange ends with a refusal, or the claim is the one that was signed.
    #[test]
    fn damage_never_makes_another_claim(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut body = GOOD.clone();
        let at = at.index(body.len());
        body[at] = to;
        body.truncate(body.len() - cut.index(2) * cut.index(body.len()));
        let case = Case::nonced();
        let request = Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, body);
        let mut exchange = VoucherExchange::new(Arc::new(case.config));
        exchange.handle(case.now, Input::Request { request, client: None }).unwrap();
        match exchange.poll_output() {
            Some(Output::Rule(claim)) => {
                prop_assert_eq!(claim.serial, serial(SERIAL));
                prop_assert_eq!(claim.registrar, DOMAIN.registrar.certificate.clone());
                prop_assert_eq!(claim.nonce, Some(Nonce::from_random([7; 16])));
                // The other certificates are not signed with the request: one may get lost, or, where nothing above it
                // came along, hold something else beside its key.
                let mine = [&DOMAIN.registrar.certificate, &DOMAIN.issuing.authority.certificate].map(Certificate::public_key);
                prop_assert!(mine.contains(&claim.pinned.public_key()), "{}", claim.pinned.subject());
            }
            Some(Output::Respond(response)) => prop_assert!(response.status >= 400),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

#[test]
fn anchors_that_are_not_there_trust_nobody() {
    refused(Case::nonced(), "idevid-untrusted", 404, |c| c.config.idevid_anchors = Anchors::new());
}

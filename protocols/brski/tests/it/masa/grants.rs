//! What a MASA grants.

use super::case::*;
use crate::it::sealed::serial;
use landfall_brski::{
    masa::{Authentication, Issued, Permit, Pin, Ruling},
    voucher::{Assertion, Format, Nonce},
};
use landfall_pki::{CertificateSerial, SignatureMemo, Validity};
use landfall_testkit::{Manufacturer, NOW};
use landfall_types::Outcome;
use std::{sync::Arc, time::Duration};

#[test]
fn a_nonced_voucher_with_proximity() {
    let (claim, issued, voucher) = Case::nonced().granted();
    assert_eq!(claim.assertion, Assertion::Proximity);
    assert_eq!(claim.authentication, Authentication::None);
    assert_eq!(claim.idevid.as_ref(), Some(&DEVICE.certificate));
    assert_eq!(claim.domain_chain.len(), 3);
    let content = voucher.payload;
    assert_eq!(content.serial_number, serial(SERIAL));
    assert_eq!(content.nonce, Some(Nonce::from_random([7; 16])));
    assert_eq!(content.assertion, Some(Assertion::Proximity));
    assert_eq!(content.idevid_issuer, DEVICE.certificate.idevid_issuer());
    assert_eq!(content.domain_cert_revocation_checks, Some(false));
    // A nonced voucher pins the lowest CA, and never expires.
    assert_eq!(content.pinned_domain_cert.as_ref(), Some(&DOMAIN.issuing.authority.certificate));
    assert_eq!(content.expires_on, None);
    assert_eq!(issued.past.domain, DOMAIN.issuing.authority.certificate.domain_id());
    assert_eq!(issued.past.authority, DOMAIN.root.authority.certificate.public_key().fingerprint());
}

#[test]
fn every_form_of_request_is_understood() {
    for format in Format::ALL {
        for prior in Format::ALL {
            let mut case = Case::nonced();
            (case.format, case.prior) = (format, Some(prior));
            let (claim, issued, _) = case.granted();
            assert_eq!(claim.assertion, Assertion::Proximity);
            let expected = if format == Format::CoseCbor { Format::CmsJson } else { format };
            assert_eq!(issued.format, expected, "the form of the request, if it can be issued");
        }
    }
}

#[test]
fn what_is_pinned_is_configured() {
    for (pin, expected) in [
        (Pin::EndEntity, &DOMAIN.registrar.certificate),
        (Pin::LowestCa, &DOMAIN.issuing.authority.certificate),
        (Pin::HighestCa, &DOMAIN.root.authority.certificate),
    ] {
        let mut case = Case::nonced();
        case.config.pin_nonced = pin;
        assert_eq!(&case.granted().0.pinned, expected);
    }
}

/// RFC 8995 s5.5: the registrar may send as little as its own certificate.
#[test]
fn a_registrar_that_sends_only_itself_is_pinned_itself() {
    let mut case = Case::nonced();
    case.extra.clear();
    let (claim, ..) = case.granted();
    assert_eq!(claim.pinned, DOMAIN.registrar.certificate);
    assert_eq!(claim.domain, DOMAIN.registrar.certificate.domain_id());
}

#[test]
fn without_the_pledges_word_it_is_only_logged() {
    let mut without_request = Case::nonced();
    without_request.prior = None;
    let mut without_certificate = Case::nonced();
    without_certificate.pledge.proximity_registrar_cert = None;
    without_certificate.pledge.assertion = None;
    for case in [without_request, without_certificate] {
        assert_eq!(case.granted().2.payload.assertion, Some(Assertion::Logged));
    }
}

/// RFC 8995 s11.4: a pledge's request that lost its nonce on the way says nothing of now.
#[test]
fn the_pledges_word_without_its_nonce_is_only_logged() {
    let mut case = Case::nonceless();
    case.prior = Some(Format::CmsJson);
    assert_eq!(case.granted().2.payload.assertion, Some(Assertion::Logged));
}

#[test]
fn a_verified_sale_stands_in_the_voucher() {
    let mut case = Case::nonced();
    case.ruling = Ruling::Permit(Permit { ownership_verified: true, ..Permit::default() });
    let (_, issued, voucher) = case.granted();
    assert_eq!(voucher.payload.assertion, Some(Assertion::Verified));
    assert_eq!(issued.past.assertion, Assertion::Verified);
}

#[test]
fn a_nonceless_voucher_expires_and_pins_the_highest_ca() {
    let (claim, issued, voucher) = Case::nonceless().granted();
    assert_eq!(claim.authentication, Authentication::TlsClient);
    let expires_on = NOW + Duration::from_secs(1) + 20 * MINUTE;
    assert_eq!(voucher.payload.expires_on, Some(expires_on));
    assert_eq!(voucher.payload.nonce, None);
    assert_eq!(voucher.payload.pinned_domain_cert.as_ref(), Some(&DOMAIN.root.authority.certificate));
    assert_eq!((issued.past.nonce, issued.past.expires_on), (None, Some(expires_on)));
}

/// RFC 8995 s5.6: no longer than the registrar's certificate.
#[test]
fn a_nonceless_voucher_ends_with_the_registrars_certificate() {
    let mut case = Case::nonceless();
    case.ruling =
        Ruling::Permit(Permit { lifetime: Some(Duration::from_secs(u64::from(u32::MAX))), ..Permit::default() });
    let (.., voucher) = case.granted();
    assert_eq!(voucher.payload.expires_on, Some(DOMAIN.registrar.certificate.not_after()));
}

#[test]
fn a_known_customer_needs_no_client_certificate() {
    let mut case = Case::nonceless();
    case.client = None;
    case.config.customers = DOMAIN.anchors();
    assert_eq!(case.granted().0.authentication, Authentication::Customer);
}

#[test]
fn another_certificate_of_the_domain_authenticates_the_client() {
    let mut case = Case::nonceless();
    case.client = Some(DOMAIN.operator("batch ordering"));
    assert_eq!(case.granted().0.authentication, Authentication::TlsClient);
}

#[test]
fn a_device_of_the_only_issuer_needs_none_named() {
    let mut case = Case::nonceless();
    case.request.idevid_issuer = None;
    case.config.sole_idevid_issuer = DEVICE.certificate.authority_key_id();
    let unnamed = case.granted().0.device;
    assert_eq!(unnamed, Case::nonced().granted().0.device);
}

#[test]
fn the_answer_of_before_is_given_again() {
    let (_, issued, _) = Case::nonced().granted();
    let mut case = Case::nonced();
    case.ruling = repeat(&issued);
    let ended = case.run();
    assert_eq!((ended.outcome, ended.response.status), (Outcome::Done, 200));
    assert_eq!(ended.response.body, issued.voucher);
    assert!(ended.issued.is_none(), "nothing new is logged");
}

fn repeat(issued: &Issued) -> Ruling {
    Ruling::Repeat { format: issued.format, voucher: issued.voucher.clone(), known_customer: false }
}

/// RFC 8995 s5.5.4: the records of the role are anchors as well.
#[test]
fn a_customer_that_the_role_knows_needs_no_client_certificate() {
    let mut case = Case::nonceless();
    case.client = None;
    case.ruling = Ruling::Permit(Permit { known_customer: true, ..Permit::default() });
    assert_eq!(case.granted().0.authentication, Authentication::None);
}

/// The voucher of before is as good as a new one, so not everyone who repeats a request gets it.
#[test]
fn a_nonceless_voucher_is_not_repeated_to_strangers() {
    let (_, issued, _) = Case::nonceless().granted();
    let mut case = Case::nonceless();
    case.ruling = repeat(&issued);
    assert_eq!(case.run().response.status, 200);
    let mut case = Case::nonceless();
    case.ruling = repeat(&issued);
    refused(case, "nonceless-authentication", 403, |c| c.client = None);
}

/// RFC 8995 s5.6: a nonceless voucher ends before the revocation list does.
#[test]
fn a_nonceless_voucher_ends_with_the_revocation_list() {
    let mut case = Case::nonceless();
    case.config.crls = [revocations(&[])].into_iter().collect();
    assert_eq!(case.granted().2.payload.expires_on, Some(NOW + 2 * MINUTE));
}

/// RFC 8995 s2.6.2: the end of an IDevID's validity counts only where the manufacturer says so.
#[test]
fn an_expired_idevid_counts_as_configured() {
    let issuing = &MANUFACTURER.issuing;
    let profile = landfall_pki::profile::Idevid {
        serial_number: serial(SERIAL),
        subject: landfall_pki::Name::common("Test Model"),
        masa_url: None,
        mud_url: None,
        mud_signer: None,
        hardware_module: None,
        policies: Vec::new(),
    };
    let ended = Validity { not_before: NOW - 60 * MINUTE, not_after: NOW - MINUTE };
    let certificate = {
        let number = CertificateSerial::random().expect("a serial number");
        let prepared = profile.prepare(&issuing.authority, DEVICE.certificate.public_key(), number, ended);
        prepared
            .expect("a certificate")
            .lint()
            .expect("no lint stands against it")
            .issue(&*issuing.key)
            .expect("issued")
    };
    let mut case = Case::nonced();
    case.device.certificate = certificate.clone();
    case.granted();
    refused(Case::nonced(), "idevid-untrusted", 404, |c| {
        c.device.certificate = certificate;
        c.config.idevid_expiry_ignored = false;
    });
}

/// With the memo, a path through the same CAs is judged the same.
#[test]
fn remembered_signatures_change_no_judgement() {
    let memo = Arc::new(SignatureMemo::default());
    for _ in 0..2 {
        let mut case = Case::nonced();
        case.config.memo = Some(memo.clone());
        case.granted();
        refused(Case::nonced(), "idevid-untrusted", 404, |c| {
            c.config.memo = Some(memo.clone());
            c.device = Manufacturer::new().device(SERIAL);
        });
    }
    assert!(!memo.is_empty());
}

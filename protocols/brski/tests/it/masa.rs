//! The MASA: what it grants, and every refusal by one change in a good case.

use super::sealed::{cms, seal, seal_with, serial};
use landfall_brski::{
    ChannelBinding, TlsPeer,
    audit_log::AuditLog,
    masa::{
        AuditInput, AuditLogExchange, AuditOutput, Authentication, Claim, Config, Input, Issued, Output, PastVoucher,
        Permit, Pin, Precedent, Ruling, VoucherExchange,
    },
    media, paths,
    voucher::{Assertion, Format, Nonce, Signed, Voucher, VoucherRequest, open},
};
use landfall_pki::{
    Anchors, Certificate, CertificateSerial, Crl, CrlRequest, Revoked, SignatureMemo, Signer, Validity, crl::Reason,
    oid,
};
use landfall_testkit::{Domain, Identity, Issuer, Manufacturer, NOW};
use landfall_types::{
    Fault, Machine, Outcome, Refusal, Time,
    http::{Method, Request, Response},
};
use proptest::prelude::*;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

const SERIAL: &str = "JADA123456789";
const MINUTE: Duration = Duration::from_secs(60);

static MANUFACTURER: LazyLock<Manufacturer> = LazyLock::new(Manufacturer::new);
static DEVICE: LazyLock<Identity> = LazyLock::new(|| MANUFACTURER.device(SERIAL));
static DOMAIN: LazyLock<Domain> = LazyLock::new(Domain::new);
static OTHER: LazyLock<Domain> = LazyLock::new(|| Domain::named("Other Domain", "registrar.other.example"));

/// A good exchange, of which a test changes one thing.
struct Case {
    config: Config,
    now: Time,
    pledge: VoucherRequest,
    device: Identity,
    /// Whether the pledge's request goes along, and in what form.
    prior: Option<Format>,
    request: VoucherRequest,
    registrar: Identity,
    /// The certificates that go along with the registrar's.
    extra: Vec<Certificate>,
    format: Format,
    client: Option<Identity>,
    ruling: Ruling,
    /// Changes the finished HTTP request.
    http: fn(&mut Request),
}

/// What came of it.
struct Ended {
    claim: Option<Claim>,
    issued: Option<Issued>,
    response: Response,
    outcome: Outcome,
}

impl Case {
    /// A pledge waits, and its registrar asks for a nonced voucher.
    fn nonced() -> Self {
        let Manufacturer { masa, .. } = &*MANUFACTURER;
        let config = Config::new(masa.certificate.clone(), masa.intermediates.clone(), MANUFACTURER.device_anchors());
        let nonce = Nonce::from_random([7; 16]);
        let mut pledge = VoucherRequest::new(serial(SERIAL));
        pledge.assertion = Some(Assertion::Proximity);
        pledge.nonce = Some(nonce.clone());
        pledge.proximity_registrar_cert = Some(DOMAIN.registrar.certificate.clone());
        let mut request = VoucherRequest::new(serial(SERIAL));
        request.created_on = Some(NOW);
        request.assertion = Some(Assertion::Proximity);
        request.nonce = Some(nonce);
        request.idevid_issuer = DEVICE.certificate.idevid_issuer();
        Self {
            config,
            now: NOW + Duration::from_secs(1),
            pledge,
            device: DEVICE.clone(),
            prior: Some(Format::CmsJson),
            request,
            registrar: DOMAIN.registrar.clone(),
            extra: whole_chain(&DOMAIN),
            format: Format::CmsJson,
            client: None,
            ruling: Ruling::Permit(Permit::default()),
            http: |_| {},
        }
    }

    /// A registrar asks ahead, for a device that will come later.
    fn nonceless() -> Self {
        let mut case = Self::nonced();
        case.prior = None;
        case.request.nonce = None;
        case.request.assertion = None;
        case.client = Some(DOMAIN.registrar.clone());
        case
    }

    /// The registrar's request.
    fn body(&self) -> Vec<u8> {
        let mut request = self.request.clone();
        if let Some(format) = self.prior {
            request.prior_signed_voucher_request.get_or_insert_with(|| seal(format, &self.pledge, &self.device));
        }
        seal_with(self.format, &request, &self.registrar, &self.extra)
    }

    fn request(&self) -> Request {
        let mut http = Request::post(paths::REQUEST_VOUCHER, self.format.media_type(), self.body());
        (self.http)(&mut http);
        http
    }

    fn run(self) -> Ended {
        let client =
            self.client.as_ref().map(|client| TlsPeer { chain: client.chain(), binding: ChannelBinding::default() });
        let http = self.request();
        let mut exchange = VoucherExchange::new(Arc::new(self.config));
        exchange.handle(self.now, Input::Request { request: http, client }).expect("the first input");
        let mut claim = None;
        let mut issued = None;
        let mut response = None;
        let mut ruling = Some(self.ruling);
        while let Some(output) = exchange.poll_output() {
            let input = match output {
                Output::Rule(found) => {
                    claim = Some(*found);
                    Input::Ruled(ruling.take().expect("one ruling is asked for"))
                }
                Output::Sign { bytes } => Input::Signed(MANUFACTURER.masa.sign(&bytes)),
                Output::Persist(record) => {
                    issued = Some(*record);
                    assert!(response.is_none(), "nothing is sent before it is durable");
                    Input::Persisted
                }
                Output::Respond(sent) => {
                    response = Some(sent);
                    continue;
                }
                Output::Close(outcome) => {
                    assert!(exchange.poll_output().is_none(), "nothing follows the end");
                    let error = exchange.handle(self.now, Input::Persisted).expect_err("it is over");
                    assert_eq!(error.fault, Fault::Misuse);
                    return Ended { claim, issued, response: response.expect("a response"), outcome };
                }
            };
            exchange.handle(self.now, input).expect("inputs are in order");
        }
        panic!("the exchange did not end");
    }

    fn granted(self) -> (Claim, Issued, Signed<Voucher>) {
        let Ended { claim, issued, response, outcome } = self.run();
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(response.status, 200);
        let format = Format::from_media_type(response.headers.first("content-type").unwrap()).unwrap();
        let issued = issued.expect("a record");
        assert_eq!((issued.format, &issued.voucher), (format, &response.body));
        let voucher: Signed<Voucher> = open(format, &response.body).unwrap();
        assert_eq!(voucher.signer, MANUFACTURER.masa.certificate);
        (claim.expect("a claim"), issued, voucher)
    }
}

/// What the registrar lets the MASA choose from.
fn whole_chain(domain: &Domain) -> Vec<Certificate> {
    [&domain.registrar.intermediates[..], std::slice::from_ref(&domain.root.authority.certificate)].concat()
}

/// Runs `case` after `change`, and expects a refusal by `check` that the registrar hears of as `status`.
fn refused(mut case: Case, check: &str, status: u16, change: impl FnOnce(&mut Case)) {
    change(&mut case);
    let Ended { issued, response, outcome, .. } = case.run();
    let Outcome::Refused(refusal) = outcome else { panic!("{check}: {outcome:?}") };
    assert_eq!((refusal.check.as_ref(), response.status), (check, status), "{refusal}");
    assert!(refusal.section.starts_with("RFC "), "{refusal}");
    assert!(issued.is_none(), "{refusal}");
    // RFC 8995 s5.6: text for people, which tells the registrar nothing of the detail.
    assert_eq!(response.headers.first("content-type"), Some(media::TEXT));
    assert!(!String::from_utf8(response.body).unwrap().contains(&refusal.detail));
}

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
    case.ruling = Ruling::Repeat { format: issued.format, voucher: issued.voucher.clone() };
    let ended = case.run();
    assert_eq!((ended.outcome, ended.response.status), (Outcome::Done, 200));
    assert_eq!(ended.response.body, issued.voucher);
    assert!(ended.issued.is_none(), "nothing new is logged");
}

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

/// A list of the domain's issuing CA that revokes `revoked` and is due again in two minutes.
fn revocations(revoked: &[&Certificate]) -> Crl {
    let entry = |certificate: &&Certificate| {
        let serial = CertificateSerial::of(certificate);
        (serial, Revoked { at: NOW - MINUTE, reason: Reason::KeyCompromise })
    };
    let request = CrlRequest {
        number: 1,
        this_update: NOW - MINUTE,
        next_update: NOW + 2 * MINUTE,
        revoked: revoked.iter().map(entry).collect(),
    };
    let issuer = &DOMAIN.issuing;
    request.prepare(&issuer.authority).expect("a list").issue(&*issuer.key).expect("it is signed")
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
        c.config.crls = vec![revocations(&[&DOMAIN.registrar.certificate])];
    });
    let mut case = Case::nonced();
    case.config.crls = vec![revocations(&[&DOMAIN.operator("another").certificate])];
    case.granted();
}

/// RFC 8995 s5.6: a nonceless voucher ends before the revocation list does.
#[test]
fn a_nonceless_voucher_ends_with_the_revocation_list() {
    let mut case = Case::nonceless();
    case.config.crls = vec![revocations(&[])];
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

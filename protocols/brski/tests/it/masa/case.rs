//! A good exchange with a MASA, and what comes of changing one thing in it.

use crate::it::sealed::{seal, seal_with, serial};
use landfall_brski::{
    ChannelBinding, TlsPeer,
    masa::{Claim, Config, Input, Issued, Output, Permit, Ruling, VoucherExchange},
    media, paths,
    voucher::{Assertion, Format, Nonce, Signed, Voucher, VoucherRequest, open},
};
use landfall_pki::{Certificate, CertificateSerial, Crl, CrlRequest, Revoked, crl::Reason};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW};
use landfall_types::{
    Fault, Machine, Outcome, Time,
    http::{Request, Response},
};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

pub(super) const SERIAL: &str = "JADA123456789";
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) static MANUFACTURER: LazyLock<Manufacturer> = LazyLock::new(Manufacturer::new);
pub(super) static DEVICE: LazyLock<Identity> = LazyLock::new(|| MANUFACTURER.device(SERIAL));
pub(super) static DOMAIN: LazyLock<Domain> = LazyLock::new(Domain::new);
pub(super) static OTHER: LazyLock<Domain> = LazyLock::new(|| Domain::named("Other Domain", "registrar.other.example"));

/// A good exchange, of which a test changes one thing.
pub(super) struct Case {
    pub(super) config: Config,
    pub(super) now: Time,
    pub(super) pledge: VoucherRequest,
    pub(super) device: Identity,
    /// Whether the pledge's request goes along, and in what form.
    pub(super) prior: Option<Format>,
    pub(super) request: VoucherRequest,
    pub(super) registrar: Identity,
    /// The certificates that go along with the registrar's.
    pub(super) extra: Vec<Certificate>,
    pub(super) format: Format,
    pub(super) client: Option<Identity>,
    pub(super) ruling: Ruling,
    /// Changes the finished HTTP request.
    pub(super) http: fn(&mut Request),
}

/// What came of it.
pub(super) struct Ended {
    pub(super) claim: Option<Claim>,
    pub(super) issued: Option<Issued>,
    pub(super) response: Response,
    pub(super) outcome: Outcome,
}

impl Case {
    /// A pledge waits, and its registrar asks for a nonced voucher.
    pub(super) fn nonced() -> Self {
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
    pub(super) fn nonceless() -> Self {
        let mut case = Self::nonced();
        case.prior = None;
        case.request.nonce = None;
        case.request.assertion = None;
        case.client = Some(DOMAIN.registrar.clone());
        case
    }

    /// The registrar's request.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut request = self.request.clone();
        if let Some(format) = self.prior {
            request.prior_signed_voucher_request.get_or_insert_with(|| seal(format, &self.pledge, &self.device));
        }
        seal_with(self.format, &request, &self.registrar, &self.extra)
    }

    pub(super) fn request(&self) -> Request {
        let mut http = Request::post(paths::REQUEST_VOUCHER, self.format.media_type(), self.body());
        (self.http)(&mut http);
        http
    }

    pub(super) fn run(self) -> Ended {
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

    pub(super) fn granted(self) -> (Claim, Issued, Signed<Voucher>) {
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
pub(super) fn whole_chain(domain: &Domain) -> Vec<Certificate> {
    [&domain.registrar.intermediates[..], std::slice::from_ref(&domain.root.authority.certificate)].concat()
}

/// Runs `case` after `change`, and expects a refusal by `check` that the registrar hears of as `status`.
pub(super) fn refused(mut case: Case, check: &str, status: u16, change: impl FnOnce(&mut Case)) {
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

/// A list of the domain's issuing CA that revokes `revoked` and is due again in two minutes.
pub(super) fn revocations(revoked: &[&Certificate]) -> Crl {
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

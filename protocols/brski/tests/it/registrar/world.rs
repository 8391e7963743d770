//! A manufacturer, a domain, a device, and everything around one voucher exchange.

use landfall_brski::{
    ChannelBinding, TlsPeer, paths,
    registrar::{
        Config, Input, JoinFacts, MasaUnreachable, Output, Ruling, Stage, Vendor, Vendors, VoucherExchange,
        VoucherRecord,
    },
    voucher::{self, Assertion, Format, Nonce, Payload, SealOptions, Voucher, VoucherRequest},
};
use landfall_policy::{Decision, Verdict};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW};
use landfall_types::{
    Machine, Outcome, SerialNumber,
    contract::drain,
    http::{Request, Response},
};
use std::{sync::Arc, time::Duration};

pub(crate) const SERIAL: &str = "JADA123456789";

/// The parties.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) maker: Manufacturer,
    pub(crate) domain: Domain,
    pub(crate) device: Identity,
}

/// One exchange and what its surroundings say.
pub(crate) struct Case {
    pub(crate) config: Config,
    pub(crate) request: Request,
    pub(crate) client: Option<TlsPeer>,
    pub(crate) first: Ruling,
    pub(crate) last: Ruling,
    pub(crate) masa: Result<Response, MasaUnreachable>,
    pub(crate) stored: Option<Vec<u8>>,
    pub(crate) logs: Vec<Result<Response, MasaUnreachable>>,
}

/// What became of it.
pub(crate) struct Ran {
    pub(crate) response: Response,
    pub(crate) outcome: Outcome,
    pub(crate) records: Vec<VoucherRecord>,
    pub(crate) facts: Vec<JoinFacts>,
    /// What went to the MASA.
    pub(crate) asked: Vec<Request>,
    /// The order of the outputs.
    pub(crate) order: Vec<&'static str>,
}

impl Ran {
    pub(crate) fn check(&self) -> &str {
        match &self.outcome {
            Outcome::Refused(refusal) => &refusal.check,
            other => other.as_str(),
        }
    }
}

pub(crate) fn serial(text: &str) -> SerialNumber {
    text.parse().unwrap()
}

pub(crate) fn nonce() -> Nonce {
    Nonce::from_random([7; 16])
}

pub(crate) fn peer(of: &Identity) -> TlsPeer {
    TlsPeer { chain: of.chain(), binding: ChannelBinding::default() }
}

pub(crate) fn ruling(verdict: Verdict) -> Ruling {
    Decision::because(verdict, "test", "the test says so").into()
}

pub(crate) fn seal<T: Payload>(format: Format, payload: &T, by: &Identity) -> Vec<u8> {
    let unsealed =
        voucher::prepare(format, payload, &by.certificate, &by.intermediates, SealOptions::default()).unwrap();
    let signature = by.sign(unsealed.to_be_signed());
    unsealed.seal(&signature).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let maker = Manufacturer::new();
        let device = maker.device(SERIAL);
        Self { maker, domain: Domain::new(), device }
    }

    pub(crate) fn vendor(&self) -> Vendor {
        Vendor {
            id: "Test Manufacturer".parse().unwrap(),
            idevid_anchors: self.maker.device_anchors(),
            idevid_crls: Default::default(),
            legacy_rsa: false,
            ignore_idevid_expiry: true,
            serial_fallback: None,
            masa: None,
            voucher_anchors: self.maker.masa_anchors(),
        }
    }

    pub(crate) fn config(&self) -> Config {
        let registrar = &self.domain.registrar;
        Config {
            certificate: registrar.certificate.clone(),
            chain: [registrar.intermediates.clone(), vec![self.domain.root.authority.certificate.clone()]].concat(),
            vendors: Vendors::new([self.vendor()]),
            seal: SealOptions::default(),
            retry_after: Duration::from_secs(30),
            check_history: false,
        }
    }

    /// What the device asks for.
    pub(crate) fn pledge_request(&self) -> VoucherRequest {
        let mut request = VoucherRequest::new(serial(SERIAL));
        request.created_on = Some(NOW);
        request.assertion = Some(Assertion::Proximity);
        request.nonce = Some(nonce());
        request.proximity_registrar_cert = Some(self.domain.registrar.certificate.clone());
        request
    }

    pub(crate) fn post(&self, format: Format, content: &VoucherRequest) -> Request {
        let body = seal(format, content, &self.device);
        Request::post(paths::REQUEST_VOUCHER, format.media_type(), body).accept(format.media_type())
    }

    /// What an honest MASA answers.
    pub(crate) fn voucher(&self) -> Voucher {
        let mut voucher = Voucher::new(serial(SERIAL));
        voucher.created_on = Some(NOW);
        voucher.assertion = Some(Assertion::Proximity);
        voucher.idevid_issuer = self.device.certificate.idevid_issuer();
        voucher.nonce = Some(nonce());
        voucher.pinned_domain_cert = Some(self.domain.root.authority.certificate.clone());
        voucher
    }

    /// The same, without nonce and with an end.
    pub(crate) fn nonceless(&self) -> Voucher {
        Voucher { nonce: None, expires_on: Some(NOW + Duration::from_secs(86_400)), ..self.voucher() }
    }

    pub(crate) fn answer(&self, voucher: &Voucher) -> Response {
        let format = Format::CmsJson;
        Response::with(200, format.media_type(), seal(format, voucher, &self.maker.masa))
    }

    /// A case in which everything is well.
    pub(crate) fn case(&self) -> Case {
        Case {
            config: self.config(),
            request: self.post(Format::CmsJson, &self.pledge_request()),
            client: Some(peer(&self.device)),
            first: ruling(Verdict::Permit),
            last: ruling(Verdict::Permit),
            masa: Ok(self.answer(&self.voucher())),
            stored: None,
            logs: Vec::new(),
        }
    }

    /// The same, where the MASA is away.
    pub(crate) fn outage(&self) -> Case {
        Case { masa: Err(MasaUnreachable("the connection timed out".into())), ..self.case() }
    }

    /// Runs a case to its end.
    pub(crate) fn run(&self, case: Case) -> Ran {
        let mut exchange = VoucherExchange::new(Arc::new(case.config));
        let (mut response, mut outcome) = (None, None);
        let (mut records, mut facts, mut asked, mut order) = (vec![], vec![], vec![], vec![]);
        let mut logs = case.logs.into_iter();
        exchange.handle(NOW, Input::Request { request: case.request, client: case.client }).unwrap();
        while outcome.is_none() {
            let outputs = drain(&mut exchange);
            assert!(!outputs.is_empty(), "it stopped after {order:?}");
            for output in outputs {
                let (name, input) = match output {
                    Output::Rule(known) => {
                        let before = matches!(known.stage, Stage::BeforeMasa);
                        facts.push(*known);
                        ("rule", Some(Input::Ruled(if before { case.first.clone() } else { case.last.clone() })))
                    }
                    Output::Sign { bytes } => ("sign", Some(Input::Signed(self.domain.registrar.sign(&bytes)))),
                    Output::AskMasa { request, .. } => {
                        asked.push(request);
                        ("ask", Some(Input::MasaAnswered(case.masa.clone())))
                    }
                    Output::FindVoucher { .. } => ("find", Some(Input::StoredVoucher(case.stored.clone()))),
                    Output::AskAuditLog { request, .. } => {
                        asked.push(request);
                        ("log", Some(Input::AuditLogAnswered(logs.next().unwrap())))
                    }
                    Output::Persist(record) => {
                        records.push(*record);
                        ("persist", Some(Input::Persisted))
                    }
                    Output::Respond(answer) => {
                        response = Some(answer);
                        ("respond", None)
                    }
                    Output::Close(end) => {
                        outcome = Some(end);
                        ("close", None)
                    }
                };
                order.push(name);
                if let Some(input) = input {
                    exchange.handle(NOW, input).unwrap();
                }
            }
        }
        assert!(exchange.handle(NOW, Input::Persisted).is_err(), "it is over");
        let (response, outcome) = (response.unwrap(), outcome.unwrap());
        Ran { response, outcome, records, facts, asked, order }
    }
}

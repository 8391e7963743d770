//! A domain's EST server, a device with its IDevID, and everything around one request.

use landfall_brski::{
    ChannelBinding, TlsPeer,
    est::{
        Operation, body,
        csrattrs::CsrAttrs,
        server::{Config, EnrolFacts, Enrollment, Found, Input, Issued, Output, Query, Ruling, Waiting, Written},
    },
    media,
    registrar::{Vendor, Vendors},
};
use landfall_pki::{Anchors, Csr, CsrRequest, KeyKind, Name, Signer, SoftwareKey, key::Algorithm, oid};
use landfall_policy::{Decision, Verdict};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW};
use landfall_types::{
    Fingerprint, Machine, Outcome, Time,
    contract::drain,
    http::{Request, Response},
};
use std::{sync::Arc, time::Duration};

pub(crate) const SERIAL: &str = "JADA123456789";
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The parties, and what the server has on record.
pub(crate) struct World {
    pub(crate) maker: Manufacturer,
    pub(crate) domain: Domain,
    pub(crate) device: Identity,
    /// The device's new key.
    pub(crate) key: Arc<SoftwareKey>,
    pub(crate) issued: Vec<Issued>,
    pub(crate) revoked: Vec<Fingerprint>,
    next: u8,
}

/// One request and what its surroundings say.
pub(crate) struct Case {
    pub(crate) config: Config,
    pub(crate) operation: Operation,
    pub(crate) request: Request,
    pub(crate) client: Option<TlsPeer>,
    pub(crate) voucher_at: Option<Time>,
    pub(crate) ruling: Verdict,
    pub(crate) at: Time,
    /// Where to stop: the power fails before this output is acted on.
    pub(crate) crash_before: Option<&'static str>,
}

/// What became of it.
pub(crate) struct Ran {
    pub(crate) response: Option<Response>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) facts: Option<EnrolFacts>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) order: Vec<&'static str>,
}

impl Ran {
    pub(crate) fn check(&self) -> &str {
        match self.outcome.as_ref().expect("it came to its end") {
            Outcome::Refused(refusal) => &refusal.check,
            other => other.as_str(),
        }
    }

    pub(crate) fn response(&self) -> &Response {
        self.response.as_ref().expect("it was answered")
    }
}

pub(crate) fn new_key(algorithm: Algorithm) -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::generate(algorithm).unwrap())
}

pub(crate) fn binding() -> ChannelBinding {
    ChannelBinding { tls_exporter: Some([7; 32]), tls_unique: None }
}

pub(crate) fn peer(of: &Identity) -> TlsPeer {
    TlsPeer { chain: of.chain(), binding: binding() }
}

pub(crate) fn csr(content: &CsrRequest, key: &SoftwareKey) -> Csr {
    content.prepare(key.public_key(), key.algorithm()).unwrap().issue(key).unwrap()
}

/// A subject as a pledge would ask for.
pub(crate) fn subject() -> Name {
    Name::new().serial_number(&SERIAL.parse().unwrap())
}

pub(crate) fn post(operation: Operation, csr: &Csr) -> Request {
    Request::post(&operation.path(None), media::PKCS10, body::encode(csr.der()))
}

impl World {
    pub(crate) fn new() -> Self {
        let maker = Manufacturer::new();
        let device = maker.device(SERIAL);
        let key = new_key(Algorithm::EcdsaP256);
        Self { maker, domain: Domain::new(), device, key, issued: vec![], revoked: vec![], next: 0 }
    }

    pub(crate) fn config(&self) -> Config {
        let vendor = Vendor {
            id: "Test Manufacturer".parse().unwrap(),
            idevid_anchors: self.maker.device_anchors(),
            idevid_crls: Default::default(),
            legacy_rsa: false,
            ignore_idevid_expiry: true,
            serial_fallback: None,
            masa: None,
            voucher_anchors: Anchors::new(),
        };
        Config {
            authority: self.domain.issuing.authority.clone(),
            cacerts: vec![
                self.domain.root.authority.certificate.clone(),
                self.domain.issuing.authority.certificate.clone(),
            ],
            vendors: Vendors::new([vendor]),
            domain_anchors: self.domain.anchors(),
            csrattrs: CsrAttrs::default(),
            keys: vec![KeyKind::P256, KeyKind::P384, KeyKind::Rsa { bits: 2048 }],
            require_binding: false,
            purposes: vec![oid::CLIENT_AUTH],
            dns_suffixes: vec!["devices.example".into()],
            organization: Some("Test Domain".into()),
            lifetime: 90 * DAY,
            backdate: Duration::from_secs(300),
            voucher_max_age: DAY,
            expired_grace: Duration::ZERO,
            retry_after: Duration::from_secs(30),
            crl_url: None,
            server_keygen: None,
        }
    }

    /// A request that a pledge would make.
    pub(crate) fn content(&self) -> CsrRequest {
        CsrRequest { subject: subject(), ..CsrRequest::default() }
    }

    /// A case in which everything is well: a pledge with a fresh voucher enrols.
    pub(crate) fn case(&self) -> Case {
        self.asking(&self.content())
    }

    pub(crate) fn asking(&self, content: &CsrRequest) -> Case {
        let operation = Operation::SimpleEnroll;
        Case {
            config: self.config(),
            operation,
            request: post(operation, &csr(content, &self.key)),
            client: Some(peer(&self.device)),
            voucher_at: Some(NOW),
            ruling: Verdict::Permit,
            at: NOW,
            crash_before: None,
        }
    }

    fn find(&self, query: &Query, voucher_at: Option<Time>) -> Found {
        let latest = |wanted: &dyn Fn(&Issued) -> bool| {
            self.issued
                .iter()
                .rev()
                .find(|issued| wanted(issued) && !self.revoked.contains(&issued.fingerprint))
                .cloned()
        };
        Found {
            client: self.issued.iter().find(|issued| issued.fingerprint == query.certificate).cloned(),
            revoked: self.revoked.contains(&query.certificate),
            voucher_at: query.pledge.as_ref().and(voucher_at),
            for_key: query.key.and_then(|key| latest(&|issued| issued.key == key)),
        }
    }

    /// Runs a case to its end, or to the crash.
    pub(crate) fn run(&mut self, case: Case) -> Ran {
        self.next += 1;
        let mut enrollment = Enrollment::new(Arc::new(case.config), [self.next; 16]);
        let mut ran = Ran { response: None, outcome: None, facts: None, waiting: None, order: vec![] };
        let Case { operation, request, client, .. } = case;
        enrollment.handle(case.at, Input::Request { operation, label: None, request, client }).unwrap();
        while ran.outcome.is_none() {
            let outputs = drain(&mut enrollment);
            assert!(!outputs.is_empty(), "it stopped after {:?}", ran.order);
            for output in outputs {
                let name = name(&output);
                if case.crash_before == Some(name) {
                    return ran;
                }
                ran.order.push(name);
                let input = match output {
                    Output::Find(query) => Input::Found(Box::new(self.find(&query, case.voucher_at))),
                    Output::Rule(facts) => {
                        ran.facts = Some(*facts);
                        Input::Ruled(Ruling(Decision::because(case.ruling, "test", "the test says so")))
                    }
                    Output::MakeKey(algorithm) => {
                        let key = new_key(algorithm);
                        Input::KeyMade { public_key: key.public_key().clone(), pkcs8: key.to_pkcs8_der() }
                    }
                    Output::Sign { bytes } => Input::Signed(self.domain.issuing.key.sign(&bytes).unwrap()),
                    Output::Persist(written) => {
                        match *written {
                            Written::Issued(issued) => {
                                assert!(
                                    self.issued.iter().all(|other| other.serial != issued.serial),
                                    "a serial twice"
                                );
                                self.issued.push(issued);
                            }
                            Written::Waiting(waiting) => ran.waiting = Some(waiting),
                        }
                        Input::Persisted
                    }
                    Output::Respond(response) => {
                        ran.response = Some(response);
                        continue;
                    }
                    Output::Close(outcome) => {
                        ran.outcome = Some(outcome);
                        continue;
                    }
                };
                enrollment.handle(case.at, input).unwrap();
            }
        }
        assert!(enrollment.handle(case.at, Input::Persisted).is_err(), "it is over");
        ran
    }
}

fn name(output: &Output) -> &'static str {
    match output {
        Output::Find(_) => "find",
        Output::Rule(_) => "rule",
        Output::MakeKey(_) => "key",
        Output::Sign { .. } => "sign",
        Output::Persist(_) => "persist",
        Output::Respond(_) => "respond",
        Output::Close(_) => "close",
    }
}

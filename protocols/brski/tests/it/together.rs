//! All parties at once, each by its own machine: a device goes from its IDevID to its LDevID, and renews it.

use landfall_brski::{
    ChannelBinding, TlsPeer,
    est::{self, csrattrs::CsrAttrs, server},
    masa, paths,
    pledge::{self, ConnectionId, Identity as Shown, Onboarding, SigningKey},
    proxy::Offer,
    registrar::{
        self, About, Findings, History, MasaUnreachable, Presented, Source, Stage, StatusExchange, StatusRecord,
    },
    voucher::{Format, SealOptions},
};
use landfall_pki::{KeyKind, Signer, SoftwareKey, oid};
use landfall_policy::{Decision, Verdict};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, Rng};
use landfall_types::{
    Machine, Outcome, Time,
    contract::drain,
    http::{Request, Response, essence},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A device, a registrar and a MASA, without a network between them.
struct World {
    maker: Manufacturer,
    domain: Domain,
    device: Identity,
    registrar: Arc<registrar::Config>,
    est: Arc<server::Config>,
    masa: Arc<masa::Config>,
    now: Time,
    /// Whether the MASA can be reached.
    reachable: bool,
    /// What the policy says to the first requests; afterwards it permits.
    verdicts: Vec<Verdict>,
    past: Vec<masa::PastVoucher>,
    joins: Vec<registrar::JoinFacts>,
    vouchers: BTreeMap<String, registrar::VoucherRecord>,
    prefetched: Option<registrar::PrefetchedVoucher>,
    issued: Vec<server::Issued>,
    reports: Vec<StatusRecord>,
    refusals: Vec<String>,
    serial: u8,
}

fn binding() -> ChannelBinding {
    ChannelBinding { tls_exporter: Some([9; 32]), tls_unique: None }
}

fn permit() -> Decision {
    Decision::because(Verdict::Permit, "test", "the test says so")
}

impl World {
    fn new() -> Self {
        let (maker, domain) = (Manufacturer::new(), Domain::new());
        let device = maker.device("SN-0001");
        let vendors = registrar::Vendors::new([registrar::Vendor {
            id: "Test Manufacturer".parse().unwrap(),
            idevid_anchors: maker.device_anchors(),
            idevid_crls: Default::default(),
            legacy_rsa: false,
            ignore_idevid_expiry: true,
            serial_fallback: None,
            masa: None,
            voucher_anchors: maker.masa_anchors(),
        }]);
        let root = domain.root.authority.certificate.clone();
        let registrar = registrar::Config {
            certificate: domain.registrar.certificate.clone(),
            chain: [domain.registrar.intermediates.clone(), vec![root.clone()]].concat(),
            vendors: vendors.clone(),
            seal: SealOptions::default(),
            retry_after: Duration::from_secs(30),
            check_history: true,
        };
        let est = server::Config {
            authority: domain.issuing.authority.clone(),
            cacerts: vec![root, domain.issuing.authority.certificate.clone()],
            vendors,
            domain_anchors: domain.anchors(),
            csrattrs: CsrAttrs::default(),
            keys: vec![KeyKind::P256, KeyKind::P384],
            require_binding: true,
            purposes: vec![oid::CLIENT_AUTH],
            dns_suffixes: vec![],
            organization: None,
            lifetime: 90 * DAY,
            backdate: Duration::from_secs(60),
            voucher_max_age: DAY,
            expired_grace: Duration::ZERO,
            retry_after: Duration::from_secs(30),
            crl_url: None,
            server_keygen: None,
        };
        let mut masa =
            masa::Config::new(maker.masa.certificate.clone(), maker.masa.intermediates.clone(), maker.device_anchors());
        masa.customers = domain.anchors();
        masa.lifetime = DAY;
        let (registrar, est, masa) = (Arc::new(registrar), Arc::new(est), Arc::new(masa));
        Self {
            maker,
            domain,
            device,
            registrar,
            est,
            masa,
            now: NOW,
            reachable: true,
            verdicts: vec![],
            past: vec![],
            joins: vec![],
            vouchers: BTreeMap::new(),
            prefetched: None,
            issued: vec![],
            reports: vec![],
            refusals: vec![],
            serial: 0,
        }
    }

    fn note(&mut self, outcome: &Outcome) {
        if let Outcome::Refused(refusal) = outcome {
            self.refusals.push(refusal.to_string());
        }
    }

    /// What the registrar answers a device.
    fn answer(&mut self, request: Request, client: TlsPeer) -> Response {
        match request.path.as_str() {
            paths::REQUEST_VOUCHER => self.voucher(request, client),
            paths::VOUCHER_STATUS => self.status(About::Voucher, request, client),
            paths::ENROLL_STATUS => self.status(About::Enrolment, request, client),
            _ => self.enrol(request, client),
        }
    }

    fn voucher(&mut self, request: Request, client: TlsPeer) -> Response {
        use registrar::{Input, Output};
        let mut exchange = registrar::VoucherExchange::new(Arc::clone(&self.registrar));
        let mut input = Input::Request { request, client: Some(client) };
        let mut response = None;
        loop {
            exchange.handle(self.now, input).unwrap();
            let mut next = None;
            for output in drain(&mut exchange) {
                match output {
                    Output::Rule(facts) => {
                        let verdict = self.verdicts.pop().unwrap_or(Verdict::Permit);
                        self.joins.push(*facts);
                        next = Some(Input::Ruled(Decision::because(verdict, "test", "the test says so").into()));
                    }
                    Output::Sign { bytes } => next = Some(Input::Signed(self.domain.registrar.sign(&bytes))),
                    Output::AskMasa { request, .. } => next = Some(Input::MasaAnswered(self.ask_masa(request))),
                    Output::FindVoucher { device, nonce } => {
                        let _ = nonce;
                        let found = self.prefetched.as_ref().filter(|p| p.device == device);
                        next = Some(Input::StoredVoucher(found.map(|p| p.voucher.clone())));
                    }
                    Output::AskAuditLog { request, .. } => {
                        next = Some(Input::AuditLogAnswered(Ok(self.masa_log(request))));
                    }
                    Output::Persist(record) => {
                        self.vouchers.insert(record.device.to_string(), *record);
                        next = Some(Input::Persisted);
                    }
                    Output::Respond(answer) => response = Some(answer),
                    Output::Close(outcome) => {
                        self.note(&outcome);
                        return response.unwrap();
                    }
                }
            }
            input = next.unwrap();
        }
    }

    fn ask_masa(&mut self, request: Request) -> Result<Response, MasaUnreachable> {
        use masa::{Input, Output, Permit, Ruling};
        if !self.reachable {
            return Err(MasaUnreachable("no route".into()));
        }
        let registrar = TlsPeer { chain: self.domain.registrar.chain(), binding: binding() };
        let mut exchange = masa::VoucherExchange::new(Arc::clone(&self.masa));
        let mut input = Input::Request { request, client: Some(registrar) };
        let mut response = None;
        loop {
            exchange.handle(self.now, input).unwrap();
            let mut next = None;
            for output in drain(&mut exchange) {
                match output {
                    Output::Rule(_) => next = Some(Input::Ruled(Ruling::Permit(Permit::default()))),
                    Output::Sign { bytes } => next = Some(Input::Signed(self.maker.masa.sign(&bytes))),
                    Output::Persist(issued) => {
                        self.past.insert(0, issued.past);
                        next = Some(Input::Persisted);
                    }
                    Output::Respond(answer) => response = Some(answer),
                    Output::Close(outcome) => {
                        self.note(&outcome);
                        return Ok(response.unwrap());
                    }
                }
            }
            input = next.unwrap();
        }
    }

    fn masa_log(&mut self, request: Request) -> Response {
        use masa::{AuditInput, AuditOutput};
        let mut exchange = masa::AuditLogExchange::new(Arc::clone(&self.masa));
        exchange.handle(self.now, AuditInput::Request(request)).unwrap();
        loop {
            for output in drain(&mut exchange) {
                match output {
                    AuditOutput::FindHistory(_) => {
                        exchange.handle(self.now, AuditInput::History(self.past.clone())).unwrap();
                    }
                    AuditOutput::Respond(response) => return response,
                    AuditOutput::Close(outcome) => panic!("{outcome:?}"),
                }
            }
        }
    }

    fn status(&mut self, about: About, request: Request, client: TlsPeer) -> Response {
        use registrar::{StatusInput, StatusOutput};
        let mut exchange = StatusExchange::new(about, Arc::new(self.registrar.vendors.clone()));
        exchange.handle(self.now, StatusInput::Request { request, client: Some(client) }).unwrap();
        loop {
            for output in drain(&mut exchange) {
                let input = match output {
                    StatusOutput::FindIssued(certificate) => {
                        let found = self.issued.iter().find(|issued| issued.fingerprint == certificate);
                        StatusInput::FoundIssued(found.map(|issued| issued.device.id.clone()))
                    }
                    StatusOutput::Persist(record) => {
                        self.reports.push(*record);
                        StatusInput::Persisted
                    }
                    StatusOutput::Respond(response) => return response,
                    StatusOutput::Close(outcome) => panic!("{outcome:?}"),
                };
                exchange.handle(self.now, input).unwrap();
            }
        }
    }

    fn enrol(&mut self, request: Request, client: TlsPeer) -> Response {
        use server::{Enrollment, Input, Output, Ruling, Written};
        let Some((label, operation)) = est::route(&request.path) else { return Response::new(404) };
        let label = label.map(str::to_owned);
        self.serial += 1;
        let mut exchange = Enrollment::new(Arc::clone(&self.est), [self.serial; 16]);
        let mut input = Input::Request { operation, label, request, client: Some(client) };
        let mut response = None;
        loop {
            exchange.handle(self.now, input).unwrap();
            let mut next = None;
            for output in drain(&mut exchange) {
                match output {
                    Output::Find(query) => {
                        let pledge = query.pledge.and_then(|device| self.vouchers.get(device.as_str()));
                        let by = |wanted: &dyn Fn(&server::Issued) -> bool| {
                            self.issued.iter().rev().find(|issued| wanted(issued)).cloned()
                        };
                        next = Some(Input::Found(Box::new(server::Found {
                            client: by(&|issued| issued.fingerprint == query.certificate),
                            revoked: false,
                            voucher_at: pledge.and_then(registrar::VoucherRecord::accepted_at),
                            for_key: by(&|issued| Some(issued.key) == query.key),
                        })));
                    }
                    Output::Rule(_) => next = Some(Input::Ruled(Ruling(permit()))),
                    Output::Sign { bytes } => next = Some(Input::Signed(self.domain.issuing.key.sign(&bytes).unwrap())),
                    Output::Persist(written) => {
                        if let Written::Issued(issued) = *written {
                            self.issued.push(issued);
                        }
                        next = Some(Input::Persisted);
                    }
                    Output::MakeKey(_) => panic!("keys are not made here"),
                    Output::Respond(answer) => response = Some(answer),
                    Output::Close(outcome) => {
                        self.note(&outcome);
                        return response.unwrap();
                    }
                }
            }
            input = next.unwrap();
        }
    }

    /// Runs a device's machine until it ends, and says how.
    fn onboard(&mut self, format: Format) -> Result<pledge::Summary, String> {
        use pledge::{Config, Input, Output, Timing};
        let device = self.device.clone();
        let config = Config::new(device.certificate.clone(), device.intermediates.clone(), self.maker.masa_anchors());
        let timing = Timing { pending_most: 4 * HOUR, ..Timing::default() };
        let config = Config { attempts: Some(1), format, timing, ..config.unwrap() };
        let mut rng = Rng::new(7);
        let random = move |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = rng.bytes::<1>()[0]);
        let mut machine = Onboarding::new(config, random);
        let mut keys: BTreeMap<String, Arc<SoftwareKey>> = BTreeMap::new();
        let mut shown: BTreeMap<ConnectionId, TlsPeer> = BTreeMap::new();
        let mut inputs = std::collections::VecDeque::from([
            Input::Start,
            Input::Offers(vec![Offer::fixed("registrar".parse().unwrap(), 443)]),
        ]);
        loop {
            match inputs.pop_front() {
                Some(input) => machine.handle(self.now, input).unwrap(),
                None => {
                    self.now = self.now.max(machine.poll_timeout().expect("it waits for something"));
                    machine.handle(self.now, Input::Timeout).unwrap();
                }
            }
            for output in drain(&mut machine) {
                match output {
                    Output::Discover | Output::Progress(_) | Output::Disconnect { .. } | Output::DiscardKey(_) => {}
                    Output::Connect { connection, identity, .. } => {
                        let chain = match identity {
                            Shown::Idevid => device.chain(),
                            Shown::Ldevid { chain, .. } => chain,
                        };
                        shown.insert(connection, TlsPeer { chain, binding: binding() });
                        let peer = TlsPeer { chain: self.domain.registrar.chain(), binding: binding() };
                        inputs.push_back(Input::Connected { connection, peer });
                    }
                    Output::Send { connection, request } => {
                        let response = self.answer(request, shown[&connection].clone());
                        inputs.push_back(Input::Response { connection, response });
                    }
                    Output::MakeKey { algorithm } => {
                        let private = Arc::new(SoftwareKey::generate(algorithm).unwrap());
                        let public_key = private.public_key().clone();
                        let name = format!("test:{}", keys.len());
                        keys.insert(name.clone(), private);
                        inputs.push_back(Input::KeyMade { key: name.parse().unwrap(), public_key, attestation: None });
                    }
                    Output::Attest { .. } => panic!("no evidence is asked for here"),
                    Output::Sign { key: SigningKey::Idevid, bytes } => {
                        inputs.push_back(Input::Signed(device.sign(&bytes)))
                    }
                    Output::Sign { key: SigningKey::Ldevid(key), bytes } => {
                        inputs.push_back(Input::Signed(keys[key.as_str()].sign(&bytes).unwrap()));
                    }
                    Output::Persist(_) => inputs.push_back(Input::Persisted),
                    Output::Done(summary) => return Ok(*summary),
                    Output::GaveUp(refusal) => return Err(refusal.to_string()),
                }
            }
        }
    }

    fn prefetch(&mut self) {
        use registrar::{Prefetch, PrefetchInput, PrefetchOutput, Target};
        let target = Target {
            serial: self.device.certificate.subject_serial_number().unwrap(),
            idevid_issuer: self.device.certificate.idevid_issuer().unwrap(),
            vendor: "Test Manufacturer".parse().unwrap(),
            masa: Some(self.maker.masa_url.parse().unwrap()),
            format: Format::CmsJson,
        };
        let mut prefetch = Prefetch::new(Arc::clone(&self.registrar), target);
        prefetch.handle(self.now, PrefetchInput::Start).unwrap();
        loop {
            for output in drain(&mut prefetch) {
                let input = match output {
                    PrefetchOutput::Sign { bytes } => PrefetchInput::Signed(self.domain.registrar.sign(&bytes)),
                    PrefetchOutput::AskMasa { request, .. } => PrefetchInput::MasaAnswered(self.ask_masa(request)),
                    PrefetchOutput::Persist(record) => {
                        self.prefetched = Some(*record);
                        PrefetchInput::Persisted
                    }
                    PrefetchOutput::Close(outcome) => return assert_eq!(outcome, Outcome::Done),
                };
                prefetch.handle(self.now, input).unwrap();
            }
        }
    }
}

#[test]
fn a_device_joins_in_every_form_that_is_issued() {
    for format in [Format::CmsJson, Format::JwsJson] {
        let mut world = World::new();
        let summary = world.onboard(format).unwrap_or_else(|why| panic!("{why}; {:?}", world.refusals));
        assert!(world.refusals.is_empty(), "{:?}", world.refusals);
        assert_eq!(summary.credential.ldevid.der(), world.issued[0].certificate);
        assert!(summary.reported);
        let told: Vec<_> =
            world.reports.iter().map(|report| (report.about, report.success, report.presented)).collect();
        let expected = [(About::Voucher, true, Presented::Idevid), (About::Enrolment, true, Presented::IssuedLdevid)];
        assert_eq!(told, expected);
        assert!(world.reports.iter().all(|report| report.alerts.is_empty()));
        let Stage::WithVoucher { source, history, .. } = &world.joins[1].stage else { panic!("{:?}", world.joins[1]) };
        // The voucher that was just issued is in the log, and is ours.
        assert_eq!((*source, history), (Source::Masa, &History::Known(Findings { events: 1, ..Findings::default() })));
        let accepted = &world.vouchers.values().next().unwrap().standing;
        assert!(matches!(accepted, registrar::Standing::Accepted(a) if a.voucher == summary.credential.voucher));
    }
}

#[test]
fn a_person_approves_after_a_while() {
    let mut world = World::new();
    world.verdicts = vec![Verdict::Ask; 3];
    let summary = world.onboard(Format::CmsJson).unwrap();
    assert!(summary.took >= Duration::from_secs(90), "it came back three times: {:?}", summary.took);
    let nonces: Vec<_> = world.joins.iter().map(|facts| facts.nonce.clone()).collect();
    assert!(nonces.windows(2).all(|pair| pair[0] == pair[1]), "always with the same request");
}

#[test]
fn a_voucher_fetched_ahead_carries_over_an_outage() {
    let mut world = World::new();
    world.prefetch();
    world.reachable = false;
    let summary = world.onboard(Format::CmsJson).unwrap_or_else(|why| panic!("{why}; {:?}", world.refusals));
    assert_eq!(summary.credential.voucher, world.prefetched.unwrap().voucher);
    let record = world.vouchers.values().next().unwrap();
    assert!(matches!(&record.standing, registrar::Standing::Accepted(a) if a.source == Source::Stored));
}

#[test]
fn without_one_the_device_waits_until_the_masa_is_back() {
    let mut world = World::new();
    world.reachable = false;
    let why = world.onboard(Format::CmsJson).unwrap_err();
    assert!(world.now.since(NOW) >= 3 * HOUR, "it was patient: {why}");
    assert!(world.refusals.iter().all(|refusal| refusal.contains("masa-unreachable")));
    world.reachable = true;
    world.refusals.clear();
    world.onboard(Format::CmsJson).unwrap_or_else(|why| panic!("{why}; {:?}", world.refusals));
}

#[test]
fn a_denied_device_gets_nothing() {
    let mut world = World::new();
    world.verdicts = vec![Verdict::Deny];
    world.onboard(Format::CmsJson).unwrap_err();
    assert!(world.issued.is_empty() && world.past.is_empty());
    // It cannot get round the voucher, either.
    let private = SoftwareKey::generate(landfall_pki::Algorithm::EcdsaP256).unwrap();
    let content = landfall_pki::CsrRequest {
        challenge_password: est::binding::challenge_password(&binding()).map(Into::into),
        ..Default::default()
    };
    let csr = content.prepare(private.public_key(), private.algorithm()).unwrap().issue(&private).unwrap();
    let client = TlsPeer { chain: world.device.chain(), binding: binding() };
    let response = world.answer(est::client::enroll(None, &csr), client);
    assert_eq!(response.status, 403);
    assert_eq!(essence(response.headers.first("content-type").unwrap()), "text/plain");
    assert!(world.refusals.iter().any(|refusal| refusal.contains("client-voucher")), "{:?}", world.refusals);
}

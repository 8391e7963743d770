//! Pledge, registrar, MASA and EST server together, under a virtual clock and over a network that breaks.

use super::pledge::{
    registrar::peer,
    sim::{Far, Fate, Sim, config, offer, random},
};
use landfall_brski::{
    TlsPeer,
    est::{self, csrattrs::CsrAttrs, server as enrolment},
    masa, paths,
    pledge::{Config, Input, Onboarding, Renewal, RenewalConfig, Timing},
    registrar::{self, About, MasaUnreachable, Ruling, StatusExchange, StatusInput, StatusOutput, Vendor, Vendors},
    voucher::{Assertion, SealOptions},
};
use landfall_pki::{KeyKind, oid};
use landfall_policy::{Decision, Verdict};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, Rng};
use landfall_types::{
    Machine, Time,
    contract::drain,
    http::{Request, Response},
};
use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A domain's registrar with its EST server, and the MASA behind it, each with what it has on record.
struct Parties {
    domain: Domain,
    maker: Manufacturer,
    masa: Arc<masa::Config>,
    registrar: Arc<registrar::Config>,
    est: Arc<enrolment::Config>,
    vendors: Arc<Vendors>,
    /// What an operator says about the device.
    verdict: Rc<Cell<Verdict>>,
    masa_is_there: Rc<Cell<bool>>,
    vouchers_issued: Vec<masa::Issued>,
    joined: Vec<registrar::VoucherRecord>,
    certificates: Vec<enrolment::Issued>,
    reports: Vec<registrar::StatusRecord>,
    serials: Rng,
}

impl Parties {
    fn new(maker: &Manufacturer, domain: &Domain, seed: u64) -> Self {
        let vendor = Vendor {
            id: "Test Manufacturer".parse().unwrap(),
            idevid_anchors: maker.device_anchors(),
            idevid_crls: Default::default(),
            legacy_rsa: false,
            ignore_idevid_expiry: true,
            serial_fallback: None,
            masa: None,
            voucher_anchors: maker.masa_anchors(),
        };
        let vendors = Vendors::new([vendor]);
        let cas = vec![domain.root.authority.certificate.clone(), domain.issuing.authority.certificate.clone()];
        Self {
            masa: Arc::new(masa::Config::new(
                maker.masa.certificate.clone(),
                maker.masa.intermediates.clone(),
                maker.device_anchors(),
            )),
            registrar: Arc::new(registrar::Config {
                certificate: domain.registrar.certificate.clone(),
                chain: [domain.registrar.intermediates.clone(), vec![domain.root.authority.certificate.clone()]]
                    .concat(),
                vendors: vendors.clone(),
                seal: SealOptions::default(),
                retry_after: MINUTE / 2,
                check_history: false,
            }),
            est: Arc::new(enrolment::Config {
                authority: domain.issuing.authority.clone(),
                cacerts: cas,
                vendors: vendors.clone(),
                domain_anchors: domain.anchors(),
                csrattrs: CsrAttrs::default(),
                keys: vec![KeyKind::P256],
                require_binding: true,
                purposes: vec![oid::CLIENT_AUTH],
                dns_suffixes: Vec::new(),
                organization: Some("Test Domain".into()),
                lifetime: 90 * DAY,
                backdate: MINUTE,
                voucher_max_age: DAY,
                expired_grace: Duration::ZERO,
                retry_after: MINUTE / 2,
                crl_url: None,
                server_keygen: None,
            }),
            vendors: Arc::new(vendors),
            domain: domain.clone(),
            maker: maker.clone(),
            verdict: Rc::new(Cell::new(Verdict::Permit)),
            masa_is_there: Rc::new(Cell::new(true)),
            vouchers_issued: Vec::new(),
            joined: Vec::new(),
            certificates: Vec::new(),
            reports: Vec::new(),
            serials: Rng::new(seed),
        }
    }

    fn decision(&self) -> Decision {
        Decision::because(self.verdict.get(), "test", "the test says so")
    }

    fn voucher(&mut self, request: Request, client: TlsPeer, now: Time) -> Response {
        let mut exchange = registrar::VoucherExchange::new(Arc::clone(&self.registrar));
        let mut next = Some(registrar::Input::Request { request, client: Some(client) });
        let mut answer = None;
        while let Some(input) = next.take() {
            exchange.handle(now, input).unwrap();
            for output in drain(&mut exchange) {
                next = match output {
                    registrar::Output::Rule(_) => Some(registrar::Input::Ruled(Ruling::from(self.decision()))),
                    registrar::Output::Sign { bytes } => {
                        Some(registrar::Input::Signed(self.domain.registrar.sign(&bytes)))
                    }
                    registrar::Output::AskMasa { request, .. } => {
                        Some(registrar::Input::MasaAnswered(self.ask_masa(request, now)))
                    }
                    registrar::Output::FindVoucher { .. } => Some(registrar::Input::StoredVoucher(None)),
                    registrar::Output::AskAuditLog { .. } => panic!("the history is not checked here"),
                    registrar::Output::Persist(record) => {
                        self.joined.push(*record);
                        Some(registrar::Input::Persisted)
                    }
                    registrar::Output::Respond(response) => {
                        answer = Some(response);
                        None
                    }
                    registrar::Output::Close(_) => None,
                };
            }
        }
        answer.unwrap()
    }

    fn ask_masa(&mut self, request: Request, now: Time) -> Result<Response, MasaUnreachable> {
        if !self.masa_is_there.get() {
            return Err(MasaUnreachable("nobody answers".into()));
        }
        let client = peer(&self.domain.registrar.chain(), 0);
        let mut exchange = masa::VoucherExchange::new(Arc::clone(&self.masa));
        let mut next = Some(masa::Input::Request { request, client: Some(client) });
        let mut answer = None;
        while let Some(input) = next.take() {
            exchange.handle(now, input).unwrap();
            for output in drain(&mut exchange) {
                next = match output {
                    masa::Output::Rule(claim) => Some(masa::Input::Ruled(self.masa_rules(&claim, now))),
                    masa::Output::Sign { bytes } => Some(masa::Input::Signed(self.maker.masa.sign(&bytes))),
                    masa::Output::Persist(issued) => {
                        self.vouchers_issued.push(*issued);
                        Some(masa::Input::Persisted)
                    }
                    masa::Output::Respond(response) => {
                        answer = Some(response);
                        None
                    }
                    masa::Output::Close(_) => None,
                };
            }
        }
        Ok(answer.unwrap())
    }

    /// A request that comes again gets the voucher that it got before.
    fn masa_rules(&self, claim: &masa::Claim, now: Time) -> masa::Ruling {
        let past: Vec<_> = self.vouchers_issued.iter().map(|issued| issued.past.clone()).collect();
        match claim.precedent(&past, now) {
            masa::Precedent::Answered(at) => masa::Ruling::Repeat {
                format: self.vouchers_issued[at].format,
                voucher: self.vouchers_issued[at].voucher.clone(),
                known_customer: false,
            },
            _ => masa::Ruling::Permit(masa::Permit::default()),
        }
    }

    fn enrol(&mut self, request: Request, client: TlsPeer, now: Time) -> Response {
        let (label, operation) = est::route(&request.path).unwrap();
        let label = label.map(str::to_owned);
        let mut exchange = enrolment::Enrollment::new(Arc::clone(&self.est), self.serials.bytes());
        let mut next = Some(enrolment::Input::Request { operation, label, request, client: Some(client) });
        let mut answer = None;
        while let Some(input) = next.take() {
            exchange.handle(now, input).unwrap();
            for output in drain(&mut exchange) {
                next = match output {
                    enrolment::Output::Find(query) => Some(enrolment::Input::Found(Box::new(self.find(&query)))),
                    enrolment::Output::Rule(_) => Some(enrolment::Input::Ruled(enrolment::Ruling(self.decision()))),
                    enrolment::Output::MakeKey(_) => panic!("no key is made here"),
                    enrolment::Output::Sign { bytes } => Some(enrolment::Input::Signed(
                        landfall_pki::Signer::sign(&*self.domain.issuing.key, &bytes).unwrap(),
                    )),
                    enrolment::Output::Persist(written) => {
                        if let enrolment::Written::Issued(issued) = *written {
                            assert!(self.certificates.iter().all(|other| other.serial != issued.serial));
                            self.certificates.push(issued);
                        }
                        Some(enrolment::Input::Persisted)
                    }
                    enrolment::Output::Respond(response) => {
                        answer = Some(response);
                        None
                    }
                    enrolment::Output::Close(_) => None,
                };
            }
        }
        answer.unwrap()
    }

    fn find(&self, query: &enrolment::Query) -> enrolment::Found {
        let issued = |wanted: &dyn Fn(&enrolment::Issued) -> bool| {
            self.certificates.iter().rev().find(|issued| wanted(issued)).cloned()
        };
        let joined = query.pledge.as_ref().and_then(|pledge| self.joined.iter().rev().find(|r| r.device == *pledge));
        enrolment::Found {
            client: issued(&|issued| issued.fingerprint == query.certificate),
            revoked: false,
            voucher_at: joined.and_then(registrar::VoucherRecord::accepted_at),
            for_key: query.key.and_then(|key| issued(&|issued| issued.key == key)),
        }
    }

    fn report(&mut self, about: About, request: Request, client: TlsPeer, now: Time) -> Response {
        let mut exchange = StatusExchange::new(about, Arc::clone(&self.vendors));
        let mut next = Some(StatusInput::Request { request, client: Some(client) });
        let mut answer = None;
        while let Some(input) = next.take() {
            exchange.handle(now, input).unwrap();
            for output in drain(&mut exchange) {
                next = match output {
                    StatusOutput::FindIssued(fingerprint) => {
                        let issued = self.certificates.iter().find(|issued| issued.fingerprint == fingerprint);
                        Some(StatusInput::FoundIssued(issued.map(|issued| issued.device.id.clone())))
                    }
                    StatusOutput::Persist(record) => {
                        self.reports.push(*record);
                        Some(StatusInput::Persisted)
                    }
                    StatusOutput::Respond(response) => {
                        answer = Some(response);
                        None
                    }
                    StatusOutput::Close(_) => None,
                };
            }
        }
        answer.unwrap()
    }
}

impl Far for Parties {
    fn reachable(&self) -> bool {
        true
    }

    fn peer(&self, connection: u64) -> TlsPeer {
        peer(&self.domain.registrar.chain(), connection)
    }

    fn answer(&mut self, request: Request, client: TlsPeer, now: Time) -> Response {
        match request.path.as_str() {
            paths::REQUEST_VOUCHER => self.voucher(request, client, now),
            paths::VOUCHER_STATUS => self.report(About::Voucher, request, client, now),
            paths::ENROLL_STATUS => self.report(About::Enrolment, request, client, now),
            _ => self.enrol(request, client, now),
        }
    }
}

fn device(seed: u64, attempts: Option<u32>) -> (Sim<Onboarding, Parties>, Identity) {
    let (maker, domain) = (Manufacturer::new(), Domain::new());
    let device = maker.device("SN-0001");
    let config = Config { attempts, ..config(&maker, &device) };
    let parties = Parties::new(&maker, &domain, seed);
    let machine = Onboarding::new(config, random(seed));
    let mut sim = Sim::around(machine, device.clone(), vec![(offer("registrar"), parties)]);
    sim.tell(Input::Start);
    sim.tell(Input::Offers(vec![offer("registrar")]));
    (sim, device)
}

#[test]
fn a_device_joins_and_everybody_has_it_on_record() {
    let (mut sim, device) = device(1, Some(1));
    sim.run();
    let summary = sim.summary.clone().unwrap_or_else(|| panic!("{:#?}", sim.notes));
    assert!(summary.reported);
    let parties = sim.registrar();
    assert_eq!(parties.vouchers_issued.len(), 1);
    assert_eq!(parties.vouchers_issued[0].claim.assertion, Assertion::Proximity);
    assert_eq!(parties.vouchers_issued[0].voucher, summary.credential.voucher, "passed on unchanged");
    assert_eq!(parties.vouchers_issued[0].claim.idevid.as_ref(), Some(&device.certificate));
    assert_eq!(parties.certificates.len(), 1);
    assert_eq!(parties.certificates[0].certificate, summary.credential.ldevid.der());
    assert_eq!(parties.certificates[0].linked, est::binding::Linked::Proven);
    let reports: Vec<_> = parties.reports.iter().map(|report| (report.about, report.success)).collect();
    assert_eq!(reports, [(About::Voucher, true), (About::Enrolment, true)]);
    let presented: Vec<_> = parties.reports.iter().map(|report| report.presented).collect();
    assert_eq!(presented, [registrar::Presented::Idevid, registrar::Presented::IssuedLdevid]);
}

#[test]
fn a_person_decides_while_the_device_waits() {
    let (mut sim, _) = device(1, Some(1));
    let verdict = Rc::clone(&sim.registrar().verdict);
    verdict.set(Verdict::Ask);
    sim.run_for(2 * DAY);
    assert!(sim.summary.is_none() && sim.gave_up.is_none());
    verdict.set(Verdict::Permit);
    sim.run_for(2 * MINUTE);
    assert!(sim.summary.is_some(), "{:?}", sim.notes.last());
    assert_eq!(sim.registrar().vouchers_issued.len(), 1);
}

#[test]
fn a_person_says_no() {
    let (mut sim, _) = device(1, Some(1));
    sim.registrar().verdict.set(Verdict::Deny);
    assert_eq!(sim.refusal().check, "registrar-status");
    assert!(sim.registrar().vouchers_issued.is_empty() && sim.registrar().certificates.is_empty());
}

#[test]
fn a_masa_that_is_away_for_a_while_only_delays() {
    let (mut sim, _) = device(1, None);
    let masa = Rc::clone(&sim.registrar().masa_is_there);
    masa.set(false);
    sim.run_for(60 * MINUTE);
    assert!(sim.summary.is_none());
    masa.set(true);
    sim.run_for(60 * MINUTE);
    assert!(sim.summary.is_some(), "{:?}", sim.failures());
}

/// Whatever breaks, and whenever: in the end the device is onboarded, uses what is on record, and nothing is left over.
#[test]
fn a_network_that_breaks_all_the_time() {
    for seed in 0..150 {
        let (mut sim, _) = device(seed, None);
        let mut rng = Rng::new(seed);
        sim.network = Box::new(move || match rng.below(10) {
            0 => Fate::LostGoing,
            1 => Fate::LostComing,
            2 => Fate::Delayed(Duration::from_millis(rng.below(90_000))),
            _ => Fate::Answered,
        });
        sim.run_for(2 * DAY);
        let summary = sim.summary.clone().unwrap_or_else(|| panic!("seed {seed}: {:?}", sim.failures()));
        assert_eq!(sim.persisted.len(), 1, "seed {seed}");
        let discarded = sim.discarded.clone();
        assert!(!discarded.contains(&summary.credential.key), "seed {seed}");
        let parties = sim.registrar();
        let on_record = |der: &[u8]| parties.certificates.iter().any(|issued| issued.certificate == der);
        assert!(on_record(summary.credential.ldevid.der()), "seed {seed}: a certificate without a record");
        assert!(
            parties.vouchers_issued.iter().any(|issued| issued.voucher == summary.credential.voucher),
            "seed {seed}: a voucher without a record"
        );
        // A request that was repeated is not answered with a second certificate.
        let keys: std::collections::BTreeSet<_> = parties.certificates.iter().map(|issued| issued.key).collect();
        assert_eq!(keys.len(), parties.certificates.len(), "seed {seed}: one key, two certificates");
        let told = parties.reports.iter().any(|report| report.about == About::Enrolment && report.success);
        assert!(told || !summary.reported, "seed {seed}: the registrar was never told");
    }
}

#[test]
fn a_credential_lives_on_for_years() {
    let (mut onboarding, device) = device(1, Some(1));
    onboarding.run();
    let mut credential = onboarding.summary.clone().unwrap().credential;
    let mut registrars = std::mem::take(&mut onboarding.registrars);
    for generation in 1..=12 {
        let config = RenewalConfig {
            serial_number: "SN-0001".parse().unwrap(),
            rekey: generation % 2 == 1,
            clock: true,
            timing: Timing::default(),
        };
        let mut sim =
            Sim::around(Renewal::new(config, credential.clone(), random(generation)), device.clone(), registrars);
        sim.inherit(&onboarding);
        sim.persisted.push(credential.clone());
        let mut rng = Rng::new(generation);
        sim.network = Box::new(move || if rng.percent(20) { Fate::LostComing } else { Fate::Answered });
        sim.run_for(90 * DAY);
        let renewed = sim.summary.clone().unwrap_or_else(|| panic!("{generation}: {:?}", sim.failures())).credential;
        assert!(sim.now < credential.ldevid.not_after(), "in time");
        assert!(renewed.ldevid.not_after() > credential.ldevid.not_after());
        onboarding.inherit(&sim);
        credential = renewed;
        registrars = sim.registrars;
    }
    assert!(onboarding.now.since(NOW) > 600 * DAY);
}

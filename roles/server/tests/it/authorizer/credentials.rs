//! What people and services assert: credentials in, facts out, and what becomes of them when they are taken back.

use super::{Office, START, config};
use landfall_assurance::{Fact, Kind, Level};
use landfall_claims::{
    Authority, Claim, Credential, Role,
    credential::{Entry, Subject},
    status::StatusList,
};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_policy::Value;
use landfall_server::authorizer::{Believed, Config};
use landfall_store::Store;
use landfall_types::{DeviceId, Fingerprint, Time};
use std::{collections::BTreeMap, time::Duration};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const LIST: &str = "https://alice.example/status/1";

pub(super) struct Cast {
    pub(super) owner: SoftwareKey,
    pub(super) alice: SoftwareKey,
    pub(super) kestrel: SoftwareKey,
    pub(super) finch: SoftwareKey,
    pub(super) auditor: SoftwareKey,
    /// The key that the device was born with.
    pub(super) device: SoftwareKey,
    /// That of its manufacturer's authority.
    pub(super) maker: SoftwareKey,
}

fn print(key: &SoftwareKey) -> Fingerprint {
    key.public_key().fingerprint()
}

impl Cast {
    pub(super) fn new() -> Self {
        let key = || SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
        Self { owner: key(), alice: key(), kestrel: key(), finch: key(), auditor: key(), device: key(), maker: key() }
    }

    pub(super) fn config(&self) -> Config {
        let authority = |key: &SoftwareKey, role, vendor: Option<&str>, name: &str| Authority {
            key: print(key),
            role,
            vendor: vendor.map(str::to_owned),
            name: name.to_owned(),
        };
        let mut believed =
            Believed { vendors: BTreeMap::from([(print(&self.maker), "kestrel".into())]), ..Believed::default() };
        believed.authorities.0 = vec![
            authority(&self.owner, Role::Owner, None, "us"),
            authority(&self.alice, Role::User, None, "Alice"),
            authority(&self.kestrel, Role::Manufacturer, Some("kestrel"), "Kestrel"),
            authority(&self.finch, Role::Manufacturer, Some("finch"), "Finch"),
            authority(&self.auditor, Role::Auditor, None, "lab"),
        ];
        Config { believed, ..config() }
    }

    pub(super) fn trust(&self) -> Claim {
        Claim::DeviceTrust { device: print(&self.device) }
    }

    /// An office in which the device is known.
    pub(super) async fn office(&self, store: Store) -> (Office, DeviceId) {
        let office = Office::with(store, self.config(), 0).await;
        let device = office.devices(1).await.remove(0);
        office.identify(&device, &self.device).await;
        (office, device)
    }
}

pub(super) fn credential(id: &str, key: &SoftwareKey, claim: Claim) -> Credential {
    Credential {
        id: format!("urn:test:{id}"),
        issuer: key.public_key().clone(),
        claim,
        valid_from: START,
        valid_until: Some(START + DAY),
        status: None,
    }
}

fn signed(id: &str, key: &SoftwareKey, claim: Claim) -> String {
    credential(id, key, claim).issue(key).unwrap()
}

fn list(key: &SoftwareKey, from: Time, revoked: &[u64]) -> String {
    list_at(LIST, key, from, Some(START + DAY * 2), revoked)
}

pub(super) fn list_at(url: &str, key: &SoftwareKey, from: Time, until: Option<Time>, revoked: &[u64]) -> String {
    let mut list = StatusList::new(url.into(), key.public_key().clone(), from, until);
    revoked.iter().for_each(|index| assert!(list.set(*index)));
    list.issue(key).unwrap()
}

impl Office {
    async fn identify(&self, device: &DeviceId, key: &SoftwareKey) {
        let proven = self.fact(device, Kind::IdentityProven, true, "IDevID");
        self.authorizer.assert(vec![Fact { issuer: Some(print(key)), ..proven }]).await.unwrap();
    }

    pub(super) async fn bring(&self, jwt: &str) -> Result<(), String> {
        let done = self.authorizer.add_credential(jwt, "test".into()).await;
        done.map(drop).map_err(|refusal| refusal.check.into_owned())
    }

    pub(super) fn asserted(&self, device: &DeviceId, kind: Kind) -> Option<Fact> {
        let facts = self.authorizer.view(device)?.dossier.facts;
        facts.into_iter().find(|fact| fact.kind == kind && fact.verifier == "credentials")
    }

    pub(super) fn value_of(&self, device: &DeviceId, kind: Kind) -> Option<Value> {
        self.asserted(device, kind).map(|fact| fact.value)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asserted_is_a_fact_with_its_issuer_and_its_end() {
    let cast = Cast::new();
    let (office, device) = cast.office(Store::memory()).await;
    office.bring(&signed("1", &cast.alice, cast.trust())).await.unwrap();
    let fact = office.asserted(&device, Kind::DeviceTrusted).unwrap();
    assert_eq!((&fact.value, fact.issuer, fact.expires), (&true.into(), Some(print(&cast.alice)), Some(START + DAY)));
    assert!(fact.source.starts_with("credential of Alice ("), "{}", fact.source);
    let of = print(&cast.device);
    let more = [
        (
            &cast.owner,
            Claim::ManufacturerTrust { manufacturer: print(&cast.maker) },
            Kind::ManufacturerTrusted,
            Value::Bool(true),
        ),
        (
            &cast.kestrel,
            Claim::TypeBinding { device: of, device_type: "kestrel/thermostat".into() },
            Kind::TypeBound,
            true.into(),
        ),
        (
            &cast.kestrel,
            Claim::Ownership { device: of, owner: print(&cast.owner) },
            Kind::Owner,
            print(&cast.owner).to_string().into(),
        ),
        (
            &cast.auditor,
            Claim::TestResult {
                subject: Subject::Type("kestrel/thermostat".into()),
                certificate: "ETSI EN 303 645".into(),
            },
            Kind::TestCertificates,
            vec!["ETSI EN 303 645".to_owned()].into(),
        ),
        (
            &cast.auditor,
            Claim::Vulnerability { subject: Subject::Device(of), id: "CVE-2026-1".into(), score: 81 },
            Kind::VulnerabilityScore,
            81.into(),
        ),
    ];
    for (number, (key, claim, kind, value)) in more.into_iter().enumerate() {
        office.bring(&signed(&format!("more-{number}"), key, claim)).await.unwrap();
        assert_eq!(office.value_of(&device, kind), Some(value), "{kind}");
    }
    assert_eq!(office.level(&device), Level::Remediation);
    // What binds it to another type than it is known to be of speaks against it.
    let other = Claim::TypeBinding { device: of, device_type: "kestrel/camera".into() };
    office.bring(&signed("camera", &cast.alice, other)).await.unwrap();
    assert_eq!(office.level(&device), Level::Blocked);
    assert!(office.authorizer.credential_reports().iter().all(|report| report.refused.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_credential_that_does_not_count_is_refused_by_name() {
    let cast = Cast::new();
    let (office, device) = cast.office(Store::memory()).await;
    let good = signed("1", &cast.alice, cast.trust());
    let stranger = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let other = signed("1", &cast.alice, Claim::DeviceTrust { device: print(&cast.maker) });
    let (head, signature) = (good.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    let forged = format!("{head}.{signature}");
    let expired = Credential { valid_until: Some(START), ..credential("2", &cast.alice, cast.trust()) };
    let early = Credential { valid_from: START + DAY / 2, ..credential("3", &cast.alice, cast.trust()) };
    let entry = |index| Some(Entry { list: LIST.into(), index, is_suspension: false });
    let unlisted = Credential { status: entry(1), ..credential("4", &cast.alice, cast.trust()) };
    let maker = Claim::ManufacturerTrust { manufacturer: print(&cast.maker) };
    let binding = || Claim::TypeBinding { device: print(&cast.device), device_type: "kestrel/thermostat".into() };
    let own = Claim::DeviceTrust { device: print(&cast.alice) };
    let cases = [
        ("credential-signature", forged),
        ("credential-issuer", signed("1", &stranger, cast.trust())),
        ("credential-role", signed("5", &cast.alice, maker.clone())),
        ("credential-role", signed("6", &cast.kestrel, maker)),
        ("credential-scope", signed("7", &cast.finch, binding())),
        ("credential-self-issued", signed("8", &cast.alice, own)),
        ("credential-expired", expired.issue(&cast.alice).unwrap()),
        ("credential-early", early.issue(&cast.alice).unwrap()),
        ("credential-status", unlisted.issue(&cast.alice).unwrap()),
        ("credential-form", "no.credential.this".into()),
    ];
    for (check, jwt) in &cases {
        assert_eq!(office.bring(jwt).await.unwrap_err(), *check);
    }
    assert!(office.authorizer.credential_reports().is_empty());
    office.bring(&signed("7", &cast.kestrel, binding())).await.expect("of its own devices it may");
    office.bring(&good).await.unwrap();
    office.bring(&good).await.expect("the same once more");
    assert_eq!(office.bring(&signed("1", &cast.alice, binding())).await.unwrap_err(), "credential-reused");
    let retraction = |key| signed("9", key, Claim::Retraction { credential: "urn:test:1".into() });
    assert_eq!(office.bring(&retraction(&cast.auditor)).await.unwrap_err(), "credential-retraction");
    office.bring(&retraction(&cast.alice)).await.unwrap();
    assert_eq!(office.bring(&good).await.unwrap_err(), "credential-retracted");
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(false.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_credential_speaks_against_the_device_at_once() {
    let cast = Cast::new();
    let (office, device) = cast.office(Store::memory()).await;
    let entry = Some(Entry { list: LIST.into(), index: 7, is_suspension: false });
    let listed = Credential { status: entry, ..credential("1", &cast.alice, cast.trust()) };
    // Somebody else's list of the same name tells nothing.
    office.bring(&list(&cast.auditor, START, &[])).await.unwrap();
    assert_eq!(office.bring(&listed.issue(&cast.alice).unwrap()).await.unwrap_err(), "credential-status");
    office.bring(&list(&cast.alice, START, &[6])).await.unwrap();
    office.bring(&listed.issue(&cast.alice).unwrap()).await.unwrap();
    assert_eq!(office.level(&device), Level::Full);
    office.pass(10);
    let stranger = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    assert_eq!(office.bring(&list(&stranger, START, &[7])).await.unwrap_err(), "credential-issuer");
    office.bring(&list(&cast.alice, office.now(), &[6, 7])).await.unwrap();
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(false.into()));
    assert_eq!(office.level(&device), Level::Blocked);
    assert_eq!(office.bring(&list(&cast.alice, START, &[])).await.unwrap_err(), "status-list-rollback");
    let report = &office.authorizer.credential_reports()[0];
    assert_eq!(report.refused.as_ref().map(|(check, _)| check.as_str()), Some("credential-revoked"));
    // Alice has changed her mind.
    office.pass(10);
    office.bring(&signed("2", &cast.alice, cast.trust())).await.unwrap();
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_back_whatever_anybody_asserted_and_it_stays_so() {
    let cast = Cast::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (office, device) = cast.office(Store::sqlite_shared(&path).unwrap()).await;
    let jwt = signed("1", &cast.alice, cast.trust());
    office.bring(&jwt).await.unwrap();
    let certificate =
        Claim::TestResult { subject: Subject::Device(print(&cast.device)), certificate: "EN 303 645".into() };
    office.bring(&signed("2", &cast.auditor, certificate)).await.unwrap();
    let withdraw = async |office: &Office, id: &str| {
        office.authorizer.withdraw_credential(&format!("urn:test:{id}"), "test".into(), "left".into()).await.unwrap()
    };
    assert_eq!((withdraw(&office, "1").await, withdraw(&office, "2").await, withdraw(&office, "3").await), (1, 1, 0));
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(false.into()));
    assert_eq!(office.value_of(&device, Kind::TestCertificates), None, "of a test nothing is left");
    assert_eq!(office.bring(&jwt).await.unwrap_err(), "credential-withdrawn");
    drop(office.close().await);
    let office = Office::with(Store::sqlite_shared(&path).unwrap(), cast.config(), 20).await;
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(false.into()));
    assert_eq!(office.level(&device), Level::Blocked);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_role_is_gone_has_said_nothing() {
    let cast = Cast::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (office, device) = cast.office(Store::sqlite_shared(&path).unwrap()).await;
    office.bring(&signed("1", &cast.alice, cast.trust())).await.unwrap();
    drop(office.close().await);
    let mut config = cast.config();
    config.believed.authorities.0.retain(|authority| authority.role != Role::User);
    let office = Office::with(Store::sqlite_shared(&path).unwrap(), config, 20).await;
    office.say(&device, Kind::Segment, "heating", "test").await;
    assert_eq!(office.asserted(&device, Kind::DeviceTrusted), None);
    let report = &office.authorizer.credential_reports()[0];
    assert_eq!(report.refused.as_ref().map(|(check, _)| check.as_str()), Some("credential-issuer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_waits_for_its_device_and_ends_by_itself() {
    let cast = Cast::new();
    let office = Office::with(Store::memory(), cast.config(), 0).await;
    office.bring(&signed("1", &cast.alice, cast.trust())).await.unwrap();
    let device = office.devices(1).await.remove(0);
    assert_eq!(office.asserted(&device, Kind::DeviceTrusted), None);
    office.identify(&device, &cast.device).await;
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(true.into()));
    office.pass(86_400);
    assert!(!office.asserted(&device, Kind::DeviceTrusted).unwrap().holds(office.now()));
    office.say(&device, Kind::Firmware, "1.0", "attestation").await;
    assert!(office.asserted(&device, Kind::DeviceTrusted).is_some(), "it stays known that it was so");
    office.bring(&signed("2", &cast.alice, cast.trust())).await.unwrap_err();
}

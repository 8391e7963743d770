//! What devices run: lists of components and bundles of feeds in, facts out.

use super::{Office, START, config};
use landfall_assurance::{Fact, Grace, Kind, Known, Level};
use landfall_pki::{Algorithm, SoftwareKey};
use landfall_policy::Value;
use landfall_server::authorizer::{Believed, Config, Scope};
use landfall_store::Store;
use landfall_tuf::{Archive, publish};
use landfall_types::{DeviceId, Time};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, time::Duration};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const TYPE: &str = "kestrel/thermostat";

/// A publisher of feeds.
pub(super) struct Publisher {
    key: SoftwareKey,
    root: Vec<u8>,
}

impl Publisher {
    pub(super) fn new() -> Self {
        let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
        Self { root: publish::root(&key, START + DAY * 3650).unwrap(), key }
    }

    pub(super) fn believed(&self) -> Config {
        let feed_root = Some(self.root.clone());
        Config { believed: Believed { feed_root, ..Believed::default() }, ..config() }
    }

    pub(super) fn bundle(&self, version: u64, expires: Time, files: &[(&str, String)]) -> Vec<u8> {
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(name, content)| ((*name).to_owned(), content.clone().into_bytes())).collect();
        Archive::write(&publish::bundle(&self.key, version, expires, &files).unwrap()).unwrap()
    }
}

fn thermostats() -> Scope {
    Scope::DeviceType(TYPE.into())
}

pub(super) fn sbom(purl: &str) -> Vec<u8> {
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "components": [{ "type": "library", "bom-ref": "one", "name": "smallvec", "purl": purl }]
    })
    .to_string()
    .into_bytes()
}

pub(super) fn osv(modified: &str) -> (&'static str, String) {
    let record = json!({
        "schema_version": "1.7.0", "id": "RUSTSEC-2021-0003", "modified": modified, "aliases": ["CVE-2021-25900"],
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "crates.io", "name": "smallvec" },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "1.0.0" }, { "fixed": "1.6.1" }] }]
        }]
    });
    ("osv-crates.json", record.to_string())
}

pub(super) fn kev() -> (&'static str, String) {
    let list = json!({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2027.01.14",
        "dateReleased": "2027-01-14T15:00:00.0000Z", "count": 1,
        "vulnerabilities": [{ "cveID": "CVE-2021-25900", "vendorProject": "servo", "product": "smallvec", "dateAdded": "2027-01-14" }]
    });
    ("kev.json", list.to_string())
}

fn told(facts: &[Fact], kind: Kind) -> Vec<&Fact> {
    facts.iter().filter(|fact| fact.kind == kind && fact.verifier == "software assessment").collect()
}

impl Office {
    pub(super) fn value(&self, device: &DeviceId, kind: Kind) -> Option<Value> {
        let view = self.authorizer.view(device)?;
        told(&view.dossier.facts, kind).first().map(|fact| fact.value.clone())
    }

    pub(super) async fn import(&self, bundle: Vec<u8>) -> Result<(), String> {
        let done = self.authorizer.import_feeds(bundle.into(), "test".into()).await;
        done.map(drop).map_err(|refusal| refusal.check.into_owned())
    }

    pub(super) async fn add(&self, scope: Scope, firmware: Option<&str>, document: &[u8]) {
        self.authorizer.add_sbom(scope, firmware.map(str::to_owned), document, "test".into()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_assessed_once_and_each_of_its_devices_is_told_of() {
    let publisher = Publisher::new();
    let office = Office::with(Store::memory(), publisher.believed(), 0).await;
    let devices = office.devices(20).await;
    let report = office
        .authorizer
        .add_sbom(thermostats(), None, &sbom("pkg:cargo/smallvec@1.6.0"), "test".into())
        .await
        .unwrap();
    assert_eq!((report.devices, report.score), (Some(20), None), "without a feed there is no score");
    for device in &devices {
        assert_eq!(office.value(device, Kind::SbomKnown), Some(true.into()));
        assert_eq!(office.value(device, Kind::VulnerabilityScore), None);
        assert_eq!(office.level(device), Level::Full);
    }
    let until = office.now() + DAY * 7;
    office.import(publisher.bundle(1, until, &[osv("2027-01-14T12:00:00Z"), kev()])).await.unwrap();
    for device in &devices {
        let facts = office.authorizer.view(device).unwrap().dossier.facts;
        let score = told(&facts, Kind::VulnerabilityScore)[0];
        assert_eq!(
            (&score.value, score.expires, score.source.as_str()),
            (&98.into(), Some(until), "vulnerability feeds")
        );
        assert_eq!(told(&facts, Kind::KnownExploited)[0].value, vec!["CVE-2021-25900".to_owned()].into());
        assert_eq!(told(&facts, Kind::FeedAgeHours)[0].value, 24.into(), "a day that has begun counts as one");
    }
    // It is being exploited. One in ten, and two in any case, and then a person is asked whether the feed is right.
    assert_eq!(devices.iter().filter(|device| office.level(device) == Level::Quarantine).count(), 2);
    let report = office.authorizer.sbom_of(&devices[0]).unwrap();
    let found = &report.findings[0];
    assert_eq!((found.id.as_str(), found.score, found.is_exploited), ("CVE-2021-25900", 98, true));
    assert_eq!((found.component.as_str(), found.fixed.as_deref()), ("pkg:cargo/smallvec@1.6.0", Some("1.6.1")));
    assert_eq!(found.told_by, ["osv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_firmware_consists_of_counts_and_mends_it() {
    let publisher = Publisher::new();
    let office = Office::with(Store::memory(), publisher.believed(), 0).await;
    let device = office.devices(1).await.remove(0);
    let until = office.now() + DAY * 7;
    office.import(publisher.bundle(1, until, &[osv("2027-01-14T12:00:00Z")])).await.unwrap();
    office.add(thermostats(), None, &sbom("pkg:cargo/smallvec@1.6.0")).await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), Some(98.into()));
    assert_eq!(office.level(&device), Level::Remediation);
    office.add(thermostats(), Some("2.0"), &sbom("pkg:cargo/smallvec@1.6.1")).await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), Some(98.into()), "it has not been updated yet");
    office.pass(1);
    office.say(&device, Kind::Firmware, "2.0", "update service").await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), Some(0.into()));
    // What is of the device itself counts more than what is of its type.
    let own = Scope::Device(device.clone());
    office.add(own, None, &sbom("pkg:cargo/smallvec@1.5.0")).await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), Some(98.into()));
    let id = office.authorizer.sbom_of(&device).unwrap().record.id;
    assert!(office.authorizer.remove_sbom(&id).await.unwrap());
    assert!(!office.authorizer.remove_sbom(&id).await.unwrap());
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), Some(0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_no_fact() {
    let publisher = Publisher::new();
    let office = Office::with(Store::memory(), publisher.believed(), 0).await;
    let device = office.devices(1).await.remove(0);
    let until = office.now() + DAY * 7;
    office.import(publisher.bundle(1, until, &[osv("2027-01-14T12:00:00Z")])).await.unwrap();
    office.add(thermostats(), None, &sbom("pkg:cargo/smallvec@1.6.1")).await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), Some(0.into()));
    // No feed speaks of npm; what was known before is taken back, and nobody says which are exploited.
    office.add(thermostats(), None, &sbom("pkg:npm/left-pad@1.0.0")).await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), None);
    assert_eq!(office.value(&device, Kind::KnownExploited), None);
    assert_eq!(office.value(&device, Kind::SbomKnown), Some(true.into()));
    // A list that names nothing that can be asked about is none.
    let nothing =
        json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{ "type": "library", "name": "x" }] });
    office.add(thermostats(), None, nothing.to_string().as_bytes()).await;
    assert_eq!(office.value(&device, Kind::SbomKnown), Some(false.into()));
    // A firmware of which there is no list is not known, whatever is known of another.
    office.add(thermostats(), Some("1.0"), &sbom("pkg:cargo/smallvec@1.6.1")).await;
    let id = office.authorizer.sbom_of(&device).unwrap().record.id;
    office.authorizer.remove_sbom(&id).await.unwrap();
    assert_eq!(office.value(&device, Kind::SbomKnown), None);
    office.say(&device, Kind::Firmware, "1.0", "attestation").await;
    assert_eq!(office.value(&device, Kind::SbomKnown), Some(true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_wrong_changes_nothing() {
    let publisher = Publisher::new();
    let office = Office::with(Store::memory(), publisher.believed(), 0).await;
    let device = office.devices(1).await.remove(0);
    office.add(thermostats(), None, &sbom("pkg:cargo/smallvec@1.6.0")).await;
    let until = office.now() + DAY * 7;
    let files = [osv("2027-01-14T12:00:00Z"), kev()];
    let good = publisher.bundle(5, until, &files);
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    let mut changed = good.clone();
    let at = changed.windows(6).position(|part| part == b"1.6.1\"").unwrap();
    changed[at + 2] = b'5';
    let cases = [
        ("bundle-threshold", Publisher::new().bundle(5, until, &files)),
        ("bundle-expired", publisher.bundle(5, office.now(), &files)),
        ("bundle-archive", cut),
        ("bundle-digest", changed),
        ("feed-missing", publisher.bundle(5, until, &[("readme.txt", "no feed".into())])),
        ("software-document", publisher.bundle(5, until, &[("osv.json", "{}".into())])),
    ];
    for (check, bundle) in &cases {
        assert_eq!(office.import(bundle.clone()).await.unwrap_err(), *check);
    }
    assert!(office.authorizer.feeds().is_none());
    office.import(good.clone()).await.unwrap();
    office.import(good).await.expect("the same once more");
    let older = osv("2027-01-13T12:00:00Z");
    let later = [
        ("bundle-rollback", publisher.bundle(4, until, &files)),
        ("feed-missing", publisher.bundle(6, until, &[osv("2027-01-14T12:00:00Z")])),
        ("feed-rollback", publisher.bundle(6, until, &[older, kev()])),
    ];
    for (check, bundle) in cases.iter().chain(&later) {
        assert_eq!(office.import(bundle.clone()).await.unwrap_err(), *check);
        assert_eq!(office.value(&device, Kind::VulnerabilityScore), Some(98.into()), "the last one stays");
    }
    office.import(publisher.bundle(6, until, &files)).await.unwrap();
    let nobody = Office::open().await;
    assert_eq!(nobody.import(publisher.bundle(1, until, &files)).await.unwrap_err(), "feed-publisher");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_feeds_are_there_after_a_restart_and_feeds_only_of_who_is_believed() {
    let publisher = Publisher::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let office = Office::with(Store::sqlite_shared(&path).unwrap(), publisher.believed(), 0).await;
    let device = office.devices(1).await.remove(0);
    office.add(thermostats(), None, &sbom("pkg:cargo/smallvec@1.6.0")).await;
    let until = office.now() + DAY * 7;
    office.import(publisher.bundle(1, until, &[osv("2027-01-14T12:00:00Z")])).await.unwrap();
    let (feeds, list) = (office.authorizer.feeds(), office.authorizer.sbom_of(&device));
    drop(office.close().await);
    let office = Office::with(Store::sqlite_shared(&path).unwrap(), publisher.believed(), 5).await;
    assert_eq!((office.authorizer.feeds(), office.authorizer.sbom_of(&device)), (feeds, list));
    assert_eq!(
        office.import(publisher.bundle(0, until, &[osv("2027-01-14T12:00:00Z")])).await.unwrap_err(),
        "bundle-rollback"
    );
    drop(office.close().await);
    // Another publisher is believed now.
    let office = Office::with(Store::sqlite_shared(&path).unwrap(), Publisher::new().believed(), 10).await;
    assert!(office.authorizer.feeds().is_none());
    office.say(&device, Kind::Segment, "heating", "test").await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), None);
    assert_eq!(office.value(&device, Kind::SbomKnown), Some(true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_feeds_say_ends_with_their_bundle() {
    let publisher = Publisher::new();
    let office = Office::with(Store::memory(), publisher.believed(), 0).await;
    let device: DeviceId = "07.alone".parse().unwrap();
    office.say(&device, Kind::DeviceType, TYPE, "records").await;
    office.add(thermostats(), None, &sbom("pkg:cargo/smallvec@1.6.1")).await;
    let until = office.now() + DAY * 2;
    office.import(publisher.bundle(1, until, &[osv("2027-01-14T12:00:00Z")])).await.unwrap();
    let known = |office: &Office| {
        let dossier = office.authorizer.view(&device).unwrap().dossier;
        matches!(dossier.known(Kind::VulnerabilityScore, &config().grace, office.now()), Known::Holds(..))
    };
    assert!(known(&office));
    office.pass(2 * 86_400);
    assert!(!known(&office));
    // It stays known that it was so, for an operator who lets it count for a while longer.
    office.say(&device, Kind::Firmware, "1.0", "attestation").await;
    let grace = Grace([(Kind::VulnerabilityScore, Duration::from_secs(10))].into());
    let dossier = office.authorizer.view(&device).unwrap().dossier;
    assert!(matches!(dossier.known(Kind::VulnerabilityScore, &grace, office.now()), Known::Holds(..)));
    assert!(!office.authorizer.feeds().unwrap().is_fresh);
    office.add(thermostats(), None, &sbom("pkg:cargo/smallvec@1.6.0")).await;
    assert_eq!(office.value(&device, Kind::VulnerabilityScore), None, "a stale bundle says nothing of a new list");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_none_are_refused() {
    let office = Office::open().await;
    let good = sbom("pkg:cargo/smallvec@1.6.0");
    let many: Vec<Json> = (0..50_001).map(|number| json!({ "type": "library", "name": number.to_string() })).collect();
    let bomb = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": many }).to_string();
    let cases: [(&str, Scope, Option<&str>, &[u8]); 4] = [
        ("sbom-scope", Scope::DeviceType("thermostat".into()), None, &good),
        ("sbom-scope", thermostats(), Some(""), &good),
        ("software-document", thermostats(), None, b"{}"),
        ("software-document", thermostats(), None, bomb.as_bytes()),
    ];
    for (check, scope, firmware, document) in cases {
        let done = office.authorizer.add_sbom(scope, firmware.map(str::to_owned), document, "test".into()).await;
        assert_eq!(done.unwrap_err().check, check);
    }
    assert!(office.authorizer.sboms().is_empty());
}

//! What operators bring of statements about vulnerabilities.

use super::{
    Office,
    software::{DAY, Publisher, kev, osv, sbom},
};
use landfall_assurance::{DEFAULT, Kind, Level, Policies};
use landfall_server::authorizer::{Config, Scope};
use landfall_store::Store;
use landfall_types::DeviceId;
use serde_json::{Value as Json, json};

const TYPE: &str = "kestrel/thermostat";
const PURL: &str = "pkg:cargo/smallvec@1.6.0";

fn openvex() -> Json {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://kestrel.example/vex/1", "author": "Kestrel",
        "timestamp": "2027-01-14T00:00:00Z", "version": 1,
        "statements": [{
            "vulnerability": { "name": "CVE-2021-25900" },
            "products": [{ "@id": PURL }],
            "status": "not_affected", "justification": "vulnerable_code_not_present"
        }]
    })
}

impl Office {
    /// With one thermostat that runs what is vulnerable, and feeds that say so.
    async fn vulnerable(store: Store, config: Config, publisher: &Publisher, is_exploited: bool) -> (Self, DeviceId) {
        let office = Self::with(store, config, 0).await;
        let device = office.devices(1).await.remove(0);
        office.add(Scope::DeviceType(TYPE.into()), None, &sbom(PURL)).await;
        let mut feeds = vec![osv("2027-01-14T12:00:00Z")];
        feeds.extend(is_exploited.then(kev));
        let until = office.now() + DAY * 7;
        office.import(publisher.bundle(1, until, &feeds)).await.unwrap();
        (office, device)
    }

    fn score_of(&self, device: &DeviceId) -> Option<landfall_policy::Value> {
        self.value(device, Kind::VulnerabilityScore)
    }

    async fn say_vex(&self, document: &Json) -> Result<String, String> {
        let added = self.authorizer.add_vex(document.to_string().as_bytes(), "alice".into()).await;
        added.map(|record| record.id).map_err(|why| why.check.into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_counts_for_the_product_that_it_names_until_it_is_removed_and_over_restarts() {
    let (folder, publisher) = (landfall_testkit::temp_dir(), Publisher::new());
    let store = || Store::sqlite_shared(folder.path().join("store.db")).unwrap();
    let (office, device) = Office::vulnerable(store(), publisher.believed(), &publisher, false).await;
    assert_eq!((office.score_of(&device), office.level(&device)), (Some(98.into()), Level::Remediation));
    let id = office.say_vex(&openvex()).await.unwrap();
    assert_eq!(office.score_of(&device), Some(0.into()));
    let record = office.authorizer.vex().remove(0);
    assert_eq!(
        (record.format.as_str(), record.author.as_deref(), record.by.as_str()),
        ("OpenVEX", Some("Kestrel"), "alice")
    );
    assert_eq!((record.document.as_deref(), record.at), (Some("https://kestrel.example/vex/1"), office.now()));
    assert_eq!((record.vulnerabilities, record.products), (vec!["CVE-2021-25900".to_owned()], vec![PURL.to_owned()]));
    let found = office.authorizer.sbom_of(&device).unwrap().findings.remove(0);
    assert_eq!(found.excused.as_deref(), Some("not_affected: vulnerable_code_not_present"));
    // Another list of the same is held against it too, and so are other feeds.
    office.add(Scope::Device(device.clone()), None, &sbom("pkg:cargo/smallvec@1.5.0")).await;
    assert_eq!(office.score_of(&device), Some(98.into()), "it names another version");
    let own = office.authorizer.sbom_of(&device).unwrap().record.id;
    office.authorizer.remove_sbom(&own).await.unwrap();
    let until = office.now() + DAY * 8;
    office.import(publisher.bundle(2, until, &[osv("2027-01-14T13:00:00Z")])).await.unwrap();
    assert_eq!(office.score_of(&device), Some(0.into()));
    drop(office.close().await);
    let office = Office::with(store(), publisher.believed(), 10).await;
    assert_eq!((office.score_of(&device), office.authorizer.vex().len()), (Some(0.into()), 1));
    assert!(office.authorizer.remove_vex(&id).await.unwrap());
    assert!(!office.authorizer.remove_vex(&id).await.unwrap());
    assert_eq!(office.score_of(&device), Some(98.into()));
    assert!(office.authorizer.vex().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_thing_otherwise_it_excuses_nothing() {
    let publisher = Publisher::new();
    let (office, device) = Office::vulnerable(Store::memory(), publisher.believed(), &publisher, false).await;
    for (path, value, check) in [
        ("/@context", json!("https://other.example"), "software-document"),
        ("/statements/0/justification", json!(""), "software-document"),
        ("/statements/0/status", json!("fine"), "software-document"),
        ("/statements", json!([]), "vex-empty"),
        ("/statements/0/products", json!([]), "vex-product"),
        ("/statements/0/products/0/@id", json!("smallvec"), "vex-product"),
        ("/timestamp", json!("2027-01-18T00:00:00Z"), "vex-future"),
    ] {
        let mut document = openvex();
        *document.pointer_mut(path).unwrap() = value;
        assert_eq!(office.say_vex(&document).await.unwrap_err(), check, "{path}");
    }
    assert!(office.authorizer.vex().is_empty());
    for (path, value) in [
        ("/statements/0/products/0/@id", json!("pkg:cargo/smallvec@1.6.1")),
        ("/statements/0/vulnerability/name", json!("CVE-2021-25901")),
        ("/statements/0/status", json!("under_investigation")),
    ] {
        let mut document = openvex();
        *document.pointer_mut(path).unwrap() = value;
        office.say_vex(&document).await.unwrap();
        assert_eq!(office.score_of(&device), Some(98.into()), "{path}");
    }
    // The newest word counts, whoever brought it first.
    let mut later = openvex();
    later["timestamp"] = json!("2027-01-15T00:00:00Z");
    later["statements"][0]["status"] = json!("affected");
    office.say_vex(&later).await.unwrap();
    office.say_vex(&openvex()).await.unwrap();
    assert_eq!(office.score_of(&device), Some(98.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_exploited_is_forbidden_whatever_is_said_unless_policy_names_it() {
    let publisher = Publisher::new();
    let (office, device) = Office::vulnerable(Store::memory(), publisher.believed(), &publisher, true).await;
    assert_eq!(office.level(&device), Level::Quarantine);
    office.say_vex(&openvex()).await.unwrap();
    let exploited = office.value(&device, Kind::KnownExploited);
    assert_eq!((office.score_of(&device), exploited), (Some(0.into()), Some(vec!["CVE-2021-25900".to_owned()].into())));
    assert_eq!(office.level(&device), Level::Quarantine);
    // The owner's policy may believe the statement, of that vulnerability and no other.
    let usual = "context has known_exploited && !context.known_exploited.isEmpty()";
    let named = |name: &str| {
        assert!(DEFAULT.contains(usual));
        DEFAULT.replace(
            usual,
            &format!("context has known_exploited && !([\"{name}\"].containsAll(context.known_exploited))"),
        )
    };
    for (name, level) in [("CVE-2022-28391", Level::Quarantine), ("CVE-2021-25900", Level::Full)] {
        let config = Config { policies: Policies::parse(&named(name)).unwrap(), ..publisher.believed() };
        let (office, device) = Office::vulnerable(Store::memory(), config, &publisher, true).await;
        office.say_vex(&openvex()).await.unwrap();
        office.pass(3600);
        office.say(&device, Kind::Paid, true, "shop").await;
        assert_eq!(office.level(&device), level, "{name}");
    }
}

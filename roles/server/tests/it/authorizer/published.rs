//! Lists of components where manufacturers' files say that they are, from a real web server.

use super::{
    Office,
    software::{DAY, Publisher, osv, sbom},
};
use crate::enforcer::manager::{Ground, Page, manager_in};
use landfall_assurance::{Fact, Kind, Level};
use landfall_lifecycle::network::{DomainDevice, Learnt};
use landfall_server::{
    Settings, Trigger,
    authorizer::{Publications, PublishedRecord, Scope},
    enforcer::manager::Manager,
    shutdown,
};
use landfall_store::Store;
use landfall_types::{Changes, DeviceId};
use serde_json::{Value as Json, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::timeout;

const NAME: &str = "ietf-mud-transparency:transparency";
const HOUR: u64 = 3600;
const PATIENCE: Duration = Duration::from_secs(60);
const MENDED: &str = "pkg:cargo/smallvec@1.6.1";
const BROKEN: &str = "pkg:cargo/smallvec@1.6.0";

/// A network with one lamp, whose manufacturer publishes what its releases consist of.
struct Place {
    ground: Ground,
    office: Office,
    manager: Arc<Manager>,
    published: Arc<Publications>,
    device: DeviceId,
}

impl Place {
    async fn new() -> Self {
        Self::with(Store::memory(), |_, _| {}).await
    }

    /// With one thing otherwise.
    async fn with(store: Store, change: impl Fn(&Ground, &mut DomainDevice)) -> Self {
        let ground = Ground::new().await;
        ground.web.put("/1.0.json", Page::Body(sbom(MENDED)));
        ground.publish(&file(&ground, &says(&ground)));
        let mut device = ground.device();
        change(&ground, &mut device);
        Self::in_store(store, ground, device).await
    }

    async fn in_store(store: Store, ground: Ground, device: DomainDevice) -> Self {
        let publisher = Publisher::new();
        let office = Office::with(store, publisher.believed(), 0).await;
        let id = device.identity.device.clone();
        office.world.store.commit(Changes::new().put(&device).unwrap()).await.unwrap();
        let manager = manager_in(&ground.settings(""), office.world.clone());
        let published = Publications::new(&Default::default(), manager.clone(), None, office.world.clone()).unwrap();
        let place = Self { ground, office, manager, published, device: id };
        let facts: Vec<Fact> =
            place.office.good(&place.device).into_iter().filter(|fact| fact.kind != Kind::SbomKnown).collect();
        place.office.authorizer.assert(facts).await.unwrap();
        place.office.say(&place.device, Kind::Firmware, "1.0", "attestation").await;
        let until = place.office.now() + DAY * 60;
        place.office.import(publisher.bundle(1, until, &[osv("2027-01-14T12:00:00Z")])).await.unwrap();
        place
    }

    /// The manufacturer's file is fetched, and then what it names.
    async fn look(&self) {
        self.published.look(None).await.unwrap();
        self.manager.refresh().await;
        self.published.look(None).await.unwrap();
    }

    fn known(&self) -> Option<Fact> {
        let facts = self.office.authorizer.view(&self.device).unwrap().dossier.facts;
        facts.into_iter().find(|fact| fact.kind == Kind::SbomKnown)
    }

    fn score(&self) -> Option<i64> {
        match self.office.value(&self.device, Kind::VulnerabilityScore)? {
            landfall_policy::Value::Number(score) => Some(score),
            _ => None,
        }
    }

    fn record(&self) -> PublishedRecord {
        let mut all = self.office.authorizer.published_sboms();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn asked(&self, path: &str) -> usize {
        self.ground.web.heads().iter().filter(|head| head.starts_with(&format!("GET {path} "))).count()
    }
}

/// What the lamp's file says of where to ask.
fn says(ground: &Ground) -> Json {
    json!({ "sboms": [
        { "version-info": "1.0", "sbom-url": ground.web.url("/1.0.json") },
        { "version-info": "2.0", "sbom-url": ground.web.url("/2.0.json") },
    ] })
}

fn file(ground: &Ground, says: &Json) -> Json {
    let mut file = ground.file();
    file["ietf-mud:mud"]["extensions"] = json!(["transparency"]);
    file["ietf-mud:mud"][NAME] = says.clone();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manufacturer_publishes_of_a_release_is_known_with_where_it_came_from() {
    let place = Place::new().await;
    assert_eq!(place.office.level(&place.device), Level::Remediation, "nothing is known of its software");
    place.look().await;
    let (now, fact) = (place.office.now(), place.known().unwrap());
    assert_eq!((fact.value, fact.expires), (true.into(), Some(now + DAY * 14)));
    assert_eq!((fact.source.as_str(), fact.verifier.as_str()), ("SBOM that its MUD file names", "software assessment"));
    assert_eq!(place.score(), Some(0));
    let record = place.record();
    assert_eq!(record.url, Some(place.ground.web.url("/1.0.json")));
    assert_eq!((record.signer.as_str(), record.firmware.as_deref()), ("CN=Lamps MUD signer", Some("1.0")));
    assert_eq!(record.mud_file, format!("lamps {}", place.ground.web.url("/lamp.json")));
    let had = record.had.clone().unwrap();
    assert_eq!((had.at, had.until, had.from), (now, now + DAY * 14, place.ground.web.url("/1.0.json")));
    assert!(had.address == "127.0.0.1" || had.address == "::1");
    let report = place.office.authorizer.sbom_of(&place.device).unwrap();
    assert_eq!((report.record.scope, report.published), (Scope::MudFile(record.mud_file.clone()), Some(record)));
    assert_eq!(place.office.world.store.log("published-software", 0, 10).unwrap().len(), 1);
    // Only what is run is asked for, and once until it is due.
    place.look().await;
    assert_eq!((place.asked("/1.0.json"), place.asked("/2.0.json")), (1, 0));
    assert_eq!(place.office.level(&place.device), Level::Full);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_the_release_that_a_device_runs_counts() {
    let place = Place::new().await;
    place.look().await;
    place.ground.web.put("/2.0.json", Page::Body(sbom(BROKEN)));
    place.office.pass(1);
    // Whoever becomes known, or gets another release, is looked at by itself.
    let (trigger, ending): (Trigger, _) = shutdown();
    let work = tokio::spawn(place.published.clone().work(ending));
    place.office.say(&place.device, Kind::Firmware, "2.0", "update service").await;
    let looking = async {
        while place.score() != Some(98) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, looking).await.expect("its new release is never looked at");
    trigger.pull();
    work.await.unwrap();
    place.look().await;
    assert_eq!(place.record().firmware.as_deref(), Some("2.0"), "what no device runs is forgotten");
    assert_eq!(place.office.authorizer.sboms().len(), 1);
    // What an operator brings counts instead.
    place.office.add(Scope::Device(place.device.clone()), None, &sbom(MENDED)).await;
    assert_eq!(place.score(), Some(0));
    let own = place.office.authorizer.sbom_of(&place.device).unwrap().record.id;
    assert!(place.office.authorizer.remove_sbom(&own).await.unwrap());
    assert_eq!(place.score(), Some(98));
    let id = place.office.authorizer.sbom_of(&place.device).unwrap().record.id;
    let why = place.office.authorizer.remove_sbom(&id).await.unwrap_err();
    assert_eq!((why.check.as_ref(), place.score()), ("sbom-published", Some(98)));
}

type Change = Box<dyn Fn(&Ground, &mut DomainDevice)>;

/// Each changes one thing of what is good.
fn changes() -> Vec<(&'static str, Change)> {
    fn change(check: &'static str, change: impl Fn(&Ground, &mut DomainDevice) + 'static) -> (&'static str, Change) {
        (check, Box::new(change))
    }
    let page = |page: Page| move |ground: &Ground, _: &mut DomainDevice| ground.web.put("/1.0.json", page.clone());
    let named = |url: &'static str| {
        move |ground: &Ground, _: &mut DomainDevice| {
            let mut says = says(ground);
            says["sboms"][0]["sbom-url"] = json!(url);
            ground.publish(&file(ground, &says));
        }
    };
    let instead = |says: Json| move |ground: &Ground, _: &mut DomainDevice| ground.publish(&file(ground, &says));
    vec![
        change("sbom-fetch", page(Page::Status(404))),
        change("sbom-fetch-size", page(Page::Huge)),
        change("sbom-fetch-size", page(Page::Endless)),
        change("sbom-fetch-redirect", page(Page::To("http://localhost/1.0.json".into()))),
        change("sbom-fetch-redirect", page(Page::To("/1.0.json".into()))),
        change("sbom-fetch-private", page(Page::To("https://10.0.0.1/1.0.json".into()))),
        change("sbom-fetch-private", named("https://10.0.0.1/1.0.json")),
        change("sbom-fetch-private", named("https://[fd00::1]/1.0.json")),
        change("sbom-url", named("http://localhost/1.0.json")),
        change("sbom-url", named("coap://localhost/1.0.json")),
        change("sbom-fetch", named("https://nobody.invalid/1.0.json")),
        change("software-document", page(Page::Body(b"{}".to_vec()))),
        change("software-document", page(Page::Body(b"<bom/>".to_vec()))),
        change("software-document", page(Page::Body(sbom(MENDED)[..60].to_vec()))),
        change(
            "sbom-release",
            instead(json!({ "sboms": [{ "version-info": "3.0", "sbom-url": "https://a.example/" }] })),
        ),
        change("sbom-local", instead(json!({ "sbom-local-well-known": "coaps" }))),
        change("sbom-contact", instead(json!({ "sbom-contact-uri": "mailto:sbom@lamp.example" }))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_thing_otherwise_nothing_is_known_and_the_operator_is_told_why() {
    for (number, (check, change)) in changes().into_iter().enumerate() {
        let place = Place::with(Store::memory(), change).await;
        place.look().await;
        let trouble = place.record().trouble.unwrap();
        assert_eq!(trouble.check, check, "{number}: {}", trouble.why);
        assert!(place.known().is_none() && place.score().is_none(), "{number}: {check}");
        assert_eq!(place.office.level(&place.device), Level::Remediation, "{number}: {check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_proven_to_be_the_devices_names_no_list() {
    let cases: [Change; 5] = [
        Box::new(|_, device| device.mud.as_mut().unwrap().learnt = Learnt::ConfigurationRequest),
        Box::new(|_, device| device.mud_claim = device.mud.take()),
        Box::new(|_, device| device.mud.as_mut().unwrap().signer = Some("CN=Somebody".into())),
        Box::new(|_, device| device.identity.vendor = Some("others".parse().unwrap())),
        Box::new(|ground, _| ground.web.put("/lamp.p7s", Page::Body(b"signed".to_vec()))),
    ];
    for (number, change) in cases.into_iter().enumerate() {
        let place = Place::with(Store::memory(), change).await;
        place.look().await;
        assert!(place.office.authorizer.published_sboms().is_empty(), "{number}");
        assert!(place.known().is_none() && place.asked("/1.0.json") == 0, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_release_that_is_known_none_of_the_lists_is_the_devices() {
    let place = Place::new().await;
    let facts = place.office.authorizer.view(&place.device).unwrap().dossier.facts;
    let firmware = facts.into_iter().find(|fact| fact.kind == Kind::Firmware).unwrap();
    place.office.pass(1);
    place.office.authorizer.assert(vec![firmware.withdrawn(place.office.now())]).await.unwrap();
    place.look().await;
    assert_eq!(place.record().trouble.unwrap().check, "sbom-release-unknown");
    assert!(place.known().is_none() && place.asked("/1.0.json") == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_again_counts_until_it_is_stale() {
    let place = Place::new().await;
    place.look().await;
    place.office.pass(24 * HOUR);
    place.look().await;
    let had = place.record().had.unwrap();
    assert_eq!((had.at, place.asked("/1.0.json")), (place.office.now(), 2));
    assert_eq!(place.known().unwrap().expires, Some(had.until), "it was there again, and holds longer");
    // What is broken or gone takes nothing away, and is asked for less and less often.
    place.ground.web.put("/1.0.json", Page::Body(b"{}".to_vec()));
    let mut waits = Vec::new();
    place.office.pass(24 * HOUR);
    for _ in 0..3 {
        place.look().await;
        let record = place.record();
        assert_eq!(
            (record.had.as_ref(), record.trouble.as_ref().unwrap().check.as_str()),
            (Some(&had), "software-document")
        );
        let wait = record.next.since(place.office.now());
        waits.push(wait);
        place.office.pass(wait.as_secs());
    }
    assert_eq!(waits, [60, 120, 240].map(Duration::from_secs));
    assert_eq!((place.known().unwrap().expires, place.score()), (Some(had.until), Some(0)));
    place.office.pass(had.until.since(place.office.now()).as_secs());
    place.look().await;
    assert!(place.known().is_none_or(|fact| !fact.holds(place.office.now())));
    place.office.authorizer.review(&place.device).await;
    assert_eq!(place.office.value(&place.device, Kind::VulnerabilityScore), None, "nor is what follows from it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manufacturer_does_not_name_any_more_does_not_count_any_more() {
    let place = Place::new().await;
    place.look().await;
    assert!(place.known().is_some());
    let mut newer = file(&place.ground, &json!({ "sbom-contact-uri": "mailto:sbom@lamp.example" }));
    newer["ietf-mud:mud"]["last-update"] = json!("2026-07-01T00:00:00Z");
    place.ground.publish(&newer);
    place.office.pass(48 * HOUR);
    place.look().await;
    assert_eq!(place.record().trouble.unwrap().check, "sbom-contact");
    assert!(place.known().is_none() && place.score().is_none());
    assert!(place.office.authorizer.sboms().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_had_is_known_after_a_restart_before_anybody_is_asked() {
    let folder = landfall_testkit::temp_dir();
    let store = || Store::sqlite_shared(folder.path().join("store.db")).unwrap();
    let place = Place::with(store(), |_, _| {}).await;
    place.look().await;
    let (before, record) = (place.known().unwrap(), place.record());
    let Place { ground, office, device, .. } = place;
    drop(office.close().await);
    let office = Office::with(store(), super::config(), 10).await;
    let facts = office.authorizer.view(&device).unwrap().dossier.facts;
    assert_eq!(facts.into_iter().find(|fact| fact.kind == Kind::SbomKnown), Some(before));
    assert_eq!(office.authorizer.published_sboms(), [record]);
    assert_eq!(office.authorizer.sbom_of(&device).unwrap().record.components, 1);
    // A partial look takes nothing from others.
    let manager = manager_in(&ground.settings(""), office.world.clone());
    let published = Publications::new(&Default::default(), manager, None, office.world.clone()).unwrap();
    published.look(Some(&BTreeSet::new())).await.unwrap();
    assert_eq!(office.authorizer.published_sboms().len(), 1);
}

#[test]
fn settings_that_cannot_be_meant_are_refused_by_their_key() {
    let wrong = |text: &str| {
        let settings = Settings::parse(&format!("[authorizer.sboms]\n{text}")).unwrap();
        landfall_server::settings::check(&settings).into_iter().map(|problem| problem.key).collect::<Vec<_>>()
    };
    assert!(!wrong("").iter().any(|key| key.starts_with("authorizer.sboms")));
    assert!(wrong("refresh = \"5s\"").contains(&"authorizer.sboms.refresh".to_owned()));
    assert!(wrong("max-age = \"1h\"").contains(&"authorizer.sboms.max-age".to_owned()));
}

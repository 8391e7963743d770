//! What devices themselves say that they consist of: along with their evidence, to a whole server.

use super::software::{DAY, Publisher, kev, osv, sbom};
use crate::world::{Running, World, onboard};
use landfall_assurance::{Fact, Kind};
use landfall_attest::{Tier, shown::LONGEST_SBOM};
use landfall_device::{Agent, Config, Wanted, introduce, prove, request};
use landfall_lifecycle::factory::{Product, SerialScheme};
use landfall_pki::{Algorithm, Anchors, Certificate, pem};
use landfall_policy::Value;
use landfall_server::{
    RoleName, Settings,
    admin::view::{Examined, FactsTaken, Note, SbomShown},
    attestation::AttestationRecord,
    authorizer::Scope,
    factory::{Choice, Factory, Proof, Verifier},
    open,
};
use landfall_store::Store;
use landfall_testkit::Swtpm;
use landfall_types::Time;
use serde_json::{Value as Json, json};
use std::{fs, time::Duration};

const SETTINGS: &str = r#"
[registrar.attestation]
ask = true
[authorizer.feeds]
root = "feeds-root.json"
"#;
const BROKEN: &str = "pkg:cargo/smallvec@1.6.0";
const MENDED: &str = "pkg:cargo/smallvec@1.6.1";
const SOURCE: &str = "SBOM that the device itself shows";

/// A server that asks for evidence, and a device that has a list of its components.
struct Place {
    world: World,
    server: Running,
    agent: Agent,
}

/// The feeds know what is wrong with smallvec, and that it is being exploited.
pub(super) async fn tell(server: &Running, publisher: &Publisher) {
    let yesterday = Time::from_unix(Time::now().as_unix() - 86_400).to_string();
    let (name, exploited) = kev();
    let exploited = exploited.replace("2027-01-14T15:00:00.0000Z", &yesterday);
    let bundle = publisher.bundle(1, Time::now() + DAY * 30, &[osv(&yesterday), (name, exploited)]);
    let media = "application/octet-stream";
    let _: Json = server.client.send("/v1/verification/feeds", &[], media, bundle).await.unwrap();
}

impl Place {
    async fn new(more: &str, list: &[u8]) -> Self {
        Self::of(World::new(1, "permit"), more, list, |_| ()).await
    }

    /// That device of a world, whose agent has something otherwise.
    async fn of(world: World, more: &str, list: &[u8], change: impl FnOnce(&mut Config)) -> Self {
        let publisher = Publisher::new();
        let root = publisher.believed().believed.feed_root.unwrap();
        fs::write(world.folder.path().join("feeds-root.json"), root).unwrap();
        fs::write(world.folder.path().join("sbom.json"), list).unwrap();
        let more = Settings::parse(&format!("[registrar]\nlisten = \"127.0.0.1:0\"\n{SETTINGS}{more}")).unwrap();
        let mut settings = world.settings.clone();
        settings.registrar.as_mut().unwrap().attestation = more.registrar.unwrap().attestation;
        settings.authorizer = more.authorizer;
        let server = world.run_in(&settings, &[]).await;
        server.sell(&world).await;
        tell(&server, &publisher).await;
        let agent = world.device_with(0, server.address(RoleName::Registrar), |config| {
            config.software.sbom = Some(world.folder.path().join("sbom.json"));
            change(config);
        });
        let _ = agent.onboard(Some(1), Some(Duration::from_millis(500)), &mut |_| {}).await.unwrap();
        let place = Self { world, server, agent };
        let _: landfall_server::admin::view::Device =
            place.server.client.post(&place.path("network", "/approve"), &Note::default()).await.unwrap();
        onboard(&place.agent).await.unwrap();
        place
    }

    fn path(&self, process: &str, what: &str) -> String {
        format!("/v1/{process}/devices/{}{what}", self.world.serials[0])
    }

    async fn examined(&self) -> Examined {
        self.server.client.get(&self.path("verification", "")).await.unwrap()
    }

    /// What is known of it from its own list.
    async fn own(&self) -> Vec<Fact> {
        let facts = self.examined().await.view.dossier.facts;
        facts.into_iter().filter(|fact| fact.source.contains(SOURCE)).collect()
    }

    async fn values(&self, kind: Kind) -> Vec<Value> {
        self.examined().await.view.dossier.of(kind).map(|fact| fact.value.clone()).collect()
    }

    /// The device shows that list from now on.
    async fn shows(&self, list: &[u8]) -> Vec<(String, String)> {
        fs::write(self.world.folder.path().join("sbom.json"), list).unwrap();
        self.agent.show(Duration::from_secs(60)).await.unwrap().unwrap().0.findings
    }

    async fn brings(&self, list: &[u8]) {
        let of = [("device", Some(self.world.serials[0].as_str()))];
        let media = "application/octet-stream";
        let _: SbomShown = self.server.client.send("/v1/verification/sboms", &of, media, list.to_vec()).await.unwrap();
    }
}

fn exploited() -> Value {
    vec!["CVE-2021-25900".to_owned()].into()
}

fn denies(examined: &Examined, policy: &str) -> bool {
    examined.ruling.reasons.iter().any(|reason| reason.policy == policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_shows_of_itself_counts_against_it_and_not_for_it() {
    let place = Place::new("", &sbom(MENDED)).await;
    // Nothing is wrong with what it says, and nobody else says it.
    assert_eq!(place.own().await, []);
    assert!(denies(&place.examined().await, "software-known"));
    let shown: Vec<SbomShown> = place.server.client.get("/v1/verification/sboms").await.unwrap();
    let [one] = shown.as_slice() else { panic!("{shown:?}") };
    assert!(matches!(one.report.record.scope, Scope::Shown(_)), "{:?}", one.report.record);
    assert_eq!(place.examined().await.software.unwrap().record.by, "shown by the device with its evidence");
    // What is being exploited in it counts at once, by its own word.
    let checks: Vec<String> = place.shows(&sbom(BROKEN)).await.into_iter().map(|(check, _)| check).collect();
    assert!(!checks.iter().any(|check| check.contains("sbom")), "{checks:?}");
    let own = place.own().await;
    assert_eq!(
        own.iter().map(|fact| (fact.kind, &fact.value)).collect::<Vec<_>>(),
        [(Kind::KnownExploited, &exploited())]
    );
    let examined = place.examined().await;
    assert!(denies(&examined, "vulnerability-exploited"), "{:?}", examined.ruling.reasons);
    // The list that counts for nothing else is of the newest evidence.
    place.shows(&sbom(MENDED)).await;
    assert_eq!(place.own().await, []);
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_accounts_the_worse_counts() {
    let place = Place::new("", &sbom(BROKEN)).await;
    place.brings(&sbom(MENDED)).await;
    let mut scores = place.values(Kind::VulnerabilityScore).await;
    scores.sort_by_key(|score| format!("{score:?}"));
    assert_eq!(scores, [0.into(), 98.into()]);
    assert_eq!(place.values(Kind::SbomSources).await.len(), 2);
    assert!(denies(&place.examined().await, "vulnerability-high"));
    // The device's own account does not mend what its owner knows.
    place.brings(&sbom(BROKEN)).await;
    place.shows(&sbom(MENDED)).await;
    assert!(place.values(Kind::VulnerabilityScore).await.contains(&98.into()));
    assert!(denies(&place.examined().await, "vulnerability-high"));
    // What its own list has that no feed speaks of cannot be told, whatever the other says.
    place.brings(&sbom(MENDED)).await;
    assert_eq!(place.values(Kind::VulnerabilityScore).await, [0.into(), 0.into()]);
    place.shows(&sbom("pkg:npm/left-pad@1.3.0")).await;
    assert_eq!(place.values(Kind::VulnerabilityScore).await, []);
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_owner_lets_it_a_device_speaks_for_itself() {
    let place = Place::new("[authorizer.sboms]\ndevices-alone = true\n", &sbom(MENDED)).await;
    assert_eq!(place.values(Kind::SbomKnown).await, [true.into()]);
    assert_eq!(place.values(Kind::VulnerabilityScore).await, [0.into()]);
    assert_eq!(place.values(Kind::SbomSources).await, [vec!["device".to_owned()].into()]);
    let own = place.own().await;
    assert!(own.iter().all(|fact| fact.expires.is_some() && fact.verifier == "software assessment"), "{own:?}");
    assert!(!denies(&place.examined().await, "software-known"));
    // It excuses nothing.
    let mut excused: Json = serde_json::from_slice(&sbom(BROKEN)).unwrap();
    excused["vulnerabilities"] = json!([{
        "id": "CVE-2021-25900", "analysis": { "state": "not_affected" }, "affects": [{ "ref": "one" }]
    }]);
    place.shows(excused.to_string().as_bytes()).await;
    assert_eq!(place.values(Kind::VulnerabilityScore).await, [98.into()]);
    // What it said of one release says nothing of another.
    let facts = place.path("verification", "/facts");
    let release = json!({ "kind": "firmware", "value": "2.0" });
    let _: FactsTaken = place.server.client.post(&facts, &release).await.unwrap();
    assert_eq!(place.own().await, []);
    place.shows(&sbom(MENDED)).await;
    assert_eq!(place.values(Kind::VulnerabilityScore).await, [0.into()]);
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_is_too_long_changes_nothing() {
    let place = Place::new("", &sbom(BROKEN)).await;
    assert_eq!(place.values(Kind::KnownExploited).await, [exploited()]);
    let findings = place.shows(b"{}").await;
    assert!(findings.iter().any(|(check, _)| check == "software-document"), "{findings:?}");
    assert_eq!(place.values(Kind::KnownExploited).await, [exploited()]);
    // The agent leaves out what no registrar takes.
    for octets in [LONGEST_SBOM, 4 * 1024 * 1024] {
        place.shows(&[sbom(MENDED), vec![b' '; octets]].concat()).await;
        assert_eq!(place.values(Kind::KnownExploited).await, [exploited()]);
    }
    fs::remove_file(place.world.folder.path().join("sbom.json")).unwrap();
    place.agent.show(Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(place.values(Kind::KnownExploited).await, [exploited()], "silence mends nothing");
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_said_is_forgotten_when_it_is_put_out() {
    let place = Place::new("", &sbom(BROKEN)).await;
    let lists =
        async || -> usize { place.server.client.get::<Vec<SbomShown>>("/v1/verification/sboms").await.unwrap().len() };
    assert_eq!((lists().await, place.own().await.len()), (1, 1));
    let _: Json = place.server.client.post(&place.path("network", "/revoke"), &Note::default()).await.unwrap();
    let forgotten = async {
        while lists().await > 0 || !place.own().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), forgotten).await.expect("it is remembered");
    assert!(place.agent.show(Duration::from_secs(60)).await.unwrap().is_err());
    assert_eq!(lists().await, 0);
    place.server.stop().await;
}

/// A world whose one device has its keys in that TPM, as its factory has made sure.
fn world_of(tpm: &Swtpm) -> (World, Config) {
    let mut world = World::new(1, "permit");
    let path = |name: &str| world.folder.path().join(name);
    let mut config = Config { bundle: Some(path("in-tpm.json")), state: path("in-tpm"), ..Config::default() };
    config.keys.element = Some(format!("tpm:{}", tpm.tcti()));
    let element = open::existing_element(&world.settings).unwrap();
    let store = Store::sqlite(path("factory.db")).unwrap();
    let factory = Factory::open(&path("manufacturer"), element.as_ref(), store, &path("bundles")).unwrap();
    let product = Product {
        model: "sensor".parse().unwrap(),
        serials: SerialScheme { prefix: "C-".into(), digits: 6 },
        algorithm: Algorithm::EcdsaP256,
        masa_url: None,
        mud_url: None,
        dpp: None,
    };
    let makers = Anchors::of(Certificate::chain_from_pem(&tpm.maker()).unwrap());
    let verifier = Verifier { makers, intermediates: Vec::new() };
    let asked = pem::decode(&request(&config, Wanted::Birth, None).unwrap()).unwrap().remove(0).der;
    let (challenge, pending) = verifier.challenge(&introduce(&config).unwrap(), Time::now()).unwrap();
    let proof = Proof { verifier, pending, answer: prove(&config, &challenge).unwrap() };
    // It blocks, which a thread of a runtime must not.
    let (bundle, records) = std::thread::scope(|scope| {
        let made = || {
            let bundle = factory.certify_proven(&product, &asked, Choice::Factory, &proof).unwrap();
            let mut records = Vec::new();
            factory.export(&mut records).unwrap();
            (bundle, records)
        };
        scope.spawn(made).join().unwrap()
    });
    fs::write(path("in-tpm.json"), serde_json::to_vec(&bundle).unwrap()).unwrap();
    fs::write(path("records"), records).unwrap();
    world.serials = vec![bundle.serial_number.to_string()];
    (world, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_shows_with_a_quote_of_its_tpm_counts_likewise() {
    let Some(tpm) = Swtpm::new() else { return };
    let (world, own) = world_of(&tpm);
    let place = Place::of(world, "", &sbom(BROKEN), |config| {
        (config.bundle, config.state, config.keys) = (own.bundle, own.state, own.keys);
    })
    .await;
    let store = &place.server.world.store;
    let shown = || store.scan::<AttestationRecord>(None, 10).unwrap().pop().unwrap().record;
    assert_eq!((shown().root.as_str(), shown().tier), ("tpm", Tier::Warning), "{}", shown().why);
    assert_eq!(place.values(Kind::KnownExploited).await, [exploited()]);
    assert!(denies(&place.examined().await, "vulnerability-exploited"));
    place.shows(&sbom(MENDED)).await;
    assert_eq!((shown().root.as_str(), place.own().await), ("tpm", Vec::new()));
    place.server.stop().await;
}

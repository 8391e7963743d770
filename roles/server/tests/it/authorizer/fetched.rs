//! The whole way: a factory writes into a certificate where the device's file is, the file names a list of components, and a whole
//! server that lets the device join fetches both, holds the list against its feeds and decides by what it finds.

use super::software::{DAY, Publisher, osv, sbom};
use crate::{
    enforcer::{
        chain::publish,
        manager::{Page, Web, web_server},
    },
    world::{Running, World, onboard},
};
use landfall_assurance::{Kind, Level, Ruling};
use landfall_policy::Value;
use landfall_server::{
    RoleName, Settings,
    admin::view::{Decided, Device, Examined, FactsTaken, Note, Page as Listed, PublishedShown},
    authorizer::PublishedRecord,
};
use landfall_testkit::{Hosts, free_port, tool};
use landfall_types::Time;
use serde_json::json;
use std::{fs, time::Duration};

const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: &str = r#"
[enforcer]
namespace = "NAMESPACE"
[enforcer.mud]
private = ["127.0.0.0/8", "::1"]
[[enforcer.mud.maker]]
name = "maker"
manufacturers = ["maker"]
anchors = ["manufacturer/mud-anchors.pem"]
web-anchors = ["web.pem"]
[[enforcer.segment]]
name = "things"
kind = "production"
vlan = "30"
[[enforcer.port]]
interface = "lan1"
[authorizer.feeds]
root = "feeds-root.json"
"#;

/// A device that was let in by a whole server, and whose manufacturer's file names the list at that URL.
struct Place {
    world: World,
    server: Running,
    _hosts: Hosts,
}

impl Place {
    async fn new(list: impl FnOnce(&Web) -> String) -> Option<Self> {
        tool("nft")?;
        let hosts = Hosts::new(&["switch", "device"])?;
        hosts.cable(("switch", "lan1"), ("device", "eth0"));
        let (web_root, identity) = web_server();
        let web = Web::new(&identity).await;
        let world = World::with_mud(1, "permit", Some(web.url("/lamp.json")));
        fs::write(world.folder.path().join("web.pem"), web_root).unwrap();
        let publisher = Publisher::new();
        fs::write(world.folder.path().join("feeds-root.json"), publisher.believed().believed.feed_root.unwrap())
            .unwrap();
        let url = list(&web);
        publish(&world, &web, |file| {
            file["ietf-mud:mud"]["extensions"] = json!(["transparency"]);
            let says = json!({ "sboms": [{ "version-info": "1.0", "sbom-url": url }] });
            file["ietf-mud:mud"]["ietf-mud-transparency:transparency"] = says;
        });
        let more = Settings::parse(&SETTINGS.replace("NAMESPACE", &hosts.namespace("switch"))).unwrap();
        let settings = Settings { enforcer: more.enforcer, authorizer: more.authorizer, ..world.settings.clone() };
        let server = world.run_in(&settings, &[]).await;
        server.sell(&world).await;
        // The feeds know what is wrong with smallvec.
        let yesterday = Time::from_unix(Time::now().as_unix() - 86_400).to_string();
        let bundle = publisher.bundle(1, Time::now() + DAY * 30, &[osv(&yesterday)]);
        let media = "application/octet-stream";
        let _: serde_json::Value = server.client.send("/v1/verification/feeds", &[], media, bundle).await.unwrap();
        let agent = world.device(0, server.address(RoleName::Registrar));
        let _ = agent.onboard(Some(1), Some(Duration::from_millis(500)), &mut |_| {}).await.unwrap();
        let approve = format!("/v1/network/devices/{}/approve", world.serials[0]);
        let _: Device = server.client.post(&approve, &Note::default()).await.unwrap();
        onboard(&agent).await.unwrap();
        let place = Self { world, server, _hosts: hosts };
        let facts = format!("{}/facts", place.path());
        let release = json!({ "kind": "firmware", "value": "1.0" });
        let _: FactsTaken = place.server.client.post(&facts, &release).await.unwrap();
        Some(place)
    }

    fn path(&self) -> String {
        format!("/v1/verification/devices/{}", self.world.serials[0])
    }

    async fn examined(&self) -> Examined {
        self.server.client.get(&self.path()).await.unwrap()
    }

    async fn known(&self, kind: Kind) -> Option<Value> {
        self.examined().await.view.dossier.of(kind).next().map(|fact| fact.value.clone())
    }

    /// What came of asking for the list of that release.
    async fn asked(&self) -> PublishedRecord {
        let asked = async {
            loop {
                let all: Vec<PublishedShown> =
                    self.server.client.get("/v1/verification/sboms/published").await.unwrap();
                let its = all.into_iter().find(|shown| shown.record.firmware.as_deref() == Some("1.0"));
                match its {
                    Some(shown) if shown.record.had.is_some() || shown.record.trouble.is_some() => return shown.record,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("nobody asks for the list")
    }
}

/// The policies that forbid more.
fn names(ruling: &Ruling) -> Vec<&str> {
    ruling.reasons.iter().map(|reason| reason.policy.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_list_says_that_a_file_names_decides_about_a_device_that_has_joined() {
    for (purl, score) in [("pkg:cargo/smallvec@1.6.0", 98), ("pkg:cargo/smallvec@1.6.1", 0)] {
        let list = |web: &Web| {
            web.put("/sbom.json", Page::Body(sbom(purl)));
            web.url("/sbom.json")
        };
        let Some(place) = Place::new(list).await else { return };
        let record = place.asked().await;
        assert!(record.trouble.is_none() && record.had.is_some(), "{record:?}");
        assert_eq!(record.signer, "CN=Maker MUD signer,O=Maker");
        let scored = async {
            while place.known(Kind::VulnerabilityScore).await != Some(score.into()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, scored).await.expect("its score is never known");
        assert_eq!(place.known(Kind::SbomKnown).await, Some(true.into()));
        assert_eq!(place.examined().await.software.unwrap().published, Some(record));
        let decided = async {
            loop {
                let all: Listed<Decided> = place.server.client.get("/v1/verification/decisions").await.unwrap();
                let of_it = |it: &Decided| {
                    let facts = &it.decision.ruling.facts;
                    facts.iter().any(|fact| fact.kind == Kind::VulnerabilityScore && fact.value == score.into())
                };
                match all.items.into_iter().find(of_it) {
                    Some(decided) => return decided,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        let decided = tokio::time::timeout(PATIENCE, decided).await.expect("nothing is decided by it");
        let reasons = names(&decided.decision.ruling);
        assert_eq!(reasons.contains(&"vulnerability-high"), score > 70, "{reasons:?}");
        assert!(!reasons.contains(&"software-known"), "{reasons:?}");
        assert_eq!(decided.decision.level == Level::Remediation, score > 70, "{reasons:?}");
        place.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_thing_otherwise_at_the_list_nothing_is_known_of_a_device_that_has_joined() {
    let (_, stranger) = web_server();
    let stranger = Web::new(&stranger).await;
    stranger.put("/sbom.json", Page::Body(sbom("pkg:cargo/smallvec@1.6.1")));
    let page = |page: Page| {
        move |web: &Web| {
            web.put("/sbom.json", page);
            web.url("/sbom.json")
        }
    };
    type List = Box<dyn FnOnce(&Web) -> String>;
    let cases: [(&str, List); 5] = [
        ("sbom-fetch", Box::new(|_| format!("https://localhost:{}/sbom.json", free_port()))),
        ("sbom-fetch", Box::new(page(Page::Status(404)))),
        ("software-document", Box::new(page(Page::Body(b"{}".to_vec())))),
        ("sbom-fetch-size", Box::new(page(Page::Huge))),
        ("sbom-fetch-tls", Box::new(move |_| stranger.url("/sbom.json"))),
    ];
    for (check, list) in cases {
        let Some(place) = Place::new(list).await else { return };
        let record = place.asked().await;
        assert_eq!(record.trouble.map(|trouble| trouble.check), Some(check.into()));
        assert_eq!((place.known(Kind::SbomKnown).await, place.known(Kind::VulnerabilityScore).await), (None, None));
        let ruling = place.examined().await.ruling;
        assert!(names(&ruling).contains(&"software-known"), "{check}: {:?}", ruling.reasons);
        place.server.stop().await;
    }
}

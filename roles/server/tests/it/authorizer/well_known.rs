//! Devices that are asked themselves what they consist of, since their MUD files say so: real agents, by https with what the domain
//! gave them.

use super::{
    shown::tell,
    software::{Publisher, sbom},
};
use crate::{
    enforcer::{
        chain::publish,
        manager::{Web, manager_in, web_server},
    },
    world::{Running, World, onboard},
};
use landfall_assurance::Kind;
use landfall_lifecycle::network::Revocation;
use landfall_net::{
    http::{ClientLimits, Connection},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::Anchors;
use landfall_policy::Value;
use landfall_server::{
    Identity, RoleName, Settings,
    admin::view::{Examined, FactsTaken, Note},
    authorizer::{Addresses, Devices, Publications, PublishedRecord, Scope, Whereabouts},
    enforcer::manager::Manager,
    open,
    registrar::CertificateRecord,
};
use landfall_testkit::{Domain, free_port};
use landfall_types::{Changes, DeviceId, Time, http::Request};
use serde_json::{Value as Json, json};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinHandle};

const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: &str = r#"
[enforcer]
[enforcer.mud]
private = ["127.0.0.0/8", "::1"]
[[enforcer.mud.maker]]
name = "maker"
manufacturers = ["maker"]
anchors = ["manufacturer/mud-anchors.pem"]
web-anchors = ["web.pem"]
[authorizer.feeds]
root = "feeds-root.json"
[authorizer.sboms]
devices-alone = true
"#;
const BROKEN: &str = "pkg:cargo/smallvec@1.6.0";
const MENDED: &str = "pkg:cargo/smallvec@1.6.1";

/// Where every device is, as far as anybody knows.
#[derive(Debug)]
struct Here(Vec<IpAddr>);

impl Whereabouts for Here {
    fn of<'a>(&'a self, _: &'a DeviceId) -> Addresses<'a> {
        Box::pin(async { self.0.clone() })
    }
}

/// A domain with devices of a manufacturer whose file says that they themselves have their lists.
struct Place {
    world: World,
    server: Running,
    settings: Settings,
    manager: Arc<Manager>,
    web: Web,
    /// Where the devices serve theirs.
    ports: Vec<u16>,
    running: Vec<JoinHandle<()>>,
}

impl Place {
    async fn new(devices: u32, how: &str) -> Self {
        let (web_root, identity) = web_server();
        let web = Web::new(&identity).await;
        let world = World::with_mud(devices, "permit", Some(web.url("/lamp.json")));
        fs::write(world.folder.path().join("web.pem"), web_root).unwrap();
        let publisher = Publisher::new();
        let root = publisher.believed().believed.feed_root.unwrap();
        fs::write(world.folder.path().join("feeds-root.json"), root).unwrap();
        publish(&world, &web, |file| {
            file["ietf-mud:mud"]["extensions"] = json!(["transparency"]);
            file["ietf-mud:mud"]["ietf-mud-transparency:transparency"] = json!({ "sbom-local-well-known": how });
        });
        let more = Settings::parse(SETTINGS).unwrap();
        let own = Settings { authorizer: more.authorizer, ..world.settings.clone() };
        let server = world.run_in(&own, &[]).await;
        server.sell(&world).await;
        tell(&server, &publisher).await;
        let settings = Settings { enforcer: more.enforcer, ..own };
        let manager = manager_in(&settings, server.world.clone());
        let (ports, running) = ((0..devices).map(|_| free_port()).collect(), Vec::new());
        let mut place = Self { world, server, settings, manager, web, ports, running };
        for number in 0..place.ports.len() {
            place.begin(number).await;
        }
        place
    }

    fn list(&self, number: usize) -> PathBuf {
        self.world.folder.path().join(format!("sbom-{number}.json"))
    }

    /// Lets a device in, and has it run.
    async fn begin(&mut self, number: usize) {
        fs::write(self.list(number), sbom(MENDED)).unwrap();
        let at = (Ipv4Addr::LOCALHOST, self.ports[number]).into();
        let agent = self.world.device_with(number, self.server.address(RoleName::Registrar), |config| {
            config.software.sbom = Some(self.list(number));
            config.software.serve = Some(at);
        });
        let _ = agent.onboard(Some(1), Some(Duration::from_millis(500)), &mut |_| {}).await.unwrap();
        let approve = format!("/v1/network/devices/{}/approve", self.world.serials[number]);
        let _: landfall_server::admin::view::Device =
            self.server.client.post(&approve, &Note::default()).await.unwrap();
        onboard(&agent).await.unwrap();
        self.running.push(tokio::spawn(async move {
            let ended = agent.run(&mut |_| {}).await;
            panic!("it has ended: {ended:?}");
        }));
        let serves = async { while TcpStream::connect(at).await.is_err() {} };
        tokio::time::timeout(PATIENCE, serves).await.expect("it serves nothing");
    }

    fn identity(&self, of: impl Fn(&Settings) -> landfall_server::settings::IdentitySettings) -> Identity {
        let element = open::existing_element(&self.settings).unwrap();
        Identity::load(&of(&self.settings), |path| self.settings.resolve(path), element.as_ref()).unwrap()
    }

    /// The registrar's own, and what its devices' certificates lead to.
    fn domain(&self) -> (TlsIdentity, Anchors) {
        let own = self.identity(|settings| settings.registrar.as_ref().unwrap().identity.clone());
        let authority = self.identity(|settings| settings.registrar.as_ref().unwrap().authority.clone());
        (own.into(), Anchors::of([authority.chain[0].clone()]))
    }

    /// Asks for what is due, of devices that are all at that port of those addresses.
    async fn look_at(&self, addresses: &[IpAddr], port: u16) {
        let (own, domain) = self.domain();
        let devices = Devices::new(Arc::new(Here(addresses.to_vec())), domain, &own, port).unwrap();
        let sboms = &self.settings.authorizer.as_ref().unwrap().sboms;
        let world = self.server.world.clone();
        let published = Publications::new(sboms, self.manager.clone(), Some(devices), world).unwrap();
        published.look(None).await.unwrap();
        self.manager.refresh().await;
        published.look(None).await.unwrap();
    }

    /// The same at the first device, and what came of it.
    async fn looked(&self, port: u16) -> PublishedRecord {
        self.look_at(&[Ipv4Addr::LOCALHOST.into()], port).await;
        self.record(0).await.expect("it was not asked")
    }

    async fn record(&self, number: usize) -> Option<PublishedRecord> {
        let device = self.examined(number).await.view.dossier.device;
        let all = self.server.world.authorizer.authorizer().unwrap().published_sboms();
        all.into_iter().find(|record| record.device.as_ref() == Some(&device))
    }

    async fn examined(&self, number: usize) -> Examined {
        let path = format!("/v1/verification/devices/{}", self.world.serials[number]);
        self.server.client.get(&path).await.unwrap()
    }

    async fn values(&self, kind: Kind) -> Vec<Value> {
        self.examined(0).await.view.dossier.of(kind).map(|fact| fact.value.clone()).collect()
    }

    /// From now on the first device runs that release, and is to be asked anew.
    async fn release(&self, name: &str) {
        let path = format!("/v1/verification/devices/{}/facts", self.world.serials[0]);
        let _: FactsTaken =
            self.server.client.post(&path, &json!({ "kind": "firmware", "value": name })).await.unwrap();
    }

    async fn end(self) {
        self.running.iter().for_each(JoinHandle::abort);
        self.server.stop().await;
    }
}

fn check(record: &PublishedRecord) -> Option<&str> {
    record.trouble.as_ref().map(|trouble| trouble.check.as_ref())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_asked_where_it_is_and_what_it_says_decides() {
    let place = Place::new(1, "https").await;
    let record = place.looked(place.ports[0]).await;
    assert_eq!(check(&record), None, "{record:?}");
    assert_eq!(record.had.as_ref().unwrap().from, format!("https://127.0.0.1:{}/.well-known/sbom", place.ports[0]));
    assert_eq!(place.values(Kind::VulnerabilityScore).await, [0.into()]);
    assert_eq!(place.values(Kind::SbomSources).await, [vec!["device".to_owned()].into()]);
    let software = place.examined(0).await.software.unwrap();
    assert!(matches!(software.record.scope, Scope::Shown(_)), "{:?}", software.record);
    assert_eq!(software.published, Some(record));
    // What is exploited in it is what policy forbids.
    fs::write(place.list(0), sbom(BROKEN)).unwrap();
    place.release("2.0").await;
    assert_eq!(place.values(Kind::VulnerabilityScore).await, [], "it was said of another release");
    place.looked(place.ports[0]).await;
    assert_eq!(place.values(Kind::VulnerabilityScore).await, [98.into()]);
    let reasons = place.examined(0).await.ruling.reasons;
    assert!(reasons.iter().any(|reason| reason.policy == "vulnerability-exploited"), "{reasons:?}");
    // Put out, it is not asked any more, and forgotten.
    let revoke = format!("/v1/network/devices/{}/revoke", place.world.serials[0]);
    let _: Json = place.server.client.post(&revoke, &Note::default()).await.unwrap();
    place.look_at(&[Ipv4Addr::LOCALHOST.into()], place.ports[0]).await;
    assert_eq!(place.record(0).await, None);
    assert_eq!(place.values(Kind::VulnerabilityScore).await, []);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_thing_otherwise_at_the_device_nothing_is_taken_from_it() {
    let place = Place::new(2, "https").await;
    let own = place.ports[0];
    place.look_at(&[], own).await;
    assert_eq!(check(&place.record(0).await.unwrap()), Some("sbom-local-address"));
    place.release("nobody there").await;
    assert_eq!(check(&place.looked(free_port()).await), Some("sbom-fetch"));
    place.release("another device").await;
    assert_eq!(check(&place.looked(place.ports[1]).await), Some("sbom-local-device"));
    place.release("another authority").await;
    let elsewhere: u16 = place.web.url("").rsplit(':').next().unwrap().trim_matches('/').parse().unwrap();
    assert_eq!(check(&place.looked(elsewhere).await), Some("sbom-fetch-tls"));
    place.release("no list").await;
    fs::remove_file(place.list(0)).unwrap();
    assert_eq!(check(&place.looked(own).await), Some("sbom-fetch"));
    place.release("none that can be read").await;
    fs::write(place.list(0), b"{}").unwrap();
    assert_eq!(check(&place.looked(own).await), Some("software-document"));
    // The agent does not serve it.
    place.release("too long").await;
    fs::write(place.list(0), vec![b' '; landfall_software::bounds::SBOM + 1]).unwrap();
    assert_eq!(check(&place.looked(own).await), Some("sbom-fetch"));
    // Nothing of that was taken, and with nothing otherwise all is.
    assert_eq!(place.values(Kind::SbomKnown).await, []);
    fs::write(place.list(0), sbom(MENDED)).unwrap();
    place.release("good").await;
    assert_eq!(check(&place.looked(own).await), None);
    assert_eq!(place.values(Kind::SbomKnown).await, [true.into()]);
    // Its certificate counts no more, though the device is inside.
    let store = &place.server.world.store;
    let device = place.examined(0).await.view.dossier.device;
    let found = store.scan::<CertificateRecord>(None, 10).unwrap();
    let its = found.into_iter().map(|found| found.record).filter(|record| record.issued.device.id == device);
    for record in its {
        let revoked = Some(Revocation { at: Time::now(), by: "test".into(), why: "stolen".into() });
        let record = CertificateRecord { revoked, ..record };
        store.commit(Changes::new().put(&record).unwrap()).await.unwrap();
    }
    place.release("revoked").await;
    assert_eq!(check(&place.looked(own).await), Some("sbom-local-revoked"));
    assert_eq!(place.values(Kind::SbomKnown).await, [], "what it said of another release does not count");
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_http_nobody_is_asked() {
    let place = Place::new(1, "http").await;
    place.look_at(&[Ipv4Addr::LOCALHOST.into()], place.ports[0]).await;
    let all = place.server.world.authorizer.authorizer().unwrap().published_sboms();
    let [record] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((check(record), &record.device), (Some("sbom-local"), &None));
    assert_eq!(place.values(Kind::SbomKnown).await, []);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_tells_strangers_nothing() {
    let place = Place::new(1, "https").await;
    let at = (Ipv4Addr::LOCALHOST, place.ports[0]);
    let (own, domain) = place.domain();
    let asked = async |identity: Option<&TlsIdentity>, path: &str| {
        let tls = ClientTls::anchored(domain.clone(), Vec::new(), identity).unwrap();
        let endpoint = std::net::SocketAddr::from(at).into();
        let mut connection = Connection::open(&endpoint, Some(&tls), ClientLimits::default()).await.ok()?;
        connection.send(Request::get(path)).await.ok().map(|answer| answer.status)
    };
    let strange = Domain::new().registrar;
    let strange = TlsIdentity { chain: strange.chain(), signer: strange.signer() };
    assert_eq!(asked(Some(&own), "/.well-known/sbom").await, Some(200));
    assert_eq!(asked(Some(&own), "/").await, Some(404));
    assert_eq!(asked(Some(&strange), "/.well-known/sbom").await, Some(403));
    assert_eq!(asked(None, "/.well-known/sbom").await, None);
    place.end().await;
}

//! Where our policies let a device join, the network-layer onboarding authorization service is asked too (SP 1800-36B 4.5, steps 5a
//! and 5b): another authorizer behind its own door, and a stand-in that says what no authorizer would.

use super::{Office, config, signals::until};
use landfall_assurance::{Kind, Level, Question, Ruling};
use landfall_element::{MemoryElement, SecureElement};
use landfall_net::{
    http::Server,
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_pki::{Algorithm, AltName, Anchors, CertificateSerial, Name, SoftwareKey, Validity, profile};
use landfall_server::{
    Identity, RoleError, Settings, Trigger,
    admin::{self, Console, RemoteDoor},
    authorizer::{Config, DECISION_LOG, Entry, Joining},
    health::Readiness,
    shutdown,
};
use landfall_store::Store;
use landfall_testkit::{Issuer, NOW, free_port, temp_dir};
use landfall_types::{
    DeviceId, Fingerprint,
    http::{Request, Response},
};
use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

const SETTINGS: &str = r#"
[authorizer]
[authorizer.network-layer]
url = "https://localhost:PORT/v1/verification/join"
anchors = ["FOLDER/servers.pem"]
identity.certificate = "FOLDER/us.pem"
deadline = "20s"
"#;

/// The keys and certificates of both sides.
struct Ground {
    folder: TempDir,
    servers: Issuer,
    clients: Issuer,
    element: MemoryElement,
}

impl Ground {
    fn new() -> Self {
        let (folder, element) = (temp_dir(), MemoryElement::new());
        let ground = Self { folder, element, servers: Issuer::root("Servers"), clients: Issuer::root("Clients") };
        ground.write("servers.pem", &ground.servers.root_certificate().to_pem());
        for (name, issuer) in
            [("us", &ground.clients), ("them", &ground.clients), ("stranger", &Issuer::root("Clients"))]
        {
            ground.client(name, issuer);
        }
        ground
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Who asks.
    fn client(&self, name: &str, issuer: &Issuer) {
        let key = fresh();
        let uri = self.element.import(name, &key.to_pkcs8_der()).unwrap();
        let certified = issuer.certify(key, |issuer, key| {
            profile::Operator { subject: Name::common(name) }.prepare(
                issuer,
                key,
                CertificateSerial::random().unwrap(),
                valid(),
            )
        });
        Identity::write(&self.folder.path().join(format!("{name}.pem")), &certified.chain(), &uri).unwrap();
    }

    /// Who is asked.
    fn server(&self, issuer: &Issuer) -> ServerTls {
        let certified = issuer.certify(fresh(), |issuer, key| {
            let (subject, alt_names) = (Name::common("localhost"), vec![AltName::Dns("localhost".into())]);
            profile::Server { subject, alt_names }.prepare(issuer, key, CertificateSerial::random().unwrap(), valid())
        });
        let identity = TlsIdentity { chain: certified.chain(), signer: certified.signer() };
        ServerTls::new(&identity, ClientAuth::Required).unwrap()
    }

    fn config(&self, text: &str, port: u16) -> Result<Config, RoleError> {
        let folder = self.folder.path().to_string_lossy();
        let text = text.replace("FOLDER", &folder).replace("PORT", &port.to_string());
        let settings = Settings::parse(&text).unwrap();
        let element: &dyn SecureElement = &self.element;
        Config::from_settings(settings.authorizer.as_ref().unwrap(), &settings, Some(element))
    }

    /// An authorizer that asks whoever listens at that port.
    async fn office(&self, text: &str, port: u16) -> Office {
        let network_layer = self.config(text, port).unwrap().network_layer;
        Office::with(Store::memory(), Config { network_layer, ..config() }, 0).await
    }

    /// A door to which an authorizer may be put.
    async fn door(&self, clock: &Office) -> RemoteDoor {
        let anchors = Anchors::of([self.clients.root_certificate().clone()]);
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        RemoteDoor::bind("test", address, self.server(&self.servers), anchors, clock.world.clock.clone()).await.unwrap()
    }
}

fn fresh() -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap())
}

fn valid() -> Validity {
    let day = Duration::from_secs(86_400);
    Validity { not_before: NOW - day * 700, not_after: NOW + day * 9000 }
}

/// An authorizer behind its door, until it is dropped.
fn open(door: RemoteDoor, office: &Office) -> Trigger {
    let console = Arc::new(Console::new(office.world.clone(), Readiness::default()));
    let (trigger, shutdown) = shutdown();
    tokio::spawn(door.serve(admin::questions(console), shutdown));
    trigger
}

/// Another authorizer, and what it takes to reach it.
async fn behind(ground: &Ground) -> (Office, u16, Trigger) {
    let office = Office::open().await;
    let door = ground.door(&office).await;
    let port = door.address().unwrap().port();
    let trigger = open(door, &office);
    (office, port, trigger)
}

/// A stand-in that answers by `answer`, and how often it was asked.
async fn stand_in(
    tls: ServerTls,
    answer: impl Fn() -> Option<Response> + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = watch::channel(false);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let handler = move |_: Request, _from| {
        count.fetch_add(1, Ordering::SeqCst);
        let answer = answer();
        async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    };
    tokio::spawn(Server::new(listener).tls(tls).run(handler, stopped));
    (port, asked, stop)
}

fn json(text: &str) -> Response {
    Response::with(200, "application/json", text.as_bytes().to_vec())
}

const YES: &str = r#"{"question":"join","level":"full","policy":1}"#;

async fn join(office: &Office, device: &DeviceId) -> Ruling {
    let facts = vec![office.fact(device, Kind::IdentityProven, true, "IDevID")];
    office.authorizer.join(device, facts).await.unwrap()
}

/// The last decision in the log, in which nothing was altered.
fn logged(office: &Office) -> Ruling {
    let head = office.world.store.verify_log(DECISION_LOG).unwrap();
    let last = office.world.store.log(DECISION_LOG, head.seq - 1, 1).unwrap().pop().unwrap();
    serde_json::from_value::<Entry>(last.entry).unwrap().ruling
}

/// The policy that forbids last.
fn named(ruling: &Ruling) -> &str {
    ruling.reasons.last().map_or("", |reason| &reason.policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_have_to_let_a_device_join() {
    let ground = Ground::new();
    let (them, port, _door) = behind(&ground).await;
    let us = ground.office(SETTINGS, port).await;
    let device = &us.devices(1).await[0];
    them.devices(1).await;
    let ruling = join(&us, device).await;
    assert_eq!((ruling.level, ruling.permitted_by.last().map(String::as_str)), (Level::Full, Some("network-layer")));
    assert_eq!(logged(&us), ruling);
    let theirs = logged(&them);
    assert_eq!((theirs.question, theirs.level), (Question::Join, Level::Full));
    let told = them.authorizer.view(device).unwrap().dossier;
    let told: Vec<&str> = told.of(Kind::IdentityProven).map(|fact| fact.source.as_str()).collect();
    assert_eq!(told, ["CN=us: IDevID"], "what was found out here is known there, and from whom");

    them.say(device, Kind::DeviceTrusted, false, "records").await;
    let ruling = join(&us, device).await;
    assert_eq!((ruling.level, named(&ruling)), (Level::Blocked, "network-layer/device-trusted"));
    assert_eq!(ruling.permitted_by, Vec::<String>::new());
    assert!(ruling.why().starts_with("the network-layer authorization service: "), "{}", ruling.why());
    assert_eq!(logged(&us), ruling, "with its reason");
    assert_eq!(us.level(device), Level::Full, "it is asked about joining, and not about staying");

    them.say(device, Kind::DeviceTrusted, true, "records").await;
    assert_eq!(join(&us, device).await.level, Level::Full);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_speaks_for_no_source_of_theirs() {
    let ground = Ground::new();
    let (them, port, _door) = behind(&ground).await;
    let us = ground.office(SETTINGS, port).await;
    let device = &us.devices(1).await[0];
    them.devices(1).await;
    them.say(device, Kind::DeviceTrusted, false, "operator").await;
    let facts = vec![us.fact(device, Kind::DeviceTrusted, true, "operator")];
    let ruling = us.authorizer.join(device, facts).await.unwrap();
    assert_eq!((ruling.level, named(&ruling)), (Level::Blocked, "network-layer/device-trusted"));
    let other: DeviceId = "07.other".parse().unwrap();
    let joining = Joining {
        device: device.clone(),
        facts: vec![us.fact(&other, Kind::DeviceTrusted, true, "operator")],
        via: Vec::new(),
    };
    assert_eq!(us.authorizer.join_after(joining).await.unwrap_err().check, "join-subject");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_whom_we_refuse_ourselves_nobody_else_is_asked() {
    let ground = Ground::new();
    let (port, asked, _stop) = stand_in(ground.server(&ground.servers), || Some(json(YES))).await;
    let us = ground.office(SETTINGS, port).await;
    let device = &us.devices(1).await[0];
    us.say(device, Kind::DeviceTrusted, false, "records").await;
    let ruling = join(&us, device).await;
    assert_eq!((ruling.level, named(&ruling)), (Level::Blocked, "device-trusted"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    us.say(device, Kind::DeviceTrusted, true, "records").await;
    assert_eq!(join(&us, device).await.level, Level::Full);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_lets_nobody_join() {
    let ground = Ground::new();
    let long = format!(r#"{{"question":"join","level":"full","x":"{}"}}"#, "x".repeat(300 * 1024));
    let strange = Issuer::root("Servers");
    for (answer, issuer, check) in [
        (Some(json(YES)), &ground.servers, ""),
        (Some(json(YES)), &strange, "network-layer-certificate"),
        (Some(Response::with(500, "application/json", YES.into())), &ground.servers, "network-layer-status"),
        (Some(Response::with(508, "application/json", YES.into())), &ground.servers, "network-layer-loop"),
        (Some(Response::with(200, "text/html", YES.into())), &ground.servers, "network-layer-answer"),
        (Some(json(&YES[1..])), &ground.servers, "network-layer-answer"),
        (Some(json(&YES.replace("full", "fuller"))), &ground.servers, "network-layer-answer"),
        (Some(json(&YES.replace("join", "stay"))), &ground.servers, "network-layer-answer"),
        (Some(json(&YES.replace("policy", "level"))), &ground.servers, "network-layer-answer"),
        (Some(json(&long)), &ground.servers, "network-layer-answer"),
        (Some(json(&YES.replace("full", "blocked"))), &ground.servers, "network-layer"),
        (Some(json(&YES.replace("full", "quarantine"))), &ground.servers, "network-layer"),
    ] {
        let (port, _, _stop) = stand_in(ground.server(issuer), move || answer.clone()).await;
        let us = ground.office(SETTINGS, port).await;
        let ruling = join(&us, &us.devices(1).await[0]).await;
        assert_eq!(named(&ruling), check, "{ruling:?}");
        assert_eq!(ruling.level == Level::Full, check.is_empty(), "{check}");
        assert!(check.is_empty() || ruling.level < Level::Remediation, "{check}");
        assert_eq!(logged(&us), ruling);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_slow_or_does_not_know_us_lets_nobody_join() {
    let ground = Ground::new();
    let (them, port, door) = behind(&ground).await;
    them.devices(1).await;
    let (silent, asked, _stop) = stand_in(ground.server(&ground.servers), || None).await;
    let good = SETTINGS.to_owned();
    for (text, port, check) in [
        (good.clone(), port, ""),
        (good.clone(), free_port(), "network-layer-unreachable"),
        (good.replace("20s", "1s"), silent, "network-layer-late"),
        (good.replace("us.pem", "stranger.pem"), port, "network-layer-unreachable"),
        (good.replace("/join", "/joining"), port, "network-layer-status"),
        (good.replace("localhost:", "127.0.0.1:"), port, "network-layer-certificate"),
    ] {
        let us = ground.office(&text, port).await;
        let ruling = join(&us, &us.devices(1).await[0]).await;
        assert_eq!(named(&ruling), check, "{ruling:?}");
        assert_eq!(ruling.level, if check.is_empty() { Level::Full } else { Level::Blocked });
        assert_eq!(logged(&us), ruling);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it was asked, and did not answer");
    // Its door shows whom it knows nothing else: this is no way to its admin API.
    drop(door);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ask_each_other_in_a_circle_let_nobody_join() {
    let ground = Ground::new();
    let clock = Office::open().await;
    let (door, other_door) = (ground.door(&clock).await, ground.door(&clock).await);
    let (port, other_port) = (door.address().unwrap().port(), other_door.address().unwrap().port());
    let us = ground.office(SETTINGS, other_port).await;
    let them = ground.office(&SETTINGS.replace("us.pem", "them.pem"), port).await;
    let (_us, _them) = (open(door, &us), open(other_door, &them));
    let device = &us.devices(1).await[0];
    them.devices(1).await;
    for office in [&us, &them] {
        let ruling = join(office, device).await;
        assert_eq!((ruling.level, named(&ruling)), (Level::Blocked, "network-layer-loop"));
    }
    // One hop less, and it is no circle: they ask somebody who asks nobody.
    let (last, port, _door) = behind(&ground).await;
    last.devices(1).await;
    let us = ground.office(SETTINGS, port).await;
    us.devices(1).await;
    let print = |number: u8| Fingerprint([number; 32]);
    let through =
        |count: u8| Joining { device: device.clone(), facts: Vec::new(), via: (0..count).map(print).collect() };
    assert_eq!(us.authorizer.join_after(through(7)).await.unwrap().0.level, Level::Full);
    assert_eq!(us.authorizer.join_after(through(8)).await.unwrap_err().check, "network-layer-loop");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_much_is_asked_at_a_time() {
    let ground = Ground::new();
    let gate = Arc::new(Semaphore::new(0));
    let [now, most, done] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (_stop, stopped) = watch::channel(false);
    let (held, inside, peak, over) = (gate.clone(), now.clone(), most.clone(), done.clone());
    let handler = move |_: Request, _from| {
        let (held, inside, peak, over) = (held.clone(), inside.clone(), peak.clone(), over.clone());
        async move {
            peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            held.acquire().await.unwrap().forget();
            inside.fetch_sub(1, Ordering::SeqCst);
            over.fetch_add(1, Ordering::SeqCst);
            json(YES)
        }
    };
    tokio::spawn(Server::new(listener).tls(ground.server(&ground.servers)).run(handler, stopped));
    let us = Arc::new(ground.office(&SETTINGS.replace("\"20s\"", "\"60s\"\nat-once = 2"), port).await);
    let devices = us.devices(6).await;
    let joins: Vec<_> = devices
        .into_iter()
        .map(|device| {
            let us = us.clone();
            tokio::spawn(async move { join(&us, &device).await.level })
        })
        .collect();
    // Each is let go when as many are inside as may be.
    for left in (1..=6).rev() {
        until(|| now.load(Ordering::SeqCst) == left.min(2) && done.load(Ordering::SeqCst) == 6 - left).await;
        gate.add_permits(1);
    }
    for joined in joins {
        assert_eq!(joined.await.unwrap(), Level::Full);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_meant_are_refused_by_their_key() {
    let ground = Ground::new();
    ground.config(SETTINGS, 443).unwrap();
    for (from, to, key) in [
        ("https://", "http://", "url"),
        ("[\"FOLDER/servers.pem\"]", "[]", "anchors"),
        ("us.pem", "gone.pem", "identity"),
        ("20s", "0s", "deadline"),
        ("\"20s\"", "\"20s\"\nat-once = 0", "at-once"),
    ] {
        let why = ground.config(&SETTINGS.replace(from, to), 443).unwrap_err();
        assert_eq!(why.what, format!("authorizer.network-layer.{key}"), "{from} -> {to}: {why}");
    }
}

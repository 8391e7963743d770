//! `landfall run authorizer`, killed at random points: what it has acknowledged is there, and so is what followed from it, of which
//! whoever is to be told is told, of all of it and in order.

use crate::{
    says,
    survives::{number, seed},
};
use landfall_assurance::{Dossier, Fact, Kind, Level};
use landfall_lifecycle::verification::Assessment;
use landfall_net::{
    http::Server,
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_pki::{Algorithm, AltName, CertificateSerial, Name, SoftwareKey, Validity, profile};
use landfall_policy::Value;
use landfall_server::{
    admin::{
        Address, Client,
        view::{Facts, FactsTaken, SignalsView},
    },
    authorizer::Entry,
};
use landfall_store::Store;
use landfall_testkit::{Issuer, NOW, Rng, Running, temp_dir};
use landfall_types::{
    DeviceId, Time,
    http::{Request, Response},
};
use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::watch;

const DEVICES: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(120);
const SETTINGS: &str = "[log]\nformat = \"json\"\n[metrics]\nlisten = \"\"\n[authorizer]\nbrake.share = 100\ndwell = \"0s\"\n\
                        recover = \"0s\"\n";

fn device(number: u64) -> DeviceId {
    format!("07.K-{number:04}").parse().unwrap()
}

fn start(folder: &Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(["run", "authorizer", "--json"]).current_dir(folder);
    let mut running = Running::start(&mut command);
    running.until("}");
    running
}

fn fact(device: &DeviceId, kind: Kind, value: Value) -> Fact {
    let (subject, at) = (device.clone(), Time::now());
    Fact { subject, kind, value, source: "test".into(), issuer: None, at, expires: None, verifier: "test".into() }
}

#[test]
fn a_killed_authorizer_has_kept_what_it_acknowledged() {
    let (kills, seed) = (number("LANDFALL_KILLS").unwrap_or(8), seed());
    println!("LANDFALL_KILL_SEED={seed} LANDFALL_KILLS={kills}");
    let (folder, mut rng) = (temp_dir(), Rng::new(seed));
    let ops = StandIn::start(folder.path());
    std::fs::write(folder.path().join("landfall.toml"), format!("{SETTINGS}{}", ops.settings())).unwrap();
    assert_eq!(says(folder.path(), &["network", "init"]).0, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(Address::Local(folder.path().join("data/admin.sock")));
    let tell = |facts: Vec<Fact>| {
        runtime.block_on(client.post::<FactsTaken>("/v1/verification/facts", &Facts { facts })).map(drop)
    };
    let mut acknowledged: BTreeMap<DeviceId, Value> = BTreeMap::new();
    let mut server = start(folder.path());
    for number in 0..DEVICES {
        let device = device(number);
        let trusted = [Kind::ManufacturerTrusted, Kind::DeviceTrusted, Kind::TypeBound, Kind::SbomKnown];
        let mut facts: Vec<Fact> = trusted.into_iter().map(|kind| fact(&device, kind, true.into())).collect();
        facts.push(fact(&device, Kind::DeviceType, "maker/sensor".into()));
        facts.push(fact(&device, Kind::VulnerabilityScore, 0.into()));
        tell(facts).unwrap();
    }
    for _ in 0..kills {
        let until = 5 + rng.next() % 40;
        for step in 0..until {
            let device = device(rng.next() % DEVICES);
            let contact: Value = match rng.next() % 2 {
                0 => Vec::new().into(),
                _ => vec![format!("192.0.2.{}", rng.next() % 200)].into(),
            };
            if step + 1 == until {
                server.signal("KILL");
            }
            // What is not acknowledged may be there or not.
            match tell(vec![fact(&device, Kind::DenyListContact, contact.clone())]) {
                Ok(()) => drop(acknowledged.insert(device, contact)),
                Err(_) => drop(acknowledged.remove(&device)),
            }
        }
        server.wait();
        check(folder.path(), &acknowledged);
        server = start(folder.path());
    }
    let is_behind = || {
        let view: SignalsView = runtime.block_on(client.get("/v1/verification/signals")).unwrap();
        view.receivers[0].behind > 0
    };
    let begun = Instant::now();
    while is_behind() {
        assert!(begun.elapsed() < PATIENCE, "it is never told of everything");
    }
    server.signal("TERM");
    assert!(server.wait().success());
    let store = Store::sqlite(folder.path().join("data/landfall.db")).unwrap();
    let log = store.log("verification-decisions", 0, usize::MAX >> 1).unwrap().into_iter();
    let changed = log.filter_map(|line| {
        let entry: Entry = serde_json::from_value(line.entry).unwrap();
        (entry.from != Some(entry.level)).then_some(line.seq)
    });
    // What it took when the server was killed it may hear of once more, and of nothing else.
    let mut told = ops.told.lock().unwrap().clone();
    told.dedup();
    assert_eq!(told, changed.collect::<Vec<_>>());
}

/// A stand-in for a service that is told by webhooks; it keeps the numbers of what it is told of.
struct StandIn {
    port: u16,
    told: Arc<Mutex<Vec<u64>>>,
    _runtime: tokio::runtime::Runtime,
    _stop: watch::Sender<bool>,
}

impl StandIn {
    fn start(folder: &Path) -> Self {
        let issuer = Issuer::root("Web");
        let server = issuer.certify(Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()), |issuer, key| {
            let (subject, alt_names) = (Name::common("localhost"), vec![AltName::Dns("localhost".into())]);
            let year = Duration::from_secs(365 * 86_400);
            let valid = Validity { not_before: NOW - year * 2, not_after: NOW + year * 20 };
            profile::Server { subject, alt_names }.prepare(issuer, key, CertificateSerial::random().unwrap(), valid)
        });
        std::fs::write(folder.join("web.pem"), issuer.root_certificate().to_pem()).unwrap();
        std::fs::write(folder.join("ops.secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (told, (stop, stopped)) = (Arc::<Mutex<Vec<u64>>>::default(), watch::channel(false));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let identity = TlsIdentity { chain: server.chain(), signer: server.signer() };
        let tls = ServerTls::new(&identity, ClientAuth::None).unwrap();
        let kept = told.clone();
        let handler = move |request: Request, _from| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            kept.lock().unwrap().push(body["data"]["number"].as_u64().unwrap());
            async { Response::new(204) }
        };
        runtime.spawn(Server::new(listener).tls(tls).run(handler, stopped));
        Self { port, told, _runtime: runtime, _stop: stop }
    }

    fn settings(&self) -> String {
        format!(
            "[authorizer.signals]\nretry = \"1s\"\n[[authorizer.signals.webhook]]\nname = \"ops\"\n\
             url = \"https://localhost:{}/\"\nanchors = [\"../web.pem\"]\nsecret-file = \"../ops.secret\"\n\
             events = [\"level-changed\"]\n",
            self.port
        )
    }
}

/// Every fact that was acknowledged, and the level that follows from it.
fn check(folder: &Path, acknowledged: &BTreeMap<DeviceId, Value>) {
    let store = Store::sqlite(folder.join("data/landfall.db")).unwrap();
    for log in ["verification-facts", "verification-decisions"] {
        store.verify_log(log).unwrap();
    }
    for (device, contact) in acknowledged {
        let dossier = store.find::<Dossier>(device.as_str()).unwrap().unwrap().record;
        assert_eq!(dossier.of(Kind::DenyListContact).next().map(|fact| &fact.value), Some(contact), "{device}");
        let level = store.find::<Assessment>(device.as_str()).unwrap().unwrap().record.level;
        let expected = if *contact == Vec::new().into() { Level::Full } else { Level::Quarantine };
        assert_eq!(level, expected, "{device}");
    }
}

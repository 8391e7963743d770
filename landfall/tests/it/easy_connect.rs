//! Devices for Wi-Fi Easy Connect on their way from the factory into a network whose configurator is killed again and again:
//! made, labelled, uploaded, sold, configured; each of them, and none twice.
//!
//! `LANDFALL_KILL_DEVICES` and `LANDFALL_KILL_SEED` are those of [`crate::survives`].

use crate::{
    ground::{bundles, fixed_ports},
    landfall,
    survives::{number, seed},
};
use landfall_device::dpp::{BootstrapKey, Enrollee, Identity, Keep, MemoryStore, NoRadio, Outcome, Session, Wishes};
use landfall_dpp::{Curve, System, Uri, curve::PrivateKey};
use landfall_lifecycle::{
    network::{CREDENTIAL_LOG, DomainDevice, LOG, NetworkCredential},
    transfer::{Bootstrapping, Held, SUPPLY_LOG},
};
use landfall_net::http::Endpoint;
use landfall_pki::pem;
use landfall_server::observe::AUDIT_LOG;
use landfall_store::Store;
use landfall_testkit::{Rng, Running, current_test, skip, temp_dir, tool};
use landfall_types::{Time, bundle::DeviceBundle};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How many devices are at it at a time.
const AT_ONCE: usize = 16;
/// Far more than it takes.
const PATIENCE: Duration = Duration::from_secs(1800);
const SETTINGS: &str = "[log]\nformat = \"json\"\nlevel = \"debug\"\n[metrics]\nlisten = \"\"\n";

#[test]
fn devices_from_the_factory_are_configured_once_by_a_configurator_that_is_killed() {
    let (devices, seed) = (number("LANDFALL_KILL_DEVICES").unwrap_or(1000) as usize, seed());
    println!("LANDFALL_KILL_SEED={seed} LANDFALL_KILL_DEVICES={devices}");
    let mut rng = Rng::new(seed);
    let parties = Parties::lay(devices);
    let enrollees: Vec<Enrollee> = parties.bundles().iter().map(|bundle| enrollee(bundle)).collect();
    assert_eq!(enrollees.len(), devices);
    let service = parties.serve("maker", "supply-chain");
    parties.hand_over();
    let configurator = parties.serve("owner", "configurator");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let (onboarded, kills, attempts) = runtime.block_on(parties.onboard(enrollees, configurator, &mut rng));
    parties.stopped(service);
    println!("{kills} kills, each with a restart; {attempts} attempts of {devices} devices");
    assert!(attempts > devices, "no kill hit anybody");
    parties.balance(&onboarded);
}

/// The owner's server is killed while it takes in what is sold to the owner, order by order.
#[test]
fn an_owner_that_is_killed_takes_in_each_device_that_it_buys_once() {
    const ORDERS: usize = 20;
    let seed = seed();
    println!("LANDFALL_KILL_SEED={seed}");
    let mut rng = Rng::new(seed);
    let parties = Parties::lay(10 * ORDERS);
    let service = parties.serve("maker", "supply-chain");
    parties.offer();
    let mut owner = parties.serve("owner", "configurator");
    let devices = parties.serials();
    for (number, order) in devices.chunks(10).enumerate() {
        parties.sell(order, &number.to_string());
        std::thread::sleep(Duration::from_micros(rng.below(100_000)));
        owner.signal("KILL");
        owner.wait();
        owner = parties.serve("owner", "configurator");
    }
    let book = ["transfer", "devices", "--limit", "1000"];
    while parties.does("owner", &book)["items"].as_array().unwrap().len() < devices.len() {
        std::thread::sleep(Duration::from_millis(100));
    }
    parties.stopped(owner);
    parties.stopped(service);
    let store = Store::sqlite(parties.of("owner").join("data/landfall.db")).unwrap();
    let books = store.scan::<Bootstrapping>(None, 2 * devices.len()).unwrap();
    assert!(books.iter().all(|device| device.state == Held::Held));
    let held: Vec<String> =
        books.iter().filter_map(|device| device.serial_number.clone()?.to_string().into()).collect();
    assert_eq!((held.len(), BTreeSet::from_iter(held)), (devices.len(), BTreeSet::from_iter(devices.clone())));
    assert_eq!(store.verify_log(SUPPLY_LOG).unwrap().seq, devices.len() as u64, "a device came in twice");
}

#[test]
fn a_device_that_is_in_no_book_is_configured_by_a_code() {
    let parties = Parties::lay(1);
    // Whoever introduces devices by code needs nobody's deliveries.
    let settings = fs::read_to_string(parties.of("owner").join("landfall.toml")).unwrap();
    fs::write(parties.of("owner").join("landfall.toml"), settings.split("[[intake]]").next().unwrap()).unwrap();
    let server = parties.serve("owner", "configurator");
    let owner = parties.of("owner");
    fs::write(owner.join("code"), "three words here\n").unwrap();
    fs::write(owner.join("wrong"), "three other words\n").unwrap();
    let pkex = ["network", "configurator", "pkex"];
    let codes = || parties.does("owner", &[pkex.as_slice(), &["list"]].concat());
    parties.does("owner", &[pkex.as_slice(), &["add", "code", "--identifier", "lamp", "--model", "LAMP"]].concat());
    assert_eq!((codes()[0]["failures"].as_u64(), codes()[0]["model"].as_str()), (Some(0), Some("LAMP")));
    assert!(!codes().to_string().contains("three words"), "nobody is shown a code");

    let wrong = parties.device(0, &["onboard", "--dpp", "--pkex", "wrong", "--identifier", "lamp", "--attempts", "1"]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    let said: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(said["refusal"]["check"], "dpp-pkex-code");
    assert_eq!(codes()[0]["failures"], 1);

    let right = parties.device(0, &["onboard", "--dpp", "--pkex", "code", "--identifier", "lamp", "--attempts", "1"]);
    assert!(right.status.success(), "{right:?}");
    let said: Value = serde_json::from_slice(&right.stdout).unwrap();
    assert_eq!(said["result"]["network-authenticated"], true);
    assert_eq!(codes().as_array().unwrap().len(), 0, "it has served");
    let devices = parties.does("owner", &["network", "devices"]);
    let device = &devices["items"][0];
    assert_eq!((device["state"].as_str(), device["model"].as_str()), (Some("enrolled"), Some("LAMP")));
    assert_eq!(device["configuration"]["introduced"], "pkex");
    assert_eq!(device["configuration"]["network_authenticated"], true);

    parties.does("owner", &[pkex.as_slice(), &["add", "code"]].concat());
    parties.does("owner", &[pkex.as_slice(), &["remove"]].concat());
    parties.stopped(server);
}

/// tcpdump listens while a device is configured; `inspect` and Wireshark find the same frames in what it wrote.
#[test]
fn a_capture_of_an_exchange_is_read() {
    let Some(tcpdump) = tool("tcpdump") else { return };
    // To tell the kinds of packets of an interface it has to open that.
    if !Command::new(&tcpdump).args(["-i", "lo", "-L"]).output().unwrap().status.success() {
        skip(&current_test(), "tcpdump may not listen here");
        return;
    }
    let parties = Parties::lay(1);
    let settings = fs::read_to_string(parties.of("owner").join("landfall.toml")).unwrap();
    fs::write(parties.of("owner").join("landfall.toml"), settings.split("[[intake]]").next().unwrap()).unwrap();
    let server = parties.serve("owner", "configurator");
    let owner = parties.of("owner");
    fs::write(owner.join("code"), "three words here\n").unwrap();
    parties.does("owner", &["network", "configurator", "pkex", "add", "code"]);

    let filter = format!("tcp port {}", parties.configurator);
    let mut command = Command::new("sh");
    let listen = "exec \"$@\" 2>&1";
    command.args(["-c", listen, "sh"]).arg(tcpdump).args(["-i", "lo", "-U", "--immediate-mode", "-Z", "root"]);
    let mut capture = Running::start(command.args(["-w", "exchange.pcap", &filter]).current_dir(&owner));
    capture.until("listening on");
    let onboarded = parties.device(0, &["onboard", "--dpp", "--pkex", "code", "--attempts", "1"]);
    assert!(onboarded.status.success(), "{onboarded:?}");
    parties.stopped(server);
    capture.signal("INT");
    assert!(capture.wait().success());
    at_the_port_of_dpp(&owner.join("exchange.pcap"), parties.configurator);

    let output = landfall(&owner, &["inspect", "exchange.pcap", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let frames: Vec<_> = report["parts"].as_array().unwrap().iter().map(|part| part["report"].to_string()).collect();
    // PKEX, authentication, configuration: each frame once.
    assert_eq!(frames.len(), 10, "{report}");
    assert!(!report.to_string().contains("three words"), "no frame holds the code");
    let Some(tshark) = tool("tshark") else { return };
    // Wireshark knows DPP over TCP by a port of its own.
    let read = Command::new(tshark)
        .args(["-r", "exchange.pcap", "-d", "tcp.port==8908,dpp", "-Y", "dpp", "-V"])
        .current_dir(&owner)
        .output();
    let text = String::from_utf8(read.unwrap().stdout).unwrap();
    let subtypes = text.lines().filter(|line| line.contains("Public Action Subtype"));
    let numbers: Vec<_> = subtypes.filter_map(|line| line.rsplit_once('(')?.1.strip_suffix(')')).collect();
    assert_eq!(numbers, ["18", "8", "9", "10", "0", "1", "2", "11"], "{text}");
    assert!(!text.contains("Malformed"), "{text}");
}

/// Makes a capture of what `port` heard one of port 8908, by which readers know DPP and which somebody else may have here.
fn at_the_port_of_dpp(capture: &Path, port: u16) {
    /// The lengths of the headers of the file, of a packet in it, and of Ethernet with IPv4.
    const HEADERS: [usize; 3] = [24, 16, 34];
    let mut bytes = fs::read(capture).unwrap();
    let mut at = HEADERS[0];
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap());
        at += HEADERS[1];
        for end in bytes[at + HEADERS[2]..at + HEADERS[2] + 4].chunks_mut(2) {
            if end == port.to_be_bytes() {
                end.copy_from_slice(&8908_u16.to_be_bytes());
            }
        }
        at += length as usize;
    }
    fs::write(capture, bytes).unwrap();
}

/// Nobody knows of the device: whoever stands beside it and beside the configurator pushes both buttons.
#[test]
fn a_device_that_is_in_no_book_is_taken_by_a_push_of_both_buttons() {
    let parties = Parties::lay(1);
    let settings = fs::read_to_string(parties.of("owner").join("landfall.toml")).unwrap();
    let settings = settings.split("[[intake]]").next().unwrap().to_owned();
    let hasty = "[configurator.push-button]\nlistening = \"0s\"\nwindow = \"60s\"\n";
    fs::write(parties.of("owner").join("landfall.toml"), settings + hasty).unwrap();
    let config = format!(
        "[dpp]\ncontrollers = [\"127.0.0.1:{}\"]\npush-rest-ms = 0\n[discovery]\nmdns = false\ngrasp = false\n",
        parties.configurator
    );
    fs::write(parties.of("owner").join("device.toml"), config).unwrap();
    let server = parties.serve("owner", "configurator");
    let push = ["network", "configurator", "push-button", "--serial-number", "SN-1", "--model", "LAMP"];
    let (pushed, operator) = std::thread::scope(|scope| {
        let operator = scope.spawn(|| parties.does("owner", &push));
        let pushed = parties.device(0, &["onboard", "--dpp", "--push-button"]);
        (pushed, operator.join().unwrap())
    });
    assert!(pushed.status.success(), "{pushed:?}");
    let said: Value = serde_json::from_slice(&pushed.stdout).unwrap();
    assert_eq!(said["result"]["network-authenticated"], false, "{said}");
    assert!(said["result"]["assurance"].as_str().unwrap().contains("resurrecting duckling"));
    assert_eq!(operator["device"], "SN-1");
    let devices = parties.does("owner", &["network", "devices"]);
    let device = &devices["items"][0];
    assert_eq!((device["state"].as_str(), device["model"].as_str()), (Some("enrolled"), Some("LAMP")));
    assert_eq!(device["configuration"]["introduced"], "push-button");
    assert_eq!(device["configuration"]["network_authenticated"], false);

    // One that may be taken by another configurator only has nothing from this one.
    let other = PrivateKey::generate(Curve::P256, &mut System);
    let elsewhere = Uri::of(other.public().clone()).to_string();
    let (refused, operator) = std::thread::scope(|scope| {
        let owner = parties.of("owner");
        let operator = scope.spawn(move || landfall(&owner, &["network", "configurator", "push-button"]));
        let push = ["onboard", "--dpp", "--push-button", "--again", "--configurator", &elsewhere];
        (parties.device(0, &push), operator.join().unwrap())
    });
    let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(said["refusal"]["check"], "dpp-pb-configurator", "{said}");
    assert!(!operator.status.success(), "the operator hears that it was not configured");
    parties.stopped(server);
}

/// Connectors that end, a key that signs them and is followed by another, and a device that is killed while it sees to it.
#[test]
fn a_device_gets_itself_other_connectors_whatever_happens_to_it() {
    let seed = seed();
    println!("LANDFALL_KILL_SEED={seed}");
    let mut rng = Rng::new(seed);
    let parties = Parties::lay(1);
    let settings = fs::read_to_string(parties.of("owner").join("landfall.toml")).unwrap();
    let settings = settings.split("[[intake]]").next().unwrap().to_owned() + "expires = \"2s\"\n";
    fs::write(parties.of("owner").join("landfall.toml"), settings).unwrap();
    let config = format!(
        "[dpp]\ncontrollers = [\"127.0.0.1:{}\"]\npause-ms = 300\n[discovery]\nmdns = false\ngrasp = false\n",
        parties.configurator
    );
    fs::write(parties.of("owner").join("device.toml"), config).unwrap();
    let server = parties.serve("owner", "configurator");
    fs::write(parties.of("owner").join("code"), "three words here\n").unwrap();
    parties.does("owner", &["network", "configurator", "pkex", "add", "code", "--serial-number", "SN-1"]);
    let onboarded = parties.device(0, &["onboard", "--dpp", "--pkex", "code", "--attempts", "1"]);
    assert!(onboarded.status.success(), "{onboarded:?}");

    let reconfigured = || {
        let audit = parties.does("owner", &["network", "audit"]);
        let events = audit.as_array().or(audit["items"].as_array()).unwrap().clone();
        events.iter().filter(|event| event["action"] == "device-reconfigured").count()
    };
    // It is killed about when its connector is due, and begins anew each time.
    for _ in 0..8 {
        let mut agent = Running::start(&mut parties.device_command(0, &["run"]));
        std::thread::sleep(Duration::from_micros(800_000 + rng.below(1_200_000)));
        agent.signal("KILL");
        agent.wait();
    }
    assert!(reconfigured() > 0, "no connector was replaced");
    parties.does("owner", &["network", "configurator", "rotate"]);
    let output = parties.device(0, &["reconfigure", "--timeout", "60"]);
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["reconfigured"], &said["result"]["network-authenticated"]), (&true.into(), &true.into()));
    parties.stopped(server);
    let store = Store::sqlite(parties.of("owner").join("data/landfall.db")).unwrap();
    let credentials = store.scan::<NetworkCredential>(None, 2).unwrap();
    assert_eq!(credentials.len(), 1);
    // A connector says it in whole seconds.
    let on_record = credentials[0].record.expires.unwrap().as_unix();
    let held: Time = serde_json::from_value(said["result"]["networks"][0]["expiry"].clone()).unwrap();
    assert_eq!(held.as_unix(), on_record);
}

#[test]
fn a_device_that_has_no_networks_cannot_be_reconfigured() {
    let parties = Parties::lay(1);
    let output = parties.device(0, &["reconfigure", "--attempts", "1"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["refusal"]["check"], "dpp-reconfig-nothing");
}

/// A manufacturer with a supply chain service, and the owner of a network.
struct Parties {
    folder: TempDir,
    service: u16,
    configurator: u16,
}

impl Parties {
    /// Makes both, and the manufacturer's devices with their labels.
    fn lay(devices: usize) -> Self {
        let [service, configurator] = fixed_ports();
        let parties = Self { folder: temp_dir(), service, configurator };
        parties.settle("maker", &format!("[supply-chain]\nlisten = \"127.0.0.1:{service}\"\n"));
        parties.does("maker", &["factory", "init", "--masa-url", "localhost:9"]);
        let count = devices.to_string();
        parties.does("maker", &["factory", "provision", "--protocol", "dpp", "--count", &count, "--labels", "out.pdf"]);
        let labels = fs::read(parties.of("maker").join("out.pdf")).unwrap();
        assert!(labels.starts_with(b"%PDF-"), "the labels are no PDF");
        parties.settle(
            "owner",
            &format!(
                "[configurator]\nlisten = \"127.0.0.1:{configurator}\"\nannounce = false\nlimits.join = \"0s\"\n\
                 [[configurator.network]]\nssid = \"Home\"\nkind = \"connector\"\n\
                 [[intake]]\nservice = \"localhost:{service}\"\nanchors = [\"supply.pem\"]\ntoken-file = \"supply.token\"\n"
            ),
        );
        parties.does("owner", &["network", "init"]);
        parties
    }

    /// The manufacturer uploads all that it has made, and sells it to the owner.
    fn hand_over(&self) {
        self.offer();
        self.sell(&self.serials(), "1");
    }

    /// The manufacturer uploads all that it has made, and the owner has what its server needs to hear of it.
    fn offer(&self) {
        for tenant in ["maker", "owner"] {
            self.does("maker", &["transfer", "tenant", tenant, "--token", &format!("{tenant}.token")]);
        }
        self.does("maker", &["factory", "uris", "--out", "devices.csv"]);
        self.at_service(&["transfer", "upload", "devices.csv"]);
        let data = self.of("owner").join("data");
        fs::copy(self.anchor(), data.join("supply.pem")).unwrap();
        fs::copy(self.of("maker").join("owner.token"), data.join("supply.token")).unwrap();
    }

    fn sell(&self, devices: &[String], order: &str) {
        let sold: Vec<&str> = ["transfer", "sale"].into_iter().chain(devices.iter().map(String::as_str)).collect();
        self.at_service(&[sold.as_slice(), &["--to", "owner", "--order", order]].concat());
    }

    /// What the manufacturer does at the supply chain service.
    fn at_service(&self, arguments: &[&str]) {
        let (service, anchor) = (format!("localhost:{}", self.service), self.anchor());
        let at = ["--service", &service, "--service-anchor", anchor.to_str().unwrap(), "--token-file", "maker.token"];
        self.does("maker", &[arguments, &at].concat());
    }

    fn anchor(&self) -> PathBuf {
        self.of("maker").join("data/manufacturer/masa-ca.pem")
    }

    fn serials(&self) -> Vec<String> {
        self.bundles().iter().map(|bundle| crate::ground::name(bundle)).collect()
    }

    /// All devices ask until they are in, while the configurator is killed: twenty times, or four for every hundred.
    #[allow(clippy::print_stdout, reason = "for whoever reads why a run took long")]
    async fn onboard(&self, enrollees: Vec<Enrollee>, first: Running, rng: &mut Rng) -> (Vec<Onboarded>, usize, usize) {
        let devices = enrollees.len();
        let mut draws: Vec<(usize, Duration)> = (0..devices.div_ceil(25).max(20))
            .map(|_| (rng.below(devices as u64) as usize, Duration::from_micros(rng.below(200_000))))
            .collect();
        draws.sort();
        let kills = draws.len();
        let (places, tally) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Mutex::new(BTreeMap::new())));
        let (told, mut done) = watch::channel(0);
        let at = Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], self.configurator)));
        let mut coming = JoinSet::new();
        for enrollee in enrollees {
            let (places, told, tally, at) = (places.clone(), told.clone(), tally.clone(), at.clone());
            let mut rng = Rng::new(rng.next());
            coming.spawn(async move {
                let onboarded = live(enrollee, &at, &places, &tally, &mut rng).await;
                told.send_modify(|done| *done += 1);
                onboarded
            });
        }
        let killing = async {
            let mut running = first;
            for (after, moment) in draws {
                done.wait_for(|done| *done >= after).await.unwrap();
                sleep(moment).await;
                running.signal("KILL");
                running.wait();
                running = tokio::task::block_in_place(|| self.serve("owner", "configurator"));
            }
            running
        };
        let all = async {
            let mut onboarded = Vec::new();
            while let Some(one) = coming.join_next().await {
                onboarded.push(one.expect("a device"));
            }
            onboarded
        };
        let (onboarded, last) =
            timeout(PATIENCE, async { tokio::join!(all, killing) }).await.expect("some devices were never configured");
        self.stopped(last);
        let tally = tally.lock().unwrap();
        tally.iter().for_each(|(why, count)| println!("{count:6} × {why}"));
        (onboarded, kills, tally.values().sum::<usize>() + devices)
    }

    /// What the owner has on record is what the devices hold.
    fn balance(&self, onboarded: &[Onboarded]) {
        let store = Store::sqlite(self.of("owner").join("data/landfall.db")).unwrap();
        for log in [AUDIT_LOG, LOG, CREDENTIAL_LOG] {
            assert!(store.verify_log(log).unwrap().seq > 0, "{log} is empty");
        }
        let credentials = store.scan::<NetworkCredential>(None, 2 * onboarded.len()).unwrap();
        assert_eq!(store.count::<DomainDevice>().unwrap(), onboarded.len() as u64, "a device is known twice");
        assert_eq!(credentials.len(), onboarded.len(), "a device has two credentials");
        let on_record: BTreeSet<String> =
            credentials.into_iter().filter_map(|credential| credential.record.connector).collect();
        let held: BTreeSet<String> = onboarded.iter().map(|one| one.connector.clone()).collect();
        assert_eq!(held.len(), onboarded.len(), "two devices hold one connector");
        assert_eq!(held, on_record, "devices hold other connectors than those on record");
        assert!(onboarded.iter().all(|one| one.times == 1), "a device was configured twice");
    }

    fn bundles(&self) -> Vec<PathBuf> {
        bundles(&self.of("maker").join("data/bundles"))
    }

    /// What `landfall device` says for one of the devices, which knows where the owner's configurator is.
    fn device(&self, number: usize, arguments: &[&str]) -> Output {
        let at = format!("127.0.0.1:{}", self.configurator);
        self.device_command(number, &[arguments, &["--controller", &at, "--no-discovery", "--json"]].concat())
            .output()
            .unwrap()
    }

    fn device_command(&self, number: usize, arguments: &[&str]) -> Command {
        let bundle = self.bundles().swap_remove(number);
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.arg("device").args(arguments).arg("--bundle").arg(bundle).arg("--state").arg(self.of("device"));
        let settings = self.of("owner").join("device.toml");
        if settings.exists() {
            command.arg("--config").arg(settings);
        }
        command.current_dir(self.of("owner"));
        command
    }

    fn of(&self, party: &str) -> PathBuf {
        self.folder.path().join(party)
    }

    fn settle(&self, party: &str, settings: &str) {
        fs::create_dir_all(self.of(party)).unwrap();
        fs::write(self.of(party).join("landfall.toml"), format!("{SETTINGS}{settings}")).unwrap();
    }

    fn does(&self, party: &str, arguments: &[&str]) -> Value {
        let output = landfall(&self.of(party), &[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts a party's server; it listens when this returns.
    fn serve(&self, party: &str, role: &str) -> Running {
        let log = OpenOptions::new().create(true).append(true).open(self.of(party).join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(["run", role, "--json"]).current_dir(self.of(party)).stderr(log);
        let mut running = Running::start(&mut command);
        running.until("}");
        running
    }

    fn stopped(&self, mut server: Running) {
        server.signal("TERM");
        assert!(server.wait().success(), "a server did not stop as it should");
    }
}

impl Drop for Parties {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("what the parties left behind is in {}", self.folder.path().display());
        }
    }
}

/// What a device has in the end.
struct Onboarded {
    connector: String,
    /// How often it took a configuration.
    times: usize,
}

/// Announces itself until it is configured, as a device does that is started again each time.
async fn live(
    enrollee: Enrollee,
    at: &Endpoint,
    places: &Semaphore,
    tally: &Mutex<BTreeMap<String, usize>>,
    rng: &mut Rng,
) -> Onboarded {
    let store = Counted::default();
    loop {
        let place = places.acquire().await.unwrap();
        let session = Session { keep: &store, join: &NoRadio, random: Box::new(System), watch: &|_| () };
        let outcome = enrollee.announce(at, session).await.unwrap();
        drop(place);
        match outcome {
            Outcome::Enrolled(enrolled) => {
                let object = enrolled.networks.objects.first().expect("a network");
                let connector = object.credential.connector.clone().expect("a connector");
                return Onboarded { connector, times: *store.times.lock().unwrap() };
            }
            Outcome::TakenOver(_) => panic!("it was given the configurator's keys"),
            Outcome::Refused(refusal) => *tally.lock().unwrap().entry(refusal.check.to_string()).or_default() += 1,
        }
        sleep(Duration::from_millis(100 + rng.below(400))).await;
    }
}

/// Counts how often something is kept.
#[derive(Default)]
struct Counted {
    store: MemoryStore,
    times: Mutex<usize>,
}

impl Keep for Counted {
    fn keep(&self, networks: Arc<landfall_device::dpp::Networks>) -> Result<(), landfall_device::DeviceError> {
        *self.times.lock().unwrap() += 1;
        self.store.keep(networks)
    }
}

/// The device that the factory made, with the key that it was given.
fn enrollee(bundle: &Path) -> Enrollee {
    let bundle: DeviceBundle = serde_json::from_slice(&fs::read(bundle).unwrap()).unwrap();
    let given = bundle.dpp.expect("a bootstrapping key");
    let block = pem::decode(given.key.unwrap().0.expose()).unwrap().remove(0);
    let key = BootstrapKey::Software(Arc::new(PrivateKey::from_pkcs8(&block.der).unwrap()));
    let identity = Identity { uri: given.uri.parse().unwrap(), key, configurator: None };
    let wishes = Wishes::new(bundle.serial_number.as_str(), &identity);
    Enrollee { identity, wishes }
}

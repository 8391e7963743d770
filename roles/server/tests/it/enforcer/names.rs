//! Names that a device's manufacturer speaks of, as a real resolver answers for them, and real packets to where they lead.

use landfall_element::MemoryElement;
use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity},
};
use landfall_server::{
    Clock, RoleError, Settings, Trigger, World,
    enforcer::{Config, Enforcer, Plug},
};
use landfall_store::Store;
use landfall_testkit::{Hosts, Running, temp_dir, tool};
use landfall_types::{Changes, DeviceId, Fingerprint, Time};
use serde_json::{Value, json};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

const SILENCE: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(20);
const SETTINGS: &str = r#"
[enforcer]
namespace = "NAMESPACE"
[[enforcer.segment]]
name = "things"
kind = "production"
vlan = "30"
[[enforcer.segment]]
name = "clinic"
kind = "quarantine"
vlan = "99"
reach = ["udp 192.168.30.1 53"]
[[enforcer.port]]
interface = "lan1"
[[enforcer.port]]
interface = "lan2"
[[enforcer.intent]]
file = "FOLDER/thing.json"
[enforcer.members]
"owned.thing.example" = ["198.51.100.20"]
[enforcer.behaviour]
unanswered = 20
conntrack = true
[enforcer.behaviour.ipfix]
listen = "10.99.0.1:4739"
[[enforcer.behaviour.ipfix.exporter]]
name = "ap-1"
addresses = ["10.99.0.2"]
[enforcer.names]
listen = ["192.168.30.1:53", "[fd00:30::1]:53"]
upstream = ["10.99.0.2:53"]
local = ["home.arpa"]
"#;
/// What the world's resolver says: names, and where they lead.
const ZONE: [&str; 12] = [
    "--host-record=cloud.thing.example,198.51.100.7",
    "--host-record=cloud.thing.example,2001:db8:7::7",
    "--cname=www.thing.example,edge.cdn.example",
    "--host-record=edge.cdn.example,198.51.100.9",
    "--host-record=evil.thing.example,192.168.30.2",
    "--host-record=half.thing.example,198.51.100.7",
    "--host-record=half.thing.example,127.0.0.1",
    "--host-record=hub.home.arpa,192.168.30.77",
    "--host-record=elsewhere.example,198.51.100.8",
    "--host-record=dns.google,198.51.100.8",
    "--txt-record=cloud.thing.example,words",
    "--host-record=owned.thing.example,203.0.113.1",
];
const NAMES: [&str; 9] = [
    "cloud.thing.example",
    "www.thing.example",
    "evil.thing.example",
    "half.thing.example",
    "hub.home.arpa",
    "many.thing.example",
    "owned.thing.example",
    "none.thing.example",
    "dns.google",
];

/// Two things on a switch, which is the router, and the world behind it.
pub(super) struct Ground {
    pub(super) hosts: Hosts,
    pub(super) world: World,
    pub(super) seconds: Arc<AtomicU64>,
    pub(super) services: [UdpSocket; 3],
    pub(super) devices: [UdpSocket; 2],
    resolver: Option<Running>,
    folder: TempDir,
    pub(super) enforcer: Arc<Enforcer>,
    running: (Trigger, JoinHandle<Result<(), RoleError>>),
}

/// What the thing's manufacturer says of it: UDP with hosts of these names, whatever the ports.
fn file() -> Value {
    let entries = |side: &str| {
        let entry = |family: &'static str, name: &str| {
            json!({ "name": format!("{name}-{family}"), "actions": { "forwarding": "accept" },
                    "matches": { family: { "protocol": 17, format!("ietf-acldns:{side}-dnsname"): name } } })
        };
        let list = |family: &'static str| {
            let entries: Vec<Value> = NAMES.iter().map(|name| entry(family, name)).collect();
            json!({ "name": format!("{side}-{family}"), "type": format!("{family}-acl-type"), "aces": { "ace": entries } })
        };
        [list("ipv4"), list("ipv6")]
    };
    let lists = |side: &str| {
        json!({ "access-lists": { "access-list": [
        { "name": format!("{side}-ipv4") }, { "name": format!("{side}-ipv6") }] } })
    };
    let all: Vec<Value> = ["src", "dst"].into_iter().flat_map(entries).collect();
    json!({
        "ietf-mud:mud": { "mud-version": 1, "mud-url": "https://thing.example/thing.json", "last-update": "2026-06-29T19:50:19+02:00",
            "cache-validity": 48, "is-supported": true, "systeminfo": "A thing",
            "from-device-policy": lists("dst"), "to-device-policy": lists("src") },
        "ietf-access-control-list:acls": { "acl": all }
    })
}

pub(super) fn device(number: usize) -> DeviceId {
    format!("aa.D-{number}").parse().unwrap()
}

fn plug(number: usize) -> Plug {
    let mac = format!("02:00:00:00:00:0{number}").parse().unwrap();
    Plug { names: vec![format!("lan{number}")], mac: Some(mac), session: None }
}

async fn run(
    hosts: &Hosts,
    folder: &TempDir,
    world: &World,
) -> (Arc<Enforcer>, (Trigger, JoinHandle<Result<(), RoleError>>)) {
    let text = SETTINGS.replace("NAMESPACE", &hosts.namespace("switch"));
    let settings = Settings::parse(&text.replace("FOLDER", &folder.path().to_string_lossy())).unwrap();
    let config = Config::from_settings(settings.enforcer.as_ref().unwrap(), &settings).unwrap();
    let (trigger, shutdown) = landfall_server::shutdown();
    let (task, enforcer) = config.build(world.clone(), shutdown).await.unwrap();
    (enforcer, (trigger, tokio::spawn(task.run())))
}

impl Ground {
    pub(super) async fn new() -> Option<Self> {
        let many = (1..=50).map(|last| format!("--host-record=many.thing.example,203.0.113.{last}"));
        Self::with(file().to_string().as_bytes(), ZONE.into_iter().map(str::to_owned).chain(many).collect()).await
    }

    /// The same with another file for the things, and another world.
    pub(super) async fn with(file: &[u8], zone: Vec<String>) -> Option<Self> {
        for program in ["nft", "dnsmasq", "dig"] {
            tool(program)?;
        }
        let hosts = Hosts::new(&["switch", "device1", "device2", "world", "wire"])?;
        hosts.cable(("switch", "wan0"), ("world", "eth0"));
        for bridge in ["br-things", "br-clinic"] {
            hosts.set("switch", &format!("link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"));
            hosts.set("switch", &format!("link set {bridge} up"));
        }
        hosts.address("switch", "br-things", "192.168.30.1/24");
        hosts.address("switch", "br-things", "fd00:30::1/64");
        hosts.address("switch", "wan0", "10.99.0.1/24");
        hosts.address("world", "eth0", "10.99.0.2/24");
        hosts.set("switch", "route add 198.51.100.0/24 via 10.99.0.2");
        hosts.set("world", "route add 192.168.30.0/24 via 10.99.0.1");
        let forward = hosts.command("switch", "sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]).status();
        assert!(forward.unwrap().success());
        for last in [7, 8, 9, 20] {
            hosts.address("world", "lo", &format!("198.51.100.{last}/32"));
        }
        let bind = |host: &str, address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            hosts.inside(host, || UdpSocket::bind(address).unwrap())
        };
        for number in [1, 2] {
            let name = format!("device{number}");
            hosts.cable(("switch", &format!("lan{number}")), (&name, "eth0"));
            hosts.set(&name, &format!("link set eth0 address 02:00:00:00:00:0{number}"));
            hosts.address(&name, "eth0", &format!("192.168.30.{number}0/24"));
            hosts.address(&name, "eth0", &format!("fd00:30::{number}/64"));
            hosts.set(&name, "route add default via 192.168.30.1");
        }
        let folder = temp_dir();
        std::fs::write(folder.path().join("thing.json"), file).unwrap();
        let (seconds, start) = (Arc::new(AtomicU64::new(0)), Time::now());
        let at = seconds.clone();
        let mut world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
        world.clock = Clock::of(move || start + Duration::from_secs(at.load(Ordering::Relaxed)));
        let (enforcer, running) = run(&hosts, &folder, &world).await;
        // The service at port 53 is elsewhere than the resolver.
        let services = ["0.0.0.0:5000", "198.51.100.7:53", "0.0.0.0:853"].map(|address| bind("world", address));
        let devices = [bind("device1", "0.0.0.0:5000"), bind("device2", "0.0.0.0:5000")];
        let mut ground = Self { services, devices, resolver: None, folder, running, enforcer, world, seconds, hosts };
        ground.start(&zone);
        Some(ground)
    }

    /// Landfall ends, and starts again with what it has kept.
    pub(super) async fn restart(&mut self) {
        self.running.0.pull();
        (&mut self.running.1).await.unwrap().unwrap();
        (self.enforcer, self.running) = run(&self.hosts, &self.folder, &self.world).await;
    }

    /// The world's resolver: Debian's dnsmasq.
    fn start(&mut self, zone: &[String]) {
        let mut command = self.hosts.command("world", &tool("dnsmasq").unwrap().to_string_lossy());
        command.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--local-ttl=120"]);
        command.args([
            "--listen-address=10.99.0.2",
            "--bind-interfaces",
            "--user=root",
            "--pid-file",
            "--local=/example/",
        ]);
        command.args(zone);
        self.resolver = Some(Running::start(&mut command));
        let probe = self.hosts.inside("world", || UdpSocket::bind("10.99.0.2:0").unwrap());
        probe.connect("10.99.0.2:53").unwrap();
        probe.set_read_timeout(Some(SILENCE)).unwrap();
        let question = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x01x\x07example\0\0\x01\0\x01"].concat();
        let began = std::time::Instant::now();
        while probe.send(&question).is_err() || probe.recv(&mut [0; 512]).is_err() {
            assert!(began.elapsed() < PATIENCE, "dnsmasq does not answer");
        }
    }

    pub(super) async fn admit(&self, number: usize) {
        self.admit_at(number, plug(number)).await;
    }

    pub(super) async fn admit_at(&self, number: usize, plug: Plug) {
        let birth = Birth::IDevId { idevid: Fingerprint([7; 32]), birth_key: None, hardware_backed: false };
        let serial_number = format!("D-{number}").parse().unwrap();
        let identity = Identity { device: device(number), serial_number, vendor: None, model: None, birth };
        let record = DomainDevice { state: State::Connected, ..DomainDevice::seen(identity, Time::now()) };
        self.world.store.commit(Changes::new().put(&record).unwrap()).await.unwrap();
        let until = self.world.clock.now() + Duration::from_secs(1_000_000);
        self.enforcer.admit(&device(number), &plug, Some("30"), until).await.unwrap().unwrap();
    }

    /// What `dig` hears at the device: the code of the answer, and what it leads to.
    pub(super) async fn dig(&self, number: usize, words: &str) -> (String, Vec<String>) {
        let mut command = self.hosts.command(&format!("device{number}"), "dig");
        command.args(["+tries=1", "+time=15"]).args(words.split_whitespace());
        if !words.contains('@') {
            command.arg("@192.168.30.1");
        }
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        let code = said.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("none").to_owned();
        let records =
            said.lines().filter(|line| !line.starts_with(';')).filter_map(|line| line.split_whitespace().nth(4));
        (code, records.map(str::to_owned).collect())
    }

    /// Whether a datagram of the device arrives there: at port 5000, 53 or 853.
    pub(super) fn arrives(&self, from: usize, to: &str, service: usize, expected: bool) -> bool {
        static MARK: AtomicU64 = AtomicU64::new(0);
        let mark = MARK.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let to: SocketAddr = format!("{to}:{}", [5000, 53, 853][service]).parse().unwrap();
        let _ = self.devices[from - 1].send_to(&mark, to);
        let receiver = &self.services[service];
        receiver.set_read_timeout(Some(if expected { PATIENCE } else { SILENCE })).unwrap();
        let mut datagram = [0; 64];
        while let Ok((length, _)) = receiver.recv_from(&mut datagram) {
            if datagram[..length] == mark {
                return true;
            }
        }
        false
    }

    #[track_caller]
    fn reaches(&self, from: usize, to: &str, expected: bool) {
        assert_eq!(self.arrives(from, to, 0, expected), expected, "device {from} to {to}");
    }

    async fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
        self.enforcer.expire().await;
    }
}

fn told(code: &str, records: &[&str]) -> (String, Vec<String>) {
    (code.into(), records.iter().map(|record| (*record).to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_reaches_what_it_was_told_and_nobody_else_does() {
    let Some(ground) = Ground::new().await else { return };
    for number in [1, 2] {
        ground.admit(number).await;
    }
    ground.reaches(1, "198.51.100.7", false);
    // In its own letters, by datagram and by stream, over both versions of IP.
    assert_eq!(ground.dig(1, "CLOUD.thing.Example").await, told("NOERROR", &["198.51.100.7"]));
    ground.reaches(1, "198.51.100.7", true);
    ground.reaches(2, "198.51.100.7", false);
    assert_eq!(ground.dig(2, "+tcp cloud.thing.example @fd00:30::1").await, told("NOERROR", &["198.51.100.7"]));
    ground.reaches(2, "198.51.100.7", true);
    assert_eq!(ground.dig(1, "AAAA cloud.thing.example").await, told("NOERROR", &["2001:db8:7::7"]));
    assert_eq!(ground.dig(1, "TXT cloud.thing.example").await, told("NOERROR", &["\"words\""]));
    // Aliases lead where they lead.
    ground.reaches(1, "198.51.100.9", false);
    assert_eq!(ground.dig(1, "www.thing.example").await, told("NOERROR", &["edge.cdn.example.", "198.51.100.9"]));
    ground.reaches(1, "198.51.100.9", true);
    // More than a datagram holds is asked for by stream, and all of it counts.
    let (code, records) = ground.dig(1, "many.thing.example").await;
    assert_eq!((code.as_str(), records.len()), ("NOERROR", 50));
    // Hosts of the owner have the owner's addresses.
    ground.reaches(1, "198.51.100.20", true);
    assert_eq!(ground.dig(1, "owned.thing.example").await, told("NOERROR", &["198.51.100.20"]));
    assert!(!ground.enforcer.check().await.unwrap(), "the kernel has what was meant");
    // Who leaves takes it all with it, and has to ask anew.
    assert!(ground.enforcer.put_out(&device(1)).await);
    ground.reaches(1, "198.51.100.7", false);
    ground.admit(1).await;
    ground.reaches(1, "198.51.100.7", false);
    ground.reaches(2, "198.51.100.7", true);
    assert_eq!(ground.dig(1, "cloud.thing.example").await.0, "NOERROR");
    ground.reaches(1, "198.51.100.7", true);
    // Who only shows itself again keeps it.
    ground.admit(1).await;
    ground.reaches(1, "198.51.100.7", true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_for_a_device_it_is_not_told() {
    let Some(mut ground) = Ground::new().await else { return };
    ground.admit(1).await;
    for (words, code, why) in [
        ("elsewhere.example", "REFUSED", "not in its file"),
        ("evil.thing.example", "REFUSED", "a public name that leads to a host inside"),
        ("half.thing.example", "REFUSED", "one of several that does"),
        ("dns.google", "NXDOMAIN", "another resolver, though its file has it"),
        ("none.thing.example", "NXDOMAIN", "there is none"),
        ("ANY cloud.thing.example", "NOTIMP", "everything at once"),
        ("CH cloud.thing.example", "FORMERR", "another class"),
        ("+opcode=2 cloud.thing.example", "NOTIMP", "no question"),
    ] {
        assert_eq!(ground.dig(1, words).await, told(code, &[]), "{words}: {why}");
    }
    assert_eq!(ground.dig(1, "hub.home.arpa").await, told("NOERROR", &["192.168.30.77"]), "a host inside, by its name");
    assert_eq!(ground.dig(1, "HTTPS cloud.thing.example").await, told("NOERROR", &[]), "no addresses by the way");
    ground.reaches(1, "198.51.100.8", false);
    ground.reaches(1, "198.51.100.7", false);
    // Nobody else is to be asked, even where the file would have it.
    assert_eq!(ground.dig(1, "cloud.thing.example").await.0, "NOERROR");
    ground.reaches(1, "198.51.100.7", true);
    assert!(!ground.arrives(1, "198.51.100.7", 1, false), "another resolver");
    assert!(!ground.arrives(1, "198.51.100.7", 2, false), "DNS in TLS");
    // In quarantine only the owner's hosts have names, and a stranger hears nothing.
    assert!(ground.enforcer.relocate(&device(1), Some("99")).await);
    ground.hosts.set("switch", "address del 192.168.30.1/24 dev br-things");
    ground.hosts.address("switch", "br-clinic", "192.168.30.1/24");
    assert_eq!(ground.dig(1, "cloud.thing.example").await, told("REFUSED", &[]));
    assert_eq!(ground.dig(1, "owned.thing.example").await, told("NOERROR", &["198.51.100.20"]));
    // Without a resolver there is no answer, and it does not take for ever to say so.
    assert!(ground.enforcer.relocate(&device(1), Some("30")).await);
    ground.hosts.set("switch", "address del 192.168.30.1/24 dev br-clinic");
    ground.hosts.address("switch", "br-things", "192.168.30.1/24");
    drop(ground.resolver.take());
    assert_eq!(ground.dig(1, "www.thing.example").await, told("SERVFAIL", &[]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_goes_when_its_time_is_over_unless_it_is_in_use() {
    let Some(ground) = Ground::new().await else { return };
    ground.admit(1).await;
    for name in ["cloud.thing.example", "www.thing.example"] {
        assert_eq!(ground.dig(1, name).await.0, "NOERROR");
    }
    ground.reaches(1, "198.51.100.7", true);
    ground.pass(140).await;
    ground.reaches(1, "198.51.100.7", true);
    // 120 seconds of life and 30 of grace are over: one was used, and the other never.
    ground.pass(20).await;
    ground.reaches(1, "198.51.100.7", true);
    ground.reaches(1, "198.51.100.9", false);
    ground.pass(1801).await;
    ground.reaches(1, "198.51.100.7", true);
    // Nothing was sent since it was last looked at.
    ground.pass(1801).await;
    ground.pass(1801).await;
    ground.reaches(1, "198.51.100.7", false);
    // What is asked for again stays, without a gap.
    assert_eq!(ground.dig(1, "cloud.thing.example").await.0, "NOERROR");
    ground.pass(140).await;
    assert_eq!(ground.dig(1, "cloud.thing.example").await.0, "NOERROR");
    ground.pass(140).await;
    ground.reaches(1, "198.51.100.7", true);
    assert!(!ground.enforcer.check().await.unwrap(), "the kernel has what was meant");
}

/// Two devices with one address, and one that moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_the_address_of_another() {
    let Some(ground) = Ground::new().await else { return };
    for number in [1, 2] {
        ground.admit(number).await;
    }
    let until = ground.world.clock.now() + Duration::from_secs(60);
    let twin = Plug { names: vec!["lan2".into()], ..plug(1) };
    let refusal = ground.enforcer.admit(&device(2), &twin, Some("30"), until).await.unwrap_err();
    assert_eq!(refusal.check, "segment-address");
    assert_eq!(ground.dig(1, "cloud.thing.example").await.0, "NOERROR");
    ground.reaches(1, "198.51.100.7", true);
    // Its frames from the other port are nobody's.
    ground.hosts.set("device2", "link set eth0 address 02:00:00:00:00:01");
    ground.reaches(2, "198.51.100.7", false);
    // The device itself may be plugged in elsewhere: then it is there, and no more where it was.
    ground.enforcer.put_out(&device(2)).await;
    ground.enforcer.admit(&device(1), &twin, Some("30"), until).await.unwrap().unwrap();
    let ports = ground.enforcer.view().await.ports;
    assert_eq!((ports[0].device.as_deref(), ports[1].device.as_deref()), (None, Some("D-1")));
}

/// What a device was told holds over a restart, for as long as it would have held, and for nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_device_was_told_is_kept_over_a_restart() {
    let Some(mut ground) = Ground::new().await else { return };
    for number in [1, 2] {
        ground.admit(number).await;
    }
    for name in ["cloud.thing.example", "www.thing.example"] {
        assert_eq!(ground.dig(1, name).await.0, "NOERROR");
    }
    ground.restart().await;
    ground.reaches(1, "198.51.100.7", true);
    ground.reaches(2, "198.51.100.7", false);
    // One is in use when its time is over, and stays, also over another restart; the other goes.
    ground.pass(160).await;
    ground.reaches(1, "198.51.100.9", false);
    ground.restart().await;
    ground.reaches(1, "198.51.100.7", true);
    ground.reaches(1, "198.51.100.9", false);
    assert_eq!(ground.dig(1, "www.thing.example").await.0, "NOERROR");
    ground.restart().await;
    ground.reaches(1, "198.51.100.9", true);
    // Who was put out has been told nothing when it comes again, and neither has who comes in its place.
    ground.enforcer.put_out(&device(1)).await;
    ground.restart().await;
    ground.admit(1).await;
    ground.reaches(1, "198.51.100.7", false);
    assert!(!ground.enforcer.check().await.unwrap(), "the kernel has what was meant");
}

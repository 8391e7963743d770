//! What is on the wire behind the enforcer before a device is let in, and after it was put out, as tcpdump sees it there.

use landfall_element::MemoryElement;
use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity},
};
use landfall_mud::{Direction, Packet, capture::Frames, packet::Ip};
use landfall_server::{
    Settings, World,
    enforcer::{Config, Plug},
};
use landfall_store::Store;
use landfall_testkit::{Hosts, temp_dir, tool};
use landfall_types::{Changes, DeviceId, Fingerprint, Time};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{IpAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const LAMP: &str = include_str!("../../../../../fuzz/corpus/mud-file/good-plain");
const PATIENCE: Duration = Duration::from_secs(20);
const MAC: &str = "02:00:00:00:00:01";
const SETTINGS: &str = r#"
[enforcer]
namespace = "NAMESPACE"
[[enforcer.segment]]
name = "things"
kind = "production"
vlan = "30"
[[enforcer.port]]
interface = "lan1"
[[enforcer.intent]]
file = "FOLDER/lamp.json"
[enforcer.members]
local-networks = ["10.9.0.0/24"]
"#;
/// The lamp's file permits one of these, within the local networks.
const PERMITTED: u16 = 5683;
const OTHER: u16 = 5000;
/// What every device may say that is inside (RFC 4861, RFC 3810).
const NEIGHBOURS: [u8; 6] = [133, 135, 136, 131, 132, 143];

/// What the world says when the device is about to be let in: nothing of it stands in the capture before this.
const NOW: &[u8] = b"now it may come in";
/// And at the end: what came before is written down when this is.
const LAST: &[u8] = b"this is all";

/// tcpdump at work; what it says at the end is read.
struct Capture(Child);

impl Capture {
    fn begin(hosts: &Hosts, file: &str) -> Self {
        let mut tcpdump = hosts.command("world", &tool("tcpdump").unwrap().to_string_lossy());
        tcpdump.args(["-Z", "root", "-n", "-U", "--immediate-mode", "-s", "2048", "-B", "65536"]);
        tcpdump.args(["-i", "eth0", "-w", file]);
        tcpdump.args(["ether", "src", MAC, "or", "udp", "dst", "port", "9"]).stderr(Stdio::piped());
        let mut tcpdump = tcpdump.spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(tcpdump.stderr.as_mut().unwrap());
        while !said.contains("listening on") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
        }
        Self(tcpdump)
    }

    fn end(mut self, hosts: &Hosts, file: &Path) -> Vec<u8> {
        mark(hosts, LAST);
        while !fs::read(file).unwrap().windows(LAST.len()).any(|window| window == LAST) {
            std::thread::yield_now();
        }
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.wait().unwrap();
        assert!(said.contains("\n0 packets dropped by kernel"), "{said}");
        fs::read(file).unwrap()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has the world say something that the capture has in its place.
fn mark(hosts: &Hosts, words: &[u8]) {
    let world = hosts.inside("world", || UdpSocket::bind("0.0.0.0:0").unwrap());
    world.set_broadcast(true).unwrap();
    world.send_to(words, "10.9.0.255:9").unwrap();
}

/// The number that stands in a datagram of UDP over IPv4.
fn number(frame: &[u8]) -> Option<u64> {
    frame.get(42..)?.first_chunk().map(|octets| u64::from_be_bytes(*octets))
}

/// SP 1800-36B 7.2: a device talks without end, from before anything runs until after it was put out. On the far side there is what its
/// file permits, from when it was inside, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_behind_the_enforcer_has_nothing_of_a_device_that_is_not_inside() {
    if tool("nft").is_none() || tool("tcpdump").is_none() {
        return;
    }
    let Some(hosts) = Hosts::new(&["switch", "device", "world"]) else { return };
    hosts.set("switch", "link add br-things type bridge stp_state 0 forward_delay 0");
    hosts.set("switch", "link set br-things up");
    hosts.cable(("switch", "uplink"), ("world", "eth0"));
    hosts.set("switch", "link set uplink master br-things");
    hosts.set("world", "link set eth0 address 02:00:00:00:00:fe");
    hosts.address("world", "eth0", "10.9.0.254/24");
    let folder = temp_dir();
    let file = folder.path().join("far.pcap");
    let capture = Capture::begin(&hosts, &file.to_string_lossy());
    hosts.cable(("switch", "lan1"), ("device", "eth0"));
    hosts.set("device", &format!("link set eth0 address {MAC}"));
    hosts.address("device", "eth0", "10.9.0.1/24");
    // What waits for a neighbour would be sent later than it was said.
    hosts.set("device", "neighbour replace 10.9.0.254 lladdr 02:00:00:00:00:fe dev eth0 nud permanent");

    let bind = |host: &str, port: u16| hosts.inside(host, || UdpSocket::bind(("0.0.0.0", port)).unwrap());
    let services = [PERMITTED, OTHER].map(|port| bind("world", port));
    let (device, seeking) = (bind("device", 0), bind("device", 0));
    seeking.set_nonblocking(true).unwrap();
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let talk = std::thread::spawn({
        let (sent, stop) = (sent.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                let number = sent.fetch_add(1, Ordering::SeqCst).to_be_bytes();
                for port in [PERMITTED, OTHER] {
                    let _ = device.send_to(&number, ("10.9.0.254", port));
                }
                // Whoever has no address that it knows is asked for by ARP.
                let _ = seeking.send_to(&number, ("10.9.0.77", PERMITTED));
            }
        }
    });
    let more = |count: u64| {
        let wanted = sent.load(Ordering::SeqCst) + count;
        while sent.load(Ordering::SeqCst) < wanted {
            std::thread::yield_now();
        }
    };
    more(200);

    fs::write(folder.path().join("lamp.json"), LAMP).unwrap();
    let text = SETTINGS.replace("NAMESPACE", &hosts.namespace("switch"));
    let settings = Settings::parse(&text.replace("FOLDER", &folder.path().to_string_lossy())).unwrap();
    let world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
    let id: DeviceId = "aa.lamp".parse().unwrap();
    let birth = Birth::IDevId { idevid: Fingerprint([7; 32]), birth_key: None, hardware_backed: false };
    let identity =
        Identity { device: id.clone(), serial_number: "lamp".parse().unwrap(), vendor: None, model: None, birth };
    let record = DomainDevice { state: State::Connected, ..DomainDevice::seen(identity, Time::now()) };
    world.store.commit(Changes::new().put(&record).unwrap()).await.unwrap();
    let (_trigger, shutdown) = landfall_server::shutdown();
    let config = Config::from_settings(settings.enforcer.as_ref().unwrap(), &settings).unwrap();
    let (_task, enforcer) = config.build(world, shutdown).await.unwrap();
    more(200);
    let asked = hosts.command("device", "ip").args(["neighbour", "show", "10.9.0.77"]).output().unwrap();
    assert!(!asked.stdout.is_empty(), "the device asks for a neighbour");
    mark(&hosts, NOW);
    let first = sent.load(Ordering::SeqCst) - 1;
    let plug = Plug { names: vec!["lan1".into()], mac: Some(MAC.parse().unwrap()), session: None };
    let until = Time::now() + Duration::from_secs(3600);
    enforcer.admit(&id, &plug, Some("30"), until).await.unwrap().unwrap();
    services[0].set_read_timeout(Some(PATIENCE)).unwrap();
    services[0].recv(&mut [0; 64]).expect("what is permitted arrives");
    more(200);
    assert!(enforcer.put_out(&id).await);
    let last = sent.load(Ordering::SeqCst);
    more(200);
    stop.store(true, Ordering::Relaxed);
    talk.join().unwrap();
    let seen = capture.end(&hosts, &file);
    let (mut permitted, mut is_inside) = (0, false);
    for frame in Frames::of(&seen).unwrap() {
        let frame = frame.unwrap();
        let packet = Packet::read(Direction::FromDevice, frame).unwrap();
        is_inside |= frame.windows(NOW.len()).any(|window| window == NOW);
        if packet.source.to_string() != MAC {
            continue;
        }
        assert!(is_inside, "it was not let in yet, whatever this is: {packet:?}");
        match &packet.ip {
            None => assert_eq!(packet.ether_type, 0x0806, "{packet:?}"),
            Some(Ip { icmp: Some((kind, _)), source: IpAddr::V6(_), .. }) => assert!(NEIGHBOURS.contains(kind)),
            Some(Ip { ports: Some((_, PERMITTED)), .. }) => {
                let number = number(frame).unwrap();
                assert!((first..=last).contains(&number), "{number} is not of {first} to {last}");
                permitted += 1;
            }
            Some(_) => panic!("{packet:?}"),
        }
    }
    assert!(permitted > 0);
}

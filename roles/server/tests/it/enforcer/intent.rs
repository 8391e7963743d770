//! What manufacturers say, as a real kernel takes it: its rules, and real frames through a real bridge.

use super::names::Ground as Ask;
use landfall_mud::{
    Class, Context, Direction, Members, Packet, Policy,
    judge::Judge,
    packet::{Ip, Mac as Address, Prefix},
};
use landfall_nft::{Change, Interface, Kernel, Seat};
use landfall_pki::{Algorithm, CertificateSerial, Name, SoftwareKey, Validity, profile};
use landfall_server::{
    Settings,
    enforcer::{
        Plug,
        picture::{Occupant, Picture, Segment},
        plan::{self, Contents, FAMILIES, Loaded, TABLE},
    },
    settings::SegmentKind,
};
use landfall_testkit::{Hosts, Issuer, shared, temp_dir, tool};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

#[path = "../../../../../protocols/mud/tests/it/traffic.rs"]
mod traffic;

const LAMP: &str = include_str!("../../../../../fuzz/corpus/mud-file/good-plain");

fn port(number: usize) -> Interface {
    format!("lan{number}").parse().unwrap()
}

fn files() -> BTreeMap<String, Vec<u8>> {
    let folder = shared("vectors/mud/unsw").map(|folder| fs::read_dir(folder).unwrap());
    let paths = folder.into_iter().flatten().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let read =
        |path: std::path::PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    paths.map(read).chain([("lamp".into(), LAMP.as_bytes().to_vec())]).collect()
}

fn policy(bytes: &[u8]) -> Policy {
    Policy::of(&landfall_mud::read(bytes).unwrap().0)
}

/// A segment with a device of each kind behind a port of its own; every name has addresses, every group members.
fn picture(policies: Vec<Policy>, lateral: bool) -> Picture {
    let segment = Segment {
        name: "things".into(),
        kind: SegmentKind::Production,
        bridge: "br-things".parse().unwrap(),
        vid: None,
        vlan: Some("30".into()),
        lateral,
        reach: Vec::new(),
    };
    let mut picture = Picture { segments: vec![segment], known: Context::new(), ..Picture::default() };
    for (number, policy) in policies.into_iter().enumerate() {
        for (index, class) in policy.classes().into_iter().enumerate() {
            let prefix = |text: String| text.parse::<Prefix>().unwrap();
            match class {
                Class::Name(name) => {
                    let addresses = [format!("198.51.{number}.{index}"), format!("2001:db8:{number}::{index}")];
                    let addresses = addresses.map(|text| text.parse::<IpAddr>().unwrap());
                    picture.names.insert((port(number), name.clone()), addresses.into());
                }
                Class::LocalNetworks => {
                    let all = ["192.168.0.0/16", "192.168.1.0/24", "fd00::/8"].map(|text| prefix(text.into()));
                    picture.known.add(class.clone(), Members::of(all));
                }
                Class::Controller(_) | Class::ControllerOf(_) => {
                    let all = [format!("203.0.113.{index}/32"), format!("2001:db8:ffff:{index}::/64")].map(prefix);
                    picture.known.add(class.clone(), Members::of(all));
                }
                _ => {}
            }
        }
        let mac = format!("02:00:00:00:00:{:02x}", number + 7).parse().unwrap();
        picture.occupants.insert(port(number), Occupant { mac, segment: 0, intent: Some(number) });
        picture.ports.insert(port(number));
        picture.intents.push(Arc::new(policy));
    }
    picture
}

async fn loaded(kernel: &Kernel) -> Loaded {
    let mut listed = Vec::new();
    for family in FAMILIES {
        listed.extend(kernel.table(family, TABLE).await.unwrap().unwrap());
    }
    Loaded::read(&listed).unwrap()
}

#[tokio::test]
async fn a_kernel_takes_all_files_at_once_and_tells_them_as_they_were_meant() {
    let Some(_) = tool("nft") else { return };
    let Some(hosts) = Hosts::new(&["switch"]) else { return };
    let kernel = Kernel::new(Some(&hosts.namespace("switch"))).unwrap();
    let picture = picture(files().values().map(|bytes| policy(bytes)).collect(), false);
    kernel.apply(&plan::whole(&picture, 1)).await.unwrap();
    let first = loaded(&kernel).await;
    assert_eq!((first.generation, &first.contents), (Some(1), &Contents::of(&picture)));

    // One is told other addresses, one leaves, one is shut: elements come and go, and rules stay.
    let mut next = picture.clone();
    next.names.values_mut().next().unwrap().insert("198.51.100.99".parse().unwrap());
    next.occupants.pop_last();
    next.shut.insert(port(0));
    let (before, after) = (Contents::of(&picture), Contents::of(&next));
    assert_ne!(before, after);
    kernel.apply(&plan::change(&before, &after, (1, 2))).await.unwrap();
    let second = loaded(&kernel).await;
    assert_eq!((second.generation, second.contents), (Some(2), after));
    assert_eq!(second.frame, first.frame);
}

/// A manufacturer's word opens nothing that the owner has shut.
#[test]
fn in_quarantine_only_the_owners_word_counts() {
    let mut picture = picture(vec![policy(LAMP.as_bytes())], true);
    let leads = |picture: &Picture| {
        plan::whole(picture, 1).iter().any(|command| {
            command.pointer("/add/element/elem").is_some_and(|elements| elements.to_string().contains("-mud-0"))
        })
    };
    assert!(leads(&picture));
    picture.segments[0].kind = SegmentKind::Quarantine;
    assert!(!leads(&picture));
    picture.segments[0].kind = SegmentKind::Production;
    picture.occupants.values_mut().for_each(|occupant| occupant.intent = Some(7));
    assert!(!leads(&picture));
}

/// A device on a port, and the world on another that nobody guards.
struct Ground {
    hosts: Hosts,
    kernel: Kernel,
}

impl Ground {
    async fn new() -> Option<Self> {
        tool("nft")?;
        tool("python3")?;
        let hosts = Hosts::new(&["switch", "device", "world"])?;
        let kernel = Kernel::new(Some(&hosts.namespace("switch"))).unwrap();
        let bridge: Interface = "br-things".parse().unwrap();
        hosts.cable(("switch", "lan0"), ("device", "eth0"));
        hosts.cable(("switch", "uplink"), ("world", "eth0"));
        let up = "uplink".parse().unwrap();
        let changes = [
            Change::Bridge(bridge.clone()),
            Change::Port { port: port(0), seat: Seat { bridge: bridge.clone(), vlan: None } },
            Change::Port { port: up, seat: Seat { bridge, vlan: None } },
        ];
        kernel.change(&changes).await.unwrap();
        // Every frame goes everywhere: what is missing was dropped by a rule.
        hosts.set("switch", "link set br-things type bridge mcast_snooping 0");
        for port in ["lan0", "uplink"] {
            hosts.set("switch", &format!("link set {port} type bridge_slave learning off"));
        }
        Some(Self { hosts, kernel })
    }

    /// Sends frames from either side; which of them came out on the other.
    fn send(&self, frames: &[(bool, Vec<u8>)]) -> Vec<bool> {
        send([self.hosts.namespace("device"), self.hosts.namespace("world")], frames)
    }
}

/// The same between these namespaces.
fn send(sides: [String; 2], frames: &[(bool, Vec<u8>)]) -> Vec<bool> {
    let mut python = Command::new("python3")
        .args(["-c", SENDER])
        .args(sides)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let frames: Vec<Value> = frames.iter().map(|(is_from, frame)| json!([is_from, hex::encode(frame)])).collect();
    python.stdin.take().unwrap().write_all(json!(frames).to_string().as_bytes()).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success());
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Each frame ends with its number; ARP, which is never dropped, says that no more of a round will come.
const SENDER: &str = r#"
import ctypes, json, os, socket, sys
libc = ctypes.CDLL(None)
def side(name):
    with open("/run/netns/" + name) as namespace:
        if libc.setns(namespace.fileno(), 0x40000000) != 0:
            raise OSError("setns")
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
    s.bind(("eth0", 0))
    s.settimeout(20)
    return s
device, world = side(sys.argv[1]), side(sys.argv[2])
frames = json.load(sys.stdin)
came = [False] * len(frames)
MAGIC = b"LANDFALL"
def end(is_from, n):
    mac = "020000000007" if is_from else "0200000000fe"
    return bytes.fromhex("ffffffffffff" + mac + "0806") + bytes(40) + MAGIC + (0x80000000 | n).to_bytes(4, "big")
def flush(is_from, n):
    out, into = (device, world) if is_from else (world, device)
    out.send(end(is_from, n))
    while True:
        data, address = into.recvfrom(65535)
        if address[2] == 4 or MAGIC not in data:
            continue
        number = int.from_bytes(data[data.rindex(MAGIC) + 8:][:4], "big")
        if number == 0x80000000 | n:
            return
        came[number] = True
for wanted in (True, False):
    for n, (is_from, frame) in enumerate(frames):
        if is_from == wanted:
            (device if is_from else world).send(bytes.fromhex(frame) + MAGIC + n.to_bytes(4, "big"))
            if n % 32 == 31:
                flush(is_from, n)
    flush(wanted, len(frames))
print(json.dumps(came))
"#;

/// The octets of a packet; at checksums above IP no bridge looks.
fn frame(packet: &Packet) -> Option<Vec<u8>> {
    let mut frame = [packet.destination.0, packet.source.0].concat();
    let is_group = |address: Address| address.0[0] & 1 == 1;
    let is_for_the_port = packet.destination.0.starts_with(&[1, 0x80, 0xc2, 0, 0]);
    // A tag or a length is something else than a type; a group sends nothing; and what is for the port no bridge carries on.
    if packet.ether_type < 1536
        || [0x8100, 0x88a8].contains(&packet.ether_type)
        || is_group(packet.source)
        || is_for_the_port
    {
        return None;
    }
    frame.extend(packet.ether_type.to_be_bytes());
    let Some(ip) = &packet.ip else {
        return (![0x0800, 0x86dd].contains(&packet.ether_type)).then(|| [frame, vec![0; 46]].concat());
    };
    let inside = inside(ip, packet.direction);
    let length = u16::try_from(inside.len() + 12).unwrap();
    match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0];
            header.extend((length + 20).to_be_bytes());
            header.extend([0, 1, 0, 0, 64, ip.protocol, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            // RFC 791 s3.1: one whose checksum is wrong does not come far.
            let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
            let sum = (0..2).fold(words.sum::<u32>(), |sum, _| (sum & 0xffff) + (sum >> 16));
            header.splice(10..12, (!u16::try_from(sum).unwrap()).to_be_bytes());
            frame.extend(header);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            // Numbers of extension headers would be followed into what is none.
            if [0, 43, 44, 51, 59, 60].contains(&ip.protocol) {
                return None;
            }
            frame.extend([0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([ip.protocol, 64]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        _ => return None,
    }
    frame.extend(inside);
    Some(frame)
}

fn inside(ip: &Ip, direction: Direction) -> Vec<u8> {
    let ports = ip.ports.map(|(source, destination)| [source.to_be_bytes(), destination.to_be_bytes()].concat());
    match ip.protocol {
        6 => {
            let flags = if ip.begun == Some(direction) { 0x02 } else { 0x12 };
            [ports.unwrap(), vec![0; 8], vec![0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat()
        }
        17 => [ports.unwrap(), vec![0, 20, 0, 0]].concat(),
        1 | 58 => {
            let (kind, code) = ip.icmp.unwrap();
            vec![kind, code, 0, 0, 0, 0, 0, 0]
        }
        _ => vec![0; 8],
    }
}

/// What every device may say and hear that has an address.
fn belongs(packet: &Packet) -> bool {
    let is_from = packet.direction == Direction::FromDevice;
    let Some(ip) = &packet.ip else { return packet.ether_type == 0x0806 };
    let neighbours: [&[u8]; 2] = [&[133, 135, 136, 131, 132, 143], &[134, 135, 136, 130, 137]];
    let is_neighbour = ip.source.is_ipv6()
        && ip.protocol == 58
        && ip.icmp.is_some_and(|(kind, _)| neighbours[usize::from(!is_from)].contains(&kind));
    let is_dhcp = ip.protocol == 17
        && ip.ports.is_some_and(|(source, destination)| {
            let (device, server) = if is_from { (source, destination) } else { (destination, source) };
            [68, 546].contains(&device) && [67, 547].contains(&server)
        });
    is_neighbour || is_dhcp
}

/// The same groups as the picture has, for the judge.
fn context(picture: &Picture, policy: &Policy) -> Context {
    let mut context = picture.known.clone();
    for ((_, name), addresses) in &picture.names {
        context.add(Class::Name(name.clone()), Members::of(addresses.iter().copied().map(Prefix::host)));
    }
    let itself = Members { networks: Vec::new(), interfaces: vec![traffic::DEVICE] };
    context.device(&policy.url, &itself);
    context
}

/// SP 1800-36B 7.2: for every file packets that it means and packets that it does not, both ways, through the kernel; what becomes of
/// each is what the file says by a reading of its own.
#[tokio::test]
async fn what_becomes_of_real_frames_is_what_the_file_says() {
    let Some(ground) = Ground::new().await else { return };
    let mut all = (0, 0);
    for (name, bytes) in files() {
        let policy = policy(&bytes);
        let judge = Judge::new(&bytes).unwrap();
        let picture = picture(vec![policy.clone()], true);
        ground.kernel.apply(&plan::whole(&picture, 1)).await.unwrap();
        let context = context(&picture, &policy);
        let packets = traffic::packets(&policy, &context, 36);
        let packets: Vec<(Packet, Vec<u8>)> =
            packets.into_iter().filter_map(|packet| frame(&packet).map(|frame| (packet, frame))).collect();
        let frames: Vec<(bool, Vec<u8>)> =
            packets.iter().map(|(packet, frame)| (packet.direction == Direction::FromDevice, frame.clone())).collect();
        let came = ground.send(&frames);
        let mut mismatches = Vec::new();
        for ((packet, _), came) in packets.iter().zip(came) {
            // Its address is its own: nobody else's frames have it, and its frames have no other.
            let is_its_own = (packet.direction == Direction::FromDevice) == (packet.source == traffic::DEVICE);
            let meant = is_its_own && (belongs(packet) || judge.allows(packet, &context));
            if came != meant {
                let rule = policy.decides(packet, &context).map(|rule| rule.name.clone());
                mismatches.push(format!("came {came}, meant {meant} by {rule:?}: {packet:?}"));
            }
            if came { all.0 += 1 } else { all.1 += 1 }
        }
        assert!(
            mismatches.is_empty(),
            "{name}: {} of {}:\n{}",
            mismatches.len(),
            packets.len(),
            mismatches[..mismatches.len().min(8)].join("\n")
        );
    }
    assert!(all.0 > 100 && all.1 > 100, "{all:?}");
}

/// Devices of one kind share rules, and what one of them was told opens nothing to another.
#[test]
fn a_thousand_devices_more_are_elements_and_no_rules() {
    let lamp = picture(vec![policy(LAMP.as_bytes())], true);
    let mut many = lamp.clone();
    for number in 1..1000 {
        let mac = format!("02:00:00:00:{:02x}:{:02x}", number / 256 + 1, number % 256).parse().unwrap();
        many.ports.insert(port(number));
        many.occupants.insert(port(number), Occupant { mac, segment: 0, intent: Some(0) });
    }
    let rules =
        |picture: &Picture| plan::whole(picture, 1).iter().filter(|one| one.pointer("/add/rule").is_some()).count();
    assert_eq!(rules(&lamp), rules(&many));
    let (one, two) = (Contents::of(&lamp), Contents::of(&many));
    let added = plan::change(&one, &two, (1, 2));
    let names = added.iter().filter_map(|one| one.pointer("/add/element/name").and_then(Value::as_str));
    assert!(!{ names }.any(|name| name.starts_with("name-")));
}

/// What a kernel takes grows with what a file says, not with how many ports it names.
#[test]
fn ports_that_are_permitted_the_same_share_a_chain() {
    let file = |hosts: usize, ports: usize| {
        let entry = |number: usize| {
            let there = json!({ "protocol": 17, "destination-ipv4-network": format!("192.0.2.{}/32", number % hosts) });
            let port = json!({ "destination-port": { "operator": "eq", "port": 1000 + number } });
            json!({ "name": format!("entry-{number}"), "matches": { "ipv4": there, "udp": port },
                    "actions": { "forwarding": "accept" } })
        };
        let mut file: Value = serde_json::from_str(LAMP).unwrap();
        file["ietf-access-control-list:acls"]["acl"][0]["aces"]["ace"] = (0..ports).map(entry).collect();
        policy(file.to_string().as_bytes())
    };
    let chains = |hosts, ports| {
        let commands = plan::whole(&picture(vec![file(hosts, ports)], false), 1);
        commands.iter().filter(|command| command.pointer("/add/chain").is_some()).count()
    };
    assert_eq!(chains(1, 50), chains(1, 2));
    assert_eq!(chains(7, 50), chains(1, 2) + 6);
}

/// What is wrong with settings that have this file, signed by a maker of its own; `change` alters one thing.
fn problems(change: impl Fn(&Path, &mut String)) -> Vec<String> {
    let folder = temp_dir();
    let maker = Issuer::root("Lamps Root CA");
    let key = Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap());
    let top = maker.authority.certificate.clone();
    let validity = Validity { not_before: top.not_before(), not_after: top.not_after() };
    let signer = maker.certify(key, |issuer, key| {
        let subject = Name::common("Lamps MUD");
        profile::ManifestSigner { subject }.prepare(issuer, key, CertificateSerial::random().unwrap(), validity)
    });
    let at = top.not_before() + std::time::Duration::from_secs(3600);
    let signature = landfall_mud::signature::sign(LAMP.as_bytes(), &signer.chain(), &*signer.key, at).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("lamp.json", LAMP.as_bytes());
    write("lamp.p7s", &signature);
    write("lamps.pem", top.to_pem().as_bytes());
    write("other.pem", Issuer::root("Other Root CA").authority.certificate.to_pem().as_bytes());
    let mut text = r#"
data = "."
[enforcer]
[[enforcer.segment]]
name = "things"
kind = "production"
vlan = "30"
[[enforcer.port]]
interface = "lan0"
[[enforcer.intent]]
models = ["lamp"]
file = "lamp.json"
signature = "lamp.p7s"
anchors = ["lamps.pem"]
signer = "CN=Lamps MUD"
[enforcer.members]
local-networks = ["10.0.0.0/8"]
"cloud.lamp.example" = ["198.51.100.7"]
"#
    .to_owned();
    change(folder.path(), &mut text);
    let path = folder.path().join("landfall.toml");
    fs::write(&path, text).unwrap();
    let problems = landfall_server::settings::check(&Settings::load(&path).unwrap());
    problems
        .iter()
        .filter(|one| one.key.contains("intent") || one.key.contains("members"))
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_file_counts_for_its_devices_if_it_is_signed_as_it_should_be() {
    assert_eq!(problems(|_, _| ()), [""; 0]);
    let one = |change: &dyn Fn(&Path, &mut String)| {
        let found = problems(change);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let text = |from: &'static str, to: &'static str| move |_: &Path, text: &mut String| *text = text.replace(from, to);
    let bytes = |folder: &Path, _: &mut String| {
        let lamp = fs::read_to_string(folder.join("lamp.json")).unwrap();
        fs::write(folder.join("lamp.json"), lamp.replace("443", "444")).unwrap();
    };
    assert!(one(&bytes).starts_with("enforcer.intent[0].signature: mud-signature:"));
    assert!(one(&text("lamps.pem", "other.pem")).starts_with("enforcer.intent[0].signature: mud-signer-path:"));
    assert!(one(&text("CN=Lamps MUD", "CN=Lamps vouchers")).starts_with("enforcer.intent[0].signature: mud-signer:"));
    assert!(one(&text("signature = \"lamp.p7s\"\n", "")).starts_with("enforcer.intent[0].signature: is missing"));
    assert!(one(&text("anchors = [\"lamps.pem\"]\n", "")).starts_with("enforcer.intent[0].anchors: are missing"));
    assert!(one(&text("lamp.p7s", "lamp.json")).starts_with("enforcer.intent[0].signature: mud-signature-form:"));
    assert!(one(&text("file = \"lamp.json\"", "file = \"lamp.jsn\"")).starts_with("enforcer.intent[0].file:"));
    assert!(one(&text("198.51.100.7", "198.51.100.0/24")).contains("is a name"));
    assert_eq!(
        problems(text("signature = \"lamp.p7s\"\nanchors = [\"lamps.pem\"]\n", "")),
        [""; 0],
        "the owner's own word"
    );
}

/// The same for the file that has the most names, each of which the device itself resolves: Landfall's resolver asks Debian's dnsmasq, and what
/// it tells is what real frames meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_a_real_file_lead_where_the_device_was_told() {
    if tool("python3").is_none() {
        return;
    }
    let names_of = |policy: &Policy| -> Vec<String> {
        let classes = policy.classes().into_iter();
        classes.filter_map(|class| if let Class::Name(name) = class { Some(name.clone()) } else { None }).collect()
    };
    let most = files().into_values().max_by_key(|bytes| names_of(&policy(bytes)).len()).unwrap();
    let (policy, judge) = (policy(&most), Judge::new(&most).unwrap());
    let mut context = Context::new();
    let own = ["192.168.30.1", "fd00:30::1"].map(|text| Prefix::host(text.parse().unwrap()));
    context.add(Class::Controller(landfall_mud::policy::DNS.into()), Members::of(own));
    let (names, mut zone) = (names_of(&policy), Vec::new());
    for (index, name) in names.iter().enumerate() {
        let addresses = [format!("203.0.113.{}", index + 1), format!("2001:db8:1::{:x}", index + 1)];
        zone.push(format!("--host-record={name},{},{}", addresses[0], addresses[1]));
        let members = Members::of(addresses.map(|text| Prefix::host(text.parse().unwrap())));
        context.add(Class::Name(name.clone()), members);
    }
    let itself = Members { networks: Vec::new(), interfaces: vec![traffic::DEVICE] };
    context.device(&policy.url, &itself);
    let Some(ground) = Ask::with(&most, zone).await else { return };
    ground.hosts.set("device1", &format!("link set eth0 address {}", traffic::DEVICE));
    ground.hosts.cable(("switch", "uplink"), ("wire", "eth0"));
    ground.hosts.set("switch", "link set uplink master br-things");
    let mac = Some(traffic::DEVICE.to_string().parse().unwrap());
    ground.admit_at(1, Plug { names: vec!["lan1".into()], mac, session: None }).await;
    for name in &names {
        for kind in ["A", "AAAA"] {
            let (code, told) = ground.dig(1, &format!("{kind} {name}")).await;
            assert_eq!((code.as_str(), told.len()), ("NOERROR", 1), "{kind} {name}");
        }
    }
    assert!(!ground.enforcer.check().await.unwrap(), "the kernel has what was meant");
    for port in ["lan1", "uplink"] {
        ground.hosts.set("switch", &format!("link set {port} type bridge_slave learning off"));
        ground.hosts.set("switch", &format!("link set {port} type bridge_slave fdb_flush"));
    }
    let packets = traffic::packets(&policy, &context, 37);
    let packets: Vec<(Packet, Vec<u8>)> =
        packets.into_iter().filter_map(|packet| frame(&packet).map(|frame| (packet, frame))).collect();
    let frames: Vec<(bool, Vec<u8>)> =
        packets.iter().map(|(packet, frame)| (packet.direction == Direction::FromDevice, frame.clone())).collect();
    let came = send([ground.hosts.namespace("device1"), ground.hosts.namespace("wire")], &frames);
    let mut counts = [[0; 2]; 2];
    for ((packet, _), came) in packets.iter().zip(came) {
        let is_from = packet.direction == Direction::FromDevice;
        let is_its_own = is_from == (packet.source == traffic::DEVICE);
        let asks = packet.ip.as_ref().filter(|ip| is_from && ip.ports.is_some()).is_some_and(|ip| {
            let port = ip.ports.unwrap().1;
            port == 853 || (port == 53 && !own.iter().any(|own| own.has(ip.destination)))
        });
        let meant = is_its_own && !asks && (belongs(packet) || judge.allows(packet, &context));
        assert_eq!(came, meant, "{packet:?}");
        counts[usize::from(is_from)][usize::from(came)] += 1;
    }
    assert!(counts.as_flattened().iter().all(|count| *count > 20), "{counts:?}");
}

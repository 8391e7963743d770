//! Drafts from captures: what was seen is permitted, and what was not is not.

use landfall_mud::{
    Direction, Packet, Policy,
    capture::Frames,
    draft::Draft,
    judge::Judge,
    learn::{Learnt, learn},
    packet::{Ip, Mac},
    read,
};
use landfall_testkit::{temp_dir, tool};
use std::{fs, net::IpAddr, process::Command};

const LAMP: Mac = Mac([2, 0, 0, 0, 0, 7]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn draft() -> Draft {
    Draft {
        url: "https://lamp.example/lamp.json".parse().unwrap(),
        systeminfo: "A lamp".into(),
        manufacturer: None,
        model: None,
        last_update: "2026-11-22T09:30:00Z".parse().unwrap(),
        to: Vec::new(),
        from: Vec::new(),
    }
}

fn ether(from: Mac, to: Mac, kind: u16, inside: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &kind.to_be_bytes(), inside].concat()
}

fn ip(from: Mac, to: Mac, addresses: (&str, &str), protocol: u8, inside: &[u8]) -> Vec<u8> {
    let octets = |text: &str| match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (source, destination) = (octets(addresses.0), octets(addresses.1));
    let length = u16::try_from(inside.len()).unwrap();
    if source.len() == 16 {
        let head = [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[protocol, 64], &source, &destination].concat();
        return ether(from, to, 0x86dd, &[&head, inside].concat());
    }
    let head = [&[0x45, 0][..], &(length + 20).to_be_bytes(), &[0, 0, 0, 0, 64, protocol, 0, 0], &source, &destination];
    ether(from, to, 0x0800, &[&head.concat(), inside].concat())
}

fn udp(from: Mac, to: Mac, addresses: (&str, &str), ports: (u16, u16), inside: &[u8]) -> Vec<u8> {
    let length = u16::try_from(inside.len() + 8).unwrap();
    let head = [ports.0.to_be_bytes(), ports.1.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    ip(from, to, addresses, 17, &[&head, inside].concat())
}

fn tcp(from: Mac, to: Mac, addresses: (&str, &str), ports: (u16, u16), flags: u8) -> Vec<u8> {
    let head = [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &[0; 8], &[0x50, flags, 1, 0, 0, 0, 0, 0]].concat();
    ip(from, to, addresses, 6, &head)
}

/// The lamp asks for a name, and is told.
fn asks(name: &str, address: [u8; 4]) -> [Vec<u8>; 2] {
    let labels: Vec<u8> = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    let question = [&labels[..], &[0, 0, 1, 0, 1]].concat();
    let query = [&[0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &question[..]].concat();
    let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &address].concat();
    let answer = [&[0, 9, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &question[..], &record].concat();
    [
        udp(LAMP, ROUTER, ("192.168.1.7", "192.168.1.1"), (40_000, 53), &query),
        udp(ROUTER, LAMP, ("192.168.1.1", "192.168.1.7"), (53, 40_000), &answer),
    ]
}

/// What a lamp does in a day.
fn day() -> Vec<Vec<u8>> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let (own, cloud, hub) = ("192.168.1.7", "198.51.100.7", "192.168.1.9");
    let mut frames = vec![ether(LAMP, Mac([0xff; 6]), 0x0806, &[0; 28])];
    frames.push(udp(LAMP, Mac([0xff; 6]), ("0.0.0.0", "255.255.255.255"), (68, 67), &[0; 240]));
    frames.extend(asks("Cloud.Lamp.example", [198, 51, 100, 7]));
    frames.extend([
        tcp(LAMP, ROUTER, (own, cloud), (50_000, 8883), SYN),
        tcp(ROUTER, LAMP, (cloud, own), (8883, 50_000), SYN | ACK),
        tcp(LAMP, ROUTER, (own, cloud), (50_000, 8883), ACK),
    ]);
    // Somebody in the house switches it on, and its clock is set by an address that nobody told it.
    frames.extend([
        tcp(Mac([2, 0, 0, 0, 0, 9]), LAMP, (hub, own), (51_000, 80), SYN),
        tcp(LAMP, Mac([2, 0, 0, 0, 0, 9]), (own, hub), (80, 51_000), SYN | ACK),
        udp(LAMP, ROUTER, (own, "203.0.113.123"), (123, 123), &[0; 48]),
        udp(LAMP, ROUTER, (own, "203.0.113.50"), (45_000, 7000), b"hello"),
        udp(LAMP, Mac([1, 0, 0x5e, 0, 0, 0xfb]), (own, "224.0.0.251"), (5353, 5353), b"mdns"),
        ip(LAMP, ROUTER, (own, "192.168.1.1"), 1, &[8, 0, 0, 0]),
        ip(ROUTER, LAMP, ("192.168.1.1", own), 1, &[0, 0, 0, 0]),
        ip(LAMP, Mac([0x33, 0x33, 0, 0, 0, 0x16]), ("fe80::7", "ff02::16"), 58, &[143, 0, 0, 0]),
        ip(LAMP, ROUTER, (own, "192.168.1.1"), 2, &[0x16, 0, 0, 0]),
    ]);
    // What is said between others is not the lamp's, and neither is what cannot be meant.
    frames.push(udp(ROUTER, Mac([2, 0, 0, 0, 0, 9]), ("192.0.2.1", hub), (1, 2), b"x"));
    frames.push(ether(LAMP, ROUTER, 0x0026, &[0; 38]));
    frames.push(ether(LAMP, ROUTER, 0x0800, &[0; 5]));
    frames
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0, 0, 4, 0, 1, 0, 0, 0]].concat();
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        file.extend([&[0; 8][..], &length, &length, frame].concat());
    }
    file
}

fn learnt() -> Learnt {
    learn(&pcap(&day()), LAMP, draft()).unwrap()
}

#[test]
fn a_draft_permits_what_was_seen_and_says_with_whom() {
    let learnt = learnt();
    assert_eq!(learnt.frames, day().len() - 3);
    let text = learnt.draft.write();
    let (file, report) = read(text.as_bytes()).unwrap();
    assert!(report.conforms(), "{:?}", report.findings());
    let (policy, judge) = (Policy::of(&file), Judge::new(text.as_bytes()).unwrap());
    assert!(learnt.packets.len() > 10);
    for packet in &learnt.packets {
        assert!(policy.allows(packet, &learnt.context) && judge.allows(packet, &learnt.context), "{packet:?}");
    }
    assert_eq!(learnt.nameless, ["203.0.113.50".parse::<IpAddr>().unwrap()]);
    for said in ["cloud.lamp.example", "203.0.113.50/32", "local-networks", "\"ethertype\": 2054", "\"port\": 8883"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // Resolvers and clocks are whatever a network has, and stand in no file.
    assert!(!text.contains("203.0.113.123") && !text.contains("\"port\": 53\n"));
}

#[test]
fn what_was_not_seen_is_not_permitted() {
    let learnt = learnt();
    let text = learnt.draft.write();
    let (policy, judge) = (Policy::of(&read(text.as_bytes()).unwrap().0), Judge::new(text.as_bytes()).unwrap());
    let cloud = |packet: &&Packet| packet.ip.as_ref().is_some_and(|ip| ip.ports == Some((50_000, 8883)));
    let seen = learnt.packets.iter().find(cloud).unwrap();
    let other = |change: &dyn Fn(&mut Ip)| {
        let mut packet = seen.clone();
        change(packet.ip.as_mut().unwrap());
        assert!(!policy.allows(&packet, &learnt.context) && !judge.allows(&packet, &learnt.context), "{packet:?}");
    };
    other(&|ip| ip.destination = "198.51.100.8".parse().unwrap());
    other(&|ip| ip.ports = Some((50_000, 8884)));
    other(&|ip| ip.protocol = 17);
    // The cloud does not begin to speak, and the lamp does not begin with who switches it on.
    other(&|ip| ip.begun = Some(Direction::ToDevice));
    other(&|ip| (ip.destination, ip.ports) = ("192.168.1.9".parse().unwrap(), Some((80, 51_000))));
    other(&|ip| (ip.destination, ip.ports) = ("192.168.1.9".parse().unwrap(), Some((50_000, 80))));
}

#[test]
fn many_ports_with_one_other_end_are_one_entry() {
    let scan = |ports: std::ops::Range<u16>| {
        let frames: Vec<_> =
            ports.map(|port| udp(LAMP, ROUTER, ("192.168.1.7", "203.0.113.50"), (45_000, port), b"x")).collect();
        learn(&pcap(&frames), LAMP, draft()).unwrap().draft.to.len()
    };
    assert_eq!((scan(7000..7008), scan(7000..7009)), (8, 1));
}

#[test]
fn captures_of_every_form_are_read() {
    let frames = day();
    let plain = pcap(&frames);
    let read = |file: &[u8]| Frames::of(file).unwrap().map(|frame| frame.unwrap().to_vec()).collect::<Vec<_>>();
    assert_eq!(read(&plain), frames);
    // With the bytes the other way round.
    let mut big = [&[0xa1, 0xb2, 0x3c, 0x4d][..], &[0; 16], &[0, 0, 0, 1]].concat();
    for frame in &frames {
        let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
        big.extend([&[0; 8][..], &length, &length, frame].concat());
    }
    assert_eq!(read(&big), frames);
    let Some(editcap) = tool("editcap") else { return };
    let folder = temp_dir();
    fs::write(folder.path().join("a.pcap"), &plain).unwrap();
    let done = Command::new(editcap).current_dir(folder.path()).args(["-F", "pcapng", "a.pcap", "b.pcapng"]).status();
    assert!(done.unwrap().success());
    let next = fs::read(folder.path().join("b.pcapng")).unwrap();
    assert_eq!(&next[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    assert_eq!(read(&next), frames);
    assert_eq!(learn(&next, LAMP, draft()).unwrap().packets, learnt().packets);
}

#[test]
fn what_is_no_capture_of_the_device_is_refused_by_name() {
    let refused = |file: &[u8], check: &str| assert_eq!(learn(file, LAMP, draft()).unwrap_err().check, check);
    let good = pcap(&day());
    refused(b"", "capture-form");
    refused(b"{}", "capture-form");
    refused(&good[..20], "capture-form");
    refused(&good[..good.len() - 1], "capture-form");
    let mut wifi = good.clone();
    wifi[20] = 105;
    refused(&wifi, "capture-form");
    let mut long = good.clone();
    long[24 + 8..24 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&long, "capture-form");
    refused(&pcap(&[]), "capture-device");
    assert_eq!(learn(&good, Mac([2, 0, 0, 0, 0, 99]), draft()).unwrap_err().check, "capture-device");
}

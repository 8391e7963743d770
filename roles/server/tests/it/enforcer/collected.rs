//! Flows of devices elsewhere: Debian's softflowd tells of them, and whoever else sends something.

use super::{
    flows::unusual,
    names::{Ground, device},
    tell::authorizer,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_eap::radius::{Attributes, Kind};
use landfall_server::{
    Settings,
    access::Session,
    enforcer::{Collected, Config},
};
use landfall_testkit::tool;
use landfall_types::Changes;
use std::{net::UdpSocket, path::Path, time::Duration};

const COLLECTOR: &str = "10.99.0.1:4739";

/// A device is in the network by an access point, which has told the address of its interface.
pub(super) async fn session(ground: &Ground, number: usize) {
    let mac = format!("02-00-00-00-01-0{number}");
    let named = Attributes::default().with(Kind::CALLING_STATION_ID, mac.as_str());
    let session: Session = serde_json::from_value(serde_json::json!({
        "id": "1", "device": device(number), "by": { "password": "Orchard House" }, "client": "ap-1", "from": "10.99.0.2",
        "named": STANDARD.encode(named.to_bytes()), "spot": format!("{number}"), "since": ground.world.clock.now(),
        "until": ground.world.clock.now() + Duration::from_secs(3600),
    }))
    .unwrap();
    ground.world.store.commit(Changes::new().put(&session).unwrap()).await.unwrap();
}

/// One datagram by UDP in an Ethernet frame, from a device and its port to a port of 192.0.2.7, or back.
fn frame(number: u8, ports: (u16, u16), is_back: bool) -> Vec<u8> {
    let (device, gateway) = ([2, 0, 0, 0, 1, number], [2, 0, 0, 0, 1, 0xfe]);
    let (own, other) = ([10, 0, 30, number], [192, 0, 2, 7]);
    let (macs, addresses, ports) = match is_back {
        false => ([gateway, device], [own, other], [ports.0, ports.1]),
        true => ([device, gateway], [other, own], [ports.1, ports.0]),
    };
    let ip = [0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0];
    let mut frame = [macs.concat(), vec![8, 0], ip.to_vec(), addresses.concat()].concat();
    frame.extend(ports.into_iter().flat_map(u16::to_be_bytes));
    frame.extend([0, 13, 0, 0]);
    frame.extend(b"words");
    frame
}

/// A file of frames, one a millisecond, as tcpdump writes it.
fn capture(path: &Path, seconds: u32, frames: &[Vec<u8>]) {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    for (frame, micros) in frames.iter().zip((0..).step_by(1000)) {
        let length = u32::try_from(frame.len()).unwrap();
        bytes.extend([seconds, micros, length, length].into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(frame);
    }
    std::fs::write(path, bytes).unwrap();
}

async fn until(ground: &Ground, is_so: impl Fn(Collected) -> bool, name: &str) -> Collected {
    let found = || ground.enforcer.collected().get(name).copied().unwrap_or_default();
    let look = async {
        while !is_so(found()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap_or_else(|_| panic!("{:?}", found()));
    found()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_softflowd_tells_of_devices_elsewhere_is_looked_at() {
    let Some(softflowd) = tool("softflowd") else { return };
    let Some(ground) = Ground::new().await else { return };
    let (authorizer, _trigger) = authorizer(&ground).await;
    for number in [1, 2] {
        session(&ground, number).await;
    }
    // Each asks at forty ports; the one is answered at none, the other at each. The third is nobody.
    let frames: Vec<Vec<u8>> = (0..40)
        .flat_map(|port| {
            let asks = |number| frame(number, (40_000 + port, 6000 + port), false);
            [asks(1), asks(2), frame(2, (40_000 + port, 6000 + port), true)]
        })
        .chain([frame(9, (40_000, 6000), false)])
        .collect();
    let folder = landfall_testkit::temp_dir();
    let path = folder.path().join("frames.pcap");
    let now = u32::try_from(ground.world.clock.now().as_unix()).unwrap();
    capture(&path, now, &frames);
    let mut command = ground.hosts.command("world", &softflowd.to_string_lossy());
    command.args(["-v", "10", "-b", "-A", "milli", "-T", "ether", "-n", COLLECTOR, "-r"]).arg(&path);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let collected = until(&ground, |it| it.flows >= 80 && it.nobodys >= 1, "ap-1").await;
    assert_eq!((collected.flows, collected.nobodys, collected.malformed, collected.unknown), (80, 1, 0, 0));
    let look = async {
        while unusual(&authorizer, 1).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.expect("a scan is told of");
    let told = unusual(&authorizer, 1);
    assert_eq!(told[0], "scan");
    assert!(told[1].starts_with("scan: 21 ports without an answer within 60 s, 192.0.2.7"), "{told:?}");
    assert_eq!(unusual(&authorizer, 2), [""; 0], "who is answered does nothing unusual");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_not_heard_and_what_is_no_message_is_counted() {
    let Some(ground) = Ground::new().await else { return };
    session(&ground, 1).await;
    let from = |address: &str| ground.hosts.inside("world", || UdpSocket::bind((address, 0)).unwrap());
    let (exporter, stranger) = (from("10.99.0.2"), from("198.51.100.7"));
    // The addresses of both ends and their interfaces, and ports.
    let template = [
        0, 2, 0, 36, 1, 44, 0, 7, 0, 8, 0, 4, 0, 12, 0, 4, 0, 7, 0, 2, 0, 11, 0, 2, 0, 4, 0, 1, 0, 56, 0, 6, 0, 80, 0,
        6,
    ];
    let record =
        [&[10, 0, 30, 1, 192, 0, 2, 7, 0x9c, 0x40, 0, 53, 17][..], &[2, 0, 0, 0, 1, 1], &[2, 0, 0, 0, 1, 0xfe]]
            .concat();
    let message = |sequence: u8, template: &[u8]| {
        let set = [&[1, 44, 0, 29][..], &record].concat();
        let length = u8::try_from(16 + template.len() + set.len()).unwrap();
        [&[0, 10, 0, length, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 0, 0, 1][..], template, &set].concat()
    };
    let good = message(0, &template);
    let version = [&[0, 9][..], &good[2..]].concat();
    stranger.send_to(&good, COLLECTOR).unwrap();
    let sources = || ground.enforcer.flow_sources();
    let exporters = sources().exporters;
    assert_eq!((exporters.len(), exporters[0].name.as_str(), exporters[0].from.as_ref()), (1, "ap-1", None));
    until(&ground, |it| it.messages == 1, "").await;
    let strangers = sources().strangers.unwrap();
    let address = stranger.local_addr().unwrap().to_string();
    assert_eq!((strangers.messages, strangers.from), (1, Some(address)));
    assert!(strangers.last.is_some());
    exporter.send_to(&version, COLLECTOR).unwrap();
    let collected = until(&ground, |it| it.messages == 1, "ap-1").await;
    assert_eq!((collected.malformed, collected.flows), (1, 0));
    let ours = sources().exporters.remove(0);
    assert_eq!((ours.messages, ours.refused, ours.from), (1, 1, Some(exporter.local_addr().unwrap().to_string())));
    assert!(ours.refused_why.unwrap().contains("its version is 9, not 10"));
    // What the stranger's template means is of no use to anybody.
    exporter.send_to(&message(0, &[]), COLLECTOR).unwrap();
    assert_eq!(until(&ground, |it| it.messages == 2, "ap-1").await.unknown, 1);
    exporter.send_to(&good, COLLECTOR).unwrap();
    let collected = until(&ground, |it| it.flows == 1, "ap-1").await;
    assert_eq!((collected.messages, collected.missed), (3, 0));
    // Three were lost before this one; and by the same name from another port it is another exporter.
    exporter.send_to(&message(4, &[]), COLLECTOR).unwrap();
    assert_eq!(until(&ground, |it| it.flows == 2, "ap-1").await.missed, 3);
    from("10.99.0.2").send_to(&message(5, &[]), COLLECTOR).unwrap();
    let collected = until(&ground, |it| it.messages == 5, "ap-1").await;
    assert_eq!((collected.unknown, collected.missed, collected.flows, collected.malformed), (2, 3, 2, 1));
    // A session that is over is nobody's.
    ground.seconds.fetch_add(3601, std::sync::atomic::Ordering::Relaxed);
    exporter.send_to(&message(5, &template), COLLECTOR).unwrap();
    assert_eq!(until(&ground, |it| it.messages == 6, "ap-1").await.flows, 2);
    until(&ground, |it| it.nobodys == 1, "ap-1").await;
    let ours = sources().exporters.remove(0);
    assert_eq!((ours.messages, ours.refused, ours.flows, ours.nobodys, ours.unknown, ours.missed), (6, 1, 2, 1, 2, 3));
}

#[test]
fn exporters_that_cannot_be_meant_are_refused_by_their_key() {
    let good = "[enforcer]\n[[enforcer.segment]]\nname = \"things\"\nkind = \"production\"\nvlan = \"30\"\n[[enforcer.port]]\n\
                interface = \"lan1\"\n[enforcer.behaviour.ipfix]\nlisten = \"127.0.0.1:4739\"\n\
                [[enforcer.behaviour.ipfix.exporter]]\nname = \"ap-1\"\naddresses = [\"192.0.2.1\", \"::ffff:192.0.2.2\"]\n";
    let refused = |text: &str| {
        let settings = Settings::parse(text).unwrap();
        Config::from_settings(settings.enforcer.as_ref().unwrap(), &settings).err().map(|why| why.what)
    };
    let key = |key: &str| Some(format!("enforcer.behaviour.ipfix.{key}"));
    let found = refused(good);
    assert!(found.is_none_or(|what| what == "the enforcer"), "nft need not be here");
    let none = good.split("[[enforcer.behaviour").next().unwrap();
    assert_eq!(refused(none), key("exporter"));
    for (from, to, wrong) in [
        ("ap-1", "AP 1", "exporter[0].name"),
        ("[\"192.0.2.1\", \"::ffff:192.0.2.2\"]", "[]", "exporter[0].addresses"),
        ("::ffff:192.0.2.2", "::ffff:192.0.2.1", "exporter[0].addresses"),
        ("4739\"", "4739\"\ntemplate-lifetime = \"0s\"", "template-lifetime"),
    ] {
        assert_eq!(refused(&good.replace(from, to)), key(wrong), "{from} -> {to}");
    }
}

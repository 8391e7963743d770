//! Connections of devices elsewhere through a real router, as its kernel tells of them; Debian's conntrack says the same of them.

use super::{collected::session, flows::unusual, names::Ground, tell::authorizer};
use landfall_server::admin::view::ConnectionsView;
use landfall_testkit::tool;
use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::Ordering,
    time::Duration,
};

const DEVICE: &str = "10.99.0.2";
const PEER: &str = "10.98.0.2";

/// Beside the rest: the host `world` is device 1, in a session of access elsewhere, and a peer is on another link of the router.
async fn ground() -> Option<Ground> {
    tool("conntrack")?;
    let ground = Ground::new().await?;
    let hosts = &ground.hosts;
    hosts.set("world", "link set eth0 address 02:00:00:00:01:01");
    hosts.cable(("switch", "peer0"), ("wire", "eth0"));
    hosts.address("switch", "peer0", "10.98.0.1/24");
    hosts.address("wire", "eth0", "10.98.0.2/24");
    hosts.set("wire", "route add default via 10.98.0.1");
    hosts.set("world", "route add 10.98.0.0/24 via 10.99.0.1");
    // What the router has known of its links before is over.
    hosts.set("switch", "neighbour flush all");
    session(&ground, 1).await;
    Some(ground)
}

fn bind(ground: &Ground, host: &str, address: &str, port: u16) -> UdpSocket {
    let socket = ground.hosts.inside(host, || UdpSocket::bind((address, port)).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Ends all connections of that side as if their time were over: the octets of each, there and back, as conntrack says it.
async fn end(ground: &Ground, side: &str, address: &str) -> Vec<(u64, u64)> {
    let mut command = ground.hosts.command("switch", "conntrack");
    command.args(["-D", side, address]);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let counted = |line: &str| {
        let mut octets = line.split("bytes=").skip(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap());
        (octets.next().unwrap(), octets.next().unwrap())
    };
    said.lines().map(counted).collect()
}

async fn until(ground: &Ground, is_so: impl Fn(ConnectionsView) -> bool) -> ConnectionsView {
    let found = || ground.enforcer.connections().unwrap();
    let look = async {
        while !is_so(found()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap_or_else(|_| panic!("{:?}", found()));
    found()
}

async fn told(ground: &Ground, authorizer: &landfall_server::authorizer::Authorizer) -> Vec<String> {
    let look = async {
        while unusual(authorizer, 1).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let found = || ground.enforcer.connections();
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap_or_else(|_| panic!("{:?}", found()));
    unusual(authorizer, 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_device_elsewhere_sends_counts_when_a_connection_is_over() {
    let Some(ground) = ground().await else { return };
    let (authorizer, _trigger) = authorizer(&ground).await;
    let (thing, peer) = (bind(&ground, "world", DEVICE, 40_000), bind(&ground, "wire", PEER, 5000));
    let to: SocketAddr = (PEER.parse::<std::net::IpAddr>().unwrap(), 5000).into();
    let mut datagram = [0; 2048];
    let mut before = 0;
    // For half an hour a little each minute, and then 200 datagrams of 1428 octets with their heads; what comes after it ends the minute.
    for minute in 0..34 {
        let (count, length) = if minute == 32 { (200, 1400) } else { (1, 100) };
        for _ in 0..count {
            thing.send_to(&datagram[..length], to).unwrap();
            let (_, from) = peer.recv_from(&mut datagram).unwrap();
            peer.send_to(&datagram[..10], from).unwrap();
            thing.recv_from(&mut datagram).unwrap();
        }
        let counted = end(&ground, "-s", DEVICE).await;
        let heads = u64::try_from(count).unwrap() * 28;
        let sent = u64::try_from(count * length).unwrap() + heads;
        assert_eq!(counted, [(sent, u64::try_from(count).unwrap() * 10 + heads)]);
        // It has begun, and is over.
        let found = until(&ground, |it| it.flows == before + 2).await;
        before = found.flows;
        ground.seconds.fetch_add(60, Ordering::Relaxed);
    }
    let told = told(&ground, &authorizer).await;
    assert_eq!(told[0], "volume");
    assert!(told[1].starts_with("volume: 285600 octets in a minute"), "{told:?}");
    let found = ground.enforcer.connections().unwrap();
    assert_eq!((found.missed, found.overruns), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_scans_through_the_router_is_told_of_and_whoever_is_asked_is_not() {
    let Some(ground) = ground().await else { return };
    let (authorizer, _trigger) = authorizer(&ground).await;
    let (thing, peer) = (bind(&ground, "world", DEVICE, 40_000), bind(&ground, "wire", PEER, 40_000));
    // Somebody looks for open ports at the device: it has begun nothing.
    for port in 6000..6030 {
        peer.send_to(b"words", (DEVICE, port)).unwrap();
    }
    until(&ground, |it| it.flows == 30).await;
    assert_eq!(end(&ground, "-s", PEER).await.len(), 30);
    until(&ground, |it| it.flows == 60).await;
    // It is answered at these, and not at those.
    let answering: Vec<UdpSocket> = (6000..6030).map(|port| bind(&ground, "wire", PEER, port)).collect();
    for (socket, port) in answering.iter().zip(6000..) {
        thing.send_to(b"words", (PEER, port)).unwrap();
        let (_, from) = socket.recv_from(&mut [0; 16]).unwrap();
        socket.send_to(b"more", from).unwrap();
        thing.recv_from(&mut [0; 16]).unwrap();
    }
    assert_eq!(end(&ground, "-s", DEVICE).await.len(), 30);
    until(&ground, |it| it.flows == 120).await;
    assert_eq!(unusual(&authorizer, 1), [""; 0], "who is asked, or answered, does nothing unusual");
    for port in 7000..7021 {
        thing.send_to(b"words", (PEER, port)).unwrap();
    }
    until(&ground, |it| it.flows == 141).await;
    assert_eq!(end(&ground, "-s", DEVICE).await.len(), 21);
    let told = told(&ground, &authorizer).await;
    assert_eq!(told[0], "scan");
    assert!(told[1].starts_with("scan: 21 ports without an answer within 60 s, 10.98.0.2"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_nobody_here_are_nobodys() {
    let Some(ground) = ground().await else { return };
    let (thing, peer) = (bind(&ground, "world", DEVICE, 40_000), bind(&ground, "wire", PEER, 40_000));
    let ends = async |side, of| assert_eq!(end(&ground, side, of).await.len(), 1);
    // The peer asks the router itself.
    peer.send_to(b"words", ("10.98.0.1", 6000)).unwrap();
    until(&ground, |it| it.nobodys == 1).await;
    ends("-s", PEER).await;
    until(&ground, |it| it.nobodys == 2).await;
    // Whoever is behind an address whose interface is in no session is nobody, and so is a device when its session is over.
    ground.seconds.fetch_add(10, Ordering::Relaxed);
    thing.send_to(b"words", (PEER, 6000)).unwrap();
    until(&ground, |it| it.flows == 1).await;
    ground.seconds.fetch_add(3601, Ordering::Relaxed);
    ends("-s", DEVICE).await;
    let found = until(&ground, |it| it.events == 4).await;
    assert_eq!((found.flows, found.nobodys), (1, 3));
    assert_eq!(ground.enforcer.flow_sources().connections, Some(found));
    // Without its rule nothing would be tracked.
    let listed = ground.hosts.command("switch", "nft").args(["list", "table", "inet", "landfall-connections"]).output();
    assert!(String::from_utf8(listed.unwrap().stdout).unwrap().contains("ct state new"));
}

//! Flows of real devices, and what is unusual about them.

use super::{
    names::{Ground, device},
    tell::authorizer,
};
use landfall_assurance::Kind;
use landfall_policy::Value;
use landfall_server::{authorizer::Authorizer, observe::AUDIT_LOG};
use landfall_types::Record;
use std::{net::UdpSocket, time::Duration};

/// What is kept of what kinds of devices have taught, whatever it says.
#[derive(serde::Serialize, serde::Deserialize)]
struct Learnt(serde_json::Value);

impl Record for Learnt {
    const COLLECTION: &'static str = "behaviour-destination";

    fn key(&self) -> String {
        self.0.to_string()
    }
}

pub(super) fn unusual(authorizer: &Authorizer, number: usize) -> Vec<String> {
    let view = authorizer.view(&device(number));
    let found = view.iter().flat_map(|view| view.dossier.of(Kind::UnusualBehaviour)).next();
    match found.map(|fact| &fact.value) {
        Some(Value::List(list)) => list.clone(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_scans_is_told_of_with_the_reason_and_who_is_answered_is_not() {
    let Some(ground) = Ground::new().await else { return };
    let (authorizer, _trigger) = authorizer(&ground).await;
    for number in [1, 2] {
        ground.admit(number).await;
        assert_eq!(ground.dig(number, "cloud.thing.example").await.0, "NOERROR");
    }
    // The service answers the one, from many ports of the device; nobody answers the other.
    let echo = ground.hosts.inside("world", || UdpSocket::bind("198.51.100.7:7").unwrap());
    echo.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let asks: Vec<UdpSocket> =
        (0..40).map(|_| ground.hosts.inside("device2", || UdpSocket::bind("0.0.0.0:0").unwrap())).collect();
    for socket in &asks {
        socket.send_to(b"words", "198.51.100.7:7").unwrap();
        let mut datagram = [0; 16];
        let (length, from) = echo.recv_from(&mut datagram).unwrap();
        echo.send_to(&datagram[..length], from).unwrap();
    }
    let look = async {
        // On a busy machine a sweep may be heard of when its minute is over by the test's clock: then there is another one.
        for first in (6000..).step_by(40) {
            for port in first..first + 40 {
                ground.devices[0].send_to(b"words", ("198.51.100.8", port)).unwrap();
            }
            for _ in 0..100 {
                if !unusual(&authorizer, 1).is_empty() {
                    return;
                }
                ground.seconds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("a scan is told of");
    let told = unusual(&authorizer, 1);
    assert_eq!(told[0], "scan");
    assert!(told[1].starts_with("scan: 21 ports without an answer within 60 s"), "{told:?}");
    assert_eq!(unusual(&authorizer, 2), [""; 0], "who is answered does nothing unusual");
    ground.world.recorder.flush().await;
    let entries = ground.world.store.log(AUDIT_LOG, 0, 1000).unwrap();
    assert!(entries.iter().any(|entry| entry.entry["action"] == "unusual-behaviour"));
    // It only advises: no policy speaks of it.
    let (_, why) = authorizer.level(&device(1));
    assert!(!why.contains("scan"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kind_of_device_has_taught_it_knows_after_a_restart() {
    let Some(mut ground) = Ground::new().await else { return };
    let (authorizer, _trigger) = authorizer(&ground).await;
    // A kind is new for a week; what this one begins within it is usual.
    ground.admit(1).await;
    let begins = |ground: &Ground, port: u16| {
        // Each from a port of its own: what goes on is told once.
        let socket = ground.hosts.inside("device1", || UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.send_to(b"words", ("198.51.100.8", port)).unwrap();
    };
    let learnt = |ground: &Ground| ground.world.store.count::<Learnt>().unwrap();
    let taught = async {
        while learnt(&ground) == 0 {
            begins(&ground, 6000);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taught).await.expect("what it begins is learnt, and written");
    ground.seconds.fetch_add(8 * 24 * 3600, std::sync::atomic::Ordering::Relaxed);
    ground.restart().await;
    // As soon as one is heard, what was taught is begun again, and then another.
    let look = async {
        for (known, news) in [(7000, 7000), (6000, 7001)] {
            while !unusual(&authorizer, 1).iter().any(|told| told.contains(&format!("port {news} of protocol 17"))) {
                begins(&ground, known);
                begins(&ground, news);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("after the week another is news");
    ground.world.recorder.flush().await;
    let entries = ground.world.store.log(AUDIT_LOG, 0, 1000).unwrap();
    let unusual = entries.iter().filter(|entry| entry.entry["action"] == "unusual-behaviour");
    let told: Vec<String> = unusual.map(|entry| entry.entry.to_string()).collect();
    assert!(told.iter().any(|told| told.contains("port 7001")), "{told:?}");
    assert!(!told.iter().any(|told| told.contains("port 6000")), "{told:?}");
}

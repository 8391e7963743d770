//! Devices whose manufacturers speak of each other, around in a circle, and of themselves.

use landfall_mud::Policy;
use landfall_nft::{Change, Interface, Kernel, Seat};
use landfall_server::{
    enforcer::{
        picture::{Occupant, Picture, Segment},
        plan,
    },
    settings::SegmentKind,
};
use landfall_testkit::{Hosts, tool};
use serde_json::{Value, json};
use std::{net::UdpSocket, sync::Arc, time::Duration};

const SILENCE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
const PORT: u16 = 5683;

/// A maker's device that may send to those of some makers and hear those of others; nobody is the maker itself.
fn policy(maker: &str, to: &[Option<&str>], of: &[Option<&str>]) -> Arc<Policy> {
    let entry = |(number, who): (usize, &Option<&str>)| {
        let who = match who {
            Some(maker) => json!({ "manufacturer": maker }),
            None => json!({ "same-manufacturer": [null] }),
        };
        json!({ "name": format!("entry-{number}"), "actions": { "forwarding": "accept" },
                "matches": { "ietf-mud:mud": who, "ipv4": { "protocol": 17 } } })
    };
    let list = |name: &str, whom: &[Option<&str>]| {
        let entries: Vec<Value> = whom.iter().enumerate().map(entry).collect();
        json!({ "name": name, "type": "ipv4-acl-type", "aces": { "ace": entries } })
    };
    let lists = |name: &str| json!({ "access-lists": { "access-list": [{ "name": name }] } });
    let file = json!({
        "ietf-mud:mud": { "mud-version": 1, "mud-url": format!("https://{maker}/thing.json"), "last-update": "2026-06-29T19:50:19+02:00",
            "cache-validity": 48, "is-supported": true, "systeminfo": "A thing",
            "from-device-policy": lists("from"), "to-device-policy": lists("to") },
        "ietf-access-control-list:acls": { "acl": [list("from", to), list("to", of)] }
    });
    let (file, report) = landfall_mud::read(file.to_string().as_bytes()).unwrap();
    assert!(report.findings().is_empty(), "{report:?}");
    Arc::new(Policy::of(&file))
}

/// Devices of these kinds in one segment, at a switch.
async fn switch(policies: &[Arc<Policy>]) -> Option<(Hosts, Vec<UdpSocket>)> {
    tool("nft")?;
    let names: Vec<String> = (0..policies.len()).map(|number| format!("device{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).chain(["switch"]).collect();
    let hosts = Hosts::new(&all)?;
    let kernel = Kernel::new(Some(&hosts.namespace("switch"))).unwrap();
    let bridge: Interface = "br-things".parse().unwrap();
    let mut changes = vec![Change::Bridge(bridge.clone())];
    let mut picture = Picture {
        segments: vec![Segment {
            name: "things".into(),
            kind: SegmentKind::Production,
            bridge: bridge.clone(),
            vid: None,
            vlan: Some("30".into()),
            lateral: true,
            reach: Vec::new(),
        }],
        ..Picture::default()
    };
    for (number, (host, policy)) in names.iter().zip(policies).enumerate() {
        let port: Interface = format!("lan{number}").parse().unwrap();
        hosts.cable(("switch", port.as_str()), (host, "eth0"));
        let mac = format!("02:00:00:00:00:0{}", number + 1);
        hosts.set(host, &format!("link set eth0 address {mac}"));
        hosts.address(host, "eth0", &format!("10.9.0.{}/24", number + 1));
        let intent = Some(picture.intend(policy, 0));
        picture.occupants.insert(port.clone(), Occupant { mac: mac.parse().unwrap(), segment: 0, intent });
        picture.ports.insert(port.clone());
        changes.push(Change::Port { port, seat: Seat { bridge: bridge.clone(), vlan: None } });
    }
    kernel.change(&changes).await.unwrap();
    kernel.apply(&plan::whole(&picture, 1)).await.unwrap();
    let sockets = names.iter().map(|host| hosts.inside(host, || UdpSocket::bind(("0.0.0.0", PORT)).unwrap()));
    let sockets = sockets.collect();
    Some((hosts, sockets))
}

/// Who reaches whom.
fn reached(sockets: &[UdpSocket], expected: &dyn Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let mut reached = Vec::new();
    for (from, sender) in sockets.iter().enumerate() {
        for (to, receiver) in sockets.iter().enumerate().filter(|(to, _)| *to != from) {
            sender.send_to(&[from as u8, to as u8], (format!("10.9.0.{}", to + 1), PORT)).unwrap();
            receiver.set_read_timeout(Some(if expected(from, to) { PATIENCE } else { SILENCE })).unwrap();
            let mut datagram = [0; 8];
            if let Ok((length, _)) = receiver.recv_from(&mut datagram) {
                assert_eq!(datagram[..length], [from as u8, to as u8]);
                reached.push((from, to));
            }
        }
    }
    reached
}

/// What one may say the other has to be allowed to hear: then it comes through, whoever else speaks of whom.
#[tokio::test]
async fn manufacturers_that_speak_of_each_other_in_a_circle_are_each_taken_at_their_word() {
    let [a, b, c] = ["a.example", "b.example", "c.example"].map(Some);
    let around = [policy("a.example", &[b], &[c]), policy("b.example", &[c], &[a]), policy("c.example", &[a], &[b])];
    let Some((_hosts, sockets)) = switch(&around).await else { return };
    let next = |from: usize, to: usize| to == (from + 1) % 3;
    assert_eq!(reached(&sockets, &next), [(0, 1), (1, 2), (2, 0)]);
}

#[tokio::test]
async fn devices_that_each_speak_of_their_own_manufacturer_reach_each_other_and_no_others() {
    let same = policy("a.example", &[None], &[None]);
    let other = policy("b.example", &[None], &[None]);
    let Some((_hosts, sockets)) = switch(&[same.clone(), same, other]).await else { return };
    assert_eq!(reached(&sockets, &|from, to| from < 2 && to < 2), [(0, 1), (1, 0)]);
}

/// Its own word lets it say what the other does not want to hear, and the other way round; neither comes through.
#[tokio::test]
async fn one_side_alone_opens_nothing() {
    let both = [Some("a.example"), Some("b.example"), None];
    let talks = policy("a.example", &both, &[]);
    let hears = policy("b.example", &[], &[Some("b.example")]);
    let Some((_hosts, sockets)) = switch(&[talks.clone(), talks, hears]).await else { return };
    assert_eq!(reached(&sockets, &|_, _| false), []);
}

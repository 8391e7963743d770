//! Plans, whatever the picture.

use landfall_nft::Interface;
use landfall_server::{
    enforcer::{
        picture::{Mac, Occupant, Picture, Segment},
        plan::{self, Contents, Loaded},
    },
    settings::{Reach, SegmentKind},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PORTS: usize = 6;

fn segment(name: &str, kind: SegmentKind, vlan: Option<&str>, lateral: bool, reach: &[&str]) -> Segment {
    let reach = match kind {
        SegmentKind::Onboarding => Reach::onboarding(8444),
        _ => reach.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let bridge = format!("br-{name}").parse().unwrap();
    Segment { name: name.into(), kind, bridge, vid: None, vlan: vlan.map(str::to_owned), lateral, reach }
}

fn segments() -> Vec<Segment> {
    vec![
        segment("new", SegmentKind::Onboarding, None, false, &[]),
        segment("cameras", SegmentKind::Production, Some("30"), false, &[]),
        segment("lab", SegmentKind::Production, Some("40"), true, &[]),
        segment("dark", SegmentKind::Quarantine, Some("98"), false, &[]),
        segment("clinic", SegmentKind::Quarantine, Some("99"), false, &["tcp 192.0.2.7 443", "udp fd00::1 53"]),
    ]
}

fn port(number: usize) -> Interface {
    format!("lan{number}").parse().unwrap()
}

fn mac(number: u8) -> Mac {
    format!("02-00-00-00-00-{number:02x}").parse().unwrap()
}

prop_compose! {
    fn pictures()(
        with_onboarding in any::<bool>(),
        occupants in prop::collection::vec(prop::option::of((1..=4usize, any::<u8>())), PORTS),
        shut in prop::collection::vec(any::<bool>(), PORTS),
    ) -> Picture {
        let mut segments = segments();
        if !with_onboarding {
            // Nobody is onboarded here: the segment stays, as one of quarantine.
            segments[0].kind = SegmentKind::Quarantine;
            segments[0].reach.clear();
        }
        let ports: BTreeSet<Interface> = (0..PORTS).map(port).collect();
        let occupants = occupants.iter().enumerate().filter_map(|(number, occupant)| {
            occupant.map(|(segment, address)| (port(number), Occupant { mac: mac(address), segment, intent: None }))
        });
        let shut = (0..PORTS).filter(|number| shut[*number]).map(port).collect();
        Picture { segments, occupants: occupants.collect(), ports, shut, ..Picture::default() }
    }
}

/// What a kernel would have in its maps after these commands: an element that is added twice, or deleted and not there, fails.
#[derive(Default)]
struct Maps(BTreeMap<(String, String), Value>);

impl Maps {
    fn take(&mut self, commands: &[Value]) {
        for command in commands {
            let (verb, what) = command.as_object().unwrap().iter().next().unwrap();
            let Some(element) = what.get("element") else { continue };
            let name = element["name"].as_str().unwrap();
            for item in element["elem"].as_array().unwrap() {
                let (key, value) = match item.as_array() {
                    Some(pair) => (pair[0].to_string(), pair[1].clone()),
                    None => (item.to_string(), Value::Null),
                };
                let key = (name.to_owned(), key);
                match verb.as_str() {
                    "add" => assert_eq!(self.0.insert(key.clone(), value), None, "{key:?} was there"),
                    "delete" => assert_eq!(self.0.remove(&key), Some(value), "{key:?} was not so"),
                    other => panic!("{other}"),
                }
            }
        }
    }
}

/// What `nft -j list table` would say of it.
fn listed(commands: &[Value]) -> Vec<Value> {
    let mut listed = vec![json!({ "metainfo": { "version": "1" } })];
    let added = commands.iter().filter_map(|command| command.get("add"));
    let (elements, frame): (Vec<&Value>, Vec<&Value>) = added.partition(|what| what.get("element").is_some());
    for what in frame {
        let mut what = what.clone();
        let body = what.as_object_mut().unwrap().values_mut().next().unwrap();
        body["handle"] = json!(7);
        let mine: Vec<Value> = elements
            .iter()
            .filter(|element| element["element"]["name"] == body["name"])
            .flat_map(|element| element["element"]["elem"].as_array().unwrap().clone())
            .collect();
        if !mine.is_empty() {
            body["elem"] = json!(mine);
        }
        listed.push(what);
    }
    listed
}

proptest! {
    #[test]
    fn changes_lead_from_any_picture_to_any_other(before in pictures(), after in pictures()) {
        let (old, new) = (Contents::of(&before), Contents::of(&after));
        let mut maps = Maps::default();
        maps.take(&plan::whole(&before, 1));
        // The whole sets its generation where the set is made.
        maps.0.insert(("generation".into(), "1".into()), Value::Null);
        let commands = plan::change(&old, &new, (1, 2));
        prop_assert_eq!(commands.is_empty(), old == new);
        maps.take(&commands);
        let mut afresh = Maps::default();
        afresh.take(&plan::whole(&after, 2));
        afresh.0.insert(("generation".into(), (if old == new { "1" } else { "2" }).into()), Value::Null);
        prop_assert_eq!(maps.0, afresh.0);
    }

    #[test]
    fn every_way_in_is_one_of_the_picture(picture in pictures()) {
        let mut maps = Maps::default();
        maps.take(&plan::whole(&picture, 1));
        let (insiders, ways): (Vec<_>, Vec<_>) = maps.0.iter().partition(|((map, _), _)| map == "insiders");
        let open = picture.occupants.iter().filter(|(port, _)| !picture.shut.contains(*port));
        let inside: BTreeSet<String> = open.map(|(_, occupant)| json!(occupant.mac.to_string()).to_string()).collect();
        prop_assert_eq!(insiders.into_iter().map(|((_, key), _)| key.clone()).collect::<BTreeSet<_>>(), inside);
        for ((map, key), verdict) in ways {
            let chain = verdict.pointer("/goto/target").unwrap().as_str().unwrap();
            let key: Value = serde_json::from_str(key).unwrap();
            let name = key.pointer("/concat/0").unwrap_or(&key).as_str().unwrap();
            let port: Interface = name.parse().unwrap();
            prop_assert!(!picture.shut.contains(&port), "{} is shut", port);
            let segment = picture.segment_of(&port).unwrap();
            let direction = if map == "outward" { "to" } else { "from" };
            prop_assert_eq!(chain, &format!("{direction}-{}", segment.name));
            match map.as_str() {
                "inward" => prop_assert_eq!(
                    key.pointer("/concat/1").and_then(Value::as_str).unwrap(),
                    picture.occupants[&port].mac.to_string()
                ),
                // Without a certificate there is onboarding, and nothing else.
                "doors" => prop_assert!(segment.kind == SegmentKind::Onboarding && !picture.occupants.contains_key(&port)),
                other => prop_assert_eq!(other, "outward"),
            }
        }
    }

    #[test]
    fn what_a_kernel_tells_is_read_as_it_was_meant(picture in pictures(), generation in any::<u32>()) {
        let loaded = Loaded::read(&listed(&plan::whole(&picture, generation))).unwrap();
        prop_assert_eq!(loaded.contents, Contents::of(&picture));
        prop_assert_eq!(loaded.generation, Some(generation.into()));
        // The frame does not depend on who is where.
        let empty = Loaded::read(&listed(&plan::whole(&picture.closed(), 1))).unwrap();
        prop_assert_eq!(loaded.frame, empty.frame);
    }

    #[test]
    fn nothing_that_a_kernel_may_tell_panics(text in "[\\[\\]{}\":,a-z0-9]{0,60}") {
        let value = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "map": { "name": "inward", "elem": [text] } }));
        let _ = Loaded::read(&[value]);
    }
}

#[test]
fn a_shut_picture_lets_nothing_in() {
    let picture = Picture {
        segments: segments(),
        ports: [port(0)].into(),
        occupants: [(port(0), Occupant { mac: mac(1), segment: 1, intent: None })].into(),
        ..Picture::default()
    };
    assert_eq!(Contents::of(&picture.closed()), Contents::default());
    let rules = plan::whole(&picture.closed(), 1);
    let policy = |hook: &str| {
        let chain = rules.iter().filter_map(|command| command.pointer("/add/chain"));
        let mut chain = { chain }.filter(|chain| chain["hook"] == hook && chain["family"] == "bridge");
        chain.next().unwrap()["policy"].clone()
    };
    for hook in ["prerouting", "forward", "output"] {
        assert_eq!(policy(hook), "drop");
    }
}

/// Whatever is not for production ends with a drop in both directions.
#[test]
fn segments_that_are_limited_end_with_a_drop() {
    let picture = Picture { segments: segments(), ..Picture::default() };
    let rules = plan::whole(&picture, 1);
    for segment in &picture.segments {
        for direction in ["from", "to"] {
            let chain = format!("{direction}-{}", segment.name);
            let rules = rules.iter().filter_map(|command| command.pointer("/add/rule"));
            let last = { rules }.rfind(|rule| rule["chain"] == *chain).unwrap();
            let verdict = last["expr"].as_array().unwrap().last().unwrap();
            let expected = if segment.kind == SegmentKind::Production { "accept" } else { "drop" };
            assert!(verdict.get(expected).is_some(), "{chain}: {verdict}");
        }
    }
}

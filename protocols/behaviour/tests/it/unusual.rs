//! Detectors: each strikes on what it is for, and not on what is a little less.

use super::shared::{after, flow, ip, lamp, start};
use landfall_behaviour::{Detector, Flow, Lesson, Unusual, Watch, bounds, detect::Limits};
use landfall_testkit::Rng;
use landfall_types::DeviceId;
use std::{net::Ipv4Addr, time::Duration};

/// A watch that knows one destination of lamps.
fn watch() -> Watch {
    let mut watch = Watch::new(Limits::default());
    watch.know("acme/lamp", [(ip("192.0.2.1"), 6, 443)]);
    watch
}

fn struck(found: &[Unusual]) -> Vec<Detector> {
    found.iter().map(|one| one.detector).collect()
}

fn ended(mut flow: Flow, answered: bool, sent: u64) -> Flow {
    (flow.ended, flow.answered, flow.sent) = (true, Some(answered), sent);
    flow
}

#[test]
fn a_destination_that_its_type_does_not_know_is_told_once() {
    let mut watch = watch();
    assert_eq!(struck(&watch.flow(&lamp(), "acme/lamp", &flow("192.0.2.1", 443, start()))), []);
    let found = watch.flow(&lamp(), "acme/lamp", &flow("192.0.2.1", 23, start()));
    assert_eq!(struck(&found), [Detector::NewDestination]);
    assert_eq!(
        found[0].to_string(),
        "new-destination: 192.0.2.1 port 23 of protocol 6; usual: those known of acme/lamp"
    );
    assert_eq!(struck(&watch.flow(&lamp(), "acme/lamp", &flow("192.0.2.1", 23, after(1)))), []);
    let other: DeviceId = "aa.lamp-2".parse().unwrap();
    assert_eq!(struck(&watch.flow(&other, "acme/lamp", &flow("192.0.2.1", 23, after(1)))), [Detector::NewDestination]);
}

#[test]
fn a_type_that_is_new_teaches_what_is_usual_for_it() {
    let mut watch = Watch::new(Limits::default());
    let day = 24 * 3600;
    for (seconds, to, expected) in [
        (0, "198.51.100.1", &[][..]),
        (6 * day, "198.51.100.2", &[]),
        (7 * day, "198.51.100.3", &[Detector::NewDestination]),
        (8 * day, "198.51.100.2", &[]),
    ] {
        assert_eq!(struck(&watch.flow(&lamp(), "acme/plug", &flow(to, 443, after(seconds)))), expected, "{to}");
        watch.kept(watch.lessons(usize::MAX));
    }
}

#[test]
fn what_was_taught_counts_when_it_is_kept_and_is_the_same_after_a_restart() {
    let day = 24 * 3600;
    let mut before = Watch::new(Limits::default());
    let strikes = |watch: &mut Watch, to: &str, seconds| {
        struck(&watch.flow(&lamp(), "acme/plug", &flow(to, 443, after(seconds)))).contains(&Detector::NewDestination)
    };
    assert!(!strikes(&mut before, "198.51.100.1", 0) && !strikes(&mut before, "198.51.100.2", day));
    let lessons = before.lessons(usize::MAX);
    assert_eq!(lessons.len(), 2);
    assert!(lessons.iter().all(|lesson| lesson.learning_until == after(7 * day)));
    assert_eq!(before.lessons(1), lessons[..1], "no more at once than is wanted");
    // Of the two only one is kept.
    before.kept(lessons[..1].to_vec());
    assert_eq!(before.lessons(usize::MAX), lessons[1..]);
    assert!(!strikes(&mut before, "198.51.100.2", 2 * day), "its type is new still");
    assert!(!strikes(&mut before, "198.51.100.1", 8 * day));
    assert!(strikes(&mut before, "198.51.100.2", 8 * day), "what is not kept is not trusted");

    let mut later = Watch::new(Limits::default());
    later.kept(lessons[..1].to_vec());
    assert_eq!(later.lessons(usize::MAX), [], "what is kept is not kept again");
    assert!(!strikes(&mut later, "198.51.100.1", 8 * day));
    assert!(strikes(&mut later, "198.51.100.3", 8 * day), "a restart makes no type new");
    // One that was in the middle of it goes on learning, until the same time.
    let mut middle = Watch::new(Limits::default());
    middle.kept(lessons[..1].to_vec());
    assert!(!strikes(&mut middle, "198.51.100.3", 6 * day) && strikes(&mut middle, "198.51.100.4", 7 * day));
}

#[test]
fn what_is_kept_of_types_is_bounded() {
    let mut watch = Watch::new(Limits::default());
    let to = |n: usize| Ipv4Addr::from(0x0a00_0000 + u32::try_from(n).unwrap()).to_string();
    for n in 0..bounds::DESTINATIONS + 10 {
        watch.flow(&lamp(), "acme/plug", &flow(&to(n), 443, start()));
    }
    let lessons = watch.lessons(usize::MAX);
    assert_eq!(lessons.len(), bounds::DESTINATIONS);
    watch.kept(lessons.clone());
    let mut later = Watch::new(Limits::default());
    let types = (0..bounds::TYPES + 1).map(|n| Lesson { device_type: format!("acme/{n:04}"), ..lessons[0].clone() });
    later.kept(types);
    later.kept(lessons.iter().map(|lesson| Lesson { device_type: "acme/0000".into(), ..*lesson }));
    later.kept([Lesson {
        device_type: "acme/0000".into(),
        destination: (ip("192.0.2.1"), 6, 443),
        ..lessons[0].clone()
    }]);
    let late = lessons[0].learning_until;
    let mut strikes = |device_type: &str, to: &str| {
        struck(&later.flow(&lamp(), device_type, &flow(to, 443, late))).contains(&Detector::NewDestination)
    };
    assert!(!strikes("acme/0000", &to(bounds::DESTINATIONS - 1)) && strikes("acme/0000", "192.0.2.1"));
    assert!(!strikes(&format!("acme/{:04}", bounds::TYPES - 1), &to(0)));
    assert!(strikes(&format!("acme/{:04}", bounds::TYPES), &to(0)));
}

#[test]
fn many_destinations_within_a_minute() {
    let many = |count: u32, spread: u64| {
        let mut watch = watch();
        let flows = (0..count).map(|n| (Ipv4Addr::from(0xc633_6400 + n), u64::from(n) * spread / u64::from(count)));
        let found: Vec<Detector> = flows
            .flat_map(|(to, at)| struck(&watch.flow(&lamp(), "acme/lamp", &flow(&to.to_string(), 443, after(at)))))
            .filter(|detector| *detector == Detector::FanOut)
            .collect();
        found.len()
    };
    assert_eq!((many(50, 60), many(51, 60), many(200, 60)), (0, 1, 1), "told once");
    assert_eq!(many(200, 600), 0, "the same number over ten minutes");
}

#[test]
fn many_ports_that_do_not_answer() {
    let scan = |answered: bool, count: u16| {
        let mut watch = watch();
        let flows = (0..count).map(|n| ended(flow("10.0.0.9", 1000 + n, after(u64::from(n) / 10)), answered, 60));
        flows.flat_map(|one| struck(&watch.flow(&lamp(), "acme/lamp", &one))).collect::<Vec<_>>()
    };
    assert_eq!((scan(false, 20), scan(false, 21)), (vec![], vec![Detector::Scan]));
    assert_eq!(scan(true, 100), []);
}

#[test]
fn what_calls_home_in_a_rhythm() {
    let seed = 3;
    println!("seed {seed}");
    let beacon = |to: &str, every: u64, jitter: u64| {
        let mut rng = Rng::new(seed);
        let mut watch = watch();
        let mut millis = 0;
        let mut found = Vec::new();
        for _ in 0..20 {
            millis += every * 1000 - jitter * 500 + rng.below(jitter * 1000 + 1);
            found.extend(watch.flow(&lamp(), "acme/lamp", &flow(to, 443, start() + Duration::from_millis(millis))));
        }
        found.into_iter().filter(|one| one.detector == Detector::Beacon).collect::<Vec<_>>()
    };
    let found = beacon("198.51.100.7", 60, 2);
    assert_eq!(found.len(), 1);
    assert!(found[0].observed.starts_with("198.51.100.7 port 443 of protocol 6 every 6"), "{}", found[0]);
    assert_eq!(beacon("198.51.100.7", 60, 60).len(), 0, "no rhythm");
    assert_eq!(beacon("198.51.100.7", 2, 0).len(), 0, "one conversation");
    assert_eq!(beacon("192.0.2.1", 60, 0).len(), 0, "its type is known to");
}

#[test]
fn much_more_data_than_usual_in_a_burst_or_for_long() {
    let seed = 5;
    println!("seed {seed}");
    let volume = |from: u64, octets: u64| {
        let mut rng = Rng::new(seed);
        let mut watch = watch();
        let mut found = Vec::new();
        for minute in 0..120u64 {
            let usual = 100_000 + rng.below(20_000);
            let sent = if minute >= from { octets } else { usual };
            let one = ended(flow("192.0.2.1", 443, after(minute * 60)), true, sent);
            found.extend(watch.flow(&lamp(), "acme/lamp", &one));
        }
        found
    };
    assert_eq!(volume(120, 0), [], "as usual");
    let burst = volume(119, 5_000_000);
    assert_eq!(burst, [], "the minute is not over");
    let burst = volume(118, 5_000_000);
    assert_eq!(struck(&burst), [Detector::Volume]);
    assert!(burst[0].observed.starts_with("5000000 octets in a minute"), "{}", burst[0]);
    assert!(!volume(90, 150_000).is_empty(), "a little more for half an hour");
    assert_eq!(volume(10, 5_000_000), [], "nobody knows yet what is usual");
}

#[test]
fn what_devices_do_costs_no_more_memory_than_is_set_aside() {
    let mut watch = Watch::new(Limits::default());
    watch.know("acme/lamp", []);
    for n in 0..20_000u32 {
        let to = Ipv4Addr::from(0x0800_0000 + n);
        watch.flow(&lamp(), "acme/lamp", &flow(&to.to_string(), (n % 65_536) as u16, after(u64::from(n) / 100)));
    }
    let shown = format!("{watch:?}");
    assert!(shown.len() < 200 * (bounds::DESTINATIONS + bounds::RHYTHMS * bounds::BEATS), "{}", shown.len());
    assert_eq!(watch.devices(), 1);
    watch.forget(&lamp());
    assert_eq!(watch.devices(), 0);
}

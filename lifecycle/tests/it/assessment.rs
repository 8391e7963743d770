//! What follows from rulings, under virtual time.

use landfall_assurance::{Fact, Kind, Level, Question, Reason, Ruling};
use landfall_lifecycle::verification::{Assessment, Brake, BrakeManners, Effect, Heard, Manners, Step, assess};
use landfall_types::{DeviceId, Time};
use proptest::prelude::*;
use std::{collections::BTreeSet, time::Duration};

const START: Time = Time::from_unix(1_800_000_000);
const MANNERS: Manners = Manners {
    recover: Duration::from_secs(30),
    dwell: Duration::from_secs(60),
    valid: Duration::from_secs(3600),
    brake: BrakeManners {
        share: 10,
        at_least: 2,
        within: Duration::from_secs(600),
        dismissed: Duration::from_secs(3600),
    },
};

fn at(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

fn device(number: usize) -> DeviceId {
    format!("07.{number}").parse().unwrap()
}

fn ruling(level: Level, source: &str) -> Ruling {
    let fact = Fact {
        subject: device(0),
        kind: Kind::DenyListContact,
        value: Vec::new().into(),
        source: source.into(),
        issuer: None,
        at: START,
        expires: None,
        verifier: "test".into(),
    };
    let reason = Reason { policy: "test".into(), says: "for the test".into(), kinds: vec![Kind::DenyListContact] };
    Ruling {
        question: Question::Stay,
        level,
        reasons: if level == Level::Full { Vec::new() } else { vec![reason] },
        permitted_by: Vec::new(),
        facts: vec![fact],
        missing: Vec::new(),
        stale: Vec::new(),
        excused: Vec::new(),
        revoke: false,
        next_check: None,
    }
}

/// One device, in a fleet of so many.
struct Fleet(usize, Brake);

impl Fleet {
    fn hears(
        &mut self,
        before: Option<&Assessment>,
        number: usize,
        ruling: Ruling,
        causes: &[&str],
        now: Time,
    ) -> Step {
        let causes: BTreeSet<String> = causes.iter().map(|&cause| cause.to_owned()).collect();
        let heard = Heard { ruling, policy: 1, causes: &causes, fleet: self.0 };
        assess(&device(number), before, heard, &mut self.1, &MANNERS, now)
    }

    fn at(&mut self, before: &Assessment, level: Level, seconds: u64) -> Assessment {
        self.hears(Some(before), 0, ruling(level, "feed"), &["feed"], at(seconds)).assessment
    }

    fn inside(&mut self, number: usize) -> Assessment {
        self.hears(None, number, ruling(Level::Full, "feed"), &["feed"], START).assessment
    }
}

fn fleet(size: usize) -> Fleet {
    Fleet(size, Brake::default())
}

#[test]
fn worse_counts_at_once_and_says_what_is_to_be_done() {
    let mut fleet = fleet(1);
    let inside = fleet.inside(0);
    let step = fleet.hears(Some(&inside), 0, ruling(Level::Quarantine, "feed"), &["feed"], at(1));
    assert_eq!((step.assessment.level, step.assessment.since, step.is_news), (Level::Quarantine, at(1), true));
    assert!(matches!(&step.effects[..], [Effect::Place, Effect::Notify(_)]), "{:?}", step.effects);
    let step = fleet.hears(Some(&inside), 0, ruling(Level::Blocked, "feed"), &["feed"], at(1));
    assert!(matches!(&step.effects[..], [Effect::Place, Effect::Disconnect, Effect::Notify(_)]), "{:?}", step.effects);
    let revoked = Ruling { revoke: true, ..ruling(Level::Blocked, "feed") };
    let step = fleet.hears(Some(&inside), 0, revoked, &["feed"], at(1));
    assert_eq!(step.effects.last(), Some(&Effect::Revoke("for the test".into())));
    let same = fleet.hears(Some(&inside), 0, ruling(Level::Full, "feed"), &["feed"], at(2));
    assert!(same.effects.is_empty() && !same.is_news);
    assert_eq!(same.assessment.until, at(2 + 3600), "what is said again counts longer");
}

#[test]
fn better_counts_when_it_has_held_and_the_device_has_dwelt() {
    let mut fleet = fleet(1);
    let inside = fleet.inside(0);
    let down = fleet.at(&inside, Level::Quarantine, 0);
    let early = fleet.at(&down, Level::Full, 10);
    assert_eq!((early.level, early.next_check), (Level::Quarantine, at(60)), "it dwells for 60 s");
    let back = fleet.at(&early, Level::Full, 60);
    assert_eq!((back.level, back.since), (Level::Full, at(60)));
    let late = fleet.at(&down, Level::Full, 50);
    assert_eq!(late.next_check, at(80), "better has to hold for 30 s");
    assert_eq!(fleet.at(&late, Level::Full, 79).level, Level::Quarantine);
    let broken = fleet.at(&late, Level::Quarantine, 70);
    assert_eq!(broken.better, None);
    assert_eq!(fleet.at(&broken, Level::Full, 80).next_check, at(110), "it begins anew");
    // It goes as far as every ruling has let it, and on from there.
    let less = fleet.at(&late, Level::Limited, 70);
    let step = fleet.at(&less, Level::Full, 80);
    assert_eq!(step.level, Level::Limited);
    assert_eq!(fleet.at(&step, Level::Full, 81).level, Level::Full);
}

#[test]
fn a_device_that_was_never_let_down_does_not_wait() {
    let mut fleet = fleet(1);
    let new = fleet.hears(None, 0, ruling(Level::Blocked, "feed"), &["feed"], START).assessment;
    assert_eq!(fleet.at(&new, Level::Full, 1).level, Level::Full);
}

#[test]
fn one_source_does_not_put_the_fleet_out_of_action() {
    let mut fleet = fleet(100);
    let inside: Vec<Assessment> = (0..20).map(|number| fleet.inside(number)).collect();
    let hit = |fleet: &mut Fleet, number: usize, source: &str| {
        fleet.hears(Some(&inside[number]), number, ruling(Level::Quarantine, source), &[source], at(1))
    };
    for number in 0..10 {
        assert_eq!(hit(&mut fleet, number, "feed").assessment.level, Level::Quarantine);
    }
    let held = hit(&mut fleet, 10, "feed");
    assert_eq!(held.assessment.level, Level::Full, "ten in a hundred, and no more");
    assert!(matches!(&held.effects[..], [Effect::Notify(what)] if what.contains("feed")), "{:?}", held.effects);
    assert_eq!(held.assessment.held.as_ref().map(|held| held.level), Some(Level::Quarantine));
    assert_eq!(hit(&mut fleet, 11, "other").assessment.level, Level::Quarantine, "another source has a say of its own");
    assert_eq!(hit(&mut fleet, 3, "feed").assessment.level, Level::Quarantine, "it was counted before");
    let waiting = fleet.1.waiting();
    assert_eq!((waiting[0].source.as_str(), waiting[0].done), ("feed", 10));
    // It waits for a person, however long that takes.
    let late = fleet.hears(Some(&inside[10]), 10, ruling(Level::Quarantine, "feed"), &["feed"], at(9999));
    assert_eq!(late.assessment.level, Level::Full);
    assert!(!fleet.1.release("other", &MANNERS.brake, at(9999)));
    assert!(fleet.1.release("feed", &MANNERS.brake, at(9999)));
    let after = fleet.hears(Some(&late.assessment), 10, ruling(Level::Quarantine, "feed"), &["feed"], at(9999));
    assert_eq!((after.assessment.level, after.assessment.held), (Level::Quarantine, None));
}

#[test]
fn what_a_person_dismisses_puts_nobody_out_for_a_while_and_begins_anew_then() {
    let mut brake = Brake::default();
    let lets =
        |brake: &mut Brake, number, seconds| brake.lets("feed", &device(number), 10, &MANNERS.brake, at(seconds));
    let dismiss = |brake: &mut Brake, seconds| brake.dismiss("feed", &MANNERS.brake, at(seconds));
    assert!(!dismiss(&mut brake, 0), "it waits for nobody");
    assert!(lets(&mut brake, 0, 0) && lets(&mut brake, 1, 0) && !lets(&mut brake, 2, 0));
    assert!(dismiss(&mut brake, 10) && !dismiss(&mut brake, 10));
    assert!(brake.waiting().is_empty());
    // What it says again waits for a person at once, even of those whom it had put out before.
    assert!(!lets(&mut brake, 0, 3609));
    assert_eq!(brake.waiting()[0].dismissed_until, Some(at(3610)));
    // Who believes it now lets it go on; who does not dismisses it again.
    let mut believed = brake.clone();
    assert!(believed.release("feed", &MANNERS.brake, at(3609)) && lets(&mut believed, 0, 3609));
    assert!(dismiss(&mut brake, 3609) && !lets(&mut brake, 2, 7208));
    assert!(dismiss(&mut brake, 7208));
    assert!(lets(&mut brake, 2, 7208 + 3600), "its time is over");
}

#[test]
fn a_narrower_place_to_work_in_needs_no_person() {
    let mut fleet = fleet(1000);
    for number in 0..500 {
        let inside = fleet.inside(number);
        let step = fleet.hears(Some(&inside), number, ruling(Level::Limited, "feed"), &["feed"], at(1));
        assert_eq!(step.assessment.level, Level::Limited);
    }
    assert!(fleet.1.waiting().is_empty());
}

fn levels() -> impl Strategy<Value = Level> {
    prop::sample::select(Level::ALL.to_vec())
}

proptest! {
    /// Whatever is said and when: worse counts at once, better never before it has held, and a device is not thrown in and out
    /// more often than once in its time.
    #[test]
    fn it_does_not_flap(said in prop::collection::vec((levels(), 0..40u64), 1..60)) {
        let mut fleet = fleet(1);
        let mut device = fleet.inside(0);
        let (mut now, mut lowered, mut rises) = (0, None, Vec::new());
        let mut history: Vec<(u64, Level)> = Vec::new();
        for (level, wait) in said {
            now += wait;
            history.push((now, level));
            let next = fleet.at(&device, level, now);
            prop_assert!(next.level <= device.level.max(level));
            if level < device.level {
                prop_assert_eq!(next.level, level, "worse counts at once");
                lowered = Some(now);
            }
            if next.level > device.level && device.lowered {
                prop_assert!(lowered.is_none_or(|since| now >= since + 60), "it dwells");
                // Every ruling within the time of recovery let it as far.
                let back = now.saturating_sub(30);
                prop_assert!(history.iter().filter(|(at, _)| *at > back).all(|(_, said)| *said >= next.level));
                rises.push(now);
            }
            prop_assert!(next.next_check <= at(now) + MANNERS.valid / 2);
            device = next;
        }
        prop_assert!(rises.windows(2).all(|pair| pair[1] >= pair[0] + 60));
    }

    /// However facts come, one source puts no more devices out of action than its share.
    #[test]
    fn the_brake_holds(size in 1..200usize, hits in prop::collection::vec((0..200usize, 0..3usize, 0..30u64), 0..300)) {
        let mut fleet = fleet(size);
        let mut devices: Vec<Assessment> = (0..size).map(|number| fleet.inside(number)).collect();
        let mut done = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        let mut now = 0;
        for (number, source, wait) in hits {
            let number = number % size;
            now += wait % 2; // all within the window
            let name = ["a", "b", "c"][source];
            let step = fleet.hears(Some(&devices[number]), number, ruling(Level::Blocked, name), &[name], at(now));
            if !step.assessment.level.is_working() && devices[number].level.is_working() {
                done[source].insert(number);
            }
            devices[number] = step.assessment;
        }
        for done in done {
            prop_assert!(done.len() <= (size / 10).max(2), "{} of {}", done.len(), size);
        }
    }
}

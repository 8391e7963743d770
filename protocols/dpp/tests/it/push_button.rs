//! Push button: both sides against each other, alone and with others about, on networks that break.

use super::{curve::key, party::random};
use landfall_dpp::{
    Channel, Curve,
    curve::{PrivateKey, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType, over_the_air},
    pkex::Done,
    push_button::{Config, Configurator, Enrollee, Input, Output},
};
use landfall_testkit::{
    NOW,
    harness::{Act, Link, Pair, Side},
};
use landfall_types::{Machine, Refusal, Time};
use std::{cell::Cell, rc::Rc, time::Duration};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const HOUR: Duration = Duration::from_secs(3600);

/// One side with its key; frames on their way may be changed.
struct Party<M> {
    machine: M,
    bootstrap: PrivateKey,
    change: Box<dyn Fn(Frame) -> Frame>,
    sent: Vec<(Time, Frame)>,
    channels: Vec<Channel>,
    dropped: Vec<Refusal>,
    done: Vec<Result<Done, Refusal>>,
}

impl<M> Party<M> {
    fn new(machine: M, bootstrap: PrivateKey) -> Self {
        Self {
            machine,
            bootstrap,
            change: Box::new(|frame| frame),
            sent: vec![],
            channels: vec![],
            dropped: vec![],
            done: vec![],
        }
    }

    fn pushed(&self) -> Input {
        Input::Pushed(self.bootstrap.public().clone())
    }

    fn outcome(&self) -> &str {
        match self.done.as_slice() {
            [] => "nothing yet",
            [.., Ok(_)] => "done",
            [.., Err(refusal)] => &refusal.check,
        }
    }

    fn peer(&self) -> &PublicKey {
        let Some(Ok(done)) = self.done.last() else { panic!("{:?}", self.done) };
        assert_eq!(done.version, 3);
        &done.peer
    }

    fn sent(&self, kind: FrameType) -> Vec<Time> {
        let is = |frame: &Frame| matches!(frame, Frame::Action(action) if action.kind == kind);
        self.sent.iter().filter(|(_, frame)| is(frame)).map(|(at, _)| *at).collect()
    }
}

impl<M: Machine<Input = Input, Output = Output, Error = Refusal>> Side for Party<M> {
    type Machine = M;
    type Message = Frame;

    fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    fn arrived(&mut self, frame: Frame) -> Input {
        Input::Frame { frame: (self.change)(frame), from: MAC }
    }

    fn timeout(&mut self) -> Input {
        Input::Timeout
    }

    fn act(&mut self, now: Time, output: Output) -> Act<Input, Frame> {
        match output {
            Output::Announce { channel, frame } => {
                self.channels.push(channel);
                self.sent.push((now, frame.clone()));
                return Act::Send(frame);
            }
            Output::Send { to, frame } => {
                assert_eq!(to, MAC);
                self.sent.push((now, frame.clone()));
                return Act::Send(frame);
            }
            Output::Agree(point) => return Act::Answer(Input::Agreed(self.bootstrap.agree(&point).unwrap())),
            Output::Dropped(refusal) => self.dropped.push(refusal),
            Output::Done(done) => self.done.push(done),
        }
        Act::Nothing
    }
}

type Both = Pair<Party<Configurator>, Party<Enrollee>>;

fn pair_of(curves: [Curve; 2], link: Link, seed: u64) -> Both {
    let configurator = Configurator::new(Config::default(), Box::new(random(seed)));
    let enrollee = Enrollee::new(Config::default(), vec![], Box::new(random(seed + 1)));
    let (a, b) = (Party::new(configurator, key(curves[0], 1)), Party::new(enrollee, key(curves[1], 2)));
    Pair::new(a, b, link, seed, NOW)
}

fn pair() -> Both {
    pair_of([Curve::P256; 2], Link::PERFECT, 1)
}

fn push_both(pair: &mut Both) {
    pair.tell_a(pair.a.pushed());
    pair.tell_b(pair.b.pushed());
}

fn run(pair: &mut Both) {
    let end = pair.now + HOUR;
    assert!(pair.run_until(end), "something is never over");
    assert!(pair.errors.is_empty(), "{:?}", pair.errors);
    assert!(!pair.a.machine.is_active() && !pair.b.machine.is_active());
}

fn outcomes(pair: &Both) -> (&str, &str) {
    (pair.a.outcome(), pair.b.outcome())
}

/// An announcement by another device.
fn announcement(of: &PublicKey) -> Input {
    let mut frame = AttributeWriter::new();
    frame.put(AttributeId::ResponderBootstrapHash, &of.chirp_hash().0);
    let action = Action { kind: FrameType::PbPresenceAnnouncement, attributes: frame.into_bytes() };
    Input::Frame { frame: Frame::Action(action), from: OTHER_MAC }
}

/// An answer by another configurator.
fn answer(configurator: &PublicKey, enrollee: &PublicKey, nonce: &[u8]) -> Input {
    let mut frame = AttributeWriter::new();
    frame.put(AttributeId::InitiatorBootstrapHash, &configurator.chirp_hash().0);
    frame.put(AttributeId::ResponderBootstrapHash, &enrollee.chirp_hash().0);
    frame.put(AttributeId::ConfiguratorNonce, nonce);
    let action = Action { kind: FrameType::PbPresenceAnnouncementResponse, attributes: frame.into_bytes() };
    Input::Frame { frame: Frame::Action(action), from: OTHER_MAC }
}

#[test]
fn each_learns_the_others_key_on_every_curve() {
    for curve in Curve::ALL {
        let mut pair = pair_of([curve; 2], Link::PERFECT, 1);
        push_both(&mut pair);
        run(&mut pair);
        assert_eq!(outcomes(&pair), ("done", "done"), "{curve}");
        assert_eq!(pair.a.peer(), pair.b.bootstrap.public());
        assert_eq!(pair.b.peer(), pair.a.bootstrap.public());
        assert!(pair.a.dropped.is_empty() && pair.b.dropped.is_empty());
    }
}

/// The frames as hostap writes them: one hash; two hashes and the nonce.
#[test]
fn the_frames_are_those_of_the_specification() {
    let mut pair = pair();
    push_both(&mut pair);
    run(&mut pair);
    let (a, b) = (pair.a.bootstrap.public().chirp_hash().0, pair.b.bootstrap.public().chirp_hash().0);
    let announced = [&[4, 9, 0x50, 0x6f, 0x9a, 0x1a, 1, 19, 2, 0x10, 32, 0][..], &b].concat();
    assert_eq!(over_the_air(&pair.b.sent[0].1), announced);
    let answered = over_the_air(&pair.a.sent[0].1);
    let expected =
        [&[4, 9, 0x50, 0x6f, 0x9a, 0x1a, 1, 20, 1, 0x10, 32, 0][..], &a, &[2, 0x10, 32, 0], &b, &[0x22, 0x10, 16, 0]]
            .concat();
    assert_eq!(answered[..expected.len()], expected);
    assert_eq!(answered.len(), expected.len() + 16);
}

/// Three announcements on each channel, a whole set after the first answer, a rest, one more set, then the channel of
/// the answer; and no PKEX before the configurator has listened for fifteen seconds.
#[test]
fn both_listen_for_others_before_they_exchange_keys() {
    let mut pair = pair();
    push_both(&mut pair);
    run(&mut pair);
    let usual = landfall_dpp::presence::usual_channels(landfall_dpp::presence::FIVE_GHZ);
    let set: Vec<_> = usual.iter().flat_map(|channel| [*channel; 3]).collect();
    assert_eq!(pair.b.channels[..27], [&set[..], &set, &set].concat());
    assert!(pair.b.channels[27..].iter().all(|channel| *channel == usual[0]), "where it was answered");
    let announced = pair.b.sent(FrameType::PbPresenceAnnouncement);
    assert_eq!(announced[1].since(announced[0]), Duration::from_millis(50));
    assert!(announced[18].since(announced[17]) >= Duration::from_secs(10));
    let [request] = pair.a.sent(FrameType::PkexExchangeRequest)[..] else { panic!("once") };
    let waited = request.since(NOW);
    assert!(waited >= Duration::from_secs(15) && waited < Duration::from_secs(17), "{waited:?}");
}

#[test]
fn loss_duplication_and_reordering_end_well_or_not_at_all() {
    let mut well = 0;
    for seed in 0..100 {
        let mut pair = pair_of([Curve::P256; 2], Link::BAD, seed);
        push_both(&mut pair);
        run(&mut pair);
        assert!(pair.a.done.len() == 1 && pair.b.done.len() == 1, "seed {seed}: {:?}", outcomes(&pair));
        if pair.a.outcome() == "done" {
            assert_eq!(pair.a.peer(), pair.b.bootstrap.public(), "seed {seed}");
            assert_eq!(pair.b.peer(), pair.a.bootstrap.public(), "seed {seed}");
            well += 1;
        }
    }
    assert!(well > 90, "only {well} of 100 came through");
}

#[test]
fn whoever_comes_later_finds_the_other() {
    for first_is_a in [true, false] {
        let mut pair = pair();
        match first_is_a {
            true => pair.tell_a(pair.a.pushed()),
            false => pair.tell_b(pair.b.pushed()),
        }
        assert!(!pair.run_until(NOW + Duration::from_secs(40)));
        match first_is_a {
            true => pair.tell_b(pair.b.pushed()),
            false => pair.tell_a(pair.a.pushed()),
        }
        run(&mut pair);
        assert_eq!(outcomes(&pair), ("done", "done"));
    }
}

#[test]
fn a_push_is_good_for_a_hundred_seconds() {
    let mut pair = pair();
    pair.tell_a(pair.a.pushed());
    run(&mut pair);
    assert_eq!((pair.a.outcome(), pair.now.since(NOW)), ("dpp-pb-window", Duration::from_secs(100)));
    let mut pair = self::pair();
    pair.tell_b(pair.b.pushed());
    run(&mut pair);
    assert_eq!((pair.b.outcome(), pair.now.since(NOW)), ("dpp-pb-window", Duration::from_secs(100)));
    assert!(pair.a.sent.is_empty(), "a configurator whose button is not pushed says nothing");
    // The next push begins anew.
    pair.tell_b(pair.b.pushed());
    pair.tell_a(pair.a.pushed());
    run(&mut pair);
    assert_eq!(outcomes(&pair), ("done", "done"));
}

#[test]
fn a_push_during_another_begins_anew() {
    let mut pair = pair();
    push_both(&mut pair);
    pair.run_until(NOW + Duration::from_secs(5));
    pair.b.bootstrap = key(Curve::P256, 3);
    pair.tell_b(pair.b.pushed());
    pair.run_until(NOW + Duration::from_secs(8));
    // A device with another key is another device, as far as anyone can tell.
    assert_eq!(pair.a.outcome(), "dpp-pb-overlap");
}

#[test]
fn two_devices_are_one_too_many() {
    let other = key(Curve::P256, 9);
    for second in [1, 5, 14] {
        let mut pair = pair();
        push_both(&mut pair);
        pair.run_until(NOW + Duration::from_secs(second));
        pair.tell_a(announcement(other.public()));
        run(&mut pair);
        assert_eq!(outcomes(&pair), ("dpp-pb-overlap", "dpp-pb-window"), "after {second} seconds");
        assert!(pair.a.sent(FrameType::PkexExchangeRequest).is_empty());
    }
    // While keys are exchanged, too.
    let mut pair = pair();
    pair.b.change = Box::new(|frame| rewrite(FrameType::PkexExchangeRequest, frame, Vec::clear));
    push_both(&mut pair);
    pair.run_until(NOW + Duration::from_secs(17));
    pair.tell_a(announcement(other.public()));
    run(&mut pair);
    assert_eq!(pair.a.outcome(), "dpp-pb-overlap");
    assert_eq!(pair.a.sent(FrameType::PkexExchangeRequest).len(), 1);
    // And shortly before the configurator's button is pushed.
    for (seconds, outcome) in [(119, "dpp-pb-overlap"), (121, "done")] {
        let mut pair = self::pair();
        pair.tell_a(announcement(other.public()));
        pair.run_until(NOW + Duration::from_secs(seconds));
        pair.now = NOW + Duration::from_secs(seconds);
        push_both(&mut pair);
        run(&mut pair);
        assert_eq!(pair.a.outcome(), outcome, "{seconds} seconds later");
    }
}

#[test]
fn one_device_after_another_is_not_too_many() {
    let mut pair = pair();
    push_both(&mut pair);
    run(&mut pair);
    let first = pair.b.bootstrap.public().clone();
    pair.b.bootstrap = key(Curve::P256, 7);
    pair.a.bootstrap = key(Curve::P256, 8);
    push_both(&mut pair);
    run(&mut pair);
    assert_eq!(outcomes(&pair), ("done", "done"));
    assert_ne!(pair.a.peer(), &first);
}

#[test]
fn two_configurators_are_one_too_many() {
    let other = key(Curve::P256, 9);
    for second in [1, 5, 13] {
        let (theirs, own) = (key(Curve::P256, 1).public().clone(), key(Curve::P256, 2).public().clone());
        for bad in [
            // Another key, another device that is meant, another nonce of the same.
            answer(other.public(), &own, &[1; 16]),
            answer(&theirs, other.public(), &[1; 16]),
            answer(&theirs, &own, &[1; 16]),
        ] {
            let mut pair = pair();
            push_both(&mut pair);
            pair.run_until(NOW + Duration::from_secs(second));
            pair.tell_b(bad);
            assert_eq!(pair.b.outcome(), "dpp-pb-overlap", "after {second} seconds");
            run(&mut pair);
            assert_eq!(pair.a.outcome(), "dpp-pb-window");
        }
    }
}

/// The frame with its attributes rewritten, if it is of that kind.
fn rewrite(kind: FrameType, frame: Frame, change: impl Fn(&mut Vec<(u16, Vec<u8>)>)) -> Frame {
    let Frame::Action(action) = frame else { return frame };
    if action.kind != kind {
        return Frame::Action(action);
    }
    let mut attributes: Vec<_> = action.attributes().unwrap().iter().map(|(id, value)| (id, value.to_vec())).collect();
    change(&mut attributes);
    let mut writer = AttributeWriter::new();
    for (id, value) in attributes {
        writer.put(AttributeId::of(id).unwrap(), &value);
    }
    Frame::Action(Action { kind, attributes: writer.into_bytes() })
}

/// Each attribute of each frame missing, doubled, empty, cut and changed: nobody takes a key for another's.
#[test]
fn no_attribute_may_be_amiss() {
    let kinds = [
        FrameType::PbPresenceAnnouncement,
        FrameType::PbPresenceAnnouncementResponse,
        FrameType::PkexExchangeRequest,
        FrameType::PkexExchangeResponse,
        FrameType::PkexCommitRevealRequest,
        FrameType::PkexCommitRevealResponse,
    ];
    for kind in kinds {
        for at in 0..4 {
            for fault in 0..5 {
                let mut pair = pair();
                let present = Rc::new(Cell::new(false));
                let change = |present: Rc<Cell<bool>>| {
                    Box::new(move |frame| {
                        rewrite(kind, frame, |attributes| {
                            if at >= attributes.len() {
                                return;
                            }
                            present.set(true);
                            match fault {
                                0 => drop(attributes.remove(at)),
                                1 => attributes.push(attributes[at].clone()),
                                2 => attributes[at].1.clear(),
                                3 => drop(attributes[at].1.pop()),
                                _ => *attributes[at].1.last_mut().unwrap() ^= 0x40,
                            }
                        })
                    })
                };
                (pair.a.change, pair.b.change) = (change(present.clone()), change(present.clone()));
                push_both(&mut pair);
                run(&mut pair);
                if present.get() {
                    assert_ne!(pair.a.outcome(), "done", "{kind}, attribute {at}, fault {fault}");
                    let last = kind == FrameType::PkexCommitRevealResponse;
                    assert!(last || pair.b.outcome() != "done", "{kind}, attribute {at}, fault {fault}");
                }
            }
        }
    }
}

/// Who reveals another key than was announced does not see ours.
#[test]
fn the_keys_must_be_those_that_were_announced() {
    let mut pair = pair();
    pair.b.change = Box::new(|frame| {
        rewrite(FrameType::PbPresenceAnnouncementResponse, frame, |attributes| attributes[0].1[31] ^= 1)
    });
    push_both(&mut pair);
    run(&mut pair);
    assert_eq!(outcomes(&pair), ("dpp-silence", "dpp-pb-hash"));
    assert!(pair.b.sent(FrameType::PkexCommitRevealResponse).is_empty());

    // Both ways, so that the device sees its own hash come back.
    let change = |kind, at: usize| {
        Box::new(move |frame| rewrite(kind, frame, |attributes| attributes[at].1[31] ^= 1))
            as Box<dyn Fn(Frame) -> Frame>
    };
    let mut pair = self::pair();
    pair.a.change = change(FrameType::PbPresenceAnnouncement, 0);
    pair.b.change = change(FrameType::PbPresenceAnnouncementResponse, 1);
    push_both(&mut pair);
    run(&mut pair);
    assert_eq!(pair.a.outcome(), "dpp-pb-hash");
    // And without: somebody else is answered.
    let mut pair = self::pair();
    pair.a.change = change(FrameType::PbPresenceAnnouncement, 0);
    push_both(&mut pair);
    run(&mut pair);
    assert_eq!(pair.b.outcome(), "dpp-pb-overlap");
}

#[test]
fn the_nonce_is_the_code() {
    let mut pair = pair();
    pair.b.change = Box::new(|frame| {
        rewrite(FrameType::PbPresenceAnnouncementResponse, frame, |attributes| attributes[2].1[0] ^= 1)
    });
    push_both(&mut pair);
    run(&mut pair);
    assert_eq!(outcomes(&pair), ("dpp-silence", "dpp-pkex-code"));
}

#[test]
fn other_curves_do_not_fit() {
    let mut pair = pair_of([Curve::P256, Curve::Bp384], Link::PERFECT, 1);
    push_both(&mut pair);
    run(&mut pair);
    assert_eq!(outcomes(&pair), ("dpp-pkex-group", "dpp-pb-window"));
}

#[test]
fn a_nonce_has_the_length_of_a_curve() {
    let mut pair = pair();
    pair.tell_b(pair.b.pushed());
    let (theirs, own) = (pair.a.bootstrap.public().clone(), pair.b.bootstrap.public().clone());
    for length in [0, 15, 17, 33] {
        pair.tell_b(answer(&theirs, &own, &vec![1; length]));
        assert_eq!(pair.b.dropped.pop().unwrap().check, "dpp-pb-nonce");
    }
}

#[test]
fn frames_out_of_place_change_nothing() {
    let mut pair = pair();
    let other = key(Curve::P256, 9);
    let peer = pair.a.bootstrap.public().clone();
    pair.tell_b(answer(&peer, other.public(), &[1; 16]));
    assert_eq!(pair.b.dropped.pop().unwrap().check, "dpp-order");
    push_both(&mut pair);
    let pkex = Frame::Action(Action { kind: FrameType::PkexExchangeRequest, attributes: vec![] });
    pair.tell_a(Input::Frame { frame: pkex.clone(), from: OTHER_MAC });
    pair.tell_b(Input::Frame { frame: pkex, from: OTHER_MAC });
    assert_eq!(pair.a.dropped.pop().unwrap().check, "dpp-order");
    assert_eq!(pair.b.dropped.pop().unwrap().check, "dpp-order");
    // An answer of a configurator that was heard before is no harm, nor an announcement that is not whole.
    let empty = Frame::Action(Action { kind: FrameType::PbPresenceAnnouncement, attributes: vec![] });
    pair.tell_a(Input::Frame { frame: empty, from: OTHER_MAC });
    assert_eq!(pair.a.dropped.pop().unwrap().check, "dpp-attribute-missing");
    run(&mut pair);
    assert_eq!(outcomes(&pair), ("done", "done"));
}

#[test]
fn a_driver_that_answers_unasked_is_told() {
    let mut pair = pair();
    for state in 0..2 {
        let told = pair.a.machine.handle(NOW, Input::Agreed(vec![1].into())).unwrap_err();
        assert_eq!(told.check, "dpp-driver", "{state}");
        assert_eq!(pair.b.machine.handle(NOW, Input::Agreed(vec![1].into())).unwrap_err().check, "dpp-driver");
        push_both(&mut pair);
    }
    pair.tell_a(Input::Failed("the element is away".into()));
    pair.tell_b(Input::Failed("the element is away".into()));
    assert_eq!(outcomes(&pair), ("dpp-backend", "dpp-backend"));
}

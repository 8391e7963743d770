//! Presence announcement: what is sent, where and when.

use super::vectors::{octets, vector};
use landfall_dpp::{
    Channel,
    frame::{Action, Frame, FrameType, from_the_air, over_the_air},
    presence::{Chirper, Config, Input, Output, announced, announcement},
};
use landfall_types::{Fingerprint, Machine, Time, contract::drain};

const NOW: Time = Time::from_unix(1_800_000_000);
const HASH: Fingerprint = Fingerprint([7; 32]);

#[test]
fn the_frame_is_that_of_the_vectors() {
    let Some(chirp) = vector("/chirp") else { return };
    let hash = Fingerprint(octets(&chirp["chirp_hash"]).try_into().unwrap());
    let frame = announcement(&hash);
    assert_eq!(over_the_air(&frame), octets(&chirp["presence_announcement_frame_body"]));
    let Frame::Action(action) = from_the_air(&over_the_air(&frame)).unwrap() else { panic!("an action frame") };
    assert_eq!(announced(&action).unwrap(), hash);
}

#[test]
fn a_frame_that_announces_nobody_is_refused() {
    let Frame::Action(good) = announcement(&HASH) else { panic!("an action frame") };
    let bad = |attributes: Vec<u8>| announced(&Action { kind: good.kind, attributes }).unwrap_err().check;
    assert_eq!(bad(vec![]), "dpp-attribute-missing");
    assert_eq!(bad([good.attributes.clone(), good.attributes.clone()].concat()), "dpp-attribute-duplicate");
    assert_eq!(bad(good.attributes[..35].to_vec()), "dpp-frame-length");
    assert_eq!(bad([&[0x02, 0x10, 31, 0][..], &[7; 31]].concat()), "dpp-attribute-length");
    let other = Action { kind: FrameType::AuthenticationRequest, attributes: good.attributes };
    assert_eq!(announced(&other).unwrap_err().check, "dpp-order");
}

/// Where and when it announces, over two rounds of scanning.
fn schedule(config: Config, found: Vec<Channel>) -> Vec<(i64, Option<Channel>)> {
    let mut chirper = Chirper::new(config);
    let (mut now, mut seen, mut scans) = (NOW, Vec::new(), 0);
    chirper.handle(now, Input::Start).unwrap();
    while scans < 2 {
        for output in drain(&mut chirper) {
            let after = now.as_unix() - NOW.as_unix();
            match output {
                Output::Scan => {
                    scans += 1;
                    seen.push((after, None));
                    chirper.handle(now, Input::Scanned(found.clone())).unwrap();
                }
                Output::Announce { channel, frame } => {
                    assert_eq!(frame, announcement(&HASH));
                    seen.push((after, Some(channel)));
                    // Too early changes nothing.
                    chirper.handle(now, Input::Timeout).unwrap();
                    now = chirper.poll_timeout().unwrap();
                    chirper.handle(now, Input::Timeout).unwrap();
                }
            }
        }
    }
    seen
}

#[test]
fn the_channels_of_the_code_come_first_then_those_of_access_points() {
    let (coded, found) = (Channel { class: 81, channel: 1 }, Channel { class: 115, channel: 36 });
    let mut config = Config::new(HASH, vec![coded]);
    config.rounds = 2;
    let seen = schedule(config, vec![found, coded]);
    let expected = [(0, None), (0, Some(coded)), (2, Some(found)), (34, Some(coded)), (36, Some(found)), (68, None)];
    assert_eq!(seen[..6], expected);
}

#[test]
fn without_channels_it_takes_those_of_the_specification() {
    let channels: Vec<_> = schedule(Config::new(HASH, vec![]), vec![]).into_iter().filter_map(|(_, at)| at).collect();
    let expected = [(81, 6), (115, 44), (180, 2)].map(|(class, channel)| Channel { class, channel });
    assert_eq!(channels[..6], [expected, expected].concat());
    assert!(channels.len() >= 12, "four rounds before it looks around again");
}

#[test]
fn a_driver_that_answers_unasked_is_told() {
    let mut chirper = Chirper::new(Config::new(HASH, vec![]));
    assert_eq!(chirper.handle(NOW, Input::Scanned(vec![])).unwrap_err().check, "dpp-driver");
    chirper.handle(NOW, Input::Start).unwrap();
    assert_eq!(chirper.handle(NOW, Input::Start).unwrap_err().check, "dpp-driver");
    assert_eq!(drain(&mut chirper), [Output::Scan]);
}

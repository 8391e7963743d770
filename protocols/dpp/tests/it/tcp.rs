//! Frames over TCP.

use crate::it::vectors::{octets, vector};
use landfall_dpp::{
    frame::{self, Action, Frame, FrameError, FrameType},
    gas::Gas,
    tcp::{self, Decoder},
};
use landfall_testkit::Rng;

#[test]
fn the_published_framing() {
    let Some(values) = vector("/tcp_framing") else { return };
    let Some(exchange) = vector("/config_exchange_p256") else { return };
    let air = frame::from_the_air(&octets(&exchange["config_result_frame_body"])).unwrap();
    assert_eq!(tcp::encode(&air), octets(&values["config_result_over_tcp"]));
    for name in ["config_result_over_tcp", "auth_req_over_tcp_mutual", "config_request_over_tcp"] {
        let mut decoder = Decoder::new();
        decoder.push(&octets(&values[name]));
        let frame = decoder.next().unwrap().unwrap();
        assert_eq!(tcp::encode(&frame), octets(&values[name]), "{name}");
        assert_eq!((decoder.next(), decoder.pending()), (Ok(None), 0));
    }
}

fn frames() -> Vec<Frame> {
    vec![
        Gas::ComebackRequest { token: 7 }.into(),
        Action { kind: FrameType::PresenceAnnouncement, attributes: vec![0; 36] }.into(),
        Gas::InitialRequest { token: 1, query: vec![1; 3000] }.into(),
        Action { kind: FrameType::ConfigurationResult, attributes: Vec::new() }.into(),
    ]
}

#[test]
fn a_stream_cut_anywhere_yields_the_same_frames() {
    let stream: Vec<u8> = frames().iter().flat_map(tcp::encode).collect();
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let (mut decoder, mut found, mut rest) = (Decoder::new(), Vec::new(), stream.as_slice());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(usize::try_from(1 + rng.below(rest.len().min(900) as u64)).unwrap());
            decoder.push(now);
            rest = later;
            while let Some(frame) = decoder.next().unwrap() {
                found.push(frame);
            }
        }
        assert_eq!(found, frames(), "seed {seed}");
        assert_eq!(decoder.pending(), 0);
    }
}

#[test]
fn a_length_is_neither_zero_nor_too_large() {
    let next = |len: u32| {
        let mut decoder = Decoder::new();
        decoder.push(&len.to_be_bytes());
        decoder.next()
    };
    assert_eq!(next(65_535), Ok(None));
    assert!(matches!(next(65_536), Err(FrameError::TooLarge { len: 65_536, .. })));
    assert!(matches!(next(u32::MAX), Err(FrameError::TooLarge { .. })));
    assert_eq!(next(0), Err(FrameError::Truncated("the frame")));
}

#[test]
fn a_stranger_may_be_trusted_with_less() {
    let good = Frame::from(Gas::ComebackRequest { token: 7 });
    let bytes = tcp::encode(&good);
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    let len = bytes.len() - 4;
    assert_eq!(decoder.next_within(len - 1), Err(FrameError::TooLarge { part: "frame", len, max: len - 1 }));
    assert_eq!(decoder.next_within(len), Ok(Some(good)));
}

#[test]
fn a_frame_of_something_else_is_passed_over() {
    let good = Frame::from(Gas::ComebackRequest { token: 7 });
    let mut decoder = Decoder::new();
    decoder.push(&[&[0, 0, 0, 2, 0x55, 0], tcp::encode(&good).as_slice()].concat());
    assert_eq!(decoder.next(), Err(FrameError::NotDpp("Action")));
    assert_eq!(decoder.next(), Ok(Some(good)));
}

#[test]
fn a_stream_of_noise_is_safe() {
    let seed = 20_261_122;
    let mut rng = Rng::new(seed);
    for _ in 0..2000 {
        let mut decoder = Decoder::new();
        let mut noise = rng.bytes::<64>();
        noise[..3].fill(0);
        decoder.push(&noise);
        while let Ok(Some(frame)) = decoder.next() {
            let _ = format!("{frame:?}, seed {seed}");
        }
    }
}

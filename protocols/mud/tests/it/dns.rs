//! Messages of DNS: what a device hears is what was understood, and nothing else of it.

use landfall_mud::dns::{Answer, Code, Query, Question, kind};
use std::net::IpAddr;

const NAME: &[u8] = b"\x05Cloud\x04lamp\x07EXAMPLE\0\0\x01\0\x01";

fn query(tail: &[u8], others: u8) -> Vec<u8> {
    [&[1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, others], NAME, tail].concat()
}

fn record(owner: &[u8], kind: u8, seconds: u8, data: &[u8]) -> Vec<u8> {
    [owner, &[0, kind, 0, 1, 0, 0, 0, seconds, 0, data.len() as u8], data].concat()
}

fn ours() -> Query {
    Query::new(7, Question { name: "cloud.lamp.example".into(), kind: kind::A }).unwrap()
}

fn answer(records: &[Vec<u8>]) -> Vec<u8> {
    [&[0, 7, 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0], NAME, &records.concat()].concat()
}

#[test]
fn a_question_comes_back_in_its_own_letters() {
    let asked = Query::read(&query(&[], 0)).unwrap();
    assert_eq!(asked.question, Question { name: "cloud.lamp.example".into(), kind: kind::A });
    let told = Answer { addresses: vec!["198.51.100.7".parse().unwrap()], seconds: 9, ..Answer::nothing() };
    let told = asked.tell(&told, true);
    assert!(told.windows(NAME.len()).any(|window| window == NAME));
    assert_eq!(&told[..4], [1, 2, 0x81, 0x80]);
    let refused = asked.decline(Code::Refused);
    assert_eq!((refused[3] & 15, refused.len()), (5, 12 + NAME.len()));
    // Who can take more is told why.
    let room = [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0];
    let refused = Query::read(&query(&room, 1)).unwrap().decline(Code::Refused);
    assert!(refused.ends_with(&[0, 15, 0, 2, 0, 15]));
}

#[test]
fn what_is_no_question_is_answered_as_far_as_that_is_safe() {
    let good = query(&[], 0);
    let with = |at: usize, octet: u8| {
        let mut message = good.clone();
        message[at] = octet;
        Query::read(&message).unwrap_err()
    };
    assert_eq!(with(2, 0x81), None, "an answer is not answered");
    assert_eq!(with(2, 0x28).unwrap()[3], Code::NotImplemented as u8, "an update");
    for (at, octet, what) in
        [(5, 2, "two questions"), (5, 0, "none"), (7, 1, "an answer in it"), (12, 0xc0, "a pointer")]
    {
        assert_eq!(with(at, octet).unwrap()[3], Code::Malformed as u8, "{what}");
    }
    let last = good.len() - 1;
    assert_eq!(with(last, 3).unwrap()[3], Code::Malformed as u8, "another class");
    assert_eq!(with(13, b' ').unwrap()[3], Code::Malformed as u8, "a name that is none");
    assert_eq!(Query::read(&good[..3]), Err(None));
    assert!(Query::read(&good[..20]).is_err());
}

#[test]
fn aliases_are_followed_wherever_they_stand() {
    let cdn = b"\x01a\x03cdn\0";
    let alias = record(&[0xc0, 12], 5, 60, cdn);
    let [one, two] = [7, 8].map(|last| record(cdn, 1, 9, &[198, 51, 100, last]));
    let stray = record(b"\x05other\0", 1, 1, &[203, 0, 113, 1]);
    let addresses: Vec<IpAddr> = ["198.51.100.7", "198.51.100.8"].map(|text| text.parse().unwrap()).into();
    for records in [[&alias, &one, &two, &stray], [&stray, &two, &alias, &one]] {
        let read = Answer::read(&answer(&records.map(Clone::clone)), &ours()).unwrap();
        assert_eq!(
            (&read.addresses, read.aliases.as_slice(), read.seconds),
            (&addresses, ["a.cdn".to_owned()].as_slice(), 9)
        );
    }
    // One that leads to itself leads nowhere.
    let round = record(&[0xc0, 12], 5, 60, &[0xc0, 12]);
    assert_eq!(Answer::read(&answer(&[round]), &ours()).unwrap().code, Code::Failed as u8);
}

#[test]
fn what_answers_something_else_is_no_answer() {
    let good = answer(&[record(&[0xc0, 12], 1, 9, &[198, 51, 100, 7])]);
    assert!(Answer::read(&good, &ours()).is_some());
    for (at, octet, what) in [
        (1, 8, "another number"),
        (2, 0x01, "a question"),
        (13, b'x', "another name"),
        (7, 2, "fewer records than it says"),
        (good.len() - 5, 3, "an address of three octets"),
    ] {
        let mut message = good.clone();
        message[at] = octet;
        assert_eq!(Answer::read(&message, &ours()), None, "{what}");
    }
    let mut cut = good;
    cut[2] |= 2;
    assert!(Answer::read(&cut, &ours()).unwrap().is_cut);
}

#[test]
fn what_does_not_fit_is_cut_and_said_to_be() {
    let asked = Query::read(&query(&[], 0)).unwrap();
    let addresses = (0..60).map(|last| IpAddr::from([198, 51, 100, last])).collect();
    let told = Answer { addresses, seconds: 9, ..Answer::nothing() };
    let by_datagram = asked.tell(&told, true);
    assert!(by_datagram.len() <= 512 && by_datagram[2] & 2 == 2 && by_datagram[7] == 0);
    let by_stream = asked.tell(&told, false);
    assert!(by_stream[2] & 2 == 0 && by_stream[7] == 60);
}

//! What a receiver of events asks and is answered (RFC 8936).

use landfall_claims::poll::{Answer, Complaint, MOST, Poll};
use serde_json::{Value, json};

fn poll() -> Poll {
    let why = Complaint { code: "invalid_key".into(), description: "Failed validation".into() };
    Poll { most: Some(5), at_once: true, taken: vec!["a".into(), "b".into()], refused: vec![("c".into(), why)] }
}

#[test]
fn both_are_read_as_they_were_written() {
    for poll in [poll(), Poll::default(), Poll { most: Some(0), ..Poll::default() }] {
        assert_eq!(Poll::read(poll.to_json().as_bytes()), Ok(poll));
    }
    for answer in [
        Answer::default(),
        Answer { events: vec![("a".into(), "x.y.z".into()), ("b".into(), "u.v.w".into())], more: true },
    ] {
        assert_eq!(Answer::read(answer.to_json().as_bytes()), Ok(answer));
    }
}

/// The examples of RFC 8936 s2.4, in form.
#[test]
fn what_others_write_is_read() {
    let read = |document: Value| Poll::read(document.to_string().as_bytes()).unwrap();
    assert_eq!(read(json!({})), Poll::default());
    let acknowledged = read(json!({
        "ack": ["3d0c3cf797584bd193bd0fb1bd4e7d30"],
        "setErrs": { "4d3559ec67504aaba65d40b0363faad8": { "err": "authentication_failed", "description": "The SET could not be authenticated" } },
        "returnImmediately": true
    }));
    assert_eq!((acknowledged.taken.len(), acknowledged.refused[0].1.code.as_str()), (1, "authentication_failed"));
    let answer = Answer::read(json!({ "sets": { "3d0c": "e30.e30." } }).to_string().as_bytes()).unwrap();
    assert_eq!((answer.events.len(), answer.more), (1, false));
}

#[test]
fn one_thing_changed_is_refused() {
    let refused = |good: &str, name: &str, value: Value, read: fn(&[u8]) -> bool| {
        let mut document: Value = serde_json::from_str(good).unwrap();
        document[name] = value.clone();
        assert!(!read(document.to_string().as_bytes()), "{name} {value}");
    };
    let poll = poll().to_json();
    let is_poll: fn(&[u8]) -> bool = |bytes| Poll::read(bytes).is_ok();
    assert!(is_poll(poll.as_bytes()));
    for (name, value) in [
        ("maxEvents", json!("5")),
        ("maxEvents", json!(-1)),
        ("returnImmediately", json!("yes")),
        ("ack", json!("a")),
        ("ack", json!([7])),
        ("ack", json!([""])),
        ("ack", json!(["a\n"])),
        ("ack", json!(vec!["a"; 1001])),
        ("setErrs", json!(["a"])),
        ("setErrs", json!({ "": { "err": "x" } })),
    ] {
        refused(&poll, name, value, is_poll);
    }
    let is_answer: fn(&[u8]) -> bool = |bytes| Answer::read(bytes).is_ok();
    let answer = Answer { events: vec![("a".into(), "x.y.z".into())], more: false }.to_json();
    assert!(is_answer(answer.as_bytes()));
    let many: serde_json::Map<String, Value> = (0..=MOST).map(|n| (n.to_string(), json!("x"))).collect();
    for (name, value) in
        [("sets", json!([])), ("sets", json!({ "a": 7 })), ("sets", Value::Object(many)), ("moreAvailable", json!(1))]
    {
        refused(&answer, name, value, is_answer);
    }
    for text in ["", "[]", "{\"ack\":[],\"ack\":[]}"] {
        assert!(!is_poll(text.as_bytes()) && !is_answer(text.as_bytes()), "{text}");
    }
    assert!(!is_poll(" ".repeat(300_000).as_bytes()));
}

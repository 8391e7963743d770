//! Orders to access points.

use landfall_eap::radius::{
    Attributes, Code, Kind, Order, Packet, Secret,
    order::{Input, Output, Reply},
};
use landfall_testkit::pki::NOW;
use landfall_types::{Machine, Redacted, contract::drain};

fn secret() -> Secret {
    Secret::new(Redacted::new(b"xyzzy5461".to_vec())).unwrap()
}

fn order() -> Order {
    let session = Attributes::default().with(Kind::ACCT_SESSION_ID, "A1B2");
    Order::disconnect(session, 5, secret(), NOW)
}

fn sent(order: &mut Order) -> Vec<u8> {
    match drain(order).as_slice() {
        [Output::Send(bytes)] => bytes.clone(),
        outputs => panic!("{outputs:?}"),
    }
}

fn answer(request: &[u8], code: Code, identifier: u8, cause: Option<u32>) -> Input {
    let request = Packet::open_request(request, &secret()).unwrap();
    let none = Attributes::default();
    let attributes = cause.map_or(none.clone(), |cause| none.with_number(Kind::ERROR_CAUSE, cause));
    let packet = Packet { code, identifier, authenticator: [0; 16], attributes };
    Input::Datagram(packet.seal_answer(&request.authenticator, &secret()))
}

#[test]
fn it_is_done_when_the_access_point_says_so() {
    let mut order = order();
    let bytes = sent(&mut order);
    let request = Packet::open_request(&bytes, &secret()).unwrap();
    assert_eq!(request.code, Code::DisconnectRequest);
    assert_eq!(request.attributes.text(Kind::ACCT_SESSION_ID).as_deref(), Some("A1B2"));
    assert_eq!(request.attributes.number(Kind::EVENT_TIMESTAMP), u32::try_from(NOW.as_unix()).ok());
    order.handle(NOW, answer(&bytes, Code::DisconnectAck, 5, None)).unwrap();
    assert_eq!(drain(&mut order), [Output::Ended(Reply::Done)]);
    assert_eq!(order.poll_timeout(), None);
}

#[test]
fn it_is_not_done_when_the_access_point_says_that() {
    let mut order = order();
    let bytes = sent(&mut order);
    order.handle(NOW, answer(&bytes, Code::DisconnectNak, 5, Some(405))).unwrap();
    match drain(&mut order).as_slice() {
        [Output::Ended(Reply::Not(why))] => {
            assert_eq!((&*why.check, &*why.section), ("radius-order", "RFC 5176 s3.5"));
            assert!(why.detail.contains("does not do such things"), "{why}");
        }
        outputs => panic!("{outputs:?}"),
    }
}

/// That is another matter: there is nothing left to end.
#[test]
fn that_there_is_no_such_session_has_a_name_of_its_own() {
    let mut order = order();
    let bytes = sent(&mut order);
    order.handle(NOW, answer(&bytes, Code::DisconnectNak, 5, Some(503))).unwrap();
    let [Output::Ended(Reply::Not(why))] = &drain(&mut order)[..] else { panic!() };
    assert_eq!(why.check, "radius-no-session");
    assert!(why.detail.contains("no such session"), "{why}");
}

#[test]
fn what_is_no_answer_to_it_changes_nothing() {
    let mut order = order();
    let bytes = sent(&mut order);
    let check = |order: &mut Order, input| order.handle(NOW, input).unwrap_err().check.into_owned();
    assert_eq!(check(&mut order, answer(&bytes, Code::CoaAck, 5, None)), "radius-order");
    assert_eq!(check(&mut order, answer(&bytes, Code::DisconnectAck, 6, None)), "radius-order");
    let Input::Datagram(mut forged) = answer(&bytes, Code::DisconnectAck, 5, None) else { panic!() };
    forged[5] ^= 1;
    assert_eq!(check(&mut order, Input::Datagram(forged)), "radius-authenticator");
    assert!(drain(&mut order).is_empty());
    order.handle(NOW, answer(&bytes, Code::DisconnectAck, 5, None)).unwrap();
    assert_eq!(drain(&mut order), [Output::Ended(Reply::Done)]);
}

#[test]
fn it_is_sent_again_and_given_up_in_the_end() {
    let mut order = order();
    let first = sent(&mut order);
    let (mut times, mut at) = (1, NOW);
    loop {
        let until = order.poll_timeout().unwrap();
        assert!(until > at);
        order.handle(at, Input::Timeout).unwrap();
        assert!(drain(&mut order).is_empty(), "it is not time yet");
        at = until;
        order.handle(at, Input::Timeout).unwrap();
        match drain(&mut order).as_slice() {
            [Output::Send(again)] => assert_eq!(*again, first),
            [Output::Ended(Reply::Not(why))] => {
                assert_eq!(why.check, "radius-silence");
                break;
            }
            outputs => panic!("{outputs:?}"),
        }
        times += 1;
    }
    assert_eq!(times, 5);
}

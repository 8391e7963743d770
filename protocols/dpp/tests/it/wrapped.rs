//! What is wrapped in the frames of an exchange: a peer that has the keys, and writes it otherwise, is refused too.

use super::{
    exchange::{Change, attributes, join, list, pair, run},
    party::{Party, connector, csr, random},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{
    Curve,
    crypto::{self, Secret, siv},
    curve::PrivateKey,
    enterprise,
    exchange::{Facts, Ruling},
    frame::{Action, AttributeId, Frame, FrameType},
    status::Status,
};
use landfall_testkit::harness::Pair;

const CURVE: Curve = Curve::P256;
const WRAPPED: u16 = 0x1004;
const CONFIG_OBJECT: u16 = 0x100C;

/// The keys of the exchange between [`pair`]'s two sides, which is the same each time.
struct Keys {
    k1: Secret,
    k2: Secret,
    bk: Secret,
    ke: Secret,
    /// The enrollee's protocol key.
    protocol: PrivateKey,
}

/// By which key, and beside what, the last attribute of a frame is wrapped.
fn wrapping<'a>(keys: &'a Keys, frame: &Frame, before: &[u8]) -> (&'a Secret, Vec<Vec<u8>>) {
    match frame {
        Frame::Action(Action { kind, .. }) => {
            let key = match kind {
                FrameType::AuthenticationRequest => &keys.k1,
                FrameType::AuthenticationResponse => &keys.k2,
                _ => &keys.ke,
            };
            (key, vec![Action::header(*kind).to_vec(), before.to_vec()])
        }
        Frame::Gas(_) if before.is_empty() => (&keys.ke, vec![]),
        Frame::Gas(_) => (&keys.ke, vec![before.to_vec()]),
    }
}

/// The frame with what it wraps changed, and wrapped again as it was.
fn rewrapped(keys: &Keys, frame: &Frame, change: impl Fn(&[u8]) -> Vec<u8>) -> Frame {
    let mut frame = frame.clone();
    let mut outer = list(attributes(&mut frame));
    let (id, sealed) = outer.pop().unwrap();
    assert_eq!(id, WRAPPED);
    let (key, beside) = wrapping(keys, &frame, &join(&outer));
    let beside: Vec<&[u8]> = beside.iter().map(Vec::as_slice).collect();
    let inner = siv::open(key, &beside, &sealed).unwrap();
    outer.push((WRAPPED, siv::seal(key, &beside, &change(inner.expose()))));
    *attributes(&mut frame) = join(&outer);
    frame
}

fn keys(a: &[Frame], b: &[Frame]) -> Keys {
    let draw = |seed: u64| {
        let mut random = random(seed);
        let mut nonce = vec![0; CURVE.nonce_len()];
        random(&mut nonce);
        (nonce, PrivateKey::generate(CURVE, &mut random))
    };
    // As `pair` seeds them.
    let ((i_nonce, i_protocol), (r_nonce, r_protocol)) = (draw(3), draw(4));
    let bootstrap = |seed| super::party::Keys::new(CURVE, seed).bootstrap;
    let (i_bootstrap, r_bootstrap) = (bootstrap(1), bootstrap(2));
    for (frame, id, key) in [(&a[0], 0x1003, &i_protocol), (&b[0], 0x1009, &r_protocol)] {
        let attributes = list(attributes(&mut frame.clone()));
        assert!(attributes.contains(&(id, key.public().to_wire())), "the protocol keys are drawn otherwise now");
    }
    let m = i_protocol.agree(r_bootstrap.public()).unwrap();
    let n = i_protocol.agree(r_protocol.public()).unwrap();
    let l = i_bootstrap.agree(&r_bootstrap.public().plus(r_protocol.public()).unwrap()).unwrap();
    let bk = crypto::extract(CURVE, &[i_nonce, r_nonce].concat(), &[m.expose(), n.expose(), l.expose()]);
    Keys {
        k1: crypto::derive(CURVE, &[b"first intermediate key"], &[m.expose()]),
        k2: crypto::derive(CURVE, &[b"second intermediate key"], &[n.expose()]),
        ke: crypto::expand(CURVE, &bk, &[b"DPP Key"], CURVE.hash_len()),
        bk,
        protocol: r_protocol,
    }
}

#[test]
fn no_attribute_may_be_amiss() {
    let mut good = pair(|_, _| {});
    run(&mut good);
    assert_eq!((good.a.refused(), good.b.refused()), ("done", "done"));
    let keys = keys(&good.a.sent, &good.b.sent);
    let mut frames = 0;
    for (from_a, sent) in [(true, &good.a.sent), (false, &good.b.sent)] {
        for (number, frame) in sent.iter().enumerate() {
            frames += 1;
            let inner = std::cell::RefCell::new(Vec::new());
            let same = rewrapped(&keys, frame, |bytes| {
                *inner.borrow_mut() = list(bytes);
                bytes.to_vec()
            });
            assert_eq!(same, *frame);
            let inner = inner.into_inner();
            let each = (0..inner.len())
                .flat_map(|i| [Change::Missing(i), Change::Twice(i), Change::Empty(i), Change::Longer(i)]);
            // Several networks are no fault.
            let each = each.filter(|change| !matches!(change, Change::Twice(i) if inner[*i].0 == CONFIG_OBJECT));
            let wraps = inner.last().is_some_and(|(id, _)| *id == WRAPPED);
            for change in each.chain([Change::Truncated]).chain(wraps.then_some(Change::After)) {
                let mut pair = pair(|_, _| {});
                let changed = rewrapped(&keys, frame, |bytes| change.apply(bytes));
                let side = if from_a { &mut pair.a } else { &mut pair.b };
                side.replace = Some((number, changed));
                run(&mut pair);
                let receiver = if from_a { &pair.b } else { &pair.a };
                assert!(
                    !receiver.dropped.is_empty() || receiver.refused() != "done",
                    "{change:?} of {:04x?} went unnoticed in {frame:?}",
                    inner.iter().map(|(id, _)| id).collect::<Vec<_>>(),
                );
                assert!(pair.b.records.len() <= 1);
            }
        }
    }
    assert_eq!(frames, 6, "three of authentication, three of configuration");
}

/// What comes of the exchange if the enrollee's frame with that number says what `change` makes of it: how the configurator
/// refuses it, after it has said that status.
fn refused(
    rulings: &[fn(&Facts) -> Ruling],
    number: usize,
    change: impl Fn(&Keys, &mut Vec<(u16, Vec<u8>)>),
) -> (String, Status) {
    let begin = || -> Pair<Party, Party> {
        let mut pair = pair(|_, _| {});
        pair.a.rulings = rulings.to_vec();
        pair
    };
    let mut good = begin();
    run(&mut good);
    assert_eq!((good.a.refused(), good.b.refused()), ("done", "done"));
    let keys = keys(&good.a.sent, &good.b.sent);
    let changed = rewrapped(&keys, &good.b.sent[number], |bytes| {
        let mut inner = list(bytes);
        change(&keys, &mut inner);
        join(&inner)
    });
    let mut pair = begin();
    pair.b.replace = Some((number, changed));
    run(&mut pair);
    assert!(pair.a.records.is_empty() && pair.b.records.is_empty());
    let status = list(attributes(&mut pair.a.sent.last().unwrap().clone()));
    let [(id, status), _] = status.as_slice() else { panic!("a response is a status, and what is wrapped") };
    assert_eq!(*id, u16::from(AttributeId::Status));
    let status = Status::try_from(status[0]).unwrap();
    let Some(Err(told)) = &pair.b.done else { panic!("the enrollee is told") };
    assert!(told.check == "dpp-denied" && told.detail.contains(&status.to_string()), "{told}");
    (pair.a.refused().to_owned(), status)
}

#[test]
fn a_certificate_request_that_is_not_for_this_exchange_is_bad() {
    type Made = fn(&Keys) -> Vec<u8>;
    fn made(key: &PrivateKey, bk: &Secret) -> Vec<u8> {
        enterprise::request("lamp", key, bk, CURVE, &enterprise::challenge_password_only()).unwrap()
    }
    let cases: [(Made, &str); 3] = [
        (|keys| made(&PrivateKey::generate(CURVE, &mut random(9)), &keys.bk), "dpp-csr-key"),
        (|keys| made(&keys.protocol, &keys.ke), "dpp-csr-binding"),
        (
            |keys| {
                let mut csr = made(&keys.protocol, &keys.bk);
                *csr.last_mut().unwrap() ^= 1;
                csr
            },
            "dpp-csr-signature",
        ),
    ];
    for (made, check) in cases {
        let refused = refused(&[csr, connector], 2, |keys, inner| {
            let (_, request) =
                inner.iter_mut().find(|(id, _)| *id == u16::from(AttributeId::ConfigRequestObject)).unwrap();
            let mut said: serde_json::Value = serde_json::from_slice(request).unwrap();
            assert!(said["pkcs10"].is_string());
            said["pkcs10"] = STANDARD.encode(made(keys)).into();
            *request = said.to_string().into_bytes();
        });
        assert_eq!(refused, (check.to_owned(), Status::CsrBad));
    }
}

#[test]
fn a_new_key_is_asked_for_and_proved() {
    fn new_key(_: &Facts) -> Ruling {
        Ruling::NewKey(Curve::P384)
    }
    let (key, tag) = (u16::from(AttributeId::InitiatorProtocolKey), u16::from(AttributeId::InitiatorAuthTag));
    let asked: [fn(&Facts) -> Ruling; 2] = [new_key, connector];
    let attribute = |inner: &mut Vec<(u16, Vec<u8>)>, wanted| inner.iter().position(|(id, _)| *id == wanted).unwrap();
    let (check, status) = refused(&asked, 2, |_, inner| {
        let at = attribute(inner, tag);
        inner[at].1[0] ^= 1;
    });
    assert_eq!((check.as_str(), status), ("dpp-new-key", Status::ConfigureFailure));
    let (check, _) = refused(&asked, 2, |_, inner| {
        let at = attribute(inner, key);
        inner.remove(at);
    });
    assert_eq!(check, "dpp-configuration");
    let (check, _) = refused(&asked, 2, |keys, inner| {
        let at = attribute(inner, key);
        inner[at].1 = keys.protocol.public().to_wire();
    });
    assert_eq!(check, "dpp-configuration", "a key on another curve than the one that was asked for");
    let (check, _) = refused(&[connector], 1, |keys, inner| inner.push((key, keys.protocol.public().to_wire())));
    assert_eq!(check, "dpp-configuration", "nobody asked");
}

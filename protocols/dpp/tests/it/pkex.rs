//! PKEX: both sides against each other and against the published frames, and peers that guess or misbehave.

use super::{
    curve::{key, random},
    vectors::{octets, vector},
};
use landfall_dpp::{
    Curve, Random,
    curve::{PrivateKey, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType, over_the_air},
    pkex::{Code, Config, Done, Initiator, Input, Link, Output, Responder, Timing, Versions},
};
use landfall_types::{Machine, Refusal, Time, contract::drain};
use std::time::Duration;

const INITIATOR: [u8; 6] = [0xac, 0x64, 0x91, 0xf4, 0x52, 0x07];
const RESPONDER: [u8; 6] = [0x6e, 0x5e, 0xce, 0x6e, 0xf3, 0xdd];
const NOW: Time = Time::from_unix(1_800_000_000);

/// One side: its machine, its bootstrapping key, its address and what came of it.
struct Side<M> {
    machine: M,
    bootstrap: PrivateKey,
    mac: [u8; 6],
    sent: Vec<Frame>,
    dropped: Vec<Refusal>,
    done: Option<Result<Done, Refusal>>,
}

impl<M: Machine<Input = Input, Output = Output, Error = Refusal>> Side<M> {
    fn new(machine: M, bootstrap: PrivateKey, mac: [u8; 6]) -> Self {
        Self { machine, bootstrap, mac, sent: Vec::new(), dropped: Vec::new(), done: None }
    }

    /// Tells the machine something; the frames that it sends then.
    fn tell(&mut self, now: Time, input: Input) -> Vec<Frame> {
        self.machine.handle(now, input).expect("the driver does as it should");
        let mut sent = Vec::new();
        loop {
            let outputs = drain(&mut self.machine);
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                match output {
                    Output::Send(frame) => sent.push(frame),
                    Output::Agree(point) => {
                        let agreed = self.bootstrap.agree(&point).unwrap();
                        self.machine.handle(now, Input::Agreed(agreed)).unwrap();
                    }
                    Output::Dropped(refusal) => self.dropped.push(refusal),
                    Output::Done(done) => assert!(self.done.replace(done).is_none(), "it ends once"),
                }
            }
        }
        self.sent.extend(sent.iter().cloned());
        sent
    }

    fn hear(&mut self, frame: Frame, from: [u8; 6]) -> Vec<Frame> {
        self.tell(NOW, Input::Frame { frame, from: Some(from) })
    }

    fn peer(&self) -> &PublicKey {
        &self.done.as_ref().expect("it is over").as_ref().expect("and ended well").peer
    }

    fn refusal(&self) -> &Refusal {
        self.done.as_ref().expect("it is over").as_ref().expect_err("and failed")
    }
}

fn config(code: &Code, bootstrap: &PrivateKey, mac: [u8; 6], versions: Versions) -> Config {
    Config {
        code: code.clone(),
        bootstrap: bootstrap.public().clone(),
        version: 3,
        versions,
        link: Link::Air { own: mac },
        timing: Timing::default(),
    }
}

fn initiator_of(config: Config, bootstrap: PrivateKey, random: impl Random + 'static) -> Side<Initiator> {
    Side::new(Initiator::new(config, Box::new(random)), bootstrap, INITIATOR)
}

fn responder_of(config: Config, bootstrap: PrivateKey, random: impl Random + 'static) -> Side<Responder> {
    Side::new(Responder::new(config, Box::new(random)), bootstrap, RESPONDER)
}

fn initiator(code: &Code, curve: Curve, versions: Versions) -> Side<Initiator> {
    let bootstrap = key(curve, 1);
    initiator_of(config(code, &bootstrap, INITIATOR, versions), bootstrap, random(11))
}

fn responder(code: &Code, curve: Curve, versions: Versions) -> Side<Responder> {
    let bootstrap = key(curve, 2);
    responder_of(config(code, &bootstrap, RESPONDER, versions), bootstrap, random(12))
}

fn code() -> Code {
    Code::new(Some("joes_key"), b"thisisreallysecret").unwrap()
}

/// Runs both until nothing is under way, each frame changed by `change`.
fn run(a: &mut Side<Initiator>, b: &mut Side<Responder>, change: impl Fn(Frame) -> Frame) {
    let mut to_b = a.tell(NOW, Input::Start);
    while !to_b.is_empty() {
        let to_a: Vec<_> = to_b.into_iter().flat_map(|frame| b.hear(change(frame), a.mac)).collect();
        to_b = to_a.into_iter().flat_map(|frame| a.hear(change(frame), b.mac)).collect();
    }
}

fn run_plain(a: &mut Side<Initiator>, b: &mut Side<Responder>) {
    run(a, b, |frame| frame);
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

fn fixed(bytes: Vec<u8>) -> impl Random {
    move |out: &mut [u8]| out.copy_from_slice(&bytes)
}

#[test]
fn both_forms_are_those_of_the_vectors() {
    for (name, versions) in [("v1", Versions::One), ("v2_versions_3_3", Versions::Two)] {
        let (Some(inputs), Some(values)) = (vector("/pkex_p256/inputs"), vector(&format!("/pkex_p256/{name}"))) else {
            return;
        };
        let key = |name: &str| PrivateKey::from_bytes(Curve::P256, &octets(&inputs[name])).unwrap();
        let text = |name: &str| inputs[name].as_str().unwrap().to_owned();
        let code = Code::new(Some(&text("identifier")), text("code").as_bytes()).unwrap();
        let (a, b) = (key("a"), key("b"));
        let mut initiator = initiator_of(config(&code, &a, INITIATOR, versions), a, fixed(octets(&inputs["x"])));
        let mut responder = responder_of(config(&code, &b, RESPONDER, Versions::Both), b, fixed(octets(&inputs["y"])));
        run_plain(&mut initiator, &mut responder);
        let frames = |side: &[Frame]| side.iter().map(over_the_air).collect::<Vec<_>>();
        let expected = |names: [&str; 2]| names.map(|name| octets(&values[name])).to_vec();
        assert_eq!(frames(&initiator.sent), expected(["exchange_req", "commit_reveal_req"]), "{name}");
        assert_eq!(frames(&responder.sent), expected(["exchange_resp", "commit_reveal_resp"]), "{name}");
        assert_eq!(initiator.peer().to_wire(), octets(&values["B"]));
        assert_eq!(responder.peer().to_wire(), octets(&values["A"]));
        assert_eq!(code.failures(), 0);
    }
}

/// On every curve, and so the role elements lie on their curves; those of the vectors are the same.
#[test]
fn each_learns_the_others_key_on_every_curve() {
    for curve in Curve::ALL {
        for versions in [Versions::One, Versions::Two] {
            let code = code();
            let (mut a, mut b) = (initiator(&code, curve, versions), responder(&code, curve, Versions::Both));
            run_plain(&mut a, &mut b);
            assert_eq!(a.peer(), b.bootstrap.public(), "{curve} {versions:?}");
            assert_eq!(b.peer(), a.bootstrap.public(), "{curve} {versions:?}");
            let version = if versions == Versions::One { 1 } else { 3 };
            assert_eq!(a.done.unwrap().unwrap().version, version);
            assert_eq!(b.done.unwrap().unwrap().version, version);
            assert_eq!(code.failures(), 0);
        }
    }
}

#[test]
fn the_role_elements_are_those_of_the_vectors() {
    let Some(elements) = vector("/pkex_role_elements/values") else { return };
    for curve in Curve::ALL {
        // M − X is H(code) times Pi, so the element shows in what is sent.
        let code = Code::new(None, b"code").unwrap();
        let digest = landfall_dpp::crypto::hash(curve, &[b"code"]);
        let (mut a, mut b) = (initiator(&code, curve, Versions::Two), responder(&code, curve, Versions::Two));
        run_plain(&mut a, &mut b);
        for (sent, ephemeral, role) in [(&a.sent[0], key(curve, 11), "Pi"), (&b.sent[0], key(curve, 12), "Pr")] {
            let Frame::Action(action) = sent else { panic!("an action frame") };
            let blinded = action.attributes().unwrap().need(AttributeId::EncryptedKey).unwrap();
            let blinded = PublicKey::from_wire(curve, blinded).unwrap();
            let [x, y] = ["x", "y"].map(|name| octets(&elements[curve.name()][role][name]));
            let element = PublicKey::from_coordinates(curve, &x, &y).unwrap();
            let expected = element.times_hash(&digest).unwrap();
            assert_eq!(blinded.minus(ephemeral.public()).unwrap(), expected, "{curve} {role}");
        }
    }
}

#[test]
fn five_failures_end_a_code() {
    let code = code();
    let wrong = Code::new(Some("joes_key"), b"thisisreallysecreT").unwrap();
    for failures in 0..Code::ATTEMPTS {
        assert_eq!(code.failures(), failures);
        let (mut a, mut b) =
            (initiator(&wrong, Curve::P256, Versions::Two), responder(&code, Curve::P256, Versions::Two));
        run_plain(&mut a, &mut b);
        assert_eq!(b.refusal().check, "dpp-pkex-code");
        assert!(a.done.is_none(), "the initiator waits");
    }
    assert!(code.is_dead() && wrong.is_dead());
    // The right code comes too late, for either side.
    let fresh = self::code();
    let (mut a, mut b) = (initiator(&fresh, Curve::P256, Versions::Two), responder(&code, Curve::P256, Versions::Two));
    run_plain(&mut a, &mut b);
    assert_eq!(b.dropped[0].check, "dpp-pkex-attempts");
    assert!(b.sent.is_empty());
    let mut a = initiator(&code, Curve::P256, Versions::Two);
    assert!(a.tell(NOW, Input::Start).is_empty());
    assert_eq!(a.refusal().check, "dpp-pkex-attempts");
}

#[test]
fn an_initiator_counts_whoever_answers_without_the_code() {
    let (code, wrong) = (code(), Code::new(Some("joes_key"), b"guess").unwrap());
    let (mut a, mut b) = (initiator(&code, Curve::P256, Versions::Two), responder(&wrong, Curve::P256, Versions::Two));
    run_plain(&mut a, &mut b);
    assert_eq!(code.failures(), 1, "it could compare, even if it says nothing");
    // It goes on asking for a while, then gives up; the failure stays.
    let mut times = 0;
    while let Some(at) = a.machine.poll_timeout() {
        a.tell(at, Input::Timeout);
        times += 1;
        assert!(times < 20);
    }
    assert_eq!(a.refusal().check, "dpp-silence");
    assert_eq!(code.failures(), 1);
}

/// A blinded key that is the bare guess makes infinity of a right guess. The answer must not tell.
#[test]
fn a_bare_guess_is_answered_like_any_other_and_counted() {
    let Some(elements) = vector("/pkex_role_elements/values/P-256") else { return };
    let element = |role: &str| {
        let [x, y] = ["x", "y"].map(|name| octets(&elements[role][name]));
        PublicKey::from_coordinates(Curve::P256, &x, &y).unwrap()
    };
    let digest = landfall_dpp::crypto::hash(Curve::P256, &[b"joes_keythisisreallysecret"]);
    let code = code();
    let guess = |kind, role| {
        let guess = element(role).times_hash(&digest).unwrap().to_wire();
        move |frame| rewrite(kind, frame, |attributes| attributes.last_mut().unwrap().1.clone_from(&guess))
    };
    let (mut a, mut b) = (initiator(&code, Curve::P256, Versions::Two), responder(&code, Curve::P256, Versions::Two));
    run(&mut a, &mut b, guess(FrameType::PkexExchangeRequest, "Pi"));
    assert_eq!(b.sent.len(), 1, "it answers");
    assert_eq!(b.refusal().check, "dpp-pkex-code");
    assert!(code.failures() >= 1);

    let code = self::code();
    let (mut a, mut b) = (initiator(&code, Curve::P256, Versions::Two), responder(&code, Curve::P256, Versions::Two));
    run(&mut a, &mut b, guess(FrameType::PkexExchangeResponse, "Pr"));
    assert_eq!(a.refusal().check, "dpp-pkex-code");
    assert_eq!(code.failures(), 1);
}

#[test]
fn another_curve_is_named() {
    let code = code();
    for versions in [Versions::One, Versions::Two] {
        let (mut a, mut b) = (initiator(&code, Curve::P256, versions), responder(&code, Curve::Bp384, Versions::Both));
        run_plain(&mut a, &mut b);
        assert_eq!(a.refusal().check, "dpp-pkex-group");
        assert!(a.refusal().detail.contains("BP-384"));
        assert!(b.done.is_none(), "the responder waits for another");
        b.tell(b.machine.poll_timeout().expect("it wants to know whether more comes"), Input::Timeout);
        assert_eq!(b.machine.poll_timeout(), None, "but not for ever");
    }
    assert_eq!(code.failures(), 0);
}

#[test]
fn another_code_is_left_to_others() {
    let (named, other, unnamed) = (code(), Code::new(Some("x"), b"y").unwrap(), Code::new(None, b"y").unwrap());
    for (a, b) in [(&named, &other), (&named, &unnamed), (&unnamed, &named)] {
        let (mut a, mut b) = (initiator(a, Curve::P256, Versions::Two), responder(b, Curve::P256, Versions::Two));
        run_plain(&mut a, &mut b);
        assert_eq!(b.dropped[0].check, "dpp-pkex-identifier");
        assert!(b.sent.is_empty());
    }
    let (mut a, mut b) = (initiator(&named, Curve::P256, Versions::Two), responder(&named, Curve::P256, Versions::Two));
    run(&mut a, &mut b, |frame| {
        rewrite(FrameType::PkexExchangeResponse, frame, |attributes| {
            attributes.retain(|(id, _)| *id != u16::from(AttributeId::CodeIdentifier));
        })
    });
    assert_eq!(a.dropped[0].check, "dpp-pkex-identifier");
}

#[test]
fn release_one_needs_the_air() {
    let code = code();
    let on_tcp =
        |bootstrap: &PrivateKey, versions| Config { link: Link::Tcp, ..config(&code, bootstrap, INITIATOR, versions) };
    let bootstrap = key(Curve::P256, 1);
    let mut a = initiator_of(on_tcp(&bootstrap, Versions::One), bootstrap, random(1));
    a.tell(NOW, Input::Start);
    assert_eq!(a.refusal().check, "dpp-pkex-version");
    let bootstrap = key(Curve::P256, 2);
    let mut b = responder_of(on_tcp(&bootstrap, Versions::Both), bootstrap, random(2));
    run_plain(&mut initiator(&code, Curve::P256, Versions::One), &mut b);
    assert_eq!(b.dropped[0].check, "dpp-pkex-version");
    // Nor is there a way back to it.
    let bootstrap = key(Curve::P256, 1);
    let mut a = initiator_of(on_tcp(&bootstrap, Versions::Both), bootstrap, random(1));
    a.tell(NOW, Input::Start);
    while let Some(at) = a.machine.poll_timeout() {
        a.tell(at, Input::Timeout);
    }
    assert_eq!(a.refusal().check, "dpp-silence");
    assert_eq!(a.sent.len(), 5);
}

#[test]
fn an_initiator_falls_back_to_release_one() {
    let code = code();
    let (mut a, mut b) = (initiator(&code, Curve::P256, Versions::Both), responder(&code, Curve::P256, Versions::One));
    let mut under_way = a.tell(NOW, Input::Start);
    while a.done.is_none() {
        let replies: Vec<_> = under_way.drain(..).flat_map(|frame| b.hear(frame, INITIATOR)).collect();
        under_way = match replies.is_empty() {
            true => a.tell(a.machine.poll_timeout().expect("it waits"), Input::Timeout),
            false => replies.into_iter().flat_map(|frame| a.hear(frame, RESPONDER)).collect(),
        };
    }
    assert_eq!(a.peer(), b.bootstrap.public());
    assert_eq!(b.peer(), a.bootstrap.public());
    assert_eq!(b.dropped.len(), 5, "all that it was asked in the form of release 2");
}

#[test]
fn lost_frames_are_sent_again_and_answered_alike() {
    let code = code();
    let (mut a, mut b) = (initiator(&code, Curve::P256, Versions::Two), responder(&code, Curve::P256, Versions::Two));
    let request = a.tell(NOW, Input::Start).remove(0);
    let first = b.hear(request.clone(), INITIATOR);
    let again = a.tell(NOW + Duration::from_secs(2), Input::Timeout);
    assert_eq!(again, std::slice::from_ref(&request));
    assert_eq!(b.hear(request, INITIATOR), first, "a repeated request draws no new key");
    let commit = a.hear(first[0].clone(), RESPONDER).remove(0);
    let lost = b.hear(commit.clone(), INITIATOR);
    assert_eq!(b.peer(), a.bootstrap.public());
    let again = a.tell(NOW + Duration::from_secs(2), Input::Timeout);
    assert_eq!(again, std::slice::from_ref(&commit));
    assert_eq!(b.hear(commit, INITIATOR), lost, "even when the responder is through");
    a.hear(lost[0].clone(), RESPONDER);
    assert_eq!(a.peer(), b.bootstrap.public());
    assert_eq!(code.failures(), 0);
}

/// Each attribute of each frame missing, doubled, empty, cut and changed: nobody learns a key, and nobody stumbles.
#[test]
fn no_attribute_may_be_amiss() {
    let kinds = [
        FrameType::PkexExchangeRequest,
        FrameType::PkexExchangeResponse,
        FrameType::PkexCommitRevealRequest,
        FrameType::PkexCommitRevealResponse,
    ];
    for kind in kinds {
        for at in 0..4 {
            for fault in 0..5 {
                let code = code();
                let (mut a, mut b) =
                    (initiator(&code, Curve::P256, Versions::Two), responder(&code, Curve::P256, Versions::Two));
                let present = std::cell::Cell::new(false);
                run(&mut a, &mut b, |frame| {
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
                });
                if present.get() {
                    let learnt = matches!(a.done, Some(Ok(_)));
                    assert!(!learnt, "{kind}, attribute {at}, fault {fault}");
                    let told = a.done.is_some() || b.done.is_some() || !(a.dropped.is_empty() && b.dropped.is_empty());
                    assert!(told, "{kind}, attribute {at}, fault {fault}: nobody is told");
                }
            }
        }
    }
}

#[test]
fn nothing_follows_wrapped_data() {
    let code = code();
    let (mut a, mut b) = (initiator(&code, Curve::P256, Versions::Two), responder(&code, Curve::P256, Versions::Two));
    run(&mut a, &mut b, |frame| {
        rewrite(FrameType::PkexCommitRevealRequest, frame, |attributes| {
            attributes.push((AttributeId::Status.into(), vec![0]));
        })
    });
    assert_eq!(b.refusal().check, "dpp-frame-length");
}

#[test]
fn a_code_has_a_length() {
    assert!(Code::new(None, b"").is_err());
    assert!(Code::new(Some(""), b"code").is_err());
    assert!(Code::new(None, &[b'x'; 256]).is_err());
    let code = Code::with_failures(None, &[b'x'; 255], 4).unwrap();
    assert!(!code.is_dead());
    assert!(!format!("{:?}", Code::new(Some("id"), b"hunter2").unwrap()).contains("hunter2"));
}

#[test]
fn a_driver_that_answers_unasked_is_told() {
    let mut a = initiator(&code(), Curve::P256, Versions::Two);
    let error = a.machine.handle(NOW, Input::Agreed(vec![1].into())).unwrap_err();
    assert_eq!(error.check, "dpp-driver");
    let mut b = responder(&code(), Curve::P256, Versions::Two);
    assert_eq!(b.machine.handle(NOW, Input::Agreed(vec![1].into())).unwrap_err().check, "dpp-driver");
    b.tell(NOW, Input::Failed("the element is away".into()));
    assert_eq!(b.refusal().check, "dpp-backend");
}

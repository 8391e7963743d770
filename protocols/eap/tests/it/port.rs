//! A device at a port, and a switch which asks it, on a wire that loses and repeats.

use super::settings;
use landfall_eap::{
    eapol::Frame,
    packet::{self, Message, Packet},
    port::{HELD, Input, Output, SILENCE, START, STARTS, Settings, Supplicant},
    tls::{Server, server},
};
use landfall_pki::Name;
use landfall_testkit::pki::{Domain, Identity, NOW};
use landfall_types::{Machine, Refusal, Time, contract::drain};
use rustls::version::TLS13;
use std::time::Duration;

/// What a switch does: it asks who is there, and asks again when no answer comes.
struct Switch {
    domain: Domain,
    server: Option<Server>,
    identifier: u8,
    asked: Option<Packet>,
    permits: bool,
}

impl Switch {
    fn ask(&mut self) -> Packet {
        self.server = Some(Server::new(settings::server(&self.domain), 1400).unwrap());
        self.identifier = self.identifier.wrapping_add(40);
        let name = Message { identifier: self.identifier, kind: packet::IDENTITY, data: Vec::new() };
        let asked = Packet::Request(name);
        self.asked = Some(asked.clone());
        asked
    }

    fn hears(&mut self, frame: &Frame) -> Option<Packet> {
        let message = match frame {
            Frame::Start => return Some(self.ask()),
            Frame::Eap(Packet::Response(message)) => message.clone(),
            _ => return None,
        };
        let Some(Packet::Request(asked)) = &self.asked else { return None };
        if message.identifier != asked.identifier {
            return None;
        }
        let server = self.server.as_mut()?;
        server.handle(NOW, server::Input::Response(message)).ok()?;
        let mut outputs = drain(server);
        if matches!(outputs.first(), Some(server::Output::Judge(_))) {
            let no = Refusal::new(landfall_types::Fault::Denied, "access-device", "test", "not this one");
            server.handle(NOW, server::Input::Ruled(if self.permits { Ok(()) } else { Err(no) })).unwrap();
            outputs = drain(server);
        }
        let packet = outputs.into_iter().find_map(|output| match output {
            server::Output::Send(packet) => Some(packet),
            server::Output::Admitted { success, .. } => Some(success),
            server::Output::Refused { failure, .. } => Some(failure),
            server::Output::Judge(_) => None,
        })?;
        self.asked = Some(packet.clone());
        Some(packet)
    }
}

struct Wire {
    switch: Switch,
    device: Supplicant,
    now: Time,
    said: Vec<Output>,
    /// Which frames get lost, and which come twice, by their number.
    lost: fn(usize) -> bool,
    twice: fn(usize) -> bool,
    frames: usize,
}

fn settings_of(domain: &Domain, device: &Identity) -> Settings {
    let tls = settings::device(domain, device, &TLS13);
    Settings { tls, server: "registrar.example".try_into().unwrap(), identity: "@example".into() }
}

impl Wire {
    fn new() -> Self {
        let domain = Domain::new();
        let device = domain.ldevid(Name::common("pump-17"));
        let device = Supplicant::new(settings_of(&domain, &device));
        let switch = Switch { domain, server: None, identifier: 0, asked: None, permits: true };
        Self { switch, device, now: NOW, said: Vec::new(), lost: |_| false, twice: |_| false, frames: 0 }
    }

    fn times(&mut self) -> usize {
        self.frames += 1;
        if (self.lost)(self.frames) { 0 } else { 1 + usize::from((self.twice)(self.frames)) }
    }

    fn reaches_device(&mut self, packet: &Packet) {
        let frame = Frame::Eap(packet.clone()).to_bytes();
        for _ in 0..self.times() {
            // What does not belong is passed over.
            let _ = self.device.handle(self.now, Input::Frame(frame.clone()));
        }
    }

    /// Until nobody has anything to say.
    fn talk(&mut self) {
        while let Some(output) = self.device.poll_output() {
            let Output::Send(frame) = output else {
                self.said.push(output);
                continue;
            };
            let frame = Frame::parse(&frame).unwrap();
            for _ in 0..self.times() {
                if let Some(answer) = self.switch.hears(&frame) {
                    self.reaches_device(&answer);
                }
            }
        }
    }

    /// Nothing happens for so long: a switch asks again after a second, as RFC 3748 s4.3 says.
    fn wait(&mut self, long: Duration) {
        let until = self.now + long;
        while self.now < until {
            self.now = self.now + Duration::from_secs(1);
            if let Some(asked) = self.switch.asked.clone()
                && matches!(asked, Packet::Request(_))
            {
                self.reaches_device(&asked);
                self.talk();
            }
            self.device.handle(self.now, Input::Woken).unwrap();
            self.talk();
        }
    }

    fn begin(&mut self) {
        self.device.handle(self.now, Input::Begin).unwrap();
        self.talk();
    }

    fn reasons(&self) -> Vec<String> {
        let reason = |output: &Output| match output {
            Output::Inside => "inside".to_owned(),
            Output::Outside(why) | Output::Silent(why) => why.check.to_string(),
            Output::Send(_) => unreachable!(),
        };
        self.said.iter().map(reason).collect()
    }
}

#[test]
fn a_device_says_that_it_is_there_is_asked_and_let_in() {
    let mut wire = Wire::new();
    wire.begin();
    assert_eq!(wire.reasons(), ["inside"]);
    assert!(wire.device.is_inside() && wire.device.poll_timeout().is_none());
}

#[test]
fn a_wire_that_loses_and_repeats_takes_longer() {
    // Which frames, a seed says: with a steady beat it could be the same one of each conversation.
    const fn dice(n: usize, seed: usize) -> usize {
        (n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
    }
    for lost in [(|n| dice(n, 1).is_multiple_of(4)) as fn(usize) -> bool, |n| dice(n, 2).is_multiple_of(3), |n| n < 4] {
        for twice in [(|_| false) as fn(usize) -> bool, |n| dice(n, 3).is_multiple_of(2)] {
            let mut wire = Wire::new();
            (wire.lost, wire.twice) = (lost, twice);
            wire.begin();
            wire.wait(SILENCE * 10);
            assert!(wire.device.is_inside(), "{:?} {:?}", wire.reasons(), wire.switch.asked);
        }
    }
}

#[test]
fn a_port_that_asks_nobody_is_told_of_once_and_tried_on() {
    let mut wire = Wire::new();
    wire.lost = |_| true;
    wire.begin();
    wire.wait(START * (STARTS + 5));
    assert_eq!(wire.reasons(), ["port-silent"]);
    assert!(wire.frames as u32 > STARTS + 3);
    wire.lost = |_| false;
    wire.wait(START);
    assert_eq!(wire.reasons(), ["port-silent", "inside"]);
}

#[test]
fn a_port_that_falls_silent_in_the_middle_is_begun_with_anew() {
    let mut wire = Wire::new();
    wire.lost = |n| n > 3 && n < 60;
    wire.begin();
    wire.wait(SILENCE * 2 + START * 2);
    assert!(wire.device.is_inside(), "{:?}", wire.reasons());
    assert_eq!(wire.reasons().first().map(String::as_str), Some("port-silent"));
}

#[test]
fn who_is_refused_is_quiet_for_a_while_and_tries_again() {
    let mut wire = Wire::new();
    wire.switch.permits = false;
    wire.begin();
    assert_eq!(wire.reasons(), ["eap-failure"]);
    wire.switch.permits = true;
    let before = wire.frames;
    wire.wait(HELD - Duration::from_secs(1));
    assert_eq!((wire.frames, wire.device.is_inside()), (before, false), "it was quiet");
    wire.wait(Duration::from_secs(2));
    assert!(wire.device.is_inside());
}

#[test]
fn a_device_that_is_inside_is_asked_again_and_put_out() {
    let mut wire = Wire::new();
    wire.begin();
    let asked = wire.switch.ask();
    wire.reaches_device(&asked);
    wire.talk();
    assert_eq!(wire.reasons(), ["inside", "inside"]);
    wire.reaches_device(&Packet::Failure { identifier: 1 });
    wire.talk();
    assert_eq!(wire.reasons(), ["inside", "inside", "port-closed"]);
}

#[test]
fn a_new_certificate_is_shown_the_next_time() {
    let mut wire = Wire::new();
    wire.begin();
    // One that this network does not know: nothing happens until it is asked for.
    let elsewhere = Domain::new();
    let stranger = elsewhere.ldevid(Name::common("pump-17"));
    let settings = settings_of(&wire.switch.domain, &stranger);
    wire.device.handle(wire.now, Input::Settings(settings)).unwrap();
    assert!(wire.device.is_inside());
    let asked = wire.switch.ask();
    wire.reaches_device(&asked);
    wire.talk();
    assert_eq!(wire.reasons(), ["inside", "eap-tls-handshake"], "the server says why");
}

#[test]
fn a_network_of_another_domain_is_not_joined() {
    let mut wire = Wire::new();
    wire.switch.domain = Domain::new();
    wire.begin();
    assert_eq!(wire.reasons(), ["eap-tls-handshake"]);
}

#[test]
fn success_that_nobody_asked_for_opens_nothing() {
    let mut wire = Wire::new();
    wire.lost = |_| true;
    wire.begin();
    let forged = Frame::Eap(Packet::Success { identifier: 1 }).to_bytes();
    let _ = wire.device.handle(wire.now, Input::Frame(forged.clone()));
    let name = Message { identifier: 9, kind: packet::IDENTITY, data: Vec::new() };
    wire.device.handle(wire.now, Input::Frame(Frame::Eap(Packet::Request(name)).to_bytes())).unwrap();
    wire.device.handle(wire.now, Input::Frame(forged)).unwrap_err();
    assert!(!wire.device.is_inside());
}

#[test]
fn who_leaves_says_so_and_answers_no_more() {
    let mut wire = Wire::new();
    wire.begin();
    wire.device.handle(wire.now, Input::Leave).unwrap();
    let said = drain(&mut wire.device);
    assert_eq!(said, [Output::Send(Frame::Logoff.to_bytes())]);
    let asked = wire.switch.ask();
    wire.reaches_device(&asked);
    assert_eq!(drain(&mut wire.device), []);
}

#[test]
fn frames_that_are_none_are_refused() {
    for (bytes, check) in [
        (&[2, 0, 0][..], "eapol-frame"),
        (&[2, 0, 0, 5, 1], "eapol-frame"),
        (&[2, 0, 0, 4, 9, 1, 0, 4], "eap-packet"),
        (&[0; 1501], "eapol-frame"),
    ] {
        assert_eq!(Frame::parse(bytes).unwrap_err().check, check);
    }
    // Padding, another version, and kinds that are others' business.
    assert_eq!(Frame::parse(&[1, 1, 0, 0, 9, 9]), Ok(Frame::Start));
    assert_eq!(Frame::parse(&[3, 5, 0, 1, 0]), Ok(Frame::Other(5)));
}

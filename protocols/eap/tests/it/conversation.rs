//! A device and a server.

use super::settings;
use landfall_eap::{
    packet::{self, Message, Packet},
    tls::{
        Flags, Fragment, Peer, Server, peer,
        server::{Input, Output, Shown},
    },
};
use landfall_pki::Name;
use landfall_testkit::pki::{Domain, Identity, NOW};
use landfall_types::{Fault, Machine, Refusal, contract::drain};
use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

/// The two, and what became of them.
struct Both {
    server: Server,
    peer: Peer,
    shown: Option<Shown>,
    /// What went over the wire, the server's first.
    wire: Vec<Packet>,
}

#[derive(Debug)]
enum End {
    In {
        same_keys: bool,
    },
    /// What server and device say.
    Out {
        server: Option<Box<Refusal>>,
        device: Option<Box<Refusal>>,
    },
}

impl Both {
    fn new(
        (theirs, ours): (&Domain, &Domain),
        device: &Identity,
        version: &'static SupportedProtocolVersion,
        largest: usize,
    ) -> Self {
        let server = Server::new(settings::server(theirs), largest).unwrap();
        let name = "registrar.example".try_into().unwrap();
        let peer = Peer::new(settings::device(ours, device, version), name, "@example", largest);
        Self { server, peer, shown: None, wire: Vec::new() }
    }

    /// Lets them talk; `alter` sees each packet before it arrives, and `rule` decides.
    fn talk(&mut self, mut alter: impl FnMut(&mut Packet), rule: impl Fn(&Shown) -> Result<(), Refusal>) -> End {
        let ask = Message { identifier: 7, kind: packet::IDENTITY, data: Vec::new() };
        let mut to_device = vec![Packet::Request(ask)];
        let mut keys = None;
        for _ in 0..2000 {
            let mut to_server = Vec::new();
            for mut packet in to_device.drain(..) {
                alter(&mut packet);
                self.wire.push(packet.clone());
                // What does not belong is passed over, as on a real wire.
                let _ = self.peer.handle(NOW, packet);
                for output in drain(&mut self.peer) {
                    match output {
                        peer::Output::Send(packet) => to_server.push(packet),
                        peer::Output::Joined(ours) => {
                            let theirs: landfall_eap::tls::Keys = keys.take().expect("the server lets it in first");
                            let same_keys = theirs.msk.expose() == ours.msk.expose()
                                && theirs.emsk.expose() == ours.emsk.expose()
                                && theirs.msk.expose() != theirs.emsk.expose();
                            return End::In { same_keys };
                        }
                        peer::Output::Refused(device) => {
                            return End::Out { server: None, device: Some(Box::new(device)) };
                        }
                    }
                }
            }
            if to_server.is_empty() {
                return End::Out { server: None, device: None };
            }
            for mut packet in to_server {
                alter(&mut packet);
                self.wire.push(packet.clone());
                let Packet::Response(message) = packet else { panic!("a device only answers") };
                let _ = self.server.handle(NOW, Input::Response(message));
                let mut outputs = drain(&mut self.server);
                if let Some(Output::Judge(shown)) = outputs.first() {
                    let ruling = rule(shown);
                    self.shown = Some(shown.clone());
                    self.server.handle(NOW, Input::Ruled(ruling)).unwrap();
                    outputs = drain(&mut self.server);
                }
                for output in outputs {
                    match output {
                        Output::Send(packet) => to_device.push(packet),
                        Output::Admitted { success, keys: theirs } => {
                            keys = Some(theirs);
                            to_device.push(success);
                        }
                        Output::Refused { failure, why } => {
                            assert!(matches!(failure, Packet::Failure { .. }));
                            let _ = self.peer.handle(NOW, failure);
                            let device = drain(&mut self.peer).into_iter().find_map(|output| match output {
                                peer::Output::Refused(why) => Some(Box::new(why)),
                                _ => None,
                            });
                            return End::Out { server: Some(Box::new(why)), device };
                        }
                        Output::Judge(_) => panic!("it is judged once"),
                    }
                }
            }
        }
        panic!("they talk for ever");
    }
}

fn domain() -> (Domain, Identity) {
    let domain = Domain::new();
    let device = domain.ldevid(Name::common("pump-17"));
    (domain, device)
}

fn unaltered(_: &mut Packet) {}

fn yes(_: &Shown) -> Result<(), Refusal> {
    Ok(())
}

fn server_says(end: End) -> String {
    match end {
        End::Out { server: Some(why), .. } => why.check.to_string(),
        end => panic!("it ended otherwise: {end:?}"),
    }
}

#[test]
fn a_device_comes_in_with_both_versions_and_fragments_of_every_size() {
    let (domain, device) = domain();
    for version in [&TLS12, &TLS13] {
        for largest in (256..=1400).step_by(37).chain([1400, 100_000]) {
            let mut both = Both::new((&domain, &domain), &device, version, largest);
            let end = both.talk(unaltered, yes);
            assert!(matches!(end, End::In { same_keys: true }), "{version:?} {largest} {end:?}");
            let shown = both.shown.unwrap();
            assert_eq!(
                (shown.chain[0].subject().to_string(), shown.identity.as_str()),
                ("CN=pump-17".into(), "@example")
            );
            let longest = both.wire.iter().map(|packet| packet.to_bytes().len()).max().unwrap();
            assert!(longest <= largest, "{longest} octets where {largest} fit");
            assert!(both.wire.iter().all(|packet| Packet::parse(&packet.to_bytes()).as_ref() == Ok(packet)));
        }
    }
}

#[test]
fn what_is_decided_counts_and_nothing_is_promised_before() {
    let (domain, device) = domain();
    for version in [&TLS12, &TLS13] {
        let mut both = Both::new((&domain, &domain), &device, version, 1400);
        let no = |_: &Shown| Err(Refusal::new(Fault::Denied, "device-revoked", "SP 1800-36B 7.5", "it was revoked"));
        match both.talk(unaltered, no) {
            End::Out { server: Some(server), device: Some(device) } => {
                assert_eq!((&*server.check, &*device.check), ("device-revoked", "eap-failure"));
            }
            end => panic!("{end:?}"),
        }
    }
}

#[test]
fn a_device_of_another_domain_stays_out_and_hears_why() {
    let (domain, _) = domain();
    let other = Domain::named("Other", "registrar.example");
    let stranger = other.ldevid(Name::common("stranger"));
    for version in [&TLS12, &TLS13] {
        let mut both = Both::new((&domain, &domain), &stranger, version, 1400);
        assert_eq!(server_says(both.talk(unaltered, yes)), "eap-tls-handshake");
        assert!(both.shown.is_none());
    }
}

#[test]
fn a_device_does_not_take_another_server() {
    let (domain, _) = domain();
    let other = Domain::named("Other", "registrar.example");
    let device = other.ldevid(Name::common("pump-17"));
    for version in [&TLS12, &TLS13] {
        let mut both = Both::new((&domain, &other), &device, version, 1400);
        match both.talk(unaltered, yes) {
            End::Out { server: Some(_), device: Some(device) } => assert_eq!(device.check, "eap-tls-handshake"),
            end => panic!("{end:?}"),
        }
    }
}

#[test]
fn any_octet_of_tls_altered_keeps_the_device_out() {
    let (domain, device) = domain();
    for version in [&TLS12, &TLS13] {
        let mut both = Both::new((&domain, &domain), &device, version, 1400);
        both.talk(unaltered, yes);
        for (which, sent) in both.wire.iter().enumerate() {
            // Every 41st octet behind the flags, of every packet.
            for at in (1..data(sent).len()).step_by(41) {
                let mut count = 0;
                let mut both = Both::new((&domain, &domain), &device, version, 1400);
                // Signatures differ in length, so it may be another octet than in the conversation before.
                let mut altered = false;
                let alter = |packet: &mut Packet| {
                    let is_tls = matches!(packet, Packet::Request(m) | Packet::Response(m) if m.kind == packet::TLS);
                    let counts = !is_ignored(data(packet), at);
                    if count == which
                        && is_tls
                        && let Some(octet) = data_mut(packet).get_mut(at)
                    {
                        *octet ^= 1;
                        altered = counts;
                    }
                    count += 1;
                };
                let end = both.talk(alter, yes);
                assert!(!altered || matches!(end, End::Out { .. }), "{version:?} {which} {at}: {end:?}");
            }
        }
    }
}

/// Whether the octet is of the type and version that stand before a TLS record, of which the latter says nothing, and the
/// former nothing where the record is encrypted (RFC 8446 s5.1, s5.2).
fn is_ignored(data: &[u8], at: usize) -> bool {
    let mut record = 1;
    while let Some(&[_, _, _, high, low]) = data.get(record..).and_then(|rest| rest.first_chunk()) {
        if (record..record + 3).contains(&at) {
            return true;
        }
        record += 5 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

fn data(packet: &Packet) -> &[u8] {
    match packet {
        Packet::Request(message) | Packet::Response(message) => &message.data,
        _ => &[],
    }
}

fn data_mut(packet: &mut Packet) -> &mut [u8] {
    match packet {
        Packet::Request(message) | Packet::Response(message) => &mut message.data,
        _ => &mut [],
    }
}

/// RFC 5216 s2.1.3: whoever gives up says so by an alert, which may come in the place of anything.
#[test]
fn an_alert_at_every_step_ends_the_conversation() {
    let (domain, device) = domain();
    for version in [&TLS12, &TLS13] {
        let mut both = Both::new((&domain, &domain), &device, version, 1400);
        both.talk(unaltered, yes);
        let is_tls =
            |packet: &Packet| matches!(packet, Packet::Request(m) | Packet::Response(m) if m.kind == packet::TLS);
        let steps = both.wire.iter().enumerate().filter(|(_, packet)| is_tls(packet)).map(|(step, _)| step);
        for step in steps {
            let mut count = 0;
            let alter = |packet: &mut Packet| {
                if count == step {
                    // Fatal: handshake_failure (RFC 5246 s7.2).
                    let alert = [21, 3, 3, 0, 2, 2, 40];
                    let data = Fragment { flags: Flags::default(), data: &alert }.to_bytes();
                    if let Packet::Request(message) | Packet::Response(message) = packet {
                        message.data = data;
                    }
                }
                count += 1;
            };
            let end = Both::new((&domain, &domain), &device, version, 1400).talk(alter, yes);
            assert!(matches!(end, End::Out { .. }), "{version:?} {step}: {end:?}");
        }
    }
}

/// Each has cost the server its flight, and waits for a device that never answers.
#[test]
fn ten_thousand_that_do_not_go_on_keep_nobody_out() {
    let (domain, device) = domain();
    let config = settings::server(&domain);
    let name = "registrar.example".try_into().unwrap();
    let mut peer = Peer::new(settings::device(&domain, &device, &TLS13), name, "@example", 1400);
    let start = Fragment { flags: Flags { start: true, ..Flags::default() }, data: &[] }.to_bytes();
    peer.handle(NOW, Packet::Request(Message { identifier: 1, kind: packet::TLS, data: start })).unwrap();
    let Some(peer::Output::Send(Packet::Response(hello))) = drain(&mut peer).pop() else { panic!() };
    let waiting: Vec<Server> = (0..10_000)
        .map(|_| {
            let mut server = Server::new(config.clone(), 1400).unwrap();
            let identity = Message { identifier: 3, kind: packet::IDENTITY, data: b"@example".to_vec() };
            server.handle(NOW, Input::Response(identity)).unwrap();
            let Some(Output::Send(Packet::Request(asked))) = drain(&mut server).pop() else { panic!() };
            let hello = Message { identifier: asked.identifier, ..hello.clone() };
            server.handle(NOW, Input::Response(hello)).unwrap();
            assert!(matches!(drain(&mut server).as_slice(), [Output::Send(_)]));
            server
        })
        .collect();
    let mut both = Both::new((&domain, &domain), &device, &TLS13, 1400);
    assert!(matches!(both.talk(unaltered, yes), End::In { same_keys: true }));
    assert_eq!(waiting.len(), 10_000);
}

#[test]
fn a_success_before_its_time_is_nobodys() {
    let (domain, device) = domain();
    for version in [&TLS12, &TLS13] {
        let name = "registrar.example".try_into().unwrap();
        let mut peer = Peer::new(settings::device(&domain, &device, version), name, "@example", 1400);
        let early = peer.handle(NOW, Packet::Success { identifier: 1 }).unwrap_err();
        assert_eq!(early.check, "eap-tls-order");
        let start = Fragment { flags: Flags { start: true, ..Flags::default() }, data: &[] }.to_bytes();
        let start = Message { identifier: 1, kind: packet::TLS, data: start };
        peer.handle(NOW, Packet::Request(start)).unwrap();
        assert_eq!(drain(&mut peer).len(), 1);
        assert_eq!(peer.handle(NOW, Packet::Success { identifier: 1 }).unwrap_err().check, "eap-tls-order");
        assert!(drain(&mut peer).is_empty());
    }
}

#[test]
fn without_the_promise_a_success_is_not_taken() {
    let (domain, device) = domain();
    let mut both = Both::new((&domain, &domain), &device, &TLS13, 1400);
    let mut flights = 0;
    // The server's flight after the device's last one is the promise: it is kept back, and success sent at once.
    let alter = |packet: &mut Packet| {
        if let Packet::Request(message) = packet
            && message.kind == packet::TLS
        {
            flights += 1;
            if message.data.len() < 64 && flights > 2 {
                *packet = Packet::Success { identifier: message.identifier };
            }
        }
    };
    assert!(matches!(both.talk(alter, yes), End::Out { server: None, device: None }));
}

#[test]
fn what_comes_twice_is_answered_the_same() {
    let (domain, device) = domain();
    let name = "registrar.example".try_into().unwrap();
    let mut peer = Peer::new(settings::device(&domain, &device, &TLS13), name, "@example", 1400);
    let start = Fragment { flags: Flags { start: true, ..Flags::default() }, data: &[] }.to_bytes();
    let start = Packet::Request(Message { identifier: 9, kind: packet::TLS, data: start });
    let mut answers = Vec::new();
    for _ in 0..3 {
        peer.handle(NOW, start.clone()).unwrap();
        answers.extend(drain(&mut peer).into_iter().map(|output| match output {
            peer::Output::Send(packet) => packet.to_bytes(),
            output => panic!("{output:?}"),
        }));
    }
    assert_eq!(answers.len(), 3);
    assert!(answers.windows(2).all(|two| two[0] == two[1]));
}

/// A server that has sent its start, and the identifier of that.
fn started() -> (Server, u8) {
    let (domain, _) = domain();
    let mut server = Server::new(settings::server(&domain), 1400).unwrap();
    let identity = Message { identifier: 3, kind: packet::IDENTITY, data: b"@example".to_vec() };
    server.handle(NOW, Input::Response(identity)).unwrap();
    match drain(&mut server).pop() {
        Some(Output::Send(Packet::Request(message))) => (server, message.identifier),
        output => panic!("{output:?}"),
    }
}

fn told(server: &mut Server, identifier: u8, kind: u8, data: Vec<u8>) -> Result<Vec<Output>, Refusal> {
    server.handle(NOW, Input::Response(Message { identifier, kind, data }))?;
    Ok(drain(server))
}

fn refusal(outputs: Vec<Output>) -> String {
    match outputs.as_slice() {
        [Output::Refused { why, .. }] => why.check.to_string(),
        outputs => panic!("{outputs:?}"),
    }
}

#[test]
fn a_server_takes_nothing_that_does_not_belong() {
    let piece =
        |length: Option<u32>, more, data| Fragment { flags: Flags { length, more, start: false }, data }.to_bytes();

    let (mut server, asked) = started();
    assert_eq!(told(&mut server, asked.wrapping_add(1), packet::TLS, vec![0]).unwrap_err().check, "eap-identifier");
    assert_eq!(refusal(told(&mut server, asked, packet::NAK, vec![25]).unwrap()), "eap-method");

    let (mut server, asked) = started();
    assert_eq!(refusal(told(&mut server, asked, 25, vec![0]).unwrap()), "eap-method");

    let (mut server, asked) = started();
    assert_eq!(refusal(told(&mut server, asked, packet::TLS, vec![]).unwrap()), "eap-tls-fragment");

    let (mut server, asked) = started();
    assert_eq!(refusal(told(&mut server, asked, packet::TLS, vec![0x80, 0, 0]).unwrap()), "eap-tls-fragment");

    let (mut server, asked) = started();
    let bomb = piece(Some(100_000_000), true, b"x");
    assert_eq!(refusal(told(&mut server, asked, packet::TLS, bomb).unwrap()), "eap-tls-flight");

    let (mut server, asked) = started();
    let short = piece(Some(10), false, b"x");
    assert_eq!(refusal(told(&mut server, asked, packet::TLS, short).unwrap()), "eap-tls-flight");

    let (mut server, asked) = started();
    let empty = piece(None, true, b"");
    assert_eq!(refusal(told(&mut server, asked, packet::TLS, empty).unwrap()), "eap-tls-flight");

    let (mut server, asked) = started();
    assert_eq!(refusal(told(&mut server, asked, packet::TLS, piece(None, false, b"")).unwrap()), "eap-tls-order");

    let (mut server, _) = started();
    assert_eq!(server.handle(NOW, Input::Ruled(Ok(()))).unwrap_err().check, "eap-ruling");
}

#[test]
fn fragments_without_end_end() {
    let (mut server, mut asked) = started();
    let piece = Fragment { flags: Flags { more: true, ..Flags::default() }, data: &[0x16; 1000] }.to_bytes();
    for _ in 0..100 {
        let outputs = told(&mut server, asked, packet::TLS, piece.clone()).unwrap();
        match outputs.as_slice() {
            [Output::Send(Packet::Request(message))] => asked = message.identifier,
            _ => return assert_eq!(refusal(outputs), "eap-tls-flight"),
        }
    }
    panic!("there is no bound");
}

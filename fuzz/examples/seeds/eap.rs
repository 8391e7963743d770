//! EAP and RADIUS.

use super::{bad, good};
use landfall_eap::{
    eapol::Frame,
    packet::{self, Message, Packet},
    radius::{self, Attributes, Code, Kind, Place, Secret},
    tls::{Flags, Fragment},
};

pub(super) fn write() {
    let message = Message { identifier: 7, kind: packet::TLS, data: vec![0x20] };
    let request = Packet::Request(message.clone());
    let response = Packet::Response(Message { kind: packet::IDENTITY, data: b"@example".to_vec(), ..message });
    good("eap-packet", "request", request.to_bytes());
    good("eap-packet", "response", response.to_bytes());
    good("eap-packet", "success", Packet::Success { identifier: 7 }.to_bytes());
    bad("eap-packet", "cut", &request.to_bytes()[..5]);
    bad("eap-packet", "without-type", [1, 1, 0, 4]);
    bad("eap-packet", "code", [9, 1, 0, 6, 13, 0]);
    let frame = Frame::Eap(request.clone()).to_bytes();
    good("eapol-frame", "start", Frame::Start.to_bytes());
    good("eapol-frame", "request", [&frame[..], &[0; 20]].concat());
    good("eapol-frame", "key", [3, 3, 0, 2, 1, 1]);
    bad("eapol-frame", "cut", &frame[..frame.len() - 1]);
    bad("eapol-frame", "empty", [2, 0, 0, 0]);

    good("anqp-realms", "one", b"\x01\x00\x11\x00\x00\x0bnew.example\x01\x02\x0d\x00");
    good("anqp-realms", "none", [0, 0]);
    bad("anqp-realms", "cut", b"\x01\x00\x10\x00\x00\x0bnew");
    bad("anqp-realms", "text", b"\x01\x00\x04\x00\x01\x01\xff\x00");

    let first = Flags { length: Some(2000), more: true, start: false };
    good("eap-fragment", "first", Fragment { flags: first, data: &[0x16; 100] }.to_bytes());
    good("eap-fragment", "acknowledgement", [0]);
    bad("eap-fragment", "nothing", []);
    bad("eap-fragment", "length-cut", [0x80, 0, 0]);

    let place = Place { vlan: Some("30".into()), filter: Some("cameras".into()), session_timeout: Some(3600) };
    let attributes = Attributes::default()
        .with(Kind::USER_NAME, "pump-17")
        .with_number(Kind::FRAMED_MTU, 1400)
        .with_eap(&response)
        .with_place(&place);
    let bytes = attributes.to_bytes();
    good("radius-attributes", "several", &bytes);
    bad("radius-attributes", "cut", &bytes[..bytes.len() - 1]);
    bad("radius-attributes", "of-no-length", [1, 0]);

    let secret = Secret::new(landfall_fuzz::eap::SECRET.as_bytes().to_vec().into()).expect("a secret");
    for (name, code) in [("access", Code::AccessRequest), ("accounting", Code::AccountingRequest)] {
        let authenticator = [9; 16];
        let packet = radius::Packet { code, identifier: 1, authenticator, attributes: attributes.clone() };
        let mut sealed = packet.seal_request(&secret);
        good("radius-request", name, &sealed);
        sealed[30] ^= 1;
        bad("radius-request", &format!("{name}-altered"), &sealed);
    }
}

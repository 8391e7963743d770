//! What access points and devices say when a device is to be let in.

use landfall_eap::{
    anqp,
    eapol::Frame,
    packet::Packet,
    radius::{self, Attributes, Secret},
    tls::Fragment,
};

/// The secret of the requests in the corpus.
pub const SECRET: &str = "xyzzy5461";

/// An EAP packet.
pub fn packet(data: &[u8]) -> bool {
    let Ok(packet) = Packet::parse(data) else { return false };
    assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet), "what was read can be written and read");
    true
}

/// A frame at a port.
pub fn frame(data: &[u8]) -> bool {
    let Ok(frame) = Frame::parse(data) else { return false };
    assert_eq!(Frame::parse(&frame.to_bytes()), Ok(frame), "what was read can be written and read");
    true
}

/// Realms of an access point.
pub fn realms(data: &[u8]) -> bool {
    anqp::realms(data).is_ok()
}

/// A fragment of a TLS flight.
pub fn fragment(data: &[u8]) -> bool {
    let Ok(fragment) = Fragment::parse(data) else { return false };
    assert_eq!(Fragment::parse(&fragment.to_bytes()), Ok(fragment), "what was read can be written and read");
    true
}

/// The attributes of a RADIUS packet.
pub fn attributes(data: &[u8]) -> bool {
    let Ok(attributes) = Attributes::parse(data) else { return false };
    assert_eq!(attributes.to_bytes(), data, "what was read is written as it was");
    let _ = attributes.eap().map(|eap| packet(&eap));
    true
}

/// A RADIUS request.
pub fn request(data: &[u8]) -> bool {
    let Ok(secret) = Secret::new(SECRET.as_bytes().to_vec().into()) else { return false };
    let _ = radius::Packet::open_answer(data, &[0; 16], &secret);
    let Ok(request) = radius::Packet::open_request(data, &secret) else { return false };
    let _ = request.attributes.eap().map(|eap| packet(&eap));
    let _ = request.attributes.keys(&secret, &request.authenticator);
    true
}

//! What DPP reads off the air, off TCP, out of codes that people scan, and out of what it unseals.

use landfall_dpp::{
    Uri, backup,
    config::{ConfigObject, ConfigRequest, ConnectionStatus},
    connector::SignedConnector,
    crypto::Secret,
    enterprise::{self, CsrAttributes},
    frame::{self, Attributes, Frame},
    gas::Gas,
    jwk::Jwk,
    nfc::{self, handover},
    tcp,
};

/// A bootstrapping URI.
pub fn uri(data: &[u8]) -> bool {
    let Some(uri) = text(data).and_then(|text| text.parse::<Uri>().ok()) else { return false };
    let _ = uri.host.as_ref().and_then(|host| host.address());
    assert_eq!(uri.to_string().parse(), Ok(uri), "what was read can be written and read");
    true
}

/// An NDEF message with a bootstrapping URI.
pub fn nfc(data: &[u8]) -> bool {
    let Ok((uri, form)) = nfc::decode(data) else { return false };
    assert_eq!(nfc::decode(&nfc::encode(&uri, form)), Ok((uri, form)), "what was read can be written and read");
    true
}

/// What two that touch say to each other.
pub fn handover(data: &[u8]) -> bool {
    let Ok((uri, kind)) = handover::decode(data) else { return false };
    assert_eq!(
        handover::decode(&handover::encode(&uri, kind)),
        Ok((uri, kind)),
        "what was read can be written and read"
    );
    true
}

/// The attributes of a frame.
pub fn attributes(data: &[u8]) -> bool {
    let Ok(attributes) = Attributes::parse(data) else { return false };
    let length: usize = attributes.iter().map(|(_, value)| 4 + value.len()).sum();
    assert_eq!(length, data.len(), "nothing is left over");
    for &id in frame::AttributeId::ALL {
        let _ = (attributes.need(id), attributes.one_u8(id), attributes.one_u16(id));
    }
    let _ = (attributes.status(), attributes.wrapped(), attributes.before_wrapped());
    true
}

/// A frame as the air carries it.
pub fn air(data: &[u8]) -> bool {
    let Ok(frame) = frame::from_the_air(data) else { return false };
    if let Frame::Action(_) = frame {
        assert_eq!(frame::over_the_air(&frame), data, "what was read is written the same");
    }
    true
}

/// A generic advertisement frame.
pub fn gas(data: &[u8]) -> bool {
    let Ok(gas) = Gas::parse(data) else { return false };
    assert_eq!(Gas::parse(&gas.encode()), Ok(gas), "what was read can be written and read");
    true
}

/// A stream of TCP; taken if it is whole frames of DPP from the beginning to the end.
pub fn stream(data: &[u8]) -> bool {
    let mut frames = Vec::new();
    let mut decoder = tcp::Decoder::new();
    // In two pieces, as a network may cut it.
    let (head, tail) = data.split_at(data.len() / 2);
    for piece in [head, tail] {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return false,
            }
        }
    }
    let _ = frames.iter().map(tcp::encode).count();
    decoder.pending() == 0 && !frames.is_empty()
}

/// A configuration request object.
pub fn config_request(data: &[u8]) -> bool {
    let Ok(request) = ConfigRequest::parse(data) else { return false };
    // Base64 can be longer when it is written without the breaks of lines that were read.
    if let Ok(again) = ConfigRequest::parse(request.to_json().as_bytes()) {
        assert_eq!(again, request, "what was read can be written and read");
    }
    true
}

/// A configuration object.
pub fn config_object(data: &[u8]) -> bool {
    let Ok(object) = ConfigObject::parse(data) else { return false };
    if let Ok(again) = ConfigObject::parse(object.to_json().expose().as_bytes()) {
        assert_eq!(again.to_json().expose(), object.to_json().expose(), "what was written reads as the same");
    }
    true
}

/// A connection status object.
pub fn connection_status(data: &[u8]) -> bool {
    let Ok(status) = ConnectionStatus::parse(data) else { return false };
    assert_eq!(ConnectionStatus::parse(status.to_json().as_bytes()), Ok(status), "what was read can be written");
    true
}

/// A signed connector, whoever signed it.
pub fn connector(data: &[u8]) -> bool {
    let Some(signed) = text(data).and_then(|text| SignedConnector::parse(text).ok()) else { return false };
    let key = &signed.unverified().key;
    let _ = (signed.verify_signature(key), signed.unverified().matches(signed.unverified()));
    let _ = signed.unverified().signing_input(key);
    true
}

/// A JSON Web Key.
pub fn jwk(data: &[u8]) -> bool {
    let Some(jwk) = landfall_types::json::parse(data).ok().and_then(|value| Jwk::from_value(value).ok()) else {
        return false;
    };
    assert_eq!(Jwk::from_value(jwk.to_value()), Ok(jwk), "what was read can be written and read");
    true
}

/// What a configurator wants to find in a certificate request.
pub fn csr_attributes(data: &[u8]) -> bool {
    let der = enterprise::attributes_of_text(data);
    let Some(wanted) = der.ok().and_then(|der| CsrAttributes::from_der(&der).ok()) else { return false };
    assert_eq!(CsrAttributes::from_der(&wanted.to_der()), Ok(wanted), "what was read can be written and read");
    true
}

/// The password of the envelopes in the corpus.
pub const PASSWORD: &[u8] = b"a password of thirty-two octets.";

/// A configurator's keys, sealed with that password.
pub fn envelope(data: &[u8]) -> bool {
    backup::open(data, &Secret::new(PASSWORD.to_vec())).is_ok()
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

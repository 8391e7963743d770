//! The corpora of DPP.

use crate::{bad, cut, good, last_byte_changed};
use landfall_dpp::{
    Channel, Curve, NetRole, Status, Uri,
    backup::{self, Configurator},
    config::{Akms, ConfigObject, ConfigRequest, ConnectionStatus, Credential, Enterprise},
    connector::{Connector, Group, SignedConnector},
    crypto::Secret,
    curve::PrivateKey,
    enterprise::{self, CsrAttributes},
    frame::{self, Action, AttributeId, AttributeWriter, Frame, FrameType},
    gas::Gas,
    jwk::Jwk,
    nfc::{self, handover},
    tcp,
    uri::Host,
};
use landfall_fuzz::{
    dpp::PASSWORD,
    dpp_exchanges::{Pkex, PushButton, introduction_frames, reconfiguration_frames},
};
use landfall_testkit::{NOW, Rng};

fn random(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut rng = Rng::new(seed);
    move |octets: &mut [u8]| octets.fill_with(|| rng.bytes::<1>()[0])
}

fn key(curve: Curve) -> PrivateKey {
    PrivateKey::generate(curve, &mut random(8908))
}

pub(crate) fn write() {
    bootstrapping();
    frames();
    configuration();
    connectors();
    requests();
    envelopes();
    exchanges();
}

fn full_uri(curve: Curve) -> Uri {
    Uri {
        channels: [(81, 1), (81, 6), (115, 36)].map(|(class, channel)| Channel { class, channel }).to_vec(),
        mac: Some([2, 0, 0, 0, 0, 1]),
        information: Some("SN=0001".into()),
        version: Some(3),
        curves: Some(Curve::ALL.to_vec()),
        host: Some(Host { name: "2001:db8::1".into(), port: 8909 }),
        ..Uri::of(key(curve).public().clone())
    }
}

fn bootstrapping() {
    for curve in Curve::ALL {
        good("dpp-uri", &format!("full-{curve}"), full_uri(curve).to_string());
    }
    let plain = Uri::of(key(Curve::P256).public().clone());
    good("dpp-uri", "plain", plain.to_string());
    good("dpp-uri", "unknown-field", plain.to_string().replace("DPP:", "DPP:Z:later;"));
    cut("dpp-uri", "plain", plain.to_string().as_bytes());
    bad("dpp-uri", "no-key", "DPP:V:3;;");
    bad("dpp-uri", "channel", plain.to_string().replace("DPP:", "DPP:C:81/1a;"));
    for (name, form) in [("uri", nfc::Form::Uri), ("handover", nfc::Form::Handover)] {
        good("dpp-nfc", name, nfc::encode(&plain, form));
        cut("dpp-nfc", name, &nfc::encode(&plain, form));
    }
    for (name, kind) in [("request", handover::Kind::Request { random: 7 }), ("select", handover::Kind::Select)] {
        good("dpp-nfc-handover", name, handover::encode(&plain, kind));
        cut("dpp-nfc-handover", name, &handover::encode(&plain, kind));
    }
    let long = Uri { information: Some("x".repeat(300)), ..plain };
    good("dpp-nfc", "long", nfc::encode(&long, nfc::Form::Uri));
}

fn frames() {
    let mut request = AttributeWriter::new();
    request
        .put(AttributeId::ResponderBootstrapHash, &[1; 32])
        .put(AttributeId::InitiatorBootstrapHash, &[2; 32])
        .put(AttributeId::InitiatorProtocolKey, &key(Curve::P256).public().to_wire())
        .put(AttributeId::Channel, &[81, 6])
        .put_u8(AttributeId::ProtocolVersion, 3)
        .put(AttributeId::WrappedData, &[3; 41]);
    let request = request.into_bytes();
    good("dpp-attributes", "request", &request);
    cut("dpp-attributes", "request", &request);
    bad("dpp-attributes", "after-wrapped-data", [&request, [0x16, 0x10, 1, 0, 7].as_slice()].concat());
    let mut chirp = AttributeWriter::new();
    chirp.put(AttributeId::ResponderBootstrapHash, &[1; 32]);
    good("dpp-attributes", "chirp", chirp.bytes());

    let request = Frame::from(Action { kind: FrameType::AuthenticationRequest, attributes: request });
    let chirp = Frame::from(Action { kind: FrameType::PresenceAnnouncement, attributes: chirp.into_bytes() });
    let gas = [
        ("initial-request", Gas::InitialRequest { token: 1, query: vec![4; 60] }),
        ("initial-response", Gas::InitialResponse { token: 1, status: 0, comeback: 500, response: Vec::new() }),
        ("comeback-request", Gas::ComebackRequest { token: 1 }),
        (
            "comeback-response",
            Gas::ComebackResponse { token: 1, status: 0, more: true, fragment: 3, delay: 0, data: vec![5; 90] },
        ),
    ];
    for (name, frame) in [("request", &request), ("chirp", &chirp)] {
        good("dpp-air", name, frame::over_the_air(frame));
    }
    bad("dpp-air", "without-category", request.encode());
    let mut stream = [tcp::encode(&request), tcp::encode(&chirp)].concat();
    for (name, gas) in gas {
        good("dpp-gas", name, gas.encode());
        good("dpp-air", name, frame::over_the_air(&gas.clone().into()));
        cut("dpp-gas", name, &gas.encode());
        stream.extend(tcp::encode(&gas.into()));
    }
    good("dpp-stream", "several", &stream);
    bad("dpp-stream", "several-cut", &stream[..stream.len() - 1]);
    bad("dpp-stream", "length", [0, 1, 0, 0]);
}

fn configuration() {
    let mut request = ConfigRequest::new("Sensor 7", NetRole::Sta);
    good("dpp-config-request", "plain", request.to_json());
    request.mud_url = Some("https://mud.example/model.json".into());
    request.bands = vec![81, 115];
    request.pkcs10 = Some(vec![0x30, 0]);
    request.capabilities = Some(ConfigRequest::SAE_PASSWORD_ID);
    request.others.insert("org.openconnectivity".into(), serde_json::json!({"soinfo": [{"uuid": "0"}]}));
    good("dpp-config-request", "full", request.to_json());
    cut("dpp-config-request", "full", request.to_json().as_bytes());
    bad("dpp-config-request", "no-role", r#"{"name":"x","wi-fi_tech":"infra"}"#);

    let key = Jwk::with_kid(key(Curve::P256).public().clone());
    let credential = |akm| Credential {
        akm,
        passphrase: Some("correct horse".to_owned().into()),
        connector: Some(signed(Curve::P256).as_str().to_owned()),
        csign: Some(key.clone()),
        privacy_key: Some(key.clone()),
        enterprise: akm.dot1x.then(|| Enterprise {
            cert_bag: vec![0x30, 0],
            ca_cert: Some(vec![0x30, 0]),
            server_name: Some("eap.example".into()),
            eap_methods: vec![Enterprise::EAP_TLS],
        }),
        ..Credential::default()
    };
    let all = Akms { selectors: true, ..Akms::DPP.and(Akms::PSK).and(Akms::SAE) };
    for (name, akm) in [("connector", Akms::DPP), ("all", all), ("enterprise", Akms::DOT1X)] {
        let object = ConfigObject::infra("home".into(), credential(akm)).to_json();
        good("dpp-config-object", name, object.expose());
        cut("dpp-config-object", name, object.expose().as_bytes());
    }
    let psk =
        r#"{"wi-fi_tech":"infra","discovery":{"ssid64":"Zvxy","ssid_charset":4},"cred":{"akm":"psk","psk_hex":"PSK"}}"#;
    good("dpp-config-object", "psk", psk.replace("PSK", &"0a".repeat(32)));
    bad("dpp-config-object", "psk-short", psk.replace("PSK", &"0a".repeat(31)));

    let status = ConnectionStatus {
        result: Status::NoAp,
        ssid: Some(b"home".to_vec()),
        channels: [(81, 1), (81, 6)].map(|(class, channel)| Channel { class, channel }).to_vec(),
    };
    good("dpp-connection-status", "no-ap", status.to_json());
    bad("dpp-connection-status", "result", r#"{"result":99}"#);
}

fn signed(curve: Curve) -> SignedConnector {
    let key = key(curve);
    let connector = Connector {
        groups: vec![Group::any(NetRole::Sta), Group { id: "home".into(), role: NetRole::Ap }],
        key: key.public().clone(),
        expiry: Some(NOW),
        version: Some(3),
    };
    let input = connector.signing_input(key.public());
    let signature = key.sign(input.as_bytes()).expect("a signature");
    SignedConnector::attach(&input, &signature).expect("a connector")
}

fn connectors() {
    for curve in Curve::ALL {
        good("dpp-connector", &curve.to_string(), signed(curve).as_str());
        good("dpp-jwk", &curve.to_string(), Jwk::with_kid(key(curve).public().clone()).to_value().to_string());
    }
    let text = signed(Curve::P256).as_str().to_owned();
    cut("dpp-connector", "P-256", text.as_bytes());
    bad("dpp-connector", "two-parts", text.rsplit_once('.').map_or("", |(two, _)| two));
    let jwk = Jwk::of(key(Curve::P256).public().clone()).to_value();
    let mut moved = jwk.clone();
    moved["y"] = jwk["x"].clone();
    bad("dpp-jwk", "off-the-curve", moved.to_string());
}

fn requests() {
    good("dpp-csr-attributes", "password", enterprise::attributes_text(&CsrAttributes::of(None).to_der()));
    good("dpp-csr-attributes", "curve", enterprise::attributes_text(&CsrAttributes::of(Some(Curve::Bp512)).to_der()));
    bad("dpp-csr-attributes", "number", "MAMCAQE=");
}

fn envelopes() {
    for curve in [Curve::P256, Curve::Bp512] {
        let configurator = Configurator {
            csign: key(curve),
            privacy_key: key(curve),
            config_template: "{}".to_owned().into(),
            connector_template: Some("{}".to_owned().into()),
        };
        let sealed = backup::seal(&[configurator], &Secret::new(PASSWORD.to_vec()), &mut random(1)).expect("sealed");
        good("dpp-envelope", &curve.to_string(), &sealed);
        cut("dpp-envelope", &curve.to_string(), &sealed);
        bad("dpp-envelope", &format!("{curve}-changed"), last_byte_changed(&sealed));
    }
}

/// Whole exchanges, and what is left of them when a frame is missing, out of order or changed.
fn exchanges() {
    let (mut pkex, first) = Pkex::begin().expect("a code");
    conversation("dpp-pkex", first, |frame| pkex.hear(frame).1);

    let (mut push_button, first) = PushButton::begin();
    // The announcement comes again until the configurator has waited long enough.
    conversation("dpp-push-button", vec![first[0].clone(); 3], |frame| push_button.hear(frame).1);

    let introduction = introduction_frames().expect("an introduction");
    let reconfiguration = reconfiguration_frames().expect("a reconfiguration");
    for (corpus, frames) in [("dpp-introduction", introduction), ("dpp-reconfiguration", reconfiguration)] {
        for (name, frame) in frames {
            let air = frame::over_the_air(&frame);
            good(corpus, name, &air);
            cut(corpus, name, &air);
        }
    }
}

/// What is said until nobody has anything to say.
fn conversation(corpus: &str, first: Vec<Frame>, mut hear: impl FnMut(&Frame) -> Vec<Frame>) {
    let mut said: Vec<Frame> = Vec::new();
    let mut next = std::collections::VecDeque::from(first);
    while let Some(frame) = next.pop_front() {
        // An answer comes before what is said next.
        let replies = hear(&frame);
        said.push(frame);
        replies.into_iter().rev().for_each(|reply| next.push_front(reply));
    }
    let stream = |frames: &[Frame]| frames.iter().flat_map(tcp::encode).collect::<Vec<_>>();
    good(corpus, "exchange", stream(&said));
    good(corpus, "first", stream(&said[..1]));
    bad(corpus, "exchange-cut", &stream(&said)[..stream(&said).len() - 1]);
    bad(corpus, "changed", last_byte_changed(&stream(&said)));
    bad(corpus, "last-only", stream(&said[said.len() - 1..]));
}

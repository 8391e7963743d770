//! `landfall inspect` on what Wi-Fi Easy Connect writes, and on captures of it.

use crate::{
    inspect::{checks, inspect},
    says,
};
use landfall_dpp::{
    Curve, NetRole, Uri,
    connector::{Connector, Group, SignedConnector},
    curve::PrivateKey,
    frame::{self, Action, AttributeId, AttributeWriter, Frame, FrameType},
    gas::Gas,
    jwk::Jwk,
    nfc, tcp,
};
use landfall_testkit::{NOW, Rng};
use serde_json::{Value, json};

fn key(seed: u64) -> PrivateKey {
    let mut rng = Rng::new(seed);
    PrivateKey::generate(Curve::P256, &mut |octets: &mut [u8]| octets.fill_with(|| rng.bytes::<1>()[0]))
}

fn uri() -> Uri {
    Uri { version: Some(3), information: Some("SN=0001".into()), ..Uri::of(key(1).public().clone()) }
}

fn signed(expiry: Option<landfall_types::Time>) -> SignedConnector {
    let connector =
        Connector { groups: vec![Group::any(NetRole::Sta)], key: key(2).public().clone(), expiry, version: Some(3) };
    let input = connector.signing_input(key(3).public());
    SignedConnector::attach(&input, &key(3).sign(input.as_bytes()).unwrap()).unwrap()
}

fn value<'a>(report: &'a Value, name: &str) -> Option<&'a str> {
    let fields = report["fields"].as_array().unwrap();
    fields.iter().find(|field| field["name"] == name).and_then(|field| field["value"].as_str())
}

#[test]
fn bootstrapping_uris_in_a_file_as_themselves_and_in_nfc() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{}\n", uri());
    let (status, report) = inspect(folder.path(), "uri", text.as_bytes(), &[]);
    assert_eq!((status, value(&report, "information")), (0, Some("SN=0001")), "{report}");
    assert_eq!(value(&report, "chirp hash"), Some(&*uri().key.chirp_hash().to_string()));
    let (status, shown) = says(folder.path(), &["inspect", text.trim()]);
    assert!(status == 0 && shown.contains("bootstrapping URI") && shown.contains("SN=0001"), "{shown}");
    let (status, report) = inspect(folder.path(), "tag", &nfc::encode(&uri(), nfc::Form::Uri), &[]);
    assert!(status == 0 && report["what"].as_str().unwrap().contains("NFC tag"), "{report}");

    let (status, report) = inspect(folder.path(), "broken", text.replace("V:3", "V:x").as_bytes(), &[]);
    assert_eq!((status, checks(&report)), (1, vec!["dpp-uri"]));
    assert_eq!(report["findings"][0]["section"], "DPP s5.2.1");
}

#[test]
fn connectors_alone_and_in_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let later = NOW + std::time::Duration::from_secs(3600);
    let good = signed(Some(later));
    let (status, report) = inspect(folder.path(), "connector", good.as_str().as_bytes(), &[]);
    assert_eq!((status, value(&report, "ends")), (0, Some(&*later.to_string())), "{report}");
    let late = (later + std::time::Duration::from_secs(1)).to_string();
    let (status, report) = inspect(folder.path(), "connector", good.as_str().as_bytes(), &["--at", &late]);
    assert_eq!((status, checks(&report)), (1, vec!["dpp-connector-expiry"]));

    let object = |csign: &PrivateKey| {
        json!({
            "wi-fi_tech": "infra", "discovery": {"ssid": "home"},
            "cred": {
                "akm": "dpp+sae", "pass": "correct horse",
                "signedConnector": good.as_str(), "csign": Jwk::with_kid(csign.public().clone()).to_value(),
            },
        })
        .to_string()
    };
    let (status, report) = inspect(folder.path(), "object", object(&key(3)).as_bytes(), &[]);
    assert_eq!((status, value(&report, "network")), (0, Some("home")), "{report}");
    assert_eq!(value(&report["parts"][0]["report"], "signature"), Some("that of the C-sign key"));
    assert!(!report.to_string().contains("horse"));
    let (status, report) = inspect(folder.path(), "object", object(&key(4)).as_bytes(), &[]);
    assert_eq!((status, checks(&report["parts"][0]["report"])), (1, vec!["dpp-connector-csign"]));
    let (status, report) =
        inspect(folder.path(), "object", object(&key(3)).replace("home", &"x".repeat(33)).as_bytes(), &[]);
    assert_eq!((status, checks(&report)), (1, vec!["dpp-json"]));

    let request = json!({"name": "Sensor", "wi-fi_tech": "infra", "netRole": "sta", "org.example": {"a": 1}});
    let (status, report) = inspect(folder.path(), "request", request.to_string().as_bytes(), &[]);
    assert_eq!((status, value(&report, "org.example")), (0, Some(r#"{"a":1}"#)), "{report}");
    let (status, report) = inspect(folder.path(), "status", br#"{"result":10}"#, &[]);
    assert!(status == 0 && value(&report, "result").unwrap().contains("STATUS_NO_AP"), "{report}");
    let jwk = Jwk::of(key(3).public().clone()).to_value().to_string();
    assert_eq!(inspect(folder.path(), "jwk", jwk.as_bytes(), &[]).0, 0);
}

/// An authentication request, good but for what `change` does to its attributes.
fn request(change: impl Fn(&mut AttributeWriter)) -> Frame {
    let mut writer = AttributeWriter::new();
    writer.put(AttributeId::ResponderBootstrapHash, &[1; 32]).put(AttributeId::Channel, &[81, 6]);
    change(&mut writer);
    Action { kind: FrameType::AuthenticationRequest, attributes: writer.into_bytes() }.into()
}

fn good() -> Frame {
    request(|writer| {
        writer.put(AttributeId::InitiatorProtocolKey, &[2; 64]).put(AttributeId::WrappedData, &[3; 40]);
    })
}

#[test]
fn single_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (status, report) = inspect(folder.path(), "frame", &frame::over_the_air(&good()), &[]);
    assert_eq!((status, value(&report, "Channel")), (0, Some("6 in class 81")), "{report}");
    assert_eq!(value(&report, "Wrapped Data"), Some("40 octets, sealed"));
    let keyless = request(|writer| {
        writer.put(AttributeId::WrappedData, &[3; 40]);
    });
    let (status, report) = inspect(folder.path(), "frame", &keyless.encode(), &[]);
    assert_eq!((status, checks(&report)), (1, vec!["dpp-attribute-missing"]));
    let mut behind = frame::over_the_air(&good());
    behind.extend([0x16, 0x10, 1, 0, 7]);
    let (status, report) = inspect(folder.path(), "frame", &behind, &[]);
    assert_eq!((status, checks(&report)), (1, vec!["dpp-frame-length"]));
}

/// A pcap of that link type.
fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 65_535, link].map(u32::to_le_bytes).concat();
    for packet in packets {
        let len = u32::try_from(packet.len()).unwrap();
        file.extend([0, 0, len, len].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

/// A management frame of IEEE 802.11.
fn management(kind: u8, body: &[u8]) -> Vec<u8> {
    [[kind, 0, 0, 0].as_slice(), &[0xFF; 6], &[2; 6], &[0xFF; 6], &[0, 0], body].concat()
}

/// A segment of TCP over IPv4 on Ethernet.
fn segment(sequence: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let total = u16::try_from(40 + data.len()).unwrap().to_be_bytes();
    let ip = [0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2];
    let ports = [40_000_u16, tcp::PORT].map(u16::to_be_bytes).concat();
    let rest = [0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0];
    [[0; 12].as_slice(), &[8, 0], &ip, &ports, &sequence.to_be_bytes(), &rest, data].concat()
}

#[test]
fn captures_off_the_air() {
    let folder = tempfile::tempdir().unwrap();
    let body = frame::over_the_air(&good());
    let gas = frame::over_the_air(&Gas::ComebackRequest { token: 7 }.into());
    let others = [management(0x80, &[0; 20]), management(0xD0, &[3, 0, 1])];
    let frames: Vec<_> = others.into_iter().chain([management(0xD0, &body), management(0xD0, &gas)]).collect();
    let (status, report) = inspect(folder.path(), "plain.pcap", &pcap(105, &frames), &[]);
    assert_eq!((status, value(&report, "frames of DPP")), (0, Some("2")), "{report}");
    assert!(report["parts"][0]["name"].as_str().unwrap().starts_with("packet 3, 02:02"), "{report}");

    // Radiotap with a timestamp and flags, which say that a checksum stands at the end.
    let radiotap = [0, 0, 17, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
    let with = |frame: &Vec<u8>| [radiotap.as_slice(), frame, &[9; 4]].concat();
    let (status, report) =
        inspect(folder.path(), "radio.pcap", &pcap(127, &frames.iter().map(with).collect::<Vec<_>>()), &[]);
    assert_eq!((status, value(&report, "frames of DPP")), (0, Some("2")), "{report}");

    let nothing = inspect(folder.path(), "other.pcap", &pcap(105, &frames[..2]), &[]).1;
    assert_eq!(nothing["findings"][0]["check"], "capture-nothing");
    let cut = pcap(105, &frames);
    let report = inspect(folder.path(), "cut.pcap", &cut[..cut.len() - 1], &[]).1;
    assert_eq!(report["findings"][0]["check"], "capture");
}

#[test]
fn captures_of_tcp_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let stream = [tcp::encode(&good()), tcp::encode(&Gas::ComebackRequest { token: 7 }.into())].concat();
    let (head, tail) = stream.split_at(50);
    let at = |offset: usize| 1001 + u32::try_from(offset).unwrap();
    // Out of order, and the beginning twice.
    let packets =
        [segment(1000, 2, &[]), segment(at(50), 0x10, tail), segment(at(0), 0x10, head), segment(at(0), 0x10, head)];
    let (status, report) = inspect(folder.path(), "tcp.pcap", &pcap(1, &packets), &[]);
    assert_eq!((status, value(&report, "frames of DPP")), (0, Some("2")), "{report}");
    let gap = [segment(1000, 2, &[]), segment(at(50), 0x10, tail)];
    let report = inspect(folder.path(), "gap.pcap", &pcap(1, &gap), &[]).1;
    assert_eq!(report["findings"][0]["check"], "capture-gap");

    // The same in pcapng: section, interface, packet.
    let block = |kind: u32, body: &[u8]| {
        let padded = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
        let len = u32::try_from(padded.len() + 12).unwrap().to_le_bytes();
        [kind.to_le_bytes().as_slice(), &len, &padded, &len].concat()
    };
    let section = block(0x0A0D_0D0A, &[[0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0].as_slice(), &[0xFF; 8]].concat());
    let enhanced = |packet: &Vec<u8>| {
        let len = u32::try_from(packet.len()).unwrap();
        block(6, &[[0, 0, 0, len, len].map(u32::to_le_bytes).concat(), packet.clone()].concat())
    };
    let file = [section, block(1, &[1, 0, 0, 0, 0, 0, 4, 0]), packets.iter().flat_map(enhanced).collect()].concat();
    let (status, report) = inspect(folder.path(), "tcp.pcapng", &file, &[]);
    assert_eq!((status, value(&report, "frames of DPP")), (0, Some("2")), "{report}");
}

#[test]
fn a_picture_of_a_code() {
    let Some(qrencode) = landfall_testkit::tool("qrencode") else { return };
    let folder = tempfile::tempdir().unwrap();
    let picture = |text: &str| {
        let done = std::process::Command::new(&qrencode).args(["-o", "-", text]).output().unwrap();
        assert!(done.status.success());
        done.stdout
    };
    let (status, report) = inspect(folder.path(), "code.png", &picture(&uri().to_string()), &[]);
    assert_eq!((status, value(&report["parts"][0]["report"], "information")), (0, Some("SN=0001")), "{report}");
    let (status, report) = inspect(folder.path(), "code.png", &picture("https://example.com"), &[]);
    assert_eq!((status, checks(&report["parts"][0]["report"])), (1, vec!["dpp-uri"]));
    let (status, report) = inspect(folder.path(), "code.png", b"\x89PNG and nothing else", &[]);
    assert_eq!((status, checks(&report)), (1, vec!["qr-code"]));
}

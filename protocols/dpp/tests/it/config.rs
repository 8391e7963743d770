//! The JSON of configuration.

use crate::it::vectors::{octets, vector};
use landfall_dpp::{
    Channel, Curve, Status,
    config::{Akms, ConfigObject, ConfigRequest, ConnectionStatus, Credential, Discovery, Enterprise, NetRole},
    crypto::{Secret, siv},
    curve::PublicKey,
    frame::{self, Action, AttributeId, Attributes, Frame, FrameType},
    jwk::Jwk,
};
use landfall_types::Redacted;
use proptest::prelude::*;
use serde_json::{Value, json};

fn request(value: &Value) -> Result<ConfigRequest, String> {
    ConfigRequest::parse(value.to_string().as_bytes()).map_err(|error| error.field.to_owned())
}

fn object(value: &Value) -> Result<ConfigObject, String> {
    ConfigObject::parse(value.to_string().as_bytes()).map_err(|error| error.field.to_owned())
}

fn status(value: &Value) -> Result<ConnectionStatus, String> {
    ConnectionStatus::parse(value.to_string().as_bytes()).map_err(|error| error.field.to_owned())
}

#[test]
fn the_published_exchange() {
    let Some(values) = vector("/config_exchange_p256") else { return };
    let ke = Secret::new(octets(&values["ke"]));
    let open = |attributes: &[u8], ads: &[&[u8]]| {
        let attributes = Attributes::parse(attributes).unwrap();
        siv::open(&ke, ads, attributes.wrapped().unwrap()).ok()
    };
    let nonce = octets(&values["E_nonce"]);

    let query = octets(&values["config_request_attributes"]);
    let inside = open(&query, &[]).unwrap();
    let inside = Attributes::parse(inside.expose()).unwrap();
    assert_eq!(inside.need(AttributeId::EnrolleeNonce).unwrap(), nonce);
    let json = inside.need(AttributeId::ConfigRequestObject).unwrap();
    assert_eq!(json, values["config_request_object"].as_str().unwrap().as_bytes());
    let parsed = ConfigRequest::parse(json).unwrap();
    assert_eq!(parsed, ConfigRequest::new("Test", NetRole::Sta));
    assert_eq!(parsed.to_json().as_bytes(), json);

    let response = octets(&values["config_response_attributes"]);
    let before = Attributes::parse(&response).unwrap().before_wrapped();
    let inside = open(&response, &[before]).unwrap();
    let inside = Attributes::parse(inside.expose()).unwrap();
    let json = inside.need(AttributeId::ConfigObject).unwrap();
    assert_eq!(json, values["config_object"].as_str().unwrap().as_bytes());
    assert_eq!(ConfigObject::parse(json).unwrap().to_json().expose().as_bytes(), json);

    for (name, kind) in [
        ("config_result_frame_body", FrameType::ConfigurationResult),
        ("conn_status_result_frame_body", FrameType::ConnectionStatusResult),
    ] {
        let Frame::Action(action) = frame::from_the_air(&octets(&values[name])).unwrap() else { panic!() };
        assert_eq!(action.kind, kind);
        let inside = open(&action.attributes, &[&Action::header(kind), &[]]).unwrap();
        let inside = Attributes::parse(inside.expose()).unwrap();
        assert_eq!(inside.need(AttributeId::EnrolleeNonce).unwrap(), nonce);
        match kind {
            FrameType::ConfigurationResult => assert_eq!(inside.status().unwrap(), Status::Ok),
            _ => {
                let json = inside.need(AttributeId::ConnStatus).unwrap();
                let status = ConnectionStatus::parse(json).unwrap();
                assert_eq!(status.to_json().as_bytes(), json);
            }
        }
    }

    // What is authenticated beside it matters: no component is not an empty one.
    let wrong = octets(&values["negative"]["config_request_wrongly_one_empty_ad_component"]);
    assert!(open(&wrong, &[]).is_none() && open(&wrong, &[&[]]).is_some());
    let wrong = octets(&values["negative"]["config_result_wrongly_one_ad_component"]);
    let Frame::Action(action) = frame::from_the_air(&wrong).unwrap() else { panic!() };
    let header = Action::header(FrameType::ConfigurationResult);
    assert!(open(&action.attributes, &[&header, &[]]).is_none() && open(&action.attributes, &[&header]).is_some());
}

fn full_request() -> Value {
    json!({
        "name": "Sensor 7", "wi-fi_tech": "infra", "netRole": "sta", "mudurl": "https://example.com/mud.json",
        "bandSupport": [81, 115, 118], "pkcs10": "MAA=", "capabilities": 1,
        "org.openconnectivity": {"soinfo": [{"uuid": "00000000-0000-0000-0000-000000000001", "cred": "AAAA"}]},
    })
}

#[test]
fn a_request_with_everything_in_it() {
    let parsed = request(&full_request()).unwrap();
    assert_eq!(parsed.mud_url.as_deref(), Some("https://example.com/mud.json"));
    assert_eq!(
        (parsed.bands.as_slice(), parsed.pkcs10.as_deref()),
        ([81, 115, 118].as_slice(), Some([0x30, 0].as_slice()))
    );
    assert_eq!(parsed.capabilities, Some(ConfigRequest::SAE_PASSWORD_ID));
    assert_eq!(parsed.others.len(), 1);
    assert_eq!(parsed.to_json(), full_request().to_string());
    let mut mesh = full_request();
    mesh["netRole"] = "mapAgent".into();
    assert_eq!(request(&mesh).unwrap().net_role, NetRole::Other("mapAgent".into()));
}

#[test]
fn each_member_of_a_request_is_looked_at() {
    for (member, value) in [
        ("name", json!(null)),
        ("name", json!(7)),
        ("name", json!("x".repeat(600))),
        ("wi-fi_tech", json!(null)),
        ("netRole", json!(null)),
        ("netRole", json!(["sta"])),
        ("mudurl", json!(1)),
        ("bandSupport", json!("81")),
        ("bandSupport", json!(["81"])),
        ("bandSupport", json!([256])),
        ("bandSupport", json!(vec![81; 300])),
        ("pkcs10", json!("!")),
        ("pkcs10", json!(1)),
        ("capabilities", json!("1")),
        ("capabilities", json!(-1)),
        ("capabilities", json!(1.5)),
    ] {
        let mut changed = full_request();
        changed[member] = value;
        assert_eq!(request(&changed).unwrap_err(), member, "{}", changed[member]);
    }
    let error = |bytes: &[u8]| ConfigRequest::parse(bytes).unwrap_err().field;
    for bytes in
        [b"".as_slice(), b"[]", b"\"x\"", b"{", br#"{"name":"a","name":"a","wi-fi_tech":"infra","netRole":"sta"}"#]
    {
        assert_eq!(error(bytes), "configuration request");
    }
    let mut large = full_request();
    large["org.example"] = "x".repeat(40_000).into();
    assert_eq!(request(&large).unwrap_err(), "configuration request");
    assert_eq!(error(format!("{{\"name\":{}", "[".repeat(10_000)).as_bytes()), "configuration request");
}

fn key() -> Value {
    Jwk::with_kid(PublicKey::generator(Curve::P256)).to_value()
}

fn full_object() -> Value {
    json!({
        "wi-fi_tech": "infra",
        "discovery": {"ssid": "home"},
        "cred": {
            "akm": "506F9A02+000FAC02+000FAC06+000FAC08",
            "pass": "correct horse", "idpass": "pets",
            "signedConnector": "a.b.c", "csign": key(), "ppKey": key(),
        },
        "org.example": {"kept": [1, 2]},
    })
}

fn enterprise_object() -> Value {
    json!({
        "wi-fi_tech": "infra",
        "discovery": {"ssid": "work"},
        "cred": {
            "akm": "dot1x",
            "entCreds": {"certBag": "MAA=", "caCert": "MAA=", "trustedEapServerName": "eap.example", "eapMethods": [13]},
            "signedConnector": "a.b.c", "csign": key(),
        },
    })
}

#[test]
fn objects_with_everything_in_them() {
    for value in [full_object(), enterprise_object()] {
        assert_eq!(*object(&value).unwrap().to_json().expose(), value.to_string());
    }
    let parsed = object(&full_object()).unwrap();
    assert!(parsed.credential.akm.dpp && parsed.credential.akm.psk && parsed.credential.akm.sae);
    assert_eq!(parsed.others["org.example"], json!({"kept": [1, 2]}));
    let enterprise = object(&enterprise_object()).unwrap().credential.enterprise.unwrap();
    assert_eq!(enterprise.eap_methods, [Enterprise::EAP_TLS]);

    let mut other_name = enterprise_object();
    let members = other_name["cred"]["entCreds"].as_object_mut().unwrap();
    let certificates = members.remove("caCert").unwrap();
    members.insert("caCerts".into(), certificates);
    assert_eq!(object(&other_name).unwrap().credential.enterprise, Some(enterprise));
}

#[test]
fn each_member_of_an_object_is_looked_at() {
    let change = |mut value: Value, path: &str, to: Value| {
        *value.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = to;
        object(&value)
    };
    for (path, to, field) in [
        ("/wi-fi_tech", json!(null), "wi-fi_tech"),
        ("/wi-fi_tech", json!(1), "wi-fi_tech"),
        ("/discovery", json!(null), "discovery"),
        ("/discovery", json!("home"), "discovery"),
        ("/discovery", json!({}), "ssid"),
        ("/discovery", json!({"ssid": 1}), "ssid"),
        ("/discovery", json!({"ssid": "x".repeat(33)}), "ssid"),
        ("/discovery", json!({"ssid64": "AA=="}), "ssid64"),
        ("/discovery", json!({"ssid64": "A".repeat(44)}), "ssid64"),
        ("/discovery", json!({"ssid": "x", "ssid_charset": "106"}), "ssid_charset"),
        ("/cred", json!(null), "cred"),
        ("/cred", json!([]), "cred"),
        ("/cred/akm", json!(null), "akm"),
        ("/cred/akm", json!(1), "akm"),
        ("/cred/akm", json!("wep"), "akm"),
        ("/cred/akm", json!("000FAC00"), "akm"),
        ("/cred/akm", json!(""), "akm"),
        ("/cred/pass", json!(null), "pass"),
        ("/cred/pass", json!(1), "pass"),
        ("/cred/pass", json!("1234567"), "pass"),
        ("/cred/pass", json!("x".repeat(64)), "pass"),
        ("/cred/signedConnector", json!(null), "signedConnector"),
        ("/cred/signedConnector", json!(1), "signedConnector"),
        ("/cred/csign", json!(null), "csign"),
        ("/cred/csign", json!("key"), "csign"),
        ("/cred/csign/kty", json!("RSA"), "kty"),
        ("/cred/csign/x", json!(null), "x"),
        ("/cred/ppKey/crv", json!(null), "crv"),
        ("/cred/ppKey", Jwk::of(PublicKey::generator(Curve::P384)).to_value(), "ppKey"),
    ] {
        assert_eq!(change(full_object(), path, to.clone()).unwrap_err(), field, "{path} {to}");
    }
    for (path, to, field) in [
        ("/cred/entCreds", json!(null), "entCreds"),
        ("/cred/entCreds", json!([]), "entCreds"),
        ("/cred/entCreds/certBag", json!(null), "certBag"),
        ("/cred/entCreds/certBag", json!("!"), "certBag"),
        ("/cred/entCreds/caCert", json!("!"), "caCert"),
        ("/cred/entCreds/trustedEapServerName", json!("a\nb"), "trustedEapServerName"),
        ("/cred/entCreds/trustedEapServerName", json!(1), "trustedEapServerName"),
        ("/cred/entCreds/eapMethods", json!(13), "eapMethods"),
        ("/cred/entCreds/eapMethods", json!([256]), "eapMethods"),
        ("/cred/csign", json!(null), "csign"),
    ] {
        assert_eq!(change(enterprise_object(), path, to.clone()).unwrap_err(), field, "{path} {to}");
    }
}

#[test]
fn legacy_credentials() {
    let with = |cred: Value| object(&json!({"wi-fi_tech": "infra", "discovery": {"ssid": "x"}, "cred": cred}));
    for cred in [
        json!({"akm": "psk", "pass": "12345678"}),
        json!({"akm": "psk", "psk_hex": "00".repeat(32)}),
        json!({"akm": "sae", "pass": "1"}),
        json!({"akm": "psk+sae", "pass": "12345678"}),
    ] {
        let written = with(cred.clone()).unwrap().to_json();
        assert_eq!(serde_json::from_str::<Value>(written.expose()).unwrap()["cred"], cred);
    }
    for (cred, field) in [
        (json!({"akm": "psk"}), "pass"),
        (json!({"akm": "sae"}), "pass"),
        (json!({"akm": "sae", "pass": ""}), "pass"),
        (json!({"akm": "sae", "psk_hex": "00".repeat(32)}), "pass"),
        (json!({"akm": "psk+sae", "psk_hex": "00".repeat(32)}), "pass"),
        (json!({"akm": "psk", "psk_hex": "00".repeat(31)}), "psk_hex"),
        (json!({"akm": "psk", "psk_hex": "zz".repeat(32)}), "psk_hex"),
        (json!({"akm": "psk", "pass": "12345678", "signedConnector": "a.b.c"}), "signedConnector"),
        (json!({"akm": "sae", "pass": "x".repeat(200)}), "pass"),
        (json!({"akm": "dpp"}), "csign"),
        (json!({"akm": "dot1x"}), "entCreds"),
    ] {
        assert_eq!(with(cred.clone()).unwrap_err(), field, "{cred}");
    }
}

#[test]
fn names_and_selectors_of_methods() {
    let personal = Akms::PSK.and(Akms::SAE);
    let credential = |akm| Credential {
        akm,
        passphrase: Some(Redacted::new("12345678".to_owned())),
        connector: Some("a.b.c".into()),
        csign: Some(Jwk::of(PublicKey::generator(Curve::P256))),
        enterprise: Some(Enterprise::default()),
        ..Credential::default()
    };
    for (akm, text) in [
        (Akms::DPP, "dpp"),
        (Akms::PSK, "psk"),
        (Akms::SAE, "sae"),
        (Akms::DOT1X, "dot1x"),
        (personal, "psk+sae"),
        (personal.and(Akms::DPP), "dpp+psk+sae"),
        (Akms { selectors: true, ..Akms::DPP.and(Akms::SAE) }, "506F9A02+000FAC08"),
        (Akms { selectors: true, ..Akms::DOT1X }, "000FAC01+000FAC05"),
    ] {
        assert_eq!(akm.to_string(), text);
        let object = ConfigObject::infra("x".into(), credential(akm));
        assert_eq!(ConfigObject::parse(object.to_json().expose().as_bytes()).unwrap().credential.akm, akm);
    }
    assert_eq!((Akms::DPP.and(personal).count(), Akms::default().count()), (3, 0));
    let mut value = full_object();
    value["cred"]["akm"] = "506f9a02+000FACFF+later".into();
    assert!(object(&value).unwrap().credential.akm.dpp, "methods of later releases are passed over");
}

#[test]
fn a_name_that_is_not_text_goes_in_base64() {
    let octets = vec![0x66, 0xFC, 0x72];
    let sae =
        || Credential { akm: Akms::SAE, passphrase: Some(Redacted::new("x".to_owned())), ..Credential::default() };
    let latin = Discovery { ssid: octets.clone(), charset: Some(4) };
    let written = ConfigObject::infra(latin.clone(), sae()).to_json();
    assert!(written.expose().contains(r#"{"ssid64":"Zvxy","ssid_charset":4}"#));
    assert_eq!(ConfigObject::parse(written.expose().as_bytes()).unwrap().discovery, latin);
    let unknown = Discovery { ssid: octets, charset: None };
    let written = ConfigObject::infra(unknown.clone(), sae()).to_json();
    assert_eq!(ConfigObject::parse(written.expose().as_bytes()).unwrap().discovery, unknown);
}

#[test]
fn secrets_are_not_printed() {
    let mut value = full_object();
    value["cred"]["akm"] = "psk".into();
    value["cred"]["psk_hex"] = "ab".repeat(32).into();
    let shown = format!("{:?}", object(&value).unwrap());
    assert!(!shown.contains("horse") && !shown.contains("171"), "{shown}");
}

#[test]
fn a_connection_status_there_and_back() {
    let value = json!({"result": 10, "ssid64": "aG9tZQ", "channelList": "81/1,6,115/36"});
    let parsed = status(&value).unwrap();
    assert_eq!((parsed.result, parsed.ssid.as_deref()), (Status::NoAp, Some(b"home".as_slice())));
    assert_eq!(parsed.channels[2], Channel { class: 115, channel: 36 });
    assert_eq!(parsed.to_json(), value.to_string());
    assert_eq!(status(&json!({"result": 0})).unwrap().to_json(), r#"{"result":0}"#);
    for (member, to) in [
        ("result", json!(null)),
        ("result", json!("0")),
        ("result", json!(15)),
        ("result", json!(256)),
        ("ssid64", json!("a+")),
        ("channelList", json!("1")),
        ("channelList", json!(1)),
    ] {
        let mut changed = value.clone();
        changed[member] = to;
        assert_eq!(status(&changed).unwrap_err(), member, "{}", changed[member]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_of_any_words_there_and_back(
        name in "\\PC{0,40}",
        role in "[a-zA-Z]{1,20}",
        bands in proptest::collection::vec(any::<u8>(), 0..10),
        pkcs10 in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)),
        other in "[a-z]{1,8}\\.[a-z]{1,8}",
    ) {
        let mut request = ConfigRequest { bands, pkcs10, ..ConfigRequest::new(name, NetRole::from(role)) };
        request.others.insert(other, json!({"a": [1]}));
        prop_assert_eq!(ConfigRequest::parse(request.to_json().as_bytes()).unwrap(), request);
    }

    #[test]
    fn any_octets_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = ConfigRequest::parse(&bytes);
        let _ = ConfigObject::parse(&bytes);
        let _ = ConnectionStatus::parse(&bytes);
    }

    #[test]
    fn any_name_of_a_network_there_and_back(ssid in proptest::collection::vec(any::<u8>(), 0..=32), charset in proptest::option::of(any::<u32>())) {
        let discovery = Discovery { ssid, charset };
        let credential = Credential { akm: Akms::SAE, passphrase: Some(Redacted::new("x".to_owned())), ..Credential::default() };
        let written = ConfigObject::infra(discovery.clone(), credential).to_json();
        prop_assert_eq!(ConfigObject::parse(written.expose().as_bytes()).unwrap().discovery, discovery);
    }
}

//! Connectors and the keys in them.

use crate::it::vectors::{octets, vector};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use landfall_dpp::{
    Curve, NetRole, Status,
    config::ConfigObject,
    connector::{Connector, ConnectorError, Group, SignedConnector},
    curve::{PrivateKey, PublicKey},
    jwk::{self, Jwk},
};
use landfall_testkit::Rng;
use landfall_types::Time;
use serde_json::{Value, json};

const NOW: Time = Time::from_unix(1_795_000_000);

fn key(curve: Curve, seed: u64) -> PrivateKey {
    let mut rng = Rng::new(seed);
    PrivateKey::generate(curve, &mut |octets: &mut [u8]| octets.fill_with(|| rng.bytes::<1>()[0]))
}

fn csign() -> PrivateKey {
    key(Curve::P256, 1)
}

fn good() -> Connector {
    Connector {
        groups: vec![Group { id: "home".into(), role: NetRole::Sta }],
        key: key(Curve::P256, 2).public().clone(),
        expiry: None,
        version: Some(3),
    }
}

fn sign(connector: &Connector, csign: &PrivateKey) -> SignedConnector {
    let input = connector.signing_input(csign.public());
    SignedConnector::attach(&input, &csign.sign(input.as_bytes()).unwrap()).unwrap()
}

/// A signed object with that header and payload, whatever they are.
fn raw(header: &Value, payload: &str, csign: &PrivateKey) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let signature = csign.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({"typ": "dppCon", "kid": jwk::kid(csign().public()), "alg": "ES256"})
}

fn verify(text: &str) -> Result<Connector, ConnectorError> {
    SignedConnector::parse(text)?.verify(csign().public(), NOW).cloned()
}

/// What becomes of a connector with that payload, signed as it should be.
fn payload(text: &str) -> Result<Connector, ConnectorError> {
    verify(&raw(&header(), text, &csign()))
}

#[test]
fn on_every_curve_there_and_back() {
    for csign_curve in Curve::ALL {
        let csign = key(csign_curve, 3);
        for curve in [Curve::P256, csign_curve] {
            let connector = Connector { key: key(curve, 4).public().clone(), ..good() };
            let signed = sign(&connector, &csign);
            assert_eq!((signed.algorithm(), signed.kid()), (csign_curve.jws_algorithm(), &*jwk::kid(csign.public())));
            assert_eq!(signed.verify(csign.public(), NOW), Ok(&connector));
            assert_eq!(SignedConnector::parse(signed.as_str()), Ok(signed));
        }
    }
}

#[test]
fn the_published_connectors() {
    let Some(values) = vector("/network_introduction") else { return };
    let csign = PublicKey::from_spki(&octets(&values["csign_spki_der"])).unwrap();
    assert_eq!(jwk::kid(&csign), values["kid"].as_str().unwrap());
    let mut both = Vec::new();
    for side in ["ap", "sta"] {
        let signed = SignedConnector::parse(values[side]["connector"].as_str().unwrap()).unwrap();
        let connector = signed.verify(&csign, NOW).unwrap().clone();
        let own = PrivateKey::from_pkcs8(&octets(&values[side]["netaccesskey_der"])).unwrap();
        connector.is_about(own.public()).unwrap();
        assert_eq!(connector.is_about(&csign), Err(ConnectorError::OtherKey));
        assert_eq!(connector.groups, [Group::any(NetRole::from(side.to_owned()))]);
        // Writing it yields the same text: members and their order are those of the peer.
        let (input, _) = signed.as_str().rsplit_once('.').unwrap();
        assert_eq!(connector.signing_input(&csign), input);
        both.push(connector);
    }
    both[0].matches(&both[1]).unwrap();
    both[1].matches(&both[0]).unwrap();
    assert_eq!(both[0].matches(&both[0]), Err(ConnectorError::NoMatch));
}

#[test]
fn the_published_configuration_objects() {
    let Some(values) = vector("/config_objects_with_connector/values") else { return };
    for (curve, value) in values.as_object().unwrap() {
        let object = ConfigObject::parse(value["config_object"].as_str().unwrap().as_bytes()).unwrap();
        let credential = &object.credential;
        let csign = &credential.csign.as_ref().unwrap().key;
        let signed = SignedConnector::parse(credential.connector.as_ref().unwrap()).unwrap();
        let connector = signed.verify(csign, NOW).unwrap();
        assert_eq!(connector.key.curve().name(), curve);
        assert_eq!(signed.kid(), value["connector_header"]["kid"].as_str().unwrap());
        let again = ConfigObject::parse(object.to_json().expose().as_bytes()).unwrap();
        assert_eq!(again.to_json().expose(), object.to_json().expose());
    }
}

#[test]
fn the_published_errors() {
    let Some(values) = vector("/connector_errors") else { return };
    let pem = values["csign_private_pem"].as_str().unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let csign = PrivateKey::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
    let header = json!({"typ": "dppCon", "kid": jwk::kid(csign.public()), "alg": "ES256"});
    let check =
        |payload: &str| SignedConnector::parse(&raw(&header, payload, &csign))?.verify(csign.public(), NOW).cloned();
    let cases = values["payloads_rejected"].as_array().unwrap();
    let text = |name: &str| cases.iter().find(|case| case[0] == *name).unwrap()[1].as_str().unwrap();
    for name in ["no_groups", "empty_groups", "missing_group_id", "missing_net_role", "missing_net_access_key"] {
        let error = check(text(name)).unwrap_err();
        assert_eq!(error.status(), Status::InvalidConnector, "{name}");
    }
    // Nothing is wrong with the last one but that its key is not the one that was proved.
    let mismatch = check(text("net_access_key_mismatch")).unwrap();
    assert_eq!(mismatch.is_about(csign.public()), Err(ConnectorError::OtherKey));

    for expiry in values["expiry_rejected"].as_array().unwrap() {
        let mut members: Value = serde_json::from_str(text("net_access_key_mismatch")).unwrap();
        members["expiry"] = expiry.clone();
        let error = check(&members.to_string()).unwrap_err();
        assert_eq!(error.status(), Status::InvalidConnector, "{expiry}");
    }
}

#[test]
fn every_form_of_expiry() {
    let with = |expiry: &str| {
        let mut members: Value = serde_json::from_slice(&payload_of(&good())).unwrap();
        members["expiry"] = expiry.into();
        payload(&members.to_string()).map(|connector| connector.expiry.unwrap().to_string())
    };
    for (text, utc) in [
        ("2030-01-02T03:04:05", "2030-01-02T03:04:05Z"),
        ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05Z"),
        ("2030-01-02T03:04:05+01", "2030-01-02T02:04:05Z"),
        ("2030-01-02T03:04:05-01", "2030-01-02T04:04:05Z"),
        ("2030-01-02T03:04:05+01:30", "2030-01-02T01:34:05Z"),
        ("2030-01-02T03:04:05-01:30", "2030-01-02T04:34:05Z"),
    ] {
        assert_eq!(with(text), Ok(utc.to_owned()), "{text}");
    }
    for text in [
        "",
        "1",
        "2030-01-02T03:04:05z",
        "2030-01-02t03:04:05Z",
        "2030-01-02 03:04:05Z",
        "2030-01-02T03:04:05.5Z",
        "2030-01-02T03:04:05+",
        "2030-01-02T03:04:05+1",
        "2030-01-02T03:04:05+0100",
        "2030-01-02T03:04:05+01:",
        "2030-01-02T03:04:05ZZ",
        "2030-02-30T03:04:05Z",
        "2030-01-02T24:04:05Z",
        "2030-1-2T3:4:5Z",
        "2030-01-02T03:04:0\u{fc}",
    ] {
        assert_eq!(with(text).unwrap_err().refusal().field, "expiry", "{text}");
    }
}

fn payload_of(connector: &Connector) -> Vec<u8> {
    let input = connector.signing_input(csign().public());
    URL_SAFE_NO_PAD.decode(input.split('.').nth(1).unwrap()).unwrap()
}

#[test]
fn a_connector_ends() {
    let expiry = NOW;
    let connector = Connector { expiry: Some(expiry), ..good() };
    let signed = sign(&connector, &csign());
    let second = std::time::Duration::from_secs(1);
    assert!(signed.verify(csign().public(), NOW).is_ok());
    let error = signed.verify(csign().public(), NOW + second).unwrap_err();
    assert_eq!((&error, error.status()), (&ConnectorError::Expired(NOW), Status::InvalidConnector));
    assert!(signed.verify_signature(csign().public()).is_ok(), "to be reconfigured it may still be shown");
}

#[test]
fn the_signature_is_that_of_the_own_configurator() {
    let text = sign(&good(), &csign()).as_str().to_owned();
    assert_eq!(verify(&text), Ok(good()));
    let stranger = sign(&good(), &key(Curve::P256, 9));
    assert_eq!(verify(stranger.as_str()), Err(ConnectorError::OtherSigner));
    assert_eq!(ConnectorError::OtherSigner.status(), Status::NoMatch);

    let forged = raw(&header(), std::str::from_utf8(&payload_of(&good())).unwrap(), &key(Curve::P256, 9));
    assert_eq!(verify(&forged), Err(ConnectorError::Signature));
    assert_eq!(ConnectorError::Signature.status(), Status::InvalidConnector);

    // The same words with one changed.
    let parts: Vec<_> = text.split('.').collect();
    let other = Connector { groups: vec![Group::any(NetRole::Sta)], ..good() };
    let swapped = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(payload_of(&other)), parts[2]);
    assert_eq!(verify(&swapped), Err(ConnectorError::Signature));

    // A key on another curve whose kid is claimed.
    let p384 = key(Curve::P384, 9);
    let header = json!({"typ": "dppCon", "kid": jwk::kid(csign().public()), "alg": "ES384"});
    let text = raw(&header, std::str::from_utf8(&payload_of(&good())).unwrap(), &p384);
    assert!(matches!(verify(&text), Err(ConnectorError::Jws { field: "alg", .. })));
}

#[test]
fn the_compact_form_has_three_parts() {
    let text = sign(&good(), &csign()).as_str().to_owned();
    let parts: Vec<_> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!() };
    let short = URL_SAFE_NO_PAD.encode([1; 63]);
    for (changed, field) in [
        (String::new(), "connector"),
        (format!("{header}.{payload}"), "connector"),
        (format!("{text}."), "connector"),
        (format!("{header}=.{payload}.{signature}"), "JWS header"),
        (format!("{header}.{payload}=.{signature}"), "JWS payload"),
        (format!("{header}.{payload}.{signature}="), "JWS signature"),
        (format!("{header}.{payload}."), "JWS signature"),
        (format!("{header}.{payload}.{short}"), "JWS signature"),
        (format!(".{payload}.{signature}"), "JWS header"),
        (format!("{header}..{signature}"), "JWS payload"),
        (format!("{}.{payload}.{signature}", "A".repeat(9000)), "connector"),
    ] {
        let refusal = SignedConnector::parse(&changed).unwrap_err().refusal();
        assert_eq!(refusal.field, field, "{changed}");
    }
}

#[test]
fn the_header_names_type_key_and_algorithm() {
    let text = String::from_utf8(payload_of(&good())).unwrap();
    let with = |change: fn(&mut Value)| {
        let mut header = header();
        change(&mut header);
        verify(&raw(&header, &text, &csign()))
    };
    assert_eq!(with(|_| ()), Ok(good()));
    for (change, field) in [
        ((|header| header["typ"] = "JWT".into()) as fn(&mut Value), "typ"),
        (|header| header["typ"] = Value::Null, "typ"),
        (|header| header["typ"] = 1.into(), "typ"),
        (|header| header["kid"] = Value::Null, "kid"),
        (|header| header["kid"] = "AAAA".into(), "kid"),
        (|header| header["alg"] = Value::Null, "alg"),
        (|header| header["alg"] = "none".into(), "alg"),
        (|header| header["alg"] = "HS256".into(), "alg"),
        // Of the same length of signature, on another curve.
        (|header| header["alg"] = "BS256".into(), "alg"),
        (|header| header["alg"] = "ES384".into(), "JWS signature"),
        (|header| *header = json!([]), "JWS header"),
    ] {
        assert_eq!(with(change).unwrap_err().refusal().field, field);
    }
}

#[test]
fn each_member_of_the_payload_is_looked_at() {
    let members: Value = serde_json::from_slice(&payload_of(&good())).unwrap();
    let with = |change: fn(&mut Value)| {
        let mut members = members.clone();
        change(&mut members);
        payload(&members.to_string())
    };
    assert_eq!(with(|_| ()), Ok(good()));
    assert!(with(|members| members["more"] = 1.into()).is_ok(), "what later releases add is passed over");
    for (change, field) in [
        ((|members| members["groups"] = Value::Null) as fn(&mut Value), "groups"),
        (|members| members["groups"] = json!([]), "groups"),
        (|members| members["groups"] = json!({}), "groups"),
        (|members| members["groups"] = json!(["*"]), "groups"),
        (|members| members["groups"] = vec![members["groups"][0].clone(); 65].into(), "groups"),
        (|members| members["groups"][0]["groupId"] = Value::Null, "groupId"),
        (|members| members["groups"][0]["groupId"] = 1.into(), "groupId"),
        (|members| members["groups"][0]["netRole"] = Value::Null, "netRole"),
        (|members| members["netAccessKey"] = Value::Null, "netAccessKey"),
        (|members| members["netAccessKey"] = "key".into(), "netAccessKey"),
        (|members| members["netAccessKey"]["kty"] = Value::Null, "kty"),
        (|members| members["netAccessKey"]["kty"] = "RSA".into(), "kty"),
        (|members| members["netAccessKey"]["crv"] = Value::Null, "crv"),
        (|members| members["netAccessKey"]["crv"] = "P-192".into(), "crv"),
        (|members| members["netAccessKey"]["crv"] = "P-384".into(), "x"),
        (|members| members["netAccessKey"]["x"] = Value::Null, "x"),
        (|members| members["netAccessKey"]["x"] = "A".into(), "x"),
        (|members| members["netAccessKey"]["x"] = "AAAA".into(), "x"),
        (|members| members["netAccessKey"]["x"] = "%".into(), "x"),
        (|members| members["netAccessKey"]["y"] = Value::Null, "y"),
        (|members| members["netAccessKey"]["y"] = "AAAA".into(), "y"),
        (|members| members["netAccessKey"]["y"] = members["netAccessKey"]["x"].clone(), "x"),
        (|members| members["version"] = "3".into(), "version"),
        (|members| members["version"] = 256.into(), "version"),
        (|members| members["version"] = (-1).into(), "version"),
        (|members| members["expiry"] = 1.into(), "expiry"),
    ] {
        let error = with(change).expect_err(field);
        assert_eq!((&*error.refusal().field, error.status()), (field, Status::InvalidConnector));
    }
    assert!(payload("{}").is_err());
    assert!(payload("").is_err());
    let twice = members.to_string().replacen('{', r#"{"version":3,"#, 1);
    assert_eq!(payload(&twice).unwrap_err().refusal().field, "JWS payload");
}

#[test]
fn groups_and_roles_decide_who_meets_whom() {
    let with = |groups: &[(&str, &str)]| Connector {
        groups: groups
            .iter()
            .map(|(id, role)| Group { id: (*id).into(), role: NetRole::from((*role).to_owned()) })
            .collect(),
        ..good()
    };
    for (own, peer) in [
        ([("home", "sta")].as_slice(), [("home", "ap")].as_slice()),
        (&[("*", "sta")], &[("home", "ap")]),
        (&[("home", "sta")], &[("*", "ap")]),
        (&[("x", "sta"), ("home", "sta")], &[("y", "ap"), ("home", "ap")]),
    ] {
        with(own).matches(&with(peer)).unwrap();
        with(peer).matches(&with(own)).unwrap();
    }
    for (own, peer) in [
        ([("home", "sta")].as_slice(), [("work", "ap")].as_slice()),
        (&[("home", "sta")], &[("Home", "ap")]),
        (&[("home", "sta")], &[("home", "sta")]),
        (&[("home", "ap")], &[("home", "ap")]),
        (&[("*", "sta")], &[("*", "configurator")]),
        (&[("*", "sta")], &[("*", "mapAgent")]),
        (&[("home", "sta"), ("work", "ap")], &[("home", "sta"), ("work", "ap")]),
    ] {
        let error = with(own).matches(&with(peer)).unwrap_err();
        assert_eq!((&error, error.status()), (&ConnectorError::NoMatch, Status::NoMatch));
    }
    let other = Connector { key: key(Curve::P384, 5).public().clone(), ..with(&[("home", "ap")]) };
    let error = with(&[("home", "sta")]).matches(&other).unwrap_err();
    assert_eq!((&error, error.status()), (&ConnectorError::OtherCurve, Status::InvalidConnector));

    with(&[("home", "sta")]).may_be_reconfigured_by(&with(&[("*", "configurator")])).unwrap();
    let error = with(&[("home", "sta")]).may_be_reconfigured_by(&with(&[("*", "ap")]));
    assert_eq!(error, Err(ConnectorError::NoMatch));
    let error = with(&[("home", "sta")]).may_be_reconfigured_by(&with(&[("work", "configurator")]));
    assert_eq!(error, Err(ConnectorError::NoMatch));
}

#[test]
fn the_name_of_a_key_is_computed() {
    let Some(values) = vector("/bootstrap_keys/keys") else { return };
    for (curve, value) in values.as_object().unwrap() {
        let key = PrivateKey::from_bytes(Curve::named(curve).unwrap(), &octets(&value["priv"])).unwrap();
        let jwk = Jwk::with_kid(key.public().clone());
        assert_eq!(jwk.kid.as_deref(), value["kid"].as_str());
        let written = jwk.to_value();
        assert_eq!((&written["x"], &written["y"]), (&value["jwk_x"], &value["jwk_y"]));
        assert_eq!(Jwk::from_value(written), Ok(jwk));
    }
}

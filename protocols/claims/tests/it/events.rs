//! Security events: each kind both ways, and such as must not be believed.

use super::sample::{changed, now, resigned};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_claims::caep::{Event, Receiver, SecurityEvent, Subject, error_code};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use serde_json::{Value, json};
use std::time::Duration;

const US: &str = "https://landfall.example/events";
const THEM: &str = "https://mdm.example";

fn event(event: Event) -> SecurityEvent {
    SecurityEvent {
        id: "756E69717565206964656E746966696572".into(),
        issuer: THEM.into(),
        audience: vec![US.into()],
        issued: now(),
        subject: Subject::Device("aa.lamp-1".into()),
        event,
        at: Some(now()),
        reason: Some("it was stolen".into()),
    }
}

fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()
}

fn receiver(key: &SoftwareKey) -> Receiver {
    let mut receiver = Receiver::new(US.into());
    receiver.believe(THEM.into(), key.public_key().clone());
    receiver
}

#[test]
fn each_kind_is_read_as_it_was_written() {
    let key = key();
    for one in [
        Event::SessionRevoked,
        Event::CredentialChange { credential: "x509".into(), change: "revoke".into(), serial: Some("01ab".into()) },
        Event::AssuranceLevelChange {
            namespace: "ar4si".into(),
            current: "warning".into(),
            previous: Some("affirming".into()),
        },
        Event::ComplianceChange { was: true, is: false },
        Event::Verification { state: Some("VGhpcw".into()) },
        Event::Other("https://schemas.openid.net/secevent/risc/event-type/account-disabled".into()),
    ] {
        let sent = event(one);
        assert_eq!(receiver(&key).read(&sent.sign(&key).unwrap(), now()).unwrap().event, sent);
    }
    for subject in [Subject::Uri("ni:///sha-256;x".into()), Subject::Other] {
        let sent = SecurityEvent {
            subject,
            at: None,
            reason: None,
            audience: vec!["x".into(), US.into()],
            ..event(Event::SessionRevoked)
        };
        assert_eq!(receiver(&key).read(&sent.sign(&key).unwrap(), now()).unwrap().event, sent);
    }
}

/// The examples of the specifications, in their own words (CAEP 1.0 s3.5, SSF 1.0 s3).
#[test]
fn what_others_write_is_read() {
    let key = key();
    let token = event(Event::SessionRevoked).sign(&key).unwrap();
    let token = changed(&token, &key, |document| {
        document["sub_id"] = json!({
            "format": "complex",
            "device": { "format": "iss_sub", "iss": "https://idp.example/", "sub": "e9297990-14d2-42ec-a4a9-4036db86509a" },
            "tenant": { "format": "opaque", "id": "123456789" }
        });
        document["events"] = json!({
            "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change": {
                "current_status": "not-compliant", "previous_status": "compliant", "initiating_entity": "policy",
                "reason_admin": { "en": "Location Policy Violation: C076E8A3" },
                "reason_user": { "en": "Device is no longer in a trusted location." },
                "event_timestamp": 1615304991
            }
        });
    });
    let found = receiver(&key).read(&token, now()).unwrap().event;
    assert_eq!(found.event, Event::ComplianceChange { was: true, is: false });
    assert_eq!(found.subject, Subject::Device("e9297990-14d2-42ec-a4a9-4036db86509a".into()));
    assert_eq!(found.reason.as_deref(), Some("Location Policy Violation: C076E8A3"));
}

#[test]
fn one_thing_changed_is_refused_and_the_sender_told_why() {
    let key = key();
    let token = event(Event::ComplianceChange { was: true, is: false }).sign(&key).unwrap();
    let refused = |token: &str| {
        let refusal = receiver(&key).read(token, now()).unwrap_err();
        (refusal.check.clone().into_owned(), error_code(&refusal))
    };
    receiver(&key).read(&changed(&token, &key, |_| ()), now()).unwrap();
    let with = |name: &str, value: Value| changed(&token, &key, |document| document[name] = value.clone());
    let form = ("event-form".to_owned(), Some("invalid_request"));
    assert_eq!(
        refused(&changed(&token, &super::events::key(), |_| ())),
        ("event-signature".into(), Some("invalid_key"))
    );
    assert_eq!(refused(&with("iss", json!("https://other.example"))), ("event-issuer".into(), Some("invalid_issuer")));
    assert_eq!(
        refused(&with("aud", json!("https://other.example"))),
        ("event-audience".into(), Some("invalid_audience"))
    );
    assert_eq!(refused(&with("aud", json!(7))).0, "event-audience");
    for iat in [now().as_unix() + 301, now().as_unix() - 24 * 3600 - 1, i64::MAX, i64::MIN] {
        assert_eq!(refused(&with("iat", json!(iat))), ("event-time".into(), Some("invalid_request")), "{iat}");
    }
    for (name, value) in [
        ("iat", json!("now")),
        ("jti", json!(null)),
        ("exp", json!(1)),
        ("sub", json!("lamp")),
        ("events", json!({})),
        ("events", json!([])),
        ("events", json!({ "a": {}, "b": {} })),
        ("events", json!({ "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change": {} })),
        (
            "events",
            json!({ "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change": {
            "previous_status": "compliant", "current_status": "fine"
        } }),
        ),
        (
            "events",
            json!({ "https://schemas.openid.net/secevent/caep/event-type/credential-change": { "credential_type": "x509" } }),
        ),
    ] {
        assert_eq!(refused(&with(name, value.clone())), form, "{name} {value}");
    }
    let parts: Vec<&str> = token.split('.').collect();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let twice = payload.replacen("{", "{\"aud\":\"x\",", 1);
    assert_eq!(refused(&resigned(parts[0], &twice, &key)), form);
    for header in [r#"{"alg":"none","typ":"secevent+jwt"}"#, r#"{"alg":"ES256","typ":"JWT"}"#, r#"{"alg":"ES256"}"#] {
        assert_eq!(refused(&resigned(&URL_SAFE_NO_PAD.encode(header), &payload, &key)), form, "{header}");
    }
    assert_eq!(refused(""), form);
}

#[test]
fn an_event_counts_once_and_its_sender_hears_no_error() {
    let key = key();
    let token = event(Event::SessionRevoked).sign(&key).unwrap();
    let mut receiver = receiver(&key);
    let heard = receiver.read(&token, now()).unwrap();
    assert_eq!(heard.key, key.public_key().fingerprint());
    // What could not be made durable may be told again.
    receiver.read(&token, now()).unwrap();
    assert_eq!(receiver.remember(heard.event.issuer, heard.event.id), None);
    let refusal = receiver.read(&token, now() + Duration::from_secs(1)).unwrap_err();
    assert_eq!((refusal.check.as_ref(), error_code(&refusal)), ("event-replayed", None));
}

#[test]
fn so_many_events_are_remembered_and_then_the_oldest_is_forgotten() {
    let mut receiver = receiver(&key());
    for number in 0..10_000 {
        assert_eq!(receiver.remember(THEM.into(), number.to_string()), None);
    }
    assert_eq!(receiver.oldest(), Some(&(THEM.to_owned(), "0".to_owned())));
    assert_eq!(receiver.remember(THEM.into(), "new".into()), Some((THEM.into(), "0".into())));
    assert_eq!(receiver.oldest(), Some(&(THEM.to_owned(), "1".to_owned())));
}

//! Who may assert what of whom, and what is no credential.

use super::sample::{Cast, changed, print, resigned};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_claims::{Claim, Credential, credential::Subject, identifier};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use serde_json::json;

fn claims(cast: &Cast) -> Vec<Claim> {
    let (device, other) = (print(&cast.lamp), print(&SoftwareKey::generate(Algorithm::Ed25519).unwrap()));
    let device_type = || "acme/lamp".to_owned();
    vec![
        Claim::ManufacturerTrust { manufacturer: other },
        Claim::DeviceTrust { device },
        Claim::TypeBinding { device, device_type: device_type() },
        Claim::Ownership { device, owner: other },
        Claim::TestResult { subject: Subject::Device(device), certificate: "ETSI EN 303 645".into() },
        Claim::Vulnerability { subject: Subject::Type(device_type()), id: "CVE-2026-1".into(), score: 98 },
        Claim::Retraction { credential: "urn:uuid:1".into() },
    ]
}

#[test]
fn each_role_asserts_its_own_and_nothing_else() {
    let cast = Cast::new();
    for (key, may) in [
        (&cast.owner, [true; 7]),
        (&cast.user, [false, true, true, false, false, false, true]),
        (&cast.acme, [false, false, true, true, false, true, true]),
        (&cast.auditor, [false, false, false, false, true, true, true]),
        (&cast.lamp, [false; 7]),
    ] {
        for (claim, may) in claims(&cast).into_iter().zip(may) {
            let kind = claim.kind();
            let found = cast.verify(&cast.issued(key, claim.clone()));
            assert_eq!(
                found.as_ref().map(|verified| &verified.credential.claim).ok(),
                may.then_some(&claim),
                "{kind} {found:?}"
            );
            if !may {
                let check = if print(key) == print(&cast.lamp) { "credential-issuer" } else { "credential-role" };
                assert_eq!(found.unwrap_err(), check, "{kind}");
            }
        }
    }
}

#[test]
fn a_manufacturer_speaks_of_its_own_devices() {
    let mut cast = Cast::new();
    let (device, stranger) = (print(&cast.lamp), print(&SoftwareKey::generate(Algorithm::Ed25519).unwrap()));
    for (device, device_type, good) in [
        (device, "acme/lamp", true),
        (device, "globex/lamp", false),
        (stranger, "acme/lamp", false),
        (device, "acme", false),
    ] {
        let claim = Claim::TypeBinding { device, device_type: device_type.into() };
        assert_eq!(cast.verify(&cast.issued(&cast.acme, claim)).is_ok(), good, "{device_type}");
    }
    let claim = |vendor: &str| Claim::Vulnerability {
        subject: Subject::Type(format!("{vendor}/lamp")),
        id: "x".into(),
        score: 0,
    };
    cast.verify(&cast.issued(&cast.acme, claim("acme"))).unwrap();
    assert_eq!(cast.verify(&cast.issued(&cast.acme, claim("globex"))).unwrap_err(), "credential-scope");
    cast.authorities.0[1].vendor = None;
    assert_eq!(cast.verify(&cast.issued(&cast.acme, claim("acme"))).unwrap_err(), "credential-scope", "of no vendor");
}

#[test]
fn nobody_vouches_for_himself() {
    let cast = Cast::new();
    let claim = Claim::DeviceTrust { device: print(&cast.owner) };
    assert_eq!(cast.verify(&cast.issued(&cast.owner, claim)).unwrap_err(), "credential-self-issued");
}

#[test]
fn it_holds_from_its_beginning_to_its_end() {
    let mut cast = Cast::new();
    let jwt = cast.issued(&cast.owner, cast.trust());
    let verified = cast.verify(&jwt).unwrap();
    assert_eq!(verified.expires.unwrap().to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(verified.issuer, print(&cast.owner));
    for (now, expected) in [
        ("2026-10-31T23:54:59Z", Err("credential-early")),
        ("2026-10-31T23:55:00Z", Ok(())),
        ("2026-11-30T23:59:59Z", Ok(())),
        ("2026-12-01T00:00:00Z", Err("credential-expired")),
    ] {
        cast.now = now.parse().unwrap();
        assert_eq!(
            cast.verify(&jwt).map(|_| ()).as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|e| *e),
            "{now}"
        );
    }
    cast.now = super::sample::now();
    let narrower = |name: &str, at: i64| changed(&jwt, &cast.owner, |document| document[name] = at.into());
    assert_eq!(cast.verify(&narrower("exp", cast.now.as_unix())).unwrap_err(), "credential-expired");
    assert_eq!(cast.verify(&narrower("nbf", cast.now.as_unix() + 301)).unwrap_err(), "credential-early");
    let wider = cast.verify(&narrower("exp", i64::MAX)).unwrap();
    assert_eq!(wider.expires, verified.expires);
}

#[test]
fn forged_credentials_are_refused() {
    let cast = Cast::new();
    let jwt = cast.issued(&cast.user, cast.trust());
    let parts: Vec<&str> = jwt.split('.').collect();
    let decode = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (header, payload) = (decode(parts[0]), decode(parts[1]));
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let with_header = |header: &str| resigned(&encode(header), &payload, &cast.user);
    cast.verify(&with_header(&header)).unwrap();

    // The owner's name with the user's key, as issuer and as the key's name.
    let owner = identifier::did(cast.owner.public_key()).unwrap();
    let borrowed = changed(&jwt, &cast.user, |document| document["issuer"] = owner.as_str().into());
    assert_eq!(cast.verify(&borrowed).unwrap_err(), "credential-signature");
    let kid = json!({ "alg": "ES256", "typ": "vc+jwt", "kid": format!("{owner}#0") }).to_string();
    assert_eq!(cast.verify(&with_header(&kid)).unwrap_err(), "credential-form");
    // A key in the header changes nothing.
    let jwk = json!({ "alg": "ES256", "typ": "vc+jwt", "jwk": cast.owner.public_key().to_jwk().unwrap() }).to_string();
    cast.verify(&with_header(&jwk)).unwrap();

    for alg in ["none", "HS256", "RS256", "ES384"] {
        let forged = with_header(&header.replace("ES256", alg));
        cast.verify(&forged).expect_err(alg);
        let bare = format!("{}.{}.", forged.split('.').next().unwrap(), parts[1]);
        cast.verify(&bare).expect_err(alg);
    }
    for typ in ["JWT", "secevent+jwt", "dpp", ""] {
        assert_eq!(cast.verify(&with_header(&header.replace("vc+jwt", typ))).unwrap_err(), "credential-form", "{typ}");
    }
    let twice = payload.replacen("{", "{\"id\":\"urn:uuid:2\",", 1);
    assert_eq!(cast.verify(&resigned(parts[0], &twice, &cast.user)).unwrap_err(), "credential-form");
    let tampered = format!("{}.{}.{}", parts[0], encode(&payload.replace("2026-12-01", "2036-12-01")), parts[2]);
    assert_eq!(cast.verify(&tampered).unwrap_err(), "credential-signature");
    for wrong in ["", "a.b.c", &jwt[..jwt.len() / 2], &"a".repeat(70_000)] {
        cast.verify(wrong).unwrap_err();
    }
}

#[test]
fn what_is_no_credential_of_this_form_is_refused() {
    let cast = Cast::new();
    let jwt =
        cast.issued(&cast.owner, Claim::TypeBinding { device: print(&cast.lamp), device_type: "acme/lamp".into() });
    for (path, value) in [
        ("/@context/0", json!("https://www.w3.org/2018/credentials/v1")),
        ("/id", json!(null)),
        ("/id", json!("")),
        ("/id", json!("x\ny")),
        ("/type", json!(["VerifiableCredential"])),
        ("/type", json!(["DeviceTypeBindingCredential"])),
        ("/type", json!(["VerifiableCredential", "DeviceTrustCredential", "DeviceTypeBindingCredential"])),
        ("/issuer", json!("https://acme.example")),
        ("/issuer", json!("did:jwk:e30")),
        ("/validFrom", json!("yesterday")),
        ("/validUntil", json!(1)),
        ("/credentialSubject", json!([])),
        ("/credentialSubject/id", json!("urn:device:lamp")),
        ("/credentialSubject/id", json!("ni:///sha-256;AAAA")),
        ("/credentialSubject/deviceType", json!("lamp")),
        ("/credentialSubject/deviceType", json!("x".repeat(300))),
    ] {
        let wrong = changed(&jwt, &cast.owner, |document| *document.pointer_mut(path).unwrap() = value.clone());
        assert_eq!(cast.verify(&wrong).unwrap_err(), "credential-form", "{path} {value}");
    }
    for (name, value) in [("vc", json!({})), ("iss", json!("did:jwk:x")), ("jti", json!("urn:uuid:2"))] {
        let wrong = changed(&jwt, &cast.owner, |document| document[name] = value.clone());
        assert_eq!(cast.verify(&wrong).unwrap_err(), "credential-form", "{name}");
    }
    let both = Claim::TestResult { subject: Subject::Type("acme/lamp".into()), certificate: "x".into() };
    let both = changed(&cast.issued(&cast.owner, both), &cast.owner, |document| {
        document["credentialSubject"]["id"] = identifier::ni(print(&cast.lamp)).into();
    });
    assert_eq!(cast.verify(&both).unwrap_err(), "credential-form");
}

#[test]
fn every_kind_of_claim_and_of_key_is_read_as_it_was_written() {
    let cast = Cast::new();
    for algorithm in Algorithm::ALL {
        let key = SoftwareKey::generate(algorithm).unwrap();
        for claim in claims(&cast) {
            let credential = cast.credential(&key, claim);
            assert_eq!(Credential::read(&credential.issue(&key).unwrap()).unwrap(), credential);
            credential.issue(&cast.lamp).expect_err("somebody else's key");
        }
    }
}

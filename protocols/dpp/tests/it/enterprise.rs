//! Certificates for 802.1X.

use crate::it::vectors::vector;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{
    Curve,
    crypto::Secret,
    curve::PrivateKey,
    enterprise::{self, CsrAttributes},
};
use landfall_testkit::{Manufacturer, Rng, openssl, temp_dir};
use std::process::Command;

fn key(curve: Curve, seed: u64) -> PrivateKey {
    let mut rng = Rng::new(seed);
    PrivateKey::generate(curve, &mut |octets: &mut [u8]| octets.fill_with(|| rng.bytes::<1>()[0]))
}

fn bk() -> Secret {
    Secret::new(vec![7; 32])
}

fn request(key: &PrivateKey) -> Vec<u8> {
    enterprise::request("Sensor 7", key, &bk(), key.curve(), &enterprise::challenge_password_only()).unwrap()
}

#[test]
fn a_request_on_every_curve() {
    for curve in Curve::ALL {
        let key = key(curve, 1);
        let csr = request(&key);
        let csr = enterprise::check(&csr, key.public(), &bk(), curve).unwrap();
        assert_eq!(csr.subject(), "CN=Sensor 7");
        let decoded = STANDARD.decode(csr.challenge_password().unwrap()).unwrap();
        assert_eq!(decoded.len(), 64, "{curve}");
    }
}

#[test]
fn openssl_reads_and_verifies_the_request() {
    let Some(openssl) = openssl() else { return };
    let dir = temp_dir();
    let file = dir.path().join("request.der");
    for curve in Curve::ALL {
        std::fs::write(&file, request(&key(curve, 1))).unwrap();
        let out = Command::new(&openssl)
            .args(["req", "-inform", "DER", "-noout", "-text", "-verify", "-in"])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && text.contains("self-signature verify OK"), "{curve}: {text}");
        assert!(text.contains("challengePassword") && text.contains("CN = Sensor 7"), "{curve}: {text}");
    }
}

#[test]
fn a_request_is_for_the_protocol_key_and_this_exchange() {
    let key1 = key(Curve::P256, 1);
    let good = request(&key1);
    assert!(enterprise::check(&good, key1.public(), &bk(), Curve::P256).is_ok());
    let refused = |der: &[u8], key: &PrivateKey, bk: &Secret| {
        enterprise::check(der, key.public(), bk, Curve::P256).unwrap_err().check.into_owned()
    };
    assert_eq!(refused(&good, &key(Curve::P256, 2), &bk()), "dpp-csr-key");
    assert_eq!(refused(&good, &key(Curve::Bp256, 1), &bk()), "dpp-csr-key");
    assert_eq!(refused(&good, &key1, &Secret::new(vec![8; 32])), "dpp-csr-binding");
    // The curve of the authentication decides, whichever that of the key is by now.
    assert!(enterprise::check(&good, key1.public(), &bk(), Curve::P384).is_err());
    for end in 0..good.len() {
        assert_eq!(refused(&good[..end], &key1, &bk()), "dpp-csr", "cut to {end}");
    }
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&changed, &key1, &bk()), "dpp-csr-signature");

    let landfall = landfall_pki::CsrRequest::new(landfall_pki::Name::common("Sensor 7"));
    let signer = landfall_pki::SoftwareKey::from_pkcs8_der(key1.to_pkcs8().unwrap().expose()).unwrap();
    let without = landfall
        .prepare(landfall_pki::Signer::public_key(&signer), landfall_pki::Algorithm::EcdsaP256)
        .unwrap()
        .issue(&signer)
        .unwrap();
    assert_eq!(refused(without.der(), &key1, &bk()), "dpp-csr-binding");
}

#[test]
fn the_hash_is_that_of_the_curve() {
    let key = key(Curve::P384, 1);
    let mut der = request(&key);
    assert!(enterprise::check(&der, key.public(), &bk(), Curve::P384).is_ok());
    // ecdsa-with-SHA384 becomes ecdsa-with-SHA256.
    let oid = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03];
    let at = der.windows(oid.len()).position(|window| window == oid).unwrap();
    der[at + oid.len() - 1] = 0x02;
    let refusal = enterprise::check(&der, key.public(), &bk(), Curve::P384).unwrap_err();
    assert_eq!(refusal.check, "dpp-csr-signature");
}

#[test]
fn the_published_attributes() {
    let Some(values) = vector("/csr_attrs") else { return };
    let text = values["base64"].as_str().unwrap();
    let der = enterprise::attributes_of_text(text.as_bytes()).unwrap();
    assert_eq!(CsrAttributes::from_der(&der), Ok(CsrAttributes::of(None)));
    assert_eq!(enterprise::attributes_text(&enterprise::challenge_password_only()), text);
}

#[test]
fn a_key_on_another_curve_cannot_be_had() {
    let key = key(Curve::P256, 1);
    let request = |curve| {
        let wanted = CsrAttributes::of(Some(curve)).to_der();
        enterprise::request("Sensor 7", &key, &bk(), Curve::P256, &wanted)
    };
    assert!(request(Curve::P256).is_ok());
    assert_eq!(request(Curve::P384).unwrap_err().check, "dpp-csr-attributes");
}

#[test]
fn attributes_there_and_back() {
    for curve in Curve::ALL {
        let mut wanted = CsrAttributes::of(Some(curve));
        wanted.others.push("1.2.840.113549.1.9.14".parse().unwrap());
        assert_eq!(CsrAttributes::from_der(&wanted.to_der()), Ok(wanted));
    }
    let parsed = CsrAttributes::from_der(&hex::decode("300a06082a8648ce3d030107").unwrap()).unwrap();
    assert_eq!((parsed.curve, parsed.challenge_password), (Some(Curve::P256), false));
    assert_eq!(CsrAttributes::from_der(&[0x30, 0]), Ok(CsrAttributes::default()));
    for (hex, what) in [
        ("", "nothing"),
        ("3003", "cut short"),
        ("300a06082a8648ce3d03010700", "something after it"),
        ("3003020101", "a number"),
        ("3015301306072a8648ce3d020106082a8648ce3d030107", "values without a set"),
        ("3014301206072a8648ce3d0201310706052b81040001", "a curve of others"),
        ("300d300b06072a8648ce3d02013100", "no value"),
    ] {
        let refusal = CsrAttributes::from_der(&hex::decode(hex).unwrap()).expect_err(what);
        assert_eq!(refusal.field, "CSR Attributes Request", "{what}");
    }
    assert_eq!(enterprise::attributes_of_text(b"MA\nA="), Ok(vec![0x30, 0]));
    assert!(enterprise::attributes_of_text(b"%").is_err());
    assert!(enterprise::attributes_of_text("A".repeat(5000).as_bytes()).is_err());
    let many = [&[0x30, 0x82, 0x01, 0x00][..], &[0x06, 0x02, 0x2A, 0x03].repeat(64)].concat();
    assert!(CsrAttributes::from_der(&many).is_ok());
    let more = [&[0x30, 0x82, 0x01, 0x04][..], &[0x06, 0x02, 0x2A, 0x03].repeat(65)].concat();
    assert!(CsrAttributes::from_der(&more).is_err());
}

#[test]
fn a_bag_holds_the_certificate_of_the_protocol_key() {
    let made = Manufacturer::new();
    let device = made.device("7");
    let bag = enterprise::pack_bag(&device.certificate, &device.intermediates);
    let key = landfall_dpp::curve::PublicKey::from_spki(device.certificate.public_key().spki_der()).unwrap();
    let (certificate, chain) = enterprise::open_bag(&bag, &key).unwrap();
    assert_eq!((certificate, chain.len()), (device.certificate.clone(), device.intermediates.len()));
    let other = self::key(Curve::P256, 3);
    assert_eq!(enterprise::open_bag(&bag, other.public()).unwrap_err().field, "certBag");
    assert_eq!(enterprise::open_bag(&bag[1..], &key).unwrap_err().field, "certBag");
    assert_eq!(enterprise::open_bag(&[], &key).unwrap_err().check, "dpp-certificate-bag");
}

//! A configurator's keys, sealed.

use landfall_dpp::{
    Curve,
    backup::{self, BackupError, Configurator},
    crypto::Secret,
    curve::PrivateKey,
};
use landfall_testkit::{Rng, openssl, temp_dir};
use std::process::Command;

fn random(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut rng = Rng::new(seed);
    move |octets: &mut [u8]| octets.fill_with(|| rng.bytes::<1>()[0])
}

fn configurator(curve: Curve) -> Configurator {
    Configurator {
        csign: PrivateKey::generate(curve, &mut random(1)),
        privacy_key: PrivateKey::generate(curve, &mut random(2)),
        config_template: r#"{"wi-fi_tech":"infra","discovery":{"ssid":"home"},"cred":{"akm":"dpp"}}"#.to_owned().into(),
        connector_template: None,
    }
}

fn password() -> Secret {
    backup::password(Curve::P256, &Secret::new(vec![5; 32]))
}

fn sealed(curve: Curve) -> Vec<u8> {
    backup::seal(&[configurator(curve)], &password(), &mut random(3)).unwrap()
}

fn same(found: &Configurator, wanted: &Configurator) {
    assert_eq!(found.csign.to_bytes().expose(), wanted.csign.to_bytes().expose());
    assert_eq!(found.csign.curve(), wanted.csign.curve());
    assert_eq!(found.privacy_key.to_bytes().expose(), wanted.privacy_key.to_bytes().expose());
    assert_eq!(found.config_template.expose(), wanted.config_template.expose());
    let text = |one: &Configurator| one.connector_template.as_ref().map(|text| text.expose().clone());
    assert_eq!(text(found), text(wanted));
}

#[test]
fn on_every_curve_there_and_back() {
    for curve in Curve::ALL {
        let opened = backup::open(&sealed(curve), &password()).unwrap();
        assert_eq!(opened.len(), 1);
        same(&opened[0], &configurator(curve));
    }
    let mut second = configurator(Curve::P384);
    second.connector_template = Some(r#"{"groups":[{"groupId":"*","netRole":"sta"}]}"#.to_owned().into());
    let both = [configurator(Curve::P256), second];
    let opened = backup::open(&backup::seal(&both, &password(), &mut random(4)).unwrap(), &password()).unwrap();
    assert_eq!(opened.len(), 2);
    opened.iter().zip(&both).for_each(|(found, wanted)| same(found, wanted));
}

#[test]
fn the_password_is_that_of_the_exchange() {
    let good = sealed(Curve::P256);
    let other = backup::password(Curve::P256, &Secret::new(vec![6; 32]));
    assert_eq!(backup::open(&good, &other).unwrap_err(), BackupError::Sealed);
    let other = backup::password(Curve::P384, &Secret::new(vec![5; 32]));
    assert_eq!(backup::open(&good, &other).unwrap_err(), BackupError::Sealed);
}

#[test]
fn a_changed_octet_anywhere_is_found() {
    let good = sealed(Curve::P256);
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        // Which of the three AES-SIV is named does not matter, as the length of the key says so.
        if let Ok(opened) = backup::open(&changed, &password()) {
            same(&opened[0], &configurator(Curve::P256));
            assert!(good[at] == 22 || good[at] == 23, "octet {at}");
        }
    }
    for end in 0..good.len() {
        assert!(backup::open(&good[..end], &password()).is_err(), "cut to {end}");
    }
    assert!(backup::open(&[good.as_slice(), &[0]].concat(), &password()).is_err());
}

/// What is refused after one sequence of octets was put in another's place.
fn replaced(from: &str, to: &str) -> BackupError {
    let digits = hex::encode(sealed(Curve::P256));
    assert_eq!(digits.matches(from).count(), 1, "{from}");
    backup::open(&hex::decode(digits.replacen(from, to, 1)).unwrap(), &password()).unwrap_err()
}

#[test]
fn each_part_is_looked_at() {
    let refusal = |error: BackupError| error.refusal().field.into_owned();
    // PBKDF2 becomes PBES2, and its hash SHA-1.
    assert_eq!(
        replaced("06092a864886f70d01050c", "06092a864886f70d01050d"),
        BackupError::Algorithm("keyDerivationAlgorithm")
    );
    assert_eq!(replaced("06082a864886f70d0209", "06082a864886f70d0207"), BackupError::Algorithm("prf"));
    // One round instead of 1000; keys of 16 octets.
    assert_eq!(refusal(replaced("020203e8020120", "02020001020120")), "PBKDF2-params");
    assert_eq!(refusal(replaced("020203e8020120", "020203e8020110")), "PBKDF2-params");
    // Another content.
    assert_eq!(refusal(replaced("060b2b0601040182be68010202", "060b2b0601040182be68010209")), "contentType");
    assert!(replaced("020103", "020102") == BackupError::Malformed("DPPEnvelopedData"));
}

#[test]
fn there_is_a_configurator_and_its_keys_fit() {
    let none = backup::seal(&[], &password(), &mut random(3));
    assert_eq!(none, Err(BackupError::Count));
    let many: Vec<_> = (0..17).map(|_| configurator(Curve::P256)).collect();
    assert_eq!(backup::seal(&many, &password(), &mut random(3)), Err(BackupError::Count));
    let mut mixed = configurator(Curve::P256);
    mixed.privacy_key = PrivateKey::generate(Curve::P384, &mut random(2));
    assert_eq!(backup::seal(&[mixed], &password(), &mut random(3)), Err(BackupError::Curves));
    assert!(backup::open(&vec![0x30; 70_000], &password()).is_err());
}

#[test]
fn openssl_sees_the_structure() {
    let Some(openssl) = openssl() else { return };
    let dir = temp_dir();
    let file = dir.path().join("envelope.der");
    std::fs::write(&file, sealed(Curve::P256)).unwrap();
    let out = Command::new(openssl).args(["asn1parse", "-inform", "DER", "-in"]).arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}");
    for part in ["cont [ 3 ]", "PBKDF2", "03E8", "hmacWithSHA256", "1.3.6.1.4.1.40808.1.2.2"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let shown = format!("{:?}", configurator(Curve::P256));
    assert!(!shown.contains("home"), "{shown}");
}

#[test]
fn noise_is_safe() {
    let mut rng = Rng::new(18);
    for _ in 0..2000 {
        assert!(backup::open(&rng.bytes::<64>(), &password()).is_err());
    }
}

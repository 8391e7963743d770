//! Reference values and results from the command line.

use crate::says;
use landfall_pki::{Algorithm, Signer, SoftwareKey, pem};
use std::fs;

#[test]
fn what_is_good_is_written_signed_read_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let other = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    fs::write(here.join("key.pem"), pem::encode("PRIVATE KEY", key.to_pkcs8_der().expose())).unwrap();
    fs::write(here.join("key.pub"), pem::encode("PUBLIC KEY", key.public_key().spki_der())).unwrap();
    fs::write(here.join("other.pub"), pem::encode("PUBLIC KEY", other.public_key().spki_der())).unwrap();
    fs::write(here.join("firmware.bin"), "firmware").unwrap();
    let attest = |arguments: &[&str]| says(here, &[&["verification", "attest"], arguments].concat());
    let add = |firmware, more: &[&str]| {
        let about = ["add", "values.json", "--vendor", "acme", "--model", "LAMP", "--firmware", firmware];
        attest(&[&about[..], more].concat())
    };
    assert_eq!(add("1.0", &["--image", "8=firmware.bin", "--until", "2020-01-01T00:00:00Z"]).0, 0);
    assert_eq!(add("1.1", &["--image", "8=firmware.bin", "--software", "firmware.bin"]).0, 0);
    assert_eq!(add("1.2", &[]).0, 2, "nothing tells it from others");
    assert_eq!(add("1.2", &["--image", "24=firmware.bin"]).0, 2, "there is no such PCR");
    let (status, signed) = attest(&["sign", "values.json", "--key", "key.pem"]);
    assert_eq!(status, 0, "{signed}");
    fs::write(here.join("values.jwt"), signed).unwrap();
    let (status, listed) = attest(&["list", "values.jwt"]);
    assert!(status == 0 && listed.contains("1.0  until 2020-01-01T00:00:00Z  not good now"), "{listed}");
    assert!(listed.contains("1.1  good now"), "{listed}");
    assert_eq!(attest(&["verify", "values.jwt", "--by", "key.pub"]).0, 0);
    assert_eq!(attest(&["verify", "values.jwt", "--by", "other.pub"]).0, 1);
    let (status, shown) = says(here, &["inspect", "values.jwt"]);
    assert!(status == 0 && shown.contains("reference values"), "{shown}");
}

//! What tpm2-tools and OpenSSL read of ours, and what they made that we use.

use super::keys::{open, signs};
use landfall_element::{ElementError, SecureElement};
use landfall_pki::{Algorithm, Certificate, CertificateSerial, Name, PublicKey, Signer, Validity, pem, profile::Ca};
use landfall_testkit::{NOW, Swtpm};
use landfall_types::KeyUri;
use std::fs;

fn public_from_pem(tpm: &Swtpm, file: &str) -> PublicKey {
    let text = fs::read_to_string(tpm.folder().join(file)).unwrap();
    PublicKey::from_spki_der(&pem::decode(&text).unwrap()[0].der).unwrap()
}

fn self_signed(key: &dyn Signer) -> Certificate {
    let serial = CertificateSerial::random().unwrap();
    let prepared =
        Ca::root(Name::common("tpm")).prepare_root(key.public_key(), serial, Validity::forever(NOW)).unwrap();
    prepared.lint().unwrap().issue(key).unwrap()
}

#[test]
fn tpm2_tools_read_a_key_and_its_certificate() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let key = element.generate("idevid", Algorithm::EcdsaP256).unwrap();
    let persistent = element.persist(&key, 0x8102_0000).unwrap();
    assert_eq!(persistent.as_str(), "tpm:0x81020000");
    let signer = element.signer(&key).unwrap();
    let certificate = self_signed(&*signer);
    for _ in 0..2 {
        element.write_certificate(0x01c9_0000, &certificate).unwrap();
    }
    assert_eq!(element.read_certificate(0x01c9_0000).unwrap(), Some(certificate.clone()));
    assert_eq!(element.read_certificate(0x01c9_0001).unwrap(), None);

    let Some(shown) = tpm.tool("tpm2_readpublic", &["-c", "0x81020000", "-f", "pem", "-o", "public.pem"]) else {
        return;
    };
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("fixedtpm|fixedparent|sensitivedataorigin"), "{shown}");
    assert_eq!(public_from_pem(&tpm, "public.pem"), *signer.public_key());
    assert_eq!(tpm.tool("tpm2_nvread", &["0x01c90000"]).unwrap(), certificate.der());

    // OpenSSL signs with the very same key, by its provider for TPMs.
    fs::write(tpm.folder().join("message"), "message").unwrap();
    let provider = ["-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2"];
    let sign = ["pkeyutl", "-sign", "-inkey", "handle:0x81020000", "-rawin", "-digest", "sha256", "-in", "message"];
    let signature = tpm.tool("openssl", &[&sign[..], &["-out", "/dev/stdout"], &provider].concat()).unwrap();
    signer.public_key().verify(&signer.algorithm().identifier(), b"message", &signature).unwrap();

    signs(&element, &persistent);
    element.delete(&persistent).unwrap();
    assert!(matches!(element.signer(&persistent), Err(ElementError::Missing(_))));
    assert!(matches!(element.delete(&persistent), Err(ElementError::Missing(_))));
    signs(&element, &key);
}

#[test]
fn a_key_that_tpm2_tools_made_signs_and_agrees() {
    let Some(tpm) = Swtpm::new() else { return };
    let made = tpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc256", "-c", "primary.ctx"]);
    let Some(_) = made else { return };
    tpm.tool("tpm2_flushcontext", &["-t"]);
    let create = ["-C", "primary.ctx", "-G", "ecc256:null", "-u", "their.pub", "-r", "their.priv"];
    let attributes = ["-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|decrypt"];
    tpm.tool("tpm2_create", &[&create[..], &attributes].concat());
    tpm.tool("tpm2_flushcontext", &["-t"]);
    tpm.tool("tpm2_load", &["-C", "primary.ctx", "-u", "their.pub", "-r", "their.priv", "-c", "their.ctx"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    tpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "their.ctx", "0x81000042"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    tpm.tool("tpm2_readpublic", &["-c", "0x81000042", "-f", "pem", "-o", "their.pem"]);

    let element = open(&tpm);
    let theirs: KeyUri = "tpm:0x81000042".parse().unwrap();
    assert_eq!(*element.signer(&theirs).unwrap().public_key(), public_from_pem(&tpm, "their.pem"));
    signs(&element, &theirs);
    let own = element.generate("own", Algorithm::EcdsaP256).unwrap();
    let agreement = element.key_agreement().unwrap();
    let public = |key| element.signer(key).unwrap().public_key().clone();
    let (one, other) =
        (agreement.agree(&own, &public(&theirs)).unwrap(), agreement.agree(&theirs, &public(&own)).unwrap());
    assert_eq!(one.expose(), other.expose());
}

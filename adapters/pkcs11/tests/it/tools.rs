//! What pkcs11-tool reads of ours, and what it made that we use.

use super::softhsm::open;
use landfall_element::SecureElement;
use landfall_pki::{Algorithm, CertificateSerial, Name, Validity, fixed_from_der, profile::Ca};
use landfall_testkit::{NOW, SoftHsm, openssl};
use landfall_types::KeyUri;
use std::{fs, process::Command};

#[test]
fn pkcs11_tool_sees_a_key_that_never_leaves_and_its_certificate() {
    SoftHsm::with(|token| {
        let element = open(token);
        let key = element.generate("idevid", Algorithm::EcdsaP256).unwrap();
        let signer = element.signer(&key).unwrap();
        let ca = Ca::root(Name::common("token"));
        let serial = CertificateSerial::random().unwrap();
        let prepared = ca.prepare_root(signer.public_key(), serial, Validity::forever(NOW)).unwrap();
        let certificate = prepared.lint().unwrap().issue(&*signer).unwrap();
        element.certificates().unwrap().keep(&key, std::slice::from_ref(&certificate)).unwrap();

        let Some(shown) = token.pkcs11_tool(&["--list-objects", "--type", "privkey"]) else { return };
        assert!(shown.contains("label:      idevid"), "{shown}");
        assert!(
            shown.contains("sensitive") && shown.contains("never extractable") && shown.contains("local"),
            "{shown}"
        );
        let out = token.folder.join("certificate.der");
        let path = out.display().to_string();
        token.pkcs11_tool(&["--read-object", "--type", "cert", "--label", "idevid", "--output-file", &path]);
        assert_eq!(fs::read(&out).unwrap(), certificate.der());
    });
}

#[test]
fn a_key_that_pkcs11_tool_made_signs() {
    SoftHsm::with(|token| {
        let made = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "their key", "--id", "4a"];
        let usage = ["--usage-sign", "--usage-derive"];
        let Some(_) = token.pkcs11_tool(&[&made[..], &usage].concat()) else { return };
        let element = open(token);
        let [key]: [KeyUri; 1] = element.list().unwrap().try_into().unwrap();
        assert_eq!(key.as_str(), "pkcs11:token=devices;object=their%20key;type=private");
        let by_id: KeyUri = "pkcs11:id=%4a;type=private".parse().unwrap();
        let signer = element.signer(&by_id).unwrap();
        assert_eq!(signer.public_key(), element.signer(&key).unwrap().public_key());
        let signature = signer.sign(b"message").unwrap();
        assert_eq!(fixed_from_der(Algorithm::EcdsaP256, &signature).unwrap().len(), 64);

        // OpenSSL judges the signature by the public key that pkcs11-tool reads.
        let Some(openssl) = openssl() else { return };
        let file = |name: &str| token.folder.join(name).display().to_string();
        let (public, message, signed) = (file("public.der"), file("message"), file("signature"));
        token.pkcs11_tool(&["--read-object", "--type", "pubkey", "--id", "4a", "--output-file", &public]);
        fs::write(&message, "message").unwrap();
        fs::write(&signed, signature).unwrap();
        let mut verify = Command::new(openssl);
        verify.args(["dgst", "-sha256", "-verify", &public, "-keyform", "DER", "-signature", &signed, &message]);
        assert!(verify.output().unwrap().status.success(), "{verify:?}");
        element.delete(&by_id).unwrap();
        assert!(element.list().unwrap().is_empty());
    });
}

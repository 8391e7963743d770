//! openssl verifies what we sign, and we read what openssl signs.

use super::sealed::{request, seal, voucher};
use landfall_brski::voucher::{Format, Payload, Signed, Voucher, VoucherError, VoucherRequest, open};
use landfall_pki::{Algorithm, Certificate};
use landfall_testkit::{Domain, Identity, Manufacturer, openssl, temp_dir};
use landfall_types::Refusal;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}

/// Runs openssl in `dir`, and gives what it wrote.
fn run(openssl: &Path, dir: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new(openssl).current_dir(dir).args(args).output().expect("openssl runs");
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Writes certificate, intermediates and key of `who` to `dir`.
fn write(openssl: &Path, dir: &Path, name: &str, who: &Identity) {
    fs::write(dir.join(format!("{name}.pem")), who.certificate.to_pem()).unwrap();
    fs::write(dir.join("chain.pem"), pem(&who.intermediates)).unwrap();
    fs::write(dir.join("key.der"), who.key.to_pkcs8_der().expose()).unwrap();
    run(openssl, dir, &["pkey", "-inform", "DER", "-in", "key.der", "-out", &format!("{name}.key")]);
}

#[test]
fn openssl_verifies_what_we_sign() {
    let Some(openssl) = openssl() else { return };
    let (manufacturer, domain, dir) = (Manufacturer::new(), Domain::new(), temp_dir());
    let dir = dir.path();
    fs::write(dir.join("root.pem"), manufacturer.root_pem()).unwrap();
    // openssl 3.0 cannot verify Ed25519 over signed attributes.
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384] {
        let device = manufacturer.device_with("JADA123456789", algorithm, |_| {});
        let content = request(&domain.registrar.certificate);
        fs::write(dir.join("request.cms"), seal(Format::CmsJson, &content, &device)).unwrap();
        let args = ["cms", "-verify", "-binary", "-inform", "DER", "-in", "request.cms", "-CAfile", "root.pem"];
        let got = run(&openssl, dir, &[args.as_slice(), &["-purpose", "any", "-attime", "1795339800"]].concat());
        assert_eq!(got, content.to_json(), "{algorithm:?}");
    }
    let content = voucher(&domain.registrar.certificate);
    fs::write(dir.join("voucher.cms"), seal(Format::CmsJson, &content, &manufacturer.masa)).unwrap();
    let args = ["cms", "-verify", "-binary", "-inform", "DER", "-in", "voucher.cms", "-CAfile", "root.pem"];
    let got = run(&openssl, dir, &[args.as_slice(), &["-purpose", "any", "-attime", "1795339800"]].concat());
    assert_eq!(got, content.to_json());
}

trait RootPem {
    fn root_pem(&self) -> String;
}

impl RootPem for Manufacturer {
    fn root_pem(&self) -> String {
        self.root.authority.certificate.to_pem()
    }
}

struct Signing {
    openssl: PathBuf,
    dir: tempfile::TempDir,
    masa: Identity,
    content: Voucher,
}

impl Signing {
    fn new() -> Option<Self> {
        let openssl = openssl()?;
        let (manufacturer, domain, dir) = (Manufacturer::new(), Domain::new(), temp_dir());
        write(&openssl, dir.path(), "masa", &manufacturer.masa);
        let content = voucher(&domain.registrar.certificate);
        fs::write(dir.path().join("voucher.json"), content.to_json()).unwrap();
        Some(Self { openssl, dir, masa: manufacturer.masa, content })
    }

    /// What `openssl cms -sign` makes of the voucher.
    fn sign(&self, more: &[&str]) -> Vec<u8> {
        let args = ["cms", "-sign", "-binary", "-nodetach", "-in", "voucher.json", "-signer", "masa.pem"];
        let args = [args.as_slice(), &["-inkey", "masa.key"], more].concat();
        run(&self.openssl, self.dir.path(), &args)
    }

    fn accepted(&self, bytes: &[u8]) {
        let got: Signed<Voucher> = open(Format::CmsJson, bytes).unwrap();
        assert_eq!(got.signer, self.masa.certificate);
        assert_eq!(got.payload.to_json(), self.content.to_json());
    }

    fn refused(&self, bytes: &[u8], check: &str) {
        let refusal = Refusal::from(open::<Voucher>(Format::CmsJson, bytes).unwrap_err());
        assert_eq!(refusal.check, check, "{refusal}");
    }
}

#[test]
fn we_read_what_openssl_signs() {
    let Some(signing) = Signing::new() else { return };
    let anima = ["-econtent_type", "1.2.840.113549.1.9.16.1.40"];
    signing.accepted(&signing.sign(&["-outform", "DER"]));
    signing.accepted(&signing.sign(&["-outform", "PEM"]));
    signing.accepted(&signing.sign(&[&anima[..], &["-outform", "DER"]].concat()));
    signing.accepted(&signing.sign(&[&anima[..], &["-outform", "DER", "-md", "sha512", "-keyid"]].concat()));
    // Without signed attributes, as only plain data may be (RFC 5652 s5.3).
    signing.accepted(&signing.sign(&["-outform", "DER", "-noattr"]));
}

#[test]
fn what_openssl_signs_otherwise_is_refused() {
    let Some(signing) = Signing::new() else { return };
    let impostor = Manufacturer::new().masa;
    write(&signing.openssl, signing.dir.path(), "second", &impostor);
    let second = ["-signer", "second.pem", "-inkey", "second.key"];
    signing.refused(&signing.sign(&[&second[..], &["-outform", "DER"]].concat()), "voucher-one-signer");
    signing.refused(&signing.sign(&["-outform", "DER", "-nocerts"]), "voucher-signer");
    signing.refused(&signing.sign(&["-outform", "DER", "-md", "sha1"]), "voucher-algorithm");
    signing.refused(&signing.sign(&["-outform", "DER", "-econtent_type", "1.2.3.4"]), "voucher-content-type");
    // Indefinite lengths, where RFC 8366 s5.4 asks for DER.
    signing.refused(&signing.sign(&["-outform", "DER", "-stream", "-indef"]), "voucher-container");
}

#[test]
fn a_request_signed_by_openssl_is_read() {
    let Some(signing) = Signing::new() else { return };
    let content = request(&Domain::new().registrar.certificate);
    fs::write(signing.dir.path().join("voucher.json"), content.to_json()).unwrap();
    let bytes = signing.sign(&["-outform", "DER"]);
    let got: Signed<VoucherRequest> = open(Format::CmsJson, &bytes).unwrap();
    assert_eq!(got.payload.to_json(), content.to_json());
    let error = open::<Voucher>(Format::CmsJson, &bytes).unwrap_err();
    assert!(matches!(error, VoucherError::Artefact { .. }), "{error}");
}

//! OpenSSL as the peer: it reads what is made here, and its work is read here.

use super::world::{Hierarchy, key, now, skip};
use landfall_pki::{
    Algorithm, Certificate, Crl, Csr, CsrRequest, Name, SignedData, SignedDataBuilder, Signer, SoftwareKey,
    cms::{certs_only, certs_only_in_order, parse_certs_only},
    key::Strength,
    oid, pem,
};
use landfall_types::Redacted;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder to work in; `None`, said aloud, where there is no openssl.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(test: &str) -> Option<Self> {
        let there = Command::new("openssl").arg("version").output().is_ok_and(|out| out.status.success());
        if !there {
            skip(test, "openssl is not installed");
            return None;
        }
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn take(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn take_text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn try_run(&self, command: &str) -> Output {
        Command::new("openssl").args(command.split_whitespace()).current_dir(Path::new(self.0.path())).output().unwrap()
    }

    fn run(&self, command: &str) -> String {
        let out = self.try_run(command);
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "openssl {command}: {said}");
        said
    }

    /// A self-signed certificate made by openssl, with its key in `NAME.key`.
    fn self_signed(&self, name: &str, key: &str) -> Certificate {
        self.run(&format!("genpkey {key} -out {name}.key"));
        self.run(&format!("req -x509 -key {name}.key -subj /CN={name} -days 3650 -out {name}.pem"));
        Certificate::from_pem(&self.take_text(&format!("{name}.pem"))).unwrap()
    }
}

fn at() -> String {
    format!("-attime {}", now().as_unix())
}

#[test]
fn it_verifies_our_certificates_lists_and_requests() {
    let Some(bench) = Bench::new("it_verifies_our_certificates_lists_and_requests") else { return };
    for algorithm in Algorithm::ALL {
        let domain = Hierarchy::new("Example", algorithm);
        let key = SoftwareKey::generate(algorithm).unwrap();
        bench.put("root.pem", domain.root.to_pem());
        let intermediates: String = domain.intermediates().iter().map(Certificate::to_pem).collect();
        bench.put("intermediates.pem", &intermediates);
        let ldevid = domain.ldevid(&key);
        for leaf in [domain.idevid("A-1", &key), ldevid.clone(), domain.registrar(&key), domain.masa(&key)] {
            bench.put("leaf.pem", leaf.to_pem());
            bench.run(&format!("verify -x509_strict {} -CAfile root.pem -untrusted intermediates.pem leaf.pem", at()));
            assert!(bench.run("x509 -in leaf.pem -noout -text").contains("X509v3 Authority Key Identifier"));
        }

        let crl = super::crls::revoking(&[&ldevid]).prepare(&domain.issuing).unwrap().issue(&domain.key).unwrap();
        bench.put("crl.pem", crl.to_pem());
        bench.put("issuing.pem", domain.issuing.certificate.to_pem());
        assert!(bench.run("crl -in crl.pem -CAfile issuing.pem -noout").contains("verify OK"));
        bench.put("ldevid.pem", ldevid.to_pem());
        let command = format!(
            "verify {} -CAfile root.pem -untrusted intermediates.pem -crl_check -CRLfile crl.pem ldevid.pem",
            at()
        );
        let revoked = bench.try_run(&command);
        assert!(String::from_utf8_lossy(&revoked.stderr).contains("certificate revoked"));

        let request = CsrRequest {
            subject: Name::common("device"),
            challenge_password: Some(Redacted::new("secret".into())),
            ..CsrRequest::default()
        };
        let csr = request.prepare(key.public_key(), algorithm).unwrap().issue(&key).unwrap();
        bench.put("csr.pem", pem::encode("CERTIFICATE REQUEST", csr.der()));
        let said = bench.run("req -in csr.pem -verify -noout -text");
        assert!(said.contains("verify OK") && said.contains("secret"), "{said}");

        bench.put("key.pem", pem::encode("PRIVATE KEY", key.to_pkcs8_der().expose()));
        bench.run("pkey -in key.pem -check -noout");
    }
}

#[test]
fn it_verifies_our_messages() {
    let Some(bench) = Bench::new("it_verifies_our_messages") else { return };
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384] {
        let domain = Hierarchy::new("Example", algorithm);
        let key = SoftwareKey::generate(algorithm).unwrap();
        bench.put("root.pem", domain.root.to_pem());
        for (content_type, time) in [(oid::VOUCHER_CONTENT, None), (oid::DATA, Some(now()))] {
            let message = SignedDataBuilder::new(content_type, &b"{}"[..], &domain.masa(&key), domain.intermediates());
            bench.put("message.cms", message.prepare(time).unwrap().issue(&key).unwrap());
            bench.run(&format!(
                "cms -verify -binary -inform DER -in message.cms -CAfile root.pem {} -out content",
                at()
            ));
            assert_eq!(bench.take("content"), b"{}");
        }
        bench.put("bag.p7", certs_only(&domain.intermediates()));
        assert_eq!(bench.run("pkcs7 -inform DER -in bag.p7 -print_certs -noout").matches("subject=").count(), 2);
        let mut ordered = domain.intermediates();
        for _ in 0..2 {
            ordered.reverse();
            bench.put("bag.p7", certs_only_in_order(&ordered));
            let said = bench.run("pkcs7 -inform DER -in bag.p7 -print_certs");
            assert_eq!(Certificate::chain_from_pem(&said).unwrap(), ordered);
            assert_eq!(parse_certs_only(&certs_only_in_order(&ordered)).unwrap(), ordered);
        }
    }
}

#[test]
fn its_messages_verify_here() {
    let Some(bench) = Bench::new("its_messages_verify_here") else { return };
    let content = "{\"ietf-voucher:voucher\":{}}".repeat(2000);
    bench.put("content", &content);
    let keys = [
        ("p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
        ("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
        ("p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        ("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ];
    let options = [
        "-md sha256",
        "-md sha384",
        "-md sha512",
        "-md sha256 -nosmimecap",
        "-md sha256 -noattr",
        "-md sha256 -keyid",
        "-md sha256 -stream",
        "-md sha256 -stream -noattr -keyid",
        "-md sha256 -econtent_type 1.2.840.113549.1.9.16.1.40",
        "-md sha256 -stream -econtent_type 1.2.840.113549.1.9.16.1.40",
    ];
    for (name, kind) in keys {
        let signer = bench.self_signed(name, kind);
        let pss = "-md sha256 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:digest";
        for option in options.into_iter().chain((name == "rsa").then_some(pss)) {
            let sign = "cms -sign -binary -nodetach -in content -outform DER -out message.cms";
            bench.run(&format!("{sign} -signer {name}.pem -inkey {name}.key {option}"));
            let bytes = bench.take("message.cms");
            let message = SignedData::parse(&bytes).unwrap();
            assert_eq!(message.content(), content.as_bytes(), "{name} {option}");
            assert_eq!(message.verify().unwrap(), signer, "{name} {option}");
            assert_eq!(SignedData::parse_der(&bytes).is_err(), option.contains("-stream"), "{name} {option}");
        }
    }
    // Two signers, no certificate, and a digest that is too weak.
    let sign = "cms -sign -binary -nodetach -in content -outform DER -out message.cms -signer p256.pem -inkey p256.key";
    bench.run(&format!("{sign} -signer p384.pem -inkey p384.key -md sha256"));
    let two = SignedData::parse(&bench.take("message.cms")).unwrap();
    assert_eq!(two.signer_count(), 2);
    assert!(two.verify().unwrap_err().to_string().contains("2 signers"));
    bench.run(&format!("{sign} -nocerts -md sha256"));
    SignedData::parse(&bench.take("message.cms")).unwrap().verify().unwrap_err();
    bench.run(&format!("{sign} -md sha1"));
    SignedData::parse(&bench.take("message.cms")).unwrap().verify().unwrap_err();
    // Content that stayed behind.
    bench.run("cms -sign -binary -in content -outform DER -out message.cms -signer p256.pem -inkey p256.key");
    SignedData::parse(&bench.take("message.cms")).unwrap().verify().unwrap_err();
}

#[test]
fn its_bags_are_read_here() {
    let Some(bench) = Bench::new("its_bags_are_read_here") else { return };
    let certificates = ["one", "two"].map(|name| bench.self_signed(name, "-algorithm ED25519"));
    bench.run("crl2pkcs7 -nocrl -certfile one.pem -certfile two.pem -outform DER -out bag.p7");
    let bag = parse_certs_only(&bench.take("bag.p7")).unwrap();
    assert!(bag.len() == 2 && certificates.iter().all(|certificate| bag.contains(certificate)));
}

#[test]
fn its_certificates_verify_here() {
    let Some(bench) = Bench::new("its_certificates_verify_here") else { return };
    let pss = "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256";
    for (name, kind) in [
        ("ed25519", "-algorithm ED25519"),
        ("p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        ("rsa3072", "-algorithm RSA -pkeyopt rsa_keygen_bits:3072"),
    ] {
        let certificate = bench.self_signed(name, kind);
        certificate.verify_issued_by(certificate.public_key()).unwrap();
        certificate.verify_issued_by(key().public_key()).unwrap_err();
    }
    // An RSA-PSS key is of a kind of its own, which is read, and verifies nothing.
    let certificate = bench.self_signed("pss", pss);
    certificate.verify_issued_by(certificate.public_key()).unwrap_err();
    // RSA of 1024 bits, for devices of old.
    let old = bench.self_signed("old", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024");
    assert!(old.verify_issued_by(old.public_key()).unwrap_err().to_string().contains("1024"));
    old.verify_issued_with(old.public_key(), Strength::Legacy).unwrap();
    // A PSS signature by a plain RSA key.
    bench.run(
        "req -x509 -key rsa3072.key -subj /CN=x -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -out x.pem",
    );
    let certificate = Certificate::from_pem(&bench.take_text("x.pem")).unwrap();
    certificate.verify_issued_by(certificate.public_key()).unwrap();
}

#[test]
fn its_requests_and_lists_are_read_here() {
    let Some(bench) = Bench::new("its_requests_and_lists_are_read_here") else { return };
    let config = "
[req]
prompt = no
distinguished_name = name
attributes = attributes
req_extensions = extensions
[name]
CN = device
serialNumber = A-1
[attributes]
challengePassword = secret
[extensions]
subjectAltName = DNS:device.example
extendedKeyUsage = clientAuth
[ca]
default_ca = ours
[ours]
database = index
crlnumber = crlnumber
default_md = sha256
default_crl_days = 30
policy = policy
serial = serial
new_certs_dir = .
x509_extensions = usr
default_days = 30
unique_subject = no
[policy]
commonName = supplied
serialNumber = optional
[usr]
basicConstraints = CA:false
";
    bench.put("config", config);
    bench.put("index", "");
    bench.put("crlnumber", "01");
    bench.put("serial", "1000");
    bench.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out device.key");
    bench.run("req -new -config config -key device.key -outform DER -out device.csr");
    let csr = Csr::from_der(&bench.take("device.csr")).unwrap();
    csr.verify_possession().unwrap();
    assert_eq!(csr.challenge_password().as_deref(), Some("secret"));
    assert_eq!(csr.dns_names(), ["device.example"]);
    assert_eq!(csr.ekus(), [oid::CLIENT_AUTH]);
    assert_eq!(csr.subject_serial_number().unwrap().as_str(), "A-1");

    let ca = bench.self_signed("ca", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let by_ca = "-config config -cert ca.pem -keyfile ca.key -batch";
    bench.run("req -in device.csr -inform DER -out device.csr.pem");
    bench.run(&format!("ca {by_ca} -in device.csr.pem -out device.pem -notext"));
    bench.run(&format!("ca {by_ca} -revoke device.pem -crl_reason keyCompromise"));
    bench.run(&format!("ca {by_ca} -gencrl -out crl.pem"));
    let device = Certificate::from_pem(&bench.take_text("device.pem")).unwrap();
    device.verify_issued_by(ca.public_key()).unwrap();
    let crl = Crl::from_pem(&bench.take_text("crl.pem")).unwrap();
    crl.verify_issued_by(ca.public_key()).unwrap();
    assert_eq!(crl.is_revoked(&device).unwrap().reason, landfall_pki::crl::Reason::KeyCompromise);
}

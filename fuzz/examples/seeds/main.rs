//! Writes the corpora anew: `cargo run --package landfall-fuzz --example seeds`.
//!
//! What is good is made by the program's own writers and, where it is there, by openssl; what is bad is a good one with
//! one change. Inputs that once did harm are kept by hand under other names, and stay.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a tool for developers")]

mod attest;
mod dpp;
mod eap;
mod mud;
mod verification;

use base64::{Engine, engine::general_purpose::STANDARD};
use der::{Any, Decode, Encode};
use landfall_brski::{
    audit_log::{AuditLog, Event},
    est::{
        csrattrs::{self, CsrAttrs, Wish},
        multipart::{self, Part},
    },
    media,
    proxy::grasp::Flood,
    telemetry::Status,
    voucher::{self, Assertion, ContentType, Format, Nonce, Payload, SealOptions, Voucher, VoucherRequest},
};
use landfall_pki::{
    Algorithm, AltName, Certificate, CertificateSerial, CrlRequest, CsrRequest, Name, Revoked, Signer,
    attestation::KeyAttestation, cms, crl::Reason, oid,
};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, openssl, temp_dir};
use std::{fs, net::Ipv6Addr, path::PathBuf, process::Command, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

fn main() {
    let world = World { made: Manufacturer::new(), domain: Domain::new() };
    world.words();
    world.certificates();
    world.requests_and_lists();
    world.messages();
    world.vouchers();
    world.est();
    world.openssl();
    dpp::write();
    eap::write();
    mud::write();
    verification::write();
    attest::write();
}

struct World {
    made: Manufacturer,
    domain: Domain,
}

impl World {
    fn words(&self) {
        let accept = [
            "application/voucher-cms+json",
            "*/*",
            "text/html, application/*;q=0.5",
            "application/voucher-jws+json\n*/*;q=0.1",
        ];
        accept.iter().enumerate().for_each(|(i, list)| good("http-accept", &format!("list-{i}"), list));
        bad("http-accept", "other", "application/pkcs10");
        bad("http-accept", "refused", "application/voucher-cms+json;q=0");

        good("json", "all-kinds", r#"{"a":[1,-2,3.5,true,null,"x\u00e9\n"],"b":{"c":{}}}"#);
        bad("json", "duplicate", r#"{"a":1,"b":{"c":2,"c":3}}"#);
        bad("json", "trailing", "{} {}");
        bad("json", "deep", "[".repeat(4096));

        good("telemetry", "success", Status::success().encode());
        good("telemetry", "failure", Status::failure("the voucher is for another device").encode());
        good(
            "telemetry",
            "context",
            r#"{"version":"1","status":false,"reason":"x","reason-context":{"a":[1]},"more":2}"#,
        );
        bad("telemetry", "no-status", r#"{"version":1}"#);
        bad("telemetry", "capitals", r#"{"Version":1,"Status":true}"#);

        let event = |seconds, nonce: Option<&str>| Event {
            date: NOW + Duration::from_secs(seconds),
            domain: self.domain.registrar.certificate.domain_id(),
            nonce: nonce.map(str::to_owned),
            assertion: Assertion::Proximity,
            truncated: 0,
        };
        let events = vec![event(2, Some("bm9uY2U=")), event(1, Some("b3RoZXI=")), event(0, None)];
        good("audit-log", "three", AuditLog::new(events.clone(), 10).encode());
        good("audit-log", "truncated", AuditLog::new(events, 1).encode());
        let empty = String::from_utf8(AuditLog::new(Vec::new(), 1).encode()).expect("text");
        good("audit-log", "strings", empty.replace("\"version\":1", "\"version\":\"1\""));
        bad("audit-log", "no-events", r#"{"version":1}"#);

        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let proxy = Flood::proxy(7, address, 4443).encode();
        good("grasp", "proxy", &proxy);
        good("grasp", "registrar", Flood::registrar(8, address, 8443).encode());
        cut("grasp", "proxy", &proxy);
    }

    fn certificates(&self) {
        let device = self.made.device("SN-0001");
        for algorithm in Algorithm::ALL {
            let device = self.made.device_with("SN-0002", algorithm, |idevid| {
                idevid.mud_url = Some("https://mud.example/model.json".into());
            });
            good("certificate", &format!("idevid-{algorithm}"), device.certificate.der());
        }
        good("certificate", "root", self.made.root.authority.certificate.der());
        good("certificate", "registrar", self.domain.registrar.certificate.der());
        good("certificate", "ldevid", self.domain.ldevid(Name::common("device")).certificate.der());
        cut("certificate", "idevid", device.certificate.der());
        bad("certificate", "trailing", [device.certificate.der(), b"\0"].concat());

        let pem: String = device.chain().iter().map(Certificate::to_pem).collect();
        good("pem", "chain", &pem);
        good("pem", "text-around", format!("subject=x\n\n{pem}\nend\n"));
        bad("pem", "no-end", pem.split("-----END").next().unwrap_or_default());
        bad("pem", "empty", "");
    }

    fn requests_and_lists(&self) {
        let certificates = vec![self.made.issuing.authority.certificate.clone()];
        let attested = KeyAttestation {
            statement: b"\xff\x54\x43\x47\x80\x17".to_vec(),
            signature: vec![0, 0x18, 0, 0x0b],
            public_area: vec![0, 0x23, 0, 0x0b],
            certificates,
        };
        let der = attested.to_der();
        bad("key-attestation", "cut", &der[..der.len() - 1]);
        bad("key-attestation", "nothing", [0x30, 4, 0x30, 0, 0x30, 0]);
        good("key-attestation", "alone", KeyAttestation { certificates: vec![], ..attested }.to_der());
        good("key-attestation", "certificate", der);

        let key = &self.domain.registrar.key;
        let request = CsrRequest {
            subject: Name::common("SN-0001"),
            alt_names: vec![AltName::Dns("device.example".into())],
            challenge_password: Some("c2VjcmV0".to_owned().into()),
            ..CsrRequest::default()
        };
        let csr = |request: &CsrRequest| {
            let prepared = request.prepare(key.public_key(), Algorithm::EcdsaP256);
            prepared.expect("a request").issue(&**key).expect("signed").der().to_vec()
        };
        let full = csr(&request);
        good("csr", "full", &full);
        good("csr", "plain", csr(&CsrRequest { subject: Name::common("SN-0001"), ..CsrRequest::default() }));
        cut("csr", "full", &full);
        bad("csr", "signature", last_byte_changed(&full));

        let issuer = &self.domain.issuing;
        for (name, revoked) in [
            ("empty", Vec::new()),
            ("one", vec![(CertificateSerial::from_random([9; 16]), Revoked { at: NOW, reason: Reason::Superseded })]),
        ] {
            let list = CrlRequest { number: 1, this_update: NOW, next_update: NOW + 7 * DAY, revoked };
            let list = list.prepare(&issuer.authority).expect("a list").issue(&*issuer.key).expect("signed");
            good("crl", name, list.der());
            cut("crl", name, list.der());
        }
    }

    fn messages(&self) {
        let chain = self.domain.registrar.chain();
        let certs = cms::certs_only(&chain);
        good("certs-only", "chain", &certs);
        good("certs-only", "one", cms::certs_only(&chain[..1]));
        cut("certs-only", "chain", &certs);

        let content = br#"{"a":1}"#.to_vec();
        let builder = cms::SignedDataBuilder::new(oid::DATA, content, &chain[0], chain[1..].to_vec());
        let signed = builder.prepare(Some(NOW)).expect("a message").issue(&*self.domain.registrar.key).expect("signed");
        good("cms", "data", &signed);
        cut("cms", "data", &signed);
        bad("cms", "signature", last_byte_changed(&signed));
    }

    fn vouchers(&self) {
        let device = self.made.device("SN-0001");
        let nonce = Nonce::from_random([7; 16]);
        let mut voucher = Voucher::new("SN-0001".parse().expect("a serial number"));
        voucher.created_on = Some(NOW);
        voucher.assertion = Some(Assertion::Proximity);
        voucher.nonce = Some(nonce.clone());
        voucher.idevid_issuer = device.certificate.idevid_issuer();
        voucher.pinned_domain_cert = Some(self.domain.issuing.authority.certificate.clone());
        let mut nonceless = voucher.clone();
        nonceless.nonce = None;
        nonceless.assertion = Some(Assertion::Logged);
        nonceless.expires_on = Some(NOW + DAY);

        for (name, voucher) in [("nonced", &voucher), ("nonceless", &nonceless)] {
            good("voucher-json", name, voucher.to_json());
            good("voucher-cbor", name, voucher.to_cbor().expect("CBOR"));
            for (corpus, format) in FORMATS {
                good(corpus, name, seal(format, voucher, &self.made.masa, SealOptions::default()));
            }
        }
        let json = String::from_utf8(voucher.to_json()).expect("text");
        bad("voucher-json", "two-nonces", json.replacen("\"nonce\"", "\"nonce\":\"x\",\"nonce\"", 1));
        bad("voucher-json", "no-serial", json.replace("serial-number", "serial-numbers"));
        cut("voucher-cbor", "nonced", &voucher.to_cbor().expect("CBOR"));
        for (corpus, format) in FORMATS {
            let sealed = seal(format, &voucher, &self.made.masa, SealOptions::default());
            cut(corpus, "nonced", &sealed);
        }
        let data = SealOptions { content_type: ContentType::Data };
        good("voucher-cms", "id-data", seal(Format::CmsJson, &voucher, &self.made.masa, data));
        let raw = seal(Format::CmsJson, &voucher, &self.made.masa, SealOptions::default());
        bad("voucher-cms", "signature", last_byte_changed(&raw));
        good("voucher-cms", "base64", STANDARD.encode(&raw));

        let mut request = VoucherRequest::new("SN-0001".parse().expect("a serial number"));
        request.created_on = Some(NOW);
        request.assertion = Some(Assertion::Proximity);
        request.nonce = Some(nonce);
        request.proximity_registrar_cert = Some(self.domain.registrar.certificate.clone());
        let prior = seal(Format::CmsJson, &request, &device, SealOptions::default());
        let mut registrars = request.clone();
        registrars.proximity_registrar_cert = None;
        registrars.prior_signed_voucher_request = Some(prior.clone());
        registrars.idevid_issuer = device.certificate.idevid_issuer();
        let sealed = seal(Format::CmsJson, &registrars, &self.domain.registrar, SealOptions::default());
        good("request-json", "pledge", request.to_json());
        good("request-json", "registrar", registrars.to_json());
        good("request-cms", "pledge", &prior);
        good("request-cms", "registrar", &sealed);
        cut("request-cms", "registrar", &sealed);
        bad("request-cms", "signature", last_byte_changed(&prior));
        let json = String::from_utf8(request.to_json()).expect("text");
        bad("request-json", "certificate", json.replace("MII", "AII"));
    }

    fn est(&self) {
        good("est-path", "plain", "/.well-known/est/simpleenroll");
        good("est-path", "label", "/.well-known/est/plant-7/cacerts");
        bad("est-path", "two-labels", "/.well-known/est/plant/7/cacerts");
        bad("est-path", "operation-as-label", "/.well-known/est/cacerts/cacerts");

        let der = self.domain.registrar.certificate.der();
        let text = STANDARD.encode(der);
        good("est-body", "one-line", &text);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("text")).collect();
        good("est-body", "lines", lines.join("\r\n"));
        good("est-body", "armour", self.domain.registrar.certificate.to_pem());
        good("est-body", "der", der);
        bad("est-body", "empty", "");
        bad("est-body", "other-alphabet", format!("{}-_", &text[..64]));

        let curve = Any::from_der(&oid::P256.to_der().expect("DER")).expect("a value");
        let wishes = vec![
            Wish::Oid(csrattrs::CHALLENGE_PASSWORD),
            Wish::Attribute { oid: csrattrs::EC_PUBLIC_KEY, values: vec![curve] },
        ];
        let wishes = CsrAttrs(wishes).to_der().expect("DER");
        good("est-csrattrs", "binding-and-curve", &wishes);
        good("est-csrattrs", "none", CsrAttrs::default().to_der().expect("DER"));
        cut("est-csrattrs", "binding-and-curve", &wishes);

        let part = |content_type: &str, der: &[u8]| Part { content_type: content_type.into(), der: der.into() };
        let key = self.domain.registrar.key.to_pkcs8_der();
        let certificates = cms::certs_only(&self.domain.registrar.chain());
        let both = [part(media::PKCS8, key.expose()), part(media::PKCS7_CERTS_ONLY, &certificates)];
        let answer = |parts: &[Part]| {
            let (content_type, body) = multipart::encode(parts);
            [content_type.as_bytes(), b"\n", &body].concat()
        };
        good("est-keygen", "both", answer(&both));
        bad("est-keygen", "no-key", answer(&both[1..]));
        cut("est-keygen", "both", &answer(&both));

        let urls = ["masa.example", "https://masa.example:8443/.well-known/brski", "[2001:db8::1]:9443", "192.0.2.1/x"];
        urls.iter().enumerate().for_each(|(i, url)| good("masa-url", &format!("{i}"), url));
        bad("masa-url", "http", "http://masa.example/");
        bad("masa-url", "user", "https://user@masa.example/");
        bad("masa-url", "port", "masa.example:99999");
    }

    /// What openssl writes differs in ways that matter: BER of indefinite length, other orders, RSA.
    fn openssl(&self) {
        let (Some(openssl), dir) = (openssl(), temp_dir()) else { return };
        let run = |arguments: &str| {
            let done =
                Command::new(&openssl).args(arguments.split(' ')).current_dir(dir.path()).output().expect("openssl");
            assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
        };
        let made = |name: &str| fs::read(dir.path().join(name)).expect("what openssl made");
        fs::write(dir.path().join("content"), br#"{"a":1}"#).expect("a file");
        run("req -x509 -newkey rsa:2048 -nodes -subj /CN=rsa -days 3650 -keyout key -out cert");
        run("x509 -in cert -outform DER -out cert.der");
        good("certificate", "openssl-rsa", made("cert.der"));
        run("req -new -key key -subj /CN=rsa/serialNumber=1 -outform DER -out csr");
        good("csr", "openssl-rsa", made("csr"));
        run("cms -sign -binary -nodetach -stream -signer cert -inkey key -in content -outform DER -out streamed");
        good("cms", "openssl-streamed", made("streamed"));
        run("cms -sign -binary -nodetach -nosmimecap -signer cert -inkey key -in content -outform DER -out signed");
        good("cms", "openssl-rsa", made("signed"));
        run("req -x509 -newkey rsa:2048 -nodes -subj /CN=other -days 3650 -keyout other-key -out other");
        let both = "-signer cert -inkey key -signer other -inkey other-key";
        run(&format!("cms -sign -binary -nodetach {both} -in content -outform DER -out two"));
        bad("cms", "two-signers", made("two"));
        run("crl2pkcs7 -nocrl -certfile cert -outform DER -out certs");
        good("certs-only", "openssl", made("certs"));
    }
}

const FORMATS: [(&str, Format); 3] =
    [("voucher-cms", Format::CmsJson), ("voucher-jws", Format::JwsJson), ("voucher-cose", Format::CoseCbor)];

fn seal<T: Payload>(format: Format, payload: &T, signer: &Identity, options: SealOptions) -> Vec<u8> {
    let unsealed = voucher::prepare(format, payload, &signer.certificate, &signer.intermediates, options);
    let unsealed = unsealed.expect("an artefact");
    let signature = signer.sign(unsealed.to_be_signed());
    unsealed.seal(&signature).expect("a sealed artefact")
}

fn good(corpus: &str, name: &str, input: impl AsRef<[u8]>) {
    write(corpus, &format!("good-{name}"), input.as_ref());
}

fn bad(corpus: &str, name: &str, input: impl AsRef<[u8]>) {
    write(corpus, &format!("bad-{name}"), input.as_ref());
}

/// A good input without its end.
fn cut(corpus: &str, name: &str, input: &[u8]) {
    bad(corpus, &format!("{name}-cut"), &input[..input.len() * 3 / 4]);
}

fn last_byte_changed(input: &[u8]) -> Vec<u8> {
    let mut changed = input.to_vec();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    changed
}

fn write(corpus: &str, name: &str, input: &[u8]) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(corpus);
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join(name), input).expect("a file");
    println!("{corpus}/{name}: {} bytes", input.len());
}

//! openssl's TLS client against the registrar.

use super::{
    lab::{Lab, Setup, records},
    pledge::vouched,
    shell::said,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::est::binding::Linked;
use landfall_pki::{Algorithm, CsrRequest, Name, Signer, SoftwareKey};
use landfall_server::registrar::CertificateRecord;
use landfall_testkit::openssl;
use landfall_types::Redacted;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_client_sees_the_registrar_and_its_chain() {
    let Some(openssl) = openssl() else { return };
    let lab = Lab::start().await;
    let folder = &lab.folder;
    folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
    folder.put_identity("idevid", &lab.manufacturer.device("A-1"));
    folder.put_identity("stranger", &landfall_testkit::Manufacturer::new().device("B-1"));
    let connect = lab.registrar.to_string();
    let ask = |version: &str, client: &str| {
        let (certificate, key) = (format!("{client}.pem"), format!("{client}.key"));
        let fixed = ["s_client", "-connect", &connect, "-CAfile", "domain.pem", "-verify_return_error", "-showcerts"];
        let own = ["-cert", &certificate, "-cert_chain", &certificate, "-key", &key, version];
        folder.try_run(&openssl, &[&fixed[..], &own].concat())
    };
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        // A stranger's certificate is taken in TLS and refused by BRSKI, which can say why (RFC 8995 s5.3).
        for client in ["idevid", "stranger"] {
            let output = ask(version, client);
            let said = said(&output);
            assert!(output.status.success() && said.contains("Verify return code: 0 (ok)"), "{version}: {said}");
            assert!(said.contains(&format!("New, {name}, Cipher is")), "{version}: {said}");
            // The registrar and its CA, and no hint about who may come.
            assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2, "{said}");
            assert!(said.contains("No client certificate CA names sent"), "{said}");
        }
    }
    for version in ["-tls1", "-tls1_1"] {
        assert!(!ask(version, "idevid").status.success(), "{version}");
    }
}

/// RFC 9266 at work between two implementations: openssl exports the connection's key material, and a request that
/// carries it is linked to the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_client_and_the_registrar_export_the_same_binding() {
    let Some(openssl) = openssl() else { return };
    let mut setup = Setup::new();
    setup.registrar.est.require_binding = true;
    let lab = setup.start().await;
    let device = lab.manufacturer.device("A-1");
    vouched(&lab, &device).await;
    lab.folder.put_identity("idevid", &device);
    let address = lab.registrar.to_string();
    let mut client = Command::new(openssl)
        .args(["s_client", "-connect", &address, "-tls1_3", "-cert", "idevid.pem", "-key", "idevid.key"])
        .args(["-cert_chain", "idevid.pem", "-nocommands", "-keymatexport", "EXPORTER-Channel-Binding"])
        .args(["-keymatexportlen", "32"])
        .current_dir(lab.folder.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines().map(Result::unwrap);
    let exported = lines.find_map(|line| line.trim().strip_prefix("Keying material: ").map(str::to_owned)).unwrap();

    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let binding = STANDARD.encode(hex::decode(exported).unwrap());
    let request =
        CsrRequest { challenge_password: Some(Redacted::new(binding)), ..CsrRequest::new(Name::common("A-1")) };
    let csr = request.prepare(key.public_key(), Algorithm::EcdsaP256).unwrap().issue(&key).unwrap();
    let body = STANDARD.encode(csr.der());
    let head = "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let length = body.len();
    let text = format!("{head}Content-Type: application/pkcs10\r\nContent-Length: {length}\r\n\r\n{body}");
    client.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    let status = lines.find(|line| line.starts_with("HTTP/1.1")).unwrap();
    assert!(status.contains("200"), "{status}: {:?}", lab.refused_by_registrar().await);
    drop(client.stdin.take());
    client.wait().unwrap();
    let issued = records::<CertificateRecord>(&lab.registrar_world).pop().unwrap();
    assert_eq!(issued.issued.linked, Linked::Proven);
}

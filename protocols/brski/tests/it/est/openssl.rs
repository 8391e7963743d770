//! What openssl makes is read here, and what is made here openssl reads.

use super::world::{Case, SERIAL, World};
use landfall_brski::est::{Operation, body, client};
use landfall_testkit::{openssl, temp_dir};
use std::{fs, path::Path, process::Command};

fn run(program: &Path, dir: &Path, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn requests_made_by_openssl_are_certified() {
    let Some(openssl) = openssl() else { return };
    let dir = temp_dir();
    let requests = [
        format!("-newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /serialNumber={SERIAL}"),
        format!("-newkey ec -pkeyopt ec_paramgen_curve:P-384 -subj /CN={SERIAL}/O=Somewhere"),
        format!("-newkey rsa:2048 -subj /serialNumber={SERIAL} -addext subjectAltName=DNS:lamp.devices.example"),
        format!("-newkey rsa:2048 -subj /serialNumber={SERIAL} -addext keyUsage=digitalSignature,keyEncipherment"),
    ];
    for arguments in requests {
        let mut world = World::new();
        run(&openssl, dir.path(), &format!("req -new -nodes -keyout key.pem -out csr.pem {arguments}"));
        let mut case = world.case();
        case.request.body = fs::read(dir.path().join("csr.pem")).unwrap();
        let ran = world.run(case);
        assert_eq!(ran.response().status, 200, "{arguments}: {:?}", ran.outcome);
        let der = body::decode(&ran.response().body).unwrap();
        fs::write(dir.path().join("answer.p7b"), der).unwrap();
        let shown = run(&openssl, dir.path(), "pkcs7 -inform DER -in answer.p7b -print_certs");
        assert!(
            shown.contains(&format!("serialNumber={SERIAL}")) || shown.contains(&format!("serialNumber = {SERIAL}")),
            "{shown}"
        );
    }
}

#[test]
fn the_issued_certificate_verifies_with_openssl() {
    let Some(openssl) = openssl() else { return };
    let (dir, mut world) = (temp_dir(), World::new());
    let ran = world.run(world.case());
    fs::write(dir.path().join("ldevid.pem"), super::server::certificate(ran.response()).to_pem()).unwrap();
    fs::write(dir.path().join("root.pem"), world.domain.root.authority.certificate.to_pem()).unwrap();
    fs::write(dir.path().join("issuing.pem"), world.domain.issuing.authority.certificate.to_pem()).unwrap();
    let time = landfall_testkit::NOW.as_unix();
    let arguments = format!(
        "verify -x509_strict -attime {time} -purpose sslclient -CAfile root.pem -untrusted issuing.pem ldevid.pem"
    );
    assert!(run(&openssl, dir.path(), &arguments).contains("ldevid.pem: OK"));
}

#[test]
fn a_bag_made_by_openssl_is_read() {
    let Some(openssl) = openssl() else { return };
    let (dir, world) = (temp_dir(), World::new());
    let certificates = [&world.domain.root.authority.certificate, &world.domain.issuing.authority.certificate];
    let text: String = certificates.iter().map(|certificate| certificate.to_pem()).collect();
    fs::write(dir.path().join("all.pem"), text).unwrap();
    run(&openssl, dir.path(), "crl2pkcs7 -nocrl -certfile all.pem -out bag.pem");
    let bag = fs::read(dir.path().join("bag.pem")).unwrap();
    let response = landfall_types::http::Response::with(200, "application/pkcs7-mime", bag);
    let read = client::read_cacerts(&response).unwrap();
    assert!(certificates.into_iter().all(|certificate| read.contains(certificate)));
}

#[test]
fn the_bag_that_is_told_is_read_by_openssl() {
    let Some(openssl) = openssl() else { return };
    let (dir, mut world) = (temp_dir(), World::new());
    let case = world.case();
    let ran = world.run(Case { operation: Operation::CaCerts, request: client::cacerts(None), ..case });
    fs::write(dir.path().join("cacerts.p7b"), body::decode(&ran.response().body).unwrap()).unwrap();
    let shown = run(&openssl, dir.path(), "pkcs7 -inform DER -in cacerts.p7b -print_certs");
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 2);
}

//! strongSwan's `pki` as an EST client.

use super::{
    lab::{Lab, records},
    pledge::vouched,
    shell::{Folder, said},
};
use landfall_pki::Certificate;
use landfall_server::registrar::CertificateRecord;
use landfall_testkit::{current_test, openssl, skip, tool};
use std::path::{Path, PathBuf};

/// `pki`, if it is there and has the plugins that it needs.
fn pki() -> Option<PathBuf> {
    let program = tool("pki")?;
    let help = Folder::new().try_run(&program, &["--est", "--help"]);
    match said(&help).contains("EST server") {
        true => Some(program),
        false => {
            skip(&current_test(), "this pki knows no EST: strongSwan 5.9.8 is the first that does");
            None
        }
    }
}

/// Runs `pki`, which needs its plugin that fetches by HTTPS.
fn run(folder: &Folder, pki: &Path, line: &str) -> Option<String> {
    let output = folder.try_run(pki, &line.split_whitespace().collect::<Vec<_>>());
    let said = said(&output);
    if said.contains("unable to fetch from") && said.contains("no capable fetcher found") {
        skip(&current_test(), "strongSwan's curl plugin is missing: libstrongswan-extra-plugins");
        return None;
    }
    assert!(output.status.success(), "pki {line}: {said}");
    Some(said)
}

/// A request for device A-1 with a new key: `NAME.csr`, `NAME.key`.
fn request(folder: &Folder, openssl: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let subject = "-subj /CN=A-1/serialNumber=A-1";
    folder.run(openssl, &format!("req -new {key} -keyout {name}.key -outform DER -out {name}.csr {subject}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estca_fetches_the_cas() {
    let Some(pki) = pki() else { return };
    let lab = Lab::start().await;
    lab.folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
    let url = format!("https://localhost:{}", lab.registrar.port());
    let line = format!("--estca --url {url} --cacert domain.pem --caout ca.pem --outform pem");
    let Some(said) = run(&lab.folder, &pki, &line) else { return };
    for ca in [&lab.domain.root.authority.certificate, &lab.domain.issuing.authority.certificate] {
        assert!(said.contains(&ca.common_name().unwrap()), "{said}");
    }
    let root = Certificate::from_pem(&lab.folder.take_text("ca.pem")).unwrap();
    assert_eq!(root, lab.domain.root.authority.certificate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn est_renews_a_certificate() {
    let (Some(pki), Some(openssl)) = (pki(), openssl()) else { return };
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    vouched(&lab, &device).await;
    let (folder, url) = (&lab.folder, format!("https://localhost:{}", lab.registrar.port()));
    folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
    folder.put("issuing.pem", lab.domain.issuing.authority.certificate.to_pem());
    folder.put_identity("idevid", &device);

    // strongSwan has no way to a first certificate here (see the tests below), so curl gets it.
    request(folder, &openssl, "first");
    let Some(curl) = super::curl::Curl::new(&lab) else { return };
    let own = ["--cert", "idevid.pem", "--key", "idevid.key", "--header", "Content-Type: application/pkcs10"];
    let answer =
        curl.registrar("/.well-known/est/simpleenroll", &[&own[..], &["--data-binary", "@first.csr"]].concat());
    folder.put("first.p7", answer.der());
    folder.run(&openssl, "pkcs7 -inform DER -in first.p7 -print_certs -out first.pem");

    request(folder, &openssl, "second");
    let line = format!(
        "--est --url {url} --in second.csr --cacert domain.pem --cacert issuing.pem --cert first.pem --key first.key \
         --outform pem"
    );
    let Some(said) = run(folder, &pki, &line) else { return };
    let begin = said.find("-----BEGIN CERTIFICATE").unwrap_or_else(|| panic!("{said}"));
    let end = said.find("-----END CERTIFICATE-----").unwrap() + 25;
    folder.put("second.pem", &said[begin..end]);
    folder.run(&openssl, "verify -CAfile domain.pem -untrusted issuing.pem second.pem");
    let issued = records::<CertificateRecord>(&lab.registrar_world);
    assert_eq!(issued.len(), 2);
    assert_eq!(issued.iter().filter(|record| record.issued.operation.as_str() == "simplereenroll").count(), 1);
}

/// RFC 7030 s4.2.2: strongSwan takes every certificate that it has for the old one, which an IDevID is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn est_with_an_idevid_is_refused() {
    let (Some(pki), Some(openssl)) = (pki(), openssl()) else { return };
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    vouched(&lab, &device).await;
    let (folder, url) = (&lab.folder, format!("https://localhost:{}", lab.registrar.port()));
    folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
    folder.put("device-ca.pem", lab.manufacturer.issuing.authority.certificate.to_pem());
    folder.put("device.pem", device.certificate.to_pem());
    folder.put_identity("idevid", &device);
    request(folder, &openssl, "new");
    let line = format!(
        "--est --url {url} --in new.csr --cacert domain.pem --cacert device-ca.pem --cert device.pem --key idevid.key"
    );
    let output = folder.try_run(&pki, &line.split_whitespace().collect::<Vec<_>>());
    assert!(!output.status.success(), "{}", said(&output));
    assert_eq!(lab.refused_by_registrar().await, ["reenroll-certificate"]);
}

/// Without an old certificate, strongSwan speaks HTTP Basic, which is no way for a device to come in: refused, and both
/// sides say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn est_without_a_certificate_is_refused() {
    let (Some(pki), Some(openssl)) = (pki(), openssl()) else { return };
    let lab = Lab::start().await;
    let (folder, url) = (&lab.folder, format!("https://localhost:{}", lab.registrar.port()));
    folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
    request(folder, &openssl, "new");
    let line = format!("--est --url {url} --in new.csr --cacert domain.pem --userpass user:password");
    let output = folder.try_run(&pki, &line.split_whitespace().collect::<Vec<_>>());
    assert!(!output.status.success(), "{}", said(&output));
    assert_eq!(lab.refused_by_registrar().await, ["client-missing"]);
    assert!(records::<CertificateRecord>(&lab.registrar_world).is_empty());
}

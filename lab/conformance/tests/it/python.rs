//! Python: pyca/cryptography reads what is made here, and its TLS binds requests to connections.

use super::{
    lab::{Lab, Setup, records},
    pledge::vouched,
    shell::said,
};
use landfall_brski::est::binding::Linked;
use landfall_server::registrar::{CRL_PATH, CertificateRecord};
use landfall_testkit::{current_test, skip, tool};
use std::path::PathBuf;

const READ: &str = include_str!("read.py");
const BIND: &str = include_str!("bind.py");
const JWS: &str = include_str!("jws.py");

/// Python with pyca/cryptography.
pub(super) fn python() -> Option<PathBuf> {
    let program = tool("python3")?;
    let there = super::shell::Folder::new().try_run(&program, &["-c", "import cryptography"]);
    if !there.status.success() {
        skip(&current_test(), "python3-cryptography is not installed");
        return None;
    }
    Some(program)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pyca_reads_what_is_made_here() {
    let Some(python) = python() else { return };
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    lab.onboard(&device).await;
    let Some(curl) = super::curl::Curl::new(&lab) else { return };
    let folder = &lab.folder;
    folder.put("cacerts.der", curl.registrar("/.well-known/est/cacerts", &[]).der());
    let crl = curl.registrar(CRL_PATH, &[]);
    assert_eq!((crl.status, crl.field("content-type")), (200, Some("application/pkix-crl")));
    folder.put("crl.der", crl.body);
    let issued = records::<CertificateRecord>(&lab.registrar_world).pop().unwrap();
    folder.put("csr.der", &issued.issued.csr);
    folder.put("ldevid.der", &issued.issued.certificate);
    folder.put("idevid.der", device.certificate.der());
    folder.put("device-ca.der", lab.manufacturer.issuing.authority.certificate.der());
    folder.put("issuing.der", lab.domain.issuing.authority.certificate.der());
    folder.put("registrar.der", lab.domain.registrar.certificate.der());
    let output = folder.try_run(&python, &["-c", READ, &lab.manufacturer.masa_url]);
    assert!(output.status.success(), "{}", said(&output));
}

/// The JWS form of vouchers, which openssl does not know: all three artefacts of a real onboarding.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pyca_verifies_a_real_onboarding_in_jws() {
    let Some(python) = python() else { return };
    let lab = Lab::start().await;
    lab.onboard_in(landfall_device::Form::Jws, &lab.manufacturer.device("A-1")).await;
    let folder = &lab.folder;
    folder.put("manufacturer.pem", lab.manufacturer.root.authority.certificate.to_pem());
    folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
    folder.put("registrar-voucher-request.jws", lab.registrar_request());
    for (file, anchor, top) in [
        ("evidence-A-1/pledge-voucher-request.jws", "manufacturer.pem", "ietf-voucher-request:voucher"),
        ("registrar-voucher-request.jws", "domain.pem", "ietf-voucher-request:voucher"),
        ("evidence-A-1/voucher.jws", "manufacturer.pem", "ietf-voucher:voucher"),
    ] {
        let output = folder.try_run(&python, &["-c", JWS, file, anchor]);
        assert!(output.status.success(), "{file}: {}", said(&output));
        let content: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(content[top]["serial-number"], "A-1", "{file}");
        assert_eq!(content[top]["assertion"], "proximity", "{file}");
    }
}

/// RFC 7030 s3.5: a request with tls-unique in its challengePassword, over TLS 1.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_bound_to_its_connection() {
    let Some(python) = python() else { return };
    for required in [true, false] {
        let mut setup = Setup::new();
        setup.registrar.est.require_binding = required;
        let lab = setup.start().await;
        let device = lab.manufacturer.device("A-1");
        vouched(&lab, &device).await;
        lab.folder.put_identity("idevid", &device);
        lab.folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
        let port = lab.registrar.port().to_string();
        let ask = |binding: &str| {
            let output = lab.folder.try_run(&python, &["-c", BIND, &port, binding]);
            assert!(output.status.success(), "{}", said(&output));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        assert_eq!(ask("of-another-connection"), "400");
        assert_eq!(ask("none"), if required { "400" } else { "200" });
        assert_eq!(ask("of-this-connection"), "200");
        let refused = lab.refused_by_registrar().await;
        assert_eq!(refused, if required { &["csr-binding", "csr-binding-missing"][..] } else { &["csr-binding"] });
        let linked: Vec<_> =
            records::<CertificateRecord>(&lab.registrar_world).iter().map(|record| record.issued.linked).collect();
        assert_eq!(linked.iter().filter(|linked| **linked == Linked::Proven).count(), 1, "{linked:?}");
    }
}

/// RFC 9266: the device's own client binds by tls-exporter over TLS 1.3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_device_binds_by_itself() {
    let mut setup = Setup::new();
    setup.registrar.est.require_binding = true;
    let lab = setup.start().await;
    lab.onboard(&lab.manufacturer.device("A-1")).await;
    let issued = records::<CertificateRecord>(&lab.registrar_world).pop().unwrap();
    assert_eq!(issued.issued.linked, Linked::Proven);
}

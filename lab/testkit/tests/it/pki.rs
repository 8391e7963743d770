//! The test PKI holds what it promises.

use landfall_pki::{Anchors, Name};
use landfall_pki::{PathPolicy, key::Algorithm, oid, validate};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW, openssl, temp_dir};
use std::{fs, process::Command};

fn leads_to(identity: &Identity, anchors: &Anchors) -> bool {
    validate(&identity.certificate, &identity.intermediates, anchors, &PathPolicy::at(NOW)).is_ok()
}

#[test]
fn devices_lead_to_their_manufacturer_and_nowhere_else() {
    let (made, domain) = (Manufacturer::new(), Domain::new());
    for algorithm in Algorithm::ALL {
        let device = made.device_with("SN-1", algorithm, |_| {});
        assert!(leads_to(&device, &made.device_anchors()));
        assert!(!leads_to(&device, &domain.anchors()));
        assert!(!leads_to(&device, &Manufacturer::new().device_anchors()), "another of the same name");
    }
    let device = made.device("SN-1").certificate;
    assert_eq!(device.subject_serial_number().unwrap().as_str(), "SN-1");
    assert_eq!(device.masa_url().as_deref(), Some("masa.example"));
}

#[test]
fn a_domain_has_a_registrar_and_an_impostor() {
    let domain = Domain::new();
    let impostor = domain.impostor("registrar.example");
    assert!(leads_to(&domain.registrar, &domain.anchors()) && leads_to(&impostor, &domain.anchors()));
    assert!(domain.registrar.certificate.has_eku(oid::CMC_RA));
    assert!(!impostor.certificate.has_eku(oid::CMC_RA));
    assert!(leads_to(&domain.ldevid(Name::common("device")), &domain.anchors()));
    assert!(leads_to(&domain.operator("someone"), &domain.anchors()));
}

#[test]
fn openssl_agrees() {
    let Some(openssl) = openssl() else { return };
    let (made, domain, dir) = (Manufacturer::new(), Domain::new(), temp_dir());
    let cases = [
        (&made.root, made.device("SN-1")),
        (&made.root, made.masa.clone()),
        (&made.root, made.masa_server("masa.example")),
        (&domain.root, domain.registrar.clone()),
        (&domain.root, domain.ldevid(Name::common("device"))),
    ];
    for (root, identity) in cases {
        let file = |name: &str, pem: String| {
            let path = dir.path().join(name);
            fs::write(&path, pem).unwrap();
            path
        };
        let leaf = file("leaf", identity.certificate.to_pem());
        let anchor = file("anchor", root.root_certificate().to_pem());
        let between = file("between", identity.intermediates.iter().map(|c| c.to_pem()).collect());
        let mut verify = Command::new(&openssl);
        verify.args(["verify", "-x509_strict", "-attime", &NOW.as_unix().to_string(), "-CAfile"]).arg(anchor);
        if !identity.intermediates.is_empty() {
            verify.arg("-untrusted").arg(between);
        }
        let output = verify.arg(leaf).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

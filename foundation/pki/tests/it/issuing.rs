//! Prepare, lint, token, sign.

use super::world::{Hierarchy, domain, issue, key, now, serial, validity};
use der::{Decode, Encode};
use landfall_pki::{
    Algorithm, Certificate, CertificateSerial, Name, PkiError, Signer, SoftwareKey, Validity,
    lint::{self, Severity},
    profile::{Ca, HardwareModule, Idevid, Ldevid, Masa, Operator, RegistrarRa, Server},
};
use x509_cert::ext::pkix::{
    SubjectAltName,
    name::{GeneralName, HardwareModuleName},
};

#[test]
fn every_profile_passes_its_lints_with_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let domain = Hierarchy::new("Example", algorithm);
        let key = SoftwareKey::generate(algorithm).unwrap();
        let (subject, names) = (Name::common("x"), vec![landfall_pki::AltName::Dns("x.example".into())]);
        let (ca, public) = (&domain.issuing, key.public_key());
        let idevid = Idevid {
            serial_number: "A-1".parse().unwrap(),
            subject: Name::new().country("DE").organization("Example").organizational_unit("Lamps"),
            masa_url: Some("masa.example.com:9443".into()),
            mud_url: Some("https://mud.example.com/lamp".into()),
            mud_signer: Some(Name::common("mud signer")),
            hardware_module: Some(HardwareModule { kind: "1.3.6.1.4.1.32473.1".parse().unwrap(), serial: vec![1, 2] }),
            policies: vec![landfall_pki::oid::TPM_RESIDENCY, landfall_pki::oid::TPM_FIXED],
        };
        let made = [
            issue(idevid.prepare(ca, public, serial(), Validity::forever(now())), &domain.key),
            domain.ldevid(&key),
            domain.registrar(&key),
            domain.masa(&key),
            issue(
                Server { subject: subject.clone(), alt_names: names }.prepare(ca, public, serial(), validity()),
                &domain.key,
            ),
            issue(Operator { subject }.prepare(ca, public, serial(), validity()), &domain.key),
            domain.root.clone(),
            domain.intermediate.clone(),
            domain.issuing.certificate.clone(),
        ];
        for certificate in made {
            let worst = lint::certificate(&certificate).into_iter().max_by_key(|f| f.severity);
            assert!(worst.is_none(), "{algorithm} {certificate:?}: {worst:?}");
        }
    }
}

/// However long the length before it is: it grows by the signature.
#[test]
fn what_was_issued_is_what_is_read() {
    for algorithm in Algorithm::ALL {
        let key = SoftwareKey::generate(algorithm).unwrap();
        for length in 1..64 {
            let ca = Ca::root(Name::common(&"x".repeat(length)));
            let made = issue(ca.prepare_root(key.public_key(), serial(), validity()), &key);
            let read = Certificate::from_der(made.der()).unwrap();
            let parts = |certificate: &Certificate| {
                let slices = [
                    certificate.tbs_der(),
                    certificate.serial(),
                    certificate.issuer_der(),
                    certificate.validity_der(),
                    certificate.subject_der(),
                    certificate.signature(),
                ];
                (slices.map(<[u8]>::to_vec), certificate.fingerprint(), certificate.not_after())
            };
            assert_eq!(parts(&made), parts(&read));
            read.verify_issued_by(key.public_key()).unwrap();
        }
    }
}

#[test]
fn mud_and_module_are_read_back() {
    let domain = domain();
    let idevid = Idevid {
        mud_url: Some("https://mud.example.com/lamp".into()),
        mud_signer: Some(Name::common("mud signer")),
        hardware_module: Some(HardwareModule { kind: "1.3.6.1.4.1.32473.1".parse().unwrap(), serial: vec![1, 2] }),
        ..Idevid::new("A-1".parse().unwrap())
    };
    let prepared = idevid.prepare(&domain.issuing, key().public_key(), serial(), Validity::forever(now()));
    let idevid = issue(prepared, &domain.key);
    assert_eq!(idevid.mud_url().as_deref(), Some("https://mud.example.com/lamp"));
    assert_eq!(idevid.mud_signer().as_deref(), Some("CN=mud signer"));
    // Another decoder reads the module's name too.
    let decoded = x509_cert::Certificate::from_der(idevid.der()).unwrap();
    let alt_names = decoded.tbs_certificate().get_extension::<SubjectAltName>().unwrap().unwrap().1.0;
    let [GeneralName::OtherName(name)] = alt_names.as_slice() else { panic!("{alt_names:?}") };
    let module = HardwareModuleName::from_der(&name.value.to_der().unwrap()).unwrap();
    assert_eq!(
        (module.hw_type.to_string().as_str(), module.hw_serial_num.as_bytes()),
        ("1.3.6.1.4.1.32473.1", &[1, 2][..])
    );
}

#[test]
fn a_wrong_certificate_gets_no_token() {
    let domain = domain();
    let key = key();
    let upside_down = Validity { not_before: now(), not_after: now() - super::world::YEAR };
    let prepared =
        Masa { subject: Name::common("masa") }.prepare(&domain.issuing, key.public_key(), serial(), upside_down);
    let findings = prepared.unwrap().lint().unwrap_err();
    assert_eq!(findings[0].lint, "validity-order");
    assert_eq!(findings[0].severity, Severity::Error);

    let profile = Ldevid {
        subject: Name::common("x"),
        alt_names: vec![],
        purposes: vec![landfall_pki::oid::CMC_RA],
        crl_url: None,
    };
    let findings =
        profile.prepare(&domain.issuing, key.public_key(), serial(), validity()).unwrap().lint().unwrap_err();
    assert!(findings.iter().any(|f| f.lint == "ra-purpose-only-for-registrars"));
}

#[test]
fn a_signature_of_another_key_makes_no_certificate() {
    let (domain, key) = (domain(), key());
    let profile = RegistrarRa { subject: Name::common("r"), alt_names: vec![] };
    let token = || profile.prepare(&domain.issuing, key.public_key(), serial(), validity()).unwrap().lint().unwrap();
    token().issue(&domain.key).unwrap();
    assert_eq!(token().issue(&key), Err(PkiError::BadSignature("certificate")));
    assert!(token().sign(b"no signature").is_err());
}

#[test]
fn serial_numbers() {
    assert_eq!(CertificateSerial::from_random([0xff; 16]).as_bytes()[0], 0x7f);
    assert_eq!(CertificateSerial::from_random([0; 16]).as_bytes().len(), 16);
    assert_ne!(serial(), serial());
    CertificateSerial::from_bytes(&[0x80]).unwrap_err();
    CertificateSerial::from_bytes(&[0]).unwrap_err();
    CertificateSerial::from_bytes(&[1; 21]).unwrap_err();
    let serial = serial();
    let ca = Ca::root(Name::common("ca"));
    let key = key();
    let root = issue(ca.prepare_root(key.public_key(), serial.clone(), validity()), &key);
    assert_eq!((CertificateSerial::of(&root), root.serial_hex()), (serial.clone(), serial.to_hex()));
}

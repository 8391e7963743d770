//! Devices whose keys come from elsewhere.

use super::{Place, chains_to, product};
use landfall_element::seed;
use landfall_lifecycle::factory::{FactoryDevice, Method};
use landfall_pki::{Anchors, Certificate, Signer, SoftwareKey};
use landfall_server::factory::FactoryError;
use landfall_testkit::{Domain, Manufacturer};
use landfall_types::{DeviceBundle, Redacted, SerialNumber};

fn refused(result: Result<DeviceBundle, FactoryError>) -> String {
    match result {
        Err(FactoryError::Refused(refusal)) => refusal.check.into_owned(),
        other => panic!("{other:?}"),
    }
}

fn serial(text: &str) -> SerialNumber {
    text.parse().unwrap()
}

#[test]
fn a_device_with_a_pre_provisioned_element_is_taken_in_once() {
    let (place, elements) = (Place::new(), Manufacturer::new());
    let factory = place.factory();
    let (model, anchors) = ("THERMOSTAT-1".parse().unwrap(), elements.device_anchors());
    let made = elements.device("SE-0001");
    let adopt = |of: &Certificate| factory.adopt(&model, of, &made.intermediates, &anchors);
    let bundle = adopt(&made.certificate).unwrap();
    assert_eq!((bundle.serial_number.as_str(), bundle.key.is_none()), ("SE-0001", true));
    assert_eq!(bundle.idevid, made.certificate.to_pem());
    let record = factory.store().find::<FactoryDevice>("SE-0001").unwrap().unwrap().record;
    assert_eq!((record.method, record.key), (Method::PreProvisioned, made.key.public_key().fingerprint()));
    // The list is read twice.
    assert_eq!(adopt(&made.certificate).unwrap().serial_number, bundle.serial_number);
    // Another element with the same serial number.
    assert_eq!(refused(adopt(&elements.device("SE-0001").certificate)), "serial-number-unused");
    // Elements of somebody else, and a certificate of no device.
    let stranger = Manufacturer::new().device("SE-0002");
    let believed = factory.adopt(&model, &stranger.certificate, &stranger.intermediates, &anchors);
    assert!(refused(believed).starts_with("path-"));
    assert!(
        refused(factory.adopt(&model, &made.certificate, &made.intermediates, &Anchors::new())).starts_with("path-")
    );
    let domain = Domain::new();
    let none = factory.adopt(&model, &domain.registrar.certificate, &domain.registrar.intermediates, &domain.anchors());
    assert_eq!(refused(none), "idevid-serial-number");
    factory.void(&serial("SE-0001"), "lost").unwrap();
    assert_eq!(refused(adopt(&made.certificate)), "device-void");
}

#[test]
fn a_device_derives_the_key_that_its_idevid_is_for() {
    let place = Place::new();
    let factory = place.factory();
    let seed = Redacted::new(vec![7; 32]);
    let bundle = factory.derive(&product(), serial("D-1"), &seed).unwrap();
    assert!(bundle.key.is_none());
    let idevid = Certificate::from_pem(&bundle.idevid).unwrap();
    assert!(chains_to(&bundle, place.certificates("root.pem")));
    let own = SoftwareKey::from_pkcs8_der(seed::birth_key(&seed, &serial("D-1")).unwrap().expose()).unwrap();
    assert_eq!(idevid.public_key(), own.public_key());
    assert_eq!(factory.derive(&product(), serial("D-1"), &seed).unwrap().idevid, bundle.idevid, "asked again");
    // Another seed for a device that is made.
    let other = Redacted::new(vec![8; 32]);
    assert_eq!(refused(factory.derive(&product(), serial("D-1"), &other)), "serial-number-unused");
    let short = factory.derive(&product(), serial("D-2"), &Redacted::new(vec![7; 16]));
    assert!(matches!(short, Err(FactoryError::Element(_))));
    let records = {
        let mut out = Vec::new();
        factory.export(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(!records.contains("07070707") && records.contains("from-seed"));
}

//! IDevIDs for keys that devices made.

use super::{Place, chains_to, order, product, quietly};
use landfall_lifecycle::factory::{FactoryDevice, Method};
use landfall_pki::{Algorithm, Certificate, CsrRequest, Name, Signer, SoftwareKey, pem};
use landfall_server::factory::{Choice, Factory, FactoryError};
use landfall_store::Store;
use landfall_types::{DeviceBundle, Refusal, Time};
use std::sync::{Arc, OnceLock};

fn new_key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()
}

fn request(key: &SoftwareKey, serial: Option<&str>) -> Vec<u8> {
    let subject = match serial {
        Some(serial) => Name::common("T1").serial_number(&serial.parse().unwrap()),
        None => Name::common("whatever the device says"),
    };
    let prepared = CsrRequest::new(subject).prepare(key.public_key(), key.algorithm()).unwrap();
    prepared.issue(key).unwrap().der().to_vec()
}

fn certify(factory: &Factory, request: &[u8], choice: Choice) -> Result<DeviceBundle, FactoryError> {
    factory.certify(&product(), Method::OnDevice, request, choice)
}

fn refused(result: Result<DeviceBundle, FactoryError>) -> String {
    match result {
        Err(FactoryError::Refused(Refusal { check, .. })) => check.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_gets_an_idevid_for_its_own_key() {
    let place = Place::new();
    let factory = place.factory();
    let key = new_key();
    let bundle = certify(&factory, &request(&key, None), Choice::Factory).unwrap();
    assert!(bundle.key.is_none());
    assert!(chains_to(&bundle, place.certificates("root.pem")));
    let idevid = Certificate::from_pem(&bundle.idevid).unwrap();
    assert_eq!(idevid.public_key(), key.public_key());
    assert_eq!(idevid.subject_serial_number(), Some(bundle.serial_number.clone()));
    let device = factory.store().find::<FactoryDevice>(bundle.serial_number.as_str()).unwrap().unwrap();
    assert_eq!((device.method, device.key), (Method::OnDevice, key.public_key().fingerprint()));
}

#[test]
fn a_device_that_asks_again_gets_the_same_idevid() {
    let place = Place::new();
    let factory = place.factory();
    for (choice, serial) in [(Choice::Factory, None), (Choice::Device, Some("D-1"))] {
        let key = new_key();
        let first = certify(&factory, &request(&key, serial), choice).unwrap();
        let again = certify(&factory, &request(&key, serial), choice).unwrap();
        assert_eq!((again.idevid, again.serial_number), (first.idevid, first.serial_number));
    }
    assert_eq!(factory.store().count::<FactoryDevice>().unwrap(), 2);
}

#[test]
fn each_device_gets_a_serial_number_of_its_own() {
    let place = Place::new();
    let factory = place.factory();
    let serials: Vec<_> = (0..3)
        .map(|_| certify(&factory, &request(&new_key(), None), Choice::Factory).unwrap().serial_number)
        .map(|serial| product().serials.counter(&serial).unwrap())
        .collect();
    assert_eq!(serials, [1, 2, 3]);
}

#[test]
fn a_request_without_proof_of_possession_is_refused() {
    let place = Place::new();
    let factory = place.factory();
    let mut unproven = request(&new_key(), None);
    *unproven.last_mut().unwrap() ^= 1;
    assert_eq!(refused(certify(&factory, &unproven, Choice::Factory)), "csr-possession");
    let (mine, other) = (new_key(), new_key());
    let prepared = CsrRequest::new(Name::common("T1")).prepare(mine.public_key(), mine.algorithm()).unwrap();
    let signature = other.sign(prepared.to_be_signed()).unwrap();
    let stolen = prepared.sign(&signature).unwrap();
    assert_eq!(refused(certify(&factory, stolen.der(), Choice::Factory)), "csr-possession");
    assert_eq!(factory.store().count::<FactoryDevice>().unwrap(), 0);
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let place = Place::new();
    assert!(matches!(certify(&place.factory(), b"0\x03abc", Choice::Factory), Err(FactoryError::Pki(_))));
}

#[test]
fn a_serial_number_is_not_given_twice() {
    let place = Place::new();
    let factory = place.factory();
    certify(&factory, &request(&new_key(), Some("D-1")), Choice::Device).unwrap();
    let twice = certify(&factory, &request(&new_key(), Some("D-1")), Choice::Device);
    assert_eq!(refused(twice), "serial-number-unused");
}

/// The other station works while the first one, which found the key free, makes its certificate.
#[test]
fn one_key_is_one_device_at_two_stations_at_once() {
    for (choice, serials) in [(Choice::Device, [Some("D-1"), Some("D-2")]), (Choice::Factory, [None, None])] {
        let (place, store, key) = (Place::new(), Store::memory(), new_key());
        let [first, second] = serials.map(|serial| request(&key, serial));
        let (other, theirs) = (place.factory_on(store.clone()), Arc::new(OnceLock::new()));
        let meanwhile = theirs.clone();
        let factory = place.factory_on(store.clone()).with_clock(move || {
            meanwhile.get_or_init(|| certify(&other, &second, choice).unwrap().idevid);
            Time::now()
        });
        let mine = certify(&factory, &first, choice);
        assert_eq!(store.count::<FactoryDevice>().unwrap(), 1, "{choice:?}");
        match choice {
            Choice::Device => assert_eq!(refused(mine), "csr-key-unused"),
            Choice::Factory => assert_eq!(Some(&mine.unwrap().idevid), theirs.get()),
        }
    }
}

#[test]
fn one_key_is_one_device() {
    let place = Place::new();
    let factory = place.factory();
    let key = new_key();
    certify(&factory, &request(&key, Some("D-1")), Choice::Device).unwrap();
    assert_eq!(refused(certify(&factory, &request(&key, Some("D-2")), Choice::Device)), "csr-key-unused");
}

#[test]
fn a_device_cannot_take_a_serial_number_of_the_factory() {
    let place = Place::new();
    let planned = product().serials.serial(5).unwrap();
    let taken = certify(&place.factory(), &request(&new_key(), Some(planned.as_str())), Choice::Device);
    assert_eq!(refused(taken), "csr-serial-own");
}

#[test]
fn a_device_that_should_say_its_serial_number_must() {
    let place = Place::new();
    let silent = certify(&place.factory(), &request(&new_key(), None), Choice::Device);
    assert_eq!(refused(silent), "csr-serial-number");
}

#[test]
fn a_device_that_was_struck_off_gets_nothing() {
    let place = Place::new();
    let factory = place.factory();
    let key = new_key();
    let bundle = certify(&factory, &request(&key, None), Choice::Factory).unwrap();
    factory.void(&bundle.serial_number, "fell off the belt").unwrap();
    assert_eq!(refused(certify(&factory, &request(&key, None), Choice::Factory)), "csr-device-void");
}

#[test]
fn the_key_that_the_factory_made_for_a_device_that_was_struck_off_gets_nothing() {
    let place = Place::new();
    let factory = place.factory();
    let made = factory.provision(&order(1), &quietly).unwrap();
    let bundles = std::fs::read_dir(made.folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let bundle: DeviceBundle = serde_json::from_slice(&bundles.last().unwrap()).unwrap();
    let pkcs8 = &pem::decode(bundle.key.unwrap().0.expose()).unwrap()[0].der;
    let key = SoftwareKey::from_pkcs8_der(pkcs8).unwrap();
    factory.void(&bundle.serial_number, "fell off the belt").unwrap();
    assert_eq!(refused(certify(&factory, &request(&key, None), Choice::Factory)), "csr-device-void");
}

//! Bringing records to a MASA elsewhere.

use super::{Place, order, quietly};
use landfall_lifecycle::factory::{FactoryDevice, LOG};
use landfall_server::factory::{FactoryError, import};
use landfall_store::Store;

fn exported(place: &Place) -> (landfall_server::factory::Factory, String) {
    let factory = place.factory();
    factory.provision(&order(600), &quietly).unwrap();
    let mut out = Vec::new();
    assert_eq!(factory.export(&mut out).unwrap(), 600);
    (factory, String::from_utf8(out).unwrap())
}

#[test]
fn records_reach_a_masa_elsewhere() {
    let place = Place::new();
    let (factory, records) = exported(&place);
    assert!(!records.contains("PRIVATE KEY"));
    let masa = Store::memory();
    assert_eq!(import(&masa, &mut records.as_bytes()).unwrap(), 600);
    assert_eq!(import(&masa, &mut records.as_bytes()).unwrap(), 0);
    let one = factory.store().scan::<FactoryDevice>(None, 1).unwrap().remove(0).record;
    assert_eq!(masa.find::<FactoryDevice>(one.serial_number.as_str()).unwrap().unwrap().record, one);
}

#[test]
fn a_record_that_differs_is_not_taken() {
    let place = Place::new();
    let (_, records) = exported(&place);
    let masa = Store::memory();
    import(&masa, &mut records.as_bytes()).unwrap();
    let changed = records.replacen("\"model\":\"T1\"", "\"model\":\"T2\"", 1);
    let error = import(&masa, &mut changed.as_bytes()).unwrap_err();
    assert!(matches!(error, FactoryError::Import { line: 1, .. }), "{error}");
    let broken = format!("{}\n{{", records.lines().next().unwrap());
    assert!(matches!(import(&masa, &mut broken.as_bytes()), Err(FactoryError::Import { line: 2, .. })));
}

#[test]
fn a_device_that_was_struck_off_becomes_so_at_the_masa() {
    let place = Place::new();
    let (factory, records) = exported(&place);
    let masa = Store::memory();
    import(&masa, &mut records.as_bytes()).unwrap();
    let serial = factory.store().scan::<FactoryDevice>(None, 1).unwrap().remove(0).record.serial_number;
    let void = factory.void(&serial, "fell off the belt").unwrap();
    assert_eq!(FactoryDevice::known(Some(&void)).unwrap_err().check, "voucher-device-known");
    let last = factory.store().log_head(LOG).unwrap().seq;
    let last = factory.store().log(LOG, last - 1, 1).unwrap().remove(0).entry;
    assert_eq!((&last["event"], &last["serial_number"]), (&"voided".into(), &serial.as_str().into()));
    let mut again = Vec::new();
    factory.export(&mut again).unwrap();
    assert_eq!(import(&masa, &mut again.as_slice()).unwrap(), 0);
    let at_masa = || masa.find::<FactoryDevice>(serial.as_str()).unwrap().unwrap().record;
    assert_eq!(at_masa(), void);
    // The list of before does not bring it back, nor does one that differs in something else.
    assert_eq!(import(&masa, &mut records.as_bytes()).unwrap(), 0);
    assert_eq!(at_masa(), void);
    let changed = records.replace("\"model\":\"T1\"", "\"model\":\"T2\"");
    assert!(matches!(import(&masa, &mut changed.as_bytes()), Err(FactoryError::Import { line: 1, .. })));
}

#[test]
fn what_was_never_made_cannot_be_struck_off() {
    let place = Place::new();
    assert!(matches!(place.factory().void(&"EX-0".parse().unwrap(), "x"), Err(FactoryError::Refused(_))));
}

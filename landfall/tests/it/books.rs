//! Whether the books of all parties balance once the servers have stopped: what devices hold is on record, and every log
//! is whole.

use crate::ground::{Ground, Role, entries, name};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::{
    est::Operation,
    registrar::{PrefetchedVoucher, Standing, VoucherRecord},
};
use landfall_lifecycle::{
    device::State,
    factory::FactoryDevice,
    network::{Birth, CERTIFICATE_LOG, DomainDevice, LOG},
    transfer::{ISSUED_LOG, OWNERSHIP_LOG, Ownership},
};
use landfall_pki::Certificate;
use landfall_server::{masa::IssuedVoucher, observe::AUDIT_LOG, registrar::CertificateRecord};
use landfall_store::Store;
use landfall_types::{Fingerprint, Record};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

/// More than any collection here holds.
const ALL: usize = 1_000_000;

/// Checks everything, and says how much of it there is.
pub(crate) fn balance(ground: &Ground) -> String {
    let (masa, registrar) = (ground.store(Role::Masa), ground.store(Role::Registrar));
    for (store, logs) in [
        (&masa, [AUDIT_LOG, ISSUED_LOG, OWNERSHIP_LOG].as_slice()),
        (&registrar, [AUDIT_LOG, LOG, CERTIFICATE_LOG].as_slice()),
    ] {
        logs.iter().for_each(|log| assert!(store.verify_log(log).unwrap().seq > 0, "{log} is empty"));
    }
    let vouchers = vouchers_are_in_the_log(&masa);
    certificates_are_unique(&registrar);
    nothing_unlogged_was_passed_on(&registrar, &vouchers);
    let mut serials = BTreeSet::new();
    for bundle in ground.devices() {
        let held = held(ground, &name(&bundle));
        assert!(vouchers.contains(&held.voucher), "the voucher of {} is not in the MASA's log", held.serial_number);
        assert!(
            serials.insert(held.ldevid.serial_hex()),
            "a serial number was used twice: {}",
            held.ldevid.serial_hex()
        );
        is_on_record(&masa, &registrar, &held);
    }
    let issued = registrar.count::<CertificateRecord>().unwrap();
    assert_eq!(registrar.count::<DomainDevice>().unwrap(), serials.len() as u64);
    format!(
        "{} devices hold certificates; {} vouchers and {issued} certificates were issued",
        serials.len(),
        vouchers.len()
    )
}

/// What a device holds.
struct Held {
    serial_number: String,
    ldevid: Certificate,
    voucher: Fingerprint,
}

fn held(ground: &Ground, serial_number: &str) -> Held {
    let state = ground.state(serial_number);
    let kept = fs::read(state.join("credential.json")).unwrap();
    assert!(kept.ends_with(b"\n"), "{serial_number} has not reported");
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    let keys = entries(&state.join("keys")).into_iter().filter(|path| name(path).starts_with("ldevid-"));
    assert_eq!(keys.filter(|path| path.extension().is_some_and(|e| e == "key")).count(), 1, "{serial_number}");
    let voucher = STANDARD.decode(kept["voucher"].as_str().unwrap()).unwrap();
    Held {
        serial_number: serial_number.to_owned(),
        ldevid: Certificate::from_pem(kept["ldevid"].as_str().unwrap()).unwrap(),
        voucher: sha256(&voucher),
    }
}

/// Every voucher that is kept is in the log and the other way round, numbered without a gap; the SHA-256 of each.
fn vouchers_are_in_the_log(masa: &Store) -> BTreeSet<Fingerprint> {
    let logged: Vec<Fingerprint> = log(masa, ISSUED_LOG).iter().map(|entry| fingerprint(&entry["voucher"])).collect();
    let kept = masa.scan::<IssuedVoucher>(None, ALL).unwrap();
    assert_eq!(kept.len(), logged.len());
    let logged: BTreeSet<Fingerprint> = logged.into_iter().collect();
    assert_eq!(kept.len(), logged.len(), "a voucher is twice in the log");
    for voucher in &kept {
        assert!(logged.contains(&sha256(&voucher.bytes().unwrap())), "{} is not in the log", voucher.key());
    }
    for ownership in masa.scan::<Ownership>(None, ALL).unwrap() {
        let issued = masa.snapshot(|masa| IssuedVoucher::of(masa, &ownership)).unwrap();
        let numbers: Vec<u64> = issued.iter().rev().map(|voucher| voucher.number).collect();
        assert_eq!(numbers, (1..=ownership.vouchers).collect::<Vec<_>>(), "{}", ownership.serial_number);
    }
    logged
}

/// Every certificate on record is in the log and the other way round; no serial number and no key is there twice.
fn certificates_are_unique(registrar: &Store) {
    let logged: Vec<String> = log(registrar, CERTIFICATE_LOG).iter().map(|entry| string(&entry["serial"])).collect();
    let kept = registrar.scan::<CertificateRecord>(None, ALL).unwrap();
    let (mut serials, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for record in &kept {
        let certificate = Certificate::from_der(&record.issued.certificate).unwrap();
        assert_eq!(certificate.serial_hex(), record.issued.serial);
        assert_eq!(certificate.fingerprint(), record.issued.fingerprint);
        assert_eq!(record.issued.operation, Operation::SimpleEnroll);
        assert!(serials.insert(record.issued.serial.clone()));
        assert!(keys.insert(record.issued.key));
    }
    assert_eq!(logged.len(), kept.len());
    assert_eq!(logged.into_iter().collect::<BTreeSet<_>>(), serials);
}

/// Every voucher that the registrar ever passed on, or keeps, is in the MASA's log.
fn nothing_unlogged_was_passed_on(registrar: &Store, vouchers: &BTreeSet<Fingerprint>) {
    let passed_on = log(registrar, LOG).into_iter().filter(|entry| entry["event"] == "vouchered");
    let passed_on: Vec<Fingerprint> = passed_on.map(|entry| fingerprint(&entry["voucher"]["fingerprint"])).collect();
    assert!(!passed_on.is_empty());
    assert!(passed_on.iter().all(|voucher| vouchers.contains(voucher)));
    for record in registrar.scan::<VoucherRecord>(None, ALL).unwrap() {
        let Standing::Accepted(accepted) = &record.standing else { panic!("{record:?}") };
        assert!(vouchers.contains(&sha256(&accepted.voucher)));
    }
    assert_eq!(registrar.count::<PrefetchedVoucher>().unwrap(), 0);
}

/// The registrar knows the device by the identity that the factory gave it, and recorded the certificate that it holds.
fn is_on_record(masa: &Store, registrar: &Store, held: &Held) {
    let made = masa.find::<FactoryDevice>(&held.serial_number).unwrap().unwrap();
    let found = registrar.snapshot(|store| CertificateRecord::by_fingerprint(store, &held.ldevid.fingerprint()));
    let record = found.unwrap();
    let record = record.unwrap_or_else(|| panic!("the certificate of {} is not on record", held.serial_number));
    assert_eq!((&record.issued.device.id, &record.revoked), (&made.device, &None));
    let device = registrar.find::<DomainDevice>(made.device.as_str()).unwrap().unwrap();
    let (idevid, birth_key) = (made.fingerprint, Some(made.key));
    assert_eq!(device.identity.birth, Birth::IDevId { idevid, birth_key, hardware_backed: false });
    assert_eq!(device.state, State::Connected, "{}", held.serial_number);
}

fn log(store: &Store, log: &str) -> Vec<Value> {
    store.log(log, 0, ALL).unwrap().into_iter().map(|entry| entry.entry).collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}

fn fingerprint(value: &Value) -> Fingerprint {
    serde_json::from_value(value.clone()).unwrap()
}

fn sha256(bytes: &[u8]) -> Fingerprint {
    Fingerprint(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().try_into().unwrap())
}

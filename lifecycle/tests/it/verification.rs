//! How devices stand.

use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity},
    verification::{Credential, Standing, renewal_due, standing},
};
use landfall_types::{DeviceId, Fingerprint, SerialNumber, Time};
use std::time::Duration;

const START: Time = Time::from_unix(1_795_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn device(state: State) -> DomainDevice {
    let serial: SerialNumber = "EX-1".parse().unwrap();
    let device = DeviceId::new(&[7; 20], &serial);
    let vendor = "example".parse().unwrap();
    let identity = Identity {
        device,
        serial_number: serial,
        vendor: Some(vendor),
        model: None,
        birth: Birth::IDevId { idevid: Fingerprint([1; 32]), birth_key: None, hardware_backed: false },
    };
    DomainDevice { state, ..DomainDevice::seen(identity, START) }
}

const CREDENTIAL: Credential =
    Credential { not_before: START, not_after: Time::from_unix(1_795_000_000 + 90 * 86_400), revoked: false };

#[test]
fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
    let at = |time| standing(&device(State::Connected), Some(CREDENTIAL), time);
    assert_eq!(renewal_due(START, START + DAY * 90), START + DAY * 60);
    assert_eq!(at(START + DAY * 59), Standing::Good);
    assert_eq!(at(START + DAY * 60), Standing::RenewalDue);
    assert_eq!(at(START + DAY * 90), Standing::RenewalDue);
    assert_eq!(at(START + DAY * 91), Standing::Expired);
}

#[test]
fn who_has_no_good_certificate_is_out() {
    let revoked = Credential { revoked: true, ..CREDENTIAL };
    assert_eq!(standing(&device(State::Connected), Some(revoked), START), Standing::Out);
    assert_eq!(standing(&device(State::Connected), None, START), Standing::Out);
    assert_eq!(standing(&device(State::Revoked), Some(CREDENTIAL), START), Standing::Out);
}

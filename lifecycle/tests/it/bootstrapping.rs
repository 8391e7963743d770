//! Whose device it is by its bootstrapping key.

use landfall_lifecycle::transfer::{Arrival, Basis, Bootstrapping, DppRole, Held, Ownership, Sale, Via};
use landfall_types::{Fingerprint, OwnerId, Record, Time};

const NOW: Time = Time::from_unix(1_795_000_000);
const LATER: Time = Time::from_unix(1_795_000_100);

fn tenant(name: &str) -> OwnerId {
    name.parse().unwrap()
}

fn device(holder: &str) -> Bootstrapping {
    Bootstrapping {
        tenant: tenant(holder),
        bootstrap_hash: Fingerprint([1; 32]),
        chirp_hash: Fingerprint([2; 32]),
        uri: "DPP:K:…;;".into(),
        serial_number: Some("KT-1".parse().unwrap()),
        model: None,
        device: None,
        role: Some(DppRole::Sta),
        configurator: None,
        received: NOW,
        via: Via::Upload,
        state: Held::Held,
    }
}

fn ownership() -> Ownership {
    let id = Bootstrapping::ownership_id(&Fingerprint([1; 32])).unwrap();
    Ownership::unsold(id, "KT-1".parse().unwrap())
}

fn sale(from: Option<&str>, to: &str) -> Sale {
    let (seller, devices) = (from.map(tenant), vec![ownership().device]);
    Sale { id: "1".into(), at: LATER, buyer: tenant(to), seller, devices }
}

#[test]
fn a_record_reads_back() {
    let device = device("acme");
    let text = serde_json::to_string(&device).unwrap();
    assert_eq!(serde_json::from_str::<Bootstrapping>(&text).unwrap(), device);
    assert!(!text.contains("model"), "{text}");
}

#[test]
fn tenants_share_no_key_and_no_index() {
    // "a/b" has a record whose key begins with what all records of "a" would begin with, were the slash not escaped.
    let names = ["a", "a/b", "a%2Fb", "ab"];
    for one in names {
        for other in names.into_iter().filter(|other| *other != one) {
            let (one, other) = (device(one), device(other));
            assert!(!other.key().starts_with(&Bootstrapping::keys_of(&one.tenant)), "{} {}", one.key(), other.key());
            assert!(one.indexes().iter().all(|index| !other.indexes().contains(index)));
        }
    }
    assert_eq!(device("a").indexes()[0].1, Bootstrapping::chirp_value(&tenant("a"), &Fingerprint([2; 32])));
}

#[test]
fn arrivals_are_in_the_order_of_their_numbers() {
    let key = |number| Arrival::key_of(&tenant("acme"), number);
    assert!(key(9) < key(10) && key(10) < key(u64::MAX));
}

#[test]
fn only_what_the_tenant_holds_may_be_acted_for() {
    let held = device("acme");
    assert_eq!(Bootstrapping::held(Some(&held)), Ok(&held));
    assert_eq!(Bootstrapping::held(None).unwrap_err().check, "bootstrapping-known");
    let refusal = Bootstrapping::held(Some(&held.released(LATER))).unwrap_err();
    assert_eq!(refusal.check, "bootstrapping-held");
    assert!(refusal.detail.contains("KT-1"), "{refusal}");
}

#[test]
fn a_device_that_was_struck_off_comes_back_into_no_book() {
    let held = device("acme");
    assert_eq!((held.takeable(), held.released(LATER).takeable()), (Ok(()), Ok(())));
    let withdrawn = held.withdrawn(LATER, "stolen");
    for refusal in [withdrawn.takeable().unwrap_err(), Bootstrapping::held(Some(&withdrawn)).unwrap_err()] {
        assert_eq!(refusal.check, "bootstrapping-withdrawn");
        assert!(refusal.detail.contains("KT-1") && refusal.detail.contains("stolen"), "{refusal}");
    }
    let text = serde_json::to_string(&withdrawn).unwrap();
    assert_eq!(serde_json::from_str::<Bootstrapping>(&text).unwrap(), withdrawn);
}

#[test]
fn a_device_that_changes_hands_keeps_what_it_is() {
    let moved = device("acme").released(NOW).moved_to(tenant("orchard"), Via::Sale, LATER);
    assert_eq!((moved.state, moved.via, moved.received), (Held::Held, Via::Sale, LATER));
    assert_eq!((moved.uri, moved.role), (device("acme").uri, Some(DppRole::Sta)));
}

#[test]
fn whoever_registers_a_device_first_has_it() {
    let first = ownership().registered(&tenant("acme"), NOW).unwrap();
    assert_eq!(first.owner(), Some(&tenant("acme")));
    assert_eq!(first.clone().registered(&tenant("acme"), LATER).unwrap(), first);
    let refusal = first.clone().registered(&tenant("mallory"), LATER).unwrap_err();
    assert_eq!(refusal.check, "bootstrapping-unclaimed");
    assert!(!refusal.detail.contains("acme"), "{refusal}");
    let released = first.released(None, LATER).unwrap();
    assert_eq!(released.registered(&tenant("orchard"), LATER).unwrap().owner(), Some(&tenant("orchard")));
}

#[test]
fn only_the_tenant_that_has_a_device_sells_it() {
    let first = ownership().registered(&tenant("acme"), NOW).unwrap();
    let sold = first.clone().sold(&sale(Some("acme"), "orchard")).unwrap();
    assert_eq!(sold.owner(), Some(&tenant("orchard")));
    assert_eq!(sold.history[0].basis, Basis::Registered { owner: tenant("acme") });
    for seller in [Some("mallory"), None] {
        assert!(first.clone().sold(&sale(seller, "mallory")).is_err(), "{seller:?}");
    }
    assert!(sold.sold(&sale(Some("acme"), "mallory")).is_err(), "sold twice");
}

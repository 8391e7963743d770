//! The device book: look-ups on both kinds of store, what comes in, and what changes hands.

mod files;
mod hands;

use landfall_dpp::{Curve, Uri, curve::PrivateKey};
use landfall_lifecycle::transfer::{Bootstrapping, Held, Via};
use landfall_server::book::Book;
use landfall_store::Store;
use landfall_types::{Changes, Fingerprint, OwnerId, Time};

/// The bootstrapping URI of a device whose key follows from `number`.
pub(crate) fn uri(number: u8, information: Option<&str>) -> Uri {
    let key = PrivateKey::from_bytes(Curve::P256, &[&[0; 31][..], &[number.max(1)]].concat()).unwrap();
    Uri { information: information.map(Into::into), ..Uri::of(key.public().clone()) }
}

fn device(tenant: &OwnerId, number: u8) -> Bootstrapping {
    Bootstrapping {
        tenant: tenant.clone(),
        bootstrap_hash: Fingerprint([number; 32]),
        chirp_hash: Fingerprint([!number; 32]),
        uri: format!("DPP:I:{number};K:;;"),
        serial_number: Some(format!("SN-{number}").parse().unwrap()),
        model: None,
        device: None,
        role: None,
        configurator: None,
        received: Time::from_unix(1_795_000_000),
        via: Via::Uri,
        state: Held::Held,
    }
}

#[test]
fn each_tenant_finds_its_own_devices_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    for store in [Store::memory(), Store::sqlite(folder.path().join("store")).unwrap()] {
        let [acme, orchard, nobody]: [OwnerId; 3] = ["acme", "orchard", "nobody"].map(|name| name.parse().unwrap());
        let mut changes = Changes::new();
        for number in 0..20 {
            changes = changes.insert(&device(if number % 2 == 0 { &acme } else { &orchard }, number)).unwrap();
        }
        store.commit_blocking(changes).unwrap();
        let book = Book::of(&store);
        for number in 0..20 {
            let (own, other) = if number % 2 == 0 { (&acme, &orchard) } else { (&orchard, &acme) };
            let (hash, chirp) = (Fingerprint([number; 32]), Fingerprint([!number; 32]));
            assert_eq!(book.by_chirp(own, &chirp).unwrap().unwrap().record, device(own, number));
            assert_eq!(book.by_bootstrap(own, &hash).unwrap().unwrap().record, device(own, number));
            let serial = format!("SN-{number}").parse().unwrap();
            assert_eq!(book.by_serial(own, &serial, 9).unwrap()[0].record, device(own, number));
            for other in [other, &nobody] {
                assert!(book.by_chirp(other, &chirp).unwrap().is_none());
                assert!(book.by_bootstrap(other, &hash).unwrap().is_none());
                assert!(book.by_serial(other, &serial, 9).unwrap().is_empty());
            }
            // A bootstrapping hash is no chirp hash.
            assert!(book.by_chirp(own, &hash).unwrap().is_none_or(|found| found.chirp_hash == hash));
        }
        // Pages end with the tenant's devices, even where another's come next in the store.
        for (tenant, first) in [(&acme, 0), (&orchard, 1)] {
            let page = book.page(tenant, None, 4).unwrap();
            assert_eq!(page.len(), 4);
            let rest = book.page(tenant, Some(&page[3].bootstrap_hash), 100).unwrap();
            let numbers: Vec<u8> = page.iter().chain(&rest).map(|found| found.bootstrap_hash.0[0]).collect();
            assert_eq!(numbers, (first..20).step_by(2).collect::<Vec<_>>());
        }
        assert!(book.page(&nobody, None, 100).unwrap().is_empty());
    }
}

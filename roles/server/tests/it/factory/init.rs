//! Making a manufacturer.

use super::{Place, new_manufacturer, order, quietly};
use landfall_element::MemoryElement;
use landfall_pki::{Algorithm, Anchors, PathPolicy, lint, validate};
use landfall_server::{
    Identity,
    factory::{FactoryError, NewManufacturer},
    settings::IdentitySettings,
};
use landfall_types::Time;
use tempfile::TempDir;

#[test]
fn every_certificate_chains_to_the_root_and_passes_every_lint() {
    let place = Place::new();
    let root = place.certificates("root.pem");
    for (name, levels) in [
        ("intermediate", 2),
        ("issuing", 3),
        ("masa-ca", 3),
        ("masa", 3),
        ("masa-tls", 3),
        ("mud-ca", 3),
        ("mud-signer", 3),
        ("line-ca", 3),
        ("manifest", 3),
    ] {
        let chain = place.certificates(&format!("{name}.pem"));
        assert_eq!(chain.len(), levels, "{name}");
        let (leaf, above) = chain.split_first().unwrap();
        let path = validate(leaf, above, &Anchors::of(root.clone()), &PathPolicy::at(Time::now()));
        assert!(path.is_ok(), "{name}: {path:?}");
        assert!(lint::certificate(leaf).is_empty(), "{name}: {:?}", lint::certificate(leaf));
    }
    assert_eq!(place.certificates("masa-tls.pem")[0].dns_names(), ["masa.example"]);
}

#[test]
fn other_roles_can_load_the_identities() {
    let place = Place::new();
    for name in ["masa.pem", "masa-tls.pem", "issuing.pem", "mud-signer.pem"] {
        let resolve = |path: &std::path::Path| place.manufacturer().join(path);
        Identity::load(&IdentitySettings::at(name), resolve, &place.element()).unwrap();
    }
}

#[test]
fn a_device_cannot_pass_for_the_masa() {
    let place = Place::new();
    let made = place.factory().provision(&order(1), &quietly).unwrap();
    let bundle = super::bundles(&made.folder).remove(0);
    let masa = landfall_pki::Certificate::chain_from_pem(&bundle.masa_anchors).unwrap();
    assert_eq!(masa, place.certificates("masa-anchors.pem"));
    assert!(super::chains_to(&bundle, place.certificates("root.pem")));
    assert!(!super::chains_to(&bundle, masa.clone()));
    let signer = place.certificates("masa.pem");
    assert!(validate(&signer[0], &signer[1..], &Anchors::of(masa), &PathPolicy::at(Time::now())).is_ok());
}

#[test]
fn a_manufacturer_is_not_replaced() {
    let place = Place::new();
    let again = new_manufacturer().make(&place.manufacturer(), &place.element(), Time::now());
    assert!(matches!(again, Err(FactoryError::Exists(_))));
}

#[test]
fn other_algorithms_work_too() {
    for algorithm in [Algorithm::EcdsaP384, Algorithm::Ed25519] {
        let folder = TempDir::new().unwrap();
        let element = MemoryElement::new();
        let made = NewManufacturer { algorithm, ..new_manufacturer() }.make(folder.path(), &element, Time::now());
        assert_eq!(Algorithm::of(made.unwrap().root.public_key().kind()), Some(algorithm));
    }
}

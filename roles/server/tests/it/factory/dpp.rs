//! Bootstrapping keys beside birth credentials.

use super::{Place, bundles, order, quietly};
use landfall_dpp::{
    Curve, Uri,
    curve::{PrivateKey, PublicKey},
};
use landfall_lifecycle::factory::{DppProduct, FactoryDevice};
use landfall_pki::pem;
use landfall_server::{
    book::Lines,
    factory::{ListFormat, Order, Which},
    labels::{Format, Layout},
};
use landfall_types::{SerialNumber, bundle::DppBirth};
use std::{collections::BTreeSet, fs};

fn order_of(dpp: DppProduct, count: u32) -> Order {
    let mut order = order(count);
    order.product.dpp = Some(dpp);
    order
}

fn private(birth: &DppBirth) -> PrivateKey {
    let block = pem::decode(birth.key.as_ref().unwrap().0.expose()).unwrap().remove(0);
    PrivateKey::from_pkcs8(&block.der).unwrap()
}

#[test]
fn every_device_gets_a_key_of_its_own_and_its_uri() {
    let place = Place::new();
    let factory = place.factory();
    let configurator = PublicKey::generator(Curve::P256);
    let told = Uri::of(configurator.clone()).to_string();
    let dpp = DppProduct {
        curve: Curve::P256,
        version: Some(3),
        channels: Some("81/1,115/36".into()),
        host: Some("192.0.2.1".into()),
        mac_base: Some("0200000000fe".into()),
        configurator: Some(told.clone()),
    };
    let made = factory.provision(&order_of(dpp, 5), &quietly).unwrap();
    let mut keys = BTreeSet::new();
    for bundle in bundles(&made.folder) {
        let device = factory.store().find::<FactoryDevice>(bundle.serial_number.as_str()).unwrap().unwrap().record;
        let (given, birth) = (bundle.dpp.unwrap(), device.dpp.unwrap());
        let uri: Uri = given.uri.parse().unwrap();
        assert_eq!((&given.uri, uri.key.bootstrap_hash()), (&birth.uri, birth.bootstrap_hash));
        assert_eq!(uri.key.chirp_hash(), birth.chirp_hash);
        assert_eq!(*private(&given).public(), uri.key);
        assert_eq!((uri.version, uri.channels.len(), uri.host.unwrap().port), (Some(3), 2, 8908));
        assert_eq!(uri.information.unwrap(), format!("SN={} model=T1", bundle.serial_number));
        let counter = made.batch.product.serials.counter(&bundle.serial_number).unwrap();
        assert_eq!(uri.mac.unwrap()[4..], u16::to_be_bytes(0xfe + counter as u16));
        assert_eq!((given.configurator, birth.configurator), (Some(told.clone()), Some(configurator.bootstrap_hash())));
        assert!(keys.insert(birth.bootstrap_hash));
        let found =
            factory.store().find_by::<FactoryDevice>(FactoryDevice::BY_BOOTSTRAP, &birth.bootstrap_hash.to_string(), 9);
        assert_eq!(found.unwrap().len(), 1);
    }
    assert_eq!(keys.len(), 5);
}

#[test]
fn every_curve_can_be_chosen() {
    let place = Place::new();
    let factory = place.factory();
    for curve in Curve::ALL {
        let made = factory.provision(&order_of(DppProduct { curve, ..DppProduct::default() }, 1), &quietly).unwrap();
        let given = bundles(&made.folder).remove(0).dpp.unwrap();
        assert_eq!(given.uri.parse::<Uri>().unwrap().key.curve(), curve);
        assert_eq!(*private(&given).public(), given.uri.parse::<Uri>().unwrap().key);
    }
}

#[test]
fn what_makes_no_uri_is_refused_before_anything_is_planned() {
    let place = Place::new();
    let factory = place.factory();
    let bad = [
        DppProduct { channels: Some("1".into()), ..DppProduct::default() },
        DppProduct { mac_base: Some("02".into()), ..DppProduct::default() },
        DppProduct { host: Some("a;K:b".into()), ..DppProduct::default() },
        DppProduct { configurator: Some("DPP:;;".into()), ..DppProduct::default() },
    ];
    for dpp in bad {
        assert!(factory.provision(&order_of(dpp.clone(), 1), &quietly).is_err(), "{dpp:?}");
    }
    assert!(factory.unfinished().unwrap().is_empty());
    let used_up = DppProduct { mac_base: Some("ffffffffffff".into()), ..DppProduct::default() };
    assert!(factory.provision(&order_of(used_up, 1), &quietly).is_err());
}

#[test]
fn lists_labels_and_pictures_are_of_the_devices_that_are_meant() {
    let place = Place::new();
    let factory = place.factory();
    factory.provision(&order(3), &quietly).unwrap();
    let first = factory.provision(&order_of(DppProduct::default(), 30), &quietly).unwrap();
    factory.provision(&order_of(DppProduct::default(), 2), &quietly).unwrap();
    let serials: Vec<SerialNumber> = first.batch.range.part(0, 2).serials().map(Result::unwrap).collect();
    let meant = [(Which::All, 32), (Which::Batch(first.batch.id.clone()), 30), (Which::Serials(serials.clone()), 2)];
    for (which, count) in &meant {
        for format in [ListFormat::Csv, ListFormat::JsonLines] {
            let mut list = Vec::new();
            assert_eq!(factory.write_uris(which, format, &mut list).unwrap(), *count);
            let mut lines = Lines::default();
            let text = String::from_utf8(list).unwrap();
            let entries: Vec<_> = text.lines().filter_map(|line| lines.read(line)).map(Result::unwrap).collect();
            assert_eq!(entries.len() as u64, *count);
            for entry in entries {
                let device =
                    factory.store().find::<FactoryDevice>(entry.serial_number.unwrap().as_str()).unwrap().unwrap();
                assert_eq!(
                    (Some(&entry.dpp_uri), entry.device.as_ref()),
                    (device.dpp.as_ref().map(|dpp| &dpp.uri), Some(&device.device))
                );
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let seen = std::cell::Cell::new(0);
    let path = folder.path().join("labels.pdf");
    let files = factory.write_labels(&meant[1].0, &path, Layout::A4_24, &|done| seen.set(done)).unwrap();
    assert_eq!((files, seen.get()), (vec![path], 30));
    factory.write_pictures(&meant[2].0, &folder.path().join("pictures"), Format::Svg, &|_| {}).unwrap();
    let names: BTreeSet<_> =
        fs::read_dir(folder.path().join("pictures")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, serials.iter().map(|serial| format!("{serial}.svg").into()).collect());
    let unknown = Which::Serials(vec!["NONE".parse().unwrap()]);
    assert!(factory.write_uris(&unknown, ListFormat::Csv, &mut Vec::new()).is_err());
    assert!(factory.write_uris(&Which::Batch("NONE".into()), ListFormat::Csv, &mut Vec::new()).is_err());
}

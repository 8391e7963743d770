//! Making batches.

use super::{Place, bundles, chains_to, logged, order, product, quietly};
use landfall_lifecycle::factory::{Batch, BundleForm, FactoryDevice, SerialCounter};
use landfall_pki::{Certificate, Signer, SoftwareKey, pem};
use landfall_server::factory::{FactoryError, Order, Progress};
use landfall_store::Store;
use landfall_types::{Changes, DeviceBundle};
use std::{collections::BTreeSet, fs, num::NonZero, os::unix::fs::PermissionsExt, sync::Mutex};

#[test]
fn a_batch_is_recorded_and_its_bundles_are_ready() {
    let place = Place::new();
    let factory = place.factory();
    let told = Mutex::new(Vec::new());
    let made = factory.provision(&order(600), &|progress| told.lock().unwrap().push(progress)).unwrap();
    assert_eq!((made.made, made.found, made.made_anew.len()), (600, 0, 0));
    assert!(made.batch.finished.is_some());
    assert!(told.into_inner().unwrap().contains(&Progress { made: 600, of: 600 }));

    let store = factory.store();
    assert_eq!(store.count::<FactoryDevice>().unwrap(), 600);
    assert_eq!(logged(store).into_iter().collect::<BTreeSet<_>>().len(), 600);
    let bundles = bundles(&made.folder);
    assert_eq!(bundles.len(), 600);
    let mut keys = BTreeSet::new();
    for bundle in &bundles {
        let serial = &bundle.serial_number;
        product().serials.counter(serial).unwrap();
        let device = store.find::<FactoryDevice>(serial.as_str()).unwrap().unwrap();
        assert_eq!((&device.idevid, &device.model), (&bundle.idevid, &bundle.model));
        let idevid = Certificate::from_pem(&bundle.idevid).unwrap();
        assert_eq!(idevid.subject_serial_number().as_ref(), Some(serial));
        assert_eq!(bundle.masa_url.as_deref(), Some("masa.example:9443"));
        let key = pem::decode(bundle.key.as_ref().unwrap().0.expose()).unwrap().remove(0);
        let key = SoftwareKey::from_pkcs8_der(&key.der).unwrap();
        assert_eq!(key.public_key(), idevid.public_key());
        keys.insert(key.public_key().fingerprint());
    }
    assert_eq!(keys.len(), 600);
    assert!(chains_to(&bundles[0], place.certificates("root.pem")));
}

#[test]
fn only_the_owner_can_read_a_bundle() {
    let place = Place::new();
    let made = place.factory().provision(&order(3), &quietly).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&made.folder), 0o700);
    for entry in fs::read_dir(&made.folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_product_can_have_a_masa_and_a_mud_file_of_its_own() {
    let place = Place::new();
    let mut order = order(1);
    order.product.masa_url = Some("other.example".into());
    order.product.mud_url = Some("https://example.com/t1.json".into());
    let made = place.factory().provision(&order, &quietly).unwrap();
    let idevid = Certificate::from_pem(&bundles(&made.folder)[0].idevid).unwrap();
    assert_eq!(idevid.masa_url().as_deref(), Some("other.example"));
    assert_eq!(idevid.mud_url().as_deref(), Some("https://example.com/t1.json"));
    // RFC 8520 s11: and who signs it; a device without a file names nobody.
    let signer = &place.certificates("mud-signer.pem")[0];
    assert_eq!(idevid.mud_signer(), Some(signer.subject()));
    order.product.mud_url = None;
    let made = place.factory().provision(&order, &quietly).unwrap();
    assert_eq!(Certificate::from_pem(&bundles(&made.folder)[0].idevid).unwrap().mud_signer(), None);
}

#[test]
fn stations_that_share_records_never_share_a_serial_number() {
    let place = Place::new();
    let store = Store::memory();
    let stations: Vec<_> = (0..4).map(|_| place.factory_on(store.clone())).collect();
    let batches: Vec<Batch> = std::thread::scope(|scope| {
        let at_work: Vec<_> = stations
            .iter()
            .map(|station| {
                scope
                    .spawn(|| (0..3).map(|_| station.provision(&order(7), &quietly).unwrap().batch).collect::<Vec<_>>())
            })
            .collect();
        at_work.into_iter().flat_map(|station| station.join().unwrap()).collect()
    });
    let serials: BTreeSet<_> = batches.iter().flat_map(|batch| batch.range.serials().map(Result::unwrap)).collect();
    assert_eq!(serials.len(), 4 * 3 * 7);
    assert_eq!(store.count::<FactoryDevice>().unwrap(), 4 * 3 * 7);
}

#[test]
fn one_factory_makes_one_batch_at_a_time() {
    let place = Place::new();
    let factory = place.factory();
    let busy = Mutex::new(None);
    let progress = |_| {
        busy.lock().unwrap().get_or_insert(factory.provision(&order(1), &quietly).unwrap_err());
    };
    factory.provision(&order(1), &progress).unwrap();
    assert!(matches!(busy.into_inner().unwrap(), Some(FactoryError::Busy)));
}

#[test]
fn when_serial_numbers_are_used_up_nothing_is_planned() {
    let place = Place::new();
    let factory = place.factory();
    let mut small = order(9);
    small.product.serials.digits = 1;
    factory.provision(&small, &quietly).unwrap();
    let one = Order { count: NonZero::new(1).unwrap(), ..small };
    let error = factory.provision(&one, &quietly).unwrap_err();
    assert!(error.to_string().contains("used up"), "{error}");
    assert_eq!(factory.store().count::<Batch>().unwrap(), 1);
}

#[test]
fn one_prefix_has_one_form() {
    let place = Place::new();
    let factory = place.factory();
    factory.provision(&order(1), &quietly).unwrap();
    let mut other = order(1);
    other.product.serials.digits = 7;
    assert!(matches!(factory.provision(&other, &quietly), Err(FactoryError::Serial(_))));
}

#[test]
fn a_serial_number_on_record_is_not_made_again() {
    let place = Place::new();
    let factory = place.factory();
    factory.provision(&order(3), &quietly).unwrap();
    // As if the counter had been lost, in a backup brought back: all of the numbers are taken, or some.
    for (next, check) in [(1, "factory-batch"), (2, "serial-number-unused")] {
        let counter = SerialCounter { next, ..SerialCounter::new(product().serials) };
        factory.store().commit_blocking(Changes::new().put(&counter).unwrap()).unwrap();
        let error = factory.provision(&order(3), &quietly).unwrap_err();
        assert!(error.to_string().contains(check), "{error}");
        assert_eq!(factory.store().count::<FactoryDevice>().unwrap(), 3);
    }
}

#[test]
fn an_interruption_between_record_and_hand_out_is_made_good() {
    let place = Place::new();
    let factory = place.factory();
    let made = factory.provision(&order(4), &quietly).unwrap();
    let serials: Vec<_> = made.batch.range.serials().map(Result::unwrap).collect();
    let file = |name: String| made.folder.join(name);
    let named = |n: usize| file(format!("{}.json", serials[n]));
    let staged = |n: usize| file(format!(".staged-0/{}.json", serials[n]));
    fs::create_dir(file(".staged-0".into())).unwrap();
    // Recorded and not handed out; handed out, and the rest of another attempt; cut off in the writing.
    fs::rename(named(0), staged(0)).unwrap();
    let other = fs::read_to_string(named(2)).unwrap();
    fs::write(staged(1), other.replace(serials[2].as_str(), serials[1].as_str())).unwrap();
    fs::write(staged(3), "{\"format\":").unwrap();
    let interrupted = Batch { finished: None, ..made.batch.clone() };
    factory.store().commit_blocking(Changes::new().put(&interrupted).unwrap()).unwrap();
    assert_eq!(factory.unfinished().unwrap(), [interrupted]);

    let resumed = factory.resume(&quietly).unwrap().remove(0);
    assert_eq!((resumed.made, resumed.found), (0, 4));
    assert_eq!(resumed.made_anew, [serials[1].clone()]);
    assert_eq!(bundles(&made.folder).len(), 4);
    assert!(!file(".staged-0".into()).exists());
    assert_eq!(factory.resume(&quietly).unwrap(), []);
}

#[test]
fn bundles_can_be_lines_of_larger_files() {
    let place = Place::new();
    let factory = place.factory();
    let made = factory.provision(&Order { bundles: BundleForm::Lines, ..order(600) }, &quietly).unwrap();
    let serials: Vec<_> = made.batch.range.serials().map(Result::unwrap).collect();
    let mut files: Vec<_> = fs::read_dir(&made.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files, [0, 512].map(|first: usize| made.folder.join(format!("{}.jsonl", serials[first]))));
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().permissions().mode() & 0o777 == 0o600));
    let there: Vec<_> = fs::read_to_string(&files[0]).unwrap().lines().map(str::to_owned).collect();
    let there: Vec<DeviceBundle> = there.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        there.iter().map(|bundle| &bundle.serial_number).collect::<Vec<_>>(),
        serials[..512].iter().collect::<Vec<_>>()
    );
    let key = pem::decode(there[7].key.as_ref().unwrap().0.expose()).unwrap().remove(0);
    let idevid = Certificate::from_pem(&there[7].idevid).unwrap();
    assert_eq!(SoftwareKey::from_pkcs8_der(&key.der).unwrap().public_key(), idevid.public_key());
    assert_eq!(bundles(&made.folder).len(), 600);
}

#[test]
fn lines_that_were_not_handed_out_are_or_are_thrown_away_as_one() {
    let place = Place::new();
    let factory = place.factory();
    let made = factory.provision(&Order { bundles: BundleForm::Lines, ..order(3) }, &quietly).unwrap();
    let serials: Vec<_> = made.batch.range.serials().map(Result::unwrap).collect();
    let (named, staged) = (made.folder.join(format!("{}.jsonl", serials[0])), made.folder.join(".staged-0"));
    let lines = fs::read_to_string(&named).unwrap();
    let interrupted = Batch { finished: None, ..made.batch.clone() };
    let interrupt = || factory.store().commit_blocking(Changes::new().put(&interrupted).unwrap()).unwrap();

    // Recorded and not handed out.
    fs::rename(&named, &staged).unwrap();
    interrupt();
    let resumed = factory.resume(&quietly).unwrap().remove(0);
    assert_eq!((resumed.made, resumed.found, resumed.made_anew.len()), (0, 3, 0));
    assert_eq!((fs::read_to_string(&named).unwrap(), staged.exists()), (lines.clone(), false));

    // Staged beside what is recorded and handed out, and cut off in the last line.
    let others = lines.replace("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----- ");
    fs::write(&staged, &others[..others.len() - 9]).unwrap();
    interrupt();
    let resumed = factory.resume(&quietly).unwrap().remove(0);
    assert_eq!((resumed.made_anew, staged.exists()), (serials[..2].to_vec(), false));

    // One device in it is on record, another is not: nobody made that, and nothing is thrown away.
    let first = lines.lines().next().unwrap();
    let mixed = format!("{first}\n{}", first.replace(serials[0].as_str(), "EX999999"));
    fs::write(&staged, &mixed).unwrap();
    interrupt();
    let error = factory.resume(&quietly).unwrap_err().to_string();
    assert!(error.contains("1 of the devices in it are on record"), "{error}");
    assert_eq!(fs::read_to_string(&staged).unwrap(), mixed);
}

#[test]
fn the_log_names_every_device() {
    let place = Place::new();
    let factory = place.factory();
    let made = factory.provision(&order(2), &quietly).unwrap();
    let logged: BTreeSet<_> = logged(factory.store()).into_iter().collect();
    assert_eq!(logged, made.batch.range.serials().map(Result::unwrap).collect());
}

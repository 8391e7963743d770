//! The factory: manufacturers, batches, requests, records.

mod authority;
mod certify;
mod crash;
mod dpp;
mod elsewhere;
mod init;
mod line;
mod provision;
mod records;

use landfall_element::{KeySource, SoftwareElement};
use landfall_lifecycle::factory::{BundleForm, FactoryEvent, LOG, Product, SerialScheme};
use landfall_pki::{Algorithm, AltName, Anchors, Certificate, PathPolicy, validate};
use landfall_server::factory::{Factory, NewManufacturer, Order, Progress};
use landfall_store::Store;
use landfall_types::{DeviceBundle, SerialNumber, Time};
use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The devices that the log says were made, in its order; its chain is whole.
fn logged(store: &Store) -> Vec<SerialNumber> {
    store.verify_log(LOG).unwrap();
    let events = store.log(LOG, 0, usize::MAX).unwrap().into_iter();
    let made = events.filter_map(|entry| match serde_json::from_value(entry.entry).unwrap() {
        FactoryEvent::Made { devices, .. } => Some(devices),
        FactoryEvent::Voided { .. } => None,
    });
    made.flatten().map(|one| one.serial_number).collect()
}

/// A manufacturer in a folder of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: TempDir::new().unwrap() };
        new_manufacturer().make(&place.manufacturer(), &place.element(), Time::now()).unwrap();
        place
    }

    fn manufacturer(&self) -> PathBuf {
        self.folder.path().join("manufacturer")
    }

    fn bundles(&self) -> PathBuf {
        self.folder.path().join("bundles")
    }

    fn element(&self) -> SoftwareElement {
        element(self.folder.path())
    }

    /// A factory with records in memory.
    fn factory(&self) -> Factory {
        self.factory_on(Store::memory())
    }

    fn factory_on(&self, store: Store) -> Factory {
        Factory::open(&self.manufacturer(), &self.element(), store, &self.bundles()).unwrap()
    }

    fn certificates(&self, name: &str) -> Vec<Certificate> {
        Certificate::chain_from_pem(&fs::read_to_string(self.manufacturer().join(name)).unwrap()).unwrap()
    }
}

fn element(folder: &Path) -> SoftwareElement {
    SoftwareElement::open(&folder.join("keys"), KeySource::KeyFile(folder.join("keys.secret"))).unwrap()
}

fn new_manufacturer() -> NewManufacturer {
    NewManufacturer {
        organization: "Example Devices".into(),
        masa_names: vec![AltName::Dns("masa.example".into())],
        masa_url: Some("masa.example:9443".into()),
        algorithm: Algorithm::EcdsaP256,
    }
}

fn product() -> Product {
    Product {
        model: "T1".parse().unwrap(),
        serials: SerialScheme { prefix: "EX".into(), digits: 6 },
        algorithm: Algorithm::EcdsaP256,
        masa_url: None,
        mud_url: None,
        dpp: None,
    }
}

fn order(count: u32) -> Order {
    Order { product: product(), count: NonZero::new(count).unwrap(), bundles: BundleForm::File }
}

fn quietly(_: Progress) {}

/// Every bundle that was handed out in `folder`.
fn bundles(folder: &Path) -> Vec<DeviceBundle> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let bundles = files.flat_map(|path| match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => vec![serde_json::from_slice(&fs::read(path).unwrap()).unwrap()],
        Some("jsonl") => {
            fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
        _ => Vec::new(),
    });
    bundles.collect()
}

/// Whether the bundle's IDevID chains to `anchors`.
fn chains_to(bundle: &DeviceBundle, anchors: Vec<Certificate>) -> bool {
    let idevid = Certificate::from_pem(&bundle.idevid).unwrap();
    let chain = Certificate::chain_from_pem(&bundle.chain).unwrap();
    validate(&idevid, &chain, &Anchors::of(anchors), &PathPolicy::at(Time::now())).is_ok()
}

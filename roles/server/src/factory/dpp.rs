//! Making bootstrapping keys (Wi-Fi Easy Connect), and what is printed and passed on of them.

use super::{Factory, FactoryError};
use crate::{
    book::{Entry, Told, csv, csv_head},
    labels::{Code, Format, Label, Layout, Sheets, picture},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{
    Uri,
    curve::{PrivateKey, PublicKey},
};
use landfall_lifecycle::factory::{Batch, BatchId, DppProduct, DppRecord, FactoryDevice, Product};
use landfall_pki::{PkiError, pem};
use landfall_types::{BundleKey, Fingerprint, Record, Redacted, SerialNumber, bundle::DppBirth};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// How many records are read at once.
const PAGE: usize = 500;

/// Makes the keys of devices of one kind.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    product: &'a Product,
    dpp: &'a DppProduct,
    /// The URI of all of them, but for what each has of its own.
    template: Uri,
    configurator: Option<Fingerprint>,
}

impl<'a> Maker<'a> {
    /// For the devices of `product`; none if they have no such keys.
    pub(super) fn of(product: &'a Product) -> Result<Option<Self>, FactoryError> {
        let Some(dpp) = &product.dpp else { return Ok(None) };
        let field = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{name}:{value};")).unwrap_or_default()
        };
        let version = dpp.version.filter(|version| *version > 1).map(|version| version.to_string());
        let text = [
            Uri::SCHEME.into(),
            field("C", &dpp.channels),
            field("M", &dpp.mac_base),
            field("V", &version),
            field("H", &dpp.host),
            format!("K:{};;", STANDARD.encode(PublicKey::generator(dpp.curve).spki())),
        ];
        let template = text.concat().parse().map_err(FactoryError::Uri)?;
        let configurator = dpp.configurator.as_deref().map(configurator).transpose()?;
        Ok(Some(Self { product, dpp, template, configurator }))
    }

    /// A key for the device with that serial number: what is recorded of it, and what the device gets.
    pub(super) fn make(&self, serial: &SerialNumber) -> Result<(DppRecord, DppBirth), FactoryError> {
        let key = generate(self.dpp)?;
        let (record, birth) = self.describe(serial, key.public())?;
        let pkcs8 = key.to_pkcs8().map_err(|why| PkiError::Misuse(why.to_string()))?;
        let key = BundleKey(Redacted::new(pem::encode("PRIVATE KEY", pkcs8.expose())));
        Ok((record, DppBirth { key: Some(key), ..birth }))
    }

    /// The same for a key that the device made itself.
    pub(super) fn describe(
        &self,
        serial: &SerialNumber,
        public: &PublicKey,
    ) -> Result<(DppRecord, DppBirth), FactoryError> {
        let uri = Uri {
            mac: self.template.mac.map(|base| self.mac(base, serial)).transpose()?,
            information: Some(Told::write(serial, &self.product.model)),
            key: public.clone(),
            ..self.template.clone()
        };
        let uri = uri.to_string();
        let record = DppRecord {
            uri: uri.clone(),
            bootstrap_hash: public.bootstrap_hash(),
            chirp_hash: public.chirp_hash(),
            configurator: self.configurator,
        };
        Ok((record, DppBirth { uri, key: None, configurator: self.dpp.configurator.clone() }))
    }

    /// The base and the serial number's counter: a device that is made anew keeps its address.
    fn mac(&self, base: [u8; 6], serial: &SerialNumber) -> Result<[u8; 6], FactoryError> {
        let [a, b, c, d, e, f] = base;
        let base = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let sum = base.checked_add(self.product.serials.counter(serial)?).filter(|sum| *sum < 1 << 48);
        let sum = sum.ok_or_else(|| {
            FactoryError::refused("dpp-mac-base", "DPP s5.2.1", "the addresses after mac-base are used up")
        })?;
        let [_, _, mac @ ..] = sum.to_be_bytes();
        Ok(mac)
    }
}

fn generate(dpp: &DppProduct) -> Result<PrivateKey, FactoryError> {
    let mut drawn = true;
    let key = PrivateKey::generate(dpp.curve, &mut |out: &mut [u8]| {
        if aws_lc_rs::rand::fill(out).is_err() {
            drawn = false;
            // Ends the search for a key, which is thrown away.
            out.fill(1);
        }
    });
    match drawn {
        true => Ok(key),
        false => Err(PkiError::Misuse("the system gave no random bytes".into()).into()),
    }
}

/// The hash of a configurator's key.
fn configurator(uri: &str) -> Result<Fingerprint, FactoryError> {
    let uri: Uri = uri.parse().map_err(FactoryError::Uri)?;
    Ok(uri.key.bootstrap_hash())
}

/// Which devices are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that have a bootstrapping key.
    All,
    /// Those of a batch.
    Batch(BatchId),
    /// Those with these serial numbers.
    Serials(Vec<SerialNumber>),
}

/// How lists of URIs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated values, with the names of the columns first.
    Csv,
}

impl Factory {
    /// Writes the URIs of devices to `out`; how many.
    pub fn write_uris(&self, which: &Which, format: ListFormat, out: &mut dyn Write) -> Result<u64, FactoryError> {
        let failed = |why: std::io::Error| FactoryError::file(Path::new("the list of URIs"), why);
        if format == ListFormat::Csv {
            writeln!(out, "{}", csv_head()).map_err(failed)?;
        }
        self.each(which, &mut |device, _| {
            let Some(entry) = Entry::of_made(device) else { return Ok(()) };
            let line = match format {
                ListFormat::Csv => csv(&entry),
                ListFormat::JsonLines => serde_json::to_string(&entry).map_err(|why| failed(why.into()))?,
            };
            writeln!(out, "{line}").map_err(failed)
        })
    }

    /// Writes labels of devices to sheets in the file `path`; the files. `progress` is told how many labels are done.
    pub fn write_labels(
        &self,
        which: &Which,
        path: &Path,
        layout: Layout,
        progress: &dyn Fn(u64),
    ) -> Result<Vec<PathBuf>, FactoryError> {
        let failed = |why: std::io::Error| FactoryError::file(path, why);
        let mut sheets = Sheets::new(path, layout, self.how_many(which)?).map_err(failed)?;
        let mut done = 0;
        self.each(which, &mut |device, dpp| {
            done += 1;
            progress(done);
            sheets.add(label(device, dpp)).map_err(failed)
        })?;
        sheets.finish().map_err(failed)
    }

    /// Writes a picture of each device's URI to `folder`, named after the serial number; how many.
    pub fn write_pictures(
        &self,
        which: &Which,
        folder: &Path,
        format: Format,
        progress: &dyn Fn(u64),
    ) -> Result<u64, FactoryError> {
        fs::create_dir_all(folder).map_err(|why| FactoryError::file(folder, why))?;
        let extension = if format == Format::Svg { "svg" } else { "png" };
        let mut done = 0;
        self.each(which, &mut |device, dpp| {
            let path = folder.join(format!("{}.{extension}", super::bundles::file_name(&device.serial_number)));
            let code = Code::of(&dpp.uri).map_err(|why| FactoryError::file(&path, why))?;
            let bytes = picture(&code, format).map_err(|why| FactoryError::file(&path, why))?;
            fs::write(&path, bytes).map_err(|why| FactoryError::file(&path, why))?;
            done += 1;
            progress(done);
            Ok(())
        })
    }

    /// How many devices are meant, at most.
    pub fn how_many(&self, which: &Which) -> Result<u64, FactoryError> {
        Ok(match which {
            Which::All => self.store.count::<FactoryDevice>()?,
            Which::Batch(batch) => self.batch(batch)?.range.count,
            Which::Serials(serials) => serials.len() as u64,
        })
    }

    pub(super) fn batch(&self, id: &BatchId) -> Result<Batch, FactoryError> {
        let found = self.store.find::<Batch>(id.as_str())?.map(|found| found.record);
        found.ok_or_else(|| FactoryError::refused("batch-known", "NIST SP 1800-36B s4.1", format!("no batch {id}")))
    }

    /// Hands each device that is meant and has a bootstrapping key to `take`, however many there are; how many.
    fn each(
        &self,
        which: &Which,
        take: &mut dyn FnMut(&FactoryDevice, &DppRecord) -> Result<(), FactoryError>,
    ) -> Result<u64, FactoryError> {
        let mut count = 0;
        self.each_device(which, &mut |device| match &device.dpp {
            Some(dpp) => {
                count += 1;
                take(device, dpp)
            }
            None => Ok(()),
        })?;
        Ok(count)
    }

    /// Hands each device that is meant to `one`, however many there are.
    pub(super) fn each_device(
        &self,
        which: &Which,
        one: &mut dyn FnMut(&FactoryDevice) -> Result<(), FactoryError>,
    ) -> Result<(), FactoryError> {
        match which {
            Which::All => {
                let mut after: Option<String> = None;
                loop {
                    let page = self.store.scan::<FactoryDevice>(after.as_deref(), PAGE)?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.key());
                    page.iter().try_for_each(|device| one(device))?;
                }
            }
            Which::Batch(batch) => self.devices_in(&self.batch(batch)?.range, one)?,
            Which::Serials(serials) => {
                for serial in serials {
                    let found = self.store.find::<FactoryDevice>(serial.as_str())?;
                    one(FactoryDevice::known(found.as_ref().map(|found| &found.record))?)?;
                }
            }
        }
        Ok(())
    }
}

fn label(device: &FactoryDevice, dpp: &DppRecord) -> Label {
    Label { uri: dpp.uri.clone(), serial_number: device.serial_number.to_string(), model: device.model.to_string() }
}

//! Manifests: what was made and what was rejected, signed by the factory line.
//!
//! A manifest is a JSON file with one line for each device, and a detached signature (CMS, RFC 5652) beside it, which
//! `openssl cms -verify` checks too. It is written before its batch is marked as finished, so a batch that was
//! interrupted gets its manifest when it is resumed.

use super::{Factory, FactoryError, Which};
use crate::Identity;
use landfall_lifecycle::factory::{
    Batch, BatchId, FactoryDevice, HardwareProof, Method, REJECTS_LOG, Reject, SerialRange, Station,
};
use landfall_pki::{Anchors, Certificate, ContentDigest, PathPolicy, SignedData, SignedDataBuilder, oid, validate};
use landfall_types::{Fault, Fingerprint, Model, Refusal, SerialNumber, Time};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Write},
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

const FORMAT: u8 = 1;
/// How many devices are read and written by one thread at once.
const PART: u64 = 2048;
const SECTION: &str = "NIST SP 1800-36B s4.1";
/// What the signature's file is called, after the manifest's.
const SIGNATURE: &str = "p7s";

/// Where manifests go, and who signs them.
#[derive(Debug)]
pub(super) struct Manifests {
    pub(super) folder: PathBuf,
    pub(super) signer: Identity,
}

/// What stands above the devices.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Head<'a> {
    format: u8,
    manufacturer: &'a str,
    signed: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchHead<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BatchHead<'a> {
    id: &'a BatchId,
    model: &'a Model,
    method: Method,
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<&'a Station>,
    first: SerialNumber,
    last: SerialNumber,
    count: u64,
    planned: Time,
    finished: Time,
}

/// A device in a manifest.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Line<'a> {
    serial_number: &'a SerialNumber,
    model: &'a Model,
    method: Method,
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<&'a Station>,
    /// The SHA-256 of its IDevID.
    idevid: Fingerprint,
    /// The SHA-256 of its public key info.
    key: Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    hardware: Option<&'a HardwareProof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bootstrap_hash: Option<Fingerprint>,
    made: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    void: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(device: &'a FactoryDevice) -> Self {
        Self {
            serial_number: &device.serial_number,
            model: &device.model,
            method: device.method,
            station: device.station.as_ref(),
            idevid: device.fingerprint,
            key: device.key,
            hardware: device.hardware.as_ref(),
            bootstrap_hash: device.dpp.as_ref().map(|dpp| dpp.bootstrap_hash),
            made: device.made,
            void: device.void.as_ref().map(|void| void.why.as_str()),
        }
    }
}

/// What a manifest says that was found to be signed by the factory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verified {
    /// Whose manifest it is.
    pub manufacturer: String,
    /// Who signed it.
    pub signer: String,
    /// When, by the factory's clock.
    pub signed: Time,
    /// The batch that it is about, if it is about one.
    pub batch: Option<String>,
    /// How many devices it lists.
    pub devices: usize,
    /// How many rejects.
    pub rejects: usize,
}

impl Factory {
    /// Writes a manifest of the devices that are meant to `path`, and its signature beside it; how many devices.
    pub fn write_manifest(&self, which: &Which, path: &Path) -> Result<u64, FactoryError> {
        let batch = match which {
            Which::Batch(id) => Some(self.batch(id)?),
            Which::All | Which::Serials(_) => None,
        };
        self.manifest(which, batch.as_ref(), path)
    }

    /// Writes the manifest of a batch whose last device was made.
    pub(super) fn manifest_of(&self, batch: &Batch) -> Result<PathBuf, FactoryError> {
        let folder = &self.manifests.folder;
        fs::create_dir_all(folder).map_err(|why| FactoryError::file(folder, why))?;
        let path = folder.join(format!("{}.json", batch.id));
        self.manifest(&Which::Batch(batch.id.clone()), Some(batch), &path)?;
        Ok(path)
    }

    fn manifest(&self, which: &Which, batch: Option<&Batch>, path: &Path) -> Result<u64, FactoryError> {
        let signer = self.manifests.signer.certificate()?;
        let mut staged = Staged::new(path, ContentDigest::for_signer(signer)?)?;
        let now = self.now();
        let (manufacturer, batch_head) = (self.manufacturer.organization.as_str(), head(batch, now)?);
        let head = Head { format: FORMAT, manufacturer, signed: now, batch: batch_head };
        let mut head = serde_json::to_string(&head).map_err(|why| FactoryError::file(path, why))?;
        // The lists stand in the object that the head begins.
        head.pop();
        staged.write(&head)?;
        staged.write(",\"devices\":[")?;
        let mut count = 0;
        match batch {
            Some(batch) => self.lines_of(&batch.range, &mut |lines| {
                lines.iter().try_for_each(|line| {
                    count += 1;
                    staged.line(count > 1, line)
                })
            })?,
            None => self.each_device(which, &mut |device| {
                count += 1;
                staged.item(count > 1, &Line::of(device))
            })?,
        }
        staged.write("],\"rejects\":[")?;
        let (mut follows, about) = (false, batch.map(|batch| &batch.id));
        self.each_reject(&mut |reject| {
            if about.is_none_or(|batch| reject.batch.as_ref() == Some(batch)) {
                staged.item(follows, &reject)?;
                follows = true;
            }
            Ok(())
        })?;
        staged.write("]}\n")?;
        staged.sign(&self.manifests.signer, now)?;
        Ok(count)
    }

    /// Hands the lines of the devices with these serial numbers to `take`, in order. They are read and written on all cores.
    fn lines_of(
        &self,
        range: &SerialRange,
        take: &mut dyn FnMut(Vec<String>) -> Result<(), FactoryError>,
    ) -> Result<(), FactoryError> {
        let part = |skip| -> Result<_, FactoryError> {
            let mut lines = Vec::new();
            self.devices_in(&range.part(skip, PART), &mut |device| {
                lines.push(json(&Line::of(device))?);
                Ok(())
            })?;
            Ok(lines)
        };
        let at_once = thread::available_parallelism().map_or(1, NonZero::get);
        let parts: Vec<u64> = (0..range.count.div_ceil(PART)).map(|number| number * PART).collect();
        parts.chunks(at_once).try_for_each(|parts| {
            thread::scope(|scope| {
                let at_work: Vec<_> = parts.iter().map(|skip| scope.spawn(|| part(*skip))).collect();
                at_work.into_iter().try_for_each(|part| match part.join() {
                    Ok(lines) => take(lines?),
                    Err(panicked) => std::panic::resume_unwind(panicked),
                })
            })
        })
    }

    /// Hands every reject to `take`, the oldest first.
    pub fn each_reject(&self, take: &mut dyn FnMut(Reject) -> Result<(), FactoryError>) -> Result<(), FactoryError> {
        let mut after = 0;
        loop {
            let page = self.store.log(REJECTS_LOG, after, super::records::PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            for entry in page {
                let read = |why: serde_json::Error| FactoryError::file(Path::new(REJECTS_LOG), why);
                take(serde_json::from_value(entry.entry).map_err(read)?)?;
            }
        }
    }
}

fn head(batch: Option<&Batch>, now: Time) -> Result<Option<BatchHead<'_>>, FactoryError> {
    let Some(batch) = batch else { return Ok(None) };
    let SerialRange { scheme, first, count } = &batch.range;
    Ok(Some(BatchHead {
        id: &batch.id,
        model: &batch.product.model,
        method: batch.method,
        station: batch.station.as_ref(),
        first: scheme.serial(*first)?,
        last: scheme.serial(first.saturating_add(count.saturating_sub(1)))?,
        count: *count,
        planned: batch.planned,
        finished: batch.finished.unwrap_or(now),
    }))
}

/// A manifest under a name of its own, until it is whole and signed.
struct Staged<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    digest: ContentDigest,
}

impl<'a> Staged<'a> {
    fn new(path: &'a Path, digest: ContentDigest) -> Result<Self, FactoryError> {
        let file = File::create(staging(path)).map_err(|why| FactoryError::file(path, why))?;
        Ok(Self { path, file: BufWriter::new(file), digest })
    }

    fn item(&mut self, follows: bool, item: &impl Serialize) -> Result<(), FactoryError> {
        self.line(follows, &json(item)?)
    }

    fn line(&mut self, follows: bool, line: &str) -> Result<(), FactoryError> {
        self.write(if follows { ",\n" } else { "\n" })?;
        self.write(line)
    }

    fn write(&mut self, text: &str) -> Result<(), FactoryError> {
        self.digest.update(text.as_bytes());
        self.file.write_all(text.as_bytes()).map_err(|why| FactoryError::file(self.path, why))
    }

    fn sign(self, signer: &Identity, now: Time) -> Result<(), FactoryError> {
        let Self { path, file, digest } = self;
        let failed = |why: &dyn std::fmt::Display| FactoryError::file(path, why);
        let above = signer.chain.iter().skip(1).cloned();
        let prepared = SignedDataBuilder::detached(digest, signer.certificate()?, above).prepare(Some(now))?;
        let signature = prepared.issue(&*signer.signer)?;
        file.into_inner().map_err(|why| failed(&why))?.sync_all().map_err(|why| failed(&why))?;
        let beside = signature_of(path);
        let write = || {
            let mut file = File::create(staging(&beside))?;
            file.write_all(&signature)?;
            file.sync_all()?;
            fs::rename(staging(path), path)?;
            fs::rename(staging(&beside), &beside)
        };
        write().map_err(|why| failed(&why))
    }
}

fn json(item: &impl Serialize) -> Result<String, FactoryError> {
    serde_json::to_string(item).map_err(|why| FactoryError::file(Path::new("the manifest"), why))
}

fn staging(path: &Path) -> PathBuf {
    added(path, "new")
}

/// Where the signature of the manifest at `path` is.
pub fn signature_of(path: &Path) -> PathBuf {
    added(path, SIGNATURE)
}

fn added(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Checks a manifest and the `signature` beside it: that a factory line under `anchors` signed just this.
///
/// # Errors
/// A refusal that says what is wrong with it.
pub fn verify_manifest(path: &Path, signature: &[u8], anchors: &Anchors, now: Time) -> Result<Verified, FactoryError> {
    #[derive(Deserialize)]
    struct About {
        format: u8,
        manufacturer: String,
        signed: Time,
        batch: Option<Named>,
        // Counted and not kept: a manifest may list a million devices.
        devices: Vec<IgnoredAny>,
        rejects: Vec<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let refused =
        |check, detail: String| FactoryError::from(Refusal::new(Fault::Denied, check, "RFC 5652 s5.6", detail));
    let opened = || File::open(path).map_err(|why| FactoryError::file(path, why));
    let message = SignedData::parse(signature).map_err(|why| refused("manifest-signature", why.to_string()))?;
    let mut digest = message.content_digest().map_err(|why| refused("manifest-signature", why.to_string()))?;
    let (mut file, mut part) = (opened()?, vec![0; 1 << 16]);
    loop {
        let length = file.read(&mut part).map_err(|why| FactoryError::file(path, why))?;
        if length == 0 {
            break;
        }
        digest.update(part.get(..length).unwrap_or_default());
    }
    let signer = message.verify_detached(digest).map_err(|why| refused("manifest-signature", why.to_string()))?;
    // Devices have certificates of the manufacturer too, and sign with them: only the line signs manifests.
    let policy = PathPolicy::at(now).require_eku(oid::DOCUMENT_SIGNING);
    validate(&signer, message.certificates(), anchors, &policy)?;
    let about: About = serde_json::from_reader(BufReader::new(opened()?))
        .map_err(|why| FactoryError::refused("manifest-content", SECTION, why.to_string()))?;
    if about.format != FORMAT {
        let detail = format!("it has format {}, and {FORMAT} is known", about.format);
        return Err(FactoryError::refused("manifest-content", SECTION, detail));
    }
    Ok(Verified {
        manufacturer: about.manufacturer,
        signer: Certificate::subject(&signer),
        signed: about.signed,
        batch: about.batch.map(|batch| batch.id),
        devices: about.devices.len(),
        rejects: about.rejects.len(),
    })
}

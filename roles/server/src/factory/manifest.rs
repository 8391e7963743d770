//! Manifests: what was made and what was rejected, signed by the factory line.
//!
//! A manifest is a JSON file with one line for each device, and a detached signature (CMS, RFC 5652) beside it, which
//! `openssl cms -verify` checks too. That of a batch is written while its devices are made, and signed before the batch is
//! marked as finished, so a batch that was interrupted gets its manifest when it is resumed.

use super::{Factory, FactoryError, Which};
use crate::Identity;
use landfall_lifecycle::factory::{
    Batch, BatchId, FactoryDevice, HardwareProof, Method, REJECTS_LOG, Reject, SerialRange, Station,
};
use landfall_pki::{Anchors, Certificate, ContentDigest, PathPolicy, SignedData, SignedDataBuilder, oid, validate};
use landfall_types::{Fault, Fingerprint, Model, Refusal, SerialNumber, Time};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

const FORMAT: u8 = 1;
const SECTION: &str = "NIST SP 1800-36B s4.1";
/// About as many octets as the line of a device has.
const LINE: usize = 400;
/// What stands between two items of a list.
const BETWEEN: &str = ",\n";
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
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchHead<'a>>,
}

/// What stands below them: nobody knows it before the last of them is made.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Foot {
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<Time>,
    signed: Time,
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

    /// Begins the manifest of a batch that is being made.
    pub(super) fn list(&self, batch: &Batch) -> Result<List, FactoryError> {
        let folder = &self.manifests.folder;
        fs::create_dir_all(folder).map_err(|why| FactoryError::file(folder, why))?;
        let staged = self.begin_manifest(Some(batch), &folder.join(format!("{}.json", batch.id)))?;
        Ok(List { staged, next: 0, early: BTreeMap::new() })
    }

    /// Signs the manifest of a batch, all of whose devices are in the list.
    pub(super) fn sign_list(&self, list: List, batch: &Batch) -> Result<PathBuf, FactoryError> {
        let path = list.staged.path.clone();
        self.end_manifest(list.staged, Some(batch))?;
        Ok(path)
    }

    fn manifest(&self, which: &Which, batch: Option<&Batch>, path: &Path) -> Result<u64, FactoryError> {
        let mut staged = self.begin_manifest(batch, path)?;
        let mut count = 0;
        self.each_device(which, &mut |device| {
            count += 1;
            staged.item(&Line::of(device))
        })?;
        self.end_manifest(staged, batch)?;
        Ok(count)
    }

    /// What stands above the devices.
    fn begin_manifest(&self, batch: Option<&Batch>, path: &Path) -> Result<Staged, FactoryError> {
        let signer = self.manifests.signer.certificate()?;
        let mut staged = Staged::new(path, ContentDigest::for_signer(signer)?)?;
        let manufacturer = self.manufacturer.organization.as_str();
        let mut head = json(&Head { format: FORMAT, manufacturer, batch: batch.map(head).transpose()? })?;
        // The lists stand in the object that the head begins.
        head.pop();
        staged.write(&head)?;
        staged.begin("devices")?;
        Ok(staged)
    }

    /// What stands below them, and the signature.
    fn end_manifest(&self, mut staged: Staged, batch: Option<&Batch>) -> Result<(), FactoryError> {
        staged.write("]")?;
        staged.begin("rejects")?;
        let about = batch.map(|batch| &batch.id);
        self.each_reject(&mut |reject| match about.is_none_or(|batch| reject.batch.as_ref() == Some(batch)) {
            true => staged.item(&reject),
            false => Ok(()),
        })?;
        let now = self.now();
        let foot = json(&Foot { finished: batch.and_then(|batch| batch.finished), signed: now })?;
        staged.write("],")?;
        staged.write(foot.trim_start_matches('{'))?;
        staged.write("\n")?;
        staged.sign(&self.manifests.signer, now)
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

fn head(batch: &Batch) -> Result<BatchHead<'_>, FactoryError> {
    let SerialRange { scheme, first, count } = &batch.range;
    Ok(BatchHead {
        id: &batch.id,
        model: &batch.product.model,
        method: batch.method,
        station: batch.station.as_ref(),
        first: scheme.serial(*first)?,
        last: scheme.serial(first.saturating_add(count.saturating_sub(1)))?,
        count: *count,
        planned: batch.planned,
    })
}

/// The devices of a batch in its manifest, in the order of their serial numbers, whichever of its parts is made first.
#[derive(Debug)]
pub(super) struct List {
    staged: Staged,
    /// The part whose turn it is.
    next: u64,
    /// Those that came before their turn.
    early: BTreeMap<u64, String>,
}

impl List {
    /// Adds the lines of the part with this number, which are on record.
    pub(super) fn add(&mut self, part: u64, lines: Lines) -> Result<(), FactoryError> {
        self.early.insert(part, lines.0);
        while let Some(lines) = self.early.remove(&self.next) {
            self.staged.lines(&lines)?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Some devices in a manifest, one below the other.
#[derive(Debug)]
pub(super) struct Lines(String);

impl Lines {
    /// None yet, with room for so many.
    pub(super) fn of(count: u64) -> Self {
        Self(String::with_capacity(LINE * usize::try_from(count).unwrap_or_default()))
    }

    pub(super) fn push(&mut self, device: &FactoryDevice) -> Result<(), FactoryError> {
        if !self.0.is_empty() {
            self.0.push_str(BETWEEN);
        }
        self.0.push_str(&json(&Line::of(device))?);
        Ok(())
    }
}

/// A manifest under a name of its own, until it is whole and signed.
#[derive(Debug)]
struct Staged {
    path: PathBuf,
    file: BufWriter<File>,
    digest: ContentDigest,
    /// Whether there is an item in the list already.
    follows: bool,
}

impl Staged {
    fn new(path: &Path, digest: ContentDigest) -> Result<Self, FactoryError> {
        let file = File::create(staging(path)).map_err(|why| FactoryError::file(path, why))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), digest, follows: false })
    }

    /// Begins a list with this name, after something else.
    fn begin(&mut self, list: &str) -> Result<(), FactoryError> {
        self.follows = false;
        self.write(&format!(",\"{list}\":["))
    }

    fn item(&mut self, item: &impl Serialize) -> Result<(), FactoryError> {
        self.lines(&json(item)?)
    }

    /// Adds items to the list, one at least, with what is [`BETWEEN`] them.
    fn lines(&mut self, lines: &str) -> Result<(), FactoryError> {
        self.write(if self.follows { BETWEEN } else { "\n" })?;
        self.follows = true;
        self.write(lines)
    }

    fn write(&mut self, text: &str) -> Result<(), FactoryError> {
        self.digest.update(text.as_bytes());
        self.file.write_all(text.as_bytes()).map_err(|why| FactoryError::file(&self.path, why))
    }

    fn sign(self, signer: &Identity, now: Time) -> Result<(), FactoryError> {
        let Self { path, file, digest, .. } = self;
        let failed = |why: &dyn std::fmt::Display| FactoryError::file(&path, why);
        let above = signer.chain.iter().skip(1).cloned();
        let prepared = SignedDataBuilder::detached(digest, signer.certificate()?, above).prepare(Some(now))?;
        let signature = prepared.issue(&*signer.signer)?;
        file.into_inner().map_err(|why| failed(&why))?.sync_all().map_err(|why| failed(&why))?;
        let beside = signature_of(&path);
        let write = || {
            let mut file = File::create(staging(&beside))?;
            file.write_all(&signature)?;
            file.sync_all()?;
            fs::rename(staging(&path), &path)?;
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

//! What is kept of software: lists of components, what is said about vulnerabilities, and feeds.

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use landfall_software::{FeedKind, feed::Edition};
use landfall_tuf::Trust;
use landfall_types::{DeviceId, Fingerprint, Record, Time};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// What a list of components is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One device.
    Device(DeviceId),
    /// All devices of a type: manufacturer and model, `acme/lamp`.
    DeviceType(String),
    /// All devices whose certificates name that MUD file: whose anchors it is held against, and where it is.
    MudFile(String),
    /// One device, by its own word.
    Shown(DeviceId),
}

/// One list of components. There is one for each scope and firmware, and one that a device shows of itself; a newer one takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SbomRecord {
    /// Its id here: the beginning of the SHA-256 of its scope and firmware.
    pub id: String,
    /// What it is about.
    #[serde(flatten)]
    pub scope: Scope,
    /// Of which release of the firmware; of all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The format and its version.
    pub format: String,
    /// How the document names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The SHA-256 of the document.
    pub hash: Fingerprint,
    /// How many components it has.
    pub components: usize,
    /// Since when it is here.
    pub at: Time,
    /// Who brought it.
    pub by: String,
    /// The document; not there where only the rest is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl SbomRecord {
    pub(super) fn id(scope: &Scope, firmware: Option<&str>) -> String {
        let (kind, name) = match scope {
            Scope::Device(device) => ("device", device.as_str()),
            Scope::DeviceType(name) => ("type", name.as_str()),
            Scope::MudFile(name) => ("mud-file", name.as_str()),
            Scope::Shown(device) => ("shown", device.as_str()),
        };
        let firmware = firmware.filter(|_| !matches!(scope, Scope::Shown(_)));
        let digest = digest([kind, name, firmware.unwrap_or_default()].join("\0").as_bytes());
        digest.to_string().chars().take(12).collect()
    }
}

impl Record for SbomRecord {
    const COLLECTION: &'static str = "verification-sbom";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The bundle of feeds that is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FeedRecord {
    /// The SHA-256 of the root that it was pinned to.
    pub pinned: Fingerprint,
    /// What the next bundle is held against.
    pub trust: Trust,
    /// Since when it is here.
    pub at: Time,
    /// Who brought it.
    pub by: String,
    /// Until when its publisher vouches that there is nothing newer.
    pub fresh_until: Time,
    /// Its files.
    pub files: Vec<FeedFile>,
    /// Files in it that are of no kind that is known here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
}

impl FeedRecord {
    pub(super) const KEY: &'static str = "current";
}

impl Record for FeedRecord {
    const COLLECTION: &'static str = "verification-feeds";

    fn key(&self) -> String {
        Self::KEY.into()
    }
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FeedFile {
    /// Its path in the bundle.
    pub name: String,
    /// Its kind: `osv`, `nvd`, `kev`, `epss` or `vex`.
    pub kind: String,
    /// Its SHA-256.
    pub hash: Fingerprint,
    /// As of when it is, and how many records it has; of statements (`vex`) the time is that of the import.
    #[serde(flatten)]
    pub edition: Edition,
    /// In how many parts it is kept.
    pub parts: usize,
}

/// What a file of a bundle is, by the beginning of its name: `osv/debian.json`, `osv-debian.jsonl`, `kev.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Feed(FeedKind),
    Vex,
}

impl FileKind {
    pub(super) fn of(name: &str) -> Option<Self> {
        let word = name.split(['/', '-', '.', '_']).next().unwrap_or_default();
        match word {
            "vex" => Some(Self::Vex),
            word => word.parse().ok().map(Self::Feed),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Feed(kind) => kind.name(),
            Self::Vex => "vex",
        }
    }
}

/// A part of a file, packed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FeedPart {
    file: String,
    part: usize,
    packed: String,
}

impl Record for FeedPart {
    const COLLECTION: &'static str = "verification-feed-part";

    fn key(&self) -> String {
        Self::key_of(&self.file, self.part)
    }
}

impl FeedPart {
    /// So many octets are in one part, packed.
    const PART: usize = 1024 * 1024;

    pub(super) fn key_of(file: &str, part: usize) -> String {
        format!("{file}#{part:06}")
    }

    pub(super) fn split(file: &str, content: &[u8]) -> io::Result<Vec<Self>> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(content)?;
        let packed = packer.finish()?;
        let parts = packed.chunks(Self::PART).enumerate();
        Ok(parts.map(|(part, piece)| Self { file: file.to_owned(), part, packed: STANDARD.encode(piece) }).collect())
    }

    /// The file again, if it is the one that it was.
    pub(super) fn join(parts: &[Self], hash: Fingerprint, longest: u64) -> Option<Vec<u8>> {
        let mut packed = Vec::new();
        for part in parts {
            packed.extend(STANDARD.decode(&part.packed).ok()?);
        }
        let mut content = Vec::new();
        GzDecoder::new(packed.as_slice()).take(longest).read_to_end(&mut content).ok()?;
        (digest(&content) == hash).then_some(content)
    }
}

/// The SHA-256 of that.
pub(crate) fn digest(bytes: &[u8]) -> Fingerprint {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Fingerprint(digest.as_ref().try_into().unwrap_or_default())
}

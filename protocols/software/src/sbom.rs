//! Lists of a device's components (SBOMs): CycloneDX 1.4 to 1.7 and SPDX 2.2 and 2.3, in JSON.

mod cyclonedx;
mod spdx;

use crate::{bounds, cpe::Cpe, purl::Purl, read, severity::Tenths, vex::Statement};
use landfall_types::{Fault, Refusal};
use serde::Deserialize;

pub(crate) use cyclonedx::statements;

/// What a device, or what a type of device, consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sbom {
    /// The format and its version: `CycloneDX 1.6`, `SPDX-2.3`.
    pub format: String,
    /// What names this document, with its version if it has one: `urn:uuid:…/1`.
    pub document: Option<String>,
    /// What it is about.
    pub root: Option<Component>,
    /// What that consists of.
    pub components: Vec<Component>,
    /// What its author says about vulnerabilities in it.
    pub statements: Vec<Statement>,
    /// Vulnerabilities that its author admits, with their scores.
    pub admitted: Vec<Admitted>,
}

/// One part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// What refers to it within its document, or empty.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// Its version, or empty.
    pub version: String,
    /// Its package URL.
    pub purl: Option<Purl>,
    /// Its name in the National Vulnerability Database.
    pub cpe: Option<Cpe>,
    /// Whether there may be something to know about it: files, licences and data have no vulnerabilities of their own.
    pub is_software: bool,
}

/// A vulnerability that the author of a list says is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its name and its other names.
    pub names: Vec<String>,
    /// How bad it is said to be.
    pub score: Option<Tenths>,
    /// What refers to the components that have it.
    pub components: Vec<String>,
}

/// Reads a list of components in whichever of the formats it is.
///
/// # Errors
/// If it is longer, deeper or has more components than [`bounds`] permit, is of another format or version, or is broken.
pub fn read(bytes: &[u8]) -> Result<Sbom, Refusal> {
    const WHAT: &str = "CycloneDX, SPDX";
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.trim_ascii_start().starts_with(b"<") {
        return Err(read::incompatible(
            WHAT,
            "XML is not read; `cyclonedx convert --output-format json` makes JSON of it",
        ));
    }
    if text.trim_ascii_start().starts_with(b"SPDXVersion:") {
        return Err(read::incompatible(WHAT, "SPDX as tags and values is not read; `pyspdxtools` makes JSON of it"));
    }
    let kind: Kind = read::json(text, WHAT, bounds::SBOM)?;
    match (kind.bom_format.as_deref(), kind.spdx_version.as_deref(), kind.context) {
        (Some("CycloneDX"), None, None) => cyclonedx::read(text),
        (None, Some(_), None) => spdx::read(text),
        (None, None, Some(_)) => Err(read::incompatible("SPDX 3", "SPDX 3 is not read; most tools write SPDX 2.3 too")),
        _ => Err(Refusal::new(Fault::Malformed, "software-document", WHAT, "it is neither CycloneDX nor SPDX")),
    }
}

/// What tells one format from the other.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "bomFormat")]
    bom_format: Option<String>,
    #[serde(rename = "spdxVersion")]
    spdx_version: Option<String>,
    #[serde(rename = "@context")]
    context: Option<serde::de::IgnoredAny>,
}

impl Sbom {
    /// The components about which something can be asked: those with a package URL or a CPE name.
    pub fn identified(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(|component| component.is_identified())
    }
}

impl Component {
    /// Whether something can be asked about it.
    pub const fn is_identified(&self) -> bool {
        self.purl.is_some() || self.cpe.is_some()
    }

    /// What to call it.
    pub fn title(&self) -> String {
        match (&self.purl, self.version.is_empty()) {
            (Some(purl), _) => purl.to_string(),
            (None, true) => self.name.clone(),
            (None, false) => format!("{} {}", self.name, self.version),
        }
    }

    /// Takes over what its package URL says and its own fields do not, and the other way round.
    fn complete(mut self) -> Self {
        if let Some(purl) = &mut self.purl {
            match &purl.version {
                Some(version) if self.version.is_empty() => self.version.clone_from(version),
                None if !self.version.is_empty() => purl.version = Some(self.version.clone()),
                _ => {}
            }
        }
        if let Some(version) =
            self.cpe.as_ref().and_then(|cpe| cpe.version.as_ref()).filter(|_| self.version.is_empty())
        {
            self.version.clone_from(version);
        }
        self
    }
}

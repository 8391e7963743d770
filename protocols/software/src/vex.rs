//! What somebody says about vulnerabilities in a product: OpenVEX 0.2, CSAF 2.0, and CycloneDX documents without components.

mod csaf;

use crate::{
    bounds,
    purl::Purl,
    read,
    read::{Few, Text},
    sbom::{self, Component, Sbom},
};
use landfall_types::{Refusal, Time};
use serde::Deserialize;

const WHAT: &str = "OpenVEX";

/// What is said about one vulnerability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The vulnerability's names.
    pub names: Vec<String>,
    /// In what.
    pub products: Vec<Product>,
    /// What is the case there.
    pub status: Status,
    /// Why, in the words of the format: `vulnerable_code_not_in_execute_path`.
    pub why: Option<String>,
    /// Since when.
    pub at: Option<Time>,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Product {
    /// What a document calls by that reference, or by a BOM-Link.
    Reference(String),
    /// A package, and the parts of it that are meant; none for all of it.
    Package(Purl, Vec<Purl>),
}

/// What is the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does not apply.
    NotAffected,
    /// It applied, and does no longer.
    Fixed,
    /// It applies.
    Affected,
    /// Nobody knows yet.
    Open,
}

impl Status {
    /// Whether it counts against the product.
    pub const fn counts(self) -> bool {
        matches!(self, Self::Affected | Self::Open)
    }

    /// Its name in OpenVEX.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAffected => "not_affected",
            Self::Fixed => "fixed",
            Self::Affected => "affected",
            Self::Open => "under_investigation",
        }
    }
}

/// A document of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The format and its version.
    pub format: String,
    /// Who it says has written it.
    pub author: Option<String>,
    /// How it names itself.
    pub document: Option<String>,
    /// What it says.
    pub statements: Vec<Statement>,
}

/// What a document of statements says.
///
/// # Errors
/// As with [`document`].
pub fn read(bytes: &[u8]) -> Result<Vec<Statement>, Refusal> {
    document(bytes).map(|words| words.statements)
}

/// Reads a document of statements in whichever of the formats it is. Whether its author may say so is the caller's to know.
///
/// # Errors
/// If it is too long, of another format, broken, a draft, or says of something that it is not affected and does not say why
/// (OpenVEX 0.2, status justifications; CSAF 2.0 s4.5).
pub fn document(bytes: &[u8]) -> Result<Words, Refusal> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "bomFormat")]
        bom_format: Option<serde::de::IgnoredAny>,
        document: Option<serde::de::IgnoredAny>,
    }
    let kind: Kind = read::json(bytes, WHAT, bounds::SBOM)?;
    match (kind.bom_format, kind.document) {
        (Some(_), _) => sbom::statements(bytes),
        (None, Some(_)) => csaf::read(bytes),
        (None, None) => openvex(bytes),
    }
}

fn openvex(bytes: &[u8]) -> Result<Words, Refusal> {
    let document: Document = read::json(bytes, WHAT, bounds::SBOM)?;
    if !document.context.starts_with("https://openvex.dev/ns") {
        return Err(read::incompatible(WHAT, "its @context is not that of OpenVEX"));
    }
    let written: Option<Time> = document.timestamp.as_ref().and_then(|text| text.parse().ok());
    let statements = document.statements.0.into_iter().map(|one| statement(one, written));
    Ok(Words {
        format: WHAT.into(),
        author: document.author.map(|text| text.0),
        document: document.id.map(|text| text.0),
        statements: statements.collect::<Result<_, _>>()?,
    })
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@context")]
    context: Text,
    #[serde(rename = "@id")]
    id: Option<Text>,
    author: Option<Text>,
    timestamp: Option<Text>,
    statements: Few<Said, { bounds::STATEMENTS }>,
}

#[derive(Deserialize)]
struct Said {
    vulnerability: Vulnerability,
    timestamp: Option<Text>,
    #[serde(default)]
    products: Few<Subject>,
    status: Text,
    justification: Option<Text>,
    impact_statement: Option<String>,
}

#[derive(Deserialize)]
struct Vulnerability {
    name: Text,
    #[serde(default)]
    aliases: Few<Text>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default, rename = "@id")]
    id: Text,
    #[serde(default)]
    identifiers: Identifiers,
    #[serde(default)]
    subcomponents: Few<Subject>,
}

#[derive(Default, Deserialize)]
struct Identifiers {
    purl: Option<Text>,
}

fn statement(said: Said, written: Option<Time>) -> Result<Statement, Refusal> {
    let status = match &*said.status {
        "not_affected" => Status::NotAffected,
        "fixed" => Status::Fixed,
        "affected" => Status::Affected,
        "under_investigation" => Status::Open,
        other => return Err(read::malformed(WHAT, format!("{other:.40} is no status"))),
    };
    let why = said.justification.map(|text| text.0).filter(|text| !text.is_empty());
    let explained = said.impact_statement.as_ref().is_some_and(|text| !text.trim().is_empty());
    if status == Status::NotAffected && why.is_none() && !explained {
        return Err(read::malformed(
            WHAT,
            format!("it does not say why {:.60} does not apply", &*said.vulnerability.name),
        ));
    }
    let names = std::iter::once(said.vulnerability.name).chain(said.vulnerability.aliases.0).map(|name| name.0);
    Ok(Statement {
        names: names.filter(|name| !name.is_empty()).collect(),
        products: said.products.0.iter().filter_map(product).collect(),
        status,
        why: why.or_else(|| explained.then(|| "impact_statement".to_owned())),
        at: said.timestamp.as_ref().and_then(|text| text.parse().ok()).or(written),
    })
}

fn product(subject: &Subject) -> Option<Product> {
    let purl = |subject: &Subject| {
        let text = subject.identifiers.purl.as_deref().unwrap_or(&subject.id);
        text.parse::<Purl>().ok()
    };
    let Some(own) = purl(subject) else {
        // A part of something that cannot be found cannot be found either.
        return elsewhere(&subject.id).filter(|_| subject.subcomponents.is_empty());
    };
    let parts: Vec<Purl> = subject.subcomponents.iter().filter_map(purl).collect();
    // If parts are named and none can be read, the statement must not come to be about the whole.
    (!parts.is_empty() || subject.subcomponents.is_empty()).then_some(Product::Package(own, parts))
}

/// What a document that lists no components itself may refer to: a package, or a part of a document that it names. A reference
/// without a document could be anything.
pub(crate) fn elsewhere(reference: &str) -> Option<Product> {
    match reference.parse() {
        Ok(purl) => Some(Product::Package(purl, Vec::new())),
        Err(_) => reference.starts_with("urn:cdx:").then(|| Product::Reference(reference.to_owned())),
    }
}

impl Statement {
    /// Whether it is about this vulnerability.
    pub fn is_about(&self, names: &[&str]) -> bool {
        self.names.iter().any(|name| names.iter().any(|other| name.eq_ignore_ascii_case(other)))
    }

    /// Whether it is about this component of that product.
    pub fn concerns(&self, sbom: &Sbom, component: &Component) -> bool {
        self.products.iter().any(|product| product.is(sbom, component))
    }
}

impl Product {
    fn is(&self, sbom: &Sbom, component: &Component) -> bool {
        match self {
            Self::Reference(text) => refers(text, sbom, component),
            Self::Package(product, parts) => {
                let covers = |one: &Purl, other: &Component| other.purl.as_ref().is_some_and(|purl| one.covers(purl));
                let whole = sbom.root.as_ref().is_some_and(|root| covers(product, root));
                match parts.is_empty() {
                    true => whole || covers(product, component),
                    false => whole && parts.iter().any(|part| covers(part, component)),
                }
            }
        }
    }
}

/// CycloneDX BOM-Link: `urn:cdx:SERIAL/VERSION#REFERENCE`; within a document, the reference alone.
fn refers(text: &str, sbom: &Sbom, component: &Component) -> bool {
    let is = |reference: &str, one: &Component| !one.reference.is_empty() && one.reference == reference;
    let whole = |reference: &str| sbom.root.as_ref().is_some_and(|root| is(reference, root));
    match text.strip_prefix("urn:cdx:") {
        Some(link) => {
            let (document, reference) = link.split_once('#').unwrap_or((link, ""));
            let own = sbom.document.as_deref().and_then(|own| own.strip_prefix("urn:uuid:"));
            own == Some(document) && (reference.is_empty() || whole(reference) || is(reference, component))
        }
        None => whole(text) || is(text, component),
    }
}

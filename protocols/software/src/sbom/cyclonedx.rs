//! CycloneDX 1.4 to 1.7 in JSON (ECMA-424).

use super::{Admitted, Component, Sbom};
use crate::{
    bounds, read,
    read::{Few, Text},
    severity::Tenths,
    vex::{Product, Statement, Status, Words, elsewhere},
};
use landfall_types::{Refusal, Time};
use serde::Deserialize;

const WHAT: &str = "CycloneDX";
const VERSIONS: [&str; 4] = ["1.4", "1.5", "1.6", "1.7"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bom_format: Text,
    spec_version: Text,
    serial_number: Option<Text>,
    version: Option<u64>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Few<Part, { bounds::COMPONENTS }>,
    #[serde(default)]
    vulnerabilities: Few<Vulnerability, { bounds::STATEMENTS }>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    timestamp: Option<Text>,
    component: Option<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default, rename = "bom-ref")]
    reference: Text,
    #[serde(default)]
    group: Text,
    #[serde(default)]
    name: Text,
    version: Option<Text>,
    scope: Option<Text>,
    purl: Option<Text>,
    cpe: Option<Text>,
    #[serde(default)]
    components: Few<Part, { bounds::COMPONENTS }>,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    references: Few<Reference>,
    #[serde(default)]
    ratings: Few<Rating>,
    analysis: Option<Analysis>,
    updated: Option<Text>,
    #[serde(default)]
    affects: Few<Affected>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    id: Text,
}

#[derive(Deserialize)]
struct Rating {
    score: Option<f64>,
    vector: Option<Text>,
    severity: Option<Text>,
    method: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Analysis {
    state: Option<Text>,
    justification: Option<Text>,
    last_updated: Option<Text>,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(rename = "ref")]
    reference: Text,
}

impl Document {
    /// What names it, with its version.
    fn name(&self) -> Option<String> {
        self.serial_number.as_ref().map(|serial| format!("{}/{}", &**serial, self.version.unwrap_or(1)))
    }
}

fn document(bytes: &[u8]) -> Result<Document, Refusal> {
    let document: Document = read::json(bytes, WHAT, bounds::SBOM)?;
    if &*document.bom_format != "CycloneDX" || !VERSIONS.contains(&&*document.spec_version) {
        let version = &*document.spec_version;
        return Err(read::incompatible(WHAT, format!("version {version:.20} is none of {}", VERSIONS.join(", "))));
    }
    Ok(document)
}

pub(super) fn read(bytes: &[u8]) -> Result<Sbom, Refusal> {
    let document = document(bytes)?;
    let mut sbom =
        Sbom { format: format!("CycloneDX {}", &*document.spec_version), document: document.name(), ..Sbom::default() };
    (sbom.statements, sbom.admitted) = said(&document);
    if let Some(mut root) = document.metadata.component {
        let within = std::mem::take(&mut root.components);
        sbom.root = Some(component(root));
        collect(within, 1, &mut sbom.components)?;
    }
    collect(document.components, 0, &mut sbom.components)?;
    Ok(sbom)
}

/// What a document without components says about those of another, which it names by BOM-Links or package URLs.
pub(crate) fn statements(bytes: &[u8]) -> Result<Words, Refusal> {
    let document = document(bytes)?;
    let mut statements = said(&document).0;
    for statement in &mut statements {
        let products = std::mem::take(&mut statement.products).into_iter();
        statement.products = products
            .filter_map(|product| match product {
                Product::Reference(reference) => elsewhere(&reference),
                other => Some(other),
            })
            .collect();
    }
    Ok(Words {
        format: format!("CycloneDX {}", &*document.spec_version),
        author: None,
        document: document.name(),
        statements,
    })
}

fn collect(parts: Few<Part, { bounds::COMPONENTS }>, depth: usize, into: &mut Vec<Component>) -> Result<(), Refusal> {
    if depth > bounds::DEPTH {
        return Err(read::malformed(WHAT, format!("components stand more than {} deep", bounds::DEPTH)));
    }
    for mut part in parts.0 {
        let within = std::mem::take(&mut part.components);
        // CycloneDX component.scope: what is excluded is not in the product, but was there when it was made.
        if part.scope.as_deref().is_none_or(|scope| scope != "excluded") {
            if into.len() == bounds::COMPONENTS {
                return Err(read::malformed(WHAT, format!("it has more than {} components", bounds::COMPONENTS)));
            }
            into.push(component(part));
        }
        collect(within, depth + 1, into)?;
    }
    Ok(())
}

fn component(part: Part) -> Component {
    let name = if part.group.is_empty() { part.name.0 } else { format!("{}/{}", &*part.group, &*part.name) };
    let is_software = !matches!(&*part.kind, "file" | "data" | "cryptographic-asset" | "machine-learning-model");
    let component = Component {
        reference: part.reference.0,
        name,
        version: part.version.unwrap_or_default().0,
        purl: part.purl.and_then(|text| text.parse().ok()),
        cpe: part.cpe.and_then(|text| text.parse().ok()),
        is_software,
    };
    component.complete()
}

/// CycloneDX vulnerabilities.analysis: what does not apply, and what does.
fn said(document: &Document) -> (Vec<Statement>, Vec<Admitted>) {
    let time = |text: Option<&Text>| text.and_then(|text| text.parse::<Time>().ok());
    let written = time(document.metadata.timestamp.as_ref());
    let (mut statements, mut admitted) = (Vec::new(), Vec::new());
    for vulnerability in &*document.vulnerabilities {
        let others = vulnerability.references.iter().map(|reference| reference.id.0.clone());
        let names: Vec<String> =
            std::iter::once(vulnerability.id.0.clone()).chain(others).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            continue;
        }
        let analysis = vulnerability.analysis.as_ref();
        let status = analysis.and_then(|analysis| analysis.state.as_deref()).map(state).unwrap_or(Status::Affected);
        let components: Vec<String> =
            vulnerability.affects.iter().map(|affected| affected.reference.0.clone()).collect();
        statements.push(Statement {
            names: names.clone(),
            products: components.iter().map(|reference| Product::Reference(reference.clone())).collect(),
            status,
            why: analysis.and_then(|analysis| analysis.justification.as_ref()).map(|text| text.0.clone()),
            at: time(analysis.and_then(|analysis| analysis.last_updated.as_ref()))
                .or_else(|| time(vulnerability.updated.as_ref()))
                .or(written),
        });
        if status.counts() {
            admitted.push(Admitted { names, score: vulnerability.ratings.iter().filter_map(rating).max(), components });
        }
    }
    (statements, admitted)
}

fn state(state: &str) -> Status {
    match state {
        "resolved" | "resolved_with_pedigree" => Status::Fixed,
        "not_affected" | "false_positive" => Status::NotAffected,
        "in_triage" => Status::Open,
        // `exploitable`, and whatever else may come to be.
        _ => Status::Affected,
    }
}

fn rating(rating: &Rating) -> Option<Tenths> {
    let scale = rating.method.as_deref().is_none_or(|method| method.starts_with("CVSS"));
    let told = rating.score.filter(|_| scale).and_then(Tenths::from_scale);
    let computed = rating.vector.as_deref().and_then(Tenths::from_vector);
    told.max(computed).or_else(|| rating.severity.as_deref().and_then(Tenths::from_word))
}

//! SPDX 2.2 and 2.3 in JSON (ISO/IEC 5962).

use super::{Component, Sbom};
use crate::{
    bounds, read,
    read::{Few, Text},
};
use landfall_types::Refusal;
use serde::Deserialize;
use std::collections::BTreeSet;

const WHAT: &str = "SPDX";
const VERSIONS: [&str; 2] = ["SPDX-2.2", "SPDX-2.3"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: Text,
    document_namespace: Option<Text>,
    #[serde(default)]
    document_describes: Few<Text>,
    #[serde(default)]
    packages: Few<Package, { bounds::COMPONENTS }>,
    #[serde(default)]
    relationships: Few<Relationship, 1_000_000>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(default, rename = "SPDXID")]
    id: Text,
    #[serde(default)]
    name: Text,
    version_info: Option<Text>,
    primary_package_purpose: Option<Text>,
    #[serde(default)]
    external_refs: Few<External>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    #[serde(default)]
    reference_type: Text,
    #[serde(default)]
    reference_locator: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    #[serde(default)]
    spdx_element_id: Text,
    #[serde(default)]
    relationship_type: Text,
    #[serde(default)]
    related_spdx_element: Text,
}

pub(super) fn read(bytes: &[u8]) -> Result<Sbom, Refusal> {
    let document: Document = read::json(bytes, WHAT, bounds::SBOM)?;
    if !VERSIONS.contains(&&*document.spdx_version) {
        let version = &*document.spdx_version;
        return Err(read::incompatible(WHAT, format!("version {version:.20} is none of {}", VERSIONS.join(", "))));
    }
    let mut described: BTreeSet<&str> = document.document_describes.iter().map(|id| &**id).collect();
    for relationship in &*document.relationships {
        match &*relationship.relationship_type {
            "DESCRIBES" => described.insert(&relationship.related_spdx_element),
            "DESCRIBED_BY" => described.insert(&relationship.spdx_element_id),
            _ => continue,
        };
    }
    let mut sbom = Sbom {
        format: document.spdx_version.0.clone(),
        document: document.document_namespace.as_ref().map(|namespace| namespace.0.clone()),
        ..Sbom::default()
    };
    for package in &*document.packages {
        let component = component(package);
        // A document that describes one thing is about it; what describes several has them all as its parts.
        if described.len() == 1 && described.contains(&*package.id) && document.packages.len() > 1 {
            sbom.root = Some(component);
        } else {
            sbom.components.push(component);
        }
    }
    Ok(sbom)
}

fn component(package: &Package) -> Component {
    let locator = |kinds: &[&str]| {
        let mut found = package.external_refs.iter().filter(|external| kinds.contains(&&*external.reference_type));
        found.next().map(|external| &*external.reference_locator)
    };
    let component = Component {
        reference: package.id.0.clone(),
        name: package.name.0.clone(),
        version: package
            .version_info
            .as_ref()
            .filter(|version| &***version != "NOASSERTION")
            .cloned()
            .unwrap_or_default()
            .0,
        purl: locator(&["purl"]).and_then(|text| text.parse().ok()),
        cpe: locator(&["cpe23Type", "cpe22Type"]).and_then(|text| text.parse().ok()),
        is_software: !matches!(package.primary_package_purpose.as_deref(), Some("FILE" | "SOURCE" | "ARCHIVE")),
    };
    component.complete()
}

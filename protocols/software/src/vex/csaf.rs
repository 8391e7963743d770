//! CSAF 2.0 documents of the profile VEX (OASIS CSAF s4.5).

use super::{Product, Statement, Status, Words};
use crate::{
    bounds,
    purl::Purl,
    read::{self, Few, Text},
};
use landfall_types::{Refusal, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

const WHAT: &str = "CSAF";
/// s3.1.2: no deeper do branches stand in branches.
const DEPTH: usize = 30;

#[derive(Deserialize)]
struct Document {
    document: Head,
    #[serde(default)]
    product_tree: Tree,
    #[serde(default)]
    vulnerabilities: Few<Vulnerability, { bounds::STATEMENTS }>,
}

#[derive(Deserialize)]
struct Head {
    category: Text,
    csaf_version: Text,
    publisher: Publisher,
    tracking: Tracking,
}

#[derive(Deserialize)]
struct Publisher {
    name: Text,
}

#[derive(Deserialize)]
struct Tracking {
    id: Text,
    version: Text,
    status: Text,
    current_release_date: Text,
}

#[derive(Default, Deserialize)]
struct Tree {
    #[serde(default)]
    branches: Few<Branch, { bounds::COMPONENTS }>,
    #[serde(default)]
    full_product_names: Few<Named, { bounds::COMPONENTS }>,
    #[serde(default)]
    relationships: Few<Relationship, { bounds::COMPONENTS }>,
    #[serde(default)]
    product_groups: Few<Group>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    branches: Few<Branch, { bounds::COMPONENTS }>,
    product: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    product_id: Text,
    #[serde(default)]
    product_identification_helper: Helper,
}

#[derive(Default, Deserialize)]
struct Helper {
    purl: Option<Text>,
}

#[derive(Deserialize)]
struct Relationship {
    product_reference: Text,
    relates_to_product_reference: Text,
    full_product_name: Named,
}

#[derive(Deserialize)]
struct Group {
    group_id: Text,
    #[serde(default)]
    product_ids: Few<Text>,
}

#[derive(Deserialize)]
struct Vulnerability {
    cve: Option<Text>,
    #[serde(default)]
    ids: Few<Id>,
    #[serde(default)]
    product_status: Stand,
    #[serde(default)]
    flags: Few<Note>,
    #[serde(default)]
    threats: Few<Note>,
}

#[derive(Deserialize)]
struct Id {
    text: Text,
}

#[derive(Default, Deserialize)]
struct Stand {
    #[serde(default)]
    first_affected: Few<Text>,
    #[serde(default)]
    known_affected: Few<Text>,
    #[serde(default)]
    last_affected: Few<Text>,
    #[serde(default)]
    first_fixed: Few<Text>,
    #[serde(default)]
    fixed: Few<Text>,
    #[serde(default)]
    known_not_affected: Few<Text>,
    #[serde(default)]
    under_investigation: Few<Text>,
}

/// A flag, or a threat.
#[derive(Deserialize)]
struct Note {
    label: Option<Text>,
    category: Option<Text>,
    #[serde(default)]
    product_ids: Few<Text>,
    #[serde(default)]
    group_ids: Few<Text>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Words, Refusal> {
    let Document { document, product_tree, vulnerabilities } = read::json(bytes, WHAT, bounds::SBOM)?;
    let Head { category, csaf_version, publisher, tracking } = document;
    if &*category != "csaf_vex" || &*csaf_version != "2.0" {
        let what = format!("category {:.40} of version {:.20} is not csaf_vex of 2.0", &*category, &*csaf_version);
        return Err(read::incompatible(WHAT, what));
    }
    // s3.2.1.12.8: what is still a draft is nobody's word.
    if !matches!(&*tracking.status, "final" | "interim") {
        return Err(read::malformed(
            WHAT,
            format!("its status is {:.20}, so it is not to be relied on", &*tracking.status),
        ));
    }
    let at: Option<Time> = tracking.current_release_date.parse().ok();
    let products = products(&product_tree)?;
    let groups: BTreeMap<&str, &[Text]> =
        product_tree.product_groups.iter().map(|group| (&*group.group_id, &*group.product_ids)).collect();
    let mut statements = Vec::new();
    for vulnerability in &*vulnerabilities {
        statements.extend(said(vulnerability, &products, &groups, at)?);
    }
    Ok(Words {
        format: format!("CSAF {}", &*csaf_version),
        author: Some(publisher.name.0),
        document: Some(format!("{}/{}", &*tracking.id, &*tracking.version)),
        statements,
    })
}

/// Products by their names in the document; those that no package URL tells are none that could be found.
fn products(tree: &Tree) -> Result<BTreeMap<&str, Product>, Refusal> {
    let mut purls: BTreeMap<&str, Purl> = BTreeMap::new();
    let mut waiting: Vec<(&Branch, usize)> = tree.branches.iter().map(|branch| (branch, 1)).collect();
    let mut named: Vec<&Named> = tree.full_product_names.iter().collect();
    while let Some((branch, depth)) = waiting.pop() {
        if depth > DEPTH {
            return Err(read::malformed(WHAT, format!("branches stand more than {DEPTH} deep")));
        }
        named.extend(&branch.product);
        waiting.extend(branch.branches.iter().map(|branch| (branch, depth + 1)));
    }
    for one in named {
        let purl = one.product_identification_helper.purl.as_ref().and_then(|text| text.parse().ok());
        purls.extend(purl.map(|purl| (&*one.product_id, purl)));
    }
    let mut products: BTreeMap<&str, Product> =
        purls.iter().map(|(name, purl)| (*name, Product::Package(purl.clone(), Vec::new()))).collect();
    // s3.2.2.4: a part as it is in a product. Without both it would come to be about the part wherever it is, or about the whole.
    for relationship in &*tree.relationships {
        let part = purls.get(&*relationship.product_reference);
        let whole = purls.get(&*relationship.relates_to_product_reference);
        if let (Some(part), Some(whole)) = (part, whole) {
            let product = Product::Package(whole.clone(), vec![part.clone()]);
            products.insert(&relationship.full_product_name.product_id, product);
        }
    }
    Ok(products)
}

fn said(
    vulnerability: &Vulnerability,
    products: &BTreeMap<&str, Product>,
    groups: &BTreeMap<&str, &[Text]>,
    at: Option<Time>,
) -> Result<Vec<Statement>, Refusal> {
    let others = vulnerability.ids.iter().map(|id| &id.text);
    let names = vulnerability.cve.iter().chain(others).filter(|name| !name.is_empty()).map(|name| name.0.clone());
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let whys = whys(vulnerability, groups)?;
    let stand = &vulnerability.product_status;
    let mut statements = Vec::new();
    let mut add = |products: Vec<Product>, status: Status, why: Option<String>| {
        statements.push(Statement { names: names.clone(), products, status, why, at });
    };
    let found = |ids: &[Text]| -> Vec<Product> { ids.iter().filter_map(|id| products.get(&**id).cloned()).collect() };
    for (ids, status) in [
        (&stand.first_affected, Status::Affected),
        (&stand.known_affected, Status::Affected),
        (&stand.last_affected, Status::Affected),
        (&stand.first_fixed, Status::Fixed),
        (&stand.fixed, Status::Fixed),
        (&stand.under_investigation, Status::Open),
    ] {
        if !ids.is_empty() {
            add(found(ids), status, None);
        }
    }
    // s4.5: who says that a product is not affected says why, of each of them.
    let mut reasons: BTreeMap<&str, Vec<Product>> = BTreeMap::new();
    for id in &*stand.known_not_affected {
        let why = whys.get(&**id).ok_or_else(|| {
            let name = names.first().map(String::as_str).unwrap_or_default();
            read::malformed(WHAT, format!("it does not say why {name:.60} does not apply to {:.60}", &**id))
        })?;
        reasons.entry(why).or_default().extend(products.get(&**id).cloned());
    }
    reasons.into_iter().for_each(|(why, products)| add(products, Status::NotAffected, Some(why.to_owned())));
    Ok(statements)
}

/// Why products are not affected: by a flag (s3.2.3.5), or by a threat that tells of the impact (s3.2.3.14).
fn whys<'a>(
    vulnerability: &'a Vulnerability,
    groups: &BTreeMap<&str, &'a [Text]>,
) -> Result<BTreeMap<&'a str, &'a str>, Refusal> {
    let impact = |note: &&Note| note.category.as_deref() == Some("impact");
    let threats = vulnerability.threats.iter().filter(impact).map(|note| (note, "impact"));
    let flags = vulnerability.flags.iter().filter_map(|note| Some((note, note.label.as_deref()?)));
    let mut whys: BTreeMap<&str, &str> = BTreeMap::new();
    let mut count = 0;
    for (note, why) in threats.chain(flags) {
        let grouped = note.group_ids.iter().filter_map(|group| groups.get(&**group)).flat_map(|ids| ids.iter());
        for id in note.product_ids.iter().chain(grouped) {
            count += 1;
            if count > bounds::ITEMS {
                return Err(read::malformed(WHAT, "its groups make too many products of few"));
            }
            whys.insert(id, why);
        }
    }
    Ok(whys)
}

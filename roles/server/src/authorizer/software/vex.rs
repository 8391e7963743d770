//! What operators bring of statements that vulnerabilities apply to products, or do not (VEX), each document for itself.

use super::{SECTION, Software, Vulnerabilities, digest, held};
use crate::authorizer::{Authorizer, backend, gate};
use landfall_software::{
    Statement,
    vex::{self, Product, Words},
};
use landfall_store::Store;
use landfall_types::{Changes, Fault, Fingerprint, Record, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// So many documents are kept.
const MOST: usize = 1000;
/// So much is read at a time.
const PART: usize = 16;
/// So many products and vulnerabilities are named.
const NAMED: usize = 100;
/// How far a statement may be ahead of our clock: the newest word counts.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// One document of statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VexRecord {
    /// Its id here: the beginning of its SHA-256.
    pub id: String,
    /// The format and its version.
    pub format: String,
    /// Who it says has written it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How it names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Its SHA-256.
    pub hash: Fingerprint,
    /// How many statements it has.
    pub statements: usize,
    /// The vulnerabilities that it is about; the first of them.
    pub vulnerabilities: Vec<String>,
    /// The products that it names; the first of them.
    pub products: Vec<String>,
    /// Since when it is here.
    pub at: Time,
    /// Who brought it.
    pub by: String,
    /// The document; not there where only the rest is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Record for VexRecord {
    const COLLECTION: &'static str = "verification-vex";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A document without its text, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Said {
    record: VexRecord,
    statements: Vec<Statement>,
}

pub(super) fn load(store: &Store) -> Result<BTreeMap<String, Said>, Refusal> {
    let (mut all, mut after) = (BTreeMap::new(), None::<String>);
    loop {
        let part = store.scan::<VexRecord>(after.as_deref(), PART).map_err(backend)?;
        let Some(last) = part.last() else { return Ok(all) };
        after = Some(last.record.id.clone());
        for found in part {
            let record = found.record;
            // What cannot be read any more excuses nothing.
            match vex::document(record.text.as_bytes()) {
                Ok(Words { statements, .. }) => {
                    let record = VexRecord { text: String::new(), ..record };
                    all.insert(record.id.clone(), Said { record, statements });
                }
                Err(why) => {
                    tracing::error!(role = "authorizer", vex = record.id, %why, "a document of statements cannot be read");
                }
            }
        }
    }
}

impl Authorizer {
    /// Takes in a document of statements; what follows about the devices that run what it names is durable and in effect when this
    /// resolves.
    ///
    /// # Errors
    /// If it is no such document, says nothing of a product that could be found, is from the future, or cannot be written.
    pub async fn add_vex(self: &Arc<Self>, document: &[u8], by: String) -> Result<VexRecord, Refusal> {
        let words = vex::document(document)?;
        let malformed = |check, why: &str| Refusal::new(Fault::Malformed, check, SECTION, why);
        let text = std::str::from_utf8(document).map_err(|why| malformed("vex-text", &why.to_string()))?.to_owned();
        let _turn = self.bringing.lock().await;
        let now = self.world.clock.now();
        if words.statements.is_empty() {
            return Err(malformed("vex-empty", "it says nothing of any vulnerability"));
        }
        if words.statements.iter().all(|one| one.products.is_empty()) {
            return Err(malformed(
                "vex-product",
                "it names no product by a package URL, or by a document that lists it",
            ));
        }
        if words.statements.iter().any(|one| one.at.is_some_and(|at| at > now + AHEAD)) {
            return Err(malformed(
                "vex-future",
                "it is of a time that is still to come, and would outlast what is said by then",
            ));
        }
        let hash = digest(document);
        let record = VexRecord {
            id: hash.to_string().chars().take(12).collect(),
            format: words.format,
            author: words.author,
            document: words.document,
            hash,
            statements: words.statements.len(),
            vulnerabilities: first(words.statements.iter().filter_map(|one| one.names.first().cloned())),
            products: first(words.statements.iter().flat_map(|one| &one.products).map(named)),
            at: now,
            by,
            text,
        };
        let mut brought = self.software().known.brought.clone();
        if brought.len() >= MOST && !brought.contains_key(&record.id) {
            return Err(Refusal::new(Fault::Denied, "vex-count", SECTION, "there are 1000 documents already"));
        }
        let changes = Changes::new().put(&record).map_err(backend)?;
        let record_without = VexRecord { text: String::new(), ..record };
        brought
            .insert(record_without.id.clone(), Said { record: record_without.clone(), statements: words.statements });
        self.say(changes, brought).await?;
        Ok(record_without)
    }

    /// Removes a document of statements: what it said does not count any more. Whether there was one.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn remove_vex(self: &Arc<Self>, id: &str) -> Result<bool, Refusal> {
        let _turn = self.bringing.lock().await;
        let mut brought = self.software().known.brought.clone();
        if brought.remove(id).is_none() {
            return Ok(false);
        }
        self.say(Changes::new().delete::<VexRecord>(id), brought).await?;
        Ok(true)
    }

    /// The documents of statements.
    pub fn vex(&self) -> Vec<VexRecord> {
        self.software().known.brought.values().map(|said| said.record.clone()).collect()
    }

    async fn say(self: &Arc<Self>, changes: Changes, brought: BTreeMap<String, Said>) -> Result<(), Refusal> {
        let authorizer = self.clone();
        // Each list is assessed anew: not on the threads that serve devices.
        let assessed = tokio::task::spawn_blocking(move || {
            let known = authorizer.software().known.clone();
            let known = Vulnerabilities { brought, ..(*known).clone() }.merged();
            let lists = held(&authorizer.world.store, &known, authorizer.world.clock.now())?;
            Ok::<_, Refusal>((lists, Arc::new(known)))
        });
        let (lists, known) = assessed.await.map_err(|_| gate::away())??;
        self.world.store.commit(changes).await.map_err(backend)?;
        {
            let mut software = self.software_mut();
            let published = std::mem::take(&mut software.published);
            *software = Software { devices: software.devices, lists, known, published };
        }
        self.retell(|about| self.software().speaks_of(about)).await.map(drop)
    }
}

impl Vulnerabilities {
    /// With all that is said by whomever in one list.
    pub(super) fn merged(mut self) -> Self {
        let brought = self.brought.values().flat_map(|said| said.statements.iter().cloned());
        self.statements = self.from_feeds.iter().cloned().chain(brought).collect();
        self
    }
}

fn first(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut named = BTreeSet::new();
    for name in names {
        if named.len() == NAMED {
            break;
        }
        named.insert(name);
    }
    named.into_iter().collect()
}

fn named(product: &Product) -> String {
    match product {
        Product::Reference(reference) => reference.clone(),
        Product::Package(package, parts) if parts.is_empty() => package.to_string(),
        Product::Package(package, parts) => {
            let parts: Vec<String> = parts.iter().take(NAMED).map(ToString::to_string).collect();
            format!("{} in {package}", parts.join(", "))
        }
    }
}

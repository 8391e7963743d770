//! The other side: who publishes bundles, with the same keys for all roles. Larger publishers have tools of their own.

use crate::canonical;
use landfall_pki::{Algorithm, PkiError, Signer, pem};
use landfall_types::Time;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The version of the specification that is followed.
const SPECIFICATION: &str = "1.0.31";
const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// A file of a bundle, and what is said of it beside its digest.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The file itself.
    pub content: Vec<u8>,
    /// What is for those who use it (TUF s4.5).
    pub custom: Option<Value>,
}

impl From<Vec<u8>> for Target {
    fn from(content: Vec<u8>) -> Self {
        Self { content, custom: None }
    }
}

/// The root that is to be pinned wherever bundles of this key are used: its first version.
///
/// # Errors
/// If the key is neither Ed25519 nor ECDSA on P-256, or does not sign.
pub fn root(signer: &dyn Signer, expires: Time) -> Result<Vec<u8>, PkiError> {
    root_of(&[signer], 1, 1, expires, &[])
}

/// A root by which so many of these keys must sign. One that follows another (TUF s6.1) has the next version, and is signed by
/// enough of the keys `before` it too.
///
/// # Errors
/// As [`root`], or if there are fewer keys than must sign.
pub fn root_of(
    signers: &[&dyn Signer],
    threshold: usize,
    version: u64,
    expires: Time,
    before: &[&dyn Signer],
) -> Result<Vec<u8>, PkiError> {
    let keys: BTreeMap<String, Value> = signers.iter().map(|signer| key(*signer)).collect::<Result<_, _>>()?;
    if threshold == 0 || threshold > keys.len() {
        return Err(PkiError::Misuse(format!("{threshold} of {} keys cannot sign", keys.len())));
    }
    let role = json!({ "keyids": keys.keys().collect::<Vec<_>>(), "threshold": threshold });
    let roles: BTreeMap<&str, &Value> = ROLES.iter().map(|name| (*name, &role)).collect();
    let mut root = part("root", version, expires);
    if let Some(members) = root.as_object_mut() {
        members.insert("consistent_snapshot".into(), true.into());
        members.insert("keys".into(), json!(keys));
        members.insert("roles".into(), json!(roles));
    }
    signed(&root, &[signers, before].concat())
}

/// A bundle of these files, by their paths. A higher version takes the place of a lower one.
///
/// # Errors
/// As [`root`].
pub fn bundle(
    signer: &dyn Signer,
    version: u64,
    expires: Time,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<String, Vec<u8>>, PkiError> {
    let files = files.iter().map(|(path, content)| (path.clone(), content.clone().into())).collect();
    bundle_of(&[signer], version, expires, &files)
}

/// The same signed by each of these keys, with what is said of the files.
///
/// # Errors
/// As [`root`].
pub fn bundle_of(
    signers: &[&dyn Signer],
    version: u64,
    expires: Time,
    files: &BTreeMap<String, Target>,
) -> Result<BTreeMap<String, Vec<u8>>, PkiError> {
    let mut bundle = BTreeMap::new();
    let mut named = BTreeMap::new();
    for (path, Target { content, custom }) in files {
        let mut told = described(content);
        if let (Some(members), Some(custom)) = (told.as_object_mut(), custom) {
            members.insert("custom".into(), custom.clone());
        }
        named.insert(path.as_str(), told);
        // TUF s6.2: a consistent snapshot has digests in its names.
        let (folder, name) =
            path.rsplit_once('/').map_or((String::new(), path.as_str()), |(folder, name)| (format!("{folder}/"), name));
        bundle.insert(format!("targets/{folder}{}.{name}", digest(content)), content.clone());
    }
    let with = |kind: &str, name: &str, value: Value| {
        let mut part = part(kind, version, expires);
        if let Some(members) = part.as_object_mut() {
            members.insert(name.into(), value);
        }
        signed(&part, signers)
    };
    let meta = |name: &str, content: &[u8]| {
        let mut described = described(content);
        if let Some(members) = described.as_object_mut() {
            members.insert("version".into(), version.into());
        }
        json!({ name: described })
    };
    let targets = with("targets", "targets", json!(named))?;
    let snapshot = with("snapshot", "meta", meta("targets.json", &targets))?;
    let timestamp = with("timestamp", "meta", meta("snapshot.json", &snapshot))?;
    bundle.insert("timestamp.json".into(), timestamp);
    bundle.insert(format!("{version}.snapshot.json"), snapshot);
    bundle.insert(format!("{version}.targets.json"), targets);
    Ok(bundle)
}

fn part(kind: &str, version: u64, expires: Time) -> Value {
    json!({ "_type": kind, "spec_version": SPECIFICATION, "version": version, "expires": expires.to_string() })
}

fn signed(part: &Value, signers: &[&dyn Signer]) -> Result<Vec<u8>, PkiError> {
    let bytes = canonical(part).ok_or_else(|| PkiError::Misuse("the metadata has no canonical form".into()))?;
    // By their ids: a key that stays when others are replaced signs once.
    let mut signatures = BTreeMap::new();
    for signer in signers {
        signatures.insert(key(*signer)?.0, hex::encode(signer.sign(&bytes)?));
    }
    let signatures: Vec<Value> = signatures.iter().map(|(id, sig)| json!({ "keyid": id, "sig": sig })).collect();
    Ok(json!({ "signatures": signatures, "signed": part }).to_string().into_bytes())
}

/// TUF s4.2: a key, and its id.
fn key(signer: &dyn Signer) -> Result<(String, Value), PkiError> {
    let public = signer.public_key();
    let (kind, scheme, public) = match Algorithm::of(public.kind()) {
        Some(Algorithm::Ed25519) => ("ed25519", "ed25519", hex::encode(public.key_bits())),
        Some(Algorithm::EcdsaP256) => ("ecdsa", "ecdsa-sha2-nistp256", pem::encode("PUBLIC KEY", public.spki_der())),
        _ => return Err(PkiError::Misuse("bundles are signed with Ed25519 or ECDSA on P-256".into())),
    };
    let key = json!({ "keytype": kind, "scheme": scheme, "keyval": { "public": public } });
    let bytes = canonical(&key).ok_or_else(|| PkiError::Misuse("the key has no canonical form".into()))?;
    Ok((digest(&bytes), key))
}

fn described(content: &[u8]) -> Value {
    json!({ "length": content.len(), "hashes": { "sha256": digest(content) } })
}

fn digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

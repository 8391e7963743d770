//! A publisher of bundles.

use landfall_pki::{Algorithm, Signer, SoftwareKey, pem};
use landfall_tuf::canonical;
use landfall_types::Time;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn now() -> Time {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

/// Keys of the four roles; the root has three, of which two must sign.
pub(crate) struct Publisher {
    pub(crate) root: Vec<SoftwareKey>,
    pub(crate) timestamp: SoftwareKey,
    pub(crate) snapshot: SoftwareKey,
    pub(crate) targets: SoftwareKey,
    pub(crate) version: u64,
    pub(crate) expires: &'static str,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let key = |algorithm| SoftwareKey::generate(algorithm).unwrap();
        Self {
            root: vec![key(Algorithm::Ed25519), key(Algorithm::EcdsaP256), key(Algorithm::Ed25519)],
            timestamp: key(Algorithm::Ed25519),
            snapshot: key(Algorithm::EcdsaP256),
            targets: key(Algorithm::Ed25519),
            version: 1,
            expires: "2026-12-01T00:00:00Z",
        }
    }

    pub(crate) fn root_part(&self, version: u64) -> Value {
        let all: Vec<&SoftwareKey> = self.root.iter().chain([&self.timestamp, &self.snapshot, &self.targets]).collect();
        let keys: Map<String, Value> = all.iter().map(|key| (id(key), public(key))).collect();
        let role = |keys: &[&SoftwareKey], threshold| json!({ "keyids": keys.iter().map(|key| id(key)).collect::<Vec<_>>(), "threshold": threshold });
        json!({
            "_type": "root", "spec_version": "1.0.31", "version": version, "expires": self.expires, "consistent_snapshot": true,
            "keys": keys,
            "roles": {
                "root": role(&self.root.iter().collect::<Vec<_>>(), 2),
                "timestamp": role(&[&self.timestamp], 1),
                "snapshot": role(&[&self.snapshot], 1),
                "targets": role(&[&self.targets], 1)
            }
        })
    }

    pub(crate) fn root(&self, version: u64) -> Vec<u8> {
        signed(&self.root_part(version), &self.root.iter().take(2).collect::<Vec<_>>())
    }

    /// A whole bundle with these files.
    pub(crate) fn bundle(&self, files: &[(&str, &[u8])]) -> Files {
        let version = self.version;
        let part = |kind: &str| json!({ "_type": kind, "spec_version": "1.0.31", "version": version, "expires": self.expires });
        let mut bundle = Files::new();
        let mut targets = part("targets");
        targets["targets"] = json!({});
        for (name, bytes) in files {
            targets["targets"][name] = described(bytes);
            bundle.insert(format!("targets/{}.{name}", digest(bytes)), bytes.to_vec());
        }
        let targets = signed(&targets, &[&self.targets]);
        let mut snapshot = part("snapshot");
        snapshot["meta"] = json!({ "targets.json": with_version(described(&targets), version) });
        let snapshot = signed(&snapshot, &[&self.snapshot]);
        let mut timestamp = part("timestamp");
        timestamp["meta"] = json!({ "snapshot.json": with_version(described(&snapshot), version) });
        bundle.insert("timestamp.json".into(), signed(&timestamp, &[&self.timestamp]));
        bundle.insert(format!("{version}.snapshot.json"), snapshot);
        bundle.insert(format!("{version}.targets.json"), targets);
        bundle
    }
}

pub(crate) fn signed(part: &Value, keys: &[&SoftwareKey]) -> Vec<u8> {
    let bytes = canonical(part).unwrap();
    let one = |key: &&SoftwareKey| json!({ "keyid": id(key), "sig": hex::encode(key.sign(&bytes).unwrap()) });
    json!({ "signatures": keys.iter().map(one).collect::<Vec<_>>(), "signed": part }).to_string().into_bytes()
}

pub(crate) fn public(key: &SoftwareKey) -> Value {
    let (kind, scheme, public) = match key.algorithm() {
        Algorithm::Ed25519 => ("ed25519", "ed25519", hex::encode(key.public_key().key_bits())),
        _ => ("ecdsa", "ecdsa-sha2-nistp256", pem::encode("PUBLIC KEY", key.public_key().spki_der())),
    };
    json!({ "keytype": kind, "scheme": scheme, "keyval": { "public": public } })
}

pub(crate) fn id(key: &SoftwareKey) -> String {
    digest(&canonical(&public(key)).unwrap())
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn described(bytes: &[u8]) -> Value {
    json!({ "length": bytes.len(), "hashes": { "sha256": digest(bytes) } })
}

fn with_version(mut described: Value, version: u64) -> Value {
    described["version"] = version.into();
    described
}

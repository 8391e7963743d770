//! The four kinds of metadata (TUF s4), and whether enough of those who must have signed them.

use crate::{KEYS, METADATA, SIGNATURES, TARGETS, canonical::canonical};
use landfall_pki::{Algorithm, PublicKey};
use landfall_types::{Fault, Fingerprint, Refusal, Time, json};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use std::collections::{BTreeMap, BTreeSet};

/// A role of the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Root,
    Timestamp,
    Snapshot,
    Targets,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }
}

pub(crate) fn refuse(check: &'static str, role: Role, why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Denied, check, "TUF s5", why).field(role.name())
}

fn malformed(role: Role, why: impl ToString) -> Refusal {
    Refusal::new(Fault::Malformed, "bundle-metadata", "TUF s4", why.to_string()).field(role.name())
}

/// A metadata file whose signatures have not been looked at.
pub(crate) struct Unverified {
    role: Role,
    signatures: BTreeMap<String, Vec<u8>>,
    bytes: Vec<u8>,
    signed: Value,
}

/// What every role's metadata has.
#[derive(Clone, Debug, Deserialize)]
struct Common {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
    version: u64,
    expires: Time,
}

/// Metadata that enough have signed.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    role: Role,
    pub(crate) version: u64,
    expires: Time,
    signed: Value,
}

impl Unverified {
    pub(crate) fn read(role: Role, bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > METADATA {
            return Err(malformed(role, format!("it has {} bytes", bytes.len())));
        }
        let mut document = json::parse(bytes).map_err(|error| malformed(role, error))?;
        let signed =
            document.get_mut("signed").map(Value::take).ok_or_else(|| malformed(role, "it has no signed part"))?;
        let list = document.get("signatures").and_then(Value::as_array);
        let list =
            list.filter(|list| list.len() <= SIGNATURES).ok_or_else(|| malformed(role, "its signatures are none"))?;
        let mut signatures = BTreeMap::new();
        for one in list {
            let text = |name: &str| one.get(name).and_then(Value::as_str);
            let (Some(id), Some(signature)) = (text("keyid"), text("sig")) else {
                return Err(malformed(role, "a signature lacks its key or itself"));
            };
            // TUF s4.2.1: one key signs once.
            let bytes = hex::decode(signature).unwrap_or_default();
            if signatures.insert(id.to_owned(), bytes).is_some() {
                return Err(malformed(role, "a key has signed twice"));
            }
        }
        let bytes = canonical(&signed).ok_or_else(|| malformed(role, "it has no canonical form"))?;
        Ok(Self { role, signatures, bytes, signed })
    }

    /// TUF s5: what it says, if enough of the keys that `root` names for the role have signed it.
    pub(crate) fn verify(&self, root: &Root) -> Result<Verified, Refusal> {
        let (keys, threshold) = root.role(self.role)?;
        // By the keys themselves: one that stands in the root under two names counts once.
        let mut good: BTreeSet<Fingerprint> = BTreeSet::new();
        for (id, signature) in &self.signatures {
            let Some(key) = keys.get(id) else { continue };
            let algorithm = match Algorithm::of(key.kind()) {
                Some(algorithm @ (Algorithm::Ed25519 | Algorithm::EcdsaP256)) => algorithm,
                _ => continue,
            };
            if key.verify(&algorithm.identifier(), &self.bytes, signature).is_ok() {
                good.insert(key.fingerprint());
            }
        }
        if good.len() < threshold {
            return Err(refuse(
                "bundle-threshold",
                self.role,
                format!("{} of {threshold} signatures are good", good.len()),
            ));
        }
        let common: Common =
            serde_json::from_value(self.signed.clone()).map_err(|error| malformed(self.role, error))?;
        if common.kind != self.role.name() || !common.spec_version.starts_with("1.") {
            return Err(malformed(self.role, "it is of another role or version of TUF"));
        }
        Ok(Verified { role: self.role, version: common.version, expires: common.expires, signed: self.signed.clone() })
    }

    /// The root that this is, not believed yet: it names the keys that must have signed it.
    pub(crate) fn as_root(&self) -> Result<Root, Refusal> {
        Root::of(&self.signed)
    }
}

impl Verified {
    /// TUF s5.3.10, s5.4.4, s5.5.6, s5.6.5: what has expired may be all that an attacker lets through.
    pub(crate) fn fresh(self, now: Time) -> Result<Self, Refusal> {
        match now < self.expires {
            true => Ok(self),
            false => Err(refuse("bundle-expired", self.role, format!("it expired at {}", self.expires))),
        }
    }

    pub(crate) const fn expires(&self) -> Time {
        self.expires
    }

    /// What it says of the metadata file of that name.
    pub(crate) fn meta(&self, name: &str) -> Result<Meta, Refusal> {
        let found = self.signed.get("meta").and_then(|meta| meta.get(name)).cloned();
        let found = found.ok_or_else(|| malformed(self.role, format!("it does not name {name}")))?;
        serde_json::from_value(found).map_err(|error| malformed(self.role, error))
    }

    /// The versions of all metadata files that it names.
    pub(crate) fn versions(&self) -> Result<BTreeMap<String, u64>, Refusal> {
        let meta = self.signed.get("meta").cloned().unwrap_or_default();
        let all: BTreeMap<String, Meta> = serde_json::from_value(meta).map_err(|error| malformed(self.role, error))?;
        if all.len() > TARGETS {
            return Err(malformed(self.role, "it names too many files"));
        }
        Ok(all.into_iter().map(|(name, meta)| (name, meta.version)).collect())
    }

    /// The files that it names.
    pub(crate) fn targets(&self) -> Result<BTreeMap<String, Meta>, Refusal> {
        #[derive(Deserialize)]
        struct Target {
            length: u64,
            hashes: BTreeMap<String, String>,
            custom: Option<Value>,
        }
        let targets = self.signed.get("targets").cloned().unwrap_or_default();
        let all: BTreeMap<String, Target> =
            serde_json::from_value(targets).map_err(|error| malformed(self.role, error))?;
        if all.len() > TARGETS {
            return Err(malformed(self.role, "it names too many files"));
        }
        let meta = |one: Target| Meta { version: 0, length: Some(one.length), hashes: one.hashes, custom: one.custom };
        let all: BTreeMap<String, Meta> = all.into_iter().map(|(name, one)| (name, meta(one))).collect();
        // A file whose digest nobody has signed is anybody's.
        match all.values().all(Meta::has_digest) {
            true => Ok(all),
            false => Err(malformed(self.role, "it names a file without its SHA-256 or SHA-512")),
        }
    }
}

/// What is said of a file (TUF s4.4).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Meta {
    #[serde(default)]
    pub(crate) version: u64,
    length: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    /// What else its publisher says of it (TUF s4.5): nothing that TUF itself looks at.
    #[serde(skip)]
    pub(crate) custom: Option<Value>,
}

impl Meta {
    fn has_digest(&self) -> bool {
        self.hashes.contains_key("sha256") || self.hashes.contains_key("sha512")
    }

    /// What consistent snapshots write before a file's name (TUF s6.2): its digests.
    pub(crate) fn digests(&self) -> impl Iterator<Item = &str> {
        ["sha256", "sha512"].into_iter().filter_map(|name| self.hashes.get(name).map(String::as_str))
    }

    pub(crate) const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether these bytes are that file.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        let length = u64::try_from(bytes.len()).ok();
        let digest = |name: &str, digest: &dyn Fn() -> Vec<u8>| {
            self.hashes.get(name).is_none_or(|told| hex::decode(told).is_ok_and(|told| told == digest()))
        };
        self.length.is_none_or(|told| length == Some(told))
            && digest("sha256", &|| Sha256::digest(bytes).to_vec())
            && digest("sha512", &|| Sha512::digest(bytes).to_vec())
    }
}

/// Who may sign what (TUF s4.3).
#[derive(Clone, Debug)]
pub(crate) struct Root {
    keys: BTreeMap<String, PublicKey>,
    roles: BTreeMap<String, Signers>,
    pub(crate) is_consistent: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Signers {
    keyids: BTreeSet<String>,
    threshold: usize,
}

#[derive(Deserialize)]
struct Key {
    keytype: String,
    scheme: String,
    keyval: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    public: String,
}

impl Root {
    fn of(signed: &Value) -> Result<Self, Refusal> {
        let part =
            |name: &str| signed.get(name).cloned().ok_or_else(|| malformed(Role::Root, format!("it has no {name}")));
        let wrong = |error: serde_json::Error| malformed(Role::Root, error);
        let all: BTreeMap<String, Key> = serde_json::from_value(part("keys")?).map_err(wrong)?;
        let roles: BTreeMap<String, Signers> = serde_json::from_value(part("roles")?).map_err(wrong)?;
        if all.len() > KEYS || roles.len() > KEYS || roles.values().any(|role| role.keyids.len() > KEYS) {
            return Err(malformed(Role::Root, "it has too many keys"));
        }
        // Keys of kinds that are not spoken here sign nothing.
        let keys = all.into_iter().filter_map(|(id, key)| Some((id, key.read()?))).collect();
        let is_consistent = signed.get("consistent_snapshot").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { keys, roles, is_consistent })
    }

    pub(crate) fn of_verified(root: &Verified) -> Result<Self, Refusal> {
        Self::of(&root.signed)
    }

    fn role(&self, role: Role) -> Result<(BTreeMap<&String, &PublicKey>, usize), Refusal> {
        let signers = self
            .roles
            .get(role.name())
            .ok_or_else(|| malformed(Role::Root, format!("it has no role {}", role.name())))?;
        if signers.threshold == 0 {
            return Err(malformed(Role::Root, "a role needs no signature"));
        }
        let keys = signers.keyids.iter().filter_map(|id| Some((id, self.keys.get(id)?))).collect();
        Ok((keys, signers.threshold))
    }

    /// Whether both say the same of who signs for that role.
    pub(crate) fn has_same_signers(&self, other: &Self, role: Role) -> bool {
        let signers = |root: &Self| {
            let (keys, threshold) = root.role(role).ok()?;
            Some((keys.values().map(|key| key.fingerprint()).collect::<BTreeSet<_>>(), threshold))
        };
        signers(self) == signers(other)
    }
}

impl Key {
    /// TUF s4.2.
    fn read(&self) -> Option<PublicKey> {
        match (self.keytype.as_str(), self.scheme.as_str()) {
            ("ed25519", "ed25519") => {
                PublicKey::from_point(Algorithm::Ed25519, &hex::decode(&self.keyval.public).ok()?).ok()
            }
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
                let blocks = landfall_pki::pem::decode(&self.keyval.public).ok()?;
                PublicKey::from_spki_der(&blocks.first()?.der).ok()
            }
            _ => None,
        }
    }
}

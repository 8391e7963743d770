//! Keys that live as long as the process: for tests and simulators.

use crate::{
    CertificateStore, ElementError, KeyAgreement, SecureElement, Vault, keys, label, software::KeyEncryptionKey,
};
use landfall_pki::{Algorithm, Certificate, PublicKey, Signer, SoftwareKey};
use landfall_types::{KeyUri, Redacted};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

const SCHEME: &str = "memory";

/// An element that forgets everything when it is dropped.
#[derive(Default)]
pub struct MemoryElement {
    held: Mutex<BTreeMap<String, Held>>,
    sealing: OnceLock<KeyEncryptionKey>,
}

struct Held {
    key: Arc<SoftwareKey>,
    chain: Vec<Certificate>,
}

impl MemoryElement {
    /// An empty element.
    pub fn new() -> Self {
        Self::default()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealing_key(&self) -> Result<&KeyEncryptionKey, ElementError> {
        if self.sealing.get().is_none() {
            // Of two that come at once, the first one's key is kept.
            let _ = self.sealing.set(KeyEncryptionKey::random()?);
        }
        self.sealing.get().ok_or(ElementError::Crypto("set up AES-256-GCM"))
    }

    fn add(&self, label: &str, key: SoftwareKey) -> Result<KeyUri, ElementError> {
        let uri = label::uri(SCHEME, label)?;
        match self.held().entry(label.to_owned()) {
            Entry::Occupied(_) => Err(ElementError::Taken(uri)),
            Entry::Vacant(place) => {
                place.insert(Held { key: Arc::new(key), chain: Vec::new() });
                Ok(uri)
            }
        }
    }

    fn with<T>(&self, key: &KeyUri, look: impl FnOnce(&mut Held) -> T) -> Result<T, ElementError> {
        let label = label::of(SCHEME, key)?;
        self.held().get_mut(label).map(look).ok_or_else(|| ElementError::Missing(key.clone()))
    }
}

impl fmt::Debug for MemoryElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryElement({} keys)", self.held().len())
    }
}

impl SecureElement for MemoryElement {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn takes_time(&self) -> bool {
        false
    }

    fn generate(&self, label: &str, algorithm: Algorithm) -> Result<KeyUri, ElementError> {
        self.add(label, SoftwareKey::generate(algorithm)?)
    }

    fn import(&self, label: &str, pkcs8: &Redacted<Vec<u8>>) -> Result<KeyUri, ElementError> {
        self.add(label, SoftwareKey::from_pkcs8_der(pkcs8.expose())?)
    }

    fn signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ElementError> {
        let key = self.with(key, |held| Arc::clone(&held.key))?;
        Ok(key)
    }

    fn lend(&self, key: &KeyUri) -> Result<Redacted<Vec<u8>>, ElementError> {
        self.with(key, |held| held.key.to_pkcs8_der())
    }

    fn delete(&self, key: &KeyUri) -> Result<(), ElementError> {
        let label = label::of(SCHEME, key)?;
        self.held().remove(label).map(drop).ok_or_else(|| ElementError::Missing(key.clone()))
    }

    fn list(&self) -> Result<Vec<KeyUri>, ElementError> {
        self.held().keys().map(|label| label::uri(SCHEME, label)).collect()
    }

    fn key_agreement(&self) -> Option<&dyn KeyAgreement> {
        Some(self)
    }

    fn certificates(&self) -> Option<&dyn CertificateStore> {
        Some(self)
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

impl Vault for MemoryElement {
    fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, ElementError> {
        label::check(name)?;
        self.sealing_key()?.seal(name, secret)
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, ElementError> {
        let uri = label::uri(SCHEME, name)?;
        self.sealing_key()?.open_sealed(name, sealed).ok_or(ElementError::Tampered(uri))
    }
}

impl KeyAgreement for MemoryElement {
    fn agree(&self, key: &KeyUri, peer: &PublicKey) -> Result<Redacted<Vec<u8>>, ElementError> {
        let key = self.with(key, |held| Arc::clone(&held.key))?;
        keys::agree(&key.to_pkcs8_der(), peer)
    }
}

impl CertificateStore for MemoryElement {
    fn keep(&self, key: &KeyUri, chain: &[Certificate]) -> Result<(), ElementError> {
        self.with(key, |held| {
            keys::check_leaf(key, &*held.key, chain)?;
            held.chain = chain.to_vec();
            Ok(())
        })?
    }

    fn chain(&self, key: &KeyUri) -> Result<Vec<Certificate>, ElementError> {
        self.with(key, |held| held.chain.clone())
    }
}

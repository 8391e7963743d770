//! Keys in encrypted files: the element of a machine that has no better one.
//!
//! ```text
//! DIR/element.json    how the key-encryption key is made, and a check that it is the right one
//! DIR/LABEL.key       one private key: PKCS#8 sealed by AES-256-GCM, bound to its label
//! DIR/LABEL.chain     its certificates in PEM, if any
//! ```
//!
//! Against a thief of the disk this protects as well as the passphrase does, or as the key file is kept elsewhere; it
//! does not protect against whoever runs as the same user.

mod seal;

pub(crate) use seal::KeyEncryptionKey;
pub use seal::KeySource;

use crate::{CertificateStore, ElementError, KeyAgreement, SecureElement, Vault, files, keys, label};
use landfall_pki::{Algorithm, Certificate, PublicKey, Signer, SoftwareKey};
use landfall_types::{KeyUri, Redacted};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

const SCHEME: &str = "software";
const HEADER: &str = "element.json";

/// The largest file of an element that is read: an RSA-4096 key takes 2.4 KB, a chain a few more.
const LARGEST: u64 = 64 * 1024;

/// An element in a folder of its own. Several processes may use one folder: files appear whole or not at all.
pub struct SoftwareElement {
    dir: PathBuf,
    kek: KeyEncryptionKey,
}

impl SoftwareElement {
    /// Opens the element in `dir`, or makes it there if there is none yet.
    ///
    /// # Errors
    /// [`ElementError::Locked`] if it was made with another passphrase or key file.
    pub fn open(dir: &Path, source: KeySource) -> Result<Self, ElementError> {
        files::make_folder(dir)?;
        let path = dir.join(HEADER);
        let kek = match files::read(&path, LARGEST)? {
            Some(header) => KeyEncryptionKey::open(&path, &header, &source)?,
            None => {
                let (kek, header) = KeyEncryptionKey::make(&source)?;
                match files::create(&path, &header)? {
                    files::Created::New => kek,
                    // Another process made the element in the meantime: its header is the one that counts.
                    files::Created::Exists => {
                        let header = files::read(&path, LARGEST)?.unwrap_or_default();
                        KeyEncryptionKey::open(&path, &header, &source)?
                    }
                }
            }
        };
        Ok(Self { dir: dir.to_owned(), kek })
    }

    fn key_path(&self, label: &str) -> PathBuf {
        self.dir.join(format!("{label}.key"))
    }

    fn chain_path(&self, label: &str) -> PathBuf {
        self.dir.join(format!("{label}.chain"))
    }

    fn add(&self, label: &str, pkcs8: &Redacted<Vec<u8>>) -> Result<KeyUri, ElementError> {
        let uri = label::uri(SCHEME, label)?;
        let sealed = self.kek.seal(label, pkcs8.expose())?;
        match files::create(&self.key_path(label), &sealed)? {
            files::Created::New => Ok(uri),
            files::Created::Exists => Err(ElementError::Taken(uri)),
        }
    }

    fn pkcs8(&self, key: &KeyUri) -> Result<Redacted<Vec<u8>>, ElementError> {
        let label = label::of(SCHEME, key)?;
        let sealed = files::read(&self.key_path(label), LARGEST)?.ok_or_else(|| ElementError::Missing(key.clone()))?;
        self.kek.open_sealed(label, &sealed).ok_or_else(|| ElementError::Tampered(key.clone()))
    }

    fn key(&self, key: &KeyUri) -> Result<SoftwareKey, ElementError> {
        Ok(SoftwareKey::from_pkcs8_der(self.pkcs8(key)?.expose())?)
    }
}

impl fmt::Debug for SoftwareElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareElement({})", self.dir.display())
    }
}

impl SecureElement for SoftwareElement {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn generate(&self, label: &str, algorithm: Algorithm) -> Result<KeyUri, ElementError> {
        self.add(label, &SoftwareKey::generate(algorithm)?.to_pkcs8_der())
    }

    fn import(&self, label: &str, pkcs8: &Redacted<Vec<u8>>) -> Result<KeyUri, ElementError> {
        // What is stored must be usable later, so it is parsed now and written in our own encoding.
        self.add(label, &SoftwareKey::from_pkcs8_der(pkcs8.expose())?.to_pkcs8_der())
    }

    fn signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ElementError> {
        Ok(Arc::new(self.key(key)?))
    }

    fn lend(&self, key: &KeyUri) -> Result<Redacted<Vec<u8>>, ElementError> {
        self.pkcs8(key)
    }

    fn delete(&self, key: &KeyUri) -> Result<(), ElementError> {
        let label = label::of(SCHEME, key)?;
        // Certificates first: a crash in between leaves a key that can still be deleted, and no orphan.
        files::remove(&self.chain_path(label))?;
        match files::remove(&self.key_path(label))? {
            true => Ok(()),
            false => Err(ElementError::Missing(key.clone())),
        }
    }

    fn list(&self) -> Result<Vec<KeyUri>, ElementError> {
        files::labels(&self.dir)?.iter().map(|label| label::uri(SCHEME, label)).collect()
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

impl Vault for SoftwareElement {
    fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, ElementError> {
        label::check(name)?;
        self.kek.seal(&in_vault(name), secret)
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, ElementError> {
        let uri = label::uri(SCHEME, name)?;
        self.kek.open_sealed(&in_vault(name), sealed).ok_or(ElementError::Tampered(uri))
    }
}

/// A label holds no slash, so that what is sealed here cannot stand in for a key.
fn in_vault(name: &str) -> String {
    format!("vault/{name}")
}

impl KeyAgreement for SoftwareElement {
    fn agree(&self, key: &KeyUri, peer: &PublicKey) -> Result<Redacted<Vec<u8>>, ElementError> {
        keys::agree(&self.pkcs8(key)?, peer)
    }
}

impl CertificateStore for SoftwareElement {
    fn keep(&self, key: &KeyUri, chain: &[Certificate]) -> Result<(), ElementError> {
        keys::check_leaf(key, &self.key(key)?, chain)?;
        let pem: String = chain.iter().map(Certificate::to_pem).collect();
        files::replace(&self.chain_path(label::of(SCHEME, key)?), pem.as_bytes())
    }

    fn chain(&self, key: &KeyUri) -> Result<Vec<Certificate>, ElementError> {
        let label = label::of(SCHEME, key)?;
        if !self.key_path(label).exists() {
            return Err(ElementError::Missing(key.clone()));
        }
        let path = self.chain_path(label);
        let Some(pem) = files::read(&path, LARGEST)? else { return Ok(Vec::new()) };
        let pem = String::from_utf8(pem).map_err(|_| ElementError::File { path, why: "it is not PEM" })?;
        Ok(Certificate::chain_from_pem(&pem)?)
    }
}

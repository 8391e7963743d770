//! A role's own certificate, with its chain and the signer of its key.

use crate::{role::RoleError, settings::IdentitySettings};
use landfall_element::SecureElement;
use landfall_net::tls::TlsIdentity;
use landfall_pki::{Anchors, Certificate, PublicKey, Signer};
use landfall_types::KeyUri;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A certificate of ours: its chain, leaf first, and the signer of its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, then those above it.
    pub chain: Vec<Certificate>,
    /// Its key.
    pub signer: Arc<dyn Signer>,
}

impl Identity {
    /// The one that `settings` name, with paths resolved by `resolve`, and its key in `element`.
    pub fn load(
        settings: &IdentitySettings,
        resolve: impl Fn(&Path) -> PathBuf,
        element: &dyn SecureElement,
    ) -> Result<Self, RoleError> {
        let path = resolve(&settings.certificate);
        let chain = certificates(&path)?;
        let uri = match &settings.key {
            Some(uri) => uri.clone(),
            None => key_uri(&path)?,
        };
        let failed = |why: &dyn std::fmt::Display| RoleError::new(format!("the key {uri} of {}", path.display()), why);
        let signer = element.signer(&uri).map_err(|why| failed(&why))?;
        match chain.first() {
            Some(leaf) if leaf.public_key() == signer.public_key() => Ok(Self { chain, signer }),
            _ => Err(failed(&"is not the key of the first certificate in the file")),
        }
    }

    /// Writes the chain to `path` and the key's URI to the file beside it, as [`Identity::load`] expects them.
    pub fn write(path: &Path, chain: &[Certificate], key: &KeyUri) -> std::io::Result<()> {
        let pem: String = chain.iter().map(Certificate::to_pem).collect();
        std::fs::write(path, pem)?;
        std::fs::write(path.with_extension("key-uri"), format!("{key}\n"))
    }

    /// The certificate itself.
    pub fn certificate(&self) -> Result<&Certificate, RoleError> {
        self.chain.first().ok_or_else(|| RoleError::new("the chain of an identity", "is empty"))
    }
}

impl From<Identity> for TlsIdentity {
    fn from(Identity { chain, signer }: Identity) -> Self {
        Self { chain, signer }
    }
}

/// The certificates in the PEM file at `path`, at least one.
pub fn certificates(path: &Path) -> Result<Vec<Certificate>, RoleError> {
    let failed = |why: &dyn std::fmt::Display| RoleError::new(format!("certificates of {}", path.display()), why);
    let pem = std::fs::read_to_string(path).map_err(|why| failed(&why))?;
    let found = Certificate::chain_from_pem(&pem).map_err(|why| failed(&why))?;
    match found.is_empty() {
        true => Err(failed(&"the file holds none; it should be PEM")),
        false => Ok(found),
    }
}

/// The certificates in all the PEM files at `paths`, as anchors.
pub fn anchors(paths: &[PathBuf], resolve: impl Fn(&Path) -> PathBuf) -> Result<Anchors, RoleError> {
    let mut anchors = Anchors::new();
    for path in paths {
        certificates(&resolve(path))?.into_iter().for_each(|certificate| anchors.add(certificate));
    }
    Ok(anchors)
}

/// The key in a PEM file: a public key alone, or that of a certificate.
pub fn public_key(path: &Path) -> Result<PublicKey, RoleError> {
    let failed = |why: &dyn std::fmt::Display| RoleError::new(format!("the key in {}", path.display()), why);
    let text = std::fs::read_to_string(path).map_err(|why| failed(&why))?;
    PublicKey::from_pem(&text).map_err(|why| failed(&why))
}

fn key_uri(certificate: &Path) -> Result<KeyUri, RoleError> {
    let path = certificate.with_extension("key-uri");
    let failed = |why: &dyn std::fmt::Display| RoleError::new(format!("the key's URI in {}", path.display()), why);
    let text = std::fs::read_to_string(&path).map_err(|why| failed(&why))?;
    text.lines().next().unwrap_or_default().trim().parse().map_err(|why| failed(&why))
}

//! Every backend passes the one contract.

use landfall_element::{ElementError, KeySource, MemoryElement, SecureElement, SoftwareElement, contract::contract};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_types::{KeyUri, Redacted};
use std::sync::Arc;

#[test]
fn memory() {
    contract(&MemoryElement::new());
}

#[test]
fn software_under_a_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let source = KeySource::Passphrase(Redacted::new("correct horse".into()));
    contract(&SoftwareElement::open(dir.path(), source).unwrap());
}

#[test]
fn software_under_a_key_file() {
    let dir = tempfile::tempdir().unwrap();
    let source = KeySource::KeyFile(dir.path().join("kek"));
    contract(&SoftwareElement::open(&dir.path().join("element"), source).unwrap());
}

/// The suite itself must notice a broken element: here one that forgets which key a URI names.
#[test]
#[should_panic(expected = "a URI names one key for good")]
fn the_contract_notices_a_broken_element() {
    #[derive(Debug)]
    struct Forgetful(MemoryElement);

    impl SecureElement for Forgetful {
        fn scheme(&self) -> &'static str {
            self.0.scheme()
        }
        fn generate(&self, label: &str, algorithm: Algorithm) -> Result<KeyUri, ElementError> {
            self.0.generate(label, algorithm)
        }
        fn import(&self, label: &str, key: &Redacted<Vec<u8>>) -> Result<KeyUri, ElementError> {
            self.0.import(label, key)
        }
        fn signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ElementError> {
            let algorithm = self.0.signer(key)?.algorithm();
            Ok(Arc::new(SoftwareKey::generate(algorithm)?))
        }
        fn delete(&self, key: &KeyUri) -> Result<(), ElementError> {
            self.0.delete(key)
        }
        fn list(&self) -> Result<Vec<KeyUri>, ElementError> {
            self.0.list()
        }
    }

    contract(&Forgetful(MemoryElement::new()));
}

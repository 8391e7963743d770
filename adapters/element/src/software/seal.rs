//! Sealing keys at rest: where the key-encryption key comes from, and what it does.

use crate::{ElementError, files};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    pbkdf2, rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_types::Redacted;
use serde::{Deserialize, Serialize};
use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Where the key-encryption key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// From a passphrase, by PBKDF2 with HMAC-SHA-256 (RFC 8018 s5.2).
    Passphrase(Redacted<String>),
    /// From a file of 32 random bytes, made at first use with mode 0600. Keep it on another medium than the element
    /// where there is one. A file that others may read is refused.
    KeyFile(PathBuf),
}

/// OWASP's and NIST SP 800-132's advice in 2026 for HMAC-SHA-256; about 0.15 s once per start.
const ITERATIONS: u32 = 600_000;
/// A header that asks for fewer was weakened, one that asks for more would hang the start.
const ACCEPTED: std::ops::RangeInclusive<u32> = 100_000..=10_000_000;
const KEY: usize = 32;
const SALT: usize = 16;
const NONCE: usize = 12;

/// Before each sealed file, so that it can be told from others and its form can change one day.
const MAGIC: &[u8; 16] = b"landfall key v1\n";
/// Names the check value in the header. It is no label, since labels hold no space.
const CHECK: &str = "the right key";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    derivation: Derivation,
    check: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
enum Derivation {
    Passphrase { salt: String, iterations: u32 },
    KeyFile,
}

/// Seals and opens the keys of one element.
pub(crate) struct KeyEncryptionKey(RandomizedNonceKey);

impl KeyEncryptionKey {
    /// A new one, and the header that lets the same source open it again.
    pub(super) fn make(source: &KeySource) -> Result<(Self, Vec<u8>), ElementError> {
        let (kek, derivation) = match source {
            KeySource::Passphrase(passphrase) => {
                let salt: [u8; SALT] = random()?;
                let kek = Self::derive(passphrase, &salt, ITERATIONS)?;
                (kek, Derivation::Passphrase { salt: STANDARD.encode(salt), iterations: ITERATIONS })
            }
            KeySource::KeyFile(path) => (Self::from_file(path, true)?, Derivation::KeyFile),
        };
        let check = STANDARD.encode(kek.seal(CHECK, b"")?);
        let header = Header { version: 1, derivation, check };
        let mut header = serde_json::to_vec_pretty(&header).map_err(|_| ElementError::Crypto("write the header"))?;
        header.push(b'\n');
        Ok((kek, header))
    }

    /// The one that the header (read from `path`) was made with, if `source` is the right one.
    pub(super) fn open(path: &Path, header: &[u8], source: &KeySource) -> Result<Self, ElementError> {
        let wrong = |why| ElementError::File { path: path.to_owned(), why };
        let locked = || ElementError::Locked(path.parent().unwrap_or(path).to_owned());
        let header: Header = serde_json::from_slice(header).map_err(|_| wrong("it is not an element's header"))?;
        if header.version != 1 {
            return Err(wrong("it is of a version that is not known here"));
        }
        let kek = match (source, &header.derivation) {
            (KeySource::Passphrase(passphrase), Derivation::Passphrase { salt, iterations }) => {
                if !ACCEPTED.contains(iterations) {
                    return Err(wrong("it asks for an unsafe number of iterations"));
                }
                let salt = STANDARD.decode(salt).map_err(|_| wrong("its salt is not base64"))?;
                Self::derive(passphrase, &salt, *iterations)?
            }
            (KeySource::KeyFile(file), Derivation::KeyFile) => Self::from_file(file, false)?,
            _ => return Err(locked()),
        };
        let check = STANDARD.decode(&header.check).map_err(|_| wrong("its check value is not base64"))?;
        kek.open_sealed(CHECK, &check).map(|_| kek).ok_or_else(locked)
    }

    /// `magic || nonce || ciphertext || tag`, bound to the label, so that one key's file cannot stand in for another's.
    pub(crate) fn seal(&self, label: &str, secret: &[u8]) -> Result<Vec<u8>, ElementError> {
        let failed = |_| ElementError::Crypto("seal a key");
        // The buffer holds the secret until it is encrypted in place, so it is wiped on every way out.
        let mut sealed = Zeroizing::new(Vec::with_capacity(secret.len() + AES_256_GCM.tag_len()));
        sealed.extend_from_slice(secret);
        let nonce = self.0.seal_in_place_append_tag(bound_to(label), &mut *sealed).map_err(failed)?;
        Ok([MAGIC.as_slice(), nonce.as_ref(), &sealed].concat())
    }

    /// What was sealed for that label; `None` if anything at all was changed.
    pub(crate) fn open_sealed(&self, label: &str, sealed: &[u8]) -> Option<Redacted<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.strip_prefix(MAGIC)?.split_first_chunk::<NONCE>()?;
        let mut opened = Zeroizing::new(ciphertext.to_vec());
        let secret = self.0.open_in_place(nonce.into(), bound_to(label), &mut opened).ok()?;
        Some(Redacted::new(secret.to_vec()))
    }

    /// One for as long as the process lives.
    pub(crate) fn random() -> Result<Self, ElementError> {
        Self::new(Zeroizing::new(random::<KEY>()?).as_slice())
    }

    fn derive(passphrase: &Redacted<String>, salt: &[u8], iterations: u32) -> Result<Self, ElementError> {
        let iterations = NonZeroU32::new(iterations).ok_or(ElementError::Crypto("derive a key"))?;
        let mut key = Zeroizing::new([0; KEY]);
        let secret = passphrase.expose().as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, secret, key.as_mut_slice());
        Self::new(key.as_slice())
    }

    fn from_file(path: &Path, make: bool) -> Result<Self, ElementError> {
        if make {
            let key = Zeroizing::new(random::<KEY>()?);
            // If one is there already it is used: two elements may share a key file.
            files::create(path, key.as_slice())?;
        }
        let wrong = |why| ElementError::File { path: path.to_owned(), why };
        let key = files::read(path, 1024)?.map(Zeroizing::new).ok_or_else(|| wrong("the key file is missing"))?;
        if files::is_open_to_others(path)? {
            return Err(wrong("others than its owner may read the key file: chmod 600 it"));
        }
        match key.len() {
            KEY => Self::new(&key),
            _ => Err(wrong("a key file holds exactly 32 bytes")),
        }
    }

    fn new(key: &[u8]) -> Result<Self, ElementError> {
        RandomizedNonceKey::new(&AES_256_GCM, key).map(Self).map_err(|_| ElementError::Crypto("set up AES-256-GCM"))
    }
}

fn bound_to(label: &str) -> Aad<Vec<u8>> {
    Aad::from([MAGIC.as_slice(), label.as_bytes()].concat())
}

fn random<const N: usize>() -> Result<[u8; N], ElementError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| ElementError::Crypto("draw a random number"))?;
    Ok(bytes)
}

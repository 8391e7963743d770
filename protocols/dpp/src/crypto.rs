//! The hashes, key derivation and authenticated encryption of DPP.

use crate::curve::Curve;
use aws_lc_rs::{digest, hmac as lc};
use landfall_types::{Fingerprint, Redacted};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A derived key or a tag: wiped when dropped, never printed, compared in constant time.
#[derive(Clone)]
pub struct Secret(Redacted<Vec<u8>>);

impl Secret {
    /// Takes `bytes` over.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(Redacted::new(bytes))
    }

    /// The octets themselves.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Whether they are these octets, in a time that does not tell where they differ.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.expose().ct_eq(other).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The curve's hash over the concatenation of `parts`.
pub fn hash(curve: Curve, parts: &[&[u8]]) -> Vec<u8> {
    digest_of(digest_algorithm(curve), parts).as_ref().to_vec()
}

/// SHA-256 over the concatenation of `parts`: what names a key, whatever its curve.
pub fn sha256(parts: &[&[u8]]) -> Fingerprint {
    let mut fingerprint = Fingerprint([0; 32]);
    fingerprint.0.copy_from_slice(digest_of(&digest::SHA256, parts).as_ref());
    fingerprint
}

fn digest_of(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

/// HMAC with the curve's hash over the concatenation of `parts`.
pub fn hmac(curve: Curve, key: &[u8], parts: &[&[u8]]) -> Secret {
    let mut context = lc::Context::with_key(&lc::Key::new(hmac_algorithm(curve), key));
    parts.iter().for_each(|part| context.update(part));
    Secret::new(context.sign().as_ref().to_vec())
}

/// HKDF-Extract (RFC 5869 s2.2) over the concatenation of `ikm`. An empty salt is as many zeros as the hash is long.
pub fn extract(curve: Curve, salt: &[u8], ikm: &[&[u8]]) -> Secret {
    // HMAC fills a short key up with zeros, so an empty one is that salt.
    hmac(curve, salt, ikm)
}

/// HKDF-Expand (RFC 5869 s2.3) of `prk` to `len` octets, at most 255 times the hash.
pub fn expand(curve: Curve, prk: &Secret, info: &[&[u8]], len: usize) -> Secret {
    let mut output = Zeroizing::new(Vec::with_capacity(len + curve.hash_len()));
    let mut previous = Secret::new(Vec::new());
    for counter in 1..=u8::MAX {
        if output.len() >= len {
            break;
        }
        let last = [counter];
        let parts: Vec<&[u8]> = [&[previous.expose()], info, &[&last]].concat();
        let block = hmac(curve, prk.expose(), &parts);
        output.extend_from_slice(block.expose());
        previous = block;
    }
    Secret::new(output.iter().copied().take(len).collect())
}

/// HKDF(<>, info, ikm) as the specification writes it: extracted without salt, expanded to the length of the hash.
pub fn derive(curve: Curve, info: &[&[u8]], ikm: &[&[u8]]) -> Secret {
    expand(curve, &extract(curve, &[], ikm), info, curve.hash_len())
}

fn digest_algorithm(curve: Curve) -> &'static digest::Algorithm {
    match curve {
        Curve::P256 | Curve::Bp256 => &digest::SHA256,
        Curve::P384 | Curve::Bp384 => &digest::SHA384,
        Curve::P521 | Curve::Bp512 => &digest::SHA512,
    }
}

fn hmac_algorithm(curve: Curve) -> lc::Algorithm {
    match curve {
        Curve::P256 | Curve::Bp256 => lc::HMAC_SHA256,
        Curve::P384 | Curve::Bp384 => lc::HMAC_SHA384,
        Curve::P521 | Curve::Bp512 => lc::HMAC_SHA512,
    }
}

/// AES-SIV (RFC 5297), with any number of components of associated data: none is not the same as an empty one.
pub mod siv {
    use super::Secret;
    use aes_siv::{Error, KeyInit, siv::CmacSiv};
    use landfall_types::Redacted;

    /// The box was not sealed with this key and these associated data.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("the wrapped data does not open")]
    pub struct Unsealed;

    /// Seals `plain`: the synthetic IV, then the ciphertext.
    ///
    /// Keys are 32, 48 or 64 octets long, which is what every curve derives; there are at most 126 components.
    pub fn seal(key: &Secret, ads: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        apply(key, |siv| siv.seal(ads, plain)).unwrap_or_default()
    }

    /// Opens what [`seal`] sealed.
    ///
    /// # Errors
    /// [`Unsealed`] if key, associated data or a single bit is another.
    pub fn open(key: &Secret, ads: &[&[u8]], sealed: &[u8]) -> Result<Redacted<Vec<u8>>, Unsealed> {
        apply(key, |siv| siv.open(ads, sealed)).map(Redacted::new).map_err(|_| Unsealed)
    }

    trait Cipher {
        fn seal(&mut self, ads: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, Error>;
        fn open(&mut self, ads: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, Error>;
    }

    macro_rules! cipher {
        ($($aes:ty),*) => { $(impl Cipher for CmacSiv<$aes> {
            fn seal(&mut self, ads: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, Error> {
                self.encrypt(ads, plain)
            }
            fn open(&mut self, ads: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, Error> {
                self.decrypt(ads, sealed)
            }
        })* };
    }
    cipher!(aes::Aes128, aes::Aes192, aes::Aes256);

    /// The length of the key decides which AES.
    fn apply(key: &Secret, action: impl FnOnce(&mut dyn Cipher) -> Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
        let key = key.expose();
        match key.len() {
            32 => action(&mut CmacSiv::<aes::Aes128>::new_from_slice(key).map_err(|_| Error)?),
            48 => action(&mut CmacSiv::<aes::Aes192>::new_from_slice(key).map_err(|_| Error)?),
            64 => action(&mut CmacSiv::<aes::Aes256>::new_from_slice(key).map_err(|_| Error)?),
            _ => Err(Error),
        }
    }
}

//! Private keys that software holds: protocol keys, network access keys, and long-lived keys where no element holds them.

use super::{
    Curve, KeyError, PublicKey,
    arithmetic::{self, on},
    bp512::BrainpoolP512r1,
    encoding,
};
use crate::{crypto, random::Random};
use aws_lc_rs::{
    agreement::{self, UnparsedPublicKey},
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm},
};
use landfall_types::Redacted;
use std::{fmt, sync::OnceLock};
use zeroize::Zeroizing;

/// A private scalar with its public point. It is wiped when dropped, and `Debug` shows the public half only.
pub struct PrivateKey {
    scalar: Redacted<Vec<u8>>,
    public: PublicKey,
    /// The same key as aws-lc-rs takes it, on the three curves that it has: it is several times faster.
    nist: Option<Nist>,
}

struct Nist {
    agreement: agreement::PrivateKey,
    signing: OnceLock<Option<EcdsaKeyPair>>,
}

impl PrivateKey {
    /// A fresh key: the first octets out of `random` that are a scalar when read big-endian, surplus high bits cleared.
    pub fn generate(curve: Curve, random: &mut dyn Random) -> Self {
        if let Some(key) =
            nist_agreement(curve).filter(|_| random.is_system()).and_then(|nist| Self::of_nist(curve, nist))
        {
            return key;
        }
        let mut bytes = Zeroizing::new(vec![0; curve.coordinate_len()]);
        loop {
            random.fill(&mut bytes);
            if let (Curve::P521, Some(high)) = (curve, bytes.first_mut()) {
                *high &= 1;
            }
            if let Ok(key) = Self::from_bytes(curve, &bytes) {
                return key;
            }
        }
    }

    /// A fresh key that aws-lc draws itself: one multiplication, where taking a scalar in costs two, of which one checks it.
    fn of_nist(curve: Curve, algorithm: &'static agreement::Algorithm) -> Option<Self> {
        let agreement = agreement::PrivateKey::generate(algorithm).ok()?;
        let scalar: EcPrivateKeyBin<'_> = agreement.as_be_bytes().ok()?;
        let scalar = Redacted::new(scalar.as_ref().to_vec());
        let point = agreement.compute_public_key().ok()?;
        let public = PublicKey::trusted(curve, point.as_ref().split_first()?.1);
        Some(Self { scalar, public, nist: Some(Nist { agreement, signing: OnceLock::new() }) })
    }

    /// The key with that scalar, big-endian and of the curve's width.
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::OutOfRange`].
    pub fn from_bytes(curve: Curve, scalar: &[u8]) -> Result<Self, KeyError> {
        if scalar.len() != curve.coordinate_len() {
            return Err(KeyError::Length);
        }
        if !on!(curve, is_scalar(scalar)) {
            return Err(KeyError::OutOfRange);
        }
        let (nist, public) = match nist_agreement(curve) {
            Some(algorithm) => {
                let agreement =
                    agreement::PrivateKey::from_private_key(algorithm, scalar).map_err(|_| KeyError::OutOfRange)?;
                let point = agreement.compute_public_key().map_err(|_| KeyError::OutOfRange)?;
                let xy = point.as_ref().split_first().ok_or(KeyError::Encoding)?.1;
                (Some(Nist { agreement, signing: OnceLock::new() }), PublicKey::trusted(curve, xy))
            }
            None => (None, PublicKey::generator(curve).times(scalar)?),
        };
        Ok(Self { scalar: Redacted::new(scalar.to_vec()), public, nist })
    }

    /// The scalar, big-endian and of the curve's width.
    pub fn to_bytes(&self) -> Redacted<Vec<u8>> {
        self.scalar.clone()
    }

    /// The key in DER, either PKCS#8 (RFC 5958) or the ECPrivateKey of RFC 5915 with its curve named.
    ///
    /// # Errors
    /// [`KeyError::Encoding`] for anything else or if the public key inside is another's; [`KeyError::OutOfRange`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        encoding::private_from_der(der)
    }

    /// The key in PKCS#8 DER (RFC 5958), its public key inside.
    ///
    /// # Errors
    /// [`KeyError::Encoding`], which no key of these six curves brings about.
    pub fn to_pkcs8(&self) -> Result<Redacted<Vec<u8>>, KeyError> {
        encoding::private_to_pkcs8(self)
    }

    /// The key as an ECPrivateKey in DER with its curve named (RFC 5915), which is the form of hostap.
    ///
    /// # Errors
    /// [`KeyError::Encoding`], which no key of these six curves brings about.
    pub fn to_ec_private_key(&self) -> Result<Redacted<Vec<u8>>, KeyError> {
        encoding::private_to_ec(self)
    }

    /// The public key.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        self.public.curve()
    }

    /// The x coordinate of this key times `peer`, of the curve's width.
    ///
    /// # Errors
    /// [`KeyError::OtherCurve`].
    pub fn agree(&self, peer: &PublicKey) -> Result<Redacted<Vec<u8>>, KeyError> {
        self.public.same_curve(peer.curve())?;
        let Some(nist) = &self.nist else {
            return Ok(Redacted::new(self.multiply(peer)?.x().to_vec()));
        };
        let peer = UnparsedPublicKey::new(nist.agreement.algorithm(), peer.sec1());
        agreement::agree(&nist.agreement, peer, KeyError::NotOnCurve, |x| Ok(Redacted::new(x.to_vec())))
    }

    /// This key times `peer`, the whole point.
    ///
    /// # Errors
    /// [`KeyError::OtherCurve`].
    pub fn multiply(&self, peer: &PublicKey) -> Result<PublicKey, KeyError> {
        self.public.same_curve(peer.curve())?;
        peer.times(self.scalar.expose())
    }

    /// The sum of the two scalars modulo the order.
    ///
    /// # Errors
    /// [`KeyError::OtherCurve`], [`KeyError::Infinity`] if the sum is zero.
    pub fn plus(&self, other: &Self) -> Result<Self, KeyError> {
        self.public.same_curve(other.curve())?;
        let sum = on!(self.curve(), scalar_sum(self.scalar.expose(), other.scalar.expose()));
        Self::from_bytes(self.curve(), &Zeroizing::new(sum.ok_or(KeyError::Infinity)?))
    }

    /// An ECDSA signature with the curve's hash: r|s, each of the curve's width (RFC 7518 s3.4).
    ///
    /// # Errors
    /// [`KeyError::Signature`] if the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let nist = |algorithm| self.sign_nist(algorithm, message);
        let digest = || crypto::hash(self.curve(), &[message]);
        let key = self.scalar.expose();
        match self.curve() {
            Curve::P256 => nist(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Curve::P384 => nist(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Curve::P521 => nist(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            Curve::Bp256 => arithmetic::sign::<bp256::BrainpoolP256r1, sha2::Sha256>(key, &digest()),
            Curve::Bp384 => arithmetic::sign::<bp384::BrainpoolP384r1, sha2::Sha384>(key, &digest()),
            Curve::Bp512 => arithmetic::sign::<BrainpoolP512r1, sha2::Sha512>(key, &digest()),
        }
        .ok_or(KeyError::Signature)
    }

    fn sign_nist(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        let load =
            || EcdsaKeyPair::from_private_key_and_public_key(algorithm, self.scalar.expose(), self.public.sec1()).ok();
        let key = self.nist.as_ref()?.signing.get_or_init(load).as_ref()?;
        Some(key.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec())
    }
}

fn nist_agreement(curve: Curve) -> Option<&'static agreement::Algorithm> {
    match curve {
        Curve::P256 => Some(&agreement::ECDH_P256),
        Curve::P384 => Some(&agreement::ECDH_P384),
        Curve::P521 => Some(&agreement::ECDH_P521),
        Curve::Bp256 | Curve::Bp384 | Curve::Bp512 => None,
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey of {:?}", self.public)
    }
}

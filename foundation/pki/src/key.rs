//! Public keys, and checking signatures with them.

use crate::{asn1, error::PkiError, oid, oid::Oid};
use aws_lc_rs::{
    digest,
    signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm},
};
use der::asn1::AnyRef;
use landfall_types::Fingerprint;
use sha1::{Digest, Sha1};
use spki::AlgorithmIdentifierOwned;
use std::{fmt, ops::Range, str::FromStr, sync::Arc};

/// What a public key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA.
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// Something that nothing here can verify with.
    Other,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Rsa { bits } => write!(f, "RSA of {bits} bits"),
            Self::Other => f.write_str("another kind"),
        }
    }
}

/// What Landfall itself signs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 over SHA-256.
    #[default]
    #[serde(rename = "p256")]
    EcdsaP256,
    /// ECDSA on P-384 over SHA-384.
    #[serde(rename = "p384")]
    EcdsaP384,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EcdsaP256, Self::EcdsaP384, Self::Ed25519];

    /// Its name in configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "p256",
            Self::EcdsaP384 => "p384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// What signs with a key of that kind; `None` for kinds that are only verified here.
    pub const fn of(kind: KeyKind) -> Option<Self> {
        match kind {
            KeyKind::P256 => Some(Self::EcdsaP256),
            KeyKind::P384 => Some(Self::EcdsaP384),
            KeyKind::Ed25519 => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// The signature's AlgorithmIdentifier in X.509 and CMS.
    pub const fn identifier(self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::EcdsaP256 => oid::ECDSA_SHA256,
            Self::EcdsaP384 => oid::ECDSA_SHA384,
            Self::Ed25519 => oid::ED25519,
        };
        AlgorithmIdentifierOwned { oid, parameters: None }
    }

    pub(crate) fn identifier_der(self) -> Vec<u8> {
        asn1::sequence(&[&asn1::oid(&self.identifier().oid)])
    }

    /// The length in bytes of r and s each; `None` for Ed25519.
    pub(crate) const fn scalar_len(self) -> Option<usize> {
        match self {
            Self::EcdsaP256 => Some(32),
            Self::EcdsaP384 => Some(48),
            Self::Ed25519 => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = PkiError;
    fn from_str(text: &str) -> Result<Self, PkiError> {
        let found = Self::ALL.into_iter().find(|a| a.as_str() == text);
        found.ok_or_else(|| PkiError::Misuse(format!("{text:?} is not one of p256, p384, ed25519")))
    }
}

/// How old a signature may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strength {
    /// RSA of at least 2048 bits.
    #[default]
    Modern,
    /// RSA of at least 1024 bits too, for devices that left the factory long ago. SHA-1 stays refused.
    Legacy,
}

/// A public key; cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    spki: Vec<u8>,
    bits: Range<usize>,
    kind: KeyKind,
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo (RFC 5280 s4.1.2.7). Keys of kinds unknown here are read, and verify nothing.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, PkiError> {
        const WHAT: &str = "public key";
        let mut fields = asn1::Reader::inside(WHAT, asn1::SEQUENCE, der)?;
        let mut algorithm = fields.enter(asn1::SEQUENCE)?;
        let bit_string = fields.expect(asn1::BIT_STRING)?;
        fields.finish()?;
        let Some((0, key)) = bit_string.value.split_first() else {
            return Err(fields.bad("its bit string is not of whole bytes"));
        };
        let (oid, parameters) = (algorithm.oid()?, algorithm.rest());
        if !algorithm.is_empty() {
            algorithm.next()?;
        }
        algorithm.finish()?;
        let kind = kind(oid, parameters, key)?;
        // The bit string stands last.
        Ok(Self(Arc::new(Inner { spki: der.to_vec(), bits: der.len() - key.len()..der.len(), kind })))
    }

    /// From the octets of a key on its curve, as X.509 has them in its bit string: a point (RFC 5480 s2.2), or 32 octets
    /// of Ed25519 (RFC 8410 s4).
    ///
    /// # Errors
    /// If that is no point of the curve.
    pub fn from_point(algorithm: Algorithm, point: &[u8]) -> Result<Self, PkiError> {
        let curve: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::EcdsaP256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::EcdsaP384 => &signature::ECDSA_P384_SHA384_FIXED,
            Algorithm::Ed25519 => &signature::ED25519,
        };
        ParsedPublicKey::new(curve, point)
            .map_err(|_| PkiError::malformed("public key", "it is not a point of its curve"))?;
        Self::of_point(algorithm, point)
    }

    /// The same of octets that are known to be a point of the curve.
    pub(crate) fn of_point(algorithm: Algorithm, point: &[u8]) -> Result<Self, PkiError> {
        let identifier = match algorithm {
            Algorithm::EcdsaP256 => [asn1::oid(&oid::EC_PUBLIC_KEY), asn1::oid(&oid::P256)].concat(),
            Algorithm::EcdsaP384 => [asn1::oid(&oid::EC_PUBLIC_KEY), asn1::oid(&oid::P384)].concat(),
            Algorithm::Ed25519 => asn1::oid(&oid::ED25519),
        };
        Self::from_spki_der(&asn1::sequence(&[&asn1::sequence(&[&identifier]), &asn1::bits(point)]))
    }

    /// The SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki
    }

    /// The content of the subjectPublicKey bit string.
    pub fn key_bits(&self) -> &[u8] {
        self.0.spki.get(self.0.bits.clone()).unwrap_or_default()
    }

    /// What it is.
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// The key identifier: SHA-1 of the subjectPublicKey bits (RFC 5280 s4.2.1.2, method 1). A name, not a protection.
    pub fn key_id(&self) -> [u8; 20] {
        Sha1::digest(self.key_bits()).into()
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Fingerprint {
        sha256(self.spki_der())
    }

    /// Checks a signature in the form of X.509 and CMS.
    pub fn verify(
        &self,
        algorithm: &AlgorithmIdentifierOwned,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PkiError> {
        self.verify_with(Strength::Modern, algorithm, message, signature)
    }

    /// The same, with a say in how old it may look.
    pub fn verify_with(
        &self,
        strength: Strength,
        algorithm: &AlgorithmIdentifierOwned,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PkiError> {
        if let KeyKind::Rsa { bits } = self.kind() {
            let least = if strength == Strength::Legacy { 1024 } else { 2048 };
            if bits < least {
                return Err(PkiError::unacceptable("RSA key", format!("{bits} bits are fewer than {least}")));
            }
        }
        let verifier = verifier(self.kind(), strength, algorithm)?;
        self.check(verifier, message, signature)
    }

    /// Checks a signature in the form of JOSE and COSE: r and s joined (RFC 7518 s3.4), or Ed25519.
    pub fn verify_raw(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), PkiError> {
        if Algorithm::of(self.kind()) != Some(algorithm) {
            return Err(PkiError::unacceptable(
                "signature",
                format!("{algorithm} does not fit a key of {}", self.kind()),
            ));
        }
        match algorithm {
            Algorithm::EcdsaP256 => self.check(&signature::ECDSA_P256_SHA256_FIXED, message, signature),
            Algorithm::EcdsaP384 => self.check(&signature::ECDSA_P384_SHA384_FIXED, message, signature),
            Algorithm::Ed25519 => self.check(&signature::ED25519, message, signature),
        }
    }

    fn check(
        &self,
        verifier: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PkiError> {
        UnparsedPublicKey::new(verifier, self.key_bits())
            .verify(message, signature)
            .map_err(|_| PkiError::BadSignature("message"))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der() == other.spki_der()
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.spki_der().hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.kind(), self.fingerprint())
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Fingerprint {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Fingerprint(out)
}

fn kind(algorithm: Oid, parameters: &[u8], key: &[u8]) -> Result<KeyKind, PkiError> {
    match algorithm {
        oid::EC_PUBLIC_KEY => {
            let mut curve = asn1::Reader::new("public key", parameters);
            let (kind, width) = match curve.oid() {
                Ok(oid::P256) => (KeyKind::P256, 32),
                Ok(oid::P384) => (KeyKind::P384, 48),
                Ok(oid::P521) => (KeyKind::P521, 66),
                _ => return Ok(KeyKind::Other),
            };
            // RFC 5480 s2.2: the uncompressed form must be understood; the compressed one may be.
            let uncompressed = key.first() == Some(&4) && key.len() == 1 + 2 * width;
            let compressed = matches!(key.first(), Some(2 | 3)) && key.len() == 1 + width;
            if uncompressed || compressed { Ok(kind) } else { Err(curve.bad("it is not a point of its curve's size")) }
        }
        oid::ED25519 if key.len() == 32 => Ok(KeyKind::Ed25519),
        oid::ED25519 => Err(PkiError::malformed("public key", "an Ed25519 key has 32 bytes")),
        oid::RSA => {
            let mut numbers = asn1::Reader::inside("public key", asn1::SEQUENCE, key)?;
            let modulus = numbers.expect(asn1::INTEGER)?.value;
            let leading = modulus.iter().take_while(|b| **b == 0).count();
            let top = modulus.get(leading).map_or(8, |b| b.leading_zeros() as usize);
            Ok(KeyKind::Rsa { bits: ((modulus.len() - leading) * 8).saturating_sub(top) })
        }
        _ => Ok(KeyKind::Other),
    }
}

/// The verification that an AlgorithmIdentifier names for a key of that kind.
fn verifier(
    kind: KeyKind,
    strength: Strength,
    algorithm: &AlgorithmIdentifierOwned,
) -> Result<&'static dyn VerificationAlgorithm, PkiError> {
    use signature as s;
    let legacy = strength == Strength::Legacy;
    Ok(match (kind, algorithm.oid) {
        (KeyKind::P256, oid::ECDSA_SHA256) => &s::ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, oid::ECDSA_SHA384) => &s::ECDSA_P256_SHA384_ASN1,
        (KeyKind::P256, oid::ECDSA_SHA512) => &s::ECDSA_P256_SHA512_ASN1,
        (KeyKind::P384, oid::ECDSA_SHA256) => &s::ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, oid::ECDSA_SHA384) => &s::ECDSA_P384_SHA384_ASN1,
        (KeyKind::P384, oid::ECDSA_SHA512) => &s::ECDSA_P384_SHA512_ASN1,
        (KeyKind::P521, oid::ECDSA_SHA256) => &s::ECDSA_P521_SHA256_ASN1,
        (KeyKind::P521, oid::ECDSA_SHA384) => &s::ECDSA_P521_SHA384_ASN1,
        (KeyKind::P521, oid::ECDSA_SHA512) => &s::ECDSA_P521_SHA512_ASN1,
        (KeyKind::Ed25519, oid::ED25519) => &s::ED25519,
        (KeyKind::Rsa { .. }, oid::RSA_SHA256) if legacy => &s::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (KeyKind::Rsa { .. }, oid::RSA_SHA512) if legacy => &s::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (KeyKind::Rsa { .. }, oid::RSA_SHA256) => &s::RSA_PKCS1_2048_8192_SHA256,
        (KeyKind::Rsa { .. }, oid::RSA_SHA384) => &s::RSA_PKCS1_2048_8192_SHA384,
        (KeyKind::Rsa { .. }, oid::RSA_SHA512) => &s::RSA_PKCS1_2048_8192_SHA512,
        (KeyKind::Rsa { .. }, oid::RSA_PSS) => match pss_digest(algorithm)? {
            oid::SHA256 => &s::RSA_PSS_2048_8192_SHA256,
            oid::SHA384 => &s::RSA_PSS_2048_8192_SHA384,
            _ => &s::RSA_PSS_2048_8192_SHA512,
        },
        (kind, oid) => {
            return Err(PkiError::unsupported("signature algorithm", format!("{oid} with a key of {kind}")));
        }
    })
}

/// The digest of RSA-PSS parameters (RFC 4055 s3.1), which must also serve the mask and give the salt its length.
fn pss_digest(algorithm: &AlgorithmIdentifierOwned) -> Result<Oid, PkiError> {
    let odd = || PkiError::unsupported("RSA-PSS parameters", "not one digest throughout with a salt of its length");
    let parameters = algorithm.parameters.as_ref().map(AnyRef::from).ok_or_else(odd)?;
    let mut fields = asn1::Reader::new("RSA-PSS parameters", parameters.value());
    let digest = fields.enter(asn1::context(0))?.enter(asn1::SEQUENCE)?.oid()?;
    let mut mask = fields.enter(asn1::context(1))?.enter(asn1::SEQUENCE)?;
    let same_mask = mask.oid()? == oid::MGF1 && mask.enter(asn1::SEQUENCE)?.oid()? == digest;
    let salt = fields.enter(asn1::context(2))?.small_integer()?;
    let length = match digest {
        oid::SHA256 => 32,
        oid::SHA384 => 48,
        oid::SHA512 => 64,
        _ => return Err(odd()),
    };
    if same_mask && salt == length { Ok(digest) } else { Err(odd()) }
}

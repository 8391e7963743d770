//! A configurator's keys, sealed for another configurator: backup and hand-over (DPP s7.5, s6.4.6).
//!
//! They travel as CMS EnvelopedData for one recipient who knows a password. In a hand-over the password comes out of the
//! exchange in which the other configurator was authenticated.

use crate::{
    asn1::{self, Malformed, Reader, context},
    crypto::{self, Secret, siv},
    curve::{Curve, PrivateKey},
    random::Random,
};
use aws_lc_rs::pbkdf2;
use der::{Encode, Tag, asn1::ObjectIdentifier};
use landfall_types::{Fault, Redacted, Refusal};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// The longest envelope that is read, in octets: an attribute's longest value.
pub const MAX_LEN: usize = 65_535;
/// Configurators in one envelope.
const KEYS: usize = 16;
/// Octets of salt (DPP s6.4.6).
const SALT: usize = 64;
/// Rounds of PBKDF2 (DPP s6.4.6).
const ROUNDS: NonZeroU32 = NonZeroU32::new(1000).unwrap();

const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const KEY_PACKAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.40808.1.2.2");
const CONFIG_PARAMETERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.40808.1.2.1");

/// What makes a configurator: with it, another one can do the same.
#[derive(Debug)]
pub struct Configurator {
    /// The key that signs connectors.
    pub csign: PrivateKey,
    /// The privacy protection key, on the same curve.
    pub privacy_key: PrivateKey,
    /// A configuration object to begin from, JSON.
    pub config_template: Redacted<String>,
    /// A connector to begin from, JSON.
    pub connector_template: Option<Redacted<String>>,
}

/// Why an envelope was not opened, or not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It is not an envelope as DPP has them.
    #[error("{0} is not as DPP has it")]
    Malformed(&'static str),
    /// An algorithm other than those that DPP uses.
    #[error("{0} names an algorithm that DPP does not use")]
    Algorithm(&'static str),
    /// The password is another one, or the envelope was changed.
    #[error("the envelope does not open: the password is another one, or it was changed")]
    Sealed,
    /// There are no keys, or too many.
    #[error("it holds no configurator, or more than {KEYS}")]
    Count,
    /// The two keys are on different curves.
    #[error("the keys are on different curves")]
    Curves,
}

impl BackupError {
    /// The same as a refusal.
    pub fn refusal(&self) -> Refusal {
        let (check, fault, field) = match self {
            Self::Malformed(field) => ("dpp-envelope", Fault::Malformed, *field),
            Self::Algorithm(field) => ("dpp-envelope-algorithm", Fault::Incompatible, *field),
            Self::Sealed => ("dpp-envelope-password", Fault::Peer, "encryptedKey"),
            Self::Count => ("dpp-envelope-keys", Fault::Malformed, "AsymmetricKeyPackage"),
            Self::Curves => ("dpp-envelope-curves", Fault::Malformed, "privacyProtectionKey"),
        };
        Refusal::new(fault, check, "DPP s6.4.6", self.to_string()).field(field)
    }
}

impl From<BackupError> for Refusal {
    fn from(error: BackupError) -> Self {
        error.refusal()
    }
}

/// The password of an envelope in the exchange with that key `bk` on `curve` (DPP s6.4.6).
pub fn password(curve: Curve, bk: &Secret) -> Secret {
    crypto::expand(curve, bk, &[b"Enveloped Data Password"], curve.hash_len())
}

/// Seals configurators' keys for whoever knows `password`.
///
/// # Errors
/// If there are none or too many, or the keys of one are on different curves.
pub fn seal(
    configurators: &[Configurator],
    password: &Secret,
    random: &mut dyn Random,
) -> Result<Vec<u8>, BackupError> {
    let first = configurators.first().filter(|_| configurators.len() <= KEYS).ok_or(BackupError::Count)?;
    if configurators.iter().any(|one| one.csign.curve() != one.privacy_key.curve()) {
        return Err(BackupError::Curves);
    }
    let strength = Strength::of(first.csign.curve());
    let mut salt = [0; SALT];
    random.fill(&mut salt);
    let mut content_key = Zeroizing::new(vec![0; strength.key_len()]);
    random.fill(&mut content_key);
    build(configurators, password, strength, &salt, Secret::new(content_key.to_vec()))
        .map_err(|Malformed| BackupError::Malformed("DPPEnvelopedData"))
}

/// Opens an envelope.
///
/// # Errors
/// If it is not one, or `password` is not its password.
pub fn open(envelope: &[u8], password: &Secret) -> Result<Vec<Configurator>, BackupError> {
    if envelope.len() > MAX_LEN {
        return Err(BackupError::Malformed("DPPEnvelopedData"));
    }
    let sealed = Envelope::parse(envelope)?;
    let key = sealed.strength.derive(password, sealed.salt, sealed.key_len);
    let content_key = siv::open(&key, &[], sealed.key).map_err(|_| BackupError::Sealed)?;
    if ![32, 48, 64].contains(&content_key.expose().len()) {
        return Err(BackupError::Malformed("encryptedKey"));
    }
    let content_key = Secret::new(content_key.expose().clone());
    let package = siv::open(&content_key, &[], sealed.content).map_err(|_| BackupError::Sealed)?;
    let keys = read_package(package.expose()).map_err(|Malformed| BackupError::Malformed("AsymmetricKeyPackage"))?;
    match keys.iter().find(|one| one.csign.curve() != one.privacy_key.curve()) {
        Some(_) => Err(BackupError::Curves),
        None if keys.is_empty() || keys.len() > KEYS => Err(BackupError::Count),
        None => Ok(keys),
    }
}

/// Which of the three sizes of hash and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    S256,
    S384,
    S512,
}

impl Strength {
    const ALL: [Self; 3] = [Self::S256, Self::S384, Self::S512];

    /// That of the C-sign key (DPP s6.4.6).
    const fn of(curve: Curve) -> Self {
        match curve {
            Curve::P256 | Curve::Bp256 => Self::S256,
            Curve::P384 | Curve::Bp384 => Self::S384,
            Curve::P521 | Curve::Bp512 => Self::S512,
        }
    }

    const fn key_len(self) -> usize {
        match self {
            Self::S256 => 32,
            Self::S384 => 48,
            Self::S512 => 64,
        }
    }

    /// AES-SIV-CMAC with a key of that length.
    const fn siv(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::S256 => "1.2.840.113549.1.9.16.3.22",
            Self::S384 => "1.2.840.113549.1.9.16.3.23",
            Self::S512 => "1.2.840.113549.1.9.16.3.24",
        })
    }

    const fn prf(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::S256 => "1.2.840.113549.2.9",
            Self::S384 => "1.2.840.113549.2.10",
            Self::S512 => "1.2.840.113549.2.11",
        })
    }

    fn derive(self, password: &Secret, salt: &[u8], len: usize) -> Secret {
        let algorithm = match self {
            Self::S256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::S384 => pbkdf2::PBKDF2_HMAC_SHA384,
            Self::S512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut key = vec![0; len];
        pbkdf2::derive(algorithm, ROUNDS, salt, password.expose(), &mut key);
        Secret::new(key)
    }
}

/// What an envelope is made of; the secrets in it are sealed.
struct Envelope<'a> {
    strength: Strength,
    salt: &'a [u8],
    key_len: usize,
    key: &'a [u8],
    content: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(envelope: &'a [u8]) -> Result<Self, BackupError> {
        let malformed = |field| move |Malformed| BackupError::Malformed(field);
        let open = |bytes: &'a [u8]| -> Result<_, Malformed> {
            let mut outer = Reader::inside(Tag::Sequence, bytes)?;
            if outer.number()? != 3 {
                return Err(Malformed);
            }
            let recipients = outer.enter(Tag::Set)?;
            let content = outer.enter(Tag::Sequence)?;
            outer.finish().map(|()| (recipients, content))
        };
        let (mut recipients, mut content) = open(envelope).map_err(malformed("DPPEnvelopedData"))?;

        // RFC 5652 s6.2: [3] stands in place of SEQUENCE. hostapd writes it around the SEQUENCE; both are read.
        let recipient = || {
            let mut inner = recipients.enter(context(3, true))?;
            recipients.finish()?;
            if inner.next_is(Tag::Sequence) { inner.enter(Tag::Sequence) } else { Ok(inner) }
        };
        let mut recipient = { recipient }().map_err(malformed("RecipientInfo"))?;
        let derivation = || {
            if recipient.number()? != 0 {
                return Err(Malformed);
            }
            let mut algorithm = recipient.enter(context(0, true))?;
            // [0] stands in place of SEQUENCE here too, and hostapd writes both.
            if algorithm.next_is(Tag::Sequence) {
                algorithm = algorithm.enter(Tag::Sequence)?;
            }
            let oid = algorithm.oid()?;
            Ok((oid, algorithm))
        };
        let (oid, mut derivation) = { derivation }().map_err(malformed("keyDerivationAlgorithm"))?;
        if oid != PBKDF2 {
            return Err(BackupError::Algorithm("keyDerivationAlgorithm"));
        }
        let parameters = || {
            let mut parameters = derivation.enter(Tag::Sequence)?;
            let salt = parameters.value(Tag::OctetString)?;
            let rounds = parameters.number()?;
            let key_len = usize::try_from(parameters.number()?).map_err(|_| Malformed)?;
            let prf = parameters.enter(Tag::Sequence)?.oid()?;
            let right = salt.len() == SALT && rounds == ROUNDS.get() && [32, 48, 64].contains(&key_len);
            if right { Ok((salt, key_len, prf)) } else { Err(Malformed) }
        };
        let (salt, key_len, prf) = { parameters }().map_err(malformed("PBKDF2-params"))?;
        let strength = Strength::ALL.into_iter().find(|strength| strength.prf() == prf);
        let strength = strength.ok_or(BackupError::Algorithm("prf"))?;

        // hostapd names the algorithm with the shortest key whatever the length: the length says which it is.
        let encrypted = || {
            let algorithm = recipient.enter(Tag::Sequence)?.oid()?;
            let key = recipient.value(Tag::OctetString)?;
            recipient.finish().map(|()| (algorithm, key))
        };
        let (algorithm, key) = { encrypted }().map_err(malformed("encryptedKey"))?;
        is_siv(algorithm, "keyEncryptionAlgorithm")?;
        let encrypted = || {
            let (kind, algorithm) = (content.oid()?, content.enter(Tag::Sequence)?.oid()?);
            let sealed = content.value(context(0, false))?;
            content.finish().map(|()| (kind, algorithm, sealed))
        };
        let (kind, algorithm, content) = { encrypted }().map_err(malformed("encryptedContentInfo"))?;
        if kind != KEY_PACKAGE {
            return Err(BackupError::Malformed("contentType"));
        }
        is_siv(algorithm, "contentEncryptionAlgorithm")?;
        Ok(Self { strength, salt, key_len, key, content })
    }
}

fn is_siv(algorithm: ObjectIdentifier, field: &'static str) -> Result<(), BackupError> {
    match Strength::ALL.iter().any(|strength| strength.siv() == algorithm) {
        true => Ok(()),
        false => Err(BackupError::Algorithm(field)),
    }
}

/// Tagged as hostapd tags it, which reads nothing else.
fn build(
    configurators: &[Configurator],
    password: &Secret,
    strength: Strength,
    salt: &[u8],
    content_key: Secret,
) -> Result<Vec<u8>, Malformed> {
    let key_len = strength.key_len();
    let key = siv::seal(&strength.derive(password, salt, key_len), &[], content_key.expose());
    let parameters = asn1::sequence(&[
        &asn1::tlv(Tag::OctetString, &[salt])?,
        &ROUNDS.get().to_der()?,
        &u32::try_from(key_len).map_err(|_| Malformed)?.to_der()?,
        &asn1::algorithm(strength.prf(), &[])?,
    ])?;
    let recipient = asn1::sequence(&[
        &0_u8.to_der()?,
        &asn1::tlv(context(0, true), &[&asn1::algorithm(PBKDF2, &parameters)?])?,
        &asn1::algorithm(strength.siv(), &[])?,
        &asn1::tlv(Tag::OctetString, &[&key])?,
    ])?;
    let sealed = siv::seal(&content_key, &[], &write_package(configurators)?);
    let content = asn1::sequence(&[
        &KEY_PACKAGE.to_der()?,
        &asn1::algorithm(strength.siv(), &[])?,
        &asn1::tlv(context(0, false), &[&sealed])?,
    ])?;
    let recipients = asn1::tlv(Tag::Set, &[&asn1::tlv(context(3, true), &[&recipient])?])?;
    Ok(asn1::sequence(&[&3_u8.to_der()?, &recipients, &content])?.to_vec())
}

/// AsymmetricKeyPackage (RFC 5958 s2).
fn write_package(configurators: &[Configurator]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let keys = configurators.iter().map(write_key).collect::<Result<Vec<_>, _>>()?;
    asn1::sequence(&keys.iter().map(|key| key.as_slice()).collect::<Vec<_>>())
}

fn write_key(configurator: &Configurator) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let text = |text: &Redacted<String>| asn1::tlv(Tag::Utf8String, &[text.expose().as_bytes()]);
    let connector = configurator.connector_template.as_ref().map(text).transpose()?.unwrap_or_default();
    let parameters = asn1::sequence(&[
        &asn1::tlv(Tag::OctetString, &[&write_ec(&configurator.privacy_key)?])?,
        &text(&configurator.config_template)?,
        &connector,
    ])?;
    let attribute = asn1::sequence(&[&CONFIG_PARAMETERS.to_der()?, &asn1::tlv(Tag::Set, &[&parameters])?])?;
    asn1::sequence(&[
        &0_u8.to_der()?,
        &asn1::algorithm(EC_PUBLIC_KEY, &configurator.csign.curve().oid().to_der()?)?,
        &asn1::tlv(Tag::OctetString, &[&write_ec(&configurator.csign)?])?,
        &asn1::tlv(context(0, true), &[&asn1::tlv(Tag::Set, &[&attribute])?])?,
    ])
}

/// ECPrivateKey with its curve and without the public key (RFC 5915 s3).
fn write_ec(key: &PrivateKey) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    asn1::sequence(&[
        &1_u8.to_der()?,
        &asn1::tlv(Tag::OctetString, &[key.to_bytes().expose()])?,
        &asn1::tlv(context(0, true), &[&key.curve().oid().to_der()?])?,
    ])
}

fn read_package(package: &[u8]) -> Result<Vec<Configurator>, Malformed> {
    let mut all = Reader::inside(Tag::Sequence, package)?;
    let mut keys = Vec::new();
    while !all.is_empty() && keys.len() <= KEYS {
        keys.push(read_key(all.enter(Tag::Sequence)?)?);
    }
    Ok(keys)
}

fn read_key(mut key: Reader<'_>) -> Result<Configurator, Malformed> {
    if key.number()? > 1 {
        return Err(Malformed);
    }
    let mut algorithm = key.enter(Tag::Sequence)?;
    if algorithm.oid()? != EC_PUBLIC_KEY {
        return Err(Malformed);
    }
    let curve = algorithm.oid()?;
    let csign = PrivateKey::from_pkcs8(key.value(Tag::OctetString)?).map_err(|_| Malformed)?;
    if csign.curve().oid() != curve {
        return Err(Malformed);
    }
    // RFC 5958 s2: [0] stands in place of SET. hostapd writes it around the SET; both are read.
    let mut attributes = key.enter(context(0, true))?;
    if attributes.next_is(Tag::Set) {
        attributes = attributes.enter(Tag::Set)?;
    }
    let mut attribute = attributes.enter(Tag::Sequence)?;
    if attribute.oid()? != CONFIG_PARAMETERS {
        return Err(Malformed);
    }
    let mut parameters = attribute.enter(Tag::Set)?.enter(Tag::Sequence)?;
    let privacy_key = PrivateKey::from_pkcs8(parameters.value(Tag::OctetString)?).map_err(|_| Malformed)?;
    let config_template = read_text(&mut parameters)?;
    let connector_template = match parameters.is_empty() {
        true => None,
        false => Some(read_text(&mut parameters)?),
    };
    Ok(Configurator { csign, privacy_key, config_template, connector_template })
}

fn read_text(parameters: &mut Reader<'_>) -> Result<Redacted<String>, Malformed> {
    let text = parameters.value(Tag::Utf8String)?;
    String::from_utf8(text.to_vec()).map(Redacted::new).map_err(|_| Malformed)
}

//! Proof that a key lives in a TPM, for whoever is to certify it: a factory, without a TPM of its own.
//!
//! 1. The device shows its TPM's endorsement certificate and the public half of an attestation key ([`introduce`]).
//! 2. The factory checks the certificate against the TPM's makers, and encrypts a secret so that only the TPM with that
//!    endorsement key opens it, and only if it holds that attestation key (TPM2_MakeCredential; [`Verifier::challenge`]).
//! 3. The device has the TPM open the secret (TPM2_ActivateCredential) and certify the birth key by the attestation key
//!    (TPM2_Certify; [`answer`]).
//! 4. The factory checks both ([`Pending::check`]). The key is known then to have been made in a TPM of that maker, and
//!    not to be able to leave it.

use crate::{
    Malformed, Shared, TpmElement,
    public::{self, Public},
    tpm::{ENDORSEMENT, Failed, Tpm},
    wire::Writer,
};
use aws_lc_rs::{
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey},
    digest, hmac,
    iv::FixedLength,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_element::{ElementError, Evidence, Trouble};
use landfall_pki::{
    Algorithm, Anchors, Certificate, KeyKind, PathPolicy, PublicKey, attestation::KeyAttestation, der_from_fixed,
    validate,
};
use landfall_types::{Fault, KeyUri, Redacted, Refusal, Time, octets::Reader};
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;

/// Where the endorsement certificates for the keys by templates L-1, RSA, and L-2, P-256, are (TCG EK Credential Profile,
/// s2.2.1.4).
const RSA_CERTIFICATE: u32 = 0x01c0_0002;
const ELLIPTIC_CERTIFICATE: u32 = 0x01c0_000a;
/// The media type of [`Certified`] in JSON.
const MEDIA_TYPE: &str = "application/vnd.landfall.tpm-certify+json";
const SECRET: usize = 32;
/// TPM_GENERATED_VALUE and TPM_ST_ATTEST_CERTIFY (part 2, s6.2 and s6.9).
const GENERATED: u32 = 0xff54_4347;
const CERTIFY: u16 = 0x8017;

/// What a device shows of its TPM. Octets are in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Introduction {
    /// The endorsement certificate, in PEM.
    pub endorsement_certificate: String,
    /// The public area of the attestation key.
    pub attestation_key: String,
}

/// What the TPM must be able to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Challenge {
    /// The credential blob: a secret for this TPM and this attestation key.
    pub credential: String,
    /// The seed that it is protected by, encrypted to the endorsement key.
    pub seed: String,
    /// What the TPM's statement must cover, so that it is fresh.
    pub nonce: String,
}

/// What the device brings back.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Answer {
    /// The secret that the credential held.
    pub secret: String,
    /// The TPM's statement about the birth key.
    pub certified: Certified,
    /// Its statements about the device's other keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Certified>,
}

/// The TPM's statement about one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Certified {
    /// The public area of the key.
    pub key: String,
    /// The statement, a TPMS_ATTEST.
    pub statement: String,
    /// The attestation key's ECDSA signature over it, in DER.
    pub signature: String,
}

/// What a factory keeps until the answer comes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pending {
    introduction: Introduction,
    secret: String,
    nonce: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("certified", &self.certified).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("introduction", &self.introduction).finish_non_exhaustive()
    }
}

/// What is known once the proof was checked; it is recorded with the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proven {
    /// Who issued the endorsement certificate.
    pub maker: String,
    /// Which one it is: SHA-256, so that one TPM can be told from another.
    pub endorsement: String,
    /// The key by which the TPM speaks of its others.
    #[serde(skip)]
    pub attestation_key: Option<PublicKey>,
}

/// Shows the element's TPM; makes its attestation key if there is none yet.
///
/// # Errors
/// If the TPM has no endorsement certificate, or fails.
pub fn introduce(element: &TpmElement) -> Result<Introduction, ElementError> {
    let (certificate, _) = endorsement(element)?;
    Ok(Introduction {
        endorsement_certificate: certificate.to_pem(),
        attestation_key: STANDARD.encode(element.0.attestation_key()?.blob.public),
    })
}

/// The TPM's endorsement certificate, and the template of the key in it.
fn endorsement(element: &TpmElement) -> Result<(Certificate, Vec<u8>), ElementError> {
    if let Some(certificate) = element.read_certificate(RSA_CERTIFICATE)? {
        return Ok((certificate, public::endorsement()));
    }
    match element.read_certificate(ELLIPTIC_CERTIFICATE)? {
        Some(certificate) => Ok((certificate, public::elliptic_endorsement())),
        None => {
            Err(ElementError::Unsupported("show an endorsement certificate: there is none at 0x01c00002 or 0x01c0000a"))
        }
    }
}

/// Answers a challenge for `keys`, that of the IDevID first.
///
/// # Errors
/// If the challenge was not made for this TPM, or it fails.
pub fn answer(element: &TpmElement, keys: &[KeyUri], challenge: &Challenge) -> Result<Answer, ElementError> {
    let shared = &element.0;
    let unread = || ElementError::Unsupported("read the challenge");
    let octets = |text: &str| STANDARD.decode(text).map_err(|_| unread());
    let (credential, seed) = (octets(&challenge.credential)?, octets(&challenge.seed)?);
    let (stored, (_, template)) = (shared.attestation_key()?, endorsement(element)?);
    let secret = shared.with_stored(&stored, &changed(), |tpm, attestation| {
        let (endorsement, _) = tpm.create_primary(ENDORSEMENT, endorsement_auth(shared), &template)?;
        let opened = with_policy(tpm, shared, |tpm, policy| {
            tpm.activate_credential(attestation, endorsement, policy, &credential, &seed)
        });
        tpm.flush(endorsement);
        opened
    })?;
    let nonce = octets(&challenge.nonce)?;
    let mut certified = keys.iter().map(|key| statement(element, key, &nonce));
    let first = certified.next().unwrap_or(Err(ElementError::Unsupported("prove where no key is")))?;
    let others = certified.collect::<Result<_, _>>()?;
    Ok(Answer { secret: STANDARD.encode(secret.expose()), certified: first, others })
}

fn with_policy<T>(
    tpm: &mut Tpm,
    shared: &Shared,
    work: impl FnOnce(&mut Tpm, u32) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let session = tpm.policy_session()?;
    let done = tpm.policy_endorsement(session, endorsement_auth(shared)).and_then(|()| work(tpm, session));
    tpm.flush(session);
    done
}

fn endorsement_auth(shared: &Shared) -> &[u8] {
    crate::octets(shared.config.endorsement_auth.as_ref())
}

pub(crate) fn changed() -> ElementError {
    ElementError::hardware(Trouble::Failed, "the attestation key's file has been changed or damaged")
}

/// The TPM's statement about `key` as an element's evidence.
pub(crate) fn certify(element: &TpmElement, key: &KeyUri, challenge: &[u8]) -> Result<Evidence, ElementError> {
    let statement = statement(element, key, challenge)?;
    let json = |text: &str| format!("\"{text}\"");
    // Base64 needs no escapes.
    let (key, made, signature) = (json(&statement.key), json(&statement.statement), json(&statement.signature));
    let text = format!("{{\"key\":{key},\"statement\":{made},\"signature\":{signature}}}");
    Ok(Evidence { media_type: MEDIA_TYPE, bytes: text.into_bytes() })
}

/// The TPM's statement about `key` for a certificate request. It need not be fresh: where a key was made, and that it cannot
/// leave, never changes.
pub(crate) fn certify_request(
    element: &TpmElement,
    key: &KeyUri,
    certificates: &[Certificate],
) -> Result<KeyAttestation, ElementError> {
    let (public_area, statement, (r, s)) = certified(element, key, REQUEST)?;
    let signature = Writer::default().u16(public::ECDSA).u16(public::SHA256).sized(&r).sized(&s).done();
    Ok(KeyAttestation { statement, signature, public_area, certificates: certificates.to_vec() })
}

/// Checks that the key that `attested` names `by` which certificate says of `key` that it was made in that key's TPM, and
/// cannot leave it. Whether that certificate is to be believed is another question.
///
/// # Errors
/// A [`Refusal`] that says which of it is not so.
pub fn check_request(attested: &KeyAttestation, by: &Certificate, key: &PublicKey) -> Result<(), Refusal> {
    let malformed = |why: &dyn fmt::Display| malformed("signature", why);
    let mut reader = Reader::new("a signature", &attested.signature);
    let mut parts = || -> Result<_, Malformed> {
        if (reader.u16()?, reader.u16()?) != (public::ECDSA, public::SHA256) {
            return Err(reader.bad());
        }
        let (r, s) = (reader.sized()?, reader.sized()?);
        reader.clone().finish()?;
        Ok((r, s))
    };
    let (r, s) = parts().map_err(|why| malformed(&why))?;
    let (Some(r), Some(s)) = (public::padded(r, 32), public::padded(s, 32)) else {
        return Err(malformed(&"it is not of P-256"));
    };
    let signature = der_from_fixed(Algorithm::EcdsaP256, &[r, s].concat()).map_err(|why| malformed(&why))?;
    check_statement(&attested.statement, &signature, &attested.public_area, by.public_key(), REQUEST, key)
}

/// What a statement for a request covers in the place of a challenge.
const REQUEST: &[u8] = b"certificate request";

/// The TPM's statement that it holds `key`, certified by the attestation key while both are loaded. It covers the SHA-256 of
/// `nonce`.
///
/// # Errors
/// If the key is not in the TPM, or it fails.
pub fn statement(element: &TpmElement, key: &KeyUri, nonce: &[u8]) -> Result<Certified, ElementError> {
    let (area, statement, (r, s)) = certified(element, key, nonce)?;
    let (Some(r), Some(s)) = (public::padded(&r, 32), public::padded(&s, 32)) else {
        return Err(ElementError::Crypto("read the TPM's signature"));
    };
    let signature = der_from_fixed(Algorithm::EcdsaP256, &[r, s].concat())?;
    Ok(Certified {
        key: STANDARD.encode(area),
        statement: STANDARD.encode(statement),
        signature: STANDARD.encode(signature),
    })
}

/// The public area of `key`, the statement about it, and its signature.
fn certified(element: &TpmElement, key: &KeyUri, nonce: &[u8]) -> Result<Signed, ElementError> {
    let shared = &element.0;
    let attestation = shared.attestation_key()?;
    let nonce = digest::digest(&digest::SHA256, nonce);
    let auth = shared.key_auth();
    shared.with_both((&attestation, &changed()), key, |tpm, signer, object| {
        let (statement, signature) = tpm.certify(object, auth, signer, nonce.as_ref())?;
        Ok((tpm.read_public(object)?, statement, signature))
    })
}

type Signed = (Vec<u8>, Vec<u8>, (Vec<u8>, Vec<u8>));

/// The attestation key's public and wrapped private area, TPM2B_PUBLIC and TPM2B_PRIVATE, as `tpm2_load` takes them; of use
/// to its TPM only.
///
/// # Errors
/// If there is none yet and none can be made.
pub fn attestation_key(element: &TpmElement) -> Result<(Vec<u8>, Vec<u8>), ElementError> {
    let blob = element.0.attestation_key()?.blob;
    let sized = |content: &[u8]| Writer::default().sized(content).done();
    Ok((sized(&blob.public), sized(&blob.private)))
}

/// A statement in the forms that tpm2-tools and OpenSSL read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The key's public area, a TPM2B_PUBLIC.
    pub public: Vec<u8>,
    /// The statement, a TPMS_ATTEST.
    pub statement: Vec<u8>,
    /// The signature over it, in DER.
    pub signature: Vec<u8>,
}

/// Whom a factory believes about TPMs.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// What endorsement certificates must lead to: the makers of TPMs.
    pub makers: Anchors,
    /// CA certificates between them and the TPMs', which TPMs do not hold.
    pub intermediates: Vec<Certificate>,
}

impl Verifier {
    /// Checks what a device shows, and makes a challenge for it.
    ///
    /// # Errors
    /// If the endorsement certificate is not one of a known maker's, or the attestation key is not one.
    pub fn challenge(&self, shown: &Introduction, now: Time) -> Result<(Challenge, Pending), Refusal> {
        let (certificate, _) = self.endorsement(shown, now)?;
        let area = decode("attestation-key", &shown.attestation_key)?;
        let attestation = read("attestation-key", &area)?;
        if !attestation.is_attestation_key() {
            let detail = "the key is not one that signs only what its TPM says";
            return Err(refuse("tpm-attestation-key", "TPM 2.0 part 1, s25", detail));
        }
        let failed = || refuse("tpm-credential", "TPM 2.0 part 1, s24", "no credential could be made for its key");
        let random = || {
            let mut octets = vec![0; SECRET];
            aws_lc_rs::rand::fill(&mut octets).map(|()| Redacted::new(octets)).map_err(|_| failed())
        };
        let (secret, nonce) = (random()?, random()?);
        let (seed, sealed) = match certificate.public_key().kind() {
            KeyKind::Rsa { .. } => {
                let seed = random()?;
                let sealed = encrypted(certificate.public_key(), seed.expose());
                (seed, sealed.ok_or_else(failed)?)
            }
            _ => agreed(certificate.public_key()).ok_or_else(failed)?,
        };
        let credential = credential(seed.expose(), attestation.name(), secret.expose()).ok_or_else(failed)?;
        let (secret, nonce) = (STANDARD.encode(secret.expose()), STANDARD.encode(nonce.expose()));
        let challenge =
            Challenge { credential: STANDARD.encode(credential), seed: STANDARD.encode(sealed), nonce: nonce.clone() };
        Ok((challenge, Pending { introduction: shown.clone(), secret, nonce }))
    }

    fn endorsement(&self, shown: &Introduction, now: Time) -> Result<(Certificate, String), Refusal> {
        let malformed = |_| refuse("tpm-endorsement", "TCG EK Credential Profile s3", "its certificate cannot be read");
        let certificate = Certificate::from_pem(&shown.endorsement_certificate).map_err(malformed)?;
        let policy = PathPolicy::at(now).enciphers();
        let path = validate(&certificate, &self.intermediates, &self.makers, &policy)?;
        if !matches!(certificate.public_key().kind(), KeyKind::Rsa { bits: 2048.. } | KeyKind::P256) {
            let detail = format!("its key is {}, and not RSA or on P-256", certificate.public_key().kind());
            return Err(refuse("tpm-endorsement-key", "TCG EK Credential Profile s2.2", detail));
        }
        let maker = path.chain.get(1).map_or_else(|| certificate.issuer(), Certificate::subject);
        Ok((certificate, maker))
    }
}

impl Pending {
    /// Checks the answer: that each of `keys`, that of the IDevID first, was made in the TPM that was introduced, and
    /// cannot leave it.
    ///
    /// # Errors
    /// A [`Refusal`] that says which of it is not so.
    pub fn check(
        &self,
        verifier: &Verifier,
        answer: &Answer,
        keys: &[&PublicKey],
        now: Time,
    ) -> Result<Proven, Refusal> {
        let (certificate, maker) = verifier.endorsement(&self.introduction, now)?;
        // Only the TPM of that endorsement certificate, holding that attestation key, knows the secret.
        let (told, kept) = (decode("secret", &answer.secret)?, decode("secret", &self.secret)?);
        if !bool::from(told.ct_eq(&kept)) {
            let detail = "the secret in the credential was not opened by the TPM that was introduced";
            return Err(refuse("tpm-credential", "TPM 2.0 part 1, s24", detail));
        }
        let attestation = read("attestation-key", &decode("attestation-key", &self.introduction.attestation_key)?)?;
        let nonce = decode("nonce", &self.nonce)?;
        let mut certified = std::iter::once(&answer.certified).chain(&answer.others);
        for key in keys {
            let certified = certified.next().ok_or_else(|| {
                refuse("tpm-key", "SP 1800-36B H.1.1", "the TPM says nothing about one of the keys in the request")
            })?;
            certified.check(attestation.key(), &nonce, key)?;
        }
        let attestation_key = Some(attestation.key().clone());
        Ok(Proven { maker, endorsement: certificate.fingerprint().to_string(), attestation_key })
    }
}

impl Certified {
    /// The statement in the forms that other tools read.
    ///
    /// # Errors
    /// A [`Refusal`] if it is not base64.
    pub fn parts(&self) -> Result<Parts, Refusal> {
        Ok(Parts {
            public: Writer::default().sized(&decode("key", &self.key)?).done(),
            statement: decode("statement", &self.statement)?,
            signature: decode("signature", &self.signature)?,
        })
    }

    /// Checks that `attestation` signed a statement, fresh by `nonce`, about a TPM's own `key`.
    fn check(&self, attestation: &PublicKey, nonce: &[u8], key: &PublicKey) -> Result<(), Refusal> {
        let (statement, signature) = (decode("statement", &self.statement)?, decode("signature", &self.signature)?);
        check_statement(&statement, &signature, &decode("key", &self.key)?, attestation, nonce, key)
    }
}

/// The same of the parts: the statement, its signature in DER, and the public area of the key.
fn check_statement(
    statement: &[u8],
    signature: &[u8],
    area: &[u8],
    attestation: &PublicKey,
    nonce: &[u8],
    key: &PublicKey,
) -> Result<(), Refusal> {
    let identifier = Algorithm::EcdsaP256.identifier();
    if attestation.verify(&identifier, statement, signature).is_err() {
        let detail = "the statement is not signed by the attestation key";
        return Err(refuse("tpm-signature", "TPM 2.0 part 3, s18.2", detail));
    }
    let certified = read("key", area)?;
    let said = Statement::read(statement).map_err(|why| malformed("statement", &why))?;
    if said.nonce != digest::digest(&digest::SHA256, nonce).as_ref() {
        return Err(refuse("tpm-nonce", "TPM 2.0 part 3, s18.2", "the statement is not about this challenge"));
    }
    if said.name != certified.name() {
        return Err(refuse("tpm-name", "TPM 2.0 part 1, s16", "the statement is about another key"));
    }
    if certified.key() != key {
        return Err(refuse("tpm-key", "SP 1800-36B H.1.1", "the certified key is not the one in the request"));
    }
    match certified.is_born_here() {
        true => Ok(()),
        false => {
            let detail = "the key was made outside the TPM, or may leave it";
            Err(refuse("tpm-key-attributes", "TPM 2.0 part 2, s8.3", detail))
        }
    }
}

/// The key whose public area (TPMT_PUBLIC) a device shows.
///
/// # Errors
/// A [`Refusal`] if it is no key on P-256 or P-384 with a name by SHA-256.
pub fn key_in(area: &[u8]) -> Result<PublicKey, Refusal> {
    read("key", area).map(|public| public.key().clone())
}

/// The name of the key that a TPM's statement (TPMS_ATTEST) is about.
///
/// # Errors
/// A [`Refusal`] if it is no statement about a key.
pub fn name_in(statement: &[u8]) -> Result<Vec<u8>, Refusal> {
    let said = Statement::read(statement).map_err(|why| malformed("statement", &why))?;
    Ok(said.name.to_vec())
}

/// What of a TPMS_ATTEST is of interest here (part 2, s10.12.12).
struct Statement<'a> {
    nonce: &'a [u8],
    name: &'a [u8],
}

impl<'a> Statement<'a> {
    fn read(statement: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new("a statement", statement);
        if (reader.u32()?, reader.u16()?) != (GENERATED, CERTIFY) {
            return Err(reader.bad());
        }
        let _signer = reader.sized()?;
        let nonce = reader.sized()?;
        // Clock and firmware, which say nothing about the key.
        reader.take(17 + 8)?;
        let name = reader.sized()?;
        let _qualified = reader.sized()?;
        reader.finish()?;
        Ok(Self { nonce, name })
    }
}

/// TPM2_MakeCredential in software (part 1, s24): the secret under keys that come from the seed, bound to the name.
fn credential(seed: &[u8], name: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut content = Writer::default().sized(secret).done();
    let key = kdfa(seed, "STORAGE", name, 128);
    let cipher = EncryptingKey::cfb128(UnboundCipherKey::new(&AES_128, &key).ok()?).ok()?;
    // The key is of one use, so that the all-zero vector of the specification is no repetition.
    let context = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    cipher.less_safe_encrypt(&mut content, context).ok()?;
    let mac = hmac::Key::new(hmac::HMAC_SHA256, &kdfa(seed, "INTEGRITY", &[], 256));
    let tag = hmac::sign(&mac, &[&content[..], name].concat());
    Some(Writer::default().sized(tag.as_ref()).raw(&content).done())
}

/// The seed for an RSA endorsement key (part 1, annex B.10.3): OAEP with a label that ends in a zero octet.
fn encrypted(endorsement: &PublicKey, seed: &[u8]) -> Option<Vec<u8>> {
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(endorsement.spki_der()).ok()?).ok()?;
    let mut out = vec![0; key.ciphertext_size()];
    let written = key.encrypt(&OAEP_SHA256_MGF1SHA256, seed, &mut out, Some(b"IDENTITY\0")).ok()?;
    Some(written.to_vec())
}

/// A seed for an endorsement key on P-256 (part 1, annex C.6.1): what both sides agree on, and the point for the TPM.
fn agreed(endorsement: &PublicKey) -> Option<(Redacted<Vec<u8>>, Vec<u8>)> {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &random).ok()?;
    let point = ephemeral.compute_public_key().ok()?;
    let (x, y) = point.as_ref().get(1..)?.split_at_checked(32)?;
    let theirs = endorsement.key_bits();
    let their_x = theirs.get(1..33)?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, theirs);
    let seed = agree_ephemeral(ephemeral, peer, (), |z| {
        // KDFe (part 1, s11.4.10.3), for one block.
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [&1u32.to_be_bytes()[..], z, b"IDENTITY\0", x, their_x] {
            hash.update(part);
        }
        Ok(Redacted::new(hash.finish().as_ref().to_vec()))
    });
    Some((seed.ok()?, Writer::default().sized(x).sized(y).done()))
}

/// KDFa with SHA-256 for at most one block (part 1, s11.4.10.2).
fn kdfa(key: &[u8], label: &str, context: &[u8], bits: u32) -> Vec<u8> {
    let input = Writer::default().u32(1).raw(label.as_bytes()).u8(0).raw(context).u32(bits).done();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &input);
    tag.as_ref().iter().take(usize::try_from(bits / 8).unwrap_or_default()).copied().collect()
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|_| malformed(field, &"it is not base64"))
}

fn read(field: &'static str, area: &[u8]) -> Result<Public, Refusal> {
    Public::read(area).map_err(|why| malformed(field, &why))
}

fn malformed(field: &'static str, why: &dyn fmt::Display) -> Refusal {
    Refusal::new(Fault::Malformed, "tpm-proof", "TPM 2.0 part 2", why.to_string()).field(field)
}

fn refuse(check: &'static str, section: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Peer, check, section, detail.into())
}

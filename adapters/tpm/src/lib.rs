//! Keys in a TPM 2.0: made inside it, wrapped by it, of use to no other.
//!
//! ```text
//! DIR/LABEL.key       public and wrapped private area of one key, and the storage key that they are for
//! DIR/LABEL.chain     its certificates in PEM, if any
//! DIR/attestation     the key by which the TPM speaks of the others, made at first use
//! ```
//!
//! The files are of no use without the TPM that made them, or after it was cleared. A key is `tpm:LABEL`; one that others
//! made persistent is named by its handle, `tpm:0x81000001`. For the length of an operation objects are loaded, and
//! removed again, so that a TPM without a resource manager does not fill up; no state is shared between elements.
//!
//! [`proof`] is how a factory makes sure that a key lives in a TPM; it needs none itself.

mod code;
mod config;
pub mod proof;
mod public;
mod quote;
mod store;
mod tpm;
mod transport;
mod vault;
mod wire;

pub use config::TpmConfig;
pub use landfall_types::octets::Malformed;
pub use quote::Quote;
pub use transport::{InvalidTcti, Tcti};

use landfall_element::{
    Attestation, CertificateStore, ElementError, Evidence, Exposure, KeyAgreement, SecureElement, Trouble, Vault,
    files, keys, label,
};
use landfall_pki::{Algorithm, Certificate, PublicKey, SignError, Signer, attestation::KeyAttestation, der_from_fixed};
use landfall_types::{KeyUri, Redacted};
use public::Public;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use store::Stored;
use tpm::{Failed, OWNER, Tpm};

const SCHEME: &str = "tpm";
/// Where TPMs have room for keys of their owner (TCG registry of reserved handles).
const PERSISTENT: std::ops::RangeInclusive<u32> = 0x8100_0000..=0x81ff_ffff;

/// A TPM as an element.
#[derive(Clone)]
pub struct TpmElement(Arc<Shared>);

struct Shared {
    config: TpmConfig,
    /// The storage key as it was when it was last used, saved by the TPM: loading it takes a fraction of making it.
    storage: Mutex<Option<Saved>>,
}

struct Saved {
    context: Vec<u8>,
    name: Vec<u8>,
}

impl TpmElement {
    /// Opens the TPM, and makes sure that it answers and has its storage key.
    ///
    /// # Errors
    /// If it is not there, the owner's authorization value is wrong, or the folder cannot be made.
    pub fn open(config: TpmConfig) -> Result<Self, ElementError> {
        if config.pcrs.iter().any(|pcr| *pcr > 23) {
            return Err(ElementError::Unsupported("bind secrets to a PCR beyond 23"));
        }
        files::make_folder(&config.folder)?;
        let element = Self(Arc::new(Shared { config, storage: Mutex::new(None) }));
        element.0.with_storage(|_, _, _| Ok(()))?;
        Ok(element)
    }

    /// The same from a text such as `tpm:device:/dev/tpmrm0?pcrs=0,7`, as [`TpmConfig::parse`] reads it.
    ///
    /// # Errors
    /// As [`TpmElement::open`], or if it is no such text.
    pub fn from_uri(text: &str, folder: &Path) -> Result<Self, ElementError> {
        Self::open(TpmConfig::parse(text, folder)?)
    }

    /// Makes a key persistent under `handle`, where other programs find it too. It stays usable by its label.
    ///
    /// # Errors
    /// If the handle is taken, or there is no room.
    pub fn persist(&self, key: &KeyUri, handle: u32) -> Result<KeyUri, ElementError> {
        let auth = self.0.owner_auth();
        self.0.with_key(key, |tpm, object| tpm.evict_control(auth, object, handle))?;
        uri_of(handle)
    }

    /// Puts a certificate into NV, in the place of what was there: `tpm2_nvread INDEX` reads it.
    ///
    /// # Errors
    /// If there is no room, or the owner's authorization value is wrong.
    pub fn write_certificate(&self, index: u32, certificate: &Certificate) -> Result<(), ElementError> {
        let mut tpm = Tpm::open(&self.0.config.tcti)?;
        Ok(tpm.nv_write(self.0.owner_auth(), index, certificate.der())?)
    }

    /// The certificate at that NV index, if there is any.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn read_certificate(&self, index: u32) -> Result<Option<Certificate>, ElementError> {
        let content = Tpm::open(&self.0.config.tcti)?.nv_read(index)?;
        let certificate = |der: Vec<u8>| Ok(Certificate::from_der(der_of(&der))?);
        content.map(certificate).transpose()
    }
}

/// Whether these octets can be read as the answer to a command: for tests with octets that no TPM made.
pub fn is_answer(octets: &[u8]) -> bool {
    tpm::is_answer(octets)
}

/// Some TPMs pad a certificate in NV: the DER itself says where it ends.
fn der_of(content: &[u8]) -> &[u8] {
    let length = match content {
        [0x30, 0x82, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) + 4,
        _ => content.len(),
    };
    content.get(..length).unwrap_or(content)
}

impl fmt::Debug for TpmElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TpmElement({}, {})", self.0.config.tcti, self.0.config.folder.display())
    }
}

impl Shared {
    fn owner_auth(&self) -> &[u8] {
        octets(self.config.owner_auth.as_ref())
    }

    fn key_auth(&self) -> &[u8] {
        octets(self.config.key_auth.as_ref())
    }

    /// Does `work` with the storage key loaded: its handle and its name.
    fn with_storage<T>(&self, work: impl FnOnce(&mut Tpm, u32, &[u8]) -> Result<T, Failed>) -> Result<T, ElementError> {
        let mut saved = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tpm = Tpm::open(&self.config.tcti)?;
        // After a reset of the TPM saved contexts are void, and what they were saved from is made again.
        let kept = saved.take().and_then(|kept| tpm.context_load(&kept.context).ok().map(|handle| (handle, kept)));
        let (handle, kept) = match kept {
            Some(found) => found,
            None => {
                let (handle, area) = tpm.create_primary(OWNER, self.owner_auth(), &public::storage())?;
                match tpm.context_save(handle) {
                    Ok(context) => (handle, Saved { context, name: public::name(&area) }),
                    Err(failed) => {
                        tpm.flush(handle);
                        return Err(failed.into());
                    }
                }
            }
        };
        let done = work(&mut tpm, handle, &kept.name);
        tpm.flush(handle);
        *saved = Some(kept);
        Ok(done?)
    }

    /// Does `work` with the key loaded.
    fn with_key<T>(
        &self,
        key: &KeyUri,
        work: impl FnOnce(&mut Tpm, u32) -> Result<T, Failed>,
    ) -> Result<T, ElementError> {
        match place(key)? {
            // The storage key is not needed for one that stays in the TPM.
            Place::Handle(handle) => Ok(work(&mut Tpm::open(&self.config.tcti)?, handle)?),
            Place::Label(label) => {
                let stored = self.stored(label, key)?;
                self.with_stored(&stored, &ElementError::Tampered(key.clone()), work)
            }
        }
    }

    fn with_stored<T>(
        &self,
        stored: &Stored,
        tampered: &ElementError,
        work: impl FnOnce(&mut Tpm, u32) -> Result<T, Failed>,
    ) -> Result<T, ElementError> {
        self.with_storage(|tpm, storage, name| self.loaded(tpm, (storage, name), stored, tampered, work))
    }

    /// Does `work` with two loaded: what is stored, and a key.
    fn with_both<T>(
        &self,
        (stored, tampered): (&Stored, &ElementError),
        key: &KeyUri,
        work: impl FnOnce(&mut Tpm, u32, u32) -> Result<T, Failed>,
    ) -> Result<T, ElementError> {
        let other = match place(key)? {
            Place::Handle(handle) => Err(handle),
            Place::Label(label) => Ok(self.stored(label, key)?),
        };
        self.with_storage(|tpm, storage, name| {
            self.loaded(tpm, (storage, name), stored, tampered, |tpm, first| match &other {
                Err(handle) => work(tpm, first, *handle),
                Ok(other) => {
                    let tampered = ElementError::Tampered(key.clone());
                    self.loaded(tpm, (storage, name), other, &tampered, |tpm, second| work(tpm, first, second))
                }
            })
        })
    }

    fn loaded<T>(
        &self,
        tpm: &mut Tpm,
        (storage, name): (u32, &[u8]),
        stored: &Stored,
        tampered: &ElementError,
        work: impl FnOnce(&mut Tpm, u32) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        if stored.parent != name {
            return Err(ElementError::hardware(Trouble::Reset, format!("TPM at {}", self.config.tcti)).into());
        }
        let object = match tpm.load(storage, &stored.blob) {
            // The storage key is the same one, so it is the file that is not.
            Err(Failed::Code(code::Code::INTEGRITY, _)) => return Err(Failed::Element(again(tampered))),
            loaded => loaded?,
        };
        let done = work(tpm, object);
        tpm.flush(object);
        done
    }

    fn stored(&self, label: &str, key: &KeyUri) -> Result<Stored, ElementError> {
        let content = files::read(&self.key_path(label), store::LARGEST)?;
        let content = content.ok_or_else(|| ElementError::Missing(key.clone()))?;
        Stored::read(&content).map_err(|_| ElementError::Tampered(key.clone()))
    }

    fn key_path(&self, label: &str) -> PathBuf {
        self.config.folder.join(format!("{label}.key"))
    }

    fn chain_path(&self, label: &str) -> PathBuf {
        self.config.folder.join(format!("{label}.chain"))
    }

    /// The public area of a key; of a stored one without asking the TPM, which is asked as soon as the key is used.
    fn public(&self, key: &KeyUri) -> Result<Public, ElementError> {
        let area = match place(key)? {
            Place::Label(label) => self.stored(label, key)?.blob.public,
            Place::Handle(handle) => match Tpm::open(&self.config.tcti)?.read_public(handle) {
                Err(Failed::Code(code, _)) if code.is_missing() => return Err(ElementError::Missing(key.clone())),
                area => area?,
            },
        };
        Public::read(&area).map_err(|why| ElementError::hardware(Trouble::Failed, format!("{key}: {why}")))
    }

    /// The key by which the TPM speaks of its others, made at first use.
    fn attestation_key(&self) -> Result<Stored, ElementError> {
        let path = self.config.folder.join("attestation");
        let read = || {
            let content = files::read(&path, store::LARGEST)?;
            let wrong = || ElementError::File { path: path.clone(), why: "it holds no attestation key" };
            content.map(|content| Stored::read(&content).map_err(|_| wrong())).transpose()
        };
        if let Some(stored) = read()? {
            return Ok(stored);
        }
        let stored = self.create(&[], &public::attestation())?;
        match files::create(&path, &stored.write())? {
            files::Created::New => Ok(stored),
            files::Created::Exists => read()?.ok_or(ElementError::Crypto("make an attestation key")),
        }
    }

    fn create(&self, auth: &[u8], template: &[u8]) -> Result<Stored, ElementError> {
        self.with_storage(|tpm, storage, name| {
            Ok(Stored { parent: name.to_vec(), blob: tpm.create(storage, auth, &[], template)? })
        })
    }
}

fn again(tampered: &ElementError) -> ElementError {
    match tampered {
        ElementError::Tampered(key) => ElementError::Tampered(key.clone()),
        other => ElementError::hardware(Trouble::Failed, other.to_string()),
    }
}

fn octets(auth: Option<&Redacted<String>>) -> &[u8] {
    auth.map(|auth| auth.expose().as_bytes()).unwrap_or_default()
}

/// What a URI names.
enum Place<'a> {
    /// A key in the folder.
    Label(&'a str),
    /// One that is persistent in the TPM.
    Handle(u32),
}

fn place(key: &KeyUri) -> Result<Place<'_>, ElementError> {
    let label = label::of(SCHEME, key)?;
    Ok(handle(label).map_or(Place::Label(label), Place::Handle))
}

fn handle(label: &str) -> Option<u32> {
    let digits = label.strip_prefix("0x").filter(|digits| digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok().filter(|handle| PERSISTENT.contains(handle))
}

fn uri_of(handle: u32) -> Result<KeyUri, ElementError> {
    label::uri(SCHEME, &format!("{handle:#010x}"))
}

impl SecureElement for TpmElement {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn generate(&self, name: &str, algorithm: Algorithm) -> Result<KeyUri, ElementError> {
        let uri = label::uri(SCHEME, name)?;
        if handle(name).is_some() {
            let why = "it names a persistent handle, where keys are put by `persist`";
            return Err(ElementError::Label { label: name.to_owned(), why });
        }
        let path = self.0.key_path(name);
        if path.exists() {
            return Err(ElementError::Taken(uri));
        }
        let auth = self.0.key_auth();
        let stored = self.0.create(auth, &public::signing(algorithm, !auth.is_empty())?)?;
        // Nothing stays in the TPM, so that a key whose file was not written is no key.
        match files::create(&path, &stored.write())? {
            files::Created::New => Ok(uri),
            files::Created::Exists => Err(ElementError::Taken(uri)),
        }
    }

    fn import(&self, _label: &str, _pkcs8: &Redacted<Vec<u8>>) -> Result<KeyUri, ElementError> {
        Err(ElementError::Unsupported("take in a key that was made outside"))
    }

    fn signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ElementError> {
        let public = self.0.public(key)?;
        Ok(Arc::new(TpmKey { shared: Arc::clone(&self.0), uri: key.clone(), public }))
    }

    fn delete(&self, key: &KeyUri) -> Result<(), ElementError> {
        let removed = match place(key)? {
            Place::Handle(handle) => {
                let mut tpm = Tpm::open(&self.0.config.tcti)?;
                match tpm.evict_control(self.0.owner_auth(), handle, handle) {
                    Err(Failed::Code(code, _)) if code.is_missing() => false,
                    done => done.map(|()| true)?,
                }
            }
            Place::Label(label) => {
                files::remove(&self.0.chain_path(label))?;
                files::remove(&self.0.key_path(label))?
            }
        };
        if removed { Ok(()) } else { Err(ElementError::Missing(key.clone())) }
    }

    fn list(&self) -> Result<Vec<KeyUri>, ElementError> {
        files::labels(&self.0.config.folder)?.iter().map(|name| label::uri(SCHEME, name)).collect()
    }

    fn expose(&self, key: &KeyUri) -> Result<Exposure, ElementError> {
        if !self.0.public(key)?.is_born_here() {
            return Ok(Exposure::GivenOut);
        }
        self.0.with_key(key, |tpm, object| match tpm.duplicate(object) {
            Err(Failed::Code(code, command)) => Ok(Exposure::Refused(format!("{command}: {code}"))),
            given => given.map(|()| Exposure::GivenOut),
        })
    }

    fn attestation(&self) -> Option<&dyn Attestation> {
        Some(self)
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

impl KeyAgreement for TpmElement {
    fn agree(&self, key: &KeyUri, peer: &PublicKey) -> Result<Redacted<Vec<u8>>, ElementError> {
        let point = keys::agreeable(self.0.public(key)?.algorithm(), peer)?;
        let width = point.len() / 2;
        let (x, y) = point.get(1..).and_then(|both| both.split_at_checked(width)).unwrap_or_default();
        let x = self.0.with_key(key, |tpm, object| tpm.ecdh_zgen(object, self.0.key_auth(), x, y))?;
        let whole = public::padded(x.expose(), width);
        whole.map(Redacted::new).ok_or(ElementError::Crypto("agree on a secret"))
    }
}

impl CertificateStore for TpmElement {
    fn keep(&self, key: &KeyUri, chain: &[Certificate]) -> Result<(), ElementError> {
        let label = label::of(SCHEME, key)?;
        keys::check_leaf(key, &*self.signer(key)?, chain)?;
        let pem: String = chain.iter().map(Certificate::to_pem).collect();
        files::replace(&self.0.chain_path(label), pem.as_bytes())
    }

    fn chain(&self, key: &KeyUri) -> Result<Vec<Certificate>, ElementError> {
        let label = label::of(SCHEME, key)?;
        self.0.public(key)?;
        let path = self.0.chain_path(label);
        let Some(pem) = files::read(&path, store::LARGEST)? else { return Ok(Vec::new()) };
        let pem = String::from_utf8(pem).map_err(|_| ElementError::File { path, why: "it is not PEM" })?;
        Ok(Certificate::chain_from_pem(&pem)?)
    }
}

impl Attestation for TpmElement {
    fn attest(&self, key: &KeyUri, challenge: &[u8]) -> Result<Evidence, ElementError> {
        proof::certify(self, key, challenge)
    }

    fn attest_request(&self, key: &KeyUri, certificates: &[Certificate]) -> Result<KeyAttestation, ElementError> {
        proof::certify_request(self, key, certificates)
    }
}

/// A key in the TPM, ready to sign.
struct TpmKey {
    shared: Arc<Shared>,
    uri: KeyUri,
    public: Public,
}

impl Signer for TpmKey {
    fn public_key(&self) -> &PublicKey {
        self.public.key()
    }

    fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let algorithm = self.algorithm();
        let digest = keys::digest(algorithm, message)?;
        let auth = self.shared.key_auth();
        let signed = self.shared.with_key(&self.uri, |tpm, object| tpm.sign(object, auth, algorithm, &digest));
        let refused = |why: &dyn fmt::Display| SignError(why.to_string());
        let (r, s) = signed.map_err(|why| refused(&why))?;
        let width = (self.public_key().key_bits().len() - 1) / 2;
        let (Some(r), Some(s)) = (public::padded(&r, width), public::padded(&s, width)) else {
            return Err(refused(&"the TPM's signature is too long"));
        };
        der_from_fixed(algorithm, &[r, s].concat()).map_err(|why| refused(&why))
    }
}

impl fmt::Debug for TpmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TpmKey").field("uri", &self.uri).field("public_key", self.public.key()).finish_non_exhaustive()
    }
}

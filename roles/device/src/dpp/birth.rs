//! The bootstrapping key that the factory gave the device: taken out of the bundle once, into the element.

use super::Via;
use crate::{Config, DeviceError, file};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{
    Curve, Uri,
    curve::{KeyError, PrivateKey, PublicKey},
    exchange::Agreement,
};
use landfall_element::{ElementError, SecureElement};
use landfall_pki::pem;
use landfall_types::{
    Fault, KeyUri, Model, Redacted, Refusal, SerialNumber,
    bundle::{DppBirth, DppBundle, FORMAT},
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path, sync::Arc};

/// The label of the bootstrapping key in the element, and the name under which it seals those that it cannot use.
pub(crate) const LABEL: &str = "dpp-bootstrap";
/// The file in the state folder.
const FILE: &str = "dpp.json";

/// Who a device is to configurators, and whom it knows.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its bootstrapping URI, as the label shows it.
    pub uri: Uri,
    /// The private half of the key in it.
    pub key: BootstrapKey,
    /// The one configurator that may take the device, if it is known.
    pub configurator: Option<Uri>,
}

/// The private half of a bootstrapping key.
#[derive(Clone)]
pub enum BootstrapKey {
    /// In software.
    Software(Arc<PrivateKey>),
    /// In an element, which tells x coordinates only.
    Element {
        /// The element.
        element: Arc<dyn SecureElement>,
        /// The key in it.
        key: KeyUri,
        /// Its public half.
        public: PublicKey,
    },
}

impl BootstrapKey {
    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        match self {
            Self::Software(key) => key.public(),
            Self::Element { public, .. } => public,
        }
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Software(_) => "sealed by the element".into(),
            Self::Element { key, .. } => key.to_string(),
        }
    }

    /// What the core asks of it.
    pub(crate) fn agree(&self, agreement: &Agreement) -> Result<Redacted<Vec<u8>>, Disagreement> {
        match self {
            Self::Software(key) => Ok(agreement.by_key(key)?),
            Self::Element { element, key, public } => {
                let holder = element.key_agreement().ok_or(ElementError::Unsupported("agree on secrets"))?;
                agreement.by_coordinates(public, |point| {
                    let point = landfall_pki::PublicKey::from_spki_der(&point.spki_uncompressed())?;
                    Ok(holder.agree(key, &point)?)
                })
            }
        }
    }
}

impl fmt::Debug for BootstrapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootstrapKey({}, {:?})", self.place(), self.public())
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Disagreement {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Element(#[from] ElementError),
    #[error(transparent)]
    Pki(#[from] landfall_pki::PkiError),
}

/// A device's birth data, and its identity.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    pub(crate) serial_number: SerialNumber,
    pub(crate) model: Model,
    pub(crate) identity: Identity,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kept {
    format: u32,
    serial_number: SerialNumber,
    model: Model,
    uri: String,
    configurator: Option<String>,
    key: Place,
}

/// Where the key is.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Place {
    /// In the element.
    Element(KeyUri),
    /// Here, sealed by the element.
    Sealed(String),
}

impl Birth {
    /// What was taken in before, or what the bundle says now; `None` if neither knows of Wi-Fi Easy Connect.
    pub(crate) fn open(config: &Config, element: &Arc<dyn SecureElement>) -> Result<Option<Self>, DeviceError> {
        let path = config.state.join(FILE);
        if let Some(content) = file::read(&path)? {
            let kept: Kept = serde_json::from_slice(&content).map_err(|e| DeviceError::file(&path, e))?;
            return Self::of(kept, element).map(Some);
        }
        let Some(bundle) = config.bundle.as_deref() else { return Ok(None) };
        match read_bundle(bundle)? {
            Some(found) => Self::take_in(found, bundle, &path, config, element).map(Some),
            None => Ok(None),
        }
    }

    /// Puts the key into the element first: killed before the rest is written, the next start finds it there.
    fn take_in(
        bundle: DppBundle,
        bundle_path: &Path,
        path: &Path,
        config: &Config,
        element: &Arc<dyn SecureElement>,
    ) -> Result<Self, DeviceError> {
        let DppBundle { format, serial_number, model, dpp: DppBirth { uri, key, configurator } } = bundle;
        if format != FORMAT {
            return Err(DeviceError::file(bundle_path, format!("its format is {format}, not {FORMAT}")));
        }
        let key = match key {
            Some(key) => import(&**element, key.0.expose(), config.dpp.via == Via::WpaSupplicant)?,
            // The device made it itself.
            None => Place::Element(element.uri(LABEL)?),
        };
        let kept = Kept { format, serial_number, model, uri, configurator, key };
        let content = serde_json::to_vec_pretty(&kept).map_err(|e| DeviceError::file(path, e))?;
        let birth = Self::of(kept, element)?;
        file::replace(path, &content)?;
        Ok(birth)
    }

    fn of(kept: Kept, element: &Arc<dyn SecureElement>) -> Result<Self, DeviceError> {
        let uri: Uri = kept.uri.parse().map_err(|e: landfall_dpp::uri::UriError| DeviceError::Birth(e.refusal()))?;
        let configurator = kept.configurator.map(|text| text.parse::<Uri>()).transpose();
        let configurator = configurator.map_err(|e| DeviceError::Birth(e.refusal()))?;
        let key = match kept.key {
            Place::Element(key) => {
                let public = element.signer(&key)?.public_key().spki_der().to_vec();
                let public = PublicKey::from_spki(&public).map_err(unusable)?;
                BootstrapKey::Element { element: Arc::clone(element), key, public }
            }
            Place::Sealed(sealed) => {
                let sealed = STANDARD.decode(sealed).map_err(|e| DeviceError::Config(format!("{FILE}: {e}")))?;
                let opened = vault(&**element)?.open(LABEL, &sealed)?;
                BootstrapKey::Software(Arc::new(PrivateKey::from_pkcs8(opened.expose()).map_err(unusable)?))
            }
        };
        if *key.public() != uri.key {
            let detail = "the bootstrapping key is not the one in the URI";
            return Err(DeviceError::Birth(Refusal::new(Fault::Misuse, "dpp-bootstrap-key", "DPP s5.2", detail)));
        }
        let identity = Identity { uri, key, configurator };
        Ok(Self { serial_number: kept.serial_number, model: kept.model, identity })
    }
}

/// A bundle with a part `dpp`, whatever else is in it.
fn read_bundle(path: &Path) -> Result<Option<DppBundle>, DeviceError> {
    #[derive(Deserialize)]
    struct Peek {
        dpp: Option<serde::de::IgnoredAny>,
    }
    let Some(content) = file::read(path)?.map(Redacted::new) else { return Ok(None) };
    let wrong = |e| DeviceError::file(path, e);
    let peek: Peek = serde_json::from_slice(content.expose()).map_err(wrong)?;
    match peek.dpp {
        Some(_) => serde_json::from_slice(content.expose()).map(Some).map_err(wrong),
        None => Ok(None),
    }
}

/// Keys on curves that the element has go into it, unless they have to be lent; the others are sealed by it.
fn import(element: &dyn SecureElement, text: &str, lent: bool) -> Result<Place, DeviceError> {
    let block = pem::decode(text)?.into_iter().find(|block| block.label == "PRIVATE KEY");
    let Some(block) = block else {
        return Err(DeviceError::Config("the bundle's bootstrapping key is not PKCS #8 in PEM".into()));
    };
    let der = Redacted::new(block.der);
    let key = PrivateKey::from_pkcs8(der.expose()).map_err(unusable)?;
    if !lent && matches!(key.curve(), Curve::P256 | Curve::P384) && element.key_agreement().is_some() {
        match element.import(LABEL, &der) {
            // An earlier start was interrupted here; whether it is the right key is checked by the caller.
            Ok(uri) | Err(ElementError::Taken(uri)) => return Ok(Place::Element(uri)),
            Err(ElementError::Unsupported(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let key = key.to_pkcs8().map_err(unusable)?;
    Ok(Place::Sealed(STANDARD.encode(vault(element)?.seal(LABEL, key.expose())?)))
}

/// What seals the device's secrets.
pub(super) fn vault(element: &dyn SecureElement) -> Result<&dyn landfall_element::Vault, DeviceError> {
    Ok(element.vault().ok_or(ElementError::Unsupported("seal secrets"))?)
}

fn unusable(error: KeyError) -> DeviceError {
    DeviceError::Birth(Refusal::new(Fault::Misuse, "dpp-bootstrap-key", "DPP s5.2", error.to_string()))
}

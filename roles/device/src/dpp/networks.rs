//! What a device was given: networks, and the key that its connectors and certificates are for.

use super::birth::vault;
use crate::{DeviceError, file};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{
    config::ConfigObject,
    curve::{PrivateKey, PublicKey},
    exchange::{Received, TakenOver},
    reconfiguration::enrollee::Identity,
};
use landfall_element::SecureElement;
use landfall_types::{Fingerprint, Redacted, Time};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The version of the file that is written here.
const FORMAT: u32 = 1;
/// The name under which the element seals it.
const NAME: &str = "networks";

/// What one configuration brought.
#[derive(Debug)]
pub struct Networks {
    /// The hash of the configurator's bootstrapping key, if it showed one.
    pub configurator: Option<Fingerprint>,
    /// Whether the configurator proved to hold that key. Otherwise the device belongs to whoever came first (the
    /// resurrecting duckling, NIST SP 1800-36B s6.1.2).
    pub authenticated: bool,
    /// The release of the protocol that was spoken.
    pub release: u8,
    /// When.
    pub obtained: Time,
    /// The network access key: the protocol key, or the new one that the configurator asked for.
    pub key: Arc<PrivateKey>,
    /// The networks, the best first.
    pub objects: Vec<ConfigObject>,
    /// By what the configurator, and nobody else, recognises the device when it comes again (DPP s6.5.2).
    pub identity: Option<Identity>,
}

impl Networks {
    /// What the core has received, from the same configurator as `before` if it was found again.
    pub(crate) fn of(received: Received, obtained: Time, before: Option<&Self>) -> Self {
        let Received { peer, objects, key } = received;
        let configurator = peer.peer.or(before.and_then(|before| before.configurator));
        let (authenticated, release, identity) = (peer.peer_proved, peer.version, None);
        let mut networks = Self { configurator, authenticated, release, obtained, key, objects, identity };
        networks.identify();
        networks
    }
}

/// Keeps what a device is given.
pub trait Keep: Send + Sync {
    /// Keeps it in the place of what was there. It is durable when this returns, as far as this store is.
    ///
    /// # Errors
    /// If it could not be kept; then the configurator is told nothing.
    fn keep(&self, networks: Arc<Networks>) -> Result<(), DeviceError>;

    /// Makes a configurator's keys durable.
    ///
    /// # Errors
    /// If they could not be kept; and always where nobody wants to be a configurator.
    fn take_over(&self, _: &TakenOver) -> Result<(), DeviceError> {
        Err(DeviceError::Config("the device is not to be a configurator".into()))
    }
}

/// Keeps it for as long as the process lives: for tests and simulators.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Option<Arc<Networks>>>);

impl MemoryStore {
    /// What was kept last.
    pub fn networks(&self) -> Option<Arc<Networks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Keep for MemoryStore {
    fn keep(&self, networks: Arc<Networks>) -> Result<(), DeviceError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(networks);
        Ok(())
    }
}

/// Keeps it in a file that is there whole or not at all, sealed by the device's element.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    element: Arc<dyn SecureElement>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Kept {
    format: u32,
    configurator: Option<Fingerprint>,
    authenticated: bool,
    release: u8,
    obtained: Time,
    key: Secret,
    objects: Vec<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
}

/// Text that is wiped when dropped.
struct Secret(Redacted<String>);

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Redacted::new(text)))
    }
}

impl Store {
    pub(crate) fn new(state: &Path, element: Arc<dyn SecureElement>) -> Self {
        Self { path: state.join("networks.sealed"), element }
    }

    pub(crate) fn read(&self) -> Result<Option<Networks>, DeviceError> {
        let Some(sealed) = file::read(&self.path)? else { return Ok(None) };
        let opened = vault(&*self.element)?.open(NAME, &sealed)?;
        let wrong = |why: String| DeviceError::file(&self.path, why);
        let kept: Kept = serde_json::from_slice(opened.expose()).map_err(|e| wrong(e.to_string()))?;
        if kept.format != FORMAT {
            return Err(wrong(format!("its format is {}, not {FORMAT}", kept.format)));
        }
        let key = STANDARD.decode(kept.key.0.expose()).map(Redacted::new).map_err(|e| wrong(e.to_string()))?;
        let objects = kept.objects.iter().map(|object| ConfigObject::parse(object.0.expose().as_bytes()));
        let point = |text: &String| {
            let spki = STANDARD.decode(text).map_err(|e| wrong(e.to_string()))?;
            PublicKey::from_spki(&spki).map(Identity).map_err(|e| wrong(e.to_string()))
        };
        Ok(Some(Networks {
            identity: kept.identity.as_ref().map(point).transpose()?,
            configurator: kept.configurator,
            authenticated: kept.authenticated,
            release: kept.release,
            obtained: kept.obtained,
            key: Arc::new(PrivateKey::from_pkcs8(key.expose()).map_err(|e| wrong(e.to_string()))?),
            objects: objects.collect::<Result<_, _>>().map_err(|e| wrong(e.to_string()))?,
        }))
    }

    /// Forgets it; true if there was anything.
    pub(crate) fn forget(&self) -> Result<bool, DeviceError> {
        let there = self.path.exists();
        file::remove(&self.path)?;
        Ok(there)
    }
}

impl Keep for Store {
    fn keep(&self, networks: Arc<Networks>) -> Result<(), DeviceError> {
        let failed = |why: String| DeviceError::file(&self.path, why);
        let key = networks.key.to_pkcs8().map_err(|e| failed(e.to_string()))?;
        let kept = Kept {
            format: FORMAT,
            configurator: networks.configurator,
            authenticated: networks.authenticated,
            release: networks.release,
            obtained: networks.obtained,
            key: Secret(Redacted::new(STANDARD.encode(key.expose()))),
            objects: networks.objects.iter().map(|object| Secret(object.to_json())).collect(),
            identity: networks.identity.as_ref().map(|identity| STANDARD.encode(identity.0.spki())),
        };
        let text = serde_json::to_vec(&kept).map(Redacted::new).map_err(|e| failed(e.to_string()))?;
        file::replace(&self.path, &vault(&*self.element)?.seal(NAME, text.expose())?)
    }
}

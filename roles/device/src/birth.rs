//! What the factory gave the device: taken out of the bundle once, its key into the element.

use crate::{Config, DeviceError, file, seed};
use landfall_brski::pledge;
use landfall_element::{ElementError, SecureElement};
use landfall_pki::{Anchors, Certificate, pem};
use landfall_types::{
    Fault, KeyUri, Model, Redacted, Refusal, SerialNumber,
    bundle::{DeviceBundle, FORMAT},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The label of the IDevID's key in the element.
pub(crate) const LABEL: &str = "idevid";
/// The file in the state folder.
const FILE: &str = "birth.json";

/// The birth credential, without its private key.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    pub(crate) serial_number: SerialNumber,
    pub(crate) model: Model,
    pub(crate) idevid: Certificate,
    pub(crate) chain: Vec<Certificate>,
    pub(crate) masa_anchors: Vec<Certificate>,
    pub(crate) key: KeyUri,
    /// The certificate of the key by which the device's TPM speaks of its others, with those above it.
    pub(crate) attestation: Vec<Certificate>,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kept {
    #[serde(flatten)]
    bundle: DeviceBundle,
    key_uri: KeyUri,
}

impl Birth {
    /// What was taken in before, or what the bundle says now.
    pub(crate) fn open(config: &Config, element: &dyn SecureElement) -> Result<Self, DeviceError> {
        let path = config.state.join(FILE);
        let birth = match (Self::kept(&path)?, &config.bundle) {
            (Some(birth), _) => birth,
            (None, Some(bundle)) => Self::take_in(bundle, &path, config, element)?,
            (None, None) => return Err(DeviceError::Unborn),
        };
        seed::forget(config);
        Ok(birth)
    }

    fn kept(path: &Path) -> Result<Option<Self>, DeviceError> {
        let Some(content) = file::read(path)? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&content).map_err(|e| DeviceError::file(path, e))?;
        Self::of(&kept.bundle, kept.key_uri).map(Some)
    }

    /// Puts the key into the element first: killed before the rest is written, the next start finds it there.
    fn take_in(
        bundle_path: &Path,
        path: &Path,
        config: &Config,
        element: &dyn SecureElement,
    ) -> Result<Self, DeviceError> {
        let absent = || DeviceError::file(bundle_path, "there is no such file");
        let content = Redacted::new(file::read(bundle_path)?.ok_or_else(absent)?);
        let mut bundle: DeviceBundle =
            serde_json::from_slice(content.expose()).map_err(|e| DeviceError::file(bundle_path, e))?;
        if bundle.format != FORMAT {
            return Err(DeviceError::file(bundle_path, format!("its format is {}, not {FORMAT}", bundle.format)));
        }
        let was_loaded = bundle.key.is_some();
        let key = match (bundle.key.take(), &config.keys.idevid) {
            (Some(key), _) => import(element, key.0.expose())?,
            (None, Some(uri)) => uri.clone(),
            (None, None) => match seed::derive(config, element, &bundle.serial_number)? {
                Some(key) => key,
                None => element.uri(LABEL)?,
            },
        };
        let birth = Self::of(&bundle, key.clone())?;
        let own = element.signer(&key).map_err(|error| match error {
            ElementError::Missing(key) => {
                let why = format!("it holds no key, and {key} is not there: [keys] idevid names another one");
                DeviceError::file(bundle_path, why)
            }
            error => error.into(),
        })?;
        if own.public_key() != birth.idevid.public_key() {
            let detail = format!("{key} is not the key of the IDevID");
            return Err(DeviceError::Birth(Refusal::new(Fault::Misuse, "idevid-key", "802.1AR s6.1", detail)));
        }
        if let (false, Some(certificates)) = (was_loaded, element.certificates()) {
            // For others that look into the element; the agent reads them from its own state.
            certificates.keep(&key, &birth.presented())?;
        }
        // Its key is kept elsewhere: see dpp::birth.
        bundle.dpp = None;
        let kept = serde_json::to_vec_pretty(&Kept { bundle, key_uri: key }).map_err(|e| DeviceError::file(path, e))?;
        file::replace(path, &kept)?;
        Ok(birth)
    }

    fn of(bundle: &DeviceBundle, key: KeyUri) -> Result<Self, DeviceError> {
        let birth = Self {
            serial_number: bundle.serial_number.clone(),
            model: bundle.model.clone(),
            idevid: Certificate::from_pem(&bundle.idevid)?,
            chain: Certificate::chain_from_pem(&bundle.chain)?,
            masa_anchors: Certificate::chain_from_pem(&bundle.masa_anchors)?,
            key,
            attestation: match &bundle.attestation {
                Some(pem) => Certificate::chain_from_pem(&format!("{pem}{}", bundle.chain))?,
                None => Vec::new(),
            },
        };
        let refuse = |check, detail: &str| {
            Err(DeviceError::Birth(Refusal::new(Fault::Misuse, check, "RFC 8995 s2.3.1", detail)))
        };
        if birth.idevid.subject_serial_number().as_ref() != Some(&birth.serial_number) {
            return refuse("idevid-serial-number", "the bundle's serial number is not that of the IDevID");
        }
        if birth.masa_anchors.is_empty() {
            return refuse("masa-anchors", "without an anchor for vouchers, none could ever be accepted");
        }
        Ok(birth)
    }

    /// What is presented in TLS, leaf first.
    pub(crate) fn presented(&self) -> Vec<Certificate> {
        std::iter::once(&self.idevid).chain(&self.chain).cloned().collect()
    }

    /// How the device behaves as a pledge.
    pub(crate) fn pledge(&self, config: &Config) -> Result<pledge::Config, DeviceError> {
        let anchors = Anchors::of(self.masa_anchors.iter().cloned());
        let mut pledge =
            pledge::Config::new(self.idevid.clone(), self.chain.clone(), anchors).map_err(DeviceError::Birth)?;
        pledge.vouchers.clock = config.clock;
        pledge.vouchers.nonceless = config.nonceless;
        pledge.format = config.format.into();
        pledge.algorithm = config.algorithm;
        Ok(pledge)
    }
}

/// Whether the device has taken in what the factory gave it.
pub(crate) fn is_taken_in(config: &Config) -> bool {
    config.state.join(FILE).exists()
}

/// Whether the device has an IDevID, or its bundle brings one.
pub(crate) fn is_of_brski(config: &Config) -> Result<bool, DeviceError> {
    #[derive(Deserialize)]
    struct Peek {
        idevid: Option<serde::de::IgnoredAny>,
    }
    if is_taken_in(config) {
        return Ok(true);
    }
    let Some(path) = &config.bundle else { return Ok(false) };
    let Some(content) = file::read(path)?.map(Redacted::new) else { return Ok(false) };
    let peek: Peek = serde_json::from_slice(content.expose()).map_err(|e| DeviceError::file(path, e))?;
    Ok(peek.idevid.is_some())
}

fn import(element: &dyn SecureElement, text: &str) -> Result<KeyUri, DeviceError> {
    let block = pem::decode(text)?.into_iter().find(|block| block.label == "PRIVATE KEY");
    let Some(block) = block else {
        return Err(DeviceError::Config("the bundle's key is not PKCS #8 in PEM".into()));
    };
    match element.import(LABEL, &Redacted::new(block.der)) {
        // An earlier start was interrupted here; whether it is the right key is checked by the caller.
        Err(ElementError::Taken(key)) => Ok(key),
        imported => Ok(imported?),
    }
}

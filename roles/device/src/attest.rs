//! What the device's TPM says of its keys, in files that other people's tools read: OpenSSL and tpm2-tools.

use crate::{
    Config, DeviceError,
    agent::{open_element, tpm_element},
    birth::{self, Birth},
    dpp::{self, BootstrapKey},
    file,
    state::{Held, State, pem},
};
use landfall_element::{Exposure, SecureElement};
use landfall_tpm::proof;
use landfall_types::KeyUri;
use std::{path::Path, sync::Arc};

/// Has the TPM certify the keys of the device's IDevID, its LDevID and its bootstrapping URI, as far as it has them, and
/// writes each statement to `folder`, with the certificate or URI beside it that it is about. A statement covers the SHA-256
/// of `nonce` and then the certificate in DER, or the URI. The keys that are there.
///
/// # Errors
/// If the device's element is no TPM, or a key is not in it.
pub fn attest(config: &Config, folder: &Path, nonce: &[u8]) -> Result<Vec<KeyUri>, DeviceError> {
    let element = tpm_element(config)?;
    let about = Credentials::of(config)?;
    file::make_folder(folder)?;
    let keep = |name: &str, content: &[u8]| file::replace(&folder.join(name), content);
    keep("endorsement.pem", proof::introduce(&element)?.endorsement_certificate.as_bytes())?;
    let (public, private) = proof::attestation_key(&element)?;
    keep("attestation.pub", &public)?;
    keep("attestation.priv", &private)?;
    keep("nonce", nonce)?;
    let certified = |name: &str, key: &KeyUri, covered: &[u8]| -> Result<KeyUri, DeviceError> {
        let statement = proof::statement(&element, key, &[nonce, covered].concat())?;
        let parts = statement.parts().map_err(DeviceError::Birth)?;
        keep(&format!("{name}.pub"), &parts.public)?;
        keep(&format!("{name}.attest"), &parts.statement)?;
        keep(&format!("{name}.sig"), &parts.signature)?;
        Ok(key.clone())
    };
    let mut keys = Vec::new();
    if let Some(birth) = &about.birth {
        keep("idevid.pem", birth.idevid.to_pem().as_bytes())?;
        keep("idevid-chain.pem", pem(&birth.chain).as_bytes())?;
        keys.push(certified("idevid", &birth.key, birth.idevid.der())?);
    }
    if let Some(held) = &about.held {
        keep("ldevid.pem", held.credential.ldevid.to_pem().as_bytes())?;
        keep("ldevid-chain.pem", pem(&held.credential.chain).as_bytes())?;
        keys.push(certified("ldevid", &held.credential.key, held.credential.ldevid.der())?);
    }
    if let Some((uri, key)) = &about.bootstrapping {
        keep("dpp-bootstrap.uri", uri.as_bytes())?;
        keys.push(certified("dpp-bootstrap", key, uri.as_bytes())?);
    }
    Ok(keys)
}

/// Tries to take each of the device's private keys out of its element, as a thief with its PIN would; what came of it.
///
/// # Errors
/// If the element fails, or there is no such key.
pub fn probe(config: &Config) -> Result<Vec<(KeyUri, Exposure)>, DeviceError> {
    let element = open_element(config)?;
    element.list()?.into_iter().map(|key| Ok((key.clone(), element.expose(&key)?))).collect()
}

/// What the device has that its keys are for.
struct Credentials {
    birth: Option<Birth>,
    held: Option<Held>,
    bootstrapping: Option<(String, KeyUri)>,
}

impl Credentials {
    fn of(config: &Config) -> Result<Self, DeviceError> {
        let state = State::open(&config.state)?;
        let element: Arc<dyn SecureElement> = open_element(config)?;
        let easy = dpp::Birth::open(config, &element)?;
        let bootstrapping = easy.and_then(|birth| match birth.identity.key {
            BootstrapKey::Element { key, .. } => Some((birth.identity.uri.to_string(), key)),
            BootstrapKey::Software(_) => None,
        });
        let birth = birth::is_of_brski(config)?.then(|| Birth::open(config, &*element)).transpose()?;
        Ok(Self { birth, held: state.read()?, bootstrapping })
    }
}

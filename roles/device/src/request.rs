//! The birth key made by the device itself, in its element, and what the factory asks of it (NIST SP 1800-36B H.1.1,
//! methods 1 and 2).

use crate::{
    Config, DeviceError,
    agent::{open_element, tpm_element},
    birth::LABEL,
    dpp,
};
use landfall_element::{ElementError, SecureElement};
use landfall_pki::{Algorithm, CsrRequest, Name, pem};
use landfall_tpm::proof::{self, Answer, Challenge, Introduction};
use landfall_types::{KeyUri, SerialNumber};

/// What of a device's birth the factory is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The IDevID's key.
    Birth,
    /// The bootstrapping key for Wi-Fi Easy Connect, which the request proves to be there.
    Bootstrapping,
}

/// The certificate request for the birth key, or for the bootstrapping key, in PEM. The key is made if it is not there; asking again asks for the same
/// one.
///
/// # Errors
/// If the element fails, or cannot make such a key.
pub fn request(config: &Config, wanted: Wanted, serial_number: Option<&SerialNumber>) -> Result<String, DeviceError> {
    let element = open_element(config)?;
    let key = match wanted {
        Wanted::Birth => birth_key(config, &*element)?,
        Wanted::Bootstrapping => bootstrapping_key(config, &*element)?,
    };
    let signer = element.signer(&key)?;
    let subject = serial_number.map_or_else(Name::new, |serial| Name::new().serial_number(serial));
    let prepared = CsrRequest::new(subject).prepare(signer.public_key(), signer.algorithm())?;
    Ok(pem::encode("CERTIFICATE REQUEST", prepared.issue(&*signer)?.der()))
}

/// What the device shows of its TPM, for a factory that wants proof that the birth key lives there.
///
/// # Errors
/// If the device's element is no TPM, or the TPM has no endorsement certificate.
pub fn introduce(config: &Config) -> Result<Introduction, DeviceError> {
    Ok(proof::introduce(&tpm_element(config)?)?)
}

/// The TPM's answer to the factory's challenge, about the birth key, and the bootstrapping key if there is one.
///
/// # Errors
/// If the device's element is no TPM, or the challenge is for another one.
pub fn prove(config: &Config, challenge: &Challenge) -> Result<Answer, DeviceError> {
    let element = tpm_element(config)?;
    let mut keys = vec![birth_key(config, &element)?];
    let bootstrapping = element.uri(dpp::LABEL)?;
    keys.extend(element.list()?.into_iter().filter(|key| *key == bootstrapping));
    Ok(proof::answer(&element, &keys, challenge)?)
}

/// Made in the element, which has to be able to agree on secrets by it.
fn bootstrapping_key(config: &Config, element: &dyn SecureElement) -> Result<KeyUri, DeviceError> {
    element.key_agreement().ok_or(ElementError::Unsupported("agree on secrets"))?;
    made(element, dpp::LABEL, config.algorithm)
}

fn birth_key(config: &Config, element: &dyn SecureElement) -> Result<KeyUri, DeviceError> {
    if let Some(key) = &config.keys.idevid {
        return Ok(key.clone());
    }
    made(element, LABEL, config.algorithm)
}

fn made(element: &dyn SecureElement, label: &str, algorithm: Algorithm) -> Result<KeyUri, DeviceError> {
    match element.generate(label, algorithm) {
        Ok(key) | Err(ElementError::Taken(key)) => Ok(key),
        Err(error) => Err(error.into()),
    }
}

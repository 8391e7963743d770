//! The birth key made by the device itself, in its element, and what the factory asks of it (NIST SP 1800-36B H.1.1,
//! methods 1 and 2).

use crate::{
    Config, DeviceError,
    agent::{open_element, tpm_element},
    birth::LABEL,
};
use landfall_element::{ElementError, SecureElement};
use landfall_pki::{CsrRequest, Name, pem};
use landfall_tpm::proof::{self, Answer, Challenge, Introduction};
use landfall_types::{KeyUri, SerialNumber};

/// The certificate request for the birth key, in PEM. The key is made if it is not there; asking again asks for the same
/// one.
///
/// # Errors
/// If the element fails, or cannot make such a key.
pub fn request(config: &Config, serial_number: Option<&SerialNumber>) -> Result<String, DeviceError> {
    let element = open_element(config)?;
    let key = birth_key(config, &*element)?;
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

/// The TPM's answer to the factory's challenge, about the birth key.
///
/// # Errors
/// If the device's element is no TPM, or the challenge is for another one.
pub fn prove(config: &Config, challenge: &Challenge) -> Result<Answer, DeviceError> {
    let element = tpm_element(config)?;
    let key = birth_key(config, &element)?;
    Ok(proof::answer(&element, &key, challenge)?)
}

fn birth_key(config: &Config, element: &dyn SecureElement) -> Result<KeyUri, DeviceError> {
    if let Some(key) = &config.keys.idevid {
        return Ok(key.clone());
    }
    match element.generate(LABEL, config.algorithm) {
        Ok(key) | Err(ElementError::Taken(key)) => Ok(key),
        Err(error) => Err(error.into()),
    }
}

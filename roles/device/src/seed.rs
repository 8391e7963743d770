//! The seed that a birth key is derived from (NIST SP 1800-36B H.1.1, method 5), on its way from the chip's maker into the
//! element: sealed by the element while it waits for the device's serial number, never in clear on a disk, and gone once the
//! element has the key.

use crate::{Config, DeviceError, agent::open_element, birth, file};
use landfall_element::{ElementError, SecureElement, files, seed};
use landfall_types::{KeyUri, Redacted, SerialNumber};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// The file in the state folder, and the name under which the element seals it.
const FILE: &str = "seed.sealed";
const NAME: &str = "birth-seed";
/// The longest seed, in octets.
const LONGEST: usize = 1024;

/// Takes the seed in, for the bundle to come: what is kept of it is sealed by the device's element.
///
/// # Errors
/// If the device has its birth key already, the seed is too short or too long, or the element cannot seal.
pub(crate) fn take_in(config: &Config, from: &mut dyn Read) -> Result<(), DeviceError> {
    if birth::is_taken_in(config) {
        return Err(DeviceError::Config("the device was born: nothing is derived from a seed any more".into()));
    }
    // With all its room at once, so that no copy stays behind where it was smaller.
    let mut seed = Vec::with_capacity(LONGEST + 1);
    let read = from.take(LONGEST as u64 + 1).read_to_end(&mut seed);
    let seed = Redacted::new(seed);
    read.map_err(DeviceError::io("the seed"))?;
    if seed.expose().len() > LONGEST {
        return Err(DeviceError::Config(format!("a seed has at most {LONGEST} octets")));
    }
    seed::fingerprint(&seed)?;
    let element = open_element(config)?;
    let vault = element.vault().ok_or(ElementError::Unsupported("seal a seed"))?;
    let sealed = vault.seal(NAME, seed.expose())?;
    file::make_folder(&config.state)?;
    file::replace(&path(config), &sealed)
}

/// Puts the key that the factory derived too into the element, if the device has a seed.
pub(crate) fn derive(
    config: &Config,
    element: &dyn SecureElement,
    serial_number: &SerialNumber,
) -> Result<Option<KeyUri>, DeviceError> {
    let Some(seed) = seed_of(config, element)? else { return Ok(None) };
    match element.import(birth::LABEL, &seed::birth_key(&seed, serial_number)?) {
        // An earlier start was interrupted here; whether it is the right key is checked by the caller.
        Err(ElementError::Taken(key)) => Ok(Some(key)),
        imported => Ok(Some(imported?)),
    }
}

fn seed_of(config: &Config, element: &dyn SecureElement) -> Result<Option<Redacted<Vec<u8>>>, DeviceError> {
    if let Some(sealed) = file::read(&path(config))? {
        let vault = element.vault().ok_or(ElementError::Unsupported("open a sealed seed"))?;
        return Ok(Some(vault.open(NAME, &sealed)?));
    }
    let Some(chip) = &config.keys.seed_file else { return Ok(None) };
    if !chip.exists() {
        return Err(DeviceError::file(chip, "there is no such file"));
    }
    if files::is_on_disk(chip)? {
        let why = "a seed lies there in clear, for whoever gets hold of the disk; seed-file is for memory of the chip. Hand it \
                   to `landfall device seed`, which seals it, and destroy the file";
        return Err(DeviceError::file(chip, why));
    }
    Ok(file::read(chip)?.map(Redacted::new))
}

/// The element has the key, and who learned the seed would have it too. Memory of the chip is the chip's matter.
pub(crate) fn forget(config: &Config) {
    let in_clear = config.keys.seed_file.clone().filter(|path| files::is_on_disk(path).unwrap_or(false));
    for path in in_clear.into_iter().chain([path(config)]) {
        if let Err(why) = file::remove(&path) {
            tracing::warn!(path = %path.display(), %why, "the seed of the birth key is still there");
        }
    }
}

fn path(config: &Config) -> PathBuf {
    config.state.join(Path::new(FILE))
}

//! What is on the disk: the image, whole or not at all, and what is remembered of it.

use super::LONGEST;
use crate::{Config, DeviceError, file, posture::sha256};
use landfall_tuf::{Trust, firmware::Release};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

const FORMAT: u32 = 1;
const FILE: &str = "update.json";

/// What is kept between updates.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Kept {
    format: u32,
    /// What was the last that was seen of the manufacturer's bundles.
    pub(super) trust: Trust,
    pub(super) installed: Option<Installed>,
}

/// A release that was written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Installed {
    pub(crate) release: Release,
    /// The SHA-256 of its image.
    pub(super) digest: String,
    /// Whether the hook has once ended well since.
    hooked: bool,
}

/// A folder of its own: the agent that runs has the state's.
pub(super) fn folder(config: &Config) -> PathBuf {
    config.state.join("update")
}

/// The release that the device took last.
pub(crate) fn installed(config: &Config) -> Result<Option<Installed>, DeviceError> {
    Ok(Kept::read(&folder(config))?.and_then(|kept| kept.installed))
}

impl Kept {
    pub(super) const fn new(trust: Trust) -> Self {
        Self { format: FORMAT, trust, installed: None }
    }

    pub(super) fn read(folder: &Path) -> Result<Option<Self>, DeviceError> {
        let path = folder.join(FILE);
        let Some(content) = file::read(&path)? else { return Ok(None) };
        let kept: Self = serde_json::from_slice(&content).map_err(|e| DeviceError::file(&path, e))?;
        match kept.format {
            FORMAT => Ok(Some(kept)),
            other => Err(DeviceError::file(path, format!("its format is {other}, not {FORMAT}"))),
        }
    }

    /// Durable when it returns.
    pub(super) fn write(&self, folder: &Path) -> Result<(), DeviceError> {
        let path = folder.join(FILE);
        let content = serde_json::to_vec_pretty(self).map_err(|e| DeviceError::file(&path, e))?;
        file::replace(&path, &content)
    }

    /// Runs the hook, if it has still to be run.
    pub(super) fn hooked(mut self, config: &Config, folder: &Path) -> Result<Self, DeviceError> {
        let Some(installed) = self.installed.as_mut().filter(|installed| !installed.hooked) else { return Ok(self) };
        if let Some((program, arguments)) = config.update.hook.split_first() {
            let status = hook(program, arguments).map_err(DeviceError::io(program))?;
            if !status.success() {
                return Err(DeviceError::file(program, format!("the hook of [update] ended with {status}")));
            }
        }
        installed.hooked = true;
        self.write(folder)?;
        Ok(self)
    }
}

/// What it says is not our answer.
fn hook(program: &str, arguments: &[String]) -> std::io::Result<ExitStatus> {
    Command::new(program).args(arguments).stdin(Stdio::null()).stdout(std::io::stderr()).status()
}

impl Installed {
    /// Puts the image in the place of the one that is there, which stays until the new one is whole and on the disk.
    pub(super) fn put(path: &Path, image: &[u8], release: Release) -> Result<Self, DeviceError> {
        file::replace_image(path, image)?;
        Ok(Self { release, digest: hex::encode(sha256(image)), hooked: false })
    }

    /// Whether its image is still what was written.
    pub(super) fn is_whole(&self, path: &Path) -> Result<bool, DeviceError> {
        let content = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => read(opened.map_err(DeviceError::io(path))?, path)?,
        };
        Ok(hex::encode(sha256(&content)) == self.digest)
    }
}

fn read(file: File, path: &Path) -> Result<Vec<u8>, DeviceError> {
    let mut content = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut content).map_err(DeviceError::io(path))?;
    Ok(content)
}

/// An archive that a person has brought: with an image in it and all that belongs to that.
pub(super) fn archive(path: &Path) -> Result<Vec<u8>, DeviceError> {
    let length = fs::metadata(path).map_err(DeviceError::io(path))?.len();
    if length > 2 * LONGEST {
        return Err(DeviceError::file(path, "it is too large"));
    }
    fs::read(path).map_err(DeviceError::io(path))
}

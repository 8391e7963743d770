//! What the agent remembers: the network credential, whole or not at all.

use crate::{DeviceError, file};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::{pledge::Credential, proxy::Offer};
use landfall_pki::Certificate;
use landfall_types::{KeyUri, Time};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

/// The version of the credential file that is written here.
const FORMAT: u32 = 1;
/// What stands behind a credential of which the registrar knows: one byte, which is there or not, and no other file.
const REPORTED: &[u8] = b"\n";

/// The agent's folder.
#[derive(Debug)]
pub(crate) struct State {
    dir: PathBuf,
}

/// Held while something may change; another agent on the same folder has to wait its turn.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Closing would not do: a process that another thread starts holds a copy of the file until it runs its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// A credential, and whether the registrar knows that the device has it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) credential: Credential,
    pub(crate) reported: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Kept {
    format: u32,
    reported: bool,
    key: KeyUri,
    ldevid: String,
    chain: String,
    anchors: String,
    pinned: String,
    registrar: String,
    offer: Offer,
    voucher: String,
    obtained: Time,
}

impl State {
    pub(crate) fn open(dir: &Path) -> Result<Self, DeviceError> {
        file::make_folder(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub(crate) fn lock(&self) -> Result<Lock, DeviceError> {
        let folder = File::open(&self.dir).map_err(DeviceError::io(&self.dir))?;
        match folder.try_lock() {
            Ok(()) => Ok(Lock(folder)),
            Err(TryLockError::WouldBlock) => Err(DeviceError::Busy(self.dir.clone())),
            Err(TryLockError::Error(error)) => Err(DeviceError::io(&self.dir)(error)),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("credential.json")
    }

    pub(crate) fn read(&self) -> Result<Option<Held>, DeviceError> {
        let path = self.path();
        let Some(content) = file::read(&path)? else { return Ok(None) };
        // Behind it stands the note that it was reported, or what a loss of power has made of that.
        let mut reader = serde_json::Deserializer::from_slice(&content);
        let kept = Kept::deserialize(&mut reader).map_err(|e| DeviceError::file(&path, e))?;
        if kept.format != FORMAT {
            return Err(DeviceError::file(path, format!("its format is {}, not {FORMAT}", kept.format)));
        }
        let voucher = STANDARD.decode(&kept.voucher).map_err(|e| DeviceError::file(&path, e))?;
        let credential = Credential {
            key: kept.key,
            ldevid: Certificate::from_pem(&kept.ldevid)?,
            chain: Certificate::chain_from_pem(&kept.chain)?,
            anchors: Certificate::chain_from_pem(&kept.anchors)?,
            pinned: Certificate::from_pem(&kept.pinned)?,
            registrar: Certificate::from_pem(&kept.registrar)?,
            offer: kept.offer,
            voucher,
            obtained: kept.obtained,
        };
        Ok(Some(Held { credential, reported: kept.reported || content.ends_with(REPORTED) }))
    }

    /// Notes behind the credential that the registrar knows of it. This is not made durable, for nothing is lost with
    /// it: a device that does not know whether it has told the registrar tells it again.
    pub(crate) fn note_reported(&self) -> Result<(), DeviceError> {
        let path = self.path();
        let noted = OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(REPORTED));
        noted.map_err(DeviceError::io(path))
    }

    /// Durable when it returns.
    pub(crate) fn write(&self, held: &Held) -> Result<(), DeviceError> {
        let credential = &held.credential;
        let kept = Kept {
            format: FORMAT,
            reported: held.reported,
            key: credential.key.clone(),
            ldevid: credential.ldevid.to_pem(),
            chain: pem(&credential.chain),
            anchors: pem(&credential.anchors),
            pinned: credential.pinned.to_pem(),
            registrar: credential.registrar.to_pem(),
            offer: credential.offer.clone(),
            voucher: STANDARD.encode(&credential.voucher),
            obtained: credential.obtained,
        };
        let content = serde_json::to_vec_pretty(&kept).map_err(|e| DeviceError::file(self.path(), e))?;
        file::replace(&self.path(), &content)
    }

    /// Forgets the credential and with it everything about the owner.
    pub(crate) fn forget(&self) -> Result<(), DeviceError> {
        file::remove(&self.path())
    }
}

/// Certificates in PEM, one after another.
pub(crate) fn pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}

//! NFC negotiated handover on a device: what it says to a configurator that it touches, and what that has said (DPP s5.4).

use super::Device;
use crate::{DeviceError, file};
use landfall_dpp::{
    System, Uri,
    nfc::{
        self,
        handover::{self, Kind},
    },
};
use std::path::Path;

impl Device {
    /// Writes an NDEF message with the device's URI: a Handover Request, or the Handover Select for the configurator's `request`.
    ///
    /// # Errors
    /// If the request is none, or there is nothing that fits both.
    pub fn hand_over_by_nfc(&self, out: &Path, request: Option<&Path>) -> Result<Uri, DeviceError> {
        let own = self.uri().clone();
        let (uri, kind) = match request {
            None => (own, Kind::request(&mut System)),
            Some(path) => {
                let wrong = |why: String| DeviceError::file(path, why);
                match handover::decode(&needed(path)?).map_err(|why| wrong(why.to_string()))? {
                    (theirs, Kind::Request { .. }) => {
                        let selected = handover::select(&theirs, own).map_err(|why| wrong(why.to_string()))?;
                        (selected, Kind::Select)
                    }
                    (_, Kind::Select) => return Err(wrong("it is an answer already".into())),
                }
            }
        };
        file::replace(out, &handover::encode(&uri, kind))?;
        Ok(uri)
    }
}

/// The configurator's URI in an NDEF message of either kind, or in a tag's.
pub(super) fn configurator(path: &Path) -> Result<Uri, DeviceError> {
    let decoded = nfc::decode(&needed(path)?);
    decoded.map(|(uri, _)| uri).map_err(|why| DeviceError::file(path, why.to_string()))
}

fn needed(path: &Path) -> Result<Vec<u8>, DeviceError> {
    file::read(path)?.ok_or_else(|| DeviceError::file(path, "there is no such file"))
}

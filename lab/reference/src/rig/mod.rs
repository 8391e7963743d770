//! The radio rig: a virtual machine with simulated radios, in which real access points and stations meet.
//!
//! This kernel need not know of radios: the machine runs Debian's, under pure emulation, with `mac80211_hwsim`. It holds
//! Debian's hostapd and wpa_supplicant, and reaches nothing but loopback of the machine outside. `cargo xtask rig` prepares
//! it. A [`Machine`] boots in some 10 s and then serves any number of scenarios: [`Machine::access_point`],
//! [`Machine::station`], and what follows from them in [`scenario`].

mod brski;
mod machine;
mod radio;
pub mod scenario;

pub use machine::{Machine, Output};
pub use radio::{AccessPoint, Eap, Radius, Relay, Security, Station};

pub(crate) use radio::Window;

use std::path::{Path, PathBuf};

/// The folder of a prepared rig.
#[derive(Clone, Debug)]
pub struct Rig {
    folder: PathBuf,
}

/// Why there is no rig.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the radio rig is not there ({0}): cargo xtask rig prepares it")]
pub struct Missing(String);

impl Rig {
    /// Finds the rig where `LANDFALL_RIG` says, or in the user's cache.
    ///
    /// # Errors
    /// With the reason, if none has been prepared.
    pub fn find() -> Result<Self, Missing> {
        let named = std::env::var_os("LANDFALL_RIG").map(PathBuf::from);
        let cache = || std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
        let folder = named.or_else(|| Some(cache().or_else(home)?.join("landfall/rig")));
        let folder = folder.ok_or_else(|| Missing("no home".into()))?;
        // It is written last.
        match folder.join("ready").is_file() {
            true => Ok(Self { folder }),
            false => Err(Missing(format!("no {}", folder.join("ready").display()))),
        }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }
}

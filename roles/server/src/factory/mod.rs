//! The factory (NIST SP 1800-36B s4.1 and H.1.1): makes devices, and the manufacturer's database.
//!
//! [`NewManufacturer::make`] makes a manufacturer's certificates once. A [`Factory`] then makes devices:
//! [`Factory::provision`] makes keys and IDevIDs for a batch (method 3), [`Factory::certify`] issues an IDevID for a key
//! that the device made (methods 1 and 2),
//! [`Factory::adopt`] takes in devices whose secure elements came with keys (method 4), and [`Factory::derive`] those that
//! derive them from a seed (method 5). Devices of a product for Wi-Fi Easy Connect get a bootstrapping key too. Nothing is handed out before it is recorded, and no serial number is used
//! twice: a batch that was interrupted is completed by [`Factory::resume`].

mod authority;
mod bundles;
mod certify;
mod dpp;
mod elsewhere;
mod error;
mod init;
mod issue;
mod line;
mod manifest;
mod provision;
mod publish;
mod records;
mod sole;

pub use certify::{Choice, Proof, Request};
pub use dpp::{ListFormat, Which};
pub use error::FactoryError;
pub use init::{Made, NewManufacturer, add_mud_signer};
pub use landfall_tpm::proof::Verifier;
pub use manifest::{Verified, signature_of, verify_manifest};
pub use provision::{Order, Progress, Provisioned};
pub use publish::{News, news, told};
pub use records::{ExportFormat, import};

use crate::{
    Identity,
    hierarchy::Issuer,
    settings::{EstSettings, IdentitySettings, Settings},
};
use authority::Elsewhere;
use bundles::Bundles;
use landfall_element::SecureElement;
use landfall_lifecycle::factory::Station;
use landfall_store::Store;
use landfall_types::Time;
use manifest::Manifests;
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path, sync::Mutex};

/// What the manufacturer decided when it was made; `factory.toml` in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manufacturer {
    /// The organization that stands in every subject.
    pub organization: String,
    /// Where devices find their MASA unless their product says otherwise (RFC 8995 s2.3.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masa_url: Option<String>,
    /// The CA elsewhere that issues IDevIDs in the place of `issuing`; paths are below the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub est: Option<EstSettings>,
}

/// Settings by which paths are below the manufacturer's folder.
fn manufacturer_settings(folder: &Path) -> Settings {
    Settings { data: folder.into(), ..Settings::default() }
}

/// A factory at work.
pub struct Factory {
    manufacturer: Manufacturer,
    issuer: Issuer,
    /// What stands between the IDevIDs that it issues and the root, in PEM.
    chain: String,
    elsewhere: Option<Elsewhere>,
    /// What devices check vouchers with, in PEM.
    masa_anchors: String,
    /// Who signs MUD files; manufacturers of before may have nobody.
    mud_signer: Option<Identity>,
    store: Store,
    bundles: Bundles,
    manifests: Manifests,
    station: Option<Station>,
    clock: Box<dyn Fn() -> Time + Send + Sync>,
    /// One batch at a time: two would not be faster, and could make the same one.
    at_work: Mutex<()>,
}

impl Factory {
    /// Opens the factory of the manufacturer in `folder`, whose keys are in `element`. Records go to `store`, and device
    /// bundles to folders in `bundles`, one per batch; the batches' manifests to `manifests` beside it.
    pub fn open(
        folder: &Path,
        element: &dyn SecureElement,
        store: Store,
        bundles: &Path,
    ) -> Result<Self, FactoryError> {
        let text = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|why| FactoryError::file(&path, why))
        };
        let manufacturer = toml::from_str(&text(init::SETTINGS)?)
            .map_err(|why| FactoryError::file(&folder.join(init::SETTINGS), why))?;
        let identity = |name| Identity::load(&IdentitySettings::at(name), |name| folder.join(name), element);
        let issuing = identity("issuing.pem")?;
        let issuer = Issuer::new(issuing.chain, issuing.signer)?;
        let manufacturer: Manufacturer = manufacturer;
        let elsewhere = manufacturer.est.as_ref().map(|est| Elsewhere::open(est, folder, element)).transpose()?;
        Ok(Self {
            manufacturer,
            elsewhere,
            chain: issuer.intermediates().map(|ca| ca.to_pem()).collect(),
            issuer,
            masa_anchors: text(init::MASA_ANCHORS)?,
            mud_signer: folder.join(init::MUD_SIGNER).exists().then(|| identity(init::MUD_SIGNER)).transpose()?,
            store,
            bundles: Bundles::new(bundles),
            manifests: Manifests { folder: bundles.with_file_name("manifests"), signer: identity("manifest.pem")? },
            station: None,
            clock: Box::new(Time::now),
            at_work: Mutex::default(),
        })
    }

    /// The same by another clock than the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Whose factory it is.
    pub const fn manufacturer(&self) -> &Manufacturer {
        &self.manufacturer
    }

    /// Signs a MUD file as whom the devices' certificates name: what is put beside it (RFC 8520 s13.1).
    ///
    /// # Errors
    /// If there is nobody who signs them, or the key does not.
    pub fn sign_mud(&self, file: &[u8]) -> Result<Vec<u8>, FactoryError> {
        let signer = self.mud_signer.as_ref().ok_or_else(|| {
            let why = "there is nobody who signs MUD files; `landfall factory mud-signer` makes that";
            FactoryError::refused("mud-signer", "RFC 8520 s11", why.to_owned())
        })?;
        Ok(landfall_mud::signature::sign(file, &signer.chain, &*signer.signer, self.now())?)
    }

    /// The manufacturer's database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    fn now(&self) -> Time {
        (self.clock)()
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Factory({})", self.manufacturer.organization)
    }
}

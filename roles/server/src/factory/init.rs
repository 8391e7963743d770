//! Making a manufacturer: its certification authorities, the signer of its vouchers and its MASA's TLS certificate.
//!
//! ```text
//! root ── intermediate ─┬─ issuing ── IDevIDs
//!                       ├─ masa-ca ─┬─ masa      signs vouchers
//!                       │           └─ masa-tls  the MASA's TLS server
//!                       ├─ mud-ca ── mud-signer  signs what devices are for (RFC 8520)
//!                       └─ line-ca ── manifest   signs the lists of what was made
//! ```
//!
//! Devices check vouchers with `masa-ca`, not with the root: else every device could sign vouchers with its IDevID. Nor
//! can the factory line, whose CA is another. In the same way networks check MUD files with `mud-ca`.

use super::{FactoryError, Manufacturer};
use crate::{
    Identity,
    hierarchy::{Issuer, Maker},
    settings::IdentitySettings,
};
use landfall_element::SecureElement;
use landfall_pki::{
    Algorithm, AltName, Certificate,
    profile::{Ca, ManifestSigner, Masa, Server},
};
use landfall_types::Time;
use std::path::{Path, PathBuf};

/// What the manufacturer decided when it was made.
pub(super) const SETTINGS: &str = "factory.toml";
/// What devices check vouchers with.
pub(super) const MASA_ANCHORS: &str = "masa-anchors.pem";
/// Who signs MUD files, and what networks check them with.
pub(super) const MUD_SIGNER: &str = "mud-signer.pem";
const MUD_ANCHORS: &str = "mud-anchors.pem";

/// Devices live long, and their IDevIDs never expire.
const YEARS: u32 = 40;

/// A manufacturer to be made.
#[derive(Clone, Debug)]
pub struct NewManufacturer {
    /// The organization that stands in every subject.
    pub organization: String,
    /// The DNS names and addresses that its MASA serves.
    pub masa_names: Vec<AltName>,
    /// Where devices find it: an authority such as `masa.example.com:9443` (RFC 8995 s2.3.2).
    pub masa_url: Option<String>,
    /// The algorithm of all these keys.
    pub algorithm: Algorithm,
}

/// A manufacturer that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The files, each with what it is.
    pub files: Vec<(PathBuf, &'static str)>,
    /// The root certificate: what registrars check IDevIDs with.
    pub root: Certificate,
}

impl NewManufacturer {
    /// Makes the manufacturer in `folder`, with its keys in `element`; refuses if there is one.
    ///
    /// Beside each certificate `NAME.pem`, with those above it, stands `NAME.key-uri`, which says where its key is.
    pub fn make(&self, folder: &Path, element: &dyn SecureElement, now: Time) -> Result<Made, FactoryError> {
        // The settings are written last, so a folder with them holds all of it.
        if folder.join(SETTINGS).exists() {
            return Err(FactoryError::Exists(folder.into()));
        }
        let mut maker = Maker::new(&self.organization, self.algorithm, "manufacturer", folder, element, now)?;
        let root = maker.root("the root: what registrars check IDevIDs with", YEARS)?;
        let profile = Ca::intermediate(maker.subject("intermediate CA"));
        let intermediate = maker.ca("intermediate", "the CA between root and issuers", &root, profile, YEARS)?;
        let profile = Ca::issuing(maker.subject("device CA"));
        maker.ca("issuing", "issues IDevIDs", &intermediate, profile, YEARS)?;
        let profile = Ca::issuing(maker.subject("MASA CA"));
        let masa_ca = maker.ca("masa-ca", "issues the MASA's certificates", &intermediate, profile, YEARS)?;
        let profile = Masa { subject: maker.subject("MASA voucher signer") };
        maker.leaf("masa", "signs vouchers", &masa_ca, YEARS, |above, key, serial, validity| {
            profile.prepare(above, key, serial, validity)
        })?;
        let profile = Server { subject: maker.subject("MASA"), alt_names: self.masa_names.clone() };
        maker.leaf("masa-tls", "the MASA's TLS server", &masa_ca, YEARS, |above, key, serial, validity| {
            profile.prepare(above, key, serial, validity)
        })?;
        mud_signer(&mut maker, &intermediate)?;
        let profile = Ca::issuing(maker.subject("factory line CA"));
        let line = maker.ca("line-ca", "issues the factory line's certificate", &intermediate, profile, YEARS)?;
        let profile = ManifestSigner { subject: maker.subject("factory manifests") };
        maker.leaf("manifest", "signs the lists of what was made", &line, YEARS, |above, key, serial, validity| {
            profile.prepare(above, key, serial, validity)
        })?;
        maker.file(MASA_ANCHORS, "what devices check vouchers with", &masa_ca.authority.certificate.to_pem())?;
        maker.file(SETTINGS, "what was decided", &self.settings()?)?;
        Ok(Made { files: maker.files, root: root.authority.certificate })
    }

    fn settings(&self) -> Result<String, FactoryError> {
        let Self { organization, masa_url, .. } = self.clone();
        toml::to_string(&Manufacturer { organization, masa_url, est: None })
            .map_err(|why| FactoryError::file(Path::new(SETTINGS), why))
    }
}

/// Makes what signs MUD files in the folder of a manufacturer that has none; the files, each with what it is.
pub fn add_mud_signer(
    folder: &Path,
    element: &dyn SecureElement,
    algorithm: Algorithm,
    now: Time,
) -> Result<Vec<(PathBuf, &'static str)>, FactoryError> {
    if folder.join(MUD_SIGNER).exists() {
        return Err(FactoryError::Exists(folder.join(MUD_SIGNER)));
    }
    let settings = std::fs::read_to_string(folder.join(SETTINGS)).map_err(|why| FactoryError::file(folder, why))?;
    let Manufacturer { organization, .. } =
        toml::from_str(&settings).map_err(|why| FactoryError::file(&folder.join(SETTINGS), why))?;
    let above = Identity::load(&IdentitySettings::at("intermediate.pem"), |name| folder.join(name), element)?;
    let intermediate = Issuer::new(above.chain, above.signer)?;
    let mut maker = Maker::new(&organization, algorithm, "manufacturer", folder, element, now)?;
    mud_signer(&mut maker, &intermediate)?;
    Ok(maker.files)
}

/// RFC 8520 s11 and s13.1: the subject of this one stands in devices' certificates.
fn mud_signer(maker: &mut Maker<'_>, intermediate: &Issuer) -> Result<(), FactoryError> {
    let profile = Ca::issuing(maker.subject("MUD CA"));
    let ca = maker.ca("mud-ca", "issues who signs MUD files", intermediate, profile, YEARS)?;
    let profile = ManifestSigner { subject: maker.subject("MUD signer") };
    maker.leaf("mud-signer", "signs MUD files", &ca, YEARS, |above, key, serial, validity| {
        profile.prepare(above, key, serial, validity)
    })?;
    Ok(maker.file(MUD_ANCHORS, "what networks check MUD files with", &ca.authority.certificate.to_pem())?)
}

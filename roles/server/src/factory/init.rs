//! Making a manufacturer: its certification authorities, the signer of its vouchers and its MASA's TLS certificate.
//!
//! ```text
//! root ── intermediate ─┬─ issuing ── IDevIDs
//!                       ├─ masa-ca ─┬─ masa      signs vouchers
//!                       │           └─ masa-tls  the MASA's TLS server
//!                       └─ line-ca ── manifest   signs the lists of what was made
//! ```
//!
//! Devices check vouchers with `masa-ca`, not with the root: else every device could sign vouchers with its IDevID. Nor
//! can the factory line, whose CA is another.

use super::{FactoryError, Manufacturer};
use crate::hierarchy::Maker;
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

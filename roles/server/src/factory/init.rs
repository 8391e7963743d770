//! Making a manufacturer: its certification authorities, the signer of its vouchers and its MASA's TLS certificate.
//!
//! ```text
//! root ── intermediate ─┬─ issuing ── IDevIDs
//!                       └─ masa-ca ─┬─ masa      signs vouchers
//!                                   └─ masa-tls  the MASA's TLS server
//! ```
//!
//! Devices check vouchers with `masa-ca`, not with the root: else every device could sign vouchers with its IDevID.

use super::{FactoryError, Manufacturer, issue::Issuer};
use crate::Identity;
use landfall_element::SecureElement;
use landfall_pki::{
    Algorithm, AltName, Authority, Certificate, CertificateSerial, Name, PkiError, Prepared, PublicKey, Signer,
    Validity,
    profile::{Ca, Masa, Server},
};
use landfall_types::{KeyUri, Time};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What the manufacturer decided when it was made.
pub(super) const SETTINGS: &str = "factory.toml";
/// What devices check vouchers with.
pub(super) const MASA_ANCHORS: &str = "masa-anchors.pem";

const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Clocks differ: what is issued now is good for whoever is a little behind.
const BACKDATE: Duration = Duration::from_secs(300);
/// Devices live long, and their IDevIDs never expire.
const CA_YEARS: u32 = 40;

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
        fs::create_dir_all(folder).map_err(|why| FactoryError::file(folder, why))?;
        let mut maker = Maker { new: self, folder, element, from: now - BACKDATE, files: Vec::new() };
        let root = maker.root()?;
        let intermediate = maker.ca(
            "intermediate",
            "the CA between root and issuers",
            &root,
            Ca::intermediate(self.subject("intermediate CA")),
        )?;
        maker.ca("issuing", "issues IDevIDs", &intermediate, Ca::issuing(self.subject("device CA")))?;
        let masa_ca = maker.ca(
            "masa-ca",
            "issues the MASA's certificates",
            &intermediate,
            Ca::issuing(self.subject("MASA CA")),
        )?;
        maker.leaf("masa", "signs vouchers", &masa_ca, |issuer, key, serial, validity| {
            Masa { subject: self.subject("MASA voucher signer") }.prepare(issuer, key, serial, validity)
        })?;
        maker.leaf("masa-tls", "the MASA's TLS server", &masa_ca, |issuer, key, serial, validity| {
            let profile = Server { subject: self.subject("MASA"), alt_names: self.masa_names.clone() };
            profile.prepare(issuer, key, serial, validity)
        })?;
        maker.file(MASA_ANCHORS, "what devices check vouchers with", &masa_ca.authority.certificate.to_pem())?;
        maker.settings()?;
        Ok(Made { files: maker.files, root: root.authority.certificate })
    }

    fn subject(&self, name: &str) -> Name {
        Name::new().organization(&self.organization).common_name(&format!("{} {name}", self.organization))
    }
}

struct Maker<'a> {
    new: &'a NewManufacturer,
    folder: &'a Path,
    element: &'a dyn SecureElement,
    from: Time,
    files: Vec<(PathBuf, &'static str)>,
}

impl Maker<'_> {
    fn root(&mut self) -> Result<Issuer, FactoryError> {
        let (uri, signer) = self.key("root")?;
        let profile = Ca::root(self.new.subject("root CA"));
        let prepared = profile.prepare_root(signer.public_key(), CertificateSerial::random()?, self.validity())?;
        let certificate = prepared.checked()?.issue(&*signer)?;
        let issuer = Issuer::new(vec![certificate], signer)?;
        self.certificate("root", "the root: what registrars check IDevIDs with", &issuer.path(), &uri)?;
        Ok(issuer)
    }

    fn ca(&mut self, name: &str, what: &'static str, issuer: &Issuer, profile: Ca) -> Result<Issuer, FactoryError> {
        let (uri, signer) = self.key(name)?;
        let validity = self.validity();
        let certificate =
            issuer.issue(|above, serial| profile.prepare(above, signer.public_key(), serial, validity))?;
        let path = std::iter::once(certificate).chain(issuer.path()).collect();
        let made = Issuer::new(path, signer)?;
        self.certificate(name, what, &made.path(), &uri)?;
        Ok(made)
    }

    fn leaf(
        &mut self,
        name: &str,
        what: &'static str,
        issuer: &Issuer,
        prepare: impl FnOnce(&Authority, &PublicKey, CertificateSerial, Validity) -> Result<Prepared, PkiError>,
    ) -> Result<(), FactoryError> {
        let (uri, signer) = self.key(name)?;
        let validity = self.validity();
        let certificate = issuer.issue(|above, serial| prepare(above, signer.public_key(), serial, validity))?;
        let chain: Vec<_> = std::iter::once(certificate).chain(issuer.intermediates()).collect();
        self.certificate(name, what, &chain, &uri)
    }

    fn key(&self, name: &str) -> Result<(KeyUri, Arc<dyn Signer>), FactoryError> {
        let uri = self.element.generate(&format!("manufacturer-{name}"), self.new.algorithm)?;
        let signer = self.element.signer(&uri)?;
        Ok((uri, signer))
    }

    fn certificate(
        &mut self,
        name: &str,
        what: &'static str,
        chain: &[Certificate],
        key: &KeyUri,
    ) -> Result<(), FactoryError> {
        let path = self.folder.join(format!("{name}.pem"));
        Identity::write(&path, chain, key).map_err(|why| FactoryError::file(&path, why))?;
        self.files.push((path, what));
        Ok(())
    }

    fn settings(&mut self) -> Result<(), FactoryError> {
        let NewManufacturer { organization, masa_url, .. } = self.new.clone();
        let settings = toml::to_string(&Manufacturer { organization, masa_url })
            .map_err(|why| FactoryError::file(&self.folder.join(SETTINGS), why))?;
        self.file(SETTINGS, "what was decided", &settings)
    }

    fn file(&mut self, name: &str, what: &'static str, text: &str) -> Result<(), FactoryError> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|why| FactoryError::file(&path, why))?;
        self.files.push((path, what));
        Ok(())
    }

    fn validity(&self) -> Validity {
        Validity::lasting(self.from, YEAR * CA_YEARS)
    }
}

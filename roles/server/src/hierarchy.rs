//! Making certification authorities, and certificates for the servers beside them: each with a key of its own.

use crate::{Identity, RoleError};
use landfall_element::{ElementError, SecureElement};
use landfall_pki::{
    Algorithm, Authority, Certificate, CertificateSerial, Name, PkiError, Prepared, PublicKey, Signer, Validity,
    profile::Ca,
};
use landfall_types::{KeyUri, Time};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Clocks differ: what is issued now is good for whoever is a little behind.
pub(crate) const BACKDATE: Duration = Duration::from_secs(300);

/// Who issues, with the means to.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) authority: Authority,
    signer: Arc<dyn Signer>,
}

impl Issuer {
    /// From a chain, the issuing certificate first and the root last.
    pub(crate) fn new(chain: Vec<Certificate>, signer: Arc<dyn Signer>) -> Result<Self, PkiError> {
        let mut chain = chain.into_iter();
        let certificate = chain.next().ok_or_else(|| PkiError::Misuse("the chain of an issuer is empty".into()))?;
        if certificate.public_key() != signer.public_key() {
            return Err(PkiError::Misuse(format!("the key is not that of {}", certificate.subject())));
        }
        Ok(Self { authority: Authority { certificate, chain: chain.collect() }, signer })
    }

    /// Its certificate and those above it, the root last.
    fn path(&self) -> impl Iterator<Item = Certificate> {
        std::iter::once(&self.authority.certificate).chain(&self.authority.chain).cloned()
    }

    /// What stands between what it issues and the root, nearest first.
    pub(crate) fn intermediates(&self) -> impl Iterator<Item = Certificate> {
        self.path().filter(|ca| !ca.is_self_issued())
    }

    /// Issues what `prepare` prepares.
    pub(crate) fn issue(
        &self,
        prepare: impl FnOnce(&Authority, CertificateSerial) -> Result<Prepared, PkiError>,
    ) -> Result<Certificate, PkiError> {
        prepare(&self.authority, CertificateSerial::random()?)?.checked()?.issue(&*self.signer)
    }
}

/// Makes the certificates of one organization, in one folder.
///
/// Beside each certificate `NAME.pem`, with those above it, stands `NAME.key-uri`, which says where its key is.
pub(crate) struct Maker<'a> {
    organization: &'a str,
    algorithm: Algorithm,
    /// What the labels of its keys begin with.
    label: &'static str,
    folder: &'a Path,
    element: &'a dyn SecureElement,
    from: Time,
    /// The files that it has written, each with what it is.
    pub(crate) files: Vec<(PathBuf, &'static str)>,
}

impl<'a> Maker<'a> {
    /// A maker that writes to `folder`, which is made, and keeps keys in `element`, labelled `LABEL-NAME`.
    pub(crate) fn new(
        organization: &'a str,
        algorithm: Algorithm,
        label: &'static str,
        folder: &'a Path,
        element: &'a dyn SecureElement,
        now: Time,
    ) -> Result<Self, RoleError> {
        fs::create_dir_all(folder).map_err(RoleError::while_(format!("making {}", folder.display())))?;
        Ok(Self { organization, algorithm, label, folder, element, from: now - BACKDATE, files: Vec::new() })
    }

    /// Makes the root.
    pub(crate) fn root(&mut self, what: &'static str, years: u32) -> Result<Issuer, RoleError> {
        let (uri, signer) = self.key("root")?;
        let (profile, validity) = (Ca::root(self.subject("root CA")), self.validity(years));
        let issued = || {
            let prepared = profile.prepare_root(signer.public_key(), CertificateSerial::random()?, validity)?;
            let certificate = prepared.checked()?.issue(&*signer)?;
            Issuer::new(vec![certificate], signer.clone())
        };
        let issuer = issued().map_err(RoleError::while_("issuing the root"))?;
        self.certificate("root", what, issuer.path(), &uri)?;
        Ok(issuer)
    }

    /// Makes a CA below `issuer`. The whole path stands in its file: who is given it can build paths to the root.
    pub(crate) fn ca(
        &mut self,
        name: &str,
        what: &'static str,
        issuer: &Issuer,
        profile: Ca,
        years: u32,
    ) -> Result<Issuer, RoleError> {
        let (uri, signer) = self.key(name)?;
        let validity = self.validity(years);
        let issued = || {
            let key = signer.public_key();
            let certificate = issuer.issue(|above, serial| profile.prepare(above, key, serial, validity))?;
            Issuer::new(std::iter::once(certificate).chain(issuer.path()).collect(), signer.clone())
        };
        let made = issued().map_err(RoleError::while_(format!("issuing {name}")))?;
        self.certificate(name, what, made.path(), &uri)?;
        Ok(made)
    }

    /// Makes what is no CA, below `issuer`. The root does not stand in its file.
    pub(crate) fn leaf(
        &mut self,
        name: &str,
        what: &'static str,
        issuer: &Issuer,
        years: u32,
        prepare: impl FnOnce(&Authority, &PublicKey, CertificateSerial, Validity) -> Result<Prepared, PkiError>,
    ) -> Result<(), RoleError> {
        let (uri, signer) = self.key(name)?;
        let validity = self.validity(years);
        let certificate = issuer
            .issue(|above, serial| prepare(above, signer.public_key(), serial, validity))
            .map_err(RoleError::while_(format!("issuing {name}")))?;
        self.certificate(name, what, std::iter::once(certificate).chain(issuer.intermediates()), &uri)
    }

    /// Writes a file that is no certificate.
    pub(crate) fn file(&mut self, name: &str, what: &'static str, text: &str) -> Result<(), RoleError> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(RoleError::while_(format!("writing {}", path.display())))?;
        self.files.push((path, what));
        Ok(())
    }

    /// The organization's subject with this name.
    pub(crate) fn subject(&self, name: &str) -> Name {
        Name::new().organization(self.organization).common_name(&format!("{} {name}", self.organization))
    }

    fn key(&self, name: &str) -> Result<(KeyUri, Arc<dyn Signer>), RoleError> {
        let label = format!("{}-{name}", self.label);
        let made = || {
            let uri = self.element.generate(&label, self.algorithm)?;
            let signer = self.element.signer(&uri)?;
            Ok((uri, signer))
        };
        made().map_err(|why: ElementError| RoleError::new(format!("making the key {label}"), why))
    }

    fn certificate(
        &mut self,
        name: &str,
        what: &'static str,
        chain: impl Iterator<Item = Certificate>,
        key: &KeyUri,
    ) -> Result<(), RoleError> {
        let path = self.folder.join(format!("{name}.pem"));
        Identity::write(&path, &chain.collect::<Vec<_>>(), key)
            .map_err(RoleError::while_(format!("writing {}", path.display())))?;
        self.files.push((path, what));
        Ok(())
    }

    fn validity(&self, years: u32) -> Validity {
        Validity::lasting(self.from, YEAR * years)
    }
}

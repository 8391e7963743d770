//! Making a domain: its certification authorities and its registrar's certificate.
//!
//! ```text
//! root ── intermediate ─┬─ issuing ─── LDevIDs, registrar, admin
//!                       └─ operators ─ operator certificates
//! ```
//!
//! Operators have an issuer of their own, so that a device's certificate never opens the operator's door.

use crate::{Identity, RoleError};
use landfall_element::SecureElement;
use landfall_pki::{
    Algorithm, AltName, Authority, Certificate, CertificateSerial, Name, PkiError, Prepared, PublicKey, Signer, Token,
    Validity,
    profile::{Ca, Operator, RegistrarRa, Server},
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
const BACKDATE: Duration = Duration::from_secs(300);

/// A domain to be made.
#[derive(Clone, Debug)]
pub struct NewDomain {
    /// The organization that stands in every subject.
    pub organization: String,
    /// The DNS names and addresses that the registrar serves.
    pub names: Vec<AltName>,
    /// The algorithm of all keys.
    pub algorithm: Algorithm,
}

/// A domain that was made.
#[derive(Clone, Debug)]
pub struct Domain {
    /// The files, each with what it is.
    pub files: Vec<(PathBuf, &'static str)>,
    /// The root certificate.
    pub root: Certificate,
}

impl NewDomain {
    /// Makes the domain in `folder`, with its keys in `element`; refuses if there is one.
    pub fn make(&self, folder: &Path, element: &dyn SecureElement, now: Time) -> Result<Domain, RoleError> {
        if folder.join("root.pem").exists() {
            let what = format!("making a domain in {}", folder.display());
            return Err(RoleError::new(what, "there is one already; it is not replaced"));
        }
        fs::create_dir_all(folder).map_err(RoleError::while_(format!("making {}", folder.display())))?;
        let mut maker = Maker { new: self, folder, element, from: now - BACKDATE, files: Vec::new() };
        let root = maker.root()?;
        let intermediate = maker.ca("intermediate", "the CA between root and issuers", &root, Ca::intermediate, 15)?;
        let issuing = maker.ca("issuing", "issues LDevIDs", &intermediate, Ca::issuing, 10)?;
        maker.ca("operators", "issues operator certificates", &intermediate, Ca::issuing, 10)?;
        maker.registrar(&issuing)?;
        maker.admin(&issuing)?;
        Ok(Domain { files: maker.files, root: root.authority.certificate })
    }
}

/// Issues an operator certificate for `name`, for the key of a request or one that was made for it.
pub fn operator(
    name: &str,
    key: &PublicKey,
    operators: &Identity,
    lifetime: Duration,
    now: Time,
) -> Result<Vec<Certificate>, RoleError> {
    let issuer = Issuer::of(operators)?;
    let profile = Operator { subject: Name::common(name) };
    let validity = Validity::lasting(now - BACKDATE, lifetime);
    issuer.issue("an operator certificate", |serial| profile.prepare(&issuer.authority, key, serial, validity))
}

/// Who issues, with the means to.
struct Issuer {
    authority: Authority,
    signer: Arc<dyn Signer>,
}

impl Issuer {
    fn of(identity: &Identity) -> Result<Self, RoleError> {
        let certificate = identity.certificate()?.clone();
        let chain = identity.chain.iter().skip(1).cloned().collect();
        Ok(Self { authority: Authority { certificate, chain }, signer: identity.signer.clone() })
    }

    /// Issues what `prepare` prepares: the certificate, then those above it without the root.
    fn issue(
        &self,
        what: &str,
        prepare: impl FnOnce(CertificateSerial) -> Result<Prepared, PkiError>,
    ) -> Result<Vec<Certificate>, RoleError> {
        let certificate = issue(what, self.signer.as_ref(), prepare)?;
        let above = std::iter::once(&self.authority.certificate).chain(&self.authority.chain);
        Ok(std::iter::once(certificate).chain(above.filter(|ca| !ca.is_self_issued()).cloned()).collect())
    }
}

fn issue(
    what: &str,
    signer: &dyn Signer,
    prepare: impl FnOnce(CertificateSerial) -> Result<Prepared, PkiError>,
) -> Result<Certificate, RoleError> {
    let what = format!("issuing {what}");
    let serial = CertificateSerial::random().map_err(RoleError::while_(&*what))?;
    let prepared = prepare(serial).map_err(RoleError::while_(&*what))?;
    let token: Token = prepared.lint().map_err(|findings| {
        let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
        RoleError::new(&*what, found.join("; "))
    })?;
    token.issue(signer).map_err(RoleError::while_(&*what))
}

struct Maker<'a> {
    new: &'a NewDomain,
    folder: &'a Path,
    element: &'a dyn SecureElement,
    from: Time,
    files: Vec<(PathBuf, &'static str)>,
}

impl Maker<'_> {
    fn root(&mut self) -> Result<Issuer, RoleError> {
        let (uri, signer) = self.key("root")?;
        let (profile, validity) = (Ca::root(self.subject("root CA")), self.validity(20));
        let certificate =
            issue("the root", signer.as_ref(), |serial| profile.prepare_root(signer.public_key(), serial, validity))?;
        self.write(
            "root",
            "the domain's root: what devices trust in the end",
            std::slice::from_ref(&certificate),
            &uri,
        )?;
        Ok(Issuer { authority: Authority { certificate, chain: Vec::new() }, signer })
    }

    fn ca(
        &mut self,
        name: &str,
        what: &'static str,
        issuer: &Issuer,
        profile: impl Fn(Name) -> Ca,
        years: u32,
    ) -> Result<Issuer, RoleError> {
        let (uri, signer) = self.key(name)?;
        let (profile, validity) = (profile(self.subject(&format!("{name} CA"))), self.validity(years));
        let chain =
            issuer.issue(what, |serial| profile.prepare(&issuer.authority, signer.public_key(), serial, validity))?;
        // The whole path stands in the file: who is given the CA's certificate can build paths to the root.
        let root = std::iter::once(&issuer.authority.certificate).chain(&issuer.authority.chain);
        let path: Vec<Certificate> = chain.iter().chain(root.filter(|ca| ca.is_self_issued())).cloned().collect();
        self.write(name, what, &path, &uri)?;
        let mut path = path.into_iter();
        let certificate = path.next().ok_or_else(|| RoleError::new(what, "nothing was issued"))?;
        Ok(Issuer { authority: Authority { certificate, chain: path.collect() }, signer })
    }

    fn registrar(&mut self, issuer: &Issuer) -> Result<(), RoleError> {
        let what = "the registrar: TLS server and requester of vouchers";
        let (uri, signer) = self.key("registrar")?;
        let profile = RegistrarRa { subject: self.subject("registrar"), alt_names: self.new.names.clone() };
        let validity = self.validity(2);
        let chain =
            issuer.issue(what, |serial| profile.prepare(&issuer.authority, signer.public_key(), serial, validity))?;
        self.write("registrar", what, &chain, &uri)
    }

    fn admin(&mut self, issuer: &Issuer) -> Result<(), RoleError> {
        let what = "the admin API's TLS server";
        let (uri, signer) = self.key("admin")?;
        let profile = Server { subject: self.subject("admin"), alt_names: self.new.names.clone() };
        let validity = self.validity(2);
        let chain =
            issuer.issue(what, |serial| profile.prepare(&issuer.authority, signer.public_key(), serial, validity))?;
        self.write("admin", what, &chain, &uri)
    }

    fn key(&self, name: &str) -> Result<(KeyUri, Arc<dyn Signer>), RoleError> {
        let label = format!("domain-{name}");
        let failed = |why: &dyn std::fmt::Display| RoleError::new(format!("making the key {label}"), why);
        let uri = self.element.generate(&label, self.new.algorithm).map_err(|why| failed(&why))?;
        let signer = self.element.signer(&uri).map_err(|why| failed(&why))?;
        Ok((uri, signer))
    }

    fn write(&mut self, name: &str, what: &'static str, chain: &[Certificate], key: &KeyUri) -> Result<(), RoleError> {
        let path = self.folder.join(format!("{name}.pem"));
        Identity::write(&path, chain, key).map_err(RoleError::while_(format!("writing {}", path.display())))?;
        self.files.push((path, what));
        Ok(())
    }

    fn subject(&self, name: &str) -> Name {
        Name::new().organization(&self.new.organization).common_name(&format!("{} {name}", self.new.organization))
    }

    fn validity(&self, years: u32) -> Validity {
        Validity::lasting(self.from, YEAR * years)
    }
}

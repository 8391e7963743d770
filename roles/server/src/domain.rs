//! Making a domain: its certification authorities and its registrar's certificate.
//!
//! ```text
//! root ── intermediate ─┬─ issuing ─── LDevIDs, registrar, admin
//!                       └─ operators ─ operator certificates
//! ```
//!
//! Operators have an issuer of their own, so that a device's certificate never opens the operator's door.

use crate::{
    Identity, RoleError,
    hierarchy::{BACKDATE, Issuer, Maker},
};
use landfall_element::SecureElement;
use landfall_pki::{
    Algorithm, AltName, Certificate, Name, PkiError, PublicKey, Validity,
    profile::{Ca, Operator, RegistrarRa, Server},
};
use landfall_types::Time;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

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
        let mut maker = Maker::new(&self.organization, self.algorithm, "domain", folder, element, now)?;
        let root = maker.root("the domain's root: what devices trust in the end", 20)?;
        let profile = Ca::intermediate(maker.subject("intermediate CA"));
        let intermediate = maker.ca("intermediate", "the CA between root and issuers", &root, profile, 15)?;
        let profile = Ca::issuing(maker.subject("issuing CA"));
        let issuing = maker.ca("issuing", "issues LDevIDs", &intermediate, profile, 10)?;
        let profile = Ca::issuing(maker.subject("operators CA"));
        maker.ca("operators", "issues operator certificates", &intermediate, profile, 10)?;
        let profile = RegistrarRa { subject: maker.subject("registrar"), alt_names: self.names.clone() };
        let what = "the registrar: TLS server and requester of vouchers";
        maker.leaf("registrar", what, &issuing, 2, |above, key, serial, validity| {
            profile.prepare(above, key, serial, validity)
        })?;
        let profile = Server { subject: maker.subject("admin"), alt_names: self.names.clone() };
        maker.leaf("admin", "the admin API's TLS server", &issuing, 2, |above, key, serial, validity| {
            profile.prepare(above, key, serial, validity)
        })?;
        Ok(Domain { files: maker.files, root: root.authority.certificate })
    }
}

/// Issues the certificate of a server that is not ours, such as another RADIUS server, for its key. Those above it follow,
/// without the root.
pub fn server(
    names: &[AltName],
    key: &PublicKey,
    issuing: &Identity,
    lifetime: Duration,
    now: Time,
) -> Result<Vec<Certificate>, RoleError> {
    let subject = names.iter().find_map(|name| match name {
        AltName::Dns(name) => Some(Name::common(name)),
        _ => None,
    });
    let subject = subject.ok_or_else(|| RoleError::new("issuing a server's certificate", "it has no DNS name"))?;
    let profile = Server { subject, alt_names: names.to_vec() };
    let validity = Validity::lasting(now - BACKDATE, lifetime);
    let issued = || {
        let issuer = Issuer::new(issuing.chain.clone(), issuing.signer.clone())?;
        let certificate = issuer.issue(|above, serial| profile.prepare(above, key, serial, validity))?;
        Ok(std::iter::once(certificate).chain(issuer.intermediates()).collect())
    };
    issued().map_err(|why: PkiError| RoleError::new("issuing a server's certificate", why))
}

/// Issues an operator certificate for `name`, for the key of a request or one that was made for it. Those above it follow,
/// without the root.
pub fn operator(
    name: &str,
    key: &PublicKey,
    operators: &Identity,
    lifetime: Duration,
    now: Time,
) -> Result<Vec<Certificate>, RoleError> {
    let profile = Operator { subject: Name::common(name) };
    let validity = Validity::lasting(now - BACKDATE, lifetime);
    let issued = || {
        let issuer = Issuer::new(operators.chain.clone(), operators.signer.clone())?;
        let certificate = issuer.issue(|above, serial| profile.prepare(above, key, serial, validity))?;
        Ok(std::iter::once(certificate).chain(issuer.intermediates()).collect())
    };
    issued().map_err(|why: PkiError| RoleError::new("issuing an operator certificate", why))
}

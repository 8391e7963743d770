//! A small PKI: three levels of CA, and what stands below them.

use landfall_pki::{
    Algorithm, AltName, Anchors, Authority, Certificate, CertificateSerial, Name, Prepared, Signer, SoftwareKey,
    Validity,
    profile::{Ca, Idevid, Ldevid, Masa, RegistrarRa},
};
use landfall_types::Time;
use std::time::Duration;

pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// 2026-11-22T00:00:00Z.
pub(crate) fn now() -> Time {
    Time::from_unix(1_795_305_600)
}

pub(crate) fn validity() -> Validity {
    Validity::lasting(now() - YEAR, YEAR * 10)
}

pub(crate) fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()
}

pub(crate) fn serial() -> CertificateSerial {
    CertificateSerial::random().unwrap()
}

pub(crate) fn issue(prepared: Result<Prepared, landfall_pki::PkiError>, signer: &SoftwareKey) -> Certificate {
    prepared.unwrap().lint().unwrap().issue(signer).unwrap()
}

/// A CA of three levels.
pub(crate) struct Hierarchy {
    pub(crate) root: Certificate,
    pub(crate) intermediate: Certificate,
    pub(crate) issuing: Authority,
    pub(crate) key: SoftwareKey,
    pub(crate) root_key: SoftwareKey,
    pub(crate) intermediate_key: SoftwareKey,
}

impl Hierarchy {
    pub(crate) fn new(name: &str, algorithm: Algorithm) -> Self {
        let keys = [(); 3].map(|()| SoftwareKey::generate(algorithm).unwrap());
        let [root_key, intermediate_key, key] = keys;
        let named = |level: &str| Name::new().organization(name).common_name(&format!("{name} {level} CA"));
        let root = Ca::root(named("root")).prepare_root(root_key.public_key(), serial(), validity());
        let root = issue(root, &root_key);
        let above = Authority { certificate: root.clone(), chain: vec![] };
        let intermediate = Ca::intermediate(named("intermediate"));
        let intermediate = intermediate.prepare(&above, intermediate_key.public_key(), serial(), validity());
        let intermediate = issue(intermediate, &root_key);
        let above = Authority { certificate: intermediate.clone(), chain: vec![root.clone()] };
        let issuing = Ca::issuing(named("issuing")).prepare(&above, key.public_key(), serial(), validity());
        let certificate = issue(issuing, &intermediate_key);
        let issuing = Authority { certificate, chain: vec![intermediate.clone(), root.clone()] };
        Self { root, intermediate, issuing, key, root_key, intermediate_key }
    }

    pub(crate) fn anchors(&self) -> Anchors {
        Anchors::of([self.root.clone()])
    }

    /// What a peer sends along: the two CAs below the root.
    pub(crate) fn intermediates(&self) -> Vec<Certificate> {
        vec![self.issuing.certificate.clone(), self.intermediate.clone()]
    }

    pub(crate) fn idevid(&self, serial_number: &str, key: &SoftwareKey) -> Certificate {
        let profile = Idevid {
            masa_url: Some("masa.example.com".into()),
            subject: Name::new().organization("Example"),
            ..Idevid::new(serial_number.parse().unwrap())
        };
        let prepared = profile.prepare(&self.issuing, key.public_key(), serial(), Validity::forever(now()));
        issue(prepared, &self.key)
    }

    pub(crate) fn ldevid(&self, key: &SoftwareKey) -> Certificate {
        let subject = Name::common("device").serial_number(&"A-1".parse().unwrap());
        let profile = Ldevid { subject, alt_names: vec![], purposes: vec![], crl_url: None };
        issue(profile.prepare(&self.issuing, key.public_key(), serial(), validity()), &self.key)
    }

    pub(crate) fn registrar(&self, key: &SoftwareKey) -> Certificate {
        let alt_names = vec![AltName::Dns("registrar.example.com".into())];
        let profile = RegistrarRa { subject: Name::common("registrar"), alt_names };
        issue(profile.prepare(&self.issuing, key.public_key(), serial(), validity()), &self.key)
    }

    pub(crate) fn masa(&self, key: &SoftwareKey) -> Certificate {
        let profile = Masa { subject: Name::common("masa") };
        issue(profile.prepare(&self.issuing, key.public_key(), serial(), validity()), &self.key)
    }
}

pub(crate) fn domain() -> Hierarchy {
    Hierarchy::new("Domain", Algorithm::EcdsaP256)
}

/// Says aloud that a test did not run.
pub(crate) fn skip(test: &str, reason: &str) {
    use std::io::Write;
    let line = format!("SKIPPED {test}: {reason}");
    eprintln!("{line}");
    if let Some(file) = std::env::var_os("LANDFALL_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

//! Who issues IDevIDs: the manufacturer's own CA, or one elsewhere that is asked by EST (H.3 of the guide has both).

use super::{FactoryError, manufacturer_settings};
use crate::{external_ca::ExternalCa, hierarchy::Issuer, settings::EstSettings};
use landfall_element::SecureElement;
use landfall_pki::{Certificate, Csr, CsrRequest, PublicKey, Signer, Validity, lint::Role, profile::Idevid};
use landfall_types::Time;
use std::path::Path;
use tokio::runtime::{Handle, Runtime};

const SECTION: &str = "NIST SP 1800-36B H.3";

/// A CA elsewhere, with what it takes to wait for it.
pub(super) struct Elsewhere {
    ca: ExternalCa,
    network: Handle,
    _runtime: Background,
}

/// A runtime that does not wait for its threads when it is dropped, which only a thread that may block could.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        // Between two requests nothing goes on there but connections that are kept open.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whose key is to be certified.
#[derive(Clone, Copy, Debug)]
pub(super) enum Applicant<'a> {
    /// One that is at hand.
    Key(&'a dyn Signer),
    /// A device that has it and asked.
    Request(&'a Csr),
}

impl Applicant<'_> {
    pub(super) fn public_key(&self) -> &PublicKey {
        match self {
            Self::Key(key) => key.public_key(),
            Self::Request(csr) => csr.public_key(),
        }
    }
}

/// An IDevID, and what stands between it and its root, in PEM.
pub(super) struct Issued {
    pub(super) idevid: Certificate,
    pub(super) chain: Option<String>,
}

impl Elsewhere {
    pub(super) fn open(est: &EstSettings, folder: &Path, element: &dyn SecureElement) -> Result<Self, FactoryError> {
        let ca = ExternalCa::load(est, &manufacturer_settings(folder), element)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|why| FactoryError::file(folder, why))?;
        Ok(Self { ca, network: runtime.handle().clone(), _runtime: Background(Some(runtime)) })
    }

    /// Has `applicant` certified. The CA gets the request with the names that the IDevID is to have; a device's own request
    /// goes there as it is.
    fn issue(&self, profile: &Idevid, applicant: Applicant<'_>) -> Result<Issued, FactoryError> {
        let made;
        let csr = match applicant {
            Applicant::Request(csr) => csr,
            Applicant::Key(key) => {
                let subject = profile.subject.clone().serial_number(&profile.serial_number);
                let request = CsrRequest { extensions: profile.extensions(), ..CsrRequest::new(subject) };
                made = request.prepare(key.public_key(), key.algorithm())?.issue(key)?;
                &made
            }
        };
        if csr.subject_serial_number().as_ref() != Some(&profile.serial_number) {
            let detail =
                "a CA elsewhere certifies requests as they are, so the device has to say its serial number in it";
            return Err(FactoryError::refused("csr-serial-number", SECTION, detail));
        }
        let certified = self.network.block_on(self.ca.certify(csr, Role::Idevid, Time::now))?;
        if certified.certificate.subject_serial_number().as_ref() != Some(&profile.serial_number) {
            let detail = format!("the CA made a certificate of {}", certified.certificate.subject());
            return Err(FactoryError::refused("idevid-serial-number", "IEEE 802.1AR-2018 s8.6", detail));
        }
        let chain = certified.above.iter().map(Certificate::to_pem).collect();
        Ok(Issued { idevid: certified.certificate, chain: Some(chain) })
    }
}

/// The IDevID of `applicant`, from `elsewhere` if that is there.
pub(super) fn issue(
    own: &Issuer,
    elsewhere: Option<&Elsewhere>,
    profile: &Idevid,
    applicant: Applicant<'_>,
    now: Time,
) -> Result<Issued, FactoryError> {
    match elsewhere {
        Some(elsewhere) => elsewhere.issue(profile, applicant),
        None => {
            let key = applicant.public_key();
            let idevid = own.issue(|issuer, number| profile.prepare(issuer, key, number, Validity::forever(now)))?;
            Ok(Issued { idevid, chain: None })
        }
    }
}

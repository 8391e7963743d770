//! Certificates for networks with 802.1X: from the domain's CA, or from one elsewhere.

use super::{Network, authorize::Expected};
use crate::{
    Identity, external_ca,
    external_ca::ExternalCa,
    registrar::{CertificateRecord, CrlUrl},
    world::Clock,
};
use landfall_brski::est::{Operation, binding::Linked, server};
use landfall_dpp::config::Enterprise;
use landfall_pki::{
    Authority, Certificate, CertificateSerial, Csr, Name, PkiError, Validity, cms::certs_only_in_order, lint, oid,
    profile::Ldevid,
};
use landfall_types::{Fault, Refusal, Time};
use std::{sync::Arc, time::Duration};

const SECTION: &str = "DPP s4.5.3";
/// Clocks differ: what is issued now is good for whoever is a little behind.
const BACKDATE: Duration = Duration::from_secs(300);

/// Who issues a tenant's certificates.
#[derive(Debug)]
pub(super) enum Issuer {
    /// A CA whose key is here.
    Here(Domain),
    /// One that has to be asked.
    Elsewhere(Arc<ExternalCa>),
}

/// A CA whose key is here.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) authority: Identity,
    /// How long a certificate lasts.
    pub(super) lifetime: Duration,
    /// Where the CA's revocation list is, if somebody publishes it.
    pub(super) crl_url: Option<CrlUrl>,
}

/// A device's certificate, and what goes to the device with it.
#[derive(Debug)]
pub(super) struct Certified {
    pub(super) record: CertificateRecord,
    /// The certificate with those above it.
    bag: Vec<Certificate>,
    /// What they lead to.
    anchor: Certificate,
}

impl Certified {
    /// DPP s4.5.3: the certificate with those above it, and what the EAP server's leads to.
    pub(super) fn enterprise(&self, network: &Network) -> Enterprise {
        let anchor = network.eap_anchor.as_ref().unwrap_or(&self.anchor);
        Enterprise {
            // wpa_supplicant takes the first for the device's own.
            cert_bag: certs_only_in_order(&self.bag),
            ca_cert: Some(anchor.der().to_vec()),
            server_name: network.eap_server.clone(),
            eap_methods: vec![Enterprise::EAP_TLS],
        }
    }
}

impl Domain {
    /// The network decides what the certificate says; of the request, only its key counts.
    pub(super) fn certify(&self, device: &Expected, csr: &[u8], now: Time) -> Result<Certified, Refusal> {
        let issued = || {
            let request = Csr::from_der(csr)?;
            let issuer = self.issuer()?;
            let serial = &device.identity.serial_number;
            let subject = match issuer.certificate.subject_name().attribute(oid::ORGANIZATION) {
                Some(organization) => Name::new().organization(&organization),
                None => Name::new(),
            };
            let profile = Ldevid {
                subject: subject.common_name(serial.as_str()).serial_number(serial),
                alt_names: Vec::new(),
                purposes: vec![oid::CLIENT_AUTH],
                crl_url: self.crl_url.as_ref().map(ToString::to_string),
            };
            let begin = (now - BACKDATE).max(issuer.certificate.not_before());
            let end = (now + self.lifetime).min(issuer.certificate.not_after());
            let validity = Validity { not_before: begin, not_after: end };
            let prepared = profile.prepare(&issuer, request.public_key(), CertificateSerial::random()?, validity)?;
            Ok((prepared.checked()?.issue(self.authority.signer.as_ref())?, issuer))
        };
        let failed = |why: PkiError| Refusal::new(Fault::Backend, "credential", SECTION, why.to_string());
        let (certificate, Authority { certificate: above, chain }) = issued().map_err(failed)?;
        let record = CertificateRecord::new(record(device, csr, &certificate, now));
        let anchor = chain.last().unwrap_or(&above).clone();
        let above = std::iter::once(above).chain(chain).filter(|ca| !ca.is_self_issued());
        Ok(Certified { record, bag: std::iter::once(certificate).chain(above).collect(), anchor })
    }

    fn issuer(&self) -> Result<Authority, PkiError> {
        let mut chain = self.authority.chain.iter().cloned();
        let none = || PkiError::Misuse("the chain of the authority is empty".into());
        Ok(Authority { certificate: chain.next().ok_or_else(none)?, chain: chain.collect() })
    }
}

/// Has a CA elsewhere certify the request, which it gets as it is; so the certificate says what that CA likes.
pub(super) async fn elsewhere(
    ca: Arc<ExternalCa>,
    device: Expected,
    csr: Vec<u8>,
    clock: Clock,
) -> Result<Certified, Refusal> {
    let unreadable = |why: PkiError| Refusal::new(Fault::Malformed, "dpp-csr", SECTION, why.to_string());
    let request = Csr::from_der(&csr).map_err(unreadable)?;
    let external_ca::Certified { certificate, above, anchor } =
        ca.certify(&request, lint::Role::Ldevid, || clock.now()).await?;
    let issuer = landfall_dpp::crypto::sha256(&[certificate.issuer_der()]);
    let record = CertificateRecord::elsewhere(record(&device, &csr, &certificate, clock.now()), issuer);
    Ok(Certified { record, bag: std::iter::once(certificate).chain(above).collect(), anchor })
}

fn record(device: &Expected, csr: &[u8], certificate: &Certificate, now: Time) -> server::Issued {
    let identity = &device.identity;
    server::Issued {
        serial: certificate.serial_hex(),
        certificate: certificate.der().to_vec(),
        fingerprint: certificate.fingerprint(),
        device: server::Device { id: identity.device.clone(), serial: identity.serial_number.clone() },
        key: certificate.public_key().fingerprint(),
        operation: Operation::SimpleEnroll,
        // It authenticated with its bootstrapping key.
        client: device.entry.bootstrap_hash,
        csr: csr.to_vec(),
        linked: Linked::Proven,
        at: now,
        not_after: certificate.not_after(),
    }
}

//! Issuing IDevIDs.

use super::{
    Factory, FactoryError,
    authority::{self, Applicant, Issued},
};
use landfall_lifecycle::factory::{BatchId, FactoryDevice, HardwareProof, Method, Product};
use landfall_pki::{Certificate, Name, Validity, oid, profile::Idevid};
use landfall_tpm::proof::Proven;
use landfall_types::{BundleKey, DeviceBundle, DeviceId, SerialNumber, bundle::FORMAT};

impl Factory {
    /// The IDevID of a device, its record and its bundle without a private key.
    pub(super) fn birth(
        &self,
        product: &Product,
        serial: SerialNumber,
        applicant: Applicant<'_>,
        method: Method,
        batch: Option<&BatchId>,
        hardware: Option<&Proven>,
    ) -> Result<(FactoryDevice, DeviceBundle), FactoryError> {
        let now = self.now();
        let masa_url = product.masa_url.as_ref().or(self.manufacturer.masa_url.as_ref());
        // IEEE 802.1AR-2018 s8.6: the subject holds the serial number; ours also tells maker and model.
        let subject = Name::new().organization(&self.manufacturer.organization).common_name(product.model.as_str());
        let mut profile = Idevid::new(serial.clone());
        profile.subject = subject;
        profile.masa_url = masa_url.cloned();
        profile.mud_url = product.mud_url.clone();
        // RFC 8520 s11: who signs the file stands beside where it is.
        profile.mud_signer = match (&product.mud_url, &self.mud_signer) {
            (Some(_), Some(signer)) => Some(signer.certificate()?.subject_name()),
            _ => None,
        };
        let own = self.elsewhere.is_none();
        let attestation = match hardware.filter(|_| own).and_then(|proven| proven.attestation_key.as_ref()) {
            None => None,
            Some(key) => {
                let profile = Idevid {
                    policies: vec![oid::TPM_RESIDENCY, oid::TPM_RESTRICTED],
                    masa_url: None,
                    mud_url: None,
                    mud_signer: None,
                    ..profile.clone()
                };
                let issued =
                    self.issuer.issue(|issuer, number| profile.prepare(issuer, key, number, Validity::forever(now)))?;
                Some(issued.to_pem())
            }
        };
        if hardware.is_some() {
            // TCG, TPM 2.0 Keys for Device Identity and Attestation, s8: what was verified stands in the certificate.
            profile.policies = vec![oid::TPM_RESIDENCY, oid::TPM_FIXED];
        }
        let Issued { idevid, chain } =
            authority::issue(&self.issuer, self.elsewhere.as_ref(), &profile, applicant, now)?;
        let issuer = idevid.authority_key_id().unwrap_or_default();
        let device = FactoryDevice {
            device: DeviceId::new(&issuer, &serial),
            serial_number: serial,
            model: product.model.clone(),
            method,
            chain,
            idevid: idevid.to_pem(),
            fingerprint: idevid.fingerprint(),
            key: applicant.public_key().fingerprint(),
            key_uri: None,
            hardware: hardware.map(|Proven { maker, endorsement, .. }| HardwareProof {
                maker: maker.clone(),
                endorsement: endorsement.clone(),
                attestation,
            }),
            seed: None,
            dpp: None,
            batch: batch.cloned(),
            station: batch.is_none().then(|| self.station.clone()).flatten(),
            made: now,
            void: None,
        };
        let bundle = self.bundle_with(&device, None, &idevid);
        Ok((device, bundle))
    }

    /// The bundle of a device that was made.
    pub(super) fn bundle(&self, device: &FactoryDevice, key: Option<BundleKey>) -> Result<DeviceBundle, FactoryError> {
        Ok(self.bundle_with(device, key, &Certificate::from_pem(&device.idevid)?))
    }

    fn bundle_with(&self, device: &FactoryDevice, key: Option<BundleKey>, idevid: &Certificate) -> DeviceBundle {
        DeviceBundle {
            format: FORMAT,
            serial_number: device.serial_number.clone(),
            model: device.model.clone(),
            idevid: device.idevid.clone(),
            chain: device.chain.clone().unwrap_or_else(|| self.chain.clone()),
            key,
            masa_anchors: self.masa_anchors.clone(),
            masa_url: idevid.masa_url(),
            attestation: device.hardware.as_ref().and_then(|hardware| hardware.attestation.clone()),
            dpp: None,
        }
    }
}

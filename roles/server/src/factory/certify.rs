//! Issuing an IDevID for a key that the device made, in itself or in its secure element (H.1.1, methods 1 and 2).

use super::{Factory, FactoryError, provision::event};
use landfall_lifecycle::factory::{FactoryDevice, HardwareProof, LOG, Method, Product};
use landfall_pki::{Csr, KeyKind};
use landfall_tpm::proof::{Answer, Pending, Verifier};
use landfall_types::{Changes, DeviceBundle, SerialNumber};

const SECTION: &str = "NIST SP 1800-36B H.1.1";

/// A TPM's proof that a key lives in it: whom the factory believes, what it kept of its challenge, and the answer.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The makers of TPMs.
    pub verifier: Verifier,
    /// What was kept when the challenge was made.
    pub pending: Pending,
    /// What the device answers.
    pub answer: Answer,
}

/// Who chooses the serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The factory gives the next one; the request's subject is not looked at.
    Factory,
    /// The device has one, in the subject of its request.
    Device,
}

impl Factory {
    /// Issues an IDevID for the key in `request` (PKCS #10 in DER), whose possession the device must have proven.
    ///
    /// A device whose answer was lost may ask again with the same key, and gets the same IDevID.
    pub fn certify(
        &self,
        product: &Product,
        method: Method,
        request: &[u8],
        choice: Choice,
    ) -> Result<DeviceBundle, FactoryError> {
        let done = self.certify_backed(product, method, request, choice, None);
        self.rejecting(done, method, None, || asks(request))
    }

    /// The same for a key of which a TPM proves that it lives there, which is recorded with the device.
    pub fn certify_proven(
        &self,
        product: &Product,
        request: &[u8],
        choice: Choice,
        proof: &Proof,
    ) -> Result<DeviceBundle, FactoryError> {
        let done = self.certify_checked(product, request, choice, proof);
        self.rejecting(done, Method::InSecureElement, None, || asks(request))
    }

    fn certify_checked(
        &self,
        product: &Product,
        request: &[u8],
        choice: Choice,
        proof: &Proof,
    ) -> Result<DeviceBundle, FactoryError> {
        let csr = Csr::from_der(request)?;
        let Proof { verifier, pending, answer } = proof;
        let proven = pending.check(verifier, answer, csr.public_key(), self.now())?;
        let hardware = HardwareProof { maker: proven.maker, endorsement: proven.endorsement };
        let others = self.store.find_by::<FactoryDevice>(FactoryDevice::BY_ENDORSEMENT, &hardware.endorsement, 16)?;
        let key = csr.public_key().fingerprint();
        if let Some(other) = others.into_iter().find(|other| other.key != key && other.void.is_none()) {
            let detail = format!("the device {} has this TPM", other.serial_number);
            return Err(FactoryError::refused("tpm-unused", SECTION, detail));
        }
        self.certify_backed(product, Method::InSecureElement, request, choice, Some(hardware))
    }

    fn certify_backed(
        &self,
        product: &Product,
        method: Method,
        request: &[u8],
        choice: Choice,
        hardware: Option<HardwareProof>,
    ) -> Result<DeviceBundle, FactoryError> {
        let csr = Csr::from_der(request)?;
        csr.verify_possession()
            .map_err(|why| FactoryError::refused("csr-possession", "RFC 2986 s4.2", why.to_string()))?;
        strong_enough(&csr)?;
        let asked = match choice {
            Choice::Factory => None,
            Choice::Device => Some(own_serial(product, &csr)?),
        };
        if let Some(known) = self.known(&csr, asked.as_ref())? {
            return self.bundle(&known, None);
        }
        match asked {
            Some(serial) => self.certify_as(product, method, &csr, serial, hardware),
            None => self.allocating(product, 1, |range, changes| {
                let serial = range.scheme.serial(range.first)?;
                let (mut device, bundle) = self.birth(product, serial, csr.public_key(), method, None, self.now())?;
                device.hardware = hardware.clone();
                Ok((bundle, changes.insert(&device)?.append(LOG, &event(&device))?))
            }),
        }
    }

    fn certify_as(
        &self,
        product: &Product,
        method: Method,
        csr: &Csr,
        serial: SerialNumber,
        hardware: Option<HardwareProof>,
    ) -> Result<DeviceBundle, FactoryError> {
        let (mut device, bundle) = self.birth(product, serial, csr.public_key(), method, None, self.now())?;
        device.hardware = hardware;
        let changes = Changes::new().insert(&device)?.append(LOG, &event(&device))?;
        match self.store.commit_blocking(changes) {
            Ok(_) => Ok(bundle),
            Err(e) if e.is_conflict() => Err(FactoryError::serial_taken(&device.serial_number)),
            Err(e) => Err(e.into()),
        }
    }

    /// The device that has this key already, if it is the one that asks.
    fn known(&self, csr: &Csr, asked: Option<&SerialNumber>) -> Result<Option<FactoryDevice>, FactoryError> {
        let key = csr.public_key().fingerprint().to_string();
        let known = self.store.find_by::<FactoryDevice>(FactoryDevice::BY_KEY, &key, 1)?.into_iter().next();
        match known {
            Some(known) if known.void.is_some() => {
                Err(FactoryError::refused("csr-device-void", SECTION, "the device with this key was struck off"))
            }
            Some(known) if asked.is_none_or(|serial| *serial == known.serial_number) => Ok(Some(known.record)),
            Some(known) => {
                let detail = format!("the device {} has this key", known.serial_number);
                Err(FactoryError::refused("csr-key-unused", SECTION, detail))
            }
            None => match asked {
                Some(serial) if self.store.find::<FactoryDevice>(serial.as_str())?.is_some() => {
                    Err(FactoryError::serial_taken(serial))
                }
                _ => Ok(None),
            },
        }
    }
}

/// Who asks, as far as the request tells.
fn asks(request: &[u8]) -> String {
    match Csr::from_der(request) {
        Ok(csr) => match csr.subject_serial_number() {
            Some(serial) => serial.to_string(),
            None => format!("key {}", csr.public_key().fingerprint()),
        },
        Err(_) => "a request that cannot be read".into(),
    }
}

/// The serial number that the device says it has. It must not be one that the factory itself gives out.
fn own_serial(product: &Product, csr: &Csr) -> Result<SerialNumber, FactoryError> {
    let serial = csr.subject_serial_number().ok_or_else(|| {
        FactoryError::refused(
            "csr-serial-number",
            "IEEE 802.1AR-2018 s8.6",
            "the request's subject has no serial number",
        )
    })?;
    match product.serials.counter(&serial) {
        Ok(_) => {
            let detail = format!("{serial} is one of the serial numbers that the factory gives out itself");
            Err(FactoryError::refused("csr-serial-own", SECTION, detail))
        }
        Err(_) => Ok(serial),
    }
}

/// A birth credential cannot be replaced, so it must last.
fn strong_enough(csr: &Csr) -> Result<(), FactoryError> {
    match csr.public_key().kind() {
        KeyKind::Rsa { bits } if bits < 3072 => {
            let detail = format!("an RSA key of {bits} bits is too short for the life of a device");
            Err(FactoryError::refused("csr-key-strength", "NIST SP 800-57 part 1 s5.6", detail))
        }
        _ => Ok(()),
    }
}

//! Devices whose keys come from elsewhere: from the factory of a secure element, or from a chip's seed (H.1.1, methods 4
//! and 5).

use super::{Factory, FactoryError, authority::Applicant, provision::event};
use landfall_element::seed;
use landfall_lifecycle::factory::{FactoryDevice, LOG, Method, Product};
use landfall_pki::{Anchors, Certificate, PathPolicy, SoftwareKey, validate};
use landfall_types::{Changes, DeviceBundle, DeviceId, Model, Redacted, SerialNumber};

const SECTION: &str = "NIST SP 1800-36B H.1.1";

impl Factory {
    /// Takes in a device whose secure element came with key and certificate. `anchors` are the CAs of the element's factory
    /// that are believed, `above` what stands between them and the certificate.
    ///
    /// # Errors
    /// A refusal if the certificate does not lead to them, names no serial number, or that or its key is known.
    pub fn adopt(
        &self,
        model: &Model,
        idevid: &Certificate,
        above: &[Certificate],
        anchors: &Anchors,
    ) -> Result<DeviceBundle, FactoryError> {
        let done = self.adopt_checked(model, idevid, above, anchors);
        self.rejecting(done, Method::PreProvisioned, None, || match idevid.subject_serial_number() {
            Some(serial) => serial.to_string(),
            None => idevid.subject(),
        })
    }

    fn adopt_checked(
        &self,
        model: &Model,
        idevid: &Certificate,
        above: &[Certificate],
        anchors: &Anchors,
    ) -> Result<DeviceBundle, FactoryError> {
        let now = self.now();
        let path = validate(idevid, above, anchors, &PathPolicy::at(now))?;
        let serial_number = idevid.subject_serial_number().ok_or_else(|| {
            let detail = format!("{} names no serial number", idevid.subject());
            FactoryError::refused("idevid-serial-number", "IEEE 802.1AR-2018 s8.6", detail)
        })?;
        let chain = path.chain.iter().skip(1).filter(|ca| !ca.is_self_issued()).map(Certificate::to_pem).collect();
        let device = FactoryDevice {
            device: DeviceId::new(&idevid.authority_key_id().unwrap_or_default(), &serial_number),
            serial_number,
            model: model.clone(),
            method: Method::PreProvisioned,
            idevid: idevid.to_pem(),
            chain: Some(chain),
            fingerprint: idevid.fingerprint(),
            key: idevid.public_key().fingerprint(),
            key_uri: None,
            hardware: None,
            seed: None,
            dpp: None,
            batch: None,
            station: self.station.clone(),
            made: now,
            void: None,
        };
        self.bundle(&self.making(|| self.record(&device))?, None)
    }

    /// Issues the IDevID of a device for the key that it derives from its seed, as [`seed::birth_key`] says. The seed is
    /// not kept.
    ///
    /// # Errors
    /// A refusal if the serial number, the key or the seed is known.
    pub fn derive(
        &self,
        product: &Product,
        serial_number: SerialNumber,
        seed: &Redacted<Vec<u8>>,
    ) -> Result<DeviceBundle, FactoryError> {
        let done = self.derive_checked(product, serial_number.clone(), seed);
        self.rejecting(done, Method::FromSeed, None, || serial_number.to_string())
    }

    fn derive_checked(
        &self,
        product: &Product,
        serial_number: SerialNumber,
        seed: &Redacted<Vec<u8>>,
    ) -> Result<DeviceBundle, FactoryError> {
        let key = SoftwareKey::from_pkcs8_der(seed::birth_key(seed, &serial_number)?.expose())?;
        let (mut device, _) = self.birth(product, serial_number, Applicant::Key(&key), Method::FromSeed, None, None)?;
        let seed = seed::fingerprint(seed)?;
        device.seed = Some(seed);
        self.bundle(&self.making(|| self.record(&device))?, None)
    }

    /// Records a device, or finds that it was recorded before with the same key. No number, no key and no seed is used twice.
    fn record(&self, device: &FactoryDevice) -> Result<FactoryDevice, FactoryError> {
        let seed = device.seed.map(|seed| (FactoryDevice::BY_SEED, seed.to_string()));
        let sole = self.sole(std::iter::once((FactoryDevice::BY_KEY, device.key.to_string())).chain(seed.clone()))?;
        if let Some((index, seed)) = &seed {
            let others = self.store.find_by::<FactoryDevice>(index, seed, 16)?;
            if let Some(other) = others.into_iter().find(|other| other.serial_number != device.serial_number) {
                let detail = format!("the device {} has this seed", other.serial_number);
                return Err(FactoryError::refused("seed-unused", SECTION, detail));
            }
        }
        let same_key = self.store.find_by::<FactoryDevice>(FactoryDevice::BY_KEY, &device.key.to_string(), 1)?;
        match same_key.into_iter().next() {
            Some(known) if known.void.is_some() => {
                return Err(FactoryError::refused("device-void", SECTION, "the device with this key was struck off"));
            }
            Some(known) if known.serial_number == device.serial_number && known.method == device.method => {
                return Ok(known.record);
            }
            Some(known) => {
                let detail = format!("the device {} has this key", known.serial_number);
                return Err(FactoryError::refused("key-unused", SECTION, detail));
            }
            None => {}
        }
        self.serial_unused(&device.serial_number)?;
        let changes = sole.given_to(&device.serial_number, Changes::new())?;
        self.store.commit_blocking(changes.insert(device)?.append(LOG, &event(device))?)?;
        Ok(device.clone())
    }
}

//! Issuing an IDevID for a key that the device made, in itself or in its secure element (H.1.1, methods 1 and 2).

use super::{Factory, FactoryError, authority::Applicant, dpp, provision::event};
use landfall_dpp::curve::PublicKey as BootstrappingKey;
use landfall_lifecycle::factory::{FactoryDevice, LOG, Method, Product};
use landfall_pki::{Csr, KeyKind};
use landfall_tpm::proof::{Answer, Pending, Proven, Verifier};
use landfall_types::{Changes, DeviceBundle, SerialNumber};

const SECTION: &str = "NIST SP 1800-36B H.1.1";

/// What a device asks to have certified: requests (PKCS #10 in DER), each signed by the key that it is about.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// For the birth key.
    pub birth: &'a [u8],
    /// For the bootstrapping key of a device that is made for Wi-Fi Easy Connect.
    pub bootstrapping: Option<&'a [u8]>,
}

impl<'a, B: AsRef<[u8]> + ?Sized> From<&'a B> for Request<'a> {
    fn from(birth: &'a B) -> Self {
        Self { birth: birth.as_ref(), bootstrapping: None }
    }
}

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
    /// Issues an IDevID for the key in `request`, whose possession the device must have proven, and makes the URI of its
    /// bootstrapping key if the product has one.
    ///
    /// A device whose answer was lost may ask again with the same keys, and gets the same.
    pub fn certify<'a>(
        &self,
        product: &Product,
        method: Method,
        request: impl Into<Request<'a>>,
        choice: Choice,
    ) -> Result<DeviceBundle, FactoryError> {
        let request = request.into();
        let asked = Asked::of(product, request);
        let done = asked.and_then(|asked| self.making(|| self.certify_backed(product, method, &asked, choice, None)));
        self.rejecting(done, method, None, || asks(request.birth))
    }

    /// The same for keys of which a TPM proves that they live there, which is recorded with the device.
    pub fn certify_proven<'a>(
        &self,
        product: &Product,
        request: impl Into<Request<'a>>,
        choice: Choice,
        proof: &Proof,
    ) -> Result<DeviceBundle, FactoryError> {
        let request = request.into();
        let done = Asked::of(product, request)
            .and_then(|asked| self.making(|| self.certify_checked(product, &asked, choice, proof)));
        self.rejecting(done, Method::InSecureElement, None, || asks(request.birth))
    }

    fn certify_checked(
        &self,
        product: &Product,
        asked: &Asked,
        choice: Choice,
        proof: &Proof,
    ) -> Result<DeviceBundle, FactoryError> {
        let Proof { verifier, pending, answer } = proof;
        let proven = pending.check(verifier, answer, &asked.keys(), self.now())?;
        self.certify_backed(product, Method::InSecureElement, asked, choice, Some(&proven))
    }

    fn certify_backed(
        &self,
        product: &Product,
        method: Method,
        asked: &Asked,
        choice: Choice,
        hardware: Option<&Proven>,
    ) -> Result<DeviceBundle, FactoryError> {
        let own = match choice {
            Choice::Factory => None,
            Choice::Device => Some(own_serial(product, &asked.csr)?),
        };
        let sole = self.sole(asked.alone(hardware))?;
        self.tpm_unused(asked, hardware)?;
        if let Some(known) = self.known(&asked.csr, own.as_ref())? {
            return self.certified_before(product, asked, &known);
        }
        self.bootstrapping_unused(asked)?;
        let make = |serial, changes| {
            let (device, bundle) = self.born(product, serial, asked, method, hardware)?;
            let changes = sole.given_to(&device.serial_number, changes)?;
            Ok((bundle, changes.insert(&device)?.append(LOG, &event(&device))?))
        };
        match own {
            Some(serial) => {
                let (bundle, changes) = make(serial, Changes::new())?;
                self.store.commit_blocking(changes)?;
                Ok(bundle)
            }
            None => self.allocating(product, 1, |range, changes| make(range.scheme.serial(range.first)?, changes)),
        }
    }

    /// The IDevID of a device that made its keys, its record and its bundle, with the URI of its bootstrapping key.
    fn born(
        &self,
        product: &Product,
        serial: SerialNumber,
        asked: &Asked,
        method: Method,
        hardware: Option<&Proven>,
    ) -> Result<(FactoryDevice, DeviceBundle), FactoryError> {
        let (mut device, mut bundle) =
            self.birth(product, serial, Applicant::Request(&asked.csr), method, None, hardware)?;
        if let (Some(key), Some(maker)) = (&asked.bootstrapping, dpp::Maker::of(product)?) {
            let (record, birth) = maker.describe(&device.serial_number, &key.0)?;
            (device.dpp, bundle.dpp) = (Some(record), Some(birth));
        }
        Ok((device, bundle))
    }

    /// The same bundle again. The bootstrapping key must be the one that it was made with.
    fn certified_before(
        &self,
        product: &Product,
        asked: &Asked,
        known: &FactoryDevice,
    ) -> Result<DeviceBundle, FactoryError> {
        let mut bundle = self.bundle(known, None)?;
        let hash = asked.bootstrapping.as_ref().map(|key| key.0.bootstrap_hash());
        if hash != known.dpp.as_ref().map(|dpp| dpp.bootstrap_hash) {
            let detail =
                format!("{} was certified with another bootstrapping key, or without one", known.serial_number);
            return Err(FactoryError::refused("csr-bootstrapping-key", SECTION, detail));
        }
        if let (Some(key), Some(maker)) = (&asked.bootstrapping, dpp::Maker::of(product)?) {
            bundle.dpp = Some(maker.describe(&known.serial_number, &key.0)?.1);
        }
        Ok(bundle)
    }

    /// A TPM is in one device.
    fn tpm_unused(&self, asked: &Asked, hardware: Option<&Proven>) -> Result<(), FactoryError> {
        let Some(proven) = hardware else { return Ok(()) };
        let others = self.store.find_by::<FactoryDevice>(FactoryDevice::BY_ENDORSEMENT, &proven.endorsement, 16)?;
        let key = asked.csr.public_key().fingerprint();
        match others.into_iter().find(|other| other.key != key && other.void.is_none()) {
            Some(other) => {
                let detail = format!("the device {} has this TPM", other.serial_number);
                Err(FactoryError::refused("tpm-unused", SECTION, detail))
            }
            None => Ok(()),
        }
    }

    /// A bootstrapping key belongs to one device.
    fn bootstrapping_unused(&self, asked: &Asked) -> Result<(), FactoryError> {
        let Some(key) = &asked.bootstrapping else { return Ok(()) };
        let hash = key.0.bootstrap_hash().to_string();
        let others = self.store.find_by::<FactoryDevice>(FactoryDevice::BY_BOOTSTRAP, &hash, 1)?;
        match others.into_iter().next() {
            Some(other) => {
                let detail = format!("the device {} has this bootstrapping key", other.serial_number);
                Err(FactoryError::refused("csr-bootstrapping-unused", SECTION, detail))
            }
            None => Ok(()),
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
            None => {
                if let Some(serial) = asked {
                    self.serial_unused(serial)?;
                }
                Ok(None)
            }
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

/// A request that was opened: the device has the keys, and they are what the product's devices have.
struct Asked {
    csr: Csr,
    /// As Wi-Fi Easy Connect writes it, and as the request does.
    bootstrapping: Option<(BootstrappingKey, landfall_pki::PublicKey)>,
}

impl Asked {
    fn of(product: &Product, request: Request<'_>) -> Result<Self, FactoryError> {
        let csr = possessed(request.birth)?;
        strong_enough(&csr)?;
        let refused = |detail: String| Err(FactoryError::refused("csr-bootstrapping", "DPP s5.2", detail));
        let bootstrapping = match (&product.dpp, request.bootstrapping) {
            (None, None) => None,
            (Some(dpp), Some(request)) => {
                let key = possessed(request)?.public_key().clone();
                match BootstrappingKey::from_spki(key.spki_der()) {
                    Ok(own) if own.curve() == dpp.curve => Some((own, key)),
                    Ok(own) => return refused(format!("its key is on {}, and not on {}", own.curve(), dpp.curve)),
                    Err(why) => return refused(why.to_string()),
                }
            }
            (Some(_), None) => {
                return refused("devices for Wi-Fi Easy Connect ask for two keys, and this one is missing".into());
            }
            (None, Some(_)) => return refused("these devices are not made for Wi-Fi Easy Connect".into()),
        };
        Ok(Self { csr, bootstrapping })
    }

    /// What no other device may have.
    fn alone(&self, hardware: Option<&Proven>) -> Vec<(&'static str, String)> {
        let key = (FactoryDevice::BY_KEY, self.csr.public_key().fingerprint().to_string());
        let hash =
            self.bootstrapping.iter().map(|key| (FactoryDevice::BY_BOOTSTRAP, key.0.bootstrap_hash().to_string()));
        let tpm = hardware.iter().map(|proven| (FactoryDevice::BY_ENDORSEMENT, proven.endorsement.clone()));
        std::iter::once(key).chain(hash).chain(tpm).collect()
    }

    /// The keys, that of the IDevID first.
    fn keys(&self) -> Vec<&landfall_pki::PublicKey> {
        let bootstrapping = self.bootstrapping.as_ref().map(|(_, key)| key);
        std::iter::once(self.csr.public_key()).chain(bootstrapping).collect()
    }
}

/// A request whose sender has shown to have the key.
fn possessed(request: &[u8]) -> Result<Csr, FactoryError> {
    let csr = Csr::from_der(request)?;
    csr.verify_possession().map_err(|why| FactoryError::refused("csr-possession", "RFC 2986 s4.2", why.to_string()))?;
    Ok(csr)
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

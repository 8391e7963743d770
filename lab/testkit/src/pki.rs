//! A manufacturer, its devices, and a domain: certificates made by the same profiles that the program uses.

use landfall_pki::{
    AltName, Anchors, Authority, Certificate, CertificateSerial, Name, Prepared, PublicKey, Signer, SoftwareKey,
    Validity,
    key::Algorithm,
    profile::{Ca, Idevid, Ldevid, Masa, Operator, RegistrarRa, Server},
};
use landfall_types::{SerialNumber, Time};
use std::{sync::Arc, time::Duration};

/// The time at which tests play: 2026-11-22T09:30:00Z. Test certificates are valid from two years before it until
/// thirty after, so that they also pass in tests that go by the machine's clock.
pub const NOW: Time = Time::from_unix(1_795_339_800);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Something with a certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its certificate.
    pub certificate: Certificate,
    /// What stands between it and its anchor, nearest first, without the anchor.
    pub intermediates: Vec<Certificate>,
    /// Its private key.
    pub key: Arc<SoftwareKey>,
}

impl Identity {
    /// What it presents: its certificate first, then the intermediates.
    pub fn chain(&self) -> Vec<Certificate> {
        [std::slice::from_ref(&self.certificate), &self.intermediates].concat()
    }

    /// Its key, to sign with.
    pub fn signer(&self) -> Arc<dyn Signer> {
        Arc::clone(&self.key) as Arc<dyn Signer>
    }

    /// Its signature over `message`.
    ///
    /// # Panics
    /// If the key cannot sign.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).expect("a signature")
    }
}

/// A certification authority with its key.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its certificate and what stands above it, the root last.
    pub authority: Authority,
    /// Its private key.
    pub key: Arc<SoftwareKey>,
}

impl Issuer {
    /// A root.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn root(name: &str) -> Self {
        let key = new_key(Algorithm::EcdsaP256);
        let prepared = Ca::root(Name::common(name)).prepare_root(key.public_key(), new_serial(), valid());
        let certificate = issue(prepared, &*key);
        Self { authority: Authority { certificate, chain: Vec::new() }, key }
    }

    /// An issuing authority below this one.
    pub fn below(&self, name: &str) -> Self {
        let identity = self.certify(new_key(Algorithm::EcdsaP256), |issuer, key| {
            Ca::issuing(Name::common(name)).prepare(issuer, key, new_serial(), valid())
        });
        let chain = [std::slice::from_ref(&self.authority.certificate), &self.authority.chain].concat();
        Self { authority: Authority { certificate: identity.certificate, chain }, key: identity.key }
    }

    /// A certificate for `key`, as `prepare` wants it.
    ///
    /// # Panics
    /// If a lint stands against it.
    pub fn certify<E: std::fmt::Debug>(
        &self,
        key: Arc<SoftwareKey>,
        prepare: impl FnOnce(&Authority, &PublicKey) -> Result<Prepared, E>,
    ) -> Identity {
        let certificate = issue(prepare(&self.authority, key.public_key()), &*self.key);
        let above = [std::slice::from_ref(&self.authority.certificate), &self.authority.chain].concat();
        let intermediates = above.into_iter().filter(|certificate| !certificate.is_self_issued()).collect();
        Identity { certificate, intermediates, key }
    }

    /// The top of its chain.
    pub fn root_certificate(&self) -> &Certificate {
        self.authority.chain.last().unwrap_or(&self.authority.certificate)
    }
}

/// A maker of devices: a root, an issuing authority, a MASA.
#[derive(Clone, Debug)]
pub struct Manufacturer {
    /// The top.
    pub root: Issuer,
    /// What issues IDevIDs.
    pub issuing: Issuer,
    /// Who signs its vouchers.
    pub masa: Identity,
    /// Where its devices say that its MASA is: an authority without scheme, as RFC 8995 s2.3.2 prefers.
    pub masa_url: String,
}

impl Default for Manufacturer {
    fn default() -> Self {
        Self::new()
    }
}

impl Manufacturer {
    /// A manufacturer whose MASA is at `masa.example`.
    pub fn new() -> Self {
        Self::with_masa_at("masa.example")
    }

    /// A manufacturer whose MASA is at `masa_url`.
    pub fn with_masa_at(masa_url: &str) -> Self {
        let root = Issuer::root("Test Manufacturer Root CA");
        let issuing = root.below("Test Manufacturer Device CA");
        let masa = root.certify(new_key(Algorithm::EcdsaP256), |issuer, key| {
            Masa { subject: Name::common("Test MASA") }.prepare(issuer, key, new_serial(), valid())
        });
        Self { root, issuing, masa, masa_url: masa_url.to_owned() }
    }

    /// A device with that serial number.
    pub fn device(&self, serial: &str) -> Identity {
        self.device_with(serial, Algorithm::EcdsaP256, |_| {})
    }

    /// A device whose IDevID is `change`d from the usual one.
    ///
    /// # Panics
    /// If the serial number is not one.
    pub fn device_with(&self, serial: &str, algorithm: Algorithm, change: impl FnOnce(&mut Idevid)) -> Identity {
        let mut profile = Idevid {
            serial_number: serial.parse::<SerialNumber>().expect("a serial number"),
            subject: Name::new().organization("Test Manufacturer").common_name("Test Model"),
            masa_url: Some(self.masa_url.clone()),
            mud_url: None,
            mud_signer: None,
            hardware_module: None,
            policies: Vec::new(),
        };
        change(&mut profile);
        self.issuing.certify(new_key(algorithm), |issuer, key| {
            profile.prepare(issuer, key, new_serial(), Validity::forever(valid().not_before))
        })
    }

    /// The MASA's TLS server, under that DNS name.
    pub fn masa_server(&self, name: &str) -> Identity {
        server(&self.root, name)
    }

    /// What vouches for its devices.
    pub fn device_anchors(&self) -> Anchors {
        Anchors::of([self.root.authority.certificate.clone()])
    }

    /// What its devices hold from the factory, to check vouchers with.
    pub fn masa_anchors(&self) -> Anchors {
        self.device_anchors()
    }
}

/// A network's owner: a root, an issuing authority, a registrar.
#[derive(Clone, Debug)]
pub struct Domain {
    /// The top.
    pub root: Issuer,
    /// What issues LDevIDs.
    pub issuing: Issuer,
    /// Who speaks to devices and to MASAs.
    pub registrar: Identity,
}

impl Default for Domain {
    fn default() -> Self {
        Self::new()
    }
}

impl Domain {
    /// A domain whose registrar is `registrar.example`.
    pub fn new() -> Self {
        Self::named("Test Domain", "registrar.example")
    }

    /// A domain and its registrar.
    pub fn named(domain: &str, registrar: &str) -> Self {
        let root = Issuer::root(&format!("{domain} Root CA"));
        let issuing = root.below(&format!("{domain} Issuing CA"));
        let registrar = issuing.certify(new_key(Algorithm::EcdsaP256), |issuer, key| {
            RegistrarRa { subject: Name::common(registrar), alt_names: vec![AltName::Dns(registrar.to_owned())] }
                .prepare(issuer, key, new_serial(), valid())
        });
        Self { root, issuing, registrar }
    }

    /// A registrar of this domain that lacks the cmcRA purpose, and so is none (RFC 8995 s5.5.4).
    pub fn impostor(&self, name: &str) -> Identity {
        server(&self.issuing, name)
    }

    /// A device's identity in this domain.
    pub fn ldevid(&self, subject: Name) -> Identity {
        self.issuing.certify(new_key(Algorithm::EcdsaP256), |issuer, key| {
            Ldevid { subject, alt_names: Vec::new(), purposes: Vec::new(), crl_url: None }.prepare(
                issuer,
                key,
                new_serial(),
                valid(),
            )
        })
    }

    /// Someone who operates its servers.
    pub fn operator(&self, name: &str) -> Identity {
        self.issuing.certify(new_key(Algorithm::EcdsaP256), |issuer, key| {
            Operator { subject: Name::common(name) }.prepare(issuer, key, new_serial(), valid())
        })
    }

    /// What everyone in it trusts.
    pub fn anchors(&self) -> Anchors {
        Anchors::of([self.root.authority.certificate.clone()])
    }
}

fn server(issuer: &Issuer, name: &str) -> Identity {
    issuer.certify(new_key(Algorithm::EcdsaP256), |issuer, key| {
        Server { subject: Name::common(name), alt_names: vec![AltName::Dns(name.to_owned())] }.prepare(
            issuer,
            key,
            new_serial(),
            valid(),
        )
    })
}

fn valid() -> Validity {
    Validity { not_before: NOW - 730 * DAY, not_after: NOW + 10_950 * DAY }
}

fn new_key(algorithm: Algorithm) -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::generate(algorithm).expect("a key"))
}

fn new_serial() -> CertificateSerial {
    CertificateSerial::random().expect("a serial number")
}

fn issue<E: std::fmt::Debug>(prepared: Result<Prepared, E>, issuer: &dyn Signer) -> Certificate {
    let token = prepared.expect("a certificate is put together").lint().expect("no lint stands against it");
    token.issue(issuer).expect("it is signed")
}

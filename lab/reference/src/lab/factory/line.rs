//! A factory's line: devices with secure elements, made by each method of H.1.1, and what the parties do with them.

use super::{Build, authority::Authority};
use crate::lab::{
    chip::Kind,
    device::{Body, Device},
    party::{KnownVendor, Manufacturer, MasaManners, Owner},
    place::Place,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_lifecycle::factory::{Method, Product};
use landfall_pki::{Algorithm, Anchors, Certificate, pem};
use landfall_server::factory::{Choice, Proof, Request, Verifier};
use landfall_types::{DeviceBundle, Redacted, Time};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// The parties of a factory build.
pub(super) struct Line {
    pub(super) build: &'static Build,
    /// The devices' manufacturer, with its factory and its MASA.
    pub(super) maker: Manufacturer,
    /// Who makes the elements, and puts keys into some of them (method 4).
    pub(super) chips: Manufacturer,
    /// Whose network the devices are onboarded to.
    pub(super) owner: Owner,
    pub(super) product: Product,
    /// What the devices' IDevIDs lead to.
    pub(super) root: Certificate,
    _authority: Option<Authority>,
    numbers: AtomicU32,
}

impl Line {
    pub(super) async fn prepare(build: &'static Build, place: &Place) -> Result<Self> {
        let chips = Manufacturer::found(place, "chipworks", "Chipworks", &MasaManners::default()).await?;
        let mut manners = MasaManners { also: vec![chips.root_file.clone()], ..MasaManners::default() };
        let authority = match build.ca_elsewhere {
            true => Some(Authority::open(&chips).await?),
            false => None,
        };
        if let Some(authority) = &authority {
            manners.est = authority.settings()?;
        }
        let maker = Manufacturer::found(place, "kestrel", "Kestrel Devices", &manners).await?;
        if let Some(authority) = &authority {
            let product = chips.product("THERMOSTAT-1", "CA", Algorithm::EcdsaP256)?;
            authority.certifies(Product { masa_url: Some(maker.masa_url.clone()), ..product });
        }
        let pre_provisioned = KnownVendor {
            id: chips.vendor,
            anchors: chips.root_file.clone(),
            masa: Some((maker.masa_url.clone(), maker.root_file.clone())),
        };
        let vendors = [maker.known(), pre_provisioned];
        let owner = Owner::settle(place, "orchard-house", "Orchard House", &vendors, &["THERMOSTAT-1"]).await?;
        maker.customer(&owner).await?;
        let product = maker.product("THERMOSTAT-1", build.prefix, Algorithm::EcdsaP256)?;
        let root = if build.ca_elsewhere { chips.root.clone() } else { maker.root.clone() };
        Ok(Self { build, maker, chips, owner, product, root, _authority: authority, numbers: AtomicU32::new(1) })
    }

    pub(super) async fn close(mut self, place: &Place) {
        self.owner.leave(place).await;
        self.maker.masa_goes_away().await;
        self.chips.masa_goes_away().await;
    }

    /// A device with an element that holds nothing yet.
    pub(super) fn blank(&self, place: &Place) -> Result<Body> {
        Body::with_chip(place, &self.name(), self.build.kind)
    }

    /// A device without an element.
    fn plain(&self, place: &Place, keys: &str) -> Result<Body> {
        Body::blank(place, &self.name(), keys)
    }

    fn name(&self) -> String {
        format!("{}-{}", self.build.prefix, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Method 1: the device makes its key, and keeps it in files.
    pub(super) async fn on_device(&self, place: &Place) -> Result<Device> {
        let body = self.plain(place, "")?;
        let request = self.requested(&body, place).await?;
        body.born(self.certified(Method::OnDevice, &request)?)
    }

    /// Method 2: the element makes the key; a TPM proves that it did.
    pub(super) async fn in_element(&self, place: &Place) -> Result<Device> {
        let body = self.blank(place)?;
        let request = self.requested(&body, place).await?;
        let bundle = match self.build.kind {
            Kind::Token => self.certified(Method::InSecureElement, &request)?,
            Kind::Tpm => {
                let maker = body.chip.as_ref().context("there is no TPM")?.maker();
                let proof = proof(&body, place, &maker).await?;
                tokio::task::block_in_place(|| {
                    self.maker.factory.certify_proven(&self.product, &request[..], Choice::Factory, &proof)
                })?
            }
        };
        ensure!(bundle.key.is_none(), "the factory has the key of a device that made its own");
        body.born(bundle)
    }

    /// Method 3: the factory makes the key and loads it.
    pub(super) fn loaded(&self, place: &Place) -> Result<Device> {
        let bundles = self.maker.make(&self.product, 1)?;
        Device::unpack(place, bundles.first().context("the factory made nothing")?)
    }

    /// Method 4: the element comes with a key and its certificate, and the list says so.
    pub(super) async fn pre_provisioned(&self, place: &Place) -> Result<Device> {
        let body = self.blank(place)?;
        let request = requested(&body, place, &["request"]).await?;
        let mut product =
            self.chips.product("THERMOSTAT-1", &format!("{}X", self.build.prefix), Algorithm::EcdsaP256)?;
        product.masa_url = Some(self.maker.masa_url.clone());
        let bundle = tokio::task::block_in_place(|| {
            let made = self.chips.factory.certify(&product, Method::InSecureElement, &request[..], Choice::Factory)?;
            let (idevid, above) = (Certificate::from_pem(&made.idevid)?, Certificate::chain_from_pem(&made.chain)?);
            let anchors = Anchors::of([self.chips.root.clone()]);
            anyhow::Ok(self.maker.factory.adopt(&product.model, &idevid, &above, &anchors)?)
        })?;
        body.born(bundle)
    }

    /// Method 5: the device derives the key from the seed that its chip's maker handed over, which it keeps sealed until then;
    /// the factory derives it too.
    pub(super) async fn seeded(&self, place: &Place, seed: &Redacted<Vec<u8>>) -> Result<Device> {
        let body = self.plain(place, "")?;
        body.hears(place, &["seed"], seed.expose()).await?;
        let kept = fs::read(body.folder.join("state/seed.sealed"))?;
        ensure!(
            !kept.windows(8).any(|part| seed.expose().windows(8).any(|of| of == part)),
            "the seed lies about in clear"
        );
        body.born(self.derived(&format!("{}-SEED-1", self.build.prefix), seed)?)
    }

    /// What the factory makes of a line in the list of seeds.
    pub(super) fn derived(&self, serial: &str, seed: &Redacted<Vec<u8>>) -> Result<DeviceBundle> {
        let derive = || self.maker.factory.derive(&self.product, serial.parse()?, seed).map_err(anyhow::Error::from);
        tokio::task::block_in_place(derive)
    }

    /// A device's request for its IDevID. A CA elsewhere takes it as it is, so the device has to have its serial number.
    pub(super) async fn requested(&self, body: &Body, place: &Place) -> Result<Vec<u8>> {
        match self.build.ca_elsewhere {
            true => requested(body, place, &["request", "--serial-number", &self.name()]).await,
            false => requested(body, place, &["request"]).await,
        }
    }

    /// The bundle for a key that the device has.
    pub(super) fn certified(&self, method: Method, request: &[u8]) -> Result<DeviceBundle> {
        let request = Request { birth: request, bootstrapping: None };
        let choice = if self.build.ca_elsewhere { Choice::Device } else { Choice::Factory };
        let certify = || self.maker.factory.certify(&self.product, method, request, choice);
        Ok(tokio::task::block_in_place(certify)?)
    }

    /// Records a device at the MASA, and its sale (H.3.2 step 6).
    pub(super) async fn sold(&self, device: &Device) -> Result<()> {
        self.maker.record().await?;
        self.maker.sell(&[&device.serial], self.owner.name).await
    }

    /// Onboards a device by BRSKI with the key that it was born with, as in Build 3; where its network key lives.
    pub(super) async fn joined(&self, place: &Place, device: &Device) -> Result<String> {
        let became = device.onboard_only(place, &self.owner).await?.onboarded()?;
        device.collect(place, &self.owner)?;
        let key = became.pointer("/credential/key").and_then(Value::as_str).context("there is no key")?;
        Ok(key.to_owned())
    }

    /// Where all of a device's files are put into another one, with an element of its own: how that fails.
    pub(super) async fn cloned(&self, place: &Place, device: &Device) -> Result<String> {
        let body = self.blank(place)?;
        crate::lab::device::copy(&device.body.folder.join("state"), &body.folder.join("state"))?;
        let clone = body.born(device.bundle.clone())?;
        match clone.onboard_only(place, &self.owner).await {
            Err(why) => Ok(last(&why)),
            Ok(_) => bail!("a copy of {} runs with another {}", device.serial, self.build.kind),
        }
    }
}

/// What a device asks to have certified, in DER.
pub(in crate::lab) async fn requested(body: &Body, place: &Place, arguments: &[&str]) -> Result<Vec<u8>> {
    let said = body.run(place, arguments, |_| ()).await?;
    let request = said.get("request").and_then(Value::as_str).context("it asks for nothing")?;
    Ok(pem::decode(request)?.into_iter().next().context("an empty request")?.der)
}

/// What the manufacturer hands out for a device with a TPM, which proves that its keys live there.
pub(in crate::lab) async fn proven(
    maker: &Manufacturer,
    product: &Product,
    body: &Body,
    place: &Place,
) -> Result<DeviceBundle> {
    let request = requested(body, place, &["request"]).await?;
    let chips = body.chip.as_ref().context("there is no TPM")?.maker();
    let proof = proof(body, place, &chips).await?;
    let certify = || maker.factory.certify_proven(product, &request[..], Choice::Factory, &proof);
    Ok(tokio::task::block_in_place(certify)?)
}

/// The TPM's proof that the device's keys live in it, held against the TPMs of `maker`.
pub(in crate::lab) async fn proof(body: &Body, place: &Place, maker: &Path) -> Result<Proof> {
    let shown = serde_json::from_value(body.run(place, &["introduce"], |_| ()).await?)?;
    let makers = Anchors::of(Certificate::chain_from_pem(&fs::read_to_string(maker)?)?);
    let verifier = Verifier { makers, intermediates: Vec::new() };
    let (challenge, pending) = verifier.challenge(&shown, Time::now())?;
    let file = body.folder.join("challenge.json");
    fs::write(&file, serde_json::to_vec(&challenge)?)?;
    let file = file.display().to_string();
    let answer = serde_json::from_value(body.run(place, &["prove", &file], |_| ()).await?)?;
    Ok(Proof { verifier, pending, answer })
}

/// How an element keeps a thief from its keys; an error if it does not.
pub(in crate::lab) async fn probed(body: &Body, place: &Place) -> Result<String> {
    let said = body.run(place, &["probe"], |_| ()).await?;
    ensure!(said.get("kept").and_then(Value::as_bool) == Some(true), "a private key can be taken out: {said}");
    let keys = said.get("keys").and_then(Value::as_array).filter(|keys| !keys.is_empty());
    let found = keys.and_then(|keys| keys.first()?.get("found")?.as_str().map(str::to_owned));
    found.context("there is no key in the element")
}

/// What the TPM says of the device's keys, for others to check, and the simulated TPM itself.
pub(in crate::lab) async fn attested(body: &Body, place: &Place, serial: &str) -> Result<()> {
    let (Some(evidence), Some(chip)) = (&place.evidence, &body.chip) else { return Ok(()) };
    let folder = evidence.join(serial);
    body.run(place, &["attest", &folder.display().to_string()], |_| ()).await?;
    fs::copy(chip.maker(), folder.join("tpm-maker.pem"))?;
    chip.copy_state(&folder.join("tpm"))
}

/// What an error says last, in one line.
pub(in crate::lab) fn last(why: &anyhow::Error) -> String {
    format!("{why:#}").lines().next_back().unwrap_or_default().trim().to_owned()
}

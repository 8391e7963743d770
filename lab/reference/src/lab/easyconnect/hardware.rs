//! Factory DPP (H.4): the bootstrapping key in a secure element, then Build 1's onboarding with it; and devices of such a factory
//! in Builds 1 and 2.

use super::{Device, Shown, Site, Table, maker};
use crate::lab::{
    build1,
    chip::Kind,
    device::{Became, Body, became, copy},
    factory::{
        Build,
        line::{attested, last, probed, proof, requested},
    },
    place::Place,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_dpp::Curve;
use landfall_lifecycle::factory::{FactoryDevice, Method, Product};
use landfall_pki::{Anchors, Certificate, PathPolicy, validate};
use landfall_server::factory::{Choice, Proof, Request};
use landfall_types::Time;
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

/// A factory whose lamps make their keys in an element, with the owner that buys them.
pub(super) struct Workshop<'a> {
    site: &'a Site,
    kind: Kind,
    lamp: Product,
    numbers: AtomicU32,
}

/// A lamp: what runs, and what is known of it.
struct Lamp {
    body: Body,
    known: Device,
}

/// Runs the build: its story, then its rows.
pub(in crate::lab) async fn run(build: &'static Build, place: &Place, table: &mut Table<'_>) -> Result<()> {
    let tell = place.narrator;
    tell.chapter(build.title);
    let site = Site::prepare(&build1::BUILD, place).await?;
    let shop = Workshop::of(&site, build.kind, build.prefix)?;
    let lamp = shop.told(place).await.context("the story of H.4")?;
    tell.chapter("The capabilities, each with the case that must be refused");
    table.row(build.name, "S0.C1", shop.birth_credentials(place, &lamp)).await?;
    table.row(build.name, "S0.C2", shop.signed_by_a_trusted_ca(place, &lamp)).await?;
    table.row(build.name, "S0.C3", shop.bootstrapping_information(place)).await?;
    table.row(build.name, "S1.C6", shop.kept_in_hardware(place)).await?;
    site.close().await;
    Ok(())
}

impl<'a> Workshop<'a> {
    /// One whose lamps have serial numbers that begin so.
    pub(super) fn of(site: &'a Site, kind: Kind, prefix: &str) -> Result<Self> {
        Ok(Self { site, kind, lamp: maker::product("LAMP-1", prefix, Curve::P256)?, numbers: AtomicU32::new(1) })
    }

    fn blank(&self, place: &Place) -> Result<Body> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Body::with_chip_here(place, &format!("{}-{number}", self.lamp.serials.prefix), self.kind)
    }

    /// The steps of the factory and of the owner, told as they happen to one lamp.
    async fn told(&self, place: &Place) -> Result<Lamp> {
        let (tell, kind) = (place.narrator, self.kind);
        tell.line("  The factory (H.4):");
        let lamp = self.make(place).await?;
        tell.step("1", &format!("the {kind} makes the bootstrapping key, and signs that the device has it"));
        tell.step("2", &format!("the factory makes a URI of its public half: {}", lamp.known.uri));
        let label = self.site.kestrel.label(&lamp.known)?;
        tell.step(
            "3",
            &format!("the URI is printed as a QR code, {}", label.file_name().unwrap_or_default().display()),
        );
        self.site.sell(place, &lamp.known).await?;
        tell.step("4", &format!("the supply chain service has it, and hands it to {}", self.site.orchard.name));
        tell.line("  What NIST could not confirm (H.4.2): the device is onboarded with that very key.");
        let standing = self.joined(place, &lamp).await?;
        let key = standing.get("bootstrapping-key").and_then(Value::as_str).unwrap_or("the element");
        tell.step("5", &format!("authentication agrees on secrets by {key}"));
        if kind == Kind::Tpm {
            attested(&lamp.body, place, &lamp.known.serial).await?;
        }
        tell.line(&format!("  {} is on the network.", lamp.known.serial));
        Ok(lamp)
    }

    /// A lamp whose two keys its element made, and which the factory knows.
    async fn make(&self, place: &Place) -> Result<Lamp> {
        let body = self.blank(place)?;
        let birth = requested(&body, place, &["request"]).await?;
        let bootstrapping = requested(&body, place, &["request", "--dpp"]).await?;
        let proof = match (self.kind, &body.chip) {
            (Kind::Tpm, Some(chip)) => Some(proof(&body, place, &chip.maker()).await?),
            _ => None,
        };
        let bundle = self.certified(&birth, &bootstrapping, proof.as_ref())?;
        ensure!(bundle.dpp.as_ref().is_some_and(|dpp| dpp.key.is_none()), "the factory has the bootstrapping key");
        let made = body.born(bundle)?;
        let known = Device::unpack(place, &made.body.folder.join("bundle.json"))?;
        Ok(Lamp { body: made.body, known })
    }

    fn certified(
        &self,
        birth: &[u8],
        bootstrapping: &[u8],
        proof: Option<&Proof>,
    ) -> Result<landfall_types::DeviceBundle> {
        let (factory, request) = (&self.site.kestrel.factory, Request { birth, bootstrapping: Some(bootstrapping) });
        Ok(tokio::task::block_in_place(|| match proof {
            Some(proof) => factory.certify_proven(&self.lamp, request, Choice::Factory, proof),
            None => factory.certify(&self.lamp, Method::InSecureElement, request, Choice::Factory),
        })?)
    }

    /// Onboards a lamp at its owner; what it says of itself then.
    async fn joined(&self, place: &Place, lamp: &Lamp) -> Result<Value> {
        self.onboard(place, &lamp.body, "20").await?.onboarded()
    }

    async fn onboard(&self, place: &Place, body: &Body, attempts: &str) -> Result<Became> {
        let at = self.site.orchard.access_point.address.to_string();
        let arguments = ["onboard", "--dpp", "--controller", &at, "--attempts", attempts, "--timeout", "60"];
        became(&body.run(place, &arguments, |_| ()).await?)
    }

    /// Where all of a lamp's files are put into another one: how that fails.
    async fn cloned(&self, place: &Place, lamp: &Lamp) -> Result<String> {
        let body = self.blank(place)?;
        copy(&lamp.body.folder.join("state"), &body.folder.join("state"))?;
        let clone = body.born(lamp.known.bundle.clone())?;
        match self.onboard(place, &clone.body, "1").await {
            Err(why) => Ok(last(&why)),
            Ok(_) => bail!("a copy of {} runs with another {}", lamp.known.serial, self.kind),
        }
    }

    /// S0.C1: the element made the key, and keeps it.
    async fn birth_credentials(&self, place: &Place, lamp: &Lamp) -> Result<Shown> {
        let (serial, kind) = (&lamp.known.serial, self.kind);
        ensure!(lamp.known.bundle.key.is_none(), "the factory has the key of a device that made its own");
        let extracted = probed(&lamp.body, place).await?;
        let cloned = self.cloned(place, lamp).await?;
        // A second device that brings the first one's bootstrapping key.
        let other = self.blank(place)?;
        let birth = requested(&other, place, &["request"]).await?;
        let theirs = requested(&lamp.body, place, &["request", "--dpp"]).await?;
        let Err(used) = self.certified(&birth, &theirs, None) else { bail!("two devices have one bootstrapping key") };
        Ok(Shown {
            shown: format!("{serial} made its bootstrapping key in its {kind} (method 2), and joined by it"),
            refused: format!(
                "key taken out: {extracted}; its files at another {kind}: {cloned}; key of another device: {}",
                last(&used)
            ),
        })
    }

    /// S0.C2: no CA signs a bootstrapping key; the IDevID beside it was signed, on a TPM's proof of both keys.
    async fn signed_by_a_trusted_ca(&self, place: &Place, lamp: &Lamp) -> Result<Shown> {
        let idevid = Certificate::from_pem(&lamp.known.bundle.idevid)?;
        let (chain, policy) = (Certificate::chain_from_pem(&lamp.known.bundle.chain)?, PathPolicy::at(Time::now()));
        let path = validate(&idevid, &chain, &Anchors::of([self.site.kestrel.root.clone()]), &policy)?;
        let other = self.blank(place)?;
        let birth = requested(&other, place, &["request"]).await?;
        let mut bootstrapping = requested(&other, place, &["request", "--dpp"]).await?;
        let refused = match (self.kind, &lamp.body.chip) {
            (Kind::Tpm, Some(chip)) => {
                let Err(why) = proof(&other, place, &chip.maker()).await else {
                    bail!("an endorsement chain was made up")
                };
                format!("an endorsement certificate by another CA of the same name: {}", last(&why))
            }
            _ => {
                *bootstrapping.last_mut().context("an empty request")? ^= 1;
                let Err(why) = self.certified(&birth, &bootstrapping, None) else { bail!("a forged request is taken") };
                format!("a request that the bootstrapping key did not sign: {}", last(&why))
            }
        };
        let proven = match self.site.kestrel.factory.store().find::<FactoryDevice>(&lamp.known.serial)? {
            Some(found) if found.record.hardware.is_some() => ", and the TPM proved both keys before",
            _ => "",
        };
        Ok(Shown {
            shown: format!(
                "a bootstrapping key is raw, and no CA signs it; {} has an IDevID beside it, {} certificates up to the root{proven}",
                lamp.known.serial,
                path.chain.len()
            ),
            refused,
        })
    }

    /// S0.C3: by the supply chain service to the owner; whose device was not sold is not answered.
    async fn bootstrapping_information(&self, place: &Place) -> Result<Shown> {
        let lamp = self.make(place).await?;
        let service = self.site.supply_chain.as_ref().context("there is no supply chain service")?;
        service.upload("kestrel", self.site.kestrel.list(&lamp.known)?).await?;
        self.onboard(place, &lamp.body, "1").await?.refused()?;
        let unanswered = self.site.orchard.unanswered(&lamp.known).await?;
        service.sell("kestrel", self.site.orchard.tenant, &self.site.kestrel.order(), &lamp.known).await?;
        let booked = self.site.orchard.awaits(&lamp.known, true).await?;
        self.joined(place, &lamp).await?;
        Ok(Shown {
            shown: format!(
                "the book of {} has the URI of {} by {}",
                self.site.orchard.name, lamp.known.serial, booked.via
            ),
            refused: format!("before it was sold it heard nothing: {}: {}", unanswered.check, unanswered.why),
        })
    }

    /// S1.C6: what a device gets is sealed by its element, a TPM's to the state of the platform too.
    pub(super) async fn kept_in_hardware(&self, place: &Place) -> Result<Shown> {
        let lamp = self.make(place).await?;
        self.site.sell(place, &lamp.known).await?;
        self.joined(place, &lamp).await?;
        let (extracted, cloned) = (probed(&lamp.body, place).await?, self.cloned(place, &lamp).await?);
        ensure!(
            lamp.body.run(place, &["reset"], |_| ()).await?.get("forgot") == Some(&true.into()),
            "nothing was forgotten"
        );
        let bound = match self.kind {
            Kind::Tpm => " to PCRs 0 and 7",
            Kind::Token => "",
        };
        Ok(Shown {
            shown: format!(
                "the networks of {} and their key are sealed by its {}{bound}; it forgot them on reset",
                lamp.known.serial, self.kind
            ),
            refused: format!("key taken out: {extracted}; its files at another {}: {cloned}", self.kind),
        })
    }
}

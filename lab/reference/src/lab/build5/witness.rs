//! Who asserts something of the devices of Build 5, and who says what is wrong with their software: the owner of the network, a
//! user whom the owner trusts, and a publisher of feeds. Each has a key, and the settings say what each may.

use super::{Device, Site};
use crate::lab::place::Place;
use anyhow::{Context, Result, ensure};
use landfall_claims::{Claim, Credential, credential::Entry, status::StatusList};
use landfall_pki::{Algorithm, Signer, SoftwareKey, pem};
use landfall_server::admin::view::{CredentialBrought, CredentialTaken, FeedsShown, SbomShown};
use landfall_tuf::{Archive, publish};
use landfall_types::{Fingerprint, Time};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const DAY: Duration = Duration::from_secs(86_400);
const FLAWED: &str = "1.6.0";
const MENDED: &str = "1.6.1";

/// Those who have a say in Orchard House.
pub(super) struct Witnesses {
    folder: PathBuf,
    pub(super) owner: Witness,
    pub(super) user: Witness,
    publisher: SoftwareKey,
    bundles: AtomicU64,
}

/// Somebody who asserts something.
pub(super) struct Witness {
    name: &'static str,
    key: SoftwareKey,
    issued: AtomicU64,
    revoked: Mutex<BTreeSet<u64>>,
}

/// A credential that was taken in.
pub(super) struct Asserted<'a> {
    by: &'a Witness,
    place: u64,
}

impl Witnesses {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let folder = place.folder("orchard-5-witnesses")?;
        let publisher = SoftwareKey::generate(Algorithm::Ed25519)?;
        fs::write(folder.join("feeds-root.json"), publish::root(&publisher, Time::now() + DAY * 365)?)?;
        let witness = |name| -> Result<Witness> {
            let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
            fs::write(folder.join(format!("{name}.pem")), pem::encode("PUBLIC KEY", key.public_key().spki_der()))?;
            Ok(Witness { name, key, issued: AtomicU64::new(0), revoked: Mutex::default() })
        };
        let (owner, user) = (witness("owner")?, witness("user")?);
        Ok(Self { owner, user, publisher, bundles: AtomicU64::new(1), folder })
    }

    /// The lines of landfall.toml.
    pub(super) fn settings(&self) -> String {
        let authority = |witness: &Witness| {
            let (name, key) = (witness.name, self.folder.join(format!("{}.pem", witness.name)));
            format!("[[authorizer.authority]]\nname = {name:?}\nrole = {name:?}\nkey = {key:?}\n")
        };
        let root = self.folder.join("feeds-root.json");
        format!("[authorizer.feeds]\nroot = {root:?}\n{}{}", authority(&self.owner), authority(&self.user))
    }

    /// Publishes feeds with nothing against what devices run here, or with a vulnerability in it; the registrar takes them over.
    pub(super) async fn publish(&self, site: &Site, device: &Device, is_flawed: bool) -> Result<()> {
        let (id, package) = match is_flawed {
            true => ("RUSTSEC-2021-0003", "smallvec"),
            false => ("RUSTSEC-2020-0009", "flatbuffers"),
        };
        let now = Time::now();
        let record = json!({
            "schema_version": "1.7.0", "id": id, "modified": now.to_string(),
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
            "affected": [{
                "package": { "ecosystem": "crates.io", "name": package },
                "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0.0.0-0" }, { "fixed": MENDED }] }]
            }]
        });
        let files = BTreeMap::from([("osv-crates.json".to_owned(), record.to_string().into_bytes())]);
        let number = self.bundles.fetch_add(1, Ordering::Relaxed);
        let bundle = publish::bundle(&self.publisher, number, now + DAY, &files)?;
        let bundle = Archive::write(&bundle).context("a name is too long for an archive")?;
        fs::write(device.evidence().join(format!("feeds-{number}.tar")), &bundle)?;
        let admin = &site.orchard.registrar.admin;
        let shown: FeedsShown = admin.send("/v1/verification/feeds", &[], "application/x-tar", bundle).await?;
        ensure!(shown.report.is_some_and(|report| report.is_fresh), "the feeds were not taken over");
        Ok(())
    }

    /// Says what a device consists of, with a release of its firmware if that is told: with the vulnerable part, or with the
    /// one in which it is mended.
    pub(super) async fn list_components(
        &self,
        site: &Site,
        device: &Device,
        firmware: Option<&str>,
        is_mended: bool,
    ) -> Result<SbomShown> {
        let version = if is_mended { MENDED } else { FLAWED };
        let document = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": { "component": { "type": "firmware", "name": "thermostat", "version": firmware.unwrap_or("1.0") } },
            "components": [{
                "type": "library", "bom-ref": "smallvec", "name": "smallvec", "version": version,
                "purl": format!("pkg:cargo/smallvec@{version}")
            }]
        });
        let document = serde_json::to_vec_pretty(&document)?;
        fs::write(device.evidence().join(format!("sbom-{}.cdx.json", firmware.unwrap_or("any"))), &document)?;
        let query = [("device", Some(device.serial.as_str())), ("firmware", firmware)];
        let admin = &site.orchard.registrar.admin;
        Ok(admin.send("/v1/verification/sboms", &query, "application/octet-stream", document).await?)
    }
}

impl Witness {
    /// Asserts something by a credential whose status stands in this witness's list; it stays with the device's evidence.
    pub(super) async fn assert(&self, site: &Site, device: &Device, claim: Claim) -> Result<Asserted<'_>> {
        let place = self.issued.fetch_add(1, Ordering::Relaxed);
        self.tell_status(site, device).await?;
        let kind = claim.kind();
        let credential = Credential {
            id: format!("urn:landfall:lab:{}:{place}", self.name),
            issuer: self.key.public_key().clone(),
            claim,
            valid_from: Time::now(),
            valid_until: Some(Time::now() + DAY),
            status: Some(Entry { list: self.list(), index: place, is_suspension: false }),
        };
        let jwt = credential.issue(&self.key)?;
        fs::write(device.evidence().join(format!("{kind}.vc.jwt")), &jwt)?;
        bring(site, jwt).await?;
        Ok(Asserted { by: self, place })
    }

    /// A list in which stands all that was revoked so far.
    async fn tell_status(&self, site: &Site, device: &Device) -> Result<()> {
        let mut list =
            StatusList::new(self.list(), self.key.public_key().clone(), Time::now(), Some(Time::now() + DAY));
        for place in self.revoked.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            ensure!(list.set(*place), "the list has no place {place}");
        }
        let jwt = list.issue(&self.key)?;
        fs::write(device.evidence().join(format!("status-list-{}.jwt", self.name)), &jwt)?;
        bring(site, jwt).await
    }

    fn list(&self) -> String {
        format!("https://{}.orchard.example/status", self.name)
    }
}

impl Asserted<'_> {
    /// Takes it back.
    pub(super) async fn revoke(&self, site: &Site, device: &Device) -> Result<()> {
        self.by.revoked.lock().unwrap_or_else(PoisonError::into_inner).insert(self.place);
        self.by.tell_status(site, device).await
    }
}

/// The key that a device was born with.
pub(super) fn birth_key(device: &Device) -> Result<Fingerprint> {
    Ok(device.idevid()?.public_key().fingerprint())
}

async fn bring(site: &Site, jwt: String) -> Result<()> {
    let admin = &site.orchard.registrar.admin;
    let _: CredentialTaken = admin.post("/v1/verification/credentials", &CredentialBrought { jwt }).await?;
    Ok(())
}

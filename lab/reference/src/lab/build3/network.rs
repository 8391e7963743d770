//! Scenarios 1, 3 and 5 at the network layer: who is authenticated, who may join, what is issued, and how it ends.

use super::{BUILD, Device, Shown, Site, factory::close};
use crate::lab::{
    intent,
    party::{KnownVendor, Manufacturer, MasaManners, Owner},
    place::Place,
    update::{self, Host, Releases},
};
use anyhow::{Context, Result, bail, ensure};
use landfall_brski::{media, paths};
use landfall_lifecycle::{factory::Product, network::Learnt};
use landfall_net::{
    http::{ClientLimits, Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::{Algorithm, Certificate, Crl, CsrRequest, Signer, SoftwareKey, pem};
use landfall_types::http::{Request, Response};
use std::{path::Path, sync::Arc};

/// S1.C1: an IDevID of a known manufacturer, and one that somebody made up.
pub(super) async fn device_authenticated(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.onboarded(place).await?;
    let sham = Manufacturer::found(place, "sham", "Kestrel Devices", &MasaManners::default()).await?;
    let product = sham.product("THERMOSTAT-1", "SH", Algorithm::EcdsaP256)?;
    let bundles = sham.make(&product, 1)?;
    let stranger = Device::unpack(place, bundles.first().map(Path::new).context("no device")?)?;
    stranger.onboard(place, 1).await?.refused()?;
    let refusal = site.orchard.registrar.refusal(&stranger.serial).await;
    close(sham).await;
    let seen = site.orchard.device(&device.serial).await?;
    Ok(Shown {
        shown: format!("{} showed an IDevID of {} and its key", device.serial, seen.vendor),
        refused: refusal?.to_string(),
    })
}

/// S1.C2: a model that is welcome, one that a person lets in, and one that a person keeps out.
pub(super) async fn device_welcome(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.onboarded(place).await?;
    let novelty = site.kestrel.product("NOVELTY-9", "KN", Algorithm::EcdsaP256)?;
    let (asked, unwanted) = (site.bought(place, &novelty).await?, site.bought(place, &novelty).await?);
    let approve = async {
        let waiting = waiting(&site.orchard, &asked.serial).await?;
        site.orchard.judge(&asked.serial, "approve", "the lab wants it").await?;
        anyhow::Ok(waiting)
    };
    // The device is told to wait, and asks again; meanwhile the operator decides.
    let (joined, waited) = tokio::join!(asked.onboard(place, 3), approve);
    joined?.onboarded()?;
    let state = waited?;
    let deny = async {
        waiting(&site.orchard, &unwanted.serial).await?;
        site.orchard.judge(&unwanted.serial, "deny", "the lab does not want it").await
    };
    let (kept_out, denied) = tokio::join!(unwanted.onboard(place, 1), deny);
    kept_out?.refused()?;
    denied?;
    let refusal = site.orchard.registrar.refusal(&unwanted.serial).await?;
    Ok(Shown {
        shown: format!(
            "{} is of a welcome model; {} was {state} until an operator let it in",
            device.serial, asked.serial
        ),
        refused: refusal.to_string(),
    })
}

/// Waits until a device is waiting for a person; says in which state it is.
pub(in crate::lab) async fn waiting(owner: &Owner, serial: &str) -> Result<String> {
    for _ in 0..600 {
        match owner.device(serial).await {
            Ok(device) if device.state == "awaiting-approval" => return Ok(device.state),
            _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
    bail!("{serial} did not ask to be let in")
}

/// S1.C3: the voucher is signed by whom the factory named, and by nobody else.
pub(super) async fn network_authenticated(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat).await?;
    // A network that is not the owner's, with a MASA of its own that vouches for anyone's devices.
    let manners =
        MasaManners { for_anyone: true, also: vec![site.kestrel.root_file.clone()], ..MasaManners::default() };
    let impostor = Manufacturer::found(place, "impostor", "Kestrel Devices", &manners).await?;
    let misled =
        KnownVendor { masa: Some((impostor.masa_url.clone(), impostor.root_file.clone())), ..site.kestrel.known() };
    let mallory = Owner::settle(place, "mallory", "Orchard House", &[misled], &["THERMOSTAT-1"]).await?;
    let lured = device.onboard_only(place, &mallory).await;
    mallory.leave(place).await;
    close(impostor).await;
    let refusal = lured?.refused()?;
    let became = device.onboard(place, 3).await?.onboarded()?;
    let pinned = became.pointer("/credential/pinned").and_then(serde_json::Value::as_str).unwrap_or_default();
    Ok(Shown {
        shown: format!("{} believed a voucher of its own MASA, which pins {pinned}", device.serial),
        refused: format!("by the device: {refusal}"),
    })
}

/// S1.C4: the voucher names the owner; whoever is not the owner gets none.
pub(super) async fn network_may_take_over(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat).await?;
    let pine = neighbour(place, site).await?;
    let taken = device.onboard_only(place, &pine).await;
    let refusal = pine.registrar.refusal(&device.serial).await;
    pine.leave(place).await;
    taken?.refused()?;
    device.onboard(place, 3).await?.onboarded()?;
    let masa = site.kestrel.masa()?.refusal(&device.serial).await?;
    Ok(Shown {
        shown: format!("{} was sold to {}, whose registrar got a voucher", device.serial, site.orchard.name),
        refused: format!("the neighbour: {}; the MASA: {masa}", refusal?.check),
    })
}

/// S1.C5: each device has a key and a certificate of its own, over TLS; nobody gets a certificate for a key not theirs.
pub(super) async fn unique_credentials(place: &Place, site: &Site) -> Result<Shown> {
    unique(&site.onboarded(place).await?, &site.onboarded(place).await?, &site.orchard).await
}

/// The same of two devices that are there.
pub(in crate::lab) async fn unique(a: &Device, b: &Device, owner: &Owner) -> Result<Shown> {
    let (ldevid_a, ldevid_b) = (a.ldevid()?, b.ldevid()?);
    ensure!(ldevid_a.public_key() != ldevid_b.public_key(), "two devices have one key");
    ensure!(ldevid_a.public_key() != a.idevid()?.public_key(), "the network credential has the birth key");
    // The same request with one bit of the signature changed.
    let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
    let mut line = Connection::open(&Endpoint::from(owner.address()?), Some(&birth_tls(a)?), limits()).await?;
    let attributes = line.send(Request::get(paths::CSR_ATTRIBUTES)).await?;
    ensure!([200, 204].contains(&attributes.status), "csrattrs was answered {}", attributes.status);
    let request = CsrRequest { subject: ldevid_a.subject_name(), ..CsrRequest::default() };
    let request = request.prepare(key.public_key(), key.algorithm())?;
    let csr = request.to_be_signed().to_vec();
    let signature = key.sign(&csr)?;
    let mut der = request.sign(&signature)?.der().to_vec();
    *der.last_mut().context("an empty request")? ^= 1;
    let refused = enrol(&mut line, &der).await?;
    ensure!((400..500).contains(&refused.status), "a forged request was answered {}", refused.status);
    let refusal = owner.registrar.refusal(&a.serial).await?;
    // And nothing at all without TLS.
    let plain = match Connection::open(&Endpoint::from(owner.address()?), None, limits()).await {
        Ok(mut line) => line.send(Request::get(paths::CACERTS)).await.map(|response| response.status),
        Err(why) => Err(why),
    };
    ensure!(plain.is_err(), "the registrar speaks without TLS");
    Ok(Shown {
        shown: format!(
            "{} and {} have certificates {} and {}",
            a.serial,
            b.serial,
            ldevid_a.serial_hex(),
            ldevid_b.serial_hex()
        ),
        refused: format!("{refusal}; and no word without TLS"),
    })
}

async fn enrol(line: &mut Connection, csr: &[u8]) -> Result<Response> {
    let body = landfall_brski::est::body::encode(csr);
    Ok(line.send(Request::post(paths::SIMPLE_ENROLL, media::PKCS10, body)).await?)
}

/// S1.C7: two networks on one link, of which only one is the owner's.
pub(super) async fn selection(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat).await?;
    let pine = neighbour(place, site).await?;
    let alone = device.onboard_only(place, &pine).await;
    let chose = device.onboard(place, 8).await;
    let refusal = pine.registrar.refusal(&device.serial).await;
    pine.leave(place).await;
    alone?.refused()?;
    let became = chose?.onboarded()?;
    let issuer = became.pointer("/credential/issuer").and_then(serde_json::Value::as_str).unwrap_or_default();
    ensure!(issuer.contains("Orchard House"), "it joined {issuer}");
    let attempts = became.get("attempts").and_then(serde_json::Value::as_u64).unwrap_or_default();
    Ok(Shown {
        shown: format!("{} saw two networks and joined its owner's, after {attempts} connections", device.serial),
        refused: format!("by the other network: {}", refusal?),
    })
}

/// S1.C8: a camera with other keys joins by the same mechanism; a type that nobody asked for does not.
pub(super) async fn two_types(place: &Place, site: &Site) -> Result<Shown> {
    let thermostat = site.onboarded(place).await?;
    let camera = site.kestrel.product("CAMERA-2", "KC", Algorithm::EcdsaP384)?;
    let camera = site.bought(place, &camera).await?;
    camera.onboard(place, 3).await?.onboarded()?;
    camera.collect(place, &site.orchard)?;
    let toy = site.kestrel.product("TOY-7", "KY", Algorithm::EcdsaP256)?;
    let toy = site.bought(place, &toy).await?;
    let deny = async {
        waiting(&site.orchard, &toy.serial).await?;
        site.orchard.judge(&toy.serial, "deny", "no toys").await
    };
    let (kept_out, denied) = tokio::join!(toy.onboard(place, 1), deny);
    kept_out?.refused()?;
    denied?;
    Ok(Shown {
        shown: format!("thermostat {} with P-256 and camera {} with P-384", thermostat.serial, camera.serial),
        refused: format!("toy {}: {}", toy.serial, site.orchard.registrar.refusal(&toy.serial).await?),
    })
}

/// S3.C1: the device forgets its credential; the birth credential stays.
pub(super) async fn credential_deleted(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.onboarded(place).await?;
    ensure!(device.reset(place).await?, "there was nothing to forget");
    ensure!(!device.is_onboarded(place).await?, "it still has a credential");
    let Err(why) = device.renew(place, 20).await else { bail!("a device without a credential renewed it") };
    Ok(Shown {
        shown: format!("{} destroyed its LDevID and its key, and keeps its IDevID", device.serial),
        refused: format!("renewing: {}", why.to_string().lines().next_back().unwrap_or_default().trim()),
    })
}

/// S3.C2: a credential that was withdrawn opens nothing, even if somebody kept a copy.
pub(super) async fn cannot_connect(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.onboarded(place).await?;
    let ldevid = device.ldevid()?;
    if let Some(doors) = &site.doors {
        doors.open_to(place, &device).await?;
    }
    device.copy_state("copied-before")?;
    site.orchard.judge(&device.serial, "revoke", "the lab withdraws it").await?;
    device.reset(place).await?;
    device.use_state("copied-before")?;
    let at_the_door = match &site.doors {
        Some(doors) => {
            doors.shut_to(place, &device).await?;
            format!("; at its port: {}", site.orchard.registrar.refusal("").await?)
        }
        None => String::new(),
    };
    let refused = device.renew(place, 4).await?.refused()?;
    let refusal = site.orchard.registrar.refusal(&device.serial).await?;
    let listed = revocation_list(&site.orchard).await?.is_revoked(&ldevid).is_some();
    ensure!(listed, "the revocation list does not have it");
    Ok(Shown {
        shown: format!("{} is revoked, and {} is on the revocation list", device.serial, ldevid.serial_hex()),
        refused: format!("a copy of the credential: {refusal}; the device: {}{at_the_door}", refused.check),
    })
}

/// S3.C3: the same network again, then another owner's; the former owner gets no voucher any more.
pub(super) async fn onboarded_again(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.onboarded(place).await?;
    let first = device.ldevid()?;
    device.reset(place).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let second = device.ldevid()?;
    ensure!(first.public_key() != second.public_key(), "the old key came back");
    // Sold on: the former owner forgets it, the MASA records release and sale, the device is reset.
    site.orchard.judge(&device.serial, "forget", "sold").await?;
    let pine = neighbour(place, site).await?;
    site.kestrel.release(&[&device.serial], site.orchard.name).await?;
    site.kestrel.sell(&[&device.serial], pine.name).await?;
    device.reset(place).await?;
    let kept = device.onboard_only(place, &site.orchard).await;
    let refusal = site.orchard.registrar.refusal(&device.serial).await;
    // The manufacturer's audit log shows the new owner's registrar that another domain had it: a person decides.
    let approve = async {
        waiting(&pine, &device.serial).await?;
        pine.judge(&device.serial, "approve", "bought second-hand").await
    };
    let (moved, approved) = tokio::join!(device.onboard_only(place, &pine), approve);
    pine.leave(place).await;
    kept?.refused()?;
    approved?;
    let moved = moved?.onboarded()?;
    let issuer = moved.pointer("/credential/issuer").and_then(serde_json::Value::as_str).unwrap_or_default();
    ensure!(issuer.contains("Pine Street"), "it joined {issuer}");
    Ok(Shown {
        shown: format!("{} joined again with a new key, and after resale the network of {issuer}", device.serial),
        refused: format!("the former owner: {}", refusal?),
    })
}

/// S5.C2: renewed with a new key; a revoked one is not renewed.
pub(super) async fn renewed_and_revoked(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.onboarded(place).await?;
    let before = device.ldevid()?;
    device.renew(place, 20).await?.onboarded()?;
    let after = device.ldevid()?;
    ensure!(before.public_key() != after.public_key(), "the renewed credential has the old key");
    ensure!(before.subject() == after.subject(), "the renewed credential has another name");
    site.orchard.judge(&device.serial, "revoke", "the lab withdraws it").await?;
    device.renew(place, 4).await?.refused()?;
    let refusal = site.orchard.registrar.refusal(&device.serial).await?;
    Ok(Shown {
        shown: format!(
            "{} rotated its key: certificate {} after {}",
            device.serial,
            after.serial_hex(),
            before.serial_hex()
        ),
        refused: format!("renewing after revocation: {refusal}"),
    })
}

/// Another network on the same link, whose owner buys from the same manufacturer.
async fn neighbour(place: &Place, site: &Site) -> Result<Owner> {
    let pine = Owner::settle(place, "pine", "Pine Street", &[site.kestrel.known()], &["THERMOSTAT-1"]).await?;
    site.kestrel.customer(&pine).await?;
    Ok(pine)
}

/// A provisional connection with the device's birth credential.
fn birth_tls(device: &Device) -> Result<ClientTls> {
    let key = device.bundle.key.as_ref().context("the device keeps its key")?;
    let key = pem::decode(key.0.expose())?.into_iter().next().context("no key in the bundle")?;
    let mut chain = vec![device.idevid()?];
    chain.extend(Certificate::chain_from_pem(&device.bundle.chain)?);
    let identity = TlsIdentity { chain, signer: Arc::new(SoftwareKey::from_pkcs8_der(&key.der)?) };
    Ok(ClientTls::provisional(Some(&identity))?)
}

fn limits() -> ClientLimits {
    ClientLimits::default()
}

async fn revocation_list(owner: &Owner) -> Result<Crl> {
    let list = owner.registrar.admin.bytes("/v1/network/crl").await?;
    Ok(Crl::from_der(&list)?)
}

/// S5.C4: the MUD URL in the IDevID, by which a device is held to what its manufacturer says; a stray packet, and a file that is signed wrongly.
pub(super) async fn intent_enforced(place: &Place, site: &Site) -> Result<Shown> {
    let maker = intent::Maker::open(place, BUILD, Some(&site.kestrel)).await?;
    let mut serials = Vec::new();
    for model in ["THERMOSTAT-1", "BAD-1"] {
        let product = Product { mud_url: Some(maker.url(model)), ..site.thermostat.clone() };
        let device = site.bought(place, &product).await?;
        device.onboard(place, 3).await?.onboarded()?;
        serials.push(device.serial.clone());
    }
    let [good, bad] = serials.as_slice() else { bail!("there are no devices") };
    intent::enforced(BUILD, &maker, &site.orchard.registrar.store, [good.as_str(), bad.as_str()], Learnt::Idevid).await
}

/// S5.C1: a device takes what its manufacturer has signed for it, from a host of its owner, and nothing else.
pub(super) async fn firmware_updated(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.onboarded(place).await?;
    let host = Host::start(place, &site.orchard, 0).await?;
    let releases = Releases::new("kestrel", "THERMOSTAT-1")?;
    let from = format!("https://{}", place.seen_by_devices(host.address));
    let shown = update::updated(place, &device, &releases, &host, &from).await;
    host.stop().await;
    device.collect(place, &site.orchard)?;
    shown
}

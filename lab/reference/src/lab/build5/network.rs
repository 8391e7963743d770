//! Scenarios 1, 3, 4 and 5 where the network begins: who comes in by 802.1X, where to, and how it ends.

use super::{
    Device, Shown, Site,
    switch::{LIMIT, SERVICE, on_link},
    trace::Trace,
};
use crate::{
    lab::{
        build3::network::{birth_tls, enrol, limits, waiting},
        party::{Manufacturer, MasaManners},
        place::Place,
    },
    peers::Peer,
};
use anyhow::{Context, Result, ensure};
use landfall_net::http::{Connection, Endpoint};
use landfall_pki::{Algorithm, Certificate, CsrRequest, Signer, SoftwareKey, pem};
use landfall_types::Outcome;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What a supplicant shows: the lines of its network.
struct Credential {
    network: String,
    certificate: Certificate,
}

/// S1.C1: the certificate that EST gave opens the port; that of the manufacturer does not, nor does none.
pub(super) async fn device_authenticated(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    site.switch.expect(0, false, "a new device")?;
    device.onboard(place, 3).await?.onboarded()?;
    site.switch.expect(0, false, "a device with a certificate that it has not shown")?;
    let birth = birth_network(site, &device)?;
    let (inside, supplicant) = site.switch.knock(0, &birth).await?;
    drop(supplicant);
    ensure!(!inside, "its IDevID let it in");
    site.switch.expect(0, false, "a device with an IDevID")?;
    let refusal = site.orchard.registrar.refusal("").await?;
    let inside = come_in(place, site, &device, 0).await?;
    leave(site, &device, inside).await?;
    Ok(Shown {
        shown: format!("{} showed the certificate that EST gave it, and reached the service", device.serial),
        refused: format!("before that not a packet came through; with its IDevID: {refusal}"),
    })
}

/// S1.C2: a device whose model is not welcome gets no certificate, and stays where new devices are.
pub(super) async fn device_welcome(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let inside = come_in(place, site, &device, 0).await?;
    let toy = site.kestrel.product("TOY-7", "KY5", Algorithm::EcdsaP256)?;
    let toy = site.bought(place, &toy, 1).await?;
    let deny = async {
        waiting(&site.orchard, &toy.serial).await?;
        site.orchard.judge(&toy.serial, "deny", "no toys").await
    };
    let (kept_out, denied) = tokio::join!(toy.onboard(place, 1), deny);
    kept_out?.refused()?;
    denied?;
    site.switch.expect(1, false, "a device that was not let in")?;
    leave(site, &device, inside).await?;
    Ok(Shown {
        shown: format!("{} is of a welcome model", device.serial),
        refused: format!("{}: {}", toy.serial, site.orchard.registrar.refusal(&toy.serial).await?),
    })
}

/// S1.C3: the device goes only where the EAP server is of the domain that it joined.
pub(super) async fn network_authenticated(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let credential = credential(site, &device, "own").await?;
    let root = site.domain().join("root.pem").display().to_string();
    let other = site.kestrel.root_file.display().to_string();
    let (inside, supplicant) = site.switch.knock(0, &credential.network.replace(&root, &other)).await?;
    drop(supplicant);
    ensure!(!inside, "it took a server of another domain");
    site.switch.expect(0, false, "a device that did not take the server")?;
    let refusal = site.orchard.registrar.refusal("").await?;
    let (inside, supplicant) = site.switch.knock(0, &credential.network).await?;
    ensure!(inside, "it did not take the server of its own domain");
    site.switch.expect(0, true, "a device that is inside")?;
    leave(site, &device, supplicant).await?;
    Ok(Shown {
        shown: format!("{} took the server whose certificate leads to the root that EST gave it", device.serial),
        refused: format!("the same server, by a device of another domain: {refusal}"),
    })
}

/// S1.C8: a thermostat and a camera come in alike; what a stranger made does not.
pub(super) async fn two_types(place: &Place, site: &Site) -> Result<Shown> {
    let (thermostat, camera) =
        (site.bought(place, &site.thermostat, 0).await?, site.bought(place, &site.camera, 1).await?);
    thermostat.onboard(place, 3).await?.onboarded()?;
    camera.onboard(place, 3).await?.onboarded()?;
    let (warm, seen) = (come_in(place, site, &thermostat, 0).await?, come_in(place, site, &camera, 1).await?);
    let mut sham = Manufacturer::found(place, "sham-5", "Kestrel Devices", &MasaManners::default()).await?;
    let product = sham.product("CAMERA-2", "SH5", Algorithm::EcdsaP256)?;
    let bundles = sham.make(&product, 1)?;
    let bundle = bundles.first().map(Path::new).context("no device")?;
    let stranger = Device::unpack_at(place, bundle, site.switch.socket(2)?)?;
    let (inside, supplicant) = site.switch.knock(2, &birth_network(site, &stranger)?).await?;
    drop(supplicant);
    sham.masa_goes_away().await;
    ensure!(!inside, "a stranger's device came in");
    site.switch.expect(2, false, "a stranger's device")?;
    let refusal = site.orchard.registrar.refusal("").await?;
    leave(site, &thermostat, warm).await?;
    leave(site, &camera, seen).await?;
    Ok(Shown {
        shown: format!("thermostat {} and camera {}", thermostat.serial, camera.serial),
        refused: format!("{}, which says that it is a camera: {refusal}", stranger.serial),
    })
}

/// S3.C1: the credential is deleted, and opens nothing from then on.
pub(super) async fn credential_deleted(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let credential = credential(site, &device, "own").await?;
    let (inside, supplicant) = site.switch.knock(0, &credential.network).await?;
    ensure!(inside, "it did not come in");
    site.switch.expect(0, true, "a device that is inside")?;
    site.orchard.judge(&device.serial, "delete-credentials", "the lab deletes them").await?;
    site.switch.expect(0, false, "a device whose credential was deleted")?;
    drop(supplicant);
    let (inside, supplicant) = site.switch.knock(0, &credential.network).await?;
    drop(supplicant);
    ensure!(!inside, "a deleted credential let it in");
    site.switch.expect(0, false, "a device with a deleted credential")?;
    Ok(Shown {
        shown: format!("{} was inside until its credential was deleted", device.serial),
        refused: site.orchard.registrar.refusal("").await?.to_string(),
    })
}

/// S3.C2: thrown out while it talks, and what came through until when, by the packets on the bridge of its segment.
pub(super) async fn cannot_connect(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    let filter = format!("udp and dst port {SERVICE}");
    fs::create_dir_all(device.evidence())?;
    let (wire, bridge) = (device.evidence().join("said-at-the-port.pcap"), device.evidence().join("let-through.pcap"));
    let said = Trace::begin(&site.switch.socket(0)?.port(), &filter, wire).await?;
    let through = Trace::begin("lf5-heating", &filter, bridge).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let credential = credential(site, &device, "own").await?;
    site.switch.expect(0, false, "a device that has not shown its certificate")?;
    ensure!(through.packets()?.is_empty(), "something came through before it was authenticated");
    let (inside, supplicant) = site.switch.knock(0, &credential.network).await?;
    ensure!(inside, "it did not come in");
    site.switch.expect(0, true, "a device that is inside")?;

    let voice = site.switch.voice(0)?;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let talk = std::thread::spawn(move || {
        while matches!(stopped.recv_timeout(Duration::from_millis(1)), Err(std::sync::mpsc::RecvTimeoutError::Timeout))
        {
            let _ = voice.send_to(b"words", super::switch::service());
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let word = now()?;
    site.orchard.judge(&device.serial, "revoke", "the lab withdraws it").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let silence = now()?;
    drop(stop);
    talk.join().map_err(|_| anyhow::anyhow!("the device lost its voice"))?;
    let (all, let_through) = (said.packets()?, through.packets()?);
    let last = let_through.iter().max().context("nothing came through at all")?;
    let after = last.saturating_sub(word);
    ensure!(after < 1_000_000, "it was heard for {after} µs after it was revoked");
    let unheard = all.iter().filter(|at| **at > *last && **at < silence).count();
    ensure!(unheard > 10, "it said nothing after it was revoked");
    drop(supplicant);
    let (inside, supplicant) = site.switch.knock(0, &credential.network).await?;
    drop(supplicant);
    ensure!(!inside, "a revoked credential let it in");
    site.switch.expect(0, false, "a device that was revoked")?;
    let refusal = site.orchard.registrar.refusal("").await?;
    device.collect(place, &site.orchard)?;
    let file = through.file().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Shown {
        shown: format!(
            "{}: of {} packets {} came through, none before it was let in, the last {:.1} ms after the word to revoke it ({file})",
            device.serial,
            all.len(),
            let_through.len(),
            Duration::from_micros(after).as_secs_f64() * 1000.0
        ),
        refused: format!("{unheard} packets after that one; and when it came back: {refusal}"),
    })
}

/// S3.C3: onboarded again it comes in with its new credential, and the old one stays deleted.
pub(super) async fn onboarded_again(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let old = credential(site, &device, "old").await?;
    site.orchard.judge(&device.serial, "delete-credentials", "the lab wants it anew").await?;
    device.reset(place).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let (inside, supplicant) = site.switch.knock(0, &old.network).await?;
    drop(supplicant);
    ensure!(!inside, "the old credential let it in");
    let refusal = site.orchard.registrar.refusal("").await?;
    let new = credential(site, &device, "new").await?;
    let (inside, supplicant) = site.switch.knock(0, &new.network).await?;
    ensure!(inside, "the new credential did not let it in");
    site.switch.expect(0, true, "a device that was onboarded again")?;
    leave(site, &device, supplicant).await?;
    Ok(Shown {
        shown: format!("{} came in with {} after {}", device.serial, serial(&new), serial(&old)),
        refused: format!("the old one: {refusal}"),
    })
}

/// S4.C4: each is where its model belongs, with its like, and away from the others.
pub(super) async fn segment_by_policy(place: &Place, site: &Site) -> Result<Shown> {
    let mut inside = Vec::new();
    for (port, product) in [(0, &site.thermostat), (1, &site.camera), (2, &site.thermostat)] {
        let device = site.bought(place, product, port).await?;
        device.onboard(place, 3).await?.onboarded()?;
        let supplicant = come_in(place, site, &device, port).await?;
        inside.push((device, supplicant));
    }
    let listener = site.switch.voice(0)?;
    let there = on_link(site.switch.socket(0)?.address(), listener.local_addr()?.port());
    let heard = |from: usize, expected: bool| -> Result<bool> {
        let (voice, begun) = (site.switch.voice(from)?, Instant::now());
        let sender = site.switch.socket(from)?.address();
        tokio::task::block_in_place(|| {
            loop {
                let _ = voice.send_to(b"neighbour", there);
                let mut datagram = [0; 64];
                match listener.recv_from(&mut datagram) {
                    Ok((_, who)) if who.ip() == sender => return Ok(true),
                    Ok(_) => {}
                    Err(_) if expected && begun.elapsed() < LIMIT => {}
                    Err(_) => return Ok(false),
                }
            }
        })
    };
    ensure!(heard(2, true)?, "two thermostats do not reach each other");
    ensure!(!heard(1, false)?, "a camera reaches a thermostat");
    let mut names = Vec::new();
    for (device, supplicant) in inside {
        names.push(device.serial.clone());
        leave(site, &device, supplicant).await?;
    }
    let [a, camera, b] = names.as_slice() else { anyhow::bail!("there are not three devices") };
    Ok(Shown {
        shown: format!(
            "thermostats {a} and {b} are in one segment and reach each other; camera {camera} is in another"
        ),
        refused: format!("{camera} does not reach {a}: it is in another segment"),
    })
}

/// S4.C7: a camera shows itself again every three seconds; one that does not is out.
pub(super) async fn authenticated_again(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.camera, 1).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let supplicant = come_in(place, site, &device, 1).await?;
    let times = admitted(site, &device, 3).await?;
    site.switch.expect(1, true, "a device that shows itself again and again")?;
    drop(supplicant);
    let (begun, silent) = (Instant::now(), "a device that shows itself no more");
    while site.switch.answered(1, false)? {
        ensure!(begun.elapsed() < LIMIT, "{silent} still reaches the service");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = begun.elapsed();
    site.orchard.judge(&device.serial, "forget", "the lab is done").await?;
    Ok(Shown {
        shown: format!("{} was authenticated {times} times", device.serial),
        refused: format!("{silent} is out after {} s", took.as_secs()),
    })
}

/// S4.C8: what it may is decided anew each time: in quarantine it is let in to nothing, until it is released.
pub(super) async fn authorized_again(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.camera, 1).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let supplicant = come_in(place, site, &device, 1).await?;
    site.orchard.judge(&device.serial, "quarantine", "the lab has its doubts").await?;
    site.switch.expect(1, false, "a device in quarantine")?;
    let times = admitted(site, &device, 1).await?;
    admitted(site, &device, times + 1).await?;
    site.switch.expect(1, false, "a device in quarantine that was authenticated again")?;
    site.orchard.judge(&device.serial, "release", "all is well").await?;
    site.switch.expect(1, true, "a device that was released")?;
    leave(site, &device, supplicant).await?;
    Ok(Shown {
        shown: format!("{} was authorized anew at each authentication, and placed by it", device.serial),
        refused: "in quarantine it reached nothing, at once and after it had authenticated again".into(),
    })
}

/// S5.C2: the next authentication uses the renewed certificate; a revoked one is good for none.
pub(super) async fn renewed_and_revoked(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let first = credential(site, &device, "first").await?;
    let (inside, supplicant) = site.switch.knock(0, &first.network).await?;
    ensure!(inside, "it did not come in");
    let second = credential(site, &device, "second").await?;
    ensure!(first.certificate.public_key() != second.certificate.public_key(), "the key is the same");
    site.switch.expect(0, true, "a device whose certificate is renewed")?;
    drop(supplicant);
    let (inside, supplicant) = site.switch.knock(0, &second.network).await?;
    ensure!(inside, "it did not come in with its new certificate");
    site.switch.expect(0, true, "a device with a renewed certificate")?;
    site.orchard.judge(&device.serial, "revoke", "the lab withdraws it").await?;
    site.switch.expect(0, false, "a device that was revoked")?;
    drop(supplicant);
    for credential in [&first, &second] {
        let (inside, supplicant) = site.switch.knock(0, &credential.network).await?;
        drop(supplicant);
        ensure!(!inside, "a revoked certificate let it in");
    }
    Ok(Shown {
        shown: format!("{} came in with {} after {}", device.serial, serial(&second), serial(&first)),
        refused: format!("both after revocation: {}", site.orchard.registrar.refusal("").await?),
    })
}

impl Site {
    /// Where the domain's certificates are.
    fn domain(&self) -> PathBuf {
        self.orchard.registrar.settings.parent().unwrap_or(Path::new("")).join("data/domain")
    }
}

/// Comes in with a credential of its own, and reaches the service.
async fn come_in(place: &Place, site: &Site, device: &Device, port: usize) -> Result<Peer> {
    let credential = credential(site, device, "own").await?;
    let (inside, supplicant) = site.switch.knock(port, &credential.network).await?;
    ensure!(inside, "{} was not let in", device.serial);
    site.switch.expect(port, true, "a device that is inside")?;
    device.collect(place, &site.orchard)?;
    Ok(supplicant)
}

/// Leaves for good, so that another one can be plugged in.
async fn leave(site: &Site, device: &Device, supplicant: Peer) -> Result<()> {
    drop(supplicant);
    site.orchard.judge(&device.serial, "forget", "the lab is done").await.map(drop)
}

/// Waits until a device has been let in so many times; how many times it has.
async fn admitted(site: &Site, device: &Device, times: usize) -> Result<usize> {
    let begun = Instant::now();
    loop {
        let events = site.orchard.registrar.audit(&device.serial).await?.into_iter();
        let count = events.filter(|event| event.action == "device-admitted" && event.outcome == Outcome::Done).count();
        if count >= times {
            return Ok(count);
        }
        ensure!(begun.elapsed() < LIMIT, "{} was let in {count} times only", device.serial);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A key in a file, for wpa_supplicant, and a certificate for it by EST.
async fn credential(site: &Site, device: &Device, name: &str) -> Result<Credential> {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256)?;
    let request = CsrRequest { subject: device.ldevid()?.subject_name(), ..CsrRequest::default() };
    let request = request.prepare(key.public_key(), key.algorithm())?;
    let signature = key.sign(request.to_be_signed())?;
    let request = request.sign(&signature)?;
    let mut line =
        Connection::open(&Endpoint::from(site.orchard.address()?), Some(&birth_tls(device)?), limits()).await?;
    let answer = enrol(&mut line, request.der()).await?;
    ensure!(answer.status == 200, "EST answered {}", answer.status);
    let issued = site.orchard.device(&device.serial).await?.certificates.into_iter();
    let issued = issued.map(|issued| Ok(Certificate::from_pem(&issued.pem)?)).collect::<Result<Vec<_>>>()?;
    let mut issued = issued.into_iter().filter(|certificate| certificate.public_key() == key.public_key());
    let certificate = issued.next().context("the certificate is not on record")?;
    let above = fs::read_to_string(site.domain().join("issuing.pem"))?;
    let chain = format!("{}{above}", certificate.to_pem());
    let network = network(site, device, name, &chain, key.to_pkcs8_der().expose())?;
    Ok(Credential { network, certificate })
}

/// What a supplicant shows that has its IDevID alone.
fn birth_network(site: &Site, device: &Device) -> Result<String> {
    let key = device.bundle.key.as_ref().context("the device keeps its key")?;
    let key = pem::decode(key.0.expose())?.into_iter().next().context("no key in the bundle")?;
    let chain = format!("{}{}", device.bundle.idevid, device.bundle.chain);
    network(site, device, "birth", &chain, &key.der)
}

/// The lines of a supplicant's network.
fn network(site: &Site, device: &Device, name: &str, chain: &str, key: &[u8]) -> Result<String> {
    let folder = device.body.folder.join("supplicant");
    fs::create_dir_all(&folder)?;
    let (certificate, secret) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    fs::write(&certificate, chain)?;
    fs::write(&secret, pem::encode("PRIVATE KEY", key))?;
    let root = site.domain().join("root.pem");
    Ok(format!(
        "key_mgmt=IEEE8021X\neap=TLS\neapol_flags=0\nidentity=\"@example\"\nca_cert=\"{}\"\nclient_cert=\"{}\"\n\
         private_key=\"{}\"\ndomain_match=\"localhost\"\nphase1=\"tls_disable_tlsv1_3=0\"",
        root.display(),
        certificate.display(),
        secret.display()
    ))
}

fn serial(credential: &Credential) -> String {
    credential.certificate.serial_hex()
}

/// In microseconds since 1970, as traces have it.
fn now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}

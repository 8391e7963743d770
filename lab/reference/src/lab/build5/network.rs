//! Scenarios 1, 3, 4 and 5 where the network begins: who comes in by 802.1X, where to, and how it ends.

use super::{BUILD, Device, SERVICE, Shown, Site, trace::Trace};
use crate::{
    lab::{
        build3::network::{unique, waiting},
        door::LIMIT,
        intent,
        party::{Manufacturer, MasaManners},
        place::Place,
        switch::{self, on_link},
    },
    peers::Peer,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_lifecycle::{factory::Product, network::Learnt};
use landfall_pki::{Algorithm, pem};
use landfall_types::Outcome;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

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
    let mut supplicant = come_in(place, site, &device, 0).await?;
    // Now it is a device of another domain, which goes by another root.
    let other = site.kestrel.root_file.display().to_string();
    supplicant.request(&format!("SET_NETWORK 0 ca_cert \"{other}\"")).await?;
    for request in ["LOGOFF", "LOGON"] {
        supplicant.request(request).await?;
    }
    supplicant.event(&["CTRL-EVENT-EAP-FAILURE"], LIMIT).await?;
    site.switch.expect(0, false, "a device that did not take the server")?;
    let refusal = site.orchard.registrar.refusal("").await?;
    drop(supplicant);
    let supplicant = come_in(place, site, &device, 0).await?;
    leave(site, &device, supplicant).await?;
    Ok(Shown {
        shown: format!("{} took the server whose certificate leads to the root that EST gave it", device.serial),
        refused: format!("the same server, by a device of another domain: {refusal}"),
    })
}

/// S1.C4: a device goes with nobody whose voucher it does not get, and with its buyer.
pub(super) async fn network_may_take_over(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.made(place, &site.thermostat, 0).await?;
    device.onboard(place, 1).await?.refused()?;
    let refusal = site.orchard.registrar.refusal(&device.serial).await?;
    ensure!(!device.is_onboarded(place).await?, "{} has a credential of whom it was not sold to", device.serial);
    site.switch.expect(0, false, "a device that was sold to nobody")?;
    site.kestrel.sell(&[&device.serial], site.orchard.name).await?;
    device.onboard(place, 3).await?.onboarded()?;
    let inside = come_in(place, site, &device, 0).await?;
    leave(site, &device, inside).await?;
    Ok(Shown {
        shown: format!("{} got a voucher for {} once it was sold there, and came in", device.serial, site.orchard.name),
        refused: format!("before: {refusal}"),
    })
}

/// S1.C5: two devices come in, each with a key and a certificate of its own that EST gave it over TLS.
pub(super) async fn unique_credentials(place: &Place, site: &Site) -> Result<Shown> {
    let a = site.bought(place, &site.thermostat, 0).await?;
    let b = site.bought(place, &site.thermostat, 1).await?;
    a.onboard(place, 3).await?.onboarded()?;
    b.onboard(place, 3).await?.onboarded()?;
    let (in_a, in_b) = (come_in(place, site, &a, 0).await?, come_in(place, site, &b, 1).await?);
    let shown = unique(&a, &b, &site.orchard).await;
    leave(site, &a, in_a).await?;
    leave(site, &b, in_b).await?;
    shown
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
    let supplicant = come_in(place, site, &device, 0).await?;
    site.orchard.judge(&device.serial, "delete-credentials", "the lab deletes them").await?;
    site.switch.expect(0, false, "a device whose credential was deleted")?;
    drop(supplicant);
    stay_out(place, site, &device, 0).await?;
    Ok(Shown {
        shown: format!("{} was inside until its credential was deleted", device.serial),
        refused: site.orchard.registrar.refusal("").await?.to_string(),
    })
}

/// S3.C2: thrown out while it talks, and what came through until when, by the packets on the bridge of its segment.
pub(super) async fn cannot_connect(place: &Place, site: &Site) -> Result<Shown> {
    let device = site.bought(place, &site.thermostat, 0).await?;
    let traces = Traces::begin(site, &device, 0, "lf5-heating").await?;
    device.onboard(place, 3).await?.onboarded()?;
    site.switch.expect(0, false, "a device that has not shown its certificate")?;
    ensure!(traces.through.packets()?.is_empty(), "something came through before it was authenticated");
    let supplicant = come_in(place, site, &device, 0).await?;

    let word = async { site.orchard.judge(&device.serial, "revoke", "the lab withdraws it").await.map(drop) };
    let silenced = traces.silence(site, 0, word).await?;
    drop(supplicant);
    stay_out(place, site, &device, 0).await?;
    let refusal = site.orchard.registrar.refusal("").await?;
    device.collect(place, &site.orchard)?;
    Ok(Shown {
        shown: format!("{}: none came through before it was let in; {silenced}", device.serial),
        refused: format!("{} packets after that one; and when it came back: {refusal}", silenced.unheard),
    })
}

/// What a device says, and what of it comes through.
pub(super) struct Traces {
    said: Trace,
    through: Trace,
}

/// Until when it came through.
pub(super) struct Silenced {
    said: usize,
    through: usize,
    after: Duration,
    unheard: usize,
}

impl fmt::Display for Silenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, through, after, .. } = self;
        let millis = after.as_secs_f64() * 1000.0;
        write!(f, "of {said} packets {through} came through, the last {millis:.1} ms after the word")
    }
}

impl Traces {
    /// Begins them at a port and at the bridge of the device's segment.
    pub(super) async fn begin(site: &Site, device: &Device, port: usize, bridge: &str) -> Result<Self> {
        let (filter, folder) = (format!("udp and dst port {SERVICE}"), device.evidence());
        fs::create_dir_all(&folder)?;
        let wire = site.switch.socket(port)?.port();
        let said = Trace::begin(&wire, &filter, folder.join("said-at-the-port.pcap")).await?;
        let through = Trace::begin(bridge, &filter, folder.join("let-through.pcap")).await?;
        Ok(Self { said, through })
    }

    /// Has the device talk all the time, and gives the word that is to silence it.
    pub(super) async fn silence(
        self,
        site: &Site,
        port: usize,
        word: impl Future<Output = Result<()>>,
    ) -> Result<Silenced> {
        let voice = site.switch.voice(port)?;
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let talk = std::thread::spawn(move || {
            while matches!(
                stopped.recv_timeout(Duration::from_millis(1)),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            ) {
                let _ = voice.send_to(b"words", switch::target(SERVICE));
            }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let given = now()?;
        word.await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let silence = now()?;
        drop(stop);
        talk.join().map_err(|_| anyhow::anyhow!("the device lost its voice"))?;
        let (said, through) = (self.said.packets()?, self.through.packets()?);
        let last = through.iter().max().context("nothing came through at all")?;
        let after = last.saturating_sub(given);
        ensure!(after < 1_000_000, "it was heard for {after} µs after the word");
        let unheard = said.iter().filter(|at| **at > *last && **at < silence).count();
        ensure!(unheard > 10, "it said nothing after the word");
        let after = Duration::from_micros(after);
        Ok(Silenced { said: said.len(), through: through.len(), after, unheard })
    }
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

impl Site {
    /// Where the domain's certificates are.
    fn domain(&self) -> PathBuf {
        self.orchard.registrar.settings.parent().unwrap_or(Path::new("")).join("data/domain")
    }
}

/// Its agent goes in, and the device reaches the service.
pub(super) async fn come_in(place: &Place, site: &Site, device: &Device, port: usize) -> Result<Peer> {
    let (refusal, supplicant) = site.switch.come(place, device, port).await?;
    ensure!(refusal.is_none(), "{} was not let in: {refusal:?}", device.serial);
    site.switch.expect(port, true, "a device that is inside")?;
    device.collect(place, &site.orchard)?;
    Ok(supplicant)
}

/// Its agent does not get in any more with what it has.
pub(super) async fn stay_out(place: &Place, site: &Site, device: &Device, port: usize) -> Result<()> {
    let (refusal, supplicant) = site.switch.come(place, device, port).await?;
    drop(supplicant);
    ensure!(refusal.is_some(), "{} was let in", device.serial);
    site.switch.expect(port, false, "a device that was not let in")
}

/// Leaves for good, so that another one can be plugged in.
pub(super) async fn leave(site: &Site, device: &Device, supplicant: Peer) -> Result<()> {
    drop(supplicant);
    site.orchard.judge(&device.serial, "forget", "the lab is done").await.map(drop)
}

/// Waits until a device has been let in so many times; how many times it has.
pub(super) async fn admitted(site: &Site, device: &Device, times: usize) -> Result<usize> {
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

/// What a supplicant shows that has its IDevID alone.
fn birth_network(site: &Site, device: &Device) -> Result<String> {
    let key = device.bundle.key.as_ref().context("the device keeps its key")?;
    let key = pem::decode(key.0.expose())?.into_iter().next().context("no key in the bundle")?;
    let chain = format!("{}{}", device.bundle.idevid, device.bundle.chain);
    let folder = device.body.folder.join("supplicant");
    switch::network(&folder, "birth", (&chain, &key.der), &site.domain().join("root.pem"))
}

/// In microseconds since 1970, as traces have it.
fn now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}

/// S5.C4: the MUD URL in the IDevID of a device that came in by 802.1X, by which it is held to what its manufacturer says; a stray packet,
/// and a file that is signed wrongly.
pub(super) async fn intent_enforced(place: &Place, site: &Site) -> Result<Shown> {
    let maker = intent::Maker::open(place, BUILD, Some(&site.kestrel)).await?;
    let mut serials = Vec::new();
    let mut inside = Vec::new();
    for (port, model) in ["THERMOSTAT-1", "BAD-1"].into_iter().enumerate() {
        let product = Product { mud_url: Some(maker.url(model)), ..site.thermostat.clone() };
        let device = site.bought(place, &product, port).await?;
        device.onboard(place, 3).await?.onboarded()?;
        let supplicant = come_in(place, site, &device, port).await?;
        serials.push(device.serial.clone());
        inside.push((device, supplicant));
    }
    let [good, bad] = serials.as_slice() else { bail!("there are no devices") };
    let shown =
        intent::enforced(BUILD, &maker, &site.orchard.registrar.store, [good.as_str(), bad.as_str()], Learnt::Idevid)
            .await;
    for (device, supplicant) in inside {
        leave(site, &device, supplicant).await?;
    }
    shown
}

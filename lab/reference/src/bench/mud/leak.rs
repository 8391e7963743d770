//! What gets through before the rules: a device that sends without end, from before the enforcer starts until after it was let in.

use super::{PORT, files};
use crate::wires::{DEVICE, NOW, PEER, Wires};
use anyhow::{Context, Result};
use landfall_element::MemoryElement;
use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity},
};
use landfall_mud::{Direction, Packet, capture::Frames, packet::Ip};
use landfall_server::{
    Settings, World,
    enforcer::{Config, Plug},
};
use landfall_store::Store;
use landfall_types::{Changes, DeviceId, Fingerprint, Time};
use serde::Serialize;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What came through.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Leak {
    /// Datagrams that the device sent to a port which its file does not permit, and as many to one that it does.
    pub sent: u64,
    /// For so long.
    pub seconds: f64,
    /// Bytes that arrived and should not: whatever came before it was let in, of the former, and of anything else that is not for finding
    /// its neighbours.
    pub leaked_bytes: u64,
    /// Datagrams of the latter that arrived, once it was let in.
    pub arrived: u64,
    /// Frames of the device that tcpdump wrote down on the far side, from before its first; nothing without tcpdump.
    pub captured: Option<u64>,
}

const OTHER: u16 = 5999;
/// What every device may say to find its neighbours: ARP, and what of ICMPv6 is for that (RFC 4861, RFC 3810).
const ARP: u16 = 0x0806;
const NEIGHBOURS: [u8; 6] = [133, 135, 136, 131, 132, 143];
/// What is late may take so long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn look(wires: &Wires) -> Result<Leak> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("thing.json"), files::deep(0, PEER, PORT))?;
    let text = format!(
        "[enforcer]\n[[enforcer.segment]]\nname = \"things\"\nkind = \"production\"\nvlan = \"30\"\n[[enforcer.port]]\n\
         interface = \"lan0\"\n[[enforcer.intent]]\nfile = \"{}/thing.json\"\n",
        folder.path().display()
    );
    let settings = Settings::parse(&text).map_err(|(key, why)| anyhow::anyhow!("{key}: {why}"))?;
    let enforcer = settings.enforcer.as_ref().context("there is no enforcer")?;
    let config = Config { kernel: wires.kernel.clone(), ..Config::from_settings(enforcer, &settings)? };
    let world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
    let device: DeviceId = "bench.thing".parse()?;
    let birth = Birth::IDevId { idevid: Fingerprint([7; 32]), birth_key: None, hardware_backed: false };
    let identity =
        Identity { device: device.clone(), serial_number: "thing".parse()?, vendor: None, model: None, birth };
    let record = DomainDevice { state: State::Connected, ..DomainDevice::seen(identity, Time::now()) };
    world.store.commit(Changes::new().put(&record)?).await?;

    // A port in no bridge reaches nobody: the enforcer puts it where it belongs, and so it is with a device that is plugged in.
    wires.unplug().await?;
    let (permitted, other) = (wires.sockets(PORT)?, wires.sockets(OTHER)?);
    let capture = wires.capture()?;
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let began = Instant::now();
    let talk = std::thread::spawn({
        let (sent, stop) = (sent.clone(), stop.clone());
        let senders = [permitted.0, other.0];
        move || {
            let mut datagram = [7; 512];
            while !stop.load(Ordering::Relaxed) {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                datagram.iter_mut().zip(number.to_be_bytes()).for_each(|(octet, of_number)| *octet = of_number);
                // What is sent into a port that is down is lost like the rest.
                senders.iter().for_each(|sender| drop(sender.send(&datagram)));
            }
        }
    });
    let at_least = |count: u64| {
        let wanted = sent.load(Ordering::Relaxed) + count;
        while sent.load(Ordering::Relaxed) < wanted && began.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
    };
    at_least(1000);
    let (trigger, shutdown) = landfall_server::shutdown();
    let (task, enforcer) = config.build(world, shutdown).await?;
    at_least(1000);
    capture.as_ref().map(|capture| capture.mark(NOW)).transpose()?;
    let outside = sent.load(Ordering::Relaxed).saturating_sub(1);
    let plug = Plug { names: vec!["lan0".into()], mac: Some(DEVICE.parse()?), session: None };
    let admitted = enforcer.admit(&device, &plug, Some("30"), Time::now() + Duration::from_secs(3600)).await;
    admitted.map_err(|why| anyhow::anyhow!("{why}"))?.context("the device is at no port")?;
    let mut datagram = [0; 1024];
    permitted.1.set_read_timeout(Some(PATIENCE))?;
    permitted.1.recv(&mut datagram).context("what is permitted does not arrive")?;
    at_least(10_000);
    stop.store(true, Ordering::Relaxed);
    talk.join().map_err(|_| anyhow::anyhow!("the device gave up"))?;
    let seconds = began.elapsed().as_secs_f64();
    let mut count = |receiver: &std::net::UdpSocket| -> Result<(u64, u64)> {
        receiver.set_read_timeout(Some(Duration::from_millis(200)))?;
        let (mut count, mut bytes) = (0, 0);
        while let Ok(length) = receiver.recv(&mut datagram) {
            (count, bytes) = (count + 1, bytes + length as u64);
        }
        Ok((count, bytes))
    };
    let (arrived, _) = count(&permitted.1)?;
    let (_, at_the_socket) = count(&other.1)?;
    let captured = capture.map(|capture| seen(&capture.end()?, outside)).transpose()?;
    drop((task, trigger));
    wires.clear().await?;
    let leaked_bytes = at_the_socket.max(captured.map(|(_, leaked)| leaked).unwrap_or_default());
    let captured = captured.map(|(frames, _)| frames);
    Ok(Leak { sent: sent.load(Ordering::Relaxed), seconds, leaked_bytes, arrived: arrived + 1, captured })
}

/// How many frames of the device a capture has, and bytes of those that should not be there: the first `outside` datagrams were sent before
/// it was let in, and whatever else stands before the peer said so.
fn seen(capture: &[u8], outside: u64) -> Result<(u64, u64)> {
    let (mut frames, mut leaked, mut is_inside) = (0, 0, false);
    for frame in Frames::of(capture).map_err(|why| anyhow::anyhow!("{why}"))? {
        let frame = frame.map_err(|why| anyhow::anyhow!("{why}"))?;
        let number =
            frame.get(42..).and_then(|message| message.first_chunk()).map(|octets| u64::from_be_bytes(*octets));
        is_inside |= frame.windows(NOW.len()).any(|window| window == NOW);
        let packet = Packet::read(Direction::FromDevice, frame).context("a frame is too short to be one")?;
        if packet.source.to_string() != DEVICE {
            continue;
        }
        let is_good = match packet.ip {
            _ if !is_inside => false,
            None => packet.ether_type == ARP,
            Some(Ip { icmp: Some((kind, _)), source: IpAddr::V6(_), .. }) => NEIGHBOURS.contains(&kind),
            Some(Ip { ports: Some((_, port)), .. }) => port == PORT && number.is_some_and(|number| number >= outside),
            Some(_) => false,
        };
        frames += 1;
        leaked += if is_good { 0 } else { frame.len() as u64 };
    }
    Ok((frames, leaked))
}

//! The switch: ports that devices are plugged into, each with a hostapd, and what is behind it.

use super::Device;
use crate::{
    lab::{
        device::Way,
        door::{LIMIT, SECRET, asks},
        place::Place,
    },
    link::Namespace,
    peers::Peer,
};
use anyhow::{Context, Result, ensure};
use landfall_net::discovery::Interface;
use landfall_types::Refusal;
use std::{
    fs::File,
    net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{process::Child, sync::Mutex};

/// How many ports it has.
pub(super) const PORTS: usize = 4;
/// The bridge of new devices.
pub(super) const ONBOARDING: &str = "lf5-new";
/// All bridges.
const BRIDGES: [&str; 5] = [ONBOARDING, "lf5-heating", "lf5-cameras", "lf5-clinic", "lf5-repair"];
/// Every bridge has the same address, so that a device finds the service wherever it is, if it may.
const MAC: &str = "02:00:00:00:05:fe";
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
/// The number of a device's one interface, after loopback.
const INTERFACE: u32 = 2;
/// Where the service answers that devices are to reach.
pub(super) const SERVICE: u16 = 5005;
/// Where the service answers that mends devices.
pub(super) const MENDING: u16 = 5006;
/// What has not come back by then does not.
const SILENCE: Duration = Duration::from_millis(300);

/// The switch.
pub(super) struct Switch {
    sockets: Vec<Arc<Namespace>>,
    radius: u16,
    orders: u16,
    /// Each port's hostapd, started with each supplicant there.
    authenticators: Mutex<Vec<Option<Peer>>>,
    /// What the service hears: from whom, and when.
    service: Arc<UdpSocket>,
    /// The same of the one that mends them.
    mending: Arc<UdpSocket>,
}

impl Switch {
    pub(super) fn new(sockets: Vec<Namespace>, radius: u16) -> Result<Self> {
        let orders = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = |port| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).context("a service's port").map(Arc::new);
        let (service, mending) = (listen(SERVICE)?, listen(MENDING)?);
        // The join proxy announces itself on it as soon as it runs. A generated address would first be probed for duplicates.
        ip(&format!("link add {ONBOARDING} type bridge stp_state 0 forward_delay 0"))?;
        ip(&format!("link set {ONBOARDING} addrgenmode none up"))?;
        ip(&format!("address add fe80::1/64 dev {ONBOARDING} nodad"))?;
        let authenticators = Mutex::new(sockets.iter().map(|_| None).collect());
        Ok(Self {
            sockets: sockets.into_iter().map(Arc::new).collect(),
            radius,
            orders,
            authenticators,
            service,
            mending,
        })
    }

    /// The lines of landfall.toml.
    pub(super) fn settings(&self, secret: &Path, proxy: u16) -> String {
        let mut text = format!(
            "[access]\nlisten = \"127.0.0.1:{}\"\n[access.quarantine]\nvlan = \"99\"\n[access.remediation]\nvlan = \"98\"\n\
             [[access.client]]\nname = \"switch\"\naddresses = [\"127.0.0.1\"]\nsecret-file = {secret:?}\norders = {}\n\
             [[access.place]]\nmodels = [\"THERMOSTAT-1\"]\nvlan = \"30\"\nreauthenticate = \"1h\"\n\
             [[access.place]]\nmodels = [\"CAMERA-2\"]\nvlan = \"40\"\nreauthenticate = \"3s\"\n\
             [[enforcer.segment]]\nname = \"new\"\nkind = \"onboarding\"\nbridge = \"{ONBOARDING}\"\n\
             reach = [\"tcp fe80::/10 {proxy}\", \"udp ff02::fb 5353\", \"udp ff02::13 7017\"]\n\
             [[enforcer.segment]]\nname = \"heating\"\nkind = \"production\"\nbridge = \"lf5-heating\"\nvlan = \"30\"\nlateral = true\n\
             [[enforcer.segment]]\nname = \"cameras\"\nkind = \"production\"\nbridge = \"lf5-cameras\"\nvlan = \"40\"\n\
             [[enforcer.segment]]\nname = \"clinic\"\nkind = \"quarantine\"\nbridge = \"lf5-clinic\"\nvlan = \"99\"\n\
             [[enforcer.segment]]\nname = \"repair\"\nkind = \"quarantine\"\nbridge = \"lf5-repair\"\nvlan = \"98\"\n\
             reach = [\"udp fe80::/10 {MENDING}\"]\n\
             [authorizer]\nrecover = \"1s\"\ndwell = \"1s\"\n[authorizer.brake]\nat-least = 100\n\
             [enforcer.behaviour]\n[authorizer.grace]\ndevice-trusted = \"1d\"\nsbom-known = \"1d\"\nvulnerability-score = \"1d\"\n\
             deny-list-contact = \"1d\"\n",
            self.radius, self.orders
        );
        for socket in &self.sockets {
            text.push_str(&format!("[[enforcer.port]]\ninterface = {:?}\n", socket.port()));
        }
        text
    }

    /// Gives the bridges their addresses, and puts a service behind them that answers.
    pub(super) fn furnish(&self) -> Result<()> {
        // By whichever of them it was announced.
        let proxy = Interface::named(ONBOARDING)?.addresses;
        for bridge in BRIDGES {
            ip(&format!("link set {bridge} address {MAC}"))?;
            ip(&format!("address add {ADDRESS}/64 dev {bridge} nodad"))?;
            // The join proxy is in every segment: devices renew their certificates where they are.
            if bridge != ONBOARDING {
                for address in &proxy {
                    ip(&format!("address add {address}/64 dev {bridge} nodad"))?;
                }
            }
        }
        for socket in &self.sockets {
            // Nobody has to be asked for: what comes back or not is the packet itself.
            ip(&format!("-n {} neighbour replace {ADDRESS} lladdr {MAC} dev link0 nud permanent", socket.name()))?;
        }
        for service in [self.service.clone(), self.mending.clone()] {
            std::thread::spawn(move || {
                let mut datagram = [0; 64];
                // It ends with the process: the lab's own namespace goes with it.
                while let Ok((length, from)) = service.recv_from(&mut datagram) {
                    let _ = service.send_to(datagram.get(..length).unwrap_or_default(), from);
                }
            });
        }
        Ok(())
    }

    pub(super) fn socket(&self, port: usize) -> Result<Arc<Namespace>> {
        self.sockets.get(port).cloned().context("there is no such port")
    }

    /// A socket of whatever is plugged in there.
    pub(super) fn voice(&self, port: usize) -> Result<UdpSocket> {
        let namespace = File::open(Path::new("/run/netns").join(self.socket(port)?.name()))?;
        let thread = std::thread::spawn(move || -> Result<UdpSocket> {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
            socket.set_read_timeout(Some(SILENCE))?;
            Ok(socket)
        });
        thread.join().map_err(|_| anyhow::anyhow!("no socket of a device"))?
    }

    /// Gives whatever is plugged in there a way to an address that is in no part of the network.
    pub(super) fn lead(&self, port: usize, address: Ipv6Addr) -> Result<()> {
        let socket = self.socket(port)?;
        ip(&format!("-n {} route replace {address} dev link0", socket.name()))?;
        ip(&format!("-n {} neighbour replace {address} lladdr {MAC} dev link0 nud permanent", socket.name()))
    }

    /// Whether what is plugged in there gets an answer of the service, now or soon if it is expected.
    pub(super) fn answered(&self, port: usize, expected: bool) -> Result<bool> {
        self.answered_by(port, SERVICE, expected)
    }

    /// The same of the service at that port of the machine.
    pub(super) fn answered_by(&self, port: usize, service: u16, expected: bool) -> Result<bool> {
        let (socket, begun) = (self.voice(port)?, Instant::now());
        tokio::task::block_in_place(|| {
            loop {
                // An error says that nobody is there, as silence does.
                let _ = socket.send_to(b"words", on_link(ADDRESS, service));
                let mut datagram = [0; 64];
                if socket.recv_from(&mut datagram).is_ok() {
                    return Ok(true);
                }
                if !expected || begun.elapsed() > LIMIT {
                    return Ok(false);
                }
            }
        })
    }

    /// It reaches the service, or it does not.
    pub(super) fn expect(&self, port: usize, expected: bool, who: &str) -> Result<()> {
        let reached = self.answered(port, expected)?;
        ensure!(reached == expected, "{who} {} the service", if reached { "reaches" } else { "does not reach" });
        Ok(())
    }

    /// Has a supplicant come in at that port with these lines of its network; whether it was let in.
    pub(super) async fn knock(&self, port: usize, network: &str) -> Result<(bool, Peer)> {
        self.authenticator(port).await?;
        let mut supplicant = Peer::wired_station(within(&*self.socket(port)?), "link0", network).await?;
        let event = supplicant.event(&["CTRL-EVENT-CONNECTED", "CTRL-EVENT-EAP-FAILURE"], LIMIT).await?;
        Ok((event.name == "CTRL-EVENT-CONNECTED", supplicant))
    }

    /// Has a device's agent come in at that port with what it has; why it was not let in, if so.
    pub(super) async fn come(&self, place: &Place, device: &Device, port: usize) -> Result<(Option<Refusal>, Peer)> {
        self.authenticator(port).await?;
        come(place, device, &*self.socket(port)?).await
    }

    /// The same by itself, without a supplicant beside it.
    pub(super) async fn come_by_itself(&self, place: &Place, device: &Device, port: usize) -> Result<Option<Refusal>> {
        self.authenticator(port).await?;
        device.connect(place, Way::Itself("link0")).await
    }

    /// The same, and it stays as long as what is returned.
    pub(super) async fn stay_by_itself(&self, place: &Place, device: &Device, port: usize) -> Result<Child> {
        self.authenticator(port).await?;
        device.stay(place, Some(Way::Itself("link0")))
    }

    async fn authenticator(&self, port: usize) -> Result<()> {
        let interface = self.socket(port)?.port();
        let mut authenticators = self.authenticators.lock().await;
        let authenticator = authenticators.get_mut(port).context("there is no such port")?;
        // Begun anew: after a failure it would not listen for a minute.
        drop(authenticator.take());
        // One port of the switch takes orders; the lab looks at what rules alone do at the others.
        let orders = if port == 0 {
            format!(
                "radius_das_port={}\nradius_das_client=127.0.0.1 {SECRET}\nradius_das_require_message_authenticator=1\n",
                self.orders
            )
        } else {
            String::new()
        };
        let settings = asks(&interface, self.radius) + &orders;
        *authenticator = Some(Peer::switch_port(&interface, &settings).await?);
        Ok(())
    }
}

/// Has a device's agent come in where it is plugged in, through a wpa_supplicant that knows nothing yet.
async fn come(place: &Place, device: &Device, socket: &Namespace) -> Result<(Option<Refusal>, Peer)> {
    let supplicant = Peer::wired_supplicant(within(socket), "link0").await?;
    let socket = supplicant.socket().context("it has no control socket")?.to_owned();
    let refusal = device.connect(place, Way::Supplicant(socket)).await?;
    Ok((refusal, supplicant))
}

/// What a command line begins with that runs there.
fn within(socket: &Namespace) -> Command {
    let mut begin = Command::new("ip");
    begin.args(["netns", "exec", socket.name(), "env"]);
    begin
}

/// Where the service is, for a device: on its link, whichever that is.
pub(super) fn service() -> SocketAddr {
    on_link(ADDRESS, SERVICE)
}

/// That port of whoever has the service, for a device.
pub(super) fn target(port: u16) -> SocketAddr {
    on_link(ADDRESS, port)
}

/// That address as a device writes it.
pub(super) fn on_link(address: Ipv6Addr, port: u16) -> SocketAddr {
    SocketAddrV6::new(address, port, 0, INTERFACE).into()
}

fn ip(words: &str) -> Result<()> {
    let output = Command::new("ip").args(words.split_whitespace()).output().context("`ip` could not be run")?;
    ensure!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

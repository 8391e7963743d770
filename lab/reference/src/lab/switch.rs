//! The switch: ports that devices are plugged into, each with a hostapd, and what is behind it.

use super::{
    device::{Device, Way},
    door::{LIMIT, SECRET, asks},
    place::Place,
};
use crate::{link::Namespace, peers::Peer, port::free_port};
use anyhow::{Context, Result, ensure};
use landfall_net::discovery::Interface;
use landfall_pki::pem;
use landfall_types::Refusal;
use std::{
    fs::{self, File},
    net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{process::Child, sync::Mutex};

/// What is behind a switch's ports.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The bridge of new devices.
    pub(crate) onboarding: &'static str,
    /// The other bridges.
    pub(crate) others: &'static [&'static str],
    /// The ports where services answer: the one that devices are to reach, and others.
    pub(crate) services: &'static [u16],
}

/// Every bridge has the same address, so that a device finds the service wherever it is, if it may.
const MAC: &str = "02:00:00:00:05:fe";
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
/// The number of a device's one interface, after loopback.
const INTERFACE: u32 = 2;
/// What has not come back by then does not.
const SILENCE: Duration = Duration::from_millis(300);

/// The switch.
pub(crate) struct Switch {
    layout: &'static Layout,
    sockets: Vec<Arc<Namespace>>,
    radius: u16,
    /// Where the first port's hostapd takes orders.
    pub(crate) orders: u16,
    /// Each port's hostapd, started with each supplicant there.
    authenticators: Mutex<Vec<Option<Peer>>>,
    /// Of what answers.
    services: Vec<UdpSocket>,
}

impl Switch {
    /// One whose ports are these, and whose access server is at that port of this machine.
    pub(crate) fn new(layout: &'static Layout, sockets: Vec<Namespace>, radius: u16) -> Result<Self> {
        let orders = free_port()?;
        let listen = |port: &u16| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, *port)).context("a service's port");
        let services = layout.services.iter().map(listen).collect::<Result<_>>()?;
        // The join proxy announces itself on it as soon as it runs. A generated address would first be probed for duplicates.
        let new = layout.onboarding;
        ip(&format!("link add {new} type bridge stp_state 0 forward_delay 0"))?;
        ip(&format!("link set {new} addrgenmode none up"))?;
        ip(&format!("address add fe80::1/64 dev {new} nodad"))?;
        let authenticators = Mutex::new(sockets.iter().map(|_| None).collect());
        let sockets = sockets.into_iter().map(Arc::new).collect();
        Ok(Self { layout, sockets, radius, orders, authenticators, services })
    }

    /// The lines of landfall.toml by which this machine lets devices in at its ports: after `[access]` comes `access`, and
    /// what new devices reach is in `new`.
    pub(crate) fn settings(&self, secret: &Path, access: &str, new: &str) -> String {
        let Self { radius, orders, layout: Layout { onboarding, .. }, .. } = self;
        let mut text = format!(
            "[access]\nlisten = \"127.0.0.1:{radius}\"\n{access}\
             [[access.client]]\nname = \"switch\"\naddresses = [\"127.0.0.1\"]\nsecret-file = {secret:?}\norders = {orders}\n\
             [[enforcer.segment]]\nname = \"new\"\nkind = \"onboarding\"\nbridge = \"{onboarding}\"\nreach = [{new}]\n"
        );
        for socket in &self.sockets {
            text.push_str(&format!("[[enforcer.port]]\ninterface = {:?}\n", socket.port()));
        }
        text
    }

    /// Gives the bridges their addresses, and puts a service behind them that answers.
    pub(crate) fn furnish(&self) -> Result<()> {
        // By whichever of them it was announced.
        let new = self.layout.onboarding;
        let proxy = Interface::named(new)?.addresses;
        for bridge in self.layout.others.iter().copied().chain([new]) {
            ip(&format!("link set {bridge} address {MAC}"))?;
            ip(&format!("address add {ADDRESS}/64 dev {bridge} nodad"))?;
            // The join proxy is in every segment: devices renew their certificates where they are.
            if bridge != new {
                for address in &proxy {
                    ip(&format!("address add {address}/64 dev {bridge} nodad"))?;
                }
            }
        }
        for socket in &self.sockets {
            // Nobody has to be asked for: what comes back or not is the packet itself.
            ip(&format!("-n {} neighbour replace {ADDRESS} lladdr {MAC} dev link0 nud permanent", socket.name()))?;
        }
        for service in &self.services {
            let service = service.try_clone()?;
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

    pub(crate) fn socket(&self, port: usize) -> Result<Arc<Namespace>> {
        self.sockets.get(port).cloned().context("there is no such port")
    }

    /// A socket of whatever is plugged in there.
    pub(crate) fn voice(&self, port: usize) -> Result<UdpSocket> {
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
    pub(crate) fn lead(&self, port: usize, address: Ipv6Addr) -> Result<()> {
        let socket = self.socket(port)?;
        ip(&format!("-n {} route replace {address} dev link0", socket.name()))?;
        ip(&format!("-n {} neighbour replace {address} lladdr {MAC} dev link0 nud permanent", socket.name()))
    }

    /// Whether what is plugged in there gets an answer of the service, now or soon if it is expected.
    pub(crate) fn answered(&self, port: usize, expected: bool) -> Result<bool> {
        self.answered_by(port, self.layout.services.first().copied().context("there is no service")?, expected)
    }

    /// The same of the service at that port of the machine.
    pub(crate) fn answered_by(&self, port: usize, service: u16, expected: bool) -> Result<bool> {
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
    pub(crate) fn expect(&self, port: usize, expected: bool, who: &str) -> Result<()> {
        let reached = self.answered(port, expected)?;
        ensure!(reached == expected, "{who} {} the service", if reached { "reaches" } else { "does not reach" });
        Ok(())
    }

    /// Has a supplicant come in at that port with these lines of its network; whether it was let in.
    pub(crate) async fn knock(&self, port: usize, network: &str) -> Result<(bool, Peer)> {
        self.authenticator(port).await?;
        let mut supplicant = Peer::wired_station(within(&*self.socket(port)?), "link0", network).await?;
        let event = supplicant.event(&["CTRL-EVENT-CONNECTED", "CTRL-EVENT-EAP-FAILURE"], LIMIT).await?;
        Ok((event.name == "CTRL-EVENT-CONNECTED", supplicant))
    }

    /// Has a device's agent come in at that port with what it has; why it was not let in, if so.
    pub(crate) async fn come(&self, place: &Place, device: &Device, port: usize) -> Result<(Option<Refusal>, Peer)> {
        self.authenticator(port).await?;
        come(place, device, &*self.socket(port)?).await
    }

    /// The same by itself, without a supplicant beside it.
    pub(crate) async fn come_by_itself(&self, place: &Place, device: &Device, port: usize) -> Result<Option<Refusal>> {
        self.authenticator(port).await?;
        device.connect(place, Way::Itself("link0")).await
    }

    /// The same, and it stays as long as what is returned.
    pub(crate) async fn stay_by_itself(&self, place: &Place, device: &Device, port: usize) -> Result<Child> {
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

/// That port of whoever has the services, for a device: on its link, whichever that is.
pub(crate) fn target(port: u16) -> SocketAddr {
    on_link(ADDRESS, port)
}

/// The lines of a supplicant's network, for who has that chain and key, where the server's certificate leads to `root`.
pub(crate) fn network(folder: &Path, name: &str, (chain, key): (&str, &[u8]), root: &Path) -> Result<String> {
    fs::create_dir_all(folder)?;
    let (certificate, secret) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    fs::write(&certificate, chain)?;
    fs::write(&secret, pem::encode("PRIVATE KEY", key))?;
    Ok(format!(
        "key_mgmt=IEEE8021X\neap=TLS\neapol_flags=0\nidentity=\"@example\"\nca_cert=\"{}\"\nclient_cert=\"{}\"\n\
         private_key=\"{}\"\ndomain_match=\"localhost\"\nphase1=\"tls_disable_tlsv1_3=0\"",
        root.display(),
        certificate.display(),
        secret.display()
    ))
}

/// That address as a device writes it.
pub(crate) fn on_link(address: Ipv6Addr, port: u16) -> SocketAddr {
    SocketAddrV6::new(address, port, 0, INTERFACE).into()
}

fn ip(words: &str) -> Result<()> {
    let output = Command::new("ip").args(words.split_whitespace()).output().context("`ip` could not be run")?;
    ensure!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

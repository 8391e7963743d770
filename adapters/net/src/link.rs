//! Frames of one EtherType at one interface: what is said between neighbours, below IP.

use nix::{
    ifaddrs::getifaddrs,
    net::if_::InterfaceFlags,
    sys::socket::{LinkAddr, bind},
};
use rustix::{
    io::Errno,
    net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with, sockopt},
};
use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The longest frame that Ethernet carries, with its header.
const LONGEST: usize = 1514;
/// The header: to whom, from whom, of what type.
const HEADER: usize = 14;
/// So many frames wait to be read; more are lost, as on any wire.
const FRAMES: usize = 64;
/// How soon it is seen that nobody reads any more.
const TURN: Duration = Duration::from_secs(1);
/// IFF_ALLMULTI of linux/if.h.
const ALL_GROUPS: u32 = 0x200;

/// A socket for frames of one EtherType.
#[derive(Debug)]
pub struct LinkSocket {
    interface: String,
    socket: Arc<OwnedFd>,
    came: Receiver<Vec<u8>>,
    /// What stands at the beginning of each frame that is sent.
    header: [u8; HEADER],
}

impl LinkSocket {
    /// Hears frames of that type at `interface`, and sends them to `group`.
    ///
    /// # Errors
    /// If there is no such interface, or this program may not (CAP_NET_RAW).
    pub fn open(interface: &str, ethertype: u16, group: [u8; 6]) -> io::Result<Self> {
        let link = named(interface)?;
        let own = link.addr().ok_or_else(|| io::Error::other("it has no address of Ethernet"))?;
        let header = [&group[..], &own, &ethertype.to_be_bytes()].concat();
        let header = header.try_into().map_err(|_| io::Error::other("its address is not one of Ethernet"))?;
        let kind = Protocol::from_raw(u32::from(ethertype.to_be()).try_into().map_err(io::Error::other)?);
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(kind))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(TURN))?;
        bind(socket.as_raw_fd(), &link)?;
        hear_groups(interface);
        let socket = Arc::new(socket);
        let (sender, came) = channel(FRAMES);
        let heard = socket.clone();
        thread::Builder::new().name("link".into()).spawn(move || hear(&heard, &sender))?;
        Ok(Self { interface: interface.to_owned(), socket, came, header })
    }

    /// Whether the interface is up, with a cable in it.
    pub fn is_up(&self) -> bool {
        let Ok(mut interfaces) = getifaddrs() else { return false };
        let needed = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
        interfaces.any(|found| found.interface_name == self.interface && found.flags.contains(needed))
    }

    /// Sends a frame, which is given without its header.
    ///
    /// # Errors
    /// If the interface is down.
    pub fn send(&self, body: &[u8]) -> io::Result<()> {
        send(&self.socket, &[&self.header, body].concat(), SendFlags::empty())?;
        Ok(())
    }

    /// The next frame, without its header; None if nothing more can be heard.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        self.came.recv().await
    }
}

fn hear(socket: &OwnedFd, sender: &Sender<Vec<u8>>) {
    let mut frame = [0; LONGEST];
    while !sender.is_closed() {
        match recv(socket, &mut frame[..], RecvFlags::empty()) {
            Ok((length, _)) => {
                let _ = sender.try_send(frame.get(HEADER..length).unwrap_or_default().to_vec());
            }
            // It may come up again.
            Err(Errno::NETDOWN) => thread::sleep(TURN),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn named(interface: &str) -> io::Result<LinkAddr> {
    let found = getifaddrs()?.filter(|found| found.interface_name == interface);
    let link = found.filter_map(|found| found.address?.as_link_addr().copied()).next();
    link.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no interface {interface}")))
}

/// A network card passes on only groups that it was told of, and this one has no address of IP by which it would be.
fn hear_groups(interface: &str) {
    let path = PathBuf::from("/sys/class/net").join(interface).join("flags");
    let told = fs::read_to_string(&path).and_then(|flags| {
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).map_err(io::Error::other)?;
        fs::write(&path, format!("{:#x}", flags | ALL_GROUPS))
    });
    if let Err(why) = told {
        tracing::debug!(interface, %why, "the interface could not be told to hear groups, which not all need");
    }
}

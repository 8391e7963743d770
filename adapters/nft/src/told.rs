//! Packets of which a rule tells (`log group`), as the kernel hands them out: linux/netfilter/nfnetlink_log.h.
//!
//! The few messages that this takes are written and read here: the kernel's form of them is fixed, and what other crates there are
//! for it are licensed otherwise, or know too little of bridges.

use crate::{
    Kernel,
    netlink::{attribute, attributes, messages},
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netlink::{NETFILTER, SocketAddrNetlink},
        recv, send, socket_with, sockopt,
    },
};
use std::{io, os::fd::OwnedFd, thread, time::Duration};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// So much of a packet is told.
pub const SNAP: u32 = 256;
/// And of one that is told whole; no frame of a bridge's ports is longer.
pub const WHOLE: u32 = 2048;
/// The kernel hands out several packets at once.
const MOST: usize = 128 * 1024;
/// What waits longer than the reader is away is lost, and that is said.
const WAITING: usize = 1024 * 1024;

/// So many batches wait to be read.
const BATCHES: usize = 64;
/// How soon it is seen that nobody reads any more.
const TURN: Duration = Duration::from_secs(1);

/// What rules tell of.
#[derive(Debug)]
pub struct Told(Receiver<Vec<Packet>>);

/// A packet of which a rule told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// What the rule calls it.
    pub prefix: String,
    /// The number of the port where it came in.
    pub came: Option<u32>,
    /// The number of the port where it was to go out.
    pub went: Option<u32>,
    /// The frame, as far as it was told.
    pub frame: Vec<u8>,
}

impl Kernel {
    /// What rules tell of to that group, from now on. Nobody else hears of it.
    ///
    /// # Errors
    /// If somebody else listens already, or this program may not.
    pub fn told(&self, group: u16) -> io::Result<Told> {
        let socket = self.inside(|| {
            let kind = SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, kind, Some(NETFILTER))?;
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(TURN))?;
            bind(&socket, &SocketAddrNetlink::new(0, 0))?;
            // More is better, and the kernel's usual room does.
            let _ = sockopt::set_socket_recv_buffer_size(&socket, WAITING);
            Ok(socket)
        })?;
        for attribute in [attribute(1, &[1]), attribute(2, &[&WHOLE.to_be_bytes()[..], &[2, 0]].concat())] {
            send(&socket, &request(group, &attribute), SendFlags::empty())?;
            let mut answer = [0; 256];
            let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
            refused(answer.get(..length).unwrap_or_default())?;
        }
        let (sender, receiver) = channel(BATCHES);
        thread::Builder::new().name("told".into()).spawn(move || read(&socket, &sender))?;
        Ok(Told(receiver))
    }
}

impl Told {
    /// The next packets; nothing if the kernel does not tell any more.
    pub async fn next(&mut self) -> Option<Vec<Packet>> {
        self.0.recv().await
    }
}

fn read(socket: &OwnedFd, sender: &Sender<Vec<Packet>>) {
    let mut buffer = vec![0; MOST];
    while !sender.is_closed() {
        match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            // Who reads too slowly misses some, and the kernel counts all of them.
            Ok((length, _)) => {
                let _ = sender.try_send(packets(buffer.get(..length).unwrap_or_default()));
            }
            Err(Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// What the kernel hands out at once, read.
pub fn packets(octets: &[u8]) -> Vec<Packet> {
    // NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET; before its attributes stands whose group it is.
    let told = messages(octets).filter(|message| message.kind == 0x0400);
    told.filter_map(|message| message.body.get(4..).map(packet)).collect()
}

fn packet(octets: &[u8]) -> Packet {
    let mut packet = Packet::default();
    let (mut head, mut inside) = (Vec::new(), Vec::new());
    for (kind, value) in attributes(octets) {
        let number = || value.first_chunk().map(|octets| u32::from_be_bytes(*octets));
        match kind {
            // On a bridge this is the port, and the next the bridge.
            6 => packet.came = number(),
            4 => packet.came = packet.came.or_else(number),
            7 => packet.went = number(),
            9 => inside = value.to_vec(),
            10 => {
                let text = value.split(|octet| *octet == 0).next().unwrap_or_default();
                packet.prefix = String::from_utf8_lossy(text).into_owned();
            }
            16 | 21 => head = value.to_vec(),
            _ => {}
        }
    }
    packet.frame = [head, inside].concat();
    packet
}

/// NFULNL_MSG_CONFIG, of which one wants to hear that it was done.
fn request(group: u16, attribute: &[u8]) -> Vec<u8> {
    const REQUEST_AND_ACK: u16 = 1 | 4;
    let length = u32::try_from(20 + attribute.len()).unwrap_or(u32::MAX);
    let head = [&length.to_ne_bytes()[..], &0x0401_u16.to_ne_bytes(), &REQUEST_AND_ACK.to_ne_bytes(), &[0; 8]];
    [&head.concat(), &[0, 0][..], &group.to_be_bytes(), attribute].concat()
}

/// NLMSG_ERROR, whose number is nothing if all went well.
fn refused(answer: &[u8]) -> io::Result<()> {
    let told = messages(answer).next().filter(|message| message.kind == 2);
    let number = told.and_then(|message| message.body.first_chunk()).map(|octets| i32::from_ne_bytes(*octets));
    match number {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        None => Err(io::Error::other("the kernel answers otherwise than it should")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_anywhere_is_read_as_far_as_it_goes() {
        let attributes =
            [attribute(6, &[0, 0, 0, 3]), attribute(16, &[2; 14]), attribute(9, &[0x45, 0]), attribute(10, b"from\0")];
        let body = [&[0, 0, 0, 5][..], &attributes.concat()].concat();
        let length = u32::try_from(16 + body.len()).unwrap();
        let whole = [&length.to_ne_bytes()[..], &0x0400_u16.to_ne_bytes(), &[0; 10], &body].concat();
        let frame = [&[2; 14][..], &[0x45, 0]].concat();
        let good = Packet { prefix: "from".into(), came: Some(3), went: None, frame };
        assert_eq!(packets(&[whole.clone(), whole.clone()].concat()), [good.clone(), good]);
        for end in 0..whole.len() {
            assert!(packets(&whole[..end]).is_empty());
        }
    }
}

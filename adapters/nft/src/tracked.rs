//! Connections that pass this machine, as the kernel's connection tracking tells of them when they begin and when they are over:
//! linux/netfilter/nfnetlink_conntrack.h.

use crate::{
    Kernel,
    netlink::{Message, attributes, messages},
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind,
        netlink::{NETFILTER, SocketAddrNetlink},
        recv, socket_with, sockopt,
    },
};
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    thread,
    time::Duration,
};
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};

/// NFNLGRP_CONNTRACK_NEW and NFNLGRP_CONNTRACK_DESTROY, a bit each.
const GROUPS: u32 = 1 | 1 << 2;
/// NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_NEW and IPCTNL_MSG_CT_DELETE.
const NEW: u16 = 0x0100;
const DELETE: u16 = 0x0102;
/// NLM_F_CREATE: without it something has changed about a connection that is there.
const CREATE: u16 = 0x0400;
/// IPS_SEEN_REPLY.
const SEEN_REPLY: u32 = 1 << 1;
/// The kernel hands out several events at once.
const MOST: usize = 128 * 1024;
/// So much waits in the kernel.
const ROOM: usize = 4 * 1024 * 1024;
/// And so many events here: of more than that the oldest are given up.
const WAITING: usize = 65_536;
/// How soon it is seen that nobody reads any more.
const TURN: Duration = Duration::from_secs(1);

/// What connection tracking tells.
#[derive(Debug)]
pub struct Tracked(Receiver<Option<Event>>);

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// So many were given up, since newer ones came before they were read.
    Missed(u64),
    /// The kernel had no room for some, and does not say how many.
    Overrun,
}

/// A connection that has begun or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it is over.
    pub is_over: bool,
    /// Who began it.
    pub source: IpAddr,
    /// Whom it was to reach.
    pub destination: IpAddr,
    /// Who answers: another one if the destination was translated on its way.
    pub answerer: IpAddr,
    /// The protocol above IP.
    pub protocol: u8,
    /// The port that it began from, if the protocol has any.
    pub source_port: u16,
    /// The port that it went to.
    pub port: u16,
    /// Whether anything has come back.
    pub is_answered: bool,
    /// How many octets of IP went there, if they are counted.
    pub sent: u64,
    /// And how many came back.
    pub received: u64,
}

impl Kernel {
    /// What connection tracking tells from now on. It has to be in use here, by a rule that looks at it.
    ///
    /// # Errors
    /// If this program may not hear it, or its kernel does not count octets or tell of events and cannot be made to.
    pub fn tracked(&self) -> io::Result<Tracked> {
        let socket = self.inside(|| {
            for setting in ["nf_conntrack_acct", "nf_conntrack_events"] {
                turn_on(setting)?;
            }
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(TURN))?;
            // More is better, and the kernel's usual room does.
            let _ = sockopt::set_socket_recv_buffer_size_force(&socket, ROOM);
            bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
            Ok(socket)
        })?;
        let (sender, receiver) = channel(WAITING);
        thread::Builder::new().name("tracked".into()).spawn(move || read(&socket, &sender))?;
        Ok(Tracked(receiver))
    }
}

/// A setting of the network namespace that this thread is in.
fn turn_on(setting: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/netfilter/{setting}");
    let cannot = |why: io::Error| io::Error::new(why.kind(), format!("net.netfilter.{setting} is off (sysctl): {why}"));
    match fs::read_to_string(&path).map_err(cannot)?.trim() {
        "0" => fs::write(&path, "1").map_err(cannot),
        _ => Ok(()),
    }
}

impl Tracked {
    /// What is heard next; nothing if the kernel does not tell any more.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(Some(event)) => Some(Heard::Event(event)),
            Ok(None) => Some(Heard::Overrun),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

fn read(socket: &OwnedFd, sender: &Sender<Option<Event>>) {
    let mut buffer = vec![0; MOST];
    while sender.receiver_count() > 0 {
        match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((length, _)) => {
                for event in events(buffer.get(..length).unwrap_or_default()) {
                    let _ = sender.send(Some(event));
                }
            }
            Err(Errno::NOBUFS) => drop(sender.send(None)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The beginnings and ends among what the kernel hands out at once; what has no addresses is none.
pub fn events(octets: &[u8]) -> Vec<Event> {
    messages(octets).filter_map(|message| event(&message)).collect()
}

fn event(message: &Message<'_>) -> Option<Event> {
    let is_over = match message.kind {
        NEW if message.flags & CREATE != 0 => false,
        DELETE => true,
        _ => return None,
    };
    let (mut original, mut reply) = (None, None);
    let (mut status, mut sent, mut received) = (0, 0, 0);
    // Before the attributes stands of which family it is.
    for (kind, value) in attributes(message.body.get(4..)?) {
        match kind {
            1 => original = tuple(value),
            2 => reply = tuple(value),
            3 => status = u32::from_be_bytes(*value.first_chunk()?),
            9 => sent = octets_of(value),
            10 => received = octets_of(value),
            _ => {}
        }
    }
    let (original, reply) = (original?, reply?);
    Some(Event {
        is_over,
        source: original.source,
        destination: original.destination,
        answerer: reply.source,
        protocol: original.protocol,
        source_port: original.source_port,
        port: original.port,
        is_answered: status & SEEN_REPLY != 0,
        sent,
        received,
    })
}

/// One direction of a connection.
struct Tuple {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    source_port: u16,
    port: u16,
}

fn tuple(octets: &[u8]) -> Option<Tuple> {
    let (mut source, mut destination, mut protocol) = (None, None, None);
    let (mut source_port, mut port) = (0, 0);
    for (kind, value) in attributes(octets) {
        match kind {
            1 => {
                for (kind, value) in attributes(value) {
                    match kind {
                        1 | 3 => source = address(value),
                        2 | 4 => destination = address(value),
                        _ => {}
                    }
                }
            }
            2 => {
                for (kind, value) in attributes(value) {
                    let number = || value.first_chunk().map(|octets| u16::from_be_bytes(*octets));
                    match kind {
                        1 => protocol = value.first().copied(),
                        2 => source_port = number()?,
                        3 => port = number()?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(Tuple { source: source?, destination: destination?, protocol: protocol?, source_port, port })
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = || octets.try_into().ok().map(|octets: [u8; 4]| Ipv4Addr::from(octets).into());
    v4().or_else(|| octets.try_into().ok().map(|octets: [u8; 16]| Ipv6Addr::from(octets).into()))
}

fn octets_of(counters: &[u8]) -> u64 {
    let counted = attributes(counters).find(|(kind, _)| *kind == 2);
    counted.and_then(|(_, value)| value.first_chunk()).map_or(0, |octets| u64::from_be_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kernel of 2025 on a machine that counts from the lower end told of a connection of TCP, and of a datagram of 53 octets.
    const NEW: &str = "d0000000000100060000000000000000020000003400018014000180080001000a000102080002000a0002021c000280050001000600000006000200\
    82d4000006000300005000003400028014000180080001000a000202080002000a0001021c0002800500010006000000060002000050000006000300\
    82d4000008000c0044b5542908000300000000080800070000000078300004802c0001800500010001000000050002000a0000000500030000000000\
    060004000300000006000500000000000c001b0018eac634c008d65d";
    const OVER: &str = "24010000020100000000000003cb78bf0a0000004c0001802c00018014000300fd00000000000000000000000000000214000400fd00000000000000\
    00000000000000011c0002800500010011000000060002009c40000006000300003500004c0002802c00018014000300fd0000000000000000000000\
    0000000114000400fd0000000000000000000000000000021c00028005000100110000000600020000350000060003009c40000008000c000cbb1c78\
    0800030000000208080007000000001d1c0009800c00010000000000000000010c00020000000000000000351c000a800c0001000000000000000000\
    0c00020000000000000000001c0014800c00010018eac634e00a9ab90c00020018eac634fefffa0d0c001b0018eac634fefffaef";

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn begun() -> Event {
        let (source, destination) = (ip("10.0.1.2"), ip("10.0.2.2"));
        let (is_over, is_answered, sent, received) = (false, false, 0, 0);
        let (protocol, source_port, port) = (6, 33492, 80);
        Event {
            is_over,
            source,
            destination,
            answerer: destination,
            protocol,
            source_port,
            port,
            is_answered,
            sent,
            received,
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn what_a_kernel_has_told_is_read() {
        let (source, destination) = (ip("fd00::2"), ip("fd00::1"));
        let (protocol, source_port, port) = (17, 40000, 53);
        let over = Event {
            is_over: true,
            source,
            destination,
            answerer: destination,
            protocol,
            source_port,
            port,
            sent: 53,
            ..begun()
        };
        assert_eq!(events(&[octets(NEW), octets(OVER)].concat()), [begun(), over]);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn what_is_no_beginning_and_no_end_or_lacks_an_address_is_no_event() {
        let good = octets(NEW);
        for end in 0..good.len() {
            assert_eq!(events(&good[..end]), [], "{end}");
        }
        // Another subsystem, another message, a change; no tuple, no addresses, one of them missing, no protocol.
        for (at, byte) in [(5, 4), (4, 1), (7, 0), (22, 9), (26, 9), (30, 9), (38, 9), (46, 9), (50, 9)] {
            let mut wrong = good.clone();
            wrong[at] = byte;
            assert_eq!(events(&wrong), [], "{at}");
        }
    }

    #[tokio::test]
    async fn the_newest_are_kept_and_it_is_said_how_many_are_not() {
        let (sender, receiver) = channel(4);
        let mut tracked = Tracked(receiver);
        let event = |port| Event { port, ..begun() };
        for port in 1..=10 {
            sender.send(Some(event(port))).unwrap();
        }
        sender.send(None).unwrap();
        drop(sender);
        assert_eq!(tracked.next().await, Some(Heard::Missed(7)));
        for port in 8..=10 {
            assert_eq!(tracked.next().await, Some(Heard::Event(event(port))));
        }
        assert_eq!((tracked.next().await, tracked.next().await), (Some(Heard::Overrun), None));
    }
}
